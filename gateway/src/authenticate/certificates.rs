//! Client certificates: a workload by its SPIFFE ID, or a user by the subject.
//!
//! Whether a certificate counts at all is for `portcullis_certs::verify` to say: only a chain that was verified with the
//! listener's authorities gets here as one. What a header says of certificates (`x-forwarded-client-cert` and the like)
//! never counts; such headers are dropped before.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use portcullis_certs::{
    ChainFacts, SpiffeId,
    verify::{Revocation, RevocationLists, VerifiedChain},
};
use portcullis_mesh::tls::PeerCertificate;
use portcullis_policy::{
    authorize::{Caller, Group, Method, Principal, PrincipalKind},
    documents::kinds::ours::SubjectNameWord,
    snapshot::{CertificateNames, DocumentId, MtlsProvider},
};
use serde_json::Map;

use super::{Known, Rejection};

/// The largest file of revocation lists, in bytes.
pub const REVOCATION_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest name of a user that a certificate gives, in bytes.
pub const SUBJECT_NAME_BYTES_MAX: usize = 1024;
/// The most groups that a certificate gives.
pub const UNITS_MAX: usize = 64;

/// Callers by their certificates.
#[derive(Debug)]
pub struct Certificates {
    document: Arc<DocumentId>,
    names: CertificateNames,
    lists: Option<RevocationLists>,
    file: Option<PathBuf>,
}

impl Certificates {
    /// Reads the revocation lists. An error refuses the revision; a list that has expired does not, because nothing else
    /// would be served either: every certificate of its issuer is refused instead.
    pub fn new(spec: &MtlsProvider, document: Arc<DocumentId>) -> Result<Self, String> {
        let lists = match &spec.crl {
            Some(path) => Some(read_lists(path).map_err(|error| format!("{document}: {error}"))?),
            None => None,
        };
        if let (Some(lists), Some(path)) = (&lists, &spec.crl)
            && lists.next_update() <= SystemTime::now()
        {
            tracing::error!(
                provider = %document,
                file = %path.display(),
                "a revocation list has expired: every certificate of its issuer is refused until there is a newer one"
            );
        }
        Ok(Self { document, names: spec.names.clone(), lists, file: spec.crl.clone() })
    }

    /// Who the certificate of a connection names.
    pub fn authenticate(&self, certificate: &PeerCertificate, now: SystemTime) -> Result<Known, Rejection> {
        let chain = match certificate {
            PeerCertificate::Verified(chain) => chain,
            // It identifies nobody, whatever it says.
            PeerCertificate::Unverified { .. } => return Err(Rejection::Invalid("certificate_unverified")),
            PeerCertificate::Absent => return Err(Rejection::Invalid("certificate_absent")),
        };
        self.still_counts(chain, now)?;
        let principal = self.principal(chain.leaf())?;
        // It costs little to judge a certificate again, and connections are long.
        Ok(Known { caller: Caller::known(principal), fresh: Duration::ZERO, lacks_groups: false })
    }

    /// Whether the holder of the certificate that opened a stream may still go on.
    pub fn renew(
        &self,
        principal: &Principal,
        certificate: &PeerCertificate,
        now: SystemTime,
    ) -> Result<Known, Rejection> {
        let known = self.authenticate(certificate, now)?;
        let is_same = known.caller.principal().is_some_and(|now| now.name == principal.name);
        if is_same { Ok(known) } else { Err(Rejection::Invalid("certificate_name")) }
    }

    /// Files whose change makes other lists.
    pub fn files(&self) -> Vec<PathBuf> {
        self.file.iter().cloned().collect()
    }

    fn still_counts(&self, chain: &VerifiedChain, now: SystemTime) -> Result<(), Rejection> {
        if !chain.leaf().is_current(now) {
            return Err(Rejection::Invalid("certificate_expired"));
        }
        let Some(lists) = &self.lists else { return Ok(()) };
        lists.check(chain, now).map_err(|revocation| {
            Rejection::Invalid(match revocation {
                Revocation::Revoked => "certificate_revoked",
                Revocation::NoList => "crl_missing",
                Revocation::Expired => "crl_expired",
                Revocation::Invalid => "crl_invalid",
            })
        })
    }

    fn principal(&self, leaf: &ChainFacts) -> Result<Principal, Rejection> {
        let (kind, name, groups): (_, Arc<str>, _) = match &self.names {
            CertificateNames::Workload { trust_domain } => {
                (PrincipalKind::Workload, workload(leaf, trust_domain)?.as_str().into(), Vec::new())
            }
            CertificateNames::User { name, units_are_groups } => {
                let units = if *units_are_groups { leaf.units.as_slice() } else { &[] };
                (PrincipalKind::User, user(leaf, *name)?.into(), self.groups(units)?)
            }
        };
        Ok(Principal {
            provider: self.document.clone(),
            method: Method::Certificate,
            kind,
            name,
            stable_id: None,
            groups,
            scopes: Vec::new(),
            claims: Map::new(),
            expires: Some(leaf.not_after),
        })
    }

    fn groups(&self, units: &[String]) -> Result<Vec<Group>, Rejection> {
        if units.len() > UNITS_MAX {
            return Err(Rejection::Invalid("certificate_name"));
        }
        let group = |name: &String| Group { provider: self.document.clone(), name: name.as_str().into() };
        Ok(units.iter().map(group).collect())
    }
}

/// X.509-SVID §2: exactly one URI, which is a SPIFFE ID with a path; here also of the trust domain.
fn workload<'l>(leaf: &'l ChainFacts, trust_domain: &SpiffeId) -> Result<&'l SpiffeId, Rejection> {
    let id = leaf.spiffe_id.as_ref().ok_or(Rejection::Invalid("certificate_no_spiffe_id"))?;
    if id.trust_domain() != trust_domain.trust_domain() {
        return Err(Rejection::Invalid("certificate_trust_domain"));
    }
    // The ID of the trust domain itself is an authority's, not a workload's.
    let has_path = id.as_str().len() > "spiffe://".len() + id.trust_domain().len();
    if has_path { Ok(id) } else { Err(Rejection::Invalid("certificate_no_spiffe_id")) }
}

/// The one name of that sort. Of two nobody could say which is meant, and the next reader would take the other.
fn user<'l>(leaf: &'l ChainFacts, name: SubjectNameWord) -> Result<&'l str, Rejection> {
    let one = |names: &'l [String]| match names {
        [only] => Some(only.as_str()),
        _ => None,
    };
    let name = match name {
        SubjectNameWord::DistinguishedName => leaf.distinguished_name.as_deref(),
        SubjectNameWord::CommonName => one(&leaf.common_names),
        SubjectNameWord::Email => one(&leaf.email_names),
        SubjectNameWord::Dns => one(&leaf.dns_names),
    };
    let fits = |name: &&str| {
        !name.trim().is_empty() && name.len() <= SUBJECT_NAME_BYTES_MAX && !name.chars().any(char::is_control)
    };
    name.filter(fits).ok_or(Rejection::Invalid("certificate_name"))
}

fn read_lists(path: &Path) -> Result<RevocationLists, String> {
    let shown = path.display();
    let read = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > REVOCATION_FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!("larger than {REVOCATION_FILE_BYTES_MAX} bytes")));
        }
        fs::read(path)
    });
    let content = read.map_err(|error| format!("cannot read the revocation lists in `{shown}`: {error}"))?;
    RevocationLists::parse(&content).map_err(|error| format!("`{shown}`: {error}"))
}

#[cfg(test)]
mod tests;
