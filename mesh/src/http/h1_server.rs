//! An HTTP/1.1 connection that somebody made to us.
//!
//! One task reads a head, polls the handler, and writes its answer while watching for the client to go away. The
//! request's body is a view of the same connection: it reads when the handler asks for it, and not before.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::{
    Answer, Arrival, BodyError, Ended, H2_PREFACE, Handler, Incoming, Interim, LINGER_BYTES_MAX, LINGER_TIMEOUT,
    Limits, Tunnel, WRITE_PROGRESS_BYTES_MIN,
    framing::{Decoded, Decoder, Encoder, keep_true_trailers},
    head::{self, Framing, HeadError, HeadScanner, RequestHead, content_length},
    websocket::CLOSE_POLICY_VIOLATION,
    wire::{Wire, poll_discard},
};
use crate::{
    drain::DrainSeat,
    io::Io,
    timer::LazyTimer,
    tls::{splice, splice_until},
};

/// What a client may send ahead of its turn before we stop reading, in bytes.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;
/// How often we look whether a client is still there while nobody takes what it sends, so that its end cannot be read.
const GONE_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// How much longer an idle connection is kept when it is asked to finish. Its next request may be on its way and would
/// be lost; one that comes in time is answered with `connection: close`.
const DRAIN_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The part of a connection that a request's body and its handler share with the task that serves it.
#[derive(Debug)]
struct Connection {
    wire: Wire,
    decoder: Decoder,
    /// Which request the decoder belongs to.
    turn: u64,
    /// A `100 Continue` is owed as soon as the body is wanted.
    owes_continue: bool,
    /// Nobody will read the rest of the body.
    body_dropped: bool,
    body_timer: LazyTimer,
    body_stall_timeout: Duration,
    gone_timer: LazyTimer,
}

/// The body of a request, read from the connection while it is polled.
#[derive(Debug)]
pub struct RequestBody {
    connection: Rc<RefCell<Connection>>,
    turn: u64,
    pub(super) cleanse: fn(&mut HeaderMap),
}

impl RequestBody {
    pub(super) fn has_ended(&self) -> bool {
        let connection = self.connection.borrow();
        connection.turn != self.turn || connection.decoder.has_ended()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.connection.borrow().decoder.remaining().map_or_else(SizeHint::new, SizeHint::with_exact)
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut connection = self.connection.borrow_mut();
        if connection.turn != self.turn {
            return Poll::Ready(Some(Err(BodyError::Truncated)));
        }
        connection.poll_body(cx)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Ok(mut connection) = self.connection.try_borrow_mut()
            && connection.turn == self.turn
        {
            connection.body_dropped = true;
        }
    }
}

impl Connection {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match self.decoder.decode(&mut self.wire.read) {
                Ok(Decoded::Data(bytes)) => {
                    self.body_timer.clear();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Ok(Decoded::Trailers(trailers)) if trailers.is_empty() => return Poll::Ready(None),
                Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::NeedMore) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if std::mem::take(&mut self.owes_continue) {
                self.wire.out.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !self.wire.out.is_empty()
                && let Poll::Ready(Err(error)) = self.wire.poll_flush(cx)
            {
                return Poll::Ready(Some(Err(error.into())));
            }
            match self.wire.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(Err(BodyError::Truncated))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Pending => {
                    if !self.body_timer.is_set() {
                        self.body_timer.set(Instant::now() + self.body_stall_timeout);
                    }
                    return match self.body_timer.poll_expired(cx) {
                        Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Stalled))),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Ready when the client has gone though the body has not been read. Whoever reads it will notice the end; while
    /// nobody does, because a backend takes no more, we look from time to time.
    fn poll_gone_unread(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gone_timer.is_set() {
            self.gone_timer.set(Instant::now() + GONE_CHECK_INTERVAL);
        }
        while self.gone_timer.poll_expired(cx).is_ready() {
            if self.wire.is_closed_by_peer() {
                return Poll::Ready(Ok(()));
            }
            self.gone_timer.set(Instant::now() + GONE_CHECK_INTERVAL);
        }
        Poll::Pending
    }

    /// Ready when the client has gone. Reads ahead a little on the way: a pipelined request.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !(self.decoder.has_ended() || self.body_dropped) {
            return self.poll_gone_unread(cx);
        }
        while self.wire.read.len() < PIPELINED_BYTES_MAX {
            match self.wire.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }
}

/// Sends 1xx answers on an HTTP/1.1 connection.
#[derive(Debug, Clone)]
pub struct InterimSender {
    connection: Rc<RefCell<Connection>>,
    turn: u64,
}

impl InterimSender {
    pub(super) fn send(&self, status: StatusCode, headers: &HeaderMap) {
        if let Ok(mut connection) = self.connection.try_borrow_mut()
            && connection.turn == self.turn
        {
            let out = connection.wire.out.small();
            head::write_response_head(out, status, headers);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Serves one connection to its end. `sniff`: it may turn out to speak HTTP/2 (prior knowledge).
pub async fn serve<H: Handler>(io: Io, sniff: bool, handler: &H, limits: &Limits, seat: &DrainSeat) -> Ended {
    let connection = Rc::new(RefCell::new(Connection {
        wire: Wire::new(io),
        decoder: Decoder::Ended,
        turn: 0,
        owes_continue: false,
        body_dropped: false,
        body_timer: LazyTimer::default(),
        body_stall_timeout: limits.body_stall_timeout,
        gone_timer: LazyTimer::default(),
    }));
    let mut server = Server { connection, timer: LazyTimer::default(), limits, seat };
    let mut sniff = sniff;
    loop {
        let head = match server.read_head(sniff).await {
            Ok(Next::Request(head)) => head,
            Ok(Next::Idle) => return server.close().await,
            Ok(Next::Http2) => {
                let Server { connection, .. } = server;
                let Some(connection) = Rc::into_inner(connection) else { return Ended::Cleanly };
                let (io, read) = connection.into_inner().wire.into_parts();
                return Box::pin(super::h2_server::serve(io.rewound(read), handler, limits, seat)).await;
            }
            Err(Ended::Malformed(error)) => {
                server.refuse(handler.malformed(error)).await;
                return Ended::Malformed(error);
            }
            Err(ended) => return ended,
        };
        sniff = false;
        match server.exchange(head, handler).await {
            Ok(Then::Continue) => {}
            Ok(Then::Close) => return server.close().await,
            Err(ended) => return ended,
        }
    }
}

enum Next {
    Request(RequestHead),
    Idle,
    Http2,
}

enum Then {
    Continue,
    Close,
}

struct Server<'s> {
    connection: Rc<RefCell<Connection>>,
    timer: LazyTimer,
    limits: &'s Limits,
    seat: &'s DrainSeat,
}

impl Server<'_> {
    /// Waits for the next request's head, for as long as a connection may be idle and a head may take.
    async fn read_head(&mut self, sniff: bool) -> Result<Next, Ended> {
        let mut scanner = HeadScanner::default();
        let mut started = false;
        let mut asked_to_finish = false;
        self.timer.set(Instant::now() + self.limits.keep_alive_timeout);
        poll_fn(|cx| {
            let mut connection = self.connection.borrow_mut();
            let wire = &mut connection.wire;
            loop {
                head::skip_empty_line(&mut wire.read);
                if sniff
                    && !wire.read.is_empty()
                    && H2_PREFACE.starts_with(wire.read.get(..H2_PREFACE.len()).unwrap_or(&wire.read))
                {
                    if wire.read.len() >= H2_PREFACE.len() {
                        return Poll::Ready(Ok(Next::Http2));
                    }
                } else if !wire.read.is_empty() {
                    match scanner.find_end(&wire.read) {
                        Err(error) => return Poll::Ready(Err(Ended::Malformed(error))),
                        Ok(Some(end)) => {
                            let head = wire.read.split_to(end).freeze();
                            return Poll::Ready(
                                head::parse_request(&head).map(Next::Request).map_err(Ended::Malformed),
                            );
                        }
                        Ok(None) => {}
                    }
                }
                if !started && !wire.read.is_empty() {
                    started = true;
                    self.timer.set(Instant::now() + self.limits.head_timeout);
                }
                match wire.poll_fill(cx) {
                    Poll::Ready(Ok(0)) if wire.read.is_empty() => return Poll::Ready(Ok(Next::Idle)),
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(Ended::ClientGone)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Io(error.kind()))),
                    Poll::Pending => {
                        if !started && !asked_to_finish && self.seat.poll_draining(cx).is_ready() {
                            asked_to_finish = true;
                            self.timer.set(Instant::now() + DRAIN_IDLE_TIMEOUT.min(self.limits.keep_alive_timeout));
                        }
                        return match self.timer.poll_expired(cx) {
                            Poll::Ready(()) if started => Poll::Ready(Err(Ended::Malformed(HeadError::TooSlow))),
                            Poll::Ready(()) => Poll::Ready(Ok(Next::Idle)),
                            Poll::Pending => Poll::Pending,
                        };
                    }
                }
            }
        })
        .await
    }

    async fn exchange<H: Handler>(&mut self, head: RequestHead, handler: &H) -> Result<Then, Ended> {
        let RequestHead { request, framing, keep_alive, expects_continue } = head;
        let (method, version) = (request.method().clone(), request.version());
        let turn = {
            let mut connection = self.connection.borrow_mut();
            connection.turn += 1;
            connection.decoder = Decoder::new(framing);
            connection.owes_continue = expects_continue && framing != Framing::Length(0);
            connection.body_dropped = false;
            connection.body_timer.clear();
            connection.gone_timer.clear();
            connection.turn
        };
        let body = match framing {
            Framing::Length(0) => Incoming::Empty,
            _ => Incoming::H1(RequestBody { connection: self.connection.clone(), turn, cleanse: keep_true_trailers }),
        };
        let interim = if version == Version::HTTP_11 {
            Interim::H1(InterimSender { connection: self.connection.clone(), turn })
        } else {
            Interim::Nowhere
        };
        let arrival = Arrival { request: request.map(|()| body), interim };
        let answer = self.call(pin!(handler.handle(arrival))).await?;
        let keep_alive = keep_alive && turn < self.limits.requests_per_connection_max;
        match answer {
            Answer::Response(response) => self.respond(&method, version, keep_alive, response).await,
            Answer::Tunnel(response, tunnel) => self.tunnel(&response, tunnel).await,
            Answer::Abort => Err(Ended::Cleanly),
        }
    }

    /// Polls the handler, writes its interim answers, and drops it when the client goes away.
    async fn call<F: Future>(&self, mut future: Pin<&mut F>) -> Result<F::Output, Ended> {
        poll_fn(|cx| {
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            let mut connection = self.connection.borrow_mut();
            if !connection.wire.out.is_empty()
                && let Poll::Ready(Err(error)) = connection.wire.poll_flush(cx)
            {
                return Poll::Ready(Err(Ended::Io(error.kind())));
            }
            match connection.poll_gone(cx) {
                Poll::Ready(_) => Poll::Ready(Err(Ended::ClientGone)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn respond<B>(
        &mut self,
        method: &Method,
        version: Version,
        keep_alive: bool,
        response: http::Response<B>,
    ) -> Result<Then, Ended>
    where
        B: Body<Data = Bytes, Error = BodyError>,
    {
        let (mut parts, body) = response.into_parts();
        // A refusal after which nothing that follows on the connection can be trusted says so.
        let keep_alive = keep_alive && !(parts.status.as_u16() >= 400 && parts.headers.remove(CONNECTION).is_some());
        let (framing, bodiless) = answer_framing(method, version, &parts, &body);
        let keep_alive = {
            let mut connection = self.connection.borrow_mut();
            connection.owes_continue = false;
            // An unread body would be taken for the next request.
            let keep_alive = keep_alive
                && connection.decoder.has_ended()
                && framing != Framing::UntilClose
                && !self.seat.is_draining();
            let out = connection.wire.out.small();
            head::write_response_head(out, parts.status, &parts.headers);
            if !bodiless {
                head::write_framing(out, framing);
            } else if let Some(length) = parts.headers.get(CONTENT_LENGTH).filter(|_| method == Method::HEAD) {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(length.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            match (keep_alive, version) {
                (false, _) => out.extend_from_slice(b"connection: close\r\n"),
                (true, Version::HTTP_10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
                (true, _) => {}
            }
            out.extend_from_slice(b"\r\n");
            keep_alive
        };
        let encoder = (!bodiless).then(|| Encoder::new(framing));
        self.write_body(encoder, pin!(body)).await?;
        Ok(if keep_alive { Then::Continue } else { Then::Close })
    }

    /// Writes a body as it comes: each piece at once, several that are ready together.
    async fn write_body<B>(&mut self, mut encoder: Option<Encoder>, mut body: Pin<&mut B>) -> Result<(), Ended>
    where
        B: Body<Data = Bytes, Error = BodyError>,
    {
        let stall = self.limits.write_stall_timeout;
        let (connection, timer) = (&self.connection, &mut self.timer);
        timer.clear();
        let mut stalled_at = 0;
        poll_fn(|cx| {
            loop {
                // The body may be the request's own, so the connection must not be borrowed while it is polled.
                let full = connection.borrow().wire.out.is_full();
                let frame = match &mut encoder {
                    Some(_) if full => None,
                    Some(_) => Some(body.as_mut().poll_frame(cx)),
                    None => None,
                };
                let mut connection = connection.borrow_mut();
                let out = &mut connection.wire.out;
                let waits_for_body = match (frame, &mut encoder) {
                    (Some(Poll::Ready(Some(Ok(frame)))), Some(put)) => {
                        match frame.into_data() {
                            Ok(chunk) => put.put(chunk, out).map_err(Ended::Body)?,
                            Err(frame) => {
                                let trailers = frame.into_trailers().unwrap_or_default();
                                put.finish(Some(&trailers), out).map_err(Ended::Body)?;
                                encoder = None;
                            }
                        }
                        continue;
                    }
                    (Some(Poll::Ready(None)), Some(put)) => {
                        put.finish(None, out).map_err(Ended::Body)?;
                        encoder = None;
                        continue;
                    }
                    (Some(Poll::Ready(Some(Err(error)))), _) => {
                        // What came before the fault is the client's; the missing end tells it of the fault.
                        let _ = connection.wire.poll_flush(cx);
                        return Poll::Ready(Err(Ended::Body(error)));
                    }
                    (Some(Poll::Pending), _) => true,
                    _ => false,
                };
                match connection.wire.poll_flush(cx) {
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Io(error.kind()))),
                    Poll::Ready(Ok(())) if encoder.is_none() => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(())) => {
                        timer.clear();
                        if !waits_for_body {
                            continue;
                        }
                    }
                    Poll::Pending => {
                        let progress = connection.wire.total_out - stalled_at;
                        if !timer.is_set() || progress >= WRITE_PROGRESS_BYTES_MIN as u64 {
                            stalled_at = connection.wire.total_out;
                            timer.set(Instant::now() + stall);
                        }
                        if timer.poll_expired(cx).is_ready() {
                            return Poll::Ready(Err(Ended::Stalled));
                        }
                    }
                }
                return match connection.poll_gone(cx) {
                    Poll::Ready(_) => Poll::Ready(Err(Ended::ClientGone)),
                    Poll::Pending => Poll::Pending,
                };
            }
        })
        .await
    }

    async fn tunnel(&mut self, response: &http::Response<()>, tunnel: Tunnel) -> Result<Then, Ended> {
        {
            let mut connection = self.connection.borrow_mut();
            let out = connection.wire.out.small();
            head::write_response_head(out, response.status(), response.headers());
            out.extend_from_slice(b"\r\n");
        }
        self.flush().await?;
        let replacement = Wire::new(Io::other(tokio::io::empty()));
        let wire = std::mem::replace(&mut self.connection.borrow_mut().wire, replacement);
        let (io, read) = wire.into_parts();
        let Tunnel { io: upstream, prelude, idle, cut, guard } = tunnel;
        // What each side has said already comes before what it says next.
        let (client, upstream) = (io.rewound(read), upstream.rewound(prelude));
        match cut {
            Some(cut) => {
                splice_until(client, upstream, &[], Some(idle), cut, &CLOSE_POLICY_VIOLATION).await;
            }
            None => {
                splice(client, upstream, &[], Some(idle)).await;
            }
        }
        drop(guard);
        Err(Ended::Cleanly)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        self.write_body(None, pin!(Full::new(Bytes::new()).map_never())).await
    }

    /// Says why, then closes.
    async fn refuse(&mut self, response: http::Response<Bytes>) {
        let response = response.map(|bytes| Full::new(bytes).map_never());
        self.connection.borrow_mut().body_dropped = true;
        if self.respond(&Method::GET, Version::HTTP_11, false, response).await.is_ok() {
            self.close().await;
        }
    }

    /// Closes so that our last words arrive: a client that still sends would otherwise see a reset.
    async fn close(&mut self) -> Ended {
        self.timer.set(Instant::now() + LINGER_TIMEOUT);
        let mut shut = false;
        let mut limit = LINGER_BYTES_MAX;
        poll_fn(|cx| {
            let mut connection = self.connection.borrow_mut();
            if !shut {
                match connection.wire.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return self.timer.poll_expired(cx),
                }
            }
            match poll_discard(&mut connection.wire, cx, &mut limit) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => self.timer.poll_expired(cx),
            }
        })
        .await;
        Ended::Cleanly
    }
}

/// How an answer's body is framed, and whether it must have none (RFC 9112 §6.3).
fn answer_framing<B: Body>(
    method: &Method,
    version: Version,
    parts: &http::response::Parts,
    body: &B,
) -> (Framing, bool) {
    let status = parts.status;
    if method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return (Framing::Length(0), true);
    }
    let announced = || content_length(&parts.headers).ok().flatten();
    let framing = match body.size_hint().exact().or_else(announced) {
        Some(length) => Framing::Length(length),
        None if version == Version::HTTP_11 => Framing::Chunked,
        None => Framing::UntilClose,
    };
    (framing, false)
}

/// A body that cannot fail, as one that could.
trait MapNever: Body<Data = Bytes, Error = std::convert::Infallible> + Sized {
    fn map_never(self) -> http_body_util::combinators::MapErr<Self, fn(std::convert::Infallible) -> BodyError> {
        http_body_util::BodyExt::map_err(self, |never| match never {})
    }
}
impl MapNever for Full<Bytes> {}

/// `Connection: upgrade` for a 101 answer, with the protocol changed to.
pub fn upgrade_fields(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(http::header::UPGRADE, protocol);
}
