//! Filters of rules and of `backendRefs`, checked and compiled.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode};

use super::{
    backends::{Backends, Reference},
    gateways::GatewayDraft,
    status::{Statuses, arc},
};
use crate::{
    diagnostics::Diagnostic,
    documents::{
        Document,
        kinds::gateway_api::{self, FilterType, PathModifier, PathModifierType, RedirectScheme, RouteFilter},
    },
    snapshot::{Cors, Filters, HeaderChanges, Mirror, OriginPattern, PathChange, Redirect, Rewrite, Scheme},
};

/// How long a preflight may be remembered when nothing is said.
const CORS_MAX_AGE_SECONDS: u32 = 5;

/// What filters come to.
pub(super) struct CompiledFilters {
    pub(super) filters: Filters,
    /// A filter that leads nowhere: the rule must answer 500.
    pub(super) broken: bool,
}

/// Where filters stand.
pub(super) struct Place<'a, 'd> {
    pub(super) document: &'d Document,
    pub(super) gateway: &'a GatewayDraft<'d>,
    /// `spec.rules[0].filters`.
    pub(super) path: String,
    /// Whether every match of the rule is by path prefix, so that a prefix can be replaced.
    pub(super) by_prefix: bool,
}

pub(super) fn compile_filters<'d>(
    specs: &[RouteFilter],
    place: &Place<'_, 'd>,
    backends: &mut Backends<'_, 'd>,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) -> CompiledFilters {
    let mut compiled = CompiledFilters { filters: Filters::default(), broken: false };
    for (index, spec) in specs.iter().enumerate() {
        let path = format!("{}[{index}]", place.path);
        let before = diagnostics.len();
        let filters = &mut compiled.filters;
        let known = match spec.kind {
            FilterType::RequestHeaderModifier => spec.request_header_modifier.as_ref().map(|modifier| {
                let changes =
                    header_changes(modifier, place.document, &format!("{path}.requestHeaderModifier"), diagnostics);
                once(&mut filters.request_headers, changes, place, &path, diagnostics);
            }),
            FilterType::ResponseHeaderModifier => spec.response_header_modifier.as_ref().map(|modifier| {
                let changes =
                    header_changes(modifier, place.document, &format!("{path}.responseHeaderModifier"), diagnostics);
                once(&mut filters.response_headers, changes, place, &path, diagnostics);
            }),
            FilterType::RequestRedirect => spec.request_redirect.as_ref().map(|redirect| {
                let redirect = compile_redirect(redirect, place, &path, diagnostics);
                once(&mut filters.redirect, redirect, place, &path, diagnostics);
            }),
            FilterType::UrlRewrite => spec.url_rewrite.as_ref().map(|rewrite| {
                let rewrite = Rewrite {
                    hostname: rewrite.hostname.as_deref().and_then(|host| HeaderValue::from_str(host).ok()),
                    path: rewrite
                        .path
                        .as_ref()
                        .and_then(|change| path_change(change, place, &format!("{path}.urlRewrite.path"), diagnostics)),
                };
                once(&mut filters.rewrite, rewrite, place, &path, diagnostics);
            }),
            FilterType::RequestMirror => spec.request_mirror.as_ref().map(|mirror| {
                let mirror = compile_mirror(mirror, place, &path, backends, statuses, diagnostics);
                filters.mirrors.push(mirror);
            }),
            FilterType::Cors => spec.cors.as_ref().map(|cors| {
                let cors = compile_cors(cors, place.document, &path, diagnostics);
                once(&mut filters.cors, cors, place, &path, diagnostics);
            }),
            FilterType::ExternalAuth => {
                diagnostics.push(
                    Diagnostic::enforcement(
                        "not-enforced-yet",
                        "external authorization is not built, so `run` refuses it",
                    )
                    .at(place.document.span(&format!("{path}.type")), "not built"),
                );
                Some(())
            }
            FilterType::ExtensionRef => spec.extension_ref.as_ref().map(|reference| {
                diagnostics.push(
                    Diagnostic::reference(
                        "invalid-kind",
                        format!(
                            "there are no extension filters of kind `{}`",
                            reference.kind.as_deref().unwrap_or_default()
                        ),
                    )
                    .at(place.document.span(&format!("{path}.extensionRef")), "leads nowhere"),
                );
                compiled.broken = true;
            }),
        };
        if known.is_none() {
            diagnostics.push(
                Diagnostic::error("missing-field", "the filter says its type but not what it does")
                    .at(place.document.span(&path), "its settings are missing"),
            );
        }
        compiled.broken |= diagnostics.len() > before && spec.kind != FilterType::RequestMirror && known.is_none();
    }
    if compiled.filters.redirect.is_some() && compiled.filters.rewrite.is_some() {
        diagnostics.push(
            Diagnostic::error("incompatible-filters", "a rule cannot both redirect and rewrite")
                .at(place.document.span(&place.path), "both are here")
                .help("a redirect has a `path` of its own"),
        );
    }
    compiled
}

fn once<T>(slot: &mut Option<T>, value: T, place: &Place<'_, '_>, path: &str, diagnostics: &mut Vec<Diagnostic>) {
    if slot.is_some() {
        diagnostics.push(
            Diagnostic::error("duplicate-filter", "a filter of this type stands here twice")
                .at(place.document.span(&format!("{path}.type")), "again here")
                .help("put their settings together in one"),
        );
        return;
    }
    *slot = Some(value);
}

fn header_changes(
    modifier: &gateway_api::HeaderModifier,
    document: &Document,
    path: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> HeaderChanges {
    let mut pairs = |list: &[gateway_api::HeaderValue], field: &str| {
        let mut pairs = Vec::with_capacity(list.len());
        for (index, header) in list.iter().enumerate() {
            let at = |part: &str| document.span(&format!("{path}.{field}[{index}].{part}"));
            match (HeaderName::from_bytes(header.name.as_bytes()), HeaderValue::from_str(&header.value)) {
                (Ok(name), Ok(value)) => pairs.push((name, value)),
                (Err(_), _) => diagnostics
                    .push(Diagnostic::error("invalid-value", "not a header name").at(at("name"), "not a header name")),
                (_, Err(_)) => diagnostics.push(
                    Diagnostic::error("invalid-value", "not a header value").at(at("value"), "not a header value"),
                ),
            }
        }
        pairs
    };
    HeaderChanges {
        set: pairs(&modifier.set, "set"),
        add: pairs(&modifier.add, "add"),
        remove: modifier.remove.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect(),
    }
}

fn compile_redirect(
    spec: &gateway_api::RequestRedirect,
    place: &Place<'_, '_>,
    path: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Redirect {
    let code = spec.status_code.unwrap_or(302);
    if !matches!(code, 301 | 302 | 303 | 307 | 308) {
        diagnostics.push(
            Diagnostic::error("invalid-value", format!("{code} is not the status of a redirect"))
                .at(place.document.span(&format!("{path}.requestRedirect.statusCode")), "not a redirect")
                .help("write 301, 302, 303, 307 or 308"),
        );
    }
    Redirect {
        scheme: spec.scheme.map(|scheme| match scheme {
            RedirectScheme::Http => Scheme::Http,
            RedirectScheme::Https => Scheme::Https,
        }),
        hostname: spec.hostname.as_deref().map(arc),
        path: spec
            .path
            .as_ref()
            .and_then(|change| path_change(change, place, &format!("{path}.requestRedirect.path"), diagnostics)),
        port: spec.port,
        status: StatusCode::from_u16(code).unwrap_or(StatusCode::FOUND),
    }
}

fn path_change(
    spec: &PathModifier,
    place: &Place<'_, '_>,
    path: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<PathChange> {
    let change = match spec.kind {
        PathModifierType::ReplaceFullPath => spec.replace_full_path.as_deref().map(|to| PathChange::Full(arc(to))),
        PathModifierType::ReplacePrefixMatch => {
            if !place.by_prefix {
                diagnostics.push(
                    Diagnostic::error(
                        "incompatible-filters",
                        "a prefix can be replaced only where every match is by prefix",
                    )
                    .at(place.document.span(&format!("{path}.type")), "no prefix to replace")
                    .help("give the rule exactly one match, of type `PathPrefix`"),
                );
            }
            spec.replace_prefix_match.as_deref().map(|to| PathChange::Prefix(arc(to)))
        }
    };
    if change.is_none() {
        diagnostics.push(
            Diagnostic::error("missing-field", "the new path is missing")
                .at(place.document.span(path), "no path here")
                .help("write `replaceFullPath` or `replacePrefixMatch`, as `type` says"),
        );
    }
    change
}

fn compile_mirror<'d>(
    spec: &gateway_api::RequestMirror,
    place: &Place<'_, 'd>,
    path: &str,
    backends: &mut Backends<'_, 'd>,
    statuses: &mut Statuses,
    diagnostics: &mut Vec<Diagnostic>,
) -> Mirror {
    let reference = &spec.backend_ref;
    let target = backends.resolve(
        place.document,
        &format!("{path}.requestMirror.backendRef"),
        Reference {
            group: reference.group.as_deref().unwrap_or_default(),
            kind: reference.kind.as_deref().unwrap_or("Service"),
            namespace: reference.namespace.as_deref().unwrap_or(&place.document.id.namespace),
            name: &reference.name,
            port: reference.port,
        },
        place.gateway,
        statuses,
        diagnostics,
    );
    let (numerator, denominator) = match (spec.percent, &spec.fraction) {
        (None, None) => (100, 100),
        (Some(percent), None) => (percent, 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
        (Some(_), Some(_)) => {
            diagnostics.push(
                Diagnostic::error("incompatible-fields", "`percent` and `fraction` contradict each other")
                    .at(place.document.span(&format!("{path}.requestMirror")), "both are here"),
            );
            (0, 100)
        }
    };
    if denominator == 0 || numerator > denominator {
        diagnostics.push(
            Diagnostic::error("out-of-range", "a fraction is at most 1")
                .at(place.document.span(&format!("{path}.requestMirror.fraction")), "out of range"),
        );
    }
    Mirror { target, numerator, denominator: denominator.max(1) }
}

fn compile_cors(spec: &gateway_api::Cors, document: &Document, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Cors {
    let list = |words: &[String]| words.iter().map(|word| arc(word)).collect::<Vec<Arc<str>>>();
    let mut allow_origins = Vec::new();
    for (index, origin) in spec.allow_origins.iter().enumerate() {
        match origin_pattern(origin) {
            Some(pattern) => allow_origins.push(pattern),
            None => diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{origin}` is not an origin"))
                    .at(document.span(&format!("{path}.cors.allowOrigins[{index}]")), "not an origin")
                    .help("write `https://app.example`, `https://*.example` or `*`"),
            ),
        }
    }
    Cors {
        allow_origins,
        allow_credentials: spec.allow_credentials.unwrap_or(false),
        allow_methods: list(&spec.allow_methods),
        allow_headers: list(&spec.allow_headers),
        expose_headers: list(&spec.expose_headers),
        max_age: Duration::from_secs(u64::from(spec.max_age.unwrap_or(CORS_MAX_AGE_SECONDS))),
    }
}

fn origin_pattern(text: &str) -> Option<OriginPattern> {
    if text == "*" {
        return Some(OriginPattern::Any);
    }
    let (_, authority) = text.split_once("://")?;
    if authority.is_empty() || authority.contains('/') {
        return None;
    }
    Some(match text.split_once('*') {
        None => OriginPattern::Exact(arc(text)),
        Some((before, after)) if before.ends_with("://") && !after.contains('*') => {
            OriginPattern::Wildcard { before: arc(before), after: arc(after) }
        }
        Some(_) => return None,
    })
}
