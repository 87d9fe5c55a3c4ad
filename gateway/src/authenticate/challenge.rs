//! `WWW-Authenticate`: what a client without a good credential is told (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9449 §7.1,
//! RFC 7617 §2.1, RFC 9728 §5.1).
//!
//! Made once per AccessPolicy and revision, of nothing but what documents say: no request can write its host or anything
//! else into it. Each challenge is a field of its own, because clients that know one scheme stumble over a list of several.
//! It says which schemes count, and after a bad credential that it was bad, never why.

use std::fmt::Write as _;

use foldhash::HashMap;
use http::{HeaderValue, header::WWW_AUTHENTICATE};
use portcullis_policy::{
    Snapshot,
    snapshot::{Access, DocumentId, Guard, IdentityProvider, ProviderKind},
};

use super::dpop::key::PROOF_ALGORITHMS;
use crate::{refusal::Refusal, resource};

/// Names the place to people; the names of policies are nobody's business.
const REALM: &str = "portcullis";

/// Why a client is challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It has shown nothing.
    NothingShown,
    /// It has shown a credential that is not good.
    Invalid,
    /// It has shown a credential without a proof of possession that is good.
    InvalidProof,
}

/// The challenges of every AccessPolicy of a revision.
#[derive(Debug, Default)]
pub struct Challenges(HashMap<DocumentId, Challenge>);

/// The challenges of one, by [`Cause`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Challenge {
    nothing_shown: Vec<HeaderValue>,
    invalid: Vec<HeaderValue>,
    invalid_proof: Vec<HeaderValue>,
}

impl Challenges {
    /// Makes those of every policy that guards a route.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut challenges = HashMap::default();
        for rule in snapshot.listeners.iter().flat_map(|listener| listener.routes.rules()) {
            let Access::Guarded(guard) = &rule.access else { continue };
            if !challenges.contains_key(&guard.policy) {
                challenges.insert(guard.policy.clone(), Challenge::new(guard, snapshot));
            }
        }
        Self(challenges)
    }

    /// A refusal with the challenges of a policy.
    pub fn add(&self, mut refusal: Refusal, guard: &Guard, cause: Cause) -> Refusal {
        refusal.headers.extend(self.of(guard, cause).iter().map(|value| (WWW_AUTHENTICATE, value.clone())));
        refusal
    }

    fn of(&self, guard: &Guard, cause: Cause) -> &[HeaderValue] {
        let Some(challenge) = self.0.get(&guard.policy) else { return &[] };
        match cause {
            Cause::NothingShown => &challenge.nothing_shown,
            Cause::Invalid => &challenge.invalid,
            Cause::InvalidProof => &challenge.invalid_proof,
        }
    }
}

impl Challenge {
    fn new(guard: &Guard, snapshot: &Snapshot) -> Self {
        let schemes = Schemes::of(guard.providers.iter().filter_map(|id| snapshot.providers.get(id.0 as usize)));
        let metadata = guard.resource.as_ref().and_then(resource::metadata_url);
        let all = |cause| schemes.challenges(cause, metadata.as_deref());
        Self {
            nothing_shown: all(Cause::NothingShown),
            invalid: all(Cause::Invalid),
            invalid_proof: all(Cause::InvalidProof),
        }
    }
}

/// Which schemes some provider takes.
#[derive(Debug, Default)]
struct Schemes {
    bearer: bool,
    dpop: bool,
    /// Every issuer asks for a proof.
    proof_required: bool,
    basic: bool,
}

impl Schemes {
    fn of<'p>(providers: impl Iterator<Item = &'p IdentityProvider>) -> Self {
        let mut schemes = Self { proof_required: true, ..Self::default() };
        for provider in providers {
            match &provider.kind {
                ProviderKind::Oidc(oidc) => {
                    schemes.bearer = true;
                    schemes.dpop = true;
                    schemes.proof_required &= oidc.proof_required;
                }
                ProviderKind::ApiKeys(_) => {
                    schemes.bearer = true;
                    schemes.proof_required = false;
                }
                ProviderKind::Ldap(_) => schemes.basic = true,
                ProviderKind::Mtls(_) => {}
            }
        }
        schemes
    }

    fn challenges(&self, cause: Cause, metadata: Option<&str>) -> Vec<HeaderValue> {
        let (bearer_error, dpop_error) = match cause {
            Cause::NothingShown => (None, None),
            Cause::Invalid => (Some("invalid_token"), Some("invalid_token")),
            Cause::InvalidProof => (Some("invalid_token"), Some("invalid_dpop_proof")),
        };
        let algorithms = PROOF_ALGORITHMS.join(" ");
        let bearer =
            self.bearer.then(|| challenge("Bearer", &[("error", bearer_error), ("resource_metadata", metadata)]));
        let dpop = self.dpop.then(|| {
            let parameters = [("algs", Some(&*algorithms)), ("error", dpop_error), ("resource_metadata", metadata)];
            challenge("DPoP", &parameters)
        });
        let basic = self.basic.then(|| challenge("Basic", &[("charset", Some("UTF-8"))]));
        // Clients take the first that they know. Where a proof is asked for, a plain credential is the exception (one that
        // is bound to a certificate).
        let ordered = if self.proof_required || cause == Cause::InvalidProof {
            [dpop, bearer, basic]
        } else {
            [bearer, dpop, basic]
        };
        let mut challenges: Vec<_> = ordered.into_iter().flatten().flatten().collect();
        if challenges.is_empty() {
            // A certificate has no scheme, and there must be a challenge (RFC 9110 §15.5.2): one that no client mistakes
            // for something it knows.
            challenges.extend(challenge("Certificate", &[]));
        }
        challenges
    }
}

/// `None` cannot be: documents hold no URL with a quote in it.
fn challenge(scheme: &str, parameters: &[(&str, Option<&str>)]) -> Option<HeaderValue> {
    let mut text = format!(r#"{scheme} realm="{REALM}""#);
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        if value.contains(['"', '\\']) {
            return None;
        }
        // Writing to a string cannot fail.
        let _ = write!(text, r#", {name}="{value}""#);
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests;
