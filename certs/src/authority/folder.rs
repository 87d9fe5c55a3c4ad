//! The authorities of a trust domain in a folder: one file holds all keys and where each is in its life.
//!
//! `authority.json` (0600) is replaced in one step, so that a crash leaves what was or what is to be, and never a key without its
//! state. `bundle.pem` and `bundle.json` (0644) are for others to read, and written again whenever they differ. One process at a
//! time holds `lock`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use serde::{Deserialize, Serialize};

use super::{
    AuthorityError, exists, pem_of, refuse_mode,
    roots::{Lifetimes, RootStanding, RootState, Step, next_step},
    signer::{Signer, key_id},
};
use crate::{
    CertifiedPair, TrustBundle, TrustDomain,
    files::{self, PUBLIC_MODE, SECRET_MODE},
    parse_pair,
};

/// The format of `authority.json`.
const FORMAT: u32 = 1;
/// The largest `authority.json`, in bytes; one authority has 1 KiB.
const STATE_BYTES_MAX: u64 = 1024 * 1024;
/// Authorities begin this much earlier, for workloads whose clocks are behind.
const BACKDATING: Duration = Duration::from_mins(5);
/// The most steps at once; three begin a trust domain.
const STEPS_MAX: usize = 16;

/// The authorities of one trust domain, and their file.
pub(super) struct Folder {
    path: PathBuf,
    domain: TrustDomain,
    roots: Vec<Root>,
    /// Grows with each bundle.
    sequence: u64,
    /// Held as long as the folder is.
    _lock: File,
}

/// An authority and its key.
#[derive(Clone)]
struct Root {
    standing: RootStanding,
    pair: CertifiedPair,
    /// Key and certificate, as they are kept.
    pem: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u32,
    trust_domain: String,
    sequence: u64,
    authorities: Vec<KeptRoot>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptRoot {
    state: RootState,
    /// Milliseconds since 1970.
    since: u64,
    tainted: bool,
    pem: String,
}

impl Folder {
    /// Reads what is in `path`, or begins with nothing.
    pub(super) fn open(path: &Path, domain: &TrustDomain) -> Result<Self, AuthorityError> {
        files::create_folders(path).map_err(|source| AuthorityError::Io { path: path.to_owned(), source })?;
        refuse_mode(path, 0o022, "write", "go-w")?;
        let lock = lock(&path.join("lock"))?;
        let mut folder =
            Self { path: path.to_owned(), domain: domain.clone(), roots: Vec::new(), sequence: 0, _lock: lock };
        let state = folder.state_path();
        if exists(&state)? {
            refuse_mode(&state, 0o077, "read", "600")?;
            folder.read(&state)?;
        }
        Ok(folder)
    }

    fn state_path(&self) -> PathBuf {
        self.path.join("authority.json")
    }

    fn read(&mut self, path: &Path) -> Result<(), AuthorityError> {
        let corrupt = |reason: &dyn std::fmt::Display| AuthorityError::Corrupt {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(STATE_BYTES_MAX + 1).read_to_end(&mut text))
            .map_err(|source| AuthorityError::Io { path: path.to_owned(), source })?;
        if text.len() as u64 > STATE_BYTES_MAX {
            return Err(corrupt(&"it is too large"));
        }
        // What serde says of a broken text may quote it, and it holds keys.
        let kept: Kept = serde_json::from_slice(&text)
            .map_err(|e| corrupt(&format_args!("line {}, column {} is not as expected", e.line(), e.column())))?;
        if kept.format != FORMAT {
            return Err(corrupt(&format_args!("format {} is not known", kept.format)));
        }
        if kept.trust_domain != self.domain.as_str() {
            return Err(AuthorityError::OtherDomain {
                path: path.to_owned(),
                kept: kept.trust_domain,
                asked: self.domain.clone(),
            });
        }
        let root = |root: KeptRoot| Root::of(root).map_err(|e| corrupt(&e));
        self.roots = kept.authorities.into_iter().map(root).collect::<Result<_, _>>()?;
        self.sequence = kept.sequence;
        let active = self.roots.iter().filter(|root| root.standing.state == RootState::Active).count();
        if active > 1 { Err(corrupt(&"more than one authority is active")) } else { Ok(()) }
    }

    /// Takes every step that is due at `now`. What was taken is on disk when this returns.
    pub(super) fn advance(&mut self, lifetimes: &Lifetimes, now: SystemTime) -> Result<Vec<Step>, AuthorityError> {
        let mut taken = Vec::new();
        while taken.len() < STEPS_MAX
            && let Some(step) = next_step(&self.standings(), lifetimes, now)
        {
            let roots = self.after(&step, lifetimes, now)?;
            self.keep(roots)?;
            taken.push(step);
        }
        Ok(taken)
    }

    /// The authorities after a step.
    fn after(&self, step: &Step, lifetimes: &Lifetimes, now: SystemTime) -> Result<Vec<Root>, AuthorityError> {
        let mut roots = self.roots.clone();
        match step {
            Step::Prepare => roots.push(Root::begin(&self.domain, lifetimes, now)?),
            Step::Publish(id) => set(&mut roots, |root| root.id == *id, RootState::Published, now),
            Step::Activate(id) => {
                set(&mut roots, |root| root.state == RootState::Active, RootState::Retired, now);
                set(&mut roots, |root| root.id == *id, RootState::Active, now);
            }
            Step::Remove(id) => roots.retain(|root| root.standing.id != *id),
        }
        Ok(roots)
    }

    /// What this authority signed is to be replaced. One that has not signed yet is removed.
    pub(super) fn taint(&mut self, id: &str) -> Result<(), AuthorityError> {
        self.known(id)?;
        let mut roots = self.roots.clone();
        let signs_later = |root: &Root| matches!(root.standing.state, RootState::Prepared | RootState::Published);
        roots.retain(|root| root.standing.id != id || !signs_later(root));
        for root in roots.iter_mut().filter(|root| root.standing.id == id) {
            root.standing.tainted = true;
        }
        self.keep(roots)
    }

    /// Nobody is to believe this authority any more.
    pub(super) fn distrust(&mut self, id: &str) -> Result<(), AuthorityError> {
        self.known(id)?;
        let mut roots = self.roots.clone();
        roots.retain(|root| root.standing.id != id);
        self.keep(roots)
    }

    fn known(&self, id: &str) -> Result<(), AuthorityError> {
        let known = self.roots.iter().any(|root| root.standing.id == id);
        if known { Ok(()) } else { Err(AuthorityError::Unknown(id.chars().take(64).collect())) }
    }

    /// INVARIANT: what is in memory is on disk: nothing is signed with, or told of, a key that a crash could lose.
    fn keep(&mut self, roots: Vec<Root>) -> Result<(), AuthorityError> {
        let authorities = roots.iter().map(Root::kept).collect();
        let sequence = self.sequence + 1;
        let kept = Kept { format: FORMAT, trust_domain: self.domain.to_string(), sequence, authorities };
        let path = self.state_path();
        let text = serde_json::to_vec_pretty(&kept)
            .map_err(|e| AuthorityError::Corrupt { path: path.clone(), reason: e.to_string() })?;
        files::replace(&path, &text, SECRET_MODE).map_err(|source| AuthorityError::Io { path, source })?;
        self.roots = roots;
        self.sequence = sequence;
        Ok(())
    }

    /// Writes the bundle for others to read, where it differs.
    pub(super) fn export(&self, bundle: &TrustBundle) -> Result<(), AuthorityError> {
        for (name, text) in [("bundle.pem", bundle.to_pem()), ("bundle.json", bundle.to_jwk_set())] {
            let path = self.path.join(name);
            if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
                files::replace(&path, text.as_bytes(), PUBLIC_MODE)
                    .map_err(|source| AuthorityError::Io { path, source })?;
            }
        }
        Ok(())
    }

    /// Whom to believe.
    pub(super) fn bundle(&self, lifetimes: &Lifetimes) -> Result<TrustBundle, AuthorityError> {
        let told = self.roots.iter().filter(|root| root.standing.state != RootState::Prepared);
        let certificates = told.flat_map(|root| root.pair.chain().iter().cloned()).collect();
        let bundle =
            TrustBundle::new(self.domain.clone(), certificates).map_err(|e| AuthorityError::Unusable(e.to_string()))?;
        Ok(bundle.published(self.sequence, lifetimes.bundle_refresh()))
    }

    /// Who signs.
    pub(super) fn signer(&self) -> Result<Option<Signer>, AuthorityError> {
        let active = self.roots.iter().find(|root| root.standing.state == RootState::Active);
        active.map(|root| Signer::new(&root.pair, Vec::new())).transpose()
    }

    /// All that still have a say, each with its key.
    pub(super) fn signers(&self) -> Result<Vec<Signer>, AuthorityError> {
        self.roots.iter().map(|root| Signer::new(&root.pair, Vec::new())).collect()
    }

    pub(super) fn standings(&self) -> Vec<RootStanding> {
        self.roots.iter().map(|root| root.standing.clone()).collect()
    }
}

impl Root {
    /// A new key and its certificate.
    fn begin(domain: &TrustDomain, lifetimes: &Lifetimes, now: SystemTime) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        let id = crate::facts::hex(&params.key_identifier(&key));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, domain.as_str());
        // Authorities must not share a name: who believes both would try the wrong key.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Portcullis authority {}", id.get(..16).unwrap_or(&id)));
        // X.509-SVID §4.1: an authority is the trust domain itself. No name constraints: verifiers cannot judge URIs by them.
        params.subject_alt_names = vec![SanType::URI(domain.id().as_str().try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(super::signer::random_serial()?);
        // A short life is not mostly in the past.
        params.not_before = (now - BACKDATING.min(lifetimes.authority / 10)).into();
        params.not_after = (now + lifetimes.authority).into();
        let certificate = params.self_signed(&key)?;
        let pem = format!("{}{}", key.serialize_pem(), pem_of(certificate.der()));
        Self::of(KeptRoot { state: RootState::Prepared, since: millis(now), tainted: false, pem })
            .map_err(|reason| AuthorityError::Unusable(reason.to_owned()))
    }

    fn of(kept: KeptRoot) -> Result<Self, &'static str> {
        let pair = parse_pair(kept.pem.as_bytes(), kept.pem.as_bytes())
            .map_err(|_| "an authority's key and certificate cannot be read")?;
        let [certificate] = pair.chain() else { return Err("an authority has exactly one certificate") };
        let id = key_id(certificate).ok_or("an authority's certificate has no key identifier")?;
        let facts = pair.facts();
        let standing = RootStanding {
            id,
            state: kept.state,
            since: SystemTime::UNIX_EPOCH + Duration::from_millis(kept.since),
            tainted: kept.tainted,
            not_before: facts.not_before,
            not_after: facts.not_after,
        };
        Ok(Self { standing, pair, pem: kept.pem })
    }

    fn kept(&self) -> KeptRoot {
        let RootStanding { state, since, tainted, .. } = self.standing;
        KeptRoot { state, since: millis(since), tainted, pem: self.pem.clone() }
    }
}

fn set(roots: &mut [Root], which: impl Fn(&RootStanding) -> bool, state: RootState, now: SystemTime) {
    for root in roots.iter_mut().filter(|root| which(&root.standing)) {
        root.standing.state = state;
        root.standing.since = now;
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Two processes that rotate the same authorities would each throw away what the other made.
fn lock(path: &Path) -> Result<File, AuthorityError> {
    let io = |source| AuthorityError::Io { path: path.to_owned(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(SECRET_MODE).open(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuthorityError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
