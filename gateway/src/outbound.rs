//! What a rule makes of a request: an answer at once (a redirect, a preflight), or a request to forward.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header::HOST};
use portcullis_mesh::{
    connections::Version,
    http::{Incoming, Interim},
};
use portcullis_policy::{
    Snapshot,
    resolve::serves,
    routes::Match,
    snapshot::{
        BackendId, Cors, Dialect, Filters, HeaderChanges, Mirror, PathChange, Rule, Unresolved, WeightedBackend,
    },
};

use crate::{
    canonical::Canonical,
    connection::Connection,
    filters::{
        cors::{self, Grant, Verdict},
        headers::change,
        is_mirrored,
        paths::{Place, changed_path, redirect},
    },
    grpc,
    hygiene::{add_forwarded, clean_answer},
    live::{Live, LiveBackend},
    prompt::refuse_body,
    receive::{Line, Request},
    refusal::{Fault, Refusal},
    route::Candidates,
};

/// The largest body that is held so that it can be sent again, in bytes.
pub const REPLAY_BYTES_MAX: u64 = 64 * 1024;
/// The largest body that is copied to mirrors, in bytes. Larger requests are not mirrored.
pub const MIRROR_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What became of a request.
pub enum Prepared<'t> {
    /// This answer, at once.
    Answer(Response<Bytes>),
    /// Forward this.
    Forward(Outbound<'t>),
}

/// A request on its way to a backend.
pub struct Outbound<'t> {
    /// Method, path and query, fields. The authority is that of the `Host` field.
    pub head: http::request::Parts,
    /// The body.
    pub body: Incoming,
    /// For interim answers.
    pub interim: Interim,
    /// The protocol the client wants to change to.
    pub upgrade: Option<HeaderValue>,
    /// Where it goes.
    pub backend: BackendId,
    /// The rule that sends it.
    pub rule: &'t Rule,
    /// Which of the rule's `backendRefs`.
    pub reference: &'t WeightedBackend,
    /// Where copies go.
    pub mirrors: Vec<BackendId>,
    /// What the answer says to browsers.
    pub cors: Option<Grant>,
    /// gRPC, by its content type.
    pub grpc: bool,
    /// The deadline of the whole exchange, from its start: the rule's, or the client's own (`grpc-timeout`).
    pub request_timeout: Option<Duration>,
}

const MODEL_NAME: HeaderName = HeaderName::from_static("x-gateway-model-name");
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The answer to a request that no backend has a part in, if its one rule gives it: a redirect, or a preflight, which
/// browsers send without credentials. It needs no permission, because it leads nowhere.
pub fn without_backend(
    connection: &Connection,
    candidates: &Candidates<'_>,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &Request,
) -> Option<Response<Bytes>> {
    let Candidates::Rule(matched) = candidates else { return None };
    let place = place(connection, matched, canonical);
    answer_at_once(&matched.rule.filters, line, &request.headers, &place, &mut None)
}

fn place<'r>(connection: &Connection, matched: &Match<'_>, canonical: &'r Canonical<'_>) -> Place<'r> {
    Place {
        scheme: connection.scheme,
        host: canonical.host(),
        listener_port: connection.listener_port,
        path: canonical.path(),
        query: canonical.query(),
        prefix_len: matched.prefix_len,
    }
}

/// Applies a rule's filters, chooses one of its backends and applies that one's.
pub fn prepare<'t>(
    connection: &Connection,
    live: &Live,
    matched: &Match<'t>,
    line: &Line,
    canonical: &Canonical<'_>,
    request: Request,
    model: Option<String>,
) -> Result<Prepared<'t>, Refusal> {
    let rule: &'t Rule = matched.rule;
    let Request { mut headers, body, interim, upgrade, .. } = request;
    let place = place(connection, matched, canonical);
    let mut grant = None;
    if let Some(answer) = answer_at_once(&rule.filters, line, &headers, &place, &mut grant) {
        return Ok(Prepared::Answer(answer));
    }
    let chosen = pick_backend(rule, &live.snapshot, model.as_deref(), connection)
        .map_err(|refusal| readable(refusal, grant.as_ref(), rule.filters.cors.as_ref()))?;
    if let Some(answer) = answer_at_once(&chosen.filters, line, &headers, &place, &mut grant) {
        return Ok(Prepared::Answer(answer));
    }
    let cors = chosen.filters.cors.as_ref().or(rule.filters.cors.as_ref());
    let target = chosen.target.as_ref().copied();
    let backend = target.map_err(|why| readable(refuse_unresolved(why), grant.as_ref(), cors))?;
    let led_to = live.backend(backend).ok_or_else(Refusal::internal)?;
    // A tunnel cannot be screened or metered, so inference never gets one.
    let upgrade = upgrade.filter(|_| led_to.spec.dialect.is_none());

    if let Some(model) = model.and_then(|name| HeaderValue::from_str(&name).ok()) {
        headers.insert(MODEL_NAME, model);
    }
    let authority = line.host_field(canonical);
    add_forwarded(&mut headers, &connection.origin, &authority);
    headers.insert(HOST, authority);
    let content_type = headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let grpc = rule.grpc || (content_type.is_some_and(grpc::is_grpc) && speaks_grpc(led_to));
    let client_timeout = match headers.get(GRPC_TIMEOUT).filter(|_| grpc) {
        Some(value) => Some(grpc::timeout(value.as_bytes())?),
        None => None,
    };
    for filters in [&rule.filters, &chosen.filters] {
        apply(filters, &mut headers);
    }
    let path = match path_change(&rule.filters, &chosen.filters) {
        Some(change) => changed_path(change, canonical.path(), matched.prefix_len),
        None => Cow::Borrowed(canonical.path()),
    };
    let uri = line.target(canonical, path)?;
    let mirrors = mirrors(&rule.filters, &chosen.filters, connection);
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = line.method.clone();
    head.uri = uri;
    head.headers = headers;
    Ok(Prepared::Forward(Outbound {
        head,
        body,
        // What a backend must not tell, it must not tell before its answer either.
        interim: Interim::Cleansed(Box::new(interim), clean_answer),
        upgrade,
        backend,
        rule,
        reference: chosen,
        mirrors,
        cors: grant,
        grpc,
        request_timeout: rule.request_timeout.into_iter().chain(client_timeout).min(),
    }))
}

impl Outbound<'_> {
    /// The changes to answers, in the order in which they apply.
    pub fn answer_changes(&self) -> impl Iterator<Item = &HeaderChanges> {
        let reference = self.reference.filters.response_headers.as_ref();
        reference.into_iter().chain(self.rule.filters.response_headers.as_ref())
    }

    /// The CORS settings that count: the reference's own before the rule's.
    pub fn cors_settings(&self) -> Option<&Cors> {
        self.reference.filters.cors.as_ref().or(self.rule.filters.cors.as_ref())
    }

    /// Holds a small body in memory, so that it can be sent twice. The others stream, and are sent once.
    pub async fn gather(&mut self) -> Result<(), Refusal> {
        let bytes_max = if self.mirrors.is_empty() { REPLAY_BYTES_MAX } else { MIRROR_BYTES_MAX };
        let body = std::mem::take(&mut self.body);
        self.body = body.gathered(bytes_max).await.map_err(|error| self.readable(refuse_body(&error)))?;
        Ok(())
    }

    /// The model that the request names.
    pub fn model(&self) -> Option<&str> {
        self.head.headers.get(MODEL_NAME)?.to_str().ok()
    }

    /// A refusal as the page that asked may read it.
    pub fn readable(&self, refusal: Refusal) -> Refusal {
        readable(refusal, self.cors.as_ref(), self.cors_settings())
    }
}

/// Says in a refusal what its answer would have said to a browser: a page could not read it otherwise.
fn readable(mut refusal: Refusal, grant: Option<&Grant>, settings: Option<&Cors>) -> Refusal {
    if let (Some(grant), Some(settings)) = (grant, settings) {
        let mut headers = HeaderMap::new();
        grant.apply(settings, &mut headers);
        refusal.headers.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    refusal
}

/// Whether a backend may be sent what a client calls gRPC. One of plain HTTP/1.1 would not understand the HTTP/2 that comes
/// with it, and any client could make its endpoints look broken.
fn speaks_grpc(backend: &LiveBackend) -> bool {
    backend.spec.dialect == Some(Dialect::KserveV2) || backend.version != Version::Http1
}

/// The answer that filters give without a backend. Otherwise `grant` is what CORS makes of the backend's answer.
fn answer_at_once(
    filters: &Filters,
    line: &Line,
    headers: &HeaderMap,
    place: &Place<'_>,
    grant: &mut Option<Grant>,
) -> Option<Response<Bytes>> {
    match filters.cors.as_ref().map(|cors| cors::judge(cors, &line.method, headers)) {
        Some(Verdict::Preflight(answer)) => return Some(answer),
        Some(Verdict::Forward(granted)) => *grant = Some(granted),
        None => {}
    }
    filters.redirect.as_ref().map(|to| redirect(to, place))
}

/// One of a rule's backends, by weight.
/// One of those that serve the model, by weight.
fn pick_backend<'r>(
    rule: &'r Rule,
    snapshot: &Snapshot,
    model: Option<&str>,
    connection: &Connection,
) -> Result<&'r WeightedBackend, Refusal> {
    if let [only] = rule.backends.as_slice()
        && only.weight > 0
    {
        return Ok(only);
    }
    let serving = || rule.backends.iter().filter(|backend| serves(snapshot, backend, model));
    let total: u64 = serving().map(|backend| u64::from(backend.weight)).sum();
    let mut drawn = connection.worker.random.below(total);
    for backend in serving() {
        match drawn.checked_sub(u64::from(backend.weight)) {
            None => return Ok(backend),
            Some(rest) => drawn = rest,
        }
    }
    Err(Refusal::new(Fault::Gateway, StatusCode::INTERNAL_SERVER_ERROR, "no_backend", "this route has no backend"))
}

fn refuse_unresolved(unresolved: &Unresolved) -> Refusal {
    let code = match unresolved {
        Unresolved::InvalidKind => "backend_invalid_kind",
        Unresolved::BackendNotFound => "backend_not_found",
        Unresolved::RefNotPermitted => "backend_not_permitted",
        Unresolved::UnsupportedProtocol => "backend_unsupported_protocol",
        Unresolved::InvalidBackendTls => "backend_invalid_tls",
    };
    Refusal::new(Fault::Gateway, StatusCode::INTERNAL_SERVER_ERROR, code, "this route is not configured correctly")
}

fn apply(filters: &Filters, headers: &mut HeaderMap) {
    if let Some(changes) = &filters.request_headers {
        change(headers, changes);
    }
    if let Some(host) = filters.rewrite.as_ref().and_then(|rewrite| rewrite.hostname.as_ref()) {
        headers.insert(HOST, host.clone());
    }
}

/// The one change of the path that counts: the reference's own before the rule's, as there is one path that was matched.
fn path_change<'f>(rule: &'f Filters, reference: &'f Filters) -> Option<&'f PathChange> {
    [reference, rule].into_iter().find_map(|filters| filters.rewrite.as_ref()?.path.as_ref())
}

fn mirrors(rule: &Filters, reference: &Filters, connection: &Connection) -> Vec<BackendId> {
    let drawn = |mirror: &&Mirror| is_mirrored(mirror, connection.worker.random.next() as u32);
    // A mirror that leads nowhere must not hurt the request that it would copy.
    let all = rule.mirrors.iter().chain(&reference.mirrors);
    all.filter(drawn).filter_map(|mirror| mirror.target.as_ref().ok().copied()).collect()
}

/// Whether a request without an answer may be sent again though its first copy may have been received.
pub fn is_safe_to_repeat(method: &Method) -> bool {
    portcullis_mesh::http::h1_client::is_idempotent(method)
}
