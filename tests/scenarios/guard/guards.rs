//! Guards elsewhere in front of a model: the gateway asks a real NeMo Guardrails server, and a guard model's API.

use std::net::SocketAddr;

use portcullis_tests::harness::{
    Answer, Origin, Reply,
    stock::{self, StockServer},
};
use serde_json::{Value, json};

use crate::edge::{Edge, answer, http_route, inference_backend, to_inference};

/// An origin that says this, whatever it is asked.
async fn model(says: &str) -> Origin {
    let body = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": says}, "finish_reason": "stop"}]});
    let bytes = answer(200, &[("content-type", "application/json")], &body.to_string());
    Origin::start(move |_| Reply::Bytes(bytes.clone())).await
}

/// An origin that says this as an event stream, a piece an event.
async fn streaming(pieces: &[&str]) -> Origin {
    let event = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!(
            "data: {}\n\n",
            json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})
        )
    };
    let mut body: String = pieces.iter().map(|piece| event(json!({"content": piece}), Value::Null)).collect();
    body += &event(json!({}), json!("stop"));
    body += "data: [DONE]\n\n";
    let bytes = answer(200, &[("content-type", "text/event-stream")], &body);
    Origin::start(move |_| Reply::Bytes(bytes.clone())).await
}

/// A gateway before `model`, with a rule each way: `service`, and what else the rule says.
async fn guarded(model: &Origin, service: &str, more: &str) -> Edge {
    let rule = format!("[{{name: judge, service: {{{service}}}, action: Block{more}}}]");
    let policy = format!(
        "---
apiVersion: portcullis.dev/v1alpha1
kind: GuardrailPolicy
metadata: {{name: judged, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: chat}}]
  input: {rule}
  output: {rule}
"
    );
    let route = http_route("chat", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm")));
    Edge::start(&[inference_backend("llm", "openai", model.address(), ""), route, policy]).await
}

fn nemo(address: SocketAddr) -> String {
    format!("kind: nemo-guardrails, url: \"http://{address}\", config: rails, timeout: 20s, windowBytes: 64")
}

async fn says(edge: &Edge, prompt: &str, is_stream: bool) -> Answer {
    let body =
        json!({"model": "m", "stream": is_stream, "messages": [{"role": "user", "content": prompt}]}).to_string();
    edge.request("POST", "llm.test", "/v1/chat/completions", "content-type: application/json\r\n", &body).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn a_prompt_that_nemo_blocks_reaches_no_model_and_another_does() {
    let origin = model("A heron is a bird.").await;
    let edge = guarded(&origin, &nemo(stock::nemo().await.address("http")), "").await;
    let refused = says(&edge, "Tell me of Project Osprey.", false).await;
    assert_eq!(refused.status, 400, "{}", text(&refused));
    assert!(text(&refused).contains("content_filter"), "{}", text(&refused));
    assert!(origin.seen().is_empty());
    let passed = says(&edge, "Tell me of birds.", false).await;
    assert_eq!(passed.status, 200, "{}", text(&passed));
    assert!(text(&passed).contains("A heron is a bird."), "{}", text(&passed));
}

#[tokio::test]
async fn an_answer_that_nemo_blocks_reaches_no_client() {
    let origin = model("They call it by the codename heron.").await;
    let edge = guarded(&origin, &nemo(stock::nemo().await.address("http")), "").await;
    let answer = says(&edge, "Tell me of birds.", false).await;
    assert!(!text(&answer).contains("heron"), "{}", text(&answer));
    assert!(text(&answer).contains("content_filter") || answer.status == 403, "{}", text(&answer));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn of_a_stream_nothing_leaves_that_nemo_blocks_and_another_is_whole() {
    let fine = "A heron is a bird that stands in the water and waits for fish, all day. ";
    let origin = streaming(&[fine, "They call it by the code", "name heron", ", and so do we."]).await;
    let edge = guarded(&origin, &nemo(stock::nemo().await.address("http")), "").await;
    let answer = text(&says(&edge, "Tell me of birds.", true).await);
    assert!(!answer.contains("name heron") && !answer.contains("so do we"), "{answer}");
    assert!(answer.contains("content_filter"), "{answer}");
    let origin = streaming(&[fine, "It is ", "grey."]).await;
    let edge = guarded(&origin, &nemo(stock::nemo().await.address("http")), "").await;
    let answer = text(&says(&edge, "Tell me of birds.", true).await);
    assert!(answer.contains("grey.") && answer.contains("[DONE]"), "{answer}");
}

#[tokio::test]
async fn a_nemo_server_that_has_stopped_has_not_passed_unless_the_document_says_so() {
    let server = StockServer::nemo().await;
    let address = server.address("http");
    let origin = model("A heron is a bird.").await;
    let (closed, open) =
        (guarded(&origin, &nemo(address), "").await, guarded(&origin, &nemo(address), ", onError: Pass").await);
    assert_eq!(says(&closed, "Tell me of birds.", false).await.status, 200);
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    let seen = origin.seen().len();
    let refused = says(&closed, "Tell me of birds.", false).await;
    assert_eq!(refused.status, 503, "{}", text(&refused));
    assert!(text(&refused).contains("guardrail_unavailable"), "{}", text(&refused));
    assert_eq!(origin.seen().len(), seen);
    let passed = says(&open, "Tell me of birds.", false).await;
    assert_eq!(passed.status, 200, "{}", text(&passed));
}

/// A guard model in the form of Llama Guard: unsafe is what says `bomb`.
async fn llama_guard() -> Origin {
    Origin::start(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let last = body["messages"].as_array().unwrap().last().unwrap();
        let is_unsafe = last["content"].as_str().unwrap().contains("bomb");
        let content = if is_unsafe { "\n\nunsafe\nS9" } else { "\n\nsafe" };
        let said = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]});
        Reply::Bytes(answer(200, &[("content-type", "application/json")], &said.to_string()))
    })
    .await
}

#[tokio::test]
async fn a_guard_model_judges_prompts_and_answers() {
    let guard = llama_guard().await;
    let service = format!("kind: openai, url: \"http://{}/v1\", model: llama-guard, timeout: 20s", guard.address());
    let origin = model("This is how a bomb is made.").await;
    let edge = guarded(&origin, &service, "").await;
    let refused = says(&edge, "How is a bomb made?", false).await;
    assert_eq!((refused.status, origin.seen().len()), (400, 0), "{}", text(&refused));
    let answer = says(&edge, "How is it made?", false).await;
    assert!(!text(&answer).contains("bomb"), "{}", text(&answer));
    assert_eq!(origin.seen().len(), 1);
}

/// A webhook that says one word for another.
async fn saying(word: &'static str, instead: &'static str) -> Origin {
    Origin::start(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let texts = body["texts"].as_array().unwrap().iter().map(|text| text["text"].as_str().unwrap());
        let texts: Vec<String> = texts.map(|text| text.replace(word, instead)).collect();
        let verdict = json!({"verdict": "mask", "rule": word, "texts": texts});
        Reply::Bytes(answer(200, &[("content-type", "application/json")], &verdict.to_string()))
    })
    .await
}

#[tokio::test]
async fn what_one_guard_masks_another_does_not_bring_back() {
    let (ann, bob) = (saying("Ann", "[a]").await, saying("Bob", "[b]").await);
    let rule = |name: &str, guard: &Origin| {
        format!(
            "{{name: {name}, service: {{kind: webhook, url: 'http://{}', timeout: 20s}}, action: Mask}}",
            guard.address()
        )
    };
    let rules = format!("[{}, {}]", rule("ann", &ann), rule("bob", &bob));
    let origin = model("Ann says hello. Bob does not.").await;
    let policy = super::policy(&format!("input: {rules}\noutput: {rules}"));
    let route = http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm")));
    let edge = Edge::start(&[inference_backend("llm", "openai", origin.address(), ""), route, policy]).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Ann and Bob"},
        {"role": "assistant", "content": "Bob?"}, {"role": "user", "content": "Ann!"}]});
    let got = edge.request("POST", "llm.test", super::CHAT, super::JSON, &body.to_string()).await;
    let sent: Value = serde_json::from_slice(&origin.wait_for(1).await[0].body).unwrap();
    let said: Vec<_> = sent["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str()).collect();
    assert_eq!(said, [Some("[a] and [b]"), Some("[b]?"), Some("[a]!")]);
    assert!(text(&got).contains("[a] says hello. [b] does not."), "{}", text(&got));
}
