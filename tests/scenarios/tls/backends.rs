//! TLS towards backends, as a BackendTLSPolicy says: whom we believe, and what we show.

use std::sync::{Arc, Mutex};

use portcullis_tests::harness::{
    Gateway, Options, Origin, RawClient, Reply,
    pki::{self, Authority, Identity},
};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::texts;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A gateway before one Service behind TLS. `validation`: of its BackendTLSPolicy, besides the authority `backends`.
async fn before(origin: &Origin, authority: &Authority, validation: &str, more: &str, secrets: &str) -> Gateway {
    let policy = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: app}}\nspec:\n  targetRefs: \
         [{{group: \"\", kind: Service, name: app}}]\n  validation: {{{validation}}}\n---\n"
    );
    let documents = texts::gateway("  - {name: http, port: 80, protocol: HTTP}\n", more)
        + &texts::bare_service("app", "", &[origin.address()])
        + &texts::route("/", "app", "")
        + &pki::config_map("default", "backends", &authority.pem)
        + "---\n"
        + &policy
        + secrets;
    Gateway::start(&documents.into(), Options::default()).await
}

const TRUSTED: &str = "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: backends}]";

async fn status(gateway: &Gateway) -> u16 {
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status
}

async fn origin(identity: &Identity) -> Origin {
    Origin::start_tls(identity.server_config(&["http/1.1"]), |_| Reply::Bytes(OK.to_vec())).await
}

/// The policy's validation, what the server's certificate says, and whether it is believed.
async fn check(validation: &str, names: &[&str], believed: bool) {
    let authority = Authority::new("backends");
    let origin = origin(&authority.server(names)).await;
    let gateway = before(&origin, &authority, validation, "", "").await;
    let status = status(&gateway).await;
    let expected = if believed { 200..=200 } else { 502..=503 };
    assert!(expected.contains(&status), "{validation} and a certificate for {names:?}: {status}");
    assert_eq!(origin.seen().len(), usize::from(believed), "nothing is sent to a server that is not believed");
}

#[tokio::test]
async fn a_server_must_prove_its_name() {
    let validation = format!("hostname: origin.test, {TRUSTED}");
    check(&validation, &["origin.test"], true).await;
    check(&validation.replace("origin", "x.origin"), &["*.origin.test"], true).await;
    check(&validation.replace("origin", "x.y.origin"), &["*.origin.test"], false).await;
    check(&validation, &["other.test"], false).await;
    check(&validation, &["127.0.0.1"], false).await;
}

#[tokio::test]
async fn subject_alternative_names_replace_the_name() {
    let names = |listed: &str| format!("hostname: origin.test, {TRUSTED}, subjectAltNames: [{listed}]");
    let host = names("{type: Hostname, hostname: inner.test}");
    check(&host, &["inner.test"], true).await;
    check(&host, &["origin.test"], false).await;
    let uri = names("{type: URI, uri: \"spiffe://corp.test/app\"}");
    check(&uri, &["spiffe://corp.test/app"], true).await;
    check(&uri, &["spiffe://corp.test/apps", "origin.test"], false).await;
    let either = names("{type: Hostname, hostname: inner.test}, {type: URI, uri: \"spiffe://corp.test/app\"}");
    check(&either, &["spiffe://corp.test/app"], true).await;
}

#[tokio::test]
async fn only_the_trusted_authority_counts() {
    let (trusted, other) = (Authority::new("backends"), Authority::new("backends"));
    let validation = format!("hostname: origin.test, {TRUSTED}");
    let strange = origin(&other.server(&["origin.test"])).await;
    let gateway = before(&strange, &trusted, &validation, "", "").await;
    assert!(matches!(status(&gateway).await, 502..=503));
    assert!(strange.seen().is_empty());
    let between = origin(&trusted.intermediate("between").server(&["origin.test"])).await;
    let gateway = before(&between, &trusted, &validation, "", "").await;
    assert_eq!(status(&gateway).await, 200);
    // The system's authorities know neither.
    let gateway = before(&between, &trusted, "hostname: origin.test, wellKnownCACertificates: System", "", "").await;
    assert!(matches!(status(&gateway).await, 502..=503));
    assert_eq!(between.seen().len(), 1);
}

#[tokio::test]
async fn the_systems_authorities_count_where_a_policy_says_so() {
    let authority = Authority::new("system");
    let folder = tempfile::TempDir::new().unwrap();
    let bundle = folder.path().join("bundle.pem");
    std::fs::write(&bundle, &authority.pem).unwrap();
    let origin = origin(&authority.server(&["origin.test"])).await;
    let documents = texts::gateway("  - {name: http, port: 80, protocol: HTTP}\n", "")
        + &texts::bare_service("app", "", &[origin.address()])
        + &texts::route("/", "app", "")
        + "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: app}\nspec:\n  targetRefs: \
           [{group: \"\", kind: Service, name: app}]\n  validation: {hostname: origin.test, wellKnownCACertificates: \
           System}\n";
    let environment = vec![("SSL_CERT_FILE".to_owned(), bundle.display().to_string())];
    let gateway = Gateway::start(&documents.into(), Options { environment, ..Options::default() }).await;
    assert_eq!(status(&gateway).await, 200);
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_to_a_server_that_asks() {
    let (backends, gateways) = (Authority::new("backends"), Authority::new("gateways"));
    let config = backends.server(&["origin.test"]).server_config_for_clients(&["http/1.1"], &gateways.pem);
    let origin = Origin::start_tls(config, |_| Reply::Bytes(OK.to_vec())).await;
    let validation = format!("hostname: origin.test, {TRUSTED}");
    let without = before(&origin, &backends, &validation, "", "").await;
    assert!(matches!(status(&without).await, 502..=503), "a client without a certificate is refused");
    let more = "  tls: {backend: {clientCertificateRef: {name: us}}}\n";
    let secret = gateways.client(&["gateway.test"]).secret("default", "us");
    let with = before(&origin, &backends, &validation, more, &secret).await;
    assert_eq!(status(&with).await, 200);
}

/// Remembers the server names that clients ask for.
#[derive(Debug)]
struct Listening(Arc<CertifiedKey>, Arc<Mutex<Vec<Option<String>>>>);

impl ResolvesServerCert for Listening {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.1.lock().unwrap().push(hello.server_name().map(str::to_owned));
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn the_name_is_asked_for_and_the_hosts_of_clients_are_not() {
    let authority = Authority::new("backends");
    let identity = authority.server(&["origin.test"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = CertifiedKey::from_der(identity.chain(), identity.key(), &provider).unwrap();
    let names = Arc::new(Mutex::new(Vec::new()));
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let listening = Listening(Arc::new(key), Arc::clone(&names));
    let config = builder.with_no_client_auth().with_cert_resolver(Arc::new(listening));
    let origin = Origin::start_tls(config, |_| Reply::Bytes(OK.to_vec())).await;
    let gateway = before(&origin, &authority, &format!("hostname: origin.test, {TRUSTED}"), "", "").await;
    assert_eq!(status(&gateway).await, 200);
    assert_eq!(*names.lock().unwrap(), [Some("origin.test".to_owned())]);
}

#[tokio::test]
async fn a_policy_without_an_authority_sends_nothing_in_the_clear() {
    let origin = Origin::answering(OK).await;
    let policy = "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: app}\nspec:\n  \
                  targetRefs: [{group: \"\", kind: Service, name: app}]\n  validation: {hostname: origin.test, \
                  caCertificateRefs: [{group: \"\", kind: ConfigMap, name: nowhere}]}\n---\n";
    // Even though another document allows plaintext.
    let documents = texts::gateway("  - {name: http, port: 80, protocol: HTTP}\n", "")
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "")
        + policy;
    let refused = Gateway::try_start(&documents.clone().into(), Options::default()).await.map(|_| ()).unwrap_err();
    assert!(refused.stderr.contains("nowhere"), "{}", refused.stderr);
    let options = Options { serve_unresolved: true, ..Options::default() };
    let gateway = Gateway::start(&documents.into(), options).await;
    assert!(matches!(status(&gateway).await, 500..=503));
    assert!(origin.seen().is_empty());
}
