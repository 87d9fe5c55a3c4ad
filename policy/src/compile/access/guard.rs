//! What an AccessPolicy with providers asks for, and what it tells backends.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Uri};

use crate::{
    compile::{identity::Providers, inventory::Inventory, status::arc},
    diagnostics::Diagnostic,
    documents::{
        Document, formats,
        kinds::ours::{self, AccessPolicy},
    },
    snapshot::{Access, Guard, ProtectedResource, Upstream},
};

const LIFETIME_DEFAULT: Duration = Duration::from_mins(1);
/// How long a JWT that the gateway signs is good for at most: nothing takes it back.
const LIFETIME_MAX: Duration = Duration::from_mins(10);
const LIFETIME_MIN: Duration = Duration::from_secs(1);

/// Headers that say how a message is framed, where it goes or what is in it: they cannot carry who the caller is.
const RESERVED_HEADERS: [&str; 20] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "grpc-timeout",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-gateway-model-name",
];
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "sec-", "x-forwarded-"];

pub(super) fn compile(
    document: &Document,
    policy: &AccessPolicy,
    providers: &Providers,
    inventory: &Inventory<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Access {
    let names = &policy.spec.authentication.providers;
    let mut named = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let path = format!("spec.authentication.providers[{index}]");
        if let Some(first) = names.iter().take(index).position(|other| other == name) {
            diagnostics.push(
                Diagnostic::error("provider-twice", format!("`{name}` is named twice"))
                    .at(document.span(&path), "again here")
                    .note(document.span(&format!("spec.authentication.providers[{first}]")), "first here"),
            );
            continue;
        }
        let Some(found) = inventory.find("IdentityProvider", &document.id.namespace, name) else {
            diagnostics.push(inventory.not_found(document, &path, "IdentityProvider", name));
            continue;
        };
        named.extend(providers.id(&found.id));
    }
    let authenticated = policy.spec.authorization.as_ref().is_some_and(|needs| needs.authenticated.is_some());
    Access::Guarded(Arc::new(Guard {
        policy: document.id.clone(),
        location: document.location("spec.authentication.providers"),
        providers: named,
        open_to_known: authenticated.then(|| document.location("spec.authorization.authenticated")),
        upstream: policy.spec.upstream.as_ref().map_or(Upstream::Nothing, |spec| upstream(document, spec, diagnostics)),
        resource: policy.spec.resource.as_ref().and_then(|spec| resource(document, spec, diagnostics)),
    }))
}

fn upstream(document: &Document, spec: &ours::Upstream, diagnostics: &mut Vec<Diagnostic>) -> Upstream {
    match spec {
        ours::Upstream { jwt: Some(jwt), .. } => Upstream::Jwt {
            audience: audience(document, &jwt.audience, diagnostics),
            lifetime: lifetime(document, jwt.lifetime.as_deref(), diagnostics),
            header: match &jwt.header {
                Some(name) => header(document, "spec.upstream.jwt.header", name, diagnostics)
                    .unwrap_or(http::header::AUTHORIZATION),
                None => http::header::AUTHORIZATION,
            },
        },
        ours::Upstream { headers: Some(headers), .. } => upstream_headers(document, headers, diagnostics),
        ours::Upstream { credential: Some(_), .. } => Upstream::Credential,
        _ => Upstream::Nothing,
    }
}

fn audience(document: &Document, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Arc<str> {
    if text.is_empty() {
        diagnostics.push(
            Diagnostic::error("invalid-value", "an empty string says nothing here")
                .at(document.span("spec.upstream.jwt.audience"), "empty")
                .help("name who the JWT is for: without that, whoever receives it can use it elsewhere"),
        );
    }
    arc(text)
}

fn lifetime(document: &Document, text: Option<&str>, diagnostics: &mut Vec<Diagnostic>) -> Duration {
    let lifetime = text.and_then(formats::duration).unwrap_or(LIFETIME_DEFAULT);
    if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
        let message = format!("`{}` is out of range: from 1s to 10m", text.unwrap_or_default());
        diagnostics.push(
            Diagnostic::error("out-of-range", message)
                .at(document.span("spec.upstream.jwt.lifetime"), "out of range")
                .help("nothing takes a signed JWT back before it expires"),
        );
    }
    lifetime
}

fn upstream_headers(document: &Document, spec: &ours::UpstreamHeaders, diagnostics: &mut Vec<Diagnostic>) -> Upstream {
    let mut seen: Vec<(HeaderName, &str)> = Vec::new();
    let mut read = |field: &'static str, name: Option<&str>| {
        let path = format!("spec.upstream.headers.{field}");
        let name = header(document, &path, name?, diagnostics)?;
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            diagnostics.push(
                Diagnostic::error("header-twice", format!("two things cannot be said in `{name}`"))
                    .at(document.span(&path), "again here")
                    .note(document.span(&format!("spec.upstream.headers.{first}")), "first here"),
            );
        }
        seen.push((name.clone(), field));
        Some(name)
    };
    let (user, groups, provider) = (
        read("user", spec.user.as_deref()),
        read("groups", spec.groups.as_deref()),
        read("provider", spec.provider.as_deref()),
    );
    if spec.user.is_none() && spec.groups.is_none() && spec.provider.is_none() {
        diagnostics.push(
            Diagnostic::error("missing-field", "no header is named: nothing would be told")
                .at(document.span("spec.upstream.headers"), "at least one of `user`, `groups`, `provider` belongs here")
                .help("write `nothing: {}` if that is meant"),
        );
    }
    Upstream::Headers { user, groups, provider }
}

/// A header that may say who the caller is.
fn header(document: &Document, path: &str, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
    let word = name.as_str();
    if RESERVED_HEADERS.contains(&word) || RESERVED_PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        diagnostics.push(
            Diagnostic::error("reserved-header", format!("`{word}` has a meaning of its own"))
                .at(document.span(path), "cannot be used for this")
                .help("use a name of your own, like `x-auth-user`"),
        );
        return None;
    }
    Some(name)
}

fn resource(
    document: &Document,
    spec: &ours::ProtectedResource,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ProtectedResource> {
    if spec.url.contains(['#', '?']) {
        diagnostics.push(
            Diagnostic::error("invalid-value", format!("`{}` is not the URL of a resource", spec.url))
                .at(document.span("spec.resource.url"), "no query and no fragment belong here")
                .help("RFC 9728 section 1.2: write it like `https://llm.corp.example/v1`"),
        );
        return None;
    }
    for (index, scope) in spec.scopes.iter().enumerate() {
        // RFC 6749 section 3.3.
        let fits = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if scope.is_empty() || !scope.bytes().all(fits) {
            diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{}` is not a scope", scope.escape_debug()))
                    .at(document.span(&format!("spec.resource.scopes[{index}]")), "not a scope")
                    .help("one scope an item, without spaces, quotes and backslashes"),
            );
        }
    }
    let uri: Uri = spec.url.parse().ok()?;
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    Some(ProtectedResource {
        url: arc(&spec.url),
        path: arc(path),
        scopes: spec.scopes.iter().map(|scope| arc(scope)).collect(),
    })
}
