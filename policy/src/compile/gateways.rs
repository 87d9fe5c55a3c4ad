//! Gateways and their listeners: what is spoken where, with which certificates, for which routes.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    inventory::{Inventory, Referrer},
    status::{Statuses, arc, condition},
};
use crate::{
    diagnostics::Diagnostic,
    documents::{
        Document, Kind,
        kinds::{
            GATEWAY_GROUP, OUR_GROUP,
            gateway_api::{self, FrontendMode, ObjectReference, TlsModeWord},
        },
    },
    routes::{RouteEntry, RouteTable, TieBreak, TlsRouteTable, TlsRule},
    snapshot::{
        CertificatePair, CertificateSource, ClientValidation, ClientValidationMode, HostPattern, Listener, ListenerId,
        ListenerProtocol, ListenerStatus, SecretBytes, Termination, TlsMode,
    },
};

/// The controller name of our GatewayClasses.
pub(super) const CONTROLLER_NAME: &str = "portcullis.dev/gateway";
/// Kinds of routes that HTTP and HTTPS listeners take.
const HTTP_KINDS: [&str; 2] = ["HTTPRoute", "GRPCRoute"];
/// Kinds of routes that TLS listeners take.
const TLS_KINDS: [&str; 1] = ["TLSRoute"];

/// A Gateway on its way into the snapshot.
pub(super) struct GatewayDraft<'d> {
    pub(super) document: &'d Document,
    pub(super) listeners: Vec<ListenerDraft<'d>>,
    /// What it presents to backends that ask.
    pub(super) client_certificate: Option<CertificatePair>,
    addresses: Vec<IpAddr>,
}

/// A listener on its way into the snapshot.
pub(super) struct ListenerDraft<'d> {
    pub(super) spec: &'d gateway_api::Listener,
    pub(super) hostname: HostPattern,
    pub(super) protocol: ListenerProtocol,
    pub(super) kinds: Vec<&'static str>,
    pub(super) entries: Vec<RouteEntry>,
    pub(super) tls_entries: Vec<(HostPattern, TieBreak, Arc<TlsRule>)>,
    pub(super) attached: u32,
    tls: Option<TlsMode>,
    /// Whether it may take connections.
    programmed: bool,
    conditions: Vec<crate::snapshot::Condition>,
}

impl ListenerDraft<'_> {
    /// Whether clients are asked for a certificate.
    pub(super) fn asks_certificates(&self) -> bool {
        matches!(&self.tls, Some(TlsMode::Terminate(termination)) if termination.client.is_some())
    }
}

/// Every Gateway that is ours.
pub(super) fn compile_gateways<'d>(
    inventory: &Inventory<'d>,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<GatewayDraft<'d>> {
    let mut drafts = Vec::new();
    for document in inventory.documents {
        if let Kind::GatewayClass(class) = &document.value
            && class.spec.controller_name == CONTROLLER_NAME
        {
            statuses.condition(&document.id, condition("Accepted", true, "Accepted", "this is our class"));
        }
        let Kind::Gateway(gateway) = &document.value else { continue };
        let class = inventory.documents.iter().find_map(|other| match &other.value {
            Kind::GatewayClass(class) if *other.id.name == gateway.spec.gateway_class_name => Some(class),
            _ => None,
        });
        if class.is_some_and(|class| class.spec.controller_name != CONTROLLER_NAME) {
            let message = format!("{} belongs to another controller: passed over", document.id);
            diagnostics.push(
                Diagnostic::remark("passed-over", message).at(document.span("spec.gatewayClassName"), "not our class"),
            );
            continue;
        }
        drafts.push(compile_gateway(inventory, document, &gateway.spec, statuses, diagnostics));
    }
    drafts
}

fn compile_gateway<'d>(
    inventory: &Inventory<'d>,
    document: &'d Document,
    spec: &'d gateway_api::GatewaySpec,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) -> GatewayDraft<'d> {
    let mut accepted = (true, "Accepted", "accepted".to_owned());
    if let Some(parameters) =
        spec.infrastructure.as_ref().and_then(|infrastructure| infrastructure.parameters_ref.as_ref())
    {
        accepted =
            (false, "InvalidParameters", format!("`{}` is not a kind of parameters that exists", parameters.name));
        diagnostics.push(
            Diagnostic::reference("invalid-parameters", "there are no parameters for Gateways")
                .at(document.span("spec.infrastructure.parametersRef"), "leads nowhere"),
        );
    }
    let addresses = addresses(document, spec, &mut accepted, diagnostics);
    let client_certificate = client_certificate(inventory, document, spec, statuses, diagnostics);
    if falls_back(spec) {
        let message = "clients without a valid certificate come in on some port";
        statuses.condition(
            &document.id,
            condition("InsecureFrontendValidationMode", true, "ConfigurationChanged", message),
        );
    }
    let mut listeners: Vec<ListenerDraft<'d>> = Vec::new();
    for (index, listener) in spec.listeners.iter().enumerate() {
        let path = format!("spec.listeners[{index}]");
        if let Some(first) = spec.listeners.iter().take(index).position(|other| other.name == listener.name) {
            diagnostics.push(
                Diagnostic::error("duplicate-listener", format!("two listeners are called `{}`", listener.name))
                    .at(document.span(&format!("{path}.name")), "again here")
                    .note(document.span(&format!("spec.listeners[{first}].name")), "first here"),
            );
            continue;
        }
        listeners.push(compile_listener(inventory, document, spec, listener, &path, diagnostics));
    }
    mark_conflicts(document, &mut listeners, diagnostics);
    if listeners.iter().any(|listener| !listener.programmed) && accepted.0 {
        accepted = (true, "ListenersNotValid", "some listeners are not valid".to_owned());
        if listeners.iter().all(|listener| !listener.programmed) {
            accepted.0 = false;
        }
    }
    statuses.condition(&document.id, condition("Accepted", accepted.0, accepted.1, accepted.2));
    let programmed = accepted.0;
    let reason = if programmed { "Programmed" } else { "Invalid" };
    statuses.condition(&document.id, condition("Programmed", programmed, reason, ""));
    GatewayDraft { document, listeners, client_certificate, addresses }
}

fn addresses(
    document: &Document,
    spec: &gateway_api::GatewaySpec,
    accepted: &mut (bool, &'static str, String),
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (index, address) in spec.addresses.iter().enumerate() {
        let path = format!("spec.addresses[{index}]");
        let Some(value) = &address.value else { continue };
        match (address.kind.as_deref().unwrap_or("IPAddress"), value.parse()) {
            ("IPAddress", Ok(ip)) => addresses.push(ip),
            ("IPAddress", Err(_)) => {
                *accepted = (false, "UnsupportedAddress", format!("`{value}` is not an IP address"));
                diagnostics.push(
                    Diagnostic::error("invalid-value", format!("`{value}` is not an IP address"))
                        .at(document.span(&format!("{path}.value")), "not an IP address"),
                );
            }
            (kind, _) => {
                *accepted = (false, "UnsupportedAddress", format!("addresses of type `{kind}` are not supported"));
                diagnostics.push(
                    Diagnostic::reference(
                        "unsupported-address",
                        format!("addresses of type `{kind}` are not supported"),
                    )
                    .at(document.span(&format!("{path}.type")), "only `IPAddress` is"),
                );
            }
        }
    }
    addresses
}

fn client_certificate(
    inventory: &Inventory<'_>,
    document: &Document,
    spec: &gateway_api::GatewaySpec,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<CertificatePair> {
    let reference = spec.tls.as_ref()?.backend.as_ref()?.client_certificate_ref.as_ref()?;
    match secret_pair(inventory, document, reference) {
        Ok((_, pair)) => {
            statuses.condition(
                &document.id,
                condition("ResolvedRefs", true, "ResolvedRefs", "every reference leads somewhere"),
            );
            Some(pair)
        }
        Err((reason, message)) => {
            let reason = if reason == "RefNotPermitted" { reason } else { "InvalidClientCertificateRef" };
            let path = "spec.tls.backend.clientCertificateRef";
            diagnostics.push(
                Diagnostic::reference("client-certificate", message.clone()).at(document.span(path), "leads nowhere"),
            );
            statuses.condition(&document.id, condition("ResolvedRefs", false, reason, message));
            None
        }
    }
}

fn compile_listener<'d>(
    inventory: &Inventory<'d>,
    document: &'d Document,
    gateway: &'d gateway_api::GatewaySpec,
    spec: &'d gateway_api::Listener,
    path: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> ListenerDraft<'d> {
    let hostname = host_pattern(spec.hostname.as_deref());
    let protocol = match spec.protocol.as_str() {
        "HTTP" => Some(ListenerProtocol::Http),
        "HTTPS" => Some(ListenerProtocol::Https),
        "TLS" => Some(ListenerProtocol::Tls),
        _ => None,
    };
    let mut conditions = Vec::new();
    let mut resolved: Result<(), (&'static str, String)> = Ok(());
    let mut accepted: Result<(), (&'static str, String)> = Ok(());
    if protocol.is_none() {
        let message = format!("protocol `{}` is not supported", spec.protocol);
        diagnostics.push(
            Diagnostic::reference("unsupported-protocol", message.clone())
                .at(document.span(&format!("{path}.protocol")), "not supported")
                .help("listeners speak `HTTP`, `HTTPS` or `TLS`"),
        );
        accepted = Err(("UnsupportedProtocol", message));
    }
    let able: &[&'static str] = match protocol {
        Some(ListenerProtocol::Http | ListenerProtocol::Https) => &HTTP_KINDS,
        Some(ListenerProtocol::Tls) => &TLS_KINDS,
        None => &[],
    };
    let wished = spec.allowed_routes.as_ref().map(|routes| routes.kinds.as_slice()).unwrap_or_default();
    let mut kinds: Vec<&'static str> = if wished.is_empty() { able.to_vec() } else { Vec::new() };
    for (index, wish) in wished.iter().enumerate() {
        let group = wish.group.as_deref().unwrap_or(GATEWAY_GROUP);
        match able.iter().find(|kind| group == GATEWAY_GROUP && **kind == wish.kind) {
            Some(kind) => kinds.push(kind),
            None => {
                let message = format!("a {} listener takes no `{}`", spec.protocol, wish.kind);
                let at = format!("{path}.allowedRoutes.kinds[{index}].kind");
                diagnostics.push(
                    Diagnostic::reference("invalid-route-kind", message.clone())
                        .at(document.span(&at), "not taken here"),
                );
                resolved = Err(("InvalidRouteKinds", message));
            }
        }
    }
    let tls = match protocol {
        Some(ListenerProtocol::Https | ListenerProtocol::Tls) => {
            compile_tls(inventory, document, gateway, spec, path, &mut resolved, &mut accepted, diagnostics)
        }
        Some(ListenerProtocol::Http) | None => {
            if spec.tls.is_some() && protocol.is_some() {
                diagnostics.push(
                    Diagnostic::error("tls-on-http", "an `HTTP` listener has no TLS")
                        .at(document.span(&format!("{path}.tls")), "not used")
                        .help("write `protocol: HTTPS`, or remove `tls`"),
                );
            }
            None
        }
    };
    let needs_tls = matches!(protocol, Some(ListenerProtocol::Https | ListenerProtocol::Tls));
    let programmed = accepted.is_ok() && (tls.is_some() || !needs_tls);
    let part = |kind, result: &Result<(), (&'static str, String)>, good| match result {
        Ok(()) => condition(kind, true, good, ""),
        Err((reason, message)) => condition(kind, false, reason, message.clone()),
    };
    conditions.push(part("Accepted", &accepted, "Accepted"));
    conditions.push(part("ResolvedRefs", &resolved, "ResolvedRefs"));
    let reason = if programmed { "Programmed" } else { "Invalid" };
    conditions.push(condition("Programmed", programmed, reason, ""));
    ListenerDraft {
        spec,
        hostname,
        protocol: protocol.unwrap_or(ListenerProtocol::Http),
        kinds,
        entries: Vec::new(),
        tls_entries: Vec::new(),
        attached: 0,
        tls,
        programmed,
        conditions,
    }
}

#[expect(clippy::too_many_arguments, reason = "the whole of a listener's surroundings")]
fn compile_tls(
    inventory: &Inventory<'_>,
    document: &Document,
    gateway: &gateway_api::GatewaySpec,
    spec: &gateway_api::Listener,
    path: &str,
    resolved: &mut Result<(), (&'static str, String)>,
    accepted: &mut Result<(), (&'static str, String)>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<TlsMode> {
    let Some(tls) = &spec.tls else {
        diagnostics.push(
            Diagnostic::error("missing-field", format!("an `{}` listener needs `tls`", spec.protocol))
                .at(document.span(path), "no `tls` here")
                .help("write `tls: {certificateRefs: [{group: portcullis.dev, kind: Certificate, name: …}]}`"),
        );
        *resolved = Err(("InvalidCertificateRef", "no certificate".to_owned()));
        return None;
    };
    if tls.mode == Some(TlsModeWord::Passthrough) {
        if spec.protocol == "HTTPS" {
            diagnostics.push(
                Diagnostic::error("invalid-value", "an `HTTPS` listener ends TLS; it cannot pass it through")
                    .at(document.span(&format!("{path}.tls.mode")), "not possible")
                    .help("write `protocol: TLS` for passthrough"),
            );
            return None;
        }
        return Some(TlsMode::Passthrough);
    }
    if tls.certificate_refs.is_empty() {
        diagnostics.push(
            Diagnostic::error("missing-field", "a listener that ends TLS needs a certificate")
                .at(document.span(&format!("{path}.tls")), "no `certificateRefs` here"),
        );
        *resolved = Err(("InvalidCertificateRef", "no certificate".to_owned()));
        return None;
    }
    let mut certificates = Vec::new();
    for (index, reference) in tls.certificate_refs.iter().enumerate() {
        match certificate(inventory, document, reference) {
            Ok(source) => certificates.push(source),
            Err((reason, diagnostic)) => {
                let at = document.span(&format!("{path}.tls.certificateRefs[{index}].name"));
                *resolved = Err((reason, diagnostic.message.clone()));
                diagnostics.push(diagnostic.at(at, "no certificate here"));
            }
        }
    }
    let client = match client_validation(inventory, document, gateway, spec.port, diagnostics) {
        None => None,
        Some(Ok(validation)) => Some(validation),
        Some(Err((reason, message, validation))) => {
            *resolved = Err((reason, message.clone()));
            if let Some(validation) = validation {
                Some(validation)
            } else {
                *accepted = Err(("NoValidCACertificate", message));
                return None;
            }
        }
    };
    if certificates.is_empty() {
        return None;
    }
    Some(TlsMode::Terminate(Termination { certificates, client }))
}

/// A certificate by reference, or the reason of the condition and what to say.
#[expect(clippy::result_large_err, reason = "once per certificate of a revision, far from any request")]
fn certificate(
    inventory: &Inventory<'_>,
    document: &Document,
    reference: &ObjectReference,
) -> Result<CertificateSource, (&'static str, Diagnostic)> {
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    match (group, kind) {
        ("", "Secret") => match secret_pair(inventory, document, reference) {
            Ok((secret, pair)) => Ok(CertificateSource::Secret {
                document: secret.id.clone(),
                chain_pem: pair.chain_pem,
                key_pem: pair.key_pem,
            }),
            Err((reason, message)) => {
                let namespace = reference.namespace.as_deref().unwrap_or(&document.id.namespace);
                let diagnostic = Diagnostic::reference("certificate", message);
                Err((reason, diagnostic.for_want_of("Secret", namespace, Some(&reference.name))))
            }
        },
        (OUR_GROUP, "Certificate") => {
            let namespace = reference.namespace.as_deref().unwrap_or(&document.id.namespace);
            permitted(inventory, document, OUR_GROUP, "Certificate", reference)
                .map_err(|message| ("RefNotPermitted", Diagnostic::reference("not-permitted", message)))?;
            let found = inventory.find("Certificate", namespace, &reference.name).ok_or_else(|| {
                let message = format!("there is no Certificate `{}` in namespace `{namespace}`", reference.name);
                let diagnostic = Diagnostic::reference("not-found", message);
                ("InvalidCertificateRef", diagnostic.for_want_of("Certificate", namespace, Some(&reference.name)))
            })?;
            let Kind::Certificate(certificate) = &found.value else {
                return Err(("InvalidCertificateRef", Diagnostic::reference("not-found", "not a Certificate")));
            };
            let issuer = &certificate.spec.issuer;
            match (&issuer.local, &issuer.files, &issuer.acme) {
                (Some(_), None, None) if certificate.spec.dns_names.is_empty() => {
                    let message = format!("{} names no `dnsNames`", found.id);
                    Err(("InvalidCertificateRef", Diagnostic::error("missing-field", message)))
                }
                (Some(_), None, None) => Ok(CertificateSource::Local {
                    document: found.id.clone(),
                    dns_names: certificate.spec.dns_names.clone(),
                }),
                (None, Some(files), None) => Ok(CertificateSource::Files {
                    document: found.id.clone(),
                    chain: found.beside(&files.certificate),
                    key: found.beside(&files.key),
                }),
                (None, None, Some(_)) => Err((
                    "InvalidCertificateRef",
                    Diagnostic::enforcement("not-enforced-yet", "ACME is not built yet, so `run` refuses it")
                        .help("use `issuer: {local: {}}` or `issuer: {files: {certificate, key}}`"),
                )),
                _ => Err((
                    "InvalidCertificateRef",
                    Diagnostic::error("ambiguous-issuer", format!("{} must name exactly one issuer", found.id))
                        .help("`local: {}`, `files: {certificate, key}` or `acme: {directory}`"),
                )),
            }
        }
        _ => Err((
            "InvalidCertificateRef",
            Diagnostic::reference("invalid-kind", format!("`{kind}` is not a kind of certificate"))
                .help("a certificate is a core `Secret` or a `Certificate` of `portcullis.dev`"),
        )),
    }
}

fn permitted(
    inventory: &Inventory<'_>,
    document: &Document,
    group: &str,
    kind: &str,
    reference: &ObjectReference,
) -> Result<(), String> {
    let namespace = reference.namespace.as_deref().unwrap_or(&document.id.namespace);
    let from = Referrer { group: GATEWAY_GROUP, kind: &document.id.kind, namespace: &document.id.namespace };
    if inventory.permits(from, group, kind, namespace, &reference.name) {
        return Ok(());
    }
    Err(format!(
        "no ReferenceGrant in namespace `{namespace}` permits {} to refer to {kind} `{}`",
        document.id.kind, reference.name
    ))
}

/// The chain and key of a `kubernetes.io/tls` Secret.
fn secret_pair<'d>(
    inventory: &Inventory<'d>,
    document: &Document,
    reference: &ObjectReference,
) -> Result<(&'d Document, CertificatePair), (&'static str, String)> {
    let namespace = reference.namespace.as_deref().unwrap_or(&document.id.namespace);
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    if reference.group.as_deref().unwrap_or_default() != "" || kind != "Secret" {
        return Err(("InvalidCertificateRef", format!("`{kind}` is not a Secret")));
    }
    permitted(inventory, document, "", "Secret", reference).map_err(|message| ("RefNotPermitted", message))?;
    let invalid = |message: String| ("InvalidCertificateRef", message);
    let found = inventory
        .find("Secret", namespace, &reference.name)
        .ok_or_else(|| invalid(format!("there is no Secret `{}` in namespace `{namespace}`", reference.name)))?;
    let Kind::Secret(secret) = &found.value else { return Err(invalid("not a Secret".to_owned())) };
    let field = |name: &str| -> Result<Arc<[u8]>, (&'static str, String)> {
        if let Some(text) = secret.string_data.get(name) {
            return Ok(text.as_bytes().into());
        }
        let encoded = secret.data.get(name).ok_or_else(|| invalid(format!("{} has no `{name}`", found.id)))?;
        let compact: String = encoded.split_whitespace().collect();
        let bytes = STANDARD.decode(compact).map_err(|_| invalid(format!("`{name}` of {} is not Base64", found.id)))?;
        Ok(bytes.into())
    };
    let (chain, key) = (field("tls.crt")?, field("tls.key")?);
    check_pem(&chain, "CERTIFICATE").map_err(|fault| invalid(format!("`tls.crt` of {} {fault}", found.id)))?;
    if !contains(&key, b"PRIVATE KEY-----") {
        return Err(invalid(format!("`tls.key` of {} is not a private key in PEM", found.id)));
    }
    Ok((found, CertificatePair { chain_pem: chain, key_pem: SecretBytes(key) }))
}

/// Whether every PEM block of this kind is an X.509 certificate, and there is one.
pub(super) fn check_pem(bytes: &[u8], label: &str) -> Result<(), String> {
    let mut blocks = 0;
    for block in x509_parser::pem::Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|_| "is not PEM".to_owned())?;
        if block.label == label {
            block.parse_x509().map_err(|_| "holds something that is not a certificate".to_owned())?;
            blocks += 1;
        }
    }
    if blocks == 0 { Err("holds no certificate".to_owned()) } else { Ok(()) }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

type ValidationFault = (&'static str, String, Option<ClientValidation>);

/// What a port asks of clients (GEP-91): its own word, else the default.
fn client_validation(
    inventory: &Inventory<'_>,
    document: &Document,
    gateway: &gateway_api::GatewaySpec,
    port: u16,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Result<ClientValidation, ValidationFault>> {
    let frontend = gateway.tls.as_ref()?.frontend.as_ref()?;
    let special = frontend.per_port.iter().position(|entry| entry.port == port);
    let (validation, path) = match special.and_then(|index| Some((index, frontend.per_port.get(index)?))) {
        Some((index, entry)) => {
            (entry.tls.validation.as_ref()?, format!("spec.tls.frontend.perPort[{index}].tls.validation"))
        }
        None => (frontend.default.as_ref()?.validation.as_ref()?, "spec.tls.frontend.default.validation".to_owned()),
    };
    let mode = match validation.mode {
        Some(FrontendMode::AllowInsecureFallback) => ClientValidationMode::AllowInsecureFallback,
        Some(FrontendMode::AllowValidOnly) | None => ClientValidationMode::AllowValidOnly,
    };
    let mut authorities_pem = Vec::new();
    let mut fault = None;
    for (index, reference) in validation.ca_certificate_refs.iter().enumerate() {
        match authority(inventory, document, reference) {
            Ok(pem) => authorities_pem.push(pem),
            Err((reason, message)) => {
                let at = document.span(&format!("{path}.caCertificateRefs[{index}].name"));
                diagnostics
                    .push(Diagnostic::reference("client-authority", message.clone()).at(at, "no authority here"));
                fault = Some((reason, message));
            }
        }
    }
    let nothing_valid = authorities_pem.is_empty();
    let compiled = ClientValidation { authorities_pem, mode };
    Some(match fault {
        None => Ok(compiled),
        Some((reason, message)) => Err((reason, message, (!nothing_valid).then_some(compiled))),
    })
}

/// Whether some port asks for certificates and takes clients without valid ones all the same.
fn falls_back(gateway: &gateway_api::GatewaySpec) -> bool {
    let Some(frontend) = gateway.tls.as_ref().and_then(|tls| tls.frontend.as_ref()) else { return false };
    let per_port = frontend.per_port.iter().map(|entry| &entry.tls);
    per_port
        .chain(&frontend.default)
        .any(|config| config.validation.as_ref().is_some_and(|it| it.mode == Some(FrontendMode::AllowInsecureFallback)))
}

/// An authority's certificates, from a ConfigMap's (or a Secret's) `ca.crt`.
pub(super) fn authority(
    inventory: &Inventory<'_>,
    document: &Document,
    reference: &ObjectReference,
) -> Result<Arc<[u8]>, (&'static str, String)> {
    let namespace = reference.namespace.as_deref().unwrap_or(&document.id.namespace);
    let kind = reference.kind.as_deref().unwrap_or("ConfigMap");
    if reference.group.as_deref().unwrap_or_default() != "" || !matches!(kind, "ConfigMap" | "Secret") {
        return Err(("InvalidCACertificateKind", format!("`{kind}` is not a kind that holds authorities")));
    }
    permitted(inventory, document, "", kind, reference).map_err(|message| ("RefNotPermitted", message))?;
    let invalid = |message: String| ("InvalidCACertificateRef", message);
    let found = inventory
        .find(kind, namespace, &reference.name)
        .ok_or_else(|| invalid(format!("there is no {kind} `{}` in namespace `{namespace}`", reference.name)))?;
    let pem: Arc<[u8]> = match &found.value {
        Kind::ConfigMap(map) => map.data.get("ca.crt").map(|text| text.as_bytes().into()),
        Kind::Secret(secret) => match (secret.string_data.get("ca.crt"), secret.data.get("ca.crt")) {
            (Some(text), _) => Some(text.as_bytes().into()),
            (None, encoded) => encoded.and_then(|text| STANDARD.decode(text.trim()).ok()).map(Arc::from),
        },
        _ => None,
    }
    .ok_or_else(|| invalid(format!("{} has no `ca.crt`", found.id)))?;
    check_pem(&pem, "CERTIFICATE").map_err(|fault| invalid(format!("`ca.crt` of {} {fault}", found.id)))?;
    Ok(pem)
}

/// Listeners on one port must agree on TLS and must not claim the same host.
fn mark_conflicts(document: &Document, listeners: &mut [ListenerDraft<'_>], diagnostics: &mut Vec<Diagnostic>) {
    let facts: Vec<(u16, ListenerProtocol, HostPattern)> =
        listeners.iter().map(|l| (l.spec.port, l.protocol, l.hostname.clone())).collect();
    for (index, listener) in listeners.iter_mut().enumerate() {
        let conflict = facts.iter().enumerate().find_map(|(other, (port, protocol, hostname))| {
            if other == index || *port != listener.spec.port {
                return None;
            }
            let plain = |protocol| protocol == ListenerProtocol::Http;
            if plain(*protocol) != plain(listener.protocol) {
                return Some((other, "ProtocolConflict"));
            }
            (*hostname == listener.hostname).then_some((other, "HostnameConflict"))
        });
        let Some((other, reason)) = conflict else {
            listener.conditions.push(condition("Conflicted", false, "NoConflicts", ""));
            continue;
        };
        listener.conditions.push(condition(
            "Conflicted",
            true,
            reason,
            "another listener of this port stands against it",
        ));
        listener.programmed = false;
        if other < index {
            diagnostics.push(
                Diagnostic::reference(
                    "conflicting-listeners",
                    format!(
                        "listener `{}` conflicts with another one on port {}",
                        listener.spec.name, listener.spec.port
                    ),
                )
                .at(document.span(&format!("spec.listeners[{index}].name")), "this one")
                .note(document.span(&format!("spec.listeners[{other}].name")), "and this one")
                .help("listeners on one port must all speak TLS or none, and must answer for different hosts"),
            );
        }
    }
}

/// A host name of a document as a pattern.
pub(super) fn host_pattern(hostname: Option<&str>) -> HostPattern {
    match hostname {
        None | Some("") => HostPattern::Any,
        Some(name) => match name.strip_prefix('*') {
            Some(suffix) => HostPattern::Suffix(suffix.into()),
            None => HostPattern::Exact(name.into()),
        },
    }
}

impl GatewayDraft<'_> {
    /// The Gateway's listeners that may take connections, and the status of all.
    pub(super) fn finish(self, statuses: &mut Statuses) -> Vec<Listener> {
        let GatewayDraft { document, listeners, addresses, .. } = self;
        let mut finished = Vec::new();
        for draft in listeners {
            statuses.listener(
                &document.id,
                ListenerStatus {
                    name: arc(&draft.spec.name),
                    attached_routes: draft.attached,
                    supported_kinds: draft.kinds.iter().map(|kind| (arc(GATEWAY_GROUP), arc(kind))).collect(),
                    conditions: draft.conditions,
                },
            );
            if !draft.programmed {
                continue;
            }
            finished.push(Listener {
                id: ListenerId {
                    namespace: document.id.namespace.clone(),
                    gateway: document.id.name.clone(),
                    listener: arc(&draft.spec.name),
                },
                addresses: addresses.clone(),
                port: draft.spec.port,
                protocol: draft.protocol,
                hostname: draft.hostname,
                tls: draft.tls,
                routes: RouteTable::new(draft.entries),
                tls_routes: TlsRouteTable::new(draft.tls_entries),
            });
        }
        finished
    }
}
