//! A peer's connection, from the accept queue to its last exchange.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use portcullis_mesh::{
    http::{self as mesh_http, Ended, Spoken},
    io::{Io, Socket},
    listen::{self, Afterwards},
    tls::{Deadlines, mutual::Mutual},
};
use tokio::sync::oneshot;

use crate::{permission::KnownPeer, worker::Worker};

/// What an inbound port leads to.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The port that peers come by, as rules name it.
    pub port: u16,
    /// The server's own address.
    pub server: SocketAddr,
    /// How peers prove who they are.
    pub tls: Mutual,
}

/// What is known of one peer's connection. Serves every exchange on it.
#[derive(Debug)]
pub struct Connection {
    /// The worker it is on.
    pub worker: Rc<Worker>,
    /// Who the peer proved to be.
    pub peer: Rc<KnownPeer>,
    /// The port that it came by.
    pub port: u16,
    /// Where its requests go.
    pub server: SocketAddr,
}

/// Accepts connections until told to stop; each is served on a task of its own.
pub async fn accept(
    worker: Rc<Worker>,
    inbound: Rc<Inbound>,
    socket: std::net::TcpListener,
    stopped: oneshot::Receiver<Afterwards>,
) {
    let stop = async { stopped.await.unwrap_or(Afterwards::Nobody) };
    let begin = |connection| {
        tokio::task::spawn_local(serve(worker.clone(), inbound.clone(), connection));
    };
    if let Err(error) = listen::accept_until(socket, &worker.admissions, stop, begin).await {
        tracing::error!(port = inbound.port, %error, "a listening socket broke");
    }
}

/// Serves one accepted connection: nobody is heard before it is known who they are.
async fn serve(worker: Rc<Worker>, inbound: Rc<Inbound>, accepted: listen::Connection) {
    let seat = worker.drain.seat();
    let listen::Connection { stream, peer: remote, mut admission } = accepted;
    let accepted = inbound.tls.accept(Socket::new(stream), &Deadlines::default()).await;
    admission.handshake_done();
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(refusal) => {
            worker.metrics.turned_away(refusal.reason());
            tracing::debug!(%remote, port = inbound.port, reason = refusal.reason(), %refusal, "handshake failed");
            return;
        }
    };
    worker.metrics.accepted();
    let spoken = if accepted.is_h2() { Spoken::H2 } else { Spoken::H1 };
    let peer = Rc::new(KnownPeer::new(accepted.peer.clone(), Arc::clone(inbound.tls.verifier())));
    worker.open.peer(&peer);
    let connection = Connection { worker: worker.clone(), peer, port: inbound.port, server: inbound.server };
    let ended = mesh_http::serve(Io::TlsServer(accepted.stream), spoken, &connection, &worker.limits, &seat).await;
    if !matches!(ended, Ended::Cleanly | Ended::ClientGone) {
        tracing::debug!(%remote, ?ended, "connection ended");
    }
}
