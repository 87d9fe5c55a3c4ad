//! The documents in `deploy/examples`, as a newcomer uses them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
};

use portcullis_tests::harness::{
    Documents, Flavour, Gateway, H2Client, Options, Profile, RawClient, SimulatorConfig, Tls, binary, simulator,
    simulator_with,
};
use tempfile::TempDir;
use tokio::process::Command;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name)
}

async fn portcullis(arguments: &[&Path]) -> (Option<i32>, String) {
    let output = Command::new(binary("portcullis")).args(arguments).kill_on_drop(true).output();
    let Output { status, stderr, .. } = output.await.unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test]
async fn every_example_checks_clean() {
    for name in ["corp", "quickstart"] {
        let (code, text) = portcullis(&[Path::new("check"), &example(name)]).await;
        assert_eq!(code, Some(0), "{name}: {text}");
        assert!(text.lines().last().is_some_and(|line| line.starts_with("0 errors")), "{name}: {text}");
        assert!(!text.contains("error["), "{name}: {text}");
    }
}

#[tokio::test]
async fn the_gateway_refuses_to_run_guards_that_do_not_exist_yet() {
    let state = TempDir::new().unwrap();
    let corp = example("corp");
    let arguments: Vec<&Path> = ["run", "--admin", "127.0.0.1:0", "--config"].map(Path::new).to_vec();
    let arguments = [arguments, vec![&corp, Path::new("--state"), state.path()]].concat();
    let (code, text) = portcullis(&arguments).await;
    assert_eq!(code, Some(1), "{text}");
    let told = |kind: &str| text.lines().any(|line| line.contains("error[not-enforced-yet]") && line.contains(kind));
    assert!(told("AuditSink"), "{text}");
    assert!(!told("GuardrailPolicy"), "they are enforced: {text}");
    assert!(text.contains("corp/70-audit.yaml:"), "{text}");
}

/// The example with other ports than those that this machine may have in use.
fn quickstart(chat: SocketAddr, triton: SocketAddr) -> Documents {
    let files = ["gateway.yaml", "routes.yaml", "backends.yaml"];
    files.into_iter().fold(Documents::new(), |documents, name| {
        let text = fs::read_to_string(example("quickstart").join(name)).unwrap();
        let text = text
            .replace("port: 8000", &format!("port: {}", chat.port()))
            .replace("port: 9000", &format!("port: {}", triton.port()))
            .replace("grpcPort: 9001", &format!("grpcPort: {}", triton.port()));
        documents.with(name, text)
    })
}

#[tokio::test]
async fn the_quickstart_serves_a_chat_server_and_triton() {
    let chat = simulator(&["demo"]).await;
    let triton = simulator_with(SimulatorConfig {
        models: Vec::new(),
        flavour: Flavour::Triton,
        profile: Profile::instant(),
        ..SimulatorConfig::default()
    });
    let triton = triton.await;
    let gateway = Gateway::start(&quickstart(chat.address(), triton.address()), Options::default()).await;
    let edge = gateway.addr("default/edge", 8443).await;
    let authority = fs::read_to_string(gateway.state().join("authority/ca.pem")).unwrap();
    let tls = Tls::new().server_name("localhost").trusting(&authority);
    let mut client = RawClient::connect_tls(edge, &tls).await.unwrap();
    let models = client.exchange("GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(models.status == 200 && models.text().contains(r#""id":"demo""#), "{}", models.text());
    let ready = client.exchange("GET /v2/models/simple/ready HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(ready.status, 200, "{}", ready.text());

    let client = H2Client::connect_tls(edge, &tls).await.unwrap();
    let request = http::Request::post("https://localhost/inference.GRPCInferenceService/ServerLive")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(vec![0; 5])
        .unwrap();
    let live = client.send(request).await.unwrap();
    assert_eq!((live.status(), &live.body[..]), (200, &[0, 0, 0, 0, 2, 8, 1][..]));
    assert_eq!(live.trailers.unwrap()["grpc-status"], "0");
}
