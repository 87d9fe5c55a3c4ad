#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

use serde_json::json;

use super::{
    super::{
        testing::{ISSUER, NOW, claims},
        tests::{document, spec},
    },
    *,
};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// What is said of good claims with these changes.
fn check(changes: Value, expected: Result<(), Word>) {
    assert_eq!(judge(&map(claims(changes.clone())), &spec(), at(NOW)), expected, "{changes}");
}

fn check_with(spec: &Spec, changes: Value, expected: Result<(), Word>) {
    assert_eq!(judge(&map(claims(changes.clone())), spec, at(NOW)), expected, "{changes}");
}

fn named(spec: &Spec, changes: Value) -> Result<Named, Word> {
    caller(map(claims(changes)), spec, &document(), Method::Jwt)
}

#[test]
fn good_claims_hold() {
    check(json!({}), Ok(()));
}

#[test]
fn the_issuer_is_equal_to_the_byte() {
    for issuer in [
        json!(null),
        json!(""),
        json!(5),
        json!([ISSUER]),
        json!([ISSUER, "https://evil.example"]),
        json!({ "a": ISSUER }),
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!(format!("{ISSUER}\0")),
        json!(format!(" {ISSUER}")),
        json!("https://id.c\u{043e}rp.example"),
        json!("https://id.corp.example.evil.example"),
    ] {
        check(json!({ "iss": issuer }), Err("issuer"));
    }
}

#[test]
fn one_audience_is_ours() {
    const OURS: &str = "https://llm.corp.example";
    for audience in [
        json!(null),
        json!(""),
        json!("https://other.example"),
        json!(format!("{OURS}/")),
        json!({ OURS: true }),
        json!({}),
        json!([]),
        json!(5),
        json!(true),
        json!([5, OURS]),
        json!([[OURS]]),
        json!(["https://other.example"]),
    ] {
        check(json!({ "aud": audience }), Err("audience"));
    }
    check(json!({ "aud": [OURS] }), Ok(()));
    check(json!({ "aud": [OURS, OURS] }), Ok(()));
    check(json!({ "aud": [OURS, "urn:second"] }), Ok(()));
    check(json!({ "aud": "urn:second" }), Ok(()));
}

#[test]
fn other_audiences_are_taken_from_listed_clients_alone() {
    let audiences = json!(["https://llm.corp.example", "account"]);
    check(json!({ "aud": audiences }), Err("audience"));
    check(json!({ "aud": audiences, "azp": "chat" }), Err("audience"));
    let spec = Spec { clients: vec!["chat".into()], ..spec() };
    check_with(&spec, json!({ "aud": audiences, "azp": "chat" }), Ok(()));
    check_with(&spec, json!({ "aud": audiences, "azp": "other" }), Err("client"));
    check_with(&spec, json!({ "aud": ["account"], "azp": "chat" }), Err("audience"));
}

#[test]
fn clients_are_those_listed() {
    let spec = Spec { clients: vec!["chat".into(), "batch".into()], ..spec() };
    check_with(&spec, json!({ "azp": "chat" }), Ok(()));
    check_with(&spec, json!({ "client_id": "batch" }), Ok(()));
    // `azp` is the one that counts.
    check_with(&spec, json!({ "azp": "other", "client_id": "chat" }), Err("client"));
    check_with(&spec, json!({ "azp": "Chat" }), Err("client"));
    check_with(&spec, json!({ "azp": ["chat"] }), Err("client"));
    check_with(&spec, json!({}), Err("client"));
    check(json!({ "azp": "anyone" }), Ok(()));
    check(json!({ "azp": 5 }), Err("client"));
    check(json!({ "client_id": ["a"] }), Err("client"));
}

#[test]
fn the_subject_is_a_name() {
    for subject in [
        json!(null),
        json!(""),
        json!(5),
        json!(["alice"]),
        json!("a\nb"),
        json!("a\0"),
        json!("a".repeat(NAME_BYTES_MAX + 1)),
    ] {
        check(json!({ "sub": subject }), Err("subject"));
    }
    check(json!({ "sub": "a".repeat(NAME_BYTES_MAX) }), Ok(()));
}

#[test]
fn a_credential_counts_until_it_expires_and_the_skew_is_over() {
    // The skew is 30 s, and `exp` itself is outside (RFC 7519 §4.1.4).
    check(json!({ "exp": NOW - 29 }), Ok(()));
    check(json!({ "exp": NOW as f64 - 29.5 }), Ok(()));
    check(json!({ "exp": NOW - 30 }), Err("expired"));
    check(json!({ "exp": NOW - 31 }), Err("expired"));
    check(json!({ "exp": 0 }), Err("expired"));
    check(json!({ "exp": null }), Err("expiry"));
    let good = map(claims(json!({})));
    let expires = expiry(&good, &spec()).unwrap();
    assert_eq!(expires, at(NOW + 330));
    assert_eq!(judge(&good, &spec(), expires - Duration::from_secs(1)), Ok(()));
    assert_eq!(judge(&good, &spec(), expires), Err("expired"));
}

#[test]
fn a_credential_does_not_count_before_its_time() {
    check(json!({ "nbf": NOW + 30 }), Ok(()));
    check(json!({ "nbf": NOW + 31 }), Err("not_yet"));
    check(json!({ "nbf": NOW + 3600 }), Err("not_yet"));
    check(json!({ "iat": NOW + 30 }), Ok(()));
    check(json!({ "iat": NOW + 31 }), Err("issued_in_future"));
    check(json!({ "iat": null }), Err("issued_at"));
}

#[test]
fn a_credential_is_neither_old_nor_long_lived() {
    let hour = Spec { age_max: Duration::from_hours(1), ..spec() };
    check_with(&hour, json!({ "iat": NOW - 3600, "exp": NOW }), Ok(()));
    check_with(&hour, json!({ "iat": NOW - 3630, "exp": NOW - 30 }), Err("expired"));
    check_with(&hour, json!({ "iat": NOW - 3629, "exp": NOW - 29 }), Ok(()));
    check_with(&hour, json!({ "iat": NOW - 3631, "exp": NOW - 29 }), Err("too_old"));
    check_with(&hour, json!({ "iat": NOW, "exp": NOW + 3600 }), Ok(()));
    check_with(&hour, json!({ "iat": NOW, "exp": NOW + 3601 }), Err("lives_too_long"));
    check_with(&hour, json!({ "iat": NOW, "exp": 253_402_300_799_u64 }), Err("lives_too_long"));
}

#[test]
fn times_are_numbers_that_a_date_can_be() {
    for claim in ["exp", "iat", "nbf"] {
        for time in [
            json!(NOW.to_string()),
            json!(-1),
            json!(-0.1),
            json!(1e300),
            json!(253_402_300_800_u64),
            json!(u64::MAX),
            json!(i64::MIN),
            json!([NOW]),
            json!({}),
            json!(true),
        ] {
            check(json!({ claim: time }), Err("time"));
        }
    }
    check(json!({ "exp": NOW as f64 + 0.5, "iat": NOW as f64 - 0.25 }), Ok(()));
    let before_time = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(judge(&map(claims(json!({}))), &spec(), before_time), Err("clock"));
}

#[test]
fn a_caller_is_who_the_claims_say() {
    let Named { principal, lacks_groups } = named(&spec(), json!({})).unwrap();
    assert_eq!(
        (&*principal.name, principal.stable_id.as_deref(), principal.kind),
        ("alice", Some("alice"), PrincipalKind::User)
    );
    let groups: Vec<_> = principal.groups.iter().map(|group| (&*group.name, &group.provider)).collect();
    assert_eq!(groups, [("ai-users", &document()), ("ai-devs", &document())]);
    assert_eq!(principal.scopes, ["chat".into(), "tools".into()]);
    assert_eq!(principal.expires, Some(at(NOW + 330)));
    assert_eq!((principal.claims["iss"].as_str(), lacks_groups), (Some(ISSUER), false));
}

#[test]
fn a_subject_that_looks_like_a_workload_is_a_user() {
    let named = named(&spec(), json!({ "sub": "spiffe://corp.example/ns/inference/sa/gateway" })).unwrap();
    assert_eq!(named.principal.kind, PrincipalKind::User);
}

#[test]
fn names_come_from_where_the_provider_says() {
    let path = |steps: &[&str]| -> ClaimPath { steps.iter().map(|step| Box::from(*step)).collect() };
    let nested = Spec {
        user_claim: path(&["preferred_username"]),
        groups_claim: Some(path(&["realm_access", "roles"])),
        ..spec()
    };
    let changes = json!({ "preferred_username": "Alice", "realm_access": {"roles": ["a"]} });
    let principal = named(&nested, changes).unwrap().principal;
    assert_eq!((&*principal.name, principal.stable_id.as_deref()), ("Alice", Some("alice")));
    assert_eq!(principal.groups.len(), 1);
    for (changes, word) in [
        (json!({}), "user"),
        (json!({ "preferred_username": "" }), "user"),
        (json!({ "preferred_username": 5 }), "user"),
        (json!({ "preferred_username": "a", "realm_access": "roles" }), "claims"),
        (json!({ "preferred_username": "a", "realm_access": ["roles"] }), "claims"),
        (json!({ "preferred_username": "a", "realm_access": {"roles": [5]} }), "groups"),
    ] {
        assert_eq!(named(&nested, changes.clone()).unwrap_err(), word, "{changes}");
    }
    let no_groups = json!({ "preferred_username": "a", "realm_access": {} });
    assert!(named(&nested, no_groups).unwrap().principal.groups.is_empty());
}

#[test]
fn a_claim_may_be_named_by_a_url() {
    let spec = Spec { groups_claim: Some(["https://corp".into(), "example/groups".into()].into()), ..spec() };
    let principal = named(&spec, json!({ "https://corp.example/groups": ["a"] })).unwrap().principal;
    assert_eq!(&*principal.groups[0].name, "a");
    assert!(named(&spec, json!({ "_claim_names": {"https://corp.example/groups": "s"} })).unwrap().lacks_groups);
}

#[test]
fn groups_are_names_or_none() {
    let groups = |groups: Value| named(&spec(), json!({ "groups": groups })).map(|named| named.principal.groups.len());
    assert_eq!(groups(json!(null)), Ok(0));
    assert_eq!(groups(json!([])), Ok(0));
    assert_eq!(groups(json!("one")), Ok(1));
    assert_eq!(groups(json!(vec!["a"; 200])), Ok(200));
    assert_eq!(groups(json!(vec!["a"; GROUPS_MAX])), Ok(GROUPS_MAX));
    for wrong in [
        json!(vec!["a"; GROUPS_MAX + 1]),
        json!([5]),
        json!(["a", null]),
        json!({"a": 1}),
        json!(5),
        json!([""]),
        json!(["a\n"]),
    ] {
        assert_eq!(groups(wrong.clone()), Err("groups"), "{wrong:.60}");
    }
}

#[test]
fn groups_that_are_elsewhere_are_not_none() {
    let lacks = |changes: Value| named(&spec(), changes).map(|named| named.lacks_groups);
    // Microsoft Entra's, with and without what it still lists.
    let entra = json!({ "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}} });
    assert_eq!(lacks(entra), Ok(true));
    assert_eq!(lacks(json!({ "groups": null, "_claim_names": {"groups": "src1"} })), Ok(true));
    assert_eq!(lacks(json!({ "hasgroups": true })), Ok(true));
    assert_eq!(lacks(json!({ "hasgroups": "true" })), Ok(true));
    assert_eq!(lacks(json!({ "hasgroups": 1 })), Ok(true));
    assert_eq!(lacks(json!({ "hasgroups": false })), Ok(false));
    assert_eq!(lacks(json!({ "_claim_names": {"address": "src1"} })), Ok(false));
    assert_eq!(lacks(json!({ "_claim_names": ["groups"] })), Err("claims"));
    let none = Spec { groups_claim: None, ..spec() };
    assert!(!named(&none, json!({ "hasgroups": true })).unwrap().lacks_groups);
}

#[test]
fn scopes_are_words() {
    let scopes = |changes: Value| {
        let named = named(&spec(), changes)?;
        Ok::<_, Word>(named.principal.scopes.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(scopes(json!({ "scope": null })).unwrap(), [""; 0]);
    assert_eq!(scopes(json!({ "scope": "a  b" })).unwrap(), ["a", "b"]);
    assert_eq!(scopes(json!({ "scope": null, "scp": "a b" })).unwrap(), ["a", "b"]);
    assert_eq!(scopes(json!({ "scope": null, "scp": ["a", "b"] })).unwrap(), ["a", "b"]);
    assert_eq!(scopes(json!({ "scope": 5 })), Err("scope"));
    assert_eq!(scopes(json!({ "scp": [5] })), Err("scope"));
}
