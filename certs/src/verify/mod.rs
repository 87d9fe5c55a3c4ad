//! Whom do we believe? The only place that judges a chain of certificates.
//!
//! [`ClientVerifier`] judges clients of a listener (Gateway API frontend validation), [`ServerVerifier`] judges
//! backends (BackendTLSPolicy), [`PeerVerifier`] judges peers of the mesh in both directions by the bundles of [`MeshTrust`],
//! and [`RevocationLists`] say which certificates do not count any more. The verifiers plug into rustls, and all can be asked
//! again later: a resumed connection was not judged by rustls, only the one that it resumes.

mod client;
mod peer;
mod revocation;
mod server;
mod trust;

use std::{path::PathBuf, sync::Arc};

use rustls::RootCertStore;

pub use client::{ClientMode, ClientVerifier, VerifiedChain};
pub use peer::{CLOCK_SKEW_MAX, ExpectedPeers, PeerId, PeerRefusal, PeerVerifier};
pub use revocation::{ListError, REVOCATION_BYTES_MAX, REVOCATION_LISTS_MAX, Revocation, RevocationLists};
pub use server::{ExpectedName, NameError, ServerVerifier};
pub use trust::{MeshTrust, Unlisted};

use crate::{PemError, parse_chain};

/// Where the system keeps the authorities it trusts, in the order they are tried.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Authorities {
    /// Those of the machine: the file that `SSL_CERT_FILE` names, else the distribution's bundle.
    System,
    /// These, in PEM, one or more in each text.
    Pem(Vec<Arc<[u8]>>),
}

/// Why authorities cannot be trusted: they cannot even be read.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// One of the texts.
    #[error("authorities: {0}")]
    Pem(#[from] PemError),
    /// A certificate that is no usable trust anchor.
    #[error("authority {index} cannot be used as a trust anchor: {source}")]
    Anchor {
        /// Counted from 1.
        index: usize,
        /// Why.
        source: rustls::Error,
    },
    /// No authorities at all.
    #[error("no authorities given")]
    None,
    /// The system has no bundle where bundles are.
    #[error("no system authorities found; install `ca-certificates` or set SSL_CERT_FILE")]
    NoSystemBundle,
    /// The system's bundle cannot be read.
    #[error("cannot read the system's authorities in `{path}`: {source}")]
    SystemBundle {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A verifier cannot be built.
    #[error("cannot verify with these authorities: {0}")]
    Verifier(String),
}

impl Authorities {
    fn roots(&self) -> Result<RootCertStore, TrustError> {
        match self {
            Self::System => system_roots(),
            Self::Pem(texts) => pem_roots(texts),
        }
    }
}

/// Every certificate must be usable: an authority that is silently left out is a riddle later.
fn pem_roots(texts: &[Arc<[u8]>]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for text in texts {
        for certificate in parse_chain(text)? {
            let index = roots.len() + 1;
            roots.add(certificate).map_err(|source| TrustError::Anchor { index, source })?;
        }
    }
    Ok(roots)
}

/// Distributions ship oddities, so here what cannot be used is left out.
fn system_roots() -> Result<RootCertStore, TrustError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let path = named
        .or_else(|| SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()))
        .ok_or(TrustError::NoSystemBundle)?;
    let text = std::fs::read(&path).map_err(|source| TrustError::SystemBundle { path, source })?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(parse_chain(&text)?);
    if roots.is_empty() { Err(TrustError::NoSystemBundle) } else { Ok(roots) }
}

#[cfg(test)]
mod tests;
