//! Who gets in at a sidecar, and what for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use portcullis_tests::harness::{
    Gateway, H2Client, H2Options, H2Origin, H2Reply, Options, Origin, RawClient, Sidecar, Signal, Tls, eventually,
    pki::{Authority, Identity},
    write_identity,
};
use rustls::version::TLS12;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{EDGE, LLAMA, POLICY, STRANGER, backend};
use crate::{edge::request, texts};

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: llama\r\ncontent-type: application/json\r\n\
                    content-length: 13\r\nx-forwarded-for: 192.0.2.7\r\n\r\n{\"model\":\"m\"}";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A sidecar before an origin, and the authority of its trust domain.
struct Beside {
    authority: Authority,
    sidecar: Sidecar,
    origin: Origin,
}

impl Beside {
    async fn start(policy: &str) -> Self {
        let (authority, origin) = (Authority::new("corp"), Origin::answering(OK).await);
        let sidecar = Sidecar::start(&authority, LLAMA, policy, origin.address()).await;
        Self { authority, sidecar, origin }
    }

    async fn connect(&self, identity: &Identity) -> std::io::Result<RawClient> {
        let tls = Tls::new().server_name("llama").alpn(&["http/1.1"]).identity(identity);
        RawClient::connect_tls(self.sidecar.inbound(), &tls).await
    }

    async fn status(&self, id: &str, request: &str) -> u16 {
        self.connect(&self.authority.workload(id)).await.unwrap().exchange(request).await.status
    }
}

#[tokio::test]
async fn only_whom_a_policy_names_gets_an_answer_and_only_for_what_it_says() {
    let beside = Beside::start(POLICY).await;
    assert_eq!(beside.status(EDGE, CHAT).await, 200);
    assert_eq!(beside.status(STRANGER, CHAT).await, 403);
    let sleep = CHAT.replace("/v1/chat/completions", "/sleep");
    assert_eq!(beside.status(EDGE, &sleep).await, 403, "what changes a server is no inference");
    let encoded = CHAT.replace("/v1/chat/completions", "/v1/chat/completions/..%2f..%2fsleep");
    assert_eq!(beside.status(EDGE, &encoded).await, 400);
    let seen = beside.origin.seen();
    assert_eq!(seen.len(), 1, "nothing else has reached the server");
    assert_eq!(seen[0].header("x-forwarded-for"), Some("192.0.2.7"));
}

#[tokio::test]
async fn what_is_said_of_callers_is_dropped_unless_the_peer_may_say_it() {
    let beside = Beside::start(&POLICY.replace("    relaysCallers: true\n", "")).await;
    assert_eq!(beside.status(EDGE, CHAT).await, 200);
    assert_eq!(beside.origin.seen()[0].header("x-forwarded-for"), None);
}

#[tokio::test]
async fn nobody_is_heard_before_they_prove_who_they_are() {
    let beside = Beside::start(POLICY).await;
    let other = Authority::new("other");
    let unknown = [
        other.workload(EDGE),
        beside.authority.workload("spiffe://partner.example/ns/edge/sa/portcullis"),
        beside.authority.server(&["llama"]),
        beside.authority.issue(&[EDGE, STRANGER], portcullis_tests::harness::pki::Usage::Both, |_| {}),
    ];
    for (index, identity) in unknown.iter().enumerate() {
        let Ok(mut client) = beside.connect(identity).await else { continue };
        let refused = client.try_send(CHAT).await.is_err() || client.try_answer().await.is_err();
        assert!(refused, "{index}");
    }
    let old = Tls::new().versions(&[&TLS12]).identity(&beside.authority.workload(EDGE));
    assert!(RawClient::connect_tls(beside.sidecar.inbound(), &old).await.is_err(), "TLS 1.2");
    let mut plain = RawClient::connect(beside.sidecar.inbound()).await;
    plain.send(CHAT).await;
    assert!(plain.try_answer().await.is_err(), "in the clear");
    assert!(beside.origin.seen().is_empty());
}

#[tokio::test]
async fn another_policy_and_another_bundle_act_without_a_restart() {
    let beside = Beside::start(POLICY).await;
    let mut open = beside.connect(&beside.authority.workload(EDGE)).await.unwrap();
    assert_eq!(open.exchange(CHAT).await.status, 200);
    beside.sidecar.rewrite(&POLICY.replace("sa/portcullis", "sa/another"));
    eventually("the policy acts on connections that are open", async || open.exchange(CHAT).await.status == 403).await;
    beside.sidecar.rewrite("kind: Nonsense");
    beside.sidecar.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("is refused"))).await;
    beside.sidecar.rewrite(POLICY);
    eventually("the last documents act", async || open.exchange(CHAT).await.status == 200).await;
    let next = Authority::new("next");
    beside.sidecar.replace_identity(&next.workload(LLAMA), &next.pem);
    let under_the_next = async || match beside.connect(&next.workload(EDGE)).await {
        Ok(mut client) => {
            client.try_send(CHAT).await.is_ok() && client.try_answer().await.is_ok_and(|it| it.status == 200)
        }
        Err(_) => false,
    };
    eventually("peers of the next authority are believed", under_the_next).await;
}

#[tokio::test]
async fn the_gateway_reaches_a_sidecar_that_proves_who_it_is_and_no_other() {
    let beside = Beside::start(POLICY).await;
    let folder = Arc::new(TempDir::new().unwrap());
    write_identity(&folder, &beside.authority.workload(EDGE), &beside.authority.pem);
    let documents = |identity| {
        texts::PLAIN_GATEWAY.to_owned()
            + &backend(beside.sidecar.inbound(), identity)
            + &texts::inference_route("/", "llama", "")
    };
    let gateway = Gateway::start(&documents(LLAMA).into(), of_workload(&folder)).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    assert_eq!(client.exchange(CHAT).await.status, 200);
    assert_eq!(beside.origin.seen().len(), 1);
    gateway.rewrite(&documents(STRANGER).into()).await;
    assert_eq!(client.exchange(CHAT).await.status, 503, "who answers is not who must answer there");
    assert_eq!(beside.origin.seen().len(), 1);
}

/// Passes bytes on between the gateway and a sidecar, and keeps them.
async fn tapped(sidecar: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let to = TcpStream::connect(sidecar).await.unwrap();
            let ((from_reads, from_writes), (to_reads, to_writes)) = (from.into_split(), to.into_split());
            tokio::spawn(carry(from_reads, to_writes, Arc::clone(&kept)));
            tokio::spawn(carry(to_reads, from_writes, Arc::clone(&kept)));
        }
    });
    (address, heard)
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, heard: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        heard.lock().unwrap().extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn nobody_between_gateway_and_sidecar_reads_what_is_said() {
    const SAID: &str = "the-secret-of-the-gate";
    let beside = Beside::start(POLICY).await;
    let (tap, heard) = tapped(beside.sidecar.inbound()).await;
    let folder = Arc::new(TempDir::new().unwrap());
    write_identity(&folder, &beside.authority.workload(EDGE), &beside.authority.pem);
    let documents = texts::PLAIN_GATEWAY.to_owned() + &backend(tap, LLAMA) + &texts::inference_route("/", "llama", "");
    let gateway = Gateway::start(&documents.into(), of_workload(&folder)).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{SAID}\"}}");
    let request = request("POST", "llama", "/v1/completions", "content-type: application/json\r\n", &body);
    assert_eq!(client.exchange(request).await.status, 200);
    let has = |bytes: &[u8]| bytes.windows(SAID.len()).any(|window| window == SAID.as_bytes());
    assert!(has(&beside.origin.seen()[0].body), "the server was told");
    let heard = heard.lock().unwrap();
    assert!(heard.len() > 1000 && !has(&heard), "{} bytes were heard", heard.len());
}

/// How a gateway is started that has the identity in this folder.
fn of_workload(folder: &Arc<TempDir>) -> Options {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let files = [("--mesh-certificate", "svid.pem"), ("--mesh-key", "svid.key"), ("--mesh-bundle", "bundle.pem")];
    let arguments = files.iter().flat_map(|(flag, name)| [(*flag).to_owned(), file(name)]).collect();
    Options { arguments, folder: Some(Arc::clone(folder)), ..Options::default() }
}

#[tokio::test]
async fn grpc_goes_through_with_its_trailers_and_a_report() {
    let (authority, origin) = (
        Authority::new("corp"),
        H2Origin::start(H2Options::default(), |_| {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let answer = http::Response::builder().header("content-type", "application/grpc");
            H2Reply::Answer(answer.body(bytes::Bytes::from_static(&[0, 0, 0, 0, 0])).unwrap(), Some(trailers))
        })
        .await,
    );
    let policy = POLICY
        .replace("protocol: openai", "protocol: kserve-v2")
        .replace("[infer, list-models]", "[infer, read-metadata]");
    let sidecar = Sidecar::start(&authority, LLAMA, &policy, origin.address()).await;
    let tls = Tls::new().server_name("llama").identity(&authority.workload(EDGE));
    let client = H2Client::connect_tls(sidecar.inbound(), &tls).await.unwrap();
    let ask = || {
        let request = http::Request::post("https://llama/inference.GRPCInferenceService/ServerLive");
        let request = request.header("content-type", "application/grpc").header("te", "trailers");
        client.send(request.body(bytes::Bytes::from_static(&[0, 0, 0, 0, 0])).unwrap())
    };
    let told = async || {
        let answer = ask().await.unwrap();
        let trailers = answer.trailers.expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
        trailers.contains_key("endpoint-load-metrics-bin")
    };
    eventually("a report stands in the trailers", told).await;
}

#[tokio::test]
async fn a_gateway_without_an_identity_does_not_begin_to_serve_mutual_tls() {
    let documents = texts::PLAIN_GATEWAY.to_owned()
        + &backend("127.0.0.1:1".parse().unwrap(), LLAMA)
        + &texts::inference_route("/", "llama", "");
    let refused = Gateway::try_start(&documents.into(), Options::default()).await.unwrap_err();
    assert!(refused.stderr.contains("--mesh-certificate"), "{}", refused.stderr);
}

#[tokio::test]
async fn what_is_open_finishes_before_a_sidecar_ends() {
    let mut beside = Beside::start(POLICY).await;
    let mut open = beside.connect(&beside.authority.workload(EDGE)).await.unwrap();
    let (head, body) = CHAT.split_at(CHAT.len() - 4);
    open.send(head).await;
    eventually("the request has begun", async || beside.sidecar.stderr().contains("serving")).await;
    beside.sidecar.signal(Signal::TERM);
    beside.sidecar.logged(|line| line["message"].as_str().is_some_and(|text| text.starts_with("stopping"))).await;
    open.send(body).await;
    assert_eq!(open.answer().await.status, 200);
    assert!(beside.sidecar.ended().await.success());
}
