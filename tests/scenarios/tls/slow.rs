//! Clients that take their time over a handshake.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use portcullis_tests::harness::{Options, PATIENCE, RawClient, eventually};
use tokio::net::{TcpSocket, TcpStream};

use super::Simple;

/// What a handshake may take, as documented; and what a busy machine adds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_handshake_that_is_not_done_in_five_seconds_is_given_up() {
    let simple = Simple::start().await;
    let started = Instant::now();
    // One that says nothing, one that says a byte a second, and one that stops in the middle of its ClientHello.
    let silent = RawClient::connect(simple.address).await;
    let mut dribbling = RawClient::connect(simple.address).await;
    let mut halting = RawClient::connect(simple.address).await;
    halting.send(&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]).await;
    let ends = async |mut client: RawClient| {
        let _ = client.read_until_close(PATIENCE).await.expect("it is closed");
        started.elapsed()
    };
    let dribble = async {
        let record = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7];
        for byte in record {
            if dribbling.try_send([byte]).await.is_err() || started.elapsed() > HANDSHAKE_TIMEOUT + SLACK {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        started.elapsed()
    };
    let (silent, dribbled, halted, ()) = tokio::join!(ends(silent), dribble, ends(halting), simple.check_it_serves());
    for (who, took) in [("silent", silent), ("a byte a second", dribbled), ("halting", halted)] {
        assert!(took + Duration::from_millis(100) >= HANDSHAKE_TIMEOUT, "{who}: {took:?}");
        assert!(took <= HANDSHAKE_TIMEOUT + SLACK, "{who}: {took:?}");
    }
    let counted = simple.gateway.metric("portcullis_tls_handshakes_total", &["outcome=\"timed_out\""]).await;
    assert!((counted - 3.0).abs() < f64::EPSILON, "{counted}");
}

/// Connects from this address of the loopback network.
async fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn one_source_has_so_many_handshakes_under_way_and_others_do_not_notice() {
    let arguments = vec!["--handshakes-per-source-max".to_owned(), "8".to_owned()];
    let simple = Simple::start_with(Options { arguments, ..Options::default() }).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(RawClient::over(connect_from("127.0.0.2", simple.address).await));
    }
    // The ninth is closed at once, long before any handshake's deadline.
    let mut refused = RawClient::over(connect_from("127.0.0.2", simple.address).await);
    assert!(refused.read_until_close(Duration::from_secs(3)).await.is_some(), "one too many is closed");
    simple.check_it_serves().await;
    // Those that finish their handshake make room, and so do those that go.
    drop(waiting.pop());
    eventually("there is room again", async || {
        let wire = connect_from("127.0.0.2", simple.address).await;
        simple.tls().over(wire).await.is_ok()
    })
    .await;
}
