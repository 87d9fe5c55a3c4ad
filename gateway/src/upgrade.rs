//! `portcullis run --upgrade`: taking over from the gateway that runs with the same state folder, and being taken over.
//!
//! The successor reads its documents first, so that it fails before it asks for anything; then it takes the sockets,
//! serves, and says so. Until then the predecessor serves as if nothing had happened, and goes on if its successor fails.

use std::{
    fs::DirBuilder,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use portcullis_mesh::handover::{HandoverError, HandoverSocket, NamedSocket, Predecessor, Successor, inherit};
use tokio::sync::mpsc;

use crate::run::RunError;

/// What the admin pages' socket is called among those that are handed over. No port of a Gateway is called so.
pub const ADMIN_SOCKET: &str = "admin";
/// How often a hand-over that was broken off is begun again, if the predecessor is still there.
const ATTEMPTS_MAX: usize = 3;

/// How a process comes to serve.
#[derive(Debug)]
pub struct Succession {
    state: PathBuf,
    /// The predecessor's sockets. What is not taken out is closed with this, which loses nothing: the predecessor takes
    /// whoever waits in the queues.
    pub inherited: Vec<NamedSocket>,
    from: From,
}

#[derive(Debug)]
enum From {
    /// Nobody runs with this state folder.
    Nobody(Option<HandoverSocket>),
    /// Somebody who waits to hear that this process serves.
    Predecessor(Predecessor),
}

impl Succession {
    /// Takes the state folder. `upgrade`: from whoever has it, with the listening sockets.
    pub async fn begin(state: &Path, upgrade: bool) -> Result<Self, RunError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(state);
        if upgrade {
            for attempt in 1.. {
                match inherit(state).await {
                    Ok(inheritance) => {
                        tracing::info!(sockets = inheritance.sockets.len(), "took the listening sockets over");
                        let from = From::Predecessor(inheritance.predecessor);
                        return Ok(Self { state: state.to_owned(), inherited: inheritance.sockets, from });
                    }
                    Err(error @ HandoverError::NoPredecessor(_)) => {
                        tracing::warn!(%error, "nothing to upgrade; starting afresh");
                        break;
                    }
                    // It may have died just now.
                    Err(HandoverError::Io(error)) if attempt < ATTEMPTS_MAX => {
                        tracing::warn!(%error, "the hand-over was broken off; trying again");
                    }
                    Err(error) => return Err(RunError::Input(format!("cannot upgrade: {error}"))),
                }
            }
        }
        let waiting = match created.map_err(HandoverError::from).and_then(|()| HandoverSocket::open(state)) {
            Ok(waiting) => Some(waiting),
            Err(error @ HandoverError::InUse(_)) => return Err(RunError::Input(error.to_string())),
            // A folder that cannot be used is no reason not to serve, as long as nothing else needs it.
            Err(error) => {
                tracing::warn!(%error, state = %state.display(), "this gateway cannot be upgraded while it runs");
                None
            }
        };
        Ok(Self { state: state.to_owned(), inherited: Vec::new(), from: From::Nobody(waiting) })
    }

    /// The predecessor's socket of the admin pages, or a new one.
    pub fn admin_socket(&mut self, address: SocketAddr) -> Result<TcpListener, RunError> {
        let is_it = |socket: &&mut NamedSocket| socket.name == ADMIN_SOCKET && socket.asked == address;
        let inherited = self.inherited.extract_if(.., |socket| is_it(&socket)).next();
        let socket = inherited.map_or_else(|| TcpListener::bind(address), |inherited| Ok(inherited.socket));
        socket
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .map_err(|error| RunError::Input(format!("cannot listen on {address} for the admin pages: {error}")))
    }

    /// This process serves: a predecessor may drain. Gives successors of this process as they come.
    pub async fn serving(self) -> Result<mpsc::Receiver<Successor>, RunError> {
        let waiting = match self.from {
            From::Nobody(waiting) => waiting,
            From::Predecessor(predecessor) => {
                predecessor.serving().await.map_err(|error| RunError::Internal(format!("cannot upgrade: {error}")))?;
                let waiting = HandoverSocket::open_as_successor(&self.state);
                waiting.inspect_err(|error| tracing::warn!(%error, "this gateway cannot be upgraded again")).ok()
            }
        };
        let (announce, successors) = mpsc::channel(1);
        if let Some(waiting) = waiting {
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        successor = waiting.successor() => if announce.send(successor).await.is_err() {
                            return;
                        },
                        () = announce.closed() => return,
                    }
                }
            });
        }
        Ok(successors)
    }
}
