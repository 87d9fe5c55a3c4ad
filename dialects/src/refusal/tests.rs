//! What clients of each dialect read, to the character.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};

use super::{Dialect, Fault, Refusal, grpc_trailers, render, stream_error_event};
use crate::grpc::Status;

/// Status, headers (sorted, but for the length, which is checked) and body.
fn text(refusal: &Refusal, dialect: Dialect) -> String {
    let answer = render(refusal, dialect, "id-1");
    let length =
        answer.headers().get("content-length").map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    assert_eq!(length, (dialect != Dialect::Grpc).then_some(answer.body().len()));
    let fields = answer.headers().iter().filter(|(name, _)| *name != "content-length");
    let mut lines: Vec<String> = fields.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    format!("{}\n{}\n\n{}", answer.status().as_u16(), lines.join("\n"), std::str::from_utf8(answer.body()).unwrap())
}

#[test]
fn each_dialect_has_its_own_shape() {
    let refusal = Refusal::route_not_found();
    let check = |dialect, expected: &str| assert_eq!(text(&refusal, dialect), expected, "{dialect:?}");
    let openai = "404\n\
        cache-control: no-store\n\
        content-type: application/json\n\
        x-request-id: id-1\n\n\
        {\"error\":{\"message\":\"no route matches this request\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"route_not_found\"}}";
    check(Dialect::OpenAi, openai);
    check(Dialect::OpenAiResponses, openai);
    check(
        Dialect::Anthropic,
        "404\n\
        cache-control: no-store\n\
        content-type: application/json\n\
        request-id: id-1\n\
        x-request-id: id-1\n\n\
        {\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"no route matches this request\"},\"request_id\":\"id-1\"}",
    );
    check(
        Dialect::KserveHttp,
        "404\n\
        cache-control: no-store\n\
        content-type: application/json\n\
        x-request-id: id-1\n\n\
        {\"error\":\"no route matches this request\"}",
    );
    check(
        Dialect::Grpc,
        "200\n\
        content-type: application/grpc\n\
        grpc-message: no route matches this request\n\
        grpc-status: 12\n\
        x-request-id: id-1\n\n",
    );
    check(
        Dialect::Plain,
        "404\n\
        cache-control: no-store\n\
        content-type: application/problem+json\n\
        x-request-id: id-1\n\n\
        {\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"no route matches this request\",\
        \"code\":\"route_not_found\",\"request_id\":\"id-1\"}",
    );
}

#[test]
fn answers_carry_what_their_status_demands() {
    let header = |refusal: &Refusal, name: &str| {
        let answer = render(refusal, Dialect::OpenAi, "id-1");
        answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let challenge = HeaderValue::from_static("Bearer");
    let refusal = Refusal::unauthenticated("missing").header(WWW_AUTHENTICATE, challenge);
    assert_eq!(header(&refusal, "www-authenticate").as_deref(), Some("Bearer"));
    assert!(header(&Refusal::method_not_allowed(), "allow").is_some());
    for refusal in [Refusal::no_endpoint(), Refusal::retries_exhausted(), Refusal::upstream_unreachable()] {
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header(&refusal, "retry-after").as_deref(), Some("1"));
    }
    let after = |after| header(&Refusal::no_endpoint().retry_after(after), "retry-after");
    assert_eq!(after(Duration::from_millis(1)).as_deref(), Some("1"));
    assert_eq!(after(Duration::ZERO).as_deref(), Some("1"));
    assert_eq!(after(Duration::from_millis(1500)).as_deref(), Some("2"));
    assert_eq!(after(Duration::from_mins(1)).as_deref(), Some("60"));
}

#[test]
fn types_follow_the_status() {
    let kind = |status: u16, dialect| {
        let refusal = Refusal::new(Fault::Gateway, StatusCode::from_u16(status).unwrap(), "code", "message");
        let answer = render(&refusal, dialect, "id-1");
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        body.pointer("/error/type").unwrap().as_str().unwrap().to_owned()
    };
    for (status, openai, anthropic) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "server_error", "timeout_error"),
    ] {
        assert_eq!(kind(status, Dialect::OpenAi), openai, "{status}");
        assert_eq!(kind(status, Dialect::Anthropic), anthropic, "{status}");
    }
}

#[test]
fn grpc_hears_the_status_that_fits() {
    let check = |refusal: &Refusal, expected: Status| {
        let trailers = grpc_trailers(refusal);
        assert_eq!(trailers.get("grpc-status").unwrap(), expected.as_str(), "{}", refusal.code);
        assert_eq!(trailers.len(), 2);
    };
    check(&Refusal::route_not_found(), Status::Unimplemented);
    check(&Refusal::malformed("duplicate_model", "x"), Status::InvalidArgument);
    check(&Refusal::new(Fault::Caller, StatusCode::FORBIDDEN, "x", "no"), Status::PermissionDenied);
    check(&Refusal::no_endpoint(), Status::Unavailable);
    check(&Refusal::upstream_timeout(), Status::Unavailable);
    check(&Refusal::deadline_exceeded(), Status::DeadlineExceeded);
    check(&Refusal::body_too_large(9), Status::ResourceExhausted);
    check(&Refusal::internal().grpc(Status::Ok), Status::Unknown);
    let trailers = grpc_trailers(&Refusal::malformed("x", "100% wrong\n"));
    assert_eq!(trailers.get("grpc-message").unwrap(), "100%25 wrong%0A");
}

#[test]
fn a_stream_that_breaks_off_says_so() {
    let refusal = Refusal::upstream_truncated();
    let event = |dialect, mid_event| {
        stream_error_event(&refusal, dialect, mid_event).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    let error = "{\"message\":\"the backend ended its answer before it was complete\",\"type\":\"server_error\",\
                 \"param\":null,\"code\":\"upstream_truncated\"}";
    assert_eq!(event(Dialect::OpenAi, false).unwrap(), format!("data: {{\"error\":{error}}}\n\n"));
    assert_eq!(event(Dialect::OpenAi, true).unwrap(), format!("\n\ndata: {{\"error\":{error}}}\n\n"));
    assert_eq!(
        event(Dialect::OpenAiResponses, false).unwrap(),
        format!(
            "event: error\ndata: {{\"type\":\"error\",\"code\":\"upstream_truncated\",\
             \"message\":\"the backend ended its answer before it was complete\",\"param\":null,\"sequence_number\":0,\"error\":{error}}}\n\n"
        )
    );
    assert_eq!(
        event(Dialect::Anthropic, true).unwrap(),
        "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\
         \"message\":\"the backend ended its answer before it was complete\"}}\n\n"
    );
    assert_eq!(
        event(Dialect::KserveHttp, false).unwrap(),
        "data: {\"error\":\"the backend ended its answer before it was complete\"}\n\n"
    );
    assert_eq!(event(Dialect::Grpc, false), None);
    assert_eq!(event(Dialect::Plain, false), None);
}

#[test]
fn what_is_for_the_log_never_reaches_the_caller() {
    let refusal = Refusal::upstream_unreachable().detail("10.1.2.3:8000: connection refused");
    for dialect in [
        Dialect::OpenAi,
        Dialect::OpenAiResponses,
        Dialect::Anthropic,
        Dialect::KserveHttp,
        Dialect::Grpc,
        Dialect::Plain,
    ] {
        assert!(!text(&refusal, dialect).contains("10.1.2.3"));
        let event = stream_error_event(&refusal, dialect, true).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&event).contains("10.1.2.3"));
    }
}

#[test]
fn refusals_stay_small() {
    // They travel in every `Result` of the hot path.
    assert!(size_of::<Refusal>() <= 120, "{}", size_of::<Refusal>());
}
