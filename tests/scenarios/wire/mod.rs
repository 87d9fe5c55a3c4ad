//! HTTP itself, on both sides: versions, framing, interim answers, trailers, upgrades, large bodies.

mod bodies;
mod cancel;
mod clocks;
mod framing;
mod interim;
mod large;
mod reuse;
mod upgrade;
mod versions;

use std::net::SocketAddr;

use portcullis_tests::harness::{Gateway, Options};

use crate::texts;

/// A gateway that sends everything to one Service in the clear, and where it listens.
async fn before(app_protocol: &str, origin: SocketAddr) -> (Gateway, SocketAddr) {
    before_with_rule(app_protocol, origin, "").await
}

/// The same with further fields of the route's rule, four spaces deep.
async fn before_with_rule(app_protocol: &str, origin: SocketAddr, rule: &str) -> (Gateway, SocketAddr) {
    started(&(texts::service("app", app_protocol, &[origin]) + &texts::route("/", "app", rule))).await
}

/// A gateway that sends everything to one InferenceBackend; `more`: further fields of its spec, two spaces deep.
async fn before_inference(origin: SocketAddr, more: &str) -> (Gateway, SocketAddr) {
    started(&(texts::inference("llm", "openai", &[origin], more) + &texts::inference_route("/", "llm", ""))).await
}

/// A gateway with a plain listener and these documents besides.
async fn started(documents: &str) -> (Gateway, SocketAddr) {
    let documents = format!("{}{documents}", texts::PLAIN_GATEWAY);
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 80).await;
    (gateway, address)
}
