//! Answers and connections behind the edge do not outlive what let them in.

use std::time::Duration;

use portcullis_tests::harness::{
    PATIENCE, RawClient, Sidecar, Tls, eventually,
    pki::{Authority, Identity, Usage},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{EDGE, LLAMA, POLICY};
use crate::edge::{Puppet, request};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const EVENT: &str = "f\r\ndata: {\"a\":1}\n\n\r\n";
const CHAT: &str = r#"{"model": "m", "stream": true, "messages": []}"#;

/// A stream that goes on behind a sidecar.
struct Going {
    sidecar: Sidecar,
    client: RawClient,
    server: TcpStream,
}

impl Going {
    async fn start(authority: &Authority) -> Self {
        Self::start_as(authority, &authority.workload(EDGE), &[]).await
    }

    async fn start_as(authority: &Authority, peer: &Identity, arguments: &[&str]) -> Self {
        let puppet = Puppet::start().await;
        let own = authority.workload(LLAMA);
        let sidecar = Sidecar::start_with(&own, &authority.pem, POLICY, puppet.address(), arguments).await;
        let tls = Tls::new().server_name("llama").alpn(&["http/1.1"]).identity(peer);
        let mut client = RawClient::connect_tls(sidecar.inbound(), &tls).await.unwrap();
        client.send(request("POST", "llama", "/v1/chat/completions", "content-type: application/json\r\n", CHAT)).await;
        let (_, mut server) = puppet.request().await;
        server.write_all(format!("{STREAM}{EVENT}").as_bytes()).await.unwrap();
        assert_eq!(client.head().await.status, 200);
        Self { sidecar, client, server }
    }

    /// What the peer still hears; the server must be told that nobody listens any more.
    async fn rest(mut self) -> String {
        let rest = self.client.read_until_close(PATIENCE).await.expect("the stream ends");
        let mut request = Vec::new();
        let closed = timeout(PATIENCE, self.server.read_to_end(&mut request)).await;
        assert!(closed.is_ok(), "the server still works for nobody");
        String::from_utf8(rest).unwrap()
    }
}

#[tokio::test]
async fn a_policy_that_is_withdrawn_ends_a_stream_with_an_error_event() {
    let going = Going::start(&Authority::new("corp")).await;
    going.sidecar.rewrite(&POLICY.replace("sa/portcullis", "sa/another"));
    let rest = going.rest().await;
    assert!(rest.contains("data: {\"a\":1}\n\n"), "{rest}");
    assert!(rest.contains("data: {\"error\":{"), "{rest}");
    assert!(rest.contains("permission_denied"), "{rest}");
    assert!(!rest.ends_with("0\r\n\r\n"), "an answer that was cut is no whole one: {rest}");
}

#[tokio::test]
async fn a_bundle_that_is_removed_ends_what_its_authority_let_in() {
    let (authority, next) = (Authority::new("corp"), Authority::new("next"));
    let going = Going::start(&authority).await;
    going.sidecar.replace_identity(&next.workload(LLAMA), &next.pem);
    let rest = going.rest().await;
    assert!(rest.contains("permission_denied"), "{rest}");
}

#[tokio::test]
async fn a_certificate_that_is_revoked_ends_what_it_let_in() {
    const SERIAL: u64 = 4711;
    let authority = Authority::new("corp");
    let peer = authority.issue(&[EDGE], Usage::Both, |params| params.serial_number = Some(SERIAL.into()));
    let folder = TempDir::new().unwrap();
    let lists = folder.path().join("lists.pem");
    std::fs::write(&lists, authority.revocation_list(&[], Duration::ZERO)).unwrap();
    let arguments = ["--revocation-lists", lists.to_str().unwrap()];
    let going = Going::start_as(&authority, &peer, &arguments).await;
    std::fs::write(&lists, authority.revocation_list(&[SERIAL], Duration::ZERO)).unwrap();
    let rest = going.rest().await;
    assert!(rest.contains("permission_denied"), "{rest}");
}

#[tokio::test]
async fn another_certificate_of_the_same_authority_ends_nothing() {
    let authority = Authority::new("corp");
    let mut going = Going::start(&authority).await;
    going.sidecar.replace_identity(&authority.workload(LLAMA), &authority.pem);
    let read_again = |text: &str| text.contains("were read again");
    eventually("the identity is replaced", async || read_again(&going.sidecar.stderr())).await;
    going.server.write_all(format!("{EVENT}0\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with("\r\n0\r\n\r\n") {
        text += &String::from_utf8(going.client.read().await.expect("the stream goes on")).unwrap();
    }
    assert_eq!(text.matches("data: ").count(), 2, "{text}");
}
