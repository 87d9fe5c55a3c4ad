//! One request, one screen: the stages of an exchange, in their order. Start here.
//!
//! Each line of [`stages`] is a stage and most stages are a file. A stage returns what a later one needs, or a
//! [`Refusal`]; only [`Connection::handle`](Handler::handle) answers. Limits and audit have their places marked: a document
//! that asks for what does not exist yet is refused when it is loaded, never skipped here.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use portcullis_mesh::http::{Answer, Arrival, Handler, HeadError};
use portcullis_policy::{
    authorize::Denial,
    routes::Match,
    snapshot::{Access, Listener, Rule},
};

use crate::{
    answer::{self, AnswerBody},
    authenticate::{Authenticated, authenticate, challenge::Cause},
    connection::Connection,
    forward::forward,
    identifiers::RequestId,
    listing,
    live::Live,
    outbound::{self, Prepared, prepare},
    permission::{NoPassage, Passage, Wanted},
    prompt,
    receive::receive,
    record::Record,
    refusal::{self, Dialect, Fault, Refusal},
    route::candidates,
    screening,
    upstream_identity::withhold_from,
};

async fn stages(connection: &Connection, arrival: Arrival, record: &mut Record) -> Result<Answer<AnswerBody>, Refusal> {
    let live = connection.worker.live(); // One exchange sees one snapshot.
    let (line, mut request) = receive(arrival, &record.id);
    let canonical = line.canonical(connection.scheme)?;
    let listener = connection.listener_for(&live, canonical.host())?;
    if let Some(metadata) = live.resources.answer(&listener.id, &line.method, canonical.host(), canonical.path()) {
        return Ok(answer::ready(metadata, record));
    }
    let candidates = candidates(listener, &line, &canonical, &request)?;
    if let Some(answer) = outbound::without_backend(connection, &candidates, &line, &canonical, &request) {
        return Ok(answer::ready(answer, record));
    }
    let authenticated = authenticate(connection, &live, &candidates, &line, &canonical, &request).await?;
    record.caller = authenticated.caller().clone();
    let model =
        prompt::read(candidates.need(&live.snapshot, &line, &canonical), &line, &canonical, &mut request).await?;
    let matched = candidates.choose(listener, &line, &canonical, &request, model.as_deref())?;
    record.routed(matched.rule, model.as_deref());
    let wanted = Wanted {
        method: &line.method,
        path: canonical.path(),
        model: model.as_deref(),
        headers: &request.headers,
        source: connection.source,
        certificate: &connection.certificate,
        validated_by: connection.validated_by.as_ref(),
    };
    let passage = permit(&live, listener, &matched, authenticated, &wanted, record)?;
    // Admission (limits, budgets) stands here.
    if let Some(list) = listing::answer(&live, listener, &passage, &canonical, &request.headers) {
        return Ok(answer::ready(list, record));
    }
    withhold_from(&mut request, &matched.rule.access);
    let mut outbound = match prepare(connection, &live, &matched, &line, &canonical, request, model)? {
        Prepared::Answer(response) => return Ok(answer::ready(response, record)),
        Prepared::Forward(outbound) => outbound,
    };
    connection.worker.identity.introduce(&matched.rule.access, passage.caller(), &mut outbound.head.headers)?;
    let screened = screening::input(&live, matched.rule, &mut outbound, passage.caller(), record).await;
    let screened = screened.map_err(|refusal| outbound.readable(refusal))?;
    outbound.gather().await?;
    screened.ask_readable(&mut outbound.head.headers);
    let is_list = listing::is_filtered(&passage);
    if is_list {
        listing::ask_readable(&mut outbound.head.headers);
    }
    let mut answer = forward(&live, &passage, &screened, &mut outbound, record).await;
    if is_list && let Ok(list) = answer {
        answer = listing::filter(list, &live, &passage).await;
    }
    if let Ok(unscreened) = answer {
        answer = screening::output(unscreened, screened, &live.snapshot.revision.0, record).await;
    }
    answer.map_err(|refusal| outbound.readable(refusal))
}

impl Handler for Connection {
    type Body = AnswerBody;

    /// Answers one request, whatever becomes of it. The record is kept to the last byte of the answer.
    async fn handle(&self, arrival: Arrival) -> Answer<AnswerBody> {
        self.has_spoken();
        let now = Instant::now();
        let headers = arrival.request.headers();
        let id = RequestId::choose(headers, self.worker.unix_ms(now), self.worker.random_bits());
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let dialect = Dialect::detect(arrival.request.uri().path(), content_type);
        let (worker, method) = (self.worker.clone(), arrival.request.method());
        let mut record = Record::new(worker, self.metrics.in_flight(), now, id, dialect, method);
        match stages(self, arrival, &mut record).await {
            Ok(answer) => answer,
            Err(refusal) => answer::refuse(&refusal, record),
        }
    }

    fn malformed(&self, error: HeadError) -> http::Response<Bytes> {
        let refusal = Refusal::new(Fault::Caller, error.status(), "malformed_request", error.to_string()).closing();
        let id = RequestId::generate(self.worker.unix_ms(Instant::now()), self.worker.random_bits());
        self.worker.metrics.malformed(refusal.status);
        refusal::render(&refusal, Dialect::Plain, id.as_str())
    }
}

/// Whether who asks may do this, there, with this model.
fn permit<'s>(
    live: &'s Live,
    listener: &'s Listener,
    matched: &Match<'s>,
    authenticated: Authenticated,
    wanted: &Wanted<'_>,
    record: &mut Record,
) -> Result<Passage<'s>, Refusal> {
    let rule: &'s Rule = matched.rule;
    let metrics = &record.worker.metrics;
    let denial = match Passage::open(live, &listener.id, rule, authenticated, wanted, record) {
        Ok(passage) => {
            if passage.caller().principal().is_some() {
                metrics.authorization(rule, true);
            }
            return Ok(passage);
        }
        Err(NoPassage::NotServed) => return Err(Refusal::model_not_found()),
        Err(NoPassage::Denied(denial)) => denial,
    };
    metrics.authorization(rule, false);
    Err(match (&denial, &rule.access) {
        (Denial::Unauthenticated | Denial::ForeignProvider, Access::Guarded(guard)) => {
            live.providers.challenge(guard, Cause::NothingShown)
        }
        _ => Refusal::permission_denied(),
    }
    .detail(denial.to_string()))
}
