//! `WorkloadPolicy`: who may call a workload behind the edge, and for what. Its sidecar enforces it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{super::gateway_api::object, Effect, Protocol};

object! {
/// Who may call some workloads, and for what. What no rule allows is refused.
pub struct WorkloadPolicySpec {
    /// SPIFFE IDs of the workloads whose sidecars enforce it; `*` in a path stands for any characters.
    #[schemars(length(min = 1))]
    pub workloads: Vec<String>,
    /// What the workloads speak; without it every request is `access`, and none is `infer`.
    pub protocol: Option<Protocol>,
    /// Each allows or denies.
    #[schemars(length(min = 1))]
    pub rules: Vec<WorkloadRule>,
}}

object! {
/// One rule. What is not said is not asked, but for `from` and `actions`.
pub struct WorkloadRule {
    /// `Allow` when not said; `Deny` wins over every `Allow`.
    pub effect: Option<Effect>,
    /// SPIFFE IDs of callers; `*` in a path stands for any characters.
    #[schemars(length(min = 1))]
    pub from: Vec<String>,
    /// Ports of the sidecar; every one when not said.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Methods; every one when not said.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Canonical paths, with `*` for any characters; every one when not said.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Actions, or `*`.
    #[schemars(length(min = 1))]
    pub actions: Vec<String>,
    /// Whether these callers may say for whom they call (`x-forwarded-…`, `x-portcullis-…`), as a gateway does; what others
    /// say of that is dropped.
    #[serde(default)]
    pub relays_callers: bool,
    /// Names of models, with `*` for any characters; every model, and what is about none, when not said.
    #[serde(default)]
    pub models: Vec<String>,
}}
