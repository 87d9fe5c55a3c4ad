//! Long answers do not outlive their permission.

use std::fmt::Write as _;

use portcullis_tests::harness::{Origin, PATIENCE, RawClient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use super::keyed::{Keyed, ROLES};
use crate::{
    edge::{Puppet, request},
    texts,
};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// A stream that has begun: what reads it, and the origin's end.
struct Begun {
    client: RawClient,
    origin: TcpStream,
}

async fn keyed_puppet(more: &str) -> (Keyed, Puppet) {
    let puppet = Puppet::start().await;
    let unused = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let backends = texts::inference("llm", "openai", &[puppet.address()], "  models: [small-1, large]\n")
        + &texts::inference_route("/v1", "llm", "")
        + more;
    (Keyed::before(unused, backends, ROLES).await, puppet)
}

async fn begin(keyed: &Keyed, puppet: &Puppet, key: &str, path: &str, body: &str) -> Begun {
    let mut client = RawClient::connect(keyed.address).await;
    let headers = format!("content-type: application/json\r\nauthorization: Bearer {key}\r\n");
    client.send(request("POST", "llm.test", path, &headers, body)).await;
    let (_, mut origin) = puppet.request().await;
    origin.write_all(STREAM.as_bytes()).await.unwrap();
    origin.write_all(&chunk("data: {\"a\":1}\n\n")).await.unwrap();
    assert_eq!(client.head().await.status, 200);
    Begun { client, origin }
}

const CHAT: &str = r#"{"model": "small-1", "stream": true, "messages": []}"#;

impl Begun {
    /// What is still said until the connection ends; the origin's must end too.
    async fn rest(mut self) -> String {
        let rest = self.client.read_until_close(PATIENCE).await.expect("the stream ends");
        let mut from_gateway = Vec::new();
        let closed = timeout(PATIENCE, self.origin.read_to_end(&mut from_gateway)).await;
        assert!(closed.is_ok(), "the backend still works for nobody");
        String::from_utf8(rest).unwrap()
    }
}

async fn keys(arguments: &[&str]) {
    let binary = portcullis_tests::harness::binary("portcullis");
    let output = Command::new(binary).arg("keys").args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_document_that_takes_permission_away_ends_open_streams() {
    let (keyed, puppet) = keyed_puppet("").await;
    let (alice, bob) = (keyed.key("alice"), keyed.key("bob"));
    let of_alice = begin(&keyed, &puppet, alice, "/v1/chat/completions", CHAT).await;
    let mut of_bob = begin(&keyed, &puppet, bob, "/v1/chat/completions", CHAT).await;
    keyed.roles("- {name: all, rules: [{routes: ['*'], actions: ['*']}], users: [bob]}").await;
    let rest = of_alice.rest().await;
    assert!(rest.contains("permission_lost") && rest.contains("data: {\"error\""), "{rest}");
    assert!(!rest.contains("[DONE]"), "{rest}");
    // Whoever still may goes on.
    of_bob.origin.write_all(&chunk("data: {\"b\":2}\n\ndata: [DONE]\n\n")).await.unwrap();
    of_bob.origin.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        let more = of_bob.client.read().await.unwrap();
        assert!(!more.is_empty(), "cut off after {:?}", String::from_utf8_lossy(&rest));
        rest.extend(more);
    }
    assert!(String::from_utf8_lossy(&rest).contains("[DONE]"));
}

/// A route whose rules have names, in this order, each to a backend of its own name.
fn named_rules(puppet: &Puppet, names: &[&str]) -> String {
    let mut rules = String::new();
    let mut backends = String::new();
    for name in names {
        let prefix = if *name == "llm" { "/v1" } else { "/v1/other" };
        let _ = write!(
            rules,
            "  - name: {name}\n    matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]\n    backendRefs: [{{group: \
             portcullis.dev, kind: InferenceBackend, name: {name}}}]\n"
        );
        let models = if *name == "llm" { "small-1, large" } else { "another" };
        backends += &texts::inference(name, "openai", &[puppet.address()], &format!("  models: [{models}]\n"));
    }
    format!(
        "{backends}apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: route-v1}}\nspec:\n  \
         parentRefs: [{{name: edge}}]\n  rules:\n{rules}---\n"
    )
}

#[tokio::test]
async fn a_rule_that_has_a_name_keeps_its_open_streams_wherever_it_stands() {
    let puppet = Puppet::start().await;
    let unused = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let keyed = Keyed::before(unused, named_rules(&puppet, &["llm"]), ROLES).await;
    let of_alice = begin(&keyed, &puppet, keyed.key("alice"), "/v1/chat/completions", CHAT).await;
    let mut of_bob = begin(&keyed, &puppet, keyed.key("bob"), "/v1/chat/completions", CHAT).await;
    let only_bob = "- {name: all, rules: [{routes: ['*'], actions: ['*']}], users: [bob]}";
    keyed.rewrite(&named_rules(&puppet, &["other", "llm"]), only_bob).await;
    // Once hers has ended, his has been looked at too: the place of its rule is another one's now.
    assert!(of_alice.rest().await.contains("permission_lost"));
    of_bob.origin.write_all(&chunk("data: [DONE]\n\n")).await.unwrap();
    of_bob.origin.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        let more = of_bob.client.read().await.unwrap();
        assert!(!more.is_empty(), "cut off after {:?}", String::from_utf8_lossy(&rest));
        rest.extend(more);
    }
    assert!(!String::from_utf8_lossy(&rest).contains("error"));
}

#[tokio::test]
async fn a_revoked_key_ends_open_streams_in_their_dialect() {
    let (keyed, puppet) = keyed_puppet("").await;
    let bob = keyed.key("bob");
    let body = r#"{"model": "large", "stream": true, "max_tokens": 9, "messages": []}"#;
    let begun = begin(&keyed, &puppet, bob, "/v1/messages", body).await;
    let id = bob.split('_').nth(1).expect("an id in the key");
    keys(&["revoke", id, "--file", &keyed.file()]).await;
    let rest = begun.rest().await;
    assert!(rest.contains("event: error\ndata: {\"type\":\"error\""), "{rest}");
    assert_eq!(keyed.gateway.metric("portcullis_refusals_total", &[r#"code="permission_lost""#]).await, 1.0);
}

#[tokio::test]
async fn an_expired_key_ends_open_streams() {
    let (keyed, puppet) = keyed_puppet("").await;
    let bob = keyed.key("bob");
    let begun = begin(&keyed, &puppet, bob, "/v1/chat/completions", CHAT).await;
    let id = bob.split('_').nth(1).expect("an id in the key");
    // The old one is good for a second more.
    keys(&["rotate", id, "--overlap", "1s", "--file", &keyed.file()]).await;
    let rest = begun.rest().await;
    assert!(rest.contains("permission_lost"), "{rest}");
}

#[tokio::test]
async fn a_websocket_that_lost_its_permission_is_closed_with_a_reason() {
    let socket = Puppet::start().await;
    let more = texts::service("app", "", &[socket.address()]) + &texts::route("/ws", "app", "");
    let (keyed, _puppet) = keyed_puppet(&more).await;
    let bob = keyed.key("bob");
    let mut client = RawClient::connect(keyed.address).await;
    client
        .send(format!(
            "GET /ws HTTP/1.1\r\nhost: llm.test\r\nauthorization: Bearer {bob}\r\nconnection: upgrade\r\nupgrade: \
             websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ))
        .await;
    let (_, mut origin) = socket.request().await;
    let agree = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    origin.write_all(agree.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status, 101);
    origin.write_all(&[0x81, 2, b'h', b'i']).await.unwrap();
    keyed.roles("- {name: none, rules: [{routes: ['*'], actions: [infer]}], users: [bob]}").await;
    let rest = client.read_until_close(PATIENCE).await.expect("it ends");
    assert_eq!(rest, [0x81, 2, b'h', b'i', 0x88, 2, 0x03, 0xf0], "1008, behind the last frame");
}

#[tokio::test]
async fn a_websocket_is_not_opened_for_whoever_is_not_known() {
    let (keyed, _puppet) = keyed_puppet("").await;
    let mut client = RawClient::connect(keyed.address).await;
    client
        .send("GET /v1/realtime HTTP/1.1\r\nhost: llm.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 401);
}

fn upgrade(path: &str, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: llm.test\r\nauthorization: Bearer {key}\r\nconnection: upgrade\r\nupgrade: \
         websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Row B32 of the hostile inputs.
#[tokio::test]
async fn a_websocket_is_judged_like_any_request_before_it_is_opened() {
    let socket = Origin::answering("HTTP/1.1 500 Asked\r\ncontent-length: 0\r\n\r\n").await;
    let more = texts::service("app", "", &[socket.address()]) + &texts::route("/ws", "app", "");
    let (keyed, _puppet) = keyed_puppet(&more).await;
    let cut = keyed.key("bob").split_at(20).0;
    for (key, expected) in [("nonsense", 401), (cut, 401), (keyed.key("carol"), 403), (keyed.key("alice"), 403)] {
        let mut client = RawClient::connect(keyed.address).await;
        client.send(upgrade("/ws", key)).await;
        assert_eq!(client.answer().await.status, expected);
    }
    let in_url =
        RawClient::connect(keyed.address).await.exchange(upgrade("/ws?access_token=a", keyed.key("bob"))).await;
    assert_eq!(in_url.status, 400);
    assert!(socket.seen().is_empty(), "nobody was asked for a socket");
    let mut client = RawClient::connect(keyed.address).await;
    client.send(upgrade("/ws", keyed.key("bob"))).await;
    assert_eq!(client.answer().await.status, 500, "the backend's word");
}

#[tokio::test]
async fn a_websocket_is_closed_when_its_credential_expires() {
    let socket = Puppet::start().await;
    let more = texts::service("app", "", &[socket.address()]) + &texts::route("/ws", "app", "");
    let (keyed, _puppet) = keyed_puppet(&more).await;
    let bob = keyed.key("bob");
    let mut client = RawClient::connect(keyed.address).await;
    client.send(upgrade("/ws", bob)).await;
    let (_, mut origin) = socket.request().await;
    let agree = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    origin.write_all(agree.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status, 101);
    let id = bob.split('_').nth(1).expect("an id in the key");
    keys(&["rotate", id, "--overlap", "1s", "--file", &keyed.file()]).await;
    let rest = client.read_until_close(PATIENCE).await.expect("it ends");
    assert_eq!(rest, [0x88, 2, 0x03, 0xf0], "1008");
    let mut from_gateway = Vec::new();
    timeout(PATIENCE, origin.read_to_end(&mut from_gateway)).await.expect("the backend's end is closed too").unwrap();
}
