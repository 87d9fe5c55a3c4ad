//! Active checks, and gentle beginnings.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use portcullis_tests::harness::{Origin, Reply, eventually};

use super::{all_to, answer, endpoint, named, started, state, tally};

const CHECK: &str =
    "  healthCheck: {path: /health, interval: 100ms, timeout: 1s, unhealthyAfter: 2, healthyAfter: 2}\n";

/// Answers `/health` as it is told to, and closes behind its answer; everything else with its name.
async fn checked(name: &'static str, well: Arc<AtomicBool>) -> Origin {
    Origin::start(move |seen| match seen.target.as_str() {
        "/health" if well.load(SeqCst) => {
            Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec())
        }
        "/health" => Reply::Last(b"HTTP/1.1 503 Loading\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()),
        _ => answer(name),
    })
    .await
}

#[tokio::test]
async fn endpoints_that_fail_their_checks_get_nothing_until_they_pass() {
    let well = Arc::new(AtomicBool::new(true));
    let (moody, fine, good) = (
        checked("moody", Arc::clone(&well)).await,
        checked("fine", Arc::new(AtomicBool::new(true))).await,
        checked("fine", Arc::new(AtomicBool::new(true))).await,
    );
    let (gateway, address) = started(&all_to(&[moody.address(), fine.address(), good.address()], CHECK)).await;
    let checks = |origin: &Origin| origin.seen().iter().filter(|seen| seen.target == "/health").count();
    eventually("all are asked", async || [&moody, &fine, &good].iter().all(|origin| checks(origin) >= 3)).await;
    assert_eq!(state(&gateway, moody.address()).await, "ready");
    assert_eq!(tally(address, 9).await["moody"], 3);

    well.store(false, SeqCst);
    eventually("it fails its checks", async || state(&gateway, moody.address()).await == "unhealthy").await;
    assert_eq!(tally(address, 10).await["fine"], 10);

    well.store(true, SeqCst);
    eventually("it passes again", async || state(&gateway, moody.address()).await == "warming").await;
}

#[tokio::test]
async fn a_check_that_is_not_answered_in_time_fails() {
    let hangs = Origin::start(|seen| if seen.target == "/health" { Reply::Silence } else { answer("hangs") }).await;
    let fine = checked("fine", Arc::new(AtomicBool::new(true))).await;
    let check = CHECK.replace("timeout: 1s", "timeout: 100ms");
    let (gateway, _) = started(&all_to(&[hangs.address(), fine.address()], &check)).await;
    eventually("it fails its checks", async || state(&gateway, hangs.address()).await == "unhealthy").await;
    assert_eq!(state(&gateway, fine.address()).await, "ready");
}

#[tokio::test]
async fn an_endpoint_that_joins_begins_with_less_than_its_share() {
    let (one, two) = (named("one").await, named("two").await);
    let (gateway, address) = started(&all_to(&[one.address()], "")).await;
    assert_eq!(tally(address, 5).await["one"], 5);
    gateway.rewrite(&super::with_gateway(&all_to(&[one.address(), two.address()], "")).into()).await;
    let joined = endpoint(&gateway, two.address()).await.unwrap();
    assert_eq!(joined["state"], "warming");
    assert!(joined["share"].as_f64().unwrap() < 0.5, "{joined}");
    assert_eq!(state(&gateway, one.address()).await, "ready", "who was there stays warm");
    // Streams, because idle endpoints are equally good however warm they are.
    let held = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut client = portcullis_tests::harness::RawClient::connect(address).await;
        client.send("POST /raw HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100000\r\n\r\n").await;
        streams.push(client);
        held.fetch_add(1, SeqCst);
        eventually("it is placed", async || gateway.endpoints_sum("inFlight").await == held.load(SeqCst) as u64).await;
    }
    let in_flight = async |origin: &Origin| endpoint(&gateway, origin.address()).await.unwrap()["inFlight"].as_u64();
    let (warm, cold) = (in_flight(&one).await.unwrap(), in_flight(&two).await.unwrap());
    assert!((1..=3).contains(&cold) && warm + cold == 10, "{warm} and {cold}");
}
