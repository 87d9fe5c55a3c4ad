//! Stock clients that must not notice the gateway.

use portcullis_simulator::Simulator;
use portcullis_tests::harness::{
    Origin, Reply, eventually, simulator,
    stock::{StockServer, llama, triton},
};

use crate::stock::{HttpsEdge, inference_backend, model_route, route, rule, service, service_route, triton_backend};

/// llama.cpp for `smollm2`, a simulated server for `simulated`, nothing for `down`, and no route for any other model.
async fn chat_edge(simulated: &Simulator) -> HttpsEdge {
    let down = Origin::answering("").await.address().port();
    HttpsEdge::start(&[
        inference_backend("smollm2", "openai", &[(llama().await.port("http"), None)]),
        inference_backend("simulated", "openai", &[(simulated.address().port(), None)]),
        inference_backend("down", "openai", &[(down, None)]),
        model_route("smollm2"),
        model_route("simulated"),
        model_route("down"),
        route("smollm2", &["/v1/models"]).replace("to-smollm2", "models"),
    ])
    .await
}

#[tokio::test]
async fn the_openai_client_notices_nothing() {
    let simulated = simulator(&["simulated"]).await;
    chat_edge(&simulated).await.python("openai_sdk.py").await;
}

#[tokio::test]
async fn the_anthropic_client_notices_nothing() {
    let simulated = simulator(&["simulated"]).await;
    chat_edge(&simulated).await.python("anthropic_sdk.py").await;
}

#[tokio::test]
async fn a_crowd_of_openai_clients_is_served() {
    let simulated = simulator(&["simulated"]).await;
    let edge = chat_edge(&simulated).await;
    edge.python("openai_crowd.py").await;
    // Those that left half way are gone as well.
    eventually("nothing is in flight", async || edge.gateway.metric("portcullis_requests_in_flight", &[]).await == 0.0)
        .await;
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
async fn the_triton_clients_are_led_by_models_and_understand_refusals() {
    let down = Origin::answering("").await.address().port();
    let by_model = |model: &str, backend: &str| {
        let path = |prefix: &str| {
            format!(
                "    - path: {{type: PathPrefix, value: {prefix}}}\n      \
                 headers: [{{name: X-Gateway-Model-Name, value: {model}}}]\n"
            )
        };
        rule(backend, &(path("/v2") + &path("/inference.GRPCInferenceService")))
    };
    HttpsEdge::start(&[
        triton_backend(triton().await),
        inference_backend("down", "kserve-v2", &[(down, None)]),
        by_model("echo", "triton"),
        by_model("down", "down"),
    ])
    .await
    .python("triton_refusals.py")
    .await;
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

/// An origin that is quick: it says how much it was sent, or sends as many bytes as the path asks for.
async fn sizes() -> Origin {
    Origin::start(|seen| {
        let body = match seen.target.strip_prefix("/bytes/").and_then(|length| length.parse().ok()) {
            Some(length) => "x".repeat(length),
            None => seen.body.len().to_string(),
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
        Reply::Bytes(if seen.method == "HEAD" { head } else { head + &body }.into_bytes())
    })
    .await
}

async fn sizes_edge(origin: &Origin) -> HttpsEdge {
    HttpsEdge::start(&[service("sizes", "http", origin.address().port()), service_route("HTTPRoute", "sizes", "")])
        .await
}

#[tokio::test]
async fn curl_downloads_and_uploads_in_both_versions() {
    let origin = sizes().await;
    let edge = sizes_edge(&origin).await;
    let url = edge.url();
    let file = edge.gateway.folder().path().join("upload");
    std::fs::write(&file, vec![b'y'; 3_000_000]).unwrap();
    let file = format!("@{}", file.display());
    let told = "%{http_version} %{http_code} %{size_download} %{num_connects}\n";
    for (version, number) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let curl = async |arguments: &[&str]| {
            edge.debian("curl", &[&["--silent", "--show-error", version], arguments].concat()).await
        };
        let (first, second) = (format!("{url}/bytes/5000000"), format!("{url}/bytes/1"));
        let printed = curl(&["-w", told, "-o", "/dev/null", &first, "-o", "/dev/null", &second]).await;
        assert_eq!(printed, format!("{number} 200 5000000 1\n{number} 200 1 0\n"), "one connection carries both");
        let sent = curl(&["--data-binary", &file, "-H", "expect: 100-continue", &format!("{url}/")]).await;
        assert_eq!(sent, "3000000");
        let head = curl(&["--head", &format!("{url}/bytes/77")]).await.to_lowercase();
        assert!(head.contains("content-length: 77\r\n") && head.contains("x-request-id: "), "{head}");
    }
    let printed = edge.debian("curl", &["-sS", "--tls-max", "1.2", &format!("{url}/bytes/2")]).await;
    assert_eq!(printed, "xx", "TLS 1.2 will do");
}

#[tokio::test]
async fn curl_shows_tokens_as_they_come() {
    let edge = HttpsEdge::start(&[
        inference_backend("smollm2", "openai", &[(llama().await.port("http"), None)]),
        model_route("smollm2"),
    ])
    .await;
    let request = r#"{"model":"smollm2","prompt":"One, two,","max_tokens":8,"stream":true}"#;
    let url = format!("{}/v1/completions", edge.url());
    for version in ["--http1.1", "--http2"] {
        let printed = edge.debian("curl", &["-sSN", version, "--json", request, &url]).await;
        assert!(printed.matches("data: {").count() > 3 && printed.trim_end().ends_with("data: [DONE]"), "{printed}");
    }
}

#[tokio::test]
async fn h2load_finds_no_failure() {
    let origin = sizes().await;
    let edge = sizes_edge(&origin).await;
    let body = edge.gateway.folder().path().join("body");
    std::fs::write(&body, vec![b'z'; 10_000]).unwrap();
    let (url, body) = (format!("{}/bytes/1000", edge.url()), body.display().to_string());
    for more in [&["-m", "20"][..], &["--h1"], &["-m", "20", "-d", &body]] {
        let printed = edge.debian("h2load", &[&["-n", "2000", "-c", "10", &url], more].concat()).await;
        let all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(printed.contains(all) && printed.contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{more:?}: {printed}");
    }
}

#[tokio::test]
async fn h2load_finds_no_stream_of_events_that_fails() {
    let simulated = simulator(&["simulated"]).await;
    let edge = chat_edge(&simulated).await;
    let body = edge.gateway.folder().path().join("body");
    let said =
        r#"{"model":"simulated","stream":true,"messages":[{"role":"user","content":"say: one two three four"}]}"#;
    std::fs::write(&body, said).unwrap();
    let (url, body) = (format!("{}/v1/chat/completions", edge.url()), body.display().to_string());
    let json = "content-type: application/json";
    for more in [&["-m", "10"][..], &["--h1"]] {
        let arguments = [&["-n", "400", "-c", "8", "-H", json, "-d", &body, &url], more].concat();
        let printed = edge.debian("h2load", &arguments).await;
        assert!(printed.contains("400 succeeded, 0 failed, 0 errored, 0 timeout"), "{more:?}: {printed}");
        assert!(printed.contains("400 2xx, 0 3xx, 0 4xx, 0 5xx"), "{more:?}: {printed}");
    }
}

#[tokio::test]
async fn wrk_finds_no_failure() {
    let origin = sizes().await;
    let edge = sizes_edge(&origin).await;
    let url = format!("{}/bytes/1000", edge.url());
    let printed = edge.debian("wrk", &["-t1", "-c10", "-d1s", &url]).await;
    assert!(printed.contains(" requests in "), "{printed}");
    assert!(!printed.contains("Socket errors") && !printed.contains("Non-2xx"), "{printed}");
    let counted = origin.seen().len();
    assert!(counted > 10, "only {counted} requests came through");
}
