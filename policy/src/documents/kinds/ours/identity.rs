//! `IdentityProvider`: where callers are known.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FileReference, object};

object! {
/// Where callers are known: exactly one of `oidc`, `ldap`, `apiKeys`, `mtls`.
#[schemars(extend("oneOf" = [{"required": ["oidc"]}, {"required": ["ldap"]}, {"required": ["apiKeys"]}, {"required": ["mtls"]}]))]
pub struct IdentityProviderSpec {
    /// OpenID Connect or OAuth 2 access credentials.
    pub oidc: Option<Oidc>,
    /// LDAP or Active Directory.
    pub ldap: Option<Ldap>,
    /// API keys of our own.
    pub api_keys: Option<ApiKeys>,
    /// Client certificates.
    pub mtls: Option<ClientMtls>,
    /// Providers whose callers it adds groups to. Only a directory can.
    #[serde(default)]
    pub enriches: Vec<String>,
}}

object! {
/// An issuer of access credentials: OpenID Connect, OAuth 2, or a cluster's service accounts.
pub struct Oidc {
    /// Its issuer URL, as it stands in `iss`.
    #[schemars(extend("format" = "https-url"))]
    pub issuer: String,
    /// Where its keys are; its discovery document says so when this does not.
    pub keys: Option<KeySource>,
    /// Whose certificates are trusted when it is asked; the system's authorities when not said.
    pub trust: Option<FileReference>,
    /// Who a credential must be for: one of these must be in `aud`.
    #[schemars(length(min = 1))]
    pub audiences: Vec<String>,
    /// Asymmetric only; `RS256`, `ES256` and `EdDSA` when not said.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// Values of `typ` that an access credential may have; `at+jwt` (RFC 9068) when not said. Issuers that write `JWT` do so
    /// on everything they sign.
    #[serde(default)]
    pub types: Vec<String>,
    /// Clients (`azp`, else `client_id`) whose credentials are taken; every client's when not said.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Which claims say who it is.
    pub claims: Option<Claims>,
    /// How long ago a credential may have been issued; 24 h when not said.
    #[schemars(extend("format" = "duration"))]
    pub age_max: Option<String>,
    /// By how much clocks may differ; 30 s when not said, 60 s at most.
    #[schemars(extend("format" = "duration"))]
    pub clock_skew: Option<String>,
    /// For opaque credentials: the issuer is asked (RFC 7662).
    pub introspection: Option<Introspection>,
    /// Proof of possession (DPoP, RFC 9449). A credential that is bound to a key or a certificate always needs its proof.
    pub proof: Option<ProofWord>,
    /// What becomes of a caller whose groups are too many for the credential (Microsoft Entra); `Refuse` when not said.
    pub group_overage: Option<GroupOverage>,
    /// How long what has been learnt is kept: `fresh` for a verified credential (30 s when not said; `0s` verifies every
    /// request), `stale` for keys while the issuer cannot be asked (1 h when not said).
    pub cache: Option<CacheTimes>,
}}

object! {
/// Where an issuer's keys are: exactly one.
#[schemars(extend("oneOf" = [{"required": ["url"]}, {"required": ["file"]}]))]
pub struct KeySource {
    /// The URL of a JSON Web Key Set.
    #[schemars(extend("format" = "https-url"))]
    pub url: Option<String>,
    /// A file that holds one.
    pub file: Option<String>,
}}

object! {
/// Asking the issuer about opaque credentials (RFC 7662).
pub struct Introspection {
    /// Where to ask; the discovery document says so when this does not.
    #[schemars(extend("format" = "https-url"))]
    pub endpoint: Option<String>,
    /// Who we are.
    pub client_id: String,
    /// Our secret, in a file.
    pub client_secret: FileReference,
}}

/// Whether a proof of possession is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ProofWord {
    /// Of credentials that are bound to a key.
    WhenBound,
    /// Of every credential: one that is bound to nothing is refused.
    Required,
}

/// What becomes of a caller whose groups did not fit into the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum GroupOverage {
    /// Refused, and told why.
    Refuse,
    /// Looked up in the directory that `enriches` this provider; refused if none does.
    Resolve,
}

/// A signature algorithm; there is no way to write `HS256` or `none` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "named by RFC 7518 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

object! {
/// Which claims say who it is. A dot leads into an object: `realm_access.roles`; a name that is a URL is one claim.
pub struct Claims {
    /// The user's name; `sub` when not said.
    pub user: Option<String>,
    /// The user's groups; none when not said.
    pub groups: Option<String>,
}}

object! {
/// A directory.
pub struct Ldap {
    /// `ldaps://…`, or `ldap://…` which means StartTLS; several for fail-over. There is no way to write clear text.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "format": "ldap-url"}))]
    pub urls: Vec<String>,
    /// Whose certificates are trusted; the system's authorities when not said.
    pub trust: Option<FileReference>,
    /// How the gateway itself binds, to look users and groups up.
    pub bind: Option<LdapBind>,
    /// Where users are.
    pub users: Option<LdapUsers>,
    /// How a person's name becomes the name that is bound with, without looking it up: `{username}@corp.example`.
    pub bind_as: Option<String>,
    /// Where groups are.
    pub groups: Option<LdapGroups>,
    /// How long answers are kept: `fresh` without asking (60 s when not said), `stale` while the directory cannot be asked
    /// (15 min when not said).
    pub cache: Option<CacheTimes>,
    /// When a person's failed attempts are answered here instead of by the directory.
    pub throttle: Option<Throttle>,
}}

object! {
/// A service account.
pub struct LdapBind {
    /// Its distinguished name.
    pub dn: String,
    /// Its password, in a file.
    pub password: FileReference,
}}

object! {
/// Where users are.
pub struct LdapUsers {
    /// Below this entry.
    pub base: String,
    /// With `{username}` in it.
    pub filter: String,
    /// The attribute that names them; `uid` when not said.
    pub name: Option<String>,
}}

object! {
/// Where groups are.
pub struct LdapGroups {
    /// Below this entry.
    pub base: String,
    /// How groups in groups are found; the directory is tried out when not said.
    pub nested: Option<Nested>,
    /// The attribute that names them; `cn` when not said.
    pub name: Option<String>,
}}

/// How groups in groups are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nested {
    /// By whichever of the others the directory turns out to support.
    Auto,
    /// Active Directory's `tokenGroups`.
    TokenGroups,
    /// `memberOf` of a directory that resolves it through groups.
    MemberOf,
    /// Active Directory's matching rule in chain. Slow in large directories: `token-groups` gives the same answer.
    MatchingRule,
    /// Step by step.
    Recursive,
    /// Not at all.
    None,
}

object! {
/// When failed attempts are answered here. Below the directory's own threshold, strangers cannot lock people out.
pub struct Throttle {
    /// So many failures of one person; 3 when not said.
    #[schemars(range(min = 1))]
    pub failures: Option<u32>,
    /// Within this time; 15 min when not said.
    #[schemars(extend("format" = "duration"))]
    pub window: Option<String>,
}}

object! {
/// How long answers are kept.
pub struct CacheTimes {
    /// Taken without asking.
    #[schemars(extend("format" = "duration"))]
    pub fresh: Option<String>,
    /// Taken while the server cannot be asked.
    #[schemars(extend("format" = "duration"))]
    pub stale: Option<String>,
}}

object! {
/// API keys of our own.
pub struct ApiKeys {
    /// The file of their hashes, which `portcullis keys` writes. A relative path begins where this document's file is.
    pub file: String,
    /// The secret that the hashes are made with, in a file; `FILE.pepper` beside the keys when not said.
    pub pepper: Option<FileReference>,
}}

object! {
/// Client certificates: of workloads (`trustDomain`), or of anyone whose subject is a name (`subject`). The listener says
/// which authorities' certificates are taken (`Gateway.spec.tls.frontend`).
#[schemars(extend("oneOf" = [{"required": ["trustDomain"]}, {"required": ["subject"]}]))]
pub struct ClientMtls {
    /// Whose SPIFFE IDs are taken.
    #[schemars(extend("format" = "trust-domain"))]
    pub trust_domain: Option<String>,
    /// How a certificate names a user.
    pub subject: Option<SubjectNames>,
    /// Certificates that do not count any more: lists in PEM or DER (RFC 5280), in a file.
    pub crl: Option<FileReference>,
}}

object! {
/// How a certificate names a user.
pub struct SubjectNames {
    /// What is the user's name.
    pub user: SubjectNameWord,
    /// Whether organizational units are groups.
    #[serde(default)]
    pub units_are_groups: bool,
}}

/// What of a certificate is a user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectNameWord {
    /// The whole distinguished name (RFC 4514).
    DistinguishedName,
    /// The one common name.
    CommonName,
    /// The one e-mail address among the alternative names.
    Email,
    /// The one DNS name among them.
    Dns,
}
