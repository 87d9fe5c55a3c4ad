//! Mutual TLS between workloads: TLS 1.3, and both sides prove a SPIFFE ID. Who may be believed is for `certs` to say; here
//! are the handshakes, with their deadline.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::SystemTime,
};

use portcullis_certs::{
    Identity, mesh_client_config, mesh_server_config,
    verify::{ExpectedPeers, MeshTrust, PeerId, PeerRefusal, PeerVerifier},
};
use rustls::{ServerConfig, SupportedCipherSuite};
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Deadlines;
use crate::{connections::TargetTls, io::Socket};

/// What peers are asked for on a port of ours.
#[derive(Debug, Clone)]
pub struct Mutual {
    config: Arc<ServerConfig>,
    verifier: Arc<PeerVerifier>,
}

/// A peer that has proved who it is.
pub struct AcceptedPeer {
    /// What it sends from now on.
    pub stream: Box<TlsStream<Socket>>,
    /// Who it is.
    pub peer: PeerId,
}

/// Why a peer is not let in. It is closed already.
#[derive(Debug, thiserror::Error)]
pub enum MutualRefusal {
    /// It took too long.
    #[error("the handshake was not done in time")]
    Timeout,
    /// It is nobody we believe.
    #[error("{0}")]
    Peer(PeerRefusal),
    /// TLS itself failed.
    #[error("the handshake failed: {0}")]
    Handshake(rustls::Error),
    /// The socket failed, or the peer went away.
    #[error("the connection failed during the handshake: {0}")]
    Io(io::Error),
}

impl MutualRefusal {
    /// A word for a metric's label; one of a fixed few.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Peer(refusal) => refusal.label(),
            Self::Handshake(rustls::Error::NoCertificatesPresented) => "no_certificate",
            Self::Handshake(_) => "handshake",
            Self::Io(_) => "io",
        }
    }
}

impl Mutual {
    /// Shows `identity`, and lets in whoever `trust` believes. HTTP/2 or HTTP/1.1 inside.
    ///
    /// # Errors
    /// rustls refuses the combination.
    pub fn new(identity: Arc<Identity>, trust: Arc<MeshTrust>) -> Result<Self, rustls::Error> {
        let verifier = Arc::new(PeerVerifier::new(trust, ExpectedPeers::AnyTrusted));
        let mut config = mesh_server_config(identity, Arc::clone(&verifier))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// Whom it believes, for asking again about connections that are open.
    pub fn verifier(&self) -> &Arc<PeerVerifier> {
        &self.verifier
    }

    /// Shakes hands with a peer.
    ///
    /// # Errors
    /// It is not let in. Dropping the future closes the connection.
    pub async fn accept(&self, stream: Socket, deadlines: &Deadlines) -> Result<AcceptedPeer, MutualRefusal> {
        // On the heap: a handshake's state would stay in the connection's own future for its whole life.
        let handshake = Box::pin(TlsAcceptor::from(Arc::clone(&self.config)).accept(stream));
        let stream = match timeout(deadlines.handshake, handshake).await {
            Err(_) => return Err(MutualRefusal::Timeout),
            Ok(outcome) => outcome.map_err(refusal)?,
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = self.verifier.judge(chain, SystemTime::now()).map_err(MutualRefusal::Peer)?;
        Ok(AcceptedPeer { stream: Box::new(stream), peer })
    }
}

impl AcceptedPeer {
    /// Whether HTTP/2 was agreed on.
    pub fn is_h2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// What encrypts it.
    pub fn cipher(&self) -> Option<SupportedCipherSuite> {
        self.stream.get_ref().1.negotiated_cipher_suite()
    }
}

/// TLS towards a workload that must prove to be one of `expected`. Two targets share connections only if they share this
/// very value.
///
/// # Errors
/// rustls refuses the combination.
pub fn towards(
    identity: Arc<Identity>,
    trust: Arc<MeshTrust>,
    expected: ExpectedPeers,
) -> Result<TargetTls, rustls::Error> {
    let verifier = Arc::new(PeerVerifier::new(trust, expected));
    let mut config = mesh_client_config(identity, verifier)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Nobody is known by a name here, so none is sent (for an address rustls sends none) and none is looked at.
    let nameless = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
    Ok(TargetTls::new(&Arc::new(config), nameless))
}

fn refusal(error: io::Error) -> MutualRefusal {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return MutualRefusal::Io(error);
    };
    match PeerRefusal::of(inner) {
        Some(refusal) => MutualRefusal::Peer(refusal.clone()),
        None => MutualRefusal::Handshake(inner.clone()),
    }
}
