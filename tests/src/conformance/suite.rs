//! What a test of the suite has in its hands: its own gateway with its manifests in force, and the cluster behind it.

use std::{net::SocketAddr, sync::Arc};

use serde_json::{Value, json};

use super::{
    INFRA,
    certificates::Certificates,
    cluster::Pods,
    echo::Pod,
    http::Door,
    manifests::{CONTROLLER, GATEWAY_CLASS, Manifest},
    status::Status,
};
use crate::harness::{Documents, Gateway, Options};

/// What all tests share.
pub(super) struct Cluster {
    pub(super) base: Manifest,
    pub(super) certificates: Certificates,
    pods: Pods,
}

/// One test's world.
pub(super) struct Suite {
    pub(super) cluster: Arc<Cluster>,
    /// The test's own manifests. Tests that change the API change them here and [`Suite::apply`] them.
    pub(super) manifests: Vec<Manifest>,
    /// Further documents, which the suite's own code makes in the course of a test.
    pub(super) further: Vec<Value>,
    gateway: Gateway,
    own_pods: Pods,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let (base, certificates) = (Manifest::base(), Certificates::new());
        let pods = Pods::start(&base.documents(), &certificates).await;
        Self { base, certificates, pods }
    }

    /// The pods of a Deployment of the base.
    pub(super) fn pods<'p>(&'p self, namespace: &'p str, deployment: &'p str) -> impl Iterator<Item = &'p Pod> + 'p {
        self.pods.of(namespace, deployment)
    }
}

impl Suite {
    pub(super) async fn start(cluster: Arc<Cluster>, manifests: &[&str]) -> Self {
        let manifests: Vec<_> = manifests.iter().map(|name| Manifest::of_test(name)).collect();
        let own: Vec<_> = manifests.iter().flat_map(Manifest::documents).collect();
        let own_pods = Pods::start(&own, &cluster.certificates).await;
        let documents = compose(&cluster, &manifests, &own_pods, &[]);
        let gateway = Gateway::start(&documents, Options { serve_unresolved: true, ..Options::default() }).await;
        Self { cluster, manifests, further: Vec::new(), gateway, own_pods }
    }

    /// Puts the manifests in force as they are now.
    pub(super) async fn apply(&self) {
        self.gateway.rewrite(&compose(&self.cluster, &self.manifests, &self.own_pods, &self.further)).await;
    }

    /// How every document fares.
    pub(super) async fn status(&self) -> Status {
        Status::new(self.gateway.snapshot().await)
    }

    /// Where a port of a Gateway in the infrastructure's namespace is, if anything is bound.
    pub(super) async fn address(&self, gateway: &str, port: u16) -> Option<SocketAddr> {
        let status = self.status().await;
        status.bound(&format!("{INFRA}/{gateway}"), port)
    }

    /// The door at a port of a Gateway in the infrastructure's namespace.
    pub(super) async fn door(&self, gateway: &str, port: u16) -> Door {
        let address = self.address(gateway, port).await;
        Door::new(address.unwrap_or_else(|| panic!("port {port} of {gateway} is not bound")), port)
    }

    /// The HTTP door of a Gateway and what must hold before it is used: the Gateway's listeners are programmed, these
    /// routes attached and resolved.
    pub(super) async fn open(&self, gateway: &str, routes: &[&str]) -> Door {
        self.open_at(gateway, 80, routes).await
    }

    /// The same for a port other than 80.
    pub(super) async fn open_at(&self, gateway: &str, port: u16, routes: &[&str]) -> Door {
        let status = self.status().await;
        status.listeners_are_programmed(gateway, &[]);
        for route in routes {
            status.route_is_accepted("HTTPRoute", route, gateway);
            status.route_is_resolved("HTTPRoute", route, gateway);
        }
        self.door(gateway, port).await
    }
}

/// The files to load: the base, the test's manifests, and what stands in for a cluster and our own documents.
fn compose(cluster: &Cluster, manifests: &[Manifest], own_pods: &Pods, further: &[Value]) -> Documents {
    let all: Vec<Value> = [&cluster.base].into_iter().chain(manifests).flat_map(Manifest::documents).collect();
    let ours = ours(&all).into_iter().chain(further.iter().cloned());
    let slices = cluster.pods.slices(&all).into_iter().chain(own_pods.slices(&all));
    let generated = ours.chain(slices).map(|document| document.to_string());
    let generated: Vec<_> = generated.chain(cluster.certificates.documents()).collect();
    let mut documents =
        Documents::new().with("0-base.yaml", cluster.base.text()).with("9-generated.yaml", generated.join("\n---\n"));
    for (index, manifest) in manifests.iter().enumerate() {
        documents = documents.with(format!("{}-test.yaml", index + 1), manifest.text());
    }
    documents
}

/// What our gateway wants besides: its class, and a word for every open door and every plaintext backend.
fn ours(all: &[Value]) -> Vec<Value> {
    let mut documents = vec![json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": GATEWAY_CLASS},
        "spec": {"controllerName": CONTROLLER},
    })];
    for document in all {
        let (namespace, name) = (&document["metadata"]["namespace"], &document["metadata"]["name"]);
        match document["kind"].as_str() {
            Some("Gateway") => documents.push(json!({
                "apiVersion": "portcullis.dev/v1alpha1",
                "kind": "AccessPolicy",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}],
                    "authentication": {"anonymous": {"actions": ["*"]}},
                },
            })),
            Some("Namespace") => documents.push(json!({
                "apiVersion": "portcullis.dev/v1alpha1",
                "kind": "TransportPolicy",
                "metadata": {"name": "plaintext", "namespace": name},
                "spec": {
                    "targetRefs": [{"group": "", "kind": "Namespace", "name": name}],
                    "transport": {"plaintext": {}},
                },
            })),
            _ => {}
        }
    }
    documents
}
