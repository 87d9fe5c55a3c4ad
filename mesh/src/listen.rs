//! Listening sockets: one for each worker of each port, an accept loop that survives bad hours, and how many
//! connections are let in.
//!
//! The kernel spreads new connections over the sockets of a port (`SO_REUSEPORT`), so workers share nothing. What is
//! accepted is handed on with an [`Admission`], which holds its place until it is dropped. Handing sockets to another
//! process is the business of [`crate::handover`].

mod limits;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    time::{Instant, sleep, timeout_at},
};

pub use limits::{AcceptCounts, Admission, ConnectionLimits, LimitSpec, OverLimit};

/// Connections that wait to be accepted, for each socket; the kernel's `net.core.somaxconn` may allow fewer.
pub const BACKLOG: i32 = 4096;
/// The pause after an `accept` that failed for want of files or memory. Each further failure doubles it.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest such pause: what was freed is used again at the latest then.
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A socket that is told to stop still accepts for so long, so that handshakes on their way through the network are
/// completed rather than reset when it closes.
pub const STOP_LINGER: Duration = Duration::from_millis(100);

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has it.
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    /// Ports below 1024 need a capability.
    #[error("no permission to listen on {0}; ports below 1024 need CAP_NET_BIND_SERVICE")]
    Denied(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::Denied(address),
            _ => Self::Io { address, source },
        }
    }
}

/// Lets this process open as many files as it may without asking anybody: the soft limit is a default from the days of
/// `select`. Gives the limit in force; `None` if there is none.
pub fn raise_open_files_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // A refusal changes nothing.
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Listens on `address` with one socket for each worker; all have the same port, also where `address` has port 0. `[::]`
/// means every address, IPv6 and IPv4 with the same sockets; IPv4 alone where there is no IPv6.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<StdListener>, BindError> {
    // Sockets with SO_REUSEPORT would quietly share the port with another gateway of the same user, and each would get
    // some of the connections. A socket without it tells. (What starts between the two steps is not noticed.)
    if address.port() != 0 {
        open(address, false).map_err(|e| BindError::new(address, e))?;
    }
    bind_beside(address, workers)
}

/// The same where this process already has sockets with that port number, for other workers or on other addresses: who
/// else has the port was asked then.
pub fn bind_beside(address: SocketAddr, workers: usize) -> Result<Vec<StdListener>, BindError> {
    let mut sockets = Vec::with_capacity(workers);
    let mut address = address;
    for _ in 0..workers {
        let socket = open(address, true).map_err(|e| BindError::new(address, e))?;
        address = socket.local_addr().map_err(|e| BindError::new(address, e))?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    match open_exactly(address, shared) {
        Err(e) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&e) => {
            open_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into(), shared)
        }
        outcome => outcome,
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn open_exactly(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 too; a particular IPv6 address cannot.
        socket.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    // Connections of a predecessor that are still closing must not keep us from starting.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Accepted sockets inherit it, which saves a system call for each. No TCP_DEFER_ACCEPT: it would hide clients that
    // say nothing from the handshake's deadline.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Also without SO_REUSEPORT: the conflict may show only here.
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// An accepted connection.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// The other end. An IPv4 client of a dual-stack socket has its IPv4 address.
    pub peer: SocketAddr,
    /// Its place among the connections, and among the handshakes of its source.
    pub admission: Admission,
}

/// Who listens when an accept loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Nobody: connections are refused.
    Nobody,
    /// Another process, from the same socket.
    Successor,
}

/// Accepts until `stop` is ready; then accepts what is still queued, so that no connection is lost, and closes the
/// socket. Ends with an error only when the socket itself is broken.
///
/// `on_connection` must not block: it starts a task.
pub async fn accept_until(
    listener: StdListener,
    limits: &Arc<ConnectionLimits>,
    stop: impl Future<Output = Afterwards>,
    mut on_connection: impl FnMut(Connection),
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut pause = Pause::default();
    let mut stop = pin!(stop);
    let afterwards = loop {
        select! {
            biased;
            afterwards = &mut stop => break afterwards,
            outcome = accept_one(&listener, &mut pause, limits) => {
                if let Some(connection) = outcome? {
                    on_connection(connection);
                }
            }
        }
    };
    if afterwards == Afterwards::Nobody {
        begin_no_handshakes(&listener);
    }
    let end = Instant::now() + STOP_LINGER;
    while Instant::now() < end {
        match timeout_at(end, accept_one(&listener, &mut pause, limits)).await {
            Ok(outcome) => outcome?.into_iter().for_each(&mut on_connection),
            Err(_) => break,
        }
    }
    empty_queue(&listener.into_std()?, limits, on_connection)
}

/// From now on only handshakes that have begun are completed: a connection that is made between the last `accept` and
/// the `close` would be reset. A client whose SYN is dropped sends it again after a second, and is refused then.
///
/// A socket cannot be told so; but a filter can drop what would begin a handshake (classic BPF, see
/// `Documentation/networking/filter.rst`; a TCP socket's filter sees the TCP header first). Other processes with the same
/// socket are subject to it too.
fn begin_no_handshakes(listener: &TcpListener) {
    const FLAGS_OFFSET: u32 = 13;
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    let filter = [
        SockFilter::new(0x30, 0, 0, FLAGS_OFFSET), // load this byte
        SockFilter::new(0x54, 0, 0, SYN_AND_ACK),  // of it, these bits
        SockFilter::new(0x15, 0, 1, SYN),          // if they are not this, skip one
        SockFilter::new(0x06, 0, 0, 0),            // drop
        SockFilter::new(0x06, 0, 0, u32::MAX),     // pass
    ];
    // Where filters are forbidden, a connection may be reset that would have been refused.
    let _ = SockRef::from(listener).attach_filter(&filter);
}

/// What is queued now, without waiting for the runtime to notice it.
fn empty_queue(
    listener: &StdListener,
    limits: &Arc<ConnectionLimits>,
    mut on_connection: impl FnMut(Connection),
) -> io::Result<()> {
    // At most a whole queue: a flood must not keep the socket open.
    for _ in 0..BACKLOG {
        match listener.accept() {
            Ok((stream, peer)) => {
                limits.counts().accepted();
                limits.admit(into_tokio(stream)?, peer).into_iter().for_each(&mut on_connection);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => match limits.counts().failed(&e) {
                Failure::Connection => {}
                Failure::Resources => break,
                Failure::Socket => return Err(e),
            },
        }
    }
    Ok(())
}

fn into_tokio(stream: StdStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// One `accept`: a connection; or nothing, if it failed in a way that passes or was over a limit.
async fn accept_one(
    listener: &TcpListener,
    pause: &mut Pause,
    limits: &Arc<ConnectionLimits>,
) -> io::Result<Option<Connection>> {
    pause.wait().await;
    match listener.accept().await {
        Ok((stream, peer)) => {
            pause.over();
            limits.counts().accepted();
            Ok(limits.admit(stream, peer))
        }
        Err(e) => match limits.counts().failed(&e) {
            Failure::Connection => Ok(None),
            Failure::Resources => {
                pause.longer();
                tracing::warn!(error = %e, pause_ms = pause.length.as_millis(), "cannot accept connections");
                Ok(None)
            }
            Failure::Socket => Err(e),
        },
    }
}

/// What a failed `accept` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// That connection is gone; the next may be well (accept(2), "Error handling").
    Connection,
    /// There are too many open files, or too little memory. The queue stays as it is, and ready: without a pause this
    /// would be a busy loop.
    Resources,
    /// The socket is no listening socket (any more).
    Socket,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Resources,
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT) | None => Self::Socket,
            Some(_) => Self::Connection,
        }
    }
}

/// Waiting for resources.
#[derive(Debug, Default)]
struct Pause {
    length: Duration,
    pending: bool,
}

impl Pause {
    /// Cancel-safe: a wait that is dropped is begun again.
    async fn wait(&mut self) {
        if self.pending {
            sleep(self.length).await;
            self.pending = false;
        }
    }

    fn longer(&mut self) {
        self.length = (self.length * 2).clamp(ACCEPT_PAUSE_MIN, ACCEPT_PAUSE_MAX);
        self.pending = true;
    }

    fn over(&mut self) {
        self.length = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests;
