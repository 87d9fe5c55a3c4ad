//! Key sets that an issuer should not publish, and strangers who make the gateway ask for keys.

use std::time::Duration;

use portcullis_tests::harness::{eventually, issuer::HostileIssuer};
use serde_json::json;
use tokio::time::Instant;

use super::oidc::{hostile_site, knows_keys, status};

/// Row B6: however many ask by unknown keys, the issuer is asked once, and others notice nothing.
#[tokio::test]
async fn unknown_keys_make_one_question() {
    let issuer = HostileIssuer::start().await;
    let site = hostile_site(&issuer, "cache: {fresh: 0s}").await;
    let good = issuer.credential(json!({})).await;
    knows_keys(&site, &good).await;
    let before = issuer.asked("/jwks").await;
    let begun = Instant::now();
    let mut unknown = Vec::new();
    for number in 0..50 {
        unknown.push(issuer.with_header(json!({ "kid": format!("stranger-{number}") })).await);
    }
    for _ in 0..4 {
        let flood = unknown.iter().map(|credential| status(&site, credential));
        let (refused, served) = tokio::join!(futures_util::future::join_all(flood), status(&site, &good));
        assert!(refused.iter().all(|status| matches!(status, 401 | 429)), "{refused:?}");
        assert_eq!(served, 200);
    }
    // One for the cooldown of ten seconds that has begun, and one more for each that is over by now.
    let allowed = 1 + begun.elapsed().as_secs() / 10;
    let asked = issuer.asked("/jwks").await - before;
    assert!((1..=allowed).contains(&asked), "asked {asked} times in {:?}", begun.elapsed());
}

/// Row B7: whatever is published instead, good keys stay in force, and good credentials count. All kinds of poison are in the
/// unit tests of `authenticate::oidc::issuer`; these are the ones that a network makes.
#[tokio::test]
async fn a_poisoned_key_set_changes_nothing() {
    let elsewhere = HostileIssuer::start().await;
    let text = |body: serde_json::Value| json!({"path": "/jwks", "mode": "text", "body": body.to_string()});
    let redirect = json!({"path": "/jwks", "mode": "redirect", "location": format!("{}/jwks", elsewhere.issuer())});
    let secret = text(json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}]}));
    let many: Vec<_> = (0..10_000).map(|number| json!({"kty": "RSA", "kid": number.to_string(), "n": "AQ"})).collect();
    let endless = json!({"path": "/jwks", "mode": "endless"});
    tokio::join!(
        check_poison(redirect),
        check_poison(secret),
        check_poison(text(json!({ "keys": many }))),
        check_poison(endless),
    );
    assert_eq!(elsewhere.asked("/jwks").await, 0);
}

async fn check_poison(poison: serde_json::Value) {
    let issuer = HostileIssuer::start().await;
    issuer.publish(json!({"maxAge": 1})).await;
    let site = hostile_site(&issuer, "cache: {fresh: 0s}").await;
    let good = issuer.credential(json!({})).await;
    knows_keys(&site, &good).await;
    issuer.publish(poison.clone()).await;
    let refused =
        |line: &serde_json::Value| line["message"].as_str().is_some_and(|text| text.contains("cannot refresh"));
    site.gateway.logged(refused).await;
    assert_eq!(status(&site, &good).await, 200, "{:.200}", poison.to_string());
    // It learns of a good set without being started again.
    issuer.publish(json!({"path": "/jwks", "mode": "honest"})).await;
    issuer.rotate("EdDSA", "two", false).await;
    let new = issuer.credential_by("EdDSA", "two", json!({})).await;
    eventually("the new key counts", async || status(&site, &new).await == 200).await;
}

/// A discovery document that names another issuer, or a place without TLS, is not believed.
#[tokio::test]
async fn a_discovery_document_that_lies_is_not_believed() {
    let issuer = HostileIssuer::start().await;
    let url = issuer.issuer();
    for lie in [
        json!({"issuer": "https://evil.example", "jwks_uri": format!("{url}/jwks")}),
        json!({"issuer": url, "jwks_uri": "http://127.0.0.1:1/jwks"}),
    ] {
        issuer
            .publish(json!({"path": "/.well-known/openid-configuration", "mode": "text", "body": lie.to_string()}))
            .await;
        let site = hostile_site(&issuer, "").await;
        assert_eq!(status(&site, &issuer.credential(json!({})).await).await, 503, "{lie}");
        assert_eq!(issuer.asked("/jwks").await, 0);
        let refused = |line: &serde_json::Value| line["outcome"] == "refused";
        tokio::time::timeout(Duration::from_secs(30), site.gateway.logged(refused)).await.expect("it is told");
    }
    issuer.publish(json!({"path": "/.well-known/openid-configuration", "mode": "honest"})).await;
    let site = hostile_site(&issuer, "").await;
    knows_keys(&site, &issuer.credential(json!({})).await).await;
}
