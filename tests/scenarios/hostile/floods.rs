//! Floods: HTTP/2 frames that cost the sender little and the receiver much (rows A1 to A8), and peers that stop half-way
//! (A36).

use std::time::{Duration, Instant};

use portcullis_tests::harness::{
    PATIENCE, RawClient, RawH2, Reply, eventually,
    h2_raw::{Fate, Frame, fields, flag, frame, integer, kind, reason, reset, window_update},
};

use super::stage::{Bounds, Stage};

const GET: [(&[u8], &[u8]); 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/flood")];
const POST: [(&[u8], &[u8]); 4] =
    [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/flood")];

/// Streams that a client resets before they were looked at; after this many it is turned away.
const PENDING_RESETS_MAX: usize = 20;
/// Streams that a client resets before their answer, or makes us reset.
const RESETS_MAX: usize = 100;

fn headers(stream: u32, request: &[(&[u8], &[u8])], flags: u8) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, &fields(request))
}

fn odd(number: usize) -> u32 {
    u32::try_from(number * 2 + 1).unwrap()
}

/// A1, CVE-2023-44487: at line rate.
#[tokio::test]
async fn rapid_resets_are_cut_off() {
    let stage = Stage::start().await;
    let ended = stage
        .unharmed(Bounds::default(), async || {
            let mut raw = RawH2::connect(stage.address).await;
            for batch in 0..100 {
                let bytes: Vec<u8> = (0..50)
                    .flat_map(|number| {
                        let stream = odd(batch * 50 + number);
                        [headers(stream, &GET, flag::END_HEADERS | flag::END_STREAM), reset(stream, reason::CANCEL)]
                    })
                    .flatten()
                    .collect();
                if raw.send(bytes).await.is_err() {
                    break;
                }
            }
            raw.end().await
        })
        .await;
    assert_eq!(ended, Some(reason::ENHANCE_YOUR_CALM));
    assert!(stage.reached().len() <= PENDING_RESETS_MAX, "{} requests reached the origin", stage.reached().len());
}

/// A1 again, slowly enough for every request to reach the origin before it is reset.
#[tokio::test]
async fn slow_resets_are_cut_off_as_well() {
    let stage = Stage::answering(|_| Reply::Silence).await;
    let ended = stage
        .unharmed(Bounds::default(), async || {
            let mut raw = RawH2::connect(stage.address).await;
            for number in 0..RESETS_MAX * 3 {
                if raw.request(odd(number), &GET).await.is_err() {
                    break;
                }
                eventually("it reaches the origin", async || raw.is_closed() || stage.reached().len() > number).await;
                let _ = raw.send(reset(odd(number), reason::CANCEL)).await;
                if raw.is_closed() {
                    break;
                }
            }
            raw.end().await
        })
        .await;
    assert_eq!(ended, Some(reason::ENHANCE_YOUR_CALM));
    let reached = stage.reached().len();
    assert!(reached <= RESETS_MAX + 2, "{reached} requests reached the origin");
    eventually("every one is cancelled there", async || stage.origin.open() <= 1).await;
}

/// Beside A1: who resets now and then is not turned away.
#[tokio::test]
async fn some_resets_are_nothing_to_be_cut_off_for() {
    let stage = Stage::start().await;
    let mut raw = RawH2::connect(stage.address).await;
    for number in 0..RESETS_MAX * 3 {
        let stream = odd(number);
        raw.request(stream, &GET).await.unwrap();
        if number % 2 == 0 {
            raw.send(reset(stream, reason::CANCEL)).await.unwrap();
        } else {
            assert_eq!(raw.fate(stream).await, Fate::Answered(200));
        }
    }
    assert!(!raw.is_closed());
}

/// A2, CVE-2025-8671: the client makes us reset.
#[tokio::test]
async fn provoked_resets_are_cut_off() {
    type Provoke = fn(u32) -> Vec<u8>;
    let ways: [(&str, Provoke); 3] = [
        ("a window grows by nothing", |stream| {
            [headers(stream, &GET, flag::END_HEADERS | flag::END_STREAM), window_update(stream, 0)].concat()
        }),
        ("a window overflows", |stream| {
            [headers(stream, &GET, flag::END_HEADERS | flag::END_STREAM), window_update(stream, 0x7fff_ffff)].concat()
        }),
        ("a body is not as long as announced", |stream| {
            let request = [POST.as_slice(), &[(b"content-length", b"2")]].concat();
            let head = headers(stream, &request, flag::END_HEADERS);
            [head, frame(kind::DATA, flag::END_STREAM, stream, b"longer")].concat()
        }),
    ];
    for (what, provoke) in ways {
        let stage = Stage::answering(|_| Reply::Silence).await;
        let ended = stage
            .unharmed(Bounds::default(), async || {
                let mut raw = RawH2::connect(stage.address).await;
                for number in 0..RESETS_MAX * 20 {
                    if raw.is_closed() || raw.send(provoke(odd(number))).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                raw.end().await
            })
            .await;
        // Where RFC 9113 lets a receiver choose, it is the whole connection that ends, at once.
        assert!(matches!(ended, Some(reason::ENHANCE_YOUR_CALM | reason::PROTOCOL_ERROR)), "{what}: {ended:?}");
        let reached = stage.reached().len();
        assert!(reached <= RESETS_MAX * 2, "{what}: {reached} requests reached the origin");
    }
}

/// A2: frames on a stream that the client itself has ended.
#[tokio::test]
async fn a_body_after_the_end_is_a_fault() {
    let stage = Stage::answering(|_| Reply::Silence).await;
    let mut raw = RawH2::connect(stage.address).await;
    for number in 0..RESETS_MAX * 20 {
        let stream = odd(number);
        let head = headers(stream, &POST, flag::END_HEADERS | flag::END_STREAM);
        let late = frame(kind::DATA, flag::NONE, stream, b"late");
        if raw.is_closed() || raw.send([head, late].concat()).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let ended = raw.end().await;
    assert!(matches!(ended, Some(reason::PROTOCOL_ERROR | reason::STREAM_CLOSED)), "{ended:?}");
}

/// A3, RUSTSEC-2024-0332.
#[tokio::test]
async fn endless_continuations_are_cut_off() {
    for piece in [&b""[..], b"\x00\x01a\x01b", &[b"\x00\x7f\x81\x7e".as_slice(), &[b'a'; 16_000]].concat()] {
        let stage = Stage::start().await;
        let ended = stage
            .unharmed(Bounds::default(), async || {
                let mut raw = RawH2::connect(stage.address).await;
                raw.send(headers(1, &GET, flag::END_STREAM)).await.unwrap();
                raw.flood(&frame(kind::CONTINUATION, flag::NONE, 1, piece)).await;
                raw.end().await
            })
            .await;
        assert!(
            matches!(
                ended,
                None | Some(reason::ENHANCE_YOUR_CALM | reason::COMPRESSION_ERROR | reason::PROTOCOL_ERROR)
            ),
            "{ended:?}"
        );
        assert_eq!(stage.reached().len(), 0);
    }
}

/// One field that is put into the table, and then only referred to, a byte each time.
fn bomb(value: usize, references: usize) -> Vec<u8> {
    let mut block = fields(&GET);
    block.push(0x40);
    block.extend(b"\x01a");
    integer(&mut block, 0, 7, value);
    block.extend(vec![b'x'; value]);
    block.extend(vec![0xbe; references]);
    block
}

/// A4, CVE-2026-47774, CVE-2026-49975: on as many streams as a client may have, with no window to answer into.
#[tokio::test]
async fn compressed_bombs_do_not_fill_the_memory() {
    for (value, references) in [(4000, 8000), (1, 12_000), (0, 200)] {
        let stage = Stage::start().await;
        stage
            .unharmed(Bounds::default(), async || {
                // SETTINGS_INITIAL_WINDOW_SIZE is 0.
                let mut raw = RawH2::connect_with(stage.address, &[(1, 0), (4, 0)]).await;
                for number in 0..200 {
                    let block = bomb(value, references);
                    let flags = flag::END_HEADERS | flag::END_STREAM;
                    if raw.send(frame(kind::HEADERS, flags, odd(number), &block)).await.is_err() {
                        break;
                    }
                    let fate = raw.fate(odd(number)).await;
                    assert!(matches!(fate, Fate::Answered(431) | Fate::Reset(_) | Fate::GoneAway(_)), "{fate:?}");
                }
            })
            .await;
        assert_eq!(stage.reached().len(), 0, "a field of {value} bytes, {references} times");
    }
}

/// A4: just below the bounds, on every stream, and never a window to answer into.
#[tokio::test]
async fn what_is_held_for_clients_that_do_not_read_is_bounded() {
    let body = vec![b'x'; 1 << 20];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    let answer = [head, body].concat();
    let stage = Stage::with(&["--limit", "write-stall-timeout=1s"], "/", move |_| Reply::Bytes(answer.clone())).await;
    let bounds = Bounds { memory_kib: 24 * 1024, ..Bounds::default() };
    stage
        .unharmed(bounds, async || {
            let mut raw = RawH2::connect_with(stage.address, &[(1, 0), (4, 0)]).await;
            for number in 0..100 {
                raw.send(frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, odd(number), &bomb(100, 80)))
                    .await
                    .unwrap();
            }
            for number in 0..100 {
                let last = |frame: &Frame| frame.kind == kind::RST_STREAM && frame.stream == odd(number);
                raw.frame(last).await;
            }
        })
        .await;
    eventually("the origin is told", async || stage.origin.open() <= 1).await;
}

/// A4: a window that grows a byte at a time does not keep a stream for ever.
#[tokio::test]
async fn trickled_windows_do_not_hold_a_stream() {
    let body = vec![b'x'; 100_000];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    let answer = [head, body].concat();
    let stage = Stage::with(&["--limit", "write-stall-timeout=1s"], "/", move |_| Reply::Bytes(answer.clone())).await;
    stage
        .unharmed(Bounds::default(), async || {
            let mut raw = RawH2::connect_with(stage.address, &[(1, 0), (4, 0)]).await;
            raw.request(1, &GET).await.unwrap();
            assert_eq!(raw.fate(1).await, Fate::Answered(200));
            let is_reset = |frame: &Frame| frame.kind == kind::RST_STREAM;
            let started = Instant::now();
            while !raw.is_closed() && !raw.frames().iter().any(is_reset) {
                assert!(started.elapsed() < PATIENCE, "the stream is not reset");
                let _ = raw.send(window_update(1, 1)).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
}

/// A4: 16 KiB, as RFC 9113 §6.5.2 counts: 32 bytes more for each field.
#[tokio::test]
async fn a_header_list_has_a_bound() {
    let stage = Stage::start().await;
    let mut raw = RawH2::connect(stage.address).await;
    let whole = flag::END_HEADERS | flag::END_STREAM;
    raw.send(frame(kind::HEADERS, whole, 1, &bomb(1000, 15))).await.unwrap();
    assert_eq!(raw.fate(1).await, Fate::Answered(431));
    assert_eq!(stage.reached().len(), 0);
    raw.send(frame(kind::HEADERS, whole, 3, &bomb(1000, 14))).await.unwrap();
    assert_eq!(raw.fate(3).await, Fate::Answered(200));
}

/// A5, CVE-2026-49975.
#[tokio::test]
async fn cookie_crumbs_count_like_other_fields() {
    let stage = Stage::start().await;
    let mut raw = RawH2::connect(stage.address).await;
    let crumbs = |count: usize| [GET.as_slice(), &vec![(&b"cookie"[..], &b"a=b"[..]); count]].concat();
    raw.request(1, &crumbs(101)).await.unwrap();
    assert_eq!(raw.fate(1).await, Fate::Answered(431));
    assert_eq!(stage.reached().len(), 0);
    raw.request(3, &crumbs(50)).await.unwrap();
    assert_eq!(raw.fate(3).await, Fate::Answered(200));
    let cookies: Vec<_> = stage.reached()[0].headers_named("cookie").map(str::to_owned).collect();
    assert_eq!(cookies, [vec!["a=b"; 50].join("; ")]);
}

/// A6, RUSTSEC-2026-0258.
#[tokio::test]
async fn empty_pieces_of_a_body_are_cut_off() {
    let stage = Stage::start().await;
    let ended = stage
        .unharmed(Bounds::default(), async || {
            let mut raw = RawH2::connect(stage.address).await;
            raw.send(headers(1, &POST, flag::END_HEADERS)).await.unwrap();
            raw.flood(&frame(kind::DATA, flag::NONE, 1, b"")).await;
            raw.end().await
        })
        .await;
    assert_eq!(ended, Some(reason::ENHANCE_YOUR_CALM));
}

/// A7: a byte of body in a frame full of padding.
#[tokio::test]
async fn padding_is_no_body() {
    let stage = Stage::start().await;
    let mut padded = vec![255, b'x'];
    padded.extend([0; 255]);
    let frame_bytes = u32::try_from(padded.len()).unwrap();
    let batch = frame(kind::DATA, flag::PADDED, 1, &padded).repeat(20);
    let ended = stage
        .unharmed(Bounds::default(), async || {
            let mut raw = RawH2::connect(stage.address).await;
            raw.send(headers(1, &POST, flag::END_HEADERS)).await.unwrap();
            let mut sent: u32 = 0;
            for _ in 0..20_000 {
                // Within the windows, so that it is the padding that is punished.
                let granted = |frames: &[Frame], stream: u32| -> u32 {
                    let updates = frames.iter().filter(|f| f.kind == kind::WINDOW_UPDATE && f.stream == stream);
                    updates.map(|f| u32::from_be_bytes(f.payload[..4].try_into().unwrap())).sum()
                };
                eventually("the window grows", async || {
                    let frames = raw.frames();
                    let window = (256 * 1024 + granted(&frames, 1)).min(65_535 + granted(&frames, 0));
                    raw.is_closed() || sent + 20 * frame_bytes <= window
                })
                .await;
                if raw.is_closed() || raw.send(&batch).await.is_err() {
                    break;
                }
                sent += 20 * frame_bytes;
            }
            raw.end().await
        })
        .await;
    assert_eq!(ended, Some(reason::ENHANCE_YOUR_CALM));
}

/// A8: frames about the connection itself.
#[tokio::test]
async fn frames_that_ask_for_nothing_are_cut_off() {
    let floods = [
        ("PING", frame(kind::PING, flag::NONE, 0, b"12345678")),
        ("SETTINGS", frame(kind::SETTINGS, flag::NONE, 0, b"")),
        ("PRIORITY", frame(kind::PRIORITY, flag::NONE, 1, &[0, 0, 0, 0, 16])),
        ("an unknown frame", frame(0x77, flag::NONE, 0, b"")),
        ("RST_STREAM of the same stream", reset(1, reason::CANCEL)),
        ("WINDOW_UPDATE", window_update(0, 1)),
    ];
    for (what, bytes) in floods {
        let stage = Stage::start().await;
        let ended = stage
            .unharmed(Bounds::default(), async || {
                let mut raw = RawH2::connect(stage.address).await;
                raw.request(1, &GET).await.unwrap();
                assert_eq!(raw.fate(1).await, Fate::Answered(200));
                raw.flood(&bytes).await;
                raw.end().await
            })
            .await;
        assert_eq!(ended, Some(reason::ENHANCE_YOUR_CALM), "{what}");
    }
}

/// Beside A8: a client that looks after its connection is not turned away.
#[tokio::test]
async fn frames_that_ask_for_little_are_taken() {
    let stage = Stage::start().await;
    let mut raw = RawH2::connect(stage.address).await;
    for number in 0..200 {
        raw.send(frame(kind::PING, flag::NONE, 0, b"12345678")).await.unwrap();
        raw.send(frame(kind::PRIORITY, flag::NONE, odd(number), &[0, 0, 0, 0, 16])).await.unwrap();
        raw.send(window_update(0, 10)).await.unwrap();
        raw.request(odd(number), &GET).await.unwrap();
        assert_eq!(raw.fate(odd(number)).await, Fate::Answered(200), "{number}");
    }
    assert!(!raw.is_closed());
}

/// A8: a big answer that nobody takes, on either protocol.
#[tokio::test]
async fn answers_that_nobody_reads_are_given_up() {
    let body = vec![b'x'; 32 << 20];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    let answer = [head, body].concat();
    let stage = Stage::with(&["--limit", "write-stall-timeout=1s"], "/", move |_| Reply::Bytes(answer.clone())).await;
    stage
        .unharmed(Bounds::default(), async || {
            let mut h1 = RawClient::connect(stage.address).await;
            h1.send("GET /big HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
            let mut h2 = RawH2::connect_with(stage.address, &[(1, 0), (4, 0x7fff_ffff)]).await;
            h2.send(window_update(0, 0x7000_0000)).await.unwrap();
            h2.turn_deaf();
            h2.request(1, &GET).await.unwrap();
            stage.origin.wait_for(3).await;
            eventually("both reach the origin", async || stage.reached().len() == 2).await;
            // The well-behaved client's connection and no other.
            eventually("the origin is told", async || stage.origin.open() <= 1).await;
            drop((h1, h2));
        })
        .await;
}

/// A36: who ends its half of the connection inside a body is not waited for, and nothing spins.
#[tokio::test]
async fn half_closed_connections_cost_nothing() {
    let stage = Stage::answering(|_| Reply::Silence).await;
    let requests = [
        "POST /half HTTP/1.1\r\nhost: a.example\r\ncontent-length: 10\r\n\r\nhalf",
        "POST /half HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha",
        "GET /half HTTP/1.1\r\nhost: a.example\r\n\r\n",
        "GET /half HTTP/1.1\r\nhost: a.exa",
    ];
    for request in requests {
        let mut client = RawClient::connect(stage.address).await;
        client.send(request).await;
        client.finish().await;
        let heard = client.read_until_close(Duration::from_secs(10)).await;
        assert!(heard.is_some(), "{request:?} is given up");
    }
    let mut raw = RawH2::connect(stage.address).await;
    raw.send(headers(1, &POST, flag::END_HEADERS)).await.unwrap();
    raw.send(frame(kind::DATA, flag::NONE, 1, b"half")).await.unwrap();
    drop(raw);
    eventually("the origin is told", async || stage.origin.open() == 0).await;
    let before = stage.gateway.cpu();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let spent = stage.gateway.cpu() - before;
    assert!(spent < Duration::from_millis(100), "{spent:?} on the CPU for nothing");
}

/// A36 from behind: an origin that ends its half inside an answer.
#[tokio::test]
async fn half_an_answer_is_no_answer_and_costs_nothing() {
    let stage = Stage::answering(|_| Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec())).await;
    let mut client = RawClient::connect(stage.address).await;
    client.send("GET /half HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    assert!(client.try_answer().await.is_err(), "half an answer does not look like a whole one");
    let before = stage.gateway.cpu();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let spent = stage.gateway.cpu() - before;
    assert!(spent < Duration::from_millis(100), "{spent:?} on the CPU for nothing");
}
