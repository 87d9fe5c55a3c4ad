//! Identity providers, compiled: what it takes to know a caller.

use std::{path::PathBuf, sync::Arc, time::Duration};

use portcullis_certs::SpiffeId;

use super::{DocumentId, Location};
pub use crate::documents::kinds::ours::{Algorithm, GroupOverage, Nested};

/// The shortest `cache.stale` of an issuer: its keys are fetched twice in it.
pub const KEYS_STALE_MIN: Duration = Duration::from_secs(2);

/// An index into [`Snapshot::providers`](super::Snapshot::providers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(pub u32);

/// Where callers are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// The document it comes from.
    pub document: DocumentId,
    /// Where it is written.
    pub location: Location,
    /// How it knows them.
    pub kind: ProviderKind,
    /// The directory that adds groups to its callers: the one that `enriches` it.
    pub enriched_by: Option<ProviderId>,
}

/// How a provider knows its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKind {
    /// By signed credentials of an issuer, or by asking it.
    Oidc(OidcProvider),
    /// By name and password.
    Ldap(LdapProvider),
    /// By API keys of our own.
    ApiKeys(ApiKeyProvider),
    /// By their certificates.
    Mtls(MtlsProvider),
}

/// How long what has been learnt is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheTimes {
    /// Taken without asking.
    pub fresh: Duration,
    /// Taken while the provider cannot be asked.
    pub stale: Duration,
}

/// An issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcProvider {
    /// As it stands in `iss`, to the byte.
    pub issuer: Arc<str>,
    /// Where its keys are.
    pub keys: KeySource,
    /// A file of authorities, in PEM; `None`: the system's.
    pub trust: Option<PathBuf>,
    /// One of these must be in `aud`. Never empty.
    pub audiences: Vec<Arc<str>>,
    /// Never empty.
    pub algorithms: Vec<Algorithm>,
    /// Values of `typ`, lower case, without `application/`. Never empty.
    pub types: Vec<Arc<str>>,
    /// Values of `azp`, else `client_id`; empty: every client.
    pub clients: Vec<Arc<str>>,
    /// Leads to the user's name: `["sub"]`.
    pub user_claim: ClaimPath,
    /// Leads to the user's groups.
    pub groups_claim: Option<ClaimPath>,
    /// How long ago a credential may have been issued.
    pub age_max: Duration,
    /// By how much clocks may differ.
    pub clock_skew: Duration,
    /// For opaque credentials.
    pub introspection: Option<IntrospectionClient>,
    /// Whether a credential that is bound to nothing is refused.
    pub proof_required: bool,
    /// What becomes of a caller whose groups did not fit.
    pub group_overage: GroupOverage,
    /// `fresh`: a verified credential. `stale`: keys.
    pub cache: CacheTimes,
}

/// The steps into a claim: `realm_access.roles` has two.
pub type ClaimPath = Arc<[Box<str>]>;

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Its discovery document says so (OpenID Connect Discovery, RFC 8414).
    Discovery,
    /// Here.
    Url(Arc<str>),
    /// In a file.
    File(PathBuf),
}

/// Who we are towards the issuer (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionClient {
    /// Where to ask; `None`: the discovery document says so.
    pub endpoint: Option<Arc<str>>,
    /// Our name.
    pub client_id: Arc<str>,
    /// The file of our secret.
    pub client_secret: PathBuf,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapProvider {
    /// In the order in which they are tried. Never empty.
    pub servers: Vec<LdapServer>,
    /// A file of authorities, in PEM; `None`: the system's.
    pub trust: Option<PathBuf>,
    /// How the gateway itself binds: name, and the file of the password.
    pub service_account: Option<(Arc<str>, PathBuf)>,
    /// How users are found.
    pub users: Option<LdapUsers>,
    /// Text before and after the name a person types, if that is bound with as it is.
    pub bind_as: Option<(Arc<str>, Arc<str>)>,
    /// How groups are found; `None`: nobody has any.
    pub groups: Option<LdapGroups>,
    /// Of what the directory said.
    pub cache: CacheTimes,
    /// So many failures of one person…
    pub failures_max: u32,
    /// … within this time are answered here.
    pub failures_window: Duration,
}

/// One server of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LdapServer {
    /// A host name or an address: what its certificate must name.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Whether TLS begins with StartTLS (`ldap://`), not at once (`ldaps://`).
    pub start_tls: bool,
}

/// How users are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapUsers {
    /// Below this entry.
    pub base: Arc<str>,
    /// The filter, split at each `{username}`: at least two parts.
    pub filter: Vec<Arc<str>>,
    /// The attribute that names a user.
    pub name: Arc<str>,
}

/// How groups are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapGroups {
    /// Below this entry.
    pub base: Arc<str>,
    /// How groups in groups are found.
    pub nested: Nested,
    /// The attribute that names a group.
    pub name: Arc<str>,
}

/// API keys of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyProvider {
    /// The file of their hashes.
    pub file: PathBuf,
    /// The file of the secret that the hashes are made with.
    pub pepper: PathBuf,
}

/// Client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtlsProvider {
    /// How a certificate names a caller.
    pub names: CertificateNames,
    /// A file of revocation lists.
    pub crl: Option<PathBuf>,
}

/// How a certificate names a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateNames {
    /// A workload, by its SPIFFE ID in this trust domain (the ID without a path).
    Workload {
        /// `spiffe://corp.example`
        trust_domain: SpiffeId,
    },
    /// A user.
    User {
        /// What is the name.
        name: crate::documents::kinds::ours::SubjectNameWord,
        /// Whether organizational units are groups.
        units_are_groups: bool,
    },
}
