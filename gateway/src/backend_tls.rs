//! TLS towards backends, as BackendTLSPolicies say.

use portcullis_mesh::connections::TargetTls;
use portcullis_policy::snapshot::{BackendTls, UpstreamHttp};

/// Why TLS towards a backend cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackendTlsError(String);

/// The settings of one backend.
pub fn target_tls(_settings: &BackendTls, _http: UpstreamHttp) -> Result<TargetTls, BackendTlsError> {
    Err(BackendTlsError("not yet".into()))
}
