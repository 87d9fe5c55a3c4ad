//! Answers that flow.

use std::time::Duration;

use portcullis_tests::harness::{PATIENCE, Reply};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{ADDRESS, CHAT, MASKS, guarded, policy, post};
use crate::edge::{Edge, Puppet, http_route, inference_backend, request, to_inference, together};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const ASK: &str = r#"{"model": "m", "stream": true, "messages": []}"#;

fn delta(text: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}))
}

const STOP: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A whole stream of HTTP/1.1 with these events in chunks of so many bytes.
fn stream(events: &str, size: usize) -> Vec<u8> {
    let chunks = events
        .as_bytes()
        .chunks(size)
        .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    [HEAD.as_bytes().to_vec(), chunks.collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat()
}

/// The text that a client puts together, and how it is told to stop.
fn assembled(body: &str) -> (String, Vec<String>) {
    let (mut text, mut reasons) = (String::new(), Vec::new());
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        for choice in event["choices"].as_array().into_iter().flatten() {
            text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            reasons.extend(choice["finish_reason"].as_str().map(str::to_owned));
        }
    }
    (text, reasons)
}

/// C1: a value cut at every place, of the text and of the bytes.
#[tokio::test]
async fn a_value_is_masked_wherever_it_is_cut() {
    let said = format!("Write to {ADDRESS} today.");
    let text = said.clone();
    let (_origin, edge) = guarded("openai", MASKS, move |seen| {
        // The query says where.
        let at: usize = seen.target.split("at=").nth(1).unwrap().parse().unwrap();
        let (head, rest) = text.split_at(at % text.len());
        Reply::Bytes(stream(&format!("{}{}{STOP}", delta(head), delta(rest)), 1 + at % 61))
    })
    .await;
    for at in 0..2 * said.len() {
        let got = post(&edge, &format!("{CHAT}?at={at}"), ASK).await;
        let (text, reasons) = assembled(&got.text());
        assert_eq!(text, "Write to [personal] today.", "{at}");
        assert_eq!(reasons, ["stop"], "{at}");
        assert!(!got.text().contains("eve") && got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
    }
}

#[tokio::test]
async fn events_flow_while_the_next_ones_are_awaited() {
    let pieces = vec![
        (Duration::ZERO, [HEAD.as_bytes(), &framed(&delta("It is "))].concat()),
        (Duration::ZERO, framed(&delta("fine. "))),
        (Duration::from_hours(1), Vec::new()),
    ];
    let (_origin, edge) = guarded("openai", MASKS, move |_| Reply::Pieces(pieces.clone())).await;
    let mut client = edge.client().await;
    client.send(request("POST", "llm.test", CHAT, super::JSON, ASK)).await;
    assert_eq!(client.head().await.status, 200);
    let mut text = String::new();
    let reading = async {
        while !text.contains("fine.") {
            text.push_str(&String::from_utf8_lossy(&client.read().await.unwrap()));
        }
    };
    timeout(PATIENCE, reading).await.expect("what is decided is there before more comes");
}

fn framed(event: &str) -> Vec<u8> {
    [format!("{:x}\r\n", event.len()).as_bytes(), event.as_bytes(), b"\r\n"].concat()
}

#[tokio::test]
async fn what_nobody_has_to_change_passes_byte_for_byte() {
    let events = format!(": hello\n\nid: 7\n{}{}{STOP}", delta("plain words "), delta("and more. "));
    let sent = events.clone();
    let (_origin, edge) = guarded("openai", MASKS, move |_| Reply::Bytes(stream(&sent, 64))).await;
    let got = post(&edge, CHAT, ASK).await;
    assert_eq!(got.text(), events);
}

/// A block ends the stream as its dialect does, and the backend hears of it.
#[tokio::test]
async fn a_block_ends_the_stream_and_the_backends_work() {
    let puppet = Puppet::start().await;
    let edge = guarded_by(&puppet).await;
    let asking = tokio::spawn(async move { (post(&edge, CHAT, ASK).await, edge) });
    let (_, mut backend) = puppet.request().await;
    backend.write_all(HEAD.as_bytes()).await.unwrap();
    for text in ["The name ", "is os", "prey, and"] {
        backend.write_all(&framed(&delta(text))).await.unwrap();
    }
    hears_of_the_end(&mut backend).await;
    let (got, edge) = asking.await.unwrap();
    let (text, reasons) = assembled(&got.text());
    assert_eq!((text.as_str(), &reasons[..]), ("The name is ", &["content_filter".to_owned()][..]), "{}", got.text());
    assert!(got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
    let blocked = edge.gateway.metric("portcullis_exchanges_total", &[r#"ending="blocked""#]).await;
    assert_eq!(blocked, 1.0);
}

async fn guarded_by(puppet: &Puppet) -> Edge {
    Edge::start(&guarded_documents(puppet, MASKS)).await
}

fn guarded_documents(puppet: &Puppet, guards: &str) -> [String; 3] {
    let route = http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm")));
    [inference_backend("llm", "openai", puppet.address(), ""), route, policy(guards)]
}

/// The gateway closes the connection: its backend need not go on.
async fn hears_of_the_end(backend: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, backend.read_to_end(&mut rest)).await.expect("the backend's connection is closed");
}

/// C2, C3: what cannot be read is refused in the dialect's error event, and what is held is dropped.
#[tokio::test]
async fn what_cannot_be_read_ends_the_stream_with_an_error() {
    for (name, events) in [
        ("invalid JSON", format!("{}data: {{\"a\n\n", delta("so far ev"))),
        ("an event cut short", format!("{}data: {{\"ch", delta("so far ev"))),
        ("no end", delta("so far eve@corp.exam")),
        ("an event of 5 MiB", format!("{}data: {}\n\n", delta("so far ev"), "x".repeat(5 << 20))),
        ("two readings", format!("{}data: {{\"a\": 1, \"a\": 2}}\n\n", delta("so far ev"))),
    ] {
        let bytes = stream(&events, 100_000);
        let (_origin, edge) = guarded("openai", MASKS, move |_| Reply::Bytes(bytes.clone())).await;
        let (text, clean) = until_close(&edge).await;
        assert!(!clean, "{name}: {text}");
        assert!(text.contains("\"error\"") && !text.contains("eve@"), "{name}: {text}");
        assert!(text.contains("unscreenable_answer") || text.contains("upstream_truncated"), "{name}: {text}");
    }
}

/// What a client gets, up to the end of its connection, and whether that was a proper end.
async fn until_close(edge: &Edge) -> (String, bool) {
    let mut client = edge.client().await;
    client.send(request("POST", "llm.test", CHAT, super::JSON, ASK)).await;
    assert_eq!(client.head().await.status, 200);
    match client.read_until_close(PATIENCE).await {
        Some(rest) => (String::from_utf8_lossy(&rest).into_owned(), rest.ends_with(b"\r\n0\r\n\r\n")),
        None => (String::new(), true),
    }
}

/// C9: who hangs up while text is held costs nothing more.
#[tokio::test]
async fn a_client_that_hangs_up_takes_what_is_held_with_it() {
    let puppet = Puppet::start().await;
    let edge = guarded_by(&puppet).await;
    let mut client = edge.client().await;
    client.send(request("POST", "llm.test", CHAT, super::JSON, ASK)).await;
    let (_, mut backend) = puppet.request().await;
    backend.write_all(&[HEAD.as_bytes(), &framed(&delta("fine. eve@corp.exa"))].concat()).await.unwrap();
    client.head().await;
    drop(client);
    hears_of_the_end(&mut backend).await;
    let cancelled = async {
        while edge.gateway.metric("portcullis_exchanges_total", &[r#"ending="cancelled""#]).await < 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, cancelled).await.expect("the exchange is closed once");
}

/// C9: other documents in the middle of a stream are for those that begin after them.
#[tokio::test]
async fn a_stream_keeps_the_guards_that_it_began_with() {
    let puppet = Puppet::start().await;
    let edge = guarded_by(&puppet).await;
    let mut client = edge.client().await;
    client.send(request("POST", "llm.test", CHAT, super::JSON, ASK)).await;
    let (_, mut backend) = puppet.request().await;
    backend.write_all(&[HEAD.as_bytes(), &framed(&delta("Write to eve@co"))].concat()).await.unwrap();
    client.head().await;
    let others = guarded_documents(&puppet, "output: [{name: names, words: [heron], action: Flag}]");
    edge.gateway.rewrite(&together(&others)).await;
    let rest = [framed(&delta("rp.example today.")), framed(STOP), b"0\r\n\r\n".to_vec()].concat();
    backend.write_all(&rest).await.unwrap();
    let mut body = String::new();
    let reading = async {
        while !body.contains("[DONE]") {
            body.push_str(&String::from_utf8_lossy(&client.read().await.unwrap()));
        }
    };
    timeout(PATIENCE, reading).await.expect("the stream ends");
    assert!(!body.contains("eve@") && body.contains("[personal]"), "{body}");
    drop(backend);
    let asking = tokio::spawn(async move { post(&edge, CHAT, ASK).await });
    let (_, mut backend) = puppet.request().await;
    backend.write_all(&[HEAD.as_bytes(), &framed(&delta(ADDRESS)), &rest].concat()).await.unwrap();
    let got = asking.await.unwrap().text();
    assert!(got.contains(ADDRESS), "the next one has the new guards: {got}");
}

#[tokio::test]
async fn a_stream_ends_with_what_was_found() {
    let events = format!("{}{STOP}", delta(&format!("to {ADDRESS}.")));
    let told = format!("verdict: {{tell: Verdict}}\n{MASKS}");
    let (_origin, edge) = guarded("openai", &told, move |_| Reply::Bytes(stream(&events, 50))).await;
    let got = post(&edge, CHAT, ASK).await;
    let comment = got.text().lines().rfind(|line| line.starts_with(": ")).unwrap().to_owned();
    assert!(comment.contains("verdict=mask") && comment.contains("output/personal/email=1"), "{comment}");
    assert!(got.header("x-guard-verdict").is_some_and(|told| told.contains("verdict=pass")), "of what went in");
}
