//! WebSocket: over HTTP/1.1 a tunnel, once the server has agreed to it; over HTTP/2 not offered.

use std::{net::SocketAddr, time::Duration};

use http::{Method, Request};
use portcullis_tests::harness::{H2Client, Origin, PATIENCE, RawClient, Reply, eventually, pki};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{before, before_inference};
use crate::texts;

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a.test\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Takes one connection, reads a head, sends `first` and then does as told.
async fn server<F: Future<Output = ()> + Send>(
    first: &'static str,
    then: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("\r\nconnection: upgrade\r\n") && head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.contains("sec-websocket-key: dghlihnhbxbszsbub25jzq=="), "{head}");
        stream.write_all(first.as_bytes()).await.unwrap();
        then(stream).await;
    });
    (address, task)
}

#[tokio::test]
async fn bytes_pass_both_ways_after_101() {
    // What the server says right behind its 101 must not be lost.
    let (origin, served) = server(
        concat!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nx-a: b\r\n\r\n",
            "early"
        ),
        |mut stream| async move {
            let mut buffer = [0; 1024];
            loop {
                let read = stream.read(&mut buffer).await.unwrap();
                if read == 0 {
                    return;
                }
                stream.write_all(&buffer[..read].to_ascii_uppercase()).await.unwrap();
            }
        },
    )
    .await;
    let (_gateway, address) = before("kubernetes.io/ws", origin).await;
    let mut client = RawClient::connect(address).await;
    // And what the client says right behind its request neither.
    client.send(format!("{ASK}eager")).await;
    let answer = client.head().await;
    assert_eq!((answer.status, answer.header("upgrade"), answer.header("x-a")), (101, Some("websocket"), Some("b")));
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None));
    let mut text = String::new();
    while text.len() < 10 {
        text += &String::from_utf8(client.read().await.unwrap()).unwrap();
    }
    assert_eq!(text, "earlyEAGER");
    for word in ["one", "two"] {
        client.send(word).await;
        assert_eq!(client.read().await.unwrap(), word.to_uppercase().into_bytes());
    }
    client.finish().await;
    assert_eq!(client.read_until_close(PATIENCE).await.as_deref(), Some(&b""[..]));
    served.await.unwrap();
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let (origin, served) = server(AGREE, |mut stream| async move {
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        stream.write_all(format!("heard {heard}").as_bytes()).await.unwrap();
    })
    .await;
    let (gateway, address) = before("", origin).await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.exchange(ASK).await.status, 101);
    client.send("all").await;
    client.finish().await;
    assert_eq!(client.read_until_close(PATIENCE).await.as_deref(), Some(&b"heard all"[..]));
    served.await.unwrap();
    eventually("the tunnel has left its endpoint", async || gateway.endpoints_sum("inFlight").await == 0).await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_client_vanishes() {
    let (origin, served) = server(AGREE, |mut stream| async move {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let (_gateway, address) = before("", origin).await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.exchange(ASK).await.status, 101);
    drop(client);
    tokio::time::timeout(PATIENCE, served).await.expect("the server is told").unwrap();
}

#[tokio::test]
async fn a_server_that_answers_otherwise_gets_no_tunnel() {
    // Its connection stays HTTP: what the client sends next is a request like any other.
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno").await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: b.test\r\nx-real-ip: 1.2.3.4\r\n\r\n";
    client.send(format!("{ASK}{smuggled}")).await;
    assert_eq!(client.answer().await.text(), "no");
    assert_eq!(client.answer().await.text(), "no");
    let seen = origin.seen();
    assert_eq!(seen[1].target, "/smuggled");
    assert_eq!(seen[1].header("x-real-ip"), None, "it went through all the stages");
}

#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_is_a_fault() {
    let origin = Origin::answering(AGREE).await;
    let (_gateway, address) = before("", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.status, 502);
}

#[tokio::test]
async fn inference_never_gets_a_tunnel() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (_gateway, address) = before_inference(origin.address(), "").await;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.exchange(ASK).await.text(), "ok");
    let seen = origin.seen();
    assert_eq!((seen[0].header("upgrade"), seen[0].header("connection")), (None, None));
    // And a server that changes the protocol all the same is not followed.
    let rash = Origin::answering(AGREE).await;
    let (_gateway, address) = before_inference(rash.address(), "").await;
    assert_eq!(RawClient::connect(address).await.exchange(ASK).await.status, 502);
}

#[tokio::test]
async fn websocket_over_http2_is_neither_offered_nor_taken() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (_gateway, address) = before("", origin.address()).await;
    let client = H2Client::connect(address).await;
    assert_eq!(client.send(Request::get("http://a.test/").body("").unwrap()).await.unwrap().status(), 200);
    // By now its settings have come.
    assert!(!client.sender().is_extended_connect_protocol_enabled());
    let mut sender = client.sender().ready().await.unwrap();
    let mut request = Request::builder().method(Method::CONNECT).uri("http://a.test/chat").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from("websocket"));
    // Sent all the same, it is refused on its stream.
    let refused = match sender.send_request(request, false) {
        Ok((answer, _stream)) => answer.await.map_or(true, |answer| !answer.status().is_success()),
        Err(_) => true,
    };
    assert!(refused);
    let answered = origin.wait_for(1).await;
    assert_eq!(answered.len(), 1, "nothing of it reaches the server");
}

#[tokio::test]
async fn a_tunnel_over_tls_speaks_http1_to_a_server_that_would_rather_speak_http2() {
    let authority = pki::Authority::new("behind");
    let config = authority.server(&["origin.test"]).server_config(&["h2", "http/1.1"]);
    let origin = Origin::start_tls(config, |seen| {
        assert_eq!(seen.header("upgrade"), Some("websocket"));
        Reply::Pieces(vec![(Duration::ZERO, format!("{AGREE}hello").into_bytes())])
    })
    .await;
    let documents = texts::bare_service("app", "", &[origin.address()])
        + &texts::route("/", "app", "")
        + &pki::config_map("default", "authority", &authority.pem)
        + "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: app}\nspec:\n  \
           targetRefs: [{group: \"\", kind: Service, name: app}]\n  validation: {hostname: origin.test, \
           caCertificateRefs: [{group: \"\", kind: ConfigMap, name: authority}]}\n";
    let (_gateway, address) = super::started(&documents).await;
    let mut client = RawClient::connect(address).await;
    client.send(ASK).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.read().await.unwrap(), b"hello");
}
