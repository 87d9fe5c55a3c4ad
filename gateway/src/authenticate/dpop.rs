//! DPoP proofs (RFC 9449): whoever shows a credential also shows, freshly signed, that they hold the key it is bound to.
//!
//! A proof is a JWT whose key is in its own header, so nothing about it is trusted before it has been looked at here: the
//! algorithm is one of a short list and fits the key, the key is well formed ([`key`]), and what the proof is for
//! (method, URL, moment, credential) is compared before any signature is computed. Then it counts once ([`replays`]).
//!
//! What is *not* used: `kid`, `jku`, `x5c` and other hints of the header. A proof that needs one to be understood says so
//! in `crit`, and is refused. The issuer's nonces (§8) are not asked for: the cache of replays and the short window do
//! their work here.

pub mod key;
pub mod replays;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;
use portcullis_policy::snapshot::Scheme;
use serde_json::{Map, Value};

use self::key::ProofKey;
use super::json;
use crate::canonical;

/// Bytes of a proof. One with RSA of 4,096 bits has about 1,600.
pub const PROOF_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a proof's `jti`.
pub const PROOF_ID_BYTES_MAX: usize = 256;
/// How long ago a proof may have been made. This is also how long a stolen one is worth anything where the gateway that
/// saw it first is not the one that is shown it again.
pub const PROOF_AGE_MAX: Duration = Duration::from_mins(1);
/// How far a client's clock may be ahead of ours.
pub const PROOF_AHEAD_MAX: Duration = Duration::from_secs(30);

/// The SHA-256 thumbprint of a public key (RFC 7638).
pub type Thumbprint = [u8; 32];

/// What a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'r> {
    /// The key that the credential is bound to (`cnf.jkt`).
    pub thumbprint: &'r Thumbprint,
    /// The access credential itself. [`Purpose`] has a `Debug` only because its other parts may be seen.
    pub access: Secret<'r>,
    /// The method of the request.
    pub method: &'r Method,
    /// Its URL without query.
    pub url: &'r str,
    /// When.
    pub now: SystemTime,
}

/// Text that is never shown.
#[derive(Clone, Copy)]
pub struct Secret<'r>(pub &'r str);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// A proof that is good, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its `jti`.
    pub id: String,
    /// After this moment, in seconds since 1970, it is too old to be shown again.
    pub until: u64,
}

/// Judges a proof. The error is a word from a fixed list. Whether it was shown before is for [`replays::Replays`] to say.
pub fn judge(proof: &str, purpose: &Purpose<'_>) -> Result<Proven, &'static str> {
    if proof.len() > PROOF_BYTES_MAX {
        return Err("proof_too_long");
    }
    let parts = Parts::split(proof).ok_or("proof_malformed")?;
    let key = key_of(&parts.header)?;
    if key.thumbprint() != purpose.thumbprint {
        return Err("proof_of_another_key");
    }
    let proven = judge_claims(&parts.claims, purpose)?;
    if !key.verify(parts.signed, &parts.signature) {
        return Err("proof_signature");
    }
    Ok(proven)
}

/// The parts of a JWS in compact form (RFC 7515 §7.1).
struct Parts<'p> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: Vec<u8>,
    /// The bytes that are signed.
    signed: &'p [u8],
}

impl<'p> Parts<'p> {
    fn split(proof: &'p str) -> Option<Self> {
        let (signed, signature) = proof.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        // The decoder is strict: no padding, no line ends, no bits left over, so that a proof has one spelling.
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        Some(Self {
            header: json::object(&decode(header)?)?,
            claims: json::object(&decode(claims)?)?,
            signature: decode(signature)?,
            signed: signed.as_bytes(),
        })
    }
}

/// The key that the header carries, for the algorithm that it names (RFC 9449 §4.2).
fn key_of(header: &Map<String, Value>) -> Result<ProofKey, &'static str> {
    if text(header, "typ") != Some("dpop+jwt") {
        return Err("proof_type");
    }
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err("proof_critical");
    }
    let algorithm = text(header, "alg").and_then(key::ProofAlgorithm::parse).ok_or("proof_algorithm")?;
    let jwk = header.get("jwk").and_then(Value::as_object).ok_or("proof_key")?;
    ProofKey::new(algorithm, jwk).ok_or("proof_key")
}

/// What the proof is for (RFC 9449 §4.3).
fn judge_claims(claims: &Map<String, Value>, purpose: &Purpose<'_>) -> Result<Proven, &'static str> {
    let id = text(claims, "jti").filter(|id| (1..=PROOF_ID_BYTES_MAX).contains(&id.len())).ok_or("proof_id")?;
    if text(claims, "htm") != Some(purpose.method.as_str()) {
        return Err("proof_method");
    }
    let target = text(claims, "htu").and_then(one_form).ok_or("proof_url")?;
    if one_form(purpose.url).as_ref() != Some(&target) {
        return Err("proof_url");
    }
    if text(claims, "ath") != Some(&*BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, purpose.access.0.as_bytes()))) {
        return Err("proof_hash");
    }
    let until = judge_time(claims, purpose.now)?;
    Ok(Proven { id: id.to_owned(), until })
}

/// Until when the proof could be shown again.
fn judge_time(claims: &Map<String, Value>, now: SystemTime) -> Result<u64, &'static str> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "proof_time")?.as_secs();
    let moment = |name: &str| match claims.get(name) {
        Some(value) => json::seconds(value).map(Some).ok_or("proof_time"),
        None => Ok(None),
    };
    let issued = moment("iat")?.ok_or("proof_time")?;
    let ahead = now + PROOF_AHEAD_MAX.as_secs();
    let until = issued + PROOF_AGE_MAX.as_secs();
    // `exp` and `nbf` are not asked for, but who writes them means them.
    let ended = moment("exp")?.is_some_and(|end| end < now);
    let early = moment("nbf")?.is_some_and(|start| start > ahead);
    if issued > ahead || until < now || ended || early {
        return Err("proof_time");
    }
    Ok(until)
}

/// A URL without query and fragment in the one form in which the gateway matches hosts and paths (it goes beyond
/// RFC 3986 §6.2); `None`: it is no such URL.
pub fn one_form(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (scheme, kind) = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => ("https", Scheme::Https),
        _ if scheme.eq_ignore_ascii_case("http") => ("http", Scheme::Http),
        _ => return None,
    };
    // A query or a fragment is refused by what parses host and path.
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = canonical::host::parse(authority.as_bytes(), kind).ok()?;
    let path = match path {
        "" => "/".into(),
        _ if path.contains('?') => return None,
        path => canonical::path::canonical(path.as_bytes()).ok()?,
    };
    Some(format!("{scheme}://{}{path}", authority.as_str()))
}

fn text<'m>(object: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    object.get(name)?.as_str()
}
