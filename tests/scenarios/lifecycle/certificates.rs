//! Certificates that change while they are shown.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use portcullis_certs::{parse_key, parse_pair};
use portcullis_tests::harness::{
    Documents, Gateway, H2Client, Options, Origin, RawClient, Signal, Tls, eventually,
    pki::{Authority, Identity},
};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{HOST, backend, both, edge, get, load, origin, route};

const HTTPS: &str = "[{name: https, protocol: HTTPS, port: 443, \
                      tls: {certificateRefs: [{group: portcullis.dev, kind: Certificate, name: edge}]}}]";

fn certificate(origin: &Origin, issuer: &str) -> String {
    edge(HTTPS)
        + &route("all", "edge", "main")
        + &backend("main", origin.address())
        + &format!(
            "---
apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {{name: edge}}
spec: {{dnsNames: [{HOST}], issuer: {issuer}}}
"
        )
}

fn from_files(origin: &Origin, folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    certificate(origin, &format!("{{files: {{certificate: \"{}\", key: \"{}\"}}}}", path("tls.crt"), path("tls.key")))
}

/// The certificate that a new connection is shown.
async fn shown(gateway: &Gateway) -> CertificateDer<'static> {
    let address = gateway.addr("default/edge", 443).await;
    let stream = Tls::new().server_name(HOST).connect(address).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

async fn shows(gateway: &Gateway, identity: &Identity) -> bool {
    shown(gateway).await == identity.chain()[0]
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    let aside = folder.join(".next");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, folder.join(name)).unwrap();
}

fn write_both(folder: &Path, identity: &Identity) {
    write(folder, "tls.crt", &identity.chain_pem);
    write(folder, "tls.key", &identity.key_pem);
}

#[tokio::test]
async fn certificates_in_files_are_swapped_without_dropping_a_connection() {
    let origin = origin().await;
    let authority = Authority::new("test");
    let [in_secret, first, second] = [0; 3].map(|_| authority.server(&[HOST]));
    // The first revision names no files: those of a later one must be watched all the same.
    let gateway = Gateway::start(&both(&origin, &in_secret).into(), Options::default()).await;
    assert!(shows(&gateway, &in_secret).await);
    let folder = gateway.folder().path().join("tls");
    write_both(&folder, &first);
    gateway.rewrite(&from_files(&origin, &folder).into()).await;
    assert!(shows(&gateway, &first).await);

    let address = gateway.addr("default/edge", 443).await;
    let tls = Tls::new().server_name(HOST).trusting(&authority.pem);
    let mut kept = RawClient::connect_tls(address, &tls).await.unwrap();
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    let h2 = H2Client::connect_tls(address, &tls).await.unwrap();
    let revision = gateway.snapshot().await["revision"].clone();
    write_both(&folder, &second);
    eventually("the new certificate is shown", async || shows(&gateway, &second).await).await;
    assert_eq!(gateway.snapshot().await["revision"], revision, "the documents are the same");
    let answer = kept.exchange(get("/")).await;
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    let request = http::Request::get(format!("https://{HOST}/")).body("").unwrap();
    assert_eq!(h2.send(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn half_a_swap_leaves_the_last_good_pair_in_force() {
    let origin = origin().await;
    let authority = Authority::new("test");
    let [first, second] = [0; 2].map(|_| authority.server(&[HOST]));
    let folder = tempfile::tempdir().unwrap();
    write_both(folder.path(), &first);
    let gateway = Gateway::start(&from_files(&origin, folder.path()).into(), Options::default()).await;

    write(folder.path(), "tls.crt", &second.chain_pem);
    eventually("the odd pair is refused", async || gateway.snapshot().await["state"] == "stale").await;
    let error = gateway.snapshot().await["error"].to_string();
    assert!(error.contains("Certificate default/edge"), "{error}");
    assert!(shows(&gateway, &first).await);
    fs::remove_file(folder.path().join("tls.key")).unwrap();
    eventually("the missing key is told", async || {
        gateway.snapshot().await["error"].as_str().unwrap_or_default().contains("cannot read")
    })
    .await;
    assert!(shows(&gateway, &first).await);
    write(folder.path(), "tls.key", &second.key_pem);
    eventually("the whole pair is taken", async || gateway.snapshot().await["state"] == "current").await;
    assert!(shows(&gateway, &second).await);
}

#[tokio::test]
async fn files_that_a_refused_revision_misses_are_waited_for() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let gateway = Gateway::start(&both(&origin, &identity).into(), Options::default()).await;
    let folder = gateway.folder().path().join("later");
    let error = gateway.rewrite_refused(&from_files(&origin, &folder).into()).await;
    assert!(error.contains("tls.crt"), "{error}");
    let other = Authority::new("other").server(&[HOST]);
    write_both(&folder, &other);
    eventually("the revision is taken", async || gateway.snapshot().await["state"] == "current").await;
    assert!(shows(&gateway, &other).await);
}

#[tokio::test]
async fn no_request_fails_while_certificates_are_swapped() {
    let origin = origin().await;
    let authority = Authority::new("test");
    let folder = tempfile::tempdir().unwrap();
    write_both(folder.path(), &authority.server(&[HOST]));
    let http = "{name: http, protocol: HTTP, port: 80}, {name: https";
    let documents = from_files(&origin, folder.path()).replace("{name: https", http);
    let gateway = Gateway::start(&documents.into(), Options { workers: 2, ..Options::default() }).await;
    let load = load(&gateway).await;
    for _ in 0..3 {
        let next = authority.server(&[HOST]);
        write_both(folder.path(), &next);
        eventually("the new certificate is shown", async || shows(&gateway, &next).await).await;
        load.more().await;
    }
    load.end().await;
}

fn issued(gateway: &Gateway) -> PathBuf {
    let folder = gateway.state().join("authority/issued");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.next().expect("a certificate was issued")
}

/// A certificate of the gateway's own authority, of which two thirds are over in a few seconds.
fn soon_due(gateway: &Gateway) -> String {
    let text = fs::read_to_string(gateway.state().join("authority/ca.key")).unwrap();
    let authority = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
    let key = KeyPair::try_from(&parse_key(text.as_bytes()).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&authority, key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(56)).into();
    params.not_after = (now + Duration::from_secs(34)).into();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let authority = fs::read_to_string(gateway.state().join("authority/ca.pem")).unwrap();
    format!("{}{authority}{}", leaf.pem(), key.serialize_pem())
}

#[tokio::test]
async fn certificates_of_the_local_authority_are_renewed_before_they_expire() {
    let origin = origin().await;
    let local = Documents::from(certificate(&origin, "{local: {}}"));
    let gateway = Gateway::start(&local, Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let authority = fs::read_to_string(gateway.state().join("authority/ca.pem")).unwrap();
    let tls = Tls::new().server_name(HOST).trusting(&authority);
    for folder in [gateway.state(), gateway.state().join("authority")] {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
    let long = shown(&gateway).await;
    let expiry = gateway.metric("portcullis_certificate_expiry_timestamp_seconds", &["Certificate default/edge"]).await;
    let days = (expiry - unix_seconds(SystemTime::now())) / 86_400.0;
    assert!((89.0..91.0).contains(&days), "{days} days");

    // What is kept is shown, until it is due.
    let due = soon_due(&gateway);
    let file = issued(&gateway);
    fs::write(&file, &due).unwrap();
    gateway.signal(Signal::HUP);
    let due_leaf = parse_pair(due.as_bytes(), due.as_bytes()).unwrap().chain()[0].clone();
    eventually("the kept certificate is shown", async || shown(&gateway).await == due_leaf).await;
    let mut kept = RawClient::connect_tls(address, &tls).await.unwrap();
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    // Whatever state the documents are in by then.
    gateway.rewrite_refused(&local.clone().with("broken.yaml", "{")).await;
    eventually("it is renewed", async || shown(&gateway).await != due_leaf).await;
    gateway.logged(|line| line["message"] == "certificates of the local authority renewed").await;
    assert_ne!(shown(&gateway).await, long, "a new one was issued");
    assert_eq!(gateway.snapshot().await["state"], "stale");
    assert_eq!(gateway.metric("portcullis_config_stale", &[]).await, 1.0);
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    assert_eq!(RawClient::connect_tls(address, &tls).await.unwrap().exchange(get("/")).await.status, 200);
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}
