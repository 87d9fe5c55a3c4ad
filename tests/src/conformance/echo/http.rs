//! HTTP: a JSON text of the request, with what the query asks for first: a pause, some failures, a WebSocket.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::{net::TcpStream, time::sleep};

use super::{ACCEPT, Echo, Frame, KEY, duration, read_frame, write_frame};

/// One connection of HTTP.
pub(super) struct Visit {
    pub(super) echo: Arc<Echo>,
    pub(super) tls: Value,
    pub(super) resetter: Option<Resetter>,
}

/// Makes the end of a connection a reset.
pub(super) struct Resetter(OwnedFd);

impl Resetter {
    pub(super) fn of(stream: &TcpStream) -> Self {
        use std::os::fd::AsFd as _;
        Self(stream.as_fd().try_clone_to_owned().unwrap())
    }

    fn arm(&self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

type Answer = Response<Full<Bytes>>;

impl Visit {
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Answer> {
        let query = query(request.uri().query().unwrap_or_default());
        if request.uri().path() == "/ws" {
            return Ok(web_socket(request));
        }
        if request.uri().path().starts_with("/retry/")
            && let Some(failure) = self.fail_at_first(&query).await?
        {
            return Ok(failure);
        }
        if let Some(pause) = query.get("delay").and_then(|text| duration(text)) {
            sleep(pause).await;
        }
        Ok(self.echo(&request))
    }

    /// Fails as often as the query says, by status or by a reset, and then no more.
    async fn fail_at_first(&self, query: &BTreeMap<String, String>) -> io::Result<Option<Answer>> {
        let (Some(id), Some(succeed_after)) = (query.get("uuid"), query.get("succeedAfter")) else {
            return Ok(Some(status(StatusCode::BAD_REQUEST)));
        };
        let succeed_after: u32 = succeed_after.parse().map_err(io::Error::other)?;
        {
            let mut attempts = self.echo.attempts.lock().unwrap();
            let failed = attempts.entry(id.clone()).or_default();
            if *failed >= succeed_after {
                return Ok(None);
            }
            *failed += 1;
        }
        if let Some(pause) = query.get("delayRetry").and_then(|text| duration(text)) {
            sleep(pause).await;
        }
        match query.get("responseCode") {
            Some(code) => Ok(Some(status(code.parse().map_err(io::Error::other)?))),
            None => {
                if let Some(resetter) = &self.resetter {
                    resetter.arm();
                }
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    fn echo<B>(&self, request: &Request<B>) -> Answer {
        let path = request.uri().path_and_query().map_or("/", |target| target.as_str());
        self.echo.log.lock().unwrap().push(path.to_owned());
        let mut headers = BTreeMap::<&str, Vec<String>>::new();
        for (name, value) in request.headers() {
            if name != header::HOST {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                headers.entry(name.as_str()).or_default().push(value);
            }
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let text = json!({
            "path": path,
            "host": request.uri().authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default(),
            "method": request.method().as_str(),
            "proto": format!("{:?}", request.version()),
            "headers": headers,
            "httpPort": "3000",
            "namespace": self.echo.namespace,
            "ingress": "",
            "service": "",
            "pod": self.echo.pod,
            "tls": self.tls,
        });
        let mut answer = Response::new(Full::from(text.to_string()));
        for (name, value) in headers_to_set(request.headers()) {
            answer.headers_mut().append(name, value);
        }
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

/// `X-Echo-Set-Header: name:value,name:value` asks for headers of the answer.
fn headers_to_set(headers: &http::HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let asked = headers.get_all("x-echo-set-header").iter().filter_map(|value| value.to_str().ok());
    let pairs = asked.flat_map(|list| list.split(',')).filter_map(|pair| pair.split_once(':'));
    pairs.filter_map(|(name, value)| Some((name.trim().parse().ok()?, value.trim().parse().ok()?))).collect()
}

/// Takes the one handshake that the suite's client makes, and sends back every frame that comes.
fn web_socket(request: Request<Incoming>) -> Answer {
    let is = |name: HeaderName, expected: &str| {
        request.headers().get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()))
    };
    if !is(header::UPGRADE, "websocket") || !is(header::SEC_WEBSOCKET_KEY, KEY) {
        return status(StatusCode::BAD_REQUEST);
    }
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let mut wire = TokioIo::new(upgraded);
        while let Ok(frame) = read_frame(&mut wire).await {
            let last = frame.opcode == Frame::CLOSE;
            if write_frame(&mut wire, &frame, None).await.is_err() || last {
                return;
            }
        }
    });
    let mut answer = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(ACCEPT));
    answer
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// The parameters of a query. The suite's need no decoding.
fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
