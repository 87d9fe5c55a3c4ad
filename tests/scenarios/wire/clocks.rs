//! Three clocks towards a backend: to connect, to the first byte, and within an answer. No fourth unless a route asks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use portcullis_tests::harness::{H2Client, H2Options, H2Origin, H2Reply, Origin, RawClient, Reply, eventually};
use tokio::net::TcpListener;

use super::{before_inference, before_with_rule};

const SHORT: &str = "  timeouts: {connect: 300ms, firstByte: 300ms, idle: 300ms}\n";

const BEGINNING: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\npiece\r\n";

fn get() -> &'static str {
    "GET /x HTTP/1.1\r\nhost: a.test\r\n\r\n"
}

/// A port whose queue of connections is full: whoever connects waits.
fn full_port() -> (socket2::Socket, Vec<socket2::Socket>, std::net::SocketAddr) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address.into());
        waiting.push(client);
    }
    (socket, waiting, address)
}

#[tokio::test]
async fn a_server_that_does_not_take_the_connection_is_given_up() {
    let (_socket, _waiting, full) = full_port();
    let (_gateway, address) = before_inference(full, SHORT).await;
    let started = Instant::now();
    let answer = RawClient::connect(address).await.exchange(get()).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert!(started.elapsed() >= Duration::from_millis(290));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let origin = Origin::start(|_| Reply::Silence).await;
    let (_gateway, address) = before_inference(origin.address(), SHORT).await;
    let answer = RawClient::connect(address).await.exchange(get()).await;
    assert_eq!(answer.status, 504);
    let origin = H2Origin::start(H2Options::default(), |_| H2Reply::Silence).await;
    let documents = crate::texts::inference("llm", "kserve-v2", &[origin.address()], SHORT)
        + &crate::texts::inference_route("/", "llm", "");
    let (_gateway, address) = super::started(&documents).await;
    let request = Request::post("http://a.test/inference.GRPCInferenceService/ServerLive")
        .header("content-type", "application/grpc")
        .body(&b"\0\0\0\0\0"[..])
        .unwrap();
    let answer = H2Client::connect(address).await.send(request).await.unwrap();
    let status =
        answer.head.headers.get("grpc-status").cloned().or(answer.trailers.unwrap_or_default().remove("grpc-status"));
    assert!(status.is_some_and(|status| status != "0"), "gRPC is told by a status");
}

#[tokio::test]
async fn the_clock_of_the_first_byte_starts_when_the_request_has_been_sent() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (_gateway, address) = before_inference(origin.address(), SHORT).await;
    let mut client = RawClient::connect(address).await;
    client.send("POST /raw HTTP/1.1\r\nhost: a.test\r\ncontent-length: 300000\r\n\r\n").await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.send(vec![b'x'; 50_000]).await;
    }
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn a_server_that_stops_reading_a_request_is_given_up() {
    // It takes the connection and nothing from it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_gateway, address) = before_inference(listener.local_addr().unwrap(), SHORT).await;
    let mut client = RawClient::connect(address).await;
    let length = 64_000_000;
    client.send(format!("POST /raw HTTP/1.1\r\nhost: a.test\r\ncontent-length: {length}\r\n\r\n")).await;
    let sending = async { while client.try_send(vec![b'x'; 64 * 1024]).await.is_ok() {} };
    // It is told, and closed to, since the rest of its body is of no use.
    tokio::time::timeout(portcullis_tests::harness::PATIENCE, sending).await.expect("the upload is given up");
    drop(listener);
}

#[tokio::test]
async fn a_server_that_falls_silent_within_its_answer_is_given_up() {
    let origin = Origin::start(|_| Reply::Pieces(vec![(Duration::ZERO, BEGINNING.as_bytes().to_vec())])).await;
    let (_gateway, address) = before_inference(origin.address(), SHORT).await;
    let mut client = RawClient::connect(address).await;
    client.send(get()).await;
    assert!(client.try_answer().await.is_err(), "what is cut short does not look whole");

    let origin = H2Origin::start(H2Options::default(), |_| {
        let answer = Response::builder().header("content-type", "application/grpc");
        H2Reply::Begin(answer.body(Bytes::from_static(b"\0\0\0\0\0")).unwrap())
    })
    .await;
    let documents = crate::texts::inference("llm", "kserve-v2", &[origin.address()], SHORT)
        + &crate::texts::inference_route("/", "llm", "");
    let (_gateway, address) = super::started(&documents).await;
    let request = Request::post("http://a.test/inference.GRPCInferenceService/ModelStreamInfer")
        .header("content-type", "application/grpc")
        .body(&b"\0\0\0\0\0"[..])
        .unwrap();
    let answer = H2Client::connect(address).await.send(request).await.unwrap();
    let trailers = answer.trailers.expect("gRPC is told by a status");
    assert_ne!(trailers["grpc-status"], "0");
    eventually("the server is told too", async || origin.cancelled().len() == 1).await;
}

#[tokio::test]
async fn a_stream_may_last_longer_than_every_clock() {
    let mut pieces = vec![(Duration::ZERO, BEGINNING.as_bytes().to_vec())];
    pieces.extend((0..12).map(|_| (Duration::from_millis(100), b"5\r\npiece\r\n".to_vec())));
    pieces.push((Duration::ZERO, b"0\r\n\r\n".to_vec()));
    let origin = Origin::start(move |_| Reply::Pieces(pieces.clone())).await;
    let (_gateway, address) =
        before_inference(origin.address(), "  timeouts: {connect: 1s, firstByte: 1s, idle: 1s}\n").await;
    let started = Instant::now();
    let answer = RawClient::connect(address).await.exchange(get()).await;
    assert_eq!(answer.body.len(), 13 * 5);
    assert!(started.elapsed() > Duration::from_secs(1));
}

#[tokio::test]
async fn a_route_may_ask_for_a_deadline_of_the_whole() {
    let mut pieces = vec![(Duration::ZERO, BEGINNING.as_bytes().to_vec())];
    pieces.extend((0..100).map(|_| (Duration::from_millis(100), b"5\r\npiece\r\n".to_vec())));
    let origin = Origin::start(move |_| Reply::Pieces(pieces.clone())).await;
    let (_gateway, address) = before_with_rule("", origin.address(), "    timeouts: {request: 400ms}\n").await;
    let mut client = RawClient::connect(address).await;
    let started = Instant::now();
    client.send(get()).await;
    assert!(client.try_answer().await.is_err(), "a stream beyond its deadline is cut");
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());

    let silent = Origin::start(|_| Reply::Silence).await;
    let (_gateway, address) = before_with_rule("", silent.address(), "    timeouts: {request: 400ms}\n").await;
    assert_eq!(RawClient::connect(address).await.exchange(get()).await.status, 504);
}
