//! What is shown, and what two ends of a connection make of it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use rustls::{ClientConnection, ServerConnection};
use rustls_pki_types::ServerName;

use super::*;
use crate::{
    TrustBundles,
    testing::{HOUR, ID, Root, leaf_params, trust},
    verify::{ExpectedPeers, MeshTrust, PeerRefusal, Unlisted},
};

const CLIENT: &str = "spiffe://corp.example/ns/edge/sa/gateway";

fn holding(svid: Svid) -> Arc<Identity> {
    let identity = Identity::empty();
    identity.replace(svid, SystemTime::now()).unwrap();
    Arc::new(identity)
}

fn anybody(trust: &Arc<MeshTrust>) -> Arc<PeerVerifier> {
    Arc::new(PeerVerifier::new(Arc::clone(trust), ExpectedPeers::AnyTrusted))
}

/// Carries bytes between the two until both have nothing more to say.
fn shake(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), Error> {
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn connect(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), Error> {
    let name = ServerName::try_from("10.0.0.1").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    shake(&mut client, &mut server)?;
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn refusal(outcome: Result<(ClientConnection, ServerConnection), Error>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(error) => PeerRefusal::of(&error).map_or("another error", PeerRefusal::label),
    }
}

#[test]
fn both_ends_know_each_other_over_tls_1_3_with_the_hybrid_key_exchange() {
    let (root, now) = (Root::new("root"), SystemTime::now());
    let trust = trust([root.bundle("corp.example")]);
    let server = mesh_server_config(holding(root.svid(ID, now)), anybody(&trust)).unwrap();
    let client = mesh_client_config(holding(root.svid(CLIENT, now)), anybody(&trust)).unwrap();
    let (client, server) = connect(&Arc::new(client), &Arc::new(server)).unwrap();
    assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(
        client.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
        Some(rustls::NamedGroup::X25519MLKEM768)
    );
    let verifier = anybody(&trust);
    let seen = |chain: Option<&[_]>| verifier.judge(chain.unwrap(), now).unwrap().id().to_string();
    assert_eq!(seen(client.peer_certificates()), ID);
    assert_eq!(seen(server.peer_certificates()), CLIENT);
}

#[test]
fn who_is_not_expected_or_not_known_fails_the_handshake() {
    let (root, other, now) = (Root::new("root"), Root::new("other"), SystemTime::now());
    let trust = trust([root.bundle("corp.example")]);
    let server = |svid| Arc::new(mesh_server_config(holding(svid), anybody(&trust)).unwrap());
    let client = |svid, expected| {
        let verifier = Arc::new(PeerVerifier::new(Arc::clone(&trust), expected));
        Arc::new(mesh_client_config(holding(svid), verifier).unwrap())
    };
    let exactly = |id: &str| ExpectedPeers::exactly(id.parse().unwrap());
    let ours = || root.svid(CLIENT, now);
    assert_eq!(refusal(connect(&client(ours(), exactly(ID)), &server(root.svid(ID, now)))), "ok");
    assert_eq!(refusal(connect(&client(ours(), exactly(CLIENT)), &server(root.svid(ID, now)))), "unexpected_identity");
    assert_eq!(refusal(connect(&client(ours(), exactly(ID)), &server(other.svid(ID, now)))), "untrusted");
    assert_eq!(
        refusal(connect(&client(other.svid(CLIENT, now), exactly(ID)), &server(root.svid(ID, now)))),
        "untrusted"
    );
    let nobody = mesh_client_config(Arc::new(Identity::empty()), anybody(&trust)).unwrap();
    assert_eq!(refusal(connect(&Arc::new(nobody), &server(root.svid(ID, now)))), "no_certificate");
    let nothing = mesh_server_config(Arc::new(Identity::empty()), anybody(&trust)).unwrap();
    assert_eq!(refusal(connect(&client(ours(), exactly(ID)), &Arc::new(nothing))), "another error");
}

#[test]
fn older_protocols_are_refused() {
    let (root, now) = (Root::new("root"), SystemTime::now());
    let trust = trust([root.bundle("corp.example")]);
    let server = Arc::new(mesh_server_config(holding(root.svid(ID, now)), anybody(&trust)).unwrap());
    let old = ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(anybody(&trust))
        .with_client_cert_resolver(holding(root.svid(CLIENT, now)));
    assert_eq!(refusal(connect(&Arc::new(old), &server)), "another error");
}

#[test]
fn a_new_svid_is_shown_on_the_next_handshake_and_open_connections_go_on() {
    let (root, now) = (Root::new("root"), SystemTime::now());
    let trust = trust([root.bundle("corp.example")]);
    let identity = holding(root.svid(ID, now));
    let server = Arc::new(mesh_server_config(Arc::clone(&identity), anybody(&trust)).unwrap());
    let client = Arc::new(mesh_client_config(holding(root.svid(CLIENT, now)), anybody(&trust)).unwrap());
    let (mut before, mut before_server) = connect(&client, &server).unwrap();
    let first = before.peer_certificates().unwrap().to_vec();

    let seen = identity.changed();
    let new = root.svid(ID, now);
    let shown = new.chain().to_vec();
    identity.replace(new, now).unwrap();
    assert_eq!(identity.changed(), seen + 1);
    let (after, _) = connect(&client, &server).unwrap();
    assert_eq!(after.peer_certificates().unwrap(), shown);

    std::io::Write::write_all(&mut before.writer(), b"still here").unwrap();
    shake(&mut before, &mut before_server).unwrap();
    let mut heard = [0; 10];
    std::io::Read::read_exact(&mut before_server.reader(), &mut heard).unwrap();
    assert_eq!((&heard, before.peer_certificates().unwrap()), (b"still here", first.as_slice()));
}

#[test]
fn the_last_good_svid_stays_until_it_expires() {
    let (root, now) = (Root::new("root"), SystemTime::now());
    let identity = holding(root.svid(ID, now));
    let expires = identity.expires_at().unwrap();
    let seen = identity.changed();
    let dated = |from: SystemTime, to: SystemTime| {
        let mut params = leaf_params(ID, now);
        (params.not_before, params.not_after) = (from.into(), to.into());
        let (leaf, key) = root.sign(&params);
        Svid::new(vec![leaf], crate::testing::der_of(&key)).unwrap()
    };
    let refused = |svid| identity.replace(svid, now).unwrap_err();
    assert!(matches!(refused(root.svid(CLIENT, now)), ReplaceError::OtherIdentity { .. }));
    assert!(matches!(refused(dated(now - 2 * HOUR, now - HOUR)), ReplaceError::Expired(_)));
    assert!(matches!(refused(dated(now + HOUR, now + 2 * HOUR)), ReplaceError::NotYetValid(_)));
    assert_eq!((identity.changed(), identity.expires_at()), (seen, Some(expires)), "nothing of it was taken");
    assert!(identity.current(expires - Duration::from_secs(1)).is_some());
    assert!(identity.current(expires).is_none());
    assert_eq!(identity.id().unwrap().as_str(), ID);
    assert_eq!(identity.expires_at(), Some(expires), "metrics go on telling when it was");
    identity.replace(dated(now + Duration::from_secs(20), now + 2 * HOUR), now).unwrap();
}

#[test]
fn swapped_bundles_and_lists_act_on_the_next_handshake() {
    let (root, other, now) = (Root::new("root"), Root::new("other"), SystemTime::now());
    let trust = trust([root.bundle("corp.example")]);
    let server = Arc::new(mesh_server_config(holding(root.svid(ID, now)), anybody(&trust)).unwrap());
    let client = Arc::new(mesh_client_config(holding(root.svid(CLIENT, now)), anybody(&trust)).unwrap());
    assert_eq!(refusal(connect(&client, &server)), "ok");
    trust.replace_bundles(&TrustBundles::new([other.bundle("corp.example")]).unwrap());
    assert_eq!(refusal(connect(&client, &server)), "untrusted");
    trust.replace_bundles(&TrustBundles::new([root.bundle("corp.example")]).unwrap());
    assert_eq!(refusal(connect(&client, &server)), "ok");
    trust.replace_lists(None, Unlisted::Refuse);
    assert_eq!(refusal(connect(&client, &server)), "ok");
}

/// Resumption is off; this is what happens where somebody switches it on.
#[test]
fn a_resumed_connection_is_judged_again() {
    let (root, other, now) = (Root::new("root"), Root::new("other"), SystemTime::now());
    let trust = trust([root.bundle("corp.example")]);
    let verifier = anybody(&trust);
    let mut server = mesh_server_config(holding(root.svid(ID, now)), Arc::clone(&verifier)).unwrap();
    let mut client = mesh_client_config(holding(root.svid(CLIENT, now)), Arc::clone(&verifier)).unwrap();
    let connect_twice = |client: ClientConfig, server: ServerConfig| {
        let (client, server) = (Arc::new(client), Arc::new(server));
        trust.replace_bundles(&TrustBundles::new([root.bundle("corp.example")]).unwrap());
        connect(&client, &server).unwrap();
        trust.replace_bundles(&TrustBundles::new([other.bundle("corp.example")]).unwrap());
        connect(&client, &server)
    };
    assert_eq!(refusal(connect_twice(client.clone(), server.clone())), "untrusted", "nothing is resumed");

    server.session_storage = rustls::server::ServerSessionMemoryCache::new(16);
    server.send_tls13_tickets = 2;
    client.resumption = Resumption::in_memory_sessions(16);
    let (_, resumed) = connect_twice(client, server).unwrap();
    assert_eq!(resumed.handshake_kind(), Some(rustls::HandshakeKind::Resumed), "rustls asked nobody");
    let judged = verifier.judge(resumed.peer_certificates().unwrap(), now);
    assert_eq!(judged.unwrap_err().label(), "untrusted");
}
