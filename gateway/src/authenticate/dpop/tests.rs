#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    key::{PROOF_ALGORITHMS, ProofAlgorithm},
    replays::{Replays, Shown},
    testing::{ACCESS, Client, NOW, URL, at, claims, encode, with},
    *,
};

fn judged(proof: &str, thumbprint: &Thumbprint) -> Result<Proven, &'static str> {
    judge(proof, &Purpose { thumbprint, access: Secret(ACCESS), method: &Method::POST, url: URL, now: at(NOW) })
}

/// What becomes of a proof with this header and these claims.
fn check(client: &Client, header: &Value, claims: &Value) -> Result<Proven, &'static str> {
    judged(&client.sign(&header.to_string(), &claims.to_string()), &client.thumbprint())
}

#[test]
fn a_proof_for_this_request_is_good() {
    let client = Client::new();
    let proven = check(&client, &client.header(), &claims());
    assert_eq!(proven, Ok(Proven { id: "a-proof".to_owned(), until: NOW + 60 }));
}

#[test]
fn a_header_that_says_something_else_is_refused() {
    let client = Client::new();
    let header = |name: &str, member: Value| with(client.header(), name, member);
    let jwk = |name: &str, member: Value| header("jwk", with(client.jwk(), name, member));
    for (header, word) in [
        (header("typ", Value::Null), "proof_type"),
        (header("typ", json!("at+jwt")), "proof_type"),
        (header("typ", json!("JWT")), "proof_type"),
        (header("typ", json!(["dpop+jwt"])), "proof_type"),
        (header("crit", json!(["exp"])), "proof_critical"),
        (header("b64", json!(false)), "proof_critical"),
        (header("alg", Value::Null), "proof_algorithm"),
        (header("alg", json!("none")), "proof_algorithm"),
        (header("alg", json!("nOnE")), "proof_algorithm"),
        (header("alg", json!("HS256")), "proof_algorithm"),
        (header("alg", json!("ES512")), "proof_algorithm"),
        (header("alg", json!("ES384")), "proof_key"),
        (header("alg", json!("RS256")), "proof_key"),
        (header("jwk", Value::Null), "proof_key"),
        (header("jwk", json!("x")), "proof_key"),
        (jwk("d", json!("AAAA")), "proof_key"),
        (jwk("k", json!("AAAA")), "proof_key"),
        (jwk("kty", json!("oct")), "proof_key"),
        (jwk("kty", json!("OKP")), "proof_key"),
        (jwk("crv", json!("P-384")), "proof_key"),
        (jwk("crv", json!("secp256k1")), "proof_key"),
        (jwk("x", json!("")), "proof_key"),
        (jwk("x", json!(encode([1; 31]))), "proof_key"),
        (jwk("x", json!(encode([1; 33]))), "proof_key"),
        (jwk("y", Value::Null), "proof_key"),
        (jwk("y", json!(7)), "proof_key"),
        (jwk("use", json!("enc")), "proof_key"),
        (jwk("key_ops", json!(["sign"])), "proof_key"),
        (jwk("key_ops", json!("verify")), "proof_key"),
    ] {
        assert_eq!(check(&client, &header, &claims()), Err(word), "{header}");
    }
}

#[test]
fn hints_in_the_header_are_not_used() {
    let client = Client::new();
    for (name, value) in [
        ("kid", json!("../../dev/null")),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain")),
        ("x5c", json!(["AAAA"])),
    ] {
        assert!(check(&client, &with(client.header(), name, value), &claims()).is_ok(), "{name}");
    }
}

#[test]
fn claims_that_are_for_something_else_are_refused() {
    let client = Client::new();
    for (name, value, word) in [
        ("jti", Value::Null, "proof_id"),
        ("jti", json!(""), "proof_id"),
        ("jti", json!(7), "proof_id"),
        ("jti", json!("x".repeat(PROOF_ID_BYTES_MAX + 1)), "proof_id"),
        ("htm", Value::Null, "proof_method"),
        ("htm", json!("GET"), "proof_method"),
        ("htm", json!("post"), "proof_method"),
        ("htu", Value::Null, "proof_url"),
        ("htu", json!("https://llm.corp.example/v1/models"), "proof_url"),
        ("htu", json!("https://llm.corp.example/v1/chat/completions/"), "proof_url"),
        ("htu", json!("http://llm.corp.example/v1/chat/completions"), "proof_url"),
        ("htu", json!("https://llm.corp.example:8443/v1/chat/completions"), "proof_url"),
        ("htu", json!("https://llm.corp.example@evil.example/v1/chat/completions"), "proof_url"),
        ("htu", json!("https://evil.example/v1/chat/completions"), "proof_url"),
        ("htu", json!(format!("{URL}?model=x")), "proof_url"),
        ("htu", json!(format!("{URL}#x")), "proof_url"),
        ("htu", json!("/v1/chat/completions"), "proof_url"),
        ("htu", json!([URL]), "proof_url"),
        ("ath", Value::Null, "proof_hash"),
        ("ath", json!(encode(digest(&SHA256, b"another"))), "proof_hash"),
        ("ath", json!(ACCESS), "proof_hash"),
        ("iat", Value::Null, "proof_time"),
        ("iat", json!("1800000000"), "proof_time"),
        ("iat", json!(-1), "proof_time"),
        ("iat", json!(1e300), "proof_time"),
        ("iat", json!(NOW - 61), "proof_time"),
        ("iat", json!(NOW + 31), "proof_time"),
        ("exp", json!(NOW - 1), "proof_time"),
        ("exp", json!("soon"), "proof_time"),
        ("nbf", json!(NOW + 31), "proof_time"),
    ] {
        let claims = with(claims(), name, value);
        assert_eq!(check(&client, &client.header(), &claims), Err(word), "{claims}");
    }
}

#[test]
fn claims_within_their_bounds_are_good() {
    let client = Client::new();
    for (name, value) in [
        ("jti", json!("x".repeat(PROOF_ID_BYTES_MAX))),
        ("htu", json!("HTTPS://LLM.Corp.Example:443/v1/./x/../chat/%63ompletions")),
        ("htu", json!("https://llm.corp.example./v1/chat/completions")),
        ("iat", json!(NOW - 60)),
        ("iat", json!(NOW + 30)),
        ("iat", json!(NOW as f64 + 0.75)),
        ("exp", json!(NOW)),
        ("nbf", json!(NOW + 30)),
        ("nonce", json!("of somebody")),
    ] {
        let claims = with(claims(), name, value);
        assert!(check(&client, &client.header(), &claims).is_ok(), "{claims}");
    }
}

#[test]
fn another_form_is_refused() {
    let client = Client::new();
    let good = client.sign(&client.header().to_string(), &claims().to_string());
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
    let twice = client.header().to_string().replacen('{', r#"{"typ":"dpop+jwt","#, 1);
    for (proof, word) in [
        (String::new(), "proof_malformed"),
        (format!("{header}.{claims}"), "proof_malformed"),
        (format!("{header}.{claims}.{signature}.x"), "proof_malformed"),
        (format!("{header}.{claims}.{signature}.x.y"), "proof_malformed"),
        (format!("{good}\n"), "proof_malformed"),
        (format!("{good}=="), "proof_malformed"),
        (format!("{header}=.{claims}.{signature}"), "proof_malformed"),
        (format!("{header}.{claims}."), "proof_signature"),
        (format!("{header}.{claims}.{}", encode([0; 64])), "proof_signature"),
        (format!("{header}.{claims}.{}", encode([0; 63])), "proof_signature"),
        (client.sign(&twice, "{}"), "proof_malformed"),
        (client.sign("[]", "{}"), "proof_malformed"),
        ("x".repeat(PROOF_BYTES_MAX + 1), "proof_too_long"),
    ] {
        assert_eq!(judged(&proof, &client.thumbprint()), Err(word), "{proof}");
    }
}

#[test]
fn a_proof_by_another_key_is_refused() {
    let (client, thief) = (Client::new(), Client::new());
    let proof = thief.sign(&thief.header().to_string(), &claims().to_string());
    assert_eq!(judged(&proof, &client.thumbprint()), Err("proof_of_another_key"));
    // The thief shows the client's key and signs with his own.
    let proof = thief.sign(&client.header().to_string(), &claims().to_string());
    assert_eq!(judged(&proof, &client.thumbprint()), Err("proof_signature"));
}

#[test]
fn a_point_that_is_not_on_the_curve_is_refused() {
    let client = Client::new();
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": encode([1; 32]), "y": encode([1; 32])});
    let key = ProofKey::new(ProofAlgorithm::parse("ES256").unwrap(), jwk.as_object().unwrap()).unwrap();
    let proof = client.sign(&with(client.header(), "jwk", jwk).to_string(), &claims().to_string());
    assert_eq!(judged(&proof, key.thumbprint()), Err("proof_signature"));
}

/// Signs with any key, and judges what came out.
fn signed_with(alg: &str, jwk: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Proven, &'static str> {
    let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}).to_string();
    let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
    let proof = format!("{signed}.{}", encode(sign(signed.as_bytes())));
    let key = ProofKey::new(ProofAlgorithm::parse(alg).unwrap(), jwk.as_object().unwrap()).ok_or("proof_key")?;
    judged(&proof, key.thumbprint())
}

#[test]
fn every_kind_of_key_is_taken_as_it_should_be() {
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(ed25519.public_key())});
    for alg in ["EdDSA", "Ed25519"] {
        assert!(signed_with(alg, &jwk, |text| ed25519.sign(text).as_ref().to_vec()).is_ok(), "{alg}");
    }
    for x in [vec![1; 31], vec![1; 33], vec![]] {
        assert_eq!(signed_with("EdDSA", &with(jwk.clone(), "x", json!(encode(x))), |_| vec![0; 64]), Err("proof_key"));
    }

    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let point = p384.public_key().as_ref();
    let jwk = json!({"kty": "EC", "crv": "P-384", "x": encode(&point[1..49]), "y": encode(&point[49..])});
    let sign = |text: &[u8]| p384.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
    assert!(signed_with("ES384", &jwk, sign).is_ok());

    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let modulus = rsa.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let jwk = json!({"kty": "RSA", "n": encode(&modulus), "e": "AQAB"});
    for (alg, padding) in
        [("RS256", &RSA_PKCS1_SHA256), ("PS512", &RSA_PSS_SHA512)] as [(_, &'static dyn RsaEncoding); 2]
    {
        let sign = |text: &[u8]| {
            let mut signature = vec![0; rsa.public_modulus_len()];
            rsa.sign(padding, &SystemRandom::new(), text, &mut signature).unwrap();
            signature
        };
        assert!(signed_with(alg, &jwk, sign).is_ok(), "{alg}");
        let other = if alg == "RS256" { "PS256" } else { "RS512" };
        assert_eq!(signed_with(other, &jwk, sign), Err("proof_signature"), "{alg} as {other}");
    }
    let padded = [&[0], &*modulus].concat();
    for (name, value) in [
        ("e", json!("AQ")),
        ("e", json!("Aw")),
        ("e", json!(encode([0, 1, 0, 1]))),
        ("n", json!(encode([0xff; 128]))),
        ("n", json!(encode([0xff; 513]))),
        ("n", json!(encode(padded))),
        ("n", json!("AQAB")),
        ("n", Value::Null),
    ] {
        let jwk = with(jwk.clone(), name, value);
        assert_eq!(signed_with("RS256", &jwk, |_| vec![0; 256]), Err("proof_key"), "{jwk}");
    }
}

#[test]
fn the_algorithms_that_are_announced_are_those_that_are_taken() {
    for name in PROOF_ALGORITHMS {
        assert!(ProofAlgorithm::parse(name).is_some(), "{name}");
    }
}

#[test]
fn the_thumbprint_is_that_of_the_rfc() {
    // RFC 7638 §3.1.
    let jwk = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29"
    });
    let key = ProofKey::new(ProofAlgorithm::parse("RS256").unwrap(), jwk.as_object().unwrap()).unwrap();
    assert_eq!(encode(key.thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn the_example_of_the_rfc_is_good_at_its_time() {
    // RFC 9449 §7.1.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let thumbprint: Thumbprint =
        BASE64_URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap().try_into().unwrap();
    let purpose = Purpose {
        thumbprint: &thumbprint,
        access: Secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        method: &Method::GET,
        url: "https://resource.example.org/protectedresource",
        now: at(1_562_262_618),
    };
    assert_eq!(judge(proof, &purpose).map(|proven| proven.id), Ok("e1j3V_bKic8-LAEB".to_owned()));
    assert_eq!(judge(proof, &Purpose { now: at(1_562_262_618 + 61), ..purpose }), Err("proof_time"));
}

fn proven(id: &str, until: u64) -> Proven {
    Proven { id: id.to_owned(), until }
}

#[test]
fn a_proof_counts_once_while_it_could_be_shown_again() {
    let replays = Replays::new(64);
    let (key, other) = ([1; 32], [2; 32]);
    assert_eq!(replays.show(&key, &proven("a", NOW + 60), at(NOW)), Shown::First);
    assert_eq!(replays.show(&key, &proven("a", NOW + 60), at(NOW)), Shown::Again);
    assert_eq!(replays.show(&key, &proven("a", NOW + 60), at(NOW + 60)), Shown::Again);
    // Another proof, and another client's proof of the same name.
    assert_eq!(replays.show(&key, &proven("b", NOW + 60), at(NOW)), Shown::First);
    assert_eq!(replays.show(&other, &proven("a", NOW + 60), at(NOW)), Shown::First);
    assert_eq!(replays.show(&key, &proven("a", NOW + 121), at(NOW + 61)), Shown::First);
}

#[test]
fn a_full_cache_refuses_and_forgets_only_what_is_too_old() {
    let replays = Replays::new(64);
    let (busy, other) = ([0; 32], [1; 32]);
    for id in 0..4 {
        assert_eq!(replays.show(&busy, &proven(&id.to_string(), NOW + 60 + id), at(NOW)), Shown::First);
    }
    assert_eq!(replays.show(&busy, &proven("x", NOW + 60), at(NOW)), Shown::Full);
    assert_eq!(replays.show(&busy, &proven("0", NOW + 60), at(NOW)), Shown::Again);
    // Another key has its own shard.
    assert_eq!(replays.show(&other, &proven("x", NOW + 60), at(NOW)), Shown::First);
    // The first of the four is too old by now; the others still count.
    assert_eq!(replays.show(&busy, &proven("x", NOW + 120), at(NOW + 61)), Shown::First);
    assert_eq!(replays.show(&busy, &proven("1", NOW + 61), at(NOW + 61)), Shown::Again);
    assert_eq!(replays.show(&busy, &proven("y", NOW + 120), at(NOW + 61)), Shown::Full);
    assert_eq!(replays.len(), 5);
}

#[test]
fn of_many_threads_with_one_proof_one_is_first() {
    let replays = Replays::new(64);
    let first = std::thread::scope(|scope| {
        let show = || replays.show(&[1; 32], &proven("a", NOW + 60), at(NOW)) == Shown::First;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(show)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|first| *first).count()
    });
    assert_eq!(first, 1);
}

proptest! {
    /// One form is the form of itself, and never has a query or a fragment.
    #[test]
    fn one_form_is_a_fixed_point(url in "(https|HTTP)://[a-zA-Z.]{1,9}(:[0-9]{1,5})?(/[a-z%0-9A-F./?#;]{0,12})?") {
        if let Some(form) = one_form(&url) {
            prop_assert_eq!(one_form(&form), Some(form.clone()));
            prop_assert!(!form.contains(['?', '#']));
        }
    }

    /// Whatever bytes come, there is an answer.
    #[test]
    fn any_text_is_judged(proof in ".{0,200}") {
        prop_assert!(judged(&proof, &[0; 32]).is_err());
    }
}
