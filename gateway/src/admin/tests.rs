//! The admin address, over real sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use portcullis_mesh::{
    endpoints::{BackendSpec, EndpointSpec, Endpoints, Outcome},
    pages::{CONNECTIONS_MAX, REQUESTS_IN_FLIGHT_MAX, serve},
    telemetry::{Catalogue, Registry},
};
use portcullis_policy::{
    routes::{RouteTable, TlsRouteTable},
    snapshot::{
        Condition, DocumentId, DocumentStatus, HostPattern, Listener, ListenerId, ListenerProtocol, ListenerStatus,
        Location, ParentStatus, Revision, Snapshot,
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Mutex, watch},
    time::timeout,
};

use super::*;

/// Pages about nothing, with this readiness.
fn pages(readiness: Readiness) -> AdminPages {
    let registry = Arc::new(Registry::new(1));
    let catalogue = Catalogue::new(&registry, "0.1.0");
    registry.control().inc(catalogue.listener("inference/edge/https").accepted);
    AdminPages {
        readiness: Arc::new(move || {
            let readiness = readiness.clone();
            Box::pin(async move { readiness })
        }),
        metrics: Arc::new(move |format| registry.page(format)),
        key_set: Arc::new(|| serde_json::json!({"keys": []})),
        snapshot: Arc::new(example_snapshot),
        endpoints: Arc::new(example_endpoints),
    }
}

fn id(kind: &str, name: &str) -> DocumentId {
    let group = "gateway.networking.k8s.io".into();
    DocumentId { group, kind: kind.into(), namespace: "inference".into(), name: name.into() }
}

fn example_snapshot() -> SnapshotPage {
    let listener = ListenerId { namespace: "inference".into(), gateway: "edge".into(), listener: "https".into() };
    let condition = |kind, status| Condition { kind, status, reason: kind, message: "a \"word\"".to_owned() };
    let location = |line| Location { file: "gateway.yaml".into(), line, column: 1 };
    let snapshot = Snapshot {
        revision: Revision("0123456789abcdef".into()),
        listeners: vec![Listener {
            id: listener.clone(),
            addresses: Vec::new(),
            port: 443,
            protocol: ListenerProtocol::Https,
            hostname: HostPattern::Any,
            tls: None,
            routes: RouteTable::new(Vec::new()),
            tls_routes: TlsRouteTable::new(Vec::new()),
        }],
        providers: Vec::new(),
        roles: portcullis_policy::roles::Roles::default(),
        backends: Vec::new(),
        workloads: Vec::new(),
        documents: vec![
            DocumentStatus {
                document: id("Gateway", "edge"),
                location: location(1),
                generation: Some(3),
                conditions: vec![condition("Accepted", true)],
                parents: Vec::new(),
                listeners: vec![ListenerStatus {
                    name: "https".into(),
                    attached_routes: 1,
                    supported_kinds: vec![("gateway.networking.k8s.io".into(), "HTTPRoute".into())],
                    conditions: vec![condition("Programmed", true)],
                }],
            },
            DocumentStatus {
                document: id("HTTPRoute", "chat"),
                location: location(20),
                generation: None,
                conditions: Vec::new(),
                parents: vec![ParentStatus {
                    parent: id("Gateway", "edge"),
                    section_name: Some("https".into()),
                    port: None,
                    conditions: vec![condition("ResolvedRefs", false)],
                }],
                listeners: Vec::new(),
            },
        ],
    };
    let bound = [(listener, vec!["127.0.0.1:34567".parse().unwrap()])];
    SnapshotPage { snapshot: Arc::new(snapshot), error: None, bound: bound.into(), shadow: None }
}

fn example_endpoints() -> Vec<BackendStatus> {
    let now = Instant::now();
    let at = |last| EndpointSpec::at([10, 0, 3, last].into(), 8000);
    let spec = BackendSpec::new("inference/llama-8b", vec![at(11), at(12)]);
    let endpoints = Endpoints::new(spec, None, now);
    let avoid = [endpoints.list()[1].id()];
    for _ in 0..5 {
        endpoints.pick(now, &avoid).unwrap().report(now, Outcome::ConnectFailed);
    }
    vec![endpoints.status(now)]
}

/// An admin address that answers while the test runs, in tasks of the test's runtime.
async fn start(pages: AdminPages) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (_keep, stop) = watch::channel(false);
        serve(listener, pages.into_pages(), stop).await;
    });
    address
}

/// Sends these bytes and returns everything that comes back until the connection is closed.
async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A close with bytes unread by the server may reset the connection after its answer.
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn fetch(address: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    let answer = send(address, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

async fn fetch_json(address: SocketAddr, path: &str) -> (u16, Value) {
    let (status, head, body) = fetch(address, "GET", path).await;
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn liveness_and_readiness_are_told_apart() {
    let rows = [
        (Readiness::Ready, 200, json!({"ready": true, "state": "current", "error": null})),
        (Readiness::Stale("bad".into()), 200, json!({"ready": true, "state": "stale", "error": "bad"})),
        (Readiness::NotReady("draining".into()), 503, json!({"ready": false, "state": "unready", "error": "draining"})),
    ];
    for (readiness, status, body) in rows {
        let address = start(pages(readiness)).await;
        assert_eq!(fetch_json(address, "/readyz?verbose").await, (status, body));
        assert_eq!(fetch_json(address, "/livez").await, (200, json!({"live": true})));
    }
}

#[tokio::test]
async fn the_snapshot_page_says_how_each_document_fared() {
    let address = start(pages(Readiness::Ready)).await;
    let (status, page) = fetch_json(address, "/snapshot").await;
    let gateway = "gateway.networking.k8s.io";
    let condition = |kind, status| json!([{"type": kind, "status": status, "reason": kind, "message": "a \"word\""}]);
    let of_third_change = |kind| {
        let mut conditions = condition(kind, "True");
        conditions[0]["observedGeneration"] = json!(3);
        conditions
    };
    assert_eq!(status, 200);
    assert_eq!(
        page,
        json!({
            "revision": "0123456789abcdef",
            "state": "current",
            "error": null,
            "listeners": [{"id": "inference/edge/https", "port": 443, "protocol": "HTTPS", "bound": ["127.0.0.1:34567"]}],
            "documents": [
                {
                    "group": gateway, "kind": "Gateway", "namespace": "inference", "name": "edge",
                    "location": "gateway.yaml:1:1",
                    "conditions": of_third_change("Accepted"),
                    "parents": [],
                    "listeners": [{
                        "name": "https", "attachedRoutes": 1,
                        "supportedKinds": [{"group": gateway, "kind": "HTTPRoute"}],
                        "conditions": of_third_change("Programmed"),
                    }],
                },
                {
                    "group": gateway, "kind": "HTTPRoute", "namespace": "inference", "name": "chat",
                    "location": "gateway.yaml:20:1",
                    "conditions": [],
                    "parents": [{
                        "parent": {"group": gateway, "kind": "Gateway", "namespace": "inference", "name": "edge"},
                        "sectionName": "https", "port": null,
                        "conditions": condition("ResolvedRefs", "False"),
                    }],
                    "listeners": [],
                },
            ],
        })
    );
    let stale = SnapshotPage { error: Some("gateway.yaml:3:1: no".into()), ..example_snapshot() };
    let page: Value = serde_json::from_str(&pages::snapshot(&stale)).unwrap();
    assert_eq!((&page["state"], &page["error"]), (&json!("stale"), &json!("gateway.yaml:3:1: no")));
    let shadow = |error: Option<&str>| {
        let shadow = ShadowPage { revision: Revision("0123".into()), error: error.map(Into::into) };
        let page = SnapshotPage { shadow: Some(shadow), ..example_snapshot() };
        serde_json::from_str::<Value>(&pages::snapshot(&page)).unwrap()["shadow"].take()
    };
    assert_eq!(shadow(None), json!({"revision": "0123", "state": "current", "error": null}));
    assert_eq!(
        shadow(Some("a.yaml:1:1: no")),
        json!({"revision": "0123", "state": "stale", "error": "a.yaml:1:1: no"})
    );
}

#[tokio::test]
async fn the_endpoints_page_says_who_is_out_and_for_how_long() {
    let address = start(pages(Readiness::Ready)).await;
    let (status, page) = fetch_json(address, "/endpoints").await;
    assert_eq!(status, 200);
    assert_eq!(
        page,
        json!({"backends": [{
            "name": "inference/llama-8b", "panic": false, "unresolved": [],
            "endpoints": [
                {
                    "address": "10.0.3.11:8000", "grpcAddress": "10.0.3.11:8000", "name": null, "capacity": 1.0,
                    "state": "ejected", "share": null, "ejectedForMs": 10_000, "inFlight": 0, "placed": 5,
                    "failuresInARow": 0, "failuresTotal": 5, "ejectionsTotal": 1,
                },
                {
                    "address": "10.0.3.12:8000", "grpcAddress": "10.0.3.12:8000", "name": null, "capacity": 1.0,
                    "state": "ready", "share": null, "ejectedForMs": null, "inFlight": 0, "placed": 0,
                    "failuresInARow": 0, "failuresTotal": 0, "ejectionsTotal": 0,
                },
            ],
        }]})
    );
}

#[tokio::test]
async fn metrics_come_in_the_format_asked_for() {
    let address = start(pages(Readiness::Ready)).await;
    let (status, head, body) = fetch(address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(body.contains("\nportcullis_connections_accepted_total{listener=\"inference/edge/https\"} 1\n"), "{body}");
    let asked = b"GET /metrics HTTP/1.1\r\nhost: a\r\naccept: application/openmetrics-text; version=1.0.0\r\nconnection: close\r\n\r\n";
    assert!(send(address, asked).await.ends_with("# EOF\n"));
}

#[tokio::test]
async fn pages_are_only_read() {
    let address = start(pages(Readiness::Ready)).await;
    let (status, _, body) = fetch(address, "HEAD", "/snapshot").await;
    assert_eq!((status, body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let (status, head, _) = fetch(address, method, "/snapshot").await;
        assert_eq!(status, 405, "{method}");
        assert!(head.contains("\r\nallow: get, head\r\n"), "{head}");
    }
    assert_eq!(fetch(address, "GET", "/").await.0, 200);
    for unknown in ["/snapshot/", "/../snapshot", "/debug", "//livez"] {
        assert_eq!(fetch(address, "GET", unknown).await.0, 404, "{unknown}");
    }
}

#[tokio::test]
async fn junk_is_refused_and_the_connection_closed() {
    let address = start(pages(Readiness::Ready)).await;
    let endless = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "x".repeat(64 * 1024));
    let rows: [(&[u8], &str); 6] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", "HTTP/1.1 400"),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400"),
        (b"POST /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\nx", "HTTP/1.1 405"),
        (endless.as_bytes(), "HTTP/1.1 431"),
    ];
    for (bytes, expected) in rows {
        let answer = send(address, bytes).await;
        // HTTP/2 is not spoken here: closed without a word.
        let as_expected = if expected.is_empty() { answer.is_empty() } else { answer.starts_with(expected) };
        assert!(as_expected, "{:?} got {answer:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(fetch(address, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn connections_are_bounded_and_seats_come_back() {
    let address = start(pages(Readiness::Ready)).await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        held.push(stream);
    }
    assert_eq!(send(address, b"").await, "", "no seat is left");
    held.clear();
    let deadline = Instant::now() + Duration::from_secs(10);
    while send(address, b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.is_empty() {
        assert!(Instant::now() < deadline, "no seat came back");
    }
}

#[tokio::test]
async fn readiness_that_hangs_is_not_readiness() {
    let gate = Arc::new(Mutex::new(()));
    let shut = gate.clone().lock_owned().await;
    let hanging = AdminPages {
        readiness: Arc::new(move || {
            let gate = Arc::clone(&gate);
            Box::pin(async move {
                let _open = gate.lock().await;
                Readiness::Ready
            })
        }),
        ..pages(Readiness::Ready)
    };
    let address = start(hanging).await;
    // More than may be made at one time: the others are refused, and other pages with them.
    let asked: Vec<_> = (0..REQUESTS_IN_FLIGHT_MAX + 4)
        .map(|_| tokio::spawn(async move { fetch(address, "GET", "/readyz").await.0 }))
        .collect();
    let mut refused = 0;
    let mut waiting = asked;
    let deadline = Instant::now() + Duration::from_secs(10);
    while refused < 4 {
        assert!(Instant::now() < deadline, "{refused} refused");
        tokio::task::yield_now().await;
        let (finished, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(tokio::task::JoinHandle::is_finished);
        for answer in finished {
            assert_eq!(answer.await.unwrap(), 503);
            refused += 1;
        }
        waiting = rest;
    }
    drop(shut);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), 200);
    }
}
