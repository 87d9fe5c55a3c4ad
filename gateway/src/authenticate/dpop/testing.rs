//! A client that makes proofs, for tests of whoever judges them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, SystemTime};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    Thumbprint,
    key::{ProofAlgorithm, ProofKey},
};

pub(crate) const URL: &str = "https://llm.corp.example/v1/chat/completions";
pub(crate) const ACCESS: &str = "opaque-access-credential";
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A client with a key on P-256.
pub(crate) struct Client(EcdsaKeyPair);

impl Client {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        *ProofKey::new(ProofAlgorithm::parse("ES256").unwrap(), self.jwk().as_object().unwrap()).unwrap().thumbprint()
    }

    pub(crate) fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature))
    }
}

pub(crate) fn claims() -> Value {
    json!({"jti": "a-proof", "htm": "POST", "htu": URL, "iat": NOW, "ath": encode(digest(&SHA256, ACCESS.as_bytes()))})
}

/// A value with one member changed, or taken away (`null`).
pub(crate) fn with(mut value: Value, name: &str, member: Value) -> Value {
    let object = value.as_object_mut().unwrap();
    match member {
        Value::Null => object.remove(name),
        member => object.insert(name.to_owned(), member),
    };
    value
}
