//! An issuer of access credentials.

use std::time::Duration;

use super::{Checks, claim_path, shared};
use crate::{
    compile::status::arc,
    documents::kinds::ours::{self, ProofWord},
    snapshot::{
        Algorithm, CacheTimes, ClaimPath, GroupOverage, IntrospectionClient, KEYS_STALE_MIN, KeySource, OidcProvider,
    },
};

/// By how much clocks may differ at most: more would keep an expired credential alive.
const CLOCK_SKEW_MAX: Duration = Duration::from_mins(1);
const CLOCK_SKEW_DEFAULT: Duration = Duration::from_secs(30);
const AGE_MAX_DEFAULT: Duration = Duration::from_hours(24);
const CACHE_DEFAULT: CacheTimes = CacheTimes { fresh: Duration::from_secs(30), stale: Duration::from_hours(1) };
const ALGORITHMS_DEFAULT: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
/// RFC 9068.
const TYPE_DEFAULT: &str = "at+jwt";

pub(super) fn compile(spec: &ours::Oidc, checks: &mut Checks<'_>) -> OidcProvider {
    checks.all_filled("spec.oidc.audiences", &spec.audiences);
    checks.all_filled("spec.oidc.clients", &spec.clients);
    checks.all_filled("spec.oidc.types", &spec.types);
    if spec.issuer.contains(['?', '#']) {
        let help = "RFC 8414: an issuer has neither; write it as it stands in `iss`";
        checks.fail("spec.oidc.issuer", "an issuer URL has no query and no fragment", "not an issuer", help);
    }
    let claims = spec.claims.as_ref();
    let user = claims.and_then(|claims| claims.user.as_deref());
    let groups = claims.and_then(|claims| claims.groups.as_deref());
    OidcProvider {
        issuer: arc(&spec.issuer),
        keys: keys(spec, checks),
        trust: spec.trust.as_ref().map(|trust| checks.file("spec.oidc.trust.file", &trust.file)),
        audiences: shared(&spec.audiences),
        algorithms: if spec.algorithms.is_empty() { ALGORITHMS_DEFAULT.to_vec() } else { spec.algorithms.clone() },
        types: types(&spec.types),
        clients: shared(&spec.clients),
        user_claim: claim("spec.oidc.claims.user", user.unwrap_or("sub"), checks),
        groups_claim: groups.map(|text| claim("spec.oidc.claims.groups", text, checks)),
        age_max: checks.positive("spec.oidc.ageMax", spec.age_max.as_deref(), AGE_MAX_DEFAULT),
        clock_skew: clock_skew(spec, checks),
        introspection: spec.introspection.as_ref().map(|introspection| introspection_client(introspection, checks)),
        proof_required: spec.proof == Some(ProofWord::Required),
        group_overage: spec.group_overage.unwrap_or(GroupOverage::Refuse),
        cache: cache(spec, checks),
    }
}

fn keys(spec: &ours::Oidc, checks: &mut Checks<'_>) -> KeySource {
    match &spec.keys {
        Some(ours::KeySource { url: Some(url), .. }) => KeySource::Url(arc(url)),
        Some(ours::KeySource { file: Some(file), .. }) => KeySource::File(checks.file("spec.oidc.keys.file", file)),
        _ => KeySource::Discovery,
    }
}

/// Lower case, without `application/` (RFC 7515 section 4.1.9).
fn types(words: &[String]) -> Vec<std::sync::Arc<str>> {
    if words.is_empty() {
        return vec![arc(TYPE_DEFAULT)];
    }
    let plain = words.iter().map(|word| word.to_ascii_lowercase());
    plain.map(|word| arc(word.strip_prefix("application/").unwrap_or(&word))).collect()
}

fn claim(path: &str, text: &str, checks: &mut Checks<'_>) -> ClaimPath {
    claim_path(text).unwrap_or_else(|| {
        let help = "a dot leads into an object, as in `realm_access.roles`";
        checks.fail(path, format!("`{text}` is not the name of a claim"), "an empty step", help);
        ClaimPath::default()
    })
}

fn clock_skew(spec: &ours::Oidc, checks: &mut Checks<'_>) -> Duration {
    let path = "spec.oidc.clockSkew";
    let skew = checks.duration(path, spec.clock_skew.as_deref(), CLOCK_SKEW_DEFAULT);
    if skew > CLOCK_SKEW_MAX {
        let message = format!("`{}` is out of range: at most 60s", spec.clock_skew.as_deref().unwrap_or_default());
        let help = "credentials would be good for so long after they have expired: let clocks be set by NTP";
        checks.fail_as("out-of-range", path, message, "out of range", help);
    }
    skew
}

fn introspection_client(spec: &ours::Introspection, checks: &mut Checks<'_>) -> IntrospectionClient {
    checks.filled("spec.oidc.introspection.clientId", &spec.client_id);
    IntrospectionClient {
        endpoint: spec.endpoint.as_deref().map(arc),
        client_id: arc(&spec.client_id),
        client_secret: checks.file("spec.oidc.introspection.clientSecret.file", &spec.client_secret.file),
    }
}

/// Keys have to be fetched again before the last ones cease to count.
fn cache(spec: &ours::Oidc, checks: &mut Checks<'_>) -> CacheTimes {
    let cache = checks.cache("spec.oidc.cache", spec.cache.as_ref(), CACHE_DEFAULT);
    if cache.stale < KEYS_STALE_MIN {
        let said = spec.cache.as_ref().and_then(|cache| cache.stale.as_deref()).unwrap_or_default();
        let at_least = KEYS_STALE_MIN.as_secs();
        let message = format!("`{said}` is out of range: the keys of an issuer count for at least {at_least}s");
        let help = "`stale` is for how long its last keys count while it cannot be asked; `fresh` may be 0s";
        checks.fail_as("out-of-range", "spec.oidc.cache.stale", message, "too short", help);
    }
    cache
}
