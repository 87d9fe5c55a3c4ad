//! Credentials of a certified OpenID provider: who is let in, as whom, and what the provider's absence costs.

use portcullis_tests::harness::{
    PATIENCE, Signal, eventually,
    issuer::{AUDIENCE, HostileIssuer, OidcProvider, oidc_provider},
};
use serde_json::json;
use tokio::time::Instant;

use super::site::Site;

const POLICY: &str = "  authentication: {providers: [sso]}
  authorization: {authenticated: {}}
";

/// The document of a provider, with further fields of `oidc`.
pub(super) fn document(name: &str, issuer: &str, trust: &std::path::Path, fields: &str) -> String {
    let trust = trust.display();
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: {name}}}
spec:
  oidc: {{issuer: '{issuer}', audiences: ['{AUDIENCE}'], trust: {{file: '{trust}'}}, claims: {{groups: groups}}, {fields}}}
"
    )
}

pub(super) async fn hostile_site(issuer: &HostileIssuer, fields: &str) -> Site {
    Site::start(&document("sso", &issuer.issuer(), &issuer.trust(), fields), POLICY).await
}

/// The status of a request with this credential.
pub(super) async fn status(site: &Site, credential: &str) -> u16 {
    site.request("GET /v1/things", &format!("authorization: Bearer {credential}\r\n"), None).await.status
}

/// Waits until the gateway has the keys of its issuer: before that, nobody can be judged.
pub(super) async fn knows_keys(site: &Site, credential: &str) {
    eventually("the keys are fetched", async || status(site, credential).await == 200).await;
}

async fn provider_site(provider: &OidcProvider) -> Site {
    Site::start(&document("sso", &provider.issuer(), &provider.trust(), ""), POLICY).await
}

#[tokio::test]
async fn credentials_of_a_certified_provider_are_taken_in_each_algorithm() {
    let provider = oidc_provider().await;
    let site = provider_site(provider).await;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let credential = provider.credential(algorithm, "ai-users").await;
        assert_eq!(status(&site, &credential).await, 200, "{algorithm}: {}", site.gateway.stderr());
        // The refusal beside the success: one character of the signature is another.
        let (rest, signature) = credential.split_at(credential.rfind('.').unwrap() + 10);
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        assert_eq!(status(&site, &format!("{rest}{other}{}", &signature[1..])).await, 401, "{algorithm}");
    }
    assert_eq!(site.origin.seen().len(), 3);
}

#[tokio::test]
async fn groups_in_the_credential_decide() {
    let provider = oidc_provider().await;
    let roles = "apiVersion: portcullis.dev/v1alpha1
kind: Role
metadata: {name: reader}
rules:
- {routes: ['*'], actions: ['*']}
---
apiVersion: portcullis.dev/v1alpha1
kind: RoleBinding
metadata: {name: engineers}
subjects: [{kind: Group, provider: sso, name: ml-engineers}]
roleRef: {kind: Role, name: reader}
";
    let documents = format!("{}---\n{roles}", document("sso", &provider.issuer(), &provider.trust(), ""));
    let site = Site::start(&documents, "  authentication: {providers: [sso]}\n").await;
    let member = provider.credential("ES256", "staff,ml-engineers").await;
    let stranger = provider.credential("ES256", "staff,ml-engineers-eu").await;
    assert_eq!(status(&site, &member).await, 200, "{}", site.gateway.stderr());
    assert_eq!(status(&site, &stranger).await, 403);
    assert_eq!(site.origin.seen().len(), 1);
}

/// SIGSTOP: connections are accepted by the kernel, and nobody ever answers.
#[tokio::test]
async fn valid_callers_go_on_while_the_issuer_is_stopped_and_others_wait_for_a_bounded_time() {
    let issuer = HostileIssuer::start().await;
    let site = hostile_site(&issuer, "cache: {fresh: 0s}").await;
    let good = issuer.credential(json!({})).await;
    knows_keys(&site, &good).await;
    issuer.rotate("ES256", "two", true).await;
    let unknown = issuer.credential_by("ES256", "two", json!({})).await;
    issuer.signal(Signal::STOP);
    let begun = Instant::now();
    let (waiting, known) = tokio::join!(status(&site, &unknown), async {
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(status(&site, &good).await);
        }
        all
    });
    assert_eq!((waiting, known), (401, vec![200; 20]));
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    issuer.signal(Signal::CONT);
    eventually("the new key is learnt of", async || status(&site, &unknown).await == 200).await;
}

#[tokio::test]
async fn nobody_gets_in_while_keys_are_unknown_and_everybody_does_when_they_are() {
    let issuer = HostileIssuer::start().await;
    issuer.publish(json!({"path": "/jwks", "mode": "status", "status": 503})).await;
    let site = hostile_site(&issuer, "").await;
    let good = issuer.credential(json!({})).await;
    let answer = site.request("GET /v1/things", &format!("authorization: Bearer {good}\r\n"), None).await;
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{answer:?}");
    // A credential of nobody's is a 401 all the same.
    assert_eq!(status(&site, "opaque").await, 401);
    issuer.publish(json!({"path": "/jwks", "mode": "honest"})).await;
    knows_keys(&site, &good).await;
}

#[tokio::test]
async fn keys_that_are_too_old_let_nobody_in_until_they_are_confirmed() {
    let issuer = HostileIssuer::start().await;
    let site = hostile_site(&issuer, "cache: {fresh: 0s, stale: 2s}").await;
    let good = issuer.credential(json!({})).await;
    knows_keys(&site, &good).await;
    issuer.publish(json!({"path": "/jwks", "mode": "status", "status": 500})).await;
    eventually("the keys are too old", async || status(&site, &good).await == 503).await;
    issuer.publish(json!({"path": "/jwks", "mode": "honest"})).await;
    knows_keys(&site, &good).await;
}

/// Under load: whoever has a credential by the old key, then by the new one, is let in; the old one does not last.
#[tokio::test]
async fn keys_rotate_while_requests_are_made() {
    let issuer = HostileIssuer::start().await;
    issuer.publish(json!({"maxAge": 1})).await;
    let site = hostile_site(&issuer, "cache: {fresh: 0s}").await;
    let old = issuer.credential(json!({})).await;
    knows_keys(&site, &old).await;
    issuer.rotate("ES256", "two", false).await;
    let new = issuer.credential_by("ES256", "two", json!({})).await;
    let burst = futures_util::future::join_all((0..20).map(|_| status(&site, &new))).await;
    assert_eq!(burst, vec![200; 20], "{}", site.gateway.stderr());
    eventually("the old key does not count any more", async || status(&site, &old).await == 401).await;
    assert_eq!(status(&site, &new).await, 200);
}

#[tokio::test]
async fn a_credential_of_one_issuer_is_none_of_another() {
    let (one, other) = (HostileIssuer::start().await, HostileIssuer::start().await);
    let documents = format!(
        "{}---\n{}",
        document("sso", &one.issuer(), &one.trust(), ""),
        document("other", &other.issuer(), &other.trust(), "")
    );
    let both = "  authentication: {providers: [sso, other]}\n  authorization: {authenticated: {}}\n";
    let site = Site::start(&documents, both).await;
    // Both call their key `one`.
    assert_eq!(status(&site, &one.credential(json!({})).await).await, 200);
    assert_eq!(status(&site, &other.credential(json!({})).await).await, 200);
    assert_eq!(status(&site, &one.credential(json!({"iss": other.issuer()})).await).await, 401);
    assert_eq!(status(&site, &other.credential(json!({"iss": one.issuer()})).await).await, 401);
    // Where only one of them is taken, the other's credentials are nobody's.
    let only = Site::start(&documents, POLICY).await;
    assert_eq!(status(&only, &one.credential(json!({})).await).await, 200);
    assert_eq!(status(&only, &other.credential(json!({})).await).await, 401);
    assert_eq!(only.origin.seen().len(), 1);
}

#[tokio::test]
async fn groups_that_did_not_fit_are_not_none() {
    let issuer = HostileIssuer::start().await;
    let site = hostile_site(&issuer, "").await;
    for overage in [
        json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}),
        json!({"groups": null, "hasgroups": true}),
    ] {
        let credential = issuer.credential(overage).await;
        let answer = site.request("GET /v1/things", &format!("authorization: Bearer {credential}\r\n"), None).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.text().contains("groups_overage"), "{}", answer.text());
    }
    assert_eq!(status(&site, &issuer.credential(json!({})).await).await, 200);
    assert_eq!(site.origin.seen().len(), 1);
}
