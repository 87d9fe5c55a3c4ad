//! Client certificates as callers: workloads by SPIFFE ID, users by their subject, and lists that revoke them.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use portcullis_tests::harness::{
    Gateway, Options, Origin, PATIENCE, RawClient, Tls, binary, eventually,
    pki::{self, Authority, Identity, Usage},
};
use rcgen::{DistinguishedName, DnType};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::site::Site;
use crate::{edge::Puppet, texts};

const SERIAL: u64 = 4711;

/// A gateway that asks for certificates, takes everyone in, and lets those pass whom a certificate names.
struct Named {
    gateway: Gateway,
    address: SocketAddr,
    site: Authority,
    clients: Authority,
    origin: Origin,
    lists: PathBuf,
    documents: String,
}

impl Named {
    /// `mtls`: the provider, as it is written; `{LISTS}` in it is the file of revocation lists.
    async fn start(mtls: &str, lists: impl Fn(&Authority) -> String) -> Self {
        let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let address = origin.address();
        Self::before(origin, address, mtls, lists).await
    }

    /// The same, before a backend of one's own.
    async fn before(origin: Origin, backend: SocketAddr, mtls: &str, lists: impl Fn(&Authority) -> String) -> Self {
        let (site, clients) = (Authority::new("site"), Authority::new("clients"));
        let folder = Arc::new(TempDir::new().unwrap());
        let path = folder.path().join("lists.pem");
        fs::write(&path, lists(&clients)).unwrap();
        let reference = "{group: \"\", kind: ConfigMap, name: clients}";
        let listener = "  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: site}]}}\n";
        let more = format!(
            "  tls: {{frontend: {{default: {{validation: {{caCertificateRefs: [{reference}], mode: \
             AllowInsecureFallback}}}}}}}}\n"
        );
        let mtls = mtls.replace("{LISTS}", &path.display().to_string());
        let taken = "authentication: {providers: [machines]}\n  authorization: {authenticated: {}}\n  upstream: {headers: \
                     {user: x-user, groups: x-groups}}\n";
        let documents = texts::gateway(listener, &more)
            .replace("authentication: {anonymous: {actions: ['*']}}\n", taken)
            + &format!(
                "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {{name: machines}}\nspec: {{mtls: \
                 {mtls}}}\n---\n"
            )
            + &site.server(&["app.test"]).secret("default", "site")
            + "---\n"
            + &pki::config_map("default", "clients", &clients.pem)
            + "---\n"
            + &texts::service("app", "", &[backend])
            + &texts::route("/", "app", "");
        let options = Options { folder: Some(folder), ..Options::default() };
        let gateway = Gateway::start(&documents.clone().into(), options).await;
        let address = gateway.addr("default/edge", 443).await;
        Self { gateway, address, site, clients, origin, lists: path, documents }
    }

    async fn connect(&self, identity: Option<&Identity>) -> RawClient {
        let tls = Tls::new().server_name("app.test").trusting(&self.site.pem);
        let tls = identity.map_or(tls.clone(), |identity| tls.identity(identity));
        RawClient::connect_tls(self.address, &tls).await.unwrap()
    }

    async fn status(&self, identity: Option<&Identity>) -> u16 {
        ask(&mut self.connect(identity).await, "").await
    }

    /// Who the backend was told it was, the last time.
    fn told(&self) -> String {
        let seen = self.origin.seen();
        let last = seen.last().unwrap();
        format!("{} {}", last.header("x-user").unwrap_or("-"), last.header("x-groups").unwrap_or("-"))
    }

    /// Replaces the lists, and waits until documents have been read again.
    async fn replace_lists(&self, lists: &str) {
        let readings = async || self.gateway.metric("portcullis_config_reloads_total", &[]).await;
        let before = readings().await;
        fs::write(&self.lists, lists).unwrap();
        eventually("the lists are read again", async || readings().await > before).await;
    }

    /// Takes the certificates of another authority from now on.
    async fn trust(&self, clients: &Authority) {
        let old = pki::config_map("default", "clients", &self.clients.pem);
        let new = pki::config_map("default", "clients", &clients.pem);
        self.gateway.rewrite(&self.documents.replace(&old, &new).into()).await;
    }

    async fn rejections(&self, word: &str) -> f64 {
        self.gateway.metric("portcullis_authentications_total", &[&format!("\"{word}\"")]).await
    }
}

async fn ask(client: &mut RawClient, headers: &str) -> u16 {
    client.exchange(format!("GET / HTTP/1.1\r\nhost: app.test\r\n{headers}\r\n")).await.status
}

fn nothing(_: &Authority) -> String {
    String::new()
}

#[tokio::test]
async fn a_workload_passes_by_its_spiffe_id_and_nothing_else() {
    let named = Named::start("{trustDomain: corp.example}", nothing).await;
    let agent = named.clients.client(&["spiffe://corp.example/ns/agents/sa/a"]);
    assert_eq!(named.status(Some(&agent)).await, 200);
    assert_eq!(named.told(), "spiffe://corp.example/ns/agents/sa/a -");
    let others = [
        named.clients.client(&["spiffe://evil.example/ns/agents/sa/a"]),
        named.clients.client(&["spiffe://corp.example/a", "spiffe://corp.example/b"]),
        named.clients.client(&["agent.corp.example"]),
        Authority::new("another").client(&["spiffe://corp.example/ns/agents/sa/a"]),
        Authority::new("clients").client(&["spiffe://corp.example/ns/agents/sa/a"]),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_eq!(named.status(Some(other)).await, 401, "{index}");
    }
    assert_eq!(named.status(None).await, 401);
    assert_eq!(named.origin.seen().len(), 1);
    for word in ["certificate_trust_domain", "certificate_no_spiffe_id", "certificate_unverified", "missing"] {
        assert!(named.rejections(word).await > 0.0, "{word}");
    }
}

#[tokio::test]
async fn what_headers_say_of_certificates_never_counts() {
    let named = Named::start("{trustDomain: corp.example}", nothing).await;
    let id = "spiffe://corp.example/ns/agents/sa/a";
    for claim in [
        format!("x-forwarded-client-cert: URI={id}\r\n"),
        format!("x_forwarded_client_cert: URI={id}\r\n"),
        format!("x-spiffe-id: {id}\r\n"),
        "client-cert: :AAAA:\r\n".to_owned(),
        "x-user: root\r\n".to_owned(),
    ] {
        assert_eq!(ask(&mut named.connect(None).await, &claim).await, 401, "{claim}");
    }
    let agent = named.clients.client(&[id]);
    let claim = "x-forwarded-client-cert: URI=spiffe://corp.example/root\r\nx-user: root\r\nx_user: root\r\n";
    assert_eq!(ask(&mut named.connect(Some(&agent)).await, claim).await, 200);
    assert_eq!(named.told(), format!("{id} -"));
    let head = String::from_utf8_lossy(&named.origin.seen()[0].head).into_owned();
    assert!(!head.contains("root"), "{head}");
}

#[tokio::test]
async fn a_user_passes_by_a_name_of_the_subject_with_its_units() {
    let named = Named::start("{subject: {user: email, unitsAreGroups: true}}", nothing).await;
    let person = |addresses: &[&str]| {
        named.clients.issue(&[], Usage::Client, |params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationalUnitName, "ml, research");
            params.distinguished_name.push(DnType::CommonName, "Alice");
            let address = |address: &&str| rcgen::SanType::Rfc822Name((*address).try_into().unwrap());
            params.subject_alt_names = addresses.iter().map(address).collect();
        })
    };
    assert_eq!(named.status(Some(&person(&["alice@corp.example"]))).await, 200);
    assert_eq!(named.told(), "alice@corp.example ml%2C%20research");
    assert_eq!(named.status(Some(&person(&["alice@corp.example", "root@corp.example"]))).await, 401);
    assert_eq!(named.status(Some(&person(&[]))).await, 401);
}

#[tokio::test]
async fn a_certificate_that_is_revoked_is_refused_on_the_connection_that_it_opened() {
    let now = Duration::ZERO;
    let start = |clients: &Authority| clients.revocation_list(&[SERIAL + 1], Duration::ZERO);
    let named = Named::start("{trustDomain: corp.example, crl: {file: '{LISTS}'}}", start).await;
    let agent = |serial: u64| {
        named.clients.issue(&["spiffe://corp.example/a"], Usage::Client, |params| {
            params.serial_number = Some(serial.into());
        })
    };
    let (good, revoked) = (agent(SERIAL), agent(SERIAL + 1));
    assert_eq!(named.status(Some(&revoked)).await, 401);
    let mut client = named.connect(Some(&good)).await;
    assert_eq!(ask(&mut client, "").await, 200);
    named.replace_lists(&named.clients.revocation_list(&[SERIAL], now)).await;
    eventually("the lists are read again", async || ask(&mut client, "").await == 401).await;
    assert!(named.rejections("certificate_revoked").await > 0.0);
    assert_eq!(named.status(Some(&revoked)).await, 200, "the newer list does not name it");

    // A list past its time says nothing, so nobody passes; another authority's says nothing of these.
    named.replace_lists(&named.clients.revocation_list(&[], Duration::from_hours(2))).await;
    eventually("an expired list is heeded", async || {
        named.status(Some(&revoked)).await;
        named.rejections("crl_expired").await > 0.0
    })
    .await;
    assert_eq!(named.status(Some(&revoked)).await, 401);
    named.replace_lists(&Authority::new("another").revocation_list(&[], now)).await;
    eventually("a list of another is no list", async || {
        named.status(Some(&revoked)).await;
        named.rejections("crl_missing").await > 0.0
    })
    .await;
    // Rubbish is refused, and what was in force stays.
    fs::write(&named.lists, "no list at all").unwrap();
    eventually("rubbish is refused", async || named.gateway.snapshot().await["state"] == "stale").await;
    assert_eq!(named.status(Some(&revoked)).await, 401);
}

#[tokio::test]
async fn a_certificate_does_not_outlive_its_authority_on_the_connection_that_it_opened() {
    let named = Named::start("{trustDomain: corp.example}", nothing).await;
    let another = Authority::new("clients");
    let id = ["spiffe://corp.example/a"];
    let (of_old, of_new) = (named.clients.client(&id), another.client(&id));
    let mut client = named.connect(Some(&of_old)).await;
    assert_eq!(ask(&mut client, "").await, 200);
    named.trust(&another).await;
    // A new handshake is due, and says that it counts no longer.
    eventually("the connection is refused", async || ask(&mut client, "").await == 421).await;
    assert!(client.read_until_close(PATIENCE).await.unwrap().is_empty());
    assert_eq!(named.status(Some(&of_old)).await, 401);
    assert_eq!(named.status(Some(&of_new)).await, 200);
}

#[tokio::test]
async fn an_open_answer_does_not_outlive_the_authority_of_its_certificate() {
    let puppet = Puppet::start().await;
    let unused = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let named = Named::before(unused, puppet.address(), "{trustDomain: corp.example}", nothing).await;
    let mut client = named.connect(Some(&named.clients.client(&["spiffe://corp.example/a"]))).await;
    client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n").await;
    let (_, mut origin) = puppet.request().await;
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    origin.write_all(format!("{stream}8\r\ndata: 1\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status, 200);
    named.trust(&Authority::new("clients")).await;
    client.read_until_close(PATIENCE).await.expect("the stream ends");
    assert_eq!(named.gateway.metric("portcullis_refusals_total", &[r#"code="permission_lost""#]).await, 1.0);
}

#[tokio::test]
async fn a_route_whose_clients_are_never_asked_for_a_certificate_is_a_mistake() {
    let documents = texts::PLAIN_GATEWAY.replace("{anonymous: {actions: ['*']}}", "{providers: [machines]}")
        + "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {name: machines}\nspec: {mtls: \
           {trustDomain: corp.example}}\n---\n"
        + &texts::service("app", "", &[([127, 0, 0, 1], 9).into()])
        + &texts::route("/", "app", "");
    let refused = Gateway::try_start(&documents.into(), Options::default()).await.unwrap_err();
    assert!(refused.stderr.contains("clients are not asked for a certificate here"), "{}", refused.stderr);
}

/// A gateway that takes certificates and whatever else is named, and tells its backend who came.
async fn site_with_keys(providers: &str) -> (Site, String, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("keys.yaml");
    let mut command = Command::new(binary("portcullis"));
    let made = command.args(["keys", "create", "--owner", "alice", "--file"]).arg(&file).output().await.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let kind = "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\n";
    let documents = format!(
        "{kind}metadata: {{name: machines}}\nspec: {{mtls: {{trustDomain: corp.example}}}}\n---\n{kind}metadata: {{name: \
         keys}}\nspec: {{apiKeys: {{file: {}}}}}\n",
        file.display()
    );
    let policy = format!(
        "  authentication: {{providers: [{providers}]}}\n  authorization: {{authenticated: {{}}}}\n  upstream: {{headers: \
         {{user: x-user}}}}\n"
    );
    let site = Site::start(&documents, &policy).await;
    (site, String::from_utf8(made.stdout).unwrap().trim_end().to_owned(), folder)
}

const ANYTHING: [&str; 4] =
    ["authorization: Bearer dummy\r\n", "x-api-key: dummy\r\n", "api-key: dummy\r\n", "authorization: Basic YTpi\r\n"];

#[tokio::test]
async fn what_a_stock_sdk_sends_besides_does_not_hide_a_certificate() {
    let (site, _, _folder) = site_with_keys("machines").await;
    let agents = ["a", "b"].map(|name| site.clients.client(&[&format!("spiffe://corp.example/{name}")]));
    let foreign = site.clients.client(&["spiffe://evil.example/a"]);
    for header in ANYTHING {
        // Twice, and by turns: nobody is remembered by what does not count.
        for (agent, name) in [(0, "a"), (1, "b"), (0, "a")] {
            assert_eq!(site.request("GET /v1/x", header, Some(&agents[agent])).await.status, 200, "{header}");
            let told = site.origin.seen().pop().unwrap();
            assert_eq!(told.header("x-user"), Some(&*format!("spiffe://corp.example/{name}")), "{header}");
            assert!(!String::from_utf8_lossy(&told.head).contains("dummy"), "{header}");
        }
        assert_eq!(site.request("GET /v1/x", header, None).await.status, 401, "{header}");
        assert_eq!(site.request("GET /v1/x", header, Some(&foreign)).await.status, 401, "{header}");
    }
    let two = "authorization: Bearer dummy\r\nx-api-key: dummy\r\n";
    assert_eq!(site.request("GET /v1/x", two, Some(&agents[0])).await.status, 400);
    assert_eq!(site.origin.seen().len(), 3 * ANYTHING.len());
}

#[tokio::test]
async fn where_keys_are_taken_as_well_a_header_is_what_counts() {
    let (site, key, _folder) = site_with_keys("machines, keys").await;
    let agent = site.clients.client(&["spiffe://corp.example/a"]);
    for header in [format!("authorization: Bearer {key}\r\n"), format!("x-api-key: {key}\r\n")] {
        assert_eq!(site.request("GET /v1/x", &header, Some(&agent)).await.status, 200);
        assert_eq!(site.origin.seen().pop().unwrap().header("x-user"), Some("alice"), "{header}");
    }
    for header in ANYTHING.iter().take(3) {
        assert_eq!(site.request("GET /v1/x", header, Some(&agent)).await.status, 401, "{header}");
    }
    assert_eq!(site.request("GET /v1/x", "", Some(&agent)).await.status, 200);
    assert_eq!(site.origin.seen().pop().unwrap().header("x-user"), Some("spiffe://corp.example/a"));
    // Nobody here knows people by their passwords.
    assert_eq!(site.request("GET /v1/x", ANYTHING[3], Some(&agent)).await.status, 200);
    assert_eq!(site.origin.seen().len(), 4);
}
