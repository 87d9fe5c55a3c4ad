//! Rows A18, A22, B27, B28, B29 and B30 of the list of hostile inputs, and what must hold for any input.

#![expect(clippy::unwrap_used, reason = "tests")]

use http::{HeaderValue, Method};
use portcullis_policy::snapshot::Scheme;
use proptest::prelude::*;

use super::{Canonical, Head, canonicalise};

fn hosts(values: &[&str]) -> Vec<HeaderValue> {
    values.iter().map(|value| HeaderValue::from_str(value).unwrap()).collect()
}

fn head<'r>(method: &'r Method, target: &'r [u8], hosts: &'r [HeaderValue]) -> Head<'r> {
    Head { method, target, authority: None, hosts, scheme: Scheme::Https, extended_connect: false }
}

/// `Ok`: the canonical path and query; `Err`: the refusal's code.
fn path(target: &[u8]) -> Result<String, &'static str> {
    let headers = hosts(&["a.example"]);
    canonicalise(&head(&Method::GET, target, &headers)).map_err(|refusal| refusal.code).map(|canonical| {
        canonical.query().map_or(canonical.path().to_owned(), |query| format!("{}?{query}", canonical.path()))
    })
}

fn borrowed(canonical: &Canonical<'_>) -> bool {
    matches!(canonical.path, std::borrow::Cow::Borrowed(_))
}

#[test]
fn paths_have_one_form() {
    let check = |target: &str, expected: Result<&str, &'static str>| {
        assert_eq!(path(target.as_bytes()).as_deref().map_err(|code| *code), expected, "{target}");
    };
    check("/", Ok("/"));
    check("/v1/chat/completions", Ok("/v1/chat/completions"));
    check("/v1/chat/completions?a=b&c", Ok("/v1/chat/completions?a=b&c"));
    check("/?", Ok("/?"));
    check("/V1/Chat", Ok("/V1/Chat"));
    check("/v1.5/.well-known/a..b/...", Ok("/v1.5/.well-known/a..b/..."));
    // slashes
    check("//admin", Ok("/admin"));
    check("///", Ok("/"));
    check("/a//b/", Ok("/a/b/"));
    check("//host/admin", Ok("/host/admin"));
    // dots
    check("/./admin", Ok("/admin"));
    check("/a/.", Ok("/a/"));
    check("/a/b/..", Ok("/a/"));
    check("/a/../b", Ok("/b"));
    check("/a/..", Ok("/"));
    check("/v1/%2e%2e/admin", Ok("/admin"));
    check("/v1/.%2E/admin", Ok("/admin"));
    check("/v1/%2e/admin", Ok("/v1/admin"));
    check("/a//../b", Ok("/b"));
    check("/..", Err("path_above_root"));
    check("/a/../../b", Err("path_above_root"));
    check("/%2e%2e/%2e%2e/etc/passwd", Err("path_above_root"));
    // encodings
    check("/%61%7e%2D", Ok("/a~-"));
    check("/v1/models/m%3apredict", Ok("/v1/models/m:predict"));
    check("/a%20b", Ok("/a%20b"));
    check("/caf%c3%a9", Ok("/caf%C3%A9"));
    check("/%3f%23%5b", Ok("/%3F%23%5B"));
    check("/a|b[c]", Ok("/a%7Cb%5Bc%5D"));
    check("/%252f%252e%252e/x", Ok("/%252f%252e%252e/x"));
    check("/a%3bb%3dc%2bd", Ok("/a%3Bb%3Dc%2Bd"));
    for separator in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%5C..%5Cb", "/a%00", "/..%2f..%2f"] {
        check(separator, Err("encoded_separator"));
    }
    for invalid in ["/%", "/%4", "/%4g", "/%g4", "/a%", "/%+1", "/%u002f"] {
        check(invalid, Err("invalid_encoding"));
    }
    // overlong, truncated, surrogates, beyond Unicode, Latin-1, C1 controls
    for invalid in [
        "/%c0%af",
        "/%c0%ae%c0%ae",
        "/%e0%80%af",
        "/%c3",
        "/%c3/%a9",
        "/%ed%a0%80",
        "/%f5%80%80%80",
        "/%e9",
        "/%c2%85",
        "/%c3x",
    ] {
        check(invalid, Err("invalid_encoding"));
    }
    for invalid in [
        "/a\\b",
        "/a#frag",
        "/a?b#c",
        "/a b",
        "/a?b c",
        "/\t",
        "/a\u{7f}",
        "/caf\u{e9}",
        "/a?\u{e9}",
        "/%0d%0aX: y",
        "/%7f",
        "/%1b",
    ] {
        check(invalid, Err("invalid_target"));
    }
    // parameters
    check("/admin;x=1", Ok("/admin;x=1"));
    check("/a;b/../c", Ok("/c"));
    for ambiguous in ["/a/..;/admin", "/a/.;x/b", "/a/%2e%2e;/b", "/a/..%3b/b", "/a/..;"] {
        check(ambiguous, Err("ambiguous_path"));
    }
    // queries pass as they are
    check("/a?x=%2f%5c%2e%2e/../\\\"<>", Ok("/a?x=%2f%5c%2e%2e/../\\\"<>"));
    check("/a?%zz", Err("invalid_encoding"));
    check("/a?100%", Err("invalid_encoding"));
    check("/a?x=%00", Err("encoded_separator"));
    // not a path at all
    for target in ["", "*", "admin", "http:/a", "https:a", "ftp://a.example/", "a.example:443", "javascript:1"] {
        check(target, Err("invalid_target"));
    }
    assert_eq!(path(&[b'/', 0]), Err("invalid_target"));
    assert_eq!(path(&vec![b'/'; super::TARGET_BYTES_MAX + 1]), Err("target_too_long"));
}

#[test]
fn canonical_paths_are_not_copied() {
    let headers = hosts(&["a.example:8443"]);
    let canonical = canonicalise(&head(&Method::GET, b"/v1/chat/completions?x=y", &headers)).unwrap();
    assert!(borrowed(&canonical));
    assert_eq!(canonical.authority(), "a.example:8443");
    let canonical = canonicalise(&head(&Method::GET, b"/v1//chat", &headers)).unwrap();
    assert!(!borrowed(&canonical));
}

#[test]
fn methods_are_a_closed_list() {
    let headers = hosts(&["a.example"]);
    let status = |name: &str| {
        let method = Method::from_bytes(name.as_bytes()).unwrap();
        canonicalise(&head(&method, b"/", &headers)).map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
    };
    for known in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY"] {
        assert_eq!(status(known), 200, "{known}");
    }
    for unknown in ["CONNECT", "TRACE", "get", "Post", "PROPFIND", "PRI", "GETX", "X-HTTP-METHOD", "!"] {
        assert_eq!(status(unknown), 405, "{unknown}");
    }
    let mut extended = head(&Method::CONNECT, b"/v1/realtime", &headers);
    extended.extended_connect = true;
    assert_eq!(canonicalise(&extended).unwrap().path(), "/v1/realtime");
    let refusal = canonicalise(&head(&Method::TRACE, b"/", &headers)).unwrap_err();
    assert_eq!(refusal.headers.first().unwrap().0, "allow", "RFC 9110 §15.5.6 demands it");
}

#[test]
fn hosts_have_one_form() {
    let check = |value: &str, expected: Result<(&str, &str, Option<u16>), &'static str>| {
        let headers = hosts(&[value]);
        let got = canonicalise(&head(&Method::GET, b"/", &headers));
        let got = got.as_ref().map(|got| (got.host(), got.authority(), got.port())).map_err(|refusal| refusal.code);
        assert_eq!(got, expected, "{value}");
    };
    check("a.example", Ok(("a.example", "a.example", None)));
    check("A.Example", Ok(("a.example", "a.example", None)));
    check("a.example.", Ok(("a.example", "a.example", None)));
    check("a.example:443", Ok(("a.example", "a.example", None)));
    check("a.example:", Ok(("a.example", "a.example", None)));
    check("A.example.:443", Ok(("a.example", "a.example", None)));
    check("a.example:80", Ok(("a.example", "a.example:80", Some(80))));
    check("A.EXAMPLE.:8443", Ok(("a.example", "a.example:8443", Some(8443))));
    check("xn--mnchen-3ya.example", Ok(("xn--mnchen-3ya.example", "xn--mnchen-3ya.example", None)));
    check("my_service", Ok(("my_service", "my_service", None)));
    check("127.0.0.1:8080", Ok(("127.0.0.1", "127.0.0.1:8080", Some(8080))));
    check("[::1]", Ok(("[::1]", "[::1]", None)));
    check("[0:0::0001]:443", Ok(("[::1]", "[::1]", None)));
    check("[2001:DB8::A]:8443", Ok(("[2001:db8::a]", "[2001:db8::a]:8443", Some(8443))));
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = "a.".repeat(127) + "a";
    for invalid in [
        "",
        ".",
        "..",
        ":443",
        "a..b",
        ".a",
        "a.example..",
        "user@a.example",
        "user:pass@a.example",
        "a.example:x",
        "a.example:0",
        "a.example:080",
        "a.example:65536",
        "a.example:123456",
        "a.example:+1",
        "a.example:1:2",
        "a b",
        "a,b",
        "a.example/",
        "a.example?x",
        "a.example#",
        "a%2eb",
        "a%00",
        "[::1",
        "[::1]x",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "[]",
        "::1",
        "*.example",
        "\"a\"",
        "a\\b",
        "a;b",
        &long_label,
        &long_name,
    ] {
        check(invalid, Err("invalid_host"));
    }
    check(&"a.".repeat(126), Ok((&("a.".repeat(125) + "a"), &("a.".repeat(125) + "a"), None)));
    let obs_text = HeaderValue::from_bytes(b"m\xc3\xbcnchen").unwrap();
    assert_eq!(canonicalise(&head(&Method::GET, b"/", &[obs_text])).unwrap_err().code, "invalid_host");
}

#[test]
fn the_default_port_depends_on_the_scheme() {
    let headers = hosts(&["a.example:80"]);
    let mut head = head(&Method::GET, b"/", &headers);
    head.scheme = Scheme::Http;
    assert_eq!(canonicalise(&head).unwrap().authority(), "a.example");
}

#[test]
fn everything_that_names_a_host_must_agree() {
    let check =
        |target: &str, authority: Option<&str>, values: &[&str], expected: Result<(&str, &str), &'static str>| {
            let headers = hosts(values);
            let mut head = head(&Method::GET, target.as_bytes(), &headers);
            head.authority = authority.map(str::as_bytes);
            let got = canonicalise(&head);
            let got = got.as_ref().map(|got| (got.host(), got.path())).map_err(|refusal| refusal.code);
            assert_eq!(got, expected, "{target} {authority:?} {values:?}");
        };
    check("/", None, &[], Err("missing_host"));
    check("/", None, &["a.example", "a.example"], Err("several_hosts"));
    check("/", None, &["a.example", "b.example"], Err("several_hosts"));
    // absolute form
    check("https://a.example/x", None, &["a.example"], Ok(("a.example", "/x")));
    check("HTTPS://A.EXAMPLE.:443/x", None, &["a.example"], Ok(("a.example", "/x")));
    check("https://a.example", None, &["a.example"], Ok(("a.example", "/")));
    check("https://a.example?q", None, &["a.example"], Ok(("a.example", "/")));
    check("https://a.example/x", None, &["b.example"], Err("host_mismatch"));
    check("https://a.example:8443/x", None, &["a.example"], Err("host_mismatch"));
    check("https://a.example/x", None, &[], Ok(("a.example", "/x")));
    check("https://user@a.example/", None, &["a.example"], Err("invalid_host"));
    check("https://a.example\\@b.example/", None, &["a.example"], Err("invalid_host"));
    check("https:///x", None, &["a.example"], Err("invalid_host"));
    check("http://a.example/x", None, &["a.example"], Err("invalid_target"));
    // HTTP/2
    check("/", Some("a.example"), &[], Ok(("a.example", "/")));
    check("/", Some("A.example:443"), &["a.example"], Ok(("a.example", "/")));
    check("/", Some("a.example"), &["b.example"], Err("host_mismatch"));
    check("/", Some(""), &["b.example"], Err("invalid_host"));
    check("/", None, &["b.example"], Ok(("b.example", "/")));
    check("", Some("a.example"), &[], Err("invalid_target"));
}

#[test]
fn options_keeps_its_asterisk() {
    let headers = hosts(&["a.example"]);
    for target in [&b"*"[..], b"https://a.example"] {
        let canonical = canonicalise(&head(&Method::OPTIONS, target, &headers)).unwrap();
        assert!(canonical.is_asterisk());
        assert_eq!((canonical.path(), canonical.query()), ("*", None));
    }
    assert_eq!(canonicalise(&head(&Method::OPTIONS, b"/", &headers)).unwrap().path(), "/");
    assert!(canonicalise(&head(&Method::GET, b"*", &headers)).is_err());
    assert!(canonicalise(&head(&Method::OPTIONS, b"**", &headers)).is_err());
}

/// What an ordinary server makes of a path: decodes it once, drops parameters, and resolves dots.
fn as_a_server_reads(path: &str) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in path.split('/').skip(1) {
        let mut decoded = Vec::new();
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            decoded.push(if byte == b'%' {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            } else {
                byte
            });
        }
        let end = decoded.iter().position(|&byte| byte == b';').unwrap_or(decoded.len());
        match decoded.get(..end).unwrap() {
            b".." => drop(segments.pop()),
            b"." => {}
            _ => segments.push(decoded),
        }
    }
    segments
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_target_is_refused_or_has_a_fixed_point(
        target in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b"/.%;\\2eEfF5cC0a?#:".to_vec()), 1 => any::<u8>()
        ], 0..40)
    ) {
        let mut target = target;
        target.insert(0, b'/');
        if let Ok(first) = path(&target) {
            prop_assert_eq!(path(first.as_bytes()), Ok(first.clone()), "not a fixed point");
            let path = first.split('?').next().unwrap();
            prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains('\\'));
            prop_assert!(path.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            let upper = path.to_ascii_uppercase();
            prop_assert!(!upper.contains("%2F") && !upper.contains("%5C") && !upper.contains("%00") && !upper.contains("%2E"));
            // A server that does what servers do finds no further dots.
            let segments = as_a_server_reads(path).len();
            prop_assert_eq!(segments, path.split('/').count() - 1);
        }
    }

    #[test]
    fn any_host_is_refused_or_has_a_fixed_point(
        host in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b"aZ.:-_[]0184".to_vec()), 1 => 0x20_u8..0xff
        ], 0..30)
    ) {
        let Ok(value) = HeaderValue::from_bytes(&host) else { return Ok(()) };
        let headers = [value];
        if let Ok(first) = canonicalise(&head(&Method::GET, b"/", &headers)) {
            let again = hosts(&[first.authority()]);
            let second = canonicalise(&head(&Method::GET, b"/", &again)).unwrap();
            prop_assert_eq!(first.authority(), second.authority());
            prop_assert_eq!(first.host(), second.host());
            prop_assert!(!first.host().is_empty() && !first.host().ends_with('.'));
        }
    }
}
