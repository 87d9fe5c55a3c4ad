//! The kinds of documents, as Rust types: what deserializes, validates and documents itself.

pub mod core;
pub mod gateway_api;
pub mod ours;

use std::{collections::BTreeMap, sync::OnceLock};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Deserialize;
use serde_json::Value;

/// Labels and annotations.
pub type Labels = BTreeMap<String, String>;

/// What every document says of itself. Clusters add more, which is passed over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend(
    "additionalProperties" = false,
    "x-passed-over" = [
        "uid", "resourceVersion", "generateName", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
        "ownerReferences", "finalizers", "managedFields"
    ]
))]
pub struct Metadata {
    /// Unique among its kind in its namespace.
    #[schemars(extend("format" = "object-name"))]
    pub name: String,
    /// `default` when not said.
    #[schemars(extend("format" = "label"))]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(default)]
    pub labels: Labels,
    /// Annotations.
    #[serde(default)]
    pub annotations: Labels,
    /// When a cluster made it, RFC 3339.
    pub creation_timestamp: Option<String>,
    /// Counts changes, in a cluster.
    pub generation: Option<i64>,
}

macro_rules! kinds {
    ($($variant:ident($type:ty): $group:literal, [$($version:literal),+], $kind:literal;)+) => {
        /// One document, typed.
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "the kinds' own names")]
        pub enum Kind { $($variant(Box<$type>),)+ }

        /// What is known of a kind.
        #[derive(Debug)]
        pub struct KindInfo {
            /// Its API group; empty for the core group.
            pub group: &'static str,
            /// The versions that are read.
            pub versions: &'static [&'static str],
            /// Its name.
            pub kind: &'static str,
            /// Its JSON Schema.
            pub schema: fn() -> &'static Value,
            /// Reads it from its JSON form.
            pub read: fn(Value) -> serde_json::Result<Kind>,
        }

        /// Every kind that is read.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            group: $group,
            versions: &[$($version),+],
            kind: $kind,
            schema: || {
                static SCHEMA: OnceLock<Value> = OnceLock::new();
                SCHEMA.get_or_init(schema_of::<$type>)
            },
            read: |value| serde_json::from_value(value).map(|read| Kind::$variant(Box::new(read))),
        },)+];

        impl Kind {
            /// What it says of itself.
            pub fn metadata(&self) -> &Metadata {
                match self { $(Kind::$variant(document) => &document.metadata,)+ }
            }
        }
    };
}

/// The Gateway API's group.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// Our group.
pub const OUR_GROUP: &str = "portcullis.dev";

kinds! {
    GatewayClass(gateway_api::GatewayClass): "gateway.networking.k8s.io", ["v1", "v1beta1"], "GatewayClass";
    Gateway(gateway_api::Gateway): "gateway.networking.k8s.io", ["v1", "v1beta1"], "Gateway";
    ListenerSet(gateway_api::ListenerSet): "gateway.networking.k8s.io", ["v1"], "ListenerSet";
    HttpRoute(gateway_api::HttpRoute): "gateway.networking.k8s.io", ["v1", "v1beta1"], "HTTPRoute";
    GrpcRoute(gateway_api::GrpcRoute): "gateway.networking.k8s.io", ["v1"], "GRPCRoute";
    TlsRoute(gateway_api::TlsRoute): "gateway.networking.k8s.io", ["v1", "v1alpha3", "v1alpha2"], "TLSRoute";
    BackendTlsPolicy(gateway_api::BackendTlsPolicy): "gateway.networking.k8s.io", ["v1", "v1alpha3"], "BackendTLSPolicy";
    ReferenceGrant(gateway_api::ReferenceGrant): "gateway.networking.k8s.io", ["v1", "v1beta1"], "ReferenceGrant";
    Namespace(core::Namespace): "", ["v1"], "Namespace";
    Secret(core::Secret): "", ["v1"], "Secret";
    ConfigMap(core::ConfigMap): "", ["v1"], "ConfigMap";
    Service(core::Service): "", ["v1"], "Service";
    EndpointSlice(core::EndpointSlice): "discovery.k8s.io", ["v1"], "EndpointSlice";
    InferencePool(core::InferencePool): "inference.networking.k8s.io", ["v1"], "InferencePool";
    InferenceBackend(ours::InferenceBackend): "portcullis.dev", ["v1alpha1"], "InferenceBackend";
    Certificate(ours::Certificate): "portcullis.dev", ["v1alpha1"], "Certificate";
    IdentityProvider(ours::IdentityProvider): "portcullis.dev", ["v1alpha1"], "IdentityProvider";
    AccessPolicy(ours::AccessPolicy): "portcullis.dev", ["v1alpha1"], "AccessPolicy";
    Role(ours::Role): "portcullis.dev", ["v1alpha1"], "Role";
    RoleBinding(ours::RoleBinding): "portcullis.dev", ["v1alpha1"], "RoleBinding";
    GuardrailPolicy(ours::GuardrailPolicy): "portcullis.dev", ["v1alpha1"], "GuardrailPolicy";
    AuditSink(ours::AuditSink): "portcullis.dev", ["v1alpha1"], "AuditSink";
    PolicyTest(ours::PolicyTest): "portcullis.dev", ["v1alpha1"], "PolicyTest";
    TransportPolicy(ours::TransportPolicy): "portcullis.dev", ["v1alpha1"], "TransportPolicy";
    WorkloadPolicy(ours::WorkloadPolicy): "portcullis.dev", ["v1alpha1"], "WorkloadPolicy";
}

/// `group/version`; the core group has no name.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Schemas without references: what a walker and a cluster want to see.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
