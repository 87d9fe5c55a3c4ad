//! `portcullis explain`: what would become of one request, stage by stage, with the document and line that decide.
//!
//! [`mod@decide`] goes through the stages of the exchange with the exchange's own functions; [`who`] makes the caller that the
//! command line supposes, and [`credential`] has the one judged that it shows. `portcullis test` asks here too.

pub mod credential;
pub mod decide;
pub mod guard;
pub mod render;
pub mod who;

use std::process::ExitCode;

use bytes::Bytes;
use clap::{CommandFactory as _, error::ErrorKind};
use http::{HeaderName, HeaderValue, Method, Uri, header::HOST};
use portcullis_mesh::http::{Arrival, Incoming, Interim};
use portcullis_policy::{check::check, diagnostics, snapshot::Scheme};

pub use self::decide::{Asked, Explanation, Outcome, decide};
use crate::{
    cli::{Cli, ExplainArgs, TextOrJson},
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
    let mut arrival = arrival(arguments, method, &uri).map_err(RunError::Input)?;
    if let Some(file) = &arguments.who.credential {
        for (name, value) in credential::read(file).map_err(RunError::Input)? {
            arrival.request.headers_mut().append(name, value);
        }
    }
    let asked = Asked {
        arrival,
        scheme: Some(scheme),
        port: uri.port_u16(),
        model: arguments.model.clone(),
        who: who::of_arguments(&arguments.who, &report.snapshot).map_err(RunError::Input)?,
        source: arguments.who.source,
    };
    let explanation = decide(asked, &report.snapshot);
    let text = match arguments.format {
        TextOrJson::Text => render::text(&explanation),
        TextOrJson::Json => format!("{:#}\n", render::json(&explanation)),
    };
    say(&text);
    Ok(if matches!(explanation.outcome, Outcome::Refused(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The request as a worker would be given it.
fn arrival(arguments: &ExplainArgs, method: &str, uri: &Uri) -> Result<Arrival, String> {
    let body = match &arguments.body {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
            Incoming::Full(Bytes::from(bytes))
        }
        None => Incoming::Empty,
    };
    let path_and_query = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let headers = arguments.header.iter().map(|text| {
        let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is not `Name: value`"))?;
        Ok((name.trim(), value.trim()))
    });
    let headers: Vec<_> = headers.collect::<Result<_, String>>()?;
    let host = uri.authority().map_or("", http::uri::Authority::as_str);
    request(method, host, path_and_query, &headers, body)
}

/// A request from its parts.
pub fn request(
    method: &str,
    host: &str,
    path_and_query: &str,
    fields: &[(&str, &str)],
    body: Incoming,
) -> Result<Arrival, String> {
    let method: Method = method.parse().map_err(|_| format!("`{method}` is not a method"))?;
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path_and_query.parse().map_err(|_| format!("`{path_and_query}` is not a path"))?;
    let headers = request.headers_mut();
    if !host.is_empty() {
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| format!("`{host}` is not a host"))?);
    }
    for (name, value) in fields {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is not a header name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("`{value}` is not a header value"))?;
        headers.append(name, value);
    }
    Ok(Arrival { request, interim: Interim::Nowhere })
}

/// What was asked for goes to standard output. Whoever has read enough may close it.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
