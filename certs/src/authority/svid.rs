//! The authority of a trust domain: certifies the keys of its workloads, and rotates its own.
//!
//! Signing takes no lock. What signs and what is believed change together, in one step, by [`advance`](SvidAuthority::advance).

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls_pki_types::CertificateDer;

use super::{
    AuthorityError, Lifetimes, RequestFault, RootStanding, RootState, SigningRequest, Step, UpstreamFiles,
    folder::Folder,
    keys_seen::KeysSeen,
    signer::{Signer, issuer_key_id},
    upstream::{Found, Upstream},
};
use crate::{
    SpiffeId, TrustBundle, TrustBundles, TrustDomain,
    facts::hex,
    verify::{CLOCK_SKEW_MAX, ExpectedPeers, MeshTrust, PeerVerifier},
};

/// The most certificates that one revocation list names.
pub const REVOKED_MAX: usize = 100_000;

/// Certifies the workloads of one trust domain.
pub struct SvidAuthority {
    domain: TrustDomain,
    lifetimes: Lifetimes,
    current: ArcSwap<Current>,
    keys: KeysSeen,
    source: Mutex<Source>,
}

/// What is in force.
struct Current {
    signer: Option<Signer>,
    bundle: Arc<TrustBundle>,
    standings: Vec<RootStanding>,
}

enum Source {
    Folder(Folder),
    Upstream(Upstream),
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Leaf first, then what stands between it and the bundle.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's serial number, in hexadecimal.
    pub serial: String,
    /// When it becomes valid.
    pub not_before: SystemTime,
    /// When it ceases to be.
    pub not_after: SystemTime,
}

/// Why no certificate is issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request asks for more than it may.
    #[error(transparent)]
    Request(#[from] RequestFault),
    /// Who asks belongs to another trust domain, or is a trust domain and not a workload.
    #[error("`{id}` is not a workload of the trust domain `{domain}`")]
    Foreign {
        /// Who asks.
        id: SpiffeId,
        /// Ours.
        domain: TrustDomain,
    },
    /// No authority is within its dates.
    #[error("no authority of `{0}` is within its dates; is a clock wrong?")]
    NoAuthority(TrustDomain),
    /// Signing failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl IssueError {
    /// A short word for metrics; the set is fixed.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Request(fault) => fault.label(),
            Self::Foreign { .. } => "foreign",
            Self::NoAuthority(_) => "no_authority",
            Self::Authority(_) => "authority",
        }
    }
}

impl SvidAuthority {
    /// Opens the authority in `directory`, or begins one there: its first root is made, published and active at once.
    pub fn open_or_create(
        directory: &Path,
        domain: &TrustDomain,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        Self::begin(Source::Folder(Folder::open(directory, domain)?), domain, lifetimes, now)
    }

    /// Signs with an intermediate that others gave us.
    pub fn upstream(
        files: UpstreamFiles,
        domain: &TrustDomain,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        Self::begin(Source::Upstream(Upstream::new(files)), domain, lifetimes, now)
    }

    fn begin(
        source: Source,
        domain: &TrustDomain,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        if let Some(fault) = lifetimes.fault() {
            return Err(AuthorityError::Lifetimes(fault));
        }
        let nothing = TrustBundle::new(domain.clone(), Vec::new());
        let bundle = Arc::new(nothing.map_err(|e| AuthorityError::Unusable(e.to_string()))?);
        let authority = Self {
            domain: domain.clone(),
            lifetimes,
            current: ArcSwap::from_pointee(Current { signer: None, bundle, standings: Vec::new() }),
            keys: KeysSeen::default(),
            source: Mutex::new(source),
        };
        let mut source = authority.source();
        authority.advance_source(&mut source, now)?;
        drop(source);
        Ok(authority)
    }

    /// Whose workloads are certified.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// How long things last.
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Whom workloads are to believe. Another revision (`sequence`) whenever it differs.
    pub fn bundle(&self) -> Arc<TrustBundle> {
        Arc::clone(&self.current.load().bundle)
    }

    /// The authorities, for metrics and for [`taint`](Self::taint).
    pub fn authorities(&self) -> Vec<RootStanding> {
        self.current.load().standings.clone()
    }

    /// Certifies the key of `request` for `id`, which is attested; `lifetime` is what is asked for, bounded by
    /// [`Lifetimes::svid_max`] and by the authority's own life.
    pub fn issue(
        &self,
        request: &SigningRequest,
        id: &SpiffeId,
        lifetime: Option<Duration>,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        if id.trust_domain() != self.domain.as_str() || id.path().is_empty() {
            return Err(IssueError::Foreign { id: id.clone(), domain: self.domain.clone() });
        }
        request.refuse_other_than(id)?;
        let current = self.current.load();
        let signer = current.signer.as_ref().filter(|signer| signer.not_before <= now && now < signer.not_after);
        let signer = signer.ok_or_else(|| IssueError::NoAuthority(self.domain.clone()))?;
        if request.key_der() == signer.key {
            return Err(RequestFault::AuthorityKey.into());
        }
        if !self.keys.belongs_to(request.key_der(), id) {
            return Err(RequestFault::KeyOfAnother.into());
        }
        let lifetime = lifetime.filter(|life| !life.is_zero()).unwrap_or(self.lifetimes.svid);
        let not_before = (now - CLOCK_SKEW_MAX).max(signer.not_before);
        let not_after = (now + lifetime.min(self.lifetimes.svid_max)).min(signer.not_after);
        let (chain, serial) = signer.sign(request, id, not_before, not_after)?;
        Ok(Issued { chain, serial: hex(serial.as_ref()), not_before, not_after })
    }

    /// Takes every step of rotation that is due at `now`, or reads the files again. Call it every few seconds. After an error
    /// everything is as it was.
    pub fn advance(&self, now: SystemTime) -> Result<Vec<Step>, AuthorityError> {
        self.advance_source(&mut self.source(), now)
    }

    /// What this authority signed is to be replaced as fast as workloads can hear of a successor: it is published at the next
    /// [`advance`](Self::advance), and signs as soon as everybody knows it.
    pub fn taint(&self, authority: &str, now: SystemTime) -> Result<Vec<Step>, AuthorityError> {
        self.change(now, |folder| folder.taint(authority))
    }

    /// Nobody is to believe this authority from now on. What it signed ends at once, whether or not it could be replaced.
    pub fn distrust(&self, authority: &str, now: SystemTime) -> Result<Vec<Step>, AuthorityError> {
        self.change(now, |folder| folder.distrust(authority))
    }

    /// Whether the holder of this chain, leaf first, should ask for another one at once: its authority is tainted and has a
    /// successor that signs, or is not believed any more.
    pub fn should_renew(&self, chain: &[CertificateDer<'_>]) -> bool {
        let current = self.current.load();
        let Some(signed_by) = chain.first().and_then(issuer_key_id) else { return true };
        let is_active = current.signer.as_ref().is_some_and(|signer| signer.id == signed_by);
        let known = current.standings.iter().find(|root| root.id == signed_by);
        !is_active && known.is_none_or(|root| root.tainted)
    }

    /// Revocation lists of every authority that is still believed, in PEM: these serial numbers (in hexadecimal) do not count
    /// any more. Serial numbers are random, so each list may name all of them.
    pub fn revocation_lists(
        &self,
        serials: &[String],
        now: SystemTime,
        next_update: SystemTime,
    ) -> Result<String, AuthorityError> {
        if serials.len() > REVOKED_MAX {
            return Err(AuthorityError::Unusable(format!("more than {REVOKED_MAX} certificates are revoked")));
        }
        let revoked = serials.iter().map(|serial| serial_of(serial)).collect::<Result<Vec<_>, _>>()?;
        match &*self.source() {
            Source::Folder(folder) => {
                folder.signers()?.iter().map(|signer| list(signer, &revoked, now, next_update)).collect()
            }
            Source::Upstream(_) => {
                let current = self.current.load();
                let signer = current.signer.as_ref().ok_or(AuthorityError::Upstream)?;
                list(signer, &revoked, now, next_update)
            }
        }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(
        &self,
        now: SystemTime,
        change: impl FnOnce(&mut Folder) -> Result<(), AuthorityError>,
    ) -> Result<Vec<Step>, AuthorityError> {
        let mut source = self.source();
        let Source::Folder(folder) = &mut *source else { return Err(AuthorityError::Upstream) };
        change(folder)?;
        self.advance_source(&mut source, now)
    }

    fn advance_source(&self, source: &mut Source, now: SystemTime) -> Result<Vec<Step>, AuthorityError> {
        match source {
            Source::Folder(folder) => {
                let steps = folder.advance(&self.lifetimes, now);
                // Also after an error: some steps may have been taken.
                self.take_over(folder)?;
                steps
            }
            Source::Upstream(upstream) => {
                let prove = |found: &Found| prove(&self.domain, found, now);
                if let Some(Found { signer, bundle, .. }) = upstream.look(&self.domain, &self.lifetimes, now, prove)? {
                    let standing = RootStanding {
                        id: signer.id.clone(),
                        state: RootState::Active,
                        since: now,
                        tainted: false,
                        not_before: signer.not_before,
                        not_after: signer.not_after,
                    };
                    let bundle = Arc::new(bundle);
                    self.current.store(Arc::new(Current { signer: Some(signer), bundle, standings: vec![standing] }));
                }
                Ok(Vec::new())
            }
        }
    }

    /// Signs and tells what the folder says.
    fn take_over(&self, folder: &Folder) -> Result<(), AuthorityError> {
        let standings = folder.standings();
        let bundle = folder.bundle(&self.lifetimes)?;
        if standings != self.current.load().standings {
            let current = Current { signer: folder.signer()?, bundle: Arc::new(bundle.clone()), standings };
            self.current.store(Arc::new(current));
        }
        folder.export(&bundle)
    }
}

impl std::fmt::Debug for SvidAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SvidAuthority").field("domain", &self.domain.as_str()).finish_non_exhaustive()
    }
}

/// Whether peers who believe the bundle would believe what is signed: asked with a certificate for nobody.
fn prove(domain: &TrustDomain, found: &Found, now: SystemTime) -> Result<(), AuthorityError> {
    let unusable = |reason: &dyn std::fmt::Display| AuthorityError::Unusable(reason.to_string());
    let (request, _) = SigningRequest::with_new_key()?;
    let nobody: SpiffeId = format!("{}/probe", domain.id()).parse().map_err(|e| unusable(&e))?;
    let (chain, _) = found.signer.sign(&request, &nobody, now, now + Duration::from_mins(1))?;
    let bundles = TrustBundles::new([found.lasting.clone()]).map_err(|e| unusable(&e))?;
    let verifier = PeerVerifier::new(Arc::new(MeshTrust::new(bundles)), ExpectedPeers::AnyTrusted);
    verifier.judge(&chain, now).map(|_| ()).map_err(|e| unusable(&format_args!("what it signs would be refused: {e}")))
}

fn serial_of(text: &str) -> Result<SerialNumber, AuthorityError> {
    let malformed = || AuthorityError::Unusable("a serial number is 1 to 20 bytes in hexadecimal".to_owned());
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 42 || !digits.len().is_multiple_of(2) {
        return Err(malformed());
    }
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect::<Option<_>>().ok_or_else(malformed)?;
    Ok(SerialNumber::from_slice(&bytes))
}

fn list(
    signer: &Signer,
    revoked: &[SerialNumber],
    now: SystemTime,
    next_update: SystemTime,
) -> Result<String, AuthorityError> {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: serial.clone(),
        revocation_time: now.into(),
        reason_code: None,
        invalidity_date: None,
    });
    // Of two lists of one authority the later one has the greater number.
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let params = CertificateRevocationListParams {
        this_update: (now - CLOCK_SKEW_MAX).into(),
        next_update: next_update.into(),
        crl_number: SerialNumber::from(u64::try_from(since.as_millis()).unwrap_or_default()),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(signer.issuer())?.pem()?)
}

#[cfg(test)]
mod tests;
