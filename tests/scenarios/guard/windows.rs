//! Event streams under a guard elsewhere: what it is asked about, what waits meanwhile, and what goes on.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use portcullis_tests::harness::{Origin, PATIENCE, RawClient, Reply};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{CHAT, JSON, guarded, policy, post};
use crate::edge::{Edge, Puppet, answer, http_route, inference_backend, read_head, request, to_inference};

const ASK: &str = r#"{"model": "m", "stream": true, "messages": []}"#;

/// A webhook that refuses what says `bomb`, and the texts that it was asked about.
async fn webhook() -> (Origin, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let origin = Origin::start(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let texts = body["texts"].as_array().unwrap().iter().map(|text| text["text"].as_str().unwrap().to_owned());
        let all = texts.collect::<Vec<_>>().join("|");
        let verdict = if all.contains("bomb") { r#"{"verdict": "block"}"# } else { r#"{"verdict": "pass"}"# };
        heard.lock().unwrap().push(all);
        Reply::Bytes(answer(200, &[("content-type", "application/json")], verdict))
    })
    .await;
    (origin, asked)
}

fn judged(guard: std::net::SocketAddr, more: &str) -> String {
    format!(
        "output:\n- {{name: judge, service: {{kind: webhook, url: \"http://{guard}\", windowBytes: 64, timeout: 20s}}, action: Block}}\n{more}"
    )
}

fn events(body: &str) -> Reply {
    Reply::Bytes(answer(200, &[("content-type", "text/event-stream")], body))
}

fn delta(text: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}))
}

const STOP: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

#[tokio::test]
async fn what_a_guard_passes_goes_on_byte_for_byte_with_its_comments() {
    let (guard, asked) = webhook().await;
    let body = format!(": welcome\n\nid: 7\n{}: a word between\n\n{}{STOP}", delta("A heron "), delta("is a bird. "));
    let sent = body.clone();
    let (_origin, edge) = guarded("openai", &judged(guard.address(), ""), move |_| events(&sent)).await;
    assert_eq!(post(&edge, CHAT, ASK).await.text(), body);
    let asked = asked.lock().unwrap().join("|");
    for text in ["welcome", "A heron ", "a word between", "is a bird. "] {
        assert!(asked.contains(text), "{text}: {asked}");
    }
}

/// Wherever a stream says it: in a part, in a comment, in the full copy that ends it, in a field that nobody knows.
#[tokio::test]
async fn a_guard_is_asked_about_all_that_a_stream_says() {
    let (guard, _) = webhook().await;
    let responses = |text: &str, copy: &str| {
        let event = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "item_id": "i", "output_index": 0, "content_index": 0});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            format!("event: {kind}\ndata: {event}\n\n")
        };
        event("response.output_text.delta", json!({"delta": text}))
            + &event("response.output_text.done", json!({"text": copy}))
    };
    for (name, path, body) in [
        ("a part", CHAT, format!("{}{}{STOP}", delta("It is a bo"), delta("mb"))),
        ("a comment", CHAT, format!("{}: a bomb\n\n{STOP}", delta("It is a bird."))),
        ("a copy", "/v1/responses", responses("It is a bird.", "It is a bomb.")),
        ("an unknown field", CHAT, format!("data: {{\"choices\":[],\"note\":\"a bomb\"}}\n\n{STOP}")),
    ] {
        let (_origin, edge) = guarded("openai", &judged(guard.address(), ""), move |_| events(&body)).await;
        let got = post(&edge, path, ASK).await.text();
        assert!(!got.contains("bomb") && !got.contains("It is a bo"), "{name}: {got}");
        let blocked = edge.gateway.metric("portcullis_guardrail_verdicts_total", &[r#"verdict="block""#]).await;
        assert_eq!(blocked, 1.0, "{name}: {got}");
    }
    // The same without it.
    let body = responses("It is a bird.", "It is a bird.");
    let sent = body.clone();
    let (_origin, edge) = guarded("openai", &judged(guard.address(), ""), move |_| events(&sent)).await;
    let got = post(&edge, "/v1/responses", ASK).await.text();
    assert!(got.starts_with(&body), "{got}");
}

/// There is no telling what it says, and to whom: it ends the stream, also where what cannot be screened passes.
#[tokio::test]
async fn an_event_that_is_no_document_ends_a_stream_and_is_not_shown_to_anybody() {
    let (guard, asked) = webhook().await;
    for more in ["", "unscreened: Pass"] {
        let body = format!("{}data: an egret\n\n{STOP}", delta("It is a bird."));
        let (_origin, edge) = guarded("openai", &judged(guard.address(), more), move |_| events(&body)).await;
        let mut client = edge.client().await;
        client.send(request("POST", "llm.test", CHAT, JSON, ASK)).await;
        assert_eq!(client.head().await.status, 200);
        let rest = client.read_until_close(PATIENCE).await.expect("the connection ends");
        let got = String::from_utf8_lossy(&rest);
        assert!(!got.contains("egret") && !got.contains("[DONE]") && got.contains("unscreenable_answer"), "{got}");
    }
    assert!(!asked.lock().unwrap().join("|").contains("egret"));
}

/// What the guard is asked, and its connection, on which it has not answered.
async fn question(stream: &mut TcpStream, head: &str) -> String {
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    timeout(PATIENCE, stream.read_exact(&mut body)).await.unwrap().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["texts"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned()
}

async fn passes(stream: &mut TcpStream) {
    let verdict = r#"{"verdict": "pass"}"#;
    let said = answer(200, &[("content-type", "application/json")], verdict);
    stream.write_all(&said).await.unwrap();
}

/// Reads what the client is given, up to this.
async fn until(client: &mut RawClient, wanted: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(wanted) {
            text.push_str(&String::from_utf8_lossy(&client.read().await.expect("more")));
        }
    };
    timeout(PATIENCE, reading).await.expect("what has passed goes out");
    text
}

#[tokio::test]
async fn a_window_waits_for_its_guard_and_no_longer() {
    let (backend, guard) = (Puppet::start().await, Puppet::start().await);
    let route = http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm")));
    let documents =
        [inference_backend("llm", "openai", backend.address(), ""), route, policy(&judged(guard.address(), ""))];
    let edge = Edge::start(&documents).await;
    let mut client = edge.client().await;
    client.send(request("POST", "llm.test", CHAT, JSON, ASK)).await;
    let (_, mut endpoint) = backend.request().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    endpoint.write_all(head.as_bytes()).await.unwrap();
    let frame = |event: &str| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    let [first, second, third] = ["first ".repeat(8), "second ".repeat(6), "third ".repeat(12)];
    endpoint.write_all(&[frame(&delta(&first)), frame(&delta(&second))].concat()).await.unwrap();
    client.head().await;
    // Neither alone is a window; with both the guard is asked once, about both.
    let (head, mut asked) = guard.request().await;
    assert_eq!(question(&mut asked, &head).await, format!("{first}{second}"));
    let has_gone_on = Arc::new(AtomicBool::new(false));
    let seen = has_gone_on.clone();
    let reading = tokio::spawn(async move {
        let text = until(&mut client, "second").await;
        seen.store(true, SeqCst);
        (text, client)
    });
    // What comes meanwhile waits as well, and is not asked about before this is answered.
    endpoint.write_all(&frame(&delta(&third))).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!has_gone_on.load(SeqCst), "nothing goes on before the guard has passed it");
    passes(&mut asked).await;
    let (text, mut client) = timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert!(text.contains("first") && !text.contains("third"), "{text}");
    let head = timeout(PATIENCE, read_head(&mut asked)).await.expect("the guard is asked again");
    // With the tail of what it has passed, so that what straddles two windows is seen.
    let again = question(&mut asked, &head).await;
    assert!(again.ends_with(&third) && again.len() <= third.len() + 64 && again.contains("second"), "{again}");
    passes(&mut asked).await;
    let text = until(&mut client, "third").await;
    assert!(!text.contains("first"), "{text}");
}
