//! How many connections are let in: in all, and unproved from one source.

use std::{
    collections::hash_map::Entry,
    hash::BuildHasher,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::HashMap;
use tokio::net::TcpStream;

use super::{Connection, Failure};

/// Sources are kept in so many parts, so that workers seldom meet.
const PARTS: usize = 16;

/// How many connections are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSpec {
    /// Open at once, in the whole process.
    pub connections_max: usize,
    /// From one source (an IPv4 address, or an IPv6 /64) that have not finished their handshake.
    pub handshakes_per_source_max: u32,
}

impl Default for LimitSpec {
    fn default() -> Self {
        Self { connections_max: 65_536, handshakes_per_source_max: 1024 }
    }
}

/// The limits of a process, and what they let in.
#[derive(Debug)]
pub struct ConnectionLimits {
    spec: LimitSpec,
    open: AtomicUsize,
    /// Sources with a pending handshake, so it holds at most as many entries as there are connections.
    pub(super) pending: [Mutex<HashMap<IpAddr, u32>>; PARTS],
    hasher: foldhash::fast::RandomState,
    counts: AcceptCounts,
}

/// Which limit a connection met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OverLimit {
    /// [`LimitSpec::connections_max`].
    Connections,
    /// [`LimitSpec::handshakes_per_source_max`].
    HandshakesOfSource,
}

/// What has happened at the door since the process began.
#[derive(Debug, Default)]
pub struct AcceptCounts {
    accepted: AtomicU64,
    aborted: AtomicU64,
    out_of_resources: AtomicU64,
    over_connections: AtomicU64,
    over_source: AtomicU64,
}

impl AcceptCounts {
    /// Counts and classifies.
    pub(super) fn failed(&self, error: &io::Error) -> Failure {
        let failure = Failure::of(error);
        match failure {
            Failure::Connection => self.aborted.fetch_add(1, Ordering::Relaxed),
            Failure::Resources => self.out_of_resources.fetch_add(1, Ordering::Relaxed),
            Failure::Socket => 0,
        };
        failure
    }

    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections taken from the kernel.
    pub fn accepted_total(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were gone before they could be taken.
    pub fn aborted_total(&self) -> u64 {
        self.aborted.load(Ordering::Relaxed)
    }

    /// How often there were too few files or too little memory to take one.
    pub fn out_of_resources_total(&self) -> u64 {
        self.out_of_resources.load(Ordering::Relaxed)
    }

    /// Connections closed at once because of this limit.
    pub fn over_limit_total(&self, limit: OverLimit) -> u64 {
        match limit {
            OverLimit::Connections => self.over_connections.load(Ordering::Relaxed),
            OverLimit::HandshakesOfSource => self.over_source.load(Ordering::Relaxed),
        }
    }
}

impl ConnectionLimits {
    /// Nothing is let in yet.
    pub fn new(spec: LimitSpec) -> Arc<Self> {
        Arc::new(Self {
            spec,
            open: AtomicUsize::new(0),
            pending: Default::default(),
            hasher: foldhash::fast::RandomState::default(),
            counts: AcceptCounts::default(),
        })
    }

    /// What has happened so far.
    pub fn counts(&self) -> &AcceptCounts {
        &self.counts
    }

    /// Connections that hold an [`Admission`] now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for a connection from `source`.
    pub fn place(self: &Arc<Self>, source: IpAddr) -> Result<Admission, OverLimit> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        // From here on the place is given back by `Drop`.
        let mut admission = Admission { limits: Arc::clone(self), pending: None };
        if open >= self.spec.connections_max {
            self.counts.over_connections.fetch_add(1, Ordering::Relaxed);
            return Err(OverLimit::Connections);
        }
        let source = source_of(source);
        let mut part = self.part(&source).lock().unwrap_or_else(PoisonError::into_inner);
        let count = part.entry(source).or_insert(0);
        if *count >= self.spec.handshakes_per_source_max {
            drop(part);
            self.counts.over_source.fetch_add(1, Ordering::Relaxed);
            return Err(OverLimit::HandshakesOfSource);
        }
        *count += 1;
        drop(part);
        admission.pending = Some(source);
        Ok(admission)
    }

    /// The connection with its place; `None`, and closed, if there is no place.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let admission = self.place(peer.ip()).ok()?;
        Some(Connection { stream, peer, admission })
    }

    fn part(&self, source: &IpAddr) -> &Mutex<HashMap<IpAddr, u32>> {
        let [first, ..] = &self.pending;
        self.pending.get(self.hasher.hash_one(source) as usize % PARTS).unwrap_or(first)
    }

    fn handshake_ended(&self, source: IpAddr) {
        let mut part = self.part(&source).lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = part.entry(source) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one source: whoever has an IPv6 address has its /64.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
pub struct Admission {
    limits: Arc<ConnectionLimits>,
    pending: Option<IpAddr>,
}

impl Admission {
    /// The other end has shown that it is no empty threat: it counts no longer against its source.
    pub fn handshake_done(&mut self) {
        if let Some(source) = self.pending.take() {
            self.limits.handshake_ended(source);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.handshake_done();
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
    }
}
