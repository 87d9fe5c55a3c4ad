//! `RequestMirror`: copies in their share, to several places, which never hurt what they copy.

use std::time::Duration;

use portcullis_tests::harness::{Origin, Reply, eventually};
use tokio::time::Instant;

use crate::edge::{
    Edge, H2Origin, H2Reply, grpc_message, grpc_route, http_route, named, ok, request, service, service_speaking,
};

fn mirror(to: &str, share: &str) -> String {
    format!("{{type: RequestMirror, requestMirror: {{backendRef: {{name: {to}, port: 80}}{share}}}}}")
}

#[tokio::test]
async fn every_mirror_gets_a_whole_copy_and_its_answer_is_dropped() {
    let (origin, one, two) = (named("origin").await, named("one").await, named("two").await);
    let documents = [
        service("origin", origin.address()),
        service("one", one.address()),
        service("two", two.address()),
        http_route(
            "mirrored",
            &format!(
                "rules:
- filters: [{}, {}, {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-set, value: s}}]}}}}]
  backendRefs: [{{name: origin, port: 80}}]",
                mirror("one", ""),
                mirror("two", ", percent: 100")
            ),
        ),
    ];
    let edge = Edge::start(&documents).await;
    let got = edge.request("POST", "x.test", "/a?b", "x-sent: 1\r\n", "the body").await;
    assert_eq!((got.status, got.text().as_str()), (200, "origin"));
    for copy in [&one, &two] {
        let seen = &copy.wait_for(1).await[0];
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/a?b"));
        assert_eq!((seen.header("x-sent"), seen.header("x-set")), (Some("1"), Some("s")));
        assert_eq!(seen.header("host"), Some("x.test"));
        assert_eq!(seen.body, b"the body");
    }
}

#[tokio::test]
async fn mirrors_get_their_share() {
    let (origin, percent, fraction, never) =
        (named("origin").await, named("percent").await, named("fraction").await, named("never").await);
    let documents = [
        service("origin", origin.address()),
        service("percent", percent.address()),
        service("fraction", fraction.address()),
        service("never", never.address()),
        http_route(
            "mirrored",
            &format!(
                "rules:\n- filters: [{}, {}, {}]\n  backendRefs: [{{name: origin, port: 80}}]",
                mirror("percent", ", percent: 20"),
                mirror("fraction", ", fraction: {numerator: 1, denominator: 2}"),
                mirror("never", ", percent: 0"),
            ),
        ),
    ];
    let edge = Edge::start(&documents).await;
    let mut client = edge.client().await;
    for _ in 0..1000 {
        assert_eq!(client.exchange(request("GET", "x.test", "/", "", "")).await.status, 200);
    }
    // Five standard deviations: 63 of 200, 79 of 500.
    fraction.wait_for(421).await;
    percent.wait_for(137).await;
    assert!(percent.seen().len() <= 263, "{}", percent.seen().len());
    assert!(fraction.seen().len() <= 579, "{}", fraction.seen().len());
    assert_eq!(never.connections(), 0);
}

#[tokio::test]
async fn a_mirror_that_is_slow_dead_or_nowhere_hurts_nobody() {
    let origin = named("origin").await;
    let silent = Origin::start(|_| Reply::Silence).await;
    let cut = Origin::start(|_| Reply::Reset(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec())).await;
    let dead = named("dead").await;
    let dead_address = dead.address();
    drop(dead);
    let documents = [
        service("origin", origin.address()),
        service("silent", silent.address()),
        service("cut", cut.address()),
        service("dead", dead_address),
        http_route(
            "mirrored",
            &format!(
                "rules:\n- filters: [{}, {}, {}]\n  backendRefs: [{{name: origin, port: 80}}]",
                mirror("silent", ""),
                mirror("cut", ""),
                mirror("dead", "")
            ),
        ),
    ];
    let edge = Edge::start(&documents).await;
    let mut client = edge.client().await;
    let started = Instant::now();
    // More than may be in flight to mirrors at once (256): further ones are skipped, not waited for.
    for _ in 0..400 {
        let got = client.exchange(request("POST", "x.test", "/", "", "body")).await;
        assert_eq!((got.status, got.text().as_str()), (200, "origin"));
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(silent.connections() <= 256, "{}", silent.connections());
    assert!(silent.connections() > 0 && cut.connections() > 0);
}

/// What is larger than a mirror is given, or comes without a length and slowly, is not held up for its copy.
#[tokio::test]
async fn a_stream_is_not_held_up_for_its_mirror() {
    let (origin, copy) = (Origin::answering(ok("hi")).await, named("copy").await);
    let documents = [
        service("origin", origin.address()),
        service("copy", copy.address()),
        http_route(
            "mirrored",
            &format!("rules:\n- filters: [{}]\n  backendRefs: [{{name: origin, port: 80}}]", mirror("copy", "")),
        ),
    ];
    let edge = Edge::start(&documents).await;
    let large = "x".repeat(5 * 1024 * 1024);
    let got = edge.request("POST", "x.test", "/large", "", &large).await;
    assert_eq!(got.status, 200);
    assert_eq!(origin.seen()[0].body.len(), large.len());
    let mut client = edge.client().await;
    client.send("POST /slow HTTP/1.1\r\nhost: x.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    // What can be sent only once gets a connection of its own, so a second one shows that the request is on its way.
    eventually("the request is forwarded before its end", async || origin.connections() == 2).await;
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    assert!(copy.seen().is_empty(), "neither was copied");
}

#[tokio::test]
async fn calls_of_grpc_are_mirrored_over_http2() {
    let origin = H2Origin::start(|_| H2Reply::grpc(&[b"pong"])).await;
    let copy = H2Origin::start(|_| H2Reply::grpc(&[b"dropped"])).await;
    let documents = [
        service_speaking("origin", origin.address(), "kubernetes.io/h2c"),
        service_speaking("copy", copy.address(), "kubernetes.io/h2c"),
        grpc_route(
            "mirrored",
            &format!("rules:\n- filters: [{}]\n  backendRefs: [{{name: origin, port: 80}}]", mirror("copy", "")),
        ),
    ];
    let edge = Edge::start(&documents).await;
    let call = http::Request::post("http://x.test/a.B/Get").header("content-type", "application/grpc");
    let got = edge.h2().await.send(call.body(grpc_message(b"ping")).unwrap()).await.unwrap();
    assert_eq!(&got.body[..], grpc_message(b"pong"));
    eventually("the copy arrives", async || !copy.seen().is_empty()).await;
    let seen = &copy.seen()[0];
    assert_eq!((seen.path.as_str(), seen.authority.as_str()), ("/a.B/Get", "x.test"));
    assert_eq!(&seen.body[..], grpc_message(b"ping"));
    assert!(seen.is_whole);
}
