//! Credentials made by somebody who wants in: each is a 401 like any other, and none reaches the backend.

use std::time::Duration;

use portcullis_tests::harness::issuer::{AUDIENCE, HostileIssuer};
use serde_json::json;
use tokio::{net::TcpListener, time::timeout};

use super::{
    oidc::{hostile_site, knows_keys, status},
    site::Site,
};

async fn start() -> (HostileIssuer, Site) {
    let issuer = HostileIssuer::start().await;
    let site = hostile_site(&issuer, "cache: {fresh: 0s}").await;
    knows_keys(&site, &issuer.credential(json!({})).await).await;
    (issuer, site)
}

/// Each is refused, and counted under its word.
async fn check(site: &Site, cases: Vec<(String, &str)>) {
    let before = site.origin.seen().len();
    let uniform = site.request("GET /v1/things", "authorization: Bearer nonsense\r\n", None).await;
    for (credential, word) in cases {
        let counted = site.judged(word).await;
        let answer = site.request("GET /v1/things", &format!("authorization: Bearer {credential}\r\n"), None).await;
        assert_eq!(answer.status, 401, "{word}: {credential:.200}");
        assert_eq!(answer.text(), uniform.text(), "the reason is nobody's business");
        assert!(
            site.judged(word).await > counted,
            "not counted as {word}: {credential:.200}\n{}",
            site.gateway.metrics().await
        );
    }
    assert_eq!(site.origin.seen().len(), before);
}

/// Rows B1 to B3 of the table of hostile inputs.
#[tokio::test]
async fn algorithms_are_those_of_the_provider_and_of_the_key() {
    let (issuer, site) = start().await;
    let mut cases = Vec::new();
    for algorithm in [json!("none"), json!("nOnE"), json!(null), json!(""), json!(["ES256"]), json!("HS256")] {
        cases.push((issuer.with_header(json!({ "alg": algorithm })).await, "algorithm_not_allowed"));
    }
    let good = issuer.credential(json!({})).await;
    cases.push((good[..=good.rfind('.').unwrap()].to_owned(), "algorithm_not_allowed"));
    // Signed with what the issuer publishes, as if it were a secret.
    let public = issuer.keys().await["keys"][0].to_string();
    let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": "one"});
    cases.push((
        issuer.mint(json!({"header": header, "claims": issuer.claims(), "secret": public})).await,
        "algorithm_not_allowed",
    ));
    // An allowed algorithm that is not the key's.
    for algorithm in ["RS256", "EdDSA"] {
        cases.push((issuer.with_header(json!({ "alg": algorithm })).await, "algorithm_of_another_key"));
    }
    // A good signature by an algorithm that the provider does not allow.
    issuer.rotate("ES384", "p384", true).await;
    cases.push((issuer.credential_by("ES384", "p384", json!({})).await, "algorithm_not_allowed"));
    check(&site, cases).await;
}

/// Rows B4 and B5.
#[tokio::test]
async fn a_key_s_name_is_a_name_and_its_place_is_not_asked() {
    let (issuer, site) = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("https://{}/keys", listener.local_addr().unwrap());
    let evil = HostileIssuer::start().await;
    evil.rotate("ES256", "evil", false).await;
    let jwk = evil.keys().await["keys"][0].clone();
    let mut cases = Vec::new();
    for kid in ["../../dev/null", "/dev/null", "' OR 1=1--", "\0", elsewhere.as_str()] {
        cases.push((issuer.with_header(json!({ "kid": kid })).await, "unknown_key"));
    }
    cases.push((issuer.with_header(json!({ "kid": "k".repeat(257) })).await, "key_name"));
    cases.push((issuer.with_header(json!({ "kid": ["one"] })).await, "key_name"));
    for place in ["jku", "x5u"] {
        cases.push((issuer.with_header(json!({ place: elsewhere, "kid": "other" })).await, "unknown_key"));
    }
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "one", "jwk": jwk, "x5c": ["AAAA"], "jku": elsewhere});
    let forged = evil.mint(json!({"header": header, "claims": issuer.claims(), "kid": "evil"})).await;
    cases.push((forged, "signature"));
    check(&site, cases).await;
    let asked = timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(asked.is_err(), "somebody was asked because a credential said so");
}

/// Row B9; the boundaries are unit tests, with a clock that stands.
#[tokio::test]
async fn times_that_do_not_fit_are_refused() {
    let (issuer, site) = start().await;
    let now = issuer.claims()["iat"].as_u64().unwrap();
    let mut cases = Vec::new();
    for (changes, word) in [
        (json!({"iat": now - 600, "exp": now - 60}), "expired"),
        (json!({"exp": null}), "expiry"),
        (json!({"exp": "soon"}), "time"),
        (json!({"exp": -1}), "time"),
        (json!({"exp": 1e300}), "time"),
        (json!({"nbf": now + 3600}), "not_yet"),
        (json!({"iat": now + 3600, "exp": now + 7200}), "issued_in_future"),
        (json!({"iat": null}), "issued_at"),
        (json!({"exp": now + 10 * 86_400}), "lives_too_long"),
        (json!({"iat": now - 2 * 86_400, "exp": now + 60}), "too_old"),
    ] {
        cases.push((issuer.credential(changes).await, word));
    }
    check(&site, cases).await;
}

/// Row B10.
#[tokio::test]
async fn issuer_audience_and_subject_are_what_they_must_be() {
    let (issuer, site) = start().await;
    let url = issuer.issuer();
    let mut cases = Vec::new();
    for (changes, word) in [
        (json!({"aud": null}), "audience"),
        (json!({"aud": {AUDIENCE: 1}}), "audience"),
        (json!({"aud": 5}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": "https://other.example"}), "audience"),
        (json!({"aud": [AUDIENCE, "https://other.example"]}), "audience"),
        (json!({"aud": format!("{AUDIENCE}/")}), "audience"),
        (json!({"iss": 5}), "unknown_issuer"),
        (json!({"iss": [url]}), "unknown_issuer"),
        (json!({"iss": format!("{url}/")}), "unknown_issuer"),
        (json!({"iss": url.replace('l', "\u{217c}")}), "unknown_issuer"),
        (json!({"iss": null}), "unknown_issuer"),
        (json!({"sub": null}), "subject"),
        (json!({"sub": ""}), "subject"),
        (json!({"sub": 5}), "subject"),
        (json!({"groups": [5]}), "groups"),
        (json!({"azp": 5}), "client"),
    ] {
        cases.push((issuer.credential(changes).await, word));
    }
    check(&site, cases).await;
    let listed = hostile_site(&issuer, "clients: [chat]").await;
    knows_keys(&listed, &issuer.credential(json!({})).await).await;
    let others = issuer.credential(json!({"azp": "other"})).await;
    check(&listed, vec![(others, "client")]).await;
}

/// Rows B11 and B12.
#[tokio::test]
async fn credentials_of_other_kinds_and_with_extensions_are_refused() {
    let (issuer, site) = start().await;
    let mut cases = Vec::new();
    for kind in [json!("JWT"), json!("dpop+jwt"), json!("logout+jwt"), json!(null), json!(["at+jwt"])] {
        cases.push((issuer.with_header(json!({ "typ": kind })).await, "type"));
    }
    for extension in [json!({"crit": ["exp"]}), json!({"crit": ["b64"], "b64": false}), json!({"b64": false})] {
        cases.push((issuer.with_header(extension).await, "extension"));
    }
    let header = HostileIssuer::header("ES256", "one").to_string();
    let claims = issuer.claims().to_string();
    for (header, claims) in [
        (header.clone(), claims.replacen('{', r#"{"sub":"bob","#, 1)),
        (header.replacen('{', r#"{"kid":"one","#, 1), claims.clone()),
        (header.clone(), claims.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1)),
        (header.clone(), "[]".to_owned()),
        (header.clone(), format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
    ] {
        cases.push((issuer.mint(json!({"header": header, "claims": claims, "kid": "one"})).await, "malformed"));
    }
    check(&site, cases).await;
}

/// Rows B13 and B14.
#[tokio::test]
async fn what_is_too_long_encrypted_or_not_canonical_is_refused() {
    let (issuer, site) = start().await;
    let good = issuer.credential(json!({})).await;
    let (message, signature) = good.rsplit_once('.').unwrap();
    let zeros = format!("{message}.{}", "A".repeat(86));
    let padded = format!("{good}==");
    let twin = format!("{message}.{}", with_trailing_bits(signature));
    let two_hundred: Vec<_> = (0..200).map(|group| format!("group-{group}")).collect();
    assert_eq!(status(&site, &issuer.credential(json!({ "groups": two_hundred })).await).await, 200);
    check(&site, vec![(zeros, "signature"), (twin, "signature")]).await;
    for malformed in
        [padded, format!("{good}.{signature}"), format!("{good}.AAAA.AAAA"), format!("{message}."), "..".to_owned()]
    {
        assert_eq!(status(&site, &malformed).await, 401, "{malformed}");
    }
    // More than a head may hold, over HTTP/1.1 and before anybody looks at it.
    let long = issuer.credential(json!({"pad": "p".repeat(20_000)})).await;
    assert!(matches!(status(&site, &long).await, 400 | 431), "17 KiB");
    assert_eq!(status(&site, &good).await, 200);
}

/// The last of 86 characters has four bits that must be 0.
fn with_trailing_bits(signature: &str) -> String {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = signature.split_at(signature.len() - 1);
    let next = DIGITS.find(last).and_then(|place| DIGITS.as_bytes().get(place + 1)).unwrap();
    format!("{rest}{}", char::from(*next))
}

/// Row A31: a subject that is written like a workload's does not make one.
#[tokio::test]
async fn a_subject_that_looks_like_a_workload_is_a_person() {
    let issuer = HostileIssuer::start().await;
    let roles = "apiVersion: portcullis.dev/v1alpha1
kind: Role
metadata: {name: reader}
rules:
- {routes: ['*'], actions: ['*']}
---
apiVersion: portcullis.dev/v1alpha1
kind: RoleBinding
metadata: {name: agents}
subjects: [{kind: Workload, name: 'spiffe://corp.example/*'}, {kind: User, provider: sso, name: alice}]
roleRef: {kind: Role, name: reader}
";
    let provider = super::oidc::document("sso", &issuer.issuer(), &issuer.trust(), "");
    let site = Site::start(&format!("{provider}---\n{roles}"), "  authentication: {providers: [sso]}\n").await;
    assert_eq!(status(&site, &issuer.credential(json!({})).await).await, 200, "{}", site.gateway.stderr());
    assert_eq!(
        status(&site, &issuer.credential(json!({"sub": "spiffe://corp.example/ns/agents/sa/a"})).await).await,
        403
    );
}
