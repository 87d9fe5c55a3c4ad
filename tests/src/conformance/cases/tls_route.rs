//! TLSRoutes, passed through and terminated.

use std::net::SocketAddr;

use crate::{
    conformance::{
        INFRA,
        http::{Door, get},
        manifests::Manifest,
        status::{Condition, ListenerDemand, fails_as, holds_as},
        suite::Suite,
        tls::{TcpEcho, expect_rejection, expect_tcp_echo},
    },
    harness::Tls,
};

const ACCEPTED: [Condition; 1] = [holds_as("Accepted", "Accepted")];

impl Suite {
    /// The TLS door of a Gateway, with TLSRoutes attached.
    pub(super) async fn open_tls(&self, gateway: &str, routes: &[&str]) -> SocketAddr {
        let status = self.status().await;
        for route in routes {
            status.route_is_accepted("TLSRoute", route, gateway);
        }
        self.door(gateway, self.first_port(gateway)).await.address
    }
}

pub(in crate::conformance) async fn simple(suite: Suite) {
    let door = suite.open_tls("gateway-tlsroute", &["gateway-conformance-infra-test"]).await;
    let expected = TcpEcho { is_tls: true, server_name: Some("abc.example.com") };
    expect_tcp_echo(door, "abc.example.com", &suite.cluster.certificates.backends_pem, expected).await;
}

pub(in crate::conformance) async fn terminated(suite: Suite) {
    let door = suite.open_tls("gateway-tlsroute-terminate", &["tlsroute-terminated-test"]).await;
    let expected = TcpEcho { is_tls: false, server_name: None };
    expect_tcp_echo(door, "tls.example.com", &suite.cluster.certificates.backends_pem, expected).await;
}

pub(in crate::conformance) async fn mixed(suite: Suite) {
    let gateway = "gateway-tlsroute-mixed-termination";
    let routes = ["gateway-conformance-mixed-terminateroute", "gateway-conformance-mixed-passthroughroute"];
    let door = suite.open_tls(gateway, &routes).await;
    let demand = |name| ListenerDemand { name, kinds: Some(&["TLSRoute"]), attached: 1, conditions: &ACCEPTED };
    suite.status().await.listeners_are(gateway, &[demand("tls-terminate"), demand("tls-passthrough")]);
    let authorities = &suite.cluster.certificates.backends_pem;
    let (terminated, passed) = (suite.host_of(routes[0]), suite.host_of(routes[1]));
    expect_tcp_echo(door, &terminated, authorities, TcpEcho { is_tls: false, server_name: None }).await;
    expect_tcp_echo(door, &passed, authorities, TcpEcho { is_tls: true, server_name: Some("abc.example.com") }).await;
}

impl Suite {
    /// The port of a Gateway's first listener.
    fn first_port(&self, gateway: &str) -> u16 {
        let documents: Vec<_> = self.manifests.iter().flat_map(Manifest::documents).collect();
        let found = documents.iter().find(|it| it["kind"] == "Gateway" && it["metadata"]["name"] == gateway);
        let port = found.and_then(|gateway| gateway["spec"]["listeners"][0]["port"].as_u64());
        port.and_then(|port| u16::try_from(port).ok()).expect("a Gateway with a port")
    }

    /// The one host of a TLSRoute.
    fn host_of(&self, route: &str) -> String {
        let documents: Vec<_> = self.manifests.iter().flat_map(Manifest::documents).collect();
        let found = documents.iter().find(|it| it["kind"] == "TLSRoute" && it["metadata"]["name"] == route);
        found.and_then(|route| route["spec"]["hostnames"][0].as_str()).expect("a TLSRoute with a host").to_owned()
    }
}

pub(in crate::conformance) async fn hostname_intersection(suite: Suite) {
    let authorities = &suite.cluster.certificates.backends_pem;
    for (gateway, routes, hosts, stranger) in [
        (
            "gw-tlsroute-exact-hostname-x-1",
            &["tlsroute-more-specific-wc-hostname-x-1"][..],
            &[("abc.example.com", "tls-backend")][..],
            "non.matching.com",
        ),
        (
            "gw-tlsroute-more-specific-wc-hostname-x-2",
            &["tlsroute-exact-hostname-x-2", "tlsroute-less-specific-wc-hostname-x-2"],
            &[("abc.example.com", "tls-backend"), ("other.example.com", "tls-backend-2")],
            "non.matching.com",
        ),
        (
            "gw-tlsroute-less-specific-wc-hostname-x-3",
            &["tlsroute-exact-hostname-x-3", "tlsroute-more-specific-wc-hostname-x-3"],
            &[("abc.example.com", "tls-backend"), ("other.example.com", "tls-backend-2")],
            "non.matching.com",
        ),
        (
            "gw-tlsroute-empty-hostname-x-4",
            &["tlsroute-exact-hostname-x-4", "tlsroute-less-specific-wc-hostname-x-4"],
            &[("abc.example.com", "tls-backend"), ("other.example.com", "tls-backend-2")],
            "non.matching.org",
        ),
    ] {
        let address = suite.open_tls(gateway, routes).await;
        let status = suite.status().await;
        for route in routes {
            status.route_is_resolved("TLSRoute", route, gateway);
        }
        for (host, backend) in hosts {
            let tls = Tls::new().server_name(host).trusting(authorities);
            Door::new(address, 443).tls(&tls).expect(get("/").host(host).reaches(&format!("{backend}-7"))).await;
        }
        expect_rejection(address, stranger).await;
    }
}

pub(in crate::conformance) async fn nonexistent_backend(suite: Suite) {
    let gateway = "gateway-tlsroute-invalid-backend-ref-nonexistent";
    unresolved(&suite, "invalid-backend-ref-nonexistent", gateway, "BackendNotFound").await;
}

pub(in crate::conformance) async fn unknown_kind(suite: Suite) {
    let gateway = "gateway-tlsroute-invalid-backend-ref-unknown-kind";
    unresolved(&suite, "invalid-backend-ref-unknown-kind", gateway, "InvalidKind").await;
}

async fn unresolved(suite: &Suite, route: &str, gateway: &str, reason: &'static str) {
    let door = suite.open_tls(gateway, &[route]).await;
    suite.status().await.route_has("TLSRoute", route, gateway, fails_as("ResolvedRefs", reason));
    expect_rejection(door, &suite.host_of(route)).await;
}

pub(in crate::conformance) async fn invalid_reference_grant(suite: Suite) {
    let (route, gateway) = ("gateway-conformance-infra-test", "gateway-tlsroute-referencegrant");
    suite.open_tls(gateway, &[route]).await;
    suite.status().await.route_has("TLSRoute", route, gateway, fails_as("ResolvedRefs", "RefNotPermitted"));
}

pub(in crate::conformance) async fn no_matching_hostname(suite: Suite) {
    let status = suite.status().await;
    for (route, gateway) in [
        ("tlsroute-hostname-mismatch-1", "gateway-tls-exact-hostname"),
        ("tlsroute-hostname-mismatch-2", "gateway-tls-wildcard-hostname"),
    ] {
        status.route_has("TLSRoute", route, gateway, fails_as("Accepted", "NoMatchingListenerHostname"));
        status.route_has_no_accepted_parent("TLSRoute", INFRA, route);
        status.gateway_has_no_routes(gateway);
    }
}

pub(in crate::conformance) async fn no_matching_listener(suite: Suite) {
    let status = suite.status().await;
    for (route, gateway, reason) in [
        ("tlsroute-not-allowed-protocol-http", "gateway-tlsroute-http-only", "NotAllowedByListeners"),
        ("tlsroute-not-allowed-protocol-https", "gateway-tlsroute-https-only", "NotAllowedByListeners"),
        ("tlsroute-no-matching-section-name", "gateway-tlsroute-tls-passthrough-only", "NoMatchingParent"),
    ] {
        status.route_has("TLSRoute", route, gateway, fails_as("Accepted", reason));
        status.route_has_no_accepted_parent("TLSRoute", INFRA, route);
    }
    status.gateway_has_no_routes("gateway-tlsroute-http-only");
    status.gateway_has_no_routes("gateway-tlsroute-https-only");
}

pub(in crate::conformance) async fn passthrough_kinds(suite: Suite) {
    let demand = ListenerDemand {
        name: "tls-passthrough",
        kinds: Some(&["TLSRoute"]),
        attached: 0,
        conditions: &[fails_as("ResolvedRefs", "InvalidRouteKinds")],
    };
    suite.status().await.listeners_are("gateway-tlsroute-passthrough-supported-kind", &[demand]);
}

pub(in crate::conformance) async fn terminate_kinds(suite: Suite) {
    let demand = ListenerDemand {
        name: "tls-terminate",
        kinds: Some(&["TLSRoute"]),
        attached: 0,
        conditions: &[holds_as("Accepted", "Accepted")],
    };
    suite.status().await.listeners_are("gateway-tlsroute-terminate-supported", &[demand]);
}
