//! BackendTLSPolicies, and what a Gateway shows to backends.

use serde_json::json;

use super::SAME_NAMESPACE;
use crate::{
    conformance::{
        INFRA,
        grpc::call,
        http::{Case, Door, get},
        status::{fails_as, holds_as},
        suite::Suite,
        tls::{TcpEcho, expect_tcp_echo},
    },
    harness::Tls,
};

const HOST: &str = "abc.example.com";

fn of_host(path: &str) -> Case {
    get(path).host(HOST)
}

impl Suite {
    /// The HTTP door of a Gateway to which a route is attached, resolved or not.
    async fn open_attached(&self, route: &str) -> Door {
        let status = self.status().await;
        status.listeners_are_programmed(SAME_NAMESPACE, &[]);
        status.route_is_accepted("HTTPRoute", route, SAME_NAMESPACE);
        self.door(SAME_NAMESPACE, 80).await
    }
}

pub(in crate::conformance) async fn policy(mut suite: Suite) {
    let https = "same-namespace-with-https-listener";
    let door = suite.open_at(https, 443, &["backendtlspolicy-reencrypt"]).await;
    suite.status().await.policy_is_in_force("normative-test", https);
    let tls = Tls::new().server_name("https-listener.org").pinning(&suite.cluster.certificates.listener.chain_pem);
    let case = get("/backendtlspolicy").host("https-listener.org").arrives_at("/backendtlspolicy").sni(HOST);
    door.tls(&tls).expect(case).await;

    let door = suite.open(SAME_NAMESPACE, &["backendtlspolicy"]).await;
    let status = suite.status().await;
    for policy in ["normative-test", "host-mismatch", "cert-mismatch"] {
        status.policy_is_in_force(policy, SAME_NAMESPACE);
    }
    door.expect(of_host("/backendtlspolicy").sni(HOST)).await;
    door.expect_error(get("/backendtlspolicy-host-mismatch").host("abc.example.org")).await;
    door.expect_error(of_host("/backendtlspolicy-cert-mismatch")).await;
    authorities_change(&mut suite).await;
}

/// A policy whose authorities come, go and come again.
async fn authorities_change(suite: &mut Suite) {
    let (policy, name) = ("reconcile-test", "tls-checks-ca-certificate-reconcile-test");
    let in_force = async |suite: &Suite| suite.status().await.policy_is_in_force(policy, SAME_NAMESPACE);
    let not_in_force = async |suite: &Suite| {
        let status = suite.status().await;
        status.policy_has(policy, SAME_NAMESPACE, fails_as("Accepted", "NoValidCACertificate"));
        status.policy_has(policy, SAME_NAMESPACE, fails_as("ResolvedRefs", "InvalidCACertificateRef"));
    };
    let authorities = |pem: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": INFRA},
            "data": {"ca.crt": pem},
        })
    };
    in_force(suite).await;
    suite.manifests[0] = suite.manifests[0].with("BackendTLSPolicy", policy, |mut policy| {
        policy["spec"]["validation"]["caCertificateRefs"] = json!([{"group": "", "kind": "ConfigMap", "name": name}]);
        Some(policy)
    });
    suite.apply().await;
    not_in_force(suite).await;
    let pem = suite.cluster.certificates.backends_pem.clone();
    suite.further = vec![authorities(&pem)];
    suite.apply().await;
    in_force(suite).await;
    suite.further = vec![authorities("")];
    suite.apply().await;
    not_in_force(suite).await;
    suite.further = vec![authorities(&pem)];
    suite.apply().await;
    in_force(suite).await;
}

pub(in crate::conformance) async fn conflicts(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backendtlspolicy-conflict-resolution"]).await;
    let status = suite.status().await;
    for (policy, in_force) in [
        ("conflicted-without-section-name-1", true),
        ("conflicted-without-section-name-2", false),
        ("conflicted-with-section-name-1", true),
        ("conflicted-with-section-name-2", false),
        ("not-conflicted-with-section-name", true),
        ("not-conflicted-without-section-name", true),
    ] {
        let accepted = if in_force { holds_as("Accepted", "Accepted") } else { fails_as("Accepted", "Conflicted") };
        status.policy_has(policy, SAME_NAMESPACE, accepted);
    }
    for (path, name) in [
        ("/backendtlspolicy-conflicted-without-section-name", "other.example.com"),
        ("/backendtlspolicy-conflicted-with-section-name", "other.example.com"),
        ("/backendtlspolicy-not-conflicted-with-section-name", "other.example.com"),
        ("/backendtlspolicy-not-conflicted-without-section-name", HOST),
    ] {
        door.expect(of_host(path).sni(name)).await;
    }
}

pub(in crate::conformance) async fn invalid_authority(suite: Suite) {
    let door = suite.open_attached("backendtlspolicy-invalid-ca-certificate-ref").await;
    let policies = ["nonexistent-ca-certificate-ref", "malformed-ca-certificate-ref"];
    invalid(&suite, &door, &policies, "InvalidCACertificateRef").await;
}

pub(in crate::conformance) async fn invalid_kind(suite: Suite) {
    let door = suite.open_attached("backendtlspolicy-invalid-kind-test").await;
    invalid(&suite, &door, &["invalid-kind"], "InvalidKind").await;
}

async fn invalid(suite: &Suite, door: &Door, policies: &[&str], reason: &'static str) {
    let status = suite.status().await;
    for policy in policies {
        status.policy_has(policy, SAME_NAMESPACE, fails_as("Accepted", "NoValidCACertificate"));
        status.policy_has(policy, SAME_NAMESPACE, fails_as("ResolvedRefs", reason));
        door.expect(of_host(&format!("/backendtlspolicy-{policy}")).status(&[500, 502, 503])).await;
    }
}

pub(in crate::conformance) async fn subject_alt_names(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backendtlspolicy-san-test"]).await;
    let status = suite.status().await;
    for (policy, fits) in [
        ("san-dns", true),
        ("san-dns-mismatch", false),
        ("san-uri", true),
        ("san-uri-mismatch", false),
        ("multiple-sans", true),
        ("multiple-mismatch-sans", false),
    ] {
        status.policy_has(policy, SAME_NAMESPACE, holds_as("Accepted", "Accepted"));
        let case = of_host(&format!("/backendtlspolicy-{policy}"));
        if fits {
            door.expect(case.sni(HOST)).await;
        } else {
            door.expect_error(case).await;
        }
    }
}

pub(in crate::conformance) async fn grpc(suite: Suite) {
    let routes = ["backendtlspolicy-grpcroute", "backendtlspolicy-grpcroute-cert-mismatch"];
    let door = suite.open_grpc(SAME_NAMESPACE, &routes).await;
    let status = suite.status().await;
    for policy in ["grpc-normative-test", "grpc-host-mismatch", "grpc-cert-mismatch"] {
        status.policy_is_in_force(policy, SAME_NAMESPACE);
    }
    call("Echo").authority(HOST).reaches("grpc-infra-backend-v1").expect(door).await;
    call("EchoTwo").authority(HOST).expect_failure(door).await;
    call("Echo").authority("cert-mismatch.example.com").expect_failure(door).await;
}

pub(in crate::conformance) async fn terminated_tls_route(suite: Suite) {
    let gateway = "gateway-btls-tlsroute-terminate";
    let door = suite.open_tls(gateway, &["backendtlspolicy-tlsroute-terminate"]).await;
    suite.status().await.policy_is_in_force("btls-tlsroute-terminate-test", gateway);
    let authorities = &suite.cluster.certificates.backends_pem;
    let expected = TcpEcho { is_tls: true, server_name: Some(HOST) };
    expect_tcp_echo(door, "tls.example.com", authorities, expected).await;
}

pub(in crate::conformance) async fn client_certificate(suite: Suite) {
    let name = "gateway-tls-backend-client-certificate";
    let door = suite.open(name, &[name]).await;
    let status = suite.status().await;
    status.policy_has("gateway-tls-backend-client-certificate-test", name, holds_as("Accepted", "Accepted"));
    status.gateway_has(name, holds_as("ResolvedRefs", "ResolvedRefs"));
    let shown = &suite.cluster.certificates.gateway_client.chain_pem;
    door.expect(of_host("/").sni(HOST).shows_backend(shown)).await;
}
