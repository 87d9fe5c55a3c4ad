//! Requests over HTTP/2 that are refused before their body is read: whoever still sends hears the answer.

use std::time::Duration;

use portcullis_tests::harness::{
    RawH2,
    h2_raw::{Fate, fields, flag, frame, kind, reason},
    stock::StockClient,
};
use tokio::time::Instant;

use super::keyed::{Keyed, ROLES};

const PATH: &str = "/v1/chat/completions";
/// `LINGER_TIMEOUT` of the gateway.
const LINGER: Duration = Duration::from_secs(1);
/// The largest frame that everyone takes.
const FRAME_BYTES: usize = 16 * 1024;

/// Sends the head of a POST whose body is still to come.
async fn begin(raw: &mut RawH2, stream: u32, key: Option<&str>) {
    let mut head: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"llm.test"),
        (b":path", PATH.as_bytes()),
        (b"content-type", b"application/json"),
    ];
    head.extend(key.map(|key| (&b"x-api-key"[..], key.as_bytes())));
    raw.send(frame(kind::HEADERS, flag::END_HEADERS, stream, &fields(&head))).await.unwrap();
}

/// Waits until the answer on this stream has ended.
async fn answered(raw: &mut RawH2, stream: u32, status: u16) {
    assert_eq!(raw.fate(stream).await, Fate::Answered(status));
    let ends = |kind| [kind::DATA, kind::HEADERS].contains(&kind);
    raw.frame(|frame| frame.stream == stream && ends(frame.kind) && frame.flags & flag::END_STREAM != 0).await;
}

/// Waits until the gateway has dealt with whatever was sent.
async fn settled(raw: &mut RawH2, mark: u8) {
    raw.send(frame(kind::PING, flag::NONE, 0, &[mark; 8])).await.unwrap();
    raw.frame(|frame| frame.kind == kind::PING && frame.flags & flag::ACK != 0 && frame.payload == [mark; 8]).await;
}

fn resets(raw: &RawH2) -> Vec<u32> {
    raw.frames().into_iter().filter(|frame| frame.kind == kind::RST_STREAM).map(|frame| frame.stream).collect()
}

#[tokio::test]
async fn a_body_that_comes_after_its_refusal_is_taken_and_the_stream_is_not_reset() {
    let keyed = Keyed::start(ROLES).await;
    let mut raw = RawH2::connect(keyed.address).await;
    for (stream, pieces) in [(1, 1), (3, 8)] {
        begin(&mut raw, stream, None).await;
        answered(&mut raw, stream, 401).await;
        for piece in 1..=pieces {
            let flags = if piece == pieces { flag::END_STREAM } else { flag::NONE };
            raw.send(frame(kind::DATA, flags, stream, &[b'x'; FRAME_BYTES])).await.unwrap();
        }
        settled(&mut raw, stream as u8).await;
    }
    assert_eq!(resets(&raw), [0_u32; 0]);
    // The connection is as good as before.
    begin(&mut raw, 5, Some(keyed.key("bob"))).await;
    raw.send(frame(kind::DATA, flag::END_STREAM, 5, br#"{"model": "large", "messages": []}"#)).await.unwrap();
    answered(&mut raw, 5, 200).await;
    assert_eq!(keyed.origin.seen().len(), 1);
}

#[tokio::test]
async fn a_body_without_an_end_is_waited_for_and_read_within_bounds() {
    let keyed = Keyed::start(ROLES).await;
    let mut raw = RawH2::connect(keyed.address).await;
    let begun = Instant::now();
    begin(&mut raw, 1, None).await;
    // One that sends nothing, and one that sends as much as it may.
    begin(&mut raw, 3, None).await;
    for _ in 0..16 {
        raw.send(frame(kind::DATA, flag::NONE, 3, &[b'x'; FRAME_BYTES])).await.unwrap();
    }
    for stream in [1, 3] {
        answered(&mut raw, stream, 401).await;
    }
    settled(&mut raw, 1).await;
    if begun.elapsed() < LINGER {
        assert_eq!(resets(&raw), [0_u32; 0], "there is time to send the rest");
    }
    for stream in [1, 3] {
        let reset = raw.frame(|frame| frame.kind == kind::RST_STREAM && frame.stream == stream).await;
        assert_eq!(reset.payload, reason::NO_ERROR.to_be_bytes(), "the answer was whole");
    }
    assert!(begun.elapsed() >= LINGER);
    begin(&mut raw, 5, Some(keyed.key("bob"))).await;
    raw.send(frame(kind::DATA, flag::END_STREAM, 5, br#"{"model": "large", "messages": []}"#)).await.unwrap();
    answered(&mut raw, 5, 200).await;
    assert_eq!(keyed.origin.seen().len(), 1);
}

/// curl 7.88 fails with 92 if its stream is reset while it sends, whether or not an answer came before.
#[tokio::test]
async fn curl_hears_that_it_is_refused_each_time() {
    let keyed = Keyed::start(ROLES).await;
    let url = format!("http://{}{PATH}", keyed.address);
    for _ in 0..8 {
        let answers = (0..5).map(|_| {
            let body = format!(r#"{{"model": "small-1", "messages": ["{}"]}}"#, "x".repeat(4000));
            let arguments =
                ["--http2-prior-knowledge", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", &body, &url];
            StockClient::debian("curl").args(arguments).run()
        });
        assert_eq!(futures_util::future::join_all(answers).await, vec!["401".to_owned(); 5]);
    }
    assert!(keyed.origin.seen().is_empty());
}
