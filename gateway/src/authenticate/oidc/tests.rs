#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portcullis_policy::snapshot::{CacheTimes, GroupOverage};
use serde_json::json;

use super::{
    testing::{EDDSA, ES256, ISSUER, NOW, RS256, Signer, claims},
    *,
};

pub(super) fn document() -> Arc<DocumentId> {
    Arc::new(DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "inference".into(),
        name: "sso".into(),
    })
}

/// As `40-identity.yaml` has it.
pub(super) fn spec() -> Spec {
    Spec {
        issuer: ISSUER.into(),
        keys: KeySource::Discovery,
        trust: None,
        audiences: vec!["https://llm.corp.example".into(), "urn:second".into()],
        algorithms: vec![algorithm::Algorithm::RS256, algorithm::Algorithm::ES256, algorithm::Algorithm::EdDSA],
        types: vec!["at+jwt".into()],
        clients: Vec::new(),
        user_claim: [Box::from("sub")].into(),
        groups_claim: Some([Box::from("groups")].into()),
        age_max: Duration::from_hours(24),
        clock_skew: Duration::from_secs(30),
        introspection: None,
        proof_required: false,
        group_overage: GroupOverage::Refuse,
        cache: CacheTimes { fresh: Duration::from_secs(30), stale: Duration::from_hours(1) },
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A provider whose keys are in a file.
fn provider(spec: Spec, folder: &Path, signers: &[&Signer]) -> OidcProvider {
    let path = folder.join("keys.json");
    std::fs::write(&path, Signer::set(signers).to_string()).unwrap();
    OidcProvider::new(&Spec { keys: KeySource::File(path), ..spec }, document(), false, None).unwrap()
}

async fn verify(provider: &OidcProvider, credential: &str) -> Result<Map<String, Value>, Rejection> {
    provider.verify(Jwt::read(credential).map_err(Rejection::Invalid)?, now()).await
}

#[tokio::test]
async fn a_good_credential_makes_a_caller() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(spec(), folder.path(), &[&RS256, &ES256, &EDDSA]);
    for signer in [&*RS256, &*ES256, &*EDDSA] {
        let claims = verify(&provider, &signer.sign(&claims(json!({})))).await.unwrap();
        let known = provider.known(claims, Method::Jwt, now()).unwrap();
        let principal = known.caller.principal().unwrap();
        assert_eq!((&*principal.name, principal.method, principal.groups.len()), ("alice", Method::Jwt, 2));
        assert_eq!((known.fresh, known.lacks_groups), (Duration::from_secs(30), false));
    }
}

#[tokio::test]
async fn what_is_fresh_ends_with_the_credential() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(spec(), folder.path(), &[&EDDSA]);
    let claims = verify(&provider, &EDDSA.sign(&claims(json!({ "exp": NOW - 20 })))).await.unwrap();
    assert_eq!(provider.known(claims, Method::Jwt, now()).unwrap().fresh, Duration::from_secs(10));
}

#[tokio::test]
async fn the_issuer_chooses_the_keys_before_their_name_does() {
    // Two issuers, two keys, one name.
    let (mine, theirs) = (Signer::ed25519("shared"), Signer::ed25519("shared"));
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = provider(spec(), folders.0.path(), &[&mine]);
    let other = Spec { issuer: "https://id.other.example".into(), ..spec() };
    let others = provider(other, folders.1.path(), &[&theirs]);
    let credential = |signer: &Signer, issuer: &str| signer.sign(&claims(json!({ "iss": issuer })));
    let good = credential(&mine, ISSUER);
    assert!(verify(&ours, &good).await.is_ok());
    assert_eq!(verify(&others, &good).await, Err(Rejection::Invalid("issuer")));
    assert!(!others.is_named_by(&Jwt::read(&good).unwrap()) && ours.is_named_by(&Jwt::read(&good).unwrap()));
    let good = credential(&theirs, "https://id.other.example");
    assert!(verify(&others, &good).await.is_ok());
    let crossed = credential(&theirs, ISSUER);
    assert_eq!(verify(&ours, &crossed).await, Err(Rejection::Invalid("signature")));
    assert_eq!(verify(&others, &crossed).await, Err(Rejection::Invalid("issuer")));
}

#[tokio::test]
async fn bad_credentials_are_refused_for_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(spec(), folder.path(), &[&RS256, &ES256]);
    for (credential, word) in [
        (ES256.sign(&claims(json!({ "exp": NOW - 40 }))), "expired"),
        (ES256.sign(&claims(json!({ "aud": "other" }))), "audience"),
        (EDDSA.sign(&claims(json!({}))), "unknown_key"),
        ("a.b.c".to_owned(), "malformed"),
        (ES256.sign_with(&json!({"alg": "ES256", "typ": "JWT", "kid": "p256"}), &claims(json!({}))), "type"),
        (
            ES256.sign_with(&json!({"alg": "ES384", "typ": "at+jwt", "kid": "p256"}), &claims(json!({}))),
            "algorithm_not_allowed",
        ),
    ] {
        assert_eq!(verify(&provider, &credential).await, Err(Rejection::Invalid(word)));
    }
}

#[tokio::test]
async fn groups_that_did_not_fit_refuse_or_are_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, Signer::set(&[&EDDSA]).to_string()).unwrap();
    let changes = json!({ "groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}} });
    for (overage, is_enriched, resolved) in [
        (GroupOverage::Refuse, false, false),
        (GroupOverage::Refuse, true, false),
        (GroupOverage::Resolve, false, false),
        (GroupOverage::Resolve, true, true),
    ] {
        let spec = Spec { keys: KeySource::File(path.clone()), group_overage: overage, ..spec() };
        let provider = OidcProvider::new(&spec, document(), is_enriched, None).unwrap();
        let claims = verify(&provider, &EDDSA.sign(&claims(changes.clone()))).await.unwrap();
        match provider.known(claims, Method::Jwt, now()) {
            Ok(known) => assert!(resolved && known.lacks_groups, "{overage:?} {is_enriched}"),
            Err(Rejection::Refused { code, .. }) => assert_eq!((code, resolved), ("groups_overage", false)),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn service_accounts_of_kubernetes_are_one_more_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec {
        issuer: "https://kubernetes.default.svc.cluster.local".into(),
        types: vec![jwt::NO_TYPE.into()],
        groups_claim: None,
        ..spec()
    };
    let provider = provider(spec, folder.path(), &[&RS256]);
    let bound = json!({
        "iss": "https://kubernetes.default.svc.cluster.local", "aud": ["https://llm.corp.example"],
        "iat": NOW, "nbf": NOW, "exp": NOW + 3600, "jti": "4f0dc1a6", "sub": "system:serviceaccount:research:notebook",
        "kubernetes.io": {"namespace": "research", "serviceaccount": {"name": "notebook", "uid": "a1"}},
    });
    let credential = RS256.sign_with(&json!({"alg": "RS256", "kid": "rsa"}), &bound);
    let claims = verify(&provider, &credential).await.unwrap();
    let known = provider.known(claims, Method::Jwt, now()).unwrap();
    assert_eq!(&*known.caller.principal().unwrap().name, "system:serviceaccount:research:notebook");
}

#[tokio::test]
async fn an_open_exchange_ends_with_its_credential() {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider(spec(), folder.path(), &[&EDDSA]);
    let text = EDDSA.sign(&claims(json!({})));
    let known = provider.known(verify(&provider, &text).await.unwrap(), Method::Jwt, now()).unwrap();
    let principal = known.caller.principal().unwrap();
    let credential = Credential::Bearer(&text);
    for shown in [None, Some(&credential)] {
        assert!(provider.renew(principal, shown, now() + Duration::from_secs(329)).await.is_ok());
        let over = provider.renew(principal, shown, now() + Duration::from_secs(330)).await;
        assert_eq!(over.unwrap_err(), Rejection::Invalid("expired"));
    }
    // Nor where the document takes another audience now, whether or not the credential is still at hand.
    let elsewhere = Spec { audiences: vec!["https://elsewhere.corp.example".into()], ..spec() };
    let elsewhere = self::provider(elsewhere, folder.path(), &[&EDDSA]);
    for shown in [None, Some(&credential)] {
        let renewed = elsewhere.renew(principal, shown, now()).await;
        assert_eq!(renewed.unwrap_err(), Rejection::Invalid("audience"));
    }
    // With the issuer's other keys it does not count any more.
    let folder = tempfile::tempdir().unwrap();
    let rotated = self::provider(spec(), folder.path(), &[&ES256]);
    assert_eq!(
        rotated.renew(principal, Some(&credential), now()).await.unwrap_err(),
        Rejection::Invalid("unknown_key")
    );
}

#[test]
fn files_are_named_and_must_be_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let spec = Spec { keys: KeySource::File(path.clone()), ..spec() };
    let new = |previous: Option<&OidcProvider>| OidcProvider::new(&spec, document(), false, previous);
    assert!(new(None).unwrap_err().contains("keys.json"));
    std::fs::write(&path, r#"{"keys":[]}"#).unwrap();
    assert!(new(None).unwrap_err().contains("no key that can be used"));
    std::fs::write(&path, Signer::set(&[&ES256]).to_string()).unwrap();
    let first = new(None).unwrap();
    assert_eq!(first.files(), std::slice::from_ref(&path));
    // The same keys have the same number, others another one.
    let same = new(Some(&first)).unwrap();
    assert_eq!(first.generation(), same.generation());
    std::fs::write(&path, Signer::set(&[&EDDSA]).to_string()).unwrap();
    assert_ne!(first.generation(), new(Some(&first)).unwrap().generation());
}
