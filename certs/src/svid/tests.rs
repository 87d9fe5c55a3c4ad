//! Which leaves are SVIDs.

#![expect(clippy::unwrap_used, reason = "tests")]

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::*;
use crate::testing::{ID, Root, der_of, leaf_params};

fn check(change: impl FnOnce(&mut CertificateParams), expected: Result<(), SvidFault>) {
    let mut params = leaf_params(ID, SystemTime::now());
    change(&mut params);
    let (leaf, _) = Root::new("root").sign(&params);
    assert_eq!(leaf_of(&leaf).map(|_| ()), expected);
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A leaf whose one URI is this.
fn check_uri(text: &str, expected: Result<(), SvidFault>) {
    check(|params| params.subject_alt_names = vec![uri(text)], expected);
}

#[test]
fn a_chain_and_its_key_are_an_identity() {
    let now = SystemTime::now();
    let (leaf, key) = Root::new("root").sign(&leaf_params(ID, now));
    let svid = Svid::from_pem(pem_of(&leaf).as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    assert_eq!(svid.id().as_str(), ID);
    assert_eq!(svid.serial(), "07");
    assert!(svid.not_before() <= now && now < svid.not_after());
    assert_eq!(svid.chain_pem(), pem_of(&leaf));
    let shown = format!("{svid:?}");
    assert!(shown.contains(ID) && !shown.to_lowercase().contains("key"), "{shown}");
}

#[test]
fn a_key_that_is_another_leafs_is_refused() {
    let (leaf, _) = Root::new("root").sign(&leaf_params(ID, SystemTime::now()));
    let error = Svid::new(vec![leaf], der_of(&KeyPair::generate().unwrap())).unwrap_err();
    assert_eq!(error, SvidError::Pair(PemError::KeyMismatch));
    assert_eq!(error.label(), "key_mismatch");
}

#[test]
fn exactly_one_uri_makes_an_identity_and_other_names_may_stand_beside_it() {
    check(|_| {}, Ok(()));
    check(|params| params.subject_alt_names.clear(), Err(SvidFault::NoUri));
    check(
        |params| params.subject_alt_names = vec![SanType::DnsName("a.test".try_into().unwrap())],
        Err(SvidFault::NoUri),
    );
    check(|params| params.subject_alt_names.push(uri("spiffe://corp.example/ns/a/sa/b")), Err(SvidFault::ManyUris));
    check(|params| params.subject_alt_names.push(uri("https://corp.example")), Err(SvidFault::ManyUris));
    check(|params| params.subject_alt_names.push(uri(ID)), Err(SvidFault::ManyUris));
    check(|params| params.subject_alt_names.push(SanType::DnsName("a.test".try_into().unwrap())), Ok(()));
}

#[test]
fn the_uri_is_a_spiffe_id_with_a_path() {
    let not = |error| Err(SvidFault::NotSpiffe(error));
    check_uri("https://corp.example/a", not(SpiffeIdError::Scheme));
    check_uri("SPIFFE://corp.example/a", not(SpiffeIdError::Scheme));
    check_uri("spiffe://corp.example/%61", not(SpiffeIdError::Path));
    check_uri("spiffe://corp.example/", not(SpiffeIdError::Path));
    check_uri("spiffe://corp.example:443/a", not(SpiffeIdError::TrustDomain));
    check_uri("spiffe://xn--bcher-kva.example/a", Ok(()));
    check_uri("spiffe://Corp.example/a", not(SpiffeIdError::TrustDomain));
    check_uri("spiffe://corp.example", Err(SvidFault::NoPath));
    let of_length = |bytes: usize| format!("spiffe://a/{}", "b".repeat(bytes - 11));
    check_uri(&of_length(2048), Ok(()));
    check_uri(&of_length(2049), not(SpiffeIdError::TooLong));
}

#[test]
fn a_leaf_is_no_authority_and_signs_nothing() {
    check(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), Err(SvidFault::IsAuthority));
    check(|params| params.is_ca = IsCa::NoCa, Ok(()));
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        check(|params| params.key_usages.push(usage), Err(SvidFault::MaySign));
    }
    check(|params| params.key_usages.clear(), Ok(()));
}

#[test]
fn purposes_are_both_or_none() {
    let purposes = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        move |params: &mut CertificateParams| params.extended_key_usages = purposes
    };
    check(purposes(vec![]), Ok(()));
    check(purposes(vec![ExtendedKeyUsagePurpose::ServerAuth]), Err(SvidFault::Purposes));
    check(purposes(vec![ExtendedKeyUsagePurpose::ClientAuth]), Err(SvidFault::Purposes));
    check(purposes(vec![ExtendedKeyUsagePurpose::Any]), Err(SvidFault::Purposes));
}

#[test]
fn names_are_critical_where_the_subject_is_empty() {
    // The same names, written by hand and not critical.
    let mut content = vec![0x30, ID.len() as u8 + 2, 0x86, ID.len() as u8];
    content.extend(ID.as_bytes());
    let by_hand = CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
    let names = |params: &mut CertificateParams| {
        params.subject_alt_names.clear();
        params.custom_extensions = vec![by_hand.clone()];
    };
    check(names, Err(SvidFault::NamesNotCritical));
    let with_subject = |params: &mut CertificateParams| {
        names(params);
        params.distinguished_name.push(DnType::CommonName, "somebody");
    };
    check(with_subject, Ok(()));
    // Twice the same extension: which one counts?
    check(|params| params.custom_extensions = vec![by_hand.clone()], Err(SvidFault::Malformed));
}

#[test]
fn chains_are_bounded_before_they_are_read() {
    let (leaf, key) = Root::new("root").sign(&leaf_params(ID, SystemTime::now()));
    let long = vec![leaf.clone(); CHAIN_CERTIFICATES_MAX + 1];
    assert_eq!(Svid::new(long, der_of(&key)).unwrap_err(), SvidError::TooLong);
    let large = vec![leaf, vec![0; CHAIN_BYTES_MAX].into()];
    assert_eq!(Svid::new(large, der_of(&key)).unwrap_err(), SvidError::TooLarge);
    assert!(matches!(Svid::new(Vec::new(), der_of(&key)).unwrap_err(), SvidError::Pair(_)));
    assert_eq!(leaf_of(&vec![0x30, 0].into()), Err(SvidFault::Malformed));
}
