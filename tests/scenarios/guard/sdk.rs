//! Stock clients that read masked and blocked answers as they read any other.

use portcullis_tests::harness::simulator;

use super::policy;
use crate::stock::{HttpsEdge, inference_backend, route};

const RULES: &str = "
input:
- {name: birds, words: [heron], action: Block}
output:
- {name: personal, pii: {kinds: [email]}, action: Mask}
- {name: names, words: [osprey], action: Block}
";

#[tokio::test]
async fn stock_clients_read_masked_and_blocked_answers_without_errors() {
    let simulated = simulator(&["simulated"]).await;
    let ports = [(simulated.address().port(), None)];
    let everything = policy(RULES).replace("kind: HTTPRoute, name: all", "kind: Gateway, name: edge");
    HttpsEdge::start(&[
        inference_backend("openai", "openai", &ports),
        inference_backend("anthropic", "anthropic", &ports),
        inference_backend("tensors", "kserve-v2", &ports),
        route("openai", &["/v1"]),
        route("anthropic", &["/v1/messages"]),
        route("tensors", &["/v2", "/inference.GRPCInferenceService"]),
        everything,
    ])
    .await
    .python("guarded.py")
    .await;
}
