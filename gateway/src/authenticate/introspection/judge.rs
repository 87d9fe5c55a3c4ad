//! Whether what an issuer says of an active credential makes it good here.
//!
//! RFC 7662 §2.2 makes all but `active` optional. The audience is required here all the same: without it, whoever a
//! credential was given out for could be impersonated here by whoever it was shown to. The others are judged as those of
//! a signed credential where they are there, and one of the wrong type is never taken for one that is missing.

use std::time::SystemTime;

use portcullis_policy::snapshot::OidcProvider as Spec;
use serde_json::{Map, Value};

use super::{
    super::{json, oidc::claims::judge_audience},
    Word,
};

/// The claims, with a subject in any case.
pub(super) fn judge(claims: &Map<String, Value>, spec: &Spec, now: SystemTime) -> Result<Map<String, Value>, Word> {
    judge_kind(claims)?;
    match claims.get("iss") {
        None => {}
        Some(Value::String(issuer)) if **issuer == *spec.issuer => {}
        Some(_) => return Err("issuer"),
    }
    judge_audience(claims, spec)?;
    judge_times(claims, spec, now)?;
    let mut claims = claims.clone();
    if !claims.contains_key("sub") {
        // A client that speaks for itself is its own subject (RFC 9068 §2.2), and some issuers leave that out here.
        let client = claims.get("client_id").cloned().ok_or("subject")?;
        claims.insert("sub".to_owned(), client);
    }
    Ok(claims)
}

/// An access credential: not one to renew others with, and no statement of who somebody is. `token_type` is that of
/// RFC 6749 §7.1; `typ` is how Keycloak tells its kinds apart.
fn judge_kind(claims: &Map<String, Value>) -> Result<(), Word> {
    let word = |name| match claims.get(name) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(word.to_ascii_lowercase())),
        Some(_) => Err("type"),
    };
    let key = claims.get("cnf").and_then(|confirmation| confirmation.get("jkt"));
    match word("token_type")?.as_deref() {
        None | Some("bearer") => {}
        // It says that it is bound to a key; without the key that would be no more than a word.
        Some("dpop") if key.is_some() => {}
        Some(_) => return Err("type"),
    }
    match word("typ")?.as_deref() {
        None | Some("bearer" | "dpop" | "at+jwt" | "application/at+jwt") => Ok(()),
        Some(_) => Err("type"),
    }
}

fn judge_times(claims: &Map<String, Value>, spec: &Spec, now: SystemTime) -> Result<(), Word> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "clock")?.as_secs();
    let skew = spec.clock_skew.as_secs();
    let moment = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => json::seconds(value).map(Some).ok_or("time"),
    };
    if moment("exp")?.is_some_and(|end| now >= end + skew) {
        return Err("expired");
    }
    if moment("nbf")?.is_some_and(|start| start > now + skew) {
        return Err("not_yet");
    }
    match moment("iat")? {
        Some(issued) if issued > now + skew => Err("issued_in_future"),
        Some(issued) if now > issued + spec.age_max.as_secs() + skew => Err("too_old"),
        _ => Ok(()),
    }
}
