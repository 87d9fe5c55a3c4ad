//! What tests in this crate share: documents of one open Gateway, and what documents mean.

use crate::{Snapshot, check::check_sources, documents::Sources};

/// A Gateway `edge` with one plain listener, open to everyone.
pub(crate) const OPEN_GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: portcullis}
spec: {controllerName: portcullis.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {}}
---
";

/// What these documents mean, in which nothing is wrong.
pub(crate) fn snapshot(documents: &str) -> Snapshot {
    let report = check_sources(&Sources::of_text("test.yaml", documents));
    assert!(report.is_clean(), "{:#?}", report.diagnostics);
    report.snapshot
}
