//! Claims: what must hold of them, and who it is that they speak of.
//!
//! The same whether they came signed or from the issuer's own mouth (introspection): an issuer, an audience that is ours,
//! times that fit, a subject. A claim of the wrong type is never taken for one that is missing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use portcullis_policy::{
    authorize::{Group, Method, Principal, PrincipalKind},
    snapshot::{ClaimPath, DocumentId, OidcProvider as Spec},
};
use serde_json::{Map, Value};

use super::jwt::Word;

/// A user's, group's or subject's name.
pub const NAME_BYTES_MAX: usize = 1024;
/// Groups of one caller.
pub const GROUPS_MAX: usize = 2048;
/// 31 December 9999: what lies beyond is not a time (RFC 7519 §2 has seconds since 1970).
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// Who claims speak of.
#[derive(Debug)]
pub struct Named {
    /// The caller.
    pub principal: Principal,
    /// Not all groups are in the claims (Microsoft Entra: more than 200).
    pub lacks_groups: bool,
}

/// Whether these claims of a signed credential hold at `now`.
pub fn judge(claims: &Map<String, Value>, spec: &Spec, now: SystemTime) -> Result<(), Word> {
    judge_issuer(claims, spec)?;
    judge_times(claims, spec, now)?;
    judge_audience(claims, spec)?;
    name(claims.get("sub"), "subject")?;
    Ok(())
}

/// `iss`: a string, equal to the byte. Not an array that holds it, not the same with a slash.
pub fn judge_issuer(claims: &Map<String, Value>, spec: &Spec) -> Result<(), Word> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if **issuer == *spec.issuer => Ok(()),
        _ => Err("issuer"),
    }
}

/// `aud` and the client. One audience must be ours, and others are taken only from a client on the list: whoever else a
/// credential is for could use it here.
pub fn judge_audience(claims: &Map<String, Value>, spec: &Spec) -> Result<(), Word> {
    let is_ours = |audience: &str| spec.audiences.iter().any(|ours| **ours == *audience);
    let has_others = match claims.get("aud") {
        Some(Value::String(audience)) if is_ours(audience) => false,
        Some(Value::Array(audiences)) => {
            let audiences: Option<Vec<_>> = audiences.iter().map(Value::as_str).collect();
            let audiences = audiences.ok_or("audience")?;
            let ours = audiences.iter().filter(|audience| is_ours(audience)).count();
            if ours == 0 {
                return Err("audience");
            }
            ours < audiences.len()
        }
        _ => return Err("audience"),
    };
    let client = match (claims.get("azp"), claims.get("client_id")) {
        (Some(Value::String(client)), _) | (None, Some(Value::String(client))) => Some(client.as_str()),
        (None, None) => None,
        _ => return Err("client"),
    };
    let is_listed = client.is_some_and(|client| spec.clients.iter().any(|listed| **listed == *client));
    if !spec.clients.is_empty() && !is_listed {
        return Err("client");
    }
    if has_others && !is_listed { Err("audience") } else { Ok(()) }
}

/// `exp`, `iat`, `nbf`.
pub fn judge_times(claims: &Map<String, Value>, spec: &Spec, now: SystemTime) -> Result<(), Word> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "clock")?.as_secs_f64();
    let skew = spec.clock_skew.as_secs_f64();
    let age_max = spec.age_max.as_secs_f64();
    let expires = seconds(claims, "exp")?.ok_or("expiry")?;
    let issued = seconds(claims, "iat")?.ok_or("issued_at")?;
    let begins = seconds(claims, "nbf")?.unwrap_or(0.0);
    if now >= expires + skew {
        return Err("expired");
    }
    if begins > now + skew {
        return Err("not_yet");
    }
    if issued > now + skew {
        return Err("issued_in_future");
    }
    if now - issued > age_max + skew {
        return Err("too_old");
    }
    // One that is good for years is not made good for a day by being shown today.
    if expires - issued > age_max {
        return Err("lives_too_long");
    }
    Ok(())
}

/// A time; `None`: there is none.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Word> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds)).ok_or("time")?;
    Ok(Some(seconds))
}

/// Until when claims that hold do so.
pub fn expiry(claims: &Map<String, Value>, spec: &Spec) -> Option<SystemTime> {
    let expires = seconds(claims, "exp").ok()??;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs_f64(expires) + spec.clock_skew)
}

/// Who these claims speak of. They hold already.
pub fn caller(
    claims: Map<String, Value>,
    spec: &Spec,
    document: &Arc<DocumentId>,
    method: Method,
) -> Result<Named, Word> {
    let user = name(at(&claims, &spec.user_claim)?, "user")?;
    let subject = name(claims.get("sub"), "subject")?;
    let (groups, lacks_groups) = match &spec.groups_claim {
        None => (Vec::new(), false),
        Some(path) => (groups(&claims, path, document)?, lacks_groups(&claims, path)?),
    };
    let principal = Principal {
        provider: Arc::clone(document),
        method,
        // Never by the shape of the name: an issuer of people must not be able to name a workload.
        kind: PrincipalKind::User,
        name: user.into(),
        stable_id: Some(subject.into()),
        groups,
        scopes: scopes(&claims)?,
        expires: expiry(&claims, spec),
        claims,
    };
    Ok(Named { principal, lacks_groups })
}

/// Where `path` leads. A claim that has the whole path for its name, dots and all, comes first: some issuers name claims by
/// URLs (`https://corp.example/groups`).
fn at<'c>(claims: &'c Map<String, Value>, path: &ClaimPath) -> Result<Option<&'c Value>, Word> {
    if path.len() > 1
        && let Some(value) = claims.get(&path.join("."))
    {
        return Ok(Some(value));
    }
    let mut found = None;
    let mut within = Some(claims);
    for step in path.iter() {
        // What is promised to be inside something that is no object is not missing but wrong.
        let Some(value) = within.ok_or("claims")?.get(&**step) else { return Ok(None) };
        found = Some(value);
        within = value.as_object();
    }
    Ok(found)
}

/// A name: text that can be written into a log and compared.
fn name(value: Option<&Value>, word: Word) -> Result<&str, Word> {
    let text = value.and_then(Value::as_str).ok_or(word)?;
    let is_name = !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    if is_name { Ok(text) } else { Err(word) }
}

fn groups(claims: &Map<String, Value>, path: &ClaimPath, document: &Arc<DocumentId>) -> Result<Vec<Group>, Word> {
    let group = |value| {
        let name = name(Some(value), "groups")?.into();
        Ok(Group { provider: Arc::clone(document), name })
    };
    match at(claims, path)? {
        None => Ok(Vec::new()),
        Some(Value::Array(names)) if names.len() <= GROUPS_MAX => names.iter().map(group).collect(),
        Some(name @ Value::String(_)) => Ok(vec![group(name)?]),
        Some(_) => Err("groups"),
    }
}

/// Whether the issuer says that groups are elsewhere: `_claim_names` (OpenID Connect Core §5.6.2) or Entra's `hasgroups`.
fn lacks_groups(claims: &Map<String, Value>, path: &ClaimPath) -> Result<bool, Word> {
    let first = path.first().map_or("", |step| &**step);
    let is_elsewhere = match claims.get("_claim_names") {
        None => false,
        Some(Value::Object(names)) => names.contains_key(first) || names.contains_key(&path.join(".")),
        Some(_) => return Err("claims"),
    };
    let has_groups = match claims.get("hasgroups") {
        None | Some(Value::Bool(false)) => false,
        // Entra writes a boolean, or the word.
        Some(Value::String(word)) if word == "false" => false,
        Some(_) => first == "groups",
    };
    Ok(is_elsewhere || has_groups)
}

/// `scope` (RFC 9068 §2.2.3: words with spaces between) or `scp` (the same, or an array).
fn scopes(claims: &Map<String, Value>) -> Result<Vec<Arc<str>>, Word> {
    let mut scopes = Vec::new();
    for claim in ["scope", "scp"] {
        match claims.get(claim) {
            None => {}
            Some(Value::String(words)) => {
                scopes.extend(words.split(' ').filter(|word| !word.is_empty()).map(Arc::from));
            }
            Some(Value::Array(words)) => {
                let words: Option<Vec<_>> = words.iter().map(Value::as_str).collect();
                scopes.extend(words.ok_or("scope")?.into_iter().map(Arc::from));
            }
            Some(_) => return Err("scope"),
        }
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests;
