//! What a sidecar says of itself.

use portcullis_tests::harness::{Origin, RawClient, Sidecar, Tls, eventually, pki::Authority};

use super::{EDGE, LLAMA, POLICY, STRANGER};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const LIST: &str = "GET /v1/models HTTP/1.1\r\nhost: llama\r\n\r\n";

async fn ask(sidecar: &Sidecar, authority: &Authority, id: &str) -> u16 {
    let tls = Tls::new().server_name("llama").alpn(&["http/1.1"]).identity(&authority.workload(id));
    RawClient::connect_tls(sidecar.inbound(), &tls).await.unwrap().exchange(LIST).await.status
}

#[tokio::test]
async fn a_sidecar_is_ready_with_a_policy_and_says_why_it_is_not() {
    let (authority, origin) = (Authority::new("corp"), Origin::answering(OK).await);
    let nobodys = POLICY.replace("inference/sa/llama", "inference/sa/another");
    let sidecar = Sidecar::start(&authority, LLAMA, &nobodys, origin.address()).await;
    assert_eq!(sidecar.page("/livez").await.0, 200);
    let (status, text) = sidecar.page("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("no WorkloadPolicy names this workload"), "{text}");
    assert_eq!(ask(&sidecar, &authority, EDGE).await, 403, "closed until a document opens it");
    sidecar.rewrite(POLICY);
    eventually("the policy is read", async || sidecar.page("/readyz").await.0 == 200).await;
    assert_eq!(ask(&sidecar, &authority, EDGE).await, 200);
}

#[tokio::test]
async fn what_peers_ask_and_who_is_turned_away_is_counted() {
    let (authority, origin) = (Authority::new("corp"), Origin::answering(OK).await);
    let sidecar = Sidecar::start(&authority, LLAMA, POLICY, origin.address()).await;
    assert_eq!(ask(&sidecar, &authority, EDGE).await, 200);
    assert_eq!(ask(&sidecar, &authority, STRANGER).await, 403);
    let unknown = Tls::new().identity(&Authority::new("other").workload(EDGE));
    if let Ok(mut client) = RawClient::connect_tls(sidecar.inbound(), &unknown).await {
        assert!(client.try_send(LIST).await.is_err() || client.try_answer().await.is_err());
    }
    for line in [
        "portcullis_sidecar_exchanges_total{ending=\"complete\"} 1",
        "portcullis_sidecar_exchanges_total{ending=\"refused\"} 1",
        "portcullis_sidecar_refusals_total{code=\"permission_denied\"} 1",
        "portcullis_sidecar_handshakes_total{outcome=\"accepted\"} 2",
        "portcullis_sidecar_handshakes_total{outcome=\"untrusted\"} 1",
        "portcullis_sidecar_in_flight 0",
        "portcullis_certificate_expiry_timestamp_seconds",
    ] {
        eventually(line, async || sidecar.page("/metrics").await.1.contains(line)).await;
    }
}
