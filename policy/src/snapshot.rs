//! What the documents mean, once they have been read, checked and compiled: plain values that never change.
//!
//! One [`Snapshot`] is in force at a time and an exchange sees exactly one. Everything here is resolved: names have
//! become indices, durations are [`Duration`]s, and what could not be resolved is a value that says why, so that the
//! edge answers what the Gateway API asks for (500, not 404) instead of guessing.

mod access;
mod identity;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode};
use portcullis_certs::SpiffeId;

pub use self::{access::*, identity::*};
use crate::{
    authorize::WorkloadPolicy,
    guard::screen::Guardrails,
    roles::Roles,
    routes::{RouteTable, TlsRouteTable},
};

/// All documents, compiled. Immutable, shared by every worker.
#[derive(Debug)]
pub struct Snapshot {
    /// The hash of the documents this was compiled from.
    pub revision: Revision,
    /// Every listener of every accepted Gateway, in document order.
    pub listeners: Vec<Listener>,
    /// Every backend that some rule names; [`BackendId`] is an index into it.
    pub backends: Vec<Backend>,
    /// Every identity provider; [`ProviderId`] is an index into it.
    pub providers: Vec<IdentityProvider>,
    /// Every role and who has it.
    pub roles: Roles,
    /// Every WorkloadPolicy, for sidecars.
    pub workloads: Vec<Arc<WorkloadPolicy>>,
    /// How each document fared, as Gateway API conditions, for `/snapshot`.
    pub documents: Vec<DocumentStatus>,
}

/// The first 16 hexadecimal digits of the SHA-256 of the canonical documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(pub Arc<str>);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one document: `HTTPRoute inference/chat`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId {
    /// The API group, empty for the core group.
    pub group: Arc<str>,
    /// The kind, as written.
    pub kind: Arc<str>,
    /// The namespace; `default` where none is written.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Where in the documents something was written, for `explain` and `/snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file, as it was named on the command line or found below a folder named there.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One listener of one Gateway.
#[derive(Debug)]
pub struct Listener {
    /// Which Gateway and which of its listeners.
    pub id: ListenerId,
    /// The addresses of `Gateway.spec.addresses`; empty means every address.
    pub addresses: Vec<IpAddr>,
    /// The port the document names. The command line may map it elsewhere.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: ListenerProtocol,
    /// Which hosts it answers for.
    pub hostname: HostPattern,
    /// How TLS is handled; `None` for plain HTTP.
    pub tls: Option<TlsMode>,
    /// The HTTPRoutes and GRPCRoutes attached to it.
    pub routes: RouteTable,
    /// The TLSRoutes attached to it.
    pub tls_routes: TlsRouteTable,
}

impl Listener {
    /// How clients' certificates are judged; `None`: nobody is asked for one.
    pub fn client_validation(&self) -> Option<&ClientValidation> {
        match &self.tls {
            Some(TlsMode::Terminate(termination)) => termination.client.as_ref(),
            Some(TlsMode::Passthrough) | None => None,
        }
    }
}

/// `inference/edge/https`: namespace, Gateway, listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenerId {
    /// The Gateway's namespace.
    pub namespace: Arc<str>,
    /// The Gateway's name.
    pub gateway: Arc<str>,
    /// The listener's name within the Gateway.
    pub listener: Arc<str>,
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.gateway, self.listener)
    }
}

/// What is spoken on a listener's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerProtocol {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
    /// TLS that carries anything, for TLSRoutes.
    Tls,
}

/// A host name, or a wildcard over one or more leading labels, or any host. Lower case, without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// Exactly this host.
    Exact(Arc<str>),
    /// `*.example.com` is held as `.example.com`: any host that ends so with at least one label before it.
    Suffix(Arc<str>),
}

/// What happens to TLS on a listener.
#[derive(Debug, Clone)]
pub enum TlsMode {
    /// It ends here.
    Terminate(Termination),
    /// It goes through; only the server name is read.
    Passthrough,
}

/// A listener's certificates and its wishes about clients' certificates.
#[derive(Debug, Clone)]
pub struct Termination {
    /// In the order of `certificateRefs`. Never empty.
    pub certificates: Vec<CertificateSource>,
    /// `None`: clients are not asked for a certificate.
    pub client: Option<ClientValidation>,
}

/// Where a certificate and its key come from.
#[derive(Debug, Clone)]
pub enum CertificateSource {
    /// A `kubernetes.io/tls` Secret: both in PEM.
    Secret {
        /// The Secret.
        document: DocumentId,
        /// The chain, leaf first, in PEM.
        chain_pem: Arc<[u8]>,
        /// The private key, in PEM.
        key_pem: SecretBytes,
    },
    /// Files that are watched and swapped live.
    Files {
        /// The `Certificate` document.
        document: DocumentId,
        /// The chain, leaf first, in PEM.
        chain: PathBuf,
        /// The private key, in PEM.
        key: PathBuf,
    },
    /// Issued by the local authority in the state directory.
    Local {
        /// The `Certificate` document.
        document: DocumentId,
        /// The names to issue for.
        dns_names: Vec<String>,
    },
}

/// Bytes that must not be printed. No `Debug` of the content, no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(pub Arc<[u8]>);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// `Gateway.spec.tls.frontend` validation (GEP-91).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientValidation {
    /// The authorities whose certificates are accepted, in PEM. Empty when no reference resolved: then every client is
    /// refused unless `mode` says otherwise.
    pub authorities_pem: Vec<Arc<[u8]>>,
    /// What happens to a client without a valid certificate.
    pub mode: ClientValidationMode,
}

/// `AllowValidOnly` or `AllowInsecureFallback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientValidationMode {
    /// The handshake fails without a valid certificate.
    AllowValidOnly,
    /// The handshake goes on; the peer is unauthenticated.
    AllowInsecureFallback,
}

/// One rule of one HTTPRoute or GRPCRoute, shared by all its matches and listeners.
#[derive(Debug)]
pub struct Rule {
    /// The route.
    pub route: DocumentId,
    /// The rule's own name, if it has one.
    pub name: Option<Arc<str>>,
    /// Its position in the route, from 0.
    pub index: usize,
    /// Where it is written.
    pub location: Location,
    /// What is done to requests and answers, whichever backend is chosen.
    pub filters: Filters,
    /// Where requests go. Empty means that the rule has none: 500, unless a redirect answers first.
    pub backends: Vec<WeightedBackend>,
    /// `timeouts.request`: the whole exchange, streams included. `None`: no deadline.
    pub request_timeout: Option<Duration>,
    /// `timeouts.backendRequest`: one attempt. `None`: no deadline.
    pub backend_request_timeout: Option<Duration>,
    /// `retry`, as written.
    pub retry: Option<Retry>,
    /// Who may come in.
    pub access: Access,
    /// What may be said; `None`: no GuardrailPolicy covers it.
    pub guardrails: Option<Arc<Guardrails>>,
    /// Whether this rule speaks gRPC (a GRPCRoute).
    pub grpc: bool,
}

/// One `backendRef` of a rule.
#[derive(Debug)]
pub struct WeightedBackend {
    /// Where it leads, or why it leads nowhere (500).
    pub target: Result<BackendId, Unresolved>,
    /// 0 means that it gets no requests.
    pub weight: u32,
    /// Filters of this `backendRef` alone; they run after the rule's.
    pub filters: Filters,
}

/// An index into [`Snapshot::backends`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub u32);

/// Why a reference leads nowhere; the `reason` of a `ResolvedRefs: False` condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// No such kind of backend.
    #[error("unknown backend kind")]
    InvalidKind,
    /// No such document.
    #[error("backend not found")]
    BackendNotFound,
    /// In another namespace, without a ReferenceGrant.
    #[error("reference not permitted")]
    RefNotPermitted,
    /// The Service speaks a protocol that the route does not.
    #[error("unsupported backend protocol")]
    UnsupportedProtocol,
    /// A BackendTLSPolicy on it is invalid, so nothing may be sent.
    #[error("invalid backend TLS policy")]
    InvalidBackendTls,
}

/// What a rule or a `backendRef` does to requests and answers. All empty by default: nothing.
#[derive(Debug, Default)]
pub struct Filters {
    /// `RequestHeaderModifier`, on the way in.
    pub request_headers: Option<HeaderChanges>,
    /// `ResponseHeaderModifier`, on the way out.
    pub response_headers: Option<HeaderChanges>,
    /// `RequestRedirect`: answer at once.
    pub redirect: Option<Redirect>,
    /// `URLRewrite`.
    pub rewrite: Option<Rewrite>,
    /// `RequestMirror`, each.
    pub mirrors: Vec<Mirror>,
    /// `CORS`.
    pub cors: Option<Cors>,
}

/// Headers to set, add and remove, in that order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Replaces every value of the name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Adds one more value.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removes every value of the name.
    pub remove: Vec<HeaderName>,
}

/// `RequestRedirect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `None` keeps the request's.
    pub scheme: Option<Scheme>,
    /// `None` keeps the request's.
    pub hostname: Option<Arc<str>>,
    /// `None` keeps the path.
    pub path: Option<PathChange>,
    /// `None`: the well-known port of `scheme` if that is given, else the listener's.
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, port 80.
    Http,
    /// `https`, port 443.
    Https,
}

/// `URLRewrite`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The new `Host`.
    pub hostname: Option<HeaderValue>,
    /// The new path.
    pub path: Option<PathChange>,
}

/// How a path changes; the query stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathChange {
    /// The whole path.
    Full(Arc<str>),
    /// The matched prefix, by segments.
    Prefix(Arc<str>),
}

/// `RequestMirror`.
#[derive(Debug)]
pub struct Mirror {
    /// Where the copy goes.
    pub target: Result<BackendId, Unresolved>,
    /// How many of `denominator` requests are copied.
    pub numerator: u32,
    /// 100 where a percentage is written or nothing.
    pub denominator: u32,
}

/// `CORS` (GEP-1767).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// In the order written; a request's origin must match one.
    pub allow_origins: Vec<OriginPattern>,
    /// Answer `Access-Control-Allow-Credentials: true`.
    pub allow_credentials: bool,
    /// Methods allowed; `*` alone means every one.
    pub allow_methods: Vec<Arc<str>>,
    /// Headers allowed; `*` alone means every one.
    pub allow_headers: Vec<Arc<str>>,
    /// Headers exposed.
    pub expose_headers: Vec<Arc<str>>,
    /// How long a preflight may be remembered.
    pub max_age: Duration,
}

/// An origin of `allowOrigins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// `*`.
    Any,
    /// `https://app.example`: scheme, host and port, exactly (ASCII case-insensitive host).
    Exact(Arc<str>),
    /// `https://*.example`: text before and after the `*`, which stands for one or more characters of a host.
    Wildcard {
        /// `https://`
        before: Arc<str>,
        /// `.example`
        after: Arc<str>,
    },
}

/// `retry` of an HTTPRoute rule (GEP-1731).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Status codes of an answer that are tried again. Connection errors always are.
    pub codes: Vec<StatusCode>,
    /// How many times at most, after the first attempt.
    pub attempts: u32,
    /// The least time between two attempts.
    pub backoff: Duration,
}

/// Where requests go: endpoints, and how to speak with them.
#[derive(Debug, Clone)]
pub struct Backend {
    /// The document it comes from.
    pub document: DocumentId,
    /// The Service port or the InferenceBackend's; with `document` the backend's identity over revisions.
    pub port: Option<u16>,
    /// The HTTP version spoken to its endpoints.
    pub http: UpstreamHttp,
    /// What the endpoints speak above HTTP, when it is known.
    pub dialect: Option<Dialect>,
    /// Whose metrics its endpoints publish.
    pub engine: Engine,
    /// The models it serves; empty when not said.
    pub models: Vec<Arc<str>>,
    /// In document order.
    pub endpoints: Vec<Endpoint>,
    /// How the bytes travel.
    pub transport: Transport,
    /// The three clocks.
    pub timeouts: Timeouts,
    /// How an endpoint is chosen.
    pub strategy: Strategy,
    /// Active checks; `None` when not asked for.
    pub health_check: Option<HealthCheck>,
}

/// The HTTP version spoken to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamHttp {
    /// As the request needs: HTTP/2 for gRPC (and by ALPN over TLS where the endpoint offers only that), else 1.1.
    Auto,
    /// HTTP/1.1 (`kubernetes.io/ws` as well).
    Http1,
    /// HTTP/2 always (`kubernetes.io/h2c`, or `h2` over TLS).
    Http2,
}

/// What an inference server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's HTTP API.
    OpenAi,
    /// Anthropic's messages API.
    Anthropic,
    /// KServe v2 (Open Inference Protocol), HTTP and gRPC.
    KserveV2,
}

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// vLLM.
    Vllm,
    /// NVIDIA Triton.
    Triton,
    /// TensorRT-LLM.
    TrtLlm,
    /// SGLang.
    Sglang,
    /// NVIDIA NIM.
    Nim,
    /// Not said, or another.
    Other,
}

/// One place that answers for a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// An IP address or a DNS name.
    pub address: EndpointAddress,
    /// The port for HTTP.
    pub port: u16,
    /// The port for gRPC, where it is another (`grpcPort`).
    pub grpc_port: Option<u16>,
    /// Relative capacity, greater than 0; 1.0 when not said.
    pub capacity: f64,
    /// Who it must prove to be, over mTLS.
    pub identity: Option<SpiffeId>,
}

/// An IP address or a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// An IP address.
    Ip(IpAddr),
    /// A name, resolved by the system's resolver.
    Name(Arc<str>),
}

/// How bytes travel to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// In the clear, because a document says so in words.
    Plaintext,
    /// TLS as a BackendTLSPolicy says.
    Tls(Arc<BackendTls>),
    /// mTLS between workloads: every endpoint has an identity, and must prove it.
    Mtls,
}

/// A BackendTLSPolicy, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendTls {
    /// Sent as SNI; also what the certificate must name unless `subject_alt_names` is given.
    pub hostname: Arc<str>,
    /// Trusted authorities, in PEM; `None` means the system's (`wellKnownCACertificates: System`).
    pub authorities_pem: Option<Vec<Arc<[u8]>>>,
    /// When not empty: the certificate must carry one of these.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// `Gateway.spec.tls.backend.clientCertificateRef`: what we present when asked.
    pub client_certificate: Option<CertificatePair>,
}

/// A certificate chain and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePair {
    /// Leaf first.
    pub chain_pem: Arc<[u8]>,
    /// The private key.
    pub key_pem: SecretBytes,
}

/// What a certificate may be known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectAltName {
    /// A DNS name, perhaps with a leading `*.`.
    Hostname(Arc<str>),
    /// A URI, compared byte for byte.
    Uri(Arc<str>),
}

/// The three clocks of a backend. There is no total deadline unless a route asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the decision to dial to a usable connection, TLS included.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub first_byte: Duration,
    /// The longest silence inside an answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: Duration::from_mins(5), idle: Duration::from_mins(5) }
    }
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Fewest exchanges in flight, relative to capacity.
    LeastRequests,
    /// In turn.
    RoundRobin,
    /// By what sidecars measure. Until then `run` takes least requests and says so.
    LoadAware,
    /// By prompt prefix. Until then `run` refuses it.
    PrefixAffinity,
}

/// Active health checks of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `GET` this path; 2xx is healthy.
    pub path: Arc<str>,
    /// The time between two checks of one endpoint.
    pub interval: Duration,
    /// The time one check may take.
    pub timeout: Duration,
    /// Consecutive failures that make it unhealthy.
    pub unhealthy_after: u32,
    /// Consecutive successes that make it healthy again.
    pub healthy_after: u32,
}

/// How one document fared, for `/snapshot`.
#[derive(Debug, Clone)]
pub struct DocumentStatus {
    /// Which.
    pub document: DocumentId,
    /// Where it is written.
    pub location: Location,
    /// Which change of it the conditions are about, where a cluster counted changes (`metadata.generation`).
    pub generation: Option<i64>,
    /// Conditions of the document itself (`Gateway`: Accepted, Programmed; own kinds: Accepted).
    pub conditions: Vec<Condition>,
    /// Conditions by parent (routes: per Gateway; policies: per ancestor).
    pub parents: Vec<ParentStatus>,
    /// Conditions by listener (Gateways).
    pub listeners: Vec<ListenerStatus>,
}

/// Conditions of a route towards one parent.
#[derive(Debug, Clone)]
pub struct ParentStatus {
    /// The parent.
    pub parent: DocumentId,
    /// The listener named by the reference.
    pub section_name: Option<Arc<str>>,
    /// The port named by the reference.
    pub port: Option<u16>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// Conditions of one listener of a Gateway.
#[derive(Debug, Clone)]
pub struct ListenerStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Routes attached to it.
    pub attached_routes: u32,
    /// `group/kind` of the routes it takes.
    pub supported_kinds: Vec<(Arc<str>, Arc<str>)>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// A Kubernetes condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted`, `ResolvedRefs`, `Programmed`, `Conflicted`, …
    pub kind: &'static str,
    /// `True` or `False`.
    pub status: bool,
    /// A word from the Gateway API's list.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}
