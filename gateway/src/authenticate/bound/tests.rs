use std::{net::IpAddr, sync::Arc, time::SystemTime};

use http::Method;
use portcullis_policy::snapshot::Scheme;
use rustls_pki_types::CertificateDer;
use serde_json::json;

use super::{
    super::ShownTarget,
    super::dpop::testing::{ACCESS, Client, NOW, at, claims, encode},
    *,
};

fn leaf(bytes: &'static [u8]) -> PeerCertificate {
    let chain: Arc<[_]> = [CertificateDer::from(bytes), CertificateDer::from(&b"the authority"[..])].into();
    PeerCertificate::Unverified {
        chain,
        error: rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer),
    }
}

fn x5t(leaf: &[u8]) -> Value {
    json!({"x5t#S256": encode(digest(&SHA256, leaf))})
}

/// What a client sends.
struct Case<'c> {
    credential: Option<Credential<'c>>,
    certificate: PeerCertificate,
    required: bool,
    now: SystemTime,
}

impl<'c> Case<'c> {
    fn with(credential: Credential<'c>) -> Self {
        Self { credential: Some(credential), certificate: PeerCertificate::Absent, required: false, now: at(NOW) }
    }

    fn bearer() -> Self {
        Self::with(Credential::Bearer(ACCESS))
    }

    fn dpop(proof: Option<&'c str>) -> Self {
        Self::with(Credential::Dpop { access: ACCESS, proof })
    }

    fn over(self, certificate: PeerCertificate) -> Self {
        Self { certificate, ..self }
    }

    fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// What becomes of it if the credential has this `cnf`.
    fn judged(&self, cnf: &Value, replays: &Replays) -> Result<Possession, Rejection> {
        let shown = Shown {
            credential: self.credential.as_ref(),
            certificate: &self.certificate,
            method: &Method::POST,
            target: ShownTarget { scheme: Scheme::Https, authority: "llm.corp.example", path: "/v1/chat/completions" },
            source: IpAddr::from([127, 0, 0, 1]),
            now: self.now,
        };
        let mut claims = Map::new();
        if !cnf.is_null() {
            claims.insert("cnf".to_owned(), cnf.clone());
        }
        judge(&claims, &shown, self.required, replays)
    }
}

fn check(case: &Case<'_>, cnf: &Value, expected: &Result<Possession, Rejection>) {
    assert_eq!(case.judged(cnf, &Replays::new(64)), *expected, "{cnf}");
}

fn invalid(word: &'static str) -> Result<Possession, Rejection> {
    Err(Rejection::Invalid(word))
}

fn no_proof(word: &'static str) -> Result<Possession, Rejection> {
    Err(Rejection::InvalidProof(word))
}

#[test]
fn what_is_bound_to_nothing_needs_nothing_unless_the_provider_asks() {
    check(&Case::bearer(), &Value::Null, &Ok(Possession::NotBound));
    check(&Case::bearer().over(leaf(b"mine")), &Value::Null, &Ok(Possession::NotBound));
    check(&Case::bearer().required(), &Value::Null, &no_proof("binding_required"));
    check(&Case::bearer().over(leaf(b"mine")).required(), &Value::Null, &no_proof("binding_required"));
}

#[test]
fn a_certificate_counts_if_it_is_the_leaf_of_this_connection() {
    let mine = x5t(b"mine");
    check(&Case::bearer().over(leaf(b"mine")), &mine, &Ok(Possession::Shown));
    check(&Case::bearer().over(leaf(b"mine")).required(), &mine, &Ok(Possession::Shown));
    check(&Case::bearer(), &mine, &invalid("certificate_missing"));
    check(&Case::bearer().over(leaf(b"another")), &mine, &invalid("certificate_of_another"));
    check(&Case::bearer().over(leaf(b"mine")), &x5t(b"the authority"), &invalid("certificate_of_another"));
}

#[test]
fn a_key_counts_with_its_proof_and_once() {
    let client = Client::new();
    let cnf = json!({"jkt": encode(client.thumbprint())});
    let proof = client.sign(&client.header().to_string(), &claims().to_string());
    let replays = Replays::new(64);
    let case = Case::dpop(Some(&proof));
    assert_eq!(case.judged(&cnf, &replays), Ok(Possession::Shown));
    assert_eq!(case.judged(&cnf, &replays), no_proof("proof_replayed"));
    check(&Case::dpop(Some(&proof)).required(), &cnf, &Ok(Possession::Shown));
    check(&Case::dpop(None), &cnf, &no_proof("proof_missing"));
    check(&Case::dpop(Some("x")), &cnf, &no_proof("proof_malformed"));
    check(&Case::bearer(), &cnf, &no_proof("bound_as_bearer"));
    check(&Case { credential: None, ..Case::bearer() }, &cnf, &no_proof("bound_as_bearer"));
    check(&Case::dpop(Some(&proof)), &Value::Null, &no_proof("not_bound"));
    check(&Case::dpop(Some(&proof)).over(leaf(b"mine")), &x5t(b"mine"), &no_proof("not_bound"));
    check(&Case::dpop(Some(&proof)), &json!({"jkt": encode([7; 32])}), &no_proof("proof_of_another_key"));
}

#[test]
fn a_full_cache_of_proofs_is_not_the_callers_fault() {
    let client = Client::new();
    let cnf = json!({"jkt": encode(client.thumbprint())});
    let sign = |id: &str| {
        let claims = dpop::testing::with(claims(), "jti", json!(id));
        client.sign(&client.header().to_string(), &claims.to_string())
    };
    let (first, second) = (sign("1"), sign("2"));
    let replays = Replays::new(1);
    assert_eq!(Case::dpop(Some(&first)).judged(&cnf, &replays), Ok(Possession::Shown));
    assert_eq!(Case::dpop(Some(&second)).judged(&cnf, &replays), Err(Rejection::Unavailable("proofs_full")));
}

#[test]
fn both_must_hold_and_a_proof_is_not_used_up_in_vain() {
    let client = Client::new();
    let cnf = json!({"jkt": encode(client.thumbprint()), "x5t#S256": encode(digest(&SHA256, b"mine"))});
    let proof = client.sign(&client.header().to_string(), &claims().to_string());
    let replays = Replays::new(64);
    let case = Case::dpop(Some(&proof));
    assert_eq!(case.judged(&cnf, &replays), invalid("certificate_missing"));
    let case = case.over(leaf(b"mine"));
    assert_eq!(case.judged(&cnf, &replays), Ok(Possession::Shown));
    check(&Case::bearer().over(leaf(b"mine")), &cnf, &no_proof("bound_as_bearer"));
}

#[test]
fn a_confirmation_that_nobody_understands_is_refused() {
    for (cnf, word) in [
        (json!({}), "confirmation_malformed"),
        (json!("jkt"), "confirmation_malformed"),
        (json!([]), "confirmation_malformed"),
        (json!({"jkt": 7}), "confirmation_malformed"),
        (json!({"jkt": encode([7; 31])}), "confirmation_malformed"),
        (json!({"x5t#S256": ""}), "confirmation_malformed"),
        (json!({"x5t#S256": format!("{}=", encode([7; 32]))}), "confirmation_malformed"),
        (json!({"kid": "x"}), "confirmation_unknown"),
        (json!({"jwk": {}}), "confirmation_unknown"),
        (json!({"jkt": encode([7; 32]), "osc": "x"}), "confirmation_unknown"),
    ] {
        check(&Case::bearer().over(leaf(b"mine")), &cnf, &invalid(word));
        check(&Case::dpop(Some("x")), &cnf, &invalid(word));
    }
}
