//! A stream that is cut short is never taken for a whole one: the dialect's error event, and an unclean end (row A35).

use std::time::Duration;

use portcullis_tests::harness::{Origin, PATIENCE, RawClient, Reply};

use super::{
    events::{HEAD, chunk},
    models::to_all,
};
use crate::edge::{Edge, http_route, inference_backend, ok, request, service, to_inference};

/// What a client gets of a stream, up to the end of its connection, and whether that was a proper end.
async fn stream(edge: &Edge, path: &str) -> (String, bool) {
    let mut client: RawClient = edge.client().await;
    let body = r#"{"model":"m","stream":true}"#;
    client.send(request("POST", "llm.test", path, "content-type: application/json\r\n", body)).await;
    let head = client.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    let rest = client.read_until_close(PATIENCE).await;
    match rest {
        Some(rest) => (String::from_utf8_lossy(&rest).into_owned(), rest.ends_with(b"\r\n0\r\n\r\n")),
        // It stays open, so the body has ended as it should.
        None => (String::new(), true),
    }
}

async fn edge(protocol: &str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Origin, Edge) {
    let origin = Origin::start(move |_| reply()).await;
    let edge = Edge::start(&[inference_backend("llm", protocol, origin.address(), ""), to_all("llm")]).await;
    (origin, edge)
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn every_dialect_says_that_the_stream_was_cut() {
    for (protocol, path, event, expected) in [
        ("openai", CHAT, "data: {}\n\n", "data: {\"error\":{"),
        ("openai", "/v1/responses", "event: response.created\ndata: {}\n\n", "event: error\ndata: {"),
        (
            "anthropic",
            "/v1/messages",
            "event: ping\ndata: {}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{",
        ),
        ("kserve-v2", "/v2/models/m/generate_stream", "data: {}\n\n", "data: {\"error\":\""),
    ] {
        for ends in ["between", "within"] {
            let mut bytes = [HEAD.as_bytes(), &chunk(event)].concat();
            if ends == "within" {
                bytes.extend_from_slice(&chunk("data: {\"half"));
            }
            for (how, reply) in [("closed", Reply::Last(bytes.clone())), ("reset", Reply::Reset(bytes.clone()))] {
                let (_origin, edge) = edge(protocol, move || reply.clone()).await;
                let (text, clean) = stream(&edge, path).await;
                assert!(text.contains(event), "{path} {ends} {how}: {text}");
                assert!(text.contains(expected), "{path} {ends} {how}: {text}");
                assert!(text.contains("upstream_truncated") || path != CHAT, "{path}: {text}");
                assert!(!clean, "{path} {ends} {how}: {text}");
                // The error is an event of its own, behind whatever was left open.
                let at = text.find(expected).unwrap();
                assert!(
                    ends == "between" || text[..at].ends_with("half\r\n") || text[..at].ends_with("\n\n"),
                    "{text:?}"
                );
            }
        }
    }
}

/// Its framing says that it has ended, its content that it has not.
#[tokio::test]
async fn a_proper_end_within_an_event_is_no_end() {
    let bytes = [HEAD.as_bytes(), &chunk("data: {}\n\ndata: {\"ha"), b"0\r\n\r\n"].concat();
    let (_origin, edge) = edge("openai", move || Reply::Bytes(bytes.clone())).await;
    let (text, clean) = stream(&edge, CHAT).await;
    assert!(text.contains("\"error\"") && !clean, "{text}");
}

/// Where only the end of the connection ends a stream, a server that died looks like one that is done: then the last
/// event must have come.
#[tokio::test]
async fn a_stream_that_ends_by_close_must_have_had_its_last_event() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    for (path, protocol, events, complete) in [
        (CHAT, "openai", "data: {}\n\ndata: [DONE]\n\n", true),
        (CHAT, "openai", "data: {}\n\n", false),
        ("/v1/messages", "anthropic", "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true),
        ("/v1/messages", "anthropic", "event: message_delta\ndata: {}\n\n", false),
        ("/v2/models/m/generate_stream", "kserve-v2", "data: {}\n\n", true),
        ("/v2/models/m/generate_stream", "kserve-v2", "data: {", false),
    ] {
        let bytes = format!("{head}{events}").into_bytes();
        let (_origin, edge) = edge(protocol, move || Reply::Last(bytes.clone())).await;
        let mut client = edge.client().await;
        client.send(request("POST", "llm.test", path, "content-type: application/json\r\n", r#"{"model":"m"}"#)).await;
        let got = client.try_answer().await;
        assert_eq!(got.is_ok(), complete, "{path} {events:?}: {got:?}");
        if let Ok(got) = got {
            assert_eq!(got.text(), events);
        }
    }
}

#[tokio::test]
async fn whole_streams_and_encoded_ones_end_as_they_are() {
    for (headers, body) in [
        ("", &b"data: {}\n\ndata: [DONE]\n\n"[..]),
        // Not every server says `[DONE]`; its framing is enough.
        ("", b"data: {}\n\n"),
        // What is encoded is not looked into.
        ("content-encoding: gzip\r\n", b"\x1f\x8b\x08\0 whatever"),
    ] {
        let head = HEAD.replace("\r\n\r\n", &format!("\r\n{headers}\r\n"));
        let bytes = [head.as_bytes(), &chunk(body), b"0\r\n\r\n"].concat();
        let (_origin, edge) = edge("openai", move || Reply::Bytes(bytes.clone())).await;
        let mut client = edge.client().await;
        client.send(request("POST", "llm.test", CHAT, "content-type: application/json\r\n", r#"{"model":"m"}"#)).await;
        assert_eq!(client.answer().await.body, body);
    }
}

/// Over HTTP/2 the stream is reset behind the error event.
#[tokio::test]
async fn over_http2_the_stream_is_reset() {
    let bytes = [HEAD.as_bytes(), &chunk("data: {}\n\n")].concat();
    let origin = Origin::start(move |seen| match seen.method.as_str() {
        "POST" => Reply::Last(bytes.clone()),
        _ => Reply::Bytes(ok("[]")),
    })
    .await;
    let edge = Edge::start(&[inference_backend("llm", "openai", origin.address(), ""), to_all("llm")]).await;
    let client = edge.h2().await;
    let call = http::Request::post(format!("http://llm.test{CHAT}")).header("content-type", "application/json");
    let error = client.send(call.body(r#"{"model":"m"}"#).unwrap()).await.expect_err("no whole answer");
    assert!(error.is_reset() && error.is_remote(), "{error}");
    // The connection is good for others.
    let call = http::Request::get("http://llm.test/v1/models").body("").unwrap();
    assert_eq!(client.send(call).await.unwrap().text(), "[]");
}

/// An answer that is no event stream cannot carry an error: its client sees the connection end too soon.
#[tokio::test]
async fn other_answers_are_cut_where_they_were_cut() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half"[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"hal\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100\r\n\r\ndata: {\"half",
    ] {
        let (_origin, edge) = edge("openai", move || Reply::Last(bytes.to_vec())).await;
        let mut client = edge.client().await;
        client.send(request("POST", "llm.test", CHAT, "content-type: application/json\r\n", r#"{"model":"m"}"#)).await;
        let error = client.try_answer().await.expect_err("cut");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
        assert!(!error.to_string().contains("error\\\""), "{error}");
    }
}

/// Three clocks: silence before the head is a 504, silence within a stream an error event; a stream that goes on may
/// last as long as it likes, unless a document or a client says otherwise.
#[tokio::test]
async fn silence_ends_a_stream_and_time_does_not() {
    let tick = |after: u64| (Duration::from_millis(after), chunk("data: {}\n\n"));
    let head = || (Duration::ZERO, HEAD.as_bytes().to_vec());
    let origin = Origin::start(move |seen| match seen.target.as_str() {
        "/v1/mute" => Reply::Silence,
        "/v1/stalls" => Reply::Pieces(vec![head(), tick(0), tick(30_000)]),
        _ => {
            let mut pieces = vec![head()];
            pieces.extend((0..8).map(|_| tick(200)));
            pieces.push((Duration::ZERO, b"0\r\n\r\n".to_vec()));
            Reply::Pieces(pieces)
        }
    })
    .await;
    let clocks = "timeouts: {connect: 5s, firstByte: 800ms, idle: 1s}";
    let edge = Edge::start(&[
        inference_backend("llm", "openai", origin.address(), clocks),
        http_route(
            "all",
            &format!(
                "rules:
- matches: [{{path: {{value: /v1/asked}}}}]
  timeouts: {{request: 400ms}}
  backendRefs: [{0}]
- backendRefs: [{0}]",
                to_inference("llm")
            ),
        ),
    ])
    .await;
    let got = edge.request("POST", "llm.test", "/v1/mute", "content-type: application/json\r\n", "{}").await;
    assert_eq!(got.status, 504);
    assert!(got.text().contains("upstream_timeout"), "{}", got.text());
    let (text, clean) = stream(&edge, "/v1/stalls").await;
    assert!(text.contains("\"error\"") && !clean, "{text}");
    // 1.6 s, longer than either clock.
    let mut client = edge.client().await;
    client.send(request("POST", "llm.test", "/v1/long", "content-type: application/json\r\n", "{}")).await;
    assert_eq!(client.answer().await.text(), "data: {}\n\n".repeat(8));
    let (text, clean) = stream(&edge, "/v1/asked").await;
    assert!(text.contains("deadline_exceeded") && !clean, "{text}");
}

/// A route of no inference, with a stream of its own: no dialect, so no event of ours, and no clean end either.
#[tokio::test]
async fn an_unknown_stream_is_cut_without_a_word() {
    let bytes = [HEAD.as_bytes(), &chunk("data: {}\n\n")].concat();
    let origin = Origin::start(move |_| Reply::Last(bytes.clone())).await;
    let documents =
        [service("plain", origin.address()), http_route("all", "rules: [{backendRefs: [{name: plain, port: 80}]}]")];
    let edge = Edge::start(&documents).await;
    let (text, clean) = stream(&edge, "/news").await;
    assert!(text.contains("data: {}") && !text.contains("error") && !clean, "{text}");
}
