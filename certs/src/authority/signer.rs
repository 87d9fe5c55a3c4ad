//! A key that signs, and what stands above its leaves.

use std::time::SystemTime;

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer as _};

use super::{AuthorityError, SigningRequest};
use crate::{CertifiedPair, SpiffeId, crypto_provider, facts::hex};

/// Random bytes of a serial number: 128 bits, twice what the rules of public authorities ask for.
const SERIAL_RANDOM_BYTES: usize = 16;

/// An authority that signs leaves.
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// The public key, in DER.
    pub(super) key: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    above: Vec<CertificateDer<'static>>,
}

impl Signer {
    /// Signs with `pair`; `above` follows each leaf.
    pub(super) fn new(pair: &CertifiedPair, above: Vec<CertificateDer<'static>>) -> Result<Self, AuthorityError> {
        let unusable = |reason: &dyn std::fmt::Display| AuthorityError::Unusable(reason.to_string());
        let certificate = pair.chain().first().ok_or_else(|| unusable(&"there is no certificate"))?;
        let key = KeyPair::try_from(pair.key()).map_err(|_| unusable(&"the key is of a kind that cannot sign"))?;
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|e| unusable(&e))?;
        let public = parsed.public_key().raw.to_vec();
        let issuer = Issuer::from_ca_cert_der(certificate, key).map_err(|e| unusable(&e))?;
        let facts = pair.facts();
        let id = key_id(certificate).unwrap_or_else(|| facts.serial.clone());
        Ok(Self { id, not_before: facts.not_before, not_after: facts.not_after, key: public, issuer, above })
    }

    /// A leaf for `id` with the key of the request, and what stands above it.
    pub(super) fn sign(
        &self,
        request: &SigningRequest,
        id: &SpiffeId,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> Result<(Vec<CertificateDer<'static>>, SerialNumber), AuthorityError> {
        let serial = random_serial()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // INVARIANT: the name is what was attested; the request is asked for its key and for nothing else.
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial.clone());
        params.not_before = not_before.into();
        params.not_after = not_after.into();
        let leaf = params.signed_by(request.key(), &self.issuer)?;
        let chain = std::iter::once(leaf.der().clone()).chain(self.above.iter().cloned()).collect();
        Ok((chain, serial))
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

pub(super) fn random_serial() -> Result<SerialNumber, AuthorityError> {
    // The first byte is 1, so that the number is positive and always as long.
    let mut bytes = [1; 1 + SERIAL_RANDOM_BYTES];
    let random = bytes.get_mut(1..).unwrap_or_default();
    crypto_provider().secure_random.fill(random).map_err(|_| AuthorityError::Random)?;
    Ok(SerialNumber::from_slice(&bytes))
}

/// The identifier of a certificate's own key, in hexadecimal.
pub(super) fn key_id(certificate: &CertificateDer<'_>) -> Option<String> {
    identifier(certificate, |extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(hex(id.0)),
        _ => None,
    })
}

/// The identifier of the key that signed a certificate, in hexadecimal.
pub(super) fn issuer_key_id(certificate: &CertificateDer<'_>) -> Option<String> {
    identifier(certificate, |extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| hex(id.0)),
        _ => None,
    })
}

fn identifier(certificate: &CertificateDer<'_>, of: impl Fn(&ParsedExtension<'_>) -> Option<String>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    parsed.extensions().iter().find_map(|extension| of(extension.parsed_extension()))
}
