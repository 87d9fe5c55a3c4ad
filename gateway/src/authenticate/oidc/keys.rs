//! The keys of an issuer: a JSON Web Key Set (RFC 7517), cleaned before any cryptography sees it.
//!
//! Libraries take what they are given: a shared secret in a set of public keys, a modulus of 1024 bits, an exponent of 1, the
//! first of two keys of one name. What is odd is left out and named; a set in which nothing is left is refused as a whole.
//! A key verifies for the algorithms of one family that the provider allows, and for no other.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use foldhash::HashMap;
use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::algorithm::{self, Algorithm, Family};
use crate::authenticate::json;

/// A whole set.
pub const KEY_SET_BYTES_MAX: usize = 512 * 1024;
/// Keys of a set, those that are left out among them.
pub const KEYS_MAX: usize = 200;
/// The name of a key (`kid`), in a set and in a credential.
pub const KID_BYTES_MAX: usize = 256;
/// An RSA modulus, in bits.
const RSA_BITS_MIN: usize = 2048;
/// The same: what is longer costs more than it gives.
const RSA_BITS_MAX: usize = 8192;
/// Members of a key that are nobody's but its owner's (RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys of an issuer that can be used.
#[derive(Debug, Default, Clone)]
pub struct KeySet {
    keys: Vec<Key>,
    by_id: HashMap<Box<str>, usize>,
    dropped: Vec<Dropped>,
}

/// A public key, and what it may verify.
#[derive(Clone)]
pub struct Key {
    id: Option<Box<str>>,
    algorithms: SmallVec<[Algorithm; 3]>,
    decoding: DecodingKey,
    /// The numbers of the key: what makes it this one.
    material: Box<[u8]>,
}

/// A key that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// What it is called, if it says and that is short enough to be printed.
    pub id: Option<Box<str>>,
    /// Why.
    pub reason: &'static str,
    /// Nobody should publish such a key; otherwise it is only not for us.
    pub is_alarming: bool,
}

/// Why a set is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Too long.
    #[error("the key set has more than {KEY_SET_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a JSON object with an array `keys`, or one that repeats a name.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// Too many.
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooManyKeys,
    /// Nothing is left.
    #[error("the key set has no key that can be used")]
    NoUsableKey,
}

/// Why a key is left out; the flag says whether it is alarming.
type Reason = (&'static str, bool);

impl KeySet {
    /// Reads a set for a provider that allows these algorithms.
    pub fn parse(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLarge);
        }
        let document = json::object(text).ok_or(KeySetError::Malformed)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        if entries.len() > KEYS_MAX {
            return Err(KeySetError::TooManyKeys);
        }
        let mut set = Self::default();
        for entry in entries {
            match Key::parse(entry, allowed) {
                Ok(key) => set.keys.push(key),
                Err((reason, is_alarming)) => {
                    set.dropped.push(Dropped { id: printable_id(entry), reason, is_alarming });
                }
            }
        }
        set.drop_doubles();
        if set.keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        let named = set.keys.iter().enumerate().filter_map(|(index, key)| Some((key.id.clone()?, index)));
        set.by_id = named.collect();
        Ok(set)
    }

    /// Two keys of one name: whichever is taken, the other one's credentials would fail or be forged. Neither is.
    fn drop_doubles(&mut self) {
        let mut counts: HashMap<Box<str>, usize> = HashMap::default();
        for id in self.keys.iter().filter_map(|key| key.id.clone()) {
            *counts.entry(id).or_default() += 1;
        }
        counts.retain(|_, count| *count > 1);
        self.keys.retain(|key| key.id.as_ref().is_none_or(|id| !counts.contains_key(id)));
        let doubles = counts.into_keys().map(|id| Dropped { id: Some(id), reason: "repeated_kid", is_alarming: true });
        self.dropped.extend(doubles);
    }

    /// The key of this name; without a name, the one key of a set that has only one.
    pub fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.get(*self.by_id.get(id)?),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none can.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that were left out.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }
}

/// Whether the same credentials count.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        let same = |key: &Key| other.keys.iter().any(|theirs| theirs == key);
        self.keys.len() == other.keys.len() && self.keys.iter().all(same)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.algorithms, &self.material) == (&other.id, &other.algorithms, &other.material)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

impl Key {
    fn parse(entry: &Value, allowed: &[Algorithm]) -> Result<Self, Reason> {
        let members = entry.as_object().ok_or(("malformed", true))?;
        let id = match members.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KID_BYTES_MAX => Some(id.as_str().into()),
            Some(_) => return Err(("kid", true)),
        };
        if PRIVATE_MEMBERS.iter().any(|member| members.contains_key(*member)) {
            return Err(("private_or_secret", true));
        }
        judge_use(members)?;
        let named = match members.get("alg") {
            None => None,
            Some(Value::String(name)) => Some(algorithm::of_name(name).ok_or(("algorithm_unknown", false))?),
            Some(_) => return Err(("malformed", true)),
        };
        let (material, decoding, families) = numbers(members)?;
        if named.is_some_and(|named| !families.contains(&algorithm::family(named))) {
            return Err(("algorithm_of_another_kind", true));
        }
        // Without a name, the family that comes first: an RSA key does not sign in both ways (RFC 8017 §8).
        let usable = |family: &Family| -> SmallVec<[Algorithm; 3]> {
            let fits = |algorithm: &Algorithm| {
                algorithm::family(*algorithm) == *family && named.is_none_or(|named| named == *algorithm)
            };
            allowed.iter().copied().filter(fits).collect()
        };
        let algorithms = families.iter().map(usable).find(|algorithms| !algorithms.is_empty());
        let algorithms = algorithms.ok_or(("algorithm_not_allowed", false))?;
        Ok(Self { id, algorithms, decoding, material })
    }

    /// Whether it may verify for this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether `signature` (base64url) is that of `message`. Not by an algorithm that is not the key's own.
    pub fn verify(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        let algorithm = Some(algorithm).filter(|algorithm| self.fits(*algorithm)).map(algorithm::of_library);
        algorithm.is_some_and(|algorithm| {
            crypto::verify(signature, message.as_bytes(), &self.decoding, algorithm).unwrap_or(false)
        })
    }
}

/// `use` and `key_ops`, if there: the key is for signatures, and for verifying them (RFC 7517 §4.2, §4.3).
fn judge_use(members: &Map<String, Value>) -> Result<(), Reason> {
    match members.get("use") {
        None => {}
        Some(Value::String(word)) if word == "sig" => {}
        Some(Value::String(_)) => return Err(("not_for_signatures", false)),
        Some(_) => return Err(("malformed", true)),
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(words)) if words.iter().any(|word| word == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(("not_for_signatures", false)),
        Some(_) => Err(("malformed", true)),
    }
}

type Numbers = (Box<[u8]>, DecodingKey, &'static [Family]);

/// The numbers of a key, and the families that it may be of.
fn numbers(members: &Map<String, Value>) -> Result<Numbers, Reason> {
    let curve = members.get("crv").and_then(Value::as_str);
    match (members.get("kty").and_then(Value::as_str), curve) {
        (Some("RSA"), _) => rsa(members),
        (Some("EC"), Some("P-256")) => elliptic(members, 32, &[Family::P256]),
        (Some("EC"), Some("P-384")) => elliptic(members, 48, &[Family::P384]),
        (Some("OKP"), Some("Ed25519")) => {
            let point = fixed(members, "x", 32)?;
            ParsedPublicKey::new(&ED25519, &point).map_err(|_| ("not_a_key", true))?;
            let decoding = DecodingKey::from_ed_der(&point);
            Ok((point.into(), decoding, &[Family::Ed25519]))
        }
        (Some("EC" | "OKP"), Some(_)) => Err(("curve_unknown", false)),
        (Some("oct"), _) => Err(("private_or_secret", true)),
        (Some(_), _) => Err(("kind_unknown", false)),
        (None, _) => Err(("malformed", true)),
    }
}

fn rsa(members: &Map<String, Value>) -> Result<Numbers, Reason> {
    let number = |name| {
        let bytes = decoded(members, name)?;
        // No leading zeros (RFC 7518 §2), but some write one for a sign that is not there.
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok::<_, Reason>(bytes.get(zeros..).unwrap_or_default().to_vec())
    };
    let (modulus, exponent) = (number("n")?, number("e")?);
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte % 2 == 1);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) || !is_odd(&modulus) {
        return Err(("rsa_modulus", true));
    }
    // 65537 or more (NIST SP 800-56B §6.2), and four bytes hold it.
    let value = exponent.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if exponent.len() > 4 || value < 65_537 || !is_odd(&exponent) {
        return Err(("rsa_exponent", true));
    }
    let components = RsaPublicKeyComponents { n: &modulus, e: &exponent };
    components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| ("not_a_key", true))?;
    let decoding = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Ok(([modulus, exponent].concat().into(), decoding, &[Family::RsaPkcs1, Family::RsaPss]))
}

fn elliptic(members: &Map<String, Value>, bytes: usize, family: &'static [Family]) -> Result<Numbers, Reason> {
    let point = [vec![4], fixed(members, "x", bytes)?, fixed(members, "y", bytes)?].concat();
    let on_curve = match bytes {
        32 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point),
        _ => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point),
    };
    on_curve.map_err(|_| ("not_a_key", true))?;
    let decoding = DecodingKey::from_ec_der(&point);
    Ok((point.into(), decoding, family))
}

fn fixed(members: &Map<String, Value>, name: &str, bytes: usize) -> Result<Vec<u8>, Reason> {
    Some(decoded(members, name)?).filter(|value| value.len() == bytes).ok_or(("length", true))
}

fn decoded(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Reason> {
    let text = members.get(name).and_then(Value::as_str).ok_or(("malformed", true))?;
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| ("malformed", true))
}

fn printable_id(entry: &Value) -> Option<Box<str>> {
    let id = entry.get("kid")?.as_str()?;
    (id.len() <= KID_BYTES_MAX).then(|| id.into())
}

#[cfg(test)]
mod tests;
