//! One HTTPS endpoint in front of servers that others wrote: documents for it, and the gateway itself.

use std::{fs, net::SocketAddr, path::PathBuf};

use portcullis_tests::harness::{
    Documents, Gateway, Options, RawClient, Tls, pki::Authority, stock::StockClient, stock::StockServer,
};

/// A gateway with one HTTPS listener for `localhost`, open to everyone, whose authority only its clients trust.
pub(crate) struct HttpsEdge {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    authority: Authority,
}

impl HttpsEdge {
    /// Starts a gateway with these documents beside its Gateway `default/edge`.
    pub(crate) async fn start(documents: &[String]) -> Self {
        let authority = Authority::new("the edge's own authority");
        let secret = authority.server(&["localhost", "127.0.0.1"]).secret("default", "edge");
        let text = format!("{GATEWAY}---\n{secret}{}", documents.concat());
        let gateway = Gateway::start(&Documents::from(text), Options::default()).await;
        fs::write(gateway.folder().path().join("authority.pem"), &authority.pem).unwrap();
        let address = gateway.addr("default/edge", 443).await;
        Self { gateway, address, authority }
    }

    /// Where clients are sent.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The file that tells clients whom to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.gateway.folder().path().join("authority.pem")
    }

    /// Runs a script of `tests/clients` against this gateway; gives what it printed.
    pub(crate) async fn python(&self, script: &str) -> String {
        let client = StockClient::python(script).env("PORTCULLIS_URL", self.url()).trusting(&self.authority());
        client.run().await
    }

    /// Runs a program of Debian's against this gateway; gives what it printed.
    pub(crate) async fn debian(&self, program: &str, arguments: &[&str]) -> String {
        StockClient::debian(program).args(arguments).trusting(&self.authority()).run().await
    }

    /// A connection of HTTP/1.1, its server verified.
    pub(crate) async fn client(&self) -> RawClient {
        let tls = Tls::new().server_name("localhost").alpn(&["http/1.1"]).trusting(&self.authority.pem);
        RawClient::connect_tls(self.address, &tls).await.expect("the gateway's certificate is trusted")
    }
}

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: portcullis
  listeners:
  - {name: https, protocol: HTTPS, port: 443, hostname: localhost, tls: {certificateRefs: [{name: edge}]}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {actions: ['*']}}
";

/// An InferenceBackend in the clear. `ports`: one endpoint each, with the port for gRPC where it is another.
pub(crate) fn inference_backend(name: &str, protocol: &str, ports: &[(u16, Option<u16>)]) -> String {
    let endpoints: String = ports
        .iter()
        .map(|(http, grpc)| {
            let grpc = grpc.map_or(String::new(), |port| format!(", grpcPort: {port}"));
            format!("  - {{address: 127.0.0.1, port: {http}{grpc}}}\n")
        })
        .collect();
    format!(
        "---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: {name}, namespace: default}}
spec:
  protocol: {protocol}
  transport: {{plaintext: {{}}}}
  endpoints:
{endpoints}"
    )
}

/// An InferenceBackend `triton`.
pub(crate) fn triton_backend(triton: &StockServer) -> String {
    inference_backend("triton", "kserve-v2", &[(triton.port("http"), Some(triton.port("grpc")))])
}

/// A Service in the clear that is no inference server.
pub(crate) fn service(name: &str, protocol: &str, port: u16) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{ports: [{{port: 80, appProtocol: {protocol}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: default, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [127.0.0.1]}}]
ports: [{{port: {port}}}]
---
apiVersion: portcullis.dev/v1alpha1
kind: TransportPolicy
metadata: {{name: {name}, namespace: default}}
spec:
  targetRefs: [{{group: \"\", kind: Service, name: {name}}}]
  transport: {{plaintext: {{}}}}
"
    )
}

/// A route of one rule to an InferenceBackend for every path that begins with one of these.
pub(crate) fn route(backend: &str, prefixes: &[&str]) -> String {
    let matches: String =
        prefixes.iter().map(|prefix| format!("    - path: {{type: PathPrefix, value: {prefix}}}\n")).collect();
    rule(backend, &matches)
}

/// A route of one rule to an InferenceBackend of the same name as the model that is asked for.
pub(crate) fn model_route(model: &str) -> String {
    let path = "    - path: {type: PathPrefix, value: /v1}\n";
    rule(model, &format!("{path}      headers: [{{name: X-Gateway-Model-Name, value: {model}}}]\n"))
}

/// A route of one rule to an InferenceBackend. `matches`: the items of the rule's matches, each on lines of its own.
pub(crate) fn rule(backend: &str, matches: &str) -> String {
    let reference = format!("{{group: portcullis.dev, kind: InferenceBackend, name: {backend}}}");
    route_document("HTTPRoute", backend, matches, &reference)
}

/// A route of one rule to a Service.
pub(crate) fn service_route(kind: &str, service: &str, matches: &str) -> String {
    route_document(kind, service, matches, &format!("{{name: {service}, port: 80}}"))
}

fn route_document(kind: &str, name: &str, matches: &str, backend: &str) -> String {
    let matches = if matches.is_empty() { String::new() } else { format!("    matches:\n{matches}") };
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: to-{name}, namespace: default}}
spec:
  parentRefs: [{{name: edge}}]
  rules:
  - backendRefs: [{backend}]
{matches}"
    )
}
