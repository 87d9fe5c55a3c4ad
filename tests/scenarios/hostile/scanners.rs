//! Scanners that others wrote. Each is a gate: what it finds fails the test.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use portcullis_tests::harness::{
    Documents, Gateway, Options, Origin, Probe,
    pki::{Authority, Usage},
    simulated_backend, simulator,
    stock::StockClient,
};

use super::stage::{documents, hi};

/// The documents of the stage for every host, since scanners name an address.
fn for_every_host(documents: &Documents) -> String {
    documents.files().map(|(_, text)| text.replace("  hostnames: [a.example]\n", "")).collect()
}

/// sslyze, with Mozilla's intermediate configuration.
#[tokio::test]
async fn sslyze_finds_mozillas_intermediate_configuration() {
    let origin = Origin::answering(hi()).await;
    let authority = Authority::new("scanned");
    let text = for_every_host(&documents(origin.address(), "/")).replace(
        "  - {name: http, protocol: HTTP, port: 80}\n",
        "  - name: https\n    protocol: HTTPS\n    port: 443\n    tls: {mode: Terminate, certificateRefs: [{name: edge}]}\n",
    );
    let identity = authority.issue(&["a.example", "localhost"], Usage::Server, |params| {
        // As long as Mozilla lets one be valid.
        params.not_before = SystemTime::now().into();
        params.not_after = (SystemTime::now() + Duration::from_hours(90 * 24)).into();
    });
    let secret = identity.secret("hostile", "edge");
    let documents = Documents::from(text).with("secret.yaml", secret);
    let gateway = Gateway::start(&documents, Options::default()).await;
    let address = gateway.addr("hostile/edge", 443).await;
    let folder = tempfile::TempDir::new().unwrap();
    let trusted = folder.path().join("authority.pem");
    std::fs::write(&trusted, &authority.pem).unwrap();
    let printed = StockClient::installed("python-sslyze", "sslyze")
        .args(["--mozilla_config=intermediate", "--sni=a.example", "--certinfo_ca_file", &trusted.to_string_lossy()])
        .args([address.to_string()])
        .run()
        .await;
    assert!(printed.contains("OK - Compliant"), "{printed}");
    for weakness in ["VULNERABLE", "NOT SUPPORTED - Server does not support secure renegotiation"] {
        assert!(!printed.contains(weakness), "{weakness}: {printed}");
    }
}

/// slowhttptest: heads, bodies and readers that take their time, three hundred of them each. Nobody else may notice.
#[tokio::test]
async fn slowhttptest_finds_the_service_available() {
    let big = [b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n".to_vec(), vec![b'x'; 4_000_000]].concat();
    let origin = Origin::start(move |seen| {
        portcullis_tests::harness::Reply::Bytes(if seen.target == "/big" { big.clone() } else { hi() })
    })
    .await;
    let documents = Documents::from(for_every_host(&documents(origin.address(), "/")));
    let limits = ["head-timeout=2s", "body-stall-timeout=2s", "write-stall-timeout=2s"];
    let arguments = limits.iter().flat_map(|limit| ["--limit".to_owned(), (*limit).to_owned()]).collect();
    let gateway = Gateway::start(&documents, Options { arguments, ..Options::default() }).await;
    let address = gateway.addr("hostile/edge", 80).await;
    let slow = |kind: &'static [&'static str], path: &str| {
        let common = ["-c", "300", "-r", "300", "-i", "1", "-l", "6", "-p", "3", "-u"];
        let url = format!("http://{address}{path}");
        StockClient::debian("slowhttptest").args(kind).args(common).args([url]).run()
    };
    let probe = Probe::start(address, "GET /probe HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let memory = gateway.resident_kib();
    let printed = tokio::join!(
        slow(&["-H"], "/slow"),
        slow(&["-B", "-s", "8192", "-t", "POST"], "/slow"),
        slow(&["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "8", "-k", "1"], "/big"),
    );
    let grown = gateway.resident_kib().saturating_sub(memory);
    let probed = tokio::task::spawn_blocking(|| probe.stop()).await.unwrap();
    assert_eq!(probed.failures, [""; 0], "a well-behaved client notices");
    assert!(grown < 128 * 1024, "{grown} KiB for 900 connections");
    for printed in [printed.0, printed.1, printed.2] {
        assert!(!printed.contains("NO"), "{printed}");
    }
}

async fn schemathesis(openapi: &str, url: &str, checks: &str) {
    let openapi = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/hostile/openapi").join(openapi);
    let folder = tempfile::TempDir::new().unwrap();
    StockClient::installed("python-schemathesis", "st")
        .args(["run", &openapi.to_string_lossy(), "--url", url, "--checks", checks, "--max-examples", "40"])
        .args(["--phases", "examples,coverage,fuzzing", "--seed", "1", "--request-timeout", "20", "--no-shrink"])
        .within(folder.path())
        .run()
        .await;
}

/// schemathesis, against inference through the gateway: whatever is asked for, and however wrongly, the answer is one of
/// the interface's own, and never a fault of ours.
#[tokio::test]
async fn schemathesis_finds_no_fault_in_inference() {
    let simulator = simulator(&["m"]).await;
    let text = for_every_host(&documents(simulator.address(), "/v1"));
    let kept = text.split("---\n").filter(|document| !document.contains("kind: InferenceBackend\n"));
    let text = kept.collect::<Vec<_>>().join("---\n");
    let documents =
        Documents::from(text).with("backend.yaml", simulated_backend("hostile", "origin", "openai", &simulator));
    let gateway = Gateway::start(&documents, Options::default()).await;
    let url = format!("http://{}", gateway.addr("hostile/edge", 80).await);
    let checks = "not_a_server_error,content_type_conformance,response_schema_conformance";
    schemathesis("inference.yaml", &url, checks).await;
}

/// schemathesis, against the admin pages.
#[tokio::test]
async fn schemathesis_finds_no_fault_in_the_admin_pages() {
    let origin = Origin::answering(hi()).await;
    let gateway = Gateway::start(&documents(origin.address(), "/"), Options::default()).await;
    let url = format!("http://{}", gateway.admin());
    schemathesis("admin.yaml", &url, "not_a_server_error,response_schema_conformance,content_type_conformance").await;
    assert_eq!(gateway.page("/livez").await.0, 200);
}
