//! Server-sent events pass as they come: each at once, byte for byte, whatever they are cut into.

use std::time::Duration;

use bytes::Bytes;
use portcullis_tests::harness::{Gateway, H2Client, Options, Origin, PATIENCE, RawClient, Reply, Tls};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::models::to_all;
use crate::edge::{Edge, GATEWAY, H2Origin, H2Reply, Puppet, inference_backend, read_head, request, service_speaking};

/// The head of a stream without a length.
pub(super) const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

pub(super) fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

pub(super) fn chat() -> String {
    let headers = "content-type: application/json\r\naccept: text/event-stream\r\n";
    request("POST", "llm.test", "/v1/chat/completions", headers, r#"{"model":"m","stream":true,"messages":[]}"#)
}

/// Reads until this much of the chunked body is there, without its framing.
async fn read_text(client: &mut RawClient, wire: &mut Vec<u8>, expected: &str) {
    let reading = async {
        while !unchunked(wire).ends_with(expected.as_bytes()) {
            let more = client.read().await.expect("more");
            assert!(!more.is_empty(), "ended after {:?} before {expected:?}", String::from_utf8_lossy(wire));
            wire.extend_from_slice(&more);
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{expected:?} does not come"));
}

fn unchunked(mut wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while let Some(end) = wire.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&wire[..end]).unwrap(), 16).unwrap();
        let start = end + 2;
        if size == 0 || wire.len() < start + size + 2 {
            break;
        }
        text.extend_from_slice(&wire[start..start + size]);
        wire = &wire[start + size + 2..];
    }
    text
}

/// The next event is sent only when the one before has arrived, so nothing may wait for more.
#[tokio::test]
async fn each_event_is_there_before_the_next_is_sent() {
    let puppet = Puppet::start().await;
    let edge = Edge::start(&[inference_backend("llm", "openai", puppet.address(), ""), to_all("llm")]).await;
    let mut client = edge.client().await;
    client.send(chat()).await;
    let (_, mut origin) = puppet.request().await;
    origin.write_all(HEAD.as_bytes()).await.unwrap();
    // The head alone as well: clients show that something happens.
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let mut wire = Vec::new();
    // Half an event, a comment, a split character: what has come goes on, since nobody here waits for its end.
    for piece in [
        "data: {\"n\":1}\n\n",
        ": ping\n\n",
        "data: {\"n\"",
        ":2}\n",
        "\n",
        "event: x\r\ndata: a\r\n\r\n",
        "data: [DONE]\n\n",
    ] {
        origin.write_all(&chunk(piece)).await.unwrap();
        read_text(&mut client, &mut wire, piece).await;
    }
    origin.write_all(b"0\r\n\r\n").await.unwrap();
    while !wire.ends_with(b"0\r\n\r\n") {
        wire.extend_from_slice(&client.read().await.expect("an end"));
    }
    // Both connections go on.
    client.send(request("GET", "llm.test", "/v1/models", "", "")).await;
    read_head(&mut origin).await;
    origin.write_all(&crate::edge::ok("[]")).await.unwrap();
    assert_eq!(client.answer().await.text(), "[]");
}

#[tokio::test]
async fn events_are_flushed_over_http2_too() {
    let puppet = Puppet::start().await;
    let edge = Edge::start(&[inference_backend("llm", "openai", puppet.address(), ""), to_all("llm")]).await;
    let client = edge.h2().await;
    let call = http::Request::post("http://llm.test/v1/chat/completions").header("content-type", "application/json");
    let (answer, mut up) = client.sender().ready().await.unwrap().send_request(call.body(()).unwrap(), false).unwrap();
    up.send_data(Bytes::from_static(br#"{"model":"m","stream":true}"#), true).unwrap();
    let (_, mut origin) = puppet.request().await;
    origin.write_all(HEAD.as_bytes()).await.unwrap();
    let mut body = timeout(PATIENCE, answer).await.expect("a head").unwrap().into_body();
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        origin.write_all(&chunk(&event)).await.unwrap();
        let data = timeout(PATIENCE, body.data()).await.expect("an event in time").expect("an event").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        assert_eq!(data, event.as_bytes());
    }
    origin.write_all(b"0\r\n\r\n").await.unwrap();
    let end = timeout(PATIENCE, body.data()).await.expect("the end");
    assert!(end.is_none_or(|data| data.unwrap().is_empty()) && body.is_end_stream());
}

#[tokio::test]
async fn streams_pass_byte_for_byte() {
    let events =
        "\u{feff}: comment\r\n\r\nid: 1\rdata: a\r\rretry: 10\ndata:\u{e9}\u{1f600}\n\n\n\ndata: [DONE]\n\n: bye\n\n";
    // However the origin cuts it: split characters and split line ends included.
    for size in [1, 2, 3, 7, 1000] {
        let pieces = events.as_bytes().chunks(size);
        let mut bytes = HEAD.as_bytes().to_vec();
        pieces.for_each(|piece| bytes.extend_from_slice(&chunk(piece)));
        bytes.extend_from_slice(b"0\r\n\r\n");
        let origin = Origin::start(move |_| Reply::Bytes(bytes.clone())).await;
        let edge = Edge::start(&[inference_backend("llm", "openai", origin.address(), ""), to_all("llm")]).await;
        let got = edge.client().await.exchange(chat()).await;
        assert_eq!((got.status, got.text().as_str()), (200, events), "{size}");
        assert_eq!(got.header("content-length"), None);
    }
}

/// An origin over HTTP/2 passes as well; empty frames are nothing.
#[tokio::test]
async fn streams_from_an_origin_of_http2_pass() {
    let events = "data: 1\n\ndata: [DONE]\n\n";
    let origin = H2Origin::start(move |_| H2Reply {
        status: 200,
        headers: vec![("content-type", "text/event-stream".to_owned())],
        body: Bytes::from_static(events.as_bytes()),
        trailers: None,
    })
    .await;
    let documents = [
        service_speaking("llm", origin.address(), "kubernetes.io/h2c"),
        crate::edge::http_route("all", "rules: [{backendRefs: [{name: llm, port: 80}]}]"),
    ];
    let edge = Edge::start(&documents).await;
    let got = edge.client().await.exchange(chat()).await;
    assert_eq!((got.status, got.text().as_str()), (200, events));
}

/// A line that never ends costs no memory, and nobody else's time.
#[tokio::test]
async fn a_line_without_an_end_passes_in_bounded_memory() {
    const PIECES: usize = 48;
    let origin = Origin::start(|_| {
        let mut pieces = vec![(Duration::ZERO, [HEAD.as_bytes(), &chunk("data: ")].concat())];
        pieces.extend((0..PIECES).map(|_| (Duration::ZERO, chunk(vec![b'x'; 1024 * 1024]))));
        pieces.push((Duration::ZERO, [&chunk("\n\ndata: [DONE]\n\n"), &b"0\r\n\r\n"[..]].concat()));
        Reply::Pieces(pieces)
    })
    .await;
    let edge = Edge::start(&[inference_backend("llm", "openai", origin.address(), ""), to_all("llm")]).await;
    let before = edge.gateway.resident_kib();
    let mut client = edge.client().await;
    client.send(chat()).await;
    client.head().await;
    // Nobody reads: the origin must be held back.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let grown = edge.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 12 * 1024, "{grown} KiB for a line that nobody reads");
    let mut received = 0;
    let mut end = Vec::new();
    while !end.ends_with(b"0\r\n\r\n") {
        let more = client.read().await.expect("more");
        assert!(!more.is_empty());
        received += more.len();
        end.extend_from_slice(&more);
        let excess = end.len().saturating_sub(64);
        end.drain(..excess);
    }
    assert!(received > PIECES * 1024 * 1024);
    let grown = edge.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 12 * 1024, "{grown} KiB after it passed");
}

/// Over TLS, which has buffers of its own, in both versions; and when the client hangs up its backend is told.
#[tokio::test]
async fn events_are_flushed_over_tls_too() {
    let puppet = Puppet::start().await;
    let listener = "[{name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: \
                    [{group: portcullis.dev, kind: Certificate, name: site}]}}]";
    let documents = format!(
        "{}---
apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {{name: site, namespace: default}}
spec: {{dnsNames: [llm.test], issuer: {{local: {{}}}}}}
{}{}",
        GATEWAY.replace("[{name: http, protocol: HTTP, port: 80}]", listener),
        inference_backend("llm", "openai", puppet.address(), ""),
        to_all("llm")
    );
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let tls = Tls::new().server_name("llm.test");

    let mut client = RawClient::connect_tls(address, &tls.clone().alpn(&["http/1.1"])).await.unwrap();
    client.send(chat()).await;
    let (_, mut origin) = puppet.request().await;
    origin.write_all(HEAD.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status, 200);
    let mut wire = Vec::new();
    for piece in ["data: 1\n\n", "data: ", "2\n\n"] {
        origin.write_all(&chunk(piece)).await.unwrap();
        read_text(&mut client, &mut wire, piece).await;
    }
    drop(client);
    let mut rest = Vec::new();
    timeout(PATIENCE, origin.read_to_end(&mut rest)).await.expect("the backend is told").ok();

    let client = H2Client::connect_tls(address, &tls).await.unwrap();
    let call = http::Request::post("https://llm.test/v1/chat/completions").header("content-type", "application/json");
    let (answer, mut up) = client.sender().ready().await.unwrap().send_request(call.body(()).unwrap(), false).unwrap();
    up.send_data(Bytes::from_static(br#"{"model":"m","stream":true}"#), true).unwrap();
    let (_, mut origin) = puppet.request().await;
    origin.write_all(HEAD.as_bytes()).await.unwrap();
    let mut body = timeout(PATIENCE, answer).await.expect("a head").unwrap().into_body();
    for piece in ["data: 1\n\n", "data: ", "2\n\n"] {
        origin.write_all(&chunk(piece)).await.unwrap();
        let data = timeout(PATIENCE, body.data()).await.expect("a piece in time").expect("a piece").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        assert_eq!(data, piece.as_bytes());
    }
}
