//! A refusal in the words of each dialect: as an answer, as an event inside a stream, as trailers.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::{Value, json};

use super::{Dialect, Refusal};
use crate::grpc::{self, Status};

/// The name under which an exchange is known on both sides.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's clients look for it.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a request that is refused before the head of another answer has been sent.
///
/// The answer to a `HEAD` request is the same without its body; the codec leaves that out.
pub fn render(refusal: &Refusal, dialect: Dialect, request_id: &str) -> Response<Bytes> {
    let (content_type, body) = match dialect {
        Dialect::Grpc => return trailers_only(refusal, request_id),
        Dialect::OpenAi | Dialect::OpenAiResponses => (JSON, openai(refusal)),
        Dialect::Anthropic => (JSON, anthropic(refusal, Some(request_id))),
        Dialect::KserveHttp => (JSON, kserve(refusal)),
        Dialect::Plain => (HeaderValue::from_static("application/problem+json"), problem(refusal, request_id)),
    };
    let body = Bytes::from(body.to_string());
    let mut answer = Response::new(body);
    *answer.status_mut() = refusal.status;
    let length = HeaderValue::from(answer.body().len());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, length);
    // 404 and 405 may be stored by caches otherwise (RFC 9111 §4.2.2).
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    add_common(headers, refusal, request_id);
    if dialect == Dialect::Anthropic
        && let Ok(id) = HeaderValue::from_str(request_id)
    {
        headers.insert(REQUEST_ID, id);
    }
    answer
}

/// What every answer carries, whatever its dialect.
fn add_common(headers: &mut HeaderMap, refusal: &Refusal, request_id: &str) {
    for (name, value) in &refusal.headers {
        headers.append(name.clone(), value.clone());
    }
    if refusal.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(after) = refusal.retry_after {
        // Whole seconds, rounded up, never 0: that would say "at once".
        let seconds = (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
}

/// gRPC's answer without messages: status 200, and the trailers in the place of headers.
fn trailers_only(refusal: &Refusal, request_id: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    add_common(headers, refusal, request_id);
    headers.extend(grpc_trailers(refusal));
    answer
}

/// The trailers that end a gRPC answer whose head has been sent.
pub fn grpc_trailers(refusal: &Refusal) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    let status = match refusal.grpc_status() {
        // A refusal is never a success, whatever its HTTP status.
        Status::Ok => Status::Unknown,
        status => status,
    };
    trailers.insert(GRPC_STATUS, HeaderValue::from_static(status.as_str()));
    if let Ok(message) = HeaderValue::from_str(&grpc::encode_message(&refusal.message)) {
        trailers.insert(GRPC_MESSAGE, message);
    }
    trailers
}

/// The event that tells a client that its event stream (`text/event-stream`) broke, to be sent as the last bytes.
///
/// `mid_event`: the bytes sent so far do not end at the end of an event, so that one must be ended first. The client
/// then sees a broken event and an error, never a clean end. `None`: the dialect has no such event (gRPC has
/// [`grpc_trailers`]); the connection or the HTTP/2 stream must be reset instead, as for any answer that is not an
/// event stream.
pub fn stream_error_event(refusal: &Refusal, dialect: Dialect, mid_event: bool) -> Option<Bytes> {
    let (name, data) = match dialect {
        Dialect::OpenAi => (None, openai(refusal)),
        Dialect::OpenAiResponses => (Some("error"), openai_responses_event(refusal)),
        Dialect::Anthropic => (Some("error"), anthropic(refusal, None)),
        Dialect::KserveHttp => (None, kserve(refusal)),
        Dialect::Grpc | Dialect::Plain => return None,
    };
    let end = if mid_event { "\n\n" } else { "" };
    let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
    Some(Bytes::from(format!("{end}{name}data: {data}\n\n")))
}

/// <https://platform.openai.com/docs/guides/error-codes>: `param` is there even when it is null.
fn openai(refusal: &Refusal) -> Value {
    json!({ "error": openai_error(refusal) })
}

fn openai_error(refusal: &Refusal) -> Value {
    let kind = match refusal.status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "message": refusal.message, "type": kind, "param": null, "code": refusal.code })
}

/// The `error` event of the Responses API. Its own fields are flat; `error` is there as well because the SDKs raise an
/// exception for it in every stream.
fn openai_responses_event(refusal: &Refusal) -> Value {
    json!({
        "type": "error",
        "code": refusal.code,
        "message": refusal.message,
        "param": null,
        "sequence_number": 0,
        "error": openai_error(refusal),
    })
}

/// <https://docs.anthropic.com/en/api/errors>: the types are a closed list, so our own code is not in it.
fn anthropic(refusal: &Refusal, request_id: Option<&str>) -> Value {
    let kind = match refusal.status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    };
    let mut value = json!({ "type": "error", "error": { "type": kind, "message": refusal.message } });
    if let (Some(id), Some(object)) = (request_id, value.as_object_mut()) {
        object.insert("request_id".to_owned(), Value::from(id));
    }
    value
}

/// Open Inference Protocol, "Inference response JSON error object": `{"error": <string>}`.
fn kserve(refusal: &Refusal) -> Value {
    json!({ "error": refusal.message })
}

/// RFC 9457. The type is `about:blank`, so the title is the status's own name.
fn problem(refusal: &Refusal, request_id: &str) -> Value {
    json!({
        "type": "about:blank",
        "title": refusal.status.canonical_reason().unwrap_or("Error"),
        "status": refusal.status.as_u16(),
        "detail": refusal.message,
        "code": refusal.code,
        "request_id": request_id,
    })
}
