//! An HTTP/1.1 connection that we made: the request goes out and the answer comes in on the task that asked.
//!
//! There is no connection task and no channel: whoever polls the answer's body also writes what is left of the
//! request's. When the answer has been read to its end, the connection goes back to where it came from.

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};

use super::{
    BodyError, Incoming, Interim,
    framing::{Decoded, Decoder, Encoder},
    head::{self, Framing, HeadError, HeadScanner, ResponseHead, content_length},
    wire::Wire,
};
use crate::{connections::Attempt, io::Io, timer::LazyTimer};

/// Interim answers to one request before it is called a fault.
const INTERIM_ANSWERS_MAX: usize = 16;

/// A connection on which no exchange is going on. Kept in a box, since it wanders: from the store to the request, into
/// the answer's body, and back.
#[derive(Debug)]
pub struct H1Connection {
    wire: Wire,
    timer: LazyTimer,
    /// Exchanges that it has carried.
    pub exchanges: u64,
    /// How long its server said that it keeps it open (`Keep-Alive: timeout=`).
    pub keep_alive_hint: Option<Duration>,
}

/// Takes connections back that can be used again.
pub trait Recycle {
    /// This one can.
    fn recycle(&self, connection: Box<H1Connection>);
}

/// The clocks of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// From the last byte of the request to the head of the answer.
    pub first_byte: Duration,
    /// The longest silence inside an answer, and the longest time in which an endpoint takes nothing of a request.
    pub idle: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection ended or failed before a byte of the answer.
    #[error("the connection was reset before an answer")]
    ResetBeforeAnswer,
    /// It ended or failed inside the head.
    #[error("the connection was reset inside the answer's head")]
    ResetInsideHead,
    /// No head within the first-byte time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is not HTTP.
    #[error("malformed answer: {0}")]
    Malformed(HeadError),
    /// The request's own body failed: the client's fault.
    #[error("the request's body failed: {0}")]
    RequestBody(BodyError),
    /// The answer changes the protocol, unasked.
    #[error("unexpected upgrade")]
    UnexpectedUpgrade,
    /// HTTP/2: refused before it was processed, so it may be sent again.
    #[error("the stream was refused")]
    Refused,
    /// HTTP/2: reset.
    #[error("the stream was reset: {0}")]
    Stream(h2::Reason),
}

/// What came of a request.
#[derive(Debug)]
pub enum Sent {
    /// An answer, its body to come.
    Response(http::Response<ResponseBody>),
    /// The protocol was changed as asked.
    Upgraded(http::Response<()>, Io, Bytes),
}

impl H1Connection {
    /// A new connection.
    pub fn new(io: Io) -> Box<Self> {
        Box::new(Self { wire: Wire::new(io), timer: LazyTimer::default(), exchanges: 0, keep_alive_hint: None })
    }

    /// Whether it is still open and silent, as an idle connection must be. Costs no system call while nothing happened.
    pub fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.wire.read.is_empty() && self.wire.poll_fill(cx).is_pending()
    }

    /// Sends a request (its URI in origin form, its fields cleansed) and waits for the head of the answer.
    pub async fn send(
        mut self: Box<Self>,
        parts: &http::request::Parts,
        body: Incoming,
        attempt: Attempt,
        interim: &Interim,
        home: Rc<dyn Recycle>,
    ) -> Result<Sent, SendError> {
        let framing = request_framing(&parts.headers, &body);
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        head::write_request_head(self.wire.out.small(), &parts.method, target, &parts.headers, framing);
        self.exchanges += 1;
        let mut pump = Pump { encoder: Some(Encoder::new(framing)), body };
        let head = self.poll_head(&mut pump, attempt, interim).await?;
        let (framing, hint) = (head.framing(&parts.method), head.keep_alive_timeout());
        let ResponseHead { response, keep_alive, .. } = head;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (io, read) = self.wire.into_parts();
            return Ok(Sent::Upgraded(response, io, read));
        }
        let framing = framing.map_err(SendError::Malformed)?;
        self.keep_alive_hint = hint.or(self.keep_alive_hint);
        let mut body = ResponseBody {
            connection: Some(self),
            decoder: Decoder::new(framing),
            pump,
            reusable: keep_alive && framing != Framing::UntilClose,
            idle: attempt.clocks.idle,
            home,
        };
        body.finish_if_ended();
        Ok(Sent::Response(response.map(|()| body)))
    }

    async fn poll_head(
        &mut self,
        pump: &mut Pump,
        attempt: Attempt,
        interim: &Interim,
    ) -> Result<ResponseHead, SendError> {
        let mut scanner = HeadScanner::default();
        let mut interim_answers = 0;
        let (mut sent, mut stalled_at) = (false, 0);
        // The time, as long as this has not had to wait.
        let mut now = Some(attempt.at);
        self.timer.clear();
        poll_fn(|cx| {
            if !sent {
                match pump.poll_write(&mut self.wire, cx) {
                    Poll::Ready(Err(PumpError::Body(error))) => {
                        return Poll::Ready(Err(SendError::RequestBody(error)));
                    }
                    // A server may answer and close without reading the whole request (413): the answer counts.
                    Poll::Ready(Ok(()) | Err(PumpError::Io)) => {
                        sent = true;
                        self.timer.set(now.unwrap_or_else(Instant::now) + attempt.clocks.first_byte);
                    }
                    // It is the client that we wait for.
                    Poll::Pending if self.wire.out.is_empty() => self.timer.clear(),
                    Poll::Pending if !self.timer.is_set() || stalled_at != self.wire.total_out => {
                        stalled_at = self.wire.total_out;
                        self.timer.set(Instant::now() + attempt.clocks.idle);
                    }
                    Poll::Pending => {}
                }
            }
            loop {
                if !self.wire.read.is_empty() {
                    match scanner.find_end(&self.wire.read) {
                        Err(error) => return Poll::Ready(Err(SendError::Malformed(error))),
                        Ok(None) => {}
                        Ok(Some(end)) => {
                            let bytes = self.wire.read.split_to(end).freeze();
                            let head = head::parse_response(&bytes).map_err(SendError::Malformed)?;
                            let status = head.response.status();
                            if status == StatusCode::SWITCHING_PROTOCOLS && !attempt.upgrade {
                                return Poll::Ready(Err(SendError::UnexpectedUpgrade));
                            }
                            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                                return Poll::Ready(Ok(head));
                            }
                            interim_answers += 1;
                            if interim_answers > INTERIM_ANSWERS_MAX {
                                return Poll::Ready(Err(SendError::Malformed(HeadError::Interim)));
                            }
                            // We have asked for no `100`; what a client asked for, we answer ourselves.
                            if status != StatusCode::CONTINUE {
                                let mut headers = head.response.into_parts().0.headers;
                                headers.remove(http::header::CONNECTION);
                                interim.send(status, headers);
                            }
                            continue;
                        }
                    }
                }
                match self.wire.poll_fill(cx) {
                    Poll::Ready(Ok(n)) if n > 0 => {}
                    Poll::Ready(_) if self.wire.read.is_empty() && interim_answers == 0 => {
                        return Poll::Ready(Err(SendError::ResetBeforeAnswer));
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(SendError::ResetInsideHead)),
                    Poll::Pending => break,
                }
            }
            now = None;
            match self.timer.poll_expired(cx) {
                Poll::Ready(()) => Poll::Ready(Err(SendError::TimedOut)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// What is left of a request's body to write.
#[derive(Debug)]
struct Pump {
    encoder: Option<Encoder>,
    body: Incoming,
}

enum PumpError {
    Body(BodyError),
    Io,
}

impl Pump {
    /// Ready when all of it is written.
    fn poll_write(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        loop {
            let mut waits_for_body = false;
            while let Some(encoder) = &mut self.encoder
                && !wire.out.is_full()
                && !waits_for_body
            {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(chunk) => encoder.put(chunk, &mut wire.out).map_err(PumpError::Body)?,
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            encoder.finish(Some(&trailers), &mut wire.out).map_err(PumpError::Body)?;
                            self.encoder = None;
                        }
                    },
                    Poll::Ready(None) => {
                        encoder.finish(None, &mut wire.out).map_err(PumpError::Body)?;
                        self.encoder = None;
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(PumpError::Body(error))),
                    Poll::Pending => waits_for_body = true,
                }
            }
            if wire.out.is_empty() && self.encoder.is_none() {
                return Poll::Ready(Ok(()));
            }
            match wire.poll_flush(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Err(PumpError::Io)),
                Poll::Ready(Ok(())) if waits_for_body => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_done(&self, wire: &Wire) -> bool {
        self.encoder.is_none() && wire.out.is_empty()
    }
}

/// The body of an answer, read from the connection while it is polled.
pub struct ResponseBody {
    connection: Option<Box<H1Connection>>,
    decoder: Decoder,
    pump: Pump,
    reusable: bool,
    idle: Duration,
    home: Rc<dyn Recycle>,
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

impl ResponseBody {
    /// Whether nothing but the end of the connection will end it, so that a peer that died looks like one that is done.
    /// Known until the first byte has been read.
    pub fn ends_by_close(&self) -> bool {
        matches!(self.decoder, Decoder::UntilClose)
    }

    /// Gives the connection back as soon as the last byte has been taken from it.
    fn finish_if_ended(&mut self) {
        if self.decoder.has_ended()
            && let Some(mut connection) = self.connection.take()
            && self.reusable
            && self.pump.is_done(&connection.wire)
            && connection.wire.read.is_empty()
        {
            connection.timer.clear();
            self.home.recycle(connection);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
            if !this.pump.is_done(&connection.wire) {
                // The rest of the request: its failure is no reason to lose an answer that is coming.
                if let Poll::Ready(Err(_)) = this.pump.poll_write(&mut connection.wire, cx) {
                    this.pump = Pump { encoder: None, body: Incoming::Empty };
                    this.reusable = false;
                }
            }
            let decoded = match this.decoder.decode(&mut connection.wire.read) {
                Ok(decoded) => decoded,
                Err(error) => {
                    this.connection = None;
                    return Poll::Ready(Some(Err(error)));
                }
            };
            match decoded {
                Decoded::Data(bytes) => {
                    connection.timer.clear();
                    this.finish_if_ended();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Decoded::Trailers(trailers) => {
                    this.finish_if_ended();
                    this.connection = None;
                    if trailers.is_empty() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Decoded::End => {
                    this.finish_if_ended();
                    this.connection = None;
                    return Poll::Ready(None);
                }
                Decoded::NeedMore => {}
            }
            let error = match connection.wire.poll_fill(cx) {
                Poll::Ready(Ok(0)) => match this.decoder.end_of_stream() {
                    Ok(()) => {
                        this.connection = None;
                        return Poll::Ready(None);
                    }
                    Err(error) => error,
                },
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => error.into(),
                Poll::Pending => {
                    if !connection.timer.is_set() {
                        connection.timer.set(Instant::now() + this.idle);
                    }
                    match connection.timer.poll_expired(cx) {
                        Poll::Ready(()) => BodyError::Stalled,
                        Poll::Pending => return Poll::Pending,
                    }
                }
            };
            this.connection = None;
            return Poll::Ready(Some(Err(error)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.has_ended() && self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.remaining().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn request_framing(headers: &HeaderMap, body: &Incoming) -> Framing {
    match body.size_hint().exact() {
        Some(length) => Framing::Length(length),
        // An HTTP/2 request may announce its length too.
        None if headers.contains_key(CONTENT_LENGTH) => {
            content_length(headers).ok().flatten().map_or(Framing::Chunked, Framing::Length)
        }
        None => Framing::Chunked,
    }
}

/// Whether a request may be sent again though nobody knows what became of it (RFC 9110 §9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}
