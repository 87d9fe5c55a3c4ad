//! When the client goes away its request at the backend is cancelled within 100 ms, whatever it waits for.

use std::time::Duration;

use bytes::Bytes;
use portcullis_tests::harness::PATIENCE;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{
    events::{HEAD, chat, chunk},
    models::to_all,
};
use crate::edge::{Edge, Puppet, grpc_message, inference_backend};

/// The bound of the issue.
const CANCELLED_WITHIN: Duration = Duration::from_millis(100);
/// A machine that does other things may be late by itself, now and then; a gateway that polls would be late each time.
const TRIES: usize = 6;

async fn edge(puppet: &Puppet, protocol: &str) -> Edge {
    Edge::start(&[inference_backend("llm", protocol, puppet.address(), ""), to_all("llm")]).await
}

/// How long it takes until the origin sees the end of its connection.
async fn until_closed(mut origin: TcpStream, gone: Instant) -> Duration {
    let mut rest = Vec::new();
    let closed = timeout(PATIENCE, origin.read_to_end(&mut rest)).await;
    // A reset is an end as well.
    assert!(closed.is_ok(), "the backend is never told");
    gone.elapsed()
}

fn judge(mut took: Vec<Duration>) {
    took.sort();
    assert!(took[took.len() / 2] < CANCELLED_WITHIN, "half of the time later than {CANCELLED_WITHIN:?}: {took:?}");
}

#[tokio::test]
async fn before_the_head_of_the_answer() {
    let puppet = Puppet::start().await;
    let edge = edge(&puppet, "openai").await;
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let mut client = edge.client().await;
        client.send(chat()).await;
        let (_, origin) = puppet.request().await;
        drop(client);
        took.push(until_closed(origin, Instant::now()).await);
    }
    judge(took);
}

#[tokio::test]
async fn in_the_middle_of_a_stream_that_is_silent() {
    let puppet = Puppet::start().await;
    let edge = edge(&puppet, "openai").await;
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let mut client = edge.client().await;
        client.send(chat()).await;
        let (_, mut origin) = puppet.request().await;
        origin.write_all(&[HEAD.as_bytes(), &chunk("data: {}\n\n")].concat()).await.unwrap();
        client.head().await;
        client.read().await.unwrap();
        drop(client);
        took.push(until_closed(origin, Instant::now()).await);
    }
    judge(took);
}

/// One stream of a connection that lives on; before its head, and after it.
#[tokio::test]
async fn when_a_stream_of_http2_is_reset() {
    let puppet = Puppet::start().await;
    let edge = edge(&puppet, "openai").await;
    let client = edge.h2().await;
    let mut took = Vec::new();
    for number in 0..TRIES {
        let call =
            http::Request::post("http://llm.test/v1/chat/completions").header("content-type", "application/json");
        let mut sender = client.sender().ready().await.unwrap();
        let (answer, mut up) = sender.send_request(call.body(()).unwrap(), false).unwrap();
        up.send_data(Bytes::from_static(br#"{"model":"m"}"#), true).unwrap();
        let (_, mut origin) = puppet.request().await;
        if number % 2 == 1 {
            origin.write_all(HEAD.as_bytes()).await.unwrap();
            drop(timeout(PATIENCE, answer).await.expect("a head").unwrap());
        } else {
            drop(answer);
        }
        up.send_reset(h2::Reason::CANCEL);
        took.push(until_closed(origin, Instant::now()).await);
    }
    judge(took);
}

/// Over HTTP/2 to the backend its stream is reset; other calls on the same connection go on.
#[tokio::test]
async fn a_call_of_grpc_is_reset_at_the_backend() {
    let puppet = Puppet::start().await;
    let edge = edge(&puppet, "kserve-v2").await;
    let mut requests = puppet.h2_requests();
    let client = edge.h2().await;
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let call = http::Request::post("http://llm.test/inference.GRPCInferenceService/ModelStreamInfer")
            .header("content-type", "application/grpc");
        let mut sender = client.sender().ready().await.unwrap();
        let (answer, mut up) = sender.send_request(call.body(()).unwrap(), false).unwrap();
        up.send_data(Bytes::from(grpc_message(b"\x0a\x01m")), false).unwrap();
        let (_seen, mut respond) = requests.next().await;
        up.send_reset(h2::Reason::CANCEL);
        drop(answer);
        let gone = Instant::now();
        let reset = timeout(PATIENCE, std::future::poll_fn(|cx| respond.poll_reset(cx))).await.expect("a reset");
        took.push(gone.elapsed());
        assert_eq!(reset.ok(), Some(h2::Reason::CANCEL));
    }
    judge(took);
}
