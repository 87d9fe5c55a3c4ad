//! What must not pass from one side to the other, whatever the documents say.
//!
//! From a request is taken what is meant for us alone (hop-by-hop, RFC 9110 §7.6.1), and what only a proxy that the
//! backend trusts may say: who the client is, where it came from, which model or endpoint was chosen. Names are compared
//! after folding `-`, `_` and `.`, because CGI, WSGI and their kin fold them too: `x_forwarded.user` becomes the same
//! variable as `x-forwarded-user`. All of this happens before a route is looked up, so a claim can neither match a rule
//! nor reach a backend; documents may set such headers afterwards.
//!
//! From an answer are taken what is hop-by-hop, load reports (they are for us), and what names the software behind us.
//! `Via` is not added: it would tell clients and backends what stands here, and nobody behind us acts on it.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TE, UPGRADE},
};
use smallvec::SmallVec;

/// `x-forwarded-for`.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `x-forwarded-proto`.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `x-forwarded-host`.
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether a request header of this name (lower case) is dropped at ingress whatever it says: hop-by-hop, or a claim
/// that clients may not make. `connection` and `upgrade` included, `te` not: what it says decides.
pub fn is_dropped_from_requests(name: &str) -> bool {
    is_hop_by_hop(name) || is_claim(name)
}

/// Whether an answer's header of this name (lower case) is dropped at egress.
pub fn is_dropped_from_answers(name: &str) -> bool {
    is_hop_by_hop(name) || is_tale(name)
}

/// Takes from a request what is hop-by-hop and what a client may not say. Of `TE`, `trailers` stays: gRPC needs it.
pub fn clean_request(headers: &mut HeaderMap) {
    clean(headers, is_claim);
}

/// Takes from a request what is hop-by-hop alone: its sender may say for whom it calls.
pub fn clean_relayed_request(headers: &mut HeaderMap) {
    clean(headers, |_| false);
}

/// Takes from an answer what is hop-by-hop and what a backend must not tell.
pub fn clean_answer(headers: &mut HeaderMap) {
    clean(headers, is_tale);
}

fn clean(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    // Most messages have at most one such header, and none is nominated.
    let mut dropped = SmallVec::<[HeaderName; 4]>::new();
    let mut takes_trailers = false;
    for name in headers.keys() {
        let text = name.as_str();
        if is_unwanted(text) {
            dropped.push(name.clone());
        } else if text == "te" {
            takes_trailers = lists(headers, &TE, b"trailers");
            dropped.push(TE);
        } else if is_hop_by_hop(text) {
            if text == "connection" {
                nominated(headers, &mut dropped);
            }
            dropped.push(name.clone());
        }
    }
    for name in dropped {
        headers.remove(name);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// The names that `Connection` says are for this hop alone.
fn nominated(headers: &HeaderMap, names: &mut SmallVec<[HeaderName; 4]>) {
    for option in headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let option = option.trim_ascii();
        if matches!(option.len(), 5 | 10)
            && (option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive"))
        {
            continue;
        }
        if let Ok(name) = HeaderName::from_bytes(option)
            && !is_end_to_end(name.as_str())
        {
            names.push(name);
        }
    }
}

/// What nobody may have removed on the way: framing, routing, credentials, tracing.
fn is_end_to_end(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "authorization"
            | "cookie"
            | "set-cookie"
            | "date"
            | "origin"
            | "accept"
            | "cache-control"
            | "vary"
            | "etag"
            | "location"
            | "retry-after"
            | "www-authenticate"
            | "x-api-key"
            | "api-key"
            | "dpop"
            | "x-request-id"
            | "traceparent"
            | "tracestate"
            | "te"
    ) || name.starts_with("content-")
        || name.starts_with("grpc-")
        || name.starts_with("access-control-")
}

/// RFC 9110 §7.6.1, what it lists and what came before it. `Upgrade` is looked at first ([`wanted_upgrade`]); `Trailer`
/// stays, because trailers do.
fn is_hop_by_hop(name: &str) -> bool {
    match name.as_bytes() {
        [b'c', ..] => name == "connection",
        [b'h', ..] => name == "http2-settings",
        [b'k', ..] => name == "keep-alive",
        // `Proxy` becomes HTTP_PROXY in a CGI environment, and then a proxy ("httpoxy").
        [b'p', b'r', b'o', b'x', b'y', rest @ ..] => matches!(rest, [] | [b'-' | b'_' | b'.', ..]),
        [b't', ..] => name == "transfer-encoding",
        [b'u', ..] => name == "upgrade",
        _ => false,
    }
}

/// A claim that only a trusted proxy may make. `name` is lower case; `-`, `_` and `.` are the same.
fn is_claim(name: &str) -> bool {
    let is = |claim| folded_is(name, claim);
    let begins = |claim| folded_begins(name, claim);
    match name.as_bytes() {
        [b'x', _, third, ..] => match third {
            b'a' => {
                begins("x-auth-request-")
                    || begins("x-authenticated-")
                    || begins("x-amzn-oidc-")
                    || is("x-auth-user")
                    || is("x-auth-email")
                    || is("x-auth-groups")
            }
            b'c' => begins("x-client-cert") || is("x-client-ip") || is("x-cluster-client-ip") || begins("x-client-dn"),
            b'e' => begins("x-envoy-"),
            // For, Proto, Host and Port are ours to say; Client-Cert, User, Groups, Email, Uri, … nobody's.
            b'f' => begins("x-forwarded"),
            b'g' => begins("x-gateway-") || begins("x-goog-authenticated-") || begins("x-goog-iap-"),
            b'h' => begins("x-http-method"),
            b'm' => begins("x-method-override") || begins("x-ms-client-principal"),
            b'o' => begins("x-original-"),
            b'p' => begins("x-portcullis-"),
            b'r' => begins("x-remote-") || is("x-real-ip") || begins("x-rewrite-"),
            // Not `x-stainless-*`, of which OpenAI's and Anthropic's SDKs send ten.
            b's' => begins("x-ssl-") || begins("x-spiffe-"),
            b'v' => begins("x-verified-"),
            b'w' => begins("x-webauth-"),
            _ => false,
        },
        [b'c', ..] => is("client-cert") || is("client-cert-chain") || is("cf-connecting-ip") || begins("cf-access-"),
        [b'e', ..] => begins("endpoint-load-metrics"),
        [b'f', ..] => is("forwarded"),
        [b'l', ..] => begins("l5d-"),
        [b'r', ..] => begins("remote-"),
        [b's', ..] => begins("ssl-client-"),
        [b't', ..] => is("true-client-ip"),
        _ => false,
    }
}

/// What a backend must not tell: load reports, what it is made of, where else it may be reached, what guards here think.
fn is_tale(name: &str) -> bool {
    let begins = |tale| folded_begins(name, tale);
    match name.as_bytes() {
        [b'a', ..] => name == "alt-svc",
        [b'e', ..] => begins("endpoint-load-metrics"),
        [b'l', ..] => begins("l5d-"),
        [b's', ..] => name == "server",
        [b'x', ..] => {
            begins("x-powered-by")
                || begins("x-aspnet")
                || begins("x-gateway-")
                || begins("x-guard-verdict")
                || begins("x-envoy-")
                || begins("x-portcullis-")
        }
        _ => false,
    }
}

fn folded_is(name: &str, claim: &str) -> bool {
    name.len() == claim.len() && folded_begins(name, claim)
}

fn folded_begins(name: &str, claim: &str) -> bool {
    name.len() >= claim.len()
        && name
            .bytes()
            .zip(claim.bytes())
            .all(|(given, wanted)| given == wanted || (wanted == b'-' && matches!(given, b'_' | b'.')))
}

/// Whether one of a header's values lists this member (a token, without parameters).
fn lists(headers: &HeaderMap, name: &HeaderName, member: &[u8]) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|given| given.trim_ascii().eq_ignore_ascii_case(member))
}

/// The protocol that a request wants to switch to (HTTP/1.1 `Connection: upgrade`); look before [`clean_request`].
///
/// WebSocket only. Any other upgrade, h2c included, is ignored, as RFC 9110 §7.8 allows: the request is answered as it
/// is, over HTTP/1.1.
pub fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let (protocol, None) = (protocols.next()?, protocols.next()) else { return None };
    let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    (is_websocket && lists(headers, &CONNECTION, b"upgrade")).then(|| HeaderValue::from_static("websocket"))
}

/// What the backend is told of where a request came from. Both values are made once per connection.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub client: HeaderValue,
    /// `http` or `https`.
    pub scheme: HeaderValue,
}

/// Sets `x-forwarded-for`, `x-forwarded-proto` and `x-forwarded-host`. The client's own are gone by then.
pub fn add_forwarded(headers: &mut HeaderMap, origin: &Origin, host: &HeaderValue) {
    headers.insert(X_FORWARDED_FOR, origin.client.clone());
    headers.insert(X_FORWARDED_PROTO, origin.scheme.clone());
    headers.insert(X_FORWARDED_HOST, host.clone());
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use http::header::HOST;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_clients_send_stays() {
        let fields = [
            "accept",
            "accept-encoding",
            "anthropic-version",
            "authorization",
            "content-length",
            "content-type",
            "cookie",
            "expect",
            "grpc-timeout",
            "host",
            "openai-organization",
            "sec-websocket-key",
            "te-x",
            "traceparent",
            "trailer",
            "user-agent",
            "x-api-key",
            "x-header-add",
            "x-request-id",
            "x-stainless-arch",
            "x-custom_name",
            "x.y",
            "x",
            "x-",
            "x-r",
            "proxyx",
            "remote",
            "client",
        ];
        for name in fields {
            assert!(!is_dropped_from_requests(name), "{name}");
        }
    }

    #[test]
    fn claims_are_taken_from_requests_however_they_are_spelt() {
        let claims = [
            "x-forwarded-for",
            "x-forwarded-user",
            "x-forwarded-client-cert",
            "x-forwarded-uri",
            "x-forwarded",
            "forwarded",
            "x-real-ip",
            "x-gateway-model-name",
            "x-gateway-destination-endpoint",
            "x-gateway-destination-endpoint-subset",
            "endpoint-load-metrics",
            "endpoint-load-metrics-format",
            "endpoint-load-metrics-bin",
            "l5d-client-id",
            "x-remote-user",
            "x-remote-extra-scopes",
            "remote-user",
            "x-original-url",
            "x-rewrite-url",
            "x-http-method-override",
            "x-method-override",
            "x-auth-request-email",
            "x-authenticated-userid",
            "x-webauth-user",
            "x-envoy-upstream-rq-timeout-ms",
            "x-ssl-client-verify",
            "ssl-client-verify",
            "client-cert",
            "client-cert-chain",
            "x-client-cert",
            "x-goog-authenticated-user-email",
            "x-amzn-oidc-data",
            "x-ms-client-principal-id",
            "cf-connecting-ip",
            "true-client-ip",
            "x-portcullis-caller",
        ];
        for claim in claims {
            for alias in
                [claim.to_owned(), claim.replace('-', "_"), claim.replace('-', "."), claim.replacen('-', "_", 1)]
            {
                assert!(is_dropped_from_requests(&alias), "{alias}");
                let mut headers = map(&[(&alias.to_uppercase(), "root"), (&alias, "again"), ("accept", "*/*")]);
                // `.` is a token character in names, so http takes it.
                clean_request(&mut headers);
                assert_eq!(names(&headers), ["accept"], "{alias}");
            }
        }
    }

    #[test]
    fn hop_by_hop_fields_and_what_they_nominate_are_taken() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Secret-Hop"),
            ("connection", "te, close, Host, authorization, Content-Length, bad name, X-Forwarded-User"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("proxy", "http://evil"),
            ("te", "gzip, Trailers;q=1"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("x-secret-hop", "1"),
            ("x-forwarded-user", "root"),
            ("host", "a.example"),
            ("authorization", "Bearer x"),
            ("content-length", "3"),
            ("trailer", "x-checksum"),
        ]);
        clean_request(&mut headers);
        assert_eq!(names(&headers), ["authorization", "content-length", "host", "trailer"]);
    }

    #[test]
    fn te_keeps_nothing_but_trailers() {
        let check = |values: &[&str], expected: Option<&str>| {
            let mut headers = map(&values.iter().map(|value| ("te", *value)).collect::<Vec<_>>());
            headers.insert(HOST, HeaderValue::from_static("a.example"));
            clean_request(&mut headers);
            assert_eq!(headers.get(TE).map(|value| value.to_str().unwrap()), expected, "{values:?}");
            assert_eq!(headers.get_all(TE).iter().count(), usize::from(expected.is_some()));
        };
        check(&["trailers"], Some("trailers"));
        check(&["gzip;q=0.5, Trailers"], Some("trailers"));
        check(&["gzip", "trailers"], Some("trailers"));
        check(&["gzip"], None);
        check(&["trailers-x"], None);
        check(&[], None);
    }

    #[test]
    fn backends_tell_no_tales() {
        let mut headers = map(&[
            ("date", "Tue, 24 Nov 2026 15:00:00 GMT"),
            ("server", "uvicorn"),
            ("x-powered-by", "Express"),
            ("endpoint-load-metrics", "JSON {}"),
            ("endpoint_load_metrics_bin", "x"),
            ("x-gateway-destination-endpoint-served", "10.0.0.1:8000"),
            ("alt-svc", "h3=\":443\""),
            ("x-guard-verdict", "verdict=pass"),
            ("connection", "close, x-hop, set-cookie"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("transfer-encoding", "chunked"),
            ("content-type", "text/event-stream"),
            ("server-timing", "x"),
            ("x-request-id", "1"),
        ]);
        clean_answer(&mut headers);
        assert_eq!(names(&headers), ["content-type", "date", "server-timing", "set-cookie", "x-request-id"]);
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn only_websockets_are_upgraded_to() {
        let check = |fields: &[(&str, &str)], expected: bool| {
            assert_eq!(wanted_upgrade(&map(fields)).is_some(), expected, "{fields:?}");
        };
        check(&[("connection", "Upgrade"), ("upgrade", "WebSocket")], true);
        check(&[("connection", "keep-alive, upgrade"), ("upgrade", "websocket")], true);
        check(&[("connection", "keep-alive"), ("connection", "upgrade"), ("upgrade", "websocket")], true);
        check(&[("upgrade", "websocket")], false);
        check(&[("connection", "upgrade")], false);
        check(&[("connection", "keep-alive"), ("upgrade", "websocket")], false);
        check(&[("connection", "upgrade, http2-settings"), ("upgrade", "h2c")], false);
        check(&[("connection", "upgrade"), ("upgrade", "websocket, h2c")], false);
        check(&[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")], false);
    }

    #[test]
    fn forwarded_headers_replace_all_others() {
        let mut headers = map(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")]);
        clean_request(&mut headers);
        let origin =
            Origin { client: HeaderValue::from_static("192.0.2.1"), scheme: HeaderValue::from_static("https") };
        add_forwarded(&mut headers, &origin, &HeaderValue::from_static("a.example"));
        assert_eq!(headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), ["192.0.2.1"]);
        assert_eq!(headers.get("x-forwarded-proto").unwrap(), "https");
        assert_eq!(headers.get("x-forwarded-host").unwrap(), "a.example");
    }
}
