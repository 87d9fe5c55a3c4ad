//! What backends hear of callers, and what they do not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "tests"
)]

use std::{fs, os::unix::fs::PermissionsExt as _};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use portcullis_policy::authorize::{Method, PrincipalKind};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{
    signing::{KEY_AGE_MAX, PUBLISHED_AFTER, PUBLISHED_BEFORE},
    *,
};

fn provider() -> Arc<DocumentId> {
    Arc::new(DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "inference".into(),
        name: "sso".into(),
    })
}

fn caller(name: &str, groups: &[&str], expires: Option<SystemTime>) -> Caller {
    let group = |name: &&str| Group { provider: provider(), name: (*name).into() };
    Caller::known(Principal {
        provider: provider(),
        method: Method::Jwt,
        kind: PrincipalKind::User,
        name: name.into(),
        stable_id: None,
        groups: groups.iter().map(group).collect(),
        scopes: Vec::new(),
        claims: Map::new(),
        expires,
    })
}

fn jwt(header: &'static str) -> Upstream {
    let header = HeaderName::from_static(header);
    Upstream::Jwt { audience: "https://models.corp.example".into(), lifetime: Duration::from_mins(1), header }
}

fn named() -> Upstream {
    let name = |name| Some(HeaderName::from_static(name));
    Upstream::Headers { user: name("x-user"), groups: name("x-groups"), provider: name("x-provider") }
}

fn keys(folder: &TempDir, now: SystemTime) -> Arc<SigningKeys> {
    Arc::new(SigningKeys::open(folder.path(), now).unwrap())
}

/// What a library that is not ours reads in it.
fn verified(jwt: &str, keys: &SigningKeys) -> Map<String, Value> {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let set: JwkSet = serde_json::from_value(keys.key_set()).unwrap();
    let head = jsonwebtoken::decode_header(jwt).unwrap();
    let key = DecodingKey::from_jwk(set.find(&head.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["https://models.corp.example"]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_exp = false;
    jsonwebtoken::decode(jwt, &key, &validation).unwrap().claims
}

#[test]
fn a_jwt_says_who_asks_and_can_be_verified() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    let keys = keys(&folder, now);
    let identity = UpstreamIdentity::new(keys.clone());
    let mut headers = HeaderMap::new();
    let alice = caller("alice", &["ml", "Älice, & co"], None);
    identity.tell(&jwt("authorization"), &alice, &mut headers, now).unwrap();
    let value = headers.get("authorization").unwrap();
    assert!(value.is_sensitive());
    let claims = verified(value.to_str().unwrap().strip_prefix("Bearer ").unwrap(), &keys);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["groups"], json!(["ml", "Älice, & co"]));
    assert_eq!((&claims["provider"], &claims["method"]), (&json!("inference/sso"), &json!("jwt")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert!(claims["jti"].as_str().unwrap().len() >= 16);
    identity.tell(&jwt("x-caller"), &alice, &mut headers, now).unwrap();
    assert_eq!(verified(headers.get("x-caller").unwrap().to_str().unwrap(), &keys)["sub"], "alice");
}

#[test]
fn a_jwt_is_signed_once_for_half_of_its_life_and_for_one_caller() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    let identity = UpstreamIdentity::new(keys(&folder, now));
    let told = |caller: &Caller, now: SystemTime| {
        let mut headers = HeaderMap::new();
        identity.tell(&jwt("x-caller"), caller, &mut headers, now).unwrap();
        headers.get("x-caller").unwrap().clone()
    };
    let alice = caller("alice", &["ml"], None);
    let first = told(&alice, now);
    assert_eq!(told(&alice, now + Duration::from_secs(29)), first);
    assert_ne!(told(&alice, now + Duration::from_secs(30)), first);
    assert_ne!(told(&alice, now - Duration::from_mins(5)), first, "the clock was set back");
    for other in [caller("alice", &[], None), caller("bob", &["ml"], None), caller("alice", &["ml"], Some(now))] {
        assert_ne!(told(&other, now), told(&alice, now));
    }
}

#[test]
fn a_jwt_is_not_good_for_longer_than_the_credential() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    let keys = keys(&folder, now);
    let mut headers = HeaderMap::new();
    let alice = caller("alice", &[], Some(now + Duration::from_secs(10)));
    UpstreamIdentity::new(keys.clone()).tell(&jwt("x-caller"), &alice, &mut headers, now).unwrap();
    let claims = verified(headers.get("x-caller").unwrap().to_str().unwrap(), &keys);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 10);
}

#[test]
fn what_is_remembered_is_bounded() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    let identity = UpstreamIdentity::new(keys(&folder, now));
    for index in 0..=REMEMBERED_MAX {
        let caller = caller(&index.to_string(), &[], None);
        identity.tell(&jwt("x-caller"), &caller, &mut HeaderMap::new(), now).unwrap();
        assert!(identity.remembered.borrow().len() <= REMEMBERED_MAX);
    }
}

#[test]
fn headers_are_encoded_so_that_no_name_says_more_than_itself() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    let identity = UpstreamIdentity::new(keys(&folder, now));
    let mut headers = HeaderMap::new();
    let tell = |name: &str, groups: &[&str], headers: &mut HeaderMap| {
        identity.tell(&named(), &caller(name, groups, None), headers, now)
    };
    tell("CORP\\alice@x", &["ml", "a,admins", "100%", "Ä b", "a\r\nx-evil: 1", "\"q\"; z"], &mut headers).unwrap();
    assert_eq!(headers.get("x-user").unwrap(), "CORP\\alice@x");
    assert_eq!(headers.get("x-provider").unwrap(), "inference/sso");
    assert_eq!(headers.get("x-groups").unwrap(), "ml,a%2Cadmins,100%25,%C3%84%20b,a%0D%0Ax-evil:%201,%22q%22%3B%20z");
    tell("bob", &[], &mut headers).unwrap();
    assert!(!headers.contains_key("x-groups"), "those of another caller");
    let many: Vec<String> = (0..1000).map(|index| format!("group-{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(tell("carol", &many, &mut headers), Err(Untold::TooLong));
    let mut headers = HeaderMap::new();
    assert_eq!(identity.tell(&jwt("x-caller"), &caller("carol", &many, None), &mut headers, now), Err(Untold::TooLong));
    assert!(headers.is_empty());
}

#[test]
fn clients_cannot_say_what_is_ours_to_say() {
    let mut sent = HeaderMap::new();
    for name in ["x-user", "x_user", "x.user", "x_groups", "x-provider", "x-caller", "x_caller", "x-users", "cookie"] {
        sent.append(HeaderName::from_static(name), HeaderValue::from_static("root"));
        sent.append(HeaderName::from_static(name), HeaderValue::from_static("again"));
    }
    for name in ["authorization", "x-api-key", "api-key", "dpop"] {
        sent.append(HeaderName::from_static(name), HeaderValue::from_static("secret"));
    }
    let left = |upstream: &Upstream| {
        let mut headers = sent.clone();
        withhold(upstream, &mut headers);
        let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names.join(" ")
    };
    let all = "x-caller x-provider x-user x-users x.user x_caller x_groups x_user";
    assert_eq!(left(&Upstream::Nothing), format!("cookie {all}"));
    assert_eq!(left(&named()), "cookie x-caller x-users x_caller");
    assert_eq!(left(&jwt("x-caller")), "cookie x-provider x-user x-users x.user x_groups x_user");
    assert_eq!(
        left(&Upstream::Credential),
        format!("api-key authorization cookie dpop {}", all.replacen("x-caller", "x-api-key x-caller", 1))
    );
}

#[test]
fn nobody_is_told_of_whoever_is_anonymous() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    let identity = UpstreamIdentity::new(keys(&folder, now));
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("root"));
    identity.tell(&named(), &Caller::anonymous(), &mut headers, now).unwrap();
    identity.tell(&jwt("x-caller"), &Caller::anonymous(), &mut headers, now).unwrap();
    assert!(headers.is_empty());
}

#[test]
fn keys_are_published_before_they_sign_and_after() {
    let (folder, start) = (TempDir::new().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_hours(500_000));
    let keys = keys(&folder, start);
    let published = |keys: &SigningKeys| keys.key_set()["keys"].as_array().unwrap().len();
    let first = keys.current().unwrap().id().to_owned();
    let turned = |age: Duration| {
        keys.turn(start + age).unwrap();
        (published(&keys), keys.current().unwrap().id() == first)
    };
    assert_eq!(turned(KEY_AGE_MAX - PUBLISHED_BEFORE - Duration::from_secs(1)), (1, true));
    assert_eq!(turned(KEY_AGE_MAX - PUBLISHED_BEFORE), (2, true), "the next key is published first");
    assert_eq!(turned(KEY_AGE_MAX - Duration::from_secs(1)), (2, true));
    assert_eq!(turned(KEY_AGE_MAX), (2, false), "then it signs");
    assert_eq!(turned(KEY_AGE_MAX + PUBLISHED_AFTER), (1, false), "and the old one is gone");
    let again = SigningKeys::open(folder.path(), start + KEY_AGE_MAX + PUBLISHED_AFTER).unwrap();
    assert_eq!(again.key_set(), keys.key_set(), "another process has the same");
}

#[test]
fn keys_are_their_owners_alone() {
    let (folder, now) = (TempDir::new().unwrap(), SystemTime::now());
    drop(keys(&folder, now));
    let folder_of_keys = folder.path().join("upstream-identity");
    assert_eq!(fs::metadata(&folder_of_keys).unwrap().permissions().mode() & 0o777, 0o700);
    let files: Vec<_> = fs::read_dir(&folder_of_keys).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(file, "rubbish").unwrap();
    let refused = SigningKeys::open(folder.path(), now).unwrap_err().to_string();
    assert!(refused.contains("holds no Ed25519 key"), "{refused}");
}
