//! Callers with a credential, as an issuer of a company signs it: RS256, twenty groups, about 1.6 KB.

use std::fmt::Write as _;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};

use super::base64;
use crate::Outcome;

/// Who signs, and for whom.
pub(crate) const ISSUER: &str = "https://id.bench.example";
pub(crate) const AUDIENCE: &str = "https://llm.bench.example";
/// So many callers take turns: what is remembered of one is looked for among all. Envoy's cache holds 100 by default.
pub(crate) const CALLERS: usize = 64;
/// The groups of each.
const GROUPS_EACH: usize = 20;
/// The name of the key.
const KEY_ID: &str = "bench-2026-11";
/// How long a credential is good for, in seconds: longer than any run.
const LIFETIME_S: u64 = 12 * 3600;
/// The size that a credential should have, in bytes.
#[cfg(test)]
const CREDENTIAL_BYTES: usize = 1600;

/// An issuer: its public keys, and credentials that it has signed.
pub(crate) struct Issued {
    /// A JSON Web Key Set.
    pub(crate) keys: String,
    /// One per caller.
    pub(crate) credentials: Vec<String>,
    /// Of a caller whom no role allows anything.
    pub(crate) stranger: String,
}

/// A group by its number: those that roles are bound to come first.
pub(crate) fn group(number: usize) -> String {
    format!("ml-platform-team-{number:04}")
}

/// Makes a key and signs a credential for each caller, good from `now_s` on.
pub(crate) fn issue(now_s: u64) -> Outcome<Issued> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "no RSA key could be made")?;
    let modulus = modulus(key.public_key().as_ref())?;
    let keys = format!(
        r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS256","kid":"{KEY_ID}","n":"{}","e":"AQAB"}}]}}"#,
        base64url(modulus)
    );
    let credentials = (0..CALLERS).map(|caller| sign(&key, &claims(caller, now_s))).collect::<Outcome<_>>()?;
    let stranger = claims(CALLERS, now_s).replace("ml-platform-team", "sales-team");
    Ok(Issued { keys, credentials, stranger: sign(&key, &stranger)? })
}

/// The claims of a caller. Of their groups one is bound to the role that allows the request, four to other roles.
fn claims(caller: usize, now_s: u64) -> String {
    let bound = [12, 15, 18, 21, 24].into_iter();
    let unbound = (bound.len()..GROUPS_EACH).map(|at| 1000 + caller * GROUPS_EACH + at);
    let groups = bound.chain(unbound).map(|number| format!("\"{}\"", group(number))).collect::<Vec<_>>().join(",");
    let expires_s = now_s + LIFETIME_S;
    format!(
        r#"{{"iss":"{ISSUER}","sub":"c0ffee00-0000-4000-8000-{caller:012}","aud":["{AUDIENCE}"],"exp":{expires_s},"iat":{now_s},"nbf":{now_s},"jti":"{now_s}-{caller:04}","client_id":"notebooks","azp":"notebooks","scope":"openid profile ai.chat","preferred_username":"engineer{caller:04}@bench.example","name":"Engineer Number {caller:04}","tid":"72f988bf-0000-4000-8000-2d7cd011db47","groups":[{groups}]}}"#
    )
}

fn sign(key: &RsaKeyPair, claims: &str) -> Outcome<String> {
    let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{KEY_ID}"}}"#);
    let mut text = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "a credential could not be signed")?;
    write!(text, ".{}", base64url(&signature))?;
    Ok(text)
}

/// The modulus in an `RSAPublicKey` (RFC 8017 A.1.1) of 2048 bits, whose lengths are always the same.
fn modulus(public_key: &[u8]) -> Outcome<&[u8]> {
    const BEFORE: [u8; 9] = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    const EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
    let inner = public_key.strip_prefix(&BEFORE).and_then(|rest| rest.strip_suffix(&EXPONENT));
    inner.ok_or_else(|| "not the public key that was expected".into())
}

fn base64url(bytes: &[u8]) -> String {
    base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn credentials_have_the_size_that_is_told() {
        let issued = issue(1_795_000_000).unwrap();
        assert_eq!(issued.credentials.len(), CALLERS);
        for credential in &issued.credentials {
            assert!(credential.len().abs_diff(CREDENTIAL_BYTES) < 40, "{} bytes", credential.len());
            assert_eq!(credential.split('.').count(), 3);
        }
        assert!(serde_json::from_str::<serde_json::Value>(&issued.keys).is_ok());
        let claims: serde_json::Value = serde_json::from_str(&claims(1, 1)).unwrap();
        assert_eq!(claims["groups"].as_array().map(Vec::len), Some(GROUPS_EACH));
    }
}
