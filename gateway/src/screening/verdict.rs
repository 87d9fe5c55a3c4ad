//! What a client is told of the screening, where its policy says so: which policy, what came of it, by which rules.
//!
//! Of an answer that is there whole the header [`X_GUARD_VERDICT`] says all of it. Of an event stream it can only tell of
//! what went in; a last comment tells the rest. Asked for a signature, both carry a JWS of the gateway's own key
//! (`/jwks`), whose claims say the same, name the request, and have the SHA-256 of every byte that was sent, so that
//! whoever has the answer can show which policy it has passed.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use portcullis_policy::guard::screen::Tell;
use serde_json::json;

use super::{Judged, Tally, Way};

/// Where clients find it.
pub const X_GUARD_VERDICT: HeaderName = HeaderName::from_static("x-guard-verdict");

/// Makes what one client is told.
pub(super) struct Verdict {
    request_id: Box<str>,
    revision: Box<str>,
    /// Of what has been sent; only where it is to be signed.
    sent: Option<Context>,
    is_signed: bool,
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verdict").field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl Verdict {
    /// `None`: clients are told nothing.
    pub(super) fn new(tell: Tell, request_id: &str, revision: &str) -> Option<Self> {
        let is_signed = match tell {
            Tell::Nothing => return None,
            Tell::Verdict => false,
            Tell::Signed => true,
        };
        Some(Self {
            request_id: request_id.into(),
            revision: revision.into(),
            sent: is_signed.then(|| Context::new(&SHA256)),
            is_signed,
        })
    }

    /// These bytes go to the client.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if let Some(sent) = &mut self.sent {
            sent.update(bytes);
        }
    }

    /// As the value of a header, or of a comment. `is_whole`: no more is sent than has been.
    pub(super) fn told(&self, tally: &Tally, is_whole: bool, now: SystemTime) -> String {
        let judged = tally.judged(Way::Input).max(if is_whole { tally.judged(Way::Output) } else { Judged::Pass });
        let rules = tally.rules();
        let told = format!(r#"revision="{}", verdict={}, rules="{rules}""#, self.revision, judged.as_str());
        if !self.is_signed {
            return told;
        }
        let digest = self.sent.clone().filter(|_| is_whole).map(|sent| URL_SAFE_NO_PAD.encode(sent.finish()));
        let claims = json!({
            "iss": crate::upstream_identity::ISSUER,
            "iat": now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            "jti": self.request_id,
            "revision": self.revision,
            "verdict": judged.as_str(),
            "rules": rules,
            "sha256": digest,
        });
        match tally.worker().identity.sign(&claims) {
            Some(jws) => format!(r#"{told}, jws="{jws}""#),
            None => told,
        }
    }

    /// The header of the answer.
    pub(super) fn header(&self, tally: &Tally, is_whole: bool, now: SystemTime) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.told(tally, is_whole, now)).ok()
    }

    /// The last comment of an event stream.
    pub(super) fn comment(&self, tally: &Tally, now: SystemTime) -> String {
        format!(": {X_GUARD_VERDICT} {}\n\n", self.told(tally, true, now))
    }
}
