//! The identity providers of a revision at work: which of them judges a credential, and how it is done.

use std::{net::IpAddr, path::PathBuf, pin::Pin, sync::Arc, time::SystemTime};

use foldhash::HashMap;
use portcullis_mesh::tls::PeerCertificate;
use portcullis_policy::{
    Snapshot,
    authorize::Principal,
    snapshot::{DocumentId, Guard, IdentityProvider, KeySource, ProviderId, ProviderKind},
};

use super::{
    Known, Rejection, Shown,
    api_keys::{KeyRing, is_api_key},
    certificates::Certificates,
    challenge::{Cause, Challenges},
    credential::Credential,
    directory::{self, Directory},
    oidc::{OidcProvider, shown as issuers},
};
use crate::refusal::Refusal;

/// Work that a provider does besides answering: fetching keys, keeping connections.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every provider of a revision, by its place in the snapshot.
#[derive(Debug, Default)]
pub struct Providers {
    all: Vec<Provider>,
    by_document: HashMap<Arc<DocumentId>, ProviderId>,
    challenges: Challenges,
}

#[derive(Debug)]
struct Provider {
    label: String,
    judge: Judge,
    enriched_by: Option<ProviderId>,
}

/// What is still there of what a request showed, while its answer goes on.
#[derive(Debug, Clone, Copy)]
pub struct ShownAgain<'r> {
    /// The credential, if it was kept.
    pub credential: Option<&'r Credential<'r>>,
    /// The certificate of its connection.
    pub certificate: &'r PeerCertificate,
    /// Where it comes from.
    pub source: IpAddr,
}

/// How a provider knows its callers.
#[derive(Debug)]
enum Judge {
    /// By API keys of ours.
    ApiKeys(Box<KeyRing>),
    /// By their certificates.
    Certificates(Box<Certificates>),
    /// By signed credentials of an issuer.
    Oidc(Arc<OidcProvider>),
    /// A directory, by name and password.
    Directory(Arc<Directory>),
}

impl Providers {
    /// Brings the providers of a snapshot to life. What `previous` has learnt and is still true is kept.
    pub fn build(snapshot: &Snapshot, previous: Option<&Self>) -> Result<Self, String> {
        let providers = Self::of(&snapshot.providers, previous)?;
        Ok(Self { challenges: Challenges::new(snapshot), ..providers })
    }

    /// Brings these to life, which name each other by their places among them. Nobody can be challenged by them.
    pub fn of(specs: &[IdentityProvider], previous: Option<&Self>) -> Result<Self, String> {
        let mut providers = Self::default();
        for spec in specs {
            let document = Arc::new(spec.document.clone());
            let before = previous.and_then(|previous| {
                let id = previous.by_document.get(&document)?;
                Some(&previous.all.get(id.0 as usize)?.judge)
            });
            let judge = Judge::new(spec, &document, before).map_err(|error| format!("{}: {error}", spec.document))?;
            let label = format!("{}/{}", document.namespace, document.name);
            providers.by_document.insert(document, ProviderId(providers.all.len() as u32));
            providers.all.push(Provider { label, judge, enriched_by: spec.enriched_by });
        }
        Ok(providers)
    }

    /// What is to be done besides answering, for as long as this revision is in force.
    pub fn tasks(&self) -> Vec<Task> {
        self.all.iter().filter_map(|provider| provider.judge.task()).collect()
    }

    /// Forgets what providers have said of callers, so that they are asked again.
    pub fn forget(&self) {
        for provider in &self.all {
            match &provider.judge {
                Judge::Directory(directory) => directory.forget(),
                Judge::Oidc(provider) => provider.forget(),
                // They are judged each time.
                Judge::ApiKeys(_) | Judge::Certificates(_) => {}
            }
        }
    }

    /// How the directories are.
    pub fn directories(&self, now: SystemTime) -> Vec<(String, directory::Status)> {
        let directories = self.all.iter().filter_map(|provider| match &provider.judge {
            Judge::Directory(directory) => Some((provider.label.clone(), directory.status(now))),
            _ => None,
        });
        directories.collect()
    }

    /// How the issuers are.
    pub fn issuers(&self) -> Vec<issuers::Shown> {
        let issuers = self.all.iter().filter_map(|provider| match &provider.judge {
            Judge::Oidc(oidc) => Some(issuers::Shown {
                provider: provider.label.clone(),
                keys: oidc.status(),
                opaque: oidc.introspections(),
            }),
            _ => None,
        });
        issuers.collect()
    }

    /// What stands in the way of a provider, for whoever runs it, if something does.
    pub fn trouble(&self, id: ProviderId) -> Option<String> {
        match &self.all.get(id.0 as usize)?.judge {
            Judge::Oidc(oidc) => oidc.status().last_error.map(|error| error.to_string()),
            Judge::Directory(directory) => directory.status(SystemTime::now()).problem,
            Judge::ApiKeys(_) | Judge::Certificates(_) => None,
        }
    }

    /// What a provider is called in metrics: `inference/sso`.
    pub fn label(&self, id: ProviderId) -> &str {
        self.all.get(id.0 as usize).map_or("none", |provider| &provider.label)
    }

    /// The provider of a caller, by its document.
    pub fn id(&self, document: &DocumentId) -> Option<ProviderId> {
        self.by_document.get(document).copied()
    }

    /// Changes whenever the keys of a provider do: what was judged with others does not count any more.
    pub fn keys_generation(&self, id: ProviderId) -> u64 {
        self.all.get(id.0 as usize).map_or(0, |provider| provider.judge.keys_generation())
    }

    /// Whether what any of these says may be remembered.
    pub fn remember(&self, taken: &[ProviderId]) -> bool {
        let mut taken = taken.iter().filter_map(|id| self.all.get(id.0 as usize));
        taken.any(|provider| provider.judge.remembers())
    }

    /// What counts of it. Stock SDKs cannot be kept from sending `Authorization: Bearer something`: beside a certificate that
    /// one of `taken` knows callers by, a credential of a kind that none of them looks at is not what the caller is known by.
    pub fn heeded<'r>(&self, taken: &[ProviderId], shown: Shown<'r>) -> Shown<'r> {
        let Some(credential) = shown.credential else { return shown };
        let mut asked = taken.iter().filter_map(|id| self.all.get(id.0 as usize)).map(|provider| &provider.judge);
        let is_certified = !matches!(shown.certificate, PeerCertificate::Absent)
            && asked.clone().any(|judge| matches!(judge, Judge::Certificates(_)));
        if is_certified && !asked.any(|judge| judge.looks_at(credential)) {
            return Shown { credential: None, ..shown };
        }
        shown
    }

    /// Judges what is shown: each of `taken` is asked until one knows the caller; groups are added where a directory
    /// enriches it. `None`: nothing is shown that any of them looks at. Without a provider: none of them does.
    pub async fn judge(
        &self,
        taken: &[ProviderId],
        shown: &Shown<'_>,
    ) -> Option<(Option<ProviderId>, Result<Known, Rejection>)> {
        let mut worst: Option<(ProviderId, Rejection)> = None;
        for id in taken {
            let Some(provider) = self.all.get(id.0 as usize) else { continue };
            let judged = match provider.judge.judge(shown).await {
                None => continue,
                Some(Ok(known)) => self.enriched(provider, known, shown.now).await,
                Some(Err(rejection)) => Err(rejection),
            };
            match judged {
                Ok(known) => return Some((Some(*id), Ok(known))),
                Err(rejection) if worst.as_ref().is_none_or(|(_, worst)| weight(worst) < weight(&rejection)) => {
                    worst = Some((*id, rejection));
                }
                Err(_) => {}
            }
        }
        match worst {
            Some((id, rejection)) => Some((Some(id), Err(rejection))),
            None if shown.credential.is_some() => Some((None, Err(Rejection::Invalid("unknown_issuer")))),
            None => None,
        }
    }

    /// Adds the groups that a directory knows. Without them a rule that denies could be missed, so a directory that cannot
    /// be asked refuses the caller.
    async fn enriched(&self, provider: &Provider, known: Known, now: SystemTime) -> Result<Known, Rejection> {
        let directory = provider.enriched_by.and_then(|id| self.all.get(id.0 as usize));
        let known = match directory {
            None => known,
            Some(directory) => directory.judge.enrich(known, now).await?,
        };
        if known.lacks_groups { Err(Rejection::groups_overage()) } else { Ok(known) }
    }

    /// Judges the caller of an open exchange again.
    pub async fn renew(
        &self,
        principal: &Principal,
        shown: &ShownAgain<'_>,
        now: SystemTime,
    ) -> Result<Known, Rejection> {
        let provider = self.id(&principal.provider).and_then(|id| self.all.get(id.0 as usize));
        let provider = provider.ok_or(Rejection::Invalid("provider_gone"))?;
        let known = provider.judge.renew(principal, shown, now).await?;
        self.enriched(provider, known, now).await
    }

    /// 401, with what would count.
    pub fn challenge(&self, guard: &Guard, cause: Cause) -> Refusal {
        let refusal = match cause {
            Cause::NothingShown => Refusal::unauthenticated("authentication_required"),
            Cause::Invalid => Refusal::unauthenticated("invalid_credential"),
            Cause::InvalidProof => Refusal::unauthenticated("invalid_dpop_proof"),
        };
        self.challenges.add(refusal, guard, cause)
    }
}

impl Judge {
    fn new(spec: &IdentityProvider, document: &Arc<DocumentId>, before: Option<&Self>) -> Result<Self, String> {
        match &spec.kind {
            ProviderKind::Ldap(ldap) => {
                let before = match before {
                    Some(Self::Directory(directory)) => Some(&**directory),
                    _ => None,
                };
                Directory::new(ldap, Arc::clone(document), before).map(|directory| Self::Directory(Arc::new(directory)))
            }
            ProviderKind::ApiKeys(keys) => Ok(Self::ApiKeys(Box::new(KeyRing::new(keys, document.clone())?))),
            ProviderKind::Mtls(mtls) => Ok(Self::Certificates(Box::new(Certificates::new(mtls, document.clone())?))),
            ProviderKind::Oidc(oidc) => {
                let before = match before {
                    Some(Self::Oidc(provider)) => Some(&**provider),
                    _ => None,
                };
                let provider = OidcProvider::new(oidc, Arc::clone(document), spec.enriched_by.is_some(), before)?;
                Ok(Self::Oidc(Arc::new(provider)))
            }
        }
    }

    /// Whether callers are known here by credentials of this kind, whatever it says.
    fn looks_at(&self, credential: &Credential<'_>) -> bool {
        match (self, credential) {
            (Self::ApiKeys(_), Credential::ApiKey(_) | Credential::Bearer(_))
            | (Self::Oidc(_), Credential::Bearer(_) | Credential::Dpop { .. })
            | (Self::Directory(_), Credential::Basic { .. }) => true,
            (Self::ApiKeys(_) | Self::Oidc(_) | Self::Directory(_) | Self::Certificates(_), _) => false,
        }
    }

    /// Who shows this. `None`: it is nothing that this provider looks at (another kind, another issuer).
    async fn judge(&self, shown: &Shown<'_>) -> Option<Result<Known, Rejection>> {
        match (self, shown.credential) {
            (Self::Directory(directory), Some(Credential::Basic { username, password })) => {
                Some(directory.login(username, password, shown.now).await)
            }
            (Self::ApiKeys(keys), Some(Credential::ApiKey(key))) => {
                Some(keys.authenticate(key, shown.source, shown.now))
            }
            (Self::ApiKeys(keys), Some(Credential::Bearer(key))) if is_api_key(key) => {
                Some(keys.authenticate(key, shown.source, shown.now))
            }
            // A certificate is no second credential: whoever shows one in a header is known by that.
            (Self::Certificates(certificates), None) => match shown.certificate {
                PeerCertificate::Absent => None,
                certificate => Some(certificates.authenticate(certificate, shown.now)),
            },
            (Self::Oidc(provider), Some(_)) => provider.judge(shown).await,
            _ => None,
        }
    }

    async fn renew(&self, principal: &Principal, shown: &ShownAgain<'_>, now: SystemTime) -> Result<Known, Rejection> {
        match self {
            Self::Directory(directory) => directory.renew(principal, shown.credential, now).await,
            Self::ApiKeys(keys) => keys.renew(principal, shown.source, now),
            Self::Certificates(certificates) => certificates.renew(principal, shown.certificate, now),
            Self::Oidc(provider) => provider.renew(principal, shown.credential, now).await,
        }
    }

    async fn enrich(&self, known: Known, now: SystemTime) -> Result<Known, Rejection> {
        match self {
            Self::Directory(directory) => directory.enrich(known, now).await,
            _ => Err(Rejection::Unavailable("no_directory")),
        }
    }

    fn task(&self) -> Option<Task> {
        match self {
            Self::Directory(directory) => Some(Box::pin(Arc::clone(directory).run())),
            Self::Oidc(provider) => Some(Box::pin(Arc::clone(provider).run())),
            _ => None,
        }
    }

    fn remembers(&self) -> bool {
        match self {
            Self::Oidc(provider) => !provider.spec().cache.fresh.is_zero(),
            Self::Directory(_) => true,
            // They are judged each time.
            Self::ApiKeys(_) | Self::Certificates(_) => false,
        }
    }

    /// Keys in files make another revision when they change.
    fn keys_generation(&self) -> u64 {
        match self {
            Self::Oidc(provider) => provider.generation(),
            Self::Directory(_) | Self::ApiKeys(_) | Self::Certificates(_) => 0,
        }
    }
}

/// Which of several rejections is told: the one that another provider's answer could not have changed.
fn weight(rejection: &Rejection) -> u8 {
    match rejection {
        Rejection::Invalid(_) => 0,
        Rejection::InvalidProof(_) => 1,
        Rejection::Throttled { .. } => 2,
        Rejection::Unavailable(_) => 3,
        Rejection::Refused { .. } => 4,
    }
}

/// Files that providers read; a change of one is a change of the documents.
pub fn files(snapshot: &Snapshot) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for provider in &snapshot.providers {
        match &provider.kind {
            ProviderKind::Oidc(oidc) => {
                files.extend(oidc.trust.clone());
                files.extend(oidc.introspection.as_ref().map(|client| client.client_secret.clone()));
                if let KeySource::File(file) = &oidc.keys {
                    files.push(file.clone());
                }
            }
            ProviderKind::Ldap(ldap) => {
                files.extend(ldap.trust.clone());
                files.extend(ldap.service_account.as_ref().map(|(_, password)| password.clone()));
            }
            ProviderKind::ApiKeys(keys) => files.extend([keys.file.clone(), keys.pepper.clone()]),
            ProviderKind::Mtls(mtls) => files.extend(mtls.crl.clone()),
        }
    }
    files
}
