//! Behind the edge: sidecars beside servers, and who may call them.

mod certs;
mod inbound;
mod operations;
mod reports;
mod streams;

use std::net::SocketAddr;

/// Whose sidecar it is.
const LLAMA: &str = "spiffe://corp.example/ns/inference/sa/llama";
/// The gateway.
const EDGE: &str = "spiffe://corp.example/ns/edge/sa/portcullis";
/// Somebody else of the same trust domain.
const STRANGER: &str = "spiffe://corp.example/ns/elsewhere/sa/stranger";

/// The gateway may infer and list models, and speaks for its callers.
const POLICY: &str = "\
apiVersion: portcullis.dev/v1alpha1
kind: WorkloadPolicy
metadata: {name: llama, namespace: inference}
spec:
  workloads: ['spiffe://corp.example/ns/inference/sa/llama']
  protocol: openai
  rules:
  - from: ['spiffe://corp.example/ns/edge/sa/portcullis']
    actions: [infer, list-models]
    relaysCallers: true
";

/// A backend whose one endpoint must prove to be somebody.
fn backend(endpoint: SocketAddr, identity: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: InferenceBackend\nmetadata: {{name: llama}}\nspec:\n  protocol: \
         openai\n  endpoints: [{{address: {}, port: {}, identity: '{identity}'}}]\n  transport: {{mtls: {{}}}}\n---\n",
        endpoint.ip(),
        endpoint.port()
    )
}
