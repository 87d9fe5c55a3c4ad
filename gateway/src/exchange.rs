//! One request, one screen: the stages of an exchange, in their order. Start here.
//!
//! Each line of [`stages`] is a stage and most stages are a file. A stage returns what a later one needs, or a
//! [`Refusal`]; only [`Connection::handle`](Handler::handle) answers. Limits, guardrails and audit have their places marked: a document that asks
//! for what does not exist yet is refused when it is loaded, never skipped here.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use portcullis_mesh::http::{Answer, Arrival, Handler, HeadError};
use portcullis_policy::{
    action::Action,
    authorize::{AboutModel, Caller, Permit, Question, authorize},
    routes::Match,
};

use crate::{
    answer::{self, AnswerBody},
    connection::Connection,
    filters::identifiers::RequestId,
    forward::forward,
    live::Live,
    outbound::{Prepared, prepare},
    prompt,
    receive::{Request, receive},
    record::Record,
    refusal::{self, Dialect, Fault, Refusal},
    route::candidates,
};

async fn stages(connection: &Connection, arrival: Arrival, record: &mut Record) -> Result<Answer<AnswerBody>, Refusal> {
    let live = connection.worker.live(); // One exchange sees one snapshot.
    let (line, mut request) = receive(arrival, &record.id);
    let canonical = line.canonical(connection.scheme)?;
    let listener = connection.listener_for(&live, canonical.host())?;
    let candidates = candidates(listener, &line, &canonical, &request)?;
    let caller = authenticate(connection);
    let model = prompt::read(candidates.need(&live.snapshot), &line, &canonical, &mut request).await?;
    let matched = candidates.choose(listener, &line, &canonical, &request, model.as_deref())?;
    record.routed(matched.rule, model.as_deref());
    let permit = permit(&live, &matched, &caller, &request)?;
    // Admission (limits, budgets) and the screening of what goes in stand here.
    let mut outbound = match prepare(connection, &live, &matched, &line, &canonical, request, model)? {
        Prepared::Answer(response) => return Ok(answer::ready(response, record)),
        Prepared::Forward(outbound) => outbound,
    };
    outbound.gather().await?;
    // The screening of what comes out wraps the answer's body here.
    forward(&live, &permit, &mut outbound, record).await.map_err(|refusal| outbound.readable(refusal))
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

/// Identity providers stand here. Until they do, `run` refuses documents that name them, so everyone is anonymous.
fn authenticate(_connection: &Connection) -> Caller {
    Caller::anonymous()
}

fn permit<'s>(live: &'s Live, matched: &Match<'s>, caller: &Caller, request: &Request) -> Result<Permit<'s>, Refusal> {
    let question =
        Question { action: Action::Access, model: AboutModel::None, headers: &request.headers, source: None };
    authorize(&live.snapshot, matched.rule, caller, &question)
        .map_err(|_| Refusal::unauthenticated("authentication_required", HeaderValue::from_static("Bearer")))
}
