//! From an accepted socket to a peer: the ClientHello is read with bounds, its server name chooses the listener, and the
//! handshake goes on as that listener wants it, or the bytes go on to a backend untouched.

use std::{
    future::poll_fn,
    io::{self, Read},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use portcullis_certs::verify::{ClientMode, VerifiedChain};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion, server};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{StartHandshake, server::TlsStream};

use super::{PortTls, Termination, TlsAction};

/// From the first byte a client may send to the end of the handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that is read before there must be a whole ClientHello. Those of browsers have 2 KiB.
pub const CLIENT_HELLO_BYTES_MAX: usize = 64 * 1024;
/// How long a refused client has to read why, and how much of what it still sends is read and dropped meanwhile:
/// closing a socket with unread bytes would destroy the answer on its way.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);
const FAREWELL_BYTES_MAX: usize = 256 * 1024;
const FAREWELL_BUFFER_BYTES: usize = 4096;
/// A fatal `unrecognized_name` in a record of its own (RFC 8446 §6, RFC 6066 §3). No key exists yet, so it is plain.
const UNRECOGNIZED_NAME: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];
/// A fatal `unexpected_message`, where rustls has no alert of its own (bytes that are no TLS record at all).
const UNEXPECTED_MESSAGE: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a];
/// For people who forgot the `s` of `https`.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
    content-length: 35\r\n\r\nthis port speaks TLS; use https://\n";
/// How plain HTTP begins.
const HTTP_METHODS: &[&[u8]] =
    &[b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ", b"PRI "];

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the whole handshake.
    pub handshake: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { handshake: HANDSHAKE_TIMEOUT }
    }
}

/// A connection whose listener is known.
pub enum Accepted<S> {
    /// The handshake is done.
    Terminated {
        /// The stream inside TLS.
        stream: Box<TlsStream<S>>,
        /// The listener's number, as given to [`PortTls::new`].
        listener: usize,
        /// Who is at the other end.
        peer: PeerTls,
    },
    /// Nothing has been answered; a backend shall.
    Passthrough {
        /// The stream, as it came.
        stream: S,
        /// What has been read from it, to be sent on first.
        prelude: Bytes,
        /// The server name, in lower case.
        sni: Option<Box<str>>,
        /// The listener's number, as given to [`PortTls::new`].
        listener: usize,
    },
}

/// What a handshake told about the other end.
#[derive(Debug, Clone)]
pub struct PeerTls {
    /// The server name it asked for, in lower case.
    pub sni: Option<Box<str>>,
    /// The protocol agreed on.
    pub alpn: Option<Box<[u8]>>,
    /// TLS 1.2 or 1.3.
    pub version: Option<ProtocolVersion>,
    /// The cipher suite.
    pub cipher: Option<CipherSuite>,
    /// The key exchange group.
    pub group: Option<NamedGroup>,
    /// Whether an earlier connection was resumed.
    pub resumed: bool,
    /// The certificate it showed, and whether it counts.
    pub certificate: PeerCertificate,
}

/// A client's certificate.
#[derive(Debug, Clone)]
pub enum PeerCertificate {
    /// It showed none.
    Absent,
    /// It showed one that leads to no authority of this listener; the listener let it in all the same
    /// ([`ClientMode::AllowInsecureFallback`]). It identifies nobody.
    Unverified {
        /// The chain, leaf first.
        chain: Arc<[CertificateDer<'static>]>,
        /// Why it is not verified.
        error: rustls::Error,
    },
    /// It leads to an authority of this listener.
    Verified(VerifiedChain),
}

impl PeerTls {
    /// Whether HTTP/2 was agreed on.
    pub fn is_h2(&self) -> bool {
        self.alpn.as_deref() == Some(b"h2")
    }

    /// The verified chain, if there is one.
    pub fn verified(&self) -> Option<&VerifiedChain> {
        match &self.certificate {
            PeerCertificate::Verified(chain) => Some(chain),
            PeerCertificate::Absent | PeerCertificate::Unverified { .. } => None,
        }
    }
}

/// Why a connection got no further. It is closed already.
#[derive(Debug, thiserror::Error)]
pub enum TlsRefusal {
    /// It took too long.
    #[error("the handshake was not done in time")]
    Timeout,
    /// It went away.
    #[error("the client closed the connection during the handshake")]
    Closed,
    /// No ClientHello within [`CLIENT_HELLO_BYTES_MAX`].
    #[error("the ClientHello is larger than {CLIENT_HELLO_BYTES_MAX} bytes")]
    HelloTooLarge,
    /// It speaks HTTP without TLS. It was told so.
    #[error("the client speaks HTTP without TLS")]
    PlainHttp,
    /// No listener answers for this name.
    #[error("no listener answers for the server name {}", .0.as_deref().map_or("(none)".into(), |name| format!("`{name}`")))]
    UnrecognizedName(Option<Box<str>>),
    /// TLS itself failed.
    #[error("the handshake failed: {0}")]
    Handshake(rustls::Error),
    /// A resumed client whose certificate is not valid any more.
    #[error("the client's certificate is not valid any more: {0}")]
    ClientCertificate(rustls::Error),
    /// The socket failed.
    #[error("the connection failed during the handshake: {0}")]
    Io(io::Error),
}

impl TlsRefusal {
    /// A word for a metric's label; one of a fixed few.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::HelloTooLarge => "hello_too_large",
            Self::PlainHttp => "plain_http",
            Self::UnrecognizedName(_) => "unrecognized_name",
            Self::Handshake(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
            | Self::ClientCertificate(_) => "client_certificate",
            Self::Handshake(_) => "handshake",
            Self::Io(_) => "io",
        }
    }
}

/// Reads the ClientHello, finds the listener it means, and does what that listener wants.
///
/// Dropping the future closes the connection. A refused connection has been told why, as far as TLS can, and closed.
pub async fn accept<S>(stream: S, port: &PortTls, deadlines: &Deadlines) -> Result<Accepted<S>, TlsRefusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // A handshake needs kilobytes of state. On the heap they go when it is done; inside the connection's own future
    // they would stay for its whole life.
    Box::pin(shake_hands(stream, port, deadlines)).await
}

async fn shake_hands<S>(stream: S, port: &PortTls, deadlines: &Deadlines) -> Result<Accepted<S>, TlsRefusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = Instant::now() + deadlines.handshake;
    let mut hello = Hello { stream, heard: Vec::new(), heard_bytes: 0, keep: port.has_passthrough() };
    let accepted = match timeout_at(deadline, hello.read()).await {
        Err(_) => return Err(TlsRefusal::Timeout),
        Ok(Ok(accepted)) => accepted,
        Ok(Err((refusal, last_words))) => {
            say_farewell(hello.stream, &last_words).await;
            return Err(refusal);
        }
    };
    let sni = accepted.client_hello().server_name().map(|name| name.to_ascii_lowercase().into_boxed_str());
    match port.find(sni.as_deref()) {
        None => {
            // Clients of a port that only passes connections on must not take us for their server (Gateway API).
            say_farewell(hello.stream, if port.terminates() { UNRECOGNIZED_NAME } else { &[] }).await;
            Err(TlsRefusal::UnrecognizedName(sni))
        }
        Some((listener, TlsAction::Passthrough)) => {
            Ok(Accepted::Passthrough { stream: hello.stream, prelude: hello.heard.into(), sni, listener })
        }
        Some((listener, TlsAction::Terminate(termination))) => {
            let handshake = StartHandshake::from_parts(accepted, hello.stream)
                .into_stream(Arc::clone(&termination.config))
                .into_fallible();
            let stream = match timeout_at(deadline, handshake).await {
                Err(_) => return Err(TlsRefusal::Timeout),
                Ok(Ok(stream)) => stream,
                Ok(Err((error, stream))) => {
                    // rustls has sent its alert.
                    say_farewell(stream, &[]).await;
                    return Err(refusal_of(error));
                }
            };
            terminated(stream, termination, listener).await
        }
    }
}

/// Who is at the other end, now that the handshake is done?
async fn terminated<S>(
    mut stream: TlsStream<S>,
    termination: &Termination,
    listener: usize,
) -> Result<Accepted<S>, TlsRefusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = stream.get_ref().1;
    let certificate = match (&termination.clients, connection.peer_certificates()) {
        (Some(verifier), Some(chain)) => match verifier.judge(chain, SystemTime::now()) {
            Ok(chain) => PeerCertificate::Verified(chain),
            Err(error) if verifier.mode() == ClientMode::AllowInsecureFallback => {
                PeerCertificate::Unverified { chain: chain.into(), error }
            }
            // Valid when the ticket was given, but not now.
            Err(error) => {
                let _ = timeout(FAREWELL_TIMEOUT, stream.shutdown()).await;
                return Err(TlsRefusal::ClientCertificate(error));
            }
        },
        _ => PeerCertificate::Absent,
    };
    let peer = PeerTls {
        sni: connection.server_name().map(Into::into),
        alpn: connection.alpn_protocol().map(Into::into),
        version: connection.protocol_version(),
        cipher: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
        group: connection.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        certificate,
    };
    Ok(Accepted::Terminated { stream: Box::new(stream), listener, peer })
}

fn refusal_of(error: io::Error) -> TlsRefusal {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
    match tls {
        Some(error) => TlsRefusal::Handshake(error),
        None if is_closed(&error) => TlsRefusal::Closed,
        None => TlsRefusal::Io(error),
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

/// Writes what there is to say, and closes so that it arrives.
async fn say_farewell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, last_words: &[u8]) {
    let farewell = async {
        stream.write_all(last_words).await?;
        stream.shutdown().await?;
        let mut dropped = 0;
        let mut buffer = vec![0; FAREWELL_BUFFER_BYTES];
        while dropped < FAREWELL_BYTES_MAX {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => dropped += read,
            }
        }
        Ok::<_, io::Error>(())
    };
    // Whether it arrives is up to the other end.
    let _ = timeout(FAREWELL_TIMEOUT, farewell).await;
}

/// A stream from which a ClientHello is read, and what was read.
struct Hello<S> {
    stream: S,
    /// All of it if `keep`, else its first bytes.
    heard: Vec<u8>,
    heard_bytes: usize,
    keep: bool,
}

type Parting = (TlsRefusal, Vec<u8>);

impl<S: AsyncRead + Unpin> Hello<S> {
    /// The ClientHello, or a refusal and what to tell the client.
    async fn read(&mut self) -> Result<server::Accepted, Parting> {
        let mut acceptor = server::Acceptor::default();
        poll_fn(|cx| {
            loop {
                // rustls takes what it needs and no more: nothing is left over that another reader would miss.
                match ready!(self.poll_fill(cx, &mut acceptor)) {
                    Ok(0) => return Poll::Ready(Err((TlsRefusal::Closed, Vec::new()))),
                    Ok(_) => {}
                    Err(e) if is_closed(&e) => return Poll::Ready(Err((TlsRefusal::Closed, Vec::new()))),
                    Err(e) => return Poll::Ready(Err((TlsRefusal::Io(e), Vec::new()))),
                }
                match acceptor.accept() {
                    Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                    Ok(None) if self.heard_bytes >= CLIENT_HELLO_BYTES_MAX => {
                        return Poll::Ready(Err((TlsRefusal::HelloTooLarge, Vec::new())));
                    }
                    Ok(None) => {}
                    Err((error, alert)) => return Poll::Ready(Err(self.parting(error, alert))),
                }
            }
        })
        .await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, acceptor: &mut server::Acceptor) -> Poll<io::Result<usize>> {
        match acceptor.read_tls(&mut Tap { hello: self, cx }) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            outcome => Poll::Ready(outcome),
        }
    }

    fn parting(&self, error: rustls::Error, mut alert: server::AcceptedAlert) -> Parting {
        if HTTP_METHODS.iter().any(|method| self.heard.starts_with(method)) {
            return (TlsRefusal::PlainHttp, PLAIN_HTTP_ANSWER.to_vec());
        }
        let mut last_words = Vec::new();
        // Writing to memory does not fail.
        let _ = alert.write_all(&mut last_words);
        if last_words.is_empty() {
            last_words.extend_from_slice(UNEXPECTED_MESSAGE);
        }
        (TlsRefusal::Handshake(error), last_words)
    }
}

/// Lets rustls read from the stream, and remembers what it read.
struct Tap<'a, 'c, S> {
    hello: &'a mut Hello<S>,
    cx: &'a mut Context<'c>,
}

/// Enough to recognise an HTTP method.
const FIRST_BYTES: usize = 8;

impl<S: AsyncRead + Unpin> Read for Tap<'_, '_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(buffer);
        match Pin::new(&mut self.hello.stream).poll_read(self.cx, &mut into) {
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(outcome) => outcome?,
        }
        let read = into.filled();
        self.hello.heard_bytes += read.len();
        let room = if self.hello.keep { usize::MAX } else { FIRST_BYTES.saturating_sub(self.hello.heard.len()) };
        self.hello.heard.extend(read.iter().take(room));
        Ok(read.len())
    }
}
