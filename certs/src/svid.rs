//! An identity that can be proven: a chain whose leaf is an X.509-SVID, and its key.
//!
//! Source of the rules: SPIFFE X.509-SVID, sections 2 to 5. A leaf that breaks one is refused whoever signed it, for ourselves
//! as for our peers: [`crate::verify::PeerVerifier`] asks the same function.

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

use crate::{
    CertifiedPair, FactsError, PemError, SpiffeId, SpiffeIdError, authority::pem_of, facts::system_time, parse_chain,
    parse_key, pem::key_pem,
};

/// The most certificates of a chain, leaf included: an authority, perhaps a company's, and room for one change of each.
pub const CHAIN_CERTIFICATES_MAX: usize = 6;
/// The most bytes of a chain in DER.
pub const CHAIN_BYTES_MAX: usize = 32 * 1024;

/// A workload's chain, leaf first, and the key of its leaf. Whoever holds one can prove its identity.
#[derive(Clone)]
pub struct Svid {
    pair: CertifiedPair,
    certified: Arc<CertifiedKey>,
    leaf: Leaf,
}

/// What a leaf says that keeps the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) id: SpiffeId,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

/// Which rule of X.509-SVID a leaf breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SvidFault {
    /// It is no X.509 certificate, or has an extension twice.
    #[error("the leaf is not valid X.509")]
    Malformed,
    /// No URI among its names.
    #[error("the leaf carries no URI, so it is nobody's")]
    NoUri,
    /// More than one URI.
    #[error("the leaf carries more than one URI; an SVID carries exactly one")]
    ManyUris,
    /// The URI is no SPIFFE ID.
    #[error("the leaf's URI is not a SPIFFE ID: {0}")]
    NotSpiffe(SpiffeIdError),
    /// The URI names a trust domain and nobody in it.
    #[error("the leaf's SPIFFE ID has no path, so it names a trust domain and not a workload")]
    NoPath,
    /// The leaf is an authority.
    #[error("the leaf is an authority (`CA:TRUE`)")]
    IsAuthority,
    /// The leaf's key may sign certificates or revocation lists.
    #[error("the leaf's key may sign certificates or revocation lists")]
    MaySign,
    /// The leaf names purposes, and not both that a workload needs.
    #[error("the leaf names purposes (`extendedKeyUsage`) but not both `serverAuth` and `clientAuth`")]
    Purposes,
    /// The subject is empty and the names are not critical.
    #[error("the leaf's subject is empty, so its alternative names must be critical")]
    NamesNotCritical,
}

impl SvidFault {
    /// A short word for metrics and logs; the set is fixed.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoUri => "no_uri",
            Self::ManyUris => "many_uris",
            Self::NotSpiffe(_) => "not_spiffe",
            Self::NoPath => "no_path",
            Self::IsAuthority => "leaf_is_authority",
            Self::MaySign => "leaf_may_sign",
            Self::Purposes => "purposes",
            Self::NamesNotCritical => "names_not_critical",
        }
    }
}

/// Why a chain and a key are no [`Svid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// A text that cannot be read, or a key that does not belong to the leaf.
    #[error(transparent)]
    Pair(#[from] PemError),
    /// The leaf breaks a rule.
    #[error(transparent)]
    Leaf(#[from] SvidFault),
    /// Too many certificates.
    #[error("the chain has more than {CHAIN_CERTIFICATES_MAX} certificates")]
    TooLong,
    /// Too many bytes.
    #[error("the chain has more than {CHAIN_BYTES_MAX} bytes")]
    TooLarge,
}

impl SvidError {
    /// A short word for metrics and logs; the set is fixed.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Pair(PemError::KeyMismatch) => "key_mismatch",
            Self::Pair(_) => "unreadable",
            Self::Leaf(fault) => fault.label(),
            Self::TooLong => "chain_too_long",
            Self::TooLarge => "chain_too_large",
        }
    }
}

impl Svid {
    /// Reads a chain, leaf first, and the key of its leaf, in PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, SvidError> {
        Self::new(parse_chain(chain)?, parse_key(key)?)
    }

    /// Pairs a chain, leaf first, with the key of its leaf. Whether anybody trusts it is not asked here.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, SvidError> {
        bound(&chain)?;
        let leaf = leaf_of(chain.first().ok_or(PemError::Certificate(FactsError::Empty))?)?;
        let pair = CertifiedPair::new(chain, key)?;
        let certified = Arc::new(pair.certified_key()?);
        Ok(Self { pair, certified, leaf })
    }

    /// Whom it names.
    pub fn id(&self) -> &SpiffeId {
        &self.leaf.id
    }

    /// The chain, leaf first, in DER. Never empty.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.pair.chain()
    }

    /// The chain in PEM.
    pub fn chain_pem(&self) -> String {
        self.chain().iter().map(pem_of).collect()
    }

    /// The key, in DER. A secret.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        self.pair.key()
    }

    /// The key in PEM (PKCS#8 where it was made here). A secret.
    pub fn key_pem(&self) -> String {
        key_pem(self.key())
    }

    /// The pair as rustls signs with it.
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// When every certificate of the chain has become valid.
    pub fn not_before(&self) -> SystemTime {
        self.pair.facts().not_before
    }

    /// When the first certificate of the chain ceases to be valid.
    pub fn not_after(&self) -> SystemTime {
        self.pair.facts().not_after
    }

    /// The leaf's serial number, in hexadecimal.
    pub fn serial(&self) -> &str {
        &self.pair.facts().serial
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("id", self.id())
            .field("serial", &self.serial())
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

/// Whom a chain, leaf first, would be an SVID of. Whether anybody trusts it, and its dates, are not asked here.
pub fn judge_svid(chain: &[CertificateDer<'_>]) -> Result<SpiffeId, SvidError> {
    bound(chain)?;
    let leaf = leaf_of(chain.first().ok_or(PemError::Certificate(FactsError::Empty))?)?;
    Ok(leaf.id)
}

/// Refuses a chain that is longer or larger than any that makes sense.
pub(crate) fn bound(chain: &[CertificateDer<'_>]) -> Result<(), SvidError> {
    if chain.len() > CHAIN_CERTIFICATES_MAX {
        return Err(SvidError::TooLong);
    }
    let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
    if bytes > CHAIN_BYTES_MAX { Err(SvidError::TooLarge) } else { Ok(()) }
}

/// What the leaf says, if it keeps every rule.
pub(crate) fn leaf_of(leaf: &CertificateDer<'_>) -> Result<Leaf, SvidFault> {
    let (rest, leaf) = X509Certificate::from_der(leaf).map_err(|_| SvidFault::Malformed)?;
    if !rest.is_empty() {
        return Err(SvidFault::Malformed);
    }
    let id = the_one_id(&leaf)?;
    if id.path().is_empty() {
        return Err(SvidFault::NoPath);
    }
    refuse_authority(&leaf)?;
    refuse_purposes(&leaf)?;
    let validity = leaf.validity();
    Ok(Leaf {
        id,
        not_before: system_time(validity.not_before.timestamp()),
        not_after: system_time(validity.not_after.timestamp()),
    })
}

/// X.509-SVID §2: exactly one URI. Other kinds of names may stand beside it and mean nothing here.
fn the_one_id(leaf: &X509Certificate<'_>) -> Result<SpiffeId, SvidFault> {
    let names = leaf.subject_alternative_name().map_err(|_| SvidFault::Malformed)?.ok_or(SvidFault::NoUri)?;
    let mut uris = Vec::new();
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            GeneralName::Invalid(..) => return Err(SvidFault::Malformed),
            _ => {}
        }
    }
    let uri = match uris.as_slice() {
        [] => return Err(SvidFault::NoUri),
        [uri] => uri,
        _ => return Err(SvidFault::ManyUris),
    };
    if leaf.subject().iter().next().is_none() && !names.critical {
        return Err(SvidFault::NamesNotCritical);
    }
    uri.parse().map_err(SvidFault::NotSpiffe)
}

/// X.509-SVID §5.2.
fn refuse_authority(leaf: &X509Certificate<'_>) -> Result<(), SvidFault> {
    let constraints = leaf.basic_constraints().map_err(|_| SvidFault::Malformed)?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(SvidFault::IsAuthority);
    }
    let usage = leaf.key_usage().map_err(|_| SvidFault::Malformed)?;
    if usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()) {
        return Err(SvidFault::MaySign);
    }
    Ok(())
}

/// X.509-SVID §4.4. An extension that could not be read counts as one that says nothing good.
fn refuse_purposes(leaf: &X509Certificate<'_>) -> Result<(), SvidFault> {
    let purposes = leaf.extended_key_usage().map_err(|_| SvidFault::Malformed)?;
    if purposes.is_some_and(|purposes| !(purposes.value.server_auth && purposes.value.client_auth)) {
        return Err(SvidFault::Purposes);
    }
    let unread = |extension: &ParsedExtension<'_>| matches!(extension, ParsedExtension::ParseError { .. });
    if leaf.extensions().iter().any(|extension| unread(extension.parsed_extension())) {
        return Err(SvidFault::Malformed);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
