//! Endpoints that leave while something is going on at them.

use std::time::Duration;

use portcullis_tests::harness::{Origin, RawClient, Reply, eventually};

use super::{all_to, answer, endpoint, named, started, state, tally, with_gateway};

#[tokio::test]
async fn an_endpoint_that_leaves_finishes_its_streams_and_gets_nothing_new() {
    let mut pieces =
        vec![(Duration::ZERO, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n..\r\n".to_vec())];
    pieces.extend((0..15).map(|_| (Duration::from_millis(100), b"2\r\n..\r\n".to_vec())));
    pieces.push((Duration::ZERO, b"0\r\n\r\n".to_vec()));
    let leaving = Origin::start(move |seen| match seen.target.as_str() {
        "/stream" => Reply::Pieces(pieces.clone()),
        _ => answer("leaving"),
    })
    .await;
    let staying = named("staying").await;
    let (gateway, address) = started(&all_to(&[leaving.address()], "")).await;
    let mut client = RawClient::connect(address).await;
    client.send("GET /stream HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    gateway.rewrite(&with_gateway(&all_to(&[staying.address()], "")).into()).await;
    assert_eq!(state(&gateway, leaving.address()).await, "draining");
    assert_eq!(tally(address, 10).await["staying"], 10);
    let whole = client.answer().await;
    assert_eq!((whole.status, whole.body.len()), (200, 32), "the stream is whole");
    eventually("it has left", async || endpoint(&gateway, leaving.address()).await.is_none()).await;
    assert_eq!(leaving.seen().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_returns_is_the_one_that_left() {
    let (one, two) = (named("one").await, named("two").await);
    let both = all_to(&[one.address(), two.address()], "");
    let (gateway, address) = started(&both).await;
    assert_eq!(tally(address, 4).await["one"], 2);
    gateway.rewrite(&with_gateway(&all_to(&[two.address()], "")).into()).await;
    assert_eq!(tally(address, 4).await["two"], 4);
    gateway.rewrite(&with_gateway(&both).into()).await;
    assert_eq!(state(&gateway, one.address()).await, "warming");
    eventually("it is used", async || tally(address, 4).await.contains_key("one")).await;
}

#[tokio::test]
async fn connections_to_an_endpoint_that_left_are_closed() {
    let (one, two) = (named("one").await, named("two").await);
    let (gateway, address) = started(&all_to(&[one.address()], "")).await;
    assert_eq!(tally(address, 1).await["one"], 1);
    assert_eq!(one.open(), 1);
    gateway.rewrite(&with_gateway(&all_to(&[two.address()], "")).into()).await;
    eventually("its connections are closed", async || one.open() == 0).await;
}
