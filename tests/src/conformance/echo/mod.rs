//! What stands behind the suite's Services: pods that say what reached them, over HTTP, gRPC and bare TCP.
//!
//! They answer as the suite's own `echo-basic` does, as far as its tests look.

mod grpc;
mod http;
mod tcp;
mod websocket;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::CertificateDer, pki_types::pem::PemObject as _,
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

pub(super) use self::{
    grpc::{Assertions, EchoResponse, SERVICE},
    tcp::WELCOME,
    websocket::{ACCEPT, Frame, KEY, read_frame, write_frame},
};
use crate::harness::pki::Identity;

/// What a pod runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Http,
    Grpc,
    Tcp,
}

/// What a pod shows over TLS, and whose certificates it checks.
pub(super) struct PodTls {
    pub(super) identity: Identity,
    pub(super) client_authorities_pem: Option<String>,
}

/// A running pod; gone when dropped.
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The address of each port that its containers have.
    pub(super) ports: BTreeMap<u16, SocketAddr>,
    echo: Arc<Echo>,
    _serving: JoinSet<()>,
}

/// What a pod knows of itself and remembers of its requests.
pub(super) struct Echo {
    namespace: String,
    pod: String,
    /// Paths of requests that were echoed.
    log: Mutex<Vec<String>>,
    /// How often a request that is to fail at first has failed, by its id.
    attempts: Mutex<HashMap<String, u32>>,
}

/// How connections of a port are served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    H2,
    Grpc,
    Tcp,
}

impl Pod {
    pub(super) async fn start(namespace: &str, name: &str, program: Program, tls: Option<PodTls>) -> Self {
        let echo = Arc::new(Echo {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            log: Mutex::default(),
            attempts: Mutex::default(),
        });
        let plain: &[(u16, Protocol)] = match program {
            Program::Http => &[(3000, Protocol::Http1), (3001, Protocol::H2)],
            Program::Grpc => &[(3000, Protocol::Grpc)],
            Program::Tcp => &[(3000, Protocol::Tcp)],
        };
        let (mut ports, mut serving) = (BTreeMap::new(), JoinSet::new());
        for (port, protocol) in plain {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.insert(*port, listener.local_addr().unwrap());
            serving.spawn(accept(listener, echo.clone(), *protocol, None));
        }
        if let Some(tls) = tls {
            let (protocol, alpn): (_, &[&str]) = match program {
                Program::Http => (Protocol::Http1, &["h2", "http/1.1"]),
                Program::Grpc => (Protocol::Grpc, &["h2"]),
                Program::Tcp => (Protocol::Tcp, &[]),
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.insert(8443, listener.local_addr().unwrap());
            serving.spawn(accept(listener, echo.clone(), protocol, Some(tls.acceptor(alpn))));
        }
        Self { namespace: namespace.to_owned(), name: name.to_owned(), ports, echo, _serving: serving }
    }

    /// How many requests for this path it has echoed.
    pub(super) fn echoed(&self, path: &str) -> usize {
        self.echo.log.lock().unwrap().iter().filter(|logged| *logged == path).count()
    }
}

impl PodTls {
    fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match &self.client_authorities_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(certificate.unwrap()).unwrap();
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            }
        };
        let mut config = builder.with_single_cert(self.identity.chain(), self.identity.key()).unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn accept(listener: TcpListener, echo: Arc<Echo>, protocol: Protocol, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        connections.spawn(connection(stream, echo.clone(), protocol, tls.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, echo: Arc<Echo>, protocol: Protocol, tls: Option<TlsAcceptor>) {
    let Some(tls) = tls else {
        let resetter = http::Resetter::of(&stream);
        return serve(stream, echo, protocol, Value::Null, Some(resetter)).await;
    };
    let Ok(stream) = tls.accept(stream).await else { return };
    let session = stream.get_ref().1;
    let facts = facts(session);
    let protocol = match (protocol, session.alpn_protocol()) {
        (Protocol::Http1, Some(b"h2")) => Protocol::H2,
        (protocol, _) => protocol,
    };
    serve(stream, echo, protocol, facts, None).await;
}

async fn serve<S>(stream: S, echo: Arc<Echo>, protocol: Protocol, tls: Value, resetter: Option<http::Resetter>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // How a connection ends is the other end's business.
    match protocol {
        Protocol::Tcp => drop(tcp::serve(stream, &echo, tls).await),
        Protocol::Grpc => {
            let service = hyper::service::service_fn(move |request| grpc::echo(echo.clone(), tls.clone(), request));
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        }
        Protocol::H2 => {
            let visit = Arc::new(http::Visit { echo, tls, resetter: None });
            let service = hyper::service::service_fn(move |request| visit.clone().answer(request));
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        }
        Protocol::Http1 => {
            let visit = Arc::new(http::Visit { echo, tls, resetter });
            let service = hyper::service::service_fn(move |request| visit.clone().answer(request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.with_upgrades().await);
        }
    }
}

/// What a handshake established, as the suite reads it.
fn facts(session: &rustls::ServerConnection) -> Value {
    let pem = |certificate: &CertificateDer<'_>| {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.as_ref()), config)
    };
    json!({
        "version": match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        },
        "serverName": session.server_name().unwrap_or_default(),
        "negotiatedProtocol": session.alpn_protocol().map(String::from_utf8_lossy).unwrap_or_default(),
        "peerCertificates": session.peer_certificates().unwrap_or_default().iter().map(pem).collect::<Vec<_>>(),
    })
}

/// A duration as it stands in a query: `300ms`, `1s`.
fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}
