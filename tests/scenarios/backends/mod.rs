//! Which endpoint is asked, and what is done about those that fail.

mod choice;
mod discovery;
mod failures;
mod health;
mod leaving;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use portcullis_tests::harness::{Answer, Gateway, Options, Origin, RawClient, Reply};
use serde_json::Value;

use crate::texts;

/// A gateway with a plain listener and these documents besides.
async fn started(documents: &str) -> (Gateway, SocketAddr) {
    let gateway = Gateway::start(&with_gateway(documents).into(), Options::default()).await;
    let address = gateway.addr("default/edge", 80).await;
    (gateway, address)
}

fn with_gateway(documents: &str) -> String {
    format!("{}{documents}", texts::PLAIN_GATEWAY)
}

/// Everything to one InferenceBackend; `more`: further fields of its spec, two spaces deep.
fn all_to(endpoints: &[SocketAddr], more: &str) -> String {
    texts::inference("llm", "openai", endpoints, more) + &texts::inference_route("/", "llm", "")
}

/// Answers `200` with a text.
async fn named(text: &'static str) -> Origin {
    Origin::start(move |_| answer(text)).await
}

fn answer(text: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes())
}

/// Begins an answer and never ends it.
fn endless() -> Reply {
    let beginning = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n..\r\n".to_vec();
    Reply::Pieces(vec![(Duration::ZERO, beginning)])
}

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    let mut client = RawClient::connect(address).await;
    client.exchange(format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n")).await
}

/// How often each text is answered to so many requests.
async fn tally(address: SocketAddr, requests: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut client = RawClient::connect(address).await;
    for _ in 0..requests {
        let answer = client.exchange("GET /x HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        *counts.entry(answer.text()).or_insert(0) += 1;
    }
    counts
}

/// What `/endpoints` says of an address.
async fn endpoint(gateway: &Gateway, address: SocketAddr) -> Option<Value> {
    let page = gateway.endpoints().await;
    let backends = page["backends"].as_array().unwrap().iter();
    let endpoints: Vec<&Value> = backends.flat_map(|backend| backend["endpoints"].as_array().unwrap()).collect();
    endpoints.into_iter().find(|endpoint| endpoint["address"] == address.to_string()).cloned()
}

/// The state of an endpoint that is there.
async fn state(gateway: &Gateway, address: SocketAddr) -> String {
    let endpoint = endpoint(gateway, address).await.unwrap_or_else(|| panic!("no endpoint {address}"));
    endpoint["state"].as_str().unwrap().to_owned()
}
