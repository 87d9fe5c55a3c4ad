//! A client that goes away takes its request with it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use portcullis_tests::harness::{
    Gateway, H2Client, H2Options, H2Origin, H2Reply, Options, Origin, RawClient, Reply, Tls, eventually,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::before;
use crate::{edge::Puppet, texts};

/// How soon the server is told that nobody waits any more.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// A machine that tests is busy, so the promise is held against the best of a few attempts: a timer or a poll that
/// takes longer would be seen in every one of them.
const ATTEMPTS: usize = 5;
/// The same for uploads, which take longer.
const UPLOADS: usize = 3;
/// A body of which nothing was taken for so long is stuck.
const BLOCKED_AFTER: Duration = Duration::from_millis(200);

const LISTENERS: &str = "  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{group: portcullis.dev, kind: Certificate, name: edge}]}}
";
const CERTIFICATE: &str = "apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {name: edge}
spec: {dnsNames: [a.test], issuer: {local: {}}}
---
";

const BEGINNING: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n";

/// Which client, and where in the exchange it leaves.
#[derive(Debug, Clone, Copy)]
enum Client {
    H1 { streaming: bool },
    H2 { streaming: bool },
}

const CLIENTS: [Client; 4] = [
    Client::H1 { streaming: false },
    Client::H1 { streaming: true },
    Client::H2 { streaming: false },
    Client::H2 { streaming: true },
];

/// Sends a request; when it has `arrived`, and its answer has begun if it streams, leaves. Gives the time it left.
async fn leave(client: Client, address: std::net::SocketAddr, arrived: impl AsyncFnOnce()) -> Instant {
    match client {
        Client::H1 { streaming } => {
            let mut client = RawClient::connect(address).await;
            client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 2\r\n\r\n{}").await;
            arrived().await;
            if streaming {
                assert_eq!(client.head().await.status, 200);
                assert!(!client.read().await.unwrap().is_empty());
            }
            drop(client);
            Instant::now()
        }
        Client::H2 { streaming } => {
            let client = H2Client::connect(address).await;
            let mut sender = client.sender().ready().await.unwrap();
            let (answer, mut stream) =
                sender.send_request(Request::post("http://a.test/").body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(b"{}"), true).unwrap();
            arrived().await;
            let mut body = None;
            if streaming {
                let mut answering = answer.await.unwrap().into_body();
                assert!(answering.data().await.is_some());
                body = Some(answering);
            }
            stream.send_reset(h2::Reason::CANCEL);
            let left = Instant::now();
            drop(body);
            // The connection stays: only the stream is gone.
            tokio::time::sleep(Duration::from_millis(1)).await;
            left
        }
    }
}

fn check(client: Client, behind: &str, mut told: Vec<Duration>) {
    told.sort();
    assert!(told[0] <= TOLD_WITHIN, "{client:?} before {behind}: told after {told:?}");
}

#[tokio::test]
async fn a_server_of_http1_is_told_at_once_that_the_client_went_away() {
    for client in CLIENTS {
        let streaming = matches!(client, Client::H1 { streaming: true } | Client::H2 { streaming: true });
        let origin = Origin::start(move |_| {
            if streaming {
                Reply::Pieces(vec![(Duration::ZERO, BEGINNING.as_bytes().to_vec())])
            } else {
                Reply::Silence
            }
        })
        .await;
        let (_gateway, address) = before("", origin.address()).await;
        let mut told = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let left = leave(client, address, async || {
                origin.wait_for(attempt).await;
            })
            .await;
            eventually("the connection to the server is closed", async || origin.open() == 0).await;
            told.push(left.elapsed());
        }
        check(client, "HTTP/1.1", told);
    }
}

#[tokio::test]
async fn a_server_of_h2c_is_told_at_once_that_the_client_went_away() {
    for client in CLIENTS {
        let streaming = matches!(client, Client::H1 { streaming: true } | Client::H2 { streaming: true });
        let events = || Response::builder().header("content-type", "text/event-stream");
        let beginning = move || H2Reply::Begin(events().body(Bytes::from("data: a\n\n")).unwrap());
        let origin =
            H2Origin::start(H2Options::default(), move |_| if streaming { beginning() } else { H2Reply::Silence })
                .await;
        let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
        let mut told = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let left = leave(client, address, async || {
                origin.wait_for(attempt).await;
            })
            .await;
            eventually("the stream is reset", async || origin.cancelled().len() == attempt).await;
            told.push(origin.cancelled()[attempt - 1].saturating_duration_since(left));
        }
        check(client, "h2c", told);
        assert_eq!((origin.connections(), origin.open()), (1, 1), "the connection is not to blame");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_its_request_takes_it_with_it() {
    let origin = H2Origin::answering("ok").await;
    let (_gateway, address) = before("kubernetes.io/h2c", origin.address()).await;
    let mut client = RawClient::connect(address).await;
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1000000\r\n\r\nsome").await;
    eventually("the request has begun", async || origin.open() == 1).await;
    drop(client);
    eventually("the stream is reset", async || origin.cancelled().len() == 1).await;
    assert!(origin.seen().is_empty(), "half a request is none");
}

#[tokio::test]
async fn a_client_that_went_away_does_not_hurt_the_endpoint() {
    let origin = Origin::start(|_| Reply::Silence).await;
    let (gateway, address) = before("", origin.address()).await;
    for attempt in 1..=8 {
        let mut client = RawClient::connect(address).await;
        client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        origin.wait_for(attempt).await;
    }
    eventually("nothing is in flight", async || gateway.endpoints_sum("inFlight").await == 0).await;
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
    assert_eq!(gateway.endpoints_sum("ejectionsTotal").await, 0);
}

/// A machine's buffers take some of a body that its server does not read; then the client has to wait. Sends so much.
async fn upload_until_blocked(client: &mut (impl AsyncWrite + Unpin)) {
    client.write_all(b"POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
    let piece = vec![b'x'; 64 * 1024];
    while timeout(BLOCKED_AFTER, client.write_all(&piece)).await.is_ok() {}
}

/// Leaves as a program that was killed: what it had still to send is gone, so that its end does not wait behind that.
fn vanish(client: &TcpStream) {
    SockRef::from(client).set_linger(Some(Duration::ZERO)).unwrap();
}

/// How long it takes until the request of a client that vanishes is given up; its server has read no more than the head.
async fn told_of_a_blocked_upload<C: AsyncWrite + Unpin>(
    gateway: &Gateway,
    puppet: &Puppet,
    mut client: C,
    tcp: impl FnOnce(&C) -> &TcpStream,
) -> Duration {
    upload_until_blocked(&mut client).await;
    let _unread = puppet.request().await;
    assert_eq!(gateway.endpoints_sum("inFlight").await, 1);
    vanish(tcp(&client));
    drop(client);
    let left = Instant::now();
    eventually("nothing is in flight", async || gateway.endpoints_sum("inFlight").await == 0).await;
    left.elapsed()
}

#[tokio::test]
async fn a_client_that_vanishes_while_its_upload_is_blocked_takes_it_with_it() {
    let puppet = Puppet::start().await;
    let documents = texts::gateway(LISTENERS, "")
        + CERTIFICATE
        + &texts::service("app", "", &[puppet.address()])
        + &texts::route("/", "app", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let (plain, tls) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    let (mut over_tcp, mut over_tls) = (Vec::new(), Vec::new());
    for _ in 0..UPLOADS {
        let client = TcpStream::connect(plain).await.unwrap();
        over_tcp.push(told_of_a_blocked_upload(&gateway, &puppet, client, |client| client).await);
        let client = Tls::new().server_name("a.test").connect(tls).await.unwrap();
        over_tls.push(told_of_a_blocked_upload(&gateway, &puppet, client, |client| client.get_ref().0).await);
    }
    for mut told in [over_tcp, over_tls] {
        told.sort();
        assert!(told[0] <= TOLD_WITHIN, "told after {told:?}");
    }
}
