//! KServe v2: over HTTP the model is in the path, over gRPC in the message.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use portcullis_tests::harness::{H2Answer, H2Client, Origin, eventually};
use tokio::time::timeout;

use super::models::to_all;
use crate::edge::{
    Edge, H2Origin, H2Reply, Puppet, grpc_message, grpc_route, http_route, inference_backend, ok, to_inference,
};

/// A `ModelInferRequest` as far as we look: `model_name` is field 1, `id` field 3.
fn infer(model: &str, id: &str) -> Vec<u8> {
    [field(1, model), field(3, id)].concat()
}

fn field(number: u8, text: &str) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(text.len()).unwrap()];
    field.extend_from_slice(text.as_bytes());
    field
}

fn request(method: &str) -> http::request::Builder {
    Request::post(format!("http://triton.test/inference.GRPCInferenceService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

async fn call(client: &H2Client, method: &str, body: Vec<u8>) -> H2Answer {
    client.send(request(method).body(body).unwrap()).await.expect("an answer")
}

fn status(answer: &H2Answer) -> &str {
    let trailers = answer.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    trailers.or_else(|| answer.head.headers.get("grpc-status")).map_or("", |status| status.to_str().unwrap())
}

#[tokio::test]
async fn over_http_the_model_is_in_the_path() {
    let origin = Origin::answering(ok("{}")).await;
    let edge = Edge::start(&[inference_backend("all", "kserve-v2", origin.address(), ""), to_all("all")]).await;
    let binary = "content-type: application/octet-stream\r\ninference-header-content-length: 5\r\n";
    for (method, path, headers, body, model) in [
        (
            "POST",
            "/v2/models/resnet50/infer",
            "content-type: application/json\r\n",
            r#"{"inputs":[],"model":"x","model":"y"}"#,
            Some("resnet50"),
        ),
        ("POST", "/v2/models/resnet50/versions/3/infer", binary, "{...}\u{0}\u{1}", Some("resnet50")),
        ("POST", "/v2/models/llm/generate_stream", "", r#"{"text_input":"a"}"#, Some("llm")),
        ("GET", "/v2/models/my%20model/ready", "", "", Some("my model")),
        ("GET", "/v2/models/resnet50", "", "", Some("resnet50")),
        ("POST", "/v2/repository/models/resnet50/load", "", "{}", Some("resnet50")),
        ("GET", "/v2", "", "", None),
        ("GET", "/v2/health/ready", "", "", None),
        ("GET", "/v2/models/stats", "", "", None),
    ] {
        let got = edge.request(method, "triton.test", path, headers, body).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        let seen = origin.seen().pop().unwrap();
        assert_eq!(seen.header("x-gateway-model-name"), model, "{path}");
        assert_eq!((seen.target.as_str(), seen.body.as_slice()), (path, body.as_bytes()));
    }
}

/// A gateway where `special` has a route of its own to `special`, and everything else goes to `rest`.
async fn by_model(special: &H2Origin, rest: &H2Origin) -> Edge {
    Edge::start(&[
        inference_backend("special", "kserve-v2", special.address(), ""),
        inference_backend("rest", "kserve-v2", rest.address(), ""),
        grpc_route(
            "models",
            &format!(
                "rules:
- matches: [{{headers: [{{name: x-gateway-model-name, value: special}}]}}]
  backendRefs: [{}]
- backendRefs: [{}]",
                to_inference("special"),
                to_inference("rest")
            ),
        ),
    ])
    .await
}

async fn echo() -> H2Origin {
    H2Origin::start(|seen| {
        let mut reply = H2Reply::grpc(&[b"pong"]);
        let model = seen.headers.get("x-gateway-model-name").map(|model| model.to_str().unwrap().to_owned());
        reply.headers.push(("x-said", model.unwrap_or_default()));
        reply
    })
    .await
}

#[tokio::test]
async fn over_grpc_the_model_is_in_the_message() {
    let (special, rest) = (echo().await, echo().await);
    let edge = by_model(&special, &rest).await;
    let client = edge.h2().await;
    for (method, message, model) in [
        ("ModelInfer", infer("special", "1"), "special"),
        ("ModelInfer", infer("other", "1"), "other"),
        // Fields may come in any order, and are skipped whatever their size.
        ("ModelInfer", [field(3, &"x".repeat(100)), field(1, "special")].concat(), "special"),
        ("ModelMetadata", field(1, "special"), "special"),
        ("ModelReady", field(1, "special"), "special"),
        ("ModelInfer", field(3, "nameless"), ""),
        ("ServerLive", Vec::new(), ""),
        ("ServerReady", Vec::new(), ""),
        ("ServerMetadata", Vec::new(), ""),
        ("RepositoryModelLoad", [field(1, "repository"), field(2, "special")].concat(), "special"),
    ] {
        let answer = call(&client, method, grpc_message(&message)).await;
        assert_eq!((answer.status(), status(&answer)), (200, "0"), "{method} {message:?}");
        assert_eq!(answer.head.headers["x-said"], model, "{method}");
        assert_eq!(&answer.body[..], grpc_message(b"pong"));
        let origin = if model == "special" { &special } else { &rest };
        let seen = origin.seen().pop().unwrap();
        assert_eq!(&seen.body[..], grpc_message(&message), "{method}");
        assert!(seen.is_whole && seen.path.ends_with(method));
    }
}

#[tokio::test]
async fn messages_that_name_two_models_are_refused() {
    let (special, rest) = (echo().await, echo().await);
    let edge = by_model(&special, &rest).await;
    let client = edge.h2().await;
    let compressed = [&[1][..], &grpc_message(&infer("special", ""))[1..]].concat();
    for (what, body, expected) in [
        ("twice in a message", grpc_message(&[field(1, "special"), field(1, "other")].concat()), "3"),
        ("twice the same", grpc_message(&[field(1, "special"), field(1, "special")].concat()), "3"),
        ("changed later", [grpc_message(&infer("special", "")), grpc_message(&infer("other", ""))].concat(), "3"),
        ("compressed", compressed, "12"),
        ("no message", b"\0\0\0\0\x05ab".to_vec(), "3"),
        ("not a string", grpc_message(&[8, 1]), "3"),
    ] {
        let answer = call(&client, "ModelInfer", body).await;
        assert_eq!((answer.status(), status(&answer)), (200, expected), "{what}");
    }
    assert!(special.seen().iter().chain(&rest.seen()).all(|seen| !seen.is_whole), "nothing whole went out");
    // A second name that comes later than the first, in a piece of its own, ends a call that was on its way already.
    let tensor = "x".repeat(120);
    let mut message = field(1, "special");
    for _ in 0..1000 {
        message.extend_from_slice(&field(7, &tensor));
    }
    message.extend_from_slice(&field(1, "other"));
    let framed = grpc_message(&message);
    let (answer, mut stream) =
        client.sender().ready().await.unwrap().send_request(request("ModelInfer").body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from(framed), true).unwrap();
    let answer = timeout(Duration::from_secs(20), answer).await.expect("an answer").unwrap();
    assert_eq!(answer.headers()["grpc-status"], "3");
    eventually("the backend is told to forget it", async || special.seen().iter().any(|seen| !seen.is_whole)).await;
    assert!(special.seen().iter().all(|seen| !seen.is_whole));
}

/// On a route that does not ask for the model it is told as well, and what cannot be read is the backend's to judge.
#[tokio::test]
async fn a_route_for_all_models_tells_the_model_too() {
    let origin = echo().await;
    let documents = [
        inference_backend("all", "kserve-v2", origin.address(), ""),
        http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("all"))),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    let answer = call(&client, "ModelInfer", grpc_message(&infer("any", "1"))).await;
    assert_eq!((status(&answer), answer.head.headers["x-said"].to_str().unwrap()), ("0", "any"));
    let compressed = [&[1][..], &grpc_message(&infer("any", ""))[1..]].concat();
    let answer = call(&client, "ModelInfer", compressed.clone()).await;
    assert_eq!((status(&answer), answer.head.headers["x-said"].to_str().unwrap()), ("0", ""));
    assert_eq!(origin.seen().pop().unwrap().body, compressed);
    // One stream may ask several models.
    let two = [grpc_message(&infer("one", "")), grpc_message(&infer("two", ""))].concat();
    let answer = call(&client, "ModelStreamInfer", two.clone()).await;
    assert_eq!(status(&answer), "0");
    assert_eq!(origin.seen().pop().unwrap().body, two);
    // Not in one message.
    let answer = call(&client, "ModelInfer", grpc_message(&[field(1, "a"), field(1, "b")].concat())).await;
    assert_eq!(status(&answer), "3");
}

/// Both directions of a stream go on at once: message by message, in either order.
#[tokio::test]
async fn streams_go_both_ways_at_once() {
    let puppet = Puppet::start().await;
    let documents = [
        inference_backend("all", "kserve-v2", puppet.address(), ""),
        grpc_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("all"))),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    let mut sender = client.sender().ready().await.unwrap();
    let (answer, mut up) = sender.send_request(request("ModelStreamInfer").body(()).unwrap(), false).unwrap();
    up.send_data(Bytes::from(grpc_message(&infer("m", "1"))), false).unwrap();
    let mut requests = puppet.h2_requests();
    let (seen, mut respond) = requests.next().await;
    assert_eq!(seen.headers()["x-gateway-model-name"], "m");
    let mut from_client = seen.into_body();
    let next = async |stream: &mut h2::RecvStream| {
        let data = timeout(Duration::from_secs(20), stream.data()).await.expect("a message in time");
        let data = data.expect("a message").unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        data
    };
    assert_eq!(next(&mut from_client).await, grpc_message(&infer("m", "1")));
    let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut down = respond.send_response(head, false).unwrap();
    let mut to_client = timeout(Duration::from_secs(20), answer).await.expect("a head").unwrap().into_body();
    for number in 2..6 {
        let message = grpc_message(&infer("m", &number.to_string()));
        down.send_data(Bytes::from(message.clone()), false).unwrap();
        assert_eq!(next(&mut to_client).await, message);
        up.send_data(Bytes::from(message.clone()), false).unwrap();
        assert_eq!(next(&mut from_client).await, message);
    }
    // The client is done; the server is not.
    up.send_data(Bytes::new(), true).unwrap();
    assert!(
        timeout(Duration::from_secs(20), from_client.data())
            .await
            .expect("the end")
            .is_none_or(|data| data.unwrap().is_empty())
    );
    down.send_data(Bytes::from_static(b"\0\0\0\0\0"), false).unwrap();
    assert_eq!(&next(&mut to_client).await[..], b"\0\0\0\0\0");
    down.send_trailers(http::HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]))
    .unwrap();
    assert!(timeout(Duration::from_secs(20), to_client.data()).await.expect("the end").is_none());
    assert_eq!(to_client.trailers().await.unwrap().unwrap()["grpc-status"], "0");
}

/// What breaks off in the middle ends with a status, not with silence that looks like success.
#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_a_status() {
    let puppet = Puppet::start().await;
    let documents = [
        inference_backend("all", "kserve-v2", puppet.address(), ""),
        grpc_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("all"))),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    let mut requests = puppet.h2_requests();
    let answering = async {
        let (_, mut respond) = requests.next().await;
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut down = respond.send_response(head, false).unwrap();
        down.send_data(Bytes::from(grpc_message(b"first")), false).unwrap();
        tokio::task::yield_now().await;
        down.send_reset(h2::Reason::INTERNAL_ERROR);
    };
    let (answer, ()) = tokio::join!(call(&client, "ModelStreamInfer", grpc_message(&infer("m", "1"))), answering);
    assert_eq!(answer.trailers.expect("trailers")["grpc-status"], "14");
}
