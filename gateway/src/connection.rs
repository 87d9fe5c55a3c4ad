//! A downstream connection, from the accept queue to its last exchange.

use std::{
    cell::{Cell, OnceCell, RefCell},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use portcullis_mesh::{
    connections::connect,
    drain::Drain,
    endpoints::Outcome,
    http::{self as mesh_http, Ended, Spoken},
    io::{Io, Socket},
    listen::{self, Admission, Afterwards},
    tls::{self, Accepted, Deadlines, PeerCertificate},
};
use portcullis_policy::snapshot::{Access, ClientValidation, Listener, ListenerProtocol, Scheme};
use tokio::sync::oneshot;

use crate::{
    hygiene::Origin,
    live::{Live, PortKey},
    metrics::PortMetrics,
    refusal::Refusal,
    worker::Worker,
};

/// One listening socket on one worker: which port it stands for, and those who came in by it.
#[derive(Debug)]
pub struct Doorway {
    /// Another revision may give the address to another Gateway; whoever is inside follows.
    pub port: RefCell<PortKey>,
    /// Asks those who came in by it to finish.
    pub drain: Drain,
}

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
    /// The address it comes from.
    pub source: IpAddr,
    /// The certificate that the client showed.
    pub certificate: PeerCertificate,
    certificate_hash: OnceCell<Option<[u8; 32]>>,
    /// Counts the exchanges on it.
    pub metrics: Rc<PortMetrics>,
    doorway: Rc<Doorway>,
    admission: RefCell<Admission>,
    server_name: Option<Arc<str>>,
    /// How the certificate was judged.
    pub validated_by: Option<Rc<ClientValidation>>,
    /// The listener of the server name, found again when the revision changes.
    admitted: Cell<Admitted>,
}

/// What a handshake came to.
struct Handshake {
    server_name: Option<Arc<str>>,
    certificate: PeerCertificate,
    validated_by: Option<Rc<ClientValidation>>,
}

impl Connection {
    /// `handshake`: none over plain HTTP.
    fn new(came: Came, handshake: Option<Handshake>) -> Self {
        let Came { worker, doorway, metrics, remote, admission } = came;
        let scheme = if handshake.is_some() { Scheme::Https } else { Scheme::Http };
        let nothing = Handshake { server_name: None, certificate: PeerCertificate::Absent, validated_by: None };
        let Handshake { server_name, certificate, validated_by } = handshake.unwrap_or(nothing);
        let client = HeaderValue::from_str(&remote.ip().to_string());
        let listener_port = doorway.port.borrow().port;
        Self {
            worker,
            scheme,
            listener_port,
            origin: Origin {
                client: client.unwrap_or(HeaderValue::from_static("unknown")),
                scheme: HeaderValue::from_static(if scheme == Scheme::Https { "https" } else { "http" }),
            },
            source: remote.ip(),
            certificate,
            certificate_hash: OnceCell::new(),
            metrics,
            doorway,
            admission: RefCell::new(admission),
            server_name,
            validated_by,
            admitted: Cell::default(),
        }
    }

    /// A request has come: the other end is no empty threat, so it counts no longer against its source. (Over TLS the
    /// handshake has shown that already.)
    pub fn has_spoken(&self) {
        self.admission.borrow_mut().handshake_done();
    }

    /// The SHA-256 of the client's certificate, where that leads to an authority of the listener.
    pub fn certificate_hash(&self) -> Option<[u8; 32]> {
        *self.certificate_hash.get_or_init(|| match &self.certificate {
            PeerCertificate::Verified(chain) => {
                let mut hash = [0; 32];
                hash.copy_from_slice(digest(&SHA256, chain.certificates().first()?).as_ref());
                Some(hash)
            }
            PeerCertificate::Absent | PeerCertificate::Unverified { .. } => None,
        })
    }

    /// The listener that answers for `host`. Over TLS it must be the one that the handshake was made with: its
    /// certificate, its demands on clients. If these are others now, a new handshake is due: a certificate that counted
    /// once must not outlive the authority that made it count.
    pub fn listener_for<'l>(&self, live: &'l Live, host: &str) -> Result<&'l Listener, Refusal> {
        let index = live.listener(&self.doorway.port.borrow(), Some(host));
        if self.scheme == Scheme::Https {
            let admitted = self.admitted(live);
            if admitted.listener != index {
                return Err(Refusal::misdirected());
            }
            if admitted.is_outdated {
                return Err(Refusal::misdirected().closing());
            }
        }
        index.and_then(|index| live.snapshot.listeners.get(index)).ok_or_else(Refusal::route_not_found)
    }

    fn admitted(&self, live: &Live) -> Admitted {
        let admitted = self.admitted.get();
        if admitted.generation == live.generation {
            return admitted;
        }
        let index = live.listener(&self.doorway.port.borrow(), self.server_name.as_deref());
        let asks = index.and_then(|index| live.snapshot.listeners.get(index)).and_then(Listener::client_validation);
        let is_outdated = asks != self.validated_by.as_deref();
        let admitted = Admitted { generation: live.generation, listener: index, is_outdated };
        self.admitted.set(admitted);
        admitted
    }
}

/// Where a handshake lets a connection in.
#[derive(Debug, Clone, Copy, Default)]
struct Admitted {
    /// The revision that this is said of.
    generation: u64,
    /// The listener of the server name.
    listener: Option<usize>,
    /// It asks something else of clients than it did at the handshake.
    is_outdated: bool,
}

/// What is known of a connection before anything was read from it.
struct Came {
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    metrics: Rc<PortMetrics>,
    remote: SocketAddr,
    admission: Admission,
}

/// Accepts connections until told to stop; each is served on a task of its own. Ends when whoever had connected is being
/// served and the socket is closed.
pub async fn accept(
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    socket: std::net::TcpListener,
    stopped: oneshot::Receiver<Afterwards>,
) {
    let stop = async { stopped.await.unwrap_or(Afterwards::Nobody) };
    let begin = |connection| {
        tokio::task::spawn_local(serve(worker.clone(), doorway.clone(), connection));
    };
    if let Err(error) = listen::accept_until(socket, &worker.admissions, stop, begin).await {
        tracing::error!(port = %doorway.port.borrow(), %error, "a listening socket broke");
    }
}

/// Serves one accepted connection.
async fn serve(worker: Rc<Worker>, doorway: Rc<Doorway>, connection: listen::Connection) {
    let _counted = worker.drain.seat();
    let seat = doorway.drain.seat();
    let port = doorway.port.borrow().clone();
    let metrics = worker.metrics.port(&port);
    let _open = metrics.connection_opened(&worker);
    let listen::Connection { stream, peer: remote, admission } = connection;
    let mut came = Came { worker: worker.clone(), doorway, metrics: metrics.clone(), remote, admission };
    let at_first = worker.live();
    let Some(tls) = at_first.tls(&port).cloned() else {
        drop(at_first);
        let connection = Connection::new(came, None);
        let ended = mesh_http::serve(Io::Tcp(stream), Spoken::Unknown, &connection, &worker.limits, &seat).await;
        log_end(remote, &ended);
        return;
    };
    let started = Instant::now();
    let accepted = tls::accept(Socket::new(stream), &tls, &Deadlines::default()).await;
    came.admission.handshake_done();
    metrics.handshake(&worker, &accepted, started.elapsed());
    match accepted {
        Err(refusal) => tracing::debug!(%remote, %port, %refusal, "handshake failed"),
        Ok(Accepted::Passthrough { stream, prelude, sni, .. }) => {
            relay(&worker, &port, Io::Tcp(stream.into_inner()), &prelude, sni.as_deref()).await;
        }
        Ok(Accepted::Terminated { stream, peer, listener }) => {
            let asked = at_first.snapshot.listeners.get(listener).and_then(Listener::client_validation);
            let validated_by = asked.cloned().map(Rc::new);
            drop(at_first);
            let live = worker.live();
            let listener = live.listener(&port, peer.sni.as_deref());
            let protocol = listener.and_then(|index| live.snapshot.listeners.get(index)).map(|l| l.protocol);
            drop(live);
            let io = Io::TlsServer(stream);
            if protocol == Some(ListenerProtocol::Tls) {
                return relay(&worker, &port, io, &[], peer.sni.as_deref()).await;
            }
            let spoken = if peer.is_h2() { Spoken::H2 } else { Spoken::H1 };
            let server_name = peer.sni.as_deref().map(Arc::from);
            let handshake = Handshake { server_name, certificate: peer.certificate, validated_by };
            let connection = Connection::new(came, Some(handshake));
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
    // Bytes that nobody reads have no caller: only what is open to everyone is carried.
    if !matches!(rule.access, Access::Anonymous { .. }) {
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
    let Some(target) = backend.target(placement.endpoint(), false) else { return };
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
