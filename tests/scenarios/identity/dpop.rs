//! Proofs of possession (DPoP, RFC 9449), with credentials of a certified provider that are bound to a key.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use portcullis_tests::harness::issuer::{self, Grant, OidcProvider, changed};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{bound::provider, site::Site};

const POLICY: &str = "  authentication: {providers: [sso]}\n  authorization: {authenticated: {}}\n";
const PATH: &str = "/v1/things";

/// A client with a key of its own.
struct Client {
    key: KeyPair,
    made: std::cell::Cell<u32>,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Client {
    fn new() -> Self {
        Self { key: KeyPair::generate_for(&PKCS_ED25519).unwrap(), made: std::cell::Cell::default() }
    }

    fn header(&self) -> Value {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(self.key.public_key_raw())});
        json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk})
    }

    /// Good claims for a request; the issuer wants no `ath`, because there is no credential yet.
    fn claims(&self, method: &str, url: &str, access: Option<&str>) -> Value {
        self.made.set(self.made.get() + 1);
        let id = format!("{}-{}", self.made.get(), encode(self.key.public_key_raw()));
        let hash = access.map(|access| json!(encode(Sha256::digest(access))));
        changed(json!({"jti": id, "htm": method, "htu": url, "iat": now()}), json!({"ath": hash}))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature))
    }

    /// A credential that the issuer binds to the key.
    async fn credential(&self, issuer: &OidcProvider, format: &str) -> String {
        let claims = self.claims("POST", &format!("{}/token", issuer.issuer()), None);
        let proof = Some(self.sign(&self.header(), &claims));
        let form = vec![("fmt", format.to_owned()), ("alg", "ES256".to_owned())];
        let granted = issuer.grant(&Grant { proof, form, ..Grant::default() }).await;
        assert_eq!(granted["token_type"], "DPoP", "{granted}");
        granted["access_token"].as_str().unwrap().to_owned()
    }
}

async fn shown(site: &Site, scheme: &str, credential: &str, proofs: &[&str]) -> u16 {
    let proofs: String = proofs.iter().map(|proof| format!("dpop: {proof}\r\n")).collect();
    let headers = format!("authorization: {scheme} {credential}\r\n{proofs}");
    site.request(&format!("GET {PATH}"), &headers, None).await.status
}

#[tokio::test]
async fn a_credential_that_is_bound_to_a_key_counts_with_a_fresh_proof_of_it() {
    let issuer = issuer::oidc_provider().await;
    let site = Site::start(&provider(issuer, ""), POLICY).await;
    let client = Client::new();
    for format in ["jwt", "opaque"] {
        let credential = client.credential(issuer, format).await;
        let proof = || client.sign(&client.header(), &client.claims("GET", &site.url(PATH), Some(&credential)));
        let first = proof();
        assert_eq!(shown(&site, "DPoP", &credential, &[&first]).await, 200, "{format}");
        // Each request has its own, and none is remembered with the credential.
        assert_eq!(shown(&site, "DPoP", &credential, &[&first]).await, 401, "{format}: shown again");
        assert_eq!(shown(&site, "DPoP", &credential, &[]).await, 401, "{format}: no proof");
        assert_eq!(shown(&site, "DPoP", &credential, &[&proof()]).await, 200, "{format}");
        assert_eq!(shown(&site, "Bearer", &credential, &[]).await, 401, "{format}: as if it were not bound");
        assert_eq!(shown(&site, "Bearer", &credential, &[&proof()]).await, 401, "{format}: with a proof all the same");
        let (one, other) = (proof(), proof());
        assert_eq!(shown(&site, "DPoP", &credential, &[&one, &other]).await, 400, "{format}: two proofs");
        let headers = format!("authorization: DPoP {credential}\r\ndpop: {}\r\n", proof());
        let with_query = site.request(&format!("GET {PATH}?a=b"), &headers, None).await;
        assert_eq!(with_query.status, 200, "{format}: a query is no part of the URL in a proof");
    }
    assert_eq!(site.origin.seen().len(), 6);
    assert!(site.judged("proof_replayed").await >= 2.0);
    // What the backend is told of it is nothing.
    assert!(
        site.origin.seen().iter().all(|seen| seen.header("dpop").is_none() && seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_proof_for_something_else_is_refused() {
    let issuer = issuer::oidc_provider().await;
    let site = Site::start(&provider(issuer, ""), POLICY).await;
    let (client, thief) = (Client::new(), Client::new());
    let credential = client.credential(issuer, "jwt").await;
    let good = || client.claims("GET", &site.url(PATH), Some(&credential));
    let header = client.header();
    let with_key = |name: &str, value: Value| {
        let key = changed(header["jwk"].clone(), json!({name: value}));
        changed(header.clone(), json!({"jwk": key}))
    };
    let claims = |changes: Value| client.sign(&header, &changed(good(), changes));
    for (what, proof, word) in [
        ("another method", claims(json!({"htm": "POST"})), "proof_method"),
        ("another path", claims(json!({"htu": site.url("/v1/other")})), "proof_url"),
        ("another host", claims(json!({"htu": format!("https://evil.example{PATH}")})), "proof_url"),
        ("a query", claims(json!({"htu": format!("{}?x=y", site.url(PATH))})), "proof_url"),
        ("made long ago", claims(json!({"iat": now() - 120})), "proof_time"),
        ("made tomorrow", claims(json!({"iat": now() + 86_400})), "proof_time"),
        ("no time", claims(json!({"iat": null})), "proof_time"),
        ("no credential", claims(json!({"ath": null})), "proof_hash"),
        ("another credential", claims(json!({"ath": encode(Sha256::digest("another"))})), "proof_hash"),
        ("no name", claims(json!({"jti": null})), "proof_id"),
        ("another's key", thief.sign(&thief.header(), &good()), "proof_of_another_key"),
        ("another's signature", thief.sign(&header, &good()), "proof_signature"),
        ("another kind", client.sign(&changed(header.clone(), json!({"typ": "at+jwt"})), &good()), "proof_type"),
        ("no algorithm", client.sign(&changed(header.clone(), json!({"alg": "none"})), &good()), "proof_algorithm"),
        ("a shared secret", client.sign(&changed(header.clone(), json!({"alg": "HS256"})), &good()), "proof_algorithm"),
        ("a private key", client.sign(&with_key("d", json!(encode([7; 32]))), &good()), "proof_key"),
        ("a short key", client.sign(&with_key("x", json!(encode([7; 31]))), &good()), "proof_key"),
        (
            "something critical",
            client.sign(&changed(header.clone(), json!({"crit": ["exp"]})), &good()),
            "proof_critical",
        ),
        ("no proof at all", "x".to_owned(), "proof_malformed"),
        ("a long one", format!("{}.x", "x".repeat(10_000)), "proof_too_long"),
    ] {
        let before = site.judged(word).await;
        assert_eq!(shown(&site, "DPoP", &credential, &[&proof]).await, 401, "{what}");
        assert!(site.judged(word).await > before, "{what} is not counted as `{word}`");
    }
    assert!(site.origin.seen().is_empty());
    let answer = site.request(&format!("GET {PATH}"), &format!("authorization: DPoP {credential}\r\n"), None).await;
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("DPoP ") && challenge.contains(r#"error="invalid_dpop_proof""#), "{answer:?}");
    // None of this has used anything up.
    assert_eq!(shown(&site, "DPoP", &credential, &[&client.sign(&header, &good())]).await, 200);
}

#[tokio::test]
async fn a_credential_that_is_bound_to_nothing_is_refused_where_a_proof_is_required() {
    let issuer = issuer::oidc_provider().await;
    let client = Client::new();
    let plain = issuer.credential("ES256", "").await;
    let proof = |site: &Site| client.sign(&client.header(), &client.claims("GET", &site.url(PATH), Some(&plain)));
    let lax = Site::start(&provider(issuer, ""), POLICY).await;
    assert_eq!(shown(&lax, "Bearer", &plain, &[]).await, 200);
    assert_eq!(shown(&lax, "DPoP", &plain, &[&proof(&lax)]).await, 401, "a proof of nothing");
    let strict = Site::start(&provider(issuer, "    proof: Required\n"), POLICY).await;
    assert_eq!(shown(&strict, "Bearer", &plain, &[]).await, 401);
    let bound = client.credential(issuer, "jwt").await;
    let proof = client.sign(&client.header(), &client.claims("GET", &strict.url(PATH), Some(&bound)));
    assert_eq!(shown(&strict, "DPoP", &bound, &[&proof]).await, 200);
}
