//! Client certificates: who must show one, and what follows from it.

use http::Request;
use portcullis_tests::harness::{
    Gateway, H2Client, Options, Origin, RawClient, Tls,
    pki::{self, Authority, Identity, Usage},
};

use super::{get, listener, origin};
use crate::texts;

struct Validating {
    _gateway: Gateway,
    address: std::net::SocketAddr,
    site: Authority,
    clients: Authority,
    origin: Origin,
}

impl Validating {
    /// `mode`: of the validation that all listeners have by default.
    async fn start(mode: &str) -> Self {
        let (site, clients, origin) = (Authority::new("site"), Authority::new("clients"), origin("ok").await);
        let reference = "{group: \"\", kind: ConfigMap, name: clients}";
        let more = format!(
            "  tls: {{frontend: {{default: {{validation: {{caCertificateRefs: [{reference}], mode: {mode}}}}}}}}}\n"
        );
        let documents = texts::gateway(&listener("https", "", &["site"]), &more)
            + &site.server(&["app.test"]).secret("default", "site")
            + "---\n"
            + &pki::config_map("default", "clients", &clients.pem)
            + "---\n"
            + &texts::service("app", "", &[origin.address()])
            + &texts::route("/", "app", "");
        let gateway = Gateway::start(&documents.into(), Options::default()).await;
        let address = gateway.addr("default/edge", 443).await;
        Self { _gateway: gateway, address, site, clients, origin }
    }

    fn tls(&self, identity: Option<&Identity>) -> Tls {
        let tls = Tls::new().server_name("app.test").trusting(&self.site.pem);
        identity.map_or(tls.clone(), |identity| tls.identity(identity))
    }

    /// Whether a client with this certificate gets an answer. Over TLS 1.3 a client learns of its refusal only when it
    /// reads.
    async fn lets_in(&self, identity: Option<&Identity>) -> bool {
        let mut let_in = Vec::new();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = RawClient::connect_tls(self.address, &self.tls(identity).versions(&[version])).await;
            let Ok(mut client) = client else {
                let_in.push(false);
                continue;
            };
            let sent = client.try_send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n").await;
            let_in.push(sent.is_ok() && client.try_answer().await.is_ok_and(|answer| answer.status == 200));
        }
        assert_eq!(let_in[0], let_in[1], "both versions of TLS judge alike");
        let_in[0]
    }
}

/// What a client may show, and whether that is a certificate of the right authority that is valid.
fn shown(right: &Authority) -> Vec<(&'static str, Option<Identity>, bool)> {
    let wrong = Authority::new("wrong");
    let expired = right.issue(&["client.test"], Usage::Client, |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    });
    vec![
        ("nothing", None, false),
        ("a valid certificate", Some(right.client(&["client.test"])), true),
        ("one by way of an intermediate", Some(right.intermediate("between").client(&["client.test"])), true),
        ("one of another authority", Some(wrong.client(&["client.test"])), false),
        ("an expired one", Some(expired), false),
        ("a server's", Some(right.server(&["client.test"])), false),
    ]
}

#[tokio::test]
async fn only_clients_with_a_valid_certificate_are_let_in() {
    let validating = Validating::start("AllowValidOnly").await;
    for (what, identity, valid) in shown(&validating.clients) {
        assert_eq!(validating.lets_in(identity.as_ref()).await, valid, "{what}");
    }
    assert_eq!(validating.origin.seen().len(), 2 * 2);
}

#[tokio::test]
async fn insecure_fallback_lets_everyone_in() {
    let validating = Validating::start("AllowInsecureFallback").await;
    for (what, identity, _) in shown(&validating.clients) {
        assert!(validating.lets_in(identity.as_ref()).await, "{what}");
    }
}

#[tokio::test]
async fn a_certificate_is_asked_for_where_a_port_says_so_alone() {
    let (site, clients, origin) = (Authority::new("site"), Authority::new("clients"), origin("ok").await);
    let reference = "{group: \"\", kind: ConfigMap, name: clients}";
    let strict = listener("strict", "", &["site"]).replace("443", "8443");
    let more = format!(
        "  tls: {{frontend: {{default: {{}}, perPort: [{{port: 8443, tls: {{validation: {{caCertificateRefs: \
         [{reference}]}}}}}}]}}}}\n"
    );
    let documents = texts::gateway(&(listener("open", "", &["site"]) + &strict), &more)
        + &site.server(&["app.test"]).secret("default", "site")
        + "---\n"
        + &pki::config_map("default", "clients", &clients.pem)
        + "---\n"
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let tls = Tls::new().server_name("app.test").trusting(&site.pem);
    let shared = tls.clone().resuming();
    let mut client = RawClient::connect_tls(gateway.addr("default/edge", 443).await, &shared).await.unwrap();
    assert_eq!(get(&mut client, "app.test").await.text(), "ok");
    let strict = gateway.addr("default/edge", 8443).await;
    let identity = clients.client(&["client.test"]);
    let mut client = RawClient::connect_tls(strict, &tls.identity(&identity)).await.unwrap();
    assert_eq!(get(&mut client, "app.test").await.text(), "ok");
    // A ticket of the lax port is no entrance to the strict one.
    if let Ok(mut client) = RawClient::connect_tls(strict, &shared).await {
        let _ = client.try_send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n").await;
        assert!(client.try_answer().await.is_err());
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn backends_do_not_hear_of_certificates_from_clients_themselves() {
    let validating = Validating::start("AllowInsecureFallback").await;
    let client = H2Client::connect_tls(validating.address, &validating.tls(None)).await.unwrap();
    let request =
        Request::get("https://app.test/").header("x-forwarded-client-cert", "By=me").header("client-cert", ":a:");
    assert_eq!(client.send(request.body("").unwrap()).await.unwrap().status(), 200);
    let seen = validating.origin.seen();
    assert_eq!((seen[0].header("x-forwarded-client-cert"), seen[0].header("client-cert")), (None, None));
}
