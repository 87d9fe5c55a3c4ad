//! What a handshake agrees on, and what odd clients do to it.

use std::time::Duration;

use portcullis_tests::harness::{Gateway, Options, PATIENCE, RawClient, Tls, TlsStream};
use rustls::{
    HandshakeKind, NamedGroup, ProtocolVersion,
    crypto::aws_lc_rs::kx_group,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Simple, get};

fn agreed(stream: &TlsStream) -> (Option<ProtocolVersion>, Option<Vec<u8>>, Option<NamedGroup>) {
    let connection = stream.get_ref().1;
    (
        connection.protocol_version(),
        connection.alpn_protocol().map(<[u8]>::to_vec),
        connection.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
    )
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let simple = Simple::start().await;
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for (offered, chosen) in [
            (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
            (&["http/1.1", "h2"], Some(b"h2")),
            (&["http/1.1"], Some(b"http/1.1")),
            (&["spdy/3", "http/1.1"], Some(b"http/1.1")),
            (&[], None),
        ] {
            let stream = simple.tls().versions(&[version]).alpn(offered).connect(simple.address).await.unwrap();
            let (version, alpn, _) = agreed(&stream);
            assert_eq!((version, alpn.as_deref()), (Some(expected), chosen), "{offered:?}");
        }
        let error = simple.tls().versions(&[version]).alpn(&["spdy/3"]).connect(simple.address).await.unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    simple.check_it_serves().await;
}

#[tokio::test]
async fn older_versions_are_refused() {
    let simple = Simple::start().await;
    for version in [[3, 1], [3, 2], [3, 0]] {
        let mut hello = vec![1, 0, 0, 41, version[0], version[1]];
        hello.extend([7; 32]);
        // No identifier of an earlier handshake, one cipher suite, no compression.
        hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
        hello[3] = (hello.len() - 4) as u8;
        let mut record = vec![22, 3, 1, 0, hello.len() as u8];
        record.extend(hello);
        let mut client = RawClient::connect(simple.address).await;
        client.send(&record).await;
        let answer = client.read_until_close(PATIENCE).await.expect("the connection is closed");
        assert!(answer.starts_with(&[21, 3]) && answer[5] == 2, "a fatal alert: {answer:?}");
    }
    simple.check_it_serves().await;
}

#[tokio::test]
async fn the_exchange_that_withstands_quantum_computers_is_preferred() {
    let simple = Simple::start().await;
    let tls13 = || simple.tls().versions(&[&TLS13]);
    // A client whose share for it holds one for X25519 as well, which the server could take by itself.
    let both = tls13().groups(&[kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1]);
    for (tls, expected) in [
        (tls13(), NamedGroup::X25519MLKEM768),
        (tls13().groups(&[kx_group::X25519MLKEM768]), NamedGroup::X25519MLKEM768),
        (both, NamedGroup::X25519MLKEM768),
        (tls13().groups(&[kx_group::X25519]), NamedGroup::X25519),
        (tls13().groups(&[kx_group::SECP256R1]), NamedGroup::secp256r1),
    ] {
        let stream = tls.connect(simple.address).await.unwrap();
        assert_eq!(agreed(&stream).2, Some(expected));
    }
}

/// Connects, exchanges one request (behind which tickets have come) and tells whether an earlier connection was resumed.
async fn kind(simple: &Simple, tls: &Tls) -> (HandshakeKind, u32) {
    let stream = tls.connect(simple.address).await.unwrap();
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(b"GET / HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let stream = read.unsplit(write);
    (kind, stream.get_ref().1.tls13_tickets_received())
}

#[tokio::test]
async fn handshakes_are_resumed_with_tickets_that_are_new_each_time() {
    let simple = Simple::start().await;
    for version in [&TLS12, &TLS13] {
        let tls = simple.tls().versions(&[version]).resuming();
        assert_eq!(kind(&simple, &tls).await.0, HandshakeKind::Full);
        for _ in 0..3 {
            let (kind, tickets) = kind(&simple, &tls).await;
            assert_eq!(kind, HandshakeKind::Resumed);
            assert!(version == &TLS12 || tickets > 0, "a ticket is used once, so each handshake gives another");
        }
    }
}

#[tokio::test]
async fn tickets_outlive_a_reload_and_not_the_process() {
    let simple = Simple::start().await;
    let tls = simple.tls().resuming();
    assert_eq!(kind(&simple, &tls).await.0, HandshakeKind::Full);
    let other = super::origin("ok").await;
    simple.gateway.rewrite(&Simple::documents(&simple.authority, other.address()).into()).await;
    assert_eq!(kind(&simple, &tls).await.0, HandshakeKind::Resumed);

    let documents = Simple::documents(&simple.authority, other.address());
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let Simple { authority, origin, .. } = simple;
    let simple = Simple { gateway, address, authority, origin };
    assert_eq!(kind(&simple, &tls).await.0, HandshakeKind::Full, "its keys are its own, and in memory alone");
}

#[tokio::test]
async fn a_client_hello_may_come_in_many_records_and_pieces() {
    let simple = Simple::start().await;
    let tls = simple.tls().record_bytes_max(64);
    let mut client = RawClient::connect_tls(simple.address, &tls).await.unwrap();
    assert_eq!(get(&mut client, "app.test").await.text(), "ok");

    // One byte at a time.
    let wire = tokio::net::TcpStream::connect(simple.address).await.unwrap();
    wire.set_nodelay(true).unwrap();
    let (near, far) = tokio::io::duplex(1);
    let carrying = tokio::spawn(async move {
        let (mut wire, mut far) = (wire, far);
        let _ = tokio::io::copy_bidirectional_with_sizes(&mut far, &mut wire, 1, 4096).await;
    });
    let stream = simple.tls().over_any(near, simple.address).await.unwrap();
    let mut client = RawClient::over(stream);
    assert_eq!(get(&mut client, "app.test").await.text(), "ok");
    drop(client);
    carrying.await.unwrap();
}

#[tokio::test]
async fn a_client_hello_with_a_huge_alpn_costs_little() {
    let simple = Simple::start().await;
    simple.check_it_serves().await;
    let before = simple.gateway.resident_kib();
    // As much as fits into 64 KiB with the rest of a ClientHello.
    let names: Vec<String> = (0..250).map(|number| format!("{number:03}{}", "x".repeat(252))).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let none = simple.tls().groups(&[kx_group::X25519]).alpn(&names).connect(simple.address).await;
    assert!(none.unwrap_err().to_string().contains("NoApplicationProtocol"));
    names.push("http/1.1");
    for _ in 0..20 {
        let stream = simple.tls().groups(&[kx_group::X25519]).alpn(&names).connect(simple.address).await.unwrap();
        assert_eq!(agreed(&stream).1.as_deref(), Some(&b"http/1.1"[..]));
    }
    // And one that says that it is larger.
    let mut client = RawClient::connect(simple.address).await;
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 1, 0, 0];
    record.resize(5 + 0x4000, 7);
    let mut sent = 0;
    while sent < 1_000_000 && client.try_send(&record).await.is_ok() {
        sent += record.len();
    }
    let _ = client.read_until_close(Duration::from_secs(4)).await.expect("closed before any timeout");
    let grown = simple.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    simple.check_it_serves().await;
}

#[tokio::test]
async fn clients_that_break_off_or_speak_nonsense_are_closed() {
    let simple = Simple::start().await;
    let close_notify = &[21, 3, 3, 0, 2, 1, 0][..];
    let half_a_hello = &[22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3, 7, 7][..];
    for bytes in
        [close_notify, half_a_hello, b"\x16\x03\x01\xff\xff\x01", b"nonsense, for sure", &[0; 64], &[0x80; 512]]
    {
        let mut client = RawClient::connect(simple.address).await;
        client.send(bytes).await;
        client.finish().await;
        let answer = client.read_until_close(Duration::from_secs(4)).await.expect("closed before any timeout");
        assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "{bytes:?}: {answer:?}");
    }
    simple.check_it_serves().await;
}

#[tokio::test]
async fn http_without_tls_is_told_so() {
    let simple = Simple::start().await;
    let mut client = RawClient::connect(simple.address).await;
    let answer = get(&mut client, "app.test").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("https://"), "{}", answer.text());
    assert_eq!(client.read_until_close(PATIENCE).await.as_deref(), Some(&b""[..]));
}
