//! How messages follow one another on a connection, and what has no body.

use bytes::Bytes;
use http::{Request, Response};
use portcullis_tests::harness::{H2Client, H2Options, H2Origin, H2Reply, Origin, PATIENCE, RawClient, Reply};

use super::before;

fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

#[tokio::test]
async fn requests_follow_one_another_on_one_connection() {
    let origin = Origin::start(|seen| {
        let text = format!("answer {}", seen.target);
        bytes(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()))
    })
    .await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for number in 0..20 {
        let answer = client.exchange(format!("GET /{number} HTTP/1.1\r\nhost: a.test\r\n\r\n")).await;
        assert_eq!(answer.text(), format!("answer /{number}"));
    }
    let answer = client.exchange("GET /last HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("answer /last", Some("close")));
    assert_eq!(client.read_until_close(PATIENCE).await.as_deref(), Some(&b""[..]));
    assert_eq!(origin.connections(), 1, "and on one connection to the server");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let origin = Origin::start(|seen| {
        bytes(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", seen.target.len(), seen.target))
    })
    .await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    let request = |number: usize| {
        let (length, body) = (number * 10, "x".repeat(number * 10));
        format!("POST /{number} HTTP/1.1\r\nhost: a.test\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let requests: Vec<String> = (0..50).map(request).collect();
    client.send(requests.concat()).await;
    for number in 0..50 {
        assert_eq!(client.answer().await.text(), format!("/{number}"));
    }
    let seen = origin.seen();
    assert!(seen.iter().enumerate().all(|(number, seen)| seen.body.len() == number * 10));
}

#[tokio::test]
async fn http10_clients_are_understood() {
    // The server answers in chunks, which HTTP/1.0 does not know.
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    let answer = client.exchange("GET / HTTP/1.0\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    assert_eq!((answer.header("transfer-encoding"), answer.header("connection")), (None, Some("close")));
    assert!(origin.seen()[0].head.starts_with(b"GET / HTTP/1.1\r\n"), "to the server we speak our own version");
}

#[tokio::test]
async fn http10_clients_may_keep_their_connection() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for _ in 0..2 {
        let answer = client.exchange("GET / HTTP/1.0\r\nhost: a.test\r\nconnection: keep-alive\r\n\r\n").await;
        assert_eq!((answer.text().as_str(), answer.header("connection")), ("hi", Some("keep-alive")));
    }
}

#[tokio::test]
async fn http10_servers_are_understood() {
    let origin = Origin::scripted(vec![Reply::Last(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec())]).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for _ in 0..2 {
        let answer = client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert_eq!((answer.text().as_str(), answer.header("transfer-encoding")), ("until the end", Some("chunked")));
    }
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_the_connection_goes_on() {
    let origin = Origin::start(|seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("HEAD", _) => bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncontent-type: text/plain\r\n\r\n"),
        (_, "/204") => bytes("HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n"),
        (_, "/304") => bytes("HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncontent-length: 77\r\n\r\n"),
        _ => bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send("HEAD / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    let head = client.answer_to_head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000")));
    let empty = client.exchange("GET /204 HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((empty.status, empty.header("content-length"), empty.header("x-a")), (204, None, Some("b")));
    assert_eq!(empty.header("transfer-encoding"), None);
    let same = client.exchange("GET /304 HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((same.status, same.header("etag"), same.header("transfer-encoding")), (304, Some("\"e\""), None));
    let nothing = client.exchange("GET /200 HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((nothing.status, nothing.header("content-length")), (200, Some("0")));
    assert_eq!(origin.connections(), 1);

    let client = H2Client::connect(address).await;
    let head = client.send(Request::head("http://a.test/").body("").unwrap()).await.unwrap();
    assert_eq!((head.status(), &head.head.headers["content-length"]), (200, &http::HeaderValue::from_static("1000")));
    for (path, status) in [("/204", 204), ("/304", 304), ("/200", 200)] {
        let answer = client.send(Request::get(format!("http://a.test{path}")).body("").unwrap()).await.unwrap();
        assert_eq!((answer.status(), answer.body.len()), (status, 0));
    }
}

#[tokio::test]
async fn answers_without_a_body_over_h2c_have_none_for_http1_clients() {
    let origin = H2Origin::start(H2Options::default(), |seen| {
        let status = if seen.head.uri.path() == "/204" { 204 } else { 200 };
        let answer = Response::builder().status(status);
        let answer = if seen.head.method == "HEAD" { answer.header("content-length", "1000") } else { answer };
        H2Reply::Answer(answer.body(Bytes::new()).unwrap(), None)
    })
    .await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send("HEAD / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!(client.answer_to_head().await.header("content-length"), Some("1000"));
    let empty = client.exchange("GET /204 HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((empty.status, empty.header("content-length")), (204, None));
    let nothing = client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!((nothing.status, nothing.body.len()), (200, 0));
}
