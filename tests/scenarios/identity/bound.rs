//! Credentials that are bound to a certificate (RFC 8705), as a certified provider gives them out over mutual TLS.

use portcullis_tests::harness::{
    issuer::{Grant, OidcProvider},
    pki::{Authority, Identity},
};

use super::site::Site;

const POLICY: &str = "  authentication: {providers: [sso]}\n  authorization: {authenticated: {}}\n";

/// A provider of callers whom this issuer knows. `more`: further fields of `oidc`, four spaces deep.
pub(super) fn provider(issuer: &OidcProvider, more: &str) -> String {
    let (url, trust) = (issuer.issuer(), issuer.trust());
    let secret = trust.with_file_name("gw-secret");
    std::fs::write(&secret, "gw-secret\n").unwrap();
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: sso}}
spec:
  oidc:
    issuer: {url}
    trust: {{file: {}}}
    audiences: ['https://llm.corp.example']
    introspection: {{clientId: gw, clientSecret: {{file: {}}}}}
{more}",
        trust.display(),
        secret.display()
    )
}

async fn granted(issuer: &OidcProvider, format: &str, identity: &Identity) -> String {
    let form = vec![("fmt", format.to_owned())];
    let grant = Grant { client: Some("bound"), form, identity: Some(identity), ..Grant::default() };
    let granted = issuer.grant(&grant).await;
    granted["access_token"].as_str().unwrap_or_else(|| panic!("{granted}")).to_owned()
}

async fn shown(site: &Site, credential: &str, more: &str, identity: Option<&Identity>) -> u16 {
    let headers = format!("authorization: Bearer {credential}\r\n{more}");
    site.request("GET /v1/things", &headers, identity).await.status
}

#[tokio::test]
async fn a_credential_that_is_bound_to_a_certificate_counts_over_connections_that_show_it() {
    let clients = Authority::new("clients");
    let issuer = OidcProvider::start(Some(&clients.pem)).await;
    let site = Site::start_with_clients(clients, &provider(&issuer, "")).await;
    let (mine, another) = (site.clients.client(&["mine.test"]), site.clients.client(&["another.test"]));
    // What a proxy in front would say. It is not listened to.
    let said: String = mine.chain_pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let said = format!("x-forwarded-client-cert: Cert=\"{said}\"\r\nclient-cert: :{said}:\r\n");
    for format in ["jwt", "opaque"] {
        let credential = granted(&issuer, format, &mine).await;
        assert_eq!(shown(&site, &credential, "", Some(&mine)).await, 200, "{format}");
        assert_eq!(shown(&site, &credential, "", Some(&mine)).await, 200, "{format}: again");
        assert_eq!(shown(&site, &credential, "", Some(&another)).await, 401, "{format}: another certificate");
        assert_eq!(shown(&site, &credential, "", None).await, 401, "{format}: none");
        assert_eq!(shown(&site, &credential, &said, None).await, 401, "{format}: in a header");
        assert_eq!(shown(&site, &credential, &said, Some(&another)).await, 401, "{format}: another, and in a header");
    }
    assert_eq!(site.origin.seen().len(), 4);
    assert_eq!((site.judged("certificate_missing").await, site.judged("certificate_of_another").await), (4.0, 4.0));
}

#[tokio::test]
async fn the_issuer_may_bind_to_a_certificate_that_the_gateway_does_not_trust() {
    let clients = Authority::new("clients");
    let issuer = OidcProvider::start(Some(&clients.pem)).await;
    let site = Site::start_with_clients(clients, &provider(&issuer, "    proof: Required\n")).await;
    // Its client has shown the issuer that it holds the key of this certificate, and now shows it to the gateway.
    let elsewhere = Authority::new("elsewhere").client(&["mine.test"]);
    let credential = granted(&issuer, "jwt", &elsewhere).await;
    assert_eq!(shown(&site, &credential, "", Some(&elsewhere)).await, 200);
    assert_eq!(shown(&site, &credential, "", Some(&site.clients.client(&["mine.test"]))).await, 401);
    assert_eq!(shown(&site, &credential, "", None).await, 401);
}

impl Site {
    async fn start_with_clients(clients: Authority, providers: &str) -> Self {
        Self::start_for(clients, providers, POLICY).await
    }
}
