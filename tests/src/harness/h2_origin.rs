//! A server of HTTP/2 that records what it is sent, streams that were reset included.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use super::eventually;

/// One request over HTTP/2.
#[derive(Debug, Clone)]
pub struct H2Seen {
    /// The how-manieth connection it came on, from 0.
    pub connection: usize,
    /// The how-manieth request it is, over all connections, from 0.
    pub number: usize,
    /// Pseudo-headers and headers.
    pub head: http::request::Parts,
    /// The body.
    pub body: Bytes,
    /// The trailers, if any came.
    pub trailers: Option<HeaderMap>,
}

impl H2Seen {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

/// What an origin does about a request.
#[derive(Debug, Clone)]
pub enum H2Reply {
    /// A whole answer, with trailers if there are any.
    Answer(Response<Bytes>, Option<HeaderMap>),
    /// A `1xx`, and then something else.
    First(Response<()>, Box<H2Reply>),
    /// A head and the first bytes of its body, and nothing more until the stream is reset.
    Begin(Response<Bytes>),
    /// Nothing until the stream is reset.
    Silence,
    /// The stream is reset.
    Reset(Reason),
    /// An answer, and the connection says that it will take no more requests.
    GoAway(Response<Bytes>),
    /// The connection ends abruptly.
    Hangup,
}

/// How an origin behaves besides its answers.
#[derive(Clone, Default)]
pub struct H2Options {
    /// TLS, with `h2` among its protocols.
    pub tls: Option<Arc<ServerConfig>>,
    /// Streams it allows at a time on one connection.
    pub streams_max: Option<u32>,
}

type Answering = dyn Fn(&H2Seen) -> H2Reply + Send + Sync;

/// A server on a loopback port, gone when dropped.
pub struct H2Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    answering: Box<Answering>,
    seen: Mutex<Vec<H2Seen>>,
    cancelled: Mutex<Vec<Instant>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
}

impl H2Origin {
    /// Answers as a function says, which is asked when the whole request has come.
    pub async fn start(options: H2Options, answering: impl Fn(&H2Seen) -> H2Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answering: Box::new(answering),
            seen: Mutex::default(),
            cancelled: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            // Connections end with the origin.
            let mut tasks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let connection = serving.connections.fetch_add(1, SeqCst);
                let (shared, options) = (Arc::clone(&serving), options.clone());
                tasks.spawn(async move {
                    shared.open.fetch_add(1, SeqCst);
                    match &options.tls {
                        None => serve(&shared, connection, stream, &options).await,
                        Some(tls) => {
                            if let Ok(stream) = TlsAcceptor::from(Arc::clone(tls)).accept(stream).await {
                                serve(&shared, connection, stream, &options).await;
                            }
                        }
                    }
                    shared.open.fetch_sub(1, SeqCst);
                });
                while tasks.try_join_next().is_some() {}
            }
        });
        Self { address, shared, accepting }
    }

    /// Answers every request with `200` and the same text, in the clear.
    pub async fn answering(text: &'static str) -> Self {
        Self::start(H2Options::default(), move |_| {
            H2Reply::Answer(Response::new(Bytes::from_static(text.as_bytes())), None)
        })
        .await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<H2Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(SeqCst)
    }

    /// When streams were reset by the other end.
    pub fn cancelled(&self) -> Vec<Instant> {
        self.shared.cancelled.lock().unwrap().clone()
    }

    /// Waits until so many requests came.
    pub async fn wait_for(&self, requests: usize) -> Vec<H2Seen> {
        eventually("requests reach the origin", async || self.shared.seen.lock().unwrap().len() >= requests).await;
        self.seen()
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    shared: &Arc<Shared>,
    connection: usize,
    wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    options: &H2Options,
) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(4 << 20);
    if let Some(streams) = options.streams_max {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut http) = builder.handshake::<_, Bytes>(wire).await else { return };
    let mut exchanges = JoinSet::new();
    loop {
        tokio::select! {
            accepted = http.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let shared = Arc::clone(shared);
                exchanges.spawn(async move { exchange(&shared, connection, request, respond).await });
            }
            Some(ended) = exchanges.join_next() => match ended.unwrap_or(After::Nothing) {
                After::Nothing => {}
                After::GoAway => http.graceful_shutdown(),
                After::Hangup(respond) => {
                    drop(http);
                    return drop(respond);
                }
            }
        }
    }
}

/// What becomes of the connection after an exchange.
enum After {
    Nothing,
    GoAway,
    /// The stream is not reset before the connection is.
    Hangup(SendResponse<Bytes>),
}

async fn exchange(
    shared: &Shared,
    connection: usize,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> After {
    let (head, mut stream) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let Ok(piece) = piece else {
            shared.cancelled.lock().unwrap().push(Instant::now());
            return After::Nothing;
        };
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await.unwrap_or_default();
    let number = shared.requests.fetch_add(1, SeqCst);
    let seen = H2Seen { connection, number, head, body: body.freeze(), trailers };
    let mut reply = (shared.answering)(&seen);
    shared.seen.lock().unwrap().push(seen);
    while let H2Reply::First(interim, then) = reply {
        let _ = respond.send_informational(interim);
        reply = *then;
    }
    match reply {
        H2Reply::Answer(response, trailers) => {
            answer(&mut respond, response, trailers);
            After::Nothing
        }
        H2Reply::GoAway(response) => {
            answer(&mut respond, response, None);
            After::GoAway
        }
        H2Reply::Begin(response) => {
            let (parts, bytes) = response.into_parts();
            if let Ok(mut stream) = respond.send_response(Response::from_parts(parts, ()), false) {
                let _ = stream.send_data(bytes, false);
                let _ = poll_fn(|cx| stream.poll_reset(cx)).await;
                shared.cancelled.lock().unwrap().push(Instant::now());
            }
            After::Nothing
        }
        H2Reply::Silence => {
            let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
            shared.cancelled.lock().unwrap().push(Instant::now());
            After::Nothing
        }
        H2Reply::Reset(reason) => {
            respond.send_reset(reason);
            After::Nothing
        }
        H2Reply::Hangup => After::Hangup(respond),
        H2Reply::First(..) => unreachable!("taken above"),
    }
}

fn answer(respond: &mut SendResponse<Bytes>, response: Response<Bytes>, trailers: Option<HeaderMap>) {
    let (parts, bytes) = response.into_parts();
    let ends = bytes.is_empty() && trailers.is_none();
    let Ok(mut stream) = respond.send_response(Response::from_parts(parts, ()), ends) else { return };
    if ends {
        return;
    }
    let _ = stream.send_data(bytes, trailers.is_none());
    if let Some(trailers) = trailers {
        let _ = stream.send_trailers(trailers);
    }
}
