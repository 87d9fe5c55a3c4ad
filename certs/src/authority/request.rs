//! What a workload may ask an authority for: that its key is certified, and nothing else (PKCS#10, RFC 2986).
//!
//! Who it is has been attested elsewhere. A request that says more than a key, a name above all, either says what is known
//! already or is refused: a CA that copies from requests is one bug away from certifying what a stranger wrote.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, SubjectPublicKeyInfo};
use rustls_pki_types::{
    CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer, SignatureVerificationAlgorithm,
    pem::PemObject as _,
};
use webpki::aws_lc_rs as algorithms;
use x509_parser::{
    certification_request::X509CertificationRequest,
    cri_attributes::ParsedCriAttribute,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    public_key::PublicKey,
    x509::{SubjectPublicKeyInfo as ParsedKey, X509Name, X509Version},
};

use super::AuthorityError;
use crate::SpiffeId;

/// The largest request, in bytes, PEM or DER. With an RSA key of 8192 bits it has 3 KiB.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The shortest RSA key that is certified, in bits.
const RSA_BITS_MIN: usize = 2048;
/// The longest, in bits: what it signs must be cheap to verify.
const RSA_BITS_MAX: usize = 8192;

/// A request that asks for nothing but its key: parsed, and signed by that key.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    key: SubjectPublicKeyInfo,
    key_der: Box<[u8]>,
    /// The one name that it may say, where it says one.
    uri: Option<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// More bytes than any honest request has.
    #[error("the request has more than {REQUEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Neither PEM with a request nor DER.
    #[error("no certificate request found; expected one `-----BEGIN CERTIFICATE REQUEST-----`")]
    NotARequest,
    /// More than one PEM block, or something else around it.
    #[error("the request must be one PEM block and nothing else")]
    NotAlone,
    /// It cannot be parsed, or has something behind it.
    #[error("the request is not valid PKCS#10")]
    Malformed,
    /// The subject says something.
    #[error("the request has a subject; who asks is attested, so leave it empty")]
    Subject,
    /// An attribute that is not a request for extensions.
    #[error("the request has attributes; only a key is asked for")]
    Attribute,
    /// An extension that is not a name.
    #[error("the request asks for extensions; only a key is asked for")]
    Extension,
    /// A name that is not the one URI it may say.
    #[error("the request asks for names; who asks is attested, and at most that one URI may be said")]
    Names,
    /// The URI is not who asks.
    #[error("the request names somebody else than who asks")]
    OtherIdentity,
    /// A key of a kind or a size that is not certified.
    #[error("the key must be P-256, P-384, Ed25519, or RSA with {RSA_BITS_MIN} to {RSA_BITS_MAX} bits")]
    Key,
    /// It is signed with an algorithm that does not count.
    #[error("the request is signed with an algorithm that is not supported")]
    Algorithm,
    /// It is not signed by the key that it asks for.
    #[error("the request is not signed by its own key")]
    Signature,
    /// The key is an authority's own.
    #[error("the key belongs to an authority")]
    AuthorityKey,
    /// The key was certified for somebody else.
    #[error("the key was certified for another workload; each makes its own")]
    KeyOfAnother,
}

impl RequestFault {
    /// A short word for metrics; the set is fixed.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotARequest => "not_a_request",
            Self::NotAlone => "not_alone",
            Self::Malformed => "malformed",
            Self::Subject => "subject",
            Self::Attribute => "attribute",
            Self::Extension => "extension",
            Self::Names => "names",
            Self::OtherIdentity => "other_identity",
            Self::Key => "key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::AuthorityKey => "authority_key",
            Self::KeyOfAnother => "key_of_another",
        }
    }
}

impl SigningRequest {
    /// Reads one request, in PEM or DER.
    pub fn parse(content: &[u8]) -> Result<Self, RequestFault> {
        if content.len() > REQUEST_BYTES_MAX {
            return Err(RequestFault::TooLarge);
        }
        // DER begins with a SEQUENCE.
        if content.first() == Some(&0x30) { Self::from_der(content) } else { Self::from_der(&the_one_block(content)?) }
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestFault> {
        let Ok(([], request)) = X509CertificationRequest::from_der(der) else { return Err(RequestFault::Malformed) };
        let info = &request.certification_request_info;
        if info.version != X509Version::V1 {
            return Err(RequestFault::Malformed);
        }
        refuse_subject(&info.subject)?;
        let uri = the_one_uri(&request)?;
        let key = &info.subject_pki;
        refuse_key(key)?;
        let algorithm = algorithm(key, &request)?;
        if request.signature_value.unused_bits != 0 || key.subject_public_key.unused_bits != 0 {
            return Err(RequestFault::Malformed);
        }
        algorithm
            .verify_signature(&key.subject_public_key.data, info.raw, &request.signature_value.data)
            .map_err(|_| RequestFault::Signature)?;
        let key_der: Box<[u8]> = key.raw.into();
        let key = SubjectPublicKeyInfo::from_der(&key_der).map_err(|_| RequestFault::Key)?;
        Ok(Self { key, key_der, uri })
    }

    /// A key (P-256) that nobody had before, and the request that it be certified.
    pub fn with_new_key() -> Result<(Self, PrivateKeyDer<'static>), AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = Self::parse(params.serialize_request(&key)?.der())
            .map_err(|fault| AuthorityError::Unusable(fault.to_string()))?;
        Ok((request, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    /// Whom it says it is for, where it says anything; to be compared with what is attested.
    pub fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// What is certified.
    pub(super) fn key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }

    /// The same, in DER.
    pub(super) fn key_der(&self) -> &[u8] {
        &self.key_der
    }

    /// A name that it says must be the one that is attested.
    pub(super) fn refuse_other_than(&self, id: &SpiffeId) -> Result<(), RequestFault> {
        if self.uri.as_deref().is_some_and(|uri| uri != id.as_str()) {
            Err(RequestFault::OtherIdentity)
        } else {
            Ok(())
        }
    }
}

/// One block, of the right kind, with nothing but white space around it.
fn the_one_block(text: &[u8]) -> Result<CertificateSigningRequestDer<'static>, RequestFault> {
    let text = text.trim_ascii();
    let mut blocks = CertificateSigningRequestDer::pem_slice_iter(text);
    let first = blocks.next().and_then(Result::ok).ok_or(RequestFault::NotARequest)?;
    let begin = b"-----BEGIN ";
    let begins = text.windows(begin.len()).filter(|window| window == begin).count();
    let alone = begins == 1 && text.starts_with(begin) && text.ends_with(b"REQUEST-----");
    if alone && blocks.next().is_none() { Ok(first) } else { Err(RequestFault::NotAlone) }
}

/// Empty, or an organization without a value, as Istio's agent writes it.
fn refuse_subject(subject: &X509Name<'_>) -> Result<(), RequestFault> {
    let organizations = subject.iter_organization().count();
    let says_nothing = subject.iter_attributes().all(|attribute| attribute.attr_value().data.is_empty());
    let attributes = subject.iter_attributes().count();
    if says_nothing && attributes == organizations && attributes <= 1 { Ok(()) } else { Err(RequestFault::Subject) }
}

fn the_one_uri(request: &X509CertificationRequest<'_>) -> Result<Option<String>, RequestFault> {
    let extensions = match request.certification_request_info.attributes() {
        [] => return Ok(None),
        [attribute] => match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(requested) => &requested.extensions,
            _ => return Err(RequestFault::Attribute),
        },
        _ => return Err(RequestFault::Attribute),
    };
    let names = match extensions.as_slice() {
        [] => return Ok(None),
        [extension] => match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => names,
            _ => return Err(RequestFault::Extension),
        },
        _ => return Err(RequestFault::Extension),
    };
    match names.general_names.as_slice() {
        [GeneralName::URI(uri)] => Ok(Some((*uri).to_owned())),
        _ => Err(RequestFault::Names),
    }
}

fn refuse_key(key: &ParsedKey<'_>) -> Result<(), RequestFault> {
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        let bits = modulus_bits(rsa.modulus);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(RequestFault::Key);
        }
    }
    Ok(())
}

/// How many bits a big-endian number has.
pub(crate) fn modulus_bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = number.get(zeros..).unwrap_or_default();
    let leading = significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
    significant.len() * 8 - leading
}

/// Every way in which a request may be signed, by the numbers that it says. Others are refused, older ones above all.
fn algorithm(
    key: &ParsedKey<'_>,
    request: &X509CertificationRequest<'_>,
) -> Result<&'static dyn SignatureVerificationAlgorithm, RequestFault> {
    let all: [&'static dyn SignatureVerificationAlgorithm; 8] = [
        algorithms::ECDSA_P256_SHA256,
        algorithms::ECDSA_P256_SHA384,
        algorithms::ECDSA_P384_SHA256,
        algorithms::ECDSA_P384_SHA384,
        algorithms::ED25519,
        algorithms::RSA_PKCS1_2048_8192_SHA256,
        algorithms::RSA_PKCS1_2048_8192_SHA384,
        algorithms::RSA_PKCS1_2048_8192_SHA512,
    ];
    let key_id = inside(key.raw).and_then(|(info, _)| inside(info)).map(|(id, _)| id).ok_or(RequestFault::Malformed)?;
    let of_key: Vec<_> = all.into_iter().filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key_id).collect();
    if of_key.is_empty() {
        return Err(RequestFault::Key);
    }
    let signed_with = signature_id(request).ok_or(RequestFault::Malformed)?;
    let matching = of_key.into_iter().find(|algorithm| algorithm.signature_alg_id().as_ref() == signed_with);
    matching.ok_or(RequestFault::Algorithm)
}

/// The content of the signature's `AlgorithmIdentifier`: the second of the three parts of a request.
fn signature_id<'r>(request: &X509CertificationRequest<'r>) -> Option<&'r [u8]> {
    let (parts, _) = inside(request.as_raw())?;
    let (_, behind_the_info) = inside(parts)?;
    inside(behind_the_info).map(|(id, _)| id)
}

/// The content of the SEQUENCE at the start, and what follows it. The whole has been parsed before, so that nothing but the
/// forms of DER's lengths has to be known here.
fn inside(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *tag != 0x30 {
        return None;
    }
    let (length, rest) = match usize::from(*first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            (
                bytes
                    .iter()
                    .try_fold(0_usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))?,
                rest,
            )
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;
