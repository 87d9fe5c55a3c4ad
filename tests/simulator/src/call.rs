//! One request: which API it is for, and which faults it meets.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::{
    answer::{self, Api, Body, Problem},
    anthropic,
    faults::{FAULTS_HEADER, Faults},
    openai, page,
    server::Ending,
    simulator::{Flavour, State},
    stream::or_problem,
};

/// The longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;
/// The header that says what is to be said, in percent-encoding where it must.
const TEXT_HEADER: &str = "x-simulator-text";

/// What an API needs to know of one request.
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) ending: Ending,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) faults: Faults,
    /// What is to be said, if a header says so.
    pub(crate) text: Option<String>,
    /// The how-manieth request it is.
    pub(crate) number: u64,
}

impl Call {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))
    }

    /// An identifier for the answer, the same in every run.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:032x}", u128::from(crate::text::hash(&(self.state.config.seed, self.number))))
    }
}

/// Answers one request, whatever it is.
pub(crate) async fn call(state: Arc<State>, ending: Ending, request: Request<Incoming>) -> Response<Body> {
    let banner = state.config.flavour;
    let mut response = route(state, ending, request).await;
    if banner == Flavour::Vllm {
        response.headers_mut().insert(header::SERVER, HeaderValue::from_static("uvicorn"));
    }
    response
}

async fn route(state: Arc<State>, ending: Ending, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/health" | "/ping" | "/v2/health/live" | "/v2/health/ready") => answer::empty(StatusCode::OK),
        (&Method::GET, "/metrics") => answer::text(page::page(&state)),
        (&Method::GET, "/v1/models") => openai::models(&state),
        (&Method::GET, "/simulator") => answer::json(&json!({
            "cancelled": state.engine.cancelled(),
            "running": state.engine.load().running,
            "waiting": state.engine.load().waiting,
        })),
        (&Method::PUT, "/simulator/faults") => set_faults(&state, body).await,
        (&Method::POST, path) => {
            let Some(api) = Inference::of(path) else { return nowhere(path) };
            infer(api, state, ending, head.headers, body).await
        }
        (_, path) => nowhere(path),
    }
}

fn nowhere(path: &str) -> Response<Body> {
    let api = if path.starts_with("/v2/") { Api::Kserve } else { Api::OpenAi };
    Problem::new(StatusCode::NOT_FOUND, "Not Found").answer(api)
}

async fn set_faults(state: &State, body: Incoming) -> Response<Body> {
    let text = read(body).await.map(|body| String::from_utf8_lossy(&body).into_owned());
    match text.and_then(|text| text.trim().parse::<Faults>().map_err(Problem::bad_request)) {
        Ok(faults) => {
            state.set_faults(faults);
            answer::empty(StatusCode::NO_CONTENT)
        }
        Err(problem) => problem.answer(Api::OpenAi),
    }
}

/// The APIs that make the model work.
#[derive(Debug, Clone, Copy)]
enum Inference {
    Chat,
    Messages,
    CountTokens,
}

impl Inference {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::Chat),
            "/v1/messages" => Some(Self::Messages),
            "/v1/messages/count_tokens" => Some(Self::CountTokens),
            _ => None,
        }
    }

    fn api(self) -> Api {
        match self {
            Self::Chat => Api::OpenAi,
            Self::Messages | Self::CountTokens => Api::Anthropic,
        }
    }
}

async fn infer(
    inference: Inference,
    state: Arc<State>,
    ending: Ending,
    headers: HeaderMap,
    body: Incoming,
) -> Response<Body> {
    let number = state.count_request();
    let outcome = async {
        let faults = faults(&state, &headers)?;
        let text = text(&headers)?;
        let call = Call { faults, text, number, body: read(body).await?, state, ending, headers };
        if faults.reset {
            call.ending.reset();
            return std::future::pending().await;
        }
        if let Some(status) = faults.status {
            tokio::time::sleep(faults.delay).await;
            return Err(Problem::new(status, "This fails on request."));
        }
        match inference {
            Inference::Chat => openai::chat::answer(&call).await,
            Inference::Messages => anthropic::answer(&call).await,
            Inference::CountTokens => anthropic::count_tokens(&call),
        }
    };
    or_problem(inference.api(), outcome.await)
}

fn faults(state: &State, headers: &HeaderMap) -> Result<Faults, Problem> {
    match headers.get(FAULTS_HEADER) {
        None => Ok(state.faults()),
        Some(value) => value.to_str().unwrap_or("?").parse().map_err(Problem::bad_request),
    }
}

fn text(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(TEXT_HEADER) else { return Ok(None) };
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let wrong = |_| Problem::bad_request(format!("`{TEXT_HEADER}` must be UTF-8 in percent-encoding"));
    String::from_utf8(bytes).map(Some).map_err(wrong)
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = read.map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    Ok(body.to_bytes())
}
