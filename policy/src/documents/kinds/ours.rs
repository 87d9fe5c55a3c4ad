//! Our own kinds, group `portcullis.dev/v1alpha1`. From these types come validation, JSON Schemas and CRDs alike.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod access;
mod guardrails;
mod identity;
mod workload;

pub use self::{access::*, guardrails::*, identity::*, workload::*};
use super::{
    Metadata,
    gateway_api::{ObjectReference, PolicyTargetReference, kind, object},
};

#[expect(missing_docs, reason = "the shape of every document")]
mod shapes {
    use super::{
        AccessPolicySpec, AuditSinkSpec, CertificateSpec, Deserialize, GuardrailPolicySpec, IdentityProviderSpec,
        InferenceBackendSpec, JsonSchema, Metadata, TransportPolicySpec, WorkloadPolicySpec, kind,
    };
    kind!(InferenceBackend, InferenceBackendSpec);
    kind!(Certificate, CertificateSpec);
    kind!(IdentityProvider, IdentityProviderSpec);
    kind!(AccessPolicy, AccessPolicySpec);
    kind!(GuardrailPolicy, GuardrailPolicySpec);
    kind!(AuditSink, AuditSinkSpec);
    kind!(TransportPolicy, TransportPolicySpec);
    kind!(WorkloadPolicy, WorkloadPolicySpec);
}
pub use shapes::*;

object! {
/// What stands behind a route: an engine, its models, its endpoints, how long it may take, how its load is known.
#[schemars(extend("oneOf" = [{"required": ["endpoints"]}, {"required": ["serviceRef"]}, {"required": ["poolRef"]}]))]
pub struct InferenceBackendSpec {
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Whose metrics they publish.
    pub engine: Option<EngineWord>,
    /// The models it serves; empty when not said.
    #[serde(default)]
    pub models: Vec<String>,
    /// Where it is. Or `serviceRef`, or `poolRef`.
    #[serde(default)]
    pub endpoints: Vec<EndpointSpec>,
    /// A Service, and a port of it, instead of endpoints.
    pub service_ref: Option<ServiceReference>,
    /// An InferencePool, instead of endpoints.
    pub pool_ref: Option<ObjectReference>,
    /// How bytes travel: mutual TLS unless plaintext is written.
    pub transport: Option<TransportSpec>,
    /// Its three clocks.
    pub timeouts: Option<TimeoutsSpec>,
    /// How an endpoint is chosen.
    pub load_balancing: Option<LoadBalancing>,
    /// Active checks.
    pub health_check: Option<HealthCheckSpec>,
}}

/// What an inference server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// OpenAI's HTTP API.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's messages API.
    Anthropic,
    /// KServe v2, HTTP and gRPC.
    KserveV2,
}

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineWord {
    /// vLLM.
    Vllm,
    /// NVIDIA Triton.
    Triton,
    /// TensorRT-LLM.
    Trtllm,
    /// SGLang.
    Sglang,
    /// NVIDIA NIM.
    Nim,
    /// Any other.
    Other,
}

object! {
/// One place that answers.
pub struct EndpointSpec {
    /// An IP address or a DNS name.
    #[schemars(extend("format" = "address"))]
    pub address: String,
    /// The port for HTTP.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The port for gRPC, where it is another one.
    #[schemars(range(min = 1))]
    pub grpc_port: Option<u16>,
    /// Who it must prove to be.
    #[schemars(extend("format" = "spiffe-id"))]
    pub identity: Option<String>,
    /// Its capacity relative to the others; 1 when not said.
    pub capacity: Option<f64>,
}}

object! {
/// A port of a Service.
pub struct ServiceReference {
    /// The Service.
    #[schemars(extend("format" = "object-name"))]
    pub name: String,
    /// Its namespace; the document's own when not said.
    #[schemars(extend("format" = "label"))]
    pub namespace: Option<String>,
    /// Its port.
    #[schemars(range(min = 1))]
    pub port: u16,
}}

object! {
/// How bytes travel: exactly one.
#[schemars(extend("oneOf" = [{"required": ["mtls"]}, {"required": ["plaintext"]}]))]
pub struct TransportSpec {
    /// Mutual TLS between workloads.
    pub mtls: Option<Empty>,
    /// In the clear.
    pub plaintext: Option<Empty>,
}}

object! {
/// `{}`: the word alone says it.
pub struct Empty {}
}

object! {
/// Three clocks. There is no total deadline unless a route asks for one.
pub struct TimeoutsSpec {
    /// From the decision to dial to a usable connection.
    #[schemars(extend("format" = "duration"))]
    pub connect: Option<String>,
    /// From the last byte of a request to the first of its answer.
    #[schemars(extend("format" = "duration"))]
    pub first_byte: Option<String>,
    /// The longest silence inside an answer.
    #[schemars(extend("format" = "duration"))]
    pub idle: Option<String>,
}}

object! {
/// How an endpoint is chosen.
pub struct LoadBalancing {
    /// The rule.
    pub strategy: Option<StrategyWord>,
}}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyWord {
    /// By what sidecars measure.
    LoadAware,
    /// Fewest in flight.
    LeastRequests,
    /// In turn.
    RoundRobin,
    /// By prompt prefix.
    PrefixAffinity,
}

object! {
/// Active checks of each endpoint.
pub struct HealthCheckSpec {
    /// `GET` this path; 2xx is healthy.
    #[schemars(extend("format" = "absolute-path"))]
    pub path: String,
    /// Between two checks; 10 s when not said.
    #[schemars(extend("format" = "duration"))]
    pub interval: Option<String>,
    /// For one check; 2 s when not said.
    #[schemars(extend("format" = "duration"))]
    pub timeout: Option<String>,
    /// Failures in a row; 3 when not said.
    pub unhealthy_after: Option<u32>,
    /// Successes in a row; 1 when not said.
    pub healthy_after: Option<u32>,
}}

object! {
/// Plaintext to Services, in words.
pub struct TransportPolicySpec {
    /// Services, or the namespace itself for all of its Services.
    pub target_refs: Vec<PolicyTargetReference>,
    /// How bytes travel to them.
    pub transport: TransportSpec,
}}

object! {
/// A certificate for listeners.
pub struct CertificateSpec {
    /// The names it is for.
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "hostname-pattern"}))]
    pub dns_names: Vec<String>,
    /// Where it comes from: exactly one.
    pub issuer: Issuer,
}}

object! {
/// Exactly one.
#[schemars(extend("oneOf" = [{"required": ["local"]}, {"required": ["files"]}, {"required": ["acme"]}]))]
pub struct Issuer {
    /// The authority in the gateway's state folder.
    pub local: Option<Empty>,
    /// Files, watched and swapped live.
    pub files: Option<IssuerFiles>,
    /// An ACME server.
    pub acme: Option<Acme>,
}}

object! {
/// A certificate and its key in PEM. Relative paths begin where this document's file is.
pub struct IssuerFiles {
    /// The chain, leaf first.
    pub certificate: String,
    /// The private key.
    pub key: String,
}}

object! {
/// RFC 8555.
pub struct Acme {
    /// The directory's URL.
    #[schemars(extend("format" = "https-url"))]
    pub directory: String,
    /// The account's contact.
    pub email: Option<String>,
}}

object! {
/// A file.
pub struct FileReference {
    /// Its path; a relative one begins where this document's file is.
    pub file: String,
}}

object! {
/// What is told to the SIEM: exactly one of `syslog`, `file`, `http`, `otlp`.
#[schemars(extend("oneOf" = [{"required": ["syslog"]}, {"required": ["file"]}, {"required": ["http"]}, {"required": ["otlp"]}]))]
pub struct AuditSinkSpec {
    /// The shape of entries.
    pub format: AuditFormat,
    /// RFC 5424 over RFC 5425.
    pub syslog: Option<SyslogSink>,
    /// Files for a collector.
    pub file: Option<FileSink>,
    /// HTTP with acknowledgement.
    pub http: Option<BTreeMap<String, serde_json::Value>>,
    /// OTLP logs.
    pub otlp: Option<BTreeMap<String, serde_json::Value>>,
    /// What is kept until it is delivered.
    pub spool: Option<Spool>,
    /// Whether prompts are told.
    pub prompts: Option<Prompts>,
}}

/// The shape of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum AuditFormat {
    Ocsf,
    Ecs,
    Cef,
}

object! {
/// A syslog receiver.
pub struct SyslogSink {
    /// Host and port.
    #[schemars(extend("format" = "host-port"))]
    pub address: String,
    /// TLS towards it.
    pub tls: SyslogTls,
}}

object! {
/// TLS towards a syslog receiver.
pub struct SyslogTls {
    /// Whose certificates are trusted.
    pub trust: FileReference,
    /// What we present.
    pub certificate: Option<IssuerFiles>,
}}

object! {
/// Files for a collector.
pub struct FileSink {
    /// Where they are.
    pub directory: String,
    /// When the next one begins.
    pub rotate: Option<Rotate>,
}}

object! {
/// When the next file begins, and how many stay.
pub struct Rotate {
    /// At this size.
    #[schemars(extend("format" = "quantity"))]
    pub bytes: Option<String>,
    /// So many stay.
    pub keep: Option<u32>,
}}

object! {
/// What is kept until it is delivered.
pub struct Spool {
    /// At most so much.
    #[schemars(extend("format" = "quantity"))]
    pub bytes_max: Option<String>,
    /// And then.
    pub when_full: Option<WhenFull>,
}}

/// When the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the words say it")]
pub enum WhenFull {
    Refuse,
    Drop,
}

object! {
/// Whether prompts are told.
pub struct Prompts {
    /// How.
    pub include: PromptsIncluded,
}}

/// How prompts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum PromptsIncluded {
    None,
    Hash,
    Encrypted,
}
