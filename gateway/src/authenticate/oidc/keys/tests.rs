#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "tests")]

use serde_json::json;

use super::{
    super::testing::{EDDSA, ES256, ES384, RS256, Signer},
    *,
};

use Algorithm::{PS256, PS512, RS256 as R256, RS384};

const ALL: [Algorithm; 9] = [
    R256,
    RS384,
    Algorithm::RS512,
    PS256,
    Algorithm::PS384,
    PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &ALL)
}

/// Beside a good key, this one is left out for this reason.
fn check_dropped(key: Value, reason: &str) {
    let set = parse(&[ES256.jwk(json!({})), key.clone()]).unwrap();
    let reasons: Vec<_> = set.dropped().iter().map(|dropped| dropped.reason).collect();
    assert_eq!((set.len(), reasons.as_slice()), (1, [reason].as_slice()), "{key}");
    assert!(set.find(Some(ES256.id)).is_some());
    assert_eq!(parse(std::slice::from_ref(&key)).unwrap_err(), KeySetError::NoUsableKey, "{key}");
}

#[test]
fn keys_of_each_kind_are_found_by_their_names() {
    let signers: [&Signer; 4] = [&RS256, &ES256, &ES384, &EDDSA];
    let set = KeySet::parse(Signer::set(&signers).to_string().as_bytes(), &ALL).unwrap();
    assert_eq!((set.len(), set.dropped()), (4, [].as_slice()));
    for signer in signers {
        let credential = signer.sign(&json!({}));
        let (message, signature) = credential.rsplit_once('.').unwrap();
        let key = set.find(Some(signer.id)).unwrap();
        let algorithm = algorithm::of_name(&format!("{:?}", signer.algorithm)).unwrap();
        assert!(key.verify(algorithm, message, signature), "{}", signer.id);
        assert!(!key.verify(algorithm, &message[1..], signature), "{}", signer.id);
        for other in ALL.iter().filter(|other| **other != algorithm) {
            assert!(!key.verify(*other, message, signature), "{} as {other:?}", signer.id);
        }
    }
    assert!(set.find(Some("other")).is_none());
    assert!(set.find(None).is_none(), "one of several, without a name");
}

#[test]
fn without_a_name_the_only_key_is_meant() {
    let only = parse(&[ES256.jwk(json!({"kid": null}))]).unwrap();
    assert!(only.find(None).is_some());
    assert!(only.find(Some("p256")).is_none());
    assert!(parse(&[ES256.jwk(json!({}))]).unwrap().find(None).is_some());
}

#[test]
fn a_key_is_of_one_family() {
    let fitting = |changes: Value, allowed: &[Algorithm]| {
        let set = KeySet::parse(json!({ "keys": [RS256.jwk(changes)] }).to_string().as_bytes(), allowed);
        set.map(|set| set.keys[0].algorithms.to_vec())
    };
    assert_eq!(fitting(json!({"alg": null}), &[R256, RS384, PS256]), Ok(vec![R256, RS384]));
    assert_eq!(fitting(json!({"alg": null}), &[PS256, R256]), Ok(vec![R256]));
    assert_eq!(fitting(json!({"alg": null}), &[PS256, PS512]), Ok(vec![PS256, PS512]));
    assert_eq!(fitting(json!({"alg": "RS256"}), &ALL), Ok(vec![R256]));
    assert_eq!(fitting(json!({"alg": "PS512"}), &ALL), Ok(vec![PS512]));
    assert_eq!(fitting(json!({"alg": "RS256"}), &[PS256, RS384]), Err(KeySetError::NoUsableKey));
}

#[test]
fn secrets_and_private_keys_are_left_out() {
    check_dropped(json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"}), "private_or_secret");
    check_dropped(json!({"kty": "oct", "kid": "a"}), "private_or_secret");
    for member in PRIVATE_MEMBERS {
        check_dropped(RS256.jwk(json!({member: "AQAB"})), "private_or_secret");
    }
}

#[test]
fn keys_for_something_else_are_left_out() {
    check_dropped(RS256.jwk(json!({"use": "enc"})), "not_for_signatures");
    check_dropped(RS256.jwk(json!({"use": 1})), "malformed");
    check_dropped(RS256.jwk(json!({"key_ops": ["encrypt"]})), "not_for_signatures");
    check_dropped(RS256.jwk(json!({"key_ops": []})), "not_for_signatures");
    check_dropped(RS256.jwk(json!({"key_ops": "verify"})), "malformed");
    assert_eq!(parse(&[RS256.jwk(json!({"use": "sig", "key_ops": ["verify"]}))]).unwrap().len(), 1);
}

#[test]
fn algorithms_that_do_not_belong_to_the_key_are_refused() {
    check_dropped(RS256.jwk(json!({"alg": "HS256"})), "algorithm_unknown");
    check_dropped(RS256.jwk(json!({"alg": "none"})), "algorithm_unknown");
    check_dropped(RS256.jwk(json!({"alg": "RSA-OAEP"})), "algorithm_unknown");
    check_dropped(RS256.jwk(json!({"alg": 1})), "malformed");
    check_dropped(RS256.jwk(json!({"alg": "ES256"})), "algorithm_of_another_kind");
    check_dropped(ES384.jwk(json!({"alg": "ES256"})), "algorithm_of_another_kind");
    check_dropped(EDDSA.jwk(json!({"alg": "RS256"})), "algorithm_of_another_kind");
    assert_eq!(parse(&[EDDSA.jwk(json!({"alg": "Ed25519"}))]).unwrap().len(), 1);
}

/// 65537.
const E: &[u8] = &[1, 0, 1];

/// A modulus of so many bits: random is good enough, nobody has its factors.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; bits.div_ceil(8)];
    bytes[0] = 1 << ((bits - 1) % 8);
    bytes
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Value {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "RSA", "kid": "r", "n": encode(modulus), "e": encode(exponent)})
}

#[test]
fn weak_and_huge_rsa_keys_are_left_out() {
    for bits in [512, 1024, 2047, 8193, 16_384] {
        check_dropped(rsa_key(&modulus(bits), E), "rsa_modulus");
    }
    for bits in [2048, 2049, 3072, 8192] {
        assert_eq!(parse(&[rsa_key(&modulus(bits), E)]).unwrap().len(), 1, "{bits}");
    }
    let mut even = modulus(2048);
    *even.last_mut().unwrap() = 2;
    check_dropped(rsa_key(&even, E), "rsa_modulus");
    check_dropped(rsa_key(&[], E), "rsa_modulus");
    check_dropped(rsa_key(&[0; 300], E), "rsa_modulus");
    // A leading zero counts for nothing.
    let padded = [vec![0], modulus(2048)].concat();
    assert_eq!(parse(&[rsa_key(&padded, &[0, 1, 0, 1])]).unwrap().len(), 1);
    check_dropped(rsa_key(&[vec![0; 128], modulus(1024)].concat(), E), "rsa_modulus");
}

#[test]
fn odd_exponents_are_left_out() {
    for exponent in [&[][..], &[0], &[1], &[3], &[0xff, 0xff], &[1, 0, 0], &[1, 0, 0, 0, 1], &[1; 9000]] {
        check_dropped(rsa_key(&modulus(2048), exponent), "rsa_exponent");
    }
    assert_eq!(parse(&[rsa_key(&modulus(2048), &[0xff, 0xff, 0xff, 0xff])]).unwrap().len(), 1);
}

#[test]
fn points_of_another_length_or_off_the_curve_are_left_out() {
    let short = BASE64_URL_SAFE_NO_PAD.encode([1; 31]);
    let zeros = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
    for length in [0, 1, 31, 33, 64] {
        check_dropped(EDDSA.jwk(json!({"x": BASE64_URL_SAFE_NO_PAD.encode(vec![1; length])})), "length");
    }
    check_dropped(ES256.jwk(json!({"kid": "a", "x": short})), "length");
    check_dropped(ES256.jwk(json!({"kid": "a", "y": short})), "length");
    check_dropped(ES256.jwk(json!({"kid": "a", "x": zeros, "y": zeros})), "not_a_key");
    check_dropped(ES384.jwk(json!({"crv": "P-256", "alg": null})), "length");
    check_dropped(ES256.jwk(json!({"kid": "a", "crv": "secp256k1", "alg": null})), "curve_unknown");
    check_dropped(EDDSA.jwk(json!({"crv": "Ed448", "alg": null})), "curve_unknown");
    check_dropped(EDDSA.jwk(json!({"x": null})), "malformed");
    check_dropped(EDDSA.jwk(json!({"x": "not base64"})), "malformed");
    check_dropped(EDDSA.jwk(json!({"crv": null})), "kind_unknown");
    check_dropped(json!({"kid": "a", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}), "algorithm_unknown");
    check_dropped(json!({"kid": "a"}), "malformed");
    check_dropped(json!("key"), "malformed");
}

#[test]
fn two_keys_of_one_name_are_both_left_out() {
    let set = parse(&[ES256.jwk(json!({"kid": "a"})), EDDSA.jwk(json!({"kid": "a"})), RS256.jwk(json!({}))]).unwrap();
    assert_eq!((set.len(), set.dropped().len()), (1, 1));
    assert_eq!(set.dropped()[0], Dropped { id: Some("a".into()), reason: "repeated_kid", is_alarming: true });
    assert!(set.find(Some("a")).is_none());
    // One that cannot be used does not take a good one's name away.
    let set = parse(&[ES256.jwk(json!({"kid": "a", "use": "enc"})), EDDSA.jwk(json!({"kid": "a"}))]).unwrap();
    assert!(set.find(Some("a")).is_some());
}

#[test]
fn names_of_keys_are_bounded() {
    let longest = "k".repeat(KID_BYTES_MAX);
    let set = parse(&[ES256.jwk(json!({"kid": longest}))]).unwrap();
    assert!(set.find(Some(&longest)).is_some());
    check_dropped(EDDSA.jwk(json!({"kid": "k".repeat(KID_BYTES_MAX + 1)})), "kid");
    check_dropped(EDDSA.jwk(json!({"kid": 1})), "kid");
}

#[test]
fn a_set_that_is_none_or_too_large_is_refused() {
    let refused = |text: &str| KeySet::parse(text.as_bytes(), &ALL).unwrap_err();
    for text in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kty":"EC"}]}"#,
    ] {
        assert_eq!(refused(text), KeySetError::Malformed, "{text}");
    }
    assert_eq!(refused(r#"{"keys":[]}"#), KeySetError::NoUsableKey);
    assert_eq!(refused(&format!("{{\"keys\":[]{}}}", " ".repeat(KEY_SET_BYTES_MAX))), KeySetError::TooLarge);
    let many = |count: usize| json!({ "keys": vec![ES256.jwk(json!({"kid": null})); count] }).to_string();
    assert_eq!(refused(&many(KEYS_MAX + 1)), KeySetError::TooManyKeys);
    assert_eq!(KeySet::parse(many(KEYS_MAX).as_bytes(), &ALL).unwrap().len(), KEYS_MAX);
}

#[test]
fn sets_are_the_same_if_their_keys_are() {
    let one = parse(&[ES256.jwk(json!({})), EDDSA.jwk(json!({}))]).unwrap();
    assert_eq!(one, parse(&[EDDSA.jwk(json!({})), ES256.jwk(json!({"x5t": "abc"}))]).unwrap());
    assert_ne!(one, parse(&[ES256.jwk(json!({}))]).unwrap());
    assert_ne!(one, parse(&[ES256.jwk(json!({})), Signer::ed25519("ed").jwk(json!({}))]).unwrap());
    assert_ne!(one, parse(&[ES256.jwk(json!({})), EDDSA.jwk(json!({"kid": "other"}))]).unwrap());
}
