//! An HTTP/2 connection that we made: many exchanges at once, the connection itself on a task of its own.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use http::{
    HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery},
};
use http_body::{Body, Frame, SizeHint};

use super::{
    BodyError, H2Body, Incoming, Interim,
    h1_client::{Clocks, SendError},
    h2_left,
    h2_server::{H2Pump, PumpFault},
    head::{HeadError, content_length},
};
use crate::{io::Io, timer::LazyTimer};

/// What an answer may send on one stream before we take it, in bytes.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// What answers may send on one connection before we take it, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// The size of an answer's header list, in bytes.
const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;

/// A connection that takes requests.
#[derive(Debug, Clone)]
pub struct H2Connection {
    requests: SendRequest<Bytes>,
    load: Rc<Load>,
}

/// How busy a connection is.
#[derive(Debug)]
struct Load {
    born: Instant,
    streams: Cell<usize>,
    /// When it was last without a stream.
    rests_since: Cell<Instant>,
}

/// One stream's share of the load. Gone when dropped.
#[derive(Debug)]
struct Seat(Rc<Load>);

impl Seat {
    fn take(load: &Rc<Load>) -> Self {
        load.streams.set(load.streams.get() + 1);
        Self(Rc::clone(load))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let left = self.0.streams.get().saturating_sub(1);
        self.0.streams.set(left);
        if left == 0 {
            self.0.rests_since.set(Instant::now());
        }
    }
}

impl H2Connection {
    /// Begins HTTP/2 on a fresh stream. The connection runs on a local task until its last exchange has ended and the
    /// last `H2Connection` is dropped.
    pub async fn handshake(io: Io) -> Result<Self, h2::Error> {
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .enable_push(false)
            .handshake::<Io, Bytes>(io)
            .await?;
        tokio::task::spawn_local(async move {
            // Every exchange on it learns of the fault by itself.
            let _ = connection.await;
        });
        let now = Instant::now();
        let load = Load { born: now, streams: Cell::new(0), rests_since: Cell::new(now) };
        Ok(Self { requests, load: Rc::new(load) })
    }

    /// Whether it takes requests still.
    pub fn is_open(&mut self) -> bool {
        // Never pending: this handle has no request of its own that could wait to be opened.
        let mut cx = Context::from_waker(Waker::noop());
        !matches!(self.requests.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// When it was made.
    pub fn born(&self) -> Instant {
        self.load.born
    }

    /// How many exchanges it carries.
    pub fn streams(&self) -> usize {
        self.load.streams.get()
    }

    /// Whether its server allows one more stream now. Beyond that, streams wait their turn.
    pub fn has_room(&self) -> bool {
        self.streams() < self.requests.current_max_send_streams()
    }

    /// Whether it has been without a stream for so long.
    pub fn has_rested(&self, now: Instant, length: Duration) -> bool {
        self.streams() == 0 && now.saturating_duration_since(self.load.rests_since.get()) >= length
    }

    /// Sends a request (fields cleansed; `Host` becomes the authority) and waits for the head of the answer.
    pub async fn send(
        mut self,
        head: &http::request::Parts,
        scheme: http::uri::Scheme,
        body: Incoming,
        clocks: Clocks,
        interim: &Interim,
    ) -> Result<http::Response<H2ResponseBody>, SendError> {
        let seat = Seat::take(&self.load);
        poll_fn(|cx| self.requests.poll_ready(cx)).await.map_err(|_| SendError::ResetBeforeAnswer)?;
        let mut parts = head.clone();
        parts.uri = absolute(&parts, scheme)?;
        for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HOST] {
            parts.headers.remove(name);
        }
        parts.version = http::Version::HTTP_2;
        let end = body.is_end_stream();
        if let Some(length) = body.size_hint().exact()
            && length > 0
        {
            parts.headers.insert(CONTENT_LENGTH, length.into());
        }
        let request = http::Request::from_parts(parts, ());
        let (mut answer, stream) = self.requests.send_request(request, end).map_err(|error| send_error(&error))?;
        let mut pump = (!end).then(|| (H2Pump::new(stream, Some(clocks.idle)), body));
        let mut timer = LazyTimer::default();
        let response = poll_fn(|cx| {
            if let Some((out, body)) = &mut pump {
                match out.poll_write(Pin::new(body), cx) {
                    Poll::Ready(Err(PumpFault::Body(error))) => {
                        return Poll::Ready(Err(SendError::RequestBody(error)));
                    }
                    Poll::Ready(Err(PumpFault::Stalled)) => return Poll::Ready(Err(SendError::TimedOut)),
                    // Whatever happened to the stream, the answer's future will say.
                    Poll::Ready(Ok(()) | Err(PumpFault::Stream)) => pump = None,
                    Poll::Pending => {}
                }
            }
            while let Poll::Ready(Some(Ok(informational))) = answer.poll_informational(cx) {
                let (parts, ()) = informational.into_parts();
                interim.send(parts.status, parts.headers);
            }
            if let Poll::Ready(answered) = Pin::new(&mut answer).poll(cx) {
                return Poll::Ready(answered.map_err(|error| send_error(&error)));
            }
            if pump.is_none() && !timer.is_set() {
                timer.set(Instant::now() + clocks.first_byte);
            }
            timer.poll_expired(cx).map(|()| Err(SendError::TimedOut))
        })
        .await?;
        timer.clear();
        let (parts, stream) = response.into_parts();
        let length = content_length(&parts.headers).ok().flatten();
        let body = H2ResponseBody {
            body: H2Body::new(h2_left::Stream::new(stream), length),
            pump,
            timer,
            idle: clocks.idle,
            _seat: seat,
        };
        Ok(http::Response::from_parts(parts, body))
    }
}

/// The target as HTTP/2 carries it: `:scheme`, `:authority` and `:path`.
fn absolute(head: &http::request::Parts, scheme: http::uri::Scheme) -> Result<http::Uri, SendError> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.path_and_query = head.uri.path_and_query().cloned().or_else(|| Some(PathAndQuery::from_static("/")));
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    parts.authority = Some(Authority::try_from(host).map_err(|_| SendError::Malformed(HeadError::Host))?);
    http::Uri::from_parts(parts).map_err(|_| SendError::Malformed(HeadError::Malformed))
}

fn send_error(error: &h2::Error) -> SendError {
    match error.reason() {
        Some(Reason::REFUSED_STREAM) => SendError::Refused,
        // GOAWAY with NO_ERROR: the server has not processed it (RFC 9113 §6.8).
        Some(Reason::NO_ERROR) if error.is_remote() => SendError::Refused,
        Some(reason) => SendError::Stream(reason),
        None => SendError::ResetBeforeAnswer,
    }
}

/// The body of an answer over HTTP/2.
#[derive(Debug)]
pub struct H2ResponseBody {
    body: H2Body,
    pump: Option<(H2Pump, Incoming)>,
    timer: LazyTimer,
    idle: Duration,
    _seat: Seat,
}

impl Body for H2ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some((out, body)) = &mut this.pump {
            match out.poll_write(Pin::new(body), cx) {
                // The client's half of a two-way stream failed: the server must not take silence for consent.
                Poll::Ready(Err(PumpFault::Body(error))) => {
                    out.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(Ok(()) | Err(_)) => this.pump = None,
                Poll::Pending => {}
            }
        }
        match this.body.poll_frame(cx) {
            Poll::Ready(frame) => {
                this.timer.clear();
                Poll::Ready(frame)
            }
            Poll::Pending => {
                if !this.timer.is_set() {
                    this.timer.set(Instant::now() + this.idle);
                }
                this.timer.poll_expired(cx).map(|()| Some(Err(BodyError::Stalled)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
