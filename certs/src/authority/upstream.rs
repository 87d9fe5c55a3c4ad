//! An authority above us: a company's root signed an intermediate, and files bring us its chain and key (from cert-manager, say).
//!
//! The files are read again whenever they are asked about, and used when they differ and hold together; otherwise the last good
//! ones stay. Three files are not replaced in one step, so for a moment they may not fit together: that is an error that the
//! next look forgets.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustls_pki_types::CertificateDer;

use super::{AuthorityError, Lifetimes, refuse_mode, signer::Signer};
use crate::{
    CHAIN_CERTIFICATES_MAX, TrustBundle, TrustDomain, bundle::is_authority, parse_chain, parse_pair,
    verify::CLOCK_SKEW_MAX,
};

/// The largest of the files, in bytes.
const UPSTREAM_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFiles {
    /// The intermediate's certificate, and those between it and the root (`tls.crt`).
    pub chain: PathBuf,
    /// The intermediate's key (`tls.key`); nobody else may read it.
    pub key: PathBuf,
    /// The company's roots (`ca.crt`): what workloads believe.
    pub roots: PathBuf,
}

/// The files, as they were when they last held together.
pub(super) struct Upstream {
    files: UpstreamFiles,
    read: Option<Read>,
    /// Roots that left the file, and how long what they vouch for may still be shown. Forgotten by a restart.
    leaving: Vec<(CertificateDer<'static>, SystemTime)>,
    sequence: u64,
}

#[derive(PartialEq, Eq)]
struct Read {
    chain: Vec<u8>,
    key: Vec<u8>,
    roots: Vec<u8>,
}

/// What the files hold.
pub(super) struct Found {
    pub(super) signer: Signer,
    /// What is believed for now: the roots of the file, and those that left it not long ago.
    pub(super) bundle: TrustBundle,
    /// The roots of the file alone: by these what is signed must be believed.
    pub(super) lasting: TrustBundle,
}

impl Upstream {
    pub(super) fn new(files: UpstreamFiles) -> Self {
        Self { files, read: None, leaving: Vec::new(), sequence: 0 }
    }

    /// What is to be used from now on, if it is something else than before. `prove` says whether it holds together.
    pub(super) fn look(
        &mut self,
        domain: &TrustDomain,
        lifetimes: &Lifetimes,
        now: SystemTime,
        prove: impl FnOnce(&Found) -> Result<(), AuthorityError>,
    ) -> Result<Option<Found>, AuthorityError> {
        refuse_mode(&self.files.key, 0o007, "use", "o-rwx")?;
        let read = Read {
            chain: content(&self.files.chain)?,
            key: content(&self.files.key)?,
            roots: content(&self.files.roots)?,
        };
        let some_left = self.leaving.iter().any(|(_, until)| *until <= now);
        if self.read.as_ref() == Some(&read) && !some_left {
            return Ok(None);
        }
        let mut leaving = self.leaving.clone();
        leaving.retain(|(_, until)| now < *until);
        let roots = self.roots_of(&read.roots)?;
        if let Some(before) = &self.read {
            let until = now + lifetimes.svid_max + CLOCK_SKEW_MAX;
            let left = self.roots_of(&before.roots)?.into_iter().filter(|root| !roots.contains(root));
            leaving.extend(left.map(|root| (root, until)));
        }
        leaving.retain(|(root, _)| !roots.contains(root));
        let of = |certificates| {
            TrustBundle::new(domain.clone(), certificates)
                .map_err(|e| AuthorityError::Corrupt { path: self.files.roots.clone(), reason: e.to_string() })
        };
        let believed = roots.iter().cloned().chain(leaving.iter().map(|(root, _)| root.clone())).collect();
        let bundle = of(believed)?.published(self.sequence + 1, lifetimes.bundle_refresh());
        let found = Found { signer: self.signer(&read, &roots)?, bundle, lasting: of(roots)? };
        prove(&found)?;
        (self.read, self.leaving, self.sequence) = (Some(read), leaving, self.sequence + 1);
        Ok(Some(found))
    }

    fn roots_of(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
        parse_chain(text).map_err(|e| AuthorityError::Corrupt { path: self.files.roots.clone(), reason: e.to_string() })
    }

    fn signer(&self, read: &Read, roots: &[CertificateDer<'static>]) -> Result<Signer, AuthorityError> {
        let corrupt = |reason: String| AuthorityError::Corrupt { path: self.files.chain.clone(), reason };
        let pair = parse_pair(&read.chain, &read.key).map_err(|e| corrupt(e.to_string()))?;
        if !pair.chain().iter().all(is_authority) {
            return Err(corrupt("it holds a certificate that is not an authority's (`CA:TRUE`)".to_owned()));
        }
        // Whoever judges a leaf has the roots already.
        let above: Vec<_> = pair.chain().iter().filter(|certificate| !roots.contains(certificate)).cloned().collect();
        if above.len() >= CHAIN_CERTIFICATES_MAX {
            return Err(corrupt(format!("a leaf's chain would have more than {CHAIN_CERTIFICATES_MAX} certificates")));
        }
        Signer::new(&pair, above)
    }
}

fn content(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(UPSTREAM_FILE_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(|source| AuthorityError::Io { path: path.to_owned(), source })?;
    if text.len() as u64 > UPSTREAM_FILE_BYTES_MAX {
        return Err(AuthorityError::Corrupt { path: path.to_owned(), reason: "it is too large".to_owned() });
    }
    Ok(text)
}
