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
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use tokio::{net::TcpStream, time::timeout};
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
    resumption: Option<Resumption>,
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

    /// Keeps tickets in this store; connections that share it resume.
    #[must_use]
    pub fn resumption(mut self, resumption: Resumption) -> Self {
        self.resumption = Some(resumption);
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
        let name = match &self.server_name {
            Some(name) => ServerName::try_from(name.clone()).expect("a server's name"),
            None => ServerName::IpAddress(tcp.peer_addr()?.ip().into()),
        };
        let handshake = TlsConnector::from(Arc::new(self.config())).connect(name, tcp);
        timeout(PATIENCE, handshake).await.expect("a handshake ends")
    }

    fn config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
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
        if let Some(resumption) = &self.resumption {
            config.resumption = resumption.clone();
        }
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
