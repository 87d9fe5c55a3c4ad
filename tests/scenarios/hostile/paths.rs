//! Paths and hosts that mean one thing here and another there (rows A18, A22, B27 to B29).

use portcullis_tests::harness::{RawClient, RawH2, Reply, h2_raw::Fate};

use super::stage::{Bounds, Stage, hi};

/// Below `/open` everything leads to the origin; anything else, `/admin` say, nowhere.
async fn stage() -> Stage {
    Stage::with(&[], "/open", |_| Reply::Bytes(hi())).await
}

/// What a target comes to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It reached the origin like this.
    Forwarded(String),
    /// It was answered with this status, and reached nothing.
    Refused(u16),
}
use Verdict::{Forwarded, Refused};

async fn verdict(stage: &Stage, request: impl AsRef<[u8]>) -> Verdict {
    let before = stage.reached().len();
    let mut client = RawClient::connect(stage.address).await;
    let status = client.exchange(request).await.status;
    let reached = stage.reached();
    match (status, reached.get(before..).unwrap_or_default()) {
        (200, [seen]) => Forwarded(seen.target.clone()),
        (_, []) => Refused(status),
        (status, several) => panic!("{status} and {several:?}"),
    }
}

fn to(target: &str) -> Verdict {
    Forwarded(target.to_owned())
}

/// A18 and B27, CVE-2021-31920, CVE-2021-39156, CVE-2026-26205: one form, matched and forwarded.
#[tokio::test]
async fn paths_are_judged_and_forwarded_in_one_form() {
    let stage = stage().await;
    let rows = [
        ("/open/x", to("/open/x")),
        ("/open/x?a=/../admin", to("/open/x?a=/../admin")),
        // Leads out of what is open.
        ("/open/../admin", Refused(404)),
        ("/open/%2e%2e/admin", Refused(404)),
        ("/open/%2E%2e/admin", Refused(404)),
        ("/open/.%2e/admin", Refused(404)),
        ("/open/./../admin", Refused(404)),
        ("/open//../admin", Refused(404)),
        ("/open/x/../../admin", Refused(404)),
        ("//admin", Refused(404)),
        ("/%61dmin", Refused(404)),
        ("/./admin", Refused(404)),
        ("/Open/x", Refused(404)),
        ("/OPEN/x", Refused(404)),
        ("/open%3b/x", Refused(404)),
        ("/open;x=1/y", Refused(404)),
        ("/opening", Refused(404)),
        // Leads into it, and is forwarded as what it is.
        ("//open/x", to("/open/x")),
        ("//a.example/open/x", Refused(404)),
        ("/./open/x", to("/open/x")),
        ("/admin/../open/x", to("/open/x")),
        ("/%6fpen/%78", to("/open/x")),
        ("/open/a/./b/../c", to("/open/a/c")),
        ("/open//x", to("/open/x")),
        ("/open/x;y=1", to("/open/x;y=1")),
        // Encoded twice is encoded once too often: left as it is.
        ("/open/%252e%252e/admin", to("/open/%252e%252e/admin")),
        ("/open/%252f..%252fadmin", to("/open/%252f..%252fadmin")),
        // Ambiguous.
        ("/open/..%2fadmin", Refused(400)),
        ("/open/..%2Fadmin", Refused(400)),
        ("/open%2f..%2fadmin", Refused(400)),
        ("/open/%5c..%5cadmin", Refused(400)),
        ("/open/..\\admin", Refused(400)),
        ("/open\\..\\admin", Refused(400)),
        ("/open/..;/admin", Refused(400)),
        ("/open/..;x=1/admin", Refused(400)),
        ("/open/%2e%2e;/admin", Refused(400)),
        ("/open/%2e%2e%3b/admin", Refused(400)),
        ("/open/x%00", Refused(400)),
        ("/open/x%00.html", Refused(400)),
        ("/open/x%0d%0aX:%20y", Refused(400)),
        ("/open/%c0%ae%c0%ae/admin", Refused(400)),
        ("/open/%e0%80%ae/admin", Refused(400)),
        ("/open/%c0%af..%c0%afadmin", Refused(400)),
        ("/open/%ff", Refused(400)),
        ("/open/%u002e%u002e/admin", Refused(400)),
        ("/open/%2", Refused(400)),
        ("/open/%", Refused(400)),
        ("/open/%zz", Refused(400)),
        ("/open/x#frag", Refused(400)),
        ("/open/x?a=%00", Refused(400)),
        ("/../admin", Refused(400)),
        ("/open/../../admin", Refused(400)),
        ("/%2e%2e/open/x", Refused(400)),
        ("open/x", Refused(400)),
        ("?x", Refused(400)),
        ("*", Refused(400)),
    ];
    stage
        .unharmed(Bounds::default(), async || {
            for (target, expected) in rows {
                let request = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
                assert_eq!(verdict(&stage, request).await, expected, "{target}");
            }
            // What is not UTF-8 at all.
            let raw = [&b"GET /open/"[..], b"\xc0\xae\xc0\xae/admin", b" HTTP/1.1\r\nHost: a.example\r\n\r\n"].concat();
            assert_eq!(verdict(&stage, raw).await, Refused(400));
        })
        .await;
}

/// The same over HTTP/2, where there is no grammar of lines in the way.
#[tokio::test]
async fn paths_of_http2_are_judged_the_same() {
    let stage = stage().await;
    let rows: [(&[u8], u16); 12] = [
        (b"/open/x", 200),
        (b"/open/../admin", 404),
        (b"/open/%2e%2e/admin", 404),
        (b"//admin", 404),
        (b"//a.example/open/x", 404),
        (b"/open/..%2fadmin", 400),
        (b"/open/..\\admin", 400),
        (b"/open/%00", 400),
        (b"/open/..;/admin", 400),
        (b"/open/%c0%ae%c0%ae/admin", 400),
        (b"/open/\xc0\xae\xc0\xae/admin", 400),
        (b"/../admin", 400),
    ];
    for (path, status) in rows {
        let mut raw = RawH2::connect(stage.address).await;
        let request: [(&[u8], &[u8]); 4] =
            [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", path)];
        raw.request(1, &request).await.unwrap();
        let fate = raw.fate(1).await;
        let refused_by_codec = status == 400 && matches!(fate, Fate::Reset(_) | Fate::GoneAway(_));
        assert!(fate == Fate::Answered(status) || refused_by_codec, "{}: {fate:?}", path.escape_ascii());
    }
    assert_eq!(stage.reached().iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/open/x"]);
}

/// A22 and B29, linkerd2-proxy#4605.
#[tokio::test]
async fn hosts_have_one_form() {
    let stage = stage().await;
    let long = format!("Host: {}.example", "a".repeat(64));
    let rows = [
        ("Host: a.example", to("/open/x")),
        ("Host: A.EXAMPLE", to("/open/x")),
        ("Host: a.example.", to("/open/x")),
        ("Host: a.example:80", to("/open/x")),
        ("Host: A.Example.:80", to("/open/x")),
        ("host:a.example", to("/open/x")),
        ("Host: b.example", Refused(404)),
        ("Host: a.example.b.example", Refused(404)),
        ("Host: xa.example", Refused(404)),
        ("Host: 127.0.0.1", Refused(404)),
        ("Host: [::1]", Refused(404)),
        ("Host: [0:0:0:0:0:0:0:1]:80", Refused(404)),
        ("Host: a.example..", Refused(400)),
        ("Host: .a.example", Refused(400)),
        ("Host: a..example", Refused(400)),
        ("Host: a.example:", to("/open/x")),
        ("Host: a.example:x", Refused(400)),
        ("Host: a.example:80:80", Refused(400)),
        ("Host: a.example:65536", Refused(400)),
        ("Host: a.example:080", Refused(400)),
        ("Host: a.example:-1", Refused(400)),
        ("Host: [::1", Refused(400)),
        ("Host: [fe80::1%eth0]", Refused(400)),
        ("Host: [fe80::1%25eth0]", Refused(400)),
        ("Host: ::1", Refused(400)),
        ("Host: root@a.example", Refused(400)),
        ("Host: root:pass@a.example", Refused(400)),
        ("Host: a.example/open", Refused(400)),
        ("Host: a.example#", Refused(400)),
        ("Host: a.example?x", Refused(400)),
        ("Host: a.example, b.example", Refused(400)),
        ("Host: a.example b.example", Refused(400)),
        ("Host: http://a.example", Refused(400)),
        ("Host: a%2eexample", Refused(400)),
        ("Host: \"a.example\"", Refused(400)),
        ("Host: münchen.example", Refused(400)),
        ("Host: *", Refused(400)),
        ("Host:", Refused(400)),
        ("Host: ", Refused(400)),
        ("Host: a.example\r\nHost: a.example", Refused(400)),
        ("Host: a.example\r\nHost: b.example", Refused(400)),
        ("Host: b.example\r\nhost: a.example", Refused(400)),
        ("X: y", Refused(400)),
        (long.as_str(), Refused(400)),
    ];
    stage
        .unharmed(Bounds::default(), async || {
            for (host, expected) in &rows {
                let request = format!("GET /open/x HTTP/1.1\r\n{host}\r\n\r\n");
                assert_eq!(&verdict(&stage, request).await, expected, "{host}");
            }
        })
        .await;
    for seen in stage.reached() {
        assert_eq!(seen.headers_named("host").collect::<Vec<_>>(), ["a.example"], "forwarded in its one form");
    }
}

/// A22 and B28: a target that names a host must name the same one as `Host`.
#[tokio::test]
async fn absolute_targets_agree_with_the_host() {
    let stage = stage().await;
    let rows = [
        ("http://a.example/open/x", "a.example", to("/open/x")),
        ("HTTP://A.EXAMPLE.:80/open/x", "a.example", to("/open/x")),
        ("http://a.example/open/x", "b.example", Refused(400)),
        ("http://b.example/open/x", "a.example", Refused(400)),
        ("http://a.example:81/open/x", "a.example", Refused(400)),
        ("http://a.example/open/../admin", "a.example", Refused(404)),
        ("http://a.example", "a.example", Refused(404)),
        ("https://a.example/open/x", "a.example", Refused(400)),
        ("http://root@a.example/open/x", "a.example", Refused(400)),
        ("http://b.example@a.example/open/x", "a.example", Refused(400)),
        ("http:///open/x", "a.example", Refused(400)),
        ("http:/open/x", "a.example", Refused(400)),
        ("http://a.example\\@b.example/open/x", "a.example", Refused(400)),
        ("ftp://a.example/open/x", "a.example", Refused(400)),
        ("file:///etc/passwd", "a.example", Refused(400)),
        ("a.example/open/x", "a.example", Refused(400)),
        ("a.example:80", "a.example", Refused(400)),
        ("//a.example/open/x", "a.example", Refused(404)),
    ];
    for (target, host, expected) in rows {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(verdict(&stage, request).await, expected, "{target} for {host}");
    }
}

/// B28.
#[tokio::test]
async fn methods_are_those_that_are_known() {
    let stage = stage().await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"] {
        let request = format!("{method} /open/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(verdict(&stage, request).await, to("/open/x"), "{method}");
    }
    for method in ["get", "Get", "GETS", "TRACE", "PROPFIND", "DEBUG", "PURGE", "PRI", "BREW", "X"] {
        let request = format!("{method} /open/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(verdict(&stage, request).await, Refused(405), "{method}");
    }
    for (target, status) in
        [("127.0.0.1:22", 405), ("a.example:443", 405), ("/open/x", 405), ("169.254.169.254:80", 405)]
    {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(verdict(&stage, request).await, Refused(status), "CONNECT {target}");
    }
    // About the server as a whole: no route is.
    let request = "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert_eq!(verdict(&stage, request).await, Refused(404));
    // CONNECT over HTTP/2, plain and extended.
    let plain: Vec<(&[u8], &[u8])> = vec![(b":method", b"CONNECT"), (b":authority", b"127.0.0.1:22")];
    let extended: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", b"http"),
        (b":authority", b"a.example"),
        (b":path", b"/open/x"),
    ];
    let before = stage.reached().len();
    for request in [plain, extended] {
        let mut raw = RawH2::connect(stage.address).await;
        raw.request(1, &request).await.unwrap();
        let fate = raw.fate(1).await;
        assert!(matches!(fate, Fate::Answered(400 | 405) | Fate::Reset(_) | Fate::GoneAway(_)), "{fate:?}");
    }
    assert_eq!(stage.reached().len(), before);
}

/// B28: nobody's method is changed by a header.
#[tokio::test]
async fn headers_do_not_override_the_method() {
    let stage = stage().await;
    let mut client = RawClient::connect(stage.address).await;
    let overrides = "X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\n";
    let answer = client.exchange(format!("GET /open/x HTTP/1.1\r\nHost: a.example\r\n{overrides}\r\n")).await;
    assert_eq!(answer.status, 200);
    let seen = &stage.reached()[0];
    assert_eq!(seen.method, "GET");
    assert!(!String::from_utf8_lossy(&seen.head).contains("DELETE"), "{seen:?}");
}
