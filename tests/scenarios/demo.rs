//! The simulated inference server, and `portcullis demo`.

use portcullis_tests::harness::{Documents, Gateway, Options, RawClient, simulated_backend, simulator};
use serde_json::{Value, json};

/// A request with a body of JSON.
fn post(path: &str, body: &Value, headers: &str) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: llm.example\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The JSON of every event.
fn data(text: &str) -> Vec<Value> {
    let events = text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    events.filter(|event| *event != "[DONE]").map(|event| serde_json::from_str(event).unwrap()).collect()
}

/// What the first choice of a streamed chat says.
fn said(text: &str) -> String {
    data(text).iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn chat(model: &str, said: &str, more: &Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": said}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_chat_says_what_it_is_told_to_streamed_or_not() {
    let server = simulator(&["m"]).await;
    let mut client = RawClient::connect(server.address()).await;
    let whole = client.exchange(post("/v1/chat/completions", &chat("m", "say: Hello, world!", &json!({})), "")).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello, world!");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = client.exchange(post("/v1/chat/completions", &chat("m", "say: Hello, world!", &more), "")).await;
    assert!(streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());
    assert_eq!(said(&streamed.text()), "Hello, world!");
    let last = data(&streamed.text()).pop().unwrap();
    assert_eq!(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
}

#[tokio::test]
async fn a_model_that_is_not_served_is_refused() {
    let server = simulator(&["m"]).await;
    let mut client = RawClient::connect(server.address()).await;
    let answer = client.exchange(post("/v1/chat/completions", &chat("other", "hi", &json!({})), "")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("`other`"), "{}", answer.text());
}

#[tokio::test]
async fn a_chat_streams_through_the_gateway() {
    let server = simulator(&["m"]).await;
    let documents =
        Documents::new().with("edge.yaml", EDGE).with("m.yaml", simulated_backend("default", "m", "openai", &server));
    let gateway = Gateway::start(&documents, Options::default()).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    let answer =
        client.exchange(post("/v1/chat/completions", &chat("m", "say: through", &json!({"stream": true})), "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(said(&answer.text()), "through");
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    assert_eq!(server.requests(), 1);
}

/// A gateway without TLS that sends everything to the backend `m`.
const EDGE: &str = r"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: m}]
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: everyone, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: all}]
  authentication: {anonymous: {}}
";
