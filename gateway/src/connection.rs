//! A downstream connection, from the accept queue to its last exchange.

use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc};

use http::HeaderValue;
use portcullis_mesh::{
    http::{self as mesh_http, Ended, Spoken},
    io::Io,
};
use portcullis_policy::snapshot::{Listener, ListenerProtocol, Scheme};
use tokio::{net::TcpStream, sync::oneshot};

use crate::{
    filters::hygiene::Origin,
    live::{Live, PortKey},
    refusal::Refusal,
    worker::Worker,
};

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

/// Accepts connections until told to stop; each is served on a task of its own.
pub async fn accept(
    worker: Rc<Worker>,
    port: PortKey,
    socket: std::net::TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    let Ok(socket) = tokio::net::TcpListener::from_std(socket) else { return };
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = socket.accept() => match accepted {
                Ok((stream, remote)) => {
                    let _ = stream.set_nodelay(true);
                    tokio::task::spawn_local(serve(worker.clone(), port.clone(), stream, remote));
                }
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    }
}

/// Serves one accepted connection.
pub async fn serve(worker: Rc<Worker>, port: PortKey, stream: TcpStream, remote: SocketAddr) {
    let seat = worker.drain.seat();
    let live = worker.live();
    let protocol = live.protocol(&port);
    let ended = match protocol {
        Some(ListenerProtocol::Http) => {
            let connection = Connection::new(worker.clone(), port, Scheme::Http, remote, None);
            drop(live);
            mesh_http::serve(Io::Tcp(stream), Spoken::Unknown, &connection, &worker.limits, &seat).await
        }
        Some(ListenerProtocol::Https | ListenerProtocol::Tls) => unimplemented!(),
        None => return,
    };
    if !matches!(ended, Ended::Cleanly | Ended::ClientGone) {
        tracing::debug!(%remote, ?ended, "connection ended");
    }
}
