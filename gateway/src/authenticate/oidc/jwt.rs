//! A signed credential in its compact form (RFC 7515 §7.1), read strictly: one reading, or none.
//!
//! The library that verifies signatures takes an unknown `crit`, any `typ`, repeated claims and a missing issuer. So it is
//! asked for one thing only, whether a signature is that of a message; the header and the claims are read here. What the
//! header says of where keys are (`jku`, `x5u`, `jwk`, `x5c`) is not looked at: nothing is fetched, and no key is taken,
//! because a credential says so.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    algorithm::{self, Algorithm},
    keys::{KID_BYTES_MAX, Key},
};
use crate::authenticate::{credential::CREDENTIAL_BYTES_MAX, json};

/// A value of `types` in a provider's document: it takes credentials whose header has no `typ` at all, as those of
/// Kubernetes' service accounts.
pub const NO_TYPE: &str = "none-given";

/// A credential that could be read. Nothing in it is believed yet.
pub struct Jwt<'c> {
    /// What is signed: header and claims, as they were sent.
    message: &'c str,
    /// In base64url.
    signature: &'c str,
    header: Header,
    claims: Map<String, Value>,
}

/// What counts of a header.
struct Header {
    algorithm: Algorithm,
    /// Lower case, without `application/`.
    kind: Option<Box<str>>,
    key: Option<Box<str>>,
}

/// Why a credential does not count: a word for logs and metrics.
pub type Word = &'static str;

/// Whether a credential has the three parts of a signed one: whatever has not is opaque, and its issuer must be asked.
pub fn is_signed(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').take(3).count() == 2
}

impl<'c> Jwt<'c> {
    /// Reads a credential.
    pub fn read(credential: &'c str) -> Result<Self, Word> {
        if credential.len() > CREDENTIAL_BYTES_MAX {
            return Err("too_large");
        }
        // Five parts are an encrypted one (RFC 7516), for which there is no key here.
        if !is_signed(credential) {
            return Err("malformed");
        }
        let (message, signature) = credential.rsplit_once('.').ok_or("malformed")?;
        let (header, claims) = message.split_once('.').ok_or("malformed")?;
        let header = Header::read(&object(header)?)?;
        if signature.is_empty() {
            return Err("algorithm_not_allowed");
        }
        Ok(Self { message, signature, header, claims: object(claims)? })
    }

    /// Whose it says it is. It chooses who judges it and is not believed otherwise.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The name of the key that it says it is signed with.
    pub fn key(&self) -> Option<&str> {
        self.header.key.as_deref()
    }

    /// Whether its header is one that the provider takes: an algorithm it allows, a type it names.
    pub fn judge_header(&self, algorithms: &[Algorithm], types: &[Arc<str>]) -> Result<(), Word> {
        if !algorithms.contains(&self.header.algorithm) {
            return Err("algorithm_not_allowed");
        }
        let is_named = match self.header.kind.as_deref() {
            None => types.iter().any(|kind| **kind == *NO_TYPE),
            Some(kind) => kind != NO_TYPE && types.iter().any(|named| **named == *kind),
        };
        if is_named { Ok(()) } else { Err("type") }
    }

    /// Its claims, if the key has signed it with an algorithm of its own.
    pub fn verify(self, key: &Key) -> Result<Map<String, Value>, Word> {
        if !key.fits(self.header.algorithm) {
            return Err("algorithm_of_another_key");
        }
        if key.verify(self.header.algorithm, self.message, self.signature) { Ok(self.claims) } else { Err("signature") }
    }
}

impl Header {
    fn read(members: &Map<String, Value>) -> Result<Self, Word> {
        // An extension that must be understood (RFC 7515 §4.1.11), or claims that are not encoded (RFC 7797): none is.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err("extension");
        }
        let algorithm = members.get("alg").and_then(Value::as_str).and_then(algorithm::of_name);
        let algorithm = algorithm.ok_or("algorithm_not_allowed")?;
        let kind = match members.get("typ") {
            None => None,
            Some(Value::String(kind)) => Some(media_type(kind)),
            Some(_) => return Err("type"),
        };
        let key = match members.get("kid") {
            None => None,
            Some(Value::String(key)) if key.len() <= KID_BYTES_MAX => Some(key.as_str().into()),
            Some(_) => return Err("key_name"),
        };
        Ok(Self { algorithm, kind, key })
    }
}

/// `application/` may be left out, and case does not count (RFC 7515 §4.1.9, RFC 2045 §5.1).
fn media_type(text: &str) -> Box<str> {
    let lower = text.to_ascii_lowercase();
    lower.strip_prefix("application/").unwrap_or(&lower).into()
}

/// Base64 in its one canonical form, and JSON that says nothing twice.
fn object(part: &str) -> Result<Map<String, Value>, Word> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "malformed")?;
    json::object(&text).ok_or("malformed")
}

#[cfg(test)]
mod tests;
