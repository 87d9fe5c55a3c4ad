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
    kserve::{grpc, http as kserve},
    openai, page,
    server::Ending,
    simulator::{Flavour, State},
    stream::{cut, or_problem},
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
        format!("{prefix}{:016x}", crate::text::hash(&(self.state.config.seed, self.number)))
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
    let path = head.uri.path();
    if let Some(method) = path.strip_prefix(grpc::SERVICE) {
        return remote_call(method, state, ending, head.headers, body).await;
    }
    if let Some(inference) = Inference::of(&head.method, path) {
        return infer(inference, state, ending, head.headers, body).await;
    }
    if let Some((model, verb)) = kserve::asked(&head.method, path) {
        return or_problem(Api::Kserve, kserve::about(&state, model, verb));
    }
    match (&head.method, path) {
        (&Method::GET, "/health" | "/ping" | "/v2/health/live" | "/v2/health/ready") => answer::empty(StatusCode::OK),
        (&Method::GET, "/metrics") => answer::text(page::page(&state)),
        (&Method::GET, "/v1/models") => openai::models(&state),
        (&Method::GET, "/v2") => kserve::server(),
        (&Method::GET, "/simulator") => answer::json(&json!({
            "cancelled": state.engine.cancelled(),
            "running": state.engine.load().running,
            "waiting": state.engine.load().waiting,
        })),
        (&Method::PUT, "/simulator/faults") => set_faults(&state, body).await,
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

/// What makes a model work.
#[derive(Debug, Clone, Copy)]
enum Inference<'p> {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Messages,
    CountTokens,
    /// A model by its name, and what is asked of it.
    Kserve(&'p str, kserve::Verb),
}

impl<'p> Inference<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Self> {
        match (method, path) {
            (&Method::POST, "/v1/chat/completions") => Some(Self::Chat),
            (&Method::POST, "/v1/completions") => Some(Self::Completions),
            (&Method::POST, "/v1/responses") => Some(Self::Responses),
            (&Method::POST, "/v1/embeddings") => Some(Self::Embeddings),
            (&Method::POST, "/v1/messages") => Some(Self::Messages),
            (&Method::POST, "/v1/messages/count_tokens") => Some(Self::CountTokens),
            (&Method::POST, path) => kserve::asked(method, path).map(|(model, verb)| Self::Kserve(model, verb)),
            _ => None,
        }
    }

    fn api(self) -> Api {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::Embeddings => Api::OpenAi,
            Self::Messages | Self::CountTokens => Api::Anthropic,
            Self::Kserve(..) => Api::Kserve,
        }
    }

    async fn answer(self, call: &Call) -> Result<Response<Body>, Problem> {
        match self {
            Self::Chat => openai::chat::answer(call).await,
            Self::Completions => openai::completions::answer(call).await,
            Self::Responses => openai::responses::answer(call).await,
            Self::Embeddings => openai::embeddings::answer(call).await,
            Self::Messages => anthropic::answer(call).await,
            Self::CountTokens => anthropic::count_tokens(call),
            Self::Kserve(model, verb) => kserve::work(call, model, verb).await,
        }
    }
}

async fn infer(
    inference: Inference<'_>,
    state: Arc<State>,
    ending: Ending,
    headers: HeaderMap,
    body: Incoming,
) -> Response<Body> {
    let outcome = async {
        let body = read(body).await?;
        let call = begin(state, ending, headers, body).await?;
        cut(&call, inference.answer(&call).await?).await
    };
    or_problem(inference.api(), outcome.await)
}

async fn remote_call(
    method: &str,
    state: Arc<State>,
    ending: Ending,
    headers: HeaderMap,
    body: Incoming,
) -> Response<Body> {
    match begin(state, ending, headers, Bytes::new()).await {
        Ok(call) => grpc::answer(call, method, body).await,
        Err(problem) => grpc::refused(&problem),
    }
}

/// A request of which all is known, unless it is one of those that fail at once.
async fn begin(state: Arc<State>, ending: Ending, headers: HeaderMap, body: Bytes) -> Result<Call, Problem> {
    let number = state.count_request();
    let faults = faults(&state, &headers)?;
    if faults.reset {
        ending.reset();
        return std::future::pending().await;
    }
    if let Some(status) = faults.status {
        tokio::time::sleep(faults.delay).await;
        return Err(Problem::new(status, "This fails on request."));
    }
    let text = text(&headers)?;
    Ok(Call { state, ending, headers, body, faults, text, number })
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
