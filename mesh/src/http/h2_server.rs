//! An HTTP/2 connection that somebody made to us: `h2` for the frames, one task for all its streams.
//!
//! Streams are polled by the task that owns the connection, so that what they write leaves together and waking one
//! does not wake two tasks.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, TE, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body;

use super::{
    Answer, Arrival, BodyError, Ended, H2Body, Handler, Incoming, Interim, Limits, WRITE_PROGRESS_BYTES_MIN,
    cork::{Cork, Corked, cork},
    h2_left::{self, Left},
    head::{FIELDS_MAX, HeadError, content_length},
};
use crate::{drain::DrainSeat, io::Io, timer::LazyTimer};

/// How long a connection that has nothing left to say may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves one connection to its end.
pub async fn serve<H: Handler>(io: Io, handler: &H, limits: &Limits, seat: &DrainSeat) -> Ended {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(limits.h2_streams_max)
        .max_header_list_size(limits.h2_header_list_bytes_max)
        .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
        .max_local_error_reset_streams(Some(limits.h2_local_resets_max))
        .initial_window_size(limits.h2_stream_window_bytes)
        .initial_connection_window_size(limits.h2_connection_window_bytes)
        .max_send_buffer_size(limits.h2_send_buffer_bytes);
    let (io, cork) = cork(io);
    let handshake = builder.handshake::<Corked, Bytes>(io);
    let mut connection = match tokio::time::timeout(limits.head_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Ended::H2(error.to_string()),
        Err(_) => return Ended::Malformed(HeadError::TooSlow),
    };
    let mut exchanges = FuturesUnordered::new();
    let mut timer = LazyTimer::default();
    let mut finishing = false;
    let (mut early_resets, mut calmed): (usize, bool) = (0, false);
    timer.set(Instant::now() + limits.keep_alive_timeout);
    let turn = |cx: &mut Context<'_>| {
        if !finishing && seat.poll_draining(cx).is_ready() {
            finishing = true;
            connection.graceful_shutdown();
        }
        loop {
            let mut accepted = false;
            loop {
                match connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        accepted = true;
                        exchanges.push(exchange(request, respond, handler, limits));
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(ended(&error)),
                    Poll::Ready(None) if calmed => return Poll::Ready(Ended::H2("calmed".to_owned())),
                    Poll::Ready(None) => return Poll::Ready(Ended::Cleanly),
                    Poll::Pending => break,
                }
            }
            let mut finished = false;
            while let Poll::Ready(Some(end)) = exchanges.poll_next_unpin(cx) {
                finished = true;
                early_resets = match end {
                    End::Answered => early_resets.saturating_sub(1),
                    End::ResetEarly => early_resets + 1,
                };
            }
            if !calmed && (cork.is_flooded() || early_resets > limits.h2_early_resets_max) {
                calmed = true;
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            if !accepted && !finished {
                break;
            }
        }
        if !exchanges.is_empty() {
            timer.clear();
            return Poll::Pending;
        }
        if !timer.is_set() {
            timer.set(Instant::now() + if finishing { CLOSE_TIMEOUT } else { limits.keep_alive_timeout });
        }
        ready!(timer.poll_expired(cx));
        if finishing {
            return Poll::Ready(Ended::Stalled);
        }
        finishing = true;
        connection.graceful_shutdown();
        timer.set(Instant::now() + CLOSE_TIMEOUT);
        cx.waker().wake_by_ref();
        Poll::Pending
    };
    serve_in_turns(turn, &cork).await
}

/// After each turn, in which every stream that could has written, what they wrote leaves together.
async fn serve_in_turns(mut turn: impl FnMut(&mut Context<'_>) -> Poll<Ended>, cork: &Cork) -> Ended {
    let ended = poll_fn(|cx| {
        let polled = turn(cx);
        match cork.poll_release(cx) {
            Poll::Ready(Err(error)) if polled.is_pending() => Poll::Ready(Ended::Io(error.kind())),
            _ => polled,
        }
    })
    .await;
    // The last words, a GOAWAY say: whoever does not take them in time does not get them.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, poll_fn(|cx| cork.poll_release(cx))).await;
    ended
}

fn ended(error: &h2::Error) -> Ended {
    match error.get_io() {
        Some(io) => Ended::Io(io.kind()),
        None if error.reason() == Some(Reason::NO_ERROR) => Ended::Cleanly,
        None => Ended::H2(error.to_string()),
    }
}

/// How a stream ended, as far as its client is to be judged by it.
enum End {
    Answered,
    /// Before an answer began: the client gave up, or we had to reset it.
    ResetEarly,
}

/// One stream, from its request to the last byte of its answer.
async fn exchange<H: Handler>(
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    handler: &H,
    limits: &Limits,
) -> End {
    let method = request.method().clone();
    let respond = Rc::new(RefCell::new(respond));
    let interim = Interim::H2(respond.clone());
    let has_too_many_fields = request.headers().len() > FIELDS_MAX;
    let (request, mut left) = incoming(request, &interim);
    let answer = if has_too_many_fields {
        // Its client may take its time over our answer; what it sent is not held meanwhile.
        drop(request);
        None
    } else {
        let arrival = Arrival { request, interim };
        match until_reset(&respond, pin!(handler.handle(arrival))).await {
            Some(answer) => Some(answer),
            // The client has reset the stream; what it began is dropped with the handler.
            None => return End::ResetEarly,
        }
    };
    match answer {
        Some(Answer::Response(response)) => send(&method, response, &respond, &mut left, limits).await,
        Some(Answer::Tunnel(..) | Answer::Abort) => respond.borrow_mut().send_reset(Reason::INTERNAL_ERROR),
        None => {
            let response = handler.malformed(HeadError::FieldsTooLarge).map(Incoming::Full);
            send(&method, response, &respond, &mut left, limits).await;
        }
    }
    left.linger(&respond).await;
    End::Answered
}

fn incoming(request: http::Request<RecvStream>, interim: &Interim) -> (http::Request<Incoming>, Left) {
    let (mut parts, stream) = request.into_parts();
    join_cookies(&mut parts.headers);
    if stream.is_end_stream() {
        return (http::Request::from_parts(parts, Incoming::Empty), Left::default());
    }
    let length = content_length(&parts.headers).ok().flatten();
    let (stream, left) = h2_left::Stream::leaving(stream);
    let body = H2Body::new(stream, length);
    let waits = parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let body = Incoming::H2(if waits { body.awaited(interim.clone()) } else { body });
    (http::Request::from_parts(parts, body), left)
}

/// HTTP/2 may split cookies for compression; everyone else expects one field (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// The future's output, or `None` if the client resets the stream first.
async fn until_reset<F: Future>(
    respond: &Rc<RefCell<SendResponse<Bytes>>>,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        match respond.borrow_mut().poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

const NOT_IN_HTTP2: [HeaderName; 4] = [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE];

async fn send<B>(
    method: &Method,
    response: http::Response<B>,
    respond: &Rc<RefCell<SendResponse<Bytes>>>,
    left: &mut Left,
    limits: &Limits,
) where
    B: Body<Data = Bytes, Error = BodyError>,
{
    let (mut parts, body) = response.into_parts();
    for name in &NOT_IN_HTTP2 {
        parts.headers.remove(name);
    }
    let bodiless =
        *method == Method::HEAD || parts.status == StatusCode::NO_CONTENT || parts.status == StatusCode::NOT_MODIFIED;
    if !bodiless
        && !parts.headers.contains_key(CONTENT_LENGTH)
        && let Some(length) = body.size_hint().exact()
    {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    let end = bodiless || body.is_end_stream();
    let sent = respond.borrow_mut().send_response(http::Response::from_parts(parts, ()), end);
    let Ok(stream) = sent else { return };
    if end {
        return;
    }
    let mut pump = H2Pump::new(stream, Some(limits.write_stall_timeout));
    let mut body = pin!(body);
    // A fault in the body resets the stream: a missing end must not look like an end.
    let written = poll_fn(|cx| {
        let _ = left.poll_discard(cx);
        pump.poll_write(body.as_mut(), cx)
    });
    if let Err(fault) = written.await {
        pump.stream.send_reset(match fault {
            PumpFault::Stalled => Reason::CANCEL,
            PumpFault::Body(_) | PumpFault::Stream => Reason::INTERNAL_ERROR,
        });
    }
}

/// Writes a body onto a stream as flow control allows: at most one piece of it is held.
#[derive(Debug)]
pub(super) struct H2Pump {
    pub(super) stream: SendStream<Bytes>,
    pending: Bytes,
    stall: Option<Duration>,
    timer: LazyTimer,
    /// Bytes that have left since the timer was last cleared.
    progress: usize,
}

#[derive(Debug)]
pub(super) enum PumpFault {
    Body(BodyError),
    Stream,
    Stalled,
}

impl H2Pump {
    pub(super) fn new(stream: SendStream<Bytes>, stall: Option<Duration>) -> Self {
        Self { stream, pending: Bytes::new(), stall, timer: LazyTimer::default(), progress: 0 }
    }

    /// Ready when the whole body has been handed to the connection.
    pub(super) fn poll_write<B>(&mut self, mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Result<(), PumpFault>>
    where
        B: Body<Data = Bytes, Error = BodyError>,
    {
        let gone = |_: h2::Error| PumpFault::Stream;
        loop {
            if !self.pending.is_empty() {
                ready!(self.poll_capacity(cx))?;
                let n = self.stream.capacity().min(self.pending.len());
                let chunk = self.pending.split_to(n);
                let end = self.pending.is_empty() && body.is_end_stream();
                self.stream.send_data(chunk, end).map_err(gone)?;
                self.progress += n;
                if self.pending.is_empty() || self.progress >= WRITE_PROGRESS_BYTES_MIN {
                    self.timer.clear();
                    self.progress = 0;
                }
                if end {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) if chunk.is_empty() => {}
                    Ok(chunk) => self.pending = chunk,
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.stream.send_trailers(trailers).map_err(gone)?;
                        return Poll::Ready(Ok(()));
                    }
                },
                Poll::Ready(None) => {
                    self.stream.send_data(Bytes::new(), true).map_err(gone)?;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(PumpFault::Body(error))),
                Poll::Pending => {
                    return self.stream.poll_reset(cx).map(|_| Err(PumpFault::Stream));
                }
            }
        }
    }

    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpFault>> {
        self.stream.reserve_capacity(self.pending.len());
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(PumpFault::Stream)),
                Poll::Pending => {
                    let Some(stall) = self.stall else { return Poll::Pending };
                    if !self.timer.is_set() {
                        self.timer.set(Instant::now() + stall);
                    }
                    ready!(self.timer.poll_expired(cx));
                    return Poll::Ready(Err(PumpFault::Stalled));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
