//! Endpoints that fail: who is asked instead, who is left alone for how long, and what clients are told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use portcullis_tests::harness::{Origin, RawClient, Reply, eventually};

use super::{all_to, answer, endpoint, get, named, nobody, started, state, tally};
use crate::texts;

#[tokio::test]
async fn who_cannot_be_connected_to_is_passed_over() {
    let (gone, there) = (nobody().await, named("there").await);
    let (_gateway, address) = started(&all_to(&[gone, there.address()], "")).await;
    for _ in 0..10 {
        assert_eq!(get(address, "/x").await.text(), "there");
    }
    // Whatever the request: nothing has been sent.
    let mut client = RawClient::connect(address).await;
    for length in [0, 10, 300_000] {
        client.send(format!("POST /raw HTTP/1.1\r\nhost: a.test\r\ncontent-length: {length}\r\n\r\n")).await;
        client.send(vec![b'x'; length]).await;
        assert_eq!(client.answer().await.status, 200, "POST of {length} bytes");
    }
}

#[tokio::test]
async fn large_uploads_survive_an_endpoint_that_cannot_be_connected_to() {
    let there = named("there").await;
    // Before it is ejected, one in two would fail.
    for _ in 0..3 {
        let (gone, also_gone) = (nobody().await, nobody().await);
        let (_gateway, address) = started(&all_to(&[gone, also_gone, there.address()], "")).await;
        let mut client = RawClient::connect(address).await;
        client.send("POST /raw HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n").await;
        client.send(format!("{:x}\r\n{}\r\n0\r\n\r\n", 200_000, "x".repeat(200_000))).await;
        assert_eq!(client.answer().await.status, 200);
    }
    assert!(there.seen().iter().all(|seen| seen.body.len() > 200_000));
}

#[tokio::test]
async fn when_all_are_dead_clients_are_told_soon_and_when_to_come_again() {
    let documents = all_to(&[nobody().await, nobody().await, nobody().await], "")
        + &texts::service("app", "", &[nobody().await])
        + &texts::route("/app", "app", "");
    let (_gateway, address) = started(&documents).await;
    let started = Instant::now();
    for _ in 0..20 {
        for path in ["/v1/models", "/app"] {
            let answer = get(address, path).await;
            assert_eq!(answer.status, 503, "{path}");
            assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
        }
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?} for 40 refusals", started.elapsed());
}

/// By load, an endpoint that has failed is seldom asked while others are idle; in turn it fails soon as often as it may.
const IN_TURN: &str = "  loadBalancing: {strategy: round-robin}\n";

/// An endpoint that resets fresh connections at the first request while it is told to.
async fn moody(bad: Arc<AtomicBool>) -> Origin {
    Origin::start(move |_| if bad.load(SeqCst) { Reply::Reset(Vec::new()) } else { answer("moody") }).await
}

#[tokio::test]
async fn an_endpoint_that_fails_again_and_again_is_left_alone_then_tried_once() {
    let bad = Arc::new(AtomicBool::new(true));
    let (moody, one, two) = (moody(Arc::clone(&bad)).await, named("fine").await, named("fine").await);
    let (gateway, address) = started(&all_to(&[moody.address(), one.address(), two.address()], IN_TURN)).await;
    // A GET may be sent again, so nobody sees the failures.
    while state(&gateway, moody.address()).await != "ejected" {
        assert_eq!(get(address, "/x").await.text(), "fine");
    }
    let asked = moody.seen().len();
    assert!(asked >= 5, "it takes five failures in a row, not {asked}");
    let first = endpoint(&gateway, moody.address()).await.unwrap()["ejectedForMs"].as_u64().unwrap();
    assert!(first <= 10_000, "{first} ms");
    for _ in 0..30 {
        assert_eq!(get(address, "/x").await.text(), "fine");
    }
    assert_eq!(moody.seen().len(), asked, "while it is out it gets nothing");

    // One trial when its time is up; it fails, and the next ejection is twice as long.
    eventually("its time is up", async || state(&gateway, moody.address()).await == "on_trial").await;
    while state(&gateway, moody.address()).await == "on_trial" {
        assert_eq!(get(address, "/x").await.text(), "fine");
    }
    assert_eq!(moody.seen().len(), asked + 1, "one request tries it");
    let second = endpoint(&gateway, moody.address()).await.unwrap();
    assert_eq!(second["state"], "ejected");
    let second = second["ejectedForMs"].as_u64().unwrap();
    assert!((10_001..=20_000).contains(&second), "{second} ms");
}

#[tokio::test]
async fn an_endpoint_that_answers_again_returns() {
    let bad = Arc::new(AtomicBool::new(true));
    let (moody, one, two) = (moody(Arc::clone(&bad)).await, named("fine").await, named("fine").await);
    let (gateway, address) = started(&all_to(&[moody.address(), one.address(), two.address()], IN_TURN)).await;
    while state(&gateway, moody.address()).await != "ejected" {
        assert_eq!(get(address, "/x").await.text(), "fine");
    }
    bad.store(false, SeqCst);
    eventually("it answers again", async || get(address, "/x").await.text() == "moody").await;
    // Gently: it begins with less than its share.
    assert_eq!(state(&gateway, moody.address()).await, "warming");
}

#[tokio::test]
async fn while_most_are_out_all_are_used() {
    // Two of three fail: below the threshold a gateway is more likely wrong than right about them.
    let bad = Arc::new(AtomicBool::new(true));
    let (one, two) = (moody(Arc::clone(&bad)).await, moody(Arc::clone(&bad)).await);
    let fine = named("fine").await;
    let (gateway, address) = started(&all_to(&[one.address(), two.address(), fine.address()], IN_TURN)).await;
    let out = async || {
        let states = [state(&gateway, one.address()).await, state(&gateway, two.address()).await];
        states.iter().all(|state| state == "ejected")
    };
    while !out().await {
        let _ = get(address, "/x").await;
    }
    assert_eq!(gateway.endpoints().await["backends"][0]["panic"], true);
    bad.store(false, SeqCst);
    // Used though ejected, and found well, long before their time is up.
    eventually("they are used", async || get(address, "/x").await.text() == "moody").await;
}

#[tokio::test]
async fn answers_that_are_errors_do_not_eject_but_those_of_proxies_do() {
    for (status, ejected) in [(500, false), (429, false), (404, false), (503, true), (502, true)] {
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        let origin = Origin::answering(text).await;
        let (gateway, address) = started(&all_to(&[origin.address()], "")).await;
        for _ in 0..8 {
            assert_eq!(get(address, "/x").await.status, status, "answers pass as they are");
        }
        let state = state(&gateway, origin.address()).await;
        assert_eq!(state == "ejected", ejected, "{status}: {state}");
    }
}

#[tokio::test]
async fn answers_that_break_off_eject() {
    let broken = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\npiece\r\n".to_vec();
    let origin = Origin::start(move |_| Reply::Last(broken.clone())).await;
    let (gateway, address) = started(&all_to(&[origin.address()], "")).await;
    for _ in 0..5 {
        let mut client = RawClient::connect(address).await;
        client.send("GET /x HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert!(client.try_answer().await.is_err());
    }
    eventually("it is left alone", async || state(&gateway, origin.address()).await == "ejected").await;
}

#[tokio::test]
async fn stale_connections_never_eject() {
    // Answers the first request of each connection and resets it at the second.
    let origin = Origin::start({
        let served = std::sync::Mutex::new(std::collections::HashSet::new());
        move |seen| {
            if served.lock().unwrap().insert(seen.connection) { answer("ok") } else { Reply::Reset(Vec::new()) }
        }
    })
    .await;
    let (gateway, address) = started(&all_to(&[origin.address()], "")).await;
    assert_eq!(tally(address, 60).await["ok"], 60);
    assert_eq!(gateway.endpoints_sum("failuresTotal").await, 0);
    assert_eq!(gateway.endpoints_sum("ejectionsTotal").await, 0);
}

#[tokio::test]
async fn retries_are_bounded_by_a_budget() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let failing = move |_: &portcullis_tests::harness::Seen| {
        counted.fetch_add(1, SeqCst);
        Reply::Reset(Vec::new())
    };
    let (one, two) = (Origin::start(failing.clone()).await, Origin::start(failing).await);
    let more = "    retry: {attempts: 5, backoff: 1ms, codes: [503]}\n";
    let documents = texts::service("app", "", &[one.address(), two.address()]) + &texts::route("/", "app", more);
    let (_gateway, address) = started(&documents).await;
    let requests = 200;
    for _ in 0..requests {
        let status = get(address, "/x").await.status;
        assert!((502..=503).contains(&status), "{status}");
    }
    let asked = asked.load(SeqCst);
    assert!(asked > requests, "some are sent again");
    // A fifth of recent requests, and a few a second besides; five times as many without a budget.
    assert!(asked < requests * 2, "{asked} attempts for {requests} requests");
}
