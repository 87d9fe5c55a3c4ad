//! Which ports are listened on, and where: kept in step with the revision in force.
//!
//! New ports are bound before a revision takes effect, so that one that cannot be bound refuses the revision; ports that
//! leave are closed after it, with what waits in their queues taken first. One socket per worker and port.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener},
};

use portcullis_policy::Snapshot;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{cli::Bind, live::PortKey};

/// Connections that may wait to be accepted, per socket.
const BACKLOG: i32 = 4096;

/// The sockets of all ports, as they are bound now.
#[derive(Debug, Default)]
pub struct Sockets {
    binds: Vec<Bind>,
    workers: usize,
    bound: BTreeMap<PortKey, Vec<Bound>>,
}

/// One address that a port is bound to: one socket for each worker.
#[derive(Debug)]
pub struct Bound {
    /// What was asked for.
    pub asked: SocketAddr,
    /// What it became: the same, but for port 0.
    pub address: SocketAddr,
    /// A copy of each socket is kept here, to be handed to a successor.
    pub sockets: Vec<TcpListener>,
}

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {port}: {error}")]
pub struct BindError {
    port: PortKey,
    address: SocketAddr,
    error: io::Error,
}

/// What must change for a revision.
#[derive(Debug, Default)]
pub struct Change {
    added: Vec<(PortKey, Bound)>,
    removed: Vec<PortKey>,
}

impl Sockets {
    /// Nothing bound yet. `inherited`: sockets that a predecessor handed over.
    pub fn new(binds: Vec<Bind>, workers: usize) -> Self {
        Self { binds, workers, bound: BTreeMap::new() }
    }

    /// Binds what `snapshot` wants and is not bound yet. Nothing else changes until [`Self::apply`].
    pub fn prepare(&self, snapshot: &Snapshot, inherited: &mut Vec<Inherited>) -> Result<Change, BindError> {
        let wanted = self.wanted(snapshot);
        let mut change = Change::default();
        for (port, addresses) in &wanted {
            let bound = self.bound.get(port);
            for asked in addresses {
                if bound.is_some_and(|bound| bound.iter().any(|bound| bound.asked == *asked)) {
                    continue;
                }
                let found = take_inherited(inherited, port, *asked, self.workers);
                let result = match found {
                    Some(bound) => Ok(bound),
                    None => bind_all(*asked, self.workers),
                };
                let bound = result.map_err(|error| BindError { port: port.clone(), address: *asked, error })?;
                change.added.push((port.clone(), bound));
            }
        }
        change.removed = self.bound.keys().filter(|port| !wanted.contains_key(port)).cloned().collect();
        Ok(change)
    }

    /// Makes a change that was prepared. Gives what workers must listen on now, and what they must leave.
    pub fn apply(&mut self, change: Change) -> (Vec<(PortKey, Vec<TcpListener>)>, Vec<PortKey>) {
        let mut listen = Vec::new();
        for (port, bound) in change.added {
            let copies = bound.sockets.iter().filter_map(|socket| socket.try_clone().ok()).collect();
            listen.push((port.clone(), copies));
            self.bound.entry(port).or_default().push(bound);
        }
        for port in &change.removed {
            self.bound.remove(port);
        }
        (listen, change.removed)
    }

    /// Every port with the addresses it is bound to.
    pub fn bound(&self) -> impl Iterator<Item = (&PortKey, &[Bound])> {
        self.bound.iter().map(|(port, bound)| (port, bound.as_slice()))
    }

    fn wanted(&self, snapshot: &Snapshot) -> BTreeMap<PortKey, Vec<SocketAddr>> {
        let mut wanted: BTreeMap<PortKey, Vec<SocketAddr>> = BTreeMap::new();
        for listener in &snapshot.listeners {
            let port = PortKey::of(listener);
            let addresses = self.addresses(&port, &listener.addresses);
            let entry = wanted.entry(port).or_default();
            for address in addresses {
                if !entry.contains(&address) {
                    entry.push(address);
                }
            }
        }
        wanted
    }

    fn addresses(&self, port: &PortKey, written: &[IpAddr]) -> Vec<SocketAddr> {
        let is_for = |bind: &&Bind| match &bind.gateway {
            Some((namespace, name)) => **namespace == *port.namespace && **name == *port.gateway,
            None => false,
        };
        let special: Vec<_> = self.binds.iter().filter(|bind| bind.port == port.port).filter(is_for).collect();
        let general = self.binds.iter().filter(|bind| bind.port == port.port && bind.gateway.is_none());
        let mapped: Vec<SocketAddr> = if special.is_empty() {
            general.map(|bind| bind.address).collect()
        } else {
            special.iter().map(|bind| bind.address).collect()
        };
        if !mapped.is_empty() {
            return mapped;
        }
        if written.is_empty() {
            return vec![SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port.port)];
        }
        written.iter().map(|ip| SocketAddr::new(*ip, port.port)).collect()
    }
}

/// A socket that a predecessor handed over.
#[derive(Debug)]
pub struct Inherited {
    /// The port it is for.
    pub port: String,
    /// What was asked for when it was bound.
    pub asked: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

fn take_inherited(inherited: &mut Vec<Inherited>, port: &PortKey, asked: SocketAddr, workers: usize) -> Option<Bound> {
    let name = port.to_string();
    let mut sockets: Vec<TcpListener> = inherited
        .extract_if(.., |socket| socket.port == name && socket.asked == asked)
        .map(|inherited| inherited.socket)
        .collect();
    let address = sockets.first()?.local_addr().ok()?;
    while sockets.len() < workers {
        // More workers than before: the new ones get sockets of their own beside the old.
        sockets.push(bind(address).ok()?);
    }
    Some(Bound { asked, address, sockets })
}

fn bind_all(asked: SocketAddr, workers: usize) -> io::Result<Bound> {
    let first = bind(asked)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind(address)?);
    }
    Ok(Bound { asked, address, sockets })
}

/// A listening socket that shares its port with its siblings; the kernel spreads connections among them.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = match Socket::new(domain, Type::STREAM, Some(Protocol::TCP)) {
        // A machine without IPv6 still has every IPv4 address.
        Err(_) if address.ip().is_unspecified() => {
            return bind(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), address.port()));
        }
        socket => socket?,
    };
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
