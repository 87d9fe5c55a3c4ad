//! Stock clients that must not notice the gateway.

use portcullis_tests::harness::{
    Origin, Reply,
    stock::{StockServer, llama, triton},
};

use crate::stock::{HttpsEdge, inference_backend, model_route, route, service, service_route, triton_backend};

/// llama.cpp for one model, nothing for `down`, a stream that is cut short for `broken`, and no route for any other.
async fn chat_edge(broken: &Origin) -> HttpsEdge {
    let down = Origin::answering("").await.address().port();
    HttpsEdge::start(&[
        inference_backend("smollm2", "openai", &[(llama().await.port("http"), None)]),
        inference_backend("down", "openai", &[(down, None)]),
        inference_backend("broken", "openai", &[(broken.address().port(), None)]),
        model_route("smollm2"),
        model_route("down"),
        model_route("broken"),
        route("smollm2", &["/v1/models"]).replace("to-smollm2", "models"),
    ])
    .await
}

/// Begins a stream of events with these, and closes.
async fn breaking_after(events: &str) -> Origin {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = format!("{head}{:x}\r\n{events}\r\n", events.len());
    Origin::start(move |_| Reply::Last(answer.clone().into_bytes())).await
}

#[tokio::test]
async fn the_openai_client_notices_nothing() {
    let event = |text: &str| {
        format!(
            "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let broken = breaking_after(&(event("one") + &event("two"))).await;
    chat_edge(&broken).await.python("openai_sdk.py").await;
}

#[tokio::test]
async fn the_anthropic_client_notices_nothing() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\
                 \"role\":\"assistant\",\"model\":\"broken\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n";
    let broken = breaking_after(start).await;
    chat_edge(&broken).await.python("anthropic_sdk.py").await;
}

/// Triton's HTTP and gRPC on the one port of the gateway.
async fn triton_edge() -> HttpsEdge {
    HttpsEdge::start(&[triton_backend(triton().await), route("triton", &["/v2", "/inference.GRPCInferenceService"])])
        .await
}

#[tokio::test]
async fn the_triton_client_over_http_notices_nothing() {
    triton_edge().await.python("triton_http.py").await;
}

#[tokio::test]
async fn the_triton_client_over_grpc_notices_nothing() {
    triton_edge().await.python("triton_grpc.py").await;
}

#[tokio::test]
async fn a_grpc_client_reflects_calls_and_streams() {
    let server = StockServer::python("grpc_echo.py").await;
    let edge = HttpsEdge::start(&[
        service("echo", "kubernetes.io/h2c", server.port("grpc")),
        service_route("GRPCRoute", "echo", ""),
    ])
    .await;
    edge.python("grpc_client.py").await;
}

#[tokio::test]
async fn a_websocket_client_talks_through_a_route_that_is_no_inference() {
    let server = StockServer::python("websocket_echo.py").await;
    let edge = HttpsEdge::start(&[
        service("echo", "kubernetes.io/ws", server.port("http")),
        service_route("HTTPRoute", "echo", "    - path: {type: PathPrefix, value: /live}\n"),
    ])
    .await;
    edge.python("websocket_client.py").await;
}
