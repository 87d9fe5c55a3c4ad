//! Keys that sign, and credentials with anything in them. Also for `benches/credentials.rs`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};

/// A private key of an issuer.
pub(crate) struct Signer {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

pub(crate) static RS256: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa"));
pub(crate) static ES256: LazyLock<Signer> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    Signer::new("p256", Algorithm::ES256, EncodingKey::from_ec_der(key.as_ref()))
});
pub(crate) static ES384: LazyLock<Signer> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    Signer::new("p384", Algorithm::ES384, EncodingKey::from_ec_der(key.as_ref()))
});
pub(crate) static EDDSA: LazyLock<Signer> = LazyLock::new(|| Signer::ed25519("ed"));

impl Signer {
    fn new(id: &'static str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        Self { id, algorithm, key, jwk }
    }

    pub(crate) fn rsa(id: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // The library reads the key that is inside (PKCS#1), behind 26 bytes that say what it is.
        Self::new(id, Algorithm::RS256, EncodingKey::from_rsa_der(&der.as_ref()[26..]))
    }

    pub(crate) fn ed25519(id: &'static str) -> Self {
        let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        Self::new(id, Algorithm::EdDSA, EncodingKey::from_ed_der(key.as_ref()))
    }

    /// Its public key, with further members or others.
    pub(crate) fn jwk(&self, changes: Value) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!(self.id);
        change(&mut jwk, changes);
        jwk
    }

    /// What the issuer publishes.
    pub(crate) fn set(signers: &[&Self]) -> Value {
        json!({ "keys": signers.iter().map(|signer| signer.jwk(json!({}))).collect::<Vec<_>>() })
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": format!("{:?}", self.algorithm), "typ": "at+jwt", "kid": self.id })
    }

    /// A credential.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Of header and claims as they stand here, JSON or not.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        self.sign_as(self.algorithm, header, claims)
    }

    pub(crate) fn sign_as(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

pub(crate) fn encoded(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Sets members; those that are `null` are taken away.
pub(crate) fn change(value: &mut Value, changes: Value) {
    let (Value::Object(members), Value::Object(changes)) = (value, changes) else { panic!("not objects") };
    for (name, change) in changes {
        match change {
            Value::Null => drop(members.shift_remove(&name)),
            change => drop(members.insert(name, change)),
        }
    }
}

/// Claims that are good at [`NOW`], with changes.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "https://llm.corp.example", "sub": "alice",
        "iat": NOW - 60, "exp": NOW + 300, "groups": ["ai-users", "ai-devs"], "scope": "chat tools",
    });
    change(&mut claims, changes);
    claims
}

pub(crate) const ISSUER: &str = "https://id.corp.example";
/// 2026-01-01.
pub(crate) const NOW: u64 = 1_767_225_600;
