//! What stands behind `backendRefs`: Services with their slices, and InferenceBackends, with how bytes travel to them.

use std::{sync::Arc, time::Duration};

use foldhash::HashMap;

use super::{
    gateways::{GatewayDraft, authority},
    inventory::{Inventory, Referrer},
    status::{Statuses, arc, condition},
};
use crate::{
    diagnostics::Diagnostic,
    documents::{
        Document, Kind, formats,
        kinds::{
            GATEWAY_GROUP, OUR_GROUP, core,
            gateway_api::{BackendTlsPolicySpec, SubjectAltNameType},
            ours::{self, EngineWord, Protocol, StrategyWord},
        },
    },
    snapshot::{
        Backend, BackendId, BackendTls, Dialect, DocumentId, Endpoint, EndpointAddress, Engine, HealthCheck,
        ParentStatus, Strategy, SubjectAltName, Timeouts, Transport, Unresolved, UpstreamHttp,
    },
};

/// A backend as one reference needs it: its document and port, whether we show it a certificate, and who asks.
type Key = (DocumentId, Option<u16>, bool, DocumentId);

/// Backends that some rule names, each once.
pub(super) struct Backends<'i, 'd> {
    inventory: &'i Inventory<'d>,
    built: Vec<Backend>,
    by_key: HashMap<Key, Result<BackendId, Unresolved>>,
    tls: HashMap<(&'d str, &'d str, Option<&'d str>), TlsPolicy<'d>>,
    slices: HashMap<(&'d str, &'d str), Vec<&'d core::EndpointSlice>>,
}

/// The BackendTLSPolicy that won a Service (port).
struct TlsPolicy<'d> {
    document: &'d Document,
    settings: Result<Arc<BackendTls>, (&'static str, String)>,
}

/// A reference to a backend, from whichever field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference<'a> {
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) port: Option<u16>,
}

impl<'i, 'd> Backends<'i, 'd> {
    pub(super) fn new(
        inventory: &'i Inventory<'d>,
        statuses: &mut Statuses,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut slices: HashMap<_, Vec<_>> = HashMap::default();
        for document in inventory.documents {
            if let Kind::EndpointSlice(slice) = &document.value
                && let Some(service) = slice.metadata.labels.get("kubernetes.io/service-name")
            {
                slices.entry((&*document.id.namespace, service.as_str())).or_default().push(&**slice);
            }
        }
        let tls = tls_policies(inventory, statuses, diagnostics);
        check_transport_policies(inventory, diagnostics);
        Self { inventory, built: Vec::new(), by_key: HashMap::default(), tls, slices }
    }

    /// Every backend that was named.
    pub(super) fn finish(self, _diagnostics: &mut [Diagnostic], _statuses: &mut Statuses) -> Vec<Backend> {
        self.built
    }

    /// Where a reference of a route leads, seen from a Gateway. What is wrong with it is said once per backend or route.
    pub(super) fn resolve(
        &mut self,
        from: &'d Document,
        path: &str,
        reference: Reference<'_>,
        gateway: &GatewayDraft<'d>,
        statuses: &mut Statuses,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<BackendId, Unresolved> {
        let at = |field: &str| from.span(&format!("{path}.{field}"));
        let known = matches!(
            (reference.group, reference.kind),
            ("", "Service") | (OUR_GROUP, "InferenceBackend") | ("inference.networking.k8s.io", "InferencePool")
        );
        if !known {
            let message = format!("`{}` of group `{}` is not a kind of backend", reference.kind, reference.group);
            diagnostics.push(
                Diagnostic::reference("invalid-kind", message)
                    .at(at("kind"), "not a backend")
                    .help("backends are core `Service`s and `InferenceBackend`s of `portcullis.dev`"),
            );
            return Err(Unresolved::InvalidKind);
        }
        let referrer = Referrer { group: GATEWAY_GROUP, kind: &from.id.kind, namespace: &from.id.namespace };
        if !self.inventory.permits(referrer, reference.group, reference.kind, reference.namespace, reference.name) {
            diagnostics.push(
                Diagnostic::reference(
                    "not-permitted",
                    format!(
                        "{} `{}` is in another namespace, and no ReferenceGrant there permits this",
                        reference.kind, reference.name
                    ),
                )
                .at(at("name"), "not permitted")
                .for_want_of("ReferenceGrant", reference.namespace, None)
                .help(format!(
                    "write a ReferenceGrant in namespace `{}` from `{}` in `{}`",
                    reference.namespace, from.id.kind, from.id.namespace
                )),
            );
            return Err(Unresolved::RefNotPermitted);
        }
        let Some(document) = self.inventory.find(reference.kind, reference.namespace, reference.name) else {
            let place = format!("{path}.name");
            let (kind, namespace, name) = (reference.kind, reference.namespace, reference.name);
            diagnostics.push(self.inventory.not_found_in(from, &place, kind, namespace, name));
            return Err(Unresolved::BackendNotFound);
        };
        let has_certificate = gateway.client_certificate.is_some();
        let seen_from = if has_certificate { gateway.document.id.clone() } else { document.id.clone() };
        let key = (document.id.clone(), reference.port, has_certificate, seen_from);
        self.report_ancestor(document, reference.port, gateway, statuses);
        if let Some(result) = self.by_key.get(&key) {
            if let Err(Unresolved::BackendNotFound) = result {
                diagnostics.push(
                    Diagnostic::reference("not-found", "this backend has no such port").at(at("port"), "leads nowhere"),
                );
            }
            return result.clone();
        }
        let result = match &document.value {
            Kind::InferenceBackend(backend) => self.inference_backend(document, &backend.spec, diagnostics),
            Kind::Service(service) => {
                self.service(document, service, reference.port, gateway, &at("port"), diagnostics)
            }
            _ => Err(Unresolved::InvalidKind),
        };
        let result = result.map(|backend| {
            self.built.push(backend);
            BackendId((self.built.len() - 1) as u32)
        });
        self.by_key.insert(key, result.clone());
        result
    }

    /// The Service that a reference leads to, if its port says that it speaks WebSocket.
    pub(super) fn websocket_service(&self, reference: Reference<'_>) -> Option<&'d Document> {
        let document = self.inventory.find(reference.kind, reference.namespace, reference.name)?;
        let Kind::Service(service) = &document.value else { return None };
        let port = service.spec.ports.iter().find(|port| Some(port.port) == reference.port)?;
        matches!(port.app_protocol.as_deref(), Some("kubernetes.io/ws" | "kubernetes.io/wss")).then_some(document)
    }

    fn service(
        &self,
        document: &'d Document,
        service: &'d core::Service,
        port: Option<u16>,
        gateway: &GatewayDraft<'_>,
        at: &crate::diagnostics::Span,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Backend, Unresolved> {
        let Some(wanted) = port else {
            diagnostics.push(
                Diagnostic::reference("missing-field", "a reference to a Service needs a `port`")
                    .at(at.clone(), "which port?"),
            );
            return Err(Unresolved::BackendNotFound);
        };
        let Some(service_port) = service.spec.ports.iter().find(|candidate| candidate.port == wanted) else {
            let message = format!("{} has no port {wanted}", document.id);
            diagnostics.push(
                Diagnostic::reference("not-found", message)
                    .at(at.clone(), "leads nowhere")
                    .note(document.name_span(), "this Service"),
            );
            return Err(Unresolved::BackendNotFound);
        };
        let http = match service_port.app_protocol.as_deref() {
            Some("kubernetes.io/h2c") => UpstreamHttp::Http2,
            Some("kubernetes.io/ws" | "kubernetes.io/wss" | "http") => UpstreamHttp::Http1,
            _ => UpstreamHttp::Auto,
        };
        let transport = self.transport_of_service(document, service_port.name.as_deref(), gateway, diagnostics)?;
        Ok(Backend {
            document: document.id.clone(),
            port: Some(wanted),
            http,
            dialect: None,
            engine: Engine::Other,
            models: Vec::new(),
            endpoints: self.service_endpoints(document, service, service_port),
            transport,
            timeouts: Timeouts::default(),
            strategy: Strategy::LeastRequests,
            health_check: None,
        })
    }

    fn service_endpoints(
        &self,
        document: &'d Document,
        service: &core::Service,
        port: &core::ServicePort,
    ) -> Vec<Endpoint> {
        let ip = |text: &str| text.parse().ok().map(EndpointAddress::Ip);
        let at = |address, port| Endpoint { address, port, grpc_port: None, capacity: 1.0, identity: None };
        let Some(slices) = self.slices.get(&(&*document.id.namespace, &*document.id.name)) else {
            if service.spec.service_type.as_deref() == Some("ExternalName") {
                let name = service.spec.external_name.as_deref();
                return name.map(|name| at(EndpointAddress::Name(name.into()), port.port)).into_iter().collect();
            }
            let cluster_ip = service.spec.cluster_ip.as_deref().filter(|text| *text != "None");
            return cluster_ip.and_then(ip).map(|address| at(address, port.port)).into_iter().collect();
        };
        let (mut ready, mut leaving) = (Vec::new(), Vec::new());
        for slice in slices {
            let named = |candidate: &&core::SlicePort| {
                candidate.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
            };
            let Some(number) = slice.ports.iter().find(named).and_then(|port| port.port) else { continue };
            for endpoint in &slice.endpoints {
                let places = match standing(endpoint.conditions.as_ref()) {
                    Standing::Ready => &mut ready,
                    Standing::Leaving => &mut leaving,
                    Standing::Out => continue,
                };
                places.extend(endpoint.addresses.iter().map(|text| {
                    let address = ip(text).unwrap_or_else(|| EndpointAddress::Name(text.as_str().into()));
                    at(address, number)
                }));
            }
        }
        // As kube-proxy does (KEP-1669): when everyone is leaving, those that still serve are better than nobody.
        if ready.is_empty() { leaving } else { ready }
    }

    fn transport_of_service(
        &self,
        document: &'d Document,
        port_name: Option<&str>,
        gateway: &GatewayDraft<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Transport, Unresolved> {
        if let Some(policy) = self.tls_policy(document, port_name) {
            return match &policy.settings {
                Err(_) => Err(Unresolved::InvalidBackendTls),
                Ok(settings) => Ok(Transport::Tls(match &gateway.client_certificate {
                    None => settings.clone(),
                    Some(pair) => {
                        Arc::new(BackendTls { client_certificate: Some(pair.clone()), ..(**settings).clone() })
                    }
                })),
            };
        }
        if says_plaintext(self.inventory, document) {
            return Ok(Transport::Plaintext);
        }
        diagnostics.push(
            Diagnostic::error("no-transport", format!("nothing says how bytes travel to {}", document.id))
                .at(document.name_span(), "neither TLS nor plaintext")
                .for_want_of("TransportPolicy", &document.id.namespace, None)
                .for_want_of("BackendTLSPolicy", &document.id.namespace, None)
                .help(format!(
                    "write a BackendTLSPolicy for it, or, to send in the clear, a TransportPolicy in namespace `{}` with \
                     `targetRefs: [{{group: \"\", kind: Service, name: {}}}]` and `transport: {{plaintext: {{}}}}`",
                    document.id.namespace, document.id.name
                )),
        );
        Err(Unresolved::InvalidBackendTls)
    }

    fn tls_policy(&self, service: &Document, port_name: Option<&str>) -> Option<&TlsPolicy<'d>> {
        let target = (&*service.id.namespace, &*service.id.name);
        let mut whole = None;
        for ((namespace, name, section), policy) in &self.tls {
            if (*namespace, *name) == target {
                match section {
                    None => whole = Some(policy),
                    // A policy for the very port is the more specific one.
                    Some(section) if port_name == Some(*section) => return Some(policy),
                    Some(_) => {}
                }
            }
        }
        whole
    }

    /// A BackendTLSPolicy tells its fate by Gateway.
    fn report_ancestor(
        &self,
        service: &Document,
        port: Option<u16>,
        gateway: &GatewayDraft<'_>,
        statuses: &mut Statuses,
    ) {
        let Kind::Service(spec) = &service.value else { return };
        let port = spec.spec.ports.iter().find(|candidate| Some(candidate.port) == port);
        let Some(policy) = self.tls_policy(service, port.and_then(|port| port.name.as_deref())) else { return };
        let conditions = match &policy.settings {
            Ok(_) => vec![
                condition("Accepted", true, "Accepted", "accepted"),
                condition("ResolvedRefs", true, "ResolvedRefs", "every reference leads somewhere"),
            ],
            Err((reason, message)) => vec![
                condition("Accepted", false, "NoValidCACertificate", message.clone()),
                condition("ResolvedRefs", false, reason, message.clone()),
            ],
        };
        let parent = gateway.document.id.clone();
        statuses.parent(&policy.document.id, ParentStatus { parent, section_name: None, port: None, conditions });
    }

    fn inference_backend(
        &self,
        document: &'d Document,
        spec: &ours::InferenceBackendSpec,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Backend, Unresolved> {
        let transport = inference_transport(document, spec, diagnostics);
        let places = usize::from(!spec.endpoints.is_empty())
            + usize::from(spec.service_ref.is_some())
            + usize::from(spec.pool_ref.is_some());
        if places != 1 {
            diagnostics.push(
                Diagnostic::error(
                    "ambiguous-endpoints",
                    format!("{} must say where it is in exactly one way", document.id),
                )
                .at(document.span("spec"), "here")
                .help("write `endpoints`, `serviceRef` or `poolRef`"),
            );
            return Err(Unresolved::BackendNotFound);
        }
        if spec.pool_ref.is_some() {
            diagnostics.push(
                Diagnostic::enforcement(
                    "not-enforced-yet",
                    "InferencePools are not followed yet, so `run` refuses them",
                )
                .at(document.span("spec.poolRef"), "not followed yet"),
            );
        }
        let mut endpoints: Vec<Endpoint> = spec
            .endpoints
            .iter()
            .enumerate()
            .map(|(index, endpoint)| {
                let capacity = endpoint.capacity.unwrap_or(1.0);
                if !(capacity.is_finite() && capacity > 0.0) {
                    diagnostics.push(
                        Diagnostic::error("out-of-range", "a capacity is greater than 0")
                            .at(document.span(&format!("spec.endpoints[{index}].capacity")), "out of range"),
                    );
                }
                Endpoint {
                    address: endpoint
                        .address
                        .parse()
                        .map_or_else(|_| EndpointAddress::Name(endpoint.address.as_str().into()), EndpointAddress::Ip),
                    port: endpoint.port,
                    grpc_port: endpoint.grpc_port,
                    capacity: if capacity > 0.0 { capacity } else { 1.0 },
                    identity: endpoint.identity.as_ref().and_then(|id| id.parse().ok()),
                }
            })
            .collect();
        if let Some(reference) = &spec.service_ref {
            let namespace = reference.namespace.as_deref().unwrap_or(&document.id.namespace);
            let from = Referrer { group: OUR_GROUP, kind: "InferenceBackend", namespace: &document.id.namespace };
            let found = self.inventory.find("Service", namespace, &reference.name);
            let Some((found, Kind::Service(service))) = found.map(|found| (found, &found.value)) else {
                diagnostics.push(self.inventory.not_found_in(
                    document,
                    "spec.serviceRef.name",
                    "Service",
                    namespace,
                    &reference.name,
                ));
                return Err(Unresolved::BackendNotFound);
            };
            if !self.inventory.permits(from, "", "Service", namespace, &reference.name) {
                diagnostics.push(
                    Diagnostic::reference("not-permitted", "no ReferenceGrant permits this")
                        .at(document.span("spec.serviceRef"), "not permitted"),
                );
                return Err(Unresolved::RefNotPermitted);
            }
            let Some(port) = service.spec.ports.iter().find(|port| port.port == reference.port) else {
                diagnostics.push(
                    Diagnostic::reference("not-found", format!("{} has no port {}", found.id, reference.port))
                        .at(document.span("spec.serviceRef.port"), "leads nowhere"),
                );
                return Err(Unresolved::BackendNotFound);
            };
            endpoints = self.service_endpoints(found, service, port);
        }
        let clock = |text: &Option<String>| text.as_deref().and_then(formats::duration).filter(|d| !d.is_zero());
        let default = Timeouts::default();
        let timeouts = spec.timeouts.as_ref().map_or(default, |timeouts| Timeouts {
            connect: clock(&timeouts.connect).unwrap_or(default.connect),
            first_byte: clock(&timeouts.first_byte).unwrap_or(default.first_byte),
            idle: clock(&timeouts.idle).unwrap_or(default.idle),
        });
        Ok(Backend {
            document: document.id.clone(),
            port: None,
            http: UpstreamHttp::Auto,
            dialect: Some(dialect(spec.protocol)),
            engine: match spec.engine {
                Some(EngineWord::Vllm) => Engine::Vllm,
                Some(EngineWord::Triton) => Engine::Triton,
                Some(EngineWord::Trtllm) => Engine::TrtLlm,
                Some(EngineWord::Sglang) => Engine::Sglang,
                Some(EngineWord::Nim) => Engine::Nim,
                Some(EngineWord::Other) | None => Engine::Other,
            },
            models: spec.models.iter().map(|model| arc(model)).collect(),
            endpoints,
            transport,
            timeouts,
            strategy: match spec.load_balancing.as_ref().and_then(|balancing| balancing.strategy) {
                Some(StrategyWord::LeastRequests) => Strategy::LeastRequests,
                Some(StrategyWord::RoundRobin) => Strategy::RoundRobin,
                Some(StrategyWord::PrefixAffinity) => Strategy::PrefixAffinity,
                Some(StrategyWord::LoadAware) | None => Strategy::LoadAware,
            },
            health_check: spec.health_check.as_ref().map(|check| HealthCheck {
                path: arc(&check.path),
                interval: clock(&check.interval).unwrap_or(Duration::from_secs(10)),
                timeout: clock(&check.timeout).unwrap_or(Duration::from_secs(2)),
                unhealthy_after: check.unhealthy_after.unwrap_or(3).max(1),
                healthy_after: check.healthy_after.unwrap_or(1).max(1),
            }),
        })
    }
}

/// What the conditions of an endpoint mean for requests.
enum Standing {
    Ready,
    /// It is about to go and serves still.
    Leaving,
    Out,
}

/// What is not said counts as Kubernetes says: ready, serving as it is ready, not terminating.
fn standing(conditions: Option<&core::SliceConditions>) -> Standing {
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    let serving = conditions.and_then(|conditions| conditions.serving).unwrap_or(ready);
    let terminating = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
    match (ready, serving && terminating) {
        (true, _) => Standing::Ready,
        (false, true) => Standing::Leaving,
        (false, false) => Standing::Out,
    }
}

fn inference_transport(
    document: &Document,
    spec: &ours::InferenceBackendSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> Transport {
    let words = spec.transport.as_ref().map(|transport| (transport.mtls.is_some(), transport.plaintext.is_some()));
    match words {
        Some((false, true)) => Transport::Plaintext,
        None | Some((true, false)) => {
            demand_identities(document, spec, diagnostics);
            Transport::Mtls
        }
        Some(_) => {
            diagnostics.push(
                Diagnostic::error("ambiguous-transport", "say exactly one way in which bytes travel")
                    .at(document.span("spec.transport"), "here")
                    .help("`{mtls: {}}` or `{plaintext: {}}`"),
            );
            Transport::Mtls
        }
    }
}

/// Over mutual TLS it must be said who each endpoint is: whoever has any certificate of the mesh could answer otherwise.
fn demand_identities(document: &Document, spec: &ours::InferenceBackendSpec, diagnostics: &mut Vec<Diagnostic>) {
    for (index, endpoint) in spec.endpoints.iter().enumerate().filter(|(_, endpoint)| endpoint.identity.is_none()) {
        let message = format!("who must `{}` prove to be?", endpoint.address);
        let at = document.span(&format!("spec.endpoints[{index}]"));
        diagnostics.push(Diagnostic::error("missing-identity", message).at(at, "`identity` belongs here").help(
            "write the SPIFFE ID of its sidecar, like `identity: spiffe://corp.example/ns/inference/sa/llama`; or, to send in \
             the clear, `transport: {plaintext: {}}`",
        ));
    }
    let elsewhere = [("serviceRef", spec.service_ref.is_some()), ("poolRef", spec.pool_ref.is_some())];
    for (field, _) in elsewhere.into_iter().filter(|(_, is_said)| *is_said) {
        diagnostics.push(
            Diagnostic::enforcement(
                "not-enforced-yet",
                format!("mutual TLS by `{field}` is not built yet, so `run` refuses it"),
            )
            .at(document.span(&format!("spec.{field}")), "who answers there is not known")
            .help(
                "name `endpoints` with their `identity`; or, to send in the clear, write `transport: {plaintext: {}}`",
            ),
        );
    }
}

fn says_plaintext(inventory: &Inventory<'_>, service: &Document) -> bool {
    inventory.documents.iter().any(|document| {
        let Kind::TransportPolicy(policy) = &document.value else { return false };
        document.id.namespace == service.id.namespace
            && policy.spec.transport.plaintext.is_some()
            && policy.spec.target_refs.iter().any(|target| match target.kind.as_str() {
                "Service" => *target.name == *service.id.name,
                "Namespace" => *target.name == *service.id.namespace,
                _ => false,
            })
    })
}

fn check_transport_policies(inventory: &Inventory<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for document in inventory.documents {
        let Kind::TransportPolicy(policy) = &document.value else { continue };
        for (index, target) in policy.spec.target_refs.iter().enumerate() {
            let path = format!("spec.targetRefs[{index}].kind");
            match target.kind.as_str() {
                "Service" if inventory.find("Service", &document.id.namespace, &target.name).is_none() => {
                    diagnostics.push(inventory.not_found(
                        document,
                        &format!("spec.targetRefs[{index}].name"),
                        "Service",
                        &target.name,
                    ));
                }
                "Service" => {}
                "Namespace" if *target.name == *document.id.namespace => {}
                "Namespace" => diagnostics.push(
                    Diagnostic::error("unknown-target", "a TransportPolicy speaks for its own namespace only")
                        .at(document.span(&path), "another namespace"),
                ),
                kind => diagnostics.push(
                    Diagnostic::error("unknown-target", format!("a TransportPolicy cannot target a `{kind}`"))
                        .at(document.span(&path), "not a target")
                        .help("targets are Service and Namespace"),
                ),
            }
        }
        let transport = &policy.spec.transport;
        if transport.plaintext.is_none() {
            diagnostics.push(
                Diagnostic::error("ambiguous-transport", "a TransportPolicy says `plaintext: {}`, in words")
                    .at(document.span("spec.transport"), "says nothing of use"),
            );
        }
    }
}

/// BackendTLSPolicies by Service and port name; of several for one target the oldest wins, then the first by name.
fn tls_policies<'d>(
    inventory: &Inventory<'d>,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) -> HashMap<(&'d str, &'d str, Option<&'d str>), TlsPolicy<'d>> {
    let mut policies: Vec<(&Document, &BackendTlsPolicySpec)> = inventory
        .documents
        .iter()
        .filter_map(|document| match &document.value {
            Kind::BackendTlsPolicy(policy) => Some((document, &policy.spec)),
            _ => None,
        })
        .collect();
    policies.sort_by_key(|(document, _)| {
        let created = document.value.metadata().creation_timestamp.as_deref();
        (created.is_none(), created, &document.id.namespace, &document.id.name)
    });
    let mut winners = HashMap::<_, TlsPolicy<'_>>::default();
    for (document, spec) in policies {
        let settings = tls_settings(inventory, document, spec, diagnostics);
        for (index, target) in spec.target_refs.iter().enumerate() {
            if target.kind != "Service" || !target.group.is_empty() {
                diagnostics.push(
                    Diagnostic::reference(
                        "unknown-target",
                        format!("a BackendTLSPolicy cannot target a `{}`", target.kind),
                    )
                    .at(document.span(&format!("spec.targetRefs[{index}].kind")), "not a target"),
                );
                continue;
            }
            let key = (&*document.id.namespace, target.name.as_str(), target.section_name.as_deref());
            if winners.contains_key(&key) {
                diagnostics.push(
                    Diagnostic::warning(
                        "conflicting-policies",
                        format!("another BackendTLSPolicy for Service `{}` is older, and wins", target.name),
                    )
                    .at(document.name_span(), "not in force"),
                );
                let conditions = vec![condition("Accepted", false, "Conflicted", "another policy is older")];
                for parent in gateways(inventory) {
                    let conditions = conditions.clone();
                    statuses.parent(&document.id, ParentStatus { parent, section_name: None, port: None, conditions });
                }
                continue;
            }
            winners.insert(key, TlsPolicy { document, settings: settings.clone() });
        }
    }
    winners
}

fn gateways<'d>(inventory: &Inventory<'d>) -> impl Iterator<Item = DocumentId> + use<'d> {
    inventory
        .documents
        .iter()
        .filter(|document| matches!(document.value, Kind::Gateway(_)))
        .map(|document| document.id.clone())
}

fn tls_settings(
    inventory: &Inventory<'_>,
    document: &Document,
    spec: &BackendTlsPolicySpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Arc<BackendTls>, (&'static str, String)> {
    let validation = &spec.validation;
    let mut authorities = Vec::new();
    let mut fault = None;
    for (index, reference) in validation.ca_certificate_refs.iter().enumerate() {
        match authority(inventory, document, reference) {
            Ok(pem) => authorities.push(pem),
            Err((reason, message)) => {
                let reason = if reason == "InvalidCACertificateKind" { "InvalidKind" } else { reason };
                let at = document.span(&format!("spec.validation.caCertificateRefs[{index}].name"));
                diagnostics
                    .push(Diagnostic::reference("backend-authority", message.clone()).at(at, "no authority here"));
                fault = Some((reason, message));
            }
        }
    }
    let system = validation.well_known_ca_certificates.as_deref() == Some("System");
    if !system && authorities.is_empty() {
        let (reason, message) =
            fault.unwrap_or_else(|| ("InvalidCACertificateRef", "no authority is trusted".to_owned()));
        if validation.ca_certificate_refs.is_empty() {
            diagnostics.push(
                Diagnostic::error("missing-field", "whose certificates are trusted?")
                    .at(document.span("spec.validation"), "neither `caCertificateRefs` nor `wellKnownCACertificates`"),
            );
        }
        return Err((reason, message));
    }
    let subject_alt_names = validation.subject_alt_names.iter().filter_map(|name| match name.kind {
        SubjectAltNameType::Hostname => name.hostname.as_deref().map(|host| SubjectAltName::Hostname(host.into())),
        SubjectAltNameType::Uri => name.uri.as_deref().map(|uri| SubjectAltName::Uri(uri.into())),
    });
    Ok(Arc::new(BackendTls {
        hostname: arc(&validation.hostname),
        authorities_pem: (!system).then_some(authorities),
        subject_alt_names: subject_alt_names.collect(),
        client_certificate: None,
    }))
}

/// What a document says is spoken.
pub(super) fn dialect(protocol: Protocol) -> Dialect {
    match protocol {
        Protocol::OpenAi => Dialect::OpenAi,
        Protocol::Anthropic => Dialect::Anthropic,
        Protocol::KserveV2 => Dialect::KserveV2,
    }
}
