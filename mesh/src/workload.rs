//! Who this process is among workloads: what it proves its identity with, whom it believes, and TLS in both directions made
//! of the two. Files hold all of it and are read again when they change; connections that are open go on.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use foldhash::HashMap;
use portcullis_certs::{
    Identity, SpiffeId, Svid, TrustBundle, TrustBundles, TrustDomain,
    verify::{ExpectedPeers, MeshTrust, RevocationLists, Unlisted},
};

use crate::{
    connections::TargetTls,
    tls::mutual::{Mutual, towards},
};

/// Where an identity and its trust are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadFiles {
    /// The certificate that says who we are (X.509-SVID), leaf first, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// The authorities of our own trust domain, in PEM.
    pub bundle: PathBuf,
    /// Those of other trust domains.
    pub federated: Vec<FederatedBundle>,
    /// Lists of certificates that count no longer, in PEM or DER; without them no certificate is asked about.
    pub revocation_lists: Option<PathBuf>,
}

/// What files hold.
struct Held {
    svid: Svid,
    bundles: TrustBundles,
    lists: Option<Arc<RevocationLists>>,
}

/// The authorities of another trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedBundle {
    /// The trust domain.
    pub domain: TrustDomain,
    /// Its authorities, in PEM.
    pub file: PathBuf,
}

impl std::str::FromStr for FederatedBundle {
    type Err = String;

    /// `partner.example=/certs/partner.pem`
    fn from_str(text: &str) -> Result<Self, String> {
        let (domain, file) =
            text.split_once('=').ok_or("write DOMAIN=FILE, `partner.example=/certs/partner.pem` for example")?;
        let domain = domain.parse().map_err(|error| format!("`{domain}` is not a trust domain: {error}"))?;
        Ok(Self { domain, file: file.into() })
    }
}

impl WorkloadFiles {
    /// All of them.
    pub fn paths(&self) -> Vec<PathBuf> {
        let federated = self.federated.iter().map(|bundle| bundle.file.clone());
        let files = [&self.certificate, &self.key, &self.bundle].into_iter().chain(&self.revocation_lists);
        files.cloned().chain(federated).collect()
    }

    fn read(&self) -> Result<Held, String> {
        let svid = Svid::from_pem(&bytes(&self.certificate)?, &bytes(&self.key)?)
            .map_err(|error| format!("`{}`: {error}", self.certificate.display()))?;
        let own: TrustDomain = svid.id().trust_domain().parse().map_err(|error| format!("{}: {error}", svid.id()))?;
        let federated = self.federated.iter().map(|bundle| (bundle.domain.clone(), &bundle.file));
        let mut bundles = Vec::new();
        for (domain, file) in std::iter::once((own, &self.bundle)).chain(federated) {
            let bundle = TrustBundle::from_pem(domain, &bytes(file)?);
            bundles.push(bundle.map_err(|error| format!("`{}`: {error}", file.display()))?);
        }
        let bundles = TrustBundles::new(bundles).map_err(|error| error.to_string())?;
        let lists = self.revocation_lists.as_ref().map(|path| {
            let lists = RevocationLists::parse(&bytes(path)?);
            lists.map(Arc::new).map_err(|error| format!("`{}`: {error}", path.display()))
        });
        Ok(Held { svid, bundles, lists: lists.transpose()? })
    }
}

fn bytes(path: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// This process among workloads.
pub struct Workload {
    files: WorkloadFiles,
    id: SpiffeId,
    identity: Arc<Identity>,
    trust: Arc<MeshTrust>,
    /// By whom they lead to: connections are shared by those who share the value.
    targets: Mutex<HashMap<SpiffeId, Arc<TargetTls>>>,
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl Workload {
    /// Reads `files`.
    ///
    /// # Errors
    /// Which file cannot be read or used, and why.
    pub fn open(files: WorkloadFiles, now: SystemTime) -> Result<Self, String> {
        let Held { svid, bundles, lists } = files.read()?;
        let id = svid.id().clone();
        let identity = Arc::new(Identity::empty());
        identity.replace(svid, now).map_err(|error| error.to_string())?;
        let trust = Arc::new(MeshTrust::new(bundles));
        trust.replace_lists(lists.as_ref(), Unlisted::Refuse);
        Ok(Self { files, id, identity, trust, targets: Mutex::default() })
    }

    /// Reads the files again. What was in force stays unless all of them can be used.
    ///
    /// # Errors
    /// Which file cannot be read or used, and why.
    pub fn read_again(&self, now: SystemTime) -> Result<(), String> {
        let Held { svid, bundles, lists } = self.files.read()?;
        self.identity.replace(svid, now).map_err(|error| error.to_string())?;
        self.trust.replace_bundles(&bundles);
        self.trust.replace_lists(lists.as_ref(), Unlisted::Refuse);
        Ok(())
    }

    /// Who we are.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The files that are read.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    /// When our certificate ceases to be valid.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.identity.expires_at()
    }

    /// Another number after each change of whom we believe: open connections are judged again then.
    pub fn trust_revision(&self) -> u64 {
        self.trust.revision()
    }

    /// TLS for peers who come to us.
    ///
    /// # Errors
    /// rustls refuses the combination.
    pub fn inbound(&self) -> Result<Mutual, rustls::Error> {
        Mutual::new(Arc::clone(&self.identity), Arc::clone(&self.trust))
    }

    /// TLS towards a peer who must prove to be `peer`.
    ///
    /// # Errors
    /// rustls refuses the combination.
    pub fn towards(&self, peer: &SpiffeId) -> Result<Arc<TargetTls>, rustls::Error> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get(peer) {
            return Ok(Arc::clone(target));
        }
        let expected = ExpectedPeers::exactly(peer.clone());
        let target = Arc::new(towards(Arc::clone(&self.identity), Arc::clone(&self.trust), expected)?);
        targets.insert(peer.clone(), Arc::clone(&target));
        Ok(target)
    }

    /// Forgets whom nobody leads to any more.
    pub fn forget_unused(&self) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, target| Arc::strong_count(target) > 1);
    }
}
