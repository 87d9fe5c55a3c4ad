//! Answers of one piece, and errors in each API's own shape.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

/// The body of every answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Broken>;

/// A body that is cut short on purpose.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut short on request")
    }
}

impl std::error::Error for Broken {}

/// Whose words an error is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    OpenAi,
    Anthropic,
    Kserve,
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn no_such_model(model: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("The model `{model}` does not exist."))
    }

    /// The answer that tells it.
    pub(crate) fn answer(&self, api: Api) -> Response<Body> {
        let word = match self.status.as_u16() {
            404 => ("NotFoundError", "not_found_error"),
            429 => ("RateLimitError", "rate_limit_error"),
            400..=499 => ("BadRequestError", "invalid_request_error"),
            529 | 503 => ("ServiceUnavailableError", "overloaded_error"),
            _ => ("InternalServerError", "api_error"),
        };
        let body = match api {
            Api::OpenAi => json!({"error": {
                "message": self.message, "type": word.0, "param": null, "code": self.status.as_u16(),
            }}),
            Api::Anthropic => json!({"type": "error", "error": {"type": word.1, "message": self.message}}),
            Api::Kserve => json!({"error": self.message}),
        };
        with_status(self.status, json(&body))
    }
}

/// An answer in JSON.
pub(crate) fn json(value: &Value) -> Response<Body> {
    bytes("application/json", value.to_string())
}

/// An answer in plain text.
pub(crate) fn text(text: impl Into<Bytes>) -> Response<Body> {
    bytes("text/plain; version=0.0.4; charset=utf-8", text)
}

/// An answer with nothing in it.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    with_status(status, Response::new(full(Bytes::new())))
}

/// An answer of these bytes.
pub(crate) fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(bytes.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The same answer with another status.
pub(crate) fn with_status(status: StatusCode, mut response: Response<Body>) -> Response<Body> {
    *response.status_mut() = status;
    response
}

/// A body that is there already.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
