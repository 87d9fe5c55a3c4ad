//! gRPC where callers have to be known: statuses that a stock client understands.

use portcullis_tests::harness::{Origin, stock::StockClient};

use super::keyed::Keyed;
use crate::{
    edge::{H2Origin, H2Reply, grpc_route, to_inference},
    texts,
};

const ROLES: &str = "
- {name: small, rules: [{routes: [models], actions: [infer, read-metadata], models: ['small-*']}], users: [alice]}
- {name: all, rules: [{routes: ['*'], actions: ['*']}], users: [bob]}
";

#[tokio::test]
async fn a_grpc_client_is_told_in_statuses_whether_it_is_known_and_may() {
    let server = H2Origin::start(|_| H2Reply::grpc(&[b"pong"])).await;
    let backends = texts::service("echo", "kubernetes.io/h2c", &[server.address()])
        + &texts::inference("llm", "kserve-v2", &[server.address()], "  models: [small-1, large]\n")
        + &grpc_route(
            "echo",
            "rules: [{matches: [{method: {service: echo.Echo}}], backendRefs: [{name: echo, port: 80}]}]",
        )
        + &grpc_route(
            "models",
            &format!(
                "rules: [{{matches: [{{method: {{service: inference.GRPCInferenceService}}}}], backendRefs: [{}]}}]",
                to_inference("llm")
            ),
        )
        + "---\n";
    let unused = Origin::answering("").await;
    let keyed = Keyed::before(unused, backends, ROLES).await;
    let mut client =
        StockClient::python("grpc_credentials.py").env("PORTCULLIS_URL", format!("https://{}", keyed.address));
    for name in ["alice", "bob", "carol"] {
        client = client.env(&name.to_uppercase(), keyed.key(name));
    }
    client.run().await;
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|seen| seen.is_whole).count(), 5, "those who may, and nobody else: {seen:?}");
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("authorization")));
}
