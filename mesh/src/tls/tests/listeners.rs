//! Which listener, which certificate, which versions.

use rustls::{
    NamedGroup,
    version::{TLS12, TLS13},
};

use super::*;

#[tokio::test]
async fn the_server_name_chooses_the_listener_and_its_certificate() {
    let port = port([
        https("a.test", 10, &["a.test"]),
        https("*.v.test", 11, &["*.v.test"]),
        https("x.y.w.test", 12, &["x.y.w.test", "y.y.w.test"]),
    ]);
    let config = Arc::new(client_config(&[&TLS13]));
    for (name, listener) in [("a.test", 10), ("b.v.test", 11), ("x.y.w.test", 12)] {
        let seen = handshake(&port, &config, name).await;
        assert!(seen.client.is_ok(), "{name}: {:?}", seen.client.err());
        assert_eq!(seen.listener(), listener, "{name}");
        assert_eq!(seen.peer().sni.as_deref(), Some(name));
    }
    // No listener answers for it: the client is told so, whatever its version.
    for versions in [[&TLS12], [&TLS13]] {
        let seen = handshake(&port, &Arc::new(client_config(&versions)), "other.example").await;
        assert_eq!(seen.refused(), "unrecognized_name");
        let told = seen.client.unwrap_err().to_string();
        assert!(told.contains("UnrecognisedName"), "{told}");
    }
}

#[tokio::test]
async fn a_port_that_only_passes_connections_on_says_nothing_to_strangers() {
    let through =
        TlsListener { pattern: HostPattern::Exact("through.test".into()), listener: 7, action: TlsAction::Passthrough };
    let port = port([through]);
    let seen = handshake(&port, &Arc::new(client_config(&[&TLS13])), "other.example").await;
    assert_eq!(seen.refused(), "unrecognized_name");
    let error = seen.client.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
}

#[tokio::test]
async fn a_client_without_a_server_name_gets_the_listener_for_any() {
    let mut config = client_config(&[&TLS13]);
    config.enable_sni = false;
    let config = Arc::new(config);
    let any = port([https("a.test", 0, &["a.test"]), https("*", 1, &["b.test"])]);
    let seen = handshake(&any, &config, "b.test").await;
    assert_eq!((seen.listener(), seen.peer().sni.as_deref()), (1, None));
    let named = port([https("a.test", 0, &["a.test"])]);
    assert_eq!(handshake(&named, &config, "a.test").await.refused(), "unrecognized_name");
    // Only addresses are sent without a name by ordinary clients.
    let by_address = port([https("*", 1, &["127.0.0.1"])]);
    let seen = handshake(&by_address, &Arc::new(client_config(&[&TLS13])), "127.0.0.1").await;
    assert!(seen.client.is_ok(), "{:?}", seen.client.err());
}

#[tokio::test]
async fn versions_groups_and_protocols_are_negotiated() {
    let port = port([https("a.test", 0, &["a.test"])]);
    for (version, expected) in [(&TLS12, rustls::ProtocolVersion::TLSv1_2), (&TLS13, rustls::ProtocolVersion::TLSv1_3)]
    {
        for (offered, agreed) in [
            (&["h2", "http/1.1"][..], Some("h2")),
            (&["http/1.1", "h2"], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let mut config = client_config(&[version]);
            config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let seen = handshake(&port, &Arc::new(config), "a.test").await;
            let peer = seen.peer();
            assert_eq!(peer.version, Some(expected));
            assert_eq!(peer.alpn.as_deref(), agreed.map(str::as_bytes), "{offered:?}");
            assert_eq!(peer.is_h2(), agreed == Some("h2"));
            let group = if expected == rustls::ProtocolVersion::TLSv1_3 {
                NamedGroup::X25519MLKEM768
            } else {
                NamedGroup::X25519
            };
            assert_eq!(peer.group, Some(group));
        }
    }
    let mut config = client_config(&[&TLS13]);
    config.alpn_protocols = vec![b"imap".to_vec()];
    let seen = handshake(&port, &Arc::new(config), "a.test").await;
    assert_eq!(seen.refused(), "handshake");
    let told = seen.client.unwrap_err().to_string();
    assert!(told.contains("NoApplicationProtocol"), "{told}");
}

#[tokio::test]
async fn a_listener_without_protocols_imposes_none() {
    let termination = Termination::new(certificates(&["a.test"]), None, Alpn::None, &TicketKeys::new()).unwrap();
    let listener = TlsListener { pattern: HostPattern::Any, listener: 0, action: TlsAction::Terminate(termination) };
    let mut config = client_config(&[&TLS13]);
    config.alpn_protocols = vec![b"imap".to_vec()];
    let seen = handshake(&port([listener]), &Arc::new(config), "a.test").await;
    assert_eq!(seen.peer().alpn, None);
}

#[tokio::test]
async fn a_new_certificate_serves_on_the_same_listener_while_old_connections_live() {
    let shown = certificates(&["a.test"]);
    let termination = Termination::new(Arc::clone(&shown), None, Alpn::Http, &TicketKeys::new()).unwrap();
    let listener = |action| TlsListener { pattern: HostPattern::Any, listener: 0, action };
    let port = port([listener(TlsAction::Terminate(termination))]);

    let (client, server) = socket_pair().await;
    let config = Arc::new(client_config(&[&TLS13]));
    let name = ServerName::try_from("a.test").unwrap();
    let connecting = TlsConnector::from(Arc::clone(&config)).connect(name, client);
    let deadlines = Deadlines::default();
    let (old, accepted) = tokio::join!(connecting, accept(server, &port, &deadlines));
    let mut old = old.unwrap();
    let Accepted::Terminated { stream: mut old_server, .. } = accepted.unwrap() else { panic!("passed through") };

    let next = pair(&["a.test", "b.test"]);
    shown.replace(std::slice::from_ref(&next)).unwrap();
    let fresh = Arc::new(client_config(&[&TLS13]));
    let seen = handshake(&port, &fresh, "b.test").await;
    assert_eq!(&seen.leaf(), &next.chain()[0]);
    // Rubbish changes nothing; the open connection never noticed.
    old.write_all(b"ping").await.unwrap();
    let mut buffer = [0; 4];
    old_server.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"ping");
}

#[tokio::test]
async fn what_is_not_terminated_reaches_the_backend_byte_for_byte() {
    let passing =
        TlsListener { pattern: HostPattern::Exact("through.test".into()), listener: 7, action: TlsAction::Passthrough };
    let front = port([https("a.test", 0, &["a.test"]), passing]);
    let behind = port([https("through.test", 3, &["through.test"])]);
    // Beside it, connections are terminated as ever.
    let config = Arc::new(client_config(&[&TLS12, &TLS13]));
    assert_eq!(handshake(&front, &config, "a.test").await.listener(), 0);

    let (client, front_server) = socket_pair().await;
    let (front_client, backend) = socket_pair().await;
    let gateway = async {
        let accepted = accept(front_server, &front, &Deadlines::default()).await.unwrap();
        let Accepted::Passthrough { stream, prelude, sni, listener } = accepted else { panic!("terminated") };
        assert_eq!((sni.as_deref(), listener), (Some("through.test"), 7));
        splice(stream, front_client, &prelude, Some(LONG)).await
    };
    let backend = async {
        let accepted = accept(backend, &behind, &Deadlines::default()).await.unwrap();
        let Accepted::Terminated { mut stream, .. } = accepted else { panic!("passed through") };
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).await.unwrap();
        stream.write_all(&vec![b'x'; 300_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        asked.len()
    };
    let client = async {
        let name = ServerName::try_from("through.test").unwrap();
        let mut stream = TlsConnector::from(config).connect(name, client).await.unwrap();
        stream.write_all(&vec![b'y'; 200_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer.len()
    };
    let (spliced, asked, answered) = tokio::join!(gateway, backend, client);
    assert_eq!((asked, answered), (200_000, 300_000));
    assert!(matches!(spliced.end, SpliceEnd::Finished), "{spliced:?}");
    assert!(spliced.sent_bytes > 200_000 && spliced.received_bytes > 300_000, "{spliced:?}");
}
