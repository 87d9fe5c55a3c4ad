//! What may be said: guardrails, in and out.

mod answers;
mod guards;
mod nemo;
mod readings;
mod requests;
mod sdk;
mod streams;
mod tensors;
mod tools;
mod windows;

use portcullis_tests::harness::{Origin, Reply, Seen};

use crate::edge::{Edge, http_route, inference_backend, to_inference};

pub(super) const JSON: &str = "content-type: application/json\r\n";
pub(super) const CHAT: &str = "/v1/chat/completions";

/// A GuardrailPolicy for the one route; `spec`: the rest of it.
pub(super) fn policy(spec: &str) -> String {
    let spec: String = spec.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("  {line}\n")).collect();
    format!(
        "---
apiVersion: portcullis.dev/v1alpha1
kind: GuardrailPolicy
metadata: {{name: guards, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: all}}]
{spec}"
    )
}

/// A route for everything to one origin, under guards.
pub(super) async fn guarded(
    protocol: &str,
    spec: &str,
    reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Origin, Edge) {
    let origin = Origin::start(reply).await;
    let route = http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm")));
    let edge = Edge::start(&[inference_backend("llm", protocol, origin.address(), ""), route, policy(spec)]).await;
    (origin, edge)
}

/// The answer to a request of an API.
pub(super) async fn post(edge: &Edge, path: &str, body: &str) -> portcullis_tests::harness::Answer {
    edge.request("POST", "llm.test", path, JSON, body).await
}

/// What a guard finds in most of these tests, and what stands in its place.
pub(super) const ADDRESS: &str = "eve@corp.example";
pub(super) const MASKS: &str = "
output:
- {name: personal, pii: {kinds: [email]}, action: Mask}
- {name: names, words: [osprey], action: Block}
";
