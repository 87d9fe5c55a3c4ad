//! `AccessPolicy`, `Role`, `RoleBinding`: who may do what, where and with what. And `PolicyTest`, which shows it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{super::gateway_api::PolicyTargetReference, Empty, Metadata, object};

object! {
/// Who must be known to come in.
pub struct AccessPolicySpec {
    /// A Gateway, HTTPRoute, GRPCRoute or TLSRoute of the same namespace.
    #[schemars(length(min = 1))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// How callers are known.
    pub authentication: Authentication,
    /// What callers who are known need; roles when not said.
    pub authorization: Option<Authorization>,
    /// What a backend is told of the caller; nothing when not said.
    pub upstream: Option<Upstream>,
    /// The routes as an OAuth 2 resource (RFC 9728).
    pub resource: Option<ProtectedResource>,
}}

object! {
/// Exactly one of `providers` and `anonymous`.
pub struct Authentication {
    /// IdentityProviders, any of which may know the caller.
    #[serde(default)]
    pub providers: Vec<String>,
    /// Anyone.
    pub anonymous: Option<AnonymousAccess>,
}}

object! {
/// Anyone may do anything but administer inference servers, unless `actions` says what.
pub struct AnonymousAccess {
    /// What anyone may do; `*` is everything, administration included.
    #[serde(default)]
    pub actions: Vec<String>,
}}

object! {
/// What callers who are known need: exactly one.
#[schemars(extend("oneOf" = [{"required": ["roles"]}, {"required": ["authenticated"]}]))]
pub struct Authorization {
    /// A role that allows it.
    pub roles: Option<Empty>,
    /// Nothing more: whoever is known may do everything, but for what a role denies.
    pub authenticated: Option<Empty>,
}}

object! {
/// What a backend is told of the caller: exactly one.
#[schemars(extend("oneOf" = [{"required": ["nothing"]}, {"required": ["jwt"]}, {"required": ["headers"]}, {"required": ["credential"]}]))]
pub struct Upstream {
    /// Nothing.
    pub nothing: Option<Empty>,
    /// A short-lived JWT that the gateway signs.
    pub jwt: Option<UpstreamJwt>,
    /// Headers. Only where the backend can be reached by nobody else.
    pub headers: Option<UpstreamHeaders>,
    /// The caller's own credential. Whoever runs the backend can use it elsewhere.
    pub credential: Option<Empty>,
}}

object! {
/// A JWT that the gateway signs (EdDSA). Its keys are on the admin page `/jwks`.
pub struct UpstreamJwt {
    /// Who it is for.
    pub audience: String,
    /// How long it is good for; 60 s when not said, 10 min at most.
    #[schemars(extend("format" = "duration"))]
    pub lifetime: Option<String>,
    /// The header that carries it; `authorization` (as `Bearer`) when not said.
    #[schemars(extend("format" = "header-name"))]
    pub header: Option<String>,
}}

object! {
/// Headers that name the caller. What a client sends under these names is dropped.
pub struct UpstreamHeaders {
    /// The header with the caller's name.
    #[schemars(extend("format" = "header-name"))]
    pub user: Option<String>,
    /// The header with the groups, separated by commas.
    #[schemars(extend("format" = "header-name"))]
    pub groups: Option<String>,
    /// The header with the provider's name.
    #[schemars(extend("format" = "header-name"))]
    pub provider: Option<String>,
}}

object! {
/// An OAuth 2 resource (RFC 9728): clients are told where to get a credential.
pub struct ProtectedResource {
    /// Its URL as clients know it.
    #[schemars(extend("format" = "https-url"))]
    pub url: String,
    /// Scopes that clients may ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
}}

/// What may be done, where and with what. The words are Kubernetes RBAC's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the shape of every document")]
pub struct Role {
    pub api_version: String,
    pub kind: String,
    pub metadata: Metadata,
    /// Each allows or denies.
    pub rules: Vec<RoleRule>,
}

object! {
/// One rule of a role.
pub struct RoleRule {
    /// `Allow` when not said; `Deny` wins over every `Allow`.
    pub effect: Option<Effect>,
    /// Names of routes, or `*`.
    #[schemars(length(min = 1))]
    pub routes: Vec<String>,
    /// Actions, or `*`.
    #[schemars(length(min = 1))]
    pub actions: Vec<String>,
    /// Names of models, with `*` for any characters; every model, and what is about none, when not said.
    #[serde(default)]
    pub models: Vec<String>,
    /// Names of tools, with `*` for any characters.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Further conditions, all of which must hold.
    #[serde(default)]
    pub when: Vec<Condition>,
}}

object! {
/// One condition: exactly one of `header`, `claim`, `scope`, `source`.
#[schemars(extend("oneOf" = [{"required": ["header"]}, {"required": ["claim"]}, {"required": ["scope"]}, {"required": ["source"]}]))]
pub struct Condition {
    /// A header of the request. `Allow`: it is there, and each of its values is among `values`. `Deny`: one of them is.
    #[schemars(extend("format" = "header-name"))]
    pub header: Option<String>,
    /// A claim of the credential: it is, or contains, one of `values`. A dot leads into an object.
    pub claim: Option<String>,
    /// A scope that the credential has.
    pub scope: Option<String>,
    /// Networks (CIDR), one of which the caller comes from.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub source: Vec<String>,
    /// For `header` and `claim`.
    #[serde(default)]
    pub values: Vec<String>,
}}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Effect {
    Allow,
    Deny,
}

/// Who has a role.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the shape of every document")]
pub struct RoleBinding {
    pub api_version: String,
    pub kind: String,
    pub metadata: Metadata,
    /// Users, groups, workloads.
    #[schemars(length(min = 1))]
    pub subjects: Vec<Subject>,
    /// The role.
    pub role_ref: RoleReference,
}

object! {
/// A user, a group or a workload.
pub struct Subject {
    /// Which of them.
    pub kind: SubjectKind,
    /// Its name; a workload's may have `*` in its path, for any characters.
    pub name: String,
    /// The IdentityProvider that says so. Users and groups need one: two providers may know two people by one name.
    pub provider: Option<String>,
}}

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the words say it")]
pub enum SubjectKind {
    User,
    Group,
    Workload,
}

object! {
/// A role of the same namespace.
pub struct RoleReference {
    /// `Role`.
    pub kind: String,
    /// Its name.
    pub name: String,
}}

/// Tests of policies, beside the policies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the shape of every document")]
pub struct PolicyTest {
    pub api_version: String,
    pub kind: String,
    pub metadata: Metadata,
    /// Each a request, and what must become of it.
    pub cases: Vec<PolicyCase>,
}

object! {
/// One case.
pub struct PolicyCase {
    /// Who asks.
    pub given: Given,
    /// For what.
    pub request: CaseRequest,
    /// What must become of it.
    pub expect: Expectation,
}}

object! {
/// Who asks.
pub struct Given {
    /// A user.
    pub user: Option<String>,
    /// The user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Who says so.
    pub provider: Option<String>,
    /// A workload.
    #[schemars(extend("format" = "spiffe-id"))]
    pub workload: Option<String>,
    /// The scopes of the credential.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The claims of the credential.
    #[serde(default)]
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The address it comes from.
    #[schemars(extend("format" = "ip"))]
    pub source: Option<String>,
    /// Nobody.
    pub anonymous: Option<bool>,
}}

object! {
/// For what.
pub struct CaseRequest {
    /// The host.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The model.
    pub model: Option<String>,
    /// Headers.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// What the user says; it goes through the guardrails of the input.
    pub say: Option<String>,
    /// The whole body, instead of `say`: an object as JSON, a text as it stands.
    pub body: Option<serde_json::Value>,
    /// What the backend answers, as a text (which is cut in every way) or whole (`{body: …}`), for the guardrails of the output.
    pub answer: Option<CaseAnswer>,
    /// The event stream that it answers, as it was recorded, instead of `answer`.
    pub stream: Option<RecordedStream>,
}}

/// What the backend of a case answers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(transform = text_or_body)]
pub enum CaseAnswer {
    /// One text.
    Text(String),
    /// All of it.
    Whole(WholeAnswer),
}

/// One schema of two types, rather than a choice of two schemas.
fn text_or_body(schema: &mut schemars::Schema) {
    *schema = schemars::json_schema!({
        "type": ["string", "object"],
        "required": ["body"],
        "additionalProperties": false,
        "properties": {
            "body": {"description": "The body: an object as JSON, a text as it stands."},
            "contentType": {"description": "What it is; `application/json` if not said.", "type": "string"},
        },
    });
}

object! {
/// All of an answer.
pub struct WholeAnswer {
    /// The body: an object as JSON, a text as it stands.
    pub body: serde_json::Value,
    /// What it is; `application/json` if not said.
    pub content_type: Option<String>,
}}

object! {
/// An event stream as a server sends it: exactly one.
#[schemars(extend("oneOf" = [{"required": ["file"]}, {"required": ["events"]}]))]
pub struct RecordedStream {
    /// A file; a relative path begins where this document's file is.
    pub file: Option<String>,
    /// The stream itself.
    pub events: Option<String>,
}}

object! {
/// What must become of it.
pub struct Expectation {
    /// `Allow` or `Deny`.
    pub decision: Effect,
    /// The document that decides.
    pub rule: Option<String>,
    /// The backend that is chosen.
    pub backend: Option<String>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The guardrail that says no; where the answer is `Allow`, one that finds something.
    pub guardrail: Option<String>,
    /// The gravest of what guardrails do, as clients are told it.
    pub verdict: Option<CaseVerdict>,
    /// What comes out, of the answer if there is one, holds each of these.
    #[serde(default)]
    pub says: Vec<String>,
    /// And none of these.
    #[serde(default)]
    pub never_says: Vec<String>,
}}

/// What guardrails do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum CaseVerdict {
    Pass,
    Flag,
    Mask,
    Block,
}
