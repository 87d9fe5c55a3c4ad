//! Ten thousand routes are ordinary: how long they take to read. `cargo test --release -p portcullis-policy --test many -- --ignored --nocapture`.
#![expect(clippy::print_stdout, reason = "a measurement")]

use std::{fmt::Write as _, time::Instant};

use portcullis_policy::{
    compile::compile,
    documents::{Sources, parse},
};

const ROUTES: usize = 10_000;

fn routes() -> String {
    let mut text = String::from(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: ai}
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open, namespace: ai}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {}}
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {name: chat, namespace: ai}
spec:
  protocol: openai
  endpoints: [{address: 10.0.0.7, port: 8000}]
  transport: {plaintext: {}}
",
    );
    for index in 0..ROUTES {
        let _ = write!(
            text,
            "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: route-{index}
  namespace: ai
spec:
  parentRefs:
  - name: edge
  hostnames:
  - team-{index}.llm.example
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /v1}}
      headers:
      - name: x-tenant
        value: team-{index}
    backendRefs:
    - group: portcullis.dev
      kind: InferenceBackend
      name: chat
"
        );
    }
    text
}

#[test]
#[ignore = "a measurement, for release builds"]
fn ten_thousand_routes_are_read_in_a_moment() {
    let sources = Sources::of_text("routes.yaml", &routes());
    let mut started = Instant::now();
    let mut lap = |what: &str| {
        println!("{what}: {:?}", started.elapsed());
        started = Instant::now();
    };
    let (documents, diagnostics) = parse(&sources);
    lap("parse");
    assert!(diagnostics.is_empty());
    assert_eq!(documents.len(), ROUTES + 3);
    let compiled = compile(&documents);
    lap("compile");
    assert!(compiled.diagnostics.is_empty());
}
