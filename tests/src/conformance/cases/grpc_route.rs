//! GRPCRoutes.

use std::net::SocketAddr;

use super::SAME_NAMESPACE;
use crate::conformance::{
    echo::SERVICE,
    grpc::{Call, call, pod},
    suite::Suite,
    traffic::expect_shares,
};

const V1: &str = "grpc-infra-backend-v1";
const V2: &str = "grpc-infra-backend-v2";
const V3: &str = "grpc-infra-backend-v3";

impl Suite {
    /// The door of a Gateway whose listeners are programmed, with GRPCRoutes attached.
    pub(super) async fn open_grpc(&self, gateway: &str, routes: &[&str]) -> SocketAddr {
        let status = self.status().await;
        status.listeners_are_programmed(gateway, &[]);
        for route in routes {
            status.route_is_accepted("GRPCRoute", route, gateway);
        }
        self.door(gateway, 80).await.address
    }
}

fn to(call: Call, backend: Option<&'static str>) -> Call {
    match backend {
        Some(backend) => call.reaches(backend),
        None => call.finds_nobody(),
    }
}

pub(in crate::conformance) async fn exact_method(suite: Suite) {
    let door = suite.open_grpc(SAME_NAMESPACE, &["exact-matching"]).await;
    call("Echo").reaches(V1).expect(door).await;
    call("EchoTwo").reaches(V2).expect(door).await;
    call("EchoThree").finds_nobody().expect(door).await;
}

pub(in crate::conformance) async fn headers(suite: Suite) {
    let door = suite.open_grpc(SAME_NAMESPACE, &["grpc-header-matching"]).await;
    let cases: [(&[(&str, &str)], _); 11] = [
        (&[("Version", "one")], Some(V1)),
        (&[("Version", "two")], Some(V2)),
        (&[("Version", "two"), ("Color", "orange")], Some(V1)),
        (&[("Version", "two"), ("Color", "blue")], Some(V2)),
        (&[("Color", "orange")], None),
        (&[("Some-Other-Header", "one")], None),
        (&[("Color", "blue")], Some(V1)),
        (&[("Color", "green")], Some(V1)),
        (&[("Color", "red")], Some(V2)),
        (&[("Color", "yellow")], Some(V2)),
        (&[("Color", "purple")], None),
    ];
    for (metadata, backend) in cases {
        to(call("Echo").with(metadata), backend).expect(door).await;
    }
}

pub(in crate::conformance) async fn listener_hostnames(suite: Suite) {
    let gateway = "grpcroute-listener-hostname-matching";
    let door = suite.open_grpc(gateway, &["backend-v1", "backend-v2", "backend-v3"]).await;
    for (authority, backend) in [
        ("bar.com", Some(V1)),
        ("foo.bar.com", Some(V2)),
        ("baz.bar.com", Some(V3)),
        ("boo.bar.com", Some(V3)),
        ("multiple.prefixes.bar.com", Some(V3)),
        ("multiple.prefixes.foo.com", Some(V3)),
        ("foo.com", None),
        ("no.matching.host", None),
    ] {
        to(call("Echo").authority(authority), backend).expect(door).await;
    }
}

pub(in crate::conformance) async fn named_rules(suite: Suite) {
    let door = suite.open_grpc(SAME_NAMESPACE, &["grpc-named-rules"]).await;
    call("Echo").reaches(V1).expect(door).await;
    call("EchoTwo").reaches(V2).expect(door).await;
}

/// The suite names headers that it expects and compares none, and three of its rules have the same match, so that only the
/// first of them is met. What follows from the rules that are met is compared here.
pub(in crate::conformance) async fn request_headers(suite: Suite) {
    let door = suite.open_grpc(SAME_NAMESPACE, &["grpc-request-header-modifier"]).await;
    let other = ("Some-Other-Header", "this-header-should-be-set");
    let set = ("X-Header-Set", "set-overwrites-values");
    let echo = || call("Echo").authority(SERVICE).reaches(V1);
    let echo_two = || {
        let call = call("EchoTwo").authority(SERVICE).reaches(V2);
        call.arrives_with(&[("X-Header-Set-1", "header-set-1"), ("X-Header-Set-2", "header-set-2")])
    };
    for call in [
        echo().with(&[other]).arrives_with(&[other, set]),
        echo().with(&[other, ("X-Header-Set", "this-value-should-be-overwritten")]).arrives_with(&[other, set]),
        echo().with(&[other, ("X-Header-Add", "this-value-should-be-appended")]).arrives_with(&[other]),
        echo().with(&[("X-Header-Remove", "this-should-be-removed")]),
        echo_two()
            .with(&[
                ("X-Header-Set-2", "set-header-2"),
                ("X-Header-Add-2", "add-header-2"),
                ("X-Header-Remove-2", "should-be-removed-2"),
                ("Some-Other-Header", "another-header-val"),
            ])
            .arrives_with(&[
                ("X-Header-Add-1", "header-add-1"),
                ("X-Header-Add-2", "add-header-2,header-add-2"),
                ("Some-Other-Header", "another-header-val"),
            ])
            .arrives_without(&["X-Header-Remove-2"]),
        echo_two()
            .with(&[
                ("x-header-set-1", "original-set-1"),
                ("x-header-add-1", "existing-add-1"),
                ("x-header-remove-1", "should-be-removed-1"),
            ])
            .arrives_with(&[("X-Header-Add-1", "existing-add-1,header-add-1")])
            .arrives_without(&["X-Header-Remove-1"]),
    ] {
        call.expect(door).await;
    }
}

pub(in crate::conformance) async fn weights(suite: Suite) {
    let door = suite.open_grpc(SAME_NAMESPACE, &["weighted-backends"]).await;
    let echo = call("Echo");
    expect_shares(&[(V1, 0.7), (V2, 0.3), (V3, 0.0)], async || {
        let (code, assertions) = echo.send(door).await;
        assert_eq!(code, 0, "{assertions:?}");
        pod(&assertions).to_owned()
    })
    .await;
}
