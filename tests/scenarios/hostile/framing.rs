//! How messages are framed: sizes, lengths, chunks, trailers, upgrades (rows A9 to A15), and fields of HTTP/2 that would
//! be something else in HTTP/1.1 (A16).

use std::time::Duration;

use portcullis_tests::harness::{
    RawClient, RawH2, Reply, eventually,
    h2_raw::{Fate, fields, flag, frame, kind, reason},
};

use super::stage::{Bounds, Stage};

const HEAD: &str = "POST /framing HTTP/1.1\r\nHost: a.example\r\n";

/// Every one is refused with its status, closed, and nothing of it reaches the origin; nobody else notices.
async fn all_refused(requests: &[(String, u16)]) {
    let stage = Stage::start().await;
    stage
        .unharmed(Bounds::default(), async || {
            for (request, status) in requests {
                stage.refused_and_closed(request, *status).await;
            }
        })
        .await;
}

/// A9.
#[tokio::test]
async fn heads_beyond_the_bounds_are_refused() {
    let long = "x".repeat(70_000);
    let many = |count: usize| "X: y\r\n".repeat(count);
    all_refused(&[
        (format!("GET /{long} HTTP/1.1\r\nHost: a.example\r\n\r\n"), 414),
        (format!("GET /{} HTTP/1.1\r\nHost: a.example\r\n\r\n", "x".repeat(33_000)), 414),
        (format!("{HEAD}{long}: y\r\n\r\n"), 431),
        (format!("{HEAD}X: {long}\r\n\r\n"), 431),
        (format!("{HEAD}X: {long}"), 431),
        (format!("{HEAD}{}\r\n", many(100)), 431),
        (format!("{HEAD}{}", many(20_000)), 431),
        ("G".repeat(70_000), 414),
    ])
    .await;
}

/// Beside A9: what is just within the bounds passes.
#[tokio::test]
async fn heads_within_the_bounds_pass() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    let many = (0..90).map(|number| format!("X-{number}: y\r\n")).collect::<Vec<_>>().concat();
    let long = "x".repeat(30_000);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: a.example\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a.example\r\nX: {long}\r\n\r\n"),
    ] {
        assert_eq!(client.exchange(&request).await.status, 200, "{:?}", &request[..60]);
    }
    let reached = stage.reached();
    assert!((0..90).all(|number| reached[0].header(&format!("x-{number}")) == Some("y")));
    assert_eq!(reached[1].target.len(), 30_001);
    assert_eq!(reached[2].header("x").map(str::len), Some(30_000));
}

/// A9 over HTTP/2.
#[tokio::test]
async fn field_sections_beyond_the_bounds_are_refused() {
    let stage = Stage::start().await;
    stage
        .unharmed(Bounds::default(), async || {
            let value = vec![b'x'; 40_000];
            let path = [b"/".as_slice(), &value].concat();
            let name = vec![b'x'; 40_000];
            let many = vec![(&b"x"[..], &b"y"[..]); 101];
            for request in [
                vec![(&b":path"[..], &b"/"[..]), (b"x", &value)],
                vec![(b":path", &path)],
                vec![(b":path", b"/"), (&name, b"y")],
                [vec![(&b":path"[..], &b"/"[..])], many].concat(),
            ] {
                let mut raw = RawH2::connect(stage.address).await;
                let pseudo = [(&b":method"[..], &b"GET"[..]), (b":scheme", b"http"), (b":authority", b"a.example")];
                let block = fields(&[&pseudo, request.as_slice()].concat());
                send_in_frames(&mut raw, 1, &block).await;
                let fate = raw.fate(1).await;
                assert!(matches!(fate, Fate::Answered(431 | 414) | Fate::Reset(_) | Fate::GoneAway(_)), "{fate:?}");
            }
        })
        .await;
    assert_eq!(stage.reached().len(), 0);
}

async fn send_in_frames(raw: &mut RawH2, stream: u32, block: &[u8]) {
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    for (number, piece) in pieces.iter().enumerate() {
        let (kind, first) = if number == 0 { (kind::HEADERS, flag::END_STREAM) } else { (kind::CONTINUATION, 0) };
        let last = if number + 1 == pieces.len() { flag::END_HEADERS } else { 0 };
        // The server may have heard enough before it is all said.
        let _ = raw.send(frame(kind, first | last, stream, piece)).await;
    }
}

/// A10, hyper#4123, RFC 9112 §6.3.
#[tokio::test]
async fn two_ways_to_frame_a_body_are_one_too_many() {
    let body = "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let both = [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("content-length: 0", "transfer-encoding: CHUNKED"),
        ("Content-Length: 5", "Transfer-Encoding: identity"),
        ("Content-Length: 5", "Transfer-Encoding: "),
        ("Content-Length: ", "Transfer-Encoding: chunked"),
        ("Content-Length: x", "Transfer-Encoding: chunked"),
    ];
    let requests = both.iter().flat_map(|(one, other)| {
        [format!("{HEAD}{one}\r\n{other}\r\n{body}"), format!("{HEAD}{other}\r\n{one}\r\n{body}")]
    });
    all_refused(&requests.map(|request| (request, 400)).collect::<Vec<_>>()).await;
}

/// A11, CVE-2021-32715.
#[tokio::test]
async fn lengths_are_one_decimal_number() {
    let lengths = [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\ncontent-length: 0",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5,5",
        "Content-Length: 5, 5",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: 5.0",
        "Content-Length: 5e0",
        "Content-Length: \"5\"",
        "Content-Length: ",
        "Content-Length:",
        "Content-Length: 5\t",
        "Content-Length:  5",
        "Content-Length:\t5",
        "Content-Length : 5",
        "Content-Length: \x0b5",
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999",
        "Content-Length: ٥",
        "Content-Length: 5\r\n ",
        "Content-Length\r\n: 5",
    ];
    let requests = lengths.map(|length| (format!("{HEAD}{length}\r\n\r\nhello"), 400));
    all_refused(&requests).await;
}

/// A12, CVE-2026-2835, sozu#726.
#[tokio::test]
async fn the_only_coding_is_chunked_once() {
    let codings = [
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:  chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked\t",
        "Transfer-Encoding: chunked ",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chun\rked",
        "Transfer-Encoding: chunked\r\n ",
        "Transfer-Encoding:",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
    ];
    let mut requests: Vec<_> = codings.iter().map(|coding| (format!("{HEAD}{coding}\r\n\r\n0\r\n\r\n"), 400)).collect();
    requests
        .push(("POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 400));
    all_refused(&requests).await;
}

/// A13, CVE-2021-32714: what is no chunk ends the request, wherever the fault is.
#[tokio::test]
async fn malformed_chunks_are_refused() {
    let chunks = [
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "00000000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "0\r\n\n\r\n",
        "0\r\nX: y\n\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
    ];
    let mut requests: Vec<_> = chunks.map(str::to_owned).into();
    requests.push(format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(17_000)));
    requests.push(format!("{}0\r\n\r\n", format!("1;{}\r\nh\r\n", "x".repeat(1000)).repeat(18)));
    requests.push(format!("0\r\n{}\r\n", "X: y\r\n".repeat(101)));
    requests.push(format!("0\r\nX: {}\r\n\r\n", "y".repeat(17_000)));
    let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    all_refused(&requests.iter().map(|chunks| (format!("{head}{chunks}"), 400)).collect::<Vec<_>>()).await;
}

/// A13: a fault that comes after the request has been passed on. The origin sees no whole request, and the client no
/// success.
#[tokio::test]
async fn a_late_fault_in_a_body_leaves_no_whole_request() {
    let stage = Stage::start().await;
    for (start, fault) in
        [("5\r\nhello\r\n", "x\r\n"), ("5\r\nhel", "lo!\r\n"), ("5\r\nhello\r\n0\r\n", "X : y\r\n\r\n")]
    {
        let opened = stage.origin.connections();
        let mut client = RawClient::connect(stage.address).await;
        client
            .send(format!("POST /raw/late HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{start}"))
            .await;
        eventually("it is passed on", async || stage.origin.connections() > opened).await;
        client.send(fault).await;
        let answer = client.try_answer().await;
        assert!(!answer.as_ref().is_ok_and(|answer| answer.status < 400), "{answer:?}");
        assert!(client.read_until_close(Duration::from_secs(10)).await.is_some(), "closed");
        eventually("the origin is told", async || stage.origin.open() == 0).await;
    }
    assert_eq!(stage.reached().len(), 0);
}

/// A13: extensions mean nothing to us and go no further.
#[tokio::test]
async fn extensions_of_chunks_are_stripped() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    let chunks = "5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n";
    let answer = client.exchange(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}")).await;
    assert_eq!(answer.status, 200);
    let seen = &stage.reached()[0];
    assert!(!String::from_utf8_lossy(&seen.body).contains(';'), "{seen:?}");
    assert!(String::from_utf8_lossy(&seen.body).contains("hello"));
}

/// A14, fixes of hyper 1.9 to 1.11.
#[tokio::test]
async fn trailers_say_nothing_that_only_headers_may() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    let chunks = "5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: b.example\r\nAuthorization: Bearer x\r\n\
                  Transfer-Encoding: gzip\r\nX-Forwarded-User: root\r\nX_Forwarded.Client-Cert: x\r\nCookie: a=b\r\n\
                  X-Gateway-Model-Name: m\r\nConnection: close\r\nX-Checksum: 1\r\n\r\n";
    let head = "POST /raw/trailers HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = client.exchange(format!("{head}{chunks}")).await;
    assert_eq!(answer.status, 200);
    let body = String::from_utf8_lossy(&stage.reached()[0].body).to_lowercase();
    for claim in ["content-length", "host", "authorization", "transfer", "forwarded", "cookie", "gateway", "connection"]
    {
        assert!(!body.contains(claim), "{claim} in {body:?}");
    }
    assert!(body.contains("x-checksum: 1"), "{body:?}");
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.status, 200);
}

/// A14: those of an answer.
#[tokio::test]
async fn trailers_of_answers_are_held_to_the_same() {
    let stage = Stage::answering(|_| {
        let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nContent-Length: 9\r\n\
                    Set-Cookie: a=b\r\nLocation: /\r\nEndpoint-Load-Metrics: JSON {}\r\nServer: uvicorn\r\n\
                    X-Checksum: 1\r\n\r\n";
        Reply::Bytes(text.into())
    })
    .await;
    let mut client = RawClient::connect(stage.address).await;
    let answer = client.exchange("GET /raw/ HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\n\r\n").await;
    assert_eq!(answer.text(), "hi");
    let names: Vec<_> = answer.trailers.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert!(names.iter().all(|name| name == "x-checksum"), "{names:?}");
}

const UPGRADE: &str = "GET /raw/ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A15, CVE-2026-2833: bytes before the 101 are no part of a tunnel that there is not.
#[tokio::test]
async fn there_is_no_tunnel_before_the_answer() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    client.send(format!("{UPGRADE}GET /smuggled HTTP/1.1\r\nHost: b.example\r\n\r\n")).await;
    // The origin answers 200: the connection goes on to speak HTTP, and the second request is judged like any other.
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.answer().await.status, 404);
    let reached = stage.reached();
    assert_eq!(reached.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/raw/ws"]);
    assert_eq!(reached[0].body, b"");
}

/// Beside A15: after the 101 there is one, and what came early is in it.
#[tokio::test]
async fn there_is_a_tunnel_after_the_answer() {
    let stage = Stage::answering(|seen| {
        assert_eq!(seen.header("upgrade"), Some("websocket"));
        Reply::Last(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello".into(),
        )
    })
    .await;
    let mut client = RawClient::connect(stage.address).await;
    client.send(UPGRADE).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.read_until_close(Duration::from_secs(10)).await.as_deref(), Some(&b"hello"[..]));
}

/// A15, CVE-2024-23326: an answer that changes the protocol unasked, and upgrades where models are asked.
#[tokio::test]
async fn protocols_change_only_where_they_may() {
    let stage = Stage::answering(|_| {
        Reply::Bytes(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".into())
    })
    .await;
    let mut client = RawClient::connect(stage.address).await;
    let answer = client.exchange("GET /raw/unasked HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(answer.status, 502);
    for protocol in ["websocket", "h2c", "TLS/1.0", "websocket, h2c"] {
        let mut client = RawClient::connect(stage.address).await;
        let upgrade = UPGRADE.replace("/raw/ws", "/v1/models").replace("websocket", protocol);
        let answer = client.exchange(upgrade).await;
        assert_eq!(answer.status, 502, "the origin's 101 is not passed on");
    }
    assert!(stage.reached().iter().all(|seen| seen.header("upgrade").is_none()), "no upgrade is asked for");
}

/// A16, and B30: a request of HTTP/2 is one request of HTTP/1.1 or none.
#[tokio::test]
async fn fields_of_http2_that_would_be_lines_of_http1_are_refused() {
    type Fields = Vec<(&'static [u8], &'static [u8])>;
    let with = |more: &[(&'static [u8], &'static [u8])]| -> Fields {
        let get: [(&[u8], &[u8]); 4] =
            [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/down")];
        [get.as_slice(), more].concat()
    };
    let replacing = |name: &'static [u8], value: &'static [u8]| -> Fields {
        with(&[]).into_iter().map(|(held, kept)| (held, if held == name { value } else { kept })).collect()
    };
    let without = |name: &'static [u8]| -> Fields { with(&[]).into_iter().filter(|(held, _)| *held != name).collect() };
    let malformed: Vec<(&str, Fields)> = vec![
        ("CR LF in a value", with(&[(b"x", b"y\r\nz: 1")])),
        ("LF in a value", with(&[(b"x", b"y\nz: 1")])),
        ("CR in a value", with(&[(b"x", b"y\rz")])),
        ("NUL in a value", with(&[(b"x", b"y\0z")])),
        ("CR LF in a name", with(&[(b"x\r\ny", b"z")])),
        ("a colon in a name", with(&[(b"x: y", b"z")])),
        ("a space in a name", with(&[(b"x y", b"z")])),
        ("NUL in a name", with(&[(b"x\0", b"z")])),
        ("an empty name", with(&[(b"", b"z")])),
        ("an upper-case name", with(&[(b"X-Upper", b"z")])),
        ("a space in the path", replacing(b":path", b"/down HTTP/1.1")),
        ("CR LF in the path", replacing(b":path", b"/down HTTP/1.1\r\nHost: b.example\r\n\r\nGET /smuggled")),
        ("a path without a slash", replacing(b":path", b"down")),
        ("an empty path", replacing(b":path", b"")),
        ("an absolute path", replacing(b":path", b"http://b.example/down")),
        ("a space in the method", replacing(b":method", b"GET /smuggled HTTP/1.1")),
        ("CR LF in the method", replacing(b":method", b"GET\r\nX: y")),
        ("an empty method", replacing(b":method", b"")),
        ("CR LF in the authority", replacing(b":authority", b"a.example\r\nX: y")),
        ("a user in the authority", replacing(b":authority", b"root@a.example")),
        ("an empty authority", replacing(b":authority", b"")),
        ("a path in the authority", replacing(b":authority", b"a.example/x")),
        ("an odd scheme", replacing(b":scheme", b"http://b.example/?")),
        ("no method", without(b":method")),
        ("no scheme", without(b":scheme")),
        ("no path", without(b":path")),
        ("no authority and no host", without(b":authority")),
        ("two methods", with(&[(b":method", b"POST")])),
        ("two paths", with(&[(b":path", b"/smuggled")])),
        ("two authorities", with(&[(b":authority", b"b.example")])),
        ("a late pseudo-header", [with(&[(b"x", b"y")]), vec![(&b":path"[..], &b"/late"[..])]].concat()),
        ("an unknown pseudo-header", with(&[(b":x", b"y")])),
        ("a status", with(&[(b":status", b"200")])),
        ("a coding", with(&[(b"transfer-encoding", b"chunked")])),
        ("a connection", with(&[(b"connection", b"close")])),
        ("an upgrade", with(&[(b"connection", b"upgrade"), (b"upgrade", b"h2c"), (b"http2-settings", b"x")])),
        ("keep-alive", with(&[(b"keep-alive", b"1")])),
        ("a proxy connection", with(&[(b"proxy-connection", b"close")])),
        ("te that is not trailers", with(&[(b"te", b"gzip")])),
        ("another host", with(&[(b"host", b"b.example")])),
        ("two hosts", with(&[(b"host", b"a.example"), (b"host", b"a.example")])),
        ("a length that is none", with(&[(b"content-length", b"+5")])),
        ("a length without a body", with(&[(b"content-length", b"5")])),
        ("two lengths", with(&[(b"content-length", b"0"), (b"content-length", b"5")])),
    ];
    let stage = Stage::start().await;
    stage
        .unharmed(Bounds::default(), async || {
            for (what, request) in &malformed {
                let mut raw = RawH2::connect(stage.address).await;
                raw.request(1, request).await.unwrap();
                let fate = raw.fate(1).await;
                let refused = matches!(
                    fate,
                    Fate::Reset(reason::PROTOCOL_ERROR)
                        | Fate::GoneAway(reason::PROTOCOL_ERROR | reason::COMPRESSION_ERROR)
                        | Fate::Answered(400 | 405)
                );
                assert!(refused, "{what}: {fate:?}");
            }
        })
        .await;
    assert!(stage.reached().is_empty(), "{:?}", stage.reached());
    // And the same without a fault passes.
    let mut raw = RawH2::connect(stage.address).await;
    raw.request(1, &with(&[(b"host", b"a.example"), (b"te", b"trailers"), (b"content-length", b"0")])).await.unwrap();
    assert_eq!(raw.fate(1).await, Fate::Answered(200));
    // A fragment is lost before anything is decided: what is judged is what is forwarded.
    raw.request(3, &replacing(b":path", b"/down#x")).await.unwrap();
    assert_eq!(raw.fate(3).await, Fate::Answered(200));
    assert_eq!(stage.reached().iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/down", "/down"]);
}

/// A16: a body that is longer or shorter than announced.
#[tokio::test]
async fn bodies_of_http2_are_as_long_as_they_say() {
    let stage = Stage::start().await;
    for (length, body) in [(&b"5"[..], &b"hello GET /smuggled"[..]), (b"50", b"hello"), (b"0", b"hello")] {
        let mut raw = RawH2::connect(stage.address).await;
        let request: [(&[u8], &[u8]); 5] = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":authority", b"a.example"),
            (b":path", b"/raw/length"),
            (b"content-length", length),
        ];
        raw.send(frame(kind::HEADERS, flag::END_HEADERS, 1, &fields(&request))).await.unwrap();
        raw.send(frame(kind::DATA, flag::END_STREAM, 1, body)).await.unwrap();
        let fate = raw.fate(1).await;
        assert!(matches!(fate, Fate::Reset(reason::PROTOCOL_ERROR) | Fate::Answered(400)), "{fate:?}");
    }
    assert!(stage.reached().is_empty(), "{:?}", stage.reached());
}
