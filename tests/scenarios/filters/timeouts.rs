//! Request and backend timeouts.

use std::time::Duration;

use portcullis_tests::harness::{Origin, PATIENCE, Reply};
use tokio::time::Instant;

use crate::edge::{Edge, http_route, ok, service};

fn rule(path: &str, timeouts: &str) -> String {
    format!(
        "- matches: [{{path: {{value: {path}}}}}]
  timeouts: {timeouts}
  backendRefs: [{{name: origin, port: 80}}]
"
    )
}

#[tokio::test]
async fn requests_and_attempts_end_when_their_time_is_up() {
    let origin = Origin::start(|seen| match seen.target.as_str() {
        "/request/slow" | "/attempt/slow" => Reply::Silence,
        "/zero" | "/long" => Reply::Pieces(vec![(Duration::from_millis(400), ok("late"))]),
        _ => Reply::Bytes(ok("soon")),
    })
    .await;
    let rules = [
        rule("/request", "{request: 200ms}"),
        rule("/attempt", "{request: 30s, backendRequest: 200ms}"),
        rule("/zero", "{request: 0s, backendRequest: 0s}"),
        rule("/long", "{request: 1h}"),
    ];
    let documents =
        [service("origin", origin.address()), http_route("timeouts", &format!("rules:\n{}", rules.concat()))];
    let edge = Edge::start(&documents).await;
    for path in ["/request", "/attempt"] {
        assert_eq!(edge.get("x.test", path, "").await.text(), "soon");
        let started = Instant::now();
        let mut client = edge.client().await;
        let got = client.exchange(crate::edge::request("GET", "x.test", &format!("{path}/slow"), "", "")).await;
        assert_eq!(got.status, 504, "{path}: {}", got.text());
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(200) && took < PATIENCE / 2, "{path} took {took:?}");
        // The client's connection is as good as before; the origin's is gone with its request.
        assert_eq!(client.exchange(crate::edge::request("GET", "x.test", path, "", "")).await.status, 200);
    }
    portcullis_tests::harness::eventually("given up requests are cancelled", async || origin.open() <= 2).await;
    for path in ["/zero", "/long"] {
        let got = edge.get("x.test", path, "").await;
        assert_eq!((got.status, got.text().as_str()), (200, "late"), "{path}");
    }
}

/// The time of a request is that of its whole answer; there is no such time unless a document says so.
#[tokio::test]
async fn a_request_timeout_ends_an_answer_that_goes_on() {
    let origin = Origin::start(|_| {
        let mut pieces = vec![(Duration::ZERO, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())];
        pieces.extend((0..8).map(|_| (Duration::from_millis(100), b"1\r\nx\r\n".to_vec())));
        pieces.push((Duration::ZERO, b"0\r\n\r\n".to_vec()));
        Reply::Pieces(pieces)
    })
    .await;
    let rules = [rule("/short", "{request: 300ms}"), rule("/attempt", "{backendRequest: 300ms}")];
    let documents =
        [service("origin", origin.address()), http_route("timeouts", &format!("rules:\n{}", rules.concat()))];
    let edge = Edge::start(&documents).await;
    let mut client = edge.client().await;
    client.send(crate::edge::request("GET", "x.test", "/short", "", "")).await;
    let error = client.try_answer().await.expect_err("cut off, and seen to be cut off");
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    // An attempt is over when its answer has begun (GEP-1742 leaves that open; streams of tokens need it so).
    assert_eq!(edge.get("x.test", "/attempt", "").await.text(), "xxxxxxxx");
}
