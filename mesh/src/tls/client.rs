//! TLS towards backends: configurations that are built once for a snapshot, and connections made with them.

use std::{fmt, io, sync::Arc};

use foldhash::{HashMap, HashMapExt};
use portcullis_certs::{
    PemError, crypto_provider, parse_pair,
    verify::{Authorities, ExpectedName, ServerVerifier, TrustError},
};
use rustls::{CipherSuite, ClientConfig, HandshakeKind, ProtocolVersion, client::Resumption};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Alpn;

/// Sessions kept for resumption, for each configuration.
const SESSIONS_MAX: usize = 256;

/// What a backend's TLS must be like. Equal specifications share a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientTlsSpec {
    /// Whose signature counts.
    pub authorities: Authorities,
    /// The server name that is sent, and that the certificate must carry unless `subject_alt_names` is given.
    pub hostname: Arc<str>,
    /// When not empty, the certificate must carry one of these instead.
    pub subject_alt_names: Vec<ExpectedName>,
    /// What we show when asked.
    pub certificate: Option<ClientCertificatePem>,
    /// What is offered.
    pub alpn: Alpn,
}

/// A chain and its key in PEM. The key has no `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificatePem {
    /// Leaf first.
    pub chain_pem: Arc<[u8]>,
    /// The private key.
    pub key_pem: Arc<[u8]>,
}

impl fmt::Debug for ClientCertificatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificatePem([secret])")
    }
}

/// A configuration, ready for connections.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

/// Why a specification cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// The host name is none.
    #[error("`{0}` is not a host name")]
    Hostname(Arc<str>),
    /// The authorities cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Our own certificate cannot be used.
    #[error("client certificate: {0}")]
    Certificate(#[from] PemError),
    /// rustls refuses the combination.
    #[error("cannot configure TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl ClientTls {
    /// Builds a configuration. This parses certificates: once for each specification, not for each connection.
    pub fn new(spec: &ClientTlsSpec) -> Result<Self, ClientTlsError> {
        let server_name = ServerName::try_from(spec.hostname.to_string())
            .map_err(|_| ClientTlsError::Hostname(Arc::clone(&spec.hostname)))?;
        let verifier = ServerVerifier::new(&spec.authorities, &spec.subject_alt_names)?;
        let builder = ClientConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()?
            // Our own verifier is no weaker than rustls': it judges the same chains, by other names.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &spec.certificate {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let pair = parse_pair(&pem.chain_pem, &pem.key_pem)?;
                builder.with_client_auth_cert(pair.chain().to_vec(), pair.key().clone_key())?
            }
        };
        config.alpn_protocols = spec.alpn.protocols();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// The configuration, for those who dial by themselves.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The name to ask for.
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.server_name
    }
}

/// The configurations of one snapshot.
#[derive(Debug, Default)]
pub struct Cache {
    built: HashMap<ClientTlsSpec, Arc<ClientTls>>,
}

impl Cache {
    /// An empty one.
    pub fn new() -> Self {
        Self { built: HashMap::new() }
    }

    /// The configuration for `spec`, built unless it exists here or in the cache of the snapshot `before` (whose
    /// sessions can then still be resumed). The system's authorities may have changed since, so those are read again.
    pub fn client(&mut self, spec: &ClientTlsSpec, before: Option<&Self>) -> Result<Arc<ClientTls>, ClientTlsError> {
        if let Some(built) = self.built.get(spec) {
            return Ok(Arc::clone(built));
        }
        let before = before.filter(|_| spec.authorities != Authorities::System);
        let client = match before.and_then(|before| before.built.get(spec)) {
            Some(built) => Arc::clone(built),
            None => Arc::new(ClientTls::new(spec)?),
        };
        self.built.insert(spec.clone(), Arc::clone(&client));
        Ok(client)
    }
}

/// What a handshake with a backend agreed on.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The protocol agreed on; `None` if the backend does not negotiate one.
    pub alpn: Option<Box<[u8]>>,
    /// TLS 1.2 or 1.3.
    pub version: Option<ProtocolVersion>,
    /// The cipher suite.
    pub cipher: Option<CipherSuite>,
    /// Whether an earlier connection was resumed.
    pub resumed: bool,
}

impl ServerTls {
    /// Whether HTTP/2 was agreed on.
    pub fn is_h2(&self) -> bool {
        self.alpn.as_deref() == Some(b"h2")
    }
}

/// Why there is no TLS with a backend.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It took too long.
    #[error("the handshake was not done in time")]
    Timeout,
    /// It is not whom it should be.
    #[error("the backend's certificate is refused: {0}")]
    Certificate(rustls::CertificateError),
    /// TLS itself failed.
    #[error("the handshake failed: {0}")]
    Handshake(rustls::Error),
    /// The socket failed.
    #[error("the connection failed during the handshake: {0}")]
    Io(io::Error),
}

impl ConnectError {
    /// A word for a metric's label; one of a fixed few.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Certificate(_) => "certificate",
            Self::Handshake(_) => "handshake",
            Self::Io(_) => "io",
        }
    }
}

/// Does the handshake with a backend, until `deadline`.
pub async fn connect<S>(
    stream: S,
    client: &ClientTls,
    deadline: Instant,
) -> Result<(Box<TlsStream<S>>, ServerTls), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(Arc::clone(&client.config));
    // On the heap, for the reason given at `accept`.
    let handshake = Box::pin(connector.connect(client.server_name.clone(), stream));
    let stream = match timeout_at(deadline, handshake).await {
        Err(_) => return Err(ConnectError::Timeout),
        Ok(outcome) => outcome.map_err(connect_error)?,
    };
    let connection = stream.get_ref().1;
    let server = ServerTls {
        alpn: connection.alpn_protocol().map(Into::into),
        version: connection.protocol_version(),
        cipher: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
    };
    Ok((Box::new(stream), server))
}

fn connect_error(error: io::Error) -> ConnectError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => ConnectError::Certificate(why.clone()),
        Some(error) => ConnectError::Handshake(error.clone()),
        None => ConnectError::Io(error),
    }
}
