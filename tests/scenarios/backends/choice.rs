//! Which of several healthy endpoints is asked.

use portcullis_tests::harness::{H2Client, H2Options, H2Origin, H2Reply, Origin, RawClient, eventually};

use super::{all_to, answer, endless, named, started, tally};
use crate::texts;

/// Holds `/hold` open and answers everything else at once with its name.
async fn holding(name: &'static str) -> Origin {
    Origin::start(move |seen| if seen.target == "/hold" { endless() } else { answer(name) }).await
}

#[tokio::test]
async fn a_stream_counts_until_its_end_and_not_its_first_byte() {
    let (one, two) = (holding("one").await, holding("two").await);
    let (gateway, address) = started(&all_to(&[one.address(), two.address()], "")).await;
    let mut streams = Vec::new();
    // Both get one of the first two streams; the third makes one of them the busier.
    for _ in 0..3 {
        let mut client = RawClient::connect(address).await;
        client.send("GET /hold HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        streams.push(client);
    }
    let held = |origin: &Origin| origin.seen().iter().filter(|seen| seen.target == "/hold").count();
    let (busier, other) = if held(&one) == 2 { ("one", "two") } else { ("two", "one") };
    assert_eq!(held(&one) + held(&two), 3);
    assert!(held(&one) > 0 && held(&two) > 0);
    assert_eq!(gateway.endpoints_sum("inFlight").await, 3);
    // Their heads came long ago, and the one with fewer streams gets all that comes.
    let counts = tally(address, 12).await;
    assert_eq!((counts.get(busier), counts[other]), (None, 12));
    drop(streams);
    eventually("the streams have ended", async || gateway.endpoints_sum("inFlight").await == 0).await;
    let counts = tally(address, 12).await;
    assert_eq!((counts[busier], counts[other]), (6, 6));
}

#[tokio::test]
async fn over_http2_a_stream_counts_until_its_end_as_well() {
    let hold = |_: &portcullis_tests::harness::H2Seen| H2Reply::Begin(http::Response::new(bytes::Bytes::from("..")));
    let (one, two) =
        (H2Origin::start(H2Options::default(), hold).await, H2Origin::start(H2Options::default(), hold).await);
    let documents =
        texts::service("app", "kubernetes.io/h2c", &[one.address(), two.address()]) + &texts::route("/", "app", "");
    let (gateway, address) = started(&documents).await;
    let client = H2Client::connect(address).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut sender = client.sender().ready().await.unwrap();
        let request = http::Request::get("http://a.test/").body(()).unwrap();
        let (answer, _) = sender.send_request(request, true).unwrap();
        streams.push(answer.await.unwrap());
    }
    assert_eq!((one.seen().len(), two.seen().len()), (4, 4));
    assert_eq!(gateway.endpoints_sum("inFlight").await, 8);
    drop(streams);
    eventually("the streams have ended", async || gateway.endpoints_sum("inFlight").await == 0).await;
}

#[tokio::test]
async fn twice_the_capacity_is_twice_the_requests() {
    let (small, large) = (holding("small").await, holding("large").await);
    for strategy in ["least-requests", "round-robin"] {
        let endpoints = format!(
            "  - {{address: 127.0.0.1, port: {}, capacity: 1}}\n  - {{address: 127.0.0.1, port: {}, capacity: 2}}\n",
            small.address().port(),
            large.address().port()
        );
        let more = format!("  loadBalancing: {{strategy: {strategy}}}\n");
        let documents =
            texts::inference_at("llm", "openai", &endpoints, &more) + &texts::inference_route("/", "llm", "");
        let (_gateway, address) = started(&documents).await;
        let before = (small.seen().len(), large.seen().len());
        let mut streams = Vec::new();
        for _ in 0..12 {
            let mut client = RawClient::connect(address).await;
            client.send("GET /hold HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
            assert_eq!(client.head().await.status, 200);
            streams.push(client);
        }
        let got = (small.seen().len() - before.0, large.seen().len() - before.1);
        assert_eq!(got, (4, 8), "{strategy}");
    }
}

#[tokio::test]
async fn round_robin_takes_turns_however_busy_they_are() {
    let (one, two) = (holding("one").await, holding("two").await);
    let more = "  loadBalancing: {strategy: round-robin}\n";
    let (_gateway, address) = started(&all_to(&[one.address(), two.address()], more)).await;
    let mut client = RawClient::connect(address).await;
    client.send("GET /hold HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    let counts = tally(address, 11).await;
    assert_eq!(counts["one"].abs_diff(counts["two"]), 1, "{counts:?}");
}

#[tokio::test]
async fn workers_know_what_the_others_have_placed() {
    let (one, two) = (holding("one").await, holding("two").await);
    let documents = super::with_gateway(&all_to(&[one.address(), two.address()], ""));
    let options = portcullis_tests::harness::Options { workers: 2, ..Default::default() };
    let gateway = portcullis_tests::harness::Gateway::start(&documents.into(), options).await;
    let address = gateway.addr("default/edge", 80).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut client = RawClient::connect(address).await;
        client.send("GET /hold HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        streams.push(client);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (10, 10));
}

#[tokio::test]
async fn weights_of_a_rule_divide_its_requests() {
    let (heavy, light, none) = (named("heavy").await, named("light").await, named("none").await);
    let route = texts::route("/", "heavy", "").replace(
        "[{name: heavy, port: 80}]",
        "[{name: heavy, port: 80, weight: 9}, {name: light, port: 80, weight: 1}, {name: none, port: 80, weight: 0}]",
    );
    let documents = texts::service("heavy", "", &[heavy.address()])
        + &texts::service("light", "", &[light.address()])
        + &texts::service("none", "", &[none.address()])
        + &route;
    let (_gateway, address) = started(&documents).await;
    let counts = tally(address, 500).await;
    assert_eq!(counts.get("none"), None);
    // 50 expected; six standard deviations are 40.
    assert!((10..=90).contains(&counts["light"]), "{counts:?}");
}
