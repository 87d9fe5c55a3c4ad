//! Retries: which failures, how often, and what is never sent twice.

use std::time::Duration;

use portcullis_tests::harness::{Origin, Reply};
use tokio::time::Instant;

use crate::edge::{Edge, answer, http_route, ok, request, service};

const SERVICE: &str =
    "rules: [{retry: {codes: [500, 503], attempts: 2, backoff: 50ms}, backendRefs: [{name: origin, port: 80}]}]";

async fn edge(origin: &Origin, rules: &str) -> Edge {
    Edge::start(&[service("origin", origin.address()), http_route("retries", rules)]).await
}

fn failing(status: u16) -> Reply {
    Reply::Bytes(answer(status, &[], "failed"))
}

#[tokio::test]
async fn codes_are_retried_after_a_pause_as_often_as_is_said() {
    let origin = Origin::scripted(vec![failing(503), failing(500), Reply::Bytes(ok("third"))]).await;
    let edge = edge(&origin, SERVICE).await;
    let started = Instant::now();
    let got = edge.request("POST", "x.test", "/", "", "the body").await;
    assert_eq!((got.status, got.text().as_str()), (200, "third"));
    assert!(started.elapsed() >= Duration::from_millis(100), "two pauses");
    let seen = origin.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.body == b"the body"), "each with its body");
}

#[tokio::test]
async fn the_last_failure_is_the_answer() {
    let origin = Origin::start(|_| failing(503)).await;
    let edge = edge(&origin, SERVICE).await;
    let got = edge.get("x.test", "/", "").await;
    assert_eq!((got.status, got.text().as_str()), (503, "failed"));
    assert_eq!(origin.seen().len(), 3, "the first and two more");
}

#[tokio::test]
async fn other_codes_are_not_retried_and_nothing_is_where_nothing_is_said() {
    let origin = Origin::start(|_| failing(502)).await;
    let edge = edge(
        &origin,
        "rules:
- matches: [{path: {value: /codes}}]
  retry: {codes: [500], attempts: 2}
  backendRefs: [{name: origin, port: 80}]
- backendRefs: [{name: origin, port: 80}]",
    )
    .await;
    assert_eq!(edge.get("x.test", "/codes", "").await.status, 502);
    assert_eq!(origin.seen().len(), 1);
    assert_eq!(edge.get("x.test", "/", "").await.status, 502);
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn a_connection_that_is_reset_is_retried_where_the_rule_says_so() {
    let origin = Origin::scripted(vec![Reply::Reset(Vec::new()), Reply::Bytes(ok("again"))]).await;
    let edge = edge(&origin, SERVICE).await;
    let got = edge.request("POST", "x.test", "/", "", "the body").await;
    assert_eq!((got.status, got.text().as_str()), (200, "again"));
}

/// Without a word in the documents only what is safe to repeat is sent again.
#[tokio::test]
async fn an_unsafe_method_is_not_repeated_unasked() {
    let origin = Origin::start(|_| Reply::Reset(Vec::new())).await;
    let edge = edge(&origin, "rules: [{backendRefs: [{name: origin, port: 80}]}]").await;
    let got = edge.request("POST", "x.test", "/", "", "the body").await;
    assert_eq!(got.status, 502);
    assert_eq!(origin.seen().len(), 1);
    assert_eq!(edge.get("x.test", "/", "").await.status, 502);
    assert_eq!(origin.seen().len(), 3, "GET once more");
}

#[tokio::test]
async fn after_the_first_byte_of_an_answer_nothing_is_retried() {
    let origin = Origin::start(|seen| match seen.target.as_str() {
        "/head" => Reply::Reset(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        _ => Reply::Reset(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
    })
    .await;
    let edge = edge(&origin, SERVICE).await;
    let mut client = edge.client().await;
    client.send(request("GET", "x.test", "/body", "", "")).await;
    client.try_answer().await.expect_err("cut off, and seen to be");
    assert_eq!(origin.seen().len(), 1);
    assert_eq!(edge.get("x.test", "/head", "").await.status, 502);
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_not_in_memory_is_sent_once() {
    let origin = Origin::start(|_| failing(503)).await;
    let edge = edge(&origin, SERVICE).await;
    // One byte more than is held to be sent again (64 KiB).
    let got = edge.request("POST", "x.test", "/", "", &"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(got.status, 503);
    assert_eq!(origin.seen().len(), 1);
    let got = edge.request("POST", "x.test", "/", "", &"x".repeat(64 * 1024)).await;
    assert_eq!(got.status, 503);
    assert_eq!(origin.seen().len(), 4);
}

/// When everything fails, retries must not multiply the load: the budget is a share of what was asked for.
#[tokio::test]
async fn retries_have_a_budget() {
    let origin = Origin::start(|_| failing(503)).await;
    let edge =
        edge(&origin, "rules: [{retry: {codes: [503], attempts: 2}, backendRefs: [{name: origin, port: 80}]}]").await;
    let mut client = edge.client().await;
    let asked = 300;
    for _ in 0..asked {
        assert_eq!(client.exchange(request("GET", "x.test", "/", "", "")).await.status, 503);
    }
    let sent = origin.seen().len();
    assert!(sent > asked && sent < 2 * asked, "{sent} requests for {asked}: without a budget {}", 3 * asked);
    let verdict = async |word: &str| edge.gateway.metric("portcullis_upstream_retries_total", &[word]).await;
    assert_eq!(verdict("verdict=\"made\"").await, (sent - asked) as f64);
    assert!(verdict("verdict=\"refused\"").await > 0.0);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_tried_again() {
    let origin = Origin::scripted(vec![Reply::Silence, Reply::Bytes(ok("second"))]).await;
    let edge = edge(
        &origin,
        "rules: [{timeouts: {request: 20s, backendRequest: 200ms}, retry: {attempts: 1}, backendRefs: [{name: origin, port: 80}]}]",
    )
    .await;
    let got = edge.get("x.test", "/", "").await;
    assert_eq!((got.status, got.text().as_str()), (200, "second"));
}
