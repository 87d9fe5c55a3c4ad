//! Stock inference servers behind the gateway.

use portcullis_tests::harness::{
    RawClient, eventually,
    stock::{StockServer, another_llama, llama, triton},
};
use serde_json::{Value, json};

use crate::stock::{HttpsEdge, inference_backend, route, triton_backend};

/// The backend `llama`, these servers of llama.cpp its endpoints.
async fn llama_edge(servers: &[&StockServer]) -> HttpsEdge {
    let ports: Vec<_> = servers.iter().map(|server| (server.port("http"), None)).collect();
    HttpsEdge::start(&[inference_backend("llama", "openai", &ports), route("llama", &["/v1"])]).await
}

fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The JSON of every event of a stream, the word that ends OpenAI's left out.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}"))).collect()
}

/// What a page of a server says, asked directly.
async fn page(server: &StockServer, path: &str) -> String {
    let mut client = RawClient::connect(server.address("http")).await;
    client.exchange(format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")).await.text()
}

/// A counter of llama.cpp's metrics page.
async fn llama_counts(server: &StockServer, name: &str) -> f64 {
    let metrics = page(server, "/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned);
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

async fn llama_is_at_work(server: &StockServer) -> bool {
    let slots: Value = serde_json::from_str(&page(server, "/slots").await).unwrap();
    slots.as_array().unwrap().iter().any(|slot| slot["is_processing"] == true)
}

/// One path of llama.cpp: a whole answer with text at `text`, and a stream whose pieces at `piece` make the same text.
async fn check_dialect(path: &str, request: Value, text: &str, piece: &str, last: &str) {
    let edge = llama_edge(&[llama().await]).await;
    let mut client = edge.client().await;
    let mut request = request;
    request["model"] = json!("smollm2");
    request["temperature"] = json!(0);
    let whole = client.exchange(post(path, &request)).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    let said = whole.pointer(text).and_then(Value::as_str).unwrap_or_else(|| panic!("no text in {whole}"));
    request["stream"] = json!(true);
    let stream = client.exchange(post(path, &request)).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let stream = stream.text();
    assert!(stream.trim_end().lines().last().unwrap().contains(last), "{stream}");
    let pieces: Vec<_> =
        events(&stream).iter().filter_map(|event| Some(event.pointer(piece)?.as_str()?.to_owned())).collect();
    assert!(pieces.len() > 3, "text comes token by token: {stream}");
    assert_eq!(pieces.concat(), said);
}

#[tokio::test]
async fn llama_chats_in_openais_words() {
    let request = json!({"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 16});
    let (text, piece) = ("/choices/0/message/content", "/choices/0/delta/content");
    check_dialect("/v1/chat/completions", request, text, piece, "[DONE]").await;
}

#[tokio::test]
async fn llama_completes_prompts() {
    let request = json!({"prompt": "The capital of France is", "max_tokens": 12});
    check_dialect("/v1/completions", request, "/choices/0/text", "/choices/0/text", "[DONE]").await;
}

#[tokio::test]
async fn llama_responds_in_openais_newer_words() {
    let request = json!({"input": "Name a colour.", "max_output_tokens": 16});
    check_dialect("/v1/responses", request, "/output/0/content/0/text", "/delta", "response.completed").await;
}

#[tokio::test]
async fn llama_answers_messages_in_anthropics_words() {
    let request = json!({"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 16});
    check_dialect("/v1/messages", request, "/content/0/text", "/delta/text", "message_stop").await;
}

/// llama.cpp promises `Keep-Alive: timeout=5, max=100` and closes after every stream all the same.
#[tokio::test]
async fn servers_that_close_after_every_stream_fail_no_request() {
    let servers = [llama().await, another_llama().await];
    let edge = llama_edge(&servers).await;
    let clients = (0..4).map(async |number| {
        let mut client = edge.client().await;
        for turn in 0..15 {
            // Every third answer is whole, so that connections that are kept lie between those that are not.
            let stream = (number + turn) % 3 != 0;
            let request = json!({"model": "smollm2", "prompt": "One, two,", "max_tokens": 4, "stream": stream});
            let answer = client.exchange(post("/v1/completions", &request)).await;
            assert_eq!(answer.status, 200, "request {turn} of client {number}: {}", answer.text());
            assert_eq!(answer.text().trim_end().ends_with("data: [DONE]"), stream, "{}", answer.text());
        }
    });
    futures_util::future::join_all(clients).await;
    let endpoints: Value = serde_json::from_str(&edge.gateway.page("/endpoints").await.1).unwrap();
    let endpoints = endpoints["backends"][0]["endpoints"].as_array().unwrap_or_else(|| panic!("{endpoints:#}"));
    assert_eq!(endpoints.len(), 2);
    for endpoint in endpoints {
        assert_eq!((&endpoint["state"], &endpoint["failuresTotal"]), (&json!("ready"), &json!(0)), "{endpoint:#}");
    }
    for server in servers {
        assert!(llama_counts(server, "llamacpp:tokens_predicted_total").await > 0.0, "both are asked");
    }
}

/// Much more text than a machine makes while the test looks. llama.cpp stops only streams whose client is gone: it makes
/// the whole of an answer that is not streamed, whoever waits for it.
const LONG_TOKENS: u32 = 900;

#[tokio::test]
async fn llama_stops_when_the_client_goes_away() {
    let server = StockServer::llama().await;
    let edge = llama_edge(&[&server]).await;
    let mut client = edge.client().await;
    let request = json!({"prompt": "Once", "max_tokens": LONG_TOKENS, "ignore_eos": true, "stream": true});
    client.send(post("/v1/completions", &request)).await;
    assert_eq!(client.head().await.status, 200);
    assert!(!client.read().await.unwrap().is_empty());
    assert!(llama_is_at_work(&server).await);
    drop(client);
    eventually("llama.cpp stops", async || !llama_is_at_work(&server).await).await;
    let tokens = llama_counts(&server, "llamacpp:tokens_predicted_total").await;
    assert!(tokens < f64::from(LONG_TOKENS), "it made all of its {tokens} tokens");
}

#[tokio::test]
async fn a_server_that_dies_mid_stream_ends_it_with_an_error_event() {
    let mortal = StockServer::llama().await;
    let edge = llama_edge(&[&mortal]).await;
    let mut client = edge.client().await;
    let request = json!({"model": "smollm2", "messages": [{"role": "user", "content": "Tell me a story."}],
                         "max_tokens": LONG_TOKENS, "ignore_eos": true, "stream": true});
    client.send(post("/v1/chat/completions", &request)).await;
    assert_eq!(client.head().await.status, 200);
    let first = client.read().await.unwrap();
    drop(mortal);
    let rest = client.read_until_close(portcullis_tests::harness::PATIENCE).await;
    let stream = [first, rest.expect("the stream ends")].concat();
    let stream = String::from_utf8_lossy(&stream);
    assert!(stream.contains("\"upstream_truncated\"") && !stream.contains("[DONE]"), "{stream}");
}

async fn triton_edge() -> HttpsEdge {
    HttpsEdge::start(&[triton_backend(triton().await), route("triton", &["/v2"])]).await
}

#[tokio::test]
async fn triton_tells_health_and_metadata() {
    let edge = triton_edge().await;
    let mut client = edge.client().await;
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/echo/ready", "/v2/models/echo/versions/1/ready"] {
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let answer = client.exchange("GET /v2/models/count HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let metadata: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(metadata["inputs"][0], json!({"name": "below", "datatype": "INT32", "shape": [-1, 1]}));
    let answer = client.exchange("GET /v2/models/nothing HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(answer.status, 404, "its own refusal: {}", answer.text());
    assert!(answer.text().contains("unknown model"), "its own refusal: {}", answer.text());
}

#[tokio::test]
async fn triton_streams_what_it_generates_as_events() {
    let edge = triton_edge().await;
    let mut client = edge.client().await;
    for below in [0, 1, 40] {
        let answer = client.exchange(post("/v2/models/count/generate_stream", &json!({"below": below}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let numbers: Vec<_> = events(&answer.text()).iter().filter_map(|event| event["number"].as_i64()).collect();
        assert_eq!(numbers, (0..below).collect::<Vec<_>>(), "{}", answer.text());
    }
}

#[tokio::test]
async fn triton_takes_binary_tensors_of_megabytes() {
    let edge = triton_edge().await;
    let mut client = edge.client().await;
    let numbers = 1 << 20;
    let tensor: Vec<u8> = (0..numbers).flat_map(|number: u32| (number as f32).to_le_bytes()).collect();
    let head = json!({"inputs": [{"name": "numbers", "shape": [1, numbers], "datatype": "FP32",
                                  "parameters": {"binary_data_size": tensor.len()}}],
                      "outputs": [{"name": "numbers", "parameters": {"binary_data": true}}]})
    .to_string();
    let request = format!(
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n\
         inference-header-content-length: {}\r\ncontent-length: {}\r\n\r\n{head}",
        head.len(),
        head.len() + tensor.len()
    );
    let answer = client.exchange([request.as_bytes(), &tensor].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let head_length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    assert!(answer.body[head_length..] == tensor, "the very tensor comes back");
}

#[tokio::test]
async fn triton_is_known_to_be_ready_by_asking_it() {
    let check = "  healthCheck: {path: /v2/health/ready, interval: 1s}\n";
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let triton = triton().await;
    let ports = [(triton.port("http"), Some(triton.port("grpc"))), (dead, Some(dead))];
    let backend = inference_backend("triton", "kserve-v2", &ports) + check;
    let edge = HttpsEdge::start(&[backend, route("triton", &["/v2"])]).await;
    let states = async || {
        let endpoints: Value = serde_json::from_str(&edge.gateway.page("/endpoints").await.1).unwrap();
        let endpoints = endpoints["backends"][0]["endpoints"].as_array().cloned().unwrap_or_default();
        endpoints.iter().map(|endpoint| endpoint["state"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    eventually("one is ready, one is not", async || states().await == ["ready", "unhealthy"]).await;
    let mut client = edge.client().await;
    for _ in 0..20 {
        assert_eq!(client.exchange("GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n").await.status, 200);
    }
}
