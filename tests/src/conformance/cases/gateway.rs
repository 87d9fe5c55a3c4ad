//! Gateways: their listeners, certificates, addresses, and what their status says of them.

use serde_json::json;

use super::{V1, V2};
use crate::{
    conformance::{
        INFRA,
        http::{Door, get},
        status::{Condition, ListenerDemand, fails, fails_as, holds, holds_as},
        suite::Suite,
    },
    harness::{Tls, pki::Identity},
};

const VALID: [Condition; 2] = [holds("Accepted"), holds("ResolvedRefs")];

/// A listener that takes HTTPRoutes.
fn listener<'a>(name: &'a str, attached: u64, conditions: &'a [Condition]) -> ListenerDemand<'a> {
    ListenerDemand { name, kinds: Some(&["HTTPRoute"]), attached, conditions }
}

pub(in crate::conformance) async fn unsupported_protocol(suite: Suite) {
    let status = suite.status().await;
    let conditions = [fails_as("Accepted", "UnsupportedProtocol")];
    let invalid = || ListenerDemand { name: "invalid", kinds: Some(&[]), attached: 0, conditions: &conditions };
    let none = "gateway-only-unsupported-protocols";
    status.gateway_has(none, fails_as("Accepted", "ListenersNotValid"));
    status.listeners_are(none, &[invalid()]);
    let some = "gateway-supported-and-unsupported-protocols";
    status.gateway_has(some, holds_as("Accepted", "ListenersNotValid"));
    status.listeners_are(some, &[listener("http", 0, &[holds_as("Accepted", "Accepted")]), invalid()]);
}

pub(in crate::conformance) async fn invalid_parameters(suite: Suite) {
    suite.status().await.gateway_has("gateway-invalid-parameters-ref", fails_as("Accepted", "InvalidParameters"));
}

pub(in crate::conformance) async fn invalid_route_kind(suite: Suite) {
    let status = suite.status().await;
    let conditions = [fails_as("ResolvedRefs", "InvalidRouteKinds")];
    let none = ListenerDemand { name: "http", kinds: Some(&[]), attached: 0, conditions: &conditions };
    status.listeners_are("gateway-only-invalid-route-kind", &[none]);
    status.listeners_are("gateway-supported-and-invalid-route-kind", &[listener("http", 0, &conditions)]);
}

pub(in crate::conformance) async fn invalid_certificate(suite: Suite) {
    let status = suite.status().await;
    for fault in ["nonexistent-secret", "unsupported-group", "unsupported-kind", "malformed-secret"] {
        let conditions = [fails_as("ResolvedRefs", "InvalidCertificateRef")];
        status.listeners_are(&format!("gateway-certificate-{fault}"), &[listener("https", 0, &conditions)]);
    }
}

pub(in crate::conformance) async fn invalid_client_certificate(suite: Suite) {
    let status = suite.status().await;
    for (fault, reason) in [
        ("nonexistent-secret", "InvalidClientCertificateRef"),
        ("unsupported-group", "InvalidClientCertificateRef"),
        ("unsupported-kind", "InvalidClientCertificateRef"),
        ("malformed-secret", "InvalidClientCertificateRef"),
        ("missing-reference-grant", "RefNotPermitted"),
    ] {
        let gateway = format!("gateway-client-certificate-{fault}");
        status.gateway_has(&gateway, fails_as("ResolvedRefs", reason));
        status.gateway_has(&gateway, holds_as("Accepted", "Accepted"));
    }
}

pub(in crate::conformance) async fn secret_invalid_grant(suite: Suite) {
    secret_not_permitted(&suite, "gateway-secret-invalid-reference-grant").await;
}

pub(in crate::conformance) async fn secret_missing_grant(suite: Suite) {
    secret_not_permitted(&suite, "gateway-secret-missing-reference-grant").await;
}

async fn secret_not_permitted(suite: &Suite, gateway: &str) {
    let conditions = [fails_as("ResolvedRefs", "RefNotPermitted")];
    suite.status().await.listeners_are(gateway, &[listener("https", 0, &conditions)]);
}

pub(in crate::conformance) async fn secret_grant_for_all(suite: Suite) {
    secret_permitted(&suite, "gateway-secret-reference-grant-all-in-namespace").await;
}

pub(in crate::conformance) async fn secret_grant_for_one(suite: Suite) {
    secret_permitted(&suite, "gateway-secret-reference-grant-specific").await;
}

async fn secret_permitted(suite: &Suite, gateway: &str) {
    let conditions = [holds_as("Programmed", "Programmed"), holds("ResolvedRefs")];
    suite.status().await.listeners_are(gateway, &[listener("https", 0, &conditions)]);
}

pub(in crate::conformance) async fn long_name(suite: Suite) {
    let name = format!("gateway-name-maximum-length-{}", "a".repeat(225));
    suite.status().await.gateway_has(&name, holds("Accepted"));
    assert!(suite.address(&name, 80).await.is_some(), "nothing is bound");
}

pub(in crate::conformance) async fn address_without_value(suite: Suite) {
    let name = "gateway-without-address-value";
    suite.status().await.gateway_has(name, holds("Accepted"));
    assert!(suite.address(name, 8080).await.is_some(), "nothing is bound");
}

pub(in crate::conformance) async fn attached_routes(suite: Suite) {
    let status = suite.status().await;
    status.listeners_are("gateway-with-one-attached-route", &[listener("http", 1, &VALID)]);
    let two = "gateway-with-two-attached-routes";
    status.listeners_are(two, &[listener("http", 2, &VALID)]);
    let refused = fails_as("Accepted", "NoMatchingListenerHostname");
    status.route_has("HTTPRoute", "http-route-not-accepted", two, refused);
    let unresolved = "unresolved-gateway-with-one-attached-unresolved-route";
    status.listeners_are(unresolved, &[listener("tls", 1, &[fails("Programmed"), fails("ResolvedRefs")])]);
    status.route_has("HTTPRoute", "http-route-4", unresolved, fails("ResolvedRefs"));
}

pub(in crate::conformance) async fn attached_routes_8080(suite: Suite) {
    let gateway = "gateway-with-two-listeners-and-one-attached-route";
    let demands = [listener("http-unattached", 0, &VALID), listener("http", 1, &VALID)];
    suite.status().await.listeners_are(gateway, &demands);
}

pub(in crate::conformance) async fn modify_listeners(mut suite: Suite) {
    let (added, removed) = ("gateway-add-listener", "gateway-remove-listener");
    suite.manifests[0] = suite.manifests[0].with("Gateway", added, |mut gateway| {
        gateway["spec"]["listeners"].as_array_mut().unwrap().push(json!({
            "name": "http",
            "port": 80,
            "protocol": "HTTP",
            "hostname": "data.test.com",
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }));
        Some(gateway)
    });
    suite.apply().await;
    suite.status().await.listeners_are(added, &[listener("https", 1, &VALID), listener("http", 1, &VALID)]);

    suite.manifests[0] = suite.manifests[0].with("Gateway", removed, |mut gateway| {
        let listeners = gateway["spec"]["listeners"].as_array_mut().unwrap();
        assert_eq!(listeners.len(), 2);
        listeners.retain(|listener| listener["name"] == "http");
        Some(gateway)
    });
    suite.apply().await;
    suite.status().await.listeners_are(removed, &[listener("http", 1, &VALID)]);
}

/// How a client comes to a port that may ask for certificates.
fn client(suite: &Suite, server_name: &str, identity: Option<&Identity>) -> Tls {
    let tls = Tls::new().server_name(server_name).pinning(&suite.cluster.certificates.listener.chain_pem);
    identity.map_or(tls.clone(), |identity| tls.identity(identity))
}

/// The doors of a Gateway that asks for clients' certificates, by default and on a port of its own.
async fn client_doors(suite: &Suite, gateway: &str, routes: &[&str]) -> [(Door, &'static str, &'static str); 2] {
    let by_default = suite.open_at(gateway, 443, routes).await;
    let per_port = suite.door(gateway, 8443).await;
    [(by_default, "example.org", V1), (per_port, "second-example.org", V2)]
}

pub(in crate::conformance) async fn client_validation(suite: Suite) {
    let routes = ["client-certificate-validation-https-test", "client-certificate-validation-https-test-no-hostname"];
    let certificates = &suite.cluster.certificates;
    let shown = [&certificates.client, &certificates.client_per_port];
    let doors = client_doors(&suite, "client-validation-default", &routes).await;
    for (index, (door, host, backend)) in doors.iter().enumerate() {
        let tls = client(&suite, host, Some(shown[index]));
        door.tls(&tls).expect(get("/").host(host).reaches(backend)).await;
        assert!(tls.was_asked(), "the certificate was not asked for");
        let tls = client(&suite, host, Some(shown[1 - index]));
        door.tls(&tls).expect_no_answer(get("/").host(host)).await;
        assert!(tls.was_asked(), "the certificate was not asked for");
    }
}

pub(in crate::conformance) async fn insecure_fallback(suite: Suite) {
    let routes =
        ["client-cert-validation-insecure-fallback-test", "client-cert-validation-insecure-fallback-test-no-hostname"];
    let gateway = "client-validation-insecure-fallback";
    let doors = client_doors(&suite, gateway, &routes).await;
    let condition = holds_as("InsecureFrontendValidationMode", "ConfigurationChanged");
    suite.status().await.gateway_has(gateway, condition);
    let certificates = &suite.cluster.certificates;
    for (door, host, backend) in &doors {
        for identity in [Some(&certificates.client), Some(&certificates.client_per_port), None] {
            let tls = client(&suite, host, identity);
            door.tls(&tls).expect(get("/").host(host).reaches(backend)).await;
            assert!(identity.is_none() || tls.was_asked(), "the certificate was not asked for");
        }
    }
}

pub(in crate::conformance) async fn invalid_default_validation(suite: Suite) {
    let gateway = "invalid-default-client-validation-config";
    let status = suite.status().await;
    status.listener_has(gateway, "http", &[holds("ResolvedRefs"), holds("Accepted"), holds("Programmed")]);
    suite.door(gateway, 80).await.expect(get("/").host("example.org").reaches(V1)).await;
    status.listener_has(gateway, "https", &invalid_validation("InvalidCACertificateRef"));
    // A listener that is not programmed has no port, or takes no connection.
    if let Some(address) = suite.address(gateway, 443).await {
        let door = Door::new(address, 443).tls(&client(&suite, "example.org", None));
        door.expect_no_answer(get("/").host("example.org")).await;
    }
}

fn invalid_validation(reason: &'static str) -> [Condition; 3] {
    [fails_as("ResolvedRefs", reason), fails_as("Accepted", "NoValidCACertificate"), fails("Programmed")]
}

pub(in crate::conformance) async fn invalid_validation_by_port(suite: Suite) {
    let gateway = "gateway-with-invalid-client-cert-validation";
    let status = suite.status().await;
    status.listener_has(gateway, "https", &[holds("ResolvedRefs"), holds("Accepted"), holds("Programmed")]);
    for (listener, reason) in [
        ("https-unresolved", "InvalidCACertificateRef"),
        ("https-invalid-kind", "InvalidCACertificateKind"),
        ("https-grant-missing", "RefNotPermitted"),
    ] {
        status.listener_has(gateway, listener, &invalid_validation(reason));
    }
    status.document_has("Gateway", INFRA, gateway, holds("Accepted"));
}
