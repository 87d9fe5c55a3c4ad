//! One connection to a server: TLS before anything is said, one operation at a time, each with its own deadline.
//!
//! A connection that failed in any way is dropped: what it would answer next might belong to what was asked before.

use std::{io, sync::Arc};

use bytes::{Buf as _, BytesMut};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    ber::{Malformed, message_length},
    entry::Entry,
    failure::{Failure, code},
    messages::{self, Answer, Outcome, Search},
};

/// Connecting and shaking hands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One operation: a bind, one page of a search.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of one message of a server: an entry with all members of a large group.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a message before TLS, when anybody may have written it.
const CLEAR_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Entries asked for at a time. Active Directory gives no more than 1000 (MaxPageSize).
const PAGE_ENTRIES: u32 = 500;
/// Entries of one search, all pages together.
const ENTRIES_MAX: usize = 4_096;
/// Pages of one search: a server may fill them less than it was asked to, but not promise more for ever.
const PAGES_MAX: usize = 64;

/// Where a server is, and how its certificate is judged.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) start_tls: bool,
    pub(super) name: ServerName<'static>,
    pub(super) tls: Arc<ClientConfig>,
}

/// A connection in TLS. Who it is bound as is known to [`servers`](super::servers).
#[derive(Debug)]
pub(super) struct Wire {
    stream: TlsStream<TcpStream>,
    received: BytesMut,
    /// Of the last message that was sent.
    id: u32,
}

impl Wire {
    /// Connects. Nothing is sent in the clear but the question for TLS, and nothing said before TLS is believed after.
    pub(super) async fn connect(target: &Target) -> Result<Self, Failure> {
        timeout(CONNECT_TIMEOUT, Self::connect_untimed(target)).await.map_err(|_| Failure::Timeout)?
    }

    async fn connect_untimed(target: &Target) -> Result<Self, Failure> {
        // Without brackets, as the certificate names it.
        let mut stream = TcpStream::connect((&*target.host, target.port)).await.map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        let mut id = 0;
        if target.start_tls {
            id += 1;
            stream.write_all(&messages::start_tls(id)).await.map_err(Failure::Connection)?;
            // Dropped after the answer, with whatever somebody wrote after it.
            let mut received = BytesMut::new();
            let Answer::Done(outcome) = answer_to(id, &mut stream, &mut received, CLEAR_MESSAGE_BYTES_MAX).await?
            else {
                return Err(Malformed.into());
            };
            if outcome.code != code::SUCCESS {
                return Err(Failure::StartTls(outcome.code));
            }
            if !received.is_empty() {
                return Err(Malformed.into());
            }
        }
        let connector = TlsConnector::from(Arc::clone(&target.tls));
        let stream = connector.connect(target.name.clone(), stream).await.map_err(Failure::Tls)?;
        Ok(Self { stream, received: BytesMut::new(), id })
    }

    /// Binds with a name and a password, neither of them empty.
    pub(super) async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<Outcome, Failure> {
        if dn.is_empty() || password.is_empty() {
            return Err(Failure::Unfit("an anonymous bind is never made".to_owned()));
        }
        let id = self.next_id();
        let request = messages::bind(id, dn, password);
        let answer = async {
            self.send(&request).await?;
            self.receive(id).await
        };
        match timeout(OPERATION_TIMEOUT, answer).await.map_err(|_| Failure::Timeout)?? {
            Answer::Done(outcome) => Ok(outcome),
            _ => Err(Malformed.into()),
        }
    }

    /// All entries that a search finds, page by page. Anything but a success at the end is a failure: there are no
    /// halves of lists.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Vec<Entry>, Failure> {
        let (mut entries, mut cookie) = (Vec::new(), Vec::new());
        for _ in 0..PAGES_MAX {
            let outcome = self.page(search, PAGE_ENTRIES, &cookie, &mut entries).await?;
            if outcome.code != code::SUCCESS {
                return Err(Failure::Code { code: outcome.code, text: outcome.text });
            }
            if outcome.cookie.is_empty() {
                return Ok(entries);
            }
            cookie = outcome.cookie;
        }
        Err(Failure::TooMany(PAGES_MAX, "pages"))
    }

    /// The first entries that a search finds, and whether there are more.
    pub(super) async fn first(&mut self, search: &Search<'_>) -> Result<(Vec<Entry>, bool), Failure> {
        let mut entries = Vec::new();
        let outcome = self.page(search, 0, &[], &mut entries).await?;
        match outcome.code {
            code::SUCCESS => Ok((entries, false)),
            // A limit that leaves nothing says nothing.
            code::SIZE_LIMIT_EXCEEDED if !entries.is_empty() => Ok((entries, true)),
            code => Err(Failure::Code { code, text: outcome.text }),
        }
    }

    async fn page(
        &mut self,
        search: &Search<'_>,
        page: u32,
        cookie: &[u8],
        entries: &mut Vec<Entry>,
    ) -> Result<Outcome, Failure> {
        let id = self.next_id();
        let request = messages::search(id, search, page, cookie)?;
        let answers = async {
            self.send(&request).await?;
            loop {
                match self.receive(id).await? {
                    Answer::Done(outcome) => return Ok(outcome),
                    Answer::Entry(entry) => entries.push(entry),
                    Answer::Reference | Answer::Intermediate => {}
                }
                if entries.len() > ENTRIES_MAX {
                    return Err(Failure::TooMany(ENTRIES_MAX, "entries"));
                }
            }
        };
        timeout(OPERATION_TIMEOUT, answers).await.map_err(|_| Failure::Timeout)?
    }

    fn next_id(&mut self) -> u32 {
        // Numbers are positive (RFC 4511 §4.1.1.1), and no connection lives for two thousand million operations.
        self.id = self.id % (i32::MAX as u32) + 1;
        self.id
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(message).await.map_err(Failure::Connection)?;
        self.stream.flush().await.map_err(Failure::Connection)
    }

    async fn receive(&mut self, id: u32) -> Result<Answer, Failure> {
        answer_to(id, &mut self.stream, &mut self.received, MESSAGE_BYTES_MAX).await
    }
}

/// The next message, which must answer the one with this number: anything else says that the server is leaving (RFC
/// 4511 §4.4), or has lost count.
async fn answer_to<S: AsyncRead + AsyncWrite + Unpin>(
    id: u32,
    stream: &mut S,
    received: &mut BytesMut,
    bytes_max: usize,
) -> Result<Answer, Failure> {
    loop {
        if let Some(length) = message_length(received, bytes_max)? {
            if let Some(message) = received.get(..length) {
                let (answered, answer) = messages::read(message)?;
                received.advance(length);
                return match answered {
                    0 => Err(Failure::Connection(io::ErrorKind::ConnectionAborted.into())),
                    answered if answered == id => Ok(answer),
                    _ => Err(Malformed.into()),
                };
            }
            received.reserve(length - received.len());
        }
        if stream.read_buf(received).await.map_err(Failure::Connection)? == 0 {
            return Err(Failure::Connection(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}
