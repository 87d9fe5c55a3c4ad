//! Whose signature counts in a trust domain, and in which trust domains.
//!
//! A [`TrustBundle`] has the authorities of one domain; [`TrustBundles`] has one bundle for each domain that is known, our own
//! and those we are federated with. A chain is judged with the bundle of the domain that its leaf names and with no other, so an
//! authority of one domain cannot speak for another (SPIFFE Trust Domain and Bundle, §3 and §4). Both are immutable: a change
//! is a new value.

mod document;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{PemError, TrustDomain, authority::pem_of, parse_chain};

/// The most authorities of one trust domain.
pub const BUNDLE_AUTHORITIES_MAX: usize = 64;
/// The most trust domains.
pub const TRUST_DOMAINS_MAX: usize = 1024;
/// The largest text of one bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 1024 * 1024;
/// The largest text of a map of bundles, in bytes.
pub const BUNDLE_MAP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The authorities of one trust domain. Without any, nobody of that domain is believed.
#[derive(Clone)]
pub struct TrustBundle {
    domain: TrustDomain,
    authorities: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
    /// `spiffe_sequence`: grows with each change.
    sequence: Option<u64>,
    /// `spiffe_refresh_hint`: how often to ask whether there is a newer one.
    refresh_hint: Option<Duration>,
}

/// Why something is no bundle, or no set of bundles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// PEM that cannot be read.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// JSON that cannot be read, or is no set of keys.
    #[error("not a SPIFFE bundle: {0}")]
    Json(String),
    /// A key of an X.509 authority must have one certificate.
    #[error("key {0} has the use `x509-svid` and not exactly one certificate in `x5c`")]
    Certificate(usize),
    /// A certificate that is no authority.
    #[error("certificate {0} is not an authority (`CA:TRUE` is missing), or cannot be used as one")]
    NotAnAuthority(usize),
    /// More authorities than anybody needs.
    #[error("more than {BUNDLE_AUTHORITIES_MAX} authorities in one trust domain")]
    TooManyAuthorities,
    /// More trust domains than anybody needs.
    #[error("more than {TRUST_DOMAINS_MAX} trust domains")]
    TooManyDomains,
    /// A text that is too large.
    #[error("the text has more than {0} bytes")]
    TooLarge(usize),
    /// What names the bundles is no trust domain.
    #[error("`{0}` is not the name of a trust domain")]
    Domain(String),
    /// Two bundles of one domain: neither can be believed.
    #[error("the trust domain `{0}` has more than one bundle")]
    DuplicateDomain(TrustDomain),
}

impl TrustBundle {
    /// These authorities; none is allowed, and means that nobody of `domain` is believed. Exact copies count once.
    pub fn new(domain: TrustDomain, authorities: Vec<CertificateDer<'static>>) -> Result<Self, BundleError> {
        let mut kept: Vec<CertificateDer<'static>> = Vec::with_capacity(authorities.len());
        let mut roots = RootCertStore::empty();
        for (index, authority) in authorities.into_iter().enumerate() {
            if kept.contains(&authority) {
                continue;
            }
            if kept.len() == BUNDLE_AUTHORITIES_MAX {
                return Err(BundleError::TooManyAuthorities);
            }
            let usable = is_authority(&authority) && roots.add(authority.clone()).is_ok();
            if !usable {
                return Err(BundleError::NotAnAuthority(index + 1));
            }
            kept.push(authority);
        }
        Ok(Self { domain, authorities: kept, roots: Arc::new(roots), sequence: None, refresh_hint: None })
    }

    /// Reads one or more certificates. An empty text is an error: a file that was cut must not close a trust domain.
    pub fn from_pem(domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        bounded(text, BUNDLE_BYTES_MAX)?;
        Self::new(domain, parse_chain(text)?)
    }

    /// Reads the SPIFFE form, a set of JWKs; keys for other uses than `x509-svid` are passed over.
    pub fn from_jwk_set(domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        bounded(text, BUNDLE_BYTES_MAX)?;
        document::read(domain, text)
    }

    /// The same, as the `sequence`-th revision, to be asked for again every `refresh_hint`.
    #[must_use]
    pub fn published(self, sequence: u64, refresh_hint: Duration) -> Self {
        Self { sequence: Some(sequence), refresh_hint: Some(refresh_hint), ..self }
    }

    /// Whose authorities these are.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The authorities, in DER.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Whether nobody of this domain is believed.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// The revision, where the bundle says it.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// How often to ask for a newer one, where the bundle says it.
    pub fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// The authorities in PEM.
    pub fn to_pem(&self) -> String {
        self.authorities.iter().map(pem_of).collect()
    }

    /// The SPIFFE form, a set of JWKs.
    pub fn to_jwk_set(&self) -> String {
        document::write(self).to_string()
    }

    pub(crate) fn roots(&self) -> &RootCertStore {
        &self.roots
    }
}

/// What is trusted is the same; revisions and hints do not matter.
impl PartialEq for TrustBundle {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain && self.authorities == other.authorities
    }
}
impl Eq for TrustBundle {}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustBundle")
            .field("domain", &self.domain.as_str())
            .field("authorities", &self.authorities.len())
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// One bundle for each trust domain that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustBundles(BTreeMap<TrustDomain, TrustBundle>);

impl TrustBundles {
    /// These; two for one domain are an error.
    pub fn new(bundles: impl IntoIterator<Item = TrustBundle>) -> Result<Self, BundleError> {
        let mut map = BTreeMap::new();
        for bundle in bundles {
            let domain = bundle.domain.clone();
            if map.insert(domain.clone(), bundle).is_some() {
                return Err(BundleError::DuplicateDomain(domain));
            }
            if map.len() > TRUST_DOMAINS_MAX {
                return Err(BundleError::TooManyDomains);
            }
        }
        Ok(Self(map))
    }

    /// Reads a map of bundles, `{"trust_domains": {"NAME": {"keys": …}}}`. A name that stands there twice is an error.
    pub fn from_map(text: &[u8]) -> Result<Self, BundleError> {
        bounded(text, BUNDLE_MAP_BYTES_MAX)?;
        Self::new(document::read_map(text)?)
    }

    /// The same form.
    pub fn to_map(&self) -> String {
        document::write_map(self.iter()).to_string()
    }

    /// The bundle of a trust domain, by its name.
    pub fn of(&self, domain: &str) -> Option<&TrustBundle> {
        self.0.get(domain)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TrustBundle> {
        self.0.values()
    }

    /// The same with this bundle, instead of the one that its domain may have had.
    #[must_use]
    pub fn with(&self, bundle: TrustBundle) -> Self {
        let mut map = self.0.clone();
        map.insert(bundle.domain.clone(), bundle);
        Self(map)
    }

    /// The same without this domain: its members are strangers.
    #[must_use]
    pub fn without(&self, domain: &str) -> Self {
        let mut map = self.0.clone();
        map.remove(domain);
        Self(map)
    }
}

fn bounded(text: &[u8], max: usize) -> Result<(), BundleError> {
    if text.len() > max { Err(BundleError::TooLarge(max)) } else { Ok(()) }
}

/// Whether the certificate says of itself that it may sign others. An anchor is not asked that when a chain is verified.
pub(crate) fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let Ok(([], parsed)) = X509Certificate::from_der(certificate) else { return false };
    let constraints = parsed.basic_constraints().ok().flatten();
    let usage = parsed.key_usage();
    constraints.is_some_and(|constraints| constraints.value.ca)
        && usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

#[cfg(test)]
mod tests;
