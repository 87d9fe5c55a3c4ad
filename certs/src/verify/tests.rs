//! Whom the verifiers believe, and whom not.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::{client::danger::ServerCertVerifier, server::danger::ClientCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<Arc<[u8]>> {
        vec![self.0.pem().into_bytes().into()]
    }

    fn leaf(&self, dns: &[&str], uris: &[&str], usage: ExtendedKeyUsagePurpose) -> Vec<CertificateDer<'static>> {
        let names: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.extended_key_usages = vec![usage];
        params.not_before = (SystemTime::now() - Duration::from_hours(1)).into();
        params.not_after = (SystemTime::now() + Duration::from_hours(1)).into();
        vec![params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().clone()]
    }
}

fn refusal(verifier: &ServerVerifier, chain: &[CertificateDer<'_>], dialled: &'static str) -> Option<String> {
    let (leaf, rest) = chain.split_first().unwrap();
    let name = ServerName::try_from(dialled).unwrap();
    verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now()).err().map(|e| e.to_string())
}

#[test]
fn a_backend_must_carry_the_dialled_name() {
    let authority = Authority::new("one");
    let verifier = ServerVerifier::new(&Authorities::Pem(authority.pem()), &[]).unwrap();
    let chain = authority.leaf(&["a.test", "*.w.test"], &[], ExtendedKeyUsagePurpose::ServerAuth);
    for (dialled, accepted) in [
        ("a.test", true),
        ("A.TEST", true),
        ("x.w.test", true),
        ("b.test", false),
        ("w.test", false),
        ("x.y.w.test", false),
    ] {
        assert_eq!(refusal(&verifier, &chain, dialled).is_none(), accepted, "{dialled}");
    }
    let stranger = Authority::new("two").leaf(&["a.test"], &[], ExtendedKeyUsagePurpose::ServerAuth);
    assert!(refusal(&verifier, &stranger, "a.test").unwrap().contains("UnknownIssuer"));
    let client = authority.leaf(&["a.test"], &[], ExtendedKeyUsagePurpose::ClientAuth);
    assert!(refusal(&verifier, &client, "a.test").is_some(), "a client's certificate is no server's");
}

#[test]
fn expected_names_stand_instead_of_the_dialled_one() {
    let authority = Authority::new("one");
    let chain = authority.leaf(
        &["a.test", "*.w.test"],
        &["spiffe://corp.example/ns/a/sa/b"],
        ExtendedKeyUsagePurpose::ServerAuth,
    );
    let check = |expected: ExpectedName, accepted: bool| {
        let names = [ExpectedName::Dns("never.test".into()), expected];
        let verifier = ServerVerifier::new(&Authorities::Pem(authority.pem()), &names).unwrap();
        // The dialled name is in no certificate here, and must not matter.
        assert_eq!(refusal(&verifier, &chain, "dialled.test").is_none(), accepted, "{names:?}");
    };
    let dns = |name: &str| ExpectedName::Dns(name.into());
    let uri = |name: &str| ExpectedName::Uri(name.into());
    check(dns("a.test"), true);
    check(dns("A.test"), true);
    check(dns("x.w.test"), true);
    check(dns("x.y.w.test"), false);
    check(dns("w.test"), false);
    check(dns("*.w.test"), true);
    check(dns("*.test"), true); // `a.test` is one label below `test`
    check(dns("*.a.test"), false);
    check(dns("b.test"), false);
    check(uri("spiffe://corp.example/ns/a/sa/b"), true);
    check(uri("spiffe://corp.example/ns/a/sa/B"), false);
    check(uri("spiffe://corp.example/ns/a/sa/b/"), false);
    check(uri("spiffe://corp.example/ns/a/sa"), false);
    check(uri("a.test"), false);
    check(dns("spiffe://corp.example/ns/a/sa/b"), false);

    let verifier = ServerVerifier::new(&Authorities::Pem(authority.pem()), &[dns("b.test")]).unwrap();
    let text = refusal(&verifier, &chain, "a.test").unwrap();
    assert!(text.contains("b.test") && text.contains("*.w.test"), "the dialled name does not help: {text}");
}

#[test]
fn a_client_is_valid_or_not_whatever_the_mode_and_the_mode_decides_the_handshake() {
    let authority = Authority::new("one");
    let good = authority.leaf(&["client"], &[], ExtendedKeyUsagePurpose::ClientAuth);
    let stranger = Authority::new("two").leaf(&["client"], &[], ExtendedKeyUsagePurpose::ClientAuth);
    let server = authority.leaf(&["client"], &[], ExtendedKeyUsagePurpose::ServerAuth);
    for (mode, lenient) in [(ClientMode::AllowValidOnly, false), (ClientMode::AllowInsecureFallback, true)] {
        let verifier = ClientVerifier::new(&authority.pem(), mode).unwrap();
        assert_eq!(verifier.client_auth_mandatory(), !lenient);
        for (chain, valid) in [(&good, true), (&stranger, false), (&server, false)] {
            let leaf = chain.first().unwrap();
            let handshake = verifier.verify_client_cert(leaf, &[], UnixTime::now());
            assert_eq!(handshake.is_ok(), valid || lenient);
            assert_eq!(verifier.judge(chain, SystemTime::now()).is_ok(), valid);
        }
        let later = SystemTime::now() + Duration::from_hours(2);
        assert!(verifier.judge(&good, later).is_err(), "expired since");
        assert!(verifier.judge(&[], SystemTime::now()).is_err());
    }
}

#[test]
fn without_authorities_no_client_is_valid_and_no_backend_can_be_judged() {
    let chain = Authority::new("one").leaf(&["client"], &[], ExtendedKeyUsagePurpose::ClientAuth);
    let verifier = ClientVerifier::new(&[], ClientMode::AllowValidOnly).unwrap();
    assert!(verifier.verify_client_cert(chain.first().unwrap(), &[], UnixTime::now()).is_err());
    let verifier = ClientVerifier::new(&[], ClientMode::AllowInsecureFallback).unwrap();
    assert!(verifier.judge(&chain, SystemTime::now()).is_err());
    assert!(matches!(ServerVerifier::new(&Authorities::Pem(Vec::new()), &[]), Err(TrustError::None)));
}

#[test]
fn policies_that_differ_have_different_keys() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let key = |pem: &[Arc<[u8]>], mode| ClientVerifier::new(pem, mode).unwrap().policy_key().clone();
    let strict = ClientMode::AllowValidOnly;
    assert_eq!(key(&one.pem(), strict), key(&one.pem(), strict));
    assert_ne!(key(&one.pem(), strict), key(&two.pem(), strict));
    assert_ne!(key(&one.pem(), strict), key(&one.pem(), ClientMode::AllowInsecureFallback));
    assert_ne!(key(&one.pem(), strict), key(&[one.pem(), two.pem()].concat(), strict));
}

#[test]
fn authorities_that_cannot_be_read_are_an_error() {
    let bad: Vec<Arc<[u8]>> = vec![b"no pem".as_slice().into()];
    let refused = ClientVerifier::new(&bad, ClientMode::AllowValidOnly).unwrap_err().to_string();
    assert!(refused.contains("no certificate found"), "{refused}");
}
