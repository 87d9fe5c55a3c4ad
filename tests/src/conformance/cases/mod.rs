//! The tests, by what they are about. Each does what the Go function of its name does.

pub(super) mod backend_tls;
pub(super) mod gateway;
pub(super) mod generations;
pub(super) mod grpc_route;
pub(super) mod http_filters;
pub(super) mod http_matching;
pub(super) mod http_references;
pub(super) mod http_traffic;
pub(super) mod tls_route;

/// The backends of the base manifests in the infrastructure's namespace.
const V1: &str = "infra-backend-v1";
const V2: &str = "infra-backend-v2";
const V3: &str = "infra-backend-v3";
/// The Gateway that most tests use.
const SAME_NAMESPACE: &str = "same-namespace";
