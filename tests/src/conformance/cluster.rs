//! What a cluster would do with the manifests: pods for Deployments, slices for Services.

use serde_json::{Value, json};

use super::{
    certificates::Certificates,
    echo::{Pod, PodTls, Program},
};

/// The pods of some Deployments.
pub(super) struct Pods(Vec<Pod>, Vec<Value>);

impl Pods {
    /// Starts the pods of the Deployments among these documents.
    pub(super) async fn start(documents: &[Value], certificates: &Certificates) -> Self {
        let (mut pods, mut labels) = (Vec::new(), Vec::new());
        for deployment in documents.iter().filter(|document| document["kind"] == "Deployment") {
            let namespace = deployment["metadata"]["namespace"].as_str().unwrap();
            let name = deployment["metadata"]["name"].as_str().unwrap();
            let template = &deployment["spec"]["template"];
            let (program, tls) = program(&template["spec"], certificates);
            for index in 0..deployment["spec"]["replicas"].as_u64().unwrap() {
                let tls = tls.as_ref().map(|(identity, client_authorities_pem)| PodTls {
                    identity: (*identity).clone(),
                    client_authorities_pem: client_authorities_pem.clone(),
                });
                // A cluster appends two words to a Deployment's name, and the suite takes them off again.
                pods.push(Pod::start(namespace, &format!("{name}-7d9f-{index}"), program, tls).await);
                labels.push(template["metadata"]["labels"].clone());
            }
        }
        Self(pods, labels)
    }

    /// The pods that a Service selects.
    pub(super) fn selected<'p>(&'p self, service: &'p Value) -> impl Iterator<Item = &'p Pod> + 'p {
        let pairs = self.0.iter().zip(&self.1);
        let selected = pairs.filter(move |(pod, labels)| {
            let selector = service["spec"]["selector"].as_object();
            service["metadata"]["namespace"] == *pod.namespace
                && selector.is_some_and(|selector| selector.iter().all(|(key, value)| labels[key] == *value))
        });
        selected.map(|(pod, _)| pod)
    }

    /// The pods of a Deployment.
    pub(super) fn of<'p>(&'p self, namespace: &'p str, deployment: &'p str) -> impl Iterator<Item = &'p Pod> + 'p {
        self.0.iter().filter(move |pod| {
            pod.namespace == namespace
                && pod.name.strip_prefix(deployment).is_some_and(|rest| rest.starts_with("-7d9f-"))
        })
    }

    /// The EndpointSlices of the Services among these documents. Each pod has ports of its own, hence a slice.
    pub(super) fn slices(&self, documents: &[Value]) -> Vec<Value> {
        let services = documents.iter().filter(|document| document["kind"] == "Service");
        services.flat_map(|service| self.selected(service).map(move |pod| slice(service, pod))).collect()
    }
}

/// A slice with one pod.
pub(super) fn slice(service: &Value, pod: &Pod) -> Value {
    let ports = service["spec"]["ports"].as_array().unwrap().iter().map(|port| {
        let target = port["targetPort"].as_u64().and_then(|number| u16::try_from(number).ok()).unwrap();
        let address = pod.ports.get(&target).unwrap_or_else(|| panic!("{} has no port {target}", pod.name));
        let mut entry = json!({"port": address.port(), "protocol": "TCP"});
        if let Some(name) = port["name"].as_str() {
            entry["name"] = name.into();
        }
        entry
    });
    let name = service["metadata"]["name"].as_str().unwrap();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{name}-{}", pod.name),
            "namespace": pod.namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false}}],
        "ports": ports.collect::<Vec<_>>(),
    })
}

type Shown<'c> = (&'c crate::harness::pki::Identity, Option<String>);

/// What the containers of a pod run, and with which certificates.
fn program<'c>(spec: &Value, certificates: &'c Certificates) -> (Program, Option<Shown<'c>>) {
    let variables = spec["containers"][0]["env"].as_array().unwrap();
    let has = |name: &str| variables.iter().any(|variable| variable["name"] == name);
    let program = if has("GRPC_ECHO_SERVER") {
        Program::Grpc
    } else if has("TCP_ECHO_SERVER") {
        Program::Tcp
    } else {
        Program::Http
    };
    let mut volumes = spec["volumes"].as_array().into_iter().flatten();
    let secret = volumes.find_map(|volume| volume["secret"]["secretName"].as_str());
    let tls = secret.filter(|_| has("TLS_SERVER_CERT")).map(|secret| {
        let authorities = has("TLS_CLIENT_CACERTS").then(|| certificates.backends_pem.clone());
        (certificates.of_secret(secret), authorities)
    });
    (program, tls)
}
