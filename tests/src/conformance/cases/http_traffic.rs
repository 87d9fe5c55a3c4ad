//! HTTPRoutes: where traffic goes, how often, for how long, and in which protocol.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;

use super::{SAME_NAMESPACE, V1, V2, V3, http_filters::modified};
use crate::{
    conformance::{
        CONSECUTIVE, INFRA,
        cluster::slice,
        echo::{ACCEPT, Frame, KEY, read_frame, write_frame},
        http::{Case, Door, get},
        suite::Suite,
        traffic::{expect_mirrored, expect_shares, sample},
    },
    harness::{RawClient, eventually},
};

/// A word that no other request has.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(in crate::conformance) async fn weights(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["weighted-backends"]).await;
    let case = get("/");
    expect_shares(&[(V1, 0.7), (V2, 0.3), (V3, 0.0)], async || {
        let captured = door.send(&case).await.unwrap();
        case.check(&door, &captured).unwrap();
        captured.pod().to_owned()
    })
    .await;
}

pub(in crate::conformance) async fn header_by_backend(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["request-header-modifier-backend-weights"]).await;
    for _ in 0..100 {
        let captured = door.send(&get("/")).await.unwrap();
        let backend = captured.arrived("Backend").expect("a backend's own filter sets a header");
        assert!(captured.pod().starts_with(&backend), "{} for {backend}", captured.pod());
    }
}

pub(in crate::conformance) async fn mirror(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["request-mirror"]).await;
    for case in [get("/mirror"), modified(get("/mirror-and-modify-headers"))] {
        expect_copies(&suite, &door, case, &[V2]).await;
    }
}

pub(in crate::conformance) async fn mirrors(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["request-multiple-mirrors"]).await;
    for case in [get("/multi-mirror"), modified(get("/multi-mirror-and-modify-request-headers"))] {
        expect_copies(&suite, &door, case, &[V2, V3]).await;
    }
}

async fn expect_copies(suite: &Suite, door: &Door, case: Case, to: &[&str]) {
    let case = case.marked("gateway-api-conformance-request-id", &unique()).reaches(V1);
    let path = case.path().to_owned();
    door.expect(case).await;
    for backend in to {
        let what = format!("copies of {path} come to {backend}");
        eventually(&what, async || copies(suite, backend, &path) == CONSECUTIVE).await;
    }
}

fn copies(suite: &Suite, backend: &str, path: &str) -> usize {
    suite.cluster.pods(INFRA, backend).map(|pod| pod.echoed(path)).sum()
}

pub(in crate::conformance) async fn mirror_shares(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["request-percentage-mirror"]).await;
    for (case, share) in [
        (get("/percent-mirror"), 0.20),
        (get("/percent-mirror-fraction"), 0.50),
        (modified(get("/percent-mirror-and-modify-headers")), 0.35),
    ] {
        expect_mirrored(share, async || {
            let case = case.clone().marked("gateway-api-conformance-request-id", &unique()).reaches(V1);
            sample(async || {
                let captured = door.send(&case).await.unwrap();
                case.check(&door, &captured).unwrap();
                captured.pod().to_owned()
            })
            .await;
            settled(async || copies(&suite, V2, case.path())).await
        })
        .await;
    }
}

/// A count that does not change any more: copies may come after the answers.
async fn settled(count: impl AsyncFn() -> usize) -> usize {
    let mut before = count().await;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let now = count().await;
        if now == before {
            return now;
        }
        before = now;
    }
}

/// Requests that fail at first, each its own, and what becomes of them.
async fn expect_retried(door: &Door, path: &str, failing: &[(&str, &str)], statuses: &[u16]) {
    let sent = (0..CONSECUTIVE).map(|_| async {
        let case = get(path).marked("uuid", &unique()).reaches(V3).status(statuses);
        let case = failing.iter().fold(case, |case, (name, value)| case.marked(name, value));
        let captured = door.send(&case).await.unwrap();
        if let Err(fault) = case.check(door, &captured) {
            panic!("{}: {fault}", case.path());
        }
    });
    join_all(sent).await;
}

pub(in crate::conformance) async fn retry(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["retries"]).await;
    let only_500 = "/retry/code-500-attempts-3";
    expect_retried(&door, only_500, &[("responseCode", "500"), ("succeedAfter", "2")], &[200]).await;
    expect_retried(&door, only_500, &[("responseCode", "500"), ("succeedAfter", "4")], &[500]).await;
    expect_retried(&door, only_500, &[("responseCode", "503"), ("succeedAfter", "2")], &[503]).await;
    for code in [500, 502, 503, 504] {
        let all = "/retry/code-all-attempts-2";
        let text = code.to_string();
        expect_retried(&door, all, &[("responseCode", &text), ("succeedAfter", "1")], &[200]).await;
        expect_retried(&door, all, &[("responseCode", &text), ("succeedAfter", "3")], &[code]).await;
    }
}

pub(in crate::conformance) async fn retry_connection_error(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["retries-connection-error"]).await;
    let path = "/retry/no-status-code-attempts-3";
    expect_retried(&door, path, &[("succeedAfter", "2")], &[200]).await;
    expect_retried(&door, path, &[("succeedAfter", "4")], &[500, 503]).await;
}

pub(in crate::conformance) async fn retry_with_timeouts(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["retries-with-timeouts"]).await;
    let by_attempt = "/retry/backend-request-timeout-200ms";
    let by_request = "/retry/request-timeout-200ms";
    let failing = |after, delay| [("responseCode", "500"), ("succeedAfter", after), ("delayRetry", delay)];
    expect_retried(&door, by_attempt, &failing("2", "300ms"), &[200]).await;
    expect_retried(&door, by_attempt, &failing("3", "300ms"), &[504]).await;
    expect_retried(&door, by_request, &failing("1", "0ms"), &[200]).await;
    expect_retried(&door, by_request, &failing("4", "100ms"), &[504]).await;
}

pub(in crate::conformance) async fn request_timeout(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["request-timeout"]).await;
    door.expect_all([
        get("/request-timeout"),
        get("/request-timeout?delay=1s").status(&[504]),
        get("/disable-request-timeout?delay=1s"),
    ])
    .await;
}

pub(in crate::conformance) async fn backend_request_timeout(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backend-request-timeout"]).await;
    door.expect_all([
        get("/backend-timeout"),
        get("/backend-timeout?delay=1s").status(&[504]),
        get("/disable-backend-timeout?delay=1s"),
    ])
    .await;
}

pub(in crate::conformance) async fn h2c_backend(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backend-protocol-h2c"]).await;
    door.expect(get("/").over_h2().reaches(V1)).await;
}

pub(in crate::conformance) async fn web_socket(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backend-protocol-ws"]).await;
    for _ in 0..CONSECUTIVE {
        let mut client = RawClient::connect(door.address).await;
        client
            .send(format!(
                "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
                 Origin: ws://gateway\r\nSec-WebSocket-Version: 13\r\n\r\n",
                door.address.ip()
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some(ACCEPT)), "{answer:?}");
        for (opcode, payload) in [(Frame::TEXT, &b"Websocket Support!"[..]), (Frame::BINARY, &[1, 2, 3, 4, 5, 6, 7])] {
            let frame = Frame { opcode, payload: payload.to_vec() };
            let mut sent = Vec::new();
            write_frame(&mut sent, &frame, Some([7, 1, 9, 4])).await.unwrap();
            client.send(&sent).await;
            let mut received = Vec::new();
            while received.len() < payload.len() + 2 {
                received.extend(client.read().await.unwrap());
            }
            assert_eq!(read_frame(&mut received.as_slice()).await.unwrap(), frame);
        }
    }
}

/// The suite writes the pods' addresses into the slices of Services without a selector; the pods here have ports of their
/// own, which are written as well.
pub(in crate::conformance) async fn service_types(mut suite: Suite) {
    let services = suite.manifests[0].documents();
    for name in ["manual-endpointslices", "headless-manual-endpointslices"] {
        let service = services.iter().find(|it| it["kind"] == "Service" && it["metadata"]["name"] == name).unwrap();
        let mut slices = suite.cluster.pods(INFRA, V1).map(|pod| slice(service, pod)).collect::<Vec<_>>();
        let first = slices.remove(0);
        suite.manifests[0] = suite.manifests[0].with("EndpointSlice", &format!("{name}-ip4"), |mut written| {
            written["endpoints"] = first["endpoints"].clone();
            written["ports"] = first["ports"].clone();
            Some(written)
        });
        suite.further.extend(slices);
    }
    suite.apply().await;
    let door = suite.open(SAME_NAMESPACE, &["service-types"]).await;
    let paths = ["/manual-endpointslices", "/headless-manual-endpointslices", "/headless"];
    door.expect_all(paths.map(|path| get(path).reaches(V1))).await;
}
