//! The public key in a proof: looked at member by member before the library sees a byte of it.
//!
//! Whoever sends a proof chooses the key, so this is the one place where a stranger's key is parsed. What is taken is
//! fixed: NIST P-256 and P-384, Ed25519, and RSA from 2,048 to 4,096 bits with the exponent 65537. A key that carries a
//! private member is refused: somebody has published it, and it proves nothing any more.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, RsaParameters, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Thumbprint;

/// Bits of an RSA key: fewer are broken, more only cost time.
const RSA_BITS_MIN: usize = 2048;
/// See [`RSA_BITS_MIN`].
const RSA_BITS_MAX: usize = 4096;
/// 65537, as every generator of keys writes it.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];
/// Members of private keys (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// What a proof may be signed with, as metadata and challenges name it (`Ed25519`: RFC 9864).
pub const PROOF_ALGORITHMS: [&str; 10] =
    ["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/// What a proof is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofAlgorithm {
    /// ECDSA.
    Ecdsa(Curve),
    /// EdDSA with Ed25519.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 or RSASSA-PSS, with SHA-2 of so many bits.
    Rsa {
        /// Whether it is PSS.
        pss: bool,
        /// 256, 384 or 512.
        bits: u16,
    },
}

/// A curve of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256, with SHA-256.
    P256,
    /// P-384, with SHA-384.
    P384,
}

impl ProofAlgorithm {
    /// As `alg` names it; `None`: not one of [`PROOF_ALGORITHMS`].
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::Ecdsa(Curve::P256),
            "ES384" => Self::Ecdsa(Curve::P384),
            "EdDSA" | "Ed25519" => Self::Ed25519,
            "RS256" => Self::Rsa { pss: false, bits: 256 },
            "RS384" => Self::Rsa { pss: false, bits: 384 },
            "RS512" => Self::Rsa { pss: false, bits: 512 },
            "PS256" => Self::Rsa { pss: true, bits: 256 },
            "PS384" => Self::Rsa { pss: true, bits: 384 },
            "PS512" => Self::Rsa { pss: true, bits: 512 },
            _ => return None,
        })
    }
}

/// A public key that is well formed, and what it is for.
#[derive(Debug)]
pub struct ProofKey {
    key: PublicKey,
    thumbprint: Thumbprint,
}

#[derive(Debug)]
enum PublicKey {
    /// An uncompressed point, or an Ed25519 key.
    Bytes(&'static dyn VerificationAlgorithm, Vec<u8>),
    Rsa(&'static RsaParameters, rsa::PublicKeyComponents<Vec<u8>>),
}

impl ProofKey {
    /// Reads a JWK for an algorithm; `None`: it is not well formed, or for something else.
    pub fn new(algorithm: ProofAlgorithm, jwk: &Map<String, Value>) -> Option<Self> {
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) || !is_for_verification(jwk) {
            return None;
        }
        match algorithm {
            ProofAlgorithm::Ecdsa(curve) => Self::ec(curve, jwk),
            ProofAlgorithm::Ed25519 => Self::ed25519(jwk),
            ProofAlgorithm::Rsa { pss, bits } => Self::rsa(parameters(pss, bits)?, jwk),
        }
    }

    /// Its thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// Whether it signed this.
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            PublicKey::Bytes(algorithm, bytes) => UnparsedPublicKey::new(*algorithm, bytes).verify(signed, signature),
            PublicKey::Rsa(parameters, key) => key.verify(parameters, signed, signature),
        }
        .is_ok()
    }

    fn ec(curve: Curve, jwk: &Map<String, Value>) -> Option<Self> {
        let (name, len, algorithm): (_, _, &'static dyn VerificationAlgorithm) = match curve {
            Curve::P256 => ("P-256", 32, &ECDSA_P256_SHA256_FIXED),
            Curve::P384 => ("P-384", 48, &ECDSA_P384_SHA384_FIXED),
        };
        is(jwk, "kty", "EC")?;
        is(jwk, "crv", name)?;
        let (x, y) = (bytes(jwk, "x", len..=len)?, bytes(jwk, "y", len..=len)?);
        let canonical = format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, encode(&x), encode(&y));
        // 4: an uncompressed point (SEC 1 §2.3.3). Whether it is on the curve is for the library to say.
        let point = [&[4], &*x, &*y].concat();
        Some(Self { key: PublicKey::Bytes(algorithm, point), thumbprint: sha256(&canonical) })
    }

    fn ed25519(jwk: &Map<String, Value>) -> Option<Self> {
        is(jwk, "kty", "OKP")?;
        is(jwk, "crv", "Ed25519")?;
        let x = bytes(jwk, "x", 32..=32)?;
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(&x));
        Some(Self { key: PublicKey::Bytes(&ED25519, x), thumbprint: sha256(&canonical) })
    }

    fn rsa(parameters: &'static RsaParameters, jwk: &Map<String, Value>) -> Option<Self> {
        is(jwk, "kty", "RSA")?;
        let n = bytes(jwk, "n", RSA_BITS_MIN / 8..=RSA_BITS_MAX / 8)?;
        let e = bytes(jwk, "e", 1..=RSA_EXPONENT.len())?;
        // Without leading zeros (RFC 7518 §6.3.1.1), or the length would say nothing of the size.
        let full =
            n.first().is_some_and(|first| *first >= 0x80) || (n.len() > RSA_BITS_MIN / 8 && n.first() != Some(&0));
        if e != RSA_EXPONENT || !full {
            return None;
        }
        let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(&e), encode(&n));
        let key = rsa::PublicKeyComponents { n, e };
        Some(Self { key: PublicKey::Rsa(parameters, key), thumbprint: sha256(&canonical) })
    }
}

/// `use` and `key_ops` are not asked for, but who writes them means them (RFC 7517 §4.2, §4.3).
fn is_for_verification(jwk: &Map<String, Value>) -> bool {
    let signs = jwk.get("use").is_none_or(|word| word == "sig");
    let verifies = jwk
        .get("key_ops")
        .is_none_or(|words| words.as_array().is_some_and(|words| words.iter().any(|word| word == "verify")));
    signs && verifies
}

fn parameters(pss: bool, bits: u16) -> Option<&'static RsaParameters> {
    Some(match (pss, bits) {
        (false, 256) => &RSA_PKCS1_2048_8192_SHA256,
        (false, 384) => &RSA_PKCS1_2048_8192_SHA384,
        (false, 512) => &RSA_PKCS1_2048_8192_SHA512,
        (true, 256) => &RSA_PSS_2048_8192_SHA256,
        (true, 384) => &RSA_PSS_2048_8192_SHA384,
        (true, 512) => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn is(jwk: &Map<String, Value>, name: &str, value: &str) -> Option<()> {
    (jwk.get(name)?.as_str()? == value).then_some(())
}

fn bytes(jwk: &Map<String, Value>, name: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<Vec<u8>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()?;
    lengths.contains(&bytes.len()).then_some(bytes)
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(text: &str) -> Thumbprint {
    let mut thumbprint = [0; 32];
    thumbprint.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    thumbprint
}
