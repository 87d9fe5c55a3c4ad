//! Reports out of band: `xds.service.orca.v3.OpenRcaService/StreamCoreMetrics`, a stream of reports for as long as somebody
//! listens. Made for servers whose answers take minutes, and for those that nobody asks anything.
//!
//! One method with one small request needs no library: the framing of gRPC is five bytes before a message and a trailer
//! behind the last one, and so any HTTP/2 server that we have can serve it. What stands in reports is the affair of whoever
//! gives [`OpenRca::new`] their source; only utilisation is told here, never the cost of a request (gRFC A51).

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use prost::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};

use super::report::LoadReport;
use crate::http::BodyError;

/// Where it is asked for.
pub const PATH: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
/// Whoever asks for reports more often gets them so often. gRFC A51 proposes 30 s, which for a queue is an age.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Whoever asks for reports less often gets them so often: a connection over which nothing comes is soon cut.
pub const INTERVAL_MAX: Duration = Duration::from_mins(1);
/// Streams of reports at one time.
pub const WATCHERS_MAX: usize = 64;
/// Bytes of the message that asks for reports.
pub const REQUEST_BYTES_MAX: usize = 4096;
/// The time that message may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How far along its life the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes what comes.
    Serving,
    /// It finishes what it has. A report is told at once, before anybody asks whether the server is ready.
    Draining,
    /// It is about to go: streams of reports end.
    Stopped,
}

/// The service. Clones share the bound on watchers.
#[derive(Clone)]
pub struct OpenRca {
    source: Source,
    phase: watch::Receiver<Phase>,
    watchers: Arc<Semaphore>,
}

/// Says how it is now; asked once for each report of each watcher.
type Source = Arc<dyn Fn() -> LoadReport + Send + Sync>;

impl fmt::Debug for OpenRca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenRca").field("watchers", &self.watching()).finish_non_exhaustive()
    }
}

/// `xds.service.orca.v3.OrcaLoadReportRequest`; it may also name costs of requests, which are not told out of band.
#[derive(Clone, PartialEq, Message)]
struct OrcaLoadReportRequest {
    #[prost(message, optional, tag = "1")]
    report_interval: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Why a call ends, by the numbers of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
}

impl OpenRca {
    /// Tells what `source` says, until `phase` is [`Phase::Stopped`] or whoever could say so is gone.
    pub fn new(source: impl Fn() -> LoadReport + Send + Sync + 'static, phase: watch::Receiver<Phase>) -> Self {
        Self { source: Arc::new(source), phase, watchers: Arc::new(Semaphore::new(WATCHERS_MAX)) }
    }

    /// How many streams there are.
    pub fn watching(&self) -> usize {
        WATCHERS_MAX.saturating_sub(self.watchers.available_permits())
    }

    /// Answers one call, also of a method that there is not.
    pub async fn answer<B: Body>(&self, request: Request<B>) -> Response<Reports> {
        let (head, body) = request.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        if head.method != Method::POST {
            return refused_as_http(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !content_type.starts_with(b"application/grpc") {
            return refused_as_http(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        match self.watch(head.uri.path(), body).await {
            Ok(watching) => answered(Reports::of(watching), HeaderMap::new()),
            Err((status, why)) => answered(Reports::none(), trailers(status, why)),
        }
    }

    async fn watch<B: Body>(&self, path: &str, body: B) -> Result<Watching, (Status, &'static str)> {
        if path != PATH {
            return Err((Status::Unimplemented, "no such method"));
        }
        let read = timeout(REQUEST_TIMEOUT, message(body)).await;
        let interval = read.unwrap_or(Err((Status::DeadlineExceeded, "the request did not come in time")))?;
        if *self.phase.borrow() == Phase::Stopped {
            return Err((Status::Unavailable, STOPPED));
        }
        let seat = Arc::clone(&self.watchers).try_acquire_owned();
        let seat = seat.map_err(|_| (Status::ResourceExhausted, "too many watchers"))?;
        let mut phase = self.phase.clone();
        phase.mark_unchanged();
        Ok(Watching { source: Arc::clone(&self.source), phase, interval, next: Instant::now(), _seat: seat })
    }
}

/// Said to clients at the end.
const STOPPED: &str = "the server is stopping";

/// Reads the one message that asks for reports; gives the time between them.
async fn message<B: Body>(body: B) -> Result<Duration, (Status, &'static str)> {
    let mut body = pin!(body);
    let mut received = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| (Status::InvalidArgument, "the request broke off"))?;
        let Ok(mut data) = frame.into_data() else { break };
        if received.len() + data.remaining() > PREFIX_BYTES + REQUEST_BYTES_MAX {
            return Err((Status::ResourceExhausted, "the request is too long"));
        }
        received.put(&mut data);
    }
    let malformed = (Status::InvalidArgument, "the request is malformed");
    if received.len() < PREFIX_BYTES {
        return Err(malformed);
    }
    if received.get_u8() != 0 {
        return Err((Status::Unimplemented, "the request is compressed"));
    }
    if received.get_u32() as usize != received.len() {
        return Err(malformed);
    }
    let request = OrcaLoadReportRequest::decode(received.freeze()).map_err(|_| malformed)?;
    let asked = request.report_interval.map_or(Duration::ZERO, |interval| {
        let nanos = u32::try_from(interval.nanos).unwrap_or_default().min(999_999_999);
        u64::try_from(interval.seconds).map_or(Duration::ZERO, |seconds| Duration::new(seconds, nanos))
    });
    Ok(asked.clamp(INTERVAL_MIN, INTERVAL_MAX))
}

/// Before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The body of an answer: reports, and how they end.
pub struct Reports(Option<Frames>);

/// What a body is made of.
type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, BodyError>> + Send>>;

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").finish_non_exhaustive()
    }
}

impl Reports {
    fn none() -> Self {
        Self(None)
    }

    fn of(watching: Watching) -> Self {
        Self(Some(Box::pin(stream::unfold(Some(watching), async |watching| {
            let mut watching = watching?;
            if watching.tells_more().await {
                let frame = Frame::data(framed(&(watching.source)()));
                Some((Ok(frame), Some(watching)))
            } else {
                Some((Ok(Frame::trailers(trailers(Status::Unavailable, STOPPED))), None))
            }
        }))))
    }
}

impl Body for Reports {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |frames| frames.as_mut().poll_next(cx))
    }

    /// Of a call that is refused: its status stands in the only head there is, and clients read it there only if the stream
    /// ends with it.
    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// One stream. It is only asked for a report when the last one has gone out, so nothing piles up for a slow reader.
struct Watching {
    source: Source,
    phase: watch::Receiver<Phase>,
    interval: Duration,
    next: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Watching {
    /// Waits until a report is due; false if there is none any more.
    async fn tells_more(&mut self) -> bool {
        tokio::select! {
            biased;
            changed = self.phase.changed() => {
                if changed.is_err() || *self.phase.borrow() == Phase::Stopped {
                    return false;
                }
            }
            () = due(self.next) => {}
        }
        let now = Instant::now();
        let next = self.next.min(now) + self.interval;
        // What was missed is not made up for.
        self.next = if next > now { next } else { now + self.interval };
        true
    }
}

async fn due(at: Instant) {
    if Instant::now() < at {
        sleep_until(at).await;
    }
}

fn framed(report: &LoadReport) -> Bytes {
    let message = report.to_binary();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(&message);
    framed.freeze()
}

fn trailers(status: Status, why: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (HeaderName::from_static("grpc-status"), HeaderValue::from(status as u16)),
        (HeaderName::from_static("grpc-message"), HeaderValue::from_static(why)),
    ])
}

fn answered(body: Reports, mut headers: HeaderMap) -> Response<Reports> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn refused_as_http(status: StatusCode) -> Response<Reports> {
    let mut response = Response::new(Reports::none());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn service(phase: watch::Receiver<Phase>) -> OpenRca {
        OpenRca::new(|| LoadReport { application_utilization: Some(0.5), ..LoadReport::default() }, phase)
    }

    fn asking(path: &str, message: &[u8]) -> Request<Full<Bytes>> {
        let mut framed = vec![0];
        framed.put_u32(message.len() as u32);
        framed.put_slice(message);
        let builder = Request::post(path).header(CONTENT_TYPE, "application/grpc+proto");
        builder.body(Full::from(framed)).unwrap()
    }

    /// A request for a report each so many nanoseconds.
    fn every(nanos: i32) -> Request<Full<Bytes>> {
        let report_interval = Some(ProtoDuration { seconds: 0, nanos });
        asking(PATH, &OrcaLoadReportRequest { report_interval }.encode_to_vec())
    }

    fn status(response: &Response<Reports>) -> Option<&str> {
        assert_eq!(response.body().is_end_stream(), response.headers().contains_key("grpc-status"));
        response.headers().get("grpc-status")?.to_str().ok()
    }

    /// Timers are as exact as a millisecond.
    fn came_after(begun: Instant, expected: Duration) {
        let elapsed = begun.elapsed();
        assert!((expected..expected + Duration::from_millis(2)).contains(&elapsed), "{elapsed:?} is not {expected:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_report_comes_at_once_and_no_two_closer_than_the_least_interval() {
        let (_phase, receiver) = watch::channel(Phase::Serving);
        let begun = Instant::now();
        let mut body = service(receiver).answer(every(1)).await.into_body();
        for tick in 0..5 {
            let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
            came_after(begun, INTERVAL_MIN * tick);
            let report = LoadReport::from_binary(data.get(PREFIX_BYTES..).unwrap()).unwrap();
            assert_eq!(report.application_utilization, Some(0.5));
        }
        // A reader that was away for long gets one report, and the next in due time.
        tokio::time::advance(INTERVAL_MIN * 10).await;
        let back = Instant::now();
        body.frame().await.unwrap().unwrap();
        came_after(back, Duration::ZERO);
        body.frame().await.unwrap().unwrap();
        came_after(back, INTERVAL_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_is_told_at_once_and_stopping_ends_the_stream_with_a_status() {
        let (phase, receiver) = watch::channel(Phase::Serving);
        let service = service(receiver);
        let minute = asking(PATH, &[0x0a, 2, 0x08, 60]);
        let mut body = service.answer(minute).await.into_body();
        body.frame().await.unwrap().unwrap();
        let begun = Instant::now();
        phase.send(Phase::Draining).unwrap();
        assert!(body.frame().await.unwrap().unwrap().is_data());
        phase.send(Phase::Stopped).unwrap();
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        came_after(begun, Duration::ZERO);
        assert_eq!(trailers.get("grpc-status").unwrap(), "14");
        assert!(body.frame().await.is_none());
        assert_eq!(status(&service.answer(every(1)).await), Some("14"));
    }

    #[tokio::test(start_paused = true)]
    async fn watchers_are_bounded_and_a_seat_that_is_left_is_free() {
        let (_phase, receiver) = watch::channel(Phase::Serving);
        let service = service(receiver);
        let mut open = Vec::new();
        for _ in 0..WATCHERS_MAX {
            let response = service.answer(every(1)).await;
            assert_eq!(status(&response), None);
            open.push(response);
        }
        assert_eq!((service.watching(), status(&service.answer(every(1)).await)), (WATCHERS_MAX, Some("8")));
        open.pop();
        assert_eq!(status(&service.answer(every(1)).await), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_request_is_refused_with_a_status() {
        let (_phase, receiver) = watch::channel(Phase::Serving);
        let service = service(receiver);
        let raw = |bytes: &[u8]| {
            let builder = Request::post(PATH).header(CONTENT_TYPE, "application/grpc");
            builder.body(Full::from(Bytes::copy_from_slice(bytes))).unwrap()
        };
        for (request, expected) in [
            (asking("/xds.service.orca.v3.OpenRcaService/Other", &[]), "12"),
            (raw(&[]), "3"),
            (raw(&[0, 0, 0, 0, 1]), "3"),
            (raw(&[0, 0, 0, 0, 1, 0xff]), "3"),
            (raw(&[1, 0, 0, 0, 0]), "12"),
            (raw(&[0; PREFIX_BYTES + REQUEST_BYTES_MAX + 1]), "8"),
        ] {
            assert_eq!(status(&service.answer(request).await), Some(expected));
        }
        let plain = Request::post(PATH).body(Full::<Bytes>::default()).unwrap();
        assert_eq!(service.answer(plain).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let read = Request::get(PATH).body(Full::<Bytes>::default()).unwrap();
        assert_eq!(service.answer(read).await.status(), StatusCode::METHOD_NOT_ALLOWED);
        let never = http_body_util::StreamBody::new(stream::pending::<Result<Frame<Bytes>, BodyError>>());
        let builder = Request::post(PATH).header(CONTENT_TYPE, "application/grpc");
        assert_eq!(status(&service.answer(builder.body(never).unwrap()).await), Some("4"));
        // No interval, and one that no clock has, are the least.
        for message in [&[][..], &[0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(status(&service.answer(asking(PATH, message)).await), None);
        }
    }
}
