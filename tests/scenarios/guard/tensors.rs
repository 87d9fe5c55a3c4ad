//! Guardrails on what is no JSON: tensors over gRPC, forms, and plain text.

use std::collections::HashMap;

use bytes::Bytes;
use http::Request;
use portcullis_tests::harness::{H2Answer, Origin};
use prost::Message as _;
use serde_json::{Value, json};

use self::proto::{InferTensor, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use crate::edge::{
    Edge, H2Origin, H2Reply, answer, grpc_message, grpc_route, http_route, inference_backend, to_inference,
};

#[path = "../../simulator/src/kserve/proto.rs"]
#[allow(dead_code, reason = "shared with the simulated server")]
mod proto;

/// A GuardrailPolicy for everything: numbers are tokenized on the way in and masked on the way out.
fn guardrails(more: &str) -> String {
    format!(
        "---
apiVersion: portcullis.dev/v1alpha1
kind: GuardrailPolicy
metadata: {{name: numbers, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]
  output:
  - {{name: badges, patterns: [{{name: badge, regex: '[0-9]{{3}}-[0-9]{{4}}'}}], action: Mask}}
  - {{name: birds, words: [osprey], action: Block}}
{more}"
    )
}

const INPUT: &str = "  input:
  - {name: badges, patterns: [{name: badge, regex: '[0-9]{3}-[0-9]{4}'}], action: Tokenize}
  - {name: birds, words: [heron], action: Block}
";

fn raw(element: &str) -> Bytes {
    [&u32::try_from(element.len()).unwrap().to_le_bytes(), element.as_bytes()].concat().into()
}

fn tensor(name: &str) -> InferTensor {
    let (name, datatype) = (name.to_owned(), "BYTES".to_owned());
    InferTensor { name, datatype, shape: vec![1], parameters: HashMap::new(), contents: None }
}

fn asks(text: &str) -> Vec<u8> {
    let request = ModelInferRequest {
        model_name: "llm".into(),
        inputs: vec![tensor("text_input")],
        raw_input_contents: vec![raw(text)],
        ..ModelInferRequest::default()
    };
    request.encode_to_vec()
}

fn says(text: &str) -> ModelInferResponse {
    ModelInferResponse {
        model_name: "llm".into(),
        outputs: vec![tensor("text_output")],
        raw_output_contents: vec![raw(text)],
        ..ModelInferResponse::default()
    }
}

fn stream_says(text: &str) -> Vec<u8> {
    let infer_response = Some(says(text));
    ModelStreamInferResponse { error_message: String::new(), infer_response }.encode_to_vec()
}

/// What a request says.
fn asked(body: &[u8]) -> String {
    let request = ModelInferRequest::decode(&body[5..]).unwrap();
    String::from_utf8(request.raw_input_contents[0][4..].to_vec()).unwrap()
}

async fn call(edge: &Edge, method: &str, body: Vec<u8>) -> H2Answer {
    let request = Request::post(format!("http://triton.test/inference.GRPCInferenceService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    edge.h2().await.send(request).await.expect("an answer")
}

fn status(answer: &H2Answer) -> String {
    let trailers = answer.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    let status = trailers.or_else(|| answer.head.headers.get("grpc-status"));
    status.map_or(String::new(), |status| status.to_str().unwrap().to_owned())
}

async fn tensors(origin: &H2Origin, more: &str) -> Edge {
    Edge::start(&[
        inference_backend("triton", "kserve-v2", origin.address(), ""),
        grpc_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("triton"))),
        guardrails(more),
    ])
    .await
}

#[tokio::test]
async fn a_value_in_a_tensor_goes_in_as_a_placeholder_and_comes_back() {
    let origin = H2Origin::start(|seen| {
        let text = format!("you are {}, she is 555-1111", asked(&seen.body));
        H2Reply::grpc(&[&says(&text).encode_to_vec()])
    })
    .await;
    let edge = tensors(&origin, INPUT).await;
    let answer = call(&edge, "ModelInfer", grpc_message(&asks("badge 123-4567"))).await;
    assert_eq!(status(&answer), "0");
    let said = ModelInferResponse::decode(&answer.body[5..]).unwrap();
    let said = String::from_utf8(said.raw_output_contents[0][4..].to_vec()).unwrap();
    assert!(said.starts_with("you are badge 123-4567, she is ") && !said.contains("555-1111"), "{said}");
    let seen = asked(&origin.seen()[0].body);
    assert!(seen.starts_with("badge <") && !seen.contains("123"), "{seen}");
}

#[tokio::test]
async fn what_a_tensor_may_not_say_is_refused_both_ways() {
    let origin = H2Origin::start(|_| H2Reply::grpc(&[&says("an Osprey").encode_to_vec()])).await;
    let edge = tensors(&origin, INPUT).await;
    let refused = call(&edge, "ModelInfer", grpc_message(&asks("a heron"))).await;
    assert_ne!(status(&refused), "0");
    assert!(origin.seen().is_empty());
    let refused = call(&edge, "ModelInfer", grpc_message(&asks("a gull"))).await;
    assert_eq!((status(&refused).as_str(), refused.body.len()), ("7", 0));
    // What nobody can read does not go in.
    let compressed = [&[1][..], &grpc_message(&asks("a gull"))[1..]].concat();
    for (method, body) in [
        ("ModelInfer", compressed),
        ("ModelInfer", grpc_message(&[0xff, 0xff])),
        ("ModelInfer", grpc_message(&asks("a gull"))[..20].to_vec()),
        ("RepositoryModelLoad", grpc_message(b"")),
    ] {
        assert_ne!(status(&call(&edge, method, body.clone()).await), "0", "{method} {body:?}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn tokens_over_grpc_are_masked_as_one_text() {
    let origin = H2Origin::start(|_| {
        let messages = ["badge 12", "3-", "45", "67 of 55"].map(stream_says);
        H2Reply::grpc(&messages.each_ref().map(Vec::as_slice))
    })
    .await;
    let edge = tensors(&origin, "").await;
    let answer = call(&edge, "ModelStreamInfer", grpc_message(&asks("a gull"))).await;
    assert_eq!(status(&answer), "0");
    let (mut rest, mut said) = (&answer.body[..], String::new());
    while let Some((prefix, others)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        let message = ModelStreamInferResponse::decode(&others[..length]).unwrap();
        said += std::str::from_utf8(&message.infer_response.unwrap().raw_output_contents[0][4..]).unwrap();
        rest = &others[length..];
    }
    assert!(said.starts_with("badge ") && said.ends_with(" of 55") && !said.contains("123"), "{said}");
}

#[tokio::test]
async fn texts_of_a_form_are_screened_and_files_are_refused() {
    let transcript = answer(200, &[("content-type", "text/vtt; charset=utf-8")], "WEBVTT\n\nbadge 555-1111\n");
    let origin = Origin::answering(transcript).await;
    let documents = |more: &str| {
        [
            inference_backend("main", "openai", origin.address(), ""),
            http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("main"))),
            guardrails(more),
        ]
    };
    let edge = Edge::start(&documents(INPUT)).await;
    let head = "content-type: multipart/form-data; boundary=b\r\n";
    let part = |head: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
    let model = part("name=\"model\"", "whisper-1");
    let body = format!("{model}{}--b--\r\n", part("name=\"prompt\"", "badge 123-4567"));
    let got = edge.request("POST", "a.test", "/v1/audio/transcriptions", head, &body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(got.text().starts_with("WEBVTT\n\nbadge ") && !got.text().contains("555"), "{}", got.text());
    let seen = String::from_utf8(origin.seen().pop().unwrap().body.clone()).unwrap();
    assert!(seen.contains("badge <") && !seen.contains("123") && seen.contains("whisper-1"), "{seen}");
    let file = format!("{model}{}--b--\r\n", part("name=\"file\"; filename=\"a.wav\"", "RIFF"));
    let got = edge.request("POST", "a.test", "/v1/audio/transcriptions", head, &file).await;
    assert_eq!(got.status, 415, "{}", got.text());
    let blocked = format!("{model}{}--b--\r\n", part("name=\"prompt\"", "a heron"));
    let got = edge.request("POST", "a.test", "/v1/audio/transcriptions", head, &blocked).await;
    assert_ne!(got.status, 200);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn what_nobody_can_read_passes_where_a_document_says_so() {
    let image = ModelInferRequest {
        inputs: vec![tensor("image"), tensor("text_input")],
        raw_input_contents: vec![Bytes::from_static(b"\x02\0\0\0\xff\xd8"), raw("badge 123-4567")],
        ..ModelInferRequest::default()
    };
    let origin = H2Origin::start(|_| H2Reply::grpc(&[&says("a gull").encode_to_vec()])).await;
    for (more, passes) in [(INPUT.to_owned(), false), (format!("{INPUT}  unscreened: Pass\n"), true)] {
        let edge = tensors(&origin, &more).await;
        let answer = call(&edge, "ModelInfer", grpc_message(&image.encode_to_vec())).await;
        assert_eq!(status(&answer) == "0", passes, "{more}");
        // What can be read is judged all the same.
        assert_ne!(status(&call(&edge, "ModelInfer", grpc_message(&asks("a heron"))).await), "0");
    }
    let seen = origin.seen();
    assert_eq!(seen.len(), 1);
    let seen = ModelInferRequest::decode(&seen[0].body[5..]).unwrap().raw_input_contents;
    assert_eq!(seen[0], image.raw_input_contents[0]);
    assert!(seen[1][4..].starts_with(b"badge <"), "{seen:?}");
}

#[tokio::test]
async fn the_message_of_a_status_is_screened_in_trailers_and_in_a_head() {
    let origin = H2Origin::start(|seen| {
        let said = match asked(&seen.body).as_str() {
            "masked" => "no badge %35%355-1111",
            "blocked" => "no %6Fsprey",
            "not text" => "no %FF",
            _ => "no 100%25 gull",
        };
        let status = vec![
            ("grpc-status", "13".to_owned()),
            ("grpc-message", said.to_owned()),
            ("grpc-status-details-bin", "b3NwcmV5".to_owned()),
        ];
        let reply = H2Reply::grpc(&[]);
        if seen.path.ends_with("ModelInfer") {
            return H2Reply { headers: [reply.headers, status].concat(), trailers: None, ..reply };
        }
        H2Reply { body: grpc_message(&stream_says("a gull")).into(), trailers: Some(status), ..reply }
    })
    .await;
    let edge = tensors(&origin, "").await;
    for method in ["ModelInfer", "ModelStreamInfer"] {
        for (text, expected) in [
            ("as it is", "no 100%25 gull"),
            ("masked", "no badge [badges]"),
            ("blocked", "a guardrail withholds the backend's message"),
            ("not text", "a guardrail withholds the backend's message"),
        ] {
            let answer = call(&edge, method, grpc_message(&asks(text))).await;
            assert_eq!(status(&answer), "13", "{method} {text}");
            let fields = answer.trailers.as_ref().unwrap_or(&answer.head.headers);
            assert_eq!(fields["grpc-message"], expected, "{method} {text}");
            assert!(!fields.contains_key("grpc-status-details-bin"), "{method} {text}");
        }
    }
}

/// Servers that may compress do so only where a client takes it.
#[tokio::test]
async fn nobody_is_asked_for_a_compressed_message_and_none_comes_out() {
    let origin = H2Origin::start(|seen| {
        let reply = H2Reply::grpc(&[&says("a gull").encode_to_vec()]);
        if asked(&seen.body) != "zipped" {
            return reply;
        }
        // As good as any: what the flag says is not looked at further.
        H2Reply { body: [&[1][..], &reply.body[1..]].concat().into(), ..reply }
    })
    .await;
    let edge = tensors(&origin, "").await;
    for (text, passes) in [("plain", true), ("zipped", false)] {
        let request = Request::post("http://triton.test/inference.GRPCInferenceService/ModelInfer")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-accept-encoding", "gzip, identity")
            .body(grpc_message(&asks(text)))
            .unwrap();
        let answer = edge.h2().await.send(request).await.expect("an answer");
        assert_eq!((status(&answer) == "0", answer.body.is_empty()), (passes, !passes), "{text}");
    }
    assert!(origin.seen().iter().all(|seen| !seen.headers.contains_key("grpc-accept-encoding")));
}

#[tokio::test]
async fn trailers_that_nobody_reads_go_no_further_unless_a_document_says_so() {
    let origin = H2Origin::start(|seen| {
        let is_stream = seen.path.ends_with("ModelStreamInfer");
        let message = if is_stream { stream_says("a gull") } else { says("a gull").encode_to_vec() };
        let reply = H2Reply::grpc(&[&message]);
        let trailers = [("grpc-status", "0"), ("x-said", "osprey"), ("x-said-bin", "b3NwcmV5")];
        let trailers = trailers.map(|(name, value)| (name, value.to_owned())).to_vec();
        H2Reply { trailers: Some(trailers), ..reply }
    })
    .await;
    for (more, passes) in [("", false), ("  unscreened: Pass\n", true)] {
        let edge = tensors(&origin, more).await;
        for method in ["ModelInfer", "ModelStreamInfer"] {
            let answer = call(&edge, method, grpc_message(&asks("a gull"))).await;
            assert_eq!(status(&answer), "0");
            let trailers = answer.trailers.unwrap();
            assert_eq!(trailers.contains_key("x-said") && trailers.contains_key("x-said-bin"), passes, "{method}");
            assert_eq!(trailers.len(), if passes { 3 } else { 1 }, "{method}");
        }
    }
}

#[tokio::test]
async fn an_address_that_json_in_a_tensor_escapes_is_found_both_ways() {
    let origin = H2Origin::start(|_| H2Reply::grpc(&[&says(r#"{"badge": "555\u002d1111"}"#).encode_to_vec()])).await;
    let edge = tensors(&origin, INPUT).await;
    let refused = call(&edge, "ModelInfer", grpc_message(&asks(r#"{"stop": ["a \u0068eron"]}"#))).await;
    assert_ne!(status(&refused), "0");
    assert!(origin.seen().is_empty());
    let answer = call(&edge, "ModelInfer", grpc_message(&asks(r#"{"stop": ["123\u002d4567"], "n": 2}"#))).await;
    assert_eq!(status(&answer), "0");
    let seen: Value = serde_json::from_str(&asked(&origin.seen()[0].body)).unwrap();
    assert_eq!(seen["n"], 2);
    assert!(seen["stop"][0].as_str().unwrap().starts_with('<'), "a placeholder: {seen}");
    let said = ModelInferResponse::decode(&answer.body[5..]).unwrap();
    let said: Value = serde_json::from_slice(&said.raw_output_contents[0][4..]).unwrap();
    assert_eq!(said, json!({"badge": "[badges]"}));
}
