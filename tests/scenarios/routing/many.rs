//! Ten thousand routes are ordinary.

use std::{fmt::Write as _, time::Duration};

use portcullis_tests::harness::{Gateway, Options, RawClient, Reply};
use tokio::time::Instant;

use crate::edge::{GATEWAY, ok, request, service};

const ROUTES: usize = 10_000;

/// The bound of one second is for a release build and is measured there; this one is for a debug build on a
/// machine that does other things as well, and would still catch anything that grows with the square.
const LOAD_MAX: Duration = Duration::from_secs(25);

/// One route per host, as tenants have them, each with three matches.
fn documents(service: &str) -> String {
    let mut text = format!("{GATEWAY}{service}");
    for number in 0..ROUTES {
        let _ = write!(
            text,
            "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: tenant-{number}, namespace: default}}
spec:
  parentRefs: [{{name: edge}}]
  hostnames: [tenant-{number}.example.com]
  rules:
  - matches:
    - {{path: {{type: PathPrefix, value: /v1}}}}
    - {{path: {{type: Exact, value: /healthz}}}}
    filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-rule, value: 'v1-{number}'}}]}}}}]
    backendRefs: [{{name: origin, port: 80}}]
"
        );
    }
    text
}

#[tokio::test]
async fn ten_thousand_routes_load_and_each_is_found() {
    let origin =
        portcullis_tests::harness::Origin::start(|seen| Reply::Bytes(ok(seen.header("x-rule").unwrap_or("none"))))
            .await;
    let started = Instant::now();
    let gateway = Gateway::start(&documents(&service("origin", origin.address())).into(), Options::default()).await;
    let took = started.elapsed();
    assert!(took < LOAD_MAX, "{ROUTES} routes took {took:?}");
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    for number in [0, 1, 4_999, ROUTES - 1] {
        let host = format!("tenant-{number}.example.com");
        let answer = client.exchange(request("GET", &host, "/v1/models", "", "")).await;
        assert_eq!((answer.status, answer.text()), (200, format!("v1-{number}")));
        assert_eq!(client.exchange(request("GET", &host, "/v2", "", "")).await.status, 404);
    }
    let stranger = format!("tenant-{ROUTES}.example.com");
    assert_eq!(client.exchange(request("GET", &stranger, "/v1/models", "", "")).await.status, 404);
}
