//! Whom a trust domain's bundle names.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::SystemTime;

use rcgen::KeyPair;

use super::*;
use crate::testing::{ID, Root, authority_params, domain, leaf_params};

fn two() -> TrustBundle {
    let authorities = vec![Root::new("one").certificate(), Root::new("two").certificate()];
    TrustBundle::new(domain("corp.example"), authorities).unwrap()
}

#[test]
fn both_forms_say_the_same() {
    let bundle = two().published(7, Duration::from_mins(5));
    let again = TrustBundle::from_pem(domain("corp.example"), bundle.to_pem().as_bytes()).unwrap();
    assert_eq!(again, bundle);
    assert_eq!((again.sequence(), again.refresh_hint()), (None, None), "PEM has no word for these");
    let again = TrustBundle::from_jwk_set(domain("corp.example"), bundle.to_jwk_set().as_bytes()).unwrap();
    assert_eq!(again, bundle);
    assert_eq!((again.sequence(), again.refresh_hint()), (Some(7), Some(Duration::from_mins(5))));
}

#[test]
fn the_spiffe_form_has_keys_that_readers_of_jwks_can_use() {
    let key = KeyPair::generate().unwrap();
    let root = authority_params("root").self_signed(&key).unwrap().der().clone();
    let bundle = TrustBundle::new(domain("corp.example"), vec![root]).unwrap().published(1, Duration::from_mins(5));
    let set: serde_json::Value = serde_json::from_str(&bundle.to_jwk_set()).unwrap();
    assert_eq!(set.pointer("/spiffe_sequence").unwrap(), 1);
    assert_eq!(set.pointer("/spiffe_refresh_hint").unwrap(), 300);
    let jwk = |name: &str| set.pointer(&format!("/keys/0/{name}")).unwrap();
    assert_eq!((jwk("use"), jwk("kty"), jwk("crv")), (&"x509-svid".into(), &"EC".into(), &"P-256".into()));
    assert_eq!(jwk("x5c").as_array().unwrap().len(), 1);
    let coordinates = ["x", "y"].map(|name| {
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
        BASE64_URL_SAFE_NO_PAD.decode(jwk(name).as_str().unwrap()).unwrap()
    });
    assert_eq!(Some(coordinates.concat().as_slice()), key.public_key_raw().get(1..));
}

#[test]
fn an_empty_bundle_is_said_in_words_and_not_by_an_empty_file() {
    let read = |text: &str| TrustBundle::from_jwk_set(domain("corp.example"), text.as_bytes());
    assert!(read(r#"{"keys":[]}"#).unwrap().is_empty());
    assert!(TrustBundle::new(domain("corp.example"), Vec::new()).unwrap().is_empty());
    let cut = TrustBundle::from_pem(domain("corp.example"), b"");
    assert_eq!(cut, Err(BundleError::Pem(PemError::NoCertificate)));
    for text in ["", "{}", "[]", r#"{"keys":null}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[]} x"#] {
        assert!(matches!(read(text), Err(BundleError::Json(_))), "{text}");
    }
}

#[test]
fn keys_for_other_uses_are_passed_over_and_broken_ones_refused() {
    let read = |text: String| TrustBundle::from_jwk_set(domain("corp.example"), text.as_bytes());
    let set = two().to_jwk_set();
    let other = r#"{"keys":[{"kty":"EC","use":"jwt-svid","kid":"a"},{"kty":"EC"},"#;
    assert_eq!(read(set.replacen(r#"{"keys":["#, other, 1)).unwrap(), two_of(&set));
    for broken in [
        r#"{"keys":[{"use":"x509-svid"},"#,
        r#"{"keys":[{"use":"x509-svid","x5c":[]},"#,
        r#"{"keys":[{"use":"x509-svid","x5c":["AAAA","AAAA"]},"#,
        r#"{"keys":[{"use":"x509-svid","x5c":["?"]},"#,
    ] {
        assert_eq!(read(set.replacen(r#"{"keys":["#, broken, 1)), Err(BundleError::Certificate(1)), "{broken}");
    }
    let junk = set.replacen(r#"{"keys":["#, r#"{"keys":[{"use":"x509-svid","x5c":["AAAA"]},"#, 1);
    assert_eq!(read(junk), Err(BundleError::NotAnAuthority(1)));
}

fn two_of(set: &str) -> TrustBundle {
    TrustBundle::from_jwk_set(domain("corp.example"), set.as_bytes()).unwrap()
}

#[test]
fn only_authorities_are_believed_and_copies_count_once() {
    let root = Root::new("root");
    let leaf = root.sign(&leaf_params(ID, SystemTime::now())).0;
    let of = |certificates| TrustBundle::new(domain("corp.example"), certificates);
    assert_eq!(of(vec![root.certificate(), leaf]), Err(BundleError::NotAnAuthority(2)));
    let mut no_signer = authority_params("a");
    no_signer.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    assert_eq!(of(vec![Root::of(no_signer).certificate()]), Err(BundleError::NotAnAuthority(1)));
    assert_eq!(of(vec![root.certificate(); 3]).unwrap().authorities().len(), 1);
}

#[test]
fn bundles_are_bounded() {
    let many: Vec<_> = (0..=BUNDLE_AUTHORITIES_MAX).map(|n| Root::new(&n.to_string()).certificate()).collect();
    assert_eq!(TrustBundle::new(domain("a"), many), Err(BundleError::TooManyAuthorities));
    let large = vec![b' '; BUNDLE_BYTES_MAX + 1];
    let too_large = Err(BundleError::TooLarge(BUNDLE_BYTES_MAX));
    assert_eq!(TrustBundle::from_pem(domain("a"), &large), too_large);
    assert_eq!(TrustBundle::from_jwk_set(domain("a"), &large), too_large);
    let empty = |n: usize| TrustBundle::new(domain(&n.to_string()), Vec::new()).unwrap();
    assert!(TrustBundles::new((0..TRUST_DOMAINS_MAX).map(empty)).is_ok());
    assert_eq!(TrustBundles::new((0..=TRUST_DOMAINS_MAX).map(empty)), Err(BundleError::TooManyDomains));
}

#[test]
fn a_trust_domain_has_one_bundle() {
    let (one, other) = (Root::new("one").bundle("corp.example"), Root::new("two").bundle("corp.example"));
    let doubled = TrustBundles::new([one.clone(), other.clone()]);
    assert_eq!(doubled, Err(BundleError::DuplicateDomain(domain("corp.example"))));
    let bundles = TrustBundles::new([one.clone(), Root::new("far").bundle("far.example")]).unwrap();
    assert_eq!(bundles.of("corp.example"), Some(&one));
    assert_eq!(bundles.of("corp.exampl"), None);
    assert_eq!(bundles.with(other.clone()).of("corp.example"), Some(&other));
    assert_eq!(bundles.without("far.example").iter().count(), 1);
    assert_eq!(bundles.iter().count(), 2, "what was given out does not change");
}

#[test]
fn a_map_of_bundles_names_each_domain_once() {
    let bundles = TrustBundles::new([Root::new("a").bundle("a.example"), Root::new("b").bundle("b.example")]).unwrap();
    assert_eq!(TrustBundles::from_map(bundles.to_map().as_bytes()).unwrap(), bundles);
    let set = r#"{"keys":[]}"#;
    let doubled = format!(r#"{{"trust_domains":{{"a":{set},"b":{set},"a":{set}}}}}"#);
    assert_eq!(TrustBundles::from_map(doubled.as_bytes()), Err(BundleError::DuplicateDomain(domain("a"))));
    let misnamed = format!(r#"{{"trust_domains":{{"A":{set}}}}}"#);
    assert_eq!(TrustBundles::from_map(misnamed.as_bytes()), Err(BundleError::Domain("A".to_owned())));
    assert!(matches!(TrustBundles::from_map(b"{}"), Err(BundleError::Json(_))));
}
