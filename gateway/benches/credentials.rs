//! What it costs to judge a signed credential of 1,650 bytes with 20 groups, from its text to a caller:
//! `cargo bench -p portcullis-gateway --bench credentials`.

#![expect(clippy::expect_used, reason = "a measurement of credentials that are good")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use criterion::{Criterion, criterion_group, criterion_main};
use portcullis_gateway::authenticate::oidc::{algorithm::Algorithm, claims, jwt::Jwt, keys::KeySet};
use portcullis_policy::{
    authorize::Method,
    snapshot::{CacheTimes, DocumentId, GroupOverage, KeySource, OidcProvider},
};
use serde_json::json;

#[path = "../src/authenticate/oidc/testing.rs"]
#[allow(dead_code, reason = "the unit tests use all of it")]
mod testing;

use testing::{EDDSA, ES256, ISSUER, NOW, RS256, Signer};

fn spec() -> OidcProvider {
    OidcProvider {
        issuer: ISSUER.into(),
        keys: KeySource::Discovery,
        trust: None,
        audiences: vec!["https://llm.corp.example".into()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        types: vec!["at+jwt".into()],
        clients: Vec::new(),
        user_claim: [Box::from("sub")].into(),
        groups_claim: Some([Box::from("groups")].into()),
        age_max: Duration::from_hours(24),
        clock_skew: Duration::from_secs(30),
        introspection: None,
        proof_required: false,
        group_overage: GroupOverage::Refuse,
        cache: CacheTimes { fresh: Duration::ZERO, stale: Duration::from_hours(1) },
    }
}

/// A credential of 1,650 bytes.
fn credential(signer: &Signer) -> String {
    let groups: Vec<_> = (0..20).map(|group| format!("corp-ai-platform-group-{group:04}")).collect();
    let of = |pad: usize| signer.sign(&testing::claims(json!({ "groups": groups, "pad": "p".repeat(pad) })));
    let missing = 1650_usize.saturating_sub(of(0).len());
    of(missing * 3 / 4)
}

fn verify(c: &mut Criterion) {
    let spec = spec();
    let document = Arc::new(DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "inference".into(),
        name: "sso".into(),
    });
    let keys = KeySet::parse(Signer::set(&[&RS256, &ES256, &EDDSA]).to_string().as_bytes(), &spec.algorithms);
    let keys = keys.expect("good keys");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    for signer in [&*RS256, &*ES256, &*EDDSA] {
        let text = credential(signer);
        c.bench_function(&format!("judge {:?}, {} bytes", signer.algorithm, text.len()), |b| {
            b.iter(|| {
                let jwt = Jwt::read(black_box(&text)).expect("it can be read");
                jwt.judge_header(&spec.algorithms, &spec.types).expect("its header is good");
                let key = keys.find(jwt.key()).expect("its key is known");
                let claims = jwt.verify(key).expect("its signature is good");
                claims::judge(&claims, &spec, now).expect("its claims hold");
                claims::caller(claims, &spec, &document, Method::Jwt).expect("it names a caller")
            });
        });
    }
    let text = credential(&RS256);
    c.bench_function("read, without the signature", |b| b.iter(|| Jwt::read(black_box(&text)).is_ok()));
    c.bench_function("find again: SHA-256 of the whole", |b| b.iter(|| digest(&SHA256, black_box(text.as_bytes()))));
}

criterion_group!(benches, verify);
criterion_main!(benches);
