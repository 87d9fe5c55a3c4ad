//! Answers that are there whole.

use portcullis_tests::harness::Reply;
use serde_json::{Value, json};

use super::{ADDRESS, CHAT, MASKS, guarded, post};
use crate::edge::answer;

fn json_answer(status: u16, body: &str) -> Reply {
    Reply::Bytes(answer(status, &[("content-type", "application/json"), ("etag", "\"1\"")], body))
}

const ASK: &str = r#"{"model": "m", "messages": []}"#;

#[tokio::test]
async fn every_text_of_an_answer_is_masked_and_the_rest_stays_as_it_was() {
    let said = format!("write to {ADDRESS} now");
    let cases: [(&str, &str, Value); 7] = [
        (
            "openai",
            CHAT,
            json!({"choices": [
                {"index": 0, "message": {"role": "assistant", "content": "nothing"}},
                {"index": 1, "message": {"content": said, "reasoning_content": said, "refusal": said,
                    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": format!("{{\"to\": \"{ADDRESS}\"}}")}}]}}]}),
        ),
        ("openai", "/v1/completions", json!({"choices": [{"text": said}]})),
        (
            "openai",
            "/v1/responses",
            json!({"object": "response", "output": [{"type": "message", "content": [{"type": "output_text", "text": said}]}]}),
        ),
        (
            "anthropic",
            "/v1/messages",
            json!({"type": "message", "content": [{"type": "thinking", "thinking": said}, {"type": "text", "text": said},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"to": [ADDRESS]}}]}),
        ),
        (
            "kserve-v2",
            "/v2/models/m/infer",
            json!({"outputs": [{"name": "o", "datatype": "BYTES", "shape": [1], "data": [said]}], "parameters": {"p": said}}),
        ),
        ("openai", "/v1/nobody/knows", json!({"deep": [[{"text": said}]], "note": said})),
        ("openai", CHAT, json!({"error": {"message": said, "type": "invalid_request_error"}})),
    ];
    for (protocol, path, body) in cases {
        let sent = body.to_string();
        let (_origin, edge) = guarded(protocol, MASKS, move |_| json_answer(200, &sent)).await;
        let got = post(&edge, path, ASK).await;
        assert_eq!(got.status, 200, "{path}: {got:?}");
        assert_eq!(got.header("etag"), None, "it is another body");
        let text = got.text();
        assert!(!text.contains("eve@"), "{path}: {text}");
        let expected = body.to_string().replace(ADDRESS, "[personal]");
        assert_eq!(text, expected, "{path}");
    }
}

/// What servers tell of tokens says the text once more: whole, and event by event.
#[tokio::test]
async fn what_is_told_of_tokens_of_what_is_masked_never_leaves() {
    let chat = |text: &str, tokens: &[&str], member: &str| {
        let told: Vec<_> = tokens
            .iter()
            .map(|token| json!({"token": token, "logprob": -1, "bytes": token.as_bytes(), "top_logprobs": []}))
            .collect();
        json!({"choices": [{"index": 0, member: {"content": text}, "logprobs": {"content": told}}]})
    };
    let completion = |text: &str, tokens: &[&str]| {
        let top: Vec<_> = tokens.iter().map(|token| json!({*token: -1.0})).collect();
        json!({"choices": [{"index": 0, "text": text, "logprobs": {"tokens": tokens, "top_logprobs": top}}]})
    };
    let said = format!("Write to {ADDRESS} today.");
    let tokens = ["Write", " to", " eve", "@corp", ".example", " today."];
    for (path, body) in [(CHAT, chat(&said, &tokens, "message")), ("/v1/completions", completion(&said, &tokens))] {
        let sent = body.to_string();
        let (_origin, edge) = guarded("openai", MASKS, move |_| json_answer(200, &sent)).await;
        let got = post(&edge, path, ASK).await.text();
        assert!(!got.contains("eve") && !got.contains("@corp") && !got.contains("101,118,101"), "{path}: {got}");
        assert!(got.contains("Write to [personal] today.") && got.contains(r#"" today.""#), "{path}: {got}");
    }
    for (path, events) in [
        (CHAT, tokens.map(|token| chat(token, &[token], "delta"))),
        ("/v1/completions", tokens.map(|token| completion(token, &[token]))),
    ] {
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let bytes = answer(200, &[("content-type", "text/event-stream")], &format!("{body}data: [DONE]\n\n"));
        let (_origin, edge) = guarded("openai", MASKS, move |_| Reply::Bytes(bytes.clone())).await;
        let got = post(&edge, path, ASK).await.text();
        assert!(!got.contains("eve") && !got.contains("@corp") && !got.contains("101,118,101"), "{path}: {got}");
        assert!(got.contains("[personal]") && !got.contains('@'), "{path}: {got}");
        // Of completions, what is told goes whole with an event whose text is another.
        assert_eq!(got.contains("\"Write\""), path == CHAT, "{path}: {got}");
    }
}

#[tokio::test]
async fn what_nobody_has_to_change_passes_byte_for_byte() {
    let body = "{ \"choices\" :[{\"message\":{\"content\":\"caf\\u00e9 \\\"x\\\" \u{e9}\"}}],\n\"n\": 1.0e2}";
    let (_origin, edge) = guarded("openai", MASKS, move |_| json_answer(404, body)).await;
    let got = post(&edge, CHAT, ASK).await;
    assert_eq!((got.status, got.text().as_str()), (404, body));
}

#[tokio::test]
async fn a_blocked_answer_says_so_in_the_dialect_and_nothing_else() {
    let said = "it is called osprey";
    let chat = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 4}});
    let message = json!({"id": "c", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": said}], "stop_reason": "end_turn", "usage": {"output_tokens": 4}});
    for (protocol, path, body, pointer, word) in [
        ("openai", CHAT, chat, "/choices/0/finish_reason", "content_filter"),
        ("anthropic", "/v1/messages", message, "/stop_reason", "refusal"),
    ] {
        let sent = body.to_string();
        let (_origin, edge) = guarded(protocol, MASKS, move |_| json_answer(200, &sent)).await;
        let got = post(&edge, path, ASK).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert!(!got.text().contains("osprey"), "{}", got.text());
        let read: Value = serde_json::from_str(&got.text()).unwrap();
        assert_eq!(read.pointer(pointer).unwrap(), word);
        assert_eq!(read["id"], "c");
    }
    let (_origin, edge) = guarded("kserve-v2", MASKS, move |_| json_answer(200, r#"{"text_output": "osprey"}"#)).await;
    let got = post(&edge, "/v2/models/m/generate", "{}").await;
    assert_eq!(got.status, 403, "{got:?}");
    assert!(!got.text().contains("osprey"), "{}", got.text());
    assert_eq!(edge.gateway.metric("portcullis_refusals_total", &[r#"code="answer_filtered""#]).await, 1.0);
}

/// C3: what cannot be read is never passed unseen.
#[tokio::test]
async fn what_cannot_be_screened_is_refused_unless_the_policy_says_otherwise() {
    let unscreenable: [(&[(&str, &str)], &str); 7] = [
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], "\x1f \u{8}"),
        (&[("content-type", "application/octet-stream")], "eve@corp.example"),
        (&[("content-type", "audio/wav")], "RIFF"),
        (&[], "eve@corp.example"),
        (&[("content-type", "application/json")], "eve@corp.example"),
        (&[("content-type", "application/json")], r#"{"a": "x", "a": "eve@corp.example"}"#),
        (&[("content-type", "application/json")], r#"{"choices": [{"message": {"content": "\ud83d"}}]}"#),
    ];
    for (place, (headers, body)) in unscreenable.into_iter().enumerate() {
        let (_origin, edge) = guarded("openai", MASKS, move |_| Reply::Bytes(answer(200, headers, body))).await;
        let got = post(&edge, CHAT, ASK).await;
        assert_eq!(got.status, 502, "{place}: {got:?}");
        assert!(got.text().contains("unscreenable_answer") && !got.text().contains("eve@"), "{}", got.text());
        let passes = format!("unscreened: Pass\n{MASKS}");
        let (_origin, edge) = guarded("openai", &passes, move |_| Reply::Bytes(answer(200, headers, body))).await;
        let got = post(&edge, CHAT, ASK).await;
        // What is to be read and cannot is no matter of the kind of content.
        assert_eq!(got.status, if place < 4 { 200 } else { 502 }, "{place}: {got:?}");
    }
    let (_origin, edge) = guarded("openai", MASKS, |_| Reply::Bytes(answer(204, &[], ""))).await;
    assert_eq!(post(&edge, CHAT, ASK).await.status, 204, "nothing is nothing to screen");
}

#[tokio::test]
async fn an_answer_of_any_length_is_bounded() {
    let (_origin, edge) = guarded("openai", MASKS, |_| {
        let body = format!("{{\"a\": \"{}\"}}", "x".repeat(17 * 1024 * 1024));
        Reply::Bytes(answer(200, &[("content-type", "application/json")], &body))
    })
    .await;
    let got = post(&edge, CHAT, ASK).await;
    assert_eq!(got.status, 502, "{:?}", got.headers);
}

#[tokio::test]
async fn the_backend_is_asked_for_an_answer_that_can_be_read() {
    let (origin, edge) = guarded("openai", MASKS, |_| json_answer(200, "{}")).await;
    let headers = "content-type: application/json\r\naccept-encoding: gzip, br\r\nrange: bytes=0-4\r\n";
    edge.request("POST", "llm.test", CHAT, headers, ASK).await;
    let seen = origin.wait_for(1).await;
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("range"), None);
}

#[tokio::test]
async fn the_verdict_is_told_where_the_policy_says_so_and_signed_if_asked() {
    let body = format!("{{\"choices\": [{{\"message\": {{\"content\": \"{ADDRESS}\"}}}}]}}");
    let sent = body.clone();
    let (_origin, edge) = guarded("openai", MASKS, move |_| {
        Reply::Bytes(answer(200, &[("content-type", "application/json"), ("x-guard-verdict", "forged")], &sent))
    })
    .await;
    assert_eq!(post(&edge, CHAT, ASK).await.header("x-guard-verdict"), None, "not told, and nobody else says it");
    let signed = format!("verdict: {{tell: Signed}}\n{MASKS}");
    let (_origin, edge) = guarded("openai", &signed, move |_| json_answer(200, &body)).await;
    let got = post(&edge, CHAT, ASK).await;
    let told = got.header("x-guard-verdict").unwrap();
    assert!(told.contains("verdict=mask") && told.contains("output/personal/email=1"), "{told}");
    assert!(!told.contains("eve"), "{told}");
    let jws = told.split("jws=\"").nth(1).unwrap().trim_end_matches('"');
    let claims = jws.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &got.body);
    let digest = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    assert_eq!((&claims["verdict"], &claims["sha256"]), (&json!("mask"), &json!(digest)));
    let (_, keys) = edge.gateway.page("/jwks").await;
    let key: Value = serde_json::from_str(&keys).unwrap();
    let key = base64::Engine::decode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        key["keys"][0]["x"].as_str().unwrap(),
    )
    .unwrap();
    let (message, signature) = jws.rsplit_once('.').unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key)
        .verify(message.as_bytes(), &signature)
        .expect("the gateway's own key has signed it");
}

/// A guard that only watches counts what it would have done, and changes nothing.
#[tokio::test]
async fn a_shadow_counts_and_changes_nothing() {
    let body = format!("{{\"choices\": [{{\"message\": {{\"content\": \"{ADDRESS} osprey\"}}}}]}}");
    let sent = body.clone();
    let shadow = format!("mode: Shadow\n{MASKS}");
    let (_origin, edge) = guarded("openai", &shadow, move |_| json_answer(200, &sent)).await;
    let got = post(&edge, CHAT, ASK).await;
    assert_eq!((got.status, got.text()), (200, body));
    for (stage, rule) in [("personal", "email"), ("names", "names")] {
        let labels = [format!("stage=\"{stage}\""), "action=\"Shadow\"".to_owned()];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let found = edge.gateway.metric("portcullis_guardrail_findings_total", &labels).await;
        assert_eq!(found, 1.0, "{stage} {rule}");
    }
    let passed = edge
        .gateway
        .metric("portcullis_guardrail_verdicts_total", &[r#"direction="output""#, r#"verdict="pass""#])
        .await;
    assert_eq!(passed, 1.0);
}
