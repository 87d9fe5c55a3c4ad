//! How many certificates a second one core issues: `cargo run --release -p portcullis-certs --example issuance`.
//!
//! Requests are made beforehand, as workloads do. What is counted is what an authority does for each: read the request, verify
//! that its key signed it, judge what it says, sign a leaf. Also what a peer's chain costs to judge.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use portcullis_certs::{
    Lifetimes, SigningRequest, SpiffeId, SvidAuthority, TrustBundles, TrustDomain,
    verify::{ExpectedPeers, MeshTrust, PeerVerifier},
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

/// How long each is measured.
const MEASURED: Duration = Duration::from_secs(3);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let domain: TrustDomain = "corp.example".parse().unwrap();
    let now = SystemTime::now();
    let authority = SvidAuthority::open_or_create(folder.path(), &domain, Lifetimes::default(), now).unwrap();
    let ids: Vec<_> = (0..256).map(|n| SpiffeId::workload(&domain, "bench", &format!("w{n}")).unwrap()).collect();
    let requests: Vec<_> = ids.iter().map(request).collect();

    let mut next = ids.iter().zip(&requests).cycle();
    let mut chains = Vec::new();
    let issued = per_second(|| {
        let (id, request) = next.next().unwrap();
        let request = SigningRequest::parse(request).unwrap();
        let issued = authority.issue(&request, id, None, now).unwrap();
        if chains.len() < ids.len() {
            chains.push(issued.chain);
        }
    });
    println!("issued: {issued:.0} certificates a second on one core");

    let bundles = TrustBundles::new([(*authority.bundle()).clone()]).unwrap();
    let verifier = PeerVerifier::new(Arc::new(MeshTrust::new(bundles)), ExpectedPeers::AnyTrusted);
    let mut next = chains.iter().cycle();
    let judged = per_second(|| drop(verifier.judge(next.next().unwrap(), now).unwrap()));
    println!("judged: {judged:.0} chains a second on one core");
    let peer = verifier.judge(chains.first().unwrap(), now).unwrap();
    let open = per_second(|| drop(verifier.judge_open(&peer, now).unwrap()));
    println!("asked again about an open connection: {open:.0} a second on one core");
}

/// A request in PEM that names who asks.
fn request(id: &SpiffeId) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![rcgen::SanType::URI(id.as_str().try_into().unwrap())];
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap().into_bytes()
}

fn per_second(mut one: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut done = 0.0;
    while begun.elapsed() < MEASURED {
        one();
        done += 1.0;
    }
    done / begun.elapsed().as_secs_f64()
}
