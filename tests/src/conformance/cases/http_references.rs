//! HTTPRoutes whose references lead nowhere, or somewhere else: what their status says, and what is answered.

use super::{SAME_NAMESPACE, V1};
use crate::conformance::{
    APP, INFRA, WEB,
    http::{Door, get},
    status::{fails_as, holds_as},
    suite::Suite,
};

impl Suite {
    /// The HTTP door of a Gateway to which a route is attached that is resolved for this reason or none.
    async fn open_unresolved(&self, route: &str, reason: Option<&'static str>) -> Door {
        let status = self.status().await;
        status.listeners_are_programmed(SAME_NAMESPACE, &[]);
        status.route_is_accepted("HTTPRoute", route, SAME_NAMESPACE);
        let condition = reason.map_or(holds_as("ResolvedRefs", "ResolvedRefs"), |it| fails_as("ResolvedRefs", it));
        status.route_has("HTTPRoute", route, SAME_NAMESPACE, condition);
        self.door(SAME_NAMESPACE, 80).await
    }
}

pub(in crate::conformance) async fn unknown_kind(suite: Suite) {
    let door = suite.open_unresolved("invalid-backend-ref-unknown-kind", Some("InvalidKind")).await;
    door.expect(get("/v2").status(&[500])).await;
}

pub(in crate::conformance) async fn cross_namespace_backend(suite: Suite) {
    let door = suite.open_unresolved("invalid-cross-namespace-backend-ref", Some("RefNotPermitted")).await;
    door.expect(get("/").status(&[500])).await;
}

pub(in crate::conformance) async fn nonexistent_backend(suite: Suite) {
    let door = suite.open_unresolved("invalid-nonexistent-backend-ref", Some("BackendNotFound")).await;
    door.expect(get("/").status(&[500])).await;
}

pub(in crate::conformance) async fn invalid_reference_grant(suite: Suite) {
    let door = suite.open_unresolved("reference-grant", Some("RefNotPermitted")).await;
    door.expect(get("/").status(&[500])).await;
}

pub(in crate::conformance) async fn partially_invalid(suite: Suite) {
    let door = suite.open_unresolved("invalid-reference-grant", Some("RefNotPermitted")).await;
    door.expect(get("/v2").status(&[500])).await;
    door.expect(get("/").reaches("app-backend-v1").in_namespace(APP)).await;
}

pub(in crate::conformance) async fn reference_grant(mut suite: Suite) {
    let door = suite.open_unresolved("reference-grant", None).await;
    door.expect(get("/").reaches("web-backend").in_namespace(WEB)).await;
    suite.manifests[0] = suite.manifests[0].with("ReferenceGrant", "reference-grant", |_| None);
    suite.apply().await;
    door.expect(get("/").status(&[500])).await;
}

pub(in crate::conformance) async fn no_backends(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["omitted-backendrefs"]).await;
    door.expect_all([
        get("/forward").reaches(V1),
        get("/omitted-no-forward").status(&[500]),
        get("/empty-no-forward").status(&[500]),
    ])
    .await;
}

pub(in crate::conformance) async fn disallowed_kind(suite: Suite) {
    let status = suite.status().await;
    status.route_is_resolved("HTTPRoute", "disallowed-kind", "tlsroutes-only");
    let refused = fails_as("Accepted", "NotAllowedByListeners");
    status.route_has("HTTPRoute", "disallowed-kind", "tlsroutes-only", refused);
    status.route_has_no_accepted_parent("HTTPRoute", INFRA, "disallowed-kind");
    status.gateway_has_no_routes("tlsroutes-only");
}

pub(in crate::conformance) async fn cross_namespace_parent(suite: Suite) {
    let (route, status) = ("invalid-cross-namespace-parent-ref", suite.status().await);
    for condition in [holds_as("ResolvedRefs", "ResolvedRefs"), fails_as("Accepted", "NotAllowedByListeners")] {
        status.parent_has("HTTPRoute", WEB, route, SAME_NAMESPACE, condition);
    }
    status.route_has_no_accepted_parent("HTTPRoute", WEB, route);
    status.gateway_has_no_routes(SAME_NAMESPACE);
}

pub(in crate::conformance) async fn parent_port(suite: Suite) {
    let route = "httproute-listener-not-matching-route-port";
    suite.status().await.route_is_resolved("HTTPRoute", route, SAME_NAMESPACE);
    no_matching_parent(&suite, route, SAME_NAMESPACE).await;
}

pub(in crate::conformance) async fn parent_section_name(suite: Suite) {
    no_matching_parent(&suite, "httproute-listener-not-matching-section-name", SAME_NAMESPACE).await;
}

pub(in crate::conformance) async fn parent_section_name_and_port(suite: Suite) {
    let gateway = "gateway-with-one-not-matching-port-and-section-name-route";
    no_matching_parent(&suite, "httproute-listener-section-name-not-matching-port", gateway).await;
}

async fn no_matching_parent(suite: &Suite, route: &str, gateway: &str) {
    let status = suite.status().await;
    status.route_has("HTTPRoute", route, gateway, fails_as("Accepted", "NoMatchingParent"));
    status.route_has_no_accepted_parent("HTTPRoute", INFRA, route);
    status.gateway_has_no_routes(gateway);
}
