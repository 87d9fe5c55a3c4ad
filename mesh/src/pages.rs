//! Pages for operators, over HTTP/1.1: on the control runtime, apart from the data plane, and bounded in every way.
//!
//! Nobody is authenticated here, which is why such an address is on loopback unless it is told otherwise, why pages
//! only tell and never change anything, and why everything about them is bounded.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{ServiceBuilder, ServiceExt as _, service_fn, timeout::error::Elapsed, util::BoxCloneSyncService};

/// Connections at one time; further ones are closed at once.
pub const CONNECTIONS_MAX: usize = 64;
/// Pages made at one time; further requests are refused.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 32;
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
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A page, whole.
pub type PageAnswer = Response<Full<Bytes>>;
/// Makes the page that is asked for; nothing where there is none.
pub type Pages = Arc<dyn Fn(Parts) -> Pending<Option<PageAnswer>> + Send + Sync>;

/// Why a request gets no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejection {
    NoSuchPage,
    OnlyReading,
    HasBody,
    Overloaded,
    TookTooLong,
}

type PageService = BoxCloneSyncService<Request<Incoming>, PageAnswer, tower::BoxError>;

/// Answers on `listener` until told to stop; then it closes it at once, leaving what waits in the queue to whoever else
/// has the socket, and answers what has been asked. Dropping the future closes every connection.
pub async fn serve(listener: TcpListener, pages: Pages, mut stop: watch::Receiver<bool>) {
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
fn bounded(pages: Pages) -> PageService {
    let page = service_fn(move |request| {
        let pages = pages.clone();
        async move { Ok::<_, Infallible>(answer(request, &pages).await) }
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

async fn answer(request: Request<Incoming>, pages: &Pages) -> PageAnswer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reject(Rejection::OnlyReading);
    }
    if !request.body().is_end_stream() {
        return reject(Rejection::HasBody);
    }
    let (parts, _) = request.into_parts();
    pages(parts).await.unwrap_or_else(|| reject(Rejection::NoSuchPage))
}

/// A page of JSON.
pub fn json(status: StatusCode, text: String) -> PageAnswer {
    page(status, "application/json", text)
}

/// A page.
pub fn page(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> PageAnswer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn reject(rejection: Rejection) -> PageAnswer {
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
