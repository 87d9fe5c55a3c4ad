//! `CORS` (GEP-1767): what browsers are told about calls from other origins.
//!
//! The document is the only authority: preflights are answered here and never forwarded, and what a backend says about
//! CORS is replaced. A request from an origin that is not allowed is forwarded like any other (its answer just says
//! nothing a browser would accept), because CORS protects users of browsers, not us.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use portcullis_policy::snapshot::{Cors, OriginPattern};

/// Everything that an answer may say about CORS.
const SAID: [HeaderName; 7] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

/// What a CORS filter makes of a request.
#[derive(Debug)]
pub enum Verdict {
    /// A preflight: this is the answer, without `x-request-id`; nothing is forwarded.
    Preflight(Response<Bytes>),
    /// Anything else: forward it, and apply this to the answer.
    Forward(Grant),
}

/// What the answer to a request says to a browser.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The value of `Access-Control-Allow-Origin`; `None`: the origin is not allowed, or there is none.
    origin: Option<HeaderValue>,
}

/// Judges a request.
pub fn judge(cors: &Cors, method: &Method, headers: &HeaderMap) -> Verdict {
    let origin = only(headers, &ORIGIN);
    let grant = Grant { origin: origin.and_then(|origin| allowed(cors, origin)) };
    // https://fetch.spec.whatwg.org/#cors-preflight-request
    if *method == Method::OPTIONS && origin.is_some() && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return Verdict::Preflight(preflight(cors, &grant, headers));
    }
    Verdict::Forward(grant)
}

impl Grant {
    /// Replaces whatever the backend said by what the document says.
    pub fn apply(&self, cors: &Cors, headers: &mut HeaderMap) {
        for name in &SAID {
            headers.remove(name);
        }
        self.say(cors, headers);
        // An answer for every origin is the same for all; any other must not be reused for another one.
        if !is_for_all(cors) && !varies_by_origin(headers) {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// What preflights and other answers have in common.
    fn say(&self, cors: &Cors, headers: &mut HeaderMap) {
        let Some(origin) = &self.origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if cors.allow_credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        // With credentials `*` would be a header of that name (Fetch §3.3.2), so it is left out.
        let is_sent = |name: &&str| !(cors.allow_credentials && *name == "*");
        insert_list(
            headers,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            cors.expose_headers.iter().map(|name| &**name).filter(is_sent),
        );
    }
}

/// The answer to a preflight. To an origin that is not allowed it says nothing, which a browser takes for a no.
fn preflight(cors: &Cors, grant: &Grant, request: &HeaderMap) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(
        VARY,
        HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    );
    if grant.origin.is_none() {
        return answer;
    }
    grant.say(cors, headers);
    allow(headers, ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods, only(request, &ACCESS_CONTROL_REQUEST_METHOD));
    allow(headers, ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers, only(request, &ACCESS_CONTROL_REQUEST_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    answer
}

/// Says what is allowed: the list as it is written, or for `*` what was asked for. Echoing works where `*` does not:
/// with credentials, and for `Authorization`, which `*` never covers.
fn allow(headers: &mut HeaderMap, name: HeaderName, allowed: &[std::sync::Arc<str>], asked: Option<&HeaderValue>) {
    if !allowed.iter().any(|allowed| &**allowed == "*") {
        insert_list(headers, name, allowed.iter().map(|allowed| &**allowed));
    } else if let Some(asked) = asked.filter(|asked| is_list_of_tokens(asked)) {
        headers.insert(name, asked.clone());
    }
}

/// The value of `Access-Control-Allow-Origin` for this origin.
fn allowed(cors: &Cors, origin: &HeaderValue) -> Option<HeaderValue> {
    if is_for_all(cors) {
        return Some(HeaderValue::from_static("*"));
    }
    let text = origin.to_str().ok()?;
    cors.allow_origins.iter().any(|pattern| matches(pattern, text)).then(|| origin.clone())
}

/// Every origin, without credentials.
fn is_for_all(cors: &Cors) -> bool {
    !cors.allow_credentials && cors.allow_origins.contains(&OriginPattern::Any)
}

fn matches(pattern: &OriginPattern, origin: &str) -> bool {
    match pattern {
        // Not `null`: any page in a sandboxed frame has that origin, and with credentials that would be everybody's.
        OriginPattern::Any => {
            origin.split_once("://").is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty())
        }
        OriginPattern::Exact(exact) => without_default_port(origin).eq_ignore_ascii_case(without_default_port(exact)),
        OriginPattern::Wildcard { before, after } => {
            let origin = without_default_port(origin);
            let after = after.strip_suffix(default_port(before)).unwrap_or(after);
            let Some(between) = origin.len().checked_sub(before.len() + after.len()).filter(|len| *len > 0) else {
                return false;
            };
            let (start, end) = (before.len(), before.len() + between);
            let same = |part: Option<&str>, wanted: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(wanted));
            same(origin.get(..start), before)
                && same(origin.get(end..), after)
                && origin.get(start..end).is_some_and(|host| {
                    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
                })
        }
    }
}

/// `https://a.example:443` is `https://a.example`.
fn without_default_port(origin: &str) -> &str {
    origin.strip_suffix(default_port(origin)).unwrap_or(origin)
}

fn default_port(origin: &str) -> &'static str {
    match origin.get(..8) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https://") => ":443",
        _ => ":80",
    }
}

/// The one value of a header; `None` where there is none or several.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn is_list_of_tokens(value: &HeaderValue) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
    value.as_bytes().iter().all(is_token)
}

fn insert_list<'l>(headers: &mut HeaderMap, name: HeaderName, members: impl Iterator<Item = &'l str>) {
    let mut list = String::new();
    for member in members {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(member);
    }
    if let Some(list) = HeaderValue::try_from(list).ok().filter(|list| !list.is_empty()) {
        headers.insert(name, list);
    }
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let members = headers.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii).any(|member| member == b"*" || member.eq_ignore_ascii_case(b"origin"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{sync::Arc, time::Duration};

    use super::*;

    fn texts(values: &[&str]) -> Vec<Arc<str>> {
        values.iter().map(|value| Arc::from(*value)).collect()
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
        headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The routes of the conformance manifest `httproute-cors.yaml`, by name.
    fn multiple() -> Cors {
        Cors {
            allow_origins: vec![
                OriginPattern::Exact("https://www.foo.com".into()),
                OriginPattern::Wildcard { before: "https://".into(), after: ".bar.com".into() },
            ],
            allow_credentials: true,
            allow_methods: texts(&["GET", "OPTIONS"]),
            allow_headers: texts(&["x-header-1", "x-header-2"]),
            expose_headers: texts(&["x-header-3", "x-header-4"]),
            max_age: Duration::from_hours(1),
        }
    }

    fn wildcards(allow_credentials: bool) -> Cors {
        Cors {
            allow_origins: vec![OriginPattern::Any],
            allow_credentials,
            allow_methods: texts(&["*"]),
            allow_headers: texts(&["*"]),
            expose_headers: Vec::new(),
            max_age: Duration::from_secs(5),
        }
    }

    fn preflight_of(cors: &Cors, fields: &[(&'static str, &str)]) -> HeaderMap {
        match judge(cors, &Method::OPTIONS, &headers(fields)) {
            Verdict::Preflight(answer) => {
                assert_eq!(answer.status(), StatusCode::NO_CONTENT);
                answer.into_parts().0.headers
            }
            Verdict::Forward(_) => HeaderMap::from_iter([(VARY, HeaderValue::from_static("forwarded"))]),
        }
    }

    fn answer_to(cors: &Cors, origin: &str, backend: &[(&'static str, &str)]) -> HeaderMap {
        let mut answer = headers(backend);
        match judge(cors, &Method::GET, &headers(&[("origin", origin)])) {
            Verdict::Forward(grant) => grant.apply(cors, &mut answer),
            Verdict::Preflight(_) => answer.clear(),
        }
        answer
    }

    #[test]
    fn preflights_of_allowed_origins_hear_everything() {
        for origin in ["https://www.foo.com", "https://www.bar.com", "https://xpto.www.bar.com"] {
            let got = preflight_of(
                &multiple(),
                &[
                    ("origin", origin),
                    ("access-control-request-method", "GET"),
                    ("access-control-request-headers", "x-header-1, x-header-2"),
                ],
            );
            assert_eq!(value(&got, "access-control-allow-origin"), Some(origin));
            assert_eq!(value(&got, "access-control-allow-methods"), Some("GET, OPTIONS"));
            assert_eq!(value(&got, "access-control-allow-headers"), Some("x-header-1, x-header-2"));
            assert_eq!(value(&got, "access-control-expose-headers"), Some("x-header-3, x-header-4"));
            assert_eq!(value(&got, "access-control-max-age"), Some("3600"));
            assert_eq!(value(&got, "access-control-allow-credentials"), Some("true"));
            assert!(value(&got, "vary").unwrap().contains("Origin"));
        }
    }

    #[test]
    fn preflights_of_other_origins_hear_nothing() {
        for origin in [
            "https://foobar.com",
            "http://www.foo.com",
            "https://www.foo.com.evil.com",
            "https://evilbar.com",
            "https://.bar.com",
            "https://bar.com",
            "https://a/.bar.com",
            "https://evil.com:443@x.bar.com",
            "https://a.bar.com:8443",
            "null",
            "",
            "https://www.foo.com ",
            "https://www.foo.com:80",
        ] {
            let got = preflight_of(&multiple(), &[("origin", origin), ("access-control-request-method", "GET")]);
            assert_eq!(got.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["vary"], "{origin}");
            let got = answer_to(&multiple(), origin, &[]);
            assert_eq!(got.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["vary"], "{origin}");
        }
    }

    #[test]
    fn default_ports_and_case_do_not_matter() {
        for origin in ["https://www.foo.com:443", "HTTPS://WWW.FOO.COM", "https://www.bar.com:443"] {
            assert_eq!(value(&answer_to(&multiple(), origin, &[]), "access-control-allow-origin"), Some(origin));
        }
        let with_ports = Cors {
            allow_origins: vec![
                OriginPattern::Wildcard { before: "https://".into(), after: ".a.com:443".into() },
                OriginPattern::Wildcard { before: "http://".into(), after: ":8080".into() },
                OriginPattern::Wildcard { before: "http://".into(), after: "".into() },
                OriginPattern::Exact("http://b.com:80".into()),
            ],
            ..multiple()
        };
        for (origin, is_allowed) in [
            ("https://x.a.com", true),
            ("https://x.a.com:80", false),
            ("http://any.example:8080", true),
            ("http://any.example", true),
            ("http://any.example:80", true),
            ("http://any.example:81", false),
            ("https://b.com", false),
        ] {
            let got = answer_to(&with_ports, origin, &[]);
            assert_eq!(value(&got, "access-control-allow-origin").is_some(), is_allowed, "{origin}");
        }
    }

    #[test]
    fn wildcards_echo_what_is_asked_for() {
        let asked = [
            ("origin", "https://other.foo.com"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-header-1, authorization"),
        ];
        let got = preflight_of(&wildcards(true), &asked);
        assert_eq!(value(&got, "access-control-allow-origin"), Some("https://other.foo.com"));
        assert_eq!(value(&got, "access-control-allow-methods"), Some("PUT"));
        assert_eq!(value(&got, "access-control-allow-headers"), Some("x-header-1, authorization"));
        assert_eq!(value(&got, "access-control-allow-credentials"), Some("true"));
        assert_eq!(value(&got, "access-control-max-age"), Some("5"));
        let got = preflight_of(&wildcards(false), &asked);
        assert_eq!(value(&got, "access-control-allow-origin"), Some("*"));
        assert_eq!(value(&got, "access-control-allow-credentials"), None);
        let got =
            preflight_of(&wildcards(true), &[("origin", "https://a.b"), ("access-control-request-method", "P\"T")]);
        assert_eq!(value(&got, "access-control-allow-methods"), None);
        assert_eq!(value(&got, "access-control-allow-headers"), None);
    }

    #[test]
    fn a_sandboxed_frame_is_never_trusted_with_credentials() {
        assert_eq!(value(&answer_to(&wildcards(true), "null", &[]), "access-control-allow-origin"), None);
        assert_eq!(value(&answer_to(&wildcards(false), "null", &[]), "access-control-allow-origin"), Some("*"));
    }

    #[test]
    fn the_document_has_the_last_word() {
        let backend = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "secret"),
            ("vary", "accept, origin"),
        ];
        let got = answer_to(&multiple(), "https://evil.com", &backend);
        assert_eq!(got.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["vary"]);
        assert_eq!(value(&got, "vary"), Some("accept, origin"), "once is enough");
        let got = answer_to(&multiple(), "https://www.foo.com", &backend);
        assert_eq!(value(&got, "access-control-allow-origin"), Some("https://www.foo.com"));
        assert_eq!(value(&got, "access-control-expose-headers"), Some("x-header-3, x-header-4"));
        let got = answer_to(&wildcards(false), "https://a.b", &[]);
        assert_eq!(value(&got, "vary"), None, "the same for everybody");
    }

    #[test]
    fn only_preflights_are_answered_here() {
        let cors = multiple();
        let is_forwarded = |method: &Method, fields: &[(&'static str, &str)]| {
            matches!(judge(&cors, method, &headers(fields)), Verdict::Forward(_))
        };
        let asked = ("access-control-request-method", "GET");
        let origin = ("origin", "https://www.foo.com");
        assert!(is_forwarded(&Method::GET, &[origin, asked]));
        assert!(is_forwarded(&Method::OPTIONS, &[origin]));
        assert!(is_forwarded(&Method::OPTIONS, &[asked]));
        assert!(is_forwarded(&Method::OPTIONS, &[]));
        assert!(!is_forwarded(&Method::OPTIONS, &[origin, asked]));
        assert!(!is_forwarded(&Method::OPTIONS, &[("origin", "null"), asked]));
    }
}
