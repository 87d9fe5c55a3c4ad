//! The body of an answer on its way to the peer, and the end of the exchange with its last byte.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{
    HeaderMap, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::{Body, Frame, SizeHint};
use portcullis_dialects::{
    hygiene::clean_answer,
    identifiers::X_REQUEST_ID,
    refusal::{self, Dialect, Fault, Refusal},
    sse,
};
use portcullis_mesh::{
    connections::UpstreamBody,
    http::{Answer, BodyError},
    load::{
        LoadReport,
        open_rca::Reports,
        report::{BINARY_HEADER, HEADER},
    },
};

use crate::{
    permission::Watched,
    record::{Ending, Record},
};

/// What a peer reads.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it.
    Full(Bytes),
    /// What the server sends, as it sends it. Dropping it cancels the server's work.
    Flow(Box<Flow>),
    /// How the server is, again and again.
    Reports(Reports),
}

/// An answer in progress.
#[derive(Debug)]
pub struct Flow {
    /// `None`: no more of it is wanted, and the server has been told so.
    body: Option<UpstreamBody>,
    record: Record,
    watched: Option<Rc<Watched>>,
    /// Follows an event stream, to know where it stands.
    events: Option<sse::Tail>,
    /// What the next poll says, after a last frame of our own.
    fault: Option<BodyError>,
    ended: bool,
}

/// Answers a refusal in the peer's dialect, and closes the record.
pub fn refuse(refusal: &Refusal, mut record: Record) -> Answer<AnswerBody> {
    if refusal.whose == Fault::Caller {
        tracing::debug!(request_id = record.id.as_str(), code = refusal.code, detail = %refusal.detail, "refused");
    } else {
        tracing::warn!(request_id = record.id.as_str(), code = refusal.code, detail = %refusal.detail, "refused");
    }
    record.worker.metrics.refused(refusal);
    record.answered(refusal.status, Instant::now());
    record.close(Ending::Refused);
    Answer::Response(refusal::render(refusal, record.dialect, record.id.as_str()).map(AnswerBody::Full))
}

/// Passes the server's answer on, whose head arrived `now`.
pub fn flow(
    response: Response<UpstreamBody>,
    watched: Option<Rc<Watched>>,
    record: &mut Record,
    now: Instant,
) -> Answer<AnswerBody> {
    let (mut parts, body) = response.into_parts();
    let of_server = LoadReport::from_headers(&parts.headers).and_then(Result::ok);
    clean_answer(&mut parts.headers);
    if let Some(format) = record.report
        && let Some(value) = record.worker.reporting.in_answer(of_server.as_ref(), format)
    {
        parts.headers.insert(HEADER, value);
    }
    parts.headers.insert(X_REQUEST_ID, record.id.to_header_value());
    record.answered(parts.status, now);
    let events = watched.is_some() && body.size_hint().exact().is_none() && is_event_stream(&parts.headers);
    let flow = Flow {
        body: Some(body),
        events: events.then(|| sse::Tail::new(record.dialect)),
        record: record.hand_over(),
        watched,
        fault: None,
        ended: false,
    };
    Answer::Response(Response::from_parts(parts, AnswerBody::Flow(Box::new(flow))))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| sse::is_event_stream(value.as_bytes()))
        && !headers.contains_key(CONTENT_ENCODING)
}

/// Of gRPC, the peer is told how the server is behind each answer: whoever does not know the field passes it over.
fn finish_trailers(trailers: &mut HeaderMap, record: &Record) {
    let of_server = LoadReport::from_headers(trailers).and_then(Result::ok);
    clean_answer(trailers);
    if record.dialect == Dialect::Grpc
        && let Some(value) = record.worker.reporting.in_trailers(of_server.as_ref())
    {
        trailers.insert(BINARY_HEADER, value);
    }
}

impl Flow {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(fault) = self.fault.take() {
            self.ended = true;
            return Poll::Ready(Some(Err(fault)));
        }
        if let Some(watched) = &self.watched
            && !self.ended
            && let Poll::Ready(refusal) = watched.poll_lost(cx)
        {
            return Poll::Ready(Some(self.break_off(&refusal)));
        }
        let Some(body) = self.body.as_mut().filter(|_| !self.ended) else { return Poll::Ready(None) };
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(mut frame)) => {
                let is_last = frame.is_trailers() || body.is_end_stream();
                if let Some(trailers) = frame.trailers_mut() {
                    finish_trailers(trailers, &self.record);
                } else {
                    self.record.came(Instant::now());
                }
                if let (Some(events), Some(chunk)) = (&mut self.events, frame.data_ref()) {
                    events.push(chunk);
                }
                if is_last {
                    self.end(Ending::Complete);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.end(Ending::Complete);
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                tracing::warn!(request_id = self.record.id.as_str(), %error, "answer broke off");
                self.end(Ending::Broken);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Tells the peer, in its own dialect, that this is not the end of the answer; then fails the body.
    fn break_off(&mut self, refusal: &Refusal) -> Result<Frame<Bytes>, BodyError> {
        tracing::warn!(request_id = self.record.id.as_str(), code = refusal.code, "answer cut");
        self.record.worker.metrics.refused(refusal);
        self.body = None;
        self.record.close(Ending::Broken);
        let error = BodyError::Ended("permission lost");
        let last = match &self.events {
            Some(events) => {
                let mid_event = events.ending() == sse::Ending::MidEvent;
                refusal::stream_error_event(refusal, self.record.dialect, mid_event)
            }
            None if self.record.dialect == Dialect::Grpc => {
                self.ended = true;
                return Ok(Frame::trailers(refusal::grpc_trailers(refusal)));
            }
            None => None,
        };
        match last {
            Some(event) => {
                self.fault = Some(error);
                Ok(Frame::data(event))
            }
            None => {
                self.ended = true;
                Err(error)
            }
        }
    }

    fn end(&mut self, ending: Ending) {
        self.ended = true;
        self.record.close(ending);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            AnswerBody::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            AnswerBody::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            AnswerBody::Flow(flow) => flow.poll_frame(cx),
            AnswerBody::Reports(reports) => Pin::new(reports).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Full(bytes) => bytes.is_empty(),
            AnswerBody::Reports(reports) => reports.is_end_stream(),
            AnswerBody::Flow(flow) => flow.fault.is_none() && flow.body.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            AnswerBody::Reports(reports) => reports.size_hint(),
            AnswerBody::Flow(flow) => flow.body.as_ref().map_or_else(SizeHint::new, Body::size_hint),
        }
    }
}
