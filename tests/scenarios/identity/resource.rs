//! The routes as an OAuth 2 resource: what a client without a credential learns (RFC 9728, RFC 6750 §3).

use http::header::WWW_AUTHENTICATE;
use portcullis_tests::harness::Answer;
use serde_json::{Value, json};

use super::site::{HOST, Site};

const METADATA: &str = "/.well-known/oauth-protected-resource/v1";

/// An issuer that nobody has to ask.
const PROVIDERS: &str = "apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso}
spec: {oidc: {issuer: 'https://localhost:1', audiences: ['https://llm.test/v1']}}
";

const POLICY: &str = "  authentication: {providers: [sso]}
  authorization: {authenticated: {}}
  resource: {url: 'https://llm.test/v1', scopes: [ai.chat]}
";

fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers_named(WWW_AUTHENTICATE.as_str()).collect()
}

#[tokio::test]
async fn a_client_without_a_credential_is_told_where_to_get_one() {
    let site = Site::start(PROVIDERS, POLICY).await;
    let refused = site.request("GET /v1/models", "", None).await;
    assert_eq!(refused.status, 401);
    let metadata = r#"resource_metadata="https://llm.test/.well-known/oauth-protected-resource/v1""#;
    let [bearer, dpop] = challenges(&refused)[..] else { panic!("{refused:?}") };
    assert!(bearer.starts_with("Bearer realm=") && bearer.ends_with(metadata) && !bearer.contains("error"), "{bearer}");
    assert!(dpop.starts_with("DPoP realm=") && dpop.contains("algs=\"ES256 ") && dpop.ends_with(metadata), "{dpop}");

    // After a credential that is not good, it is told that it was not good, and nothing else.
    let refused = site.request("GET /v1/models", "authorization: Bearer x.y.z\r\n", None).await;
    assert_eq!(refused.status, 401);
    assert!(challenges(&refused)[0].contains(r#", error="invalid_token", "#), "{refused:?}");

    let answer = site.request(&format!("GET {METADATA}"), "", None).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["resource"], "https://llm.test/v1");
    assert_eq!(document["authorization_servers"], json!(["https://localhost:1"]));
    assert_eq!(document["scopes_supported"], json!(["ai.chat"]));
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    assert!(site.origin.seen().is_empty());
}

#[tokio::test]
async fn metadata_is_read_by_everyone_and_by_nobody_changed() {
    let site = Site::start(PROVIDERS, POLICY).await;
    let mut client = site.connect(None).await;
    client.send(format!("HEAD {METADATA} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")).await;
    let head = client.answer_to_head().await;
    assert_eq!(head.status, 200);
    assert!(head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
    // A bad credential does not stand in the way of learning where a good one is.
    let with_credential = site.request(&format!("GET {METADATA}"), "authorization: Bearer x\r\n", None).await;
    assert_eq!(with_credential.status, 200);
    let posted = site.request(&format!("POST {METADATA}"), "content-length: 0\r\n", None).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    assert!(site.origin.seen().is_empty());
}

#[tokio::test]
async fn the_host_of_a_request_is_never_part_of_what_is_told() {
    let site = Site::start(PROVIDERS, POLICY).await;
    let mut client = site.connect(None).await;
    // This listener takes any host; another one has no metadata, and its challenge speaks of the resource alone.
    let answer = client.exchange(format!("GET {METADATA} HTTP/1.1\r\nhost: evil.example\r\n\r\n")).await;
    assert_ne!(answer.status, 200, "{answer:?}");
    let answer = client.exchange("GET /v1/models HTTP/1.1\r\nhost: evil.example\r\n\r\n").await;
    assert_eq!(answer.status, 401);
    for challenge in challenges(&answer) {
        assert!(!challenge.contains("evil") && challenge.contains("https://llm.test/"), "{challenge}");
    }
}

#[tokio::test]
async fn without_a_resource_there_is_no_metadata() {
    let policy = "  authentication: {providers: [sso]}\n";
    let site = Site::start(PROVIDERS, policy).await;
    let answer = site.request(&format!("GET {METADATA}"), "", None).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let refused = site.request("GET /v1/models", "", None).await;
    assert!(challenges(&refused).iter().all(|challenge| !challenge.contains("resource_metadata")), "{refused:?}");
}
