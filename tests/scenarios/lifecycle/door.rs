//! How many connections are let in, and hours when files run out.

use std::time::{Duration, Instant};

use portcullis_tests::harness::{Gateway, Options, RawClient, Tls, eventually, pki::Authority};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use socket2::SockRef;
use tokio::net::TcpStream;

use super::{HOST, LONG, both, get, origin, plain};

fn options(arguments: &[&str]) -> Options {
    Options { arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(), ..Options::default() }
}

async fn refused(gateway: &Gateway, bound: &str) -> f64 {
    gateway.metric("portcullis_connections_refused_total", &[&format!("bound=\"{bound}\"")]).await
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once() {
    let origin = origin().await;
    let gateway = Gateway::start(&plain(&origin).into(), options(&["--connections-max", "3"])).await;
    let address = gateway.addr("default/edge", 80).await;
    let mut within = Vec::new();
    for _ in 0..3 {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.exchange(get("/")).await.status, 200);
        within.push(client);
    }
    let mut beyond = RawClient::connect(address).await;
    assert_eq!(beyond.read_until_close(LONG).await.as_deref(), Some(&b""[..]));
    assert_eq!(refused(&gateway, "connections").await, 1.0);
    for client in &mut within {
        assert_eq!(client.exchange(get("/")).await.status, 200, "those within do not notice");
    }
    within.pop();
    eventually("the place is free again", async || {
        let mut client = RawClient::connect(address).await;
        let _ = client.try_send(get("/")).await;
        client.try_answer().await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_source_has_a_bounded_number_of_unfinished_handshakes() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let options = options(&["--handshakes-per-source-max", "3"]);
    let gateway = Gateway::start(&both(&origin, &identity).into(), options).await;
    let (http, https) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    // Those who have shown what they are do not count, over TLS or not.
    let mut proved = Vec::new();
    for _ in 0..5 {
        proved.push(RawClient::connect_tls(https, &Tls::new().server_name(HOST)).await.unwrap());
        let mut client = RawClient::connect(http).await;
        assert_eq!(client.exchange(get("/")).await.status, 200);
        proved.push(client);
    }
    let silent = [RawClient::connect(https).await, RawClient::connect(https).await, RawClient::connect(http).await];
    eventually("the silent ones are let in", async || {
        gateway.metric("portcullis_connections_open", &[]).await == (proved.len() + silent.len()) as f64
    })
    .await;
    let mut beyond = RawClient::connect(https).await;
    assert_eq!(beyond.read_until_close(LONG).await.as_deref(), Some(&b""[..]));
    assert_eq!(refused(&gateway, "handshakes_of_source").await, 1.0);
    assert_eq!(refused(&gateway, "connections").await, 0.0);
    for client in &mut proved {
        assert_eq!(client.exchange(get("/")).await.status, 200);
    }
    drop(silent);
    eventually("places are free again", async || {
        RawClient::connect_tls(https, &Tls::new().server_name(HOST)).await.is_ok()
    })
    .await;
}

/// Hostile row A33: files run out, which must neither end the accept loop nor make it spin.
#[tokio::test]
async fn running_out_of_files_is_told_and_survived() {
    let origin = origin().await;
    let gateway = Gateway::start(&plain(&origin).into(), Options::default()).await;
    let address = gateway.addr("default/edge", 80).await;
    let mut kept = RawClient::connect(address).await;
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    let of_process = prlimit(Some(gateway.pid()), Resource::Nofile, getrlimit(Resource::Nofile)).unwrap();
    let files = |count: u64| {
        let limit = Rlimit { current: Some(count), maximum: of_process.maximum };
        prlimit(Some(gateway.pid()), Resource::Nofile, limit).unwrap();
    };
    // Enough for the admin pages' connections, not for those who come below.
    files(gateway.descriptors() as u64);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        // Silent, so that none of them takes the connection to the origin from those who are inside.
        waiting.push(RawClient::connect(address).await);
    }
    let before = (gateway.cpu(), Instant::now());
    gateway.logged(|line| line["level"] == "WARN" && line["message"] == "cannot accept connections").await;
    assert_eq!(kept.exchange(get("/")).await.status, 200, "whoever is inside is served");
    let told = || gateway.stderr().matches("cannot accept connections").count();
    eventually("pauses grow", async || told() >= 5).await;
    let lines = told();
    let (busy, passed) = (gateway.cpu().saturating_sub(before.0), before.1.elapsed());
    assert!(busy < passed / 2 + Duration::from_millis(100), "it spins: {busy:?} of {passed:?}");

    files(1000);
    for mut client in waiting {
        assert_eq!(client.exchange(get("/")).await.status, 200, "whoever waited is served in the end");
    }
    let failures = gateway.metric("portcullis_accept_failures_total", &["out_of_resources"]).await;
    assert!(failures >= lines as f64, "{failures} < {lines}");
}

/// Hostile row A33, the other half: clients that are gone before they are accepted, or right after.
#[tokio::test]
async fn clients_that_reset_at_once_do_no_harm() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let gateway = Gateway::start(&both(&origin, &identity).into(), Options::default()).await;
    let (http, https) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    let mut kept = RawClient::connect(http).await;
    for round in 0..300 {
        let stream = TcpStream::connect(if round % 2 == 0 { http } else { https }).await.unwrap();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        if round % 50 == 0 {
            assert_eq!(kept.exchange(get("/")).await.status, 200);
        }
    }
    eventually("their places are free again", async || gateway.metric("portcullis_connections_open", &[]).await == 1.0)
        .await;
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    assert_eq!(RawClient::connect(http).await.exchange(get("/")).await.status, 200);
}
