//! Documents that several topics have in common: a gateway open to everyone, Services in the clear, routes to them.

use std::{fmt::Write as _, net::SocketAddr};

/// A Gateway `edge` with one plain listener on port 80, open to everyone.
pub(crate) const PLAIN_GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: portcullis
  listeners:
  - {name: http, port: 80, protocol: HTTP}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {actions: ['*']}}
---
";

/// A Gateway `edge` with these listeners (YAML, two spaces deep), open to everyone. `more`: further fields of its spec.
pub(crate) fn gateway(listeners: &str, more: &str) -> String {
    PLAIN_GATEWAY.replace("  - {name: http, port: 80, protocol: HTTP}\n", &format!("{listeners}{more}"))
}

/// A Service with a port 80 of this `appProtocol`, in the clear, and one slice for each of its endpoints.
pub(crate) fn service(name: &str, app_protocol: &str, endpoints: &[SocketAddr]) -> String {
    let transport = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: TransportPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: \
         [{{group: \"\", kind: Service, name: {name}}}]\n  transport: {{plaintext: {{}}}}\n---\n"
    );
    transport + &bare_service(name, app_protocol, endpoints)
}

/// The same, without a word about how bytes travel.
pub(crate) fn bare_service(name: &str, app_protocol: &str, endpoints: &[SocketAddr]) -> String {
    let protocol = if app_protocol.is_empty() { String::new() } else { format!(", appProtocol: {app_protocol}") };
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80{protocol}}}]}}\n---\n"
    );
    for (index, endpoint) in endpoints.iter().enumerate() {
        text += &slice(&format!("{name}-{index}"), name, *endpoint, "");
    }
    text
}

/// One EndpointSlice with one endpoint. `conditions`: for example `ready: false`.
pub(crate) fn slice(name: &str, service: &str, endpoint: SocketAddr, conditions: &str) -> String {
    let family = if endpoint.is_ipv4() { "IPv4" } else { "IPv6" };
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}\n  labels: \
         {{kubernetes.io/service-name: {service}}}\naddressType: {family}\nports: [{{port: {}}}]\nendpoints:\n- \
         {{addresses: [\"{}\"], conditions: {{{conditions}}}}}\n---\n",
        endpoint.port(),
        endpoint.ip()
    )
}

/// An InferenceBackend in the clear. `more`: further fields of its spec, two spaces deep.
pub(crate) fn inference(name: &str, protocol: &str, endpoints: &[SocketAddr], more: &str) -> String {
    let mut listed = String::new();
    for endpoint in endpoints {
        let _ = writeln!(listed, "  - {{address: {}, port: {}}}", endpoint.ip(), endpoint.port());
    }
    inference_at(name, protocol, &listed, more)
}

/// The same with its endpoints as YAML, two spaces deep.
pub(crate) fn inference_at(name: &str, protocol: &str, endpoints: &str, more: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: InferenceBackend\nmetadata: {{name: {name}}}\nspec:\n  protocol: \
         {protocol}\n  transport: {{plaintext: {{}}}}\n  endpoints:\n{endpoints}{more}---\n"
    )
}

/// An HTTPRoute of the Gateway `edge` that sends a prefix to a Service's port 80. `more`: further fields of its rule,
/// four spaces deep.
pub(crate) fn route(prefix: &str, service: &str, more: &str) -> String {
    rule(prefix, &format!("{{name: {service}, port: 80}}"), more)
}

/// The same to an InferenceBackend.
pub(crate) fn inference_route(prefix: &str, backend: &str, more: &str) -> String {
    rule(prefix, &format!("{{group: portcullis.dev, kind: InferenceBackend, name: {backend}}}"), more)
}

fn rule(prefix: &str, reference: &str, more: &str) -> String {
    let name = format!("route{}", prefix.replace('/', "-").trim_end_matches('-'));
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: \
         [{{name: edge}}]\n  rules:\n  - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]\n    backendRefs: \
         [{reference}]\n{more}---\n"
    )
}
