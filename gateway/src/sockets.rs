//! Which ports are listened on, and where: kept in step with the revision in force.
//!
//! New addresses are bound before a revision takes effect, so that one that cannot be bound refuses the revision; those
//! that leave are closed after it. A socket belongs to its address: when another Gateway takes over the address, the
//! socket and those who wait in its queue stay. Binding and accepting are the business of [`portcullis_mesh::listen`].

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener},
};

use portcullis_mesh::{
    handover::NamedSocket,
    listen::{self, BindError},
};
use portcullis_policy::Snapshot;

use crate::{cli::Bind, live::PortKey};

/// An address to listen on. Port 0 is a different one for every port of every Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey {
    asked: SocketAddr,
    any_port_for: Option<PortKey>,
}

impl SocketKey {
    fn new(asked: SocketAddr, port: &PortKey) -> Self {
        Self { asked, any_port_for: (asked.port() == 0).then(|| port.clone()) }
    }

    fn is_of(&self, socket: &NamedSocket) -> bool {
        let name = self.any_port_for.as_ref().map(ToString::to_string);
        socket.asked == self.asked && name.is_none_or(|name| name == socket.name)
    }
}

/// The sockets of all addresses, as they are bound now.
#[derive(Debug, Default)]
pub struct Sockets {
    binds: Vec<Bind>,
    workers: usize,
    bound: BTreeMap<SocketKey, Bound>,
}

/// One address that is listened on.
#[derive(Debug)]
struct Bound {
    /// The port that it stands for.
    port: PortKey,
    /// What was asked for, but for port 0.
    address: SocketAddr,
    /// A copy of each socket is kept here, to be handed to a successor.
    sockets: Vec<TcpListener>,
}

/// Why a revision's ports cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system refuses.
    #[error("{port}: {error}")]
    Bind {
        /// The port, as the document names it.
        port: PortKey,
        /// Why.
        error: BindError,
    },
    /// Two Gateways want the same address.
    #[error(
        "{first} and {second} would both listen on {address}; give the Gateways different `addresses`, or one of them \
         another place with `--bind {second}=ADDRESS:PORT`"
    )]
    Shared {
        /// One Gateway's port.
        first: PortKey,
        /// The other's.
        second: PortKey,
        /// The address.
        address: SocketAddr,
    },
    /// There are too many open files.
    #[error("{port}: cannot copy a socket: {error}")]
    Copy {
        /// The port, as the document names it.
        port: PortKey,
        /// Why.
        error: io::Error,
    },
}

/// What must change for a revision.
#[derive(Debug, Default)]
pub struct Change {
    added: Vec<(SocketKey, Bound, Vec<TcpListener>)>,
    renamed: Vec<(SocketKey, PortKey)>,
    removed: Vec<SocketKey>,
}

/// What workers must do for a revision.
#[derive(Debug, Default)]
pub struct Orders {
    /// Listen here: addresses, the ports they stand for, and sockets, at least one for each worker.
    pub listen: Vec<(SocketKey, PortKey, Vec<TcpListener>)>,
    /// These addresses stand for other ports now.
    pub rename: Vec<(SocketKey, PortKey)>,
    /// Listen here no more.
    pub leave: Vec<SocketKey>,
}

impl Sockets {
    /// Nothing bound yet.
    pub fn new(binds: Vec<Bind>, workers: usize) -> Self {
        Self { binds, workers, bound: BTreeMap::new() }
    }

    /// Binds what `snapshot` wants and is not bound yet, unless a predecessor's socket for it is among `inherited`.
    /// Nothing else changes until [`Self::apply`].
    pub fn prepare(&self, snapshot: &Snapshot, inherited: &mut Vec<NamedSocket>) -> Result<Change, SocketError> {
        let wanted = self.wanted(snapshot)?;
        let mut change = Change::default();
        for (key, port) in &wanted {
            match self.bound.get(key) {
                Some(bound) if bound.port == *port => {}
                Some(_) => change.renamed.push((key.clone(), port.clone())),
                None => {
                    let beside = change.added.iter().map(|(_, bound, _)| bound.address.port());
                    let own = beside.chain(self.bound.values().map(|bound| bound.address.port()));
                    let beside_own = own.into_iter().any(|own| own == key.asked.port());
                    let bound = self.bind(key, port, beside_own, inherited)?;
                    let copies = bound.sockets.iter().map(TcpListener::try_clone).collect::<Result<_, _>>();
                    let copies = copies.map_err(|error| SocketError::Copy { port: port.clone(), error })?;
                    change.added.push((key.clone(), bound, copies));
                }
            }
        }
        change.removed = self.bound.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
        Ok(change)
    }

    /// Makes a change that was prepared.
    pub fn apply(&mut self, change: Change) -> Orders {
        let mut orders = Orders { rename: change.renamed, leave: change.removed, ..Orders::default() };
        for (key, port) in &orders.rename {
            if let Some(bound) = self.bound.get_mut(key) {
                bound.port = port.clone();
            }
        }
        for key in &orders.leave {
            self.bound.remove(key);
        }
        for (key, bound, copies) in change.added {
            orders.listen.push((key.clone(), bound.port.clone(), copies));
            self.bound.insert(key, bound);
        }
        orders
    }

    /// Every port with each address that it is bound to.
    pub fn bound(&self) -> impl Iterator<Item = (&PortKey, SocketAddr)> {
        self.bound.values().map(|bound| (&bound.port, bound.address))
    }

    /// A copy of every socket, for a successor.
    pub fn copies(&self) -> io::Result<Vec<NamedSocket>> {
        let copy = |(key, socket, name): (&SocketKey, &TcpListener, String)| {
            Ok(NamedSocket { name, asked: key.asked, socket: socket.try_clone()? })
        };
        let of = |(key, bound): (&'_ SocketKey, &'_ Bound)| {
            bound.sockets.iter().map(|socket| copy((key, socket, bound.port.to_string()))).collect::<Vec<_>>()
        };
        self.bound.iter().flat_map(of).collect()
    }

    fn bind(
        &self,
        key: &SocketKey,
        port: &PortKey,
        beside_own: bool,
        inherited: &mut Vec<NamedSocket>,
    ) -> Result<Bound, SocketError> {
        let failed = |error| SocketError::Bind { port: port.clone(), error };
        let mut sockets: Vec<TcpListener> =
            inherited.extract_if(.., |socket| key.is_of(socket)).map(|inherited| inherited.socket).collect();
        if let Some(address) = sockets.first().and_then(|socket| socket.local_addr().ok()) {
            // More workers than the predecessor had: they get sockets of their own beside the others.
            let missing = self.workers.saturating_sub(sockets.len());
            sockets.extend(listen::bind_beside(address, missing).map_err(failed)?);
            return Ok(Bound { port: port.clone(), address, sockets });
        }
        let bind = if beside_own { listen::bind_beside } else { listen::bind };
        let sockets = bind(key.asked, self.workers).map_err(failed)?;
        let address = sockets.first().and_then(|socket| socket.local_addr().ok()).unwrap_or(key.asked);
        Ok(Bound { port: port.clone(), address, sockets })
    }

    fn wanted(&self, snapshot: &Snapshot) -> Result<BTreeMap<SocketKey, PortKey>, SocketError> {
        let mut wanted = BTreeMap::new();
        for listener in &snapshot.listeners {
            let port = PortKey::of(listener);
            for address in self.addresses(&port, &listener.addresses) {
                match wanted.entry(SocketKey::new(address, &port)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(port.clone());
                    }
                    Entry::Occupied(taken) if *taken.get() == port => {}
                    Entry::Occupied(taken) => {
                        return Err(SocketError::Shared { first: taken.get().clone(), second: port, address });
                    }
                }
            }
        }
        Ok(wanted)
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
