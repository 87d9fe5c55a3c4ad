//! Who signs: [`LocalAuthority`] for the names of an edge, [`SvidAuthority`] for the workloads of a trust domain.
//!
//! Both keep their keys in a folder that others can neither read nor write, and replace files in one step.

mod folder;
mod keys_seen;
mod local;
mod request;
mod roots;
mod signer;
mod svid;
mod upstream;

use std::{
    io,
    path::{Path, PathBuf},
};

use rustls_pki_types::CertificateDer;

use crate::{PemError, TrustDomain, files};
use local::NAMES_MAX;
pub use local::{LocalAuthority, SERVER_CERTIFICATE_LIFE};
pub(crate) use request::modulus_bits;
pub use request::{REQUEST_BYTES_MAX, RequestFault, SigningRequest};
pub use roots::{AUTHORITY_LIFE, Lifetimes, PROPAGATION, RootStanding, RootState, SVID_LIFE, SVID_LIFE_MAX, Step};
pub use svid::{IssueError, Issued, REVOKED_MAX, SvidAuthority};
pub use upstream::UpstreamFiles;

/// Why an authority cannot be used, or cannot issue.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file or folder cannot be read or written.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret that others may read, or a folder that others may write.
    #[error("`{path}` has mode {mode:04o}, so others may {what} it; run `chmod {remedy} {path}`")]
    Permissions {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// `read` or `write`.
        what: &'static str,
        /// What `chmod` should be told.
        remedy: &'static str,
    },
    /// The authority's own files do not hold what they should.
    #[error("`{path}` is corrupt: {reason}; restore it, or remove the folder to begin with a new authority")]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is there and its key is not.
    #[error("`{0}` is there but `ca.key` is not; restore the key, or remove `ca.pem` to begin with a new authority")]
    KeyMissing(PathBuf),
    /// The authority's certificate is outside its dates.
    #[error("the authority in `{0}` is outside its validity; remove the folder to begin with a new authority")]
    Expired(PathBuf),
    /// A certificate needs at least one name, and not too many.
    #[error("a certificate needs between 1 and {NAMES_MAX} names")]
    NameCount,
    /// Neither a DNS name, nor one with a leading `*.`, nor an IP address.
    #[error("`{0}` is neither a DNS name (perhaps with a leading `*.`) nor an IP address")]
    Name(String),
    /// Another process has it open.
    #[error("`{0}` is held by another process; only one may rotate an authority")]
    InUse(PathBuf),
    /// The folder is another trust domain's.
    #[error("`{path}` is the authority of `{kept}` and not of `{asked}`")]
    OtherDomain {
        /// Its state.
        path: PathBuf,
        /// Whose it is.
        kept: String,
        /// Whose it was taken for.
        asked: TrustDomain,
    },
    /// There is no such authority.
    #[error("no authority has the key `{0}`")]
    Unknown(String),
    /// Lifetimes that do not fit together.
    #[error("{0}")]
    Lifetimes(&'static str),
    /// A key or a certificate that cannot sign what peers would believe.
    #[error("cannot use the authority: {0}")]
    Unusable(String),
    /// Something that only an authority of our own can do.
    #[error("the authority comes from files; replace them instead")]
    Upstream,
    /// There is no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// The cryptographic library failed.
    #[error("cannot sign: {0}")]
    Signing(#[from] rcgen::Error),
    /// What was just issued does not parse.
    #[error("cannot use what was issued: {0}")]
    Issued(#[from] PemError),
}

/// One certificate in PEM.
pub(crate) fn pem_of(certificate: &CertificateDer<'_>) -> String {
    pem::encode_config(
        &pem::Pem::new("CERTIFICATE", certificate.to_vec()),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

pub(crate) fn exists(path: &Path) -> Result<bool, AuthorityError> {
    path.try_exists().map_err(|source| AuthorityError::Io { path: path.to_owned(), source })
}

/// Refuses `path` if any of `bits` is set in its mode.
pub(crate) fn refuse_mode(
    path: &Path,
    bits: u32,
    what: &'static str,
    remedy: &'static str,
) -> Result<(), AuthorityError> {
    let mode = files::mode(path).map_err(|source| AuthorityError::Io { path: path.to_owned(), source })?;
    if mode & bits == 0 {
        return Ok(());
    }
    Err(AuthorityError::Permissions { path: path.to_owned(), mode, what, remedy })
}
