//! A new program takes over the listening sockets of the running one, and no connection is lost.
//!
//! The running process listens on `upgrade.sock` in its state directory. Its successor connects, is sent every listening
//! socket with its name, serves from them, and says so; only then the predecessor stops accepting and drains. Both hold
//! the same kernel sockets, so whatever is queued is accepted by one of them. Until the successor has said that it
//! serves, anything that goes wrong leaves the predecessor as it was.

mod wire;

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::{
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};

use wire::{ACKNOWLEDGED, Hello, SERVING, Status};

/// The socket's name in the state directory.
pub const SOCKET_NAME: &str = "upgrade.sock";
/// For greetings, and for sending or receiving all sockets.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a successor may take from having the sockets to serving. It reads every document meanwhile.
pub const SERVING_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a predecessor may take to acknowledge.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket and what it is for.
#[derive(Debug)]
pub struct NamedSocket {
    /// What the products call it, such as `namespace/gateway:port`; the same for all workers of a port.
    pub name: String,
    /// The address that was asked for, which may have port 0.
    pub asked: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

/// Why sockets are not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The state directory is not safe.
    #[error("`{path}` cannot hold the upgrade socket: {reason}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Another process runs with this state directory.
    #[error("another process is running with `{0}`; upgrade it with `--upgrade`, or use another state directory")]
    InUse(PathBuf),
    /// Nothing to take over from.
    #[error("no process to upgrade answers at `{0}`")]
    NoPredecessor(PathBuf),
    /// The other end belongs to another user.
    #[error("the other process belongs to user {0}")]
    OtherUser(u32),
    /// The other end speaks another version of the protocol.
    #[error("the other process hands over in version {theirs}, this one in version {}", wire::VERSION)]
    Version {
        /// Its version.
        theirs: u32,
    },
    /// The other end does not speak the protocol.
    #[error("the other process sent what is no hand-over: {0}")]
    Malformed(&'static str),
    /// What was received is no listening TCP socket.
    #[error("the socket for `{0}` is not a listening one")]
    NotListening(String),
    /// The other end took too long, in this step.
    #[error("the other process did not {0} in time")]
    Timeout(&'static str),
    /// The predecessor took us for dead and goes on by itself: this process must not serve.
    #[error("the predecessor gave up waiting and goes on by itself")]
    GivenUp,
    /// The connection failed, or the other process died.
    #[error("the connection to the other process failed: {0}")]
    Io(#[from] io::Error),
}

/// Where a running process waits for its successor. Dropping it removes the socket, unless a successor's is there.
#[derive(Debug)]
pub struct HandoverSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl HandoverSocket {
    /// Waits in `state`. What a crashed process left there is replaced; one that is alive is not.
    pub fn open(state: &Path) -> Result<Self, HandoverError> {
        let path = state.join(SOCKET_NAME);
        check_directory(state)?;
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(HandoverError::InUse(state.to_owned()));
        }
        Self::replace(path)
    }

    /// Waits in `state` in place of the predecessor that has handed over to this process.
    pub fn open_as_successor(state: &Path) -> Result<Self, HandoverError> {
        check_directory(state)?;
        Self::replace(state.join(SOCKET_NAME))
    }

    fn replace(path: PathBuf) -> Result<Self, HandoverError> {
        // Made aside and renamed, so that nobody finds it with other permissions, nor nothing at all.
        let aside = path.with_extension(format!("{}", std::process::id()));
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
        let identity = identity_of(&aside)?;
        fs::rename(&aside, &path)?;
        Ok(Self { listener, path, identity })
    }

    /// Waits for a process of the same user that speaks the same version. Others are refused and logged.
    pub async fn successor(&self) -> Successor {
        loop {
            let greeted = match self.listener.accept().await {
                Ok((stream, _)) => match timeout(TRANSFER_TIMEOUT, greet_successor(stream)).await {
                    Ok(greeted) => greeted,
                    Err(_) => Err(HandoverError::Timeout("greet")),
                },
                Err(error) => {
                    sleep(ACCEPT_PAUSE).await;
                    Err(error.into())
                }
            };
            match greeted {
                Ok(successor) => return successor,
                Err(error) => tracing::warn!(%error, "refused a process that asked for the listening sockets"),
            }
        }
    }
}

impl Drop for HandoverSocket {
    fn drop(&mut self) {
        if identity_of(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Whoever can write to the directory could put a socket of their own there.
fn check_directory(path: &Path) -> Result<(), HandoverError> {
    let refuse = |reason: String| Err(HandoverError::Directory { path: path.to_owned(), reason });
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return refuse("it is no directory".to_owned()),
        Err(error) => return refuse(error.to_string()),
    };
    let (owner, own) = (metadata.uid(), geteuid().as_raw());
    if owner != own {
        return refuse(format!("it belongs to user {owner}, and this process is user {own}"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return refuse(format!("others may write to it (mode {mode:04o}); run `chmod go-w {}`", path.display()));
    }
    Ok(())
}

/// A hand-over is between processes of one user; the kernel tells who the other end is.
fn check_user(stream: &UnixStream) -> Result<(), HandoverError> {
    let (uid, own) = (stream.peer_cred()?.uid(), geteuid().as_raw());
    if uid == own { Ok(()) } else { Err(HandoverError::OtherUser(uid)) }
}

async fn greet_successor(mut stream: UnixStream) -> Result<Successor, HandoverError> {
    check_user(&stream)?;
    let hello = Hello::read(&mut stream).await?;
    if hello.version != wire::VERSION {
        wire::write_status(&mut stream, Status::OtherVersion).await?;
        return Err(HandoverError::Version { theirs: hello.version });
    }
    Ok(Successor { stream })
}

/// A process that wants the sockets.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
}

/// A process that has the sockets and serves from them. It waits to hear that it is the only one; dropped, it is told by
/// the end of the connection that it is not, and must stop.
#[derive(Debug)]
#[must_use = "the successor waits for the acknowledgement"]
pub struct Serving {
    stream: UnixStream,
}

impl Successor {
    /// Sends the sockets, and waits until the successor serves from them. `Err`: it does not, so go on. Until the
    /// successor is [acknowledged](Serving::acknowledge) no socket may be opened or closed.
    pub async fn hand_over(mut self, sockets: &[NamedSocket]) -> Result<Serving, HandoverError> {
        let sending = async {
            wire::write_status(&mut self.stream, Status::Sockets(sockets.len())).await?;
            for batch in sockets.chunks(wire::BATCH_SOCKETS) {
                wire::send_batch(&mut self.stream, batch).await?;
            }
            Ok::<_, HandoverError>(())
        };
        timeout(TRANSFER_TIMEOUT, sending).await.map_err(|_| HandoverError::Timeout("take the sockets"))??;
        let serving = wire::expect(&mut self.stream, SERVING);
        timeout(SERVING_TIMEOUT, serving).await.map_err(|_| HandoverError::Timeout("begin to serve"))??;
        Ok(Serving { stream: self.stream })
    }
}

impl Serving {
    /// Leaves everything to the successor. `Ok`: stop accepting and drain. `Err`: it is gone, so go on.
    pub async fn acknowledge(mut self) -> Result<(), HandoverError> {
        wire::send(&mut self.stream, ACKNOWLEDGED).await
    }
}

/// What a predecessor handed over.
#[derive(Debug)]
pub struct Inheritance {
    /// The sockets, non-blocking. Those that are not used must not simply be closed: connections may wait in their
    /// queues (see [`crate::listen::accept_until`] with a `stop` that is ready).
    pub sockets: Vec<NamedSocket>,
    /// Who gave them, and waits to hear that they are served.
    pub predecessor: Predecessor,
}

/// The process that runs until its successor serves.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    path: PathBuf,
}

/// Takes over from the process that runs with the state directory `state`. It goes on serving meanwhile, and for good if
/// this process dies, or drops the [`Predecessor`].
pub async fn inherit(state: &Path) -> Result<Inheritance, HandoverError> {
    check_directory(state)?;
    let path = state.join(SOCKET_NAME);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(e) if is_nobody(&e) => return Err(HandoverError::NoPredecessor(path)),
        Err(e) => return Err(e.into()),
    };
    check_user(&stream)?;
    let receiving = receive(stream, path);
    timeout(TRANSFER_TIMEOUT, receiving).await.map_err(|_| HandoverError::Timeout("hand over its sockets"))?
}

async fn receive(mut stream: UnixStream, path: PathBuf) -> Result<Inheritance, HandoverError> {
    Hello { version: wire::VERSION }.write(&mut stream).await?;
    let (theirs, status) = wire::read_status(&mut stream).await?;
    let Status::Sockets(count) = status else { return Err(HandoverError::Version { theirs }) };
    let mut sockets = Vec::new();
    while sockets.len() < count {
        let batch = wire::receive_batch(&mut stream).await?;
        if batch.is_empty() || batch.len() > count - sockets.len() {
            return Err(HandoverError::Malformed("not the number of sockets that was announced"));
        }
        sockets.extend(batch);
    }
    Ok(Inheritance { sockets, predecessor: Predecessor { stream, path } })
}

impl Predecessor {
    /// Says that this process serves. `Ok`: the predecessor stops accepting, or is dead. `Err`: it goes on by itself, so
    /// this process must stop.
    pub async fn serving(mut self) -> Result<(), HandoverError> {
        let answer = async {
            wire::send(&mut self.stream, SERVING).await?;
            wire::expect(&mut self.stream, ACKNOWLEDGED).await
        };
        match timeout(ACKNOWLEDGE_TIMEOUT, answer).await {
            Ok(Ok(())) => Ok(()),
            // No answer: does it live? If not, nobody else serves.
            _ => match UnixStream::connect(&self.path).await {
                Err(e) if is_nobody(&e) => Ok(()),
                _ => Err(HandoverError::GivenUp),
            },
        }
    }
}

/// No socket there, or one that nobody listens on.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests;
