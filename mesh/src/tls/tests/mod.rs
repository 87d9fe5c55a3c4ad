//! Handshakes on real sockets, between our listeners and rustls' client, and between our client and our listeners.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod backends;
mod clients;
mod hostile;
mod listeners;

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use portcullis_certs::{CertifiedPair, LocalAuthority, crypto_provider, verify::ClientVerifier};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

use super::*;

/// What every handshake here must stay below; those that test deadlines name their own.
const LONG: Duration = Duration::from_secs(20);

fn local_authority() -> &'static LocalAuthority {
    static AUTHORITY: OnceLock<(tempfile::TempDir, LocalAuthority)> = OnceLock::new();
    let (_, authority) = AUTHORITY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let authority = LocalAuthority::open_or_create(folder.path(), SystemTime::now()).unwrap();
        (folder, authority)
    });
    authority
}

fn pair(names: &[&str]) -> CertifiedPair {
    local_authority().issue_server(names, SystemTime::now()).unwrap()
}

fn certificates(names: &[&str]) -> Arc<Certificates> {
    Certificates::new(&[pair(names)]).unwrap()
}

/// A listener for `pattern` (`*`, `*.suffix`, `name`) with a certificate for `names`.
fn https(pattern: &str, listener: usize, names: &[&str]) -> TlsListener {
    let termination = Termination::new(certificates(names), None, Alpn::Http, &TicketKeys::new()).unwrap();
    TlsListener { pattern: host_pattern(pattern), listener, action: TlsAction::Terminate(termination) }
}

fn host_pattern(text: &str) -> HostPattern {
    match (text, text.strip_prefix('*')) {
        ("*", _) => HostPattern::Any,
        (_, Some(suffix)) => HostPattern::Suffix(suffix.into()),
        (name, None) => HostPattern::Exact(name.into()),
    }
}

fn port(listeners: impl IntoIterator<Item = TlsListener>) -> PortTls {
    PortTls::new(listeners).unwrap()
}

/// An authority for clients' certificates.
struct ClientAuthority(CertifiedIssuer<'static, KeyPair>);

impl ClientAuthority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<Arc<[u8]>> {
        vec![self.0.pem().into_bytes().into()]
    }

    fn client(&self, life: Duration) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = (SystemTime::now() - Duration::from_hours(1)).into();
        params.not_after = (SystemTime::now() + life).into();
        let key = KeyPair::generate().unwrap();
        (vec![params.signed_by(&key, &self.0).unwrap().der().clone()], key.into())
    }

    fn verifier(&self, mode: portcullis_certs::verify::ClientMode) -> Arc<ClientVerifier> {
        Arc::new(ClientVerifier::new(&self.pem(), mode).unwrap())
    }
}

/// A client that trusts the local authority.
fn client_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    client_config_as(versions, None)
}

fn client_config_as(
    versions: &[&'static SupportedProtocolVersion],
    certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(local_authority().certificate_pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match certificate {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
    }
}

/// Two ends of a loopback connection: client, server.
async fn socket_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

/// What both ends saw of one handshake.
struct Seen {
    server: Result<(usize, PeerTls), TlsRefusal>,
    /// Facts of the client's connection, once it has read an answer.
    client: io::Result<ClientConnection>,
}

impl Seen {
    fn listener(&self) -> usize {
        self.server.as_ref().unwrap().0
    }

    fn peer(&self) -> &PeerTls {
        &self.server.as_ref().unwrap().1
    }

    fn refused(&self) -> &'static str {
        self.server.as_ref().unwrap_err().reason()
    }

    fn leaf(&self) -> CertificateDer<'static> {
        self.client.as_ref().unwrap().peer_certificates().unwrap()[0].clone()
    }
}

/// Connects with `config` asking for `name`, reads a greeting from inside TLS, and closes.
async fn handshake(port: &PortTls, config: &Arc<ClientConfig>, name: &'static str) -> Seen {
    let (client, server) = socket_pair().await;
    let serve = async {
        match accept(server, port, &Deadlines { handshake: LONG }).await? {
            Accepted::Terminated { mut stream, listener, peer } => {
                let _ = stream.write_all(b"hello").await;
                let _ = stream.flush().await;
                let _ = stream.read(&mut [0; 16]).await;
                let _ = stream.shutdown().await;
                Ok((listener, peer))
            }
            Accepted::Passthrough { .. } => panic!("passed through"),
        }
    };
    let ask = async {
        let name = ServerName::try_from(name).unwrap();
        let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, client).await?;
        stream.read_exact(&mut [0; 5]).await?;
        let _ = stream.shutdown().await;
        Ok(stream.into_inner().1)
    };
    let both = Box::pin(async { tokio::join!(serve, ask) });
    let (server, client) = tokio::time::timeout(LONG, both).await.unwrap();
    Seen { server, client }
}
