//! Connections to endpoints, kept while they are of use. One store per worker: nothing here is shared between threads.
//!
//! A connection that lay idle is never trusted: it is looked at before it is used, it is closed before its server's own
//! keep-alive ends, and a reset before the first byte of an answer on a *reused* connection says nothing about the
//! endpoint's health.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use foldhash::HashMap;
use http_body::{Body, Frame, SizeHint};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    http::{
        BodyError, Incoming, Interim,
        h1_client::{Clocks, H1Connection, Recycle, ResponseBody, SendError, Sent},
        h2_client::{H2Connection, H2ResponseBody},
    },
    io::{Io, Socket},
};

/// How long an idle connection is kept when its server does not say. Shorter than the 5 s of the usual Python servers.
const IDLE_DEFAULT: Duration = Duration::from_secs(4);
/// How long it is kept at most, whatever the server says.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// How much sooner than the server we close.
const IDLE_MARGIN: Duration = Duration::from_secs(1);
/// Idle connections kept per endpoint and worker.
const IDLE_CONNECTIONS_MAX: usize = 1024;
/// Connections of HTTP/2 per endpoint and worker. When all of them have as many streams as the endpoint allows, requests
/// wait for their turn.
const H2_CONNECTIONS_MAX: usize = 64;

/// Where a connection leads, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// The endpoint.
    pub address: SocketAddr,
    /// TLS, unless plaintext was asked for in words.
    pub tls: Option<Arc<TargetTls>>,
}

/// TLS towards an endpoint. Two targets share connections only if they share this very value.
#[derive(Debug)]
pub struct TargetTls {
    /// Trust and identity, and the protocols that are offered (ALPN) where either version of HTTP will do.
    either: Arc<rustls::ClientConfig>,
    /// The same, offering HTTP/1.1 alone: an upgrade must not meet a server that would rather speak HTTP/2.
    http1: Arc<rustls::ClientConfig>,
    /// The same, offering HTTP/2 alone.
    http2: Arc<rustls::ClientConfig>,
    /// The same, offering nothing: what is inside is not HTTP for all we know.
    opaque: Arc<rustls::ClientConfig>,
    server_name: ServerName<'static>,
}

impl TargetTls {
    /// Trust, identity and ALPN are those of `config`. `server_name` is sent, and what the endpoint must prove to be.
    pub fn new(config: &Arc<rustls::ClientConfig>, server_name: ServerName<'static>) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = (**config).clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            either: Arc::clone(config),
            http1: offering(&[b"http/1.1"]),
            http2: offering(&[b"h2"]),
            opaque: offering(&[]),
            server_name,
        }
    }

    /// Begins TLS to speak this version of HTTP inside; `None`: something else.
    pub async fn connect(
        &self,
        tcp: TcpStream,
        version: Option<Version>,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<Socket>> {
        let config = match version {
            Some(Version::Either) => &self.either,
            Some(Version::Http1) => &self.http1,
            Some(Version::Http2) => &self.http2,
            None => &self.opaque,
        };
        TlsConnector::from(Arc::clone(config)).connect(self.server_name.clone(), Socket::new(tcp)).await
    }
}

/// The HTTP version to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1, or HTTP/2 if TLS agrees on it.
    Either,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The connections of one worker.
#[derive(Debug, Default, Clone)]
pub struct Connections(Rc<RefCell<HashMap<Key, Rc<Home>>>>);

/// The address of the TLS settings stands for them: they live as long as the home that holds them.
type Key = (SocketAddr, usize);

/// Where the connections to one target stay.
#[derive(Debug)]
pub struct Home {
    target: Target,
    idle: RefCell<Vec<(Instant, Box<H1Connection>)>>,
    h2: RefCell<Vec<H2Connection>>,
    /// One dial at a time for HTTP/2: everyone else waits for its connection.
    h2_dial: tokio::sync::Mutex<()>,
    /// Asked for either version, the endpoint chose HTTP/2 last time.
    agreed_on_h2: Cell<bool>,
    opened: Cell<u64>,
    /// The time, at most a second ago: good enough to date what begins to lie idle.
    seen: Cell<Instant>,
    /// Closed to reuse: its target has left.
    retired: Cell<bool>,
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// TCP.
    #[error("connect: {0}")]
    Connect(std::io::Error),
    /// TLS.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// The connect clock.
    #[error("connecting took too long")]
    TimedOut,
    /// The endpoint agreed on another HTTP version than the one asked for.
    #[error("the endpoint does not speak HTTP/2")]
    NotHttp2,
    /// HTTP/2's preface failed.
    #[error("HTTP/2: {0}")]
    Http2(h2::Error),
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No answer.
    #[error(transparent)]
    Send(SendError),
    /// No answer, on a connection that had lain idle: the same request may go out again at once.
    #[error("a reused connection was stale")]
    Stale,
}

/// An answer's head, with its body to come.
#[derive(Debug)]
pub enum Answered {
    /// A response.
    Response(http::Response<UpstreamBody>),
    /// `101`: the stream, and what was read of it.
    Upgraded(http::Response<()>, Io, Bytes),
}

impl Answered {
    /// The status of the answer.
    pub fn status(&self) -> http::StatusCode {
        match self {
            Answered::Response(response) => response.status(),
            Answered::Upgraded(response, ..) => response.status(),
        }
    }
}

/// The connection that an attempt goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// It was made for this attempt.
    Opened,
    /// It was there already: idle, or shared with other streams.
    Reused,
}

/// What an attempt may do.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The HTTP version to speak.
    pub version: Version,
    /// The client asks to change the protocol.
    pub upgrade: bool,
    /// Do not take a connection that was there before: the last one was stale.
    pub fresh: bool,
    /// When it begins.
    pub at: Instant,
    /// The body can be sent only once: do not risk it on a connection of HTTP/1.1 that lay idle.
    pub once: bool,
    /// From the decision to dial to a usable connection.
    pub connect: Duration,
    /// The other clocks.
    pub clocks: Clocks,
}

impl Connections {
    /// The home of connections to `target`.
    pub fn home(&self, target: &Target) -> Rc<Home> {
        let tls = target.tls.as_ref().map_or(0, |tls| Arc::as_ptr(tls) as usize);
        self.0.borrow_mut().entry((target.address, tls)).or_insert_with(|| Rc::new(Home::new(target.clone()))).clone()
    }

    /// Closes what has lain idle for too long, and forgets homes that nobody needs. To be called every second.
    pub fn sweep(&self, now: Instant) {
        self.0.borrow_mut().retain(|_, home| {
            home.sweep(now);
            Rc::strong_count(home) > 1 || !home.is_empty()
        });
    }

    /// How many connections lie idle.
    pub fn idle(&self) -> usize {
        self.0.borrow().values().map(|home| home.idle.borrow().len()).sum()
    }
}

impl Home {
    fn new(target: Target) -> Self {
        Self {
            target,
            idle: RefCell::default(),
            h2: RefCell::default(),
            h2_dial: tokio::sync::Mutex::new(()),
            agreed_on_h2: Cell::new(false),
            opened: Cell::new(0),
            seen: Cell::new(Instant::now()),
            retired: Cell::new(false),
        }
    }

    /// Connections opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }

    fn scheme(&self) -> http::uri::Scheme {
        if self.target.tls.is_some() { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP }
    }

    fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.h2.borrow().is_empty()
    }

    fn sweep(&self, now: Instant) {
        self.seen.set(now);
        self.idle.borrow_mut().retain(|(until, _)| *until > now);
        self.h2.borrow_mut().retain_mut(|connection| connection.is_open() && !connection.has_rested(now, IDLE_MAX));
    }

    /// Sends one request (its fields cleansed, its URI with scheme and authority if HTTP/2 may be spoken) and waits for
    /// the head of its answer. `body` is taken once there is a connection: after a [`DialError`] it is still there, and `chosen` has
    /// not been called.
    pub async fn send(
        self: &Rc<Self>,
        head: &http::request::Parts,
        body: &mut Incoming,
        attempt: Attempt,
        interim: &Interim,
        chosen: impl Fn(Chosen),
    ) -> Result<Answered, AttemptError> {
        if attempt.version != Version::Http2
            && !attempt.fresh
            && !attempt.once
            && let Some(connection) = self.take_idle(attempt.at).await
        {
            chosen(Chosen::Reused);
            let body = std::mem::take(body);
            let sent = connection.send(head, body, attempt, interim, self.clone()).await;
            return sent.map(Answered::from).map_err(|error| match error {
                SendError::ResetBeforeAnswer => AttemptError::Stale,
                error => AttemptError::Send(error),
            });
        }
        // Rarer, and its future much larger: boxed, it costs the exchanges above nothing.
        Box::pin(self.send_otherwise(head, body, attempt, interim, chosen)).await
    }

    /// Sends over HTTP/2, or on a new connection.
    async fn send_otherwise(
        self: &Rc<Self>,
        head: &http::request::Parts,
        body: &mut Incoming,
        attempt: Attempt,
        interim: &Interim,
        chosen: impl Fn(Chosen),
    ) -> Result<Answered, AttemptError> {
        let existing = if attempt.version == Version::Http1 || attempt.fresh { None } else { self.take_h2(None) };
        let dialled = match existing {
            Some(connection) => Dialled::Shared(connection),
            None => self.dial(attempt).await?,
        };
        chosen(if let Dialled::Shared(_) = dialled { Chosen::Reused } else { Chosen::Opened });
        let body = std::mem::take(body);
        match dialled {
            Dialled::H1(connection) => connection
                .send(head, body, attempt, interim, self.clone())
                .await
                .map(Answered::from)
                .map_err(AttemptError::Send),
            Dialled::H2(connection) => connection
                .send(head, self.scheme(), body, attempt.clocks, interim)
                .await
                .map(Answered::from)
                .map_err(AttemptError::Send),
            Dialled::Shared(connection) => {
                let sent = connection.send(head, self.scheme(), body, attempt.clocks, interim).await;
                sent.map(Answered::from).map_err(|error| match error {
                    SendError::ResetBeforeAnswer | SendError::Refused => AttemptError::Stale,
                    error => AttemptError::Send(error),
                })
            }
        }
    }

    /// The connection used last that is still open: the others may rest, and be closed.
    async fn take_idle(&self, now: Instant) -> Option<Box<H1Connection>> {
        self.seen.set(now);
        loop {
            let (until, mut connection) = self.idle.borrow_mut().pop()?;
            if until > now && poll_fn(|cx| Poll::Ready(connection.poll_usable(cx))).await {
                return Some(connection);
            }
        }
    }

    /// A connection with room for one more stream, made since then; any, if there may be no more connections.
    fn take_h2(&self, since: Option<Instant>) -> Option<H2Connection> {
        let mut connections = self.h2.borrow_mut();
        connections.retain_mut(H2Connection::is_open);
        let young = || connections.iter().filter(|connection| since.is_none_or(|since| connection.born() >= since));
        let roomy = young().find(|connection| connection.has_room());
        let crowded = || young().min_by_key(|connection| connection.streams());
        roomy.or_else(|| if connections.len() < H2_CONNECTIONS_MAX { None } else { crowded() }).cloned()
    }

    async fn dial(&self, attempt: Attempt) -> Result<Dialled, DialError> {
        let asked = Instant::now();
        let dialled = async {
            let shares = match attempt.version {
                Version::Http1 => false,
                Version::Either => self.agreed_on_h2.get(),
                Version::Http2 => true,
            };
            if !shares {
                return self.connect(attempt.version).await;
            }
            // One at a time: who waits shares what the one before has made.
            let _turn = self.h2_dial.lock().await;
            match self.take_h2(attempt.fresh.then_some(asked)) {
                Some(connection) => Ok(Dialled::Shared(connection)),
                None => self.connect(attempt.version).await,
            }
        };
        tokio::time::timeout(attempt.connect, dialled).await.unwrap_or(Err(DialError::TimedOut))
    }

    async fn connect(&self, version: Version) -> Result<Dialled, DialError> {
        let tcp = connect_tcp(self.target.address).await.map_err(DialError::Connect)?;
        self.opened.set(self.opened.get() + 1);
        let (io, h2) = match &self.target.tls {
            None => (Io::Tcp(tcp), version == Version::Http2),
            Some(tls) => {
                let stream = tls.connect(tcp, Some(version)).await.map_err(DialError::Tls)?;
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                if version == Version::Http2 && !h2 {
                    return Err(DialError::NotHttp2);
                }
                if version == Version::Either {
                    self.agreed_on_h2.set(h2);
                }
                (Io::TlsClient(Box::new(stream)), h2)
            }
        };
        if !h2 {
            return Ok(Dialled::H1(H1Connection::new(io)));
        }
        let connection = H2Connection::handshake(io).await.map_err(DialError::Http2)?;
        let mut connections = self.h2.borrow_mut();
        if connections.len() < H2_CONNECTIONS_MAX && !self.retired.get() {
            connections.push(connection.clone());
        }
        Ok(Dialled::H2(connection))
    }
}

/// Connects, without Nagle's delay.
pub async fn connect_tcp(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection that carries something else than HTTP: its bytes are the caller's.
pub async fn connect(target: &Target) -> Result<Io, DialError> {
    let tcp = connect_tcp(target.address).await.map_err(DialError::Connect)?;
    let Some(tls) = &target.tls else { return Ok(Io::Tcp(tcp)) };
    Ok(Io::TlsClient(Box::new(tls.connect(tcp, None).await.map_err(DialError::Tls)?)))
}

enum Dialled {
    /// Nobody has used it before.
    H1(Box<H1Connection>),
    /// Nobody has used it before.
    H2(H2Connection),
    /// Others use it.
    Shared(H2Connection),
}

impl Recycle for Home {
    fn recycle(&self, connection: Box<H1Connection>) {
        let mut idle = self.idle.borrow_mut();
        if self.retired.get() || idle.len() >= IDLE_CONNECTIONS_MAX {
            return;
        }
        let keep = match connection.keep_alive_hint {
            None => IDLE_DEFAULT,
            Some(hint) => hint.saturating_sub(IDLE_MARGIN).min(IDLE_MAX),
        };
        if !keep.is_zero() {
            idle.push((self.seen.get() + keep, connection));
        }
    }
}

impl From<Sent> for Answered {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Response(response) => Answered::Response(response.map(UpstreamBody::H1)),
            Sent::Upgraded(response, io, read) => Answered::Upgraded(response, io, read),
        }
    }
}

impl From<http::Response<H2ResponseBody>> for Answered {
    fn from(response: http::Response<H2ResponseBody>) -> Self {
        Answered::Response(response.map(|body| UpstreamBody::H2(Box::new(body))))
    }
}

/// The body of an endpoint's answer.
#[derive(Debug)]
pub enum UpstreamBody {
    /// Over HTTP/1.1.
    H1(ResponseBody),
    /// Over HTTP/2.
    H2(Box<H2ResponseBody>),
}

impl UpstreamBody {
    /// Whether nothing but the end of the connection will end it. Ask before it is read.
    pub fn ends_by_close(&self) -> bool {
        match self {
            UpstreamBody::H1(body) => body.ends_by_close(),
            UpstreamBody::H2(_) => false,
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            UpstreamBody::H1(body) => Pin::new(body).poll_frame(cx),
            UpstreamBody::H2(body) => Pin::new(&mut **body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            UpstreamBody::H1(body) => body.is_end_stream(),
            UpstreamBody::H2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            UpstreamBody::H1(body) => body.size_hint(),
            UpstreamBody::H2(body) => body.size_hint(),
        }
    }
}
