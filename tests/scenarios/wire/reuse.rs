//! Connections to servers are used again, never trusted, and never blamed on the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use portcullis_tests::harness::{
    Gateway, H2Client, H2Options, H2Origin, H2Reply, Origin, RawClient, Reply, eventually,
};

use super::{before, before_inference};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn one_connection_serves_many_clients_in_turn() {
    let origin = Origin::answering(OK).await;
    let (_gateway, address) = before("", origin.address()).await;
    for _ in 0..10 {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn each_worker_has_its_own_connections() {
    let origin = Origin::answering(OK).await;
    let documents = format!(
        "{}{}{}",
        crate::texts::PLAIN_GATEWAY,
        crate::texts::service("app", "", &[origin.address()]),
        crate::texts::route("/", "app", "")
    );
    let options = portcullis_tests::harness::Options { workers: 2, ..Default::default() };
    let gateway = Gateway::start(&documents.into(), options).await;
    let address = gateway.addr("default/edge", 80).await;
    for _ in 0..40 {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 200);
    }
    // The kernel spreads 40 connections over two workers.
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn concurrent_requests_share_one_connection_of_http2() {
    let origin =
        H2Origin::start(H2Options::default(), |_| H2Reply::Answer(Response::new(Bytes::from("ok")), None)).await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let client = H2Client::connect(address).await;
    let requests = (0..50).map(|_| client.send(Request::get("http://a.test/").body("").unwrap()));
    for answer in futures_util::future::join_all(requests).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn more_streams_than_a_connection_may_have_get_another_one() {
    let options = H2Options { streams_max: Some(2), ..H2Options::default() };
    let origin = H2Origin::start(options, |seen| match seen.head.uri.path() {
        "/hang" => H2Reply::Silence,
        _ => H2Reply::Answer(Response::new(Bytes::from("ok")), None),
    })
    .await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let client = H2Client::connect(address).await;
    // The first learns how many streams there may be.
    assert_eq!(client.send(Request::get("http://a.test/").body("").unwrap()).await.unwrap().status(), 200);
    let mut hanging = Vec::new();
    for number in 0..5 {
        let mut sender = client.sender().ready().await.unwrap();
        hanging.push(sender.send_request(Request::get("http://a.test/hang").body(()).unwrap(), true).unwrap());
        origin.wait_for(2 + number).await;
    }
    assert_eq!(client.send(Request::get("http://a.test/").body("").unwrap()).await.unwrap().status(), 200);
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed_before_the_servers_keep_alive_ends() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=2, max=100\r\n\r\nok").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 200);
    let idle = std::time::Instant::now();
    assert_eq!(origin.open(), 1);
    eventually("the gateway closes the idle connection", async || origin.open() == 0).await;
    // A second of margin, and up to a second until idle connections are looked through.
    assert!(idle.elapsed() >= Duration::from_millis(900), "{:?}", idle.elapsed());
    assert!(idle.elapsed() < Duration::from_secs(4), "{:?}", idle.elapsed());
}

#[tokio::test]
async fn a_connection_whose_server_keeps_it_for_a_second_only_is_not_kept() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=1\r\n\r\nok").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for _ in 0..3 {
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 200);
    }
    assert_eq!(origin.connections(), 3);
}

/// A server that answers the first request of each connection, and resets the connection at the second without a word.
async fn treacherous() -> Origin {
    let served = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    Origin::start(move |seen| {
        let first = served.lock().unwrap().insert(seen.connection);
        if first { Reply::Bytes(OK.as_bytes().to_vec()) } else { Reply::Reset(Vec::new()) }
    })
    .await
}

#[tokio::test]
async fn a_stale_connection_is_replaced_at_once_and_not_blamed_on_the_server() {
    let origin = treacherous().await;
    let (gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for length in [0, 0, 1, 4_000, 64 * 1024, 64 * 1024, 1, 0] {
        let body = "x".repeat(length);
        let request = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {length}\r\n\r\n{body}");
        assert_eq!(client.exchange(request).await.status, 200, "POST of {length} bytes");
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 200);
    }
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
    assert!(origin.connections() >= 8, "each reset took a new connection");
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_twice_gets_a_fresh_connection() {
    let origin = treacherous().await;
    let (gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for _ in 0..3 {
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 200);
        client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100000\r\n\r\n").await;
        client.send(vec![b'x'; 100_000]).await;
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
}

#[tokio::test]
async fn a_stale_connection_over_h2c_is_replaced_at_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let origin = H2Origin::start(H2Options::default(), move |_| match asked.fetch_add(1, SeqCst) % 3 {
        1 => H2Reply::GoAway(Response::new(Bytes::from("ok"))),
        _ => H2Reply::Answer(Response::new(Bytes::from("ok")), None),
    })
    .await;
    let (gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let client = H2Client::connect(address).await;
    for number in 0..20 {
        let answer = client.send(Request::post("http://a.test/").body("x").unwrap()).await;
        assert_eq!(answer.unwrap().status(), 200, "request {number}");
    }
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
    assert!(origin.connections() > 1);
}

#[tokio::test]
async fn a_connection_of_http2_that_breaks_is_replaced_at_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let origin = H2Origin::start(H2Options::default(), move |_| match asked.fetch_add(1, SeqCst) % 2 {
        0 => H2Reply::Answer(Response::new(Bytes::from("ok")), None),
        _ => H2Reply::Hangup,
    })
    .await;
    let (gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let client = H2Client::connect(address).await;
    for number in 0..10 {
        let answer = client.send(Request::post("http://a.test/").body("x").unwrap()).await;
        assert_eq!(answer.unwrap().status(), 200, "request {number}");
    }
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
}

#[tokio::test]
async fn a_server_that_promises_to_keep_connections_and_closes_after_every_stream_fails_nobody() {
    // llama.cpp's server does so.
    let stream = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=100\r\ncontent-type: text/event-stream\r\n\
                  transfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    let origin = Origin::start(move |seen| match seen.target.as_str() {
        "/v1/chat/completions" => Reply::Last(stream.as_bytes().to_vec()),
        _ => Reply::Bytes(OK.as_bytes().to_vec()),
    })
    .await;
    let (gateway, address) = before_inference(origin.address(), "").await;
    let mut client = RawClient::connect(address).await;
    for number in 0..100 {
        let body = "{\"model\":\"m\",\"stream\":true}";
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a.test\r\ncontent-type: application/json\r\ncontent-length: \
             {}\r\n\r\n{body}",
            body.len()
        );
        let answer = client.exchange(request).await;
        assert_eq!((answer.status, answer.text().contains("[DONE]")), (200, true), "stream {number}");
    }
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_given_to_the_next_client() {
    // Response splitting: a server that sends more than it was asked for.
    let origin = Origin::answering(format!("{OK}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")).await;
    let (_gateway, address) = before("", origin.address()).await;
    for _ in 0..5 {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.text(), "ok");
    }
}
