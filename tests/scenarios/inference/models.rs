//! Every API passes untouched, and the backend is told which model its body names: by the body, never by the client.

use portcullis_tests::harness::Origin;

use crate::edge::{Edge, http_route, inference_backend, ok, service, to_inference};

/// A route for everything to one InferenceBackend.
pub(super) fn to_all(name: &str) -> String {
    http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference(name)))
}

const JSON: &str = "content-type: application/json\r\n";

fn form(parts: &[(&str, &str)]) -> String {
    let parts: String = parts.iter().map(|(head, value)| format!("--b\r\n{head}\r\n\r\n{value}\r\n")).collect();
    format!("{parts}--b--\r\n")
}

fn field(name: &str) -> String {
    format!("content-disposition: form-data; name=\"{name}\"")
}

#[tokio::test]
async fn bodies_pass_untouched_and_their_model_is_told() {
    let origin = Origin::answering(ok("{}")).await;
    let edge = Edge::start(&[inference_backend("all", "openai", origin.address(), ""), to_all("all")]).await;
    let audio = form(&[
        (
            "content-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav",
            "RIFF\r\n--not\0",
        ),
        (&field("model"), "whisper-1"),
        (&field("response_format"), "text"),
    ]);
    let form_type = "content-type: multipart/form-data; boundary=b\r\n";
    let cases: &[(&str, &str, &str, &str, Option<&str>)] = &[
        (
            "POST",
            "/v1/chat/completions",
            JSON,
            "{\n  \"model\" : \"llama-3.1-8b\",\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9 \u{e9} {\\\"model\\\":\\\"x\\\"}\"}],\"n\":2,\
             \"tools\":[{\"model\":\"inner\"}]}  ",
            Some("llama-3.1-8b"),
        ),
        ("POST", "/v1/completions", JSON, r#"{"prompt":"a","model":"base"}"#, Some("base")),
        ("POST", "/v1/responses", JSON, r#"{"model":"gpt-x","input":"hi","stream":false}"#, Some("gpt-x")),
        ("POST", "/v1/embeddings", JSON, r#"{"input":["a","b"],"model":"bge"}"#, Some("bge")),
        ("POST", "/v1/rerank", JSON, r#"{"query":"q","documents":["d"],"model":"bge-rerank"}"#, Some("bge-rerank")),
        ("POST", "/rerank", JSON, r#"{"model":"tei","query":"q","texts":["d"]}"#, Some("tei")),
        ("POST", "/v1/messages", JSON, r#"{"model":"claude-x","max_tokens":1,"messages":[]}"#, Some("claude-x")),
        ("POST", "/v1/messages/count_tokens", JSON, r#"{"model":"claude-x","messages":[]}"#, Some("claude-x")),
        ("POST", "/v1/chat/completions", "", r#"{"model":"no-type"}"#, Some("no-type")),
        ("POST", "/v1/chat/completions", JSON, r#"{"m\u006fdel":"esc\u0061ped"}"#, Some("escaped")),
        ("POST", "/v1/audio/transcriptions", form_type, &audio, Some("whisper-1")),
        ("GET", "/v1/models", "", "", None),
        ("GET", "/v1/models/meta-llama/Llama-3.1-8B", "", "", Some("meta-llama/Llama-3.1-8B")),
        ("POST", "/tokenize", JSON, r#"{"prompt":"no model here"}"#, None),
        ("POST", "/v1/load_lora_adapter", JSON, "[]", None),
        ("POST", "/anything", "content-type: application/octet-stream\r\n", "\u{0}\u{1}\u{2} raw", None),
        ("PUT", "/anything/else", "", "raw", None),
        ("DELETE", "/v1/models/old", "", "", Some("old")),
        ("GET", "/metrics?model=x", "", "", None),
    ];
    for (method, path, headers, body, model) in cases {
        // What the client claims is dropped where it is not what the body says.
        let headers = format!("{headers}x_gateway-model.name: claimed\r\n");
        let got = edge.request(method, "llm.test", path, &headers, body).await;
        assert_eq!((got.status, got.text().as_str()), (200, "{}"), "{method} {path}: {got:?}");
        let seen = origin.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (*method, *path));
        assert_eq!(String::from_utf8_lossy(&seen.body), *body, "{path}");
        assert_eq!(seen.headers_named("x-gateway-model-name").collect::<Vec<_>>(), Vec::from_iter(*model), "{path}");
        assert_eq!(seen.header("x_gateway-model.name"), None);
        assert_eq!(
            seen.header("content-type").map(|kind| format!("content-type: {kind}\r\n")).unwrap_or_default(),
            headers.split_inclusive("\r\n").filter(|line| line.starts_with("content-type")).collect::<String>()
        );
    }
}

/// A client over HTTP/2 and one that sends chunks are no different.
#[tokio::test]
async fn models_are_read_however_the_body_comes() {
    let origin = Origin::answering(ok("{}")).await;
    let edge = Edge::start(&[inference_backend("all", "openai", origin.address(), ""), to_all("all")]).await;
    let body = r#"{"messages":[{"content":"long enough to be cut"}],"model":"m-1"}"#;
    let mut client = edge.client().await;
    client
        .send("POST /v1/chat/completions HTTP/1.1\r\nhost: llm.test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for byte in body.chars() {
        client.send(format!("1\r\n{byte}\r\n")).await;
    }
    client.send("0\r\nx-trailer: kept\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = origin.seen().pop().unwrap();
    assert_eq!(seen.header("x-gateway-model-name"), Some("m-1"));
    assert!(String::from_utf8_lossy(&seen.body).contains(body), "in one chunk: {seen:?}");
    assert!(String::from_utf8_lossy(&seen.body).ends_with("0\r\nx-trailer: kept\r\n\r\n"), "{seen:?}");

    let request = http::Request::post("http://llm.test/v1/chat/completions").header("content-type", "application/json");
    let got = edge.h2().await.send(request.body(body.to_owned()).unwrap()).await.unwrap();
    assert_eq!(got.status(), 200);
    let seen = origin.seen().pop().unwrap();
    assert_eq!((seen.header("x-gateway-model-name"), seen.body.as_slice()), (Some("m-1"), body.as_bytes()));
}

/// What speaks no inference protocol is not looked into, and is told nothing.
#[tokio::test]
async fn a_service_is_told_no_model() {
    let origin = Origin::answering(ok("{}")).await;
    let documents =
        [service("plain", origin.address()), http_route("all", "rules: [{backendRefs: [{name: plain, port: 80}]}]")];
    let edge = Edge::start(&documents).await;
    let headers = format!("{JSON}x-gateway-model-name: claimed\r\n");
    let body = r#"{"model":"a","model":"b"}"#;
    let got = edge.request("POST", "llm.test", "/v1/chat/completions", &headers, body).await;
    assert_eq!(got.status, 200);
    let seen = origin.seen().pop().unwrap();
    assert_eq!((seen.header("x-gateway-model-name"), seen.body.as_slice()), (None, body.as_bytes()));
}

/// Two names are a 400 wherever inference is spoken, and no backend hears of it (row B35).
#[tokio::test]
async fn conflicting_models_are_refused() {
    let origin = Origin::answering(ok("{}")).await;
    let edge = Edge::start(&[inference_backend("all", "openai", origin.address(), ""), to_all("all")]).await;
    let claim = format!("{JSON}x-gateway-model-name: b\r\n");
    let two_claims = format!("{JSON}x-gateway-model-name: a\r\nx-gateway-model-name: b\r\n");
    let form_type = "content-type: multipart/form-data; boundary=b\r\n";
    let twice = form(&[(&field("model"), "a"), (&field("model"), "b")]);
    for (path, headers, body) in [
        ("/v1/chat/completions", JSON, r#"{"model":"a","model":"b"}"#),
        ("/v1/chat/completions", JSON, r#"{"model":"a","model":"a"}"#),
        ("/v1/chat/completions", JSON, r#"{"model":"a","m\u006Fdel":"b"}"#),
        ("/v1/chat/completions", JSON, r#"{"model":"a","Model":"b"}"#),
        ("/v1/messages", JSON, r#"{"messages":[],"model":"a","x":{},"model":"b"}"#),
        ("/v1/embeddings?model=b", JSON, r#"{"model":"a"}"#),
        ("/v1/embeddings?mod%65l=b", JSON, r#"{"model":"a"}"#),
        ("/v1/chat/completions", &claim, r#"{"model":"a"}"#),
        ("/v1/chat/completions", &two_claims, r#"{"model":"a"}"#),
        ("/v1/audio/transcriptions", form_type, &twice),
        ("/v2/models/a/infer", &claim, "{}"),
        ("/v2/models/a/infer?model=b", JSON, "{}"),
    ] {
        let got = edge.request("POST", "llm.test", path, headers, body).await;
        assert_eq!(got.status, 400, "{path} {headers} {body}: {}", got.text());
        assert!(got.text().contains("model"), "{}", got.text());
    }
    assert!(origin.seen().is_empty());
    // The same name twice in two places is one name.
    let same = format!("{JSON}x-gateway-model-name: a\r\n");
    assert_eq!(
        edge.request("POST", "llm.test", "/v1/completions?model=a", &same, r#"{"model":"a"}"#).await.status,
        200
    );
}
