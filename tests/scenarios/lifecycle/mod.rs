//! The life of the process: listening, reloading, swapping certificates, stopping, handing over to a successor.

mod certificates;
mod documents;
mod door;
mod load;
mod ports;
mod stop;
mod upgrade;

use std::{net::SocketAddr, time::Duration};

use portcullis_tests::harness::{Gateway, Origin, Reply, pki::Identity};

use self::load::Load;

/// How long a process may take to end, or a connection to be closed, on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// What every host here is called.
pub(crate) const HOST: &str = "edge.test";
/// Events of a short stream.
pub(crate) const EVENTS: usize = 10;

/// An origin that answers `/events` with a short stream, `/long` with one of two seconds, and anything else at once.
pub(crate) async fn origin() -> Origin {
    Origin::start(|seen| match seen.target.as_str() {
        "/events" => events(EVENTS, Duration::from_millis(10)),
        "/long" => events(100, Duration::from_millis(20)),
        _ => Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_vec()),
    })
    .await
}

fn events(count: usize, pause: Duration) -> Reply {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let event = |number: usize| {
        let text = event_text(number);
        (pause, format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
    };
    let mut pieces = vec![(Duration::ZERO, head)];
    pieces.extend((0..count).map(event));
    pieces.push((Duration::ZERO, b"0\r\n\r\n".to_vec()));
    Reply::Pieces(pieces)
}

pub(crate) fn event_text(number: usize) -> String {
    format!("data: {number}\n\n")
}

/// Everything that so many events say.
pub(crate) fn event_texts(count: usize) -> String {
    (0..count).map(event_text).collect()
}

/// A Gateway `default/edge` that anyone may use; `listeners` is a YAML list in flow style.
pub(crate) fn edge(listeners: &str) -> String {
    edge_named("edge", listeners)
}

/// The same with a name of its own.
pub(crate) fn edge_named(name: &str, listeners: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  gatewayClassName: portcullis
  listeners: {listeners}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: open-{name}}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {name}}}]
  authentication: {{anonymous: {{actions: ['*']}}}}
"
    )
}

/// A route of `default/edge`, or another Gateway, to a backend.
pub(crate) fn route(name: &str, gateway: &str, backend: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: {gateway}}}]
  rules: [{{backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, name: {backend}}}]}}]
"
    )
}

/// A backend with one endpoint.
pub(crate) fn backend(name: &str, endpoint: SocketAddr) -> String {
    format!(
        "---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: {name}}}
spec:
  protocol: openai
  endpoints: [{{address: {}, port: {}}}]
  transport: {{plaintext: {{}}}}
",
        endpoint.ip(),
        endpoint.port()
    )
}

/// Port 80, open to everyone, in front of an origin.
pub(crate) fn plain(origin: &Origin) -> String {
    edge("[{name: http, protocol: HTTP, port: 80}]")
        + &route("all", "edge", "main")
        + &backend("main", origin.address())
}

/// Ports 80 and 443 in front of an origin, with this certificate.
pub(crate) fn both(origin: &Origin, identity: &Identity) -> String {
    edge(
        "[{name: http, protocol: HTTP, port: 80}, \
          {name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: edge}]}}]",
    ) + &route("all", "edge", "main")
        + &backend("main", origin.address())
        + "---\n"
        + &identity.secret("default", "edge")
}

/// A request without a body.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
}

/// Clients of every kind at both ports of a gateway.
pub(crate) async fn load(gateway: &Gateway) -> Load {
    let (http, https) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    let load = Load::start(http, https);
    load.more().await;
    load
}
