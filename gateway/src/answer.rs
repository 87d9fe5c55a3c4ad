//! The body of an answer on its way to the client, and the end of the exchange with its last byte.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use http::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::{Body, Frame, SizeHint};
use portcullis_mesh::{
    connections::UpstreamBody,
    endpoints::{Outcome, Placement},
    http::{Answer, BodyError},
    timer::LazyTimer,
};

use crate::{
    hygiene::clean_answer,
    identifiers::X_REQUEST_ID,
    prompt::refuse_body,
    record::{Ending, Record},
    refusal::{self, Dialect, Fault, Refusal},
    screening::{AnswerScreen, Passed},
    sse,
};

/// What a client reads.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it.
    Full(Bytes),
    /// What an endpoint sends, as it sends it.
    Flow(Box<Flow>),
}

/// What a poll gives.
type Given = Option<Result<Frame<Bytes>, BodyError>>;

/// What has come of a body, and is given again.
#[derive(Debug, Default)]
struct Begun {
    bytes: BytesMut,
    /// What was given after it, if that was no more of it.
    then: Option<Given>,
}

/// An answer in progress. Dropping it early cancels the endpoint's work.
#[derive(Debug)]
pub struct Flow {
    /// `None`: no more of it is wanted, and its endpoint has been told so.
    body: Option<UpstreamBody>,
    /// What was looked at before anybody reads the body.
    begun: Option<Begun>,
    placement: Placement,
    record: Record,
    deadline: LazyTimer,
    /// Follows an event stream, to know how it ended.
    events: Option<sse::Tail>,
    /// Nothing but the end of the endpoint's connection ends the body.
    ends_by_close: bool,
    /// Guardrails that every byte goes through.
    screen: Option<Box<AnswerScreen>>,
    /// Of the endpoint, for when guardrails have let everything go.
    trailers: Option<Frame<Bytes>>,
    /// What follows the frame that was given last.
    next: Option<Frame<Bytes>>,
    /// What the next poll says, after a last frame of our own.
    fault: Option<BodyError>,
    ended: bool,
}

/// Answers at once, without an endpoint.
pub fn ready(response: Response<Bytes>, record: &mut Record) -> Answer<AnswerBody> {
    let mut response = response.map(AnswerBody::Full);
    response.headers_mut().insert(X_REQUEST_ID, record.id.to_header_value());
    record.answered(response.status(), Instant::now());
    record.close(Ending::Complete);
    Answer::Response(response)
}

/// Answers a refusal in the client's dialect, and closes the record.
pub fn refuse(refusal: &Refusal, mut record: Record) -> Answer<AnswerBody> {
    if refusal.whose == Fault::Caller {
        tracing::debug!(request_id = record.id.as_str(), code = refusal.code, detail = %refusal.detail, "refused");
    } else {
        tracing::warn!(request_id = record.id.as_str(), code = refusal.code, detail = %refusal.detail, "refused");
    }
    record.answered(refusal.status, Instant::now());
    record.worker.metrics.refused(refusal);
    record.close(Ending::Refused);
    Answer::Response(refusal::render(refusal, record.dialect, record.id.as_str()).map(AnswerBody::Full))
}

/// Passes an endpoint's answer on, whose head arrived `now`. `deadline`: of the whole exchange, if its route or its
/// client set one.
pub fn flow(
    response: Response<UpstreamBody>,
    placement: Placement,
    record: &mut Record,
    deadline: Option<Instant>,
    now: Instant,
) -> Answer<AnswerBody> {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(X_REQUEST_ID, record.id.to_header_value());
    record.answered(parts.status, now);
    // A stream whose length was announced is not followed: no event of ours could be added to it. Nor is one that is
    // encoded: its bytes are no events.
    let is_event_stream = parts.status == StatusCode::OK
        && body.size_hint().exact().is_none()
        && !parts.headers.contains_key(CONTENT_ENCODING)
        && parts.headers.get(CONTENT_TYPE).is_some_and(|value| sse::is_event_stream(value.as_bytes()));
    let mut timer = LazyTimer::default();
    if let Some(deadline) = deadline {
        timer.set(deadline);
    }
    let flow = Flow {
        events: is_event_stream.then(|| sse::Tail::new(record.dialect)),
        ends_by_close: body.ends_by_close(),
        body: Some(body),
        begun: None,
        placement,
        record: record.hand_over(),
        deadline: timer,
        screen: None,
        trailers: None,
        next: None,
        fault: None,
        ended: false,
    };
    Answer::Response(Response::from_parts(parts, AnswerBody::Flow(Box::new(flow))))
}

impl Flow {
    /// From here on every byte goes through these guardrails.
    pub fn screened_by(&mut self, screen: AnswerScreen) {
        self.screen = Some(Box::new(screen));
    }

    /// Waits until enough has come of the body to know what it is. Whoever reads the body reads that again.
    pub async fn begin(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> Bytes {
        let mut begun = Begun::default();
        poll_fn(|cx| {
            // The next poll of the body says that the time is up.
            while begun.then.is_none() && !is_enough(&begun.bytes) && self.deadline.poll_expired(cx).is_pending() {
                match std::task::ready!(self.poll_body(cx)).map(|given| given.map(Frame::into_data)) {
                    Some(Ok(Ok(chunk))) => begun.bytes.extend_from_slice(&chunk),
                    Some(Ok(Err(trailers))) => begun.then = Some(Some(Ok(trailers))),
                    Some(Err(error)) => begun.then = Some(Some(Err(error))),
                    None => begun.then = Some(None),
                }
            }
            Poll::Ready(())
        })
        .await;
        let bytes = begun.bytes.clone().freeze();
        self.begun = Some(begun);
        bytes
    }

    /// What the endpoint has sent, or had when it was looked at.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Given> {
        if let Some(mut begun) = self.begun.take() {
            if !begun.bytes.is_empty() {
                let frame = Frame::data(begun.bytes.split().freeze());
                self.begun = begun.then.is_some().then_some(begun);
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some(then) = begun.then {
                return Poll::Ready(then);
            }
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(frame) = self.next.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(fault) = self.fault.take() {
            self.ended = true;
            return Poll::Ready(Some(Err(fault)));
        }
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if self.deadline.poll_expired(cx).is_ready() {
                self.placement.report(Instant::now(), Outcome::Cancelled);
                return self.break_off(&Refusal::deadline_exceeded(), BodyError::Ended("deadline exceeded"));
            }
            if let Some(watched) = &self.record.watched
                && let Poll::Ready(refusal) = watched.poll_lost(cx)
            {
                self.placement.report(Instant::now(), Outcome::Cancelled);
                return self.break_off(&refusal, BodyError::Ended("permission lost"));
            }
            if let Some(screen) = &mut self.screen {
                match std::task::ready!(screen.poll(cx)) {
                    Passed::More => {}
                    passed => return Poll::Ready(self.judged(passed)),
                }
            }
            if self.body.is_none() {
                return Poll::Ready(None);
            }
            let polled = std::task::ready!(self.poll_body(cx));
            if let Some(given) = self.take(polled) {
                return Poll::Ready(given);
            }
        }
    }

    /// What the client is given for what the endpoint sent; `None` if nothing yet.
    fn take(&mut self, polled: Option<Result<Frame<Bytes>, BodyError>>) -> Option<Given> {
        match polled {
            Some(Ok(frame)) if self.screen.is_some() => {
                self.screened(frame);
                None
            }
            Some(Ok(mut frame)) => {
                if let Some(chunk) = frame.data_ref() {
                    if let Some(events) = &mut self.events {
                        events.push(chunk);
                    }
                } else {
                    // gRPC servers tell their load in trailers.
                    frame.trailers_mut().into_iter().for_each(clean_answer);
                    self.finish();
                }
                let is_last = self.begun.is_none() && self.body.as_ref().is_some_and(Body::is_end_stream);
                if is_last && !self.is_cut_short() {
                    self.finish();
                }
                Some(Some(Ok(frame)))
            }
            None if self.is_cut_short() => {
                self.placement.report(Instant::now(), Outcome::ResetMidAnswer);
                Some(Some(self.broken_off(&Refusal::upstream_truncated(), BodyError::Ended("event stream cut short"))))
            }
            None if self.screen.is_some() => {
                self.end_of_screened(None);
                None
            }
            None => {
                self.finish();
                Some(None)
            }
            // The client's own half broke the rules; its endpoint did nothing wrong.
            Some(Err(error @ BodyError::Ended(_))) => {
                self.placement.report(Instant::now(), Outcome::Cancelled);
                Some(Some(self.broken_off(&refuse_body(&error), error)))
            }
            Some(Err(error)) => {
                let outcome = if error == BodyError::Stalled { Outcome::TimedOut } else { Outcome::ResetMidAnswer };
                self.placement.report(Instant::now(), outcome);
                Some(Some(self.broken_off(&Refusal::upstream_truncated(), error)))
            }
        }
    }

    /// Shows a frame of the endpoint to guardrails.
    fn screened(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(chunk) => {
                if let Some(events) = &mut self.events {
                    events.push(&chunk);
                }
                if let Some(screen) = &mut self.screen {
                    screen.push(&chunk);
                }
            }
            Err(mut trailers) => {
                if let Some(trailers) = trailers.trailers_mut() {
                    clean_answer(trailers);
                    self.screen.iter_mut().for_each(|screen| screen.trailers(trailers));
                }
                self.end_of_screened(Some(trailers));
            }
        }
    }

    /// The endpoint has sent its last byte; what guardrails held comes before its trailers.
    fn end_of_screened(&mut self, trailers: Option<Frame<Bytes>>) {
        self.trailers = trailers;
        if let Some(screen) = &mut self.screen {
            screen.finish();
        }
    }

    /// What the client is given for what guardrails say.
    fn judged(&mut self, passed: Passed) -> Given {
        match passed {
            Passed::More => None,
            Passed::On(bytes) => Some(Ok(Frame::data(bytes))),
            Passed::End => {
                self.finish();
                self.trailers.take().map(Ok)
            }
            Passed::Blocked(last) => {
                // The client has an end that it understands; the endpoint need not go on.
                self.placement.report(Instant::now(), Outcome::Cancelled);
                self.body = None;
                self.ended = true;
                self.record.close(Ending::Blocked);
                if self.record.dialect == Dialect::Grpc {
                    self.next = Some(Frame::trailers(refusal::grpc_trailers(&Refusal::answer_filtered())));
                }
                if last.is_empty() { self.next.take().map(Ok) } else { Some(Ok(Frame::data(last))) }
            }
            Passed::Failed(last, refusal) => {
                self.placement.report(Instant::now(), Outcome::Cancelled);
                let broken = self.broken_off(&refusal, BodyError::Ended("answer cannot be screened"));
                if last.is_empty() {
                    return Some(broken);
                }
                self.ended = false;
                match broken {
                    Ok(frame) => self.next = Some(frame),
                    Err(fault) => self.fault = Some(fault),
                }
                Some(Ok(Frame::data(last)))
            }
        }
    }

    /// Whether an event stream that ends here would be taken for a whole one and is not.
    fn is_cut_short(&self) -> bool {
        self.events.as_ref().is_some_and(|events| events.is_truncated(self.ends_by_close))
    }

    /// The last byte has been taken from the endpoint.
    fn finish(&mut self) {
        self.ended = true;
        self.record.close(Ending::Complete);
    }

    fn break_off(&mut self, refusal: &Refusal, error: BodyError) -> Poll<Given> {
        Poll::Ready(Some(self.broken_off(refusal, error)))
    }

    /// Tells the client, in its own dialect, that this is not the end of the answer; then fails the body.
    fn broken_off(&mut self, refusal: &Refusal, error: BodyError) -> Result<Frame<Bytes>, BodyError> {
        tracing::warn!(request_id = self.record.id.as_str(), code = refusal.code, %error, "answer broke off");
        self.record.worker.metrics.refused(refusal);
        self.record.close(Ending::Broken);
        self.body = None;
        let last = match &self.events {
            Some(events) => {
                // Guardrails let go only of whole events.
                let mid_event = self.screen.is_none() && events.ending() == sse::Ending::MidEvent;
                refusal::stream_error_event(refusal, self.record.dialect, mid_event).map(Frame::data)
            }
            // Guardrails take an announced length away, so that there is room for one.
            None if self.screen.as_ref().is_some_and(|screen| screen.are_events()) => {
                refusal::stream_error_event(refusal, self.record.dialect, false).map(Frame::data)
            }
            None if self.record.dialect == Dialect::Grpc => Some(Frame::trailers(refusal::grpc_trailers(refusal))),
            None => None,
        };
        let Some(frame) = last else {
            self.ended = true;
            return Err(error);
        };
        if frame.is_trailers() {
            self.ended = true;
        } else {
            self.fault = Some(error);
        }
        Ok(frame)
    }

    fn is_end_stream(&self) -> bool {
        if self.fault.is_some() || self.next.is_some() {
            return false;
        }
        // What guardrails hold may come after the endpoint's last byte.
        let has_all =
            || self.screen.is_none() && self.begun.is_none() && self.body.as_ref().is_none_or(Body::is_end_stream);
        self.ended || (has_all() && !self.is_cut_short())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) if self.screen.is_none() && self.begun.is_none() => body.size_hint(),
            _ => SizeHint::new(),
        }
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Full(bytes) => bytes.is_empty(),
            AnswerBody::Flow(flow) => flow.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            AnswerBody::Flow(flow) => flow.size_hint(),
        }
    }
}

/// Keeps a tunnel's place at its endpoint, and its record, to its end.
#[derive(Debug)]
pub struct TunnelGuard {
    record: Record,
    _placement: Placement,
}

impl TunnelGuard {
    /// Holds both.
    pub fn new(record: Record, placement: Placement) -> Self {
        Self { record, _placement: placement }
    }
}

impl Drop for TunnelGuard {
    fn drop(&mut self) {
        self.record.close(Ending::Complete);
    }
}
