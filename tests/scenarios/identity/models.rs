//! Row B35 of the hostile inputs: every way to name a model that the caller may not use.

use bytes::Bytes;
use http::Request;
use portcullis_tests::harness::{H2Client, Origin, PATIENCE, Seen, eventually};
use tokio::time::timeout;

use super::keyed::Keyed;
use crate::{
    edge::{H2Origin, H2Reply, grpc_message, grpc_route, request, to_inference},
    texts,
};

const REPLY: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// Alice may ask small models, and nothing else.
const SMALL: &str = "
- {name: small, rules: [{routes: ['*'], actions: [infer, read-metadata], models: ['small-*']}], users: [alice]}
";

async fn before(protocol: &str, prefix: &str, models: &str) -> Keyed {
    let origin = Origin::answering(REPLY).await;
    let backends =
        texts::inference("llm", protocol, &[origin.address()], models) + &texts::inference_route(prefix, "llm", "");
    Keyed::before(origin, backends, SMALL).await
}

/// The status of a POST by alice with further header lines.
async fn post(keyed: &Keyed, path: &str, headers: &str, body: &str) -> u16 {
    let headers = format!("x-api-key: {}\r\n{headers}", keyed.key("alice"));
    keyed.exchange(&request("POST", "llm.test", path, &headers, body)).await.status
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn in_json_a_model_has_one_name_however_it_is_written() {
    let keyed = before("openai", "/v1", "").await;
    let chat = "/v1/chat/completions";
    for (body, expected) in [
        (r#"{"model": "small-1"}"#, 200),
        (r#"{"model": "small\u002d1"}"#, 200),
        (r#"{"mod\u0065l": "small-1"}"#, 200),
        (r#"{"messages": [{"model": "large"}], "model": "small-1"}"#, 200),
        (r#"{"model": "large"}"#, 403),
        (r#"{"model": "l\u0061rge"}"#, 403),
        (r#"{"mod\u0065l": "large"}"#, 403),
        // An adapter is a model of its own.
        (r#"{"model": "my-adapter"}"#, 403),
        (r#"{"model": "large:small-1"}"#, 403),
        (r#"{"model": "SMALL-1"}"#, 403),
        (r#"{"model": "small-1", "mod\u0065l": "large"}"#, 400),
        (r#"{"model": "small-1", "MODEL": "large"}"#, 400),
        (r#"{"model": ["small-1", "large"]}"#, 400),
        (r#"{"model": {"small-1": "large"}}"#, 400),
        (r#"{"model": null}"#, 400),
        ("{\"model\": \"small-1\u{0}large\"}", 400),
        ("{\"model\": \"small-1\\u0000large\"}", 400),
        (r#"{"model": " large"}"#, 400),
        ("{\"model\": \"small-1\"} {\"model\": \"large\"}", 400),
        ("\u{feff}{\"model\": \"large\"}", 400),
    ] {
        assert_eq!(post(&keyed, chat, JSON, body).await, expected, "{body}");
    }
    for (path, headers) in [
        ("/v1/chat/completions?model=large", JSON.to_owned()),
        ("/v1/chat/completions?mod%65l=l%61rge", JSON.to_owned()),
        (chat, format!("{JSON}x-gateway-model-name: large\r\n")),
        (chat, format!("{JSON}x-gateway-model-name: small-1\r\nx-gateway-model-name: large\r\n")),
    ] {
        assert_eq!(post(&keyed, path, &headers, r#"{"model": "small-1"}"#).await, 400, "{path} {headers}");
    }
    let form = |parts: &[&str]| -> String {
        let part = |model: &&str| format!("--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n");
        parts.iter().map(part).collect::<String>() + "--b--\r\n"
    };
    let multipart = "content-type: multipart/form-data; boundary=b\r\n";
    for (parts, expected) in [(&["small-1"][..], 200), (&["large"], 403), (&["small-1", "large"], 400)] {
        let status = post(&keyed, "/v1/audio/transcriptions", multipart, &form(parts)).await;
        assert_eq!(status, expected, "{parts:?}");
    }
    let told = keyed.origin.seen();
    assert_eq!(told.len(), 5);
    assert!(told.iter().all(|seen| seen.header("x-gateway-model-name") == Some("small-1")));
}

#[tokio::test]
async fn where_the_path_names_the_model_nothing_else_does() {
    let keyed = before("kserve-v2", "/v2", "").await;
    let body = r#"{"model_name": "large", "model": "large", "inputs": []}"#;
    for (path, expected) in [
        ("/v2/models/small-1/infer", 200),
        ("/v2/models/small-1/versions/1/infer", 200),
        ("/v2/models/sm%61ll-1/infer", 200),
        ("/v2/models/large/infer", 403),
        ("/v2/models/l%61rge/infer", 403),
        ("/v2/models/large/versions/1/infer", 403),
        ("/v2/models/small-1/../large/infer", 403),
        ("/v2/models/small-1/%2e%2e/large/infer", 403),
        ("/v2/models/LARGE/infer", 403),
        ("/v2/models//large/infer", 403),
        ("/v2/models/;/large/infer", 403),
        ("/v2/repository/models/small-1/load", 403),
        ("/v2/repository/models/small-1/unload", 403),
    ] {
        let status = post(&keyed, path, JSON, body).await;
        // What has no canonical form is refused before anybody asks who may.
        assert!(status == expected || (expected == 403 && matches!(status, 400 | 404)), "{path}: {status}");
    }
    for path in
        ["/v2/models/small-1/infer?model=large", "/v2/models/small-1%2flarge/infer", "/v2/models/l%2561rge/infer"]
    {
        assert!(matches!(post(&keyed, path, JSON, body).await, 400 | 403), "{path}");
    }
    let claim = format!("{JSON}x-gateway-model-name: large\r\n");
    assert_eq!(post(&keyed, "/v2/models/small-1/infer", &claim, body).await, 400);
    let told: Vec<Seen> = keyed.origin.seen();
    assert_eq!(told.len(), 3, "{:?}", told.iter().map(|seen| &seen.target).collect::<Vec<_>>());
    assert!(told.iter().all(|seen| seen.header("x-gateway-model-name") == Some("small-1")));
}

#[tokio::test]
async fn names_that_a_backend_does_not_serve_are_nobodys() {
    let keyed = before("openai", "/v1", "  models: [small-1, large]\n").await;
    for (model, expected) in [("small-1", 200), ("large", 403), ("small-adapter", 404), ("small-2", 404)] {
        let body = format!(r#"{{"model": "{model}"}}"#);
        assert_eq!(post(&keyed, "/v1/chat/completions", JSON, &body).await, expected, "{model}");
    }
    for model in ["large", "l%61rge", "small-1%2f..%2flarge", "small-9"] {
        let status = keyed.get(&format!("/v1/models/{model}"), keyed.key("alice")).await.status;
        assert!(matches!(status, 400 | 403 | 404), "{model}: {status}");
    }
    assert_eq!(keyed.origin.seen().len(), 1);
}

fn field(number: u8, text: &str) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// A call by alice whose first message has been taken when the second is sent: its status.
async fn late(keyed: &Keyed, origin: &H2Origin, method: &str, second: Vec<u8>) -> (String, bool) {
    let client = H2Client::connect(keyed.address).await;
    let head = Request::post(format!("http://llm.test/inference.GRPCInferenceService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", keyed.key("alice")));
    let before = origin.seen().len();
    let (answer, mut stream) =
        client.sender().ready().await.unwrap().send_request(head.body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from(grpc_message(&field(1, "small-1"))), false).unwrap();
    // Once the call is on its way, it is counted.
    eventually("the call is on its way", async || keyed.gateway.endpoints_sum("inFlight").await > 0).await;
    stream.send_data(Bytes::from(second), true).unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("an answer").unwrap();
    let status = answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    eventually("the origin hears of the end", async || origin.seen().len() > before).await;
    let is_whole = origin.seen()[before].is_whole;
    (status.unwrap_or_else(|| "0".to_owned()), is_whole)
}

#[tokio::test]
async fn a_call_that_names_another_model_later_is_ended() {
    let origin = H2Origin::start(|_| H2Reply::grpc(&[b"pong"])).await;
    let backends = texts::inference("llm", "kserve-v2", &[origin.address()], "  models: [small-1, large]\n")
        + &grpc_route("models", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm")))
        + "---\n";
    let keyed = Keyed::before(Origin::answering("").await, backends, SMALL).await;
    let again = grpc_message(&field(1, "small-1"));
    for (method, second, expected) in [
        ("ModelStreamInfer", again.clone(), ("0", true)),
        ("ModelStreamInfer", grpc_message(&field(1, "large")), ("3", false)),
        ("ModelStreamInfer", [again, grpc_message(&field(1, "large"))].concat(), ("3", false)),
        ("ModelStreamInfer", grpc_message(&[field(1, "small-1"), field(1, "large")].concat()), ("3", false)),
    ] {
        let (status, is_whole) = late(&keyed, &origin, method, second.clone()).await;
        assert_eq!((status.as_str(), is_whole), expected, "{method} {second:?}");
    }
}
