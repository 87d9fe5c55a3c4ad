#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use serde_json::json;

use super::{
    super::{
        keys::KeySet,
        testing::{EDDSA, ES256, ES384, RS256, Signer, claims, encoded},
    },
    *,
};

const ALLOWED: [Algorithm; 4] = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// What a provider with the keys of all signers says to a credential.
fn judge(credential: &str) -> Result<Map<String, Value>, Word> {
    judge_for(credential, &["at+jwt"])
}

fn judge_for(credential: &str, types: &[&str]) -> Result<Map<String, Value>, Word> {
    let set = Signer::set(&[&RS256, &ES256, &ES384, &EDDSA]);
    let keys = KeySet::parse(set.to_string().as_bytes(), &ALLOWED).unwrap();
    let types: Vec<Arc<str>> = types.iter().map(|kind| (*kind).into()).collect();
    let jwt = Jwt::read(credential)?;
    jwt.judge_header(&ALLOWED, &types)?;
    let key = keys.find(jwt.key()).ok_or("unknown_key")?;
    jwt.verify(key)
}

/// A good credential of ES256 with another header.
fn with_header(changes: Value) -> String {
    let mut header = ES256.header();
    super::super::testing::change(&mut header, changes);
    ES256.sign_with(&header, &claims(json!({})))
}

#[test]
fn a_credential_of_each_algorithm_is_verified() {
    for signer in [&*RS256, &*ES256, &*ES384, &*EDDSA] {
        let verified = judge(&signer.sign(&claims(json!({})))).unwrap();
        assert_eq!(Value::Object(verified), claims(json!({})), "{}", signer.id);
    }
    let mut header = EDDSA.header();
    header["alg"] = json!("Ed25519");
    assert!(judge(&EDDSA.sign_with(&header, &claims(json!({})))).is_ok());
}

#[test]
fn no_algorithm_is_no_algorithm() {
    for algorithm in [
        json!("none"),
        json!("nOnE"),
        json!("None"),
        json!(""),
        json!(null),
        json!(["ES256"]),
        json!(1),
        json!("es256"),
    ] {
        let credential = with_header(json!({ "alg": algorithm }));
        assert_eq!(judge(&credential).unwrap_err(), "algorithm_not_allowed", "{algorithm}");
    }
    let good = ES256.sign(&claims(json!({})));
    let unsigned = &good[..=good.rfind('.').unwrap()];
    assert_eq!(judge(unsigned).unwrap_err(), "algorithm_not_allowed");
}

#[test]
fn a_public_key_is_never_a_secret() {
    let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}).to_string();
    let message = format!("{}.{}", encoded(&header), encoded(claims(json!({})).to_string()));
    for secret in [RS256.jwk(json!({})).to_string(), RS256.jwk(json!({}))["n"].as_str().unwrap().to_owned()] {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        assert_eq!(judge(&format!("{message}.{signature}")).unwrap_err(), "algorithm_not_allowed");
    }
}

#[test]
fn an_algorithm_is_the_key_s_own() {
    // Allowed by the provider, and the signature is good: but the key says RS256.
    let header = json!({"alg": "PS256", "typ": "at+jwt", "kid": "rsa"}).to_string();
    let credential = RS256.sign_as(jsonwebtoken::Algorithm::PS256, &header, &claims(json!({})).to_string());
    let keys =
        KeySet::parse(Signer::set(&[&RS256]).to_string().as_bytes(), &[Algorithm::PS256, Algorithm::RS256]).unwrap();
    let jwt = Jwt::read(&credential).unwrap();
    jwt.judge_header(&[Algorithm::PS256], &["at+jwt".into()]).unwrap();
    assert_eq!(jwt.verify(keys.find(Some("rsa")).unwrap()).unwrap_err(), "algorithm_of_another_key");
    // Not allowed by the provider.
    assert_eq!(judge(&credential).unwrap_err(), "algorithm_not_allowed");
    for (algorithm, kid) in [("ES256", "p384"), ("ES384", "p256"), ("EdDSA", "rsa"), ("RS256", "ed")] {
        let credential = with_header(json!({"alg": algorithm, "kid": kid}));
        assert_eq!(judge(&credential).unwrap_err(), "algorithm_of_another_key", "{algorithm} by {kid}");
    }
}

#[test]
fn names_of_keys_are_opaque_and_bounded() {
    for kid in ["../../dev/null", "' OR 1=1--", "http://evil.example/key", "\0", "", "RSA", "kéy"] {
        assert_eq!(judge(&with_header(json!({ "kid": kid }))).unwrap_err(), "unknown_key", "{kid:?}");
    }
    assert_eq!(
        judge(&with_header(json!({ "kid": null }))).unwrap_err(),
        "unknown_key",
        "several keys, and none is named"
    );
    assert_eq!(judge(&with_header(json!({ "kid": "k".repeat(KID_BYTES_MAX) }))).unwrap_err(), "unknown_key");
    assert_eq!(judge(&with_header(json!({ "kid": "k".repeat(KID_BYTES_MAX + 1) }))).unwrap_err(), "key_name");
    assert_eq!(judge(&with_header(json!({ "kid": 7 }))).unwrap_err(), "key_name");
}

#[test]
fn keys_in_the_header_are_not_looked_at() {
    let evil = Signer::ed25519("evil");
    let header = json!({
        "alg": "EdDSA", "typ": "at+jwt", "kid": "ed", "jwk": evil.jwk(json!({})),
        "jku": "https://evil.example/keys", "x5u": "https://evil.example/chain", "x5c": ["AAAA"],
    });
    assert_eq!(judge(&evil.sign_with(&header, &claims(json!({})))).unwrap_err(), "signature");
    // And they do no harm to a good one.
    assert!(judge(&EDDSA.sign_with(&header, &claims(json!({})))).is_ok());
}

#[test]
fn other_kinds_of_credentials_are_refused() {
    for kind in
        ["JWT", "jwt", "dpop+jwt", "logout+jwt", "application/logout+jwt", "id_token", "", "at+jwt ", "none-given"]
    {
        assert_eq!(judge(&with_header(json!({ "typ": kind }))).unwrap_err(), "type", "{kind}");
    }
    assert_eq!(judge(&with_header(json!({ "typ": null }))).unwrap_err(), "type");
    assert_eq!(judge(&with_header(json!({ "typ": ["at+jwt"] }))).unwrap_err(), "type");
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(judge(&with_header(json!({ "typ": kind }))).is_ok(), "{kind}");
    }
}

#[test]
fn a_credential_without_a_type_is_taken_where_the_provider_says_so() {
    let untyped = with_header(json!({ "typ": null }));
    assert!(judge_for(&untyped, &["jwt", NO_TYPE]).is_ok());
    assert_eq!(judge_for(&untyped, &["jwt"]).unwrap_err(), "type");
    // The word stands for nothing, and is no type.
    assert_eq!(judge_for(&with_header(json!({ "typ": NO_TYPE })), &[NO_TYPE]).unwrap_err(), "type");
    assert!(judge_for(&with_header(json!({ "typ": "JWT" })), &["jwt"]).is_ok());
}

#[test]
fn extensions_are_refused() {
    for changes in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
        json!({"crit": "b64"}),
        json!({"b64": false}),
        json!({"b64": true}),
    ] {
        assert_eq!(judge(&with_header(changes.clone())).unwrap_err(), "extension", "{changes}");
    }
}

#[test]
fn what_says_something_twice_is_refused() {
    let header = ES256.header().to_string();
    let good = claims(json!({})).to_string();
    for (header, claims) in [
        (header.clone(), good.replacen('{', r#"{"sub":"bob","#, 1)),
        (header.clone(), good.replacen('{', r#"{"s\u0075b":"bob","#, 1)),
        (header.clone(), good.replacen('{', r#"{"custom":1,"custom":1,"#, 1)),
        (header.clone(), good.replacen('{', r#"{"nested":{"a":1,"a":2},"#, 1)),
        (header.replacen('{', r#"{"alg":"ES256","#, 1), good.clone()),
        (header.replacen('{', r#"{"kid":"p256","#, 1), good.clone()),
    ] {
        assert_eq!(judge(&ES256.sign_text(&header, &claims)).unwrap_err(), "malformed", "{header}.{claims}");
    }
    assert!(judge(&ES256.sign_text(&header, &good)).is_ok());
}

#[test]
fn there_is_one_form_of_a_credential() {
    let good = EDDSA.sign(&claims(json!({})));
    assert!(judge(&good).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts.as_slice() else { panic!("{good}") };
    for bad in [
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}="),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}.{body}"),
        format!("{header}=.{body}.{signature}"),
        format!("{header}.{body}.{signature}.{signature}"),
        format!("{header}..{body}.{signature}.{signature}"),
        format!("{header}.{body}.{}", "+".repeat(86)),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
    ] {
        assert!(judge(&bad).is_err(), "{bad:?}");
    }
    // 64 bytes are 86 characters, of which the last has four bits that must be 0.
    let last = signature.chars().last().unwrap();
    let twin = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).find(|twin| {
        let value = |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".find(c).unwrap();
        value(*twin) == value(last) + 1
    });
    let non_canonical = format!("{header}.{body}.{}{}", &signature[..85], twin.unwrap());
    assert_eq!(judge(&non_canonical).unwrap_err(), "signature");
}

#[test]
fn a_signature_of_nothing_is_none() {
    for (signer, bytes) in [(&*ES256, 64), (&*ES384, 96), (&*EDDSA, 64), (&*RS256, 256)] {
        let good = signer.sign(&claims(json!({})));
        let message = good.rsplit_once('.').unwrap().0;
        for signature in [vec![0; bytes], vec![0xff; bytes], vec![0; bytes - 1], vec![0; bytes + 1], vec![0]] {
            let credential = format!("{message}.{}", encoded(signature));
            assert_eq!(judge(&credential).unwrap_err(), "signature", "{}", signer.id);
        }
    }
}

#[test]
fn what_is_not_an_object_is_refused() {
    let header = ES256.header().to_string();
    let deep = format!("{}{}", "[".repeat(6_000), "]".repeat(6_000));
    for claims in ["[]", "1", "null", "\"a\"", "", "{", "{}{}", "{\"a\":1e999}", &deep] {
        assert_eq!(judge(&ES256.sign_text(&header, claims)).unwrap_err(), "malformed", "{claims:.40}");
    }
    assert_eq!(judge(&ES256.sign_text("[]", "{}")).unwrap_err(), "malformed");
}

#[test]
fn a_long_credential_is_not_even_split() {
    assert_eq!(judge(&"a".repeat(CREDENTIAL_BYTES_MAX + 1)).unwrap_err(), "too_large");
    assert_eq!(judge(&"a.a.a".repeat(200_000)).unwrap_err(), "too_large");
    // As long as may be.
    let padded = |length: usize| ES256.sign(&claims(json!({ "pad": "p".repeat(length) })));
    let room = (CREDENTIAL_BYTES_MAX - padded(0).len()) * 3 / 4 - 4;
    assert!(padded(room).len() <= CREDENTIAL_BYTES_MAX);
    assert!(judge(&padded(room)).is_ok());
}

#[test]
fn encrypted_credentials_are_refused() {
    let jwe = format!("{}.AAAA.AAAA.AAAA.AAAA", encoded(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF","cty":"JWT"}"#));
    assert_eq!(judge(&jwe).unwrap_err(), "malformed");
    assert!(!is_signed(&jwe));
    assert!(!is_signed("opaque") && !is_signed("a.b") && is_signed("a.b.c"));
}
