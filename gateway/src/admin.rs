//! The admin address: is it alive, is it ready, what does it count, what is in force, who is behind it.
//!
//! It answers on the control runtime, apart from the data plane, and knows nothing of it but a few closures
//! ([`AdminPages`]). Nobody is authenticated here, which is why it listens on loopback unless it is told otherwise, why
//! it only tells and never changes anything, and why everything about it is bounded.

mod pages;

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use portcullis_mesh::{endpoints::BackendStatus, telemetry::Format};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{ServiceBuilder, ServiceExt as _, service_fn, timeout::error::Elapsed, util::BoxCloneSyncService};

pub use self::pages::{ShadowPage, SnapshotPage};

/// Connections at one time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 64;
/// Pages made at one time; further requests are refused.
const REQUESTS_IN_FLIGHT_MAX: usize = 32;
/// The time a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time the head of a request may take, which is also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a connection lives, however slowly its peer reads.
const CONNECTION_LIFETIME_MAX: Duration = Duration::from_mins(10);
/// The pause after no connection could be accepted, usually because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A future that can be sent to another thread.
type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the pages show. Each is asked whenever its page is.
#[derive(Clone)]
pub struct AdminPages {
    /// Whether the gateway serves. It is asked of a data worker, so that the answer has been where requests go.
    pub readiness: Arc<dyn Fn() -> Pending<Readiness> + Send + Sync>,
    /// Every metric.
    pub metrics: Arc<dyn Fn(Format) -> String + Send + Sync>,
    /// The revision in force, and how each document fared.
    pub snapshot: Arc<dyn Fn() -> SnapshotPage + Send + Sync>,
    /// The keys that backends verify JWTs of ours with (RFC 7517).
    pub key_set: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Every backend's endpoints.
    pub endpoints: Arc<dyn Fn() -> Vec<BackendStatus> + Send + Sync>,
}

/// Whether the gateway serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Yes, by the documents as they are.
    Ready,
    /// Yes, by an earlier revision; the documents as they are were refused for this reason.
    Stale(String),
    /// No, for this reason.
    NotReady(String),
}

/// Why a request gets no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejection {
    NoSuchPage,
    OnlyReading,
    HasBody,
    Overloaded,
    TookTooLong,
}

type Answer = Response<Full<Bytes>>;
type PageService = BoxCloneSyncService<Request<Incoming>, Answer, tower::BoxError>;

/// Answers on `listener` until told to stop; then it closes it at once, leaving what waits in the queue to whoever else
/// has the socket, and answers what has been asked. Dropping the future closes every connection.
pub async fn serve(listener: TcpListener, pages: AdminPages, mut stop: watch::Receiver<bool>) {
    let service = bounded(pages);
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = told(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the admin address");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        // Without a seat the connection is closed here.
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            let (service, stop) = (service.clone(), stop.clone());
            connections.spawn(async move {
                serve_connection(stream, service, stop).await;
                drop(seat);
            });
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn told(stop: &mut watch::Receiver<bool>) {
    // Whoever could tell is gone: so is the reason to go on.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The pages, behind bounds on how many are made at one time and how long one may take.
fn bounded(pages: AdminPages) -> PageService {
    let page = service_fn(move |request| {
        let pages = pages.clone();
        async move { Ok::<_, Infallible>(answer(&request, &pages).await) }
    });
    let bounded =
        ServiceBuilder::new().load_shed().concurrency_limit(REQUESTS_IN_FLIGHT_MAX).timeout(PAGE_TIMEOUT).service(page);
    BoxCloneSyncService::new(bounded)
}

async fn serve_connection(stream: TcpStream, pages: PageService, mut stop: watch::Receiver<bool>) {
    let service = hyper::service::service_fn(move |request| {
        let pages = pages.clone();
        async move {
            let answered = pages.oneshot(request).await;
            let rejection = |error: tower::BoxError| {
                reject(if error.is::<Elapsed>() { Rejection::TookTooLong } else { Rejection::Overloaded })
            };
            Ok::<_, Infallible>(answered.unwrap_or_else(rejection))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let lived = tokio::select! {
        lived = timeout(CONNECTION_LIFETIME_MAX, connection.as_mut()) => lived.is_ok(),
        () = told(&mut stop) => false,
    };
    if !lived {
        // It may end what it is doing.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(PAGE_TIMEOUT, connection).await;
    }
}

async fn answer(request: &Request<Incoming>, pages: &AdminPages) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reject(Rejection::OnlyReading);
    }
    if !request.body().is_end_stream() {
        return reject(Rejection::HasBody);
    }
    match request.uri().path() {
        "/" => page(StatusCode::OK, "text/plain; charset=utf-8", pages::INDEX),
        "/livez" => json(StatusCode::OK, r#"{"live":true}"#.to_owned()),
        "/readyz" => {
            let readiness = (pages.readiness)().await;
            let status = match readiness {
                Readiness::Ready | Readiness::Stale(_) => StatusCode::OK,
                Readiness::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            json(status, pages::readiness(&readiness))
        }
        "/metrics" => {
            let format = Format::accepted(request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()));
            page(StatusCode::OK, format.content_type(), (pages.metrics)(format))
        }
        "/jwks" => page(StatusCode::OK, "application/jwk-set+json", (pages.key_set)().to_string()),
        "/snapshot" => json(StatusCode::OK, pages::snapshot(&(pages.snapshot)())),
        "/endpoints" => json(StatusCode::OK, pages::endpoints(&(pages.endpoints)())),
        _ => reject(Rejection::NoSuchPage),
    }
}

fn json(status: StatusCode, text: String) -> Answer {
    page(status, "application/json", text)
}

fn page(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn reject(rejection: Rejection) -> Answer {
    let (status, text) = match rejection {
        Rejection::NoSuchPage => (StatusCode::NOT_FOUND, "no such page; see /\n"),
        Rejection::OnlyReading => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
        Rejection::HasBody => (StatusCode::BAD_REQUEST, "a request for a page has no body\n"),
        Rejection::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "too many requests at once\n"),
        Rejection::TookTooLong => (StatusCode::SERVICE_UNAVAILABLE, "the page took too long\n"),
    };
    let mut answer = page(status, "text/plain; charset=utf-8", text);
    if rejection == Rejection::OnlyReading {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if matches!(rejection, Rejection::OnlyReading | Rejection::HasBody) {
        // What follows the head may be a body that nobody wants to read.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

#[cfg(test)]
mod tests;
