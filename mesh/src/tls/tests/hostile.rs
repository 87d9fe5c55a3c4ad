//! What strangers send instead of a handshake.

use rustls::version::TLS13;
use tokio::time::Instant;

use super::*;

/// The first flight of an ordinary client, in one record.
fn client_hello(name: &'static str, alpn: Vec<Vec<u8>>) -> Vec<u8> {
    let mut config = client_config(&[&TLS13]);
    config.alpn_protocols = alpn;
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// The same handshake message in records of `size` bytes.
fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let mut records = Vec::new();
    for part in hello[5..].chunks(size) {
        records.extend_from_slice(&[0x16, 0x03, 0x01]);
        records.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        records.extend_from_slice(part);
    }
    records
}

/// Sends `bytes`, says no more, and returns what the server made of it and what it answered before closing.
async fn send(bytes: &[u8]) -> (Result<usize, TlsRefusal>, io::Result<Vec<u8>>) {
    let port = port([https("a.test", 4, &["a.test"])]);
    let (mut client, server) = socket_pair().await;
    let deadlines = Deadlines { handshake: Duration::from_secs(1) };
    let serve = async {
        match accept(server, &port, &deadlines).await? {
            Accepted::Terminated { listener, .. } | Accepted::Passthrough { listener, .. } => Ok(listener),
        }
    };
    let ask = async move {
        // It may be refused before it is all sent.
        let _ = client.write_all(bytes).await;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.map(|_| answer)
    };
    tokio::time::timeout(LONG, async { tokio::join!(serve, ask) }).await.unwrap()
}

#[tokio::test]
async fn a_fragmented_client_hello_is_understood() {
    for size in [1, 7, 100] {
        let bytes = in_records(&client_hello("a.test", vec![]), size);
        let (outcome, answer) = send(&bytes).await;
        // The handshake began (and then timed out, since this client says no more).
        assert!(matches!(outcome, Err(TlsRefusal::Timeout)), "{outcome:?}");
        assert_eq!(answer.unwrap().first(), Some(&0x16), "a ServerHello");
    }
    let bytes = in_records(&client_hello("unknown.test", vec![]), 9);
    let (outcome, answer) = send(&bytes).await;
    assert!(matches!(outcome, Err(TlsRefusal::UnrecognizedName(Some(name))) if &*name == "unknown.test"));
    assert_eq!(answer.unwrap(), [0x15, 3, 3, 0, 2, 2, 112]);
}

#[tokio::test]
async fn plain_http_is_told_and_closed_cleanly() {
    for request in
        ["GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST /v1 HTTP/1.1\r\n\r\n"]
    {
        let (outcome, answer) = send(request.as_bytes()).await;
        assert!(matches!(outcome, Err(TlsRefusal::PlainHttp)), "{outcome:?}");
        // No reset: the answer arrives whole and then the end.
        let answer = String::from_utf8(answer.unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.ends_with("use https://\n"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    }
    // Also when more follows than anybody reads.
    let long = [b"POST / HTTP/1.1\r\n".as_slice(), &vec![b'x'; 200_000]].concat();
    let (outcome, answer) = send(&long).await;
    assert!(matches!(outcome, Err(TlsRefusal::PlainHttp)), "{outcome:?}");
    assert!(answer.unwrap().starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn junk_is_answered_with_an_alert_and_closed() {
    let mut short = client_hello("a.test", vec![]);
    short[5] = 0x02; // a ServerHello from a client
    let junk = vec![0xff; 300];
    let sslv2 = [0x80, 0x2e, 0x01, 0x03, 0x01, 0x00, 0x15, 0x00, 0x00, 0x00, 0x10];
    for bytes in [short.as_slice(), &junk, &sslv2, &[0x16, 3, 1, 0xff, 0xff, 0], &[0x17, 3, 3, 0, 1, 0]] {
        let (outcome, answer) = send(bytes).await;
        assert!(matches!(outcome, Err(TlsRefusal::Handshake(_))), "{bytes:?}: {outcome:?}");
        let answer = answer.unwrap();
        assert_eq!((answer.first(), answer.len()), (Some(&0x15), 7), "one alert: {answer:?}");
    }
}

#[tokio::test]
async fn a_hello_of_64_kib_is_refused() {
    // As many names as one extension holds.
    let alpn: Vec<Vec<u8>> = (0..240).map(|_| vec![b'x'; 254]).collect();
    let bytes = client_hello("a.test", alpn);
    assert!(bytes.len() > 62_000);
    let (outcome, _) = send(&bytes).await;
    assert!(matches!(outcome, Err(TlsRefusal::Handshake(_) | TlsRefusal::HelloTooLarge)), "{outcome:?}");

    // A message that says it is 16 MiB, and goes on and on.
    let mut endless = vec![0x01, 0xff, 0xff, 0xff];
    endless.resize(300_000, 0);
    let mut hello = vec![0; 5];
    hello.extend(endless);
    let (outcome, _) = send(&in_records(&hello, 16_000)).await;
    assert!(matches!(outcome, Err(TlsRefusal::Handshake(_) | TlsRefusal::HelloTooLarge)), "{outcome:?}");
    // In records of one byte, so that the overhead counts too.
    let (outcome, _) = send(&in_records(&hello[..60_000], 1)).await;
    assert!(matches!(outcome, Err(TlsRefusal::Handshake(_) | TlsRefusal::HelloTooLarge)), "{outcome:?}");
}

#[tokio::test]
async fn a_slow_client_is_cut_at_the_deadline() {
    let port = port([https("a.test", 0, &["a.test"])]);
    let (mut client, server) = socket_pair().await;
    let deadline = Duration::from_millis(300);
    let begun = Instant::now();
    let trickle = async {
        for byte in client_hello("a.test", vec![]) {
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let deadlines = Deadlines { handshake: deadline };
    let (outcome, ()) = tokio::join!(
        async {
            let outcome = accept(server, &port, &deadlines).await;
            (outcome.err().unwrap(), begun.elapsed())
        },
        trickle
    );
    assert!(matches!(outcome.0, TlsRefusal::Timeout));
    assert!(outcome.1 >= deadline && outcome.1 < deadline * 4, "{:?}", outcome.1);
}

#[tokio::test]
async fn a_client_that_leaves_is_no_error_of_ours() {
    let port = port([https("a.test", 0, &["a.test"])]);
    let hello = client_hello("a.test", vec![]);
    for sent in [0, 1, 5, 50, hello.len()] {
        let (mut client, server) = socket_pair().await;
        client.write_all(&hello[..sent]).await.unwrap();
        drop(client);
        let refused = accept(server, &port, &Deadlines::default()).await.err().unwrap();
        assert!(matches!(refused, TlsRefusal::Closed), "{sent}: {refused:?}");
    }
}
