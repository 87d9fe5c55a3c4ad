//! `portcullis explain`: what would become of one request, stage by stage, with the document and line that decide.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use bytes::Bytes;
use clap::{CommandFactory as _, error::ErrorKind};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Method, Uri, header::HOST};
use portcullis_mesh::http::{Arrival, Incoming, Interim};
use portcullis_policy::{
    Snapshot,
    action::Action,
    authorize::{AboutModel, Caller, Question, authorize},
    check::check,
    diagnostics,
    routes::Match,
    snapshot::{Listener, ListenerProtocol, Rule, Scheme},
};

use crate::{
    canonical::Canonical,
    cli::{Cli, ExplainArgs},
    filters::identifiers::RequestId,
    live::specificity,
    prompt,
    receive::{Line, Request, receive},
    refusal::Refusal,
    route::{Candidates, candidates},
    run::RunError,
};

/// A command line that cannot be understood, as clap ends those it finds itself.
const EXIT_USAGE: u8 = 2;

/// Prints each stage's decision. Exit code 0 if the request would be forwarded or redirected, 1 if it would be refused.
pub fn explain(arguments: &ExplainArgs) -> Result<ExitCode, RunError> {
    let (config, method, url) = match arguments.request() {
        Ok(request) => request,
        Err(missing) => {
            let error = Cli::command().error(ErrorKind::MissingRequiredArgument, missing);
            // Nobody is left to tell if it cannot be printed.
            let _ = error.print();
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let report = check(config);
    if !report.is_clean() {
        return Err(RunError::Input(diagnostics::text(&report.diagnostics, false)));
    }
    let uri: Uri = url.parse().map_err(|_| RunError::Input(format!("`{url}` is not a URL")))?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(RunError::Input(format!("`{url}` does not begin with `http://` or `https://`"))),
    };
    let arrival = arrival(arguments, method, &uri).map_err(RunError::Input)?;
    Ok(stages(arguments, arrival, scheme, uri.port_u16(), &report.snapshot))
}

/// The stages of the exchange, in their order, by the exchange's own functions.
fn stages(
    arguments: &ExplainArgs,
    arrival: Arrival,
    scheme: Scheme,
    port: Option<u16>,
    snapshot: &Snapshot,
) -> ExitCode {
    let (line, mut request) = receive(arrival, &RequestId::generate(0, 0));
    let canonical = match line.canonical(scheme) {
        Ok(canonical) => canonical,
        Err(refusal) => return refused("canonical", &refusal),
    };
    say(format_args!("canonical    {} {} {}", line.method, canonical.host(), canonical.path()));
    let Some(listener) = listener_of(&snapshot.listeners, scheme, port, canonical.host()) else {
        say(format_args!("listener     refused: 404, no listener answers for this host over {}", word(scheme)));
        return ExitCode::FAILURE;
    };
    say(format_args!("listener     {} (port {})", listener.id, listener.port));
    let candidates = match candidates(listener, &line, &canonical, &request) {
        Ok(candidates) => candidates,
        Err(refusal) => return refused("route", &refusal),
    };
    let model = match model_of(arguments, &candidates, snapshot, &line, &canonical, &mut request) {
        Ok(model) => model,
        Err(refusal) => return refused("model", &refusal),
    };
    if let (Candidates::ByModel(_), _) | (_, Some(_)) = (&candidates, &model) {
        say(format_args!("model        {}", model.as_deref().unwrap_or("none is named")));
    }
    match candidates.choose(listener, &line, &canonical, &request, model.as_deref()) {
        Ok(Match { rule, .. }) => explain_rule(rule, snapshot),
        Err(refusal) => refused("route", &refusal),
    }
}

fn refused(stage: &str, refusal: &Refusal) -> ExitCode {
    say(format_args!("{stage:<12} refused: {} {}: {}", refusal.status.as_u16(), refusal.code, refusal.message));
    ExitCode::FAILURE
}

fn explain_rule(rule: &Rule, snapshot: &Snapshot) -> ExitCode {
    let name = rule.name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
    say(format_args!("route        {}, rule {}{name} ({})", rule.route, rule.index, rule.location));
    let (policy, location) = (rule.access.policy(), rule.access.location());
    let headers = http::HeaderMap::new();
    let question = Question { action: Action::Access, model: AboutModel::None, headers: &headers, source: None };
    match authorize(snapshot, rule, &Caller::anonymous(), &question) {
        Ok(_) => say(format_args!("access       anyone, says {policy} ({location})")),
        Err(denial) => {
            say(format_args!("access       refused: 401, {denial}, says {policy} ({location})"));
            return ExitCode::FAILURE;
        }
    }
    if let Some(redirect) = &rule.filters.redirect {
        say(format_args!("answer       redirect, {}", redirect.status));
        return ExitCode::SUCCESS;
    }
    if rule.backends.is_empty() {
        say(format_args!("backend      refused: 500, the rule has none"));
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
                say(format_args!("backend      {share:>3.0} % {document}, {endpoints} endpoints"));
                reachable |= backend.weight > 0;
            }
            Err(unresolved) => say(format_args!("backend      {share:>3.0} % refused: 500, {unresolved}")),
        }
    }
    if reachable { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The request as a worker would be given it.
fn arrival(arguments: &ExplainArgs, method: &str, uri: &Uri) -> Result<Arrival, String> {
    let method: Method = method.parse().map_err(|_| format!("`{method}` is not a method"))?;
    let path_and_query = uri.path_and_query().cloned().unwrap_or(http::uri::PathAndQuery::from_static("/"));
    let body = match &arguments.body {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
            Incoming::Full(Bytes::from(bytes))
        }
        None => Incoming::Empty,
    };
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path_and_query);
    let headers = request.headers_mut();
    if let Some(authority) = uri.authority() {
        headers.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(|_| "not a host".to_owned())?);
    }
    for text in &arguments.header {
        let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is not `Name: value`"))?;
        let name: HeaderName = name.trim().parse().map_err(|_| format!("`{name}` is not a header name"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| format!("`{value}` is not a header value"))?;
        headers.append(name, value);
    }
    Ok(Arrival { request, interim: Interim::Nowhere })
}

/// The most specific listener of this scheme for a host. A URL without a port means the scheme's own, and where no
/// listener has that one, any: documents often name the port behind a load balancer.
fn listener_of<'l>(listeners: &'l [Listener], scheme: Scheme, port: Option<u16>, host: &str) -> Option<&'l Listener> {
    let (wanted, well_known) = match scheme {
        Scheme::Https => (ListenerProtocol::Https, 443),
        Scheme::Http => (ListenerProtocol::Http, 80),
    };
    let at = |port: Option<u16>| {
        let of_scheme = listeners.iter().filter(move |listener| listener.protocol == wanted);
        of_scheme.filter(move |listener| port.is_none_or(|port| listener.port == port))
    };
    let port = port.or_else(|| at(Some(well_known)).next().map(|_| well_known));
    let matching = at(port).filter_map(|listener| Some((specificity(&listener.hostname, Some(host))?, listener)));
    // `max_by_key` takes the last of equals; workers take the first.
    let matching = matching.collect::<Vec<_>>().into_iter().rev();
    matching.max_by_key(|(specificity, _)| *specificity).map(|(_, listener)| listener)
}

/// The model, as the prompt's stage reads it, unless the command line says it.
fn model_of(
    arguments: &ExplainArgs,
    candidates: &Candidates<'_>,
    snapshot: &Snapshot,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &mut Request,
) -> Result<Option<String>, Refusal> {
    if let Some(model) = &arguments.model {
        return Ok(Some(model.clone()));
    }
    let read = prompt::read(candidates.need(snapshot, line, canonical), line, canonical, request);
    // The body is in memory, so nothing is waited for.
    read.now_or_never().unwrap_or_else(|| Err(Refusal::internal()))
}

/// What was asked for goes to standard output. Whoever has read enough may close it.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}
