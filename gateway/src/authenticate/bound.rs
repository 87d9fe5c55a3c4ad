//! Possession: a credential that is bound to a key or to a certificate counts only together with it.
//!
//! What a credential is bound to stands in `cnf` (RFC 7800), whether its claims came signed or from introspection:
//! - `jkt`: a key; the request carries a DPoP proof by it (RFC 9449, [`dpop`]).
//! - `x5t#S256`: a certificate; it is the leaf of *this* connection (RFC 8705 §3). What a header says of certificates is
//!   never looked at. The certificate need not lead to an authority of the listener: the issuer has chosen it, perhaps
//!   self-signed (RFC 8705 §2.2), and the handshake has shown that the client holds its key, whoever signed it. It says
//!   nothing but that.
//! - anything else is a condition that nobody here can judge, and is refused.
//!
//! A credential that is bound must be judged with every request: it is not remembered by itself ([`Possession::Shown`]).

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use portcullis_mesh::tls::PeerCertificate;
use serde_json::{Map, Value};

use super::{
    Rejection, Shown,
    credential::Credential,
    dpop::{
        self, Purpose, Secret, Thumbprint,
        replays::{self, Replays},
    },
};

/// What was needed besides the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Possession {
    /// Nothing: whoever has the credential may use it.
    NotBound,
    /// A proof, which this request has shown. It says nothing of another request with the same credential:
    /// [`Known::fresh`](super::Known::fresh) is zero.
    Shown,
}

/// Whether a request shows that it may use the credential with these claims. `proof_required`: one that is bound to
/// nothing is refused.
pub fn possession(
    claims: &Map<String, Value>,
    shown: &Shown<'_>,
    proof_required: bool,
) -> Result<Possession, Rejection> {
    judge(claims, shown, proof_required, Replays::of_process())
}

/// [`possession`], with the proofs that were shown before.
pub fn judge(
    claims: &Map<String, Value>,
    shown: &Shown<'_>,
    proof_required: bool,
    replays: &Replays,
) -> Result<Possession, Rejection> {
    let confirmation = Confirmation::of(claims).map_err(Rejection::Invalid)?;
    if let Some(fingerprint) = &confirmation.certificate {
        judge_certificate(fingerprint, shown.certificate)?;
    }
    // Last, because a proof that is good is used up.
    match (&confirmation.key, shown.credential) {
        (Some(key), Some(Credential::Dpop { access, proof })) => {
            judge_proof(key, access, proof.ok_or(Rejection::InvalidProof("proof_missing"))?, shown, replays)?;
        }
        (Some(_), _) => return Err(Rejection::InvalidProof("bound_as_bearer")),
        (None, Some(Credential::Dpop { .. })) => return Err(Rejection::InvalidProof("not_bound")),
        (None, _) => {}
    }
    match confirmation {
        Confirmation { key: None, certificate: None } if proof_required => {
            Err(Rejection::InvalidProof("binding_required"))
        }
        Confirmation { key: None, certificate: None } => Ok(Possession::NotBound),
        _ => Ok(Possession::Shown),
    }
}

/// `cnf`: all that is in it must be shown.
#[derive(Debug, PartialEq, Eq)]
struct Confirmation {
    key: Option<Thumbprint>,
    certificate: Option<[u8; 32]>,
}

impl Confirmation {
    fn of(claims: &Map<String, Value>) -> Result<Self, &'static str> {
        let mut confirmation = Self { key: None, certificate: None };
        let Some(members) = claims.get("cnf") else { return Ok(confirmation) };
        let members = members.as_object().filter(|members| !members.is_empty()).ok_or("confirmation_malformed")?;
        for (name, value) in members {
            let value = || sha256_of(value).map(Some).ok_or("confirmation_malformed");
            match name.as_str() {
                "jkt" => confirmation.key = value()?,
                "x5t#S256" => confirmation.certificate = value()?,
                _ => return Err("confirmation_unknown"),
            }
        }
        Ok(confirmation)
    }
}

fn sha256_of(value: &Value) -> Option<[u8; 32]> {
    BASE64_URL_SAFE_NO_PAD.decode(value.as_str()?).ok()?.try_into().ok()
}

fn judge_certificate(fingerprint: &[u8; 32], certificate: &PeerCertificate) -> Result<(), Rejection> {
    let chain = match certificate {
        PeerCertificate::Verified(chain) => chain.certificates(),
        PeerCertificate::Unverified { chain, .. } => chain,
        PeerCertificate::Absent => &[],
    };
    let leaf = chain.first().ok_or(Rejection::Invalid("certificate_missing"))?;
    if digest(&SHA256, leaf).as_ref() != fingerprint {
        return Err(Rejection::Invalid("certificate_of_another"));
    }
    Ok(())
}

fn judge_proof(
    key: &Thumbprint,
    access: &str,
    proof: &str,
    shown: &Shown<'_>,
    replays: &Replays,
) -> Result<(), Rejection> {
    let url = shown.target.url();
    let purpose = Purpose { thumbprint: key, access: Secret(access), method: shown.method, url: &url, now: shown.now };
    let proven = dpop::judge(proof, &purpose).map_err(Rejection::InvalidProof)?;
    match replays.show(key, &proven, shown.now) {
        replays::Shown::First => Ok(()),
        replays::Shown::Again => Err(Rejection::InvalidProof("proof_replayed")),
        // Not the caller's fault: 503, and the next second there may be room.
        replays::Shown::Full => Err(Rejection::Unavailable("proofs_full")),
    }
}
