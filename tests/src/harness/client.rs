//! A client that sends exactly the bytes it is given, and reads answers of HTTP/1.1 without forgiving anything.

use std::{io, net::SocketAddr, time::Duration};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, Tls};

/// What a client can talk over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One connection, plaintext or TLS.
pub struct RawClient {
    wire: Box<dyn Wire>,
    /// Bytes that came and were not yet asked for.
    received: BytesMut,
}

/// One answer of HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names as they were spelt.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// What followed the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every header of this name.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl RawClient {
    /// Connects without TLS.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Connects with TLS.
    pub async fn connect_tls(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        Ok(Self::over(tls.connect(address).await?))
    }

    /// Talks over a connection that is there already.
    pub fn over(wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { wire: Box::new(wire), received: BytesMut::new() }
    }

    /// Sends bytes; panics if the other end is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other end takes what it is sent");
    }

    /// Sends bytes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let sent = async {
            self.wire.write_all(bytes.as_ref()).await?;
            self.wire.flush().await
        };
        timeout(PATIENCE, sent).await.expect("the other end reads")
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.wire.shutdown().await;
    }

    /// Reads the next answer; `1xx` answers are answers too. Panics if it does not come, or is no HTTP/1.1.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Reads the next answer to a `HEAD` request: it has no body, whatever it says.
    pub async fn answer_to_head(&mut self) -> Answer {
        let answer = timeout(PATIENCE, self.read_head()).await.expect("an answer comes");
        answer.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Reads the next answer.
    pub async fn try_answer(&mut self) -> io::Result<Answer> {
        let answer = async {
            let mut answer = self.read_head().await?;
            self.read_body(&mut answer).await?;
            Ok(answer)
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the head of the next answer, and leaves its body to [`RawClient::read`].
    pub async fn head(&mut self) -> Answer {
        self.answer_to_head().await
    }

    /// Sends one request and reads its answer.
    pub async fn exchange(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// Whatever bytes come next; empty at the end of the connection.
    pub async fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.received.is_empty() {
            timeout(PATIENCE, self.fill()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        }
        Ok(self.received.split().to_vec())
    }

    /// Reads until the other end closes, for as long as this. Nothing if it does not; a reset is a close.
    pub async fn read_until_close(&mut self, within: Duration) -> Option<Vec<u8>> {
        let closed = async { while matches!(self.fill().await, Ok(1..)) {} };
        timeout(within, closed).await.ok().map(|()| self.received.split().to_vec())
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.wire.read_buf(&mut self.received).await
    }

    async fn need(&mut self, what: &str) -> io::Result<()> {
        match self.fill().await? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("closed within {what} after {:?}", String::from_utf8_lossy(&self.received)),
            )),
            _ => Ok(()),
        }
    }

    async fn read_head(&mut self) -> io::Result<Answer> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut response = httparse::Response::new(&mut headers);
            match response.parse(&self.received) {
                Ok(httparse::Status::Complete(length)) => {
                    let answer = Answer {
                        status: response.code.unwrap_or_default(),
                        headers: owned(response.headers),
                        body: Vec::new(),
                        trailers: Vec::new(),
                    };
                    self.received.advance(length);
                    return Ok(answer);
                }
                Ok(httparse::Status::Partial) => self.need("a head").await?,
                Err(error) => {
                    let received = String::from_utf8_lossy(&self.received);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{error} in {received:?}")));
                }
            }
        }
    }

    async fn read_body(&mut self, answer: &mut Answer) -> io::Result<()> {
        if matches!(answer.status, 100..=199 | 204 | 304) {
            return Ok(());
        }
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            assert!(answer.header("content-length").is_none(), "both lengths in {answer:?}");
            return self.read_chunks(answer).await;
        }
        if let Some(length) = answer.header("content-length") {
            let length = length.parse::<usize>().expect("a length");
            while self.received.len() < length {
                self.need("a body").await?;
            }
            answer.body = self.received.split_to(length).to_vec();
            return Ok(());
        }
        while self.fill().await? > 0 {}
        answer.body = self.received.split().to_vec();
        Ok(())
    }

    async fn read_chunks(&mut self, answer: &mut Answer) -> io::Result<()> {
        loop {
            let line = self.read_line().await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("chunk of size {size:?}"));
            if size == 0 {
                break;
            }
            while self.received.len() < size + 2 {
                self.need("a chunk").await?;
            }
            answer.body.extend_from_slice(&self.received.split_to(size));
            assert_eq!(self.read_line().await?, "", "a chunk ends with CRLF");
        }
        loop {
            let line = self.read_line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            answer.trailers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(())
    }

    async fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.received.split_to(end);
                self.received.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.need("a line").await?;
        }
    }
}

pub(super) fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let owned =
        |header: &httparse::Header<'_>| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned());
    headers.iter().map(owned).collect()
}
