//! The Gateway API's kinds, as far as they are read. Names and meanings are the standard's:
//! <https://gateway-api.sigs.k8s.io/reference/spec/>.
#![expect(missing_docs, reason = "named and explained by the standard")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Labels, Metadata};

macro_rules! kind {
    ($name:ident, $spec:ty) => {
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            pub api_version: String,
            pub kind: String,
            pub metadata: Metadata,
            pub spec: $spec,
            #[serde(default)]
            pub status: Option<serde_json::Value>,
        }
    };
}
pub(super) use kind;

kind!(GatewayClass, GatewayClassSpec);
kind!(Gateway, GatewaySpec);
kind!(ListenerSet, ListenerSetSpec);
kind!(HttpRoute, HttpRouteSpec);
kind!(GrpcRoute, GrpcRouteSpec);
kind!(TlsRoute, TlsRouteSpec);
kind!(BackendTlsPolicy, BackendTlsPolicySpec);
kind!(ReferenceGrant, ReferenceGrantSpec);

macro_rules! object {
    ($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* }) => {
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name { $($body)* }
    };
}
pub(super) use object;

object! {
pub struct GatewayClassSpec {
    pub controller_name: String,
    pub description: Option<String>,
    pub parameters_ref: Option<ObjectReference>,
}}

object! {
pub struct GatewaySpec {
    pub gateway_class_name: String,
    #[serde(default)]
    pub listeners: Vec<Listener>,
    #[serde(default)]
    pub addresses: Vec<Address>,
    pub infrastructure: Option<Infrastructure>,
    pub allowed_listeners: Option<AllowedListeners>,
    pub tls: Option<GatewayTls>,
    pub default_scope: Option<String>,
}}

object! {
pub struct Infrastructure {
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub annotations: Labels,
    pub parameters_ref: Option<ObjectReference>,
}}

object! {
pub struct AllowedListeners {
    pub namespaces: Option<RouteNamespaces>,
}}

object! {
pub struct Address {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub value: Option<String>,
}}

object! {
pub struct GatewayTls {
    pub backend: Option<GatewayBackendTls>,
    pub frontend: Option<FrontendTls>,
}}

object! {
pub struct GatewayBackendTls {
    pub client_certificate_ref: Option<ObjectReference>,
}}

object! {
pub struct FrontendTls {
    pub default: Option<FrontendValidationConfig>,
    #[serde(default)]
    pub per_port: Vec<PerPort>,
}}

object! {
pub struct PerPort {
    #[schemars(range(min = 1))]
    pub port: u16,
    pub tls: FrontendValidationConfig,
}}

object! {
pub struct FrontendValidationConfig {
    pub validation: Option<FrontendValidation>,
}}

object! {
pub struct FrontendValidation {
    #[serde(default)]
    pub ca_certificate_refs: Vec<ObjectReference>,
    pub mode: Option<FrontendMode>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FrontendMode {
    AllowValidOnly,
    AllowInsecureFallback,
}

object! {
pub struct Listener {
    #[schemars(extend("format" = "section-name"))]
    pub name: String,
    #[schemars(extend("format" = "hostname-pattern"))]
    pub hostname: Option<String>,
    #[schemars(range(min = 1))]
    pub port: u16,
    pub protocol: String,
    pub tls: Option<ListenerTls>,
    pub allowed_routes: Option<AllowedRoutes>,
}}

object! {
pub struct ListenerTls {
    pub mode: Option<TlsModeWord>,
    #[serde(default)]
    pub certificate_refs: Vec<ObjectReference>,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TlsModeWord {
    Terminate,
    Passthrough,
}

object! {
pub struct AllowedRoutes {
    pub namespaces: Option<RouteNamespaces>,
    #[serde(default)]
    pub kinds: Vec<RouteGroupKind>,
}}

object! {
pub struct RouteNamespaces {
    pub from: Option<From>,
    pub selector: Option<LabelSelector>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum From {
    All,
    Same,
    Selector,
    None,
}

object! {
pub struct LabelSelector {
    #[serde(default)]
    pub match_labels: Labels,
    #[serde(default)]
    pub match_expressions: Vec<LabelExpression>,
}}

object! {
pub struct LabelExpression {
    pub key: String,
    pub operator: LabelOperator,
    #[serde(default)]
    pub values: Vec<String>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

object! {
pub struct RouteGroupKind {
    pub group: Option<String>,
    pub kind: String,
}}

object! {
pub struct ListenerSetSpec {
    pub parent_ref: ObjectReference,
    #[serde(default)]
    pub listeners: Vec<Listener>,
}}

object! {
/// A reference to an object; group and kind have defaults that depend on where it stands.
pub struct ObjectReference {
    pub group: Option<String>,
    pub kind: Option<String>,
    pub name: String,
    #[schemars(extend("format" = "label"))]
    pub namespace: Option<String>,
}}

object! {
pub struct ParentReference {
    pub group: Option<String>,
    pub kind: Option<String>,
    #[schemars(extend("format" = "label"))]
    pub namespace: Option<String>,
    pub name: String,
    pub section_name: Option<String>,
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}}

object! {
pub struct HttpRouteSpec {
    #[serde(default)]
    pub parent_refs: Vec<ParentReference>,
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "hostname-pattern"}))]
    pub hostnames: Vec<String>,
    #[serde(default)]
    pub rules: Vec<HttpRule>,
    pub use_default_gateways: Option<String>,
}}

object! {
pub struct HttpRule {
    #[schemars(extend("format" = "section-name"))]
    pub name: Option<String>,
    #[serde(default)]
    pub matches: Vec<HttpMatch>,
    #[serde(default)]
    pub filters: Vec<RouteFilter>,
    #[serde(default)]
    pub backend_refs: Vec<BackendRef>,
    pub timeouts: Option<Timeouts>,
    pub retry: Option<Retry>,
    pub session_persistence: Option<serde_json::Value>,
}}

object! {
pub struct HttpMatch {
    pub path: Option<PathMatch>,
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
    #[serde(default)]
    pub query_params: Vec<QueryMatch>,
    pub method: Option<HttpMethod>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

object! {
pub struct PathMatch {
    #[serde(rename = "type")]
    pub kind: Option<PathMatchType>,
    pub value: Option<String>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PathMatchType {
    Exact,
    PathPrefix,
    RegularExpression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum MatchType {
    Exact,
    RegularExpression,
}

object! {
pub struct HeaderMatch {
    #[serde(rename = "type")]
    pub kind: Option<MatchType>,
    #[schemars(extend("format" = "header-name"))]
    pub name: String,
    pub value: String,
}}

object! {
pub struct QueryMatch {
    #[serde(rename = "type")]
    pub kind: Option<MatchType>,
    pub name: String,
    pub value: String,
}}

object! {
pub struct RouteFilter {
    #[serde(rename = "type")]
    pub kind: FilterType,
    pub request_header_modifier: Option<HeaderModifier>,
    pub response_header_modifier: Option<HeaderModifier>,
    pub request_mirror: Option<RequestMirror>,
    pub request_redirect: Option<RequestRedirect>,
    pub url_rewrite: Option<UrlRewrite>,
    pub cors: Option<Cors>,
    pub extension_ref: Option<ObjectReference>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FilterType {
    RequestHeaderModifier,
    ResponseHeaderModifier,
    RequestMirror,
    RequestRedirect,
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    #[serde(rename = "CORS")]
    Cors,
    ExternalAuth,
    ExtensionRef,
}

object! {
pub struct HeaderModifier {
    #[serde(default)]
    pub set: Vec<HeaderValue>,
    #[serde(default)]
    pub add: Vec<HeaderValue>,
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "header-name"}))]
    pub remove: Vec<String>,
}}

object! {
pub struct HeaderValue {
    #[schemars(extend("format" = "header-name"))]
    pub name: String,
    #[schemars(extend("format" = "header-value"))]
    pub value: String,
}}

object! {
pub struct RequestMirror {
    pub backend_ref: BackendObjectReference,
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<u32>,
    pub fraction: Option<Fraction>,
}}

object! {
pub struct Fraction {
    pub numerator: u32,
    pub denominator: Option<u32>,
}}

object! {
pub struct RequestRedirect {
    pub scheme: Option<RedirectScheme>,
    #[schemars(extend("format" = "hostname"))]
    pub hostname: Option<String>,
    pub path: Option<PathModifier>,
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    pub status_code: Option<u16>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RedirectScheme {
    Http,
    Https,
}

object! {
pub struct PathModifier {
    #[serde(rename = "type")]
    pub kind: PathModifierType,
    pub replace_full_path: Option<String>,
    pub replace_prefix_match: Option<String>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PathModifierType {
    ReplaceFullPath,
    ReplacePrefixMatch,
}

object! {
pub struct UrlRewrite {
    #[schemars(extend("format" = "hostname"))]
    pub hostname: Option<String>,
    pub path: Option<PathModifier>,
}}

object! {
pub struct Cors {
    #[serde(default)]
    pub allow_origins: Vec<String>,
    pub allow_credentials: Option<bool>,
    #[serde(default)]
    pub allow_methods: Vec<String>,
    #[serde(default)]
    pub allow_headers: Vec<String>,
    #[serde(default)]
    pub expose_headers: Vec<String>,
    pub max_age: Option<u32>,
}}

object! {
pub struct BackendObjectReference {
    pub group: Option<String>,
    pub kind: Option<String>,
    pub name: String,
    #[schemars(extend("format" = "label"))]
    pub namespace: Option<String>,
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}}

object! {
pub struct BackendRef {
    pub group: Option<String>,
    pub kind: Option<String>,
    pub name: String,
    #[schemars(extend("format" = "label"))]
    pub namespace: Option<String>,
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<u32>,
    #[serde(default)]
    pub filters: Vec<RouteFilter>,
}}

object! {
pub struct Timeouts {
    #[schemars(extend("format" = "duration"))]
    pub request: Option<String>,
    #[schemars(extend("format" = "duration"))]
    pub backend_request: Option<String>,
}}

object! {
pub struct Retry {
    #[serde(default)]
    #[schemars(extend("items" = {"type": "integer", "format": "uint16", "minimum": 400, "maximum": 599}))]
    pub codes: Vec<u16>,
    pub attempts: Option<u32>,
    #[schemars(extend("format" = "duration"))]
    pub backoff: Option<String>,
}}

object! {
pub struct GrpcRouteSpec {
    #[serde(default)]
    pub parent_refs: Vec<ParentReference>,
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "hostname-pattern"}))]
    pub hostnames: Vec<String>,
    #[serde(default)]
    pub rules: Vec<GrpcRule>,
    pub use_default_gateways: Option<String>,
}}

object! {
pub struct GrpcRule {
    #[schemars(extend("format" = "section-name"))]
    pub name: Option<String>,
    #[serde(default)]
    pub matches: Vec<GrpcMatch>,
    #[serde(default)]
    pub filters: Vec<RouteFilter>,
    #[serde(default)]
    pub backend_refs: Vec<BackendRef>,
    pub session_persistence: Option<serde_json::Value>,
}}

object! {
pub struct GrpcMatch {
    pub method: Option<GrpcMethodMatch>,
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
}}

object! {
pub struct GrpcMethodMatch {
    #[serde(rename = "type")]
    pub kind: Option<MatchType>,
    pub service: Option<String>,
    pub method: Option<String>,
}}

object! {
pub struct TlsRouteSpec {
    #[serde(default)]
    pub parent_refs: Vec<ParentReference>,
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "hostname-pattern"}))]
    pub hostnames: Vec<String>,
    #[serde(default)]
    pub rules: Vec<TlsRule>,
    pub use_default_gateways: Option<String>,
}}

object! {
pub struct TlsRule {
    #[schemars(extend("format" = "section-name"))]
    pub name: Option<String>,
    #[serde(default)]
    pub backend_refs: Vec<BackendRef>,
}}

object! {
pub struct BackendTlsPolicySpec {
    pub target_refs: Vec<PolicyTargetReference>,
    pub validation: BackendTlsValidation,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}}

object! {
pub struct PolicyTargetReference {
    pub group: String,
    pub kind: String,
    pub name: String,
    pub section_name: Option<String>,
}}

object! {
pub struct BackendTlsValidation {
    #[serde(default)]
    pub ca_certificate_refs: Vec<ObjectReference>,
    #[serde(rename = "wellKnownCACertificates")]
    pub well_known_ca_certificates: Option<String>,
    #[schemars(extend("format" = "hostname"))]
    pub hostname: String,
    #[serde(default)]
    pub subject_alt_names: Vec<SubjectAltName>,
}}

object! {
pub struct SubjectAltName {
    #[serde(rename = "type")]
    pub kind: SubjectAltNameType,
    pub hostname: Option<String>,
    pub uri: Option<String>,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SubjectAltNameType {
    Hostname,
    #[serde(rename = "URI")]
    Uri,
}

object! {
pub struct ReferenceGrantSpec {
    pub from: Vec<GrantFrom>,
    pub to: Vec<GrantTo>,
}}

object! {
pub struct GrantFrom {
    pub group: String,
    pub kind: String,
    pub namespace: String,
}}

object! {
pub struct GrantTo {
    pub group: String,
    pub kind: String,
    pub name: Option<String>,
}}
