//! Ports that come and go with the documents.

use std::net::TcpListener as StdListener;

use portcullis_tests::harness::{Gateway, Options, RawClient, Signal, eventually};
use tokio::net::TcpStream;

use super::{backend, edge, edge_named, event_texts, get, origin, plain, route};

/// A port that was free a moment ago, and is not given to others who ask the system for any.
fn free_port() -> (StdListener, u16) {
    let held = StdListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

#[tokio::test]
async fn a_port_comes_with_its_listener_and_goes_with_it_when_its_streams_have_ended() {
    let origin = origin().await;
    let more = plain(&origin).replace("port: 80}]", "port: 80}, {name: other, protocol: HTTP, port: 8080}]");
    let options = Options { bind: vec!["8080=127.0.0.1:0".to_owned()], workers: 2, ..Options::default() };
    let gateway = Gateway::start(&plain(&origin).into(), options).await;
    let mut kept = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    assert_eq!(kept.exchange(get("/")).await.status, 200);

    gateway.rewrite(&more.into()).await;
    let added = gateway.addr("default/edge", 8080).await;
    let mut idle = RawClient::connect(added).await;
    assert_eq!(idle.exchange(get("/")).await.text(), "hi");
    let mut streaming = RawClient::connect(added).await;
    streaming.send(get("/long")).await;
    assert_eq!(streaming.head().await.status, 200);

    gateway.rewrite(&plain(&origin).into()).await;
    eventually("the port is closed", async || TcpStream::connect(added).await.is_err()).await;
    // The stream goes on to its end, idle connections are closed, the other port never noticed.
    let rest = String::from_utf8(streaming.read_until_close(super::LONG).await.expect("it is closed")).unwrap();
    assert!(rest.contains("data: 99\n\n") && rest.ends_with("0\r\n\r\n"), "{rest}");
    assert_eq!(rest.matches("data: ").count(), event_texts(100).matches("data: ").count());
    assert!(idle.read_until_close(super::LONG).await.is_some());
    assert_eq!(kept.exchange(get("/")).await.status, 200);
}

#[tokio::test]
async fn a_port_that_cannot_be_bound_refuses_the_revision() {
    let origin = origin().await;
    let (held, taken) = free_port();
    let more = plain(&origin).replace("port: 80}]", "port: 80}, {name: other, protocol: HTTP, port: 8080}]");
    let options = Options { bind: vec![format!("8080=127.0.0.1:{taken}")], ..Options::default() };
    let gateway = Gateway::start(&plain(&origin).into(), options).await;
    let before = gateway.snapshot().await["revision"].clone();
    let error = gateway.rewrite_refused(&more.into()).await;
    assert!(error.contains(&format!("127.0.0.1:{taken} is in use by another process")), "{error}");
    assert!(error.contains("default/edge:8080"), "{error}");
    assert_eq!(gateway.snapshot().await["revision"], before);
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    assert_eq!(client.exchange(get("/")).await.status, 200);

    drop(held);
    gateway.signal(Signal::HUP);
    eventually("the port is tried again", async || gateway.snapshot().await["state"] == "current").await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 8080).await).await;
    assert_eq!(client.exchange(get("/")).await.status, 200);
}

#[tokio::test]
async fn another_gateway_takes_over_an_address_and_its_connections() {
    let origin = origin().await;
    let (held, port) = free_port();
    let named = |name: &str| {
        edge_named(name, "[{name: http, protocol: HTTP, port: 80}]")
            + &route("all", name, "main")
            + &backend("main", origin.address())
    };
    drop(held);
    let options = Options { bind: vec![format!("80=127.0.0.1:{port}")], workers: 2, ..Options::default() };
    let gateway = Gateway::start(&named("edge").into(), options).await;
    let mut kept = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    gateway.rewrite(&named("renamed").into()).await;
    assert_eq!(gateway.addr("default/renamed", 80).await.port(), port);
    let answer = kept.exchange(get("/")).await;
    assert_eq!((answer.status, answer.header("connection")), (200, None), "the connection belongs to the new Gateway");
    let mut client = RawClient::connect(gateway.addr("default/renamed", 80).await).await;
    assert_eq!(client.exchange(get("/")).await.status, 200);
}

#[tokio::test]
async fn two_gateways_on_one_address_are_refused() {
    let origin = origin().await;
    let (held, port) = free_port();
    drop(held);
    let second = edge_named("second", "[{name: http, protocol: HTTP, port: 80}]");
    let documents = plain(&origin) + "---\n" + &second;
    let options = |bind: &str| Options { bind: vec![bind.to_owned()], ..Options::default() };
    let refused = Gateway::try_start(&documents.as_str().into(), options(&format!("80=127.0.0.1:{port}"))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("would both listen on 127.0.0.1:"), "{}", refused.stderr);
    // Port 0 is another one for each.
    let gateway = Gateway::start(&documents.into(), options("80=127.0.0.1:0")).await;
    assert_ne!(gateway.addr("default/edge", 80).await, gateway.addr("default/second", 80).await);
}

#[tokio::test]
async fn a_port_of_another_process_is_not_shared_with_it() {
    let origin = origin().await;
    let first = Gateway::start(&plain(&origin).into(), Options::default()).await;
    let taken = first.addr("default/edge", 80).await;
    let options = Options { bind: vec![format!("80={taken}")], ..Options::default() };
    let refused = Gateway::try_start(&edge("[{name: http, protocol: HTTP, port: 80}]").into(), options).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("is in use by another process"), "{}", refused.stderr);
}
