//! Whose key opens, and whose does not.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;

use portcullis_policy::timestamp;
use tempfile::TempDir;

use super::{key::NewKey, *};

const SOURCE: &str = "192.0.2.7";

struct Ring {
    folder: TempDir,
    spec: ApiKeyProvider,
    text: String,
}

impl Ring {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let spec = ApiKeyProvider { file: folder.path().join("keys.yaml"), pepper: folder.path().join("pepper") };
        fs::write(&spec.pepper, "0123456789abcdef0123456789abcdef\n").unwrap();
        Self { folder, spec, text: String::new() }
    }

    /// A key of alice with further fields.
    fn add(&mut self, fields: &str) -> NewKey {
        let key = NewKey::random().unwrap();
        let hash = hash(&read_pepper(&self.spec.pepper).unwrap(), key.text());
        let hash = hash.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        let id = key.id();
        write!(self.text, "- {{id: {id}, owner: alice, hash: \"hmac-sha256:{hash}\", ").unwrap();
        writeln!(self.text, "created: 2026-01-01T00:00:00Z, {fields}}}").unwrap();
        fs::write(&self.spec.file, &self.text).unwrap();
        key
    }

    fn ring(&self) -> Result<KeyRing, String> {
        let id = DocumentId {
            group: "portcullis.dev".into(),
            kind: "IdentityProvider".into(),
            namespace: "default".into(),
            name: "keys".into(),
        };
        KeyRing::new(&self.spec, Arc::new(id))
    }
}

fn now() -> SystemTime {
    timestamp::parse("2026-11-25T20:45:00Z").unwrap()
}

fn word(outcome: Result<Known, Rejection>) -> Option<&'static str> {
    match outcome {
        Ok(_) => None,
        Err(Rejection::Invalid(word)) => Some(word),
        Err(other) => Some(Box::leak(format!("{other:?}").into_boxed_str())),
    }
}

#[test]
fn a_key_is_its_owner_with_groups_and_scopes() {
    let mut made = Ring::new();
    let key = made.add("scopes: [chat], groups: [ml], expires: 2027-01-01T00:00:00Z");
    let known = made.ring().unwrap().authenticate(key.text(), SOURCE.parse().unwrap(), now()).unwrap();
    assert_eq!(known.fresh, Duration::ZERO);
    let principal = known.caller.principal().unwrap();
    assert_eq!((&*principal.name, principal.method), ("alice", Method::ApiKey));
    assert_eq!(principal.stable_id.as_deref(), Some(key.id()));
    assert_eq!(principal.groups.first().map(|group| &*group.name), Some("ml"));
    assert_eq!(principal.scopes, ["chat".into()]);
    assert_eq!(principal.expires, timestamp::parse("2027-01-01T00:00:00Z"));
}

#[test]
fn keys_that_are_wrong_expired_revoked_or_elsewhere_are_refused() {
    let mut made = Ring::new();
    let good = made.add("");
    let expired = made.add("expires: 2026-11-25T20:45:00Z");
    let revoked = made.add("revoked: 2026-11-25T20:45:00Z");
    let near = made.add("cidrs: [192.0.2.0/24]");
    let far = made.add("cidrs: [198.51.100.0/24, \"2001:db8::/32\"]");
    let ring = made.ring().unwrap();
    let check = |text: &str, source: &str, expected: Option<&str>| {
        assert_eq!(word(ring.authenticate(text, source.parse().unwrap(), now())), expected);
    };
    check(good.text(), SOURCE, None);
    check(expired.text(), SOURCE, Some("key_expired"));
    check(revoked.text(), SOURCE, Some("key_revoked"));
    check(near.text(), SOURCE, None);
    check(near.text(), "::ffff:192.0.2.7", None);
    check(far.text(), SOURCE, Some("key_source"));
    check(far.text(), "2001:db8::1", None);
    check(NewKey::random().unwrap().text(), SOURCE, Some("key_unknown"));
    check(good.text().get(..40).unwrap(), SOURCE, Some("key_malformed"));
    check("", SOURCE, Some("key_malformed"));
    // The id of a key that is known, with the secret of another.
    check(&forged(good.id()), SOURCE, Some("key_wrong"));
}

/// A whole key with this id, whose secret nobody knows.
fn forged(id: &str) -> String {
    let made = NewKey::random().unwrap();
    let secret = made.text().split('_').next_back().and_then(|rest| rest.get(..key::SECRET_LENGTH)).unwrap();
    let body = format!("{}{id}_{secret}", key::PREFIX);
    format!("{body}{}", key::checksum(&body))
}

#[test]
fn an_open_stream_is_judged_again_by_the_keys_as_they_are() {
    let mut made = Ring::new();
    let key = made.add("cidrs: [192.0.2.0/24], expires: 2027-01-01T00:00:00Z");
    let source: IpAddr = SOURCE.parse().unwrap();
    let known = made.ring().unwrap().authenticate(key.text(), source, now()).unwrap();
    let principal = known.caller.principal().unwrap();
    let renew = |made: &Ring, source: IpAddr, now: SystemTime| word(made.ring().unwrap().renew(principal, source, now));
    assert_eq!(renew(&made, source, now()), None);
    assert_eq!(renew(&made, "203.0.113.1".parse().unwrap(), now()), Some("key_source"));
    assert_eq!(renew(&made, source, timestamp::parse("2027-01-01T00:00:00Z").unwrap()), Some("key_expired"));
    let text = made.text.clone();
    fs::write(&made.spec.file, text.replace("cidrs:", "revoked: 2026-11-25T20:45:00Z, cidrs:")).unwrap();
    assert_eq!(renew(&made, source, now()), Some("key_revoked"));
    fs::write(&made.spec.file, text.replace("owner: alice", "owner: bob")).unwrap();
    assert_eq!(renew(&made, source, now()), Some("key_unknown"));
    fs::write(&made.spec.file, "").unwrap();
    assert_eq!(renew(&made, source, now()), Some("key_unknown"));
}

#[test]
fn another_pepper_opens_nothing() {
    let mut made = Ring::new();
    let key = made.add("");
    fs::write(&made.spec.pepper, "another secret of thirty-two bytes").unwrap();
    assert_eq!(word(made.ring().unwrap().authenticate(key.text(), SOURCE.parse().unwrap(), now())), Some("key_wrong"));
}

#[test]
fn files_that_are_missing_or_wrong_refuse_the_revision() {
    let mut made = Ring::new();
    let refused = made.ring().unwrap_err();
    assert!(refused.contains("portcullis keys create --file"), "{refused}");
    made.add("");
    fs::write(&made.spec.pepper, "short\n\n\n").unwrap();
    assert!(made.ring().unwrap_err().contains("shorter than 32 bytes"));
    fs::write(&made.spec.pepper, vec![b'x'; 5000]).unwrap();
    assert!(made.ring().unwrap_err().contains("larger than 4096 bytes"));
    fs::remove_file(&made.spec.pepper).unwrap();
    assert!(made.ring().unwrap_err().contains("cannot read the pepper"));
    fs::write(&made.spec.file, "- {id: x}\n").unwrap();
    let refused = made.ring().unwrap_err();
    assert!(refused.contains("missing field `owner`") && refused.contains("keys.yaml:1:3"), "{refused}");
    drop(made.folder);
}

/// Neither the clock nor a table of timings can show this on a busy machine, so the code is read: secrets are compared
/// by the one function that takes the same time for all, and before anything else is known of the key.
#[test]
fn secrets_are_compared_in_constant_time_and_first() {
    let code = include_str!("../api_keys.rs");
    let body = code.split("pub fn authenticate").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let verified = body.find("hmac::verify(").unwrap();
    assert!(verified < body.find("match known").unwrap() && verified < body.find("key_unknown").unwrap());
    assert_eq!(code.matches(".hash").count(), 1, "the hash is read for the comparison alone");
    assert!(!body.contains("=="), "{body}");
}
