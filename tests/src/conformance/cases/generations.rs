//! Conditions say which change of a document they are about. A cluster's API server counts changes; the files do so here.

use serde_json::{Value, json};

use super::{SAME_NAMESPACE, V2};
use crate::conformance::{INFRA, status::holds, suite::Suite};

/// Changes a document, and demands that all its conditions are about the first change before and the second after.
async fn bump(suite: &mut Suite, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let counted = |document: &mut Value, generation: i64| document["metadata"]["generation"] = json!(generation);
    suite.manifests[0] = suite.manifests[0].with(kind, name, |mut document| {
        counted(&mut document, 1);
        Some(document)
    });
    suite.apply().await;
    suite.status().await.conditions_are_about(kind, namespace, name, 1);
    suite.manifests[0] = suite.manifests[0].with(kind, name, |mut document| {
        counted(&mut document, 2);
        change(&mut document);
        Some(document)
    });
    suite.apply().await;
    suite.status().await.conditions_are_about(kind, namespace, name, 2);
}

pub(in crate::conformance) async fn gateway_class(mut suite: Suite) {
    let (kind, name) = ("GatewayClass", "gatewayclass-observed-generation-bump");
    bump(&mut suite, kind, "default", name, |class| class["spec"]["description"] = json!("new")).await;
    suite.status().await.document_has(kind, "default", name, holds("Accepted"));
}

pub(in crate::conformance) async fn gateway(mut suite: Suite) {
    bump(&mut suite, "Gateway", INFRA, "gateway-observed-generation-bump", |gateway| {
        gateway["spec"]["listeners"].as_array_mut().unwrap().push(json!({
            "name": "alternate",
            "hostname": "foo.com",
            "port": 80,
            "protocol": "HTTP",
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }));
    })
    .await;
}

pub(in crate::conformance) async fn http_route(mut suite: Suite) {
    let name = "observed-generation-bump";
    bump(&mut suite, "HTTPRoute", INFRA, name, |route| {
        route["spec"]["rules"][0]["backendRefs"][0]["name"] = json!(V2);
    })
    .await;
    let status = suite.status().await;
    status.route_has("HTTPRoute", name, SAME_NAMESPACE, holds("Accepted"));
    status.route_is_resolved("HTTPRoute", name, SAME_NAMESPACE);
}

pub(in crate::conformance) async fn policy(mut suite: Suite) {
    let name = "observed-generation-bump";
    bump(&mut suite, "BackendTLSPolicy", INFRA, name, |policy| {
        policy["spec"]["validation"]["hostname"] = json!("foo.example.com");
    })
    .await;
    suite.status().await.policy_has(name, SAME_NAMESPACE, holds("Accepted"));
}
