//! Refusals speak the client's dialect, and say what every answer says.

use portcullis_tests::harness::Answer;
use serde_json::Value;

use crate::edge::{Edge, http_route, inference_backend, named, to_inference};

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

async fn edge() -> Edge {
    let gone = named("gone").await;
    let address = gone.address();
    drop(gone);
    let rule =
        |path: &str| format!("- matches: [{{path: {{value: {path}}}}}]\n  backendRefs: [{}]\n", to_inference("gone"));
    let rules: String = ["/v1/chat", "/v1/responses", "/v1/messages", "/v2/models", "/other"].map(rule).concat();
    Edge::start(&[inference_backend("gone", "openai", address, ""), http_route("some", &format!("rules:\n{rules}"))])
        .await
}

/// Checks one refusal in one dialect.
fn check(path: &str, status: u16, code: &str, answer: &Answer) {
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    let id = answer.header("x-request-id").expect("a name");
    assert_eq!(answer.header("retry-after").is_some(), status == 503, "{path}: {answer:?}");
    let body = json(answer);
    let content_type = answer.header("content-type");
    match path.split('/').nth(2) {
        Some("messages") => {
            assert_eq!(content_type, Some("application/json"));
            assert_eq!(body["type"], "error");
            assert_eq!(body["request_id"], id);
            assert_eq!(answer.header("request-id"), Some(id));
            let kind = match status {
                400 => "invalid_request_error",
                404 => "not_found_error",
                _ => "overloaded_error",
            };
            assert_eq!(body["error"]["type"], kind);
            assert!(body["error"]["message"].is_string());
        }
        Some("models") => {
            assert_eq!(content_type, Some("application/json"));
            assert!(body["error"].is_string(), "{body}");
        }
        _ if path.starts_with("/v1/") => {
            assert_eq!(content_type, Some("application/json"));
            let error = &body["error"];
            assert_eq!(error["code"], code);
            assert_eq!(error["type"], if status == 503 { "server_error" } else { "invalid_request_error" });
            assert!(error["message"].is_string() && error["param"].is_null(), "{body}");
        }
        _ => {
            assert_eq!(content_type, Some("application/problem+json"));
            assert_eq!(
                (&body["status"], &body["code"], &body["request_id"]),
                (&status.into(), &code.into(), &id.into())
            );
        }
    }
}

#[tokio::test]
async fn every_dialect_hears_of_a_refusal_in_its_own_words() {
    let edge = edge().await;
    for (path, elsewhere) in [
        ("/v1/chat/completions", "/v1/nothing"),
        ("/v1/responses", "/v1/nothing"),
        ("/v1/messages", "/v1/messages_"),
        ("/v2/models/m/infer", "/v2/models-not"),
        ("/other", "/nothing"),
    ] {
        let ask = async |path: &str, body: &str| {
            edge.request("POST", "llm.test", path, "content-type: application/json\r\n", body).await
        };
        check(path, 503, "upstream_unreachable", &ask(path, r#"{"model":"m"}"#).await);
        if !path.starts_with("/v2") {
            check(path, 400, "duplicate_model", &ask(path, r#"{"model":"m","model":"n"}"#).await);
        }
        let missing = ask(elsewhere, "{}").await;
        assert_eq!(missing.status, 404, "{elsewhere}");
    }
    check("/v1/nothing", 404, "route_not_found", &edge.get("llm.test", "/v1/nothing", "").await);
    check("/nothing", 404, "route_not_found", &edge.get("llm.test", "/nothing", "").await);
    // A HEAD request is told the same without the body.
    let mut client = edge.client().await;
    client.send(crate::edge::request("HEAD", "llm.test", "/nothing", "", "")).await;
    let head = client.answer_to_head().await;
    assert!(head.status == 404 && head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
    client.send(crate::edge::request("HEAD", "llm.test", "/nothing", "", "")).await;
    assert_eq!(client.answer_to_head().await.status, 404);
}

/// What a stranger wrote is not repeated to whoever reads the answer.
#[tokio::test]
async fn refusals_repeat_nothing_that_was_sent() {
    let edge = edge().await;
    for path in ["/v1/<script>", "/other?<script>", "/v1/chat/%3Cscript%3E"] {
        let got = edge
            .request(
                "POST",
                "llm.test",
                path,
                "content-type: application/json\r\n",
                r#"{"model":"<script>","model":1}"#,
            )
            .await;
        assert!(got.status >= 400);
        assert!(!got.text().contains("script"), "{}", got.text());
    }
}
