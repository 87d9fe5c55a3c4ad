//! What workloads may ask for.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SanType,
};

use super::*;
use crate::testing::ID;

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn request(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = params();
    change(&mut params);
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn fault(content: &[u8]) -> Option<RequestFault> {
    SigningRequest::parse(content).err()
}

fn check(change: impl FnOnce(&mut CertificateParams), expected: Option<RequestFault>) {
    assert_eq!(fault(&request(change)), expected);
}

fn pem_of(der: &[u8]) -> String {
    ::pem::encode(&::pem::Pem::new("CERTIFICATE REQUEST", der))
}

#[test]
fn a_request_is_a_key_that_signs_itself() {
    let key = KeyPair::generate().unwrap();
    let der = params().serialize_request(&key).unwrap().der().to_vec();
    let parsed = SigningRequest::parse(&der).unwrap();
    assert_eq!(rcgen::PublicKeyData::der_bytes(parsed.key()), key.public_key_raw());
    assert!(SigningRequest::parse(pem_of(&der).as_bytes()).is_ok());
    let crlf = format!("\r\n{}\r\n", pem_of(&der).replace('\n', "\r\n").replace("\r\r", "\r"));
    assert!(SigningRequest::parse(crlf.as_bytes()).is_ok());
}

#[test]
fn it_may_say_who_asks_and_nobody_else() {
    let id: SpiffeId = ID.parse().unwrap();
    let parsed =
        |name: &str| SigningRequest::parse(&request(|params| params.subject_alt_names = vec![uri(name)])).unwrap();
    assert_eq!(parsed(ID).refuse_other_than(&id), Ok(()));
    assert_eq!(SigningRequest::parse(&request(|_| {})).unwrap().refuse_other_than(&id), Ok(()));
    for other in
        ["spiffe://corp.example/ns/inference/sa/other", "spiffe://other.example/ns/inference/sa/llama", "https://a", ""]
    {
        assert_eq!(parsed(other).refuse_other_than(&id), Err(RequestFault::OtherIdentity), "{other}");
    }
    assert_eq!(parsed(&ID.to_uppercase()).refuse_other_than(&id), Err(RequestFault::OtherIdentity));
}

#[test]
fn whatever_else_it_says_is_refused() {
    let dns = || SanType::DnsName("a.test".try_into().unwrap());
    check(|params| params.subject_alt_names = vec![dns()], Some(RequestFault::Names));
    check(|params| params.subject_alt_names = vec![uri(ID), dns()], Some(RequestFault::Names));
    check(|params| params.subject_alt_names = vec![uri(ID), uri(ID)], Some(RequestFault::Names));
    check(
        |params| params.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())],
        Some(RequestFault::Names),
    );
    check(
        |params| params.subject_alt_names = vec![SanType::Rfc822Name("a@b".try_into().unwrap())],
        Some(RequestFault::Names),
    );
    check(|params| params.distinguished_name.push(DnType::CommonName, "root"), Some(RequestFault::Subject));
    check(|params| params.distinguished_name.push(DnType::CommonName, ""), Some(RequestFault::Subject));
    check(|params| params.distinguished_name.push(DnType::OrganizationName, "a"), Some(RequestFault::Subject));
    check(|params| params.distinguished_name.push(DnType::OrganizationName, ""), None);
    check(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), Some(RequestFault::Extension));
    check(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign], Some(RequestFault::Extension));
    let custom = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    check(|params| params.custom_extensions = vec![custom.clone()], Some(RequestFault::Extension));
    let beside = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![uri(ID)];
        params.custom_extensions = vec![custom];
    };
    check(beside, Some(RequestFault::Extension));
}

#[test]
fn keys_are_of_kinds_that_are_worth_something() {
    let of = |key: &KeyPair| fault(params().serialize_request(key).unwrap().der());
    for good in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        assert_eq!(of(&KeyPair::generate_for(good).unwrap()), None, "{good:?}");
    }
    assert_eq!(of(&KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap()), Some(RequestFault::Key));
    assert_eq!(modulus_bits(&[0, 0, 0x7f, 0xff]), 15);
    assert_eq!(modulus_bits(&[]), 0);
}

#[test]
fn requests_of_openssl_are_judged_alike() {
    let folder = tempfile::tempdir().unwrap();
    let make = |arguments: &str| {
        let out = folder.path().join("request.pem");
        let run = Command::new("openssl")
            .args(["req", "-new", "-nodes", "-keyout", "/dev/null", "-out"])
            .arg(&out)
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        fault(&std::fs::read(out).unwrap())
    };
    assert_eq!(make("-subj / -newkey ec -pkeyopt ec_paramgen_curve:P-256"), None);
    assert_eq!(make("-subj / -newkey ed25519"), None);
    assert_eq!(make("-subj / -newkey rsa:2048"), None);
    assert_eq!(make(&format!("-subj / -newkey ed25519 -addext subjectAltName=URI:{ID}")), None);
    assert_eq!(make("-subj / -newkey rsa:1024"), Some(RequestFault::Key));
    assert_eq!(make("-subj / -newkey ec -pkeyopt ec_paramgen_curve:secp256k1"), Some(RequestFault::Key));
    assert_eq!(make("-subj / -newkey rsa:2048 -sha1"), Some(RequestFault::Algorithm));
    assert_eq!(make("-subj /CN=root -newkey ed25519"), Some(RequestFault::Subject));
    assert_eq!(make("-subj / -newkey ed25519 -addext keyUsage=keyCertSign"), Some(RequestFault::Extension));
}

#[test]
fn what_is_no_request_or_not_one_is_refused() {
    let der = request(|_| {});
    let text = pem_of(&der);
    let block = |label: &str| text.replace("CERTIFICATE REQUEST", label);
    assert_eq!(fault(b""), Some(RequestFault::NotARequest));
    assert_eq!(fault(b"request"), Some(RequestFault::NotARequest));
    assert_eq!(fault(block("CERTIFICATE").as_bytes()), Some(RequestFault::NotARequest));
    assert_eq!(fault(block("PRIVATE KEY").as_bytes()), Some(RequestFault::NotARequest));
    assert_eq!(fault(text.repeat(2).as_bytes()), Some(RequestFault::NotAlone));
    assert_eq!(fault(format!("{text}{}", block("CERTIFICATE")).as_bytes()), Some(RequestFault::NotAlone));
    assert_eq!(fault(format!("hello\n{text}").as_bytes()), Some(RequestFault::NotAlone));
    assert_eq!(fault(format!("{text}bye").as_bytes()), Some(RequestFault::NotAlone));
    assert_eq!(fault(&[der.as_slice(), &[0]].concat()), Some(RequestFault::Malformed));
    assert_eq!(fault(der.get(..der.len() - 1).unwrap()), Some(RequestFault::Malformed));
    assert_eq!(fault(&vec![b'-'; 1024 * 1024]), Some(RequestFault::TooLarge));
    let padded = format!("{text}{}", " ".repeat(REQUEST_BYTES_MAX - text.len()));
    assert_eq!(fault(padded.as_bytes()), None);
    assert_eq!(fault(format!("{padded} ").as_bytes()), Some(RequestFault::TooLarge));
}

#[test]
fn a_request_that_was_changed_is_not_signed_any_more() {
    let der = request(|params| params.subject_alt_names = vec![uri(ID)]);
    for at in 0..der.len() {
        let mut changed = der.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1;
        }
        assert!(fault(&changed).is_some(), "byte {at}");
    }
    // Somebody else's signature.
    let other = request(|params| params.subject_alt_names = vec![uri(ID)]);
    let mixed = [der.get(..der.len() - 40).unwrap(), other.get(other.len() - 40..).unwrap()].concat();
    assert!(fault(&mixed).is_some());
}
