//! A downstream connection, from the accept queue to its last exchange.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::HeaderValue;
use portcullis_mesh::{
    connections::{Target, connect},
    endpoints::Outcome,
    http::{self as mesh_http, Ended, Spoken},
    io::{Io, Socket},
    tls::{self, Accepted, Deadlines},
};
use portcullis_policy::{
    authorize::{Caller, authorize},
    snapshot::{Listener, ListenerProtocol, Scheme},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    filters::hygiene::Origin,
    live::{Live, PortKey},
    refusal::Refusal,
    worker::Worker,
};

/// Open connections on one worker; further ones are closed at once.
const CONNECTIONS_MAX: usize = 65_536;
/// The pause after no connection could be accepted, usually because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is known of one downstream connection. Serves every exchange on it.
#[derive(Debug)]
pub struct Connection {
    /// The worker it is on.
    pub worker: Rc<Worker>,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The port as the document names it.
    pub listener_port: u16,
    /// Where it comes from, as backends are told.
    pub origin: Origin,
    port: PortKey,
    server_name: Option<Arc<str>>,
    /// The listener of the server name, found again when the revision changes.
    admitted: Cell<(u64, Option<usize>)>,
}

impl Connection {
    fn new(
        worker: Rc<Worker>,
        port: PortKey,
        scheme: Scheme,
        remote: SocketAddr,
        server_name: Option<Arc<str>>,
    ) -> Self {
        let client = HeaderValue::from_str(&remote.ip().to_canonical().to_string());
        Self {
            worker,
            scheme,
            listener_port: port.port,
            origin: Origin {
                client: client.unwrap_or(HeaderValue::from_static("unknown")),
                scheme: HeaderValue::from_static(if scheme == Scheme::Https { "https" } else { "http" }),
            },
            port,
            server_name,
            admitted: Cell::new((0, None)),
        }
    }

    /// The listener that answers for `host`. Over TLS it must be the one that the handshake was made with: its
    /// certificate, its demands on clients.
    pub fn listener_for<'l>(&self, live: &'l Live, host: &str) -> Result<&'l Listener, Refusal> {
        let index = live.listener(&self.port, Some(host));
        if self.scheme == Scheme::Https && self.admitted(live) != index {
            return Err(Refusal::misdirected());
        }
        index.and_then(|index| live.snapshot.listeners.get(index)).ok_or_else(Refusal::route_not_found)
    }

    fn admitted(&self, live: &Live) -> Option<usize> {
        let (generation, index) = self.admitted.get();
        if generation == live.generation {
            return index;
        }
        let index = live.listener(&self.port, self.server_name.as_deref());
        self.admitted.set((live.generation, index));
        index
    }
}

/// Accepts connections until told to stop; each is served on a task of its own. When told so, it takes what waits in
/// the queue first: whoever has connected is served.
pub async fn accept(
    worker: Rc<Worker>,
    port: PortKey,
    socket: std::net::TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%port, %error, "cannot listen");
            return;
        }
    };
    let serve = |stream: TcpStream, remote| {
        let _ = stream.set_nodelay(true);
        tokio::task::spawn_local(serve(worker.clone(), port.clone(), stream, remote));
    };
    loop {
        tokio::select! {
            biased;
            accepted = socket.accept() => match accepted {
                Ok((stream, remote)) => serve(stream, remote),
                Err(error) => {
                    // No file descriptor, or a client that left before it was accepted: the loop lives on.
                    tracing::warn!(%port, %error, "cannot accept a connection");
                    worker.metrics.accept_failed();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = &mut stopped => break,
        }
    }
    while let Some(Ok((stream, remote))) = socket.accept().now_or_never() {
        serve(stream, remote);
    }
}

/// Serves one accepted connection.
async fn serve(worker: Rc<Worker>, port: PortKey, stream: TcpStream, remote: SocketAddr) {
    let seat = worker.drain.seat();
    if worker.drain.taken() > CONNECTIONS_MAX {
        worker.metrics.connection_refused(&port);
        return;
    }
    let metrics = worker.metrics.port(&port);
    let _open = metrics.connection_opened(&worker);
    let live = worker.live();
    let Some(tls) = live.tls(&port).cloned() else {
        drop(live);
        let connection = Connection::new(worker.clone(), port, Scheme::Http, remote, None);
        let ended = mesh_http::serve(Io::Tcp(stream), Spoken::Unknown, &connection, &worker.limits, &seat).await;
        log_end(remote, &ended);
        return;
    };
    drop(live);
    let started = Instant::now();
    let accepted = tls::accept(Socket::new(stream), &tls, &Deadlines::default()).await;
    metrics.handshake(&worker, &accepted, started.elapsed());
    match accepted {
        Err(refusal) => tracing::debug!(%remote, %port, %refusal, "handshake failed"),
        Ok(Accepted::Passthrough { stream, prelude, sni, .. }) => {
            relay(&worker, &port, Io::Tcp(stream.into_inner()), &prelude, sni.as_deref()).await;
        }
        Ok(Accepted::Terminated { stream, peer, .. }) => {
            let live = worker.live();
            let listener = live.listener(&port, peer.sni.as_deref());
            let protocol = listener.and_then(|index| live.snapshot.listeners.get(index)).map(|l| l.protocol);
            drop(live);
            let io = Io::TlsServer(stream);
            if protocol == Some(ListenerProtocol::Tls) {
                return relay(&worker, &port, io, &[], peer.sni.as_deref()).await;
            }
            let spoken = if peer.is_h2() { Spoken::H2 } else { Spoken::H1 };
            let name = peer.sni.as_deref().map(Arc::from);
            let connection = Connection::new(worker.clone(), port, Scheme::Https, remote, name);
            let ended = mesh_http::serve(io, spoken, &connection, &worker.limits, &seat).await;
            log_end(remote, &ended);
        }
    }
}

fn log_end(remote: SocketAddr, ended: &Ended) {
    if !matches!(ended, Ended::Cleanly | Ended::ClientGone) {
        tracing::debug!(%remote, ?ended, "connection ended");
    }
}

/// Carries a TLSRoute's connection to a backend, byte by byte.
async fn relay(worker: &Rc<Worker>, port: &PortKey, client: Io, prelude: &[u8], sni: Option<&str>) {
    let live = worker.live();
    let listener = live.listener(port, sni).and_then(|index| live.snapshot.listeners.get(index));
    let Some(rule) = listener.and_then(|listener| listener.tls_routes.find(sni)) else { return };
    if authorize(&rule.access, &Caller::anonymous()).is_err() {
        return;
    }
    let total: u64 = rule.backends.iter().map(|backend| u64::from(backend.weight)).sum();
    let mut drawn = worker.random.below(total);
    let chosen = rule.backends.iter().find(|backend| match drawn.checked_sub(u64::from(backend.weight)) {
        None => true,
        Some(rest) => {
            drawn = rest;
            false
        }
    });
    // A reference that leads nowhere: the connection is closed, as TLS has no 500.
    let Some(backend) = chosen.and_then(|chosen| live.backend(*chosen.target.as_ref().ok()?)) else { return };
    let Ok(placement) = backend.endpoints.pick(Instant::now(), &[]) else { return };
    let target = Target { address: placement.endpoint().address(), tls: backend.tls.clone() };
    match tokio::time::timeout(backend.spec.timeouts.connect, connect(&target)).await {
        Ok(Ok(upstream)) => {
            placement.report(Instant::now(), Outcome::Answered(http::StatusCode::OK));
            let idle = backend.clocks.idle;
            drop(live);
            tls::splice(client, upstream, prelude, Some(idle)).await;
        }
        Ok(Err(_)) | Err(_) => placement.report(Instant::now(), Outcome::ConnectFailed),
    }
}
