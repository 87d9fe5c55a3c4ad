//! A server that records what it is sent and answers exactly the bytes it is told to.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::BytesMut;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::{client::owned, eventually};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The how-manieth connection it came on, from 0.
    pub connection: usize,
    /// The how-manieth request it is, over all connections, from 0.
    pub number: usize,
    /// The method.
    pub method: String,
    /// The target, as it was sent.
    pub target: String,
    /// The headers, names as they were spelt.
    pub headers: Vec<(String, String)>,
    /// The head as it was sent, the empty line included.
    pub head: Vec<u8>,
    /// The body as it was sent, the framing of chunks included.
    pub body: Vec<u8>,
}

impl Seen {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every header of this name.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What an origin does about a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Sends bytes and keeps the connection.
    Bytes(Vec<u8>),
    /// Sends pieces, each after a pause, and keeps the connection.
    Pieces(Vec<(Duration, Vec<u8>)>),
    /// Sends bytes and closes.
    Last(Vec<u8>),
    /// Sends bytes and resets the connection.
    Reset(Vec<u8>),
    /// Sends nothing, and keeps the connection until the other end closes it.
    Silence,
}

type Answering = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A server on a loopback port, gone when dropped.
pub struct Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Origin {
    /// Answers every request with the same bytes.
    pub async fn answering(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        Self::start(move |_| Reply::Bytes(bytes.clone())).await
    }

    /// Answers the first request with the first reply and so on; the last one is repeated.
    pub async fn scripted(replies: Vec<Reply>) -> Self {
        Self::start(move |seen| replies[seen.number.min(replies.len() - 1)].clone()).await
    }

    /// Answers as a function says.
    pub async fn start(answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(None, Arc::new(answering)).await
    }

    /// The same behind TLS.
    pub async fn start_tls(config: ServerConfig, answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(answering)).await
    }

    async fn run(tls: Option<TlsAcceptor>, answering: Arc<Answering>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let served = Served { seen: Arc::clone(&seen), answering, requests: Arc::new(AtomicUsize::new(0)) };
        let (count, held) = (Arc::clone(&connections), Arc::clone(&open));
        let accepting = tokio::spawn(async move {
            // Connections end with the origin.
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let connection = count.fetch_add(1, SeqCst);
                held.fetch_add(1, SeqCst);
                let (served, tls, held) = (served.clone(), tls.clone(), Arc::clone(&held));
                tasks.spawn(async move {
                    let _ = served.connection(connection, stream, tls).await;
                    held.fetch_sub(1, SeqCst);
                });
                while tasks.try_join_next().is_some() {}
            }
        });
        Self { address, seen, connections, open, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    /// Waits until so many requests came.
    pub async fn wait_for(&self, requests: usize) -> Vec<Seen> {
        eventually("requests reach the origin", async || self.seen.lock().unwrap().len() >= requests).await;
        self.seen()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Served {
    seen: Arc<Mutex<Vec<Seen>>>,
    answering: Arc<Answering>,
    requests: Arc<AtomicUsize>,
}

impl Served {
    async fn connection(&self, connection: usize, stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let reset = |stream: &TcpStream| SockRef::from(stream).set_linger(Some(Duration::ZERO));
        match tls {
            None => {
                let mut stream = stream;
                if self.requests(connection, &mut stream).await? {
                    reset(&stream)?;
                }
            }
            Some(tls) => {
                let mut stream = tls.accept(stream).await?;
                if self.requests(connection, &mut stream).await? {
                    reset(stream.get_ref().0)?;
                }
            }
        }
        Ok(())
    }

    /// Answers requests until the connection is to be closed; whether it is to be reset.
    async fn requests(&self, connection: usize, wire: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<bool> {
        let mut received = BytesMut::new();
        while let Some(mut seen) = read_request(wire, &mut received).await? {
            seen.connection = connection;
            seen.number = self.requests.fetch_add(1, SeqCst);
            let reply = (self.answering)(&seen);
            self.seen.lock().unwrap().push(seen);
            match reply {
                Reply::Bytes(bytes) => wire.write_all(&bytes).await?,
                Reply::Pieces(pieces) => {
                    for (pause, bytes) in pieces {
                        sleep(pause).await;
                        wire.write_all(&bytes).await?;
                        wire.flush().await?;
                    }
                }
                Reply::Last(bytes) => {
                    wire.write_all(&bytes).await?;
                    wire.shutdown().await?;
                    return Ok(false);
                }
                Reply::Reset(bytes) => {
                    wire.write_all(&bytes).await?;
                    wire.flush().await?;
                    return Ok(true);
                }
                Reply::Silence => while wire.read_buf(&mut received).await? > 0 {},
            }
            wire.flush().await?;
        }
        Ok(false)
    }
}

async fn read_request(wire: &mut (impl AsyncRead + Unpin), received: &mut BytesMut) -> io::Result<Option<Seen>> {
    let mut seen = loop {
        if let Some(seen) = parse_head(received)? {
            break seen;
        }
        if wire.read_buf(received).await? == 0 {
            return Ok(None);
        }
    };
    let _ = received.split_to(seen.head.len());
    let chunked = seen.header("transfer-encoding").is_some();
    let length = seen.header("content-length").map_or(Ok(0), str::parse::<usize>).map_err(io::Error::other)?;
    loop {
        let end = if chunked { chunks_length(received) } else { (received.len() >= length).then_some(length) };
        if let Some(end) = end {
            seen.body = received.split_to(end).to_vec();
            return Ok(Some(seen));
        }
        if wire.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse_head(received: &[u8]) -> io::Result<Option<Seen>> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(received).map_err(io::Error::other)? else {
        return Ok(None);
    };
    Ok(Some(Seen {
        connection: 0,
        number: 0,
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        headers: owned(request.headers),
        head: received[..length].to_vec(),
        body: Vec::new(),
    }))
}

/// How long a chunked body is, its trailers included, once all of it is there.
fn chunks_length(received: &[u8]) -> Option<usize> {
    let line_end = |from: usize| received.get(from..)?.windows(2).position(|pair| pair == b"\r\n").map(|at| from + at);
    let mut position = 0;
    loop {
        let end = line_end(position)?;
        let line = String::from_utf8_lossy(&received[position..end]);
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        position = end + 2;
        if size == 0 {
            break;
        }
        position += size + 2;
    }
    loop {
        let end = line_end(position)?;
        let empty = end == position;
        position = end + 2;
        if empty {
            return Some(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::RawClient;

    #[test]
    fn a_chunked_body_ends_after_its_trailers() {
        let whole = b"3\r\nabc\r\n0\r\na: b\r\n\r\n";
        assert_eq!(chunks_length(whole), Some(whole.len()));
        for length in 0..whole.len() {
            assert_eq!(chunks_length(&whole[..length]), None, "{length}");
        }
    }

    #[tokio::test]
    async fn an_origin_records_and_answers_by_script() {
        let hello =
            |text: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes();
        let origin = Origin::scripted(vec![Reply::Bytes(hello("one")), Reply::Last(hello("two"))]).await;
        let mut client = RawClient::connect(origin.address()).await;
        let first = client.exchange("POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 4\r\n\r\nbody").await;
        assert_eq!((first.status, first.text().as_str()), (200, "one"));
        client.send("POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), "two");
        assert_eq!(client.read_until_close(Duration::from_secs(5)).await.as_deref(), Some(&b""[..]));
        let seen = origin.seen();
        assert_eq!((seen[0].target.as_str(), seen[0].body.as_slice()), ("/a", &b"body"[..]));
        assert_eq!(seen[0].header("host"), Some("b"));
        assert_eq!((seen[1].connection, seen[1].number, seen[1].body.len()), (0, 1, 11));
    }
}
