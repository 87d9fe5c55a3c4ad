//! Chains and keys as people write them down: PEM in, DER out, with errors that say what to do.

use std::fmt;

use rustls::sign;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};

use crate::{ChainFacts, FactsError, crypto_provider};

/// The most certificates one text may hold; a bundle of every public authority has some 150.
const CERTIFICATES_MAX: usize = 2048;

/// A certificate chain, leaf first, and the key of its leaf. The two belong together: [`parse_pair`] checks it.
pub struct CertifiedPair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    facts: ChainFacts,
}

/// Why a text is not a chain, a key, or a pair of both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The PEM itself is broken.
    #[error("malformed PEM: {0}")]
    Malformed(String),
    /// There is PEM, or nothing at all, but no certificate.
    #[error("no certificate found; expected `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// More than anybody needs.
    #[error("more than {CERTIFICATES_MAX} certificates")]
    TooManyCertificates,
    /// No private key.
    #[error("no private key found; expected `-----BEGIN PRIVATE KEY-----` (PKCS#8, PKCS#1 and SEC1 are read)")]
    NoKey,
    /// An encrypted key.
    #[error("the private key is encrypted; decrypt it first (`openssl pkey -in KEY -out PLAIN`)")]
    EncryptedKey,
    /// More than one key.
    #[error("more than one private key")]
    ManyKeys,
    /// The key is of a type or in a form that is not supported.
    #[error("unsupported private key: {0}")]
    UnsupportedKey(String),
    /// The leaf certificate does not parse.
    #[error("the first certificate is not valid X.509: {0}")]
    Certificate(#[from] FactsError),
    /// Key and certificate do not belong together.
    #[error("the private key does not belong to the first certificate of the chain")]
    KeyMismatch,
}

/// Every certificate in `text`, in order; at least one.
pub fn parse_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        if chain.len() == CERTIFICATES_MAX {
            return Err(PemError::TooManyCertificates);
        }
        chain.push(certificate.map_err(|e| malformed(&e))?);
    }
    if chain.is_empty() { Err(PemError::NoCertificate) } else { Ok(chain) }
}

/// The one private key in `text`.
pub fn parse_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let mut keys = PrivateKeyDer::pem_slice_iter(text);
    let Some(first) = keys.next() else {
        let encrypted = String::from_utf8_lossy(text).contains("ENCRYPTED PRIVATE KEY");
        return Err(if encrypted { PemError::EncryptedKey } else { PemError::NoKey });
    };
    let key = first.map_err(|e| malformed(&e))?;
    match keys.next() {
        None => Ok(key),
        Some(Ok(_)) => Err(PemError::ManyKeys),
        Some(Err(e)) => Err(malformed(&e)),
    }
}

/// A key in PEM, in the form that it has. A secret.
pub(crate) fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let tag = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    ::pem::encode_config(
        &::pem::Pem::new(tag, key.secret_der()),
        ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF),
    )
}

/// A chain and its key, checked against each other.
pub fn parse_pair(chain: &[u8], key: &[u8]) -> Result<CertifiedPair, PemError> {
    CertifiedPair::new(parse_chain(chain)?, parse_key(key)?)
}

/// What is wrong with a PEM text, without quoting it: it might be a key.
fn malformed(error: &pem::Error) -> PemError {
    PemError::Malformed(match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("`{}` is missing", String::from_utf8_lossy(end_marker).trim())
        }
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section is broken".to_owned(),
        pem::Error::Base64Decode(_) => "the text between the markers is not base64".to_owned(),
        pem::Error::SectionTooLarge => "a section is too large".to_owned(),
        _ => "unreadable".to_owned(),
    })
}

impl CertifiedPair {
    /// Pairs a chain, leaf first, with its key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, PemError> {
        let facts = ChainFacts::of(&chain)?;
        let pair = Self { chain, key, facts };
        pair.certified_key()?;
        Ok(pair)
    }

    /// The chain, leaf first, in DER. Never empty.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The key, in DER.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// What the chain says about itself.
    pub fn facts(&self) -> &ChainFacts {
        &self.facts
    }

    /// The pair as rustls signs with it.
    pub fn certified_key(&self) -> Result<sign::CertifiedKey, PemError> {
        let provider = crypto_provider();
        let key = provider
            .key_provider
            .load_private_key(self.key.clone_key())
            .map_err(|e| PemError::UnsupportedKey(e.to_string()))?;
        let certified = sign::CertifiedKey::new(self.chain.clone(), key);
        certified.keys_match().map_err(|_| PemError::KeyMismatch)?;
        Ok(certified)
    }
}

impl Clone for CertifiedPair {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key(), facts: self.facts.clone() }
    }
}

impl fmt::Debug for CertifiedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedPair").field("facts", &self.facts).field("key", &"[secret]").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn own(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_and_its_key_stays_secret() {
        let (chain, key) = own("a.test");
        let pair = parse_pair(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(pair.facts().dns_names, ["a.test"]);
        let shown = format!("{pair:?}");
        assert!(shown.contains("[secret]") && !shown.contains("PrivatePkcs8"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (chain, key) = own("a.test");
        let (_, other_key) = own("b.test");
        let (chain, key) = (chain.as_bytes(), key.as_bytes());
        assert_eq!(parse_pair(key, key).unwrap_err(), PemError::NoCertificate);
        assert_eq!(parse_pair(chain, chain).unwrap_err(), PemError::NoKey);
        assert_eq!(parse_pair(chain, b"").unwrap_err(), PemError::NoKey);
        assert_eq!(parse_pair(chain, other_key.as_bytes()).unwrap_err(), PemError::KeyMismatch);
        assert_eq!(parse_pair(chain, &[key, key].concat()).unwrap_err(), PemError::ManyKeys);
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(parse_pair(chain, encrypted).unwrap_err(), PemError::EncryptedKey);
        let cut = chain.get(..chain.len() / 2).unwrap();
        assert!(matches!(parse_pair(cut, key).unwrap_err(), PemError::Malformed(_)));
        let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(parse_pair(junk, key).unwrap_err(), PemError::Certificate(_)));
        let rubbish = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(parse_pair(chain, rubbish).unwrap_err(), PemError::UnsupportedKey(_)));
    }
}
