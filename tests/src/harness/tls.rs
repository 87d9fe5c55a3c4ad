//! TLS from the client's side, with every choice in the test's hands.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{PATIENCE, pki::Identity};

/// A TLS connection of a client.
pub type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// How a client speaks TLS. By default: no server name, no ALPN, no certificate, all versions, and any server will do.
#[derive(Clone, Default)]
pub struct Tls {
    server_name: Option<String>,
    alpn: Vec<Vec<u8>>,
    roots: Option<String>,
    pinned: Option<String>,
    identity: Option<Identity>,
    versions: Option<Vec<&'static SupportedProtocolVersion>>,
    settled: Option<Arc<ClientConfig>>,
    groups: Option<Vec<&'static dyn SupportedKxGroup>>,
    record_bytes_max: Option<usize>,
    asked: Arc<AtomicBool>,
}

impl Tls {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a server by name (SNI), which is also what its certificate must prove if [`Tls::trusting`] anything.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// Offers protocols (ALPN), best first.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Trusts servers that these authorities (PEM) vouch for, and no others.
    #[must_use]
    pub fn trusting(mut self, authorities_pem: &str) -> Self {
        self.roots = Some(authorities_pem.to_owned());
        self
    }

    /// Trusts a server that shows this certificate (PEM), and no other.
    #[must_use]
    pub fn pinning(mut self, certificate_pem: &str) -> Self {
        self.pinned = Some(certificate_pem.to_owned());
        self
    }

    /// Shows a certificate if asked for one.
    #[must_use]
    pub fn identity(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Whether some server asked for the certificate.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Speaks only these versions.
    #[must_use]
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = Some(versions.to_vec());
        self
    }

    /// Connections of what this gives, and of its clones, resume one another as the server allows. Everything else is
    /// settled by now: rustls resumes only with the very configuration that it got its ticket with.
    #[must_use]
    pub fn resuming(self) -> Self {
        let mut config = self.config();
        config.resumption = Resumption::in_memory_sessions(8);
        Self { settled: Some(Arc::new(config)), ..self }
    }

    /// Offers these groups for the exchange of keys, best first.
    #[must_use]
    pub fn groups(mut self, groups: &[&'static dyn SupportedKxGroup]) -> Self {
        self.groups = Some(groups.to_vec());
        self
    }

    /// Sends records of at most this many bytes, so that its ClientHello is in several.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.record_bytes_max = Some(bytes);
        self
    }

    /// Connects and shakes hands.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        self.over(tcp).await
    }

    /// Shakes hands over a connection that is there already.
    pub async fn over(&self, tcp: TcpStream) -> io::Result<TlsStream> {
        let address = tcp.peer_addr()?;
        self.over_any(tcp, address).await
    }

    /// The same over anything else that leads to this address.
    pub async fn over_any<W>(&self, wire: W, address: SocketAddr) -> io::Result<tokio_rustls::client::TlsStream<W>>
    where
        W: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => ServerName::try_from(name.clone()).expect("a server's name"),
            None => ServerName::IpAddress(address.ip().into()),
        };
        let config = self.settled.clone().unwrap_or_else(|| Arc::new(self.config()));
        let handshake = TlsConnector::from(config).connect(name, wire);
        timeout(PATIENCE, handshake).await.expect("a handshake ends")
    }

    fn config(&self) -> ClientConfig {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(groups) = &self.groups {
            provider.kx_groups.clone_from(groups);
        }
        let provider = Arc::new(provider);
        let versions = self.versions.as_deref().unwrap_or(rustls::ALL_VERSIONS);
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
        let builder = match &self.roots {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(certificate.unwrap()).unwrap();
                }
                builder.with_root_certificates(roots)
            }
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Lenient {
                pinned: self.pinned.as_ref().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()),
                algorithms: provider.signature_verification_algorithms,
            })),
        };
        let mut config = match &self.identity {
            Some(identity) => {
                let key = provider.key_provider.load_private_key(identity.key()).unwrap();
                let shown = SingleCertAndKey::from(CertifiedKey::new(identity.chain(), key));
                builder.with_client_cert_resolver(Arc::new(Watched { shown, asked: self.asked.clone() }))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = self.server_name.is_some();
        config.max_fragment_size = self.record_bytes_max;
        config
    }
}

/// Remembers that it was asked for its certificate.
#[derive(Debug)]
struct Watched {
    shown: SingleCertAndKey,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Watched {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::SeqCst);
        ResolvesClientCert::resolve(&self.shown, hints, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Takes one certificate, or any, whose key the server holds.
#[derive(Debug)]
struct Lenient {
    pinned: Option<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.pinned {
            Some(pinned) if pinned != shown => Err(CertificateError::UnknownIssuer.into()),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
