//! Routes: attached to listeners, their rules compiled, each under an AccessPolicy.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Method, StatusCode, header::HOST};

use super::{
    access::{AccessRules, uncovered, unreadable},
    backends::{Backends, Reference},
    filters::{CompiledFilters, Place, compile_filters},
    gateways::{GatewayDraft, host_pattern},
    guardrails::GuardrailRules,
    inventory::Inventory,
    status::{Statuses, arc, route_conditions},
};
use crate::{
    diagnostics::{Class, Diagnostic},
    documents::{
        Document, Kind, formats,
        kinds::{
            GATEWAY_GROUP,
            gateway_api::{
                BackendRef, GrpcMatch, GrpcRule, HttpMatch, HttpMethod, HttpRule, MatchType, ParentReference,
                PathMatchType,
            },
        },
    },
    guard::screen::Guardrails,
    routes::{HeaderMatch, PathMatch, QueryMatch, RouteEntry, TieBreak, TlsRule, ValueMatch},
    snapshot::{Access, HostPattern, ParentStatus, Retry, Rule, Unresolved, WeightedBackend},
};

/// Attempts after the first when a rule asks for retries and does not say how many.
const RETRY_ATTEMPTS_DEFAULT: u32 = 2;

/// The parts of a route that all kinds share.
struct RouteFacts<'d> {
    document: &'d Document,
    parents: &'d [ParentReference],
    hostnames: &'d [String],
    tie: (bool, Arc<str>),
}

/// What every step of compiling a rule needs.
struct Context<'a, 'i, 'd> {
    backends: &'a mut Backends<'i, 'd>,
    statuses: &'a mut Statuses,
    diagnostics: &'a mut Vec<Diagnostic>,
    guardrails: &'a GuardrailRules<'d>,
    /// The first reference of the route that leads nowhere.
    unresolved: Option<(&'static str, String)>,
}

/// A rule with its matches, before its hosts are known.
enum CompiledRule {
    Http(Arc<Rule>, Vec<MatchDraft>),
    Tls(Arc<TlsRule>),
}

struct MatchDraft {
    path: PathMatch,
    method: Option<Method>,
    headers: Vec<HeaderMatch>,
    query: Vec<QueryMatch>,
}

pub(super) fn attach_routes<'d>(
    inventory: &Inventory<'d>,
    access: &AccessRules<'d>,
    guardrails: &GuardrailRules<'d>,
    backends: &mut Backends<'_, 'd>,
    gateways: &mut [GatewayDraft<'d>],
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for document in inventory.documents {
        let (parents, hostnames) = match &document.value {
            Kind::HttpRoute(route) => (&route.spec.parent_refs, &route.spec.hostnames),
            Kind::GrpcRoute(route) => (&route.spec.parent_refs, &route.spec.hostnames),
            Kind::TlsRoute(route) => (&route.spec.parent_refs, &route.spec.hostnames),
            _ => continue,
        };
        let created = document.value.metadata().creation_timestamp.as_deref();
        let facts =
            RouteFacts { document, parents, hostnames, tie: (created.is_none(), arc(created.unwrap_or_default())) };
        if parents.is_empty() {
            diagnostics.push(
                Diagnostic::warning("no-parent", format!("{} is attached to nothing", document.id))
                    .at(document.name_span(), "serves nobody")
                    .help("name a Gateway in `spec.parentRefs`"),
            );
        }
        let mut done: Vec<usize> = Vec::new();
        for (index, parent) in facts.parents.iter().enumerate() {
            attach(
                inventory,
                access,
                guardrails,
                backends,
                gateways,
                &facts,
                index,
                parent,
                &mut done,
                statuses,
                diagnostics,
            );
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one parent of one route, and all that it touches")]
fn attach<'d>(
    inventory: &Inventory<'d>,
    access: &AccessRules<'d>,
    guardrails: &GuardrailRules<'d>,
    backends: &mut Backends<'_, 'd>,
    gateways: &mut [GatewayDraft<'d>],
    route: &RouteFacts<'d>,
    index: usize,
    parent: &ParentReference,
    compiled: &mut Vec<usize>,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let document = route.document;
    let path = |field: &str| document.span(&format!("spec.parentRefs[{index}].{field}"));
    if parent.group.as_deref().unwrap_or(GATEWAY_GROUP) != GATEWAY_GROUP
        || parent.kind.as_deref().unwrap_or("Gateway") != "Gateway"
    {
        let kind = parent.kind.as_deref().unwrap_or_default();
        let diagnostic = if kind == "ListenerSet" {
            Diagnostic::enforcement("not-enforced-yet", "ListenerSets are not served yet, so `run` refuses them")
        } else {
            Diagnostic::reference("unknown-parent", format!("a route cannot have a `{kind}` as its parent"))
        };
        diagnostics.push(diagnostic.at(path("kind"), "not a parent here"));
        return;
    }
    let namespace = parent.namespace.as_deref().unwrap_or(&document.id.namespace);
    let found =
        gateways.iter().position(|g| *g.document.id.namespace == *namespace && *g.document.id.name == *parent.name);
    let Some(at) = found else {
        // A Gateway of another controller is none of our business; one that does not exist is a mistake.
        if inventory.find("Gateway", namespace, &parent.name).is_none() {
            let place = format!("spec.parentRefs[{index}].name");
            diagnostics.push(inventory.not_found_in(document, &place, "Gateway", namespace, &parent.name));
        }
        return;
    };
    let Some(gateway) = gateways.get(at) else { return };
    let (listeners, refusal) = matching_listeners(inventory, gateway, route, parent, namespace);
    let accepted = if listeners.is_empty() { Err(refusal) } else { Ok(()) };
    let mut unresolved = None;
    // Two references to one Gateway share its rules; what is wrong with them is said once.
    let mut quiet = Vec::new();
    let first_time = !compiled.contains(&at);
    {
        let sink = if first_time { &mut *diagnostics } else { &mut quiet };
        let mut context = Context { backends, statuses, diagnostics: sink, guardrails, unresolved: None };
        let rules = compile_rules(route, gateway, access, &mut context);
        unresolved = context.unresolved.or(unresolved);
        if let Some(gateway) = gateways.get_mut(at) {
            for (listener, hosts) in listeners {
                for rule in &rules {
                    // A redirect is answered before anyone is asked who they are.
                    if let CompiledRule::Http(rule, _) = rule
                        && rule.filters.redirect.is_none()
                    {
                        access.check_listener(&rule.access, gateway, listener, diagnostics);
                    }
                }
                add_to_listener(gateway, listener, &hosts, route, &rules);
            }
        }
    }
    compiled.push(at);
    if let Err(reason) = accepted {
        let (what, help) = match reason {
            "NoMatchingParent" => ("no listener of this Gateway has that name and port", "look at its `listeners`"),
            "NoMatchingListenerHostname" => (
                "no listener answers for any of the route's hosts",
                "compare `hostnames` with the listeners' `hostname`",
            ),
            _ => ("its listeners do not take this route", "look at the listeners' `allowedRoutes`"),
        };
        diagnostics.push(
            Diagnostic::reference(
                "not-attached",
                format!("{} does not attach to Gateway `{}`: {what}", document.id, parent.name),
            )
            .at(path("name"), "not attached")
            .help(help),
        );
    }
    let Some(gateway) = gateways.get(at) else { return };
    let resolved = unresolved.map_or(Ok(()), Err);
    statuses.parent(
        &document.id,
        ParentStatus {
            parent: gateway.document.id.clone(),
            section_name: parent.section_name.as_deref().map(arc),
            port: parent.port,
            conditions: route_conditions(accepted, resolved),
        },
    );
}

/// The listeners a parent reference means, with the hosts on each; or why there are none.
fn matching_listeners(
    inventory: &Inventory<'_>,
    gateway: &GatewayDraft<'_>,
    route: &RouteFacts<'_>,
    parent: &ParentReference,
    home: &str,
) -> (Vec<(usize, Vec<HostPattern>)>, &'static str) {
    let mut refusal = "NoMatchingParent";
    let mut listeners = Vec::new();
    for (index, listener) in gateway.listeners.iter().enumerate() {
        let named = parent.section_name.as_deref().is_none_or(|name| name == listener.spec.name);
        if !named || parent.port.is_some_and(|port| port != listener.spec.port) {
            continue;
        }
        if refusal == "NoMatchingParent" {
            refusal = "NotAllowedByListeners";
        }
        let namespaces = listener.spec.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
        let takes_kind = listener.kinds.iter().any(|kind| **kind == *route.document.id.kind);
        if !takes_kind || !inventory.admits(namespaces, home, &route.document.id.namespace) {
            continue;
        }
        let hosts = effective_hosts(&listener.hostname, route.hostnames);
        if hosts.is_empty() {
            refusal = "NoMatchingListenerHostname";
            continue;
        }
        listeners.push((index, hosts));
    }
    (listeners, refusal)
}

/// The hosts that both listener and route speak for.
fn effective_hosts(listener: &HostPattern, hostnames: &[String]) -> Vec<HostPattern> {
    if hostnames.is_empty() {
        return vec![listener.clone()];
    }
    hostnames.iter().filter_map(|hostname| intersect(listener, &host_pattern(Some(hostname)))).collect()
}

fn intersect(a: &HostPattern, b: &HostPattern) -> Option<HostPattern> {
    let covers = |suffix: &str, name: &str| name.len() > suffix.len() && name.ends_with(suffix);
    match (a, b) {
        (HostPattern::Any, other) | (other, HostPattern::Any) => Some(other.clone()),
        (HostPattern::Exact(x), HostPattern::Exact(y)) => (x == y).then(|| a.clone()),
        (HostPattern::Exact(name), HostPattern::Suffix(suffix))
        | (HostPattern::Suffix(suffix), HostPattern::Exact(name)) => {
            covers(suffix, name).then(|| HostPattern::Exact(name.clone()))
        }
        (HostPattern::Suffix(x), HostPattern::Suffix(y)) if x == y || covers(y, x) => Some(a.clone()),
        (HostPattern::Suffix(x), HostPattern::Suffix(y)) => covers(x, y).then(|| b.clone()),
    }
}

fn add_to_listener(
    gateway: &mut GatewayDraft<'_>,
    listener: usize,
    hosts: &[HostPattern],
    route: &RouteFacts<'_>,
    rules: &[CompiledRule],
) {
    let Some(listener) = gateway.listeners.get_mut(listener) else { return };
    listener.attached += 1;
    let name = arc(&format!("{}/{}", route.document.id.namespace, route.document.id.name));
    for (rule_index, rule) in rules.iter().enumerate() {
        for host in hosts {
            let tie =
                |matching| TieBreak { created: route.tie.clone(), route: name.clone(), rule: rule_index, matching };
            match rule {
                CompiledRule::Tls(rule) => listener.tls_entries.push((host.clone(), tie(0), rule.clone())),
                CompiledRule::Http(rule, matches) => {
                    for (index, draft) in matches.iter().enumerate() {
                        listener.entries.push(RouteEntry {
                            host: host.clone(),
                            path: draft.path.clone(),
                            method: draft.method.clone(),
                            headers: draft.headers.clone(),
                            query: draft.query.clone(),
                            tie: tie(index),
                            rule: rule.clone(),
                        });
                    }
                }
            }
        }
    }
}

fn compile_rules<'d>(
    route: &RouteFacts<'d>,
    gateway: &GatewayDraft<'d>,
    access: &AccessRules<'d>,
    context: &mut Context<'_, '_, 'd>,
) -> Vec<CompiledRule> {
    let document = route.document;
    let Some(access) = access.of(document, &gateway.document.id) else {
        context.diagnostics.push(uncovered(document, &gateway.document.id));
        return Vec::new();
    };
    match &document.value {
        Kind::HttpRoute(spec) => {
            let rules = spec.spec.rules.iter().enumerate();
            rules.map(|(index, rule)| http_rule(document, index, rule, gateway, access, context)).collect()
        }
        Kind::GrpcRoute(spec) => {
            let rules = spec.spec.rules.iter().enumerate();
            rules.map(|(index, rule)| grpc_rule(document, index, rule, gateway, access, context)).collect()
        }
        Kind::TlsRoute(spec) => {
            context.diagnostics.extend(unreadable(document, access));
            context.guardrails.check_tls_route(document, &gateway.document.id, context.diagnostics);
            let rules = spec.spec.rules.iter().enumerate();
            rules
                .map(|(index, rule)| {
                    let path = format!("spec.rules[{index}]");
                    let backends = backend_refs(document, &path, &rule.backend_refs, true, gateway, context);
                    CompiledRule::Tls(Arc::new(TlsRule {
                        route: document.id.clone(),
                        backends,
                        access: access.clone(),
                    }))
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

fn http_rule<'d>(
    document: &'d Document,
    index: usize,
    spec: &'d HttpRule,
    gateway: &GatewayDraft<'d>,
    access: &Access,
    context: &mut Context<'_, '_, 'd>,
) -> CompiledRule {
    let path = format!("spec.rules[{index}]");
    let by_prefix = spec.matches.iter().all(|matching| {
        matching.path.as_ref().and_then(|path| path.kind).unwrap_or(PathMatchType::PathPrefix)
            == PathMatchType::PathPrefix
    });
    if spec.session_persistence.is_some() {
        context.diagnostics.push(
            Diagnostic::enforcement("not-enforced-yet", "session persistence is not built, so `run` refuses it")
                .at(document.span(&format!("{path}.sessionPersistence")), "not built"),
        );
    }
    let place = Place { document, gateway, path: format!("{path}.filters"), by_prefix };
    let compiled = compile_filters(&spec.filters, &place, context.backends, context.statuses, context.diagnostics);
    if compiled.filters.redirect.is_some() && !spec.backend_refs.is_empty() {
        context.diagnostics.push(
            Diagnostic::error("incompatible-filters", "a rule that redirects forwards nothing")
                .at(document.span(&format!("{path}.backendRefs")), "never reached")
                .help("remove `backendRefs`, or the redirect"),
        );
    }
    let backends = backend_refs(document, &path, &spec.backend_refs, by_prefix, gateway, context);
    let (request_timeout, backend_request_timeout) = timeouts(document, &path, spec, context.diagnostics);
    let retry = spec.retry.as_ref().map(|retry| Retry {
        codes: retry.codes.iter().filter_map(|code| StatusCode::from_u16(*code).ok()).collect(),
        attempts: retry.attempts.unwrap_or(RETRY_ATTEMPTS_DEFAULT),
        backoff: retry.backoff.as_deref().and_then(formats::duration).unwrap_or_default(),
    });
    let matches = if spec.matches.is_empty() {
        vec![MatchDraft { path: PathMatch::Prefix(arc("/")), method: None, headers: Vec::new(), query: Vec::new() }]
    } else {
        let matches = spec.matches.iter().enumerate();
        matches
            .filter_map(|(i, m)| http_match(document, &format!("{path}.matches[{i}]"), m, context.diagnostics))
            .collect()
    };
    let name = spec.name.as_deref();
    let guardrails = context.guardrails.of(document, name, &gateway.document.id, context.diagnostics);
    for (place, reference) in spec.backend_refs.iter().enumerate() {
        let Some(service) = context.backends.websocket_service(led_to(document, reference)) else { continue };
        let place = format!("{path}.backendRefs[{place}]");
        context.guardrails.check_websocket(document, &place, service, guardrails.as_ref(), context.diagnostics);
    }
    let rule = rule(document, index, name, compiled, backends, access, guardrails, false);
    CompiledRule::Http(Arc::new(Rule { request_timeout, backend_request_timeout, retry, ..rule }), matches)
}

#[expect(clippy::too_many_arguments, reason = "what all kinds of rules have in common")]
fn rule(
    document: &Document,
    index: usize,
    name: Option<&str>,
    compiled: CompiledFilters,
    backends: Vec<WeightedBackend>,
    access: &Access,
    guardrails: Option<Arc<Guardrails>>,
    grpc: bool,
) -> Rule {
    // A filter that leads nowhere must not be passed by: the rule answers 500.
    let backends = if compiled.broken { Vec::new() } else { backends };
    Rule {
        route: document.id.clone(),
        name: name.map(arc),
        index,
        location: document.location(&format!("spec.rules[{index}]")),
        filters: compiled.filters,
        backends,
        request_timeout: None,
        backend_request_timeout: None,
        retry: None,
        access: access.clone(),
        guardrails,
        grpc,
    }
}

fn timeouts(
    document: &Document,
    path: &str,
    spec: &HttpRule,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Option<Duration>, Option<Duration>) {
    let Some(timeouts) = &spec.timeouts else { return (None, None) };
    // Zero means that there is none (GEP-1742).
    let read = |text: &Option<String>| text.as_deref().and_then(formats::duration).filter(|d| !d.is_zero());
    let (request, attempt) = (read(&timeouts.request), read(&timeouts.backend_request));
    if let (Some(request), Some(attempt)) = (request, attempt)
        && attempt > request
    {
        diagnostics.push(
            Diagnostic::error("out-of-range", "one attempt cannot take longer than the whole request")
                .at(document.span(&format!("{path}.timeouts.backendRequest")), "longer than `request`")
                .note(document.span(&format!("{path}.timeouts.request")), "the whole request"),
        );
    }
    (request, attempt)
}

/// What a reference of a route names.
fn led_to<'a>(document: &'a Document, reference: &'a BackendRef) -> Reference<'a> {
    Reference {
        group: reference.group.as_deref().unwrap_or_default(),
        kind: reference.kind.as_deref().unwrap_or("Service"),
        namespace: reference.namespace.as_deref().unwrap_or(&document.id.namespace),
        name: &reference.name,
        port: reference.port,
    }
}

fn backend_refs<'d>(
    document: &'d Document,
    rule: &str,
    references: &'d [BackendRef],
    by_prefix: bool,
    gateway: &GatewayDraft<'d>,
    context: &mut Context<'_, '_, 'd>,
) -> Vec<WeightedBackend> {
    let mut backends = Vec::with_capacity(references.len());
    for (index, reference) in references.iter().enumerate() {
        let path = format!("{rule}.backendRefs[{index}]");
        let target = context.backends.resolve(
            document,
            &path,
            led_to(document, reference),
            gateway,
            context.statuses,
            context.diagnostics,
        );
        if let Err(unresolved) = &target {
            let reason = match unresolved {
                Unresolved::InvalidKind => "InvalidKind",
                Unresolved::BackendNotFound => "BackendNotFound",
                Unresolved::RefNotPermitted => "RefNotPermitted",
                Unresolved::UnsupportedProtocol => "UnsupportedProtocol",
                Unresolved::InvalidBackendTls => "",
            };
            // An invalid BackendTLSPolicy has a status of its own.
            if !reason.is_empty() {
                context.unresolved.get_or_insert((
                    reason,
                    format!("{} `{}`: {unresolved}", reference.kind.as_deref().unwrap_or("Service"), reference.name),
                ));
            }
        }
        let place = Place { document, gateway, path: format!("{path}.filters"), by_prefix };
        let compiled =
            compile_filters(&reference.filters, &place, context.backends, context.statuses, context.diagnostics);
        backends.push(WeightedBackend {
            target: if compiled.broken { Err(Unresolved::InvalidKind) } else { target },
            weight: reference.weight.unwrap_or(1),
            filters: compiled.filters,
        });
    }
    backends
}

fn http_match(
    document: &Document,
    path: &str,
    spec: &HttpMatch,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<MatchDraft> {
    let before = diagnostics.len();
    let value = spec.path.as_ref().and_then(|path| path.value.as_deref()).unwrap_or("/");
    let at = |field: &str| document.span(&format!("{path}.{field}"));
    let kind = spec.path.as_ref().and_then(|path| path.kind).unwrap_or(PathMatchType::PathPrefix);
    let path_match = match kind {
        PathMatchType::RegularExpression => match formats::regex(value) {
            Ok(regex) => PathMatch::Regex(regex),
            Err(reason) => {
                diagnostics.push(bad_regex(&reason).at(at("path.value"), "this expression"));
                return None;
            }
        },
        PathMatchType::Exact | PathMatchType::PathPrefix => {
            if let Some(fault) = path_fault(value) {
                diagnostics.push(
                    Diagnostic::error("invalid-value", format!("`{value}` {fault}, so that no request can match it"))
                        .at(at("path.value"), "never matched"),
                );
                return None;
            }
            match kind {
                PathMatchType::Exact => PathMatch::Exact(arc(value)),
                _ => PathMatch::Prefix(arc(if value.len() > 1 { value.trim_end_matches('/') } else { value })),
            }
        }
    };
    let headers = header_matches(document, path, &spec.headers, diagnostics);
    let query = spec.query_params.iter().enumerate().filter_map(|(index, query)| {
        let value = value_match(query.kind, &query.value, || at(&format!("queryParams[{index}].value")), diagnostics)?;
        Some(QueryMatch { name: arc(&query.name), value })
    });
    let query = query.collect();
    if spec.method == Some(HttpMethod::Connect) {
        diagnostics.push(
            Diagnostic::warning("never-matched", "CONNECT is refused before any route is looked at")
                .at(at("method"), "never matched"),
        );
    }
    let draft = MatchDraft { path: path_match, method: spec.method.map(method), headers, query };
    diagnostics
        .get(before..)
        .unwrap_or_default()
        .iter()
        .all(|d| d.class != Class::Document || !d.is_error())
        .then_some(draft)
}

/// What the canonical form never has (so a match that has it is dead).
fn path_fault(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("does not begin with `/`");
    }
    let segments = || path.split('/').skip(1);
    if path.contains("//") {
        return Some("has an empty segment");
    }
    if segments().any(|segment| matches!(segment, "." | "..")) {
        return Some("has a dot segment");
    }
    if path.contains(['?', '#']) {
        return Some("has a query or a fragment");
    }
    let lower = path.to_ascii_lowercase();
    if ["%2f", "%5c", "%00"].iter().any(|code| lower.contains(code)) || path.contains('\\') {
        return Some("has an encoding that is refused");
    }
    None
}

fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Connect => Method::CONNECT,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Trace => Method::TRACE,
        HttpMethod::Patch => Method::PATCH,
    }
}

fn header_matches(
    document: &Document,
    path: &str,
    specs: &[crate::documents::kinds::gateway_api::HeaderMatch],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<HeaderMatch> {
    let mut matches: Vec<HeaderMatch> = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let Ok(name) = HeaderName::from_bytes(spec.name.as_bytes()) else { continue };
        // Of several entries with one name, only the first counts (Gateway API).
        if matches.iter().any(|other| other.name == name) {
            diagnostics.push(
                Diagnostic::warning("ignored-match", format!("`{name}` is matched already; only the first counts"))
                    .at(document.span(&format!("{path}.headers[{index}].name")), "has no effect"),
            );
            continue;
        }
        if name == HOST {
            diagnostics.push(
                Diagnostic::warning("never-matched", "the host is not matched as a header")
                    .at(document.span(&format!("{path}.headers[{index}].name")), "never matched")
                    .help("write `hostnames` in the route's `spec`"),
            );
        }
        let at = || document.span(&format!("{path}.headers[{index}].value"));
        if let Some(value) = value_match(spec.kind, &spec.value, at, diagnostics) {
            matches.push(HeaderMatch { name, value });
        }
    }
    matches
}

fn value_match(
    kind: Option<MatchType>,
    value: &str,
    at: impl Fn() -> crate::diagnostics::Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ValueMatch> {
    match kind.unwrap_or(MatchType::Exact) {
        MatchType::Exact => Some(ValueMatch::Exact(arc(value))),
        MatchType::RegularExpression => match formats::regex(value) {
            Ok(regex) => Some(ValueMatch::Regex(regex)),
            Err(reason) => {
                diagnostics.push(bad_regex(&reason).at(at(), "this expression"));
                None
            }
        },
    }
}

fn bad_regex(reason: &str) -> Diagnostic {
    Diagnostic::error("invalid-value", format!("not a regular expression that can be used: {reason}"))
        .help("the syntax is that of https://docs.rs/regex; it has neither look-around nor back-references")
}

fn grpc_rule<'d>(
    document: &'d Document,
    index: usize,
    spec: &'d GrpcRule,
    gateway: &GatewayDraft<'d>,
    access: &Access,
    context: &mut Context<'_, '_, 'd>,
) -> CompiledRule {
    let path = format!("spec.rules[{index}]");
    let place = Place { document, gateway, path: format!("{path}.filters"), by_prefix: false };
    let compiled = compile_filters(&spec.filters, &place, context.backends, context.statuses, context.diagnostics);
    let backends = backend_refs(document, &path, &spec.backend_refs, false, gateway, context);
    let any = GrpcMatch { method: None, headers: Vec::new() };
    let matches = if spec.matches.is_empty() { std::slice::from_ref(&any) } else { &spec.matches };
    let drafts = matches
        .iter()
        .enumerate()
        .filter_map(|(i, matching)| {
            grpc_match(document, &format!("{path}.matches[{i}]"), matching, context.diagnostics)
        })
        .collect();
    let name = spec.name.as_deref();
    let guardrails = context.guardrails.of(document, name, &gateway.document.id, context.diagnostics);
    let rule = rule(document, index, name, compiled, backends, access, guardrails, true);
    CompiledRule::Http(Arc::new(rule), drafts)
}

/// A gRPC method is a path: `/package.Service/Method`.
fn grpc_match(
    document: &Document,
    path: &str,
    spec: &GrpcMatch,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<MatchDraft> {
    let method = spec.method.as_ref();
    let kind = method.and_then(|method| method.kind).unwrap_or(MatchType::Exact);
    let service = method.and_then(|method| method.service.as_deref()).filter(|text| !text.is_empty());
    let name = method.and_then(|method| method.method.as_deref()).filter(|text| !text.is_empty());
    let path_match = match (kind, service, name) {
        (_, None, None) => PathMatch::Prefix(arc("/")),
        (MatchType::Exact, Some(service), Some(name)) => PathMatch::Exact(arc(&format!("/{service}/{name}"))),
        (MatchType::Exact, Some(service), None) => PathMatch::Prefix(arc(&format!("/{service}"))),
        (MatchType::Exact, None, Some(name)) => PathMatch::GrpcMethod(arc(name)),
        (kind, service, name) => {
            let literal = |text: &str| if kind == MatchType::Exact { regex::escape(text) } else { text.to_owned() };
            let service = service.map_or("[^/]+".to_owned(), literal);
            let name = name.map_or("[^/]+".to_owned(), literal);
            match formats::regex(&format!("/(?:{service})/(?:{name})")) {
                Ok(regex) => PathMatch::Regex(regex),
                Err(reason) => {
                    diagnostics
                        .push(bad_regex(&reason).at(document.span(&format!("{path}.method")), "this expression"));
                    return None;
                }
            }
        }
    };
    let headers = header_matches(document, path, &spec.headers, diagnostics);
    Some(MatchDraft { path: path_match, method: Some(Method::POST), headers, query: Vec::new() })
}
