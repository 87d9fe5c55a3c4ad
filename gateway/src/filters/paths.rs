//! `RequestRedirect` and `URLRewrite`: new places for requests.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, LOCATION},
};
use portcullis_policy::snapshot::{PathChange, Redirect, Scheme};

/// What a redirect keeps of a request.
#[derive(Debug, Clone, Copy)]
pub struct Place<'r> {
    /// How the client reached us.
    pub scheme: Scheme,
    /// The canonical host.
    pub host: &'r str,
    /// The listener's port, as its document names it.
    pub listener_port: u16,
    /// The canonical path.
    pub path: &'r str,
    /// The query without `?`.
    pub query: Option<&'r str>,
    /// The length of the matched prefix ([`portcullis_policy::routes::Match::prefix_len`]).
    pub prefix_len: Option<usize>,
}

/// The answer that a redirect gives, without `x-request-id`.
pub fn redirect(redirect: &Redirect, place: &Place<'_>) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    match HeaderValue::try_from(location(redirect, place)) {
        Ok(location) => {
            *answer.status_mut() = redirect.status;
            answer.headers_mut().insert(LOCATION, location);
        }
        // Host, path and query are canonical and documents are checked, so this does not happen.
        Err(_) => *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    answer
}

/// The absolute URL of the new place. The port is left out where it is the well-known one of the scheme.
fn location(redirect: &Redirect, place: &Place<'_>) -> String {
    let scheme = redirect.scheme.unwrap_or(place.scheme);
    let (name, well_known) = match scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    };
    let port = match (redirect.port, redirect.scheme) {
        (Some(port), _) => port,
        (None, Some(_)) => well_known,
        (None, None) => place.listener_port,
    };
    let host = redirect.hostname.as_deref().unwrap_or(place.host);
    let path = match &redirect.path {
        Some(change) => changed_path(change, place.path, place.prefix_len),
        None => Cow::Borrowed(place.path),
    };
    let query = place.query.map_or(String::new(), |query| format!("?{query}"));
    if port == well_known {
        format!("{name}://{host}{path}{query}")
    } else {
        format!("{name}://{host}:{port}{path}{query}")
    }
}

/// The path after the change. A prefix is replaced by segments: the slash behind it belongs to what stays, and one at
/// the end of the replacement does not count (the table in the documentation of `ReplacePrefixMatch`).
pub fn changed_path<'p>(change: &'p PathChange, path: &'p str, prefix_len: Option<usize>) -> Cow<'p, str> {
    let (replacement, prefix_len) = match (change, prefix_len) {
        (PathChange::Full(full), _) => return Cow::Borrowed(full),
        // The change asks for a prefix and the match was by something else: documents that say so are refused.
        (PathChange::Prefix(_), None) => return Cow::Borrowed(path),
        (PathChange::Prefix(replacement), Some(prefix_len)) => (replacement, prefix_len),
    };
    let replacement = replacement.strip_suffix('/').unwrap_or(replacement);
    // Of the prefix `/` the slash is all there is, and it stays as well; a prefix `/a/` is `/a`.
    let kept_from = match path.as_bytes().get(prefix_len.wrapping_sub(1)) {
        Some(b'/') => prefix_len - 1,
        _ => prefix_len,
    };
    let kept = path.get(kept_from..).unwrap_or_default();
    match (replacement, kept) {
        ("", "") => Cow::Borrowed("/"),
        ("", kept) => Cow::Borrowed(kept),
        // `/` itself, with a replacement for the prefix `/`: the replacement, not a folder below it.
        (replacement, "" | "/") if kept.is_empty() || kept_from == 0 => Cow::Borrowed(replacement),
        (replacement, kept) => Cow::Owned(format!("{replacement}{kept}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_replaced_as_the_specification_tabulates() {
        let check = |path: &str, prefix: &str, replacement: &str, expected: &str| {
            let change = PathChange::Prefix(replacement.into());
            // With and without the slash that a prefix may be written with.
            for prefix_len in [prefix.trim_end_matches('/').len().max(1), prefix.len()] {
                let prefix_len = Some(prefix_len.min(path.len()));
                assert_eq!(changed_path(&change, path, prefix_len), expected, "{path} {prefix} {replacement}");
            }
        };
        check("/foo/bar", "/foo", "/xyz", "/xyz/bar");
        check("/foo/bar", "/foo", "/xyz/", "/xyz/bar");
        check("/foo/bar", "/foo/", "/xyz", "/xyz/bar");
        check("/foo/bar", "/foo/", "/xyz/", "/xyz/bar");
        check("/foo", "/foo", "/xyz", "/xyz");
        check("/foo/", "/foo", "/xyz", "/xyz/");
        check("/foo/bar", "/foo", "", "/bar");
        check("/foo/", "/foo", "", "/");
        check("/foo", "/foo", "", "/");
        check("/foo/", "/foo", "/", "/");
        check("/foo", "/foo", "/", "/");
        // conformance: httproute-rewrite-path, httproute-redirect-path
        check("/prefix/one/two", "/prefix/one", "/one", "/one/two");
        check("/strip-prefix/three", "/strip-prefix", "/", "/three");
        check("/strip-prefix", "/strip-prefix", "/", "/");
        check("/original-prefix/lemon", "/original-prefix", "/replacement-prefix", "/replacement-prefix/lemon");
        // the root
        check("/", "/", "/xyz", "/xyz");
        check("/a/b", "/", "/xyz", "/xyz/a/b");
        check("/a/b", "/", "/", "/a/b");
    }

    #[test]
    fn full_paths_replace_everything() {
        let change = PathChange::Full("/one".into());
        assert_eq!(changed_path(&change, "/full/one/two", Some(5)), "/one");
        assert_eq!(changed_path(&change, "/full/one/two", None), "/one");
        assert_eq!(changed_path(&PathChange::Prefix("/x".into()), "/a", None), "/a");
        assert_eq!(changed_path(&PathChange::Prefix("/x".into()), "/a", Some(99)), "/x");
    }

    #[test]
    fn ports_follow_the_scheme_unless_they_are_given() {
        let check = |listener: (Scheme, u16), scheme: Option<Scheme>, port: Option<u16>, expected: &str| {
            let asked = Redirect { scheme, hostname: None, path: None, port, status: StatusCode::FOUND };
            let place = Place {
                scheme: listener.0,
                host: "example.org",
                listener_port: listener.1,
                path: "/a",
                query: Some("b=c"),
                prefix_len: None,
            };
            let answer = redirect(&asked, &place);
            assert_eq!(answer.status(), StatusCode::FOUND);
            let expected = format!("{expected}/a?b=c");
            assert_eq!(answer.headers().get(LOCATION).map(HeaderValue::as_bytes), Some(expected.as_bytes()));
        };
        let (http, https) = (Scheme::Http, Scheme::Https);
        // conformance: httproute-redirect-port-and-scheme
        check((http, 80), None, None, "http://example.org");
        check((http, 80), None, Some(80), "http://example.org");
        check((http, 80), None, Some(8080), "http://example.org:8080");
        check((http, 80), Some(https), None, "https://example.org");
        check((http, 80), Some(https), Some(443), "https://example.org");
        check((http, 80), Some(https), Some(8443), "https://example.org:8443");
        check((http, 8080), None, None, "http://example.org:8080");
        check((http, 8080), None, Some(80), "http://example.org");
        check((http, 8080), Some(https), None, "https://example.org");
        check((https, 443), None, None, "https://example.org");
        check((https, 443), None, Some(8443), "https://example.org:8443");
        check((https, 443), Some(http), None, "http://example.org");
        check((https, 443), Some(http), Some(8080), "http://example.org:8080");
    }

    #[test]
    fn host_path_and_status_are_replaced() {
        let asked = Redirect {
            scheme: None,
            hostname: Some("example.org".into()),
            path: Some(PathChange::Prefix("/replacement-prefix".into())),
            port: None,
            status: StatusCode::MOVED_PERMANENTLY,
        };
        let place = Place {
            scheme: Scheme::Http,
            host: "[::1]",
            listener_port: 80,
            path: "/path-and-host",
            query: None,
            prefix_len: Some(14),
        };
        let answer = redirect(&asked, &place);
        assert_eq!(answer.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(
            answer.headers().get(LOCATION).map(HeaderValue::as_bytes),
            Some(&b"http://example.org/replacement-prefix"[..])
        );
        assert_eq!(answer.headers().get(CONTENT_LENGTH).map(HeaderValue::as_bytes), Some(&b"0"[..]));
    }
}
