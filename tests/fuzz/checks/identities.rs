//! What must hold for any request, chain or bundle that a stranger sends.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use portcullis_certs::{
    CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, SigningRequest, Svid, TrustBundle, TrustBundles, TrustDomain, parse_chain,
    verify::{ExpectedPeers, MeshTrust, PeerVerifier},
};

/// The root of the seeds, and a moment within its dates.
const ROOT: &[u8] = include_bytes!("../seeds/bundle/pem");
static NOW: LazyLock<SystemTime> = LazyLock::new(|| SystemTime::UNIX_EPOCH + Duration::from_hours(500_000));
static PEERS: LazyLock<PeerVerifier> = LazyLock::new(|| {
    let bundle = TrustBundle::from_pem(domain(), ROOT).expect("the root of the seeds");
    let trust = MeshTrust::new(TrustBundles::new([bundle]).expect("one domain"));
    PeerVerifier::new(Arc::new(trust), ExpectedPeers::AnyTrusted)
});

fn domain() -> TrustDomain {
    "corp.example".parse().expect("a trust domain")
}

/// A request in PEM or DER is a key, and at most one URI, or refused; and the same each time.
pub fn csr(input: &[u8]) {
    let (first, second) = (SigningRequest::parse(input), SigningRequest::parse(input));
    match (first, second) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.uri(), other.uri());
            assert!(one.uri().is_none_or(|uri| input.len() > uri.len()));
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            assert!(!one.label().is_empty() && !one.to_string().is_empty());
        }
        _ => panic!("two readings of one request"),
    }
}

/// A chain and a key in PEM. What is an identity has a workload's name and keeps the bounds; who is believed was signed by the
/// root of the seeds.
pub fn svid(input: &[u8]) {
    if let Ok(svid) = Svid::from_pem(input, input) {
        assert!(!svid.id().path().is_empty());
        assert!((1..=CHAIN_CERTIFICATES_MAX).contains(&svid.chain().len()));
        assert!(svid.chain().iter().map(|certificate| certificate.len()).sum::<usize>() <= CHAIN_BYTES_MAX);
        let again = parse_chain(svid.chain_pem().as_bytes()).expect("what we write");
        assert_eq!(again, svid.chain());
    }
    let Ok(chain) = parse_chain(input) else { return };
    match PEERS.judge(&chain, *NOW) {
        Ok(peer) => {
            assert_eq!(peer.id().trust_domain(), "corp.example");
            assert!(PEERS.judge_open(&peer, *NOW).is_ok());
        }
        Err(refusal) => assert!(!refusal.label().is_empty()),
    }
}

/// A bundle in PEM, as a set of JWKs, or a map of them: what is read is written and read again.
pub fn bundle(input: &[u8]) {
    if let Ok(bundle) = TrustBundle::from_pem(domain(), input) {
        assert!(!bundle.is_empty());
        assert_eq!(TrustBundle::from_pem(domain(), bundle.to_pem().as_bytes()).as_ref(), Ok(&bundle));
    }
    if let Ok(bundle) = TrustBundle::from_jwk_set(domain(), input) {
        let again = TrustBundle::from_jwk_set(domain(), bundle.to_jwk_set().as_bytes()).expect("what we write");
        assert_eq!(again, bundle);
        assert_eq!((again.sequence(), again.refresh_hint()), (bundle.sequence(), bundle.refresh_hint()));
    }
    if let Ok(bundles) = TrustBundles::from_map(input) {
        assert_eq!(TrustBundles::from_map(bundles.to_map().as_bytes()).as_ref(), Ok(&bundles));
    }
}
