//! Bodies in chunks and their trailers, both ways.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use portcullis_tests::harness::{H2Client, H2Options, H2Origin, H2Reply, Origin, RawClient, Reply};

use super::before;

const CHUNKS: &str = "3;ext=1\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\ncontent-length: 9\r\n\r\n";

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("6"))])
}

#[tokio::test]
async fn chunks_and_trailers_pass_both_ways_between_http1_and_http1() {
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}")).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    for _ in 0..2 {
        client.send(format!("POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "onetwo"));
        assert_eq!(answer.trailers, [("x-sum".to_owned(), "6".to_owned())], "and no framing among them");
    }
    for seen in origin.seen() {
        assert_eq!(seen.header("content-length"), None);
        let body = String::from_utf8(seen.body).unwrap();
        assert!(!body.contains("ext"), "extensions are for one hop: {body:?}");
        assert!(body.ends_with("0\r\nx-sum: 6\r\n\r\n"), "{body:?}");
    }
}

#[tokio::test]
async fn chunks_and_trailers_pass_from_http1_to_h2c_and_back() {
    let origin = H2Origin::start(H2Options::default(), |_| {
        H2Reply::Answer(Response::new(Bytes::from_static(b"onetwo")), Some(trailers()))
    })
    .await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send(format!("POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}")).await;
    let answer = client.answer().await;
    assert_eq!(answer.text(), "onetwo");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "6".to_owned())]);
    let seen = origin.seen();
    assert_eq!(&seen[0].body[..], b"onetwo");
    assert_eq!(seen[0].trailers, Some(trailers()));
    assert_eq!(seen[0].header("transfer-encoding"), None);
}

#[tokio::test]
async fn trailers_pass_from_http2_to_http1_and_back() {
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}")).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut sender = H2Client::connect(address).await.sender().ready().await.unwrap();
    let (answer, mut stream) = sender.send_request(Request::post("http://a.test/").body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from_static(b"onetwo"), false).unwrap();
    stream.send_trailers(trailers()).unwrap();
    let (_, mut body) = answer.await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(text, b"onetwo");
    assert_eq!(body.trailers().await.unwrap(), Some(trailers()));
    let seen = String::from_utf8(origin.seen()[0].body.clone()).unwrap();
    assert_eq!(seen, "6\r\nonetwo\r\n0\r\nx-sum: 6\r\n\r\n");
}

#[tokio::test]
async fn each_piece_of_an_answer_passes_as_it_comes() {
    let pieces: Vec<(Duration, Vec<u8>)> =
        ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\npiece\r\n", "5\r\npiece\r\n", "5\r\npiece\r\n"]
            .iter()
            .map(|text| (Duration::from_millis(20), text.as_bytes().to_vec()))
            .collect();
    // The end never comes, so that nothing can wait for it.
    let origin = Origin::start(move |_| Reply::Pieces(pieces.clone())).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    let mut text = String::new();
    while text.matches("piece").count() < 3 {
        text += &String::from_utf8(client.read().await.unwrap()).unwrap();
    }

    let mut sender = H2Client::connect(address).await.sender().ready().await.unwrap();
    let (answer, _) = sender.send_request(Request::get("http://a.test/").body(()).unwrap(), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    let mut length = 0;
    while length < 15 {
        length += body.data().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn each_piece_of_an_upload_passes_as_it_comes() {
    let origin = H2Origin::answering("ok").await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..3 {
        client.send("5\r\npiece\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(&origin.seen()[0].body[..], b"piecepiecepiece");
}

#[tokio::test]
async fn an_answer_that_is_cut_short_does_not_look_whole() {
    let origin = Origin::scripted(vec![
        Reply::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\npiece\r\n".to_vec()),
        Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npiece".to_vec()),
        Reply::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\npiece\r\n".to_vec()),
    ])
    .await;
    let (_gateway, address) = before("", origin.address()).await;
    for _ in 0..2 {
        let mut client = RawClient::connect(address).await;
        client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert!(client.try_answer().await.is_err());
    }
    let client = H2Client::connect(address).await;
    let error = client.send(Request::get("http://a.test/").body("").unwrap()).await.unwrap_err();
    assert!(error.is_reset(), "{error}");
}

#[tokio::test]
async fn a_server_may_answer_before_it_has_read_a_request() {
    // It answers at the head and closes, as servers do about uploads that are too large.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_gateway, address) = before("", listener.local_addr().unwrap()).await;
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 1024];
        let _ = stream.read(&mut buffer).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig").await.unwrap();
        // What the gateway still sends is read, so that closing does not destroy the answer on its way.
        while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {}
    });
    let mut client = RawClient::connect(address).await;
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1000000\r\n\r\n").await;
    client.send(vec![b'x'; 100_000]).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
    assert_eq!(answer.header("connection"), Some("close"), "the rest of the body is not a request");
    drop(client);
    serving.await.unwrap();
}
