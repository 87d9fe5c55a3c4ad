//! `portcullis explain`: what would become of one request, stage by stage, with the document and line that decide.

use std::process::ExitCode;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::HOST};
use portcullis_policy::{
    authorize::{Caller, authorize},
    check::check,
    diagnostics,
    routes::{Facts, Found, Model},
    snapshot::{Access, Listener, ListenerProtocol, Rule, Scheme},
};

use crate::{
    canonical::{Head, canonicalise},
    cli::ExplainArgs,
    filters::hygiene::clean_request,
    live::specificity,
    model::{self, ModelSource},
    run::RunError,
};

/// Prints each stage's decision. Exit code 0 if the request would be forwarded or redirected, 1 if it would be refused.
#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
pub fn explain(arguments: &ExplainArgs) -> Result<ExitCode, RunError> {
    let report = check(&arguments.config);
    if !report.is_clean() {
        return Err(RunError::Input(diagnostics::text(&report.diagnostics, false)));
    }
    let input = |error: String| RunError::Input(error);
    let uri: Uri = arguments.url.parse().map_err(|_| input(format!("`{}` is not a URL", arguments.url)))?;
    let method: Method =
        arguments.method.parse().map_err(|_| input(format!("`{}` is not a method", arguments.method)))?;
    let scheme = if uri.scheme_str() == Some("http") { Scheme::Http } else { Scheme::Https };
    let mut headers = request_headers(arguments).map_err(input)?;
    let mut hosts = HeaderMap::new();
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| input("not a host".to_owned()))?;
        hosts.insert(HOST, host);
    }
    let path_and_query = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let head = Head {
        method: &method,
        target: path_and_query.as_bytes(),
        authority: None,
        headers: &hosts,
        scheme,
        extended_connect: false,
    };
    let canonical = match canonicalise(&head) {
        Ok(canonical) => canonical,
        Err(refusal) => {
            println!("canonical    refused: {} {}: {}", refusal.status.as_u16(), refusal.code, refusal.message);
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("canonical    {method} {} {}", canonical.host(), canonical.path());
    let Some(listener) = listener_of(&report.snapshot.listeners, scheme, canonical.host()) else {
        println!("listener     refused: 404, no listener answers for this host over {}", word(scheme));
        return Ok(ExitCode::FAILURE);
    };
    println!("listener     {} (port {})", listener.id, listener.port);
    clean_request(&mut headers);
    let named = model_of(arguments, &method, &canonical, &headers)?;
    let facts = |model| Facts {
        host: canonical.host(),
        method: &method,
        path: canonical.path(),
        query: canonical.query(),
        headers: &headers,
        model,
    };
    let found = match listener.routes.find(&facts(Model::Unread)) {
        Found::NeedsModel(_) => {
            println!("model        {}", named.as_deref().unwrap_or("none is named"));
            listener.routes.find(&facts(Model::Known(named.as_deref())))
        }
        found => found,
    };
    let Found::Rule(matched) = found else {
        println!("route        refused: 404, no rule matches");
        return Ok(ExitCode::FAILURE);
    };
    Ok(explain_rule(matched.rule, &report.snapshot))
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn explain_rule(rule: &Rule, snapshot: &portcullis_policy::Snapshot) -> ExitCode {
    let name = rule.name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
    println!("route        {}, rule {}{name} ({})", rule.route, rule.index, rule.location);
    let (policy, location) = match &rule.access {
        Access::Anonymous { policy, location } | Access::Providers { policy, location, .. } => (policy, location),
    };
    match authorize(&rule.access, &Caller::anonymous()) {
        Ok(_) => println!("access       anyone, says {policy} ({location})"),
        Err(denial) => {
            println!("access       refused: 401, {denial}, says {policy} ({location})");
            return ExitCode::FAILURE;
        }
    }
    if let Some(redirect) = &rule.filters.redirect {
        println!("answer       redirect, {}", redirect.status);
        return ExitCode::SUCCESS;
    }
    if rule.backends.is_empty() {
        println!("backend      refused: 500, the rule has none");
        return ExitCode::FAILURE;
    }
    let total: u32 = rule.backends.iter().map(|backend| backend.weight).sum();
    let mut reachable = false;
    for backend in &rule.backends {
        let share = f64::from(backend.weight) * 100.0 / f64::from(total.max(1));
        match &backend.target {
            Ok(id) => {
                let found = snapshot.backends.get(id.0 as usize);
                let document = found.map(|backend| backend.document.to_string()).unwrap_or_default();
                let endpoints = found.map_or(0, |backend| backend.endpoints.len());
                println!("backend      {share:>3.0} % {document}, {endpoints} endpoints");
                reachable |= backend.weight > 0;
            }
            Err(unresolved) => println!("backend      {share:>3.0} % refused: 500, {unresolved}"),
        }
    }
    if reachable { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn request_headers(arguments: &ExplainArgs) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for text in &arguments.header {
        let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is not `Name: value`"))?;
        let name: HeaderName = name.trim().parse().map_err(|_| format!("`{name}` is not a header name"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| format!("`{value}` is not a header value"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The most specific listener of this scheme for a host, whichever port it has.
fn listener_of<'l>(listeners: &'l [Listener], scheme: Scheme, host: &str) -> Option<&'l Listener> {
    let wanted = if scheme == Scheme::Https { ListenerProtocol::Https } else { ListenerProtocol::Http };
    let of_scheme = listeners.iter().filter(|listener| listener.protocol == wanted);
    let matching = of_scheme.filter_map(|listener| Some((specificity(&listener.hostname, Some(host))?, listener)));
    matching.max_by_key(|(specificity, _): &((u8, usize), &Listener)| *specificity).map(|(_, listener)| listener)
}

fn model_of(
    arguments: &ExplainArgs,
    method: &Method,
    canonical: &crate::canonical::Canonical<'_>,
    headers: &HeaderMap,
) -> Result<Option<String>, RunError> {
    if let Some(model) = &arguments.model {
        return Ok(Some(model.clone()));
    }
    let source = model::source(method, canonical.path(), canonical.query(), headers)
        .map_err(|refusal| RunError::Input(refusal.message.into_owned()))?;
    match (source, &arguments.body) {
        (ModelSource::Here(name), _) => Ok(Some(name.into_owned())),
        (_, Some(file)) => {
            let bytes = std::fs::read(file)
                .map_err(|error| RunError::Input(format!("cannot read `{}`: {error}", file.display())))?;
            let prompt = model::from_json(&bytes).map_err(|refusal| RunError::Input(refusal.message.into_owned()))?;
            Ok(prompt.model.map(std::borrow::Cow::into_owned))
        }
        _ => Ok(None),
    }
}

fn word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}
