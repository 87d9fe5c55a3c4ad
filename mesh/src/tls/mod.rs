//! TLS on both sides: which listener a client means, who it is, and which backend we believe.
//!
//! Read [`port`] (the listeners of one port, chosen by server name), then [`accept()`] (from a socket to a [`PeerTls`]),
//! then [`client`] (towards backends). [`certificates`] is what listeners show and what is swapped live, [`termination`]
//! is how a listener's handshakes are configured, [`splice()`] carries the connections that are not terminated.

pub mod accept;
pub mod certificates;
pub mod client;
pub mod mutual;
pub mod port;
pub mod splice;
pub mod termination;

pub use accept::{Accepted, Deadlines, PeerCertificate, PeerTls, TlsRefusal, accept};
pub use certificates::Certificates;
pub use client::{
    Cache, ClientCertificatePem, ClientTls, ClientTlsError, ClientTlsSpec, ConnectError, ServerTls, connect,
};
pub use port::{HostPattern, PortTls, PortTlsError, TlsAction, TlsListener};
pub use splice::{Splice, SpliceEnd, splice, splice_until};
pub use termination::{Alpn, Termination, TerminationError, TicketKeys};

#[cfg(test)]
mod tests;
