//! One request from a peer, one screen: the stages of an inbound exchange, in their order. Start here.
//!
//! Each line of [`stages`] is a stage. A stage returns what a later one needs, or a [`Refusal`]; only
//! [`Connection::handle`](Handler::handle) answers. The peer has proved who it is before the first byte of a request is
//! read; what it may do here, the documents say.

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use portcullis_dialects::{
    hygiene,
    identifiers::RequestId,
    prompt::{self, Need},
    receive::{Line, Request, receive_relayed},
    refusal::{self, Dialect, Fault, Refusal},
};
use portcullis_mesh::{
    http::{Answer, Arrival, Handler, HeadError},
    load::{Format, open_rca},
};
use portcullis_policy::{
    authorize::{WorkloadPermit, WorkloadRules},
    snapshot::Scheme,
};

use crate::{
    answer::{self, AnswerBody},
    connection::Connection,
    forward::forward,
    permission::Asked,
    record::Record,
};

async fn stages(connection: &Connection, arrival: Arrival, record: &mut Record) -> Result<Answer<AnswerBody>, Refusal> {
    let rules = connection.worker.rules(); // One exchange sees one revision.
    let (line, mut request) = receive_relayed(arrival, &record.id);
    let canonical = line.canonical(Scheme::Https)?;
    let need = if rules.names_models() { Need::Required } else { Need::Useful };
    let model = prompt::read(need, &line, &canonical, &mut request).await?;
    let asked = Asked {
        peer: Rc::clone(&connection.peer),
        port: connection.port,
        method: line.method.clone(),
        path: canonical.path().into(),
        model: model.map(String::into_boxed_str),
    };
    let permit = permit(&asked, &rules)?;
    let format = Format::asked(&request.headers);
    hear(&permit, &mut request);
    if *asked.path == *open_rca::PATH {
        return Ok(tell_load(connection, &line, request).await);
    }
    record.permitted(&permit, asked.model.as_deref());
    record.report = format;
    forward(connection, &permit, asked, &line, &canonical, request, record).await
}

/// Whether the peer may do this.
fn permit(asked: &Asked, rules: &WorkloadRules) -> Result<WorkloadPermit, Refusal> {
    if asked.peer.is_lost() {
        return Err(Refusal::permission_denied().detail("the peer is believed no longer").closing());
    }
    asked.permit(rules).map_err(|denial| Refusal::permission_denied().detail(denial.to_string()))
}

/// Answers a peer that watches how the server is; it never reaches the server.
async fn tell_load(connection: &Connection, line: &Line, request: Request) -> Answer<AnswerBody> {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = line.method.clone();
    head.uri = http::Uri::from_static(open_rca::PATH);
    head.headers = request.headers;
    let asked = http::Request::from_parts(head, request.body);
    Answer::Response(connection.worker.reporting.open_rca.answer(asked).await.map(AnswerBody::Reports))
}

/// What the peer says of whom it calls for is dropped, unless it may say so.
fn hear(permit: &WorkloadPermit, request: &mut Request) {
    if !permit.relays_callers() {
        hygiene::clean_request(&mut request.headers);
    }
}

impl Handler for Connection {
    type Body = AnswerBody;

    /// Answers one request, whatever becomes of it. The record is kept to the last byte of the answer.
    async fn handle(&self, arrival: Arrival) -> Answer<AnswerBody> {
        let now = Instant::now();
        let headers = arrival.request.headers();
        let id = RequestId::choose(headers, self.worker.unix_ms(now), self.worker.random_bits());
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let dialect = Dialect::detect(arrival.request.uri().path(), content_type);
        let mut record = Record::new(self.worker.clone(), now, id, dialect);
        match stages(self, arrival, &mut record).await {
            Ok(answer) => answer,
            Err(refusal) => answer::refuse(&refusal, record),
        }
    }

    fn malformed(&self, error: HeadError) -> http::Response<Bytes> {
        let refusal = Refusal::new(Fault::Caller, error.status(), "malformed_request", error.to_string()).closing();
        let id = RequestId::generate(self.worker.unix_ms(Instant::now()), self.worker.random_bits());
        refusal::render(&refusal, Dialect::Plain, id.as_str())
    }
}
