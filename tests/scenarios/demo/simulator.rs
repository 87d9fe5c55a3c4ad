//! The simulated server alone, and behind the gateway.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use http::{Method, Request};
use portcullis_tests::harness::{
    Answer, Documents, Faults, Flavour, Gateway, H2Answer, H2Client, Options, Profile, RawClient, Simulator,
    SimulatorConfig, eventually, simulated_backend, simulator, simulator_with,
};
use prost::Message;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// A request with a body of JSON.
fn post(path: &str, body: &Value, headers: &str) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: llm.example\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The JSON of every event.
fn data(text: &str) -> Vec<Value> {
    let events = text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    events.filter(|event| *event != "[DONE]").map(|event| serde_json::from_str(event).unwrap()).collect()
}

/// What the first choice of a streamed chat says.
fn said(text: &str) -> String {
    data(text).iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn chat(said: &str, more: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": said}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn weather() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}})
}

/// Asks and takes the whole answer, which must be a success.
async fn ask(server: &Simulator, path: &str, body: &Value) -> Answer {
    let mut client = RawClient::connect(server.address()).await;
    let answer = client.exchange(post(path, body, "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

async fn ask_json(server: &Simulator, path: &str, body: &Value) -> Value {
    serde_json::from_slice(&ask(server, path, body).await.body).unwrap()
}

#[tokio::test]
async fn a_chat_says_what_it_is_told_to_streamed_or_not() {
    let server = simulator(&["m"]).await;
    let whole = ask_json(&server, "/v1/chat/completions", &chat("say: Hello, world!", &json!({}))).await;
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello, world!");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = ask(&server, "/v1/chat/completions", &chat("say: Hello, world!", &more)).await.text();
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    assert_eq!(said(&streamed), "Hello, world!");
    let last = data(&streamed).pop().unwrap();
    assert_eq!(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
    let header = post("/v1/chat/completions", &chat("hi", &json!({})), "x-simulator-text: caf%C3%A9\r\n");
    let told = RawClient::connect(server.address()).await.exchange(header).await;
    assert!(told.text().contains("café"), "{}", told.text());
}

#[tokio::test]
async fn a_chat_has_tools_choices_and_reasoning() {
    let server = simulator(&["m"]).await;
    let tools = json!({"tools": [{"type": "function", "function": {"name": "weather", "parameters": weather()}}]});
    let called = ask_json(&server, "/v1/chat/completions", &chat("hi", &tools)).await;
    let call = &called["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({"name": "weather", "arguments": r#"{"city":"example"}"#}));
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");

    let two = ask_json(&server, "/v1/chat/completions", &chat("hi", &json!({"n": 2}))).await;
    let choices = two["choices"].as_array().unwrap();
    assert_eq!((choices.len(), choices[1]["index"].as_u64()), (2, Some(1)));
    assert_ne!(choices[0]["message"], choices[1]["message"]);
    let streamed = ask(&server, "/v1/chat/completions", &chat("hi", &json!({"n": 2, "stream": true}))).await.text();
    for (index, choice) in choices.iter().enumerate() {
        let deltas = data(&streamed).into_iter().map(|chunk| chunk["choices"][0].clone());
        let of_choice = deltas.filter(|choice| choice["index"] == index);
        let said: String =
            of_choice.filter_map(|choice| Some(choice["delta"]["content"].as_str()?.to_owned())).collect();
        assert_eq!(choice["message"]["content"], said.as_str());
    }

    let more = json!({"reasoning_effort": "low", "max_tokens": 3});
    let thought = ask_json(&server, "/v1/chat/completions", &chat("hi", &more)).await;
    assert!(thought["choices"][0]["message"]["reasoning_content"].is_string(), "{thought}");
    assert_eq!(thought["choices"][0]["finish_reason"], "length");
    assert_eq!(thought["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
}

#[tokio::test]
async fn the_rest_of_openai_is_spoken_too() {
    let server = simulator(&["m"]).await;
    let completion = ask_json(&server, "/v1/completions", &json!({"model": "m", "prompt": "say: done"})).await;
    assert_eq!(completion["choices"][0]["text"], "done");

    let embedded =
        ask_json(&server, "/v1/embeddings", &json!({"model": "m", "input": ["a", "b", "a"], "dimensions": 8})).await;
    let vector = |index: usize| embedded["data"][index]["embedding"].as_array().unwrap();
    assert_eq!(vector(0).len(), 8);
    assert!(vector(0) == vector(2) && vector(0) != vector(1), "{embedded}");
    assert_eq!(embedded["usage"]["prompt_tokens"], 3);

    let body = json!({"model": "m", "input": "say: typed events", "stream": true});
    let events = data(&ask(&server, "/v1/responses", &body).await.text());
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, expected);
    assert!(events.iter().enumerate().all(|(number, event)| event["sequence_number"] == number), "{events:?}");
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], "typed events");
}

#[tokio::test]
async fn anthropic_messages_are_spoken() {
    let server = simulator(&["m"]).await;
    let body = |more: Value| {
        let mut body = chat("say: one two", &more);
        body["max_tokens"] = json!(50);
        body
    };
    let whole = ask_json(&server, "/v1/messages", &body(json!({}))).await;
    assert_eq!(whole["content"], json!([{"type": "text", "text": "one two"}]));
    assert_eq!(whole["stop_reason"], "end_turn");
    let counted = ask_json(&server, "/v1/messages/count_tokens", &body(json!({}))).await;
    assert_eq!(counted["input_tokens"], whole["usage"]["input_tokens"]);

    let events = data(&ask(&server, "/v1/messages", &body(json!({"stream": true}))).await.text());
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);

    let mut client = RawClient::connect(server.address()).await;
    let refused = client.exchange(post("/v1/messages", &chat("hi", &json!({})), "")).await;
    assert_eq!(refused.status, 400);
    assert_eq!(serde_json::from_slice::<Value>(&refused.body).unwrap()["type"], "error");
}

#[tokio::test]
async fn tensors_are_inferred_in_json_and_in_binary() {
    let server = simulator(&["m"]).await;
    let row = |name: &str, first: i32| json!({"name": name, "datatype": "INT32", "shape": [1, 16], "data": (first..first + 16).collect::<Vec<_>>()});
    let body = json!({"id": "7", "inputs": [row("INPUT0", 0), row("INPUT1", 1)]});
    let inferred = ask_json(&server, "/v2/models/simple/infer", &body).await;
    assert_eq!(inferred["id"], "7");
    assert_eq!(inferred["outputs"][1]["data"], json!(vec![-1; 16]));

    let head = json!({
        "inputs": [{"name": "INPUT0", "datatype": "FP16", "shape": [2], "parameters": {"binary_data_size": 4}}],
        "parameters": {"binary_data_output": true},
    });
    let head = head.to_string();
    let request = format!(
        "POST /v2/models/identity/infer HTTP/1.1\r\nhost: s\r\ninference-header-content-length: {}\r\ncontent-length: {}\r\n\r\n{head}",
        head.len(),
        head.len() + 4
    );
    let mut client = RawClient::connect(server.address()).await;
    let answer = client.exchange([request.as_bytes(), &[1, 2, 3, 4]].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    assert_eq!(&answer.body[length..], [1, 2, 3, 4]);

    let mut wrong = body;
    wrong["inputs"][0]["shape"] = json!([1, 17]);
    let refused = client.exchange(post("/v2/models/simple/infer", &wrong, "")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("INPUT0"), "{}", refused.text());
}

/// What the tests write of `ModelInferRequest`.
#[derive(Clone, PartialEq, Message)]
struct Infer {
    #[prost(string, tag = "1")]
    model: String,
    #[prost(message, repeated, tag = "5")]
    inputs: Vec<Input>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    raw: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Input {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
}

/// What they read of `ModelInferResponse`.
#[derive(Clone, PartialEq, Message)]
struct Inferred {
    #[prost(bytes = "bytes", repeated, tag = "6")]
    raw: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamInferred {
    #[prost(string, tag = "1")]
    error: String,
    #[prost(message, optional, tag = "2")]
    response: Option<Inferred>,
}

fn text_input(model: &str, text: &str) -> Infer {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let input = Input { name: "text_input".to_owned(), datatype: "BYTES".to_owned(), shape: vec![1] };
    Infer { model: model.to_owned(), inputs: vec![input], raw: vec![[&length[..], text.as_bytes()].concat().into()] }
}

async fn call(client: &H2Client, method: &str, messages: &[Infer]) -> H2Answer {
    let mut body = Vec::new();
    for message in messages {
        body.push(0);
        body.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
        body.extend(message.encode_to_vec());
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://s/inference.GRPCInferenceService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    client.send(request).await.unwrap()
}

/// The messages of an answer, and its status.
fn messages<M: Message + Default>(answer: &H2Answer) -> (Vec<M>, String) {
    let mut messages = Vec::new();
    let mut rest = &answer.body[..];
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        messages.push(M::decode(&after[..length]).unwrap());
        rest = &after[length..];
    }
    let status = answer.trailers.as_ref().unwrap_or(&answer.head.headers)["grpc-status"].to_str().unwrap();
    (messages, status.to_owned())
}

#[tokio::test]
async fn remote_calls_infer_one_by_one_and_in_streams() {
    let server = simulator(&["m"]).await;
    let client = H2Client::connect(server.address()).await;
    let live = call(&client, "ServerLive", &[Infer::default()]).await;
    assert_eq!(&live.body[..], [0, 0, 0, 0, 2, 8, 1]);
    let (inferred, status) =
        messages::<Inferred>(&call(&client, "ModelInfer", &[text_input("m", "say: one two")]).await);
    assert_eq!((status.as_str(), &inferred[0].raw[0][4..]), ("0", &b"one two"[..]));

    let asked = [text_input("m", "say: one two"), text_input("none", "hi"), text_input("m", "say: three")];
    let (inferred, status) = messages::<StreamInferred>(&call(&client, "ModelStreamInfer", &asked).await);
    let said = |reply: &StreamInferred| match &reply.response {
        Some(response) => String::from_utf8(response.raw[0][4..].to_vec()).unwrap(),
        None => reply.error.clone(),
    };
    let said: Vec<String> = inferred.iter().map(said).collect();
    assert_eq!(status, "0");
    assert_eq!(said, ["one", " two", "Request for unknown model: 'none' is not found", "three"]);

    let (_, status) = messages::<Inferred>(&call(&client, "ModelInfer", &[text_input("none", "hi")]).await);
    assert_eq!(status, "5", "NOT_FOUND");
    let (_, status) = messages::<Inferred>(&call(&client, "RepositoryIndex", &[Infer::default()]).await);
    assert_eq!(status, "12", "UNIMPLEMENTED");
}

#[tokio::test]
async fn a_model_that_is_not_served_is_refused() {
    let server = simulator(&["m"]).await;
    let mut client = RawClient::connect(server.address()).await;
    let answer = client.exchange(post("/v1/chat/completions", &chat("hi", &json!({"model": "other"})), "")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("`other`"), "{}", answer.text());
}

/// What comes of a chat with faults: the head and all bytes until the connection ends, or is kept.
async fn faulty(server: &Simulator, faults: &str, streamed: bool) -> (RawClient, std::io::Result<Answer>) {
    let mut client = RawClient::connect(server.address()).await;
    let body = chat("say: one two three four", &json!({"stream": streamed}));
    client.send(post("/v1/chat/completions", &body, &format!("x-simulator-faults: {faults}\r\n"))).await;
    let answer = client.try_answer().await;
    (client, answer)
}

#[tokio::test]
async fn faults_happen_on_request() {
    let server = simulator(&["m"]).await;
    let (_, answer) = faulty(&server, "status=503", true).await;
    assert_eq!(answer.unwrap().status, 503);
    let (_, answer) = faulty(&server, "nonsense", true).await;
    assert_eq!(answer.unwrap().status, 400);
    for (faults, streamed) in [
        ("reset", true),
        ("reset-after=2", true),
        ("close-after=2", true),
        ("reset-after=1", false),
        ("close-after=1", false),
    ] {
        let (_, answer) = faulty(&server, faults, streamed).await;
        let error = answer.expect_err(faults);
        let is_reset = error.kind() == std::io::ErrorKind::ConnectionReset;
        assert_eq!(is_reset, faults.starts_with("reset"), "{faults}: {error}");
    }
    let tensor = json!({"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1]}]});
    let mut client = RawClient::connect(server.address()).await;
    client.send(post("/v2/models/identity/infer", &tensor, "x-simulator-faults: close-after=0\r\n")).await;
    assert!(client.try_answer().await.is_err(), "tensors are cut as well");
    let (_, answer) = faulty(&server, "malformed-after=1", true).await;
    let text = answer.unwrap().text();
    assert!(text.contains(r#"data: {"choices": [{"#) && text.ends_with("[DONE]\n\n"), "{text}");
    assert_eq!(server.cancelled(), 0, "the client did nothing wrong");

    server.set_faults("status=500".parse::<Faults>().unwrap());
    let mut client = RawClient::connect(server.address()).await;
    let plain = post("/v1/chat/completions", &chat("hi", &json!({})), "");
    assert_eq!(client.exchange(&plain).await.status, 500);
    let cleared = client.exchange("PUT /simulator/faults HTTP/1.1\r\nhost: s\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(cleared.status, 204);
    assert_eq!(client.exchange(&plain).await.status, 200);
}

#[tokio::test]
async fn a_connection_may_close_after_a_stream_though_it_said_otherwise() {
    let server = simulator(&["m"]).await;
    let (mut client, answer) = faulty(&server, "close-after-stream", true).await;
    let answer = answer.unwrap();
    assert!(answer.text().ends_with("[DONE]\n\n"));
    assert_eq!(answer.header("keep-alive"), Some("timeout=5, max=100"));
    assert_eq!(answer.header("connection"), None);
    assert_eq!(client.read_until_close(portcullis_tests::harness::PATIENCE).await, Some(Vec::new()));
}

#[tokio::test]
async fn a_stall_holds_its_place_until_the_client_leaves() {
    let server = simulator(&["m"]).await;
    let mut client = RawClient::connect(server.address()).await;
    let body = chat("say: one two three", &json!({"stream": true}));
    client.send(post("/v1/chat/completions", &body, "x-simulator-faults: stall-after=1\r\n")).await;
    let mut text = String::new();
    while !text.contains("one") {
        text.push_str(&String::from_utf8(client.read().await.unwrap()).unwrap());
    }
    assert_eq!(client.read_until_close(Duration::from_millis(50)).await, None, "{text}");
    drop(client);
    eventually("the client is missed", async || server.cancelled() == 1).await;
}

/// A server whose answers take longer than any test.
async fn slow() -> Simulator {
    let profile = Profile::paced(Duration::from_millis(10));
    let text = Some("word ".repeat(10_000));
    simulator_with(SimulatorConfig { models: vec!["m".to_owned()], profile, text, ..SimulatorConfig::default() }).await
}

async fn gateway(server: &Simulator) -> Gateway {
    let backend = simulated_backend("default", "m", "openai", server);
    Gateway::start(&Documents::new().with("edge.yaml", EDGE).with("m.yaml", backend), Options::default()).await
}

#[tokio::test]
async fn events_arrive_through_the_gateway_while_the_rest_is_not_yet_said() {
    let server = slow().await;
    let gateway = gateway(&server).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    client.send(post("/v1/chat/completions", &chat("hi", &json!({"stream": true})), "")).await;
    assert_eq!(client.head().await.status, 200);
    let mut received = String::new();
    for word in 1..=5 {
        while received.matches(r#""content":"#).count() < word + 1 {
            received.push_str(&String::from_utf8(client.read().await.unwrap()).unwrap());
        }
        // The engine takes 100 seconds for all of it, so what is here came on its own.
        assert_eq!(server.running(), 1, "the answer is still being said");
    }
}

/// How long it takes until the server misses a client that hangs up, at best of a few: a busy machine is no argument.
async fn missed_after(server: &Simulator, through: std::net::SocketAddr, streamed: bool) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let before = server.cancelled();
        let mut client = RawClient::connect(through).await;
        client.send(post("/v1/chat/completions", &chat("hi", &json!({"stream": streamed})), "")).await;
        eventually("the request reaches the engine", async || server.running() == 1).await;
        drop(client);
        let hung_up = Instant::now();
        while server.cancelled() == before {
            assert!(hung_up.elapsed() < portcullis_tests::harness::PATIENCE, "the server never misses its client");
            sleep(Duration::from_millis(1)).await;
        }
        best = best.min(hung_up.elapsed());
        eventually("its place is free", async || server.running() == 0).await;
    }
    best
}

#[tokio::test]
async fn a_client_that_hangs_up_is_missed_within_100_ms() {
    let server = slow().await;
    let gateway = gateway(&server).await;
    let edge = gateway.addr("default/edge", 80).await;
    for (through, streamed) in [(server.address(), true), (server.address(), false), (edge, true), (edge, false)] {
        let missed = missed_after(&server, through, streamed).await;
        assert!(missed < Duration::from_millis(100), "{missed:?}, streamed: {streamed}, at {through}");
    }
    assert!(server.metrics().contains("finished_reason=\"abort\"} 20\n"), "{}", server.metrics());
}

/// Reads a page as Prometheus does: every family has one type, told before its lines. Gives each line's value.
fn scrape(page: &str) -> HashMap<String, f64> {
    let mut types: HashMap<&str, &str> = HashMap::new();
    let mut values = HashMap::new();
    for line in page.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "two types of {name}");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                let family = name.strip_suffix(end)?;
                (types.get(family) == Some(&"histogram")).then_some(family)
            });
            assert!(types.contains_key(family.unwrap_or(name)), "no type of {name}");
            assert!(values.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} twice");
        }
    }
    values
}

#[tokio::test]
async fn metric_pages_tell_what_happened() {
    let server = simulator(&["m"]).await;
    let long =
        "say: a prompt that is long enough to fill a block or two of the cache, and then a little bit more of it";
    for _ in 0..2 {
        ask(&server, "/v1/chat/completions", &chat(long, &json!({}))).await;
    }
    let mut client = RawClient::connect(server.address()).await;
    let page = client.exchange("GET /metrics HTTP/1.1\r\nhost: s\r\n\r\n").await.text();
    let values = scrape(&page);
    let value = |name: &str, more: &str| values[&format!("vllm:{name}{{engine=\"0\",model_name=\"m\"{more}}}")];
    assert!((value("request_success_total", ",finished_reason=\"stop\"") - 2.0).abs() < 1e-9);
    assert!((value("time_to_first_token_seconds_count", "") - 2.0).abs() < 1e-9);
    assert!((value("time_to_first_token_seconds_bucket", ",le=\"+Inf\"") - 2.0).abs() < 1e-9);
    assert!(value("prefix_cache_hits_total", "") >= 16.0, "{page}");
    assert!(value("generation_tokens_total", "") > 10.0);
    assert!(value("num_requests_running", "").abs() < 1e-9);

    let config = SimulatorConfig { models: Vec::new(), flavour: Flavour::Triton, ..SimulatorConfig::default() };
    let server = simulator_with(config).await;
    let body = json!({"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1]}]});
    ask(&server, "/v2/models/identity/infer", &body).await;
    let refused = post("/v2/models/simple/infer", &body, "");
    assert_eq!(RawClient::connect(server.address()).await.exchange(refused).await.status, 400);
    let values = scrape(&server.metrics());
    let value = |name: &str, labels: &str| values[&format!("nv_inference_{name}{{{labels},version=\"1\"}}")];
    assert!((value("request_success", "model=\"identity\"") - 1.0).abs() < 1e-9);
    assert!(value("compute_infer_duration_us", "model=\"identity\"") >= 2_000.0);
    let failures = values["nv_inference_request_failure{model=\"simple\",version=\"1\",reason=\"OTHER\"}"];
    assert!((failures - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn load_is_reported_to_whom_asks_for_it() {
    let server = simulator(&["m"]).await;
    let mut client = RawClient::connect(server.address()).await;
    let rows = [
        ("TEXT", Some("TEXT named_metrics.kv_cache_usage_perc=0, named_metrics.num_requests_waiting=0")),
        ("json", Some(r#"JSON {"named_metrics":{"kv_cache_usage_perc":0.0,"num_requests_waiting":0.0}}"#)),
        ("bin", None),
    ];
    for (format, expected) in rows {
        let headers = format!("endpoint-load-metrics-format: {format}\r\n");
        let answer = client.exchange(post("/v1/chat/completions", &chat("hi", &json!({})), &headers)).await;
        assert_eq!(answer.header("endpoint-load-metrics"), expected, "{format}");
    }
    let answer = client.exchange(post("/v1/chat/completions", &chat("hi", &json!({})), "")).await;
    assert_eq!(answer.header("endpoint-load-metrics"), None);
}

/// A gateway without TLS that sends everything to the backend `m`.
const EDGE: &str = r"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: m}]
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: everyone, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: all}]
  authentication: {anonymous: {actions: ['*']}}
";
