//! A gRPC library that is not ours (`grpcio`) watches load reports.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_mesh::load::{LoadReport, OpenRca, Phase};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
    sync::watch,
    time::timeout,
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn report(draining: bool) -> LoadReport {
    let mut report =
        LoadReport { application_utilization: Some(0.75), rps_fractional: Some(12.5), ..LoadReport::default() };
    report.utilization.set("kv_cache", 0.5);
    report.named_metrics.set("num_requests_waiting", 3.0);
    if draining {
        report.named_metrics.set("draining", 1.0);
    }
    report
}

async fn serve(listener: TcpListener, service: OpenRca) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service.clone();
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
            });
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.timer(TokioTimer::new());
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

#[tokio::test]
async fn the_grpc_library_watches_reports() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (phase, receiver) = watch::channel(Phase::Serving);
    let phase = Arc::new(phase);
    let draining = receiver.clone();
    let service = OpenRca::new(move || report(*draining.borrow() >= Phase::Draining), receiver);
    let server = tokio::spawn(serve(listener, service.clone()));

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join(".cache/python-tests/bin/python");
    assert!(python.exists(), "no {}: run `tests/setup/install tests`", python.display());
    let mut client = Command::new(python)
        .arg(root.join("tests/clients/orca_watch.py"))
        .env("PORTCULLIS_ADDRESS", address.to_string())
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut stdin = client.stdin.take().unwrap();
    let mut said = Vec::new();
    while let Some(line) = timeout(PATIENCE, lines.next_line()).await.expect("the client says something").unwrap() {
        match line.as_str() {
            // Streams that earlier facts cancelled are gone.
            "open" | "closed" => eventually(|| service.watching() == 0).await,
            "drain" => phase.send(Phase::Draining).unwrap(),
            "stop" => phase.send(Phase::Stopped).unwrap(),
            _ => {
                said.push(line);
                continue;
            }
        }
        stdin.write_all(b"go on\n").await.unwrap();
    }
    let ended = timeout(PATIENCE, client.wait_with_output()).await.expect("the client ends").unwrap();
    assert!(ended.status.success(), "{said:#?}\n{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(said.iter().filter(|line| line.starts_with("ok")).count(), 5, "{said:#?}");
    eventually(|| service.watching() == 0).await;
    server.abort();
}

async fn eventually(holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("it comes about in time");
}
