//! Our client against our listeners: whom it believes, what it shows, what it remembers.

use portcullis_certs::verify::{Authorities, ClientMode, ExpectedName};
use tokio::time::Instant;

use super::*;

fn spec(hostname: &str) -> ClientTlsSpec {
    ClientTlsSpec {
        authorities: Authorities::Pem(vec![local_authority().certificate_pem().as_bytes().into()]),
        hostname: hostname.into(),
        subject_alt_names: Vec::new(),
        certificate: None,
        alpn: Alpn::Http,
    }
}

type Both = (Result<PeerTls, TlsRefusal>, Result<ServerTls, ConnectError>);

async fn dial(port: &PortTls, client: &ClientTls) -> Both {
    let (near, far) = socket_pair().await;
    let serve = async {
        match accept(far, port, &Deadlines { handshake: LONG }).await? {
            Accepted::Terminated { mut stream, peer, .. } => {
                let _ = stream.write_all(b"hello").await;
                let _ = stream.read(&mut [0; 1]).await;
                Ok(peer)
            }
            Accepted::Passthrough { .. } => panic!("passed through"),
        }
    };
    let call = async {
        let (mut stream, server) = connect(near, client, Instant::now() + LONG).await?;
        stream.read_exact(&mut [0; 5]).await.map_err(ConnectError::Io)?;
        Ok(server)
    };
    tokio::join!(serve, call)
}

#[tokio::test]
async fn backends_are_believed_by_authority_and_name() {
    let port = port([https("*", 0, &["a.test", "*.w.test"])]);
    let dns = |name: &str| vec![ExpectedName::Dns(name.into())];
    for (hostname, names, believed) in [
        ("a.test", vec![], true),
        ("x.w.test", vec![], true),
        ("b.test", vec![], false),
        ("b.test", dns("a.test"), true),
        ("a.test", dns("b.test"), false),
        ("a.test", vec![ExpectedName::Uri("spiffe://a/b".into())], false),
    ] {
        let client = ClientTls::new(&ClientTlsSpec { subject_alt_names: names.clone(), ..spec(hostname) }).unwrap();
        let (server, connected) = dial(&port, &client).await;
        match connected {
            Ok(_) => {
                assert!(believed, "{hostname} {names:?}");
                assert_eq!(server.unwrap().sni.as_deref(), Some(hostname));
            }
            Err(error) => {
                assert!(!believed, "{hostname} {names:?}: {error}");
                assert_eq!(error.reason(), "certificate");
            }
        }
    }
    let strangers = Authorities::Pem(ClientAuthority::new("stranger").pem());
    let client = ClientTls::new(&ClientTlsSpec { authorities: strangers, ..spec("a.test") }).unwrap();
    assert_eq!(dial(&port, &client).await.1.unwrap_err().reason(), "certificate");
}

#[tokio::test]
async fn the_protocol_is_told_and_connections_are_resumed() {
    let port = port([https("*", 0, &["a.test"])]);
    for (alpn, h2) in [(Alpn::Http, true), (Alpn::Http2, true), (Alpn::Http1, false), (Alpn::None, false)] {
        let client = ClientTls::new(&ClientTlsSpec { alpn, ..spec("a.test") }).unwrap();
        let (_, first) = dial(&port, &client).await;
        let (peer, second) = dial(&port, &client).await;
        assert_eq!((first.as_ref().unwrap().is_h2(), peer.unwrap().is_h2()), (h2, h2), "{alpn:?}");
        assert!(!first.unwrap().resumed && second.unwrap().resumed);
    }
}

#[tokio::test]
async fn our_own_certificate_is_shown_when_asked() {
    let authority = ClientAuthority::new("ours");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["gateway".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let chain = params.signed_by(&key, &authority.0).unwrap();
    let pem = ClientCertificatePem {
        chain_pem: chain.pem().into_bytes().into(),
        key_pem: key.serialize_pem().into_bytes().into(),
    };
    assert!(!format!("{pem:?}").contains("BEGIN"));

    let verifier = authority.verifier(ClientMode::AllowValidOnly);
    let termination =
        Termination::new(certificates(&["a.test"]), Some(verifier), Alpn::Http, &TicketKeys::new()).unwrap();
    let port =
        port([TlsListener { pattern: HostPattern::Any, listener: 0, action: TlsAction::Terminate(termination) }]);
    let with = ClientTls::new(&ClientTlsSpec { certificate: Some(pem.clone()), ..spec("a.test") }).unwrap();
    let (server, connected) = dial(&port, &with).await;
    assert!(connected.is_ok() && server.unwrap().verified().is_some());
    let without = ClientTls::new(&spec("a.test")).unwrap();
    assert!(dial(&port, &without).await.0.is_err());

    let broken = ClientCertificatePem { key_pem: b"no key".as_slice().into(), ..pem };
    let refused = ClientTls::new(&ClientTlsSpec { certificate: Some(broken), ..spec("a.test") }).unwrap_err();
    assert!(refused.to_string().contains("no private key found"), "{refused}");
}

#[tokio::test]
async fn a_silent_backend_is_given_up_at_the_deadline() {
    let client = ClientTls::new(&spec("a.test")).unwrap();
    let (near, _far) = socket_pair().await;
    let refused = connect(near, &client, Instant::now() + Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Timeout));
    let (near, far) = socket_pair().await;
    drop(far);
    let refused = connect(near, &client, Instant::now() + LONG).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Io(_)), "{refused}");
}

#[test]
fn equal_specifications_share_a_configuration_over_snapshots() {
    let mut first = Cache::new();
    let one = first.client(&spec("a.test"), None).unwrap();
    assert!(Arc::ptr_eq(&one, &first.client(&spec("a.test"), None).unwrap()));
    assert!(!Arc::ptr_eq(&one, &first.client(&spec("b.test"), None).unwrap()));
    let mut second = Cache::new();
    assert!(Arc::ptr_eq(&one, &second.client(&spec("a.test"), Some(&first)).unwrap()));
    assert!(matches!(first.client(&spec("not a name"), None), Err(ClientTlsError::Hostname(_))));
}
