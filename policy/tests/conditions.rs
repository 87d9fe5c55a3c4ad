//! What documents' conditions say, by the words of the Gateway API.
#![expect(clippy::unwrap_used, reason = "tests")]

use portcullis_policy::{check::check_sources, documents::Sources, snapshot::DocumentStatus};

/// How a document fares among others.
fn status(text: &str, kind: &str, name: &str) -> DocumentStatus {
    let report = check_sources(&Sources::of_text("test.yaml", text));
    let mut documents = report.snapshot.documents.into_iter();
    documents.find(|status| *status.document.kind == *kind && *status.document.name == *name).unwrap()
}

#[test]
fn namespaces_are_selected_by_their_own_name() {
    let text = |namespace: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: edge, namespace: home}}\nspec:\n  \
             gatewayClassName: portcullis\n  listeners:\n  - name: http\n    protocol: HTTP\n    port: 80\n    \
             allowedRoutes:\n      namespaces:\n        from: Selector\n        selector:\n          \
             matchLabels: {{kubernetes.io/metadata.name: guests}}\n---\n\
             apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
             metadata: {{name: route, namespace: {namespace}}}\n\
             spec: {{parentRefs: [{{name: edge, namespace: home}}], rules: [{{}}]}}\n"
        )
    };
    let attached = |namespace| status(&text(namespace), "Gateway", "edge").listeners.first().unwrap().attached_routes;
    assert_eq!(attached("guests"), 1);
    assert_eq!(attached("strangers"), 0);
}

#[test]
fn a_gateway_that_takes_clients_without_certificates_says_so() {
    let text = |mode: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: edge}}\nspec:\n  \
             gatewayClassName: portcullis\n  listeners: [{{name: http, protocol: HTTP, port: 80}}]\n  tls:\n    frontend:\n      \
             default: {{validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: a}}]}}}}\n      perPort:\n      \
             - port: 443\n        tls:\n          validation:\n            mode: {mode}\n            \
             caCertificateRefs: [{{group: '', kind: ConfigMap, name: b}}]\n"
        )
    };
    let says = |mode| {
        let conditions = status(&text(mode), "Gateway", "edge").conditions;
        conditions
            .iter()
            .any(|it| it.kind == "InsecureFrontendValidationMode" && it.status && it.reason == "ConfigurationChanged")
    };
    assert!(says("AllowInsecureFallback"));
    assert!(!says("AllowValidOnly"));
}
