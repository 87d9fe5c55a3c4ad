//! Where a rule sends what it matched: shares by weight, and what is answered where it leads nowhere.

use std::collections::BTreeMap;

use portcullis_tests::harness::{Gateway, Options};

use crate::edge::{Edge, http_route, inference_backend, named, request, service, to_inference, together};

/// How many requests a share is measured with: 2,000 draws of a 0.25 share stay within 0.04 of it, five deviations.
const DRAWS: usize = 2000;

#[tokio::test]
async fn weights_are_shares() {
    let (a, b, never) = (named("a").await, named("b").await, named("never").await);
    let documents = [
        service("a", a.address()),
        service("b", b.address()),
        service("never", never.address()),
        http_route(
            "weights",
            "rules:
- backendRefs:
  - {name: a, port: 80, weight: 3}
  - {name: never, port: 80, weight: 0}
  - {name: b, port: 80, weight: 1}",
        ),
    ];
    let edge = Edge::start(&documents).await;
    let mut client = edge.client().await;
    let mut counts = BTreeMap::<String, usize>::new();
    for _ in 0..DRAWS {
        let answer = client.exchange(request("GET", "x.test", "/", "", "")).await;
        assert_eq!(answer.status, 200);
        *counts.entry(answer.text()).or_default() += 1;
    }
    let share = |name: &str| counts.get(name).copied().unwrap_or(0) as f64 / DRAWS as f64;
    assert!((share("a") - 0.75).abs() < 0.05 && (share("b") - 0.25).abs() < 0.05, "{counts:?}");
    assert_eq!(never.connections(), 0, "a weight of 0 is no share");
}

#[tokio::test]
async fn a_rule_without_backends_answers_500() {
    let origin = named("a").await;
    let documents = [
        service("a", origin.address()),
        http_route(
            "nowhere",
            "rules:
- matches: [{path: {value: /none}}]
- matches: [{path: {value: /zero}}]
  backendRefs: [{name: a, port: 80, weight: 0}]
- matches: [{path: {value: /some}}]
  backendRefs: [{name: a, port: 80}]",
        ),
    ];
    let edge = Edge::start(&documents).await;
    assert_eq!(edge.get("x.test", "/none", "").await.status, 500);
    assert_eq!(edge.get("x.test", "/zero", "").await.status, 500);
    assert_eq!(edge.get("x.test", "/some", "").await.status, 200);
    assert_eq!(origin.seen().len(), 1);
}

/// A mistake is refused when documents are loaded; who runs as a controller does, gets 500 for that share alone.
#[tokio::test]
async fn a_reference_that_leads_nowhere_is_refused_or_served_as_500() {
    let origin = named("a").await;
    let documents = [
        service("a", origin.address()),
        http_route(
            "missing",
            "rules:
- matches: [{path: {value: /missing}}]
  backendRefs: [{name: missing, port: 80}]
- matches: [{path: {value: /port}}]
  backendRefs: [{name: a, port: 81}]
- matches: [{path: {value: /kind}}]
  backendRefs: [{group: example.com, kind: Thing, name: a}]
- matches: [{path: {value: /namespace}}]
  backendRefs: [{name: a, namespace: elsewhere, port: 80}]
- matches: [{path: {value: /half}}]
  backendRefs: [{name: missing, port: 80}, {name: a, port: 80}]
- matches: [{path: {value: /unused}}]
  backendRefs: [{name: missing, port: 80, weight: 0}, {name: a, port: 80}]",
        ),
    ];
    let refused = Gateway::try_start(&together(&documents), Options::default()).await.expect_err("a mistake");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("missing"), "{}", refused.stderr);

    let options = Options { serve_unresolved: true, ..Options::default() };
    let edge = Edge::start_with(&documents, options).await;
    for path in ["/missing", "/port", "/kind", "/namespace"] {
        let answer = edge.get("x.test", path, "").await;
        assert_eq!(answer.status, 500, "{path}: {}", answer.text());
        assert!(!answer.text().contains("missing"), "callers are not told names: {}", answer.text());
    }
    assert_eq!(edge.get("x.test", "/unused", "").await.status, 200);
    let mut client = edge.client().await;
    let (mut good, mut bad) = (0, 0);
    for _ in 0..100 {
        match client.exchange(request("GET", "x.test", "/half", "", "")).await.status {
            200 => good += 1,
            500 => bad += 1,
            other => panic!("{other}"),
        }
    }
    assert!(good > 20 && bad > 20, "half of each, not {good} and {bad}");
}

#[tokio::test]
async fn a_backend_without_a_usable_endpoint_answers_503() {
    let closed = named("closed").await;
    let address = closed.address();
    drop(closed);
    let empty =
        service("empty", address).replace(&format!("endpoints: [{{addresses: [{}]}}]", address.ip()), "endpoints: []");
    let not_ready = service("waiting", address)
        .replace("addresses: [127.0.0.1]", "addresses: [127.0.0.1], conditions: {ready: false}");
    assert!(not_ready.contains("ready: false") && empty.contains("endpoints: []"));
    let documents = [
        empty,
        not_ready,
        service("closed", address),
        inference_backend("dead", "openai", address, ""),
        http_route(
            "unavailable",
            &format!(
                "rules:
- matches: [{{path: {{value: /empty}}}}]
  backendRefs: [{{name: empty, port: 80}}]
- matches: [{{path: {{value: /waiting}}}}]
  backendRefs: [{{name: waiting, port: 80}}]
- matches: [{{path: {{value: /closed}}}}]
  backendRefs: [{{name: closed, port: 80}}]
- matches: [{{path: {{value: /v1}}}}]
  backendRefs: [{}]",
                to_inference("dead")
            ),
        ),
    ];
    let edge = Edge::start(&documents).await;
    for path in ["/empty", "/waiting", "/closed", "/v1/models"] {
        let answer = edge.get("x.test", path, "").await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok_and(|after| after > 0)));
        assert!(answer.header("x-request-id").is_some());
        assert!(!answer.text().contains(&address.port().to_string()), "callers are not told addresses");
    }
}
