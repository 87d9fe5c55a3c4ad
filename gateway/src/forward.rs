//! Forwarding: an endpoint is picked, the request goes out, the head of an answer comes back, or another is tried.
//!
//! A request is sent again only before the first byte of an answer, only if its body is in memory, and only as the
//! backend's retry budget allows. A *stale* connection (reused, and reset before an answer) is not a failure: the same
//! endpoint is asked again at once, on a fresh connection.

use std::{
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    time::Instant,
};

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, UPGRADE},
};
use http_body::Body as _;
use portcullis_mesh::{
    connections::{Answered, Attempt, AttemptError, Chosen, Home, UpstreamBody, Version},
    endpoints::{EndpointId, Outcome, Placement},
    http::{Answer, BodyError, Incoming, Interim, Tunnel, h1_client::SendError, h1_server::upgrade_fields},
};
use smallvec::SmallVec;

use crate::{
    answer::{self, AnswerBody, TunnelGuard},
    filters::headers::change,
    hygiene::clean_answer,
    live::{Live, LiveBackend},
    outbound::{Outbound, is_safe_to_repeat},
    permission::{Passage, UNWATCHED_BYTES_MAX},
    prompt::refuse_body,
    record::Record,
    refusal::Refusal,
    screening::Screened,
    worker::Worker,
};

/// How many endpoints are tried when none could be connected to; nothing has been sent to them.
const CONNECT_ATTEMPTS_MAX: u32 = 3;
/// Copies to mirrors in flight on one worker; beyond that requests are not mirrored.
const MIRRORS_IN_FLIGHT_MAX: usize = 256;

/// Sends a permitted and screened request to an endpoint and answers with what comes back.
pub async fn forward(
    live: &Live,
    passage: &Passage<'_>,
    _: &Screened,
    outbound: &mut Outbound<'_>,
    record: &mut Record,
) -> Result<Answer<AnswerBody>, Refusal> {
    let worker = record.worker.clone();
    let backend = live.backend(outbound.backend).ok_or_else(Refusal::internal)?;
    mirror(&worker, live, outbound);
    if let Some(protocol) = &outbound.upgrade {
        upgrade_fields(&mut outbound.head.headers, protocol.clone());
    }
    let counted = worker.metrics.backend(&backend.spec.document);
    let mut attempts = Attempts::new(backend, outbound, record);
    loop {
        let (placement, home, attempt) = attempts.next(&worker, Instant::now())?;
        let copy = outbound.body.replay();
        let replayable = copy.is_some();
        let mut body = copy.unwrap_or_else(|| std::mem::take(&mut outbound.body));
        let outcome = {
            let chosen = |chosen| worker.metrics.connection(&counted, chosen);
            let sent = pin!(home.send(&outbound.head, &mut body, attempt, &outbound.interim, chosen));
            attempts.within_deadline(sent).await
        };
        if !replayable {
            // Without a connection it has not been touched.
            outbound.body = body;
        }
        worker.metrics.attempt(&counted, &outcome);
        let now = Instant::now();
        let judged = attempts.judge(outcome, placement, outbound, now);
        if let Some(made) = attempts.asked_of_budget.take() {
            worker.metrics.retry(&counted, made);
        }
        match judged? {
            Judged::Again(pause) => {
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
            }
            Judged::Answer(response, placement) => {
                let response = finish_head(response, outbound);
                if goes_on(response.body()) {
                    record.watched = passage.watch(&worker, live, &outbound.head.headers, now);
                }
                return Ok(answer::flow(response, placement, record, attempts.deadline, now));
            }
            Judged::Upgraded(response, tunnel, placement) => {
                record.watched = passage.watch(&worker, live, &outbound.head.headers, now);
                return Ok(tunnelled(response, tunnel, placement, backend, record));
            }
        }
    }
}

/// One request's attempts: what has been tried, what may still be.
struct Attempts<'a> {
    backend: &'a LiveBackend,
    attempt: Attempt,
    grpc: bool,
    /// When the whole exchange must have ended.
    deadline: Option<Instant>,
    per_attempt: Option<std::time::Duration>,
    replayable: bool,
    connect_failures: u32,
    retries: u32,
    /// Whether the retry budget allowed what the last attempt asked of it, if that asked.
    asked_of_budget: Option<bool>,
    avoid: SmallVec<[EndpointId; 4]>,
    /// The same endpoint, asked again on a fresh connection.
    again: Option<Placement>,
}

enum Judged {
    Again(Option<std::time::Duration>),
    Answer(Response<UpstreamBody>, Placement),
    Upgraded(Response<()>, (portcullis_mesh::io::Io, bytes::Bytes), Placement),
}

/// What one attempt came to: an answer, an error, or the end of the time it had.
pub enum Attempted {
    /// The head of an answer, or an error.
    Done(Result<Answered, AttemptError>),
    /// The time for one attempt is up.
    AttemptTimedOut,
    /// The time for the exchange is up.
    DeadlineExceeded,
}

impl<'a> Attempts<'a> {
    fn new(backend: &'a LiveBackend, outbound: &Outbound<'_>, record: &Record) -> Self {
        let version = if outbound.upgrade.is_some() {
            Version::Http1
        } else if outbound.grpc {
            Version::Http2
        } else {
            backend.version
        };
        let replayable = outbound.body.replay().is_some();
        let attempt = Attempt {
            version,
            upgrade: outbound.upgrade.is_some(),
            fresh: false,
            once: !replayable,
            at: record.started,
            connect: backend.spec.timeouts.connect,
            clocks: backend.clocks,
        };
        Self {
            backend,
            attempt,
            grpc: outbound.grpc,
            deadline: outbound.request_timeout.map(|timeout| record.started + timeout),
            per_attempt: outbound.rule.backend_request_timeout,
            replayable,
            connect_failures: 0,
            retries: 0,
            asked_of_budget: None,
            avoid: SmallVec::new(),
            again: None,
        }
    }

    /// Where the next attempt goes.
    fn next(&mut self, worker: &Rc<Worker>, now: Instant) -> Result<(Placement, Rc<Home>, Attempt), Refusal> {
        let mut attempt = Attempt { at: now, ..self.attempt };
        let placement = match self.again.take() {
            Some(placement) => {
                attempt.fresh = true;
                placement
            }
            None => self.backend.endpoints.pick(now, &self.avoid).map_err(|_| Refusal::no_endpoint())?,
        };
        let target = self.backend.target(placement.endpoint(), self.grpc).ok_or_else(Refusal::internal)?;
        Ok((placement, worker.connections.home(&target), attempt))
    }

    async fn within_deadline(&self, sent: Pin<&mut impl Future<Output = Result<Answered, AttemptError>>>) -> Attempted {
        let attempt_ends = self.per_attempt.map(|timeout| Instant::now() + timeout);
        let Some(until) = attempt_ends.into_iter().chain(self.deadline).min() else {
            return Attempted::Done(sent.await);
        };
        match tokio::time::timeout_at(until.into(), sent).await {
            Ok(result) => Attempted::Done(result),
            Err(_) if self.deadline == Some(until) => Attempted::DeadlineExceeded,
            Err(_) => Attempted::AttemptTimedOut,
        }
    }

    /// Tells the endpoint's health what happened, and decides: an answer, another attempt, or a refusal.
    fn judge(
        &mut self,
        attempted: Attempted,
        placement: Placement,
        outbound: &Outbound<'_>,
        now: Instant,
    ) -> Result<Judged, Refusal> {
        let (outcome, refusal) = match attempted {
            Attempted::Done(Ok(Answered::Upgraded(response, io, read))) => {
                placement.report(now, Outcome::Answered(StatusCode::SWITCHING_PROTOCOLS));
                return Ok(Judged::Upgraded(response, (io, read), placement));
            }
            Attempted::Done(Ok(Answered::Response(response))) => {
                placement.report(now, Outcome::Answered(response.status()));
                let retried =
                    outbound.rule.retry.as_ref().is_some_and(|retry| retry.codes.contains(&response.status()));
                if retried && self.may_retry(now, outbound) {
                    return Ok(self.elsewhere(&placement, outbound));
                }
                return Ok(Judged::Answer(response, placement));
            }
            Attempted::DeadlineExceeded => {
                placement.report(now, Outcome::Cancelled);
                return Err(Refusal::deadline_exceeded());
            }
            // Of a body that its client still sends, nobody knows whose time it took.
            Attempted::AttemptTimedOut if !self.replayable => (Outcome::Cancelled, Refusal::upstream_timeout()),
            Attempted::AttemptTimedOut => (Outcome::TimedOut, Refusal::upstream_timeout()),
            Attempted::Done(Err(AttemptError::Stale)) => {
                placement.report(now, Outcome::ResetBeforeAnswer { reused: true });
                if self.replayable && self.may_ask_again(outbound) {
                    self.again = Some(placement);
                    return Ok(Judged::Again(None));
                }
                return Err(reset(outbound));
            }
            Attempted::Done(Err(AttemptError::Dial(error))) => {
                placement.report(now, Outcome::ConnectFailed);
                self.connect_failures += 1;
                // Nothing has been sent, so another can be asked, whatever the request.
                let may = self.connect_failures < CONNECT_ATTEMPTS_MAX;
                if may && self.backend.endpoints.list().len() > 1 && self.budget_allows(now) {
                    return Ok(self.elsewhere(&placement, outbound));
                }
                (Outcome::Cancelled, Refusal::upstream_unreachable().detail(error.to_string()))
            }
            Attempted::Done(Err(AttemptError::Send(error))) => {
                let (outcome, refusal) = send_error(&error, outbound);
                (outcome, refusal.detail(error.to_string()))
            }
        };
        if outcome != Outcome::Cancelled {
            placement.report(now, outcome);
        }
        let repeatable = outbound.rule.retry.is_some() || is_safe_to_repeat(&outbound.head.method);
        let failed = match outcome {
            Outcome::ResetBeforeAnswer { .. } => true,
            // The first byte of an answer is there, or no connection is: both have been decided above.
            Outcome::ResetMidAnswer => false,
            _ => outbound.rule.retry.is_some() && refusal.status.is_server_error(),
        };
        if failed && repeatable && self.may_retry(now, outbound) {
            return Ok(self.elsewhere(&placement, outbound));
        }
        Err(refusal)
    }

    /// A stale connection says nothing about the backend, so that asking again costs it nothing of its budget. Where a
    /// route says how many attempts there may be, it is one of them.
    fn may_ask_again(&mut self, outbound: &Outbound<'_>) -> bool {
        let Some(retry) = &outbound.rule.retry else { return true };
        self.retries += 1;
        self.retries <= retry.attempts
    }

    fn may_retry(&mut self, now: Instant, outbound: &Outbound<'_>) -> bool {
        let attempts_max = outbound.rule.retry.as_ref().map_or(1, |retry| retry.attempts);
        self.replayable && self.retries < attempts_max && self.budget_allows(now) && {
            self.retries += 1;
            true
        }
    }

    fn budget_allows(&mut self, now: Instant) -> bool {
        let allowed = self.backend.endpoints.may_retry(now);
        self.asked_of_budget = Some(allowed);
        allowed
    }

    fn elsewhere(&mut self, placement: &Placement, outbound: &Outbound<'_>) -> Judged {
        self.avoid.push(placement.endpoint().id());
        Judged::Again(outbound.rule.retry.as_ref().map(|retry| retry.backoff).filter(|pause| !pause.is_zero()))
    }
}

/// The backend closed the connection before it answered: on a route that asks for retries, every time.
fn reset(outbound: &Outbound<'_>) -> Refusal {
    if outbound.rule.retry.is_some() { Refusal::retries_exhausted() } else { Refusal::upstream_reset() }
}

fn send_error(error: &SendError, outbound: &Outbound<'_>) -> (Outcome, Refusal) {
    match error {
        SendError::RequestBody(error) => (Outcome::Cancelled, refuse_body(error)),
        SendError::TimedOut => (Outcome::TimedOut, Refusal::upstream_timeout()),
        SendError::ResetBeforeAnswer | SendError::Stream(_) | SendError::Refused => {
            (Outcome::ResetBeforeAnswer { reused: false }, reset(outbound))
        }
        SendError::ResetInsideHead => (Outcome::ResetMidAnswer, Refusal::upstream_reset()),
        SendError::Malformed(_) | SendError::UnexpectedUpgrade => {
            (Outcome::ResetMidAnswer, Refusal::upstream_protocol())
        }
    }
}

/// Whether an answer may outlive the permission it was given with.
fn goes_on(body: &UpstreamBody) -> bool {
    !body.is_end_stream() && body.size_hint().exact().is_none_or(|length| length > UNWATCHED_BYTES_MAX)
}

/// The head of an answer as the client sees it.
fn finish_head(mut response: Response<UpstreamBody>, outbound: &Outbound<'_>) -> Response<UpstreamBody> {
    let headers = response.headers_mut();
    clean_answer(headers);
    if let (Some(grant), Some(settings)) = (&outbound.cors, outbound.cors_settings()) {
        grant.apply(settings, headers);
    }
    for changes in outbound.answer_changes() {
        change(headers, changes);
    }
    response
}

fn tunnelled(
    response: Response<()>,
    (io, prelude): (portcullis_mesh::io::Io, bytes::Bytes),
    placement: Placement,
    backend: &LiveBackend,
    record: &mut Record,
) -> Answer<AnswerBody> {
    let (mut parts, ()) = response.into_parts();
    let protocol = parts.headers.remove(UPGRADE).unwrap_or(HeaderValue::from_static("websocket"));
    clean_answer(&mut parts.headers);
    parts.headers.remove(CONNECTION);
    upgrade_fields(&mut parts.headers, protocol);
    record.answered(parts.status, Instant::now());
    let cut = record.watched.clone().map(|watched| -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let _ = watched.lost().await;
        })
    });
    let guard = TunnelGuard::new(record.hand_over(), placement);
    let tunnel = Tunnel { io, prelude, idle: backend.clocks.idle, cut, guard: Box::new(guard) };
    Answer::Tunnel(Response::from_parts(parts, ()), tunnel)
}

/// Sends copies and throws their answers away. A mirror never holds up the request that it copies.
fn mirror(worker: &Rc<Worker>, live: &Live, outbound: &Outbound<'_>) {
    for backend in outbound.mirrors.iter().filter_map(|id| live.backend(*id)) {
        let body = outbound.body.replay().filter(|_| worker.mirrors.get() < MIRRORS_IN_FLIGHT_MAX);
        let Some(body) = body else {
            worker.metrics.mirror_skipped(&backend.spec.document);
            continue;
        };
        let now = Instant::now();
        let Ok(placement) = backend.endpoints.pick(now, &[]) else { continue };
        let Some(target) = backend.target(placement.endpoint(), outbound.grpc) else { continue };
        let home = worker.connections.home(&target);
        let attempt = Attempt {
            version: if outbound.grpc { Version::Http2 } else { backend.version },
            upgrade: false,
            fresh: false,
            once: false,
            at: now,
            connect: backend.spec.timeouts.connect,
            clocks: backend.clocks,
        };
        let head = outbound.head.clone();
        let worker = worker.clone();
        let counted = worker.metrics.backend(&backend.spec.document);
        worker.mirrors.set(worker.mirrors.get() + 1);
        tokio::task::spawn_local(async move {
            let chosen = |chosen| worker.metrics.connection(&counted, chosen);
            copy_to_mirror(home, &head, body, attempt, placement, chosen).await;
            worker.mirrors.set(worker.mirrors.get().saturating_sub(1));
        });
    }
}

async fn copy_to_mirror(
    home: Rc<Home>,
    head: &http::request::Parts,
    mut body: Incoming,
    attempt: Attempt,
    placement: Placement,
    chosen: impl Fn(Chosen),
) {
    let mut copy = body.replay().unwrap_or_default();
    let mut sent = home.send(head, &mut copy, attempt, &Interim::Nowhere, &chosen).await;
    if let Err(AttemptError::Stale) = sent {
        sent = home.send(head, &mut body, Attempt { fresh: true, ..attempt }, &Interim::Nowhere, &chosen).await;
    }
    if let Ok(Answered::Response(mut response)) = sent {
        placement.report(Instant::now(), Outcome::Answered(response.status()));
        let drained: Result<(), BodyError> = async {
            while let Some(frame) = http_body_util::BodyExt::frame(response.body_mut()).await {
                frame?;
            }
            Ok(())
        }
        .await;
        if drained.is_err() {
            placement.report(Instant::now(), Outcome::ResetMidAnswer);
        }
    }
}
