//! Every refusal that is not particular to one stage, so that a status, its code and its words are decided once.

use std::time::Duration;

use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, ALLOW},
};

use super::{Fault, Refusal};
use crate::grpc::Status;

/// The methods that pass, for `Allow`.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY");

impl Refusal {
    /// 401: no credential, or none that counts. What would, the gateway's
    /// challenges add.
    pub fn unauthenticated(code: &'static str) -> Self {
        Self::new(Fault::Caller, StatusCode::UNAUTHORIZED, code, "authentication is required")
    }

    /// 403: the caller is known, and the provider has a reason to refuse them.
    pub fn caller_refused(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::new(Fault::Caller, StatusCode::FORBIDDEN, code, message)
    }

    /// 403: no role allows it, or one denies it.
    pub fn permission_denied() -> Self {
        Self::new(Fault::Caller, StatusCode::FORBIDDEN, "permission_denied", "you may not do this")
    }

    /// In the middle of an answer: the caller may not go on.
    pub fn permission_lost() -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::FORBIDDEN,
            "permission_lost",
            "the permission for this request has been taken away",
        )
    }

    /// 404: the model is none of those that are served here.
    pub fn model_not_found() -> Self {
        Self::new(Fault::Caller, StatusCode::NOT_FOUND, "model_not_found", "the model does not exist here")
    }

    /// 429: too many credentials from one source, or of one person, were not good.
    pub fn too_many_failures(after: Duration) -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_failures",
            "too many credentials were not good; wait before the next",
        )
        .retry_after(after.max(Duration::from_secs(1)))
    }

    /// 503: whoever could tell who the caller is cannot be asked.
    pub fn identity_unavailable() -> Self {
        Self::new(
            Fault::Gateway,
            StatusCode::SERVICE_UNAVAILABLE,
            "identity_unavailable",
            "who you are cannot be found out at the moment",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 404: no rule.
    pub fn route_not_found() -> Self {
        Self::new(Fault::Caller, StatusCode::NOT_FOUND, "route_not_found", "no route matches this request")
    }

    /// 405: a method that no one here speaks.
    pub fn method_not_allowed() -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this method is not allowed here",
        )
        .header(ALLOW, METHODS)
        .grpc(Status::Unimplemented)
    }

    /// 408: the client took too long to send its request.
    pub fn request_timeout() -> Self {
        Self::new(Fault::Caller, StatusCode::REQUEST_TIMEOUT, "request_timeout", "the request did not arrive in time")
            .closing()
            .grpc(Status::DeadlineExceeded)
    }

    /// 413: a body that must be read and is larger than the bound.
    pub fn body_too_large(bytes_max: u64) -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the request body is larger than {bytes_max} bytes"),
        )
        .grpc(Status::ResourceExhausted)
    }

    /// What is said when a stage ended the request's body on purpose, by its code: a guardrail, or a reader of messages.
    pub fn of_ended_body(code: &'static str) -> Self {
        let guards = [Self::content_filter(), Self::unscreenable(), Self::guardrail_unavailable()];
        let said = guards.into_iter().find(|refusal| refusal.code == code);
        said.unwrap_or_else(|| Self::malformed(code, "the request body is not what its first message announced"))
    }

    /// 414: a request target beyond the bound.
    pub fn target_too_long() -> Self {
        Self::new(Fault::Caller, StatusCode::URI_TOO_LONG, "target_too_long", "the request target is too long")
            .closing()
    }

    /// 400: a guardrail does not let it in. Which one, only the log and the audit entry say.
    pub fn content_filter() -> Self {
        Self::new(Fault::Caller, StatusCode::BAD_REQUEST, "content_filter", "a guardrail refuses this request")
            .grpc(Status::InvalidArgument)
    }

    /// 403: a guardrail does not let the answer out, and the answer has no place to say so. Not 5xx: to ask again would
    /// cost the backend another answer.
    pub fn answer_filtered() -> Self {
        Self::new(Fault::Caller, StatusCode::FORBIDDEN, "answer_filtered", "a guardrail refuses the answer")
            .grpc(Status::PermissionDenied)
    }

    /// 415: a guarded route takes only what guardrails can read.
    pub fn unscreenable() -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unscreenable",
            "this cannot be screened, and the route takes only what can be",
        )
        .grpc(Status::Unimplemented)
    }

    /// 502: the answer is nothing that guardrails can read.
    pub fn unscreenable_answer() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::BAD_GATEWAY,
            "unscreenable_answer",
            "the backend's answer cannot be screened",
        )
        .grpc(Status::Unavailable)
    }

    /// 503: a guard has not answered, and what no guard has seen does not pass.
    pub fn guardrail_unavailable() -> Self {
        Self::new(
            Fault::Gateway,
            StatusCode::SERVICE_UNAVAILABLE,
            "guardrail_unavailable",
            "a guardrail cannot be asked at the moment",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 415: a content coding that would have to be undone to read the request.
    pub fn content_encoding_unsupported() -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_encoding_unsupported",
            "send the request body without a content encoding",
        )
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .grpc(Status::Unimplemented)
    }

    /// 415: a content type from which the model cannot be read where it must be.
    pub fn content_type_unsupported() -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type_unsupported",
            "send this request as application/json or multipart/form-data",
        )
        .grpc(Status::InvalidArgument)
    }

    /// 421: this connection does not answer for this host.
    pub fn misdirected() -> Self {
        Self::new(
            Fault::Caller,
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "this connection does not answer for this host; open a new one",
        )
    }

    /// 500: something here is broken.
    pub fn internal() -> Self {
        Self::new(Fault::Gateway, StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed")
    }

    /// 502: the answer, or its lack, breaks the protocol.
    pub fn upstream_protocol() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::BAD_GATEWAY,
            "upstream_protocol",
            "the backend's answer was not understood",
        )
    }

    /// 502: the backend closed the connection before it answered.
    pub fn upstream_reset() -> Self {
        Self::new(Fault::Upstream, StatusCode::BAD_GATEWAY, "upstream_reset", "the backend closed the connection")
    }

    /// 502: in the middle of an answer the backend stopped.
    pub fn upstream_truncated() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::BAD_GATEWAY,
            "upstream_truncated",
            "the backend ended its answer before it was complete",
        )
    }

    /// 503: no connection to any endpoint.
    pub fn upstream_unreachable() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_unreachable",
            "the backend cannot be reached",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 503: the backend closed the connection before it answered, as often as the route would try.
    pub fn retries_exhausted() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::SERVICE_UNAVAILABLE,
            "retries_exhausted",
            "the backend closed the connection, every time it was tried",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 503: the backend has no endpoint that may be used.
    pub fn no_endpoint() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::SERVICE_UNAVAILABLE,
            "no_endpoint",
            "no endpoint of the backend is available",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 504: the backend did not answer in time (first byte, or silence inside the answer).
    pub fn upstream_timeout() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "the backend did not answer in time",
        )
    }

    /// 504: the deadline of the route or of the client has passed.
    pub fn deadline_exceeded() -> Self {
        Self::new(
            Fault::Upstream,
            StatusCode::GATEWAY_TIMEOUT,
            "deadline_exceeded",
            "the deadline for this request has passed",
        )
        .grpc(Status::DeadlineExceeded)
    }
}
