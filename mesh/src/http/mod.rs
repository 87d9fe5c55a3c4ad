//! HTTP, from bytes to messages and back. A message's body is read while it is used and written while it comes, on one
//! task, so that back pressure needs no channel.
//!
//! - [`head`], [`framing`] and [`wire`] are HTTP/1.1's grammar and buffers, used on both sides;
//! - [`h1_server`] and [`h2_server`] hold a connection that somebody made to us, [`serve`] chooses between them;
//! - [`h1_client`] and [`h2_client`] hold one that we made.
//!
//! A tunnel (WebSocket) begins with an upgrade of HTTP/1.1. Extended CONNECT over HTTP/2 (RFC 8441) is not offered:
//! clients learn so from our settings and open a connection of HTTP/1.1, and no stream escapes the bounds of messages.

mod cork;
pub mod framing;
pub mod h1_client;
pub mod h1_server;
pub mod h2_client;
mod h2_left;
mod h2_meter;
pub mod h2_server;
pub mod head;
mod spare;
pub mod websocket;
mod wire;

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

pub use head::HeadError;

use crate::{drain::DrainSeat, io::Io};

/// Answers requests. One value serves one connection, so it may hold what is known of the peer.
pub trait Handler: 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error = BodyError> + 'static;

    /// Answers one request. Dropping the future cancels the exchange: the client has gone.
    fn handle(&self, arrival: Arrival) -> impl Future<Output = Answer<Self::Body>>;

    /// The answer to something that is not a request. The connection is closed after it.
    fn malformed(&self, error: HeadError) -> http::Response<Bytes>;
}

/// A request that has arrived: its head, its body to come, and a way to send interim answers.
#[derive(Debug)]
pub struct Arrival {
    /// The request.
    pub request: http::Request<Incoming>,
    /// Sends 1xx answers before the final one.
    pub interim: Interim,
}

/// What a [`Handler`] answers with.
#[derive(Debug)]
pub enum Answer<B> {
    /// A response.
    Response(http::Response<B>),
    /// `101`, and from then on the bytes of this tunnel (HTTP/1.1 only).
    Tunnel(http::Response<()>, Tunnel),
    /// Nothing: the connection (or the stream) is cut.
    Abort,
}

/// The other end of a connection that changed its protocol.
pub struct Tunnel {
    /// The stream.
    pub io: Io,
    /// What was read from it already.
    pub prelude: Bytes,
    /// How long both directions may be silent.
    pub idle: Duration,
    /// Ends the tunnel when it is ready.
    pub cut: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Dropped when the tunnel ends.
    pub guard: Box<dyn std::any::Any>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("io", &self.io).finish_non_exhaustive()
    }
}

/// Why a body ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection ended first.
    #[error("the connection ended before the message did")]
    Truncated,
    /// Malformed chunked framing.
    #[error("malformed chunk")]
    Chunk,
    /// Malformed or oversized trailer section.
    #[error("malformed trailers")]
    Trailers,
    /// More or fewer bytes than announced.
    #[error("the body does not have the announced length")]
    Length,
    /// Nothing came for too long.
    #[error("the body stalled")]
    Stalled,
    /// HTTP/2 reset or connection error.
    #[error("stream error: {0}")]
    Stream(h2::Reason),
    /// The connection failed.
    #[error("{0}")]
    Io(std::io::ErrorKind),
    /// A stage ended it on purpose, for this reason.
    #[error("{0}")]
    Ended(&'static str),
}

impl From<std::io::Error> for BodyError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => BodyError::Truncated,
            kind => BodyError::Io(kind),
        }
    }
}

impl From<h2::Error> for BodyError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) => BodyError::Stream(reason),
            None => BodyError::Io(error.get_io().map_or(std::io::ErrorKind::Other, std::io::Error::kind)),
        }
    }
}

/// A request's body.
#[derive(Debug, Default)]
pub enum Incoming {
    /// None.
    #[default]
    Empty,
    /// All of it, in memory: it can be sent again.
    Full(Bytes),
    /// Still on an HTTP/1.1 connection.
    H1(h1_server::RequestBody),
    /// Still on an HTTP/2 stream.
    H2(H2Body),
    /// Its first frames have been read, the rest has not.
    Begun(VecDeque<Frame<Bytes>>, Box<Incoming>),
    /// Somebody looks at it as it passes.
    Followed(Box<Followed>),
}

/// A body whose data somebody looks at as it passes, and may change or end.
pub struct Followed {
    body: Incoming,
    follower: Box<Follower>,
    /// Whether what is given may be longer or shorter than what came.
    is_changed: bool,
}

/// Takes the next piece of data and gives what passes, or says why the body must not go on.
type Follower = dyn FnMut(Bytes) -> Result<Bytes, &'static str>;

impl std::fmt::Debug for Followed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Followed").field("body", &self.body).finish_non_exhaustive()
    }
}

/// Takes from trailers what may not stand there.
type Cleanse = fn(&mut HeaderMap);
type PolledFrame = Option<Result<Frame<Bytes>, BodyError>>;

fn cleansed(mut frame: PolledFrame, cleanse: Cleanse) -> PolledFrame {
    if let Some(Ok(frame)) = &mut frame {
        frame.trailers_mut().into_iter().for_each(cleanse);
    }
    frame
}

impl Incoming {
    /// Takes more from its trailers, when they come, than what may stand in none.
    pub fn cleanse_trailers(&mut self, with: fn(&mut HeaderMap)) {
        match self {
            Incoming::H1(body) => body.cleanse = with,
            Incoming::H2(body) => body.cleanse = with,
            Incoming::Begun(_, rest) => rest.cleanse_trailers(with),
            Incoming::Followed(followed) => followed.body.cleanse_trailers(with),
            Incoming::Empty | Incoming::Full(_) => {}
        }
    }

    /// Another one like it, if it is in memory.
    pub fn replay(&self) -> Option<Incoming> {
        match self {
            Incoming::Empty => Some(Incoming::Empty),
            Incoming::Full(bytes) => Some(Incoming::Full(bytes.clone())),
            Incoming::H1(_) | Incoming::H2(_) | Incoming::Begun(..) | Incoming::Followed(_) => None,
        }
    }

    /// The same body, ended with [`BodyError::Ended`] where `follower` refuses a piece of it.
    #[must_use]
    pub fn followed(self, mut follower: impl FnMut(&Bytes) -> Result<(), &'static str> + 'static) -> Incoming {
        let follower = move |chunk: Bytes| follower(&chunk).map(|()| chunk);
        Incoming::Followed(Box::new(Followed { body: self, follower: Box::new(follower), is_changed: false }))
    }

    /// What `change` makes of each piece of the same body, perhaps nothing; ended with [`BodyError::Ended`] where it refuses
    /// one.
    #[must_use]
    pub fn changed(self, change: impl FnMut(Bytes) -> Result<Bytes, &'static str> + 'static) -> Incoming {
        Incoming::Followed(Box::new(Followed { body: self, follower: Box::new(change), is_changed: true }))
    }

    /// The same body, in memory if it is at most `bytes_max` long: waits for one that announces so much, takes only what
    /// is there already from one that does not say. What is in memory can be sent again.
    pub async fn gathered(self, bytes_max: u64) -> Result<Incoming, BodyError> {
        let mut rest = match self {
            Incoming::Empty | Incoming::Full(_) => return Ok(self),
            streaming => streaming,
        };
        let announced = rest.size_hint().exact();
        if announced.is_some_and(|length| length > bytes_max) {
            return Ok(rest);
        }
        let mut frames = VecDeque::new();
        let mut length = 0;
        let ended = poll_fn(|cx| {
            loop {
                match Pin::new(&mut rest).poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(Some(Ok(frame))) => {
                        let bytes = frame.data_ref().map_or(bytes_max, |chunk| chunk.len() as u64);
                        length += bytes;
                        frames.push_back(frame);
                        if rest.is_end_stream() {
                            return Poll::Ready(Ok(length <= bytes_max));
                        }
                        if length >= bytes_max {
                            return Poll::Ready(Ok(false));
                        }
                    }
                    Poll::Pending if announced.is_some() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
            }
        })
        .await?;
        if !ended || frames.iter().any(Frame::is_trailers) {
            return Ok(Incoming::Begun(frames, Box::new(rest)));
        }
        Ok(Incoming::Full(joined(frames)))
    }

    /// Waits for the whole body: gives it as one piece, or `None` if it is longer than `bytes_max`; and the body again,
    /// to be read from its beginning.
    pub async fn whole(mut self, bytes_max: u64) -> Result<(Option<Bytes>, Incoming), BodyError> {
        if self.size_hint().lower() > bytes_max {
            return Ok((None, self));
        }
        let mut frames = VecDeque::new();
        let mut length = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await.transpose()? {
            length += frame.data_ref().map_or(0, Bytes::len) as u64;
            frames.push_back(frame);
            if length > bytes_max {
                return Ok((None, Incoming::Begun(frames, Box::new(self))));
            }
        }
        let trailers: VecDeque<_> = match frames.back() {
            Some(last) if last.is_trailers() => frames.pop_back().into_iter().collect(),
            _ => VecDeque::new(),
        };
        let bytes = joined(frames);
        if trailers.is_empty() {
            return Ok((Some(bytes.clone()), Incoming::Full(bytes)));
        }
        let frames = std::iter::once(Frame::data(bytes.clone())).chain(trailers).collect();
        Ok((Some(bytes), Incoming::Begun(frames, Box::new(Incoming::Empty))))
    }
}

/// The data of several frames as one piece; of one frame without copying.
fn joined(frames: VecDeque<Frame<Bytes>>) -> Bytes {
    let mut chunks = frames.into_iter().filter_map(|frame| frame.into_data().ok());
    let first = chunks.next().unwrap_or_default();
    let Some(second) = chunks.next() else { return first };
    let mut all = BytesMut::with_capacity((first.len() + second.len()) * 2);
    all.extend_from_slice(&first);
    all.extend_from_slice(&second);
    chunks.for_each(|chunk| all.extend_from_slice(&chunk));
    all.freeze()
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Incoming::Empty => Poll::Ready(None),
            full @ Incoming::Full(_) => match std::mem::take(full) {
                Incoming::Full(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
            Incoming::H1(body) => body.poll_frame(cx).map(|frame| cleansed(frame, body.cleanse)),
            Incoming::H2(body) => body.poll_frame(cx).map(|frame| cleansed(frame, body.cleanse)),
            Incoming::Begun(frames, rest) => match frames.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(&mut **rest).poll_frame(cx),
            },
            Incoming::Followed(followed) => loop {
                let Some(frame) = ready!(Pin::new(&mut followed.body).poll_frame(cx)).transpose()? else {
                    return Poll::Ready(None);
                };
                let chunk = match frame.into_data() {
                    Ok(chunk) => chunk,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                };
                match (followed.follower)(chunk) {
                    Ok(passes) if passes.is_empty() && followed.is_changed => {}
                    Ok(passes) => return Poll::Ready(Some(Ok(Frame::data(passes)))),
                    Err(reason) => return Poll::Ready(Some(Err(BodyError::Ended(reason)))),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Incoming::Empty => true,
            Incoming::Full(bytes) => bytes.is_empty(),
            Incoming::H1(body) => body.has_ended(),
            Incoming::H2(body) => body.stream.is_end_stream(),
            Incoming::Begun(frames, rest) => frames.is_empty() && rest.is_end_stream(),
            Incoming::Followed(followed) => followed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Incoming::Empty => SizeHint::with_exact(0),
            Incoming::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Incoming::H1(body) => body.size_hint(),
            Incoming::H2(body) => body.size_hint(),
            // Trailers can only follow chunks (RFC 9112 §7.1.2), so a body that has some does not announce its length.
            Incoming::Begun(frames, _) if frames.iter().any(Frame::is_trailers) => SizeHint::new(),
            Incoming::Begun(frames, rest) => match rest.size_hint().exact() {
                Some(left) => SizeHint::with_exact(
                    left + frames.iter().map(|frame| frame.data_ref().map_or(0, Bytes::len) as u64).sum::<u64>(),
                ),
                None => SizeHint::new(),
            },
            Incoming::Followed(followed) if followed.is_changed => SizeHint::new(),
            Incoming::Followed(followed) => followed.body.size_hint(),
        }
    }
}

/// A body on an HTTP/2 stream, of a request or of an answer. What is read is released to the peer at once: it is
/// whoever polls that holds back.
#[derive(Debug)]
pub struct H2Body {
    stream: h2_left::Stream,
    remaining: Option<u64>,
    data_done: bool,
    /// Told `100 Continue` as soon as the body is wanted.
    waiting: Option<Interim>,
    cleanse: Cleanse,
}

impl H2Body {
    fn new(stream: h2_left::Stream, length: Option<u64>) -> Self {
        Self { stream, remaining: length, data_done: false, waiting: None, cleanse: framing::keep_true_trailers }
    }

    /// The same from a client that waits to be told that its body is wanted.
    pub(crate) fn awaited(self, client: Interim) -> Self {
        Self { waiting: Some(client), ..self }
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining {
            _ if self.stream.is_end_stream() => SizeHint::with_exact(0),
            Some(remaining) => SizeHint::with_exact(remaining),
            None => SizeHint::new(),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(stream) = self.stream.recv() else { return Poll::Ready(None) };
        if !self.data_done {
            let polled = stream.poll_data(cx);
            if let Some(client) = self.waiting.take()
                && polled.is_pending()
            {
                client.send(StatusCode::CONTINUE, HeaderMap::new());
            }
            match ready!(polled) {
                Some(Ok(bytes)) => {
                    stream.flow_control().release_capacity(bytes.len()).map_err(BodyError::from)?;
                    if let Some(remaining) = &mut self.remaining {
                        *remaining = remaining.saturating_sub(bytes.len() as u64);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                // A peer that resets with NO_ERROR after its answer has said all it wants to say (RFC 9113 §8.1).
                Some(Err(error)) if error.reason() == Some(h2::Reason::NO_ERROR) => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => self.data_done = true,
            }
        }
        match ready!(stream.poll_trailers(cx)) {
            Ok(Some(mut trailers)) => {
                framing::keep_true_trailers(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
}

/// Sends interim (1xx) answers.
#[derive(Debug, Clone)]
pub enum Interim {
    /// On an HTTP/1.1 connection.
    H1(h1_server::InterimSender),
    /// On an HTTP/2 stream.
    H2(Rc<RefCell<h2::server::SendResponse<Bytes>>>),
    /// Nowhere: HTTP/1.0 clients do not know them.
    Nowhere,
    /// There, without the fields that this takes away.
    Cleansed(Box<Interim>, fn(&mut HeaderMap)),
}

impl Interim {
    /// Sends one, unless the final answer is on its way already.
    pub fn send(&self, status: StatusCode, mut headers: HeaderMap) {
        match self {
            Interim::Cleansed(to, cleanse) => {
                cleanse(&mut headers);
                to.send(status, headers);
            }
            Interim::H1(sender) => sender.send(status, &headers),
            Interim::H2(respond) => {
                let mut response = http::Response::new(());
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                if let Ok(mut respond) = respond.try_borrow_mut() {
                    // A stream that has been reset meanwhile needs no interim answer.
                    let _ = respond.send_informational(response);
                }
            }
            Interim::Nowhere => {}
        }
    }
}

/// What a client must take within the write stall timeout while there is more, in bytes: one that takes a byte now and then
/// holds what is being sent to it as surely as one that takes nothing.
pub const WRITE_PROGRESS_BYTES_MIN: usize = 4 * 1024;

/// How long we listen to a client that still sends after our last word.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of it we read, in bytes.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// The bounds of downstream connections. Every one is named with its unit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// How long a connection may be silent between two requests.
    pub keep_alive_timeout: Duration,
    /// How long a request's body may be silent.
    pub body_stall_timeout: Duration,
    /// How long a client may take to take [`WRITE_PROGRESS_BYTES_MIN`] of what we want to write, or all that there is.
    pub write_stall_timeout: Duration,
    /// Requests on one HTTP/1.1 connection before it is closed.
    pub requests_per_connection_max: u64,
    /// Concurrent streams of an HTTP/2 connection.
    pub h2_streams_max: u32,
    /// The size of a header list over HTTP/2, as RFC 9113 §6.5.2 counts it, in bytes.
    pub h2_header_list_bytes_max: u32,
    /// Streams that a client has reset and that have not been handled, before it is turned away (CVE-2023-44487).
    pub h2_pending_resets_max: usize,
    /// Streams that we had to reset, before the client is turned away (CVE-2025-8671).
    pub h2_local_resets_max: usize,
    /// Streams that ended before their answer began, beyond those that were answered, before the client is turned away.
    pub h2_early_resets_max: usize,
    /// What a client may send on one stream before we take it, in bytes.
    pub h2_stream_window_bytes: u32,
    /// What a client may send on one connection before we take it, in bytes.
    pub h2_connection_window_bytes: u32,
    /// What we hold for one stream that its client does not read, in bytes.
    pub h2_send_buffer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            body_stall_timeout: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(30),
            requests_per_connection_max: 1_000_000,
            h2_streams_max: 256,
            h2_header_list_bytes_max: 16 * 1024,
            h2_pending_resets_max: 20,
            h2_local_resets_max: 100,
            h2_early_resets_max: 100,
            h2_stream_window_bytes: 256 * 1024,
            h2_connection_window_bytes: 1024 * 1024,
            h2_send_buffer_bytes: 64 * 1024,
        }
    }
}

/// How a downstream connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// After its last answer, or idle.
    Cleanly,
    /// The client went away in the middle of an exchange.
    ClientGone,
    /// It did not speak HTTP.
    Malformed(HeadError),
    /// A client that sent or took nothing for too long.
    Stalled,
    /// A body failed, theirs or ours.
    Body(BodyError),
    /// HTTP/2 went wrong: flood protection, protocol errors.
    H2(String),
    /// The connection failed.
    Io(std::io::ErrorKind),
}

/// The first bytes of an HTTP/2 connection (RFC 9113 §3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks, when TLS has said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
    /// To be seen from its first bytes (plain ports: HTTP/1.1, or HTTP/2 with prior knowledge).
    Unknown,
}

/// Serves one downstream connection to its end.
pub async fn serve<H: Handler>(io: Io, spoken: Spoken, handler: &H, limits: &Limits, seat: &DrainSeat) -> Ended {
    match spoken {
        Spoken::H2 => h2_server::serve(io, handler, limits, seat).await,
        Spoken::H1 | Spoken::Unknown => h1_server::serve(io, spoken == Spoken::Unknown, handler, limits, seat).await,
    }
}
