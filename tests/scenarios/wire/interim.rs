//! Answers before the answer: `100 Continue` and the other 1xx.

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::{Request, Response};
use portcullis_tests::harness::{H2Client, H2Options, H2Origin, H2Reply, Origin, RawClient};

use super::before;

const HINTED: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for length in [4, 300_000] {
        let head =
            format!("POST / HTTP/1.1\r\nhost: a.test\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
        assert_eq!(client.exchange(head).await.status, 100);
        client.send(vec![b'x'; length]).await;
        assert_eq!(client.answer().await.status, 200);
    }
    let lengths: Vec<usize> = origin.seen().iter().map(|seen| seen.body.len()).collect();
    assert_eq!(lengths, [4, 300_000]);
}

#[tokio::test]
async fn a_client_whose_request_is_refused_is_not_told_to_go_on() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (_gateway, address) = super::started(
        &(crate::texts::service("app", "", &[origin.address()]) + &crate::texts::route("/app", "app", "")),
    )
    .await;
    let mut client = RawClient::connect(address).await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: a.test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let answer = client.exchange(head).await;
    assert_eq!((answer.status, answer.header("connection")), (404, Some("close")));
    let mut client = RawClient::connect(address).await;
    let head = "POST /app HTTP/1.1\r\nhost: a.test\r\nexpect: wonders\r\ncontent-length: 4\r\n\r\n";
    assert_eq!(client.exchange(head).await.status, 417);
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn a_client_of_http2_that_waits_for_100_is_told_to_go_on() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut sender = H2Client::connect(address).await.sender().ready().await.unwrap();
    let request = Request::post("http://a.test/").header("expect", "100-continue").header("content-length", "4");
    let (mut answer, mut stream) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    let told = poll_fn(|cx| answer.poll_informational(cx));
    let told = tokio::time::timeout(portcullis_tests::harness::PATIENCE, told).await.expect("an interim answer");
    assert_eq!(told.unwrap().unwrap().status(), 100);
    stream.send_data(Bytes::from_static(b"body"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(origin.seen()[0].body, b"body");
}

#[tokio::test]
async fn early_hints_pass_from_http1() {
    let origin = Origin::answering(HINTED).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    let hint = client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((hint.status, hint.header("link")), (103, Some("</a.css>")));
    assert_eq!(client.answer().await.text(), "ok");

    let mut sender = H2Client::connect(address).await.sender().ready().await.unwrap();
    let (mut answer, _) = sender.send_request(Request::get("http://a.test/").body(()).unwrap(), true).unwrap();
    let hint = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!((hint.status().as_u16(), &hint.headers()["link"]), (103, &http::HeaderValue::from_static("</a.css>")));
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn early_hints_pass_from_h2c() {
    let origin = H2Origin::start(H2Options::default(), |_| {
        let hint = Response::builder().status(103).header("link", "</a.css>").body(()).unwrap();
        H2Reply::First(hint, Box::new(H2Reply::Answer(Response::new(Bytes::from_static(b"ok")), None)))
    })
    .await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    let hint = client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((hint.status, hint.header("link")), (103, Some("</a.css>")));
    assert_eq!(client.answer().await.text(), "ok");
}

#[tokio::test]
async fn what_a_backend_must_not_tell_is_not_told_by_an_interim_answer() {
    let origin = Origin::answering(HINTED.replacen(
        "link:",
        "server: secret/1.0\r\nendpoint-load-metrics: a=1\r\nkeep-alive: timeout=5\r\nconnection: keep-alive\r\nlink:",
        1,
    ))
    .await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    let hint = client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!(hint.headers, [("link".to_owned(), "</a.css>".to_owned())]);
}

#[tokio::test]
async fn interim_answers_are_not_sent_to_http10() {
    let origin = Origin::answering(HINTED).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.exchange("GET / HTTP/1.0\r\nhost: a.test\r\n\r\n").await.text(), "ok");
}

#[tokio::test]
async fn interim_answers_without_end_are_a_fault() {
    let origin = Origin::answering("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000)).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    let mut hints = 0;
    loop {
        match client.answer().await.status {
            103 => hints += 1,
            status => break assert_eq!(status, 502),
        }
    }
    assert!(hints <= 16, "{hints}");
}
