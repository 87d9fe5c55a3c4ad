//! A successor takes over: sockets go from one process to the next, streams stay where they are.

use std::sync::Arc;

use portcullis_tests::harness::{Documents, Gateway, Options, RawClient, Signal, pki::Authority};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{HOST, LONG, both, event_texts, get, load, origin, plain};

fn successor(folder: &Arc<TempDir>, workers: usize) -> Options {
    Options { workers, folder: Some(folder.clone()), arguments: vec!["--upgrade".to_owned()], ..Options::default() }
}

async fn ask(gateway: &Gateway) -> u16 {
    RawClient::connect(gateway.addr("default/edge", 80).await).await.exchange(get("/")).await.status
}

#[tokio::test]
async fn no_request_fails_while_a_successor_takes_over_and_streams_go_on() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let documents = Documents::from(both(&origin, &identity));
    let mut running = Gateway::start(&documents, Options { workers: 2, ..Options::default() }).await;
    let address = running.addr("default/edge", 80).await;
    let load = load(&running).await;
    // More workers, then fewer: every queue has somebody who takes from it.
    for workers in [3, 1] {
        let mut streaming = RawClient::connect(address).await;
        streaming.send(get("/long")).await;
        assert_eq!(streaming.head().await.status, 200);
        let next = Gateway::start(&documents, successor(&running.folder(), workers)).await;
        let mut before = std::mem::replace(&mut running, next);
        assert_eq!(running.admin(), before.admin(), "the admin address is handed over too");
        assert_eq!(running.addr("default/edge", 80).await, address);
        assert!(before.alive(), "the stream keeps the predecessor");
        load.more().await;
        let mut text = String::new();
        while !text.ends_with("0\r\n\r\n") {
            text += &String::from_utf8(streaming.read().await.unwrap()).unwrap();
            assert!(!text.is_empty());
        }
        assert_eq!(text.matches("data: ").count(), event_texts(100).matches("data: ").count());
        assert_eq!(before.ended(LONG).await.code(), Some(0));
        before
            .logged(|line| line["message"] == "stopping: a successor has the sockets; what is open here may finish")
            .await;
        load.more().await;
    }
    load.end().await;
    assert_eq!(running.page("/readyz").await.0, 200);
    running.rewrite(&documents.with("more.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: more}}")).await;
    running.signal(Signal::TERM);
    assert_eq!(running.ended(LONG).await.code(), Some(0));
    assert!(!running.state().join("upgrade.sock").exists());
}

#[tokio::test]
async fn a_successor_may_have_other_documents() {
    let origin = origin().await;
    let old = plain(&origin).replace("port: 80}]", "port: 80}, {name: old, protocol: HTTP, port: 81}]");
    let new = plain(&origin).replace("port: 80}]", "port: 80}, {name: new, protocol: HTTP, port: 82}]");
    let mut before = Gateway::start(&old.into(), Options::default()).await;
    let (kept, gone) = (before.addr("default/edge", 80).await, before.addr("default/edge", 81).await);
    // The predecessor may notice the new documents first: whoever does, the outcome is the same.
    let after = Gateway::start(&new.into(), successor(&before.folder(), 1)).await;
    assert_eq!(before.ended(LONG).await.code(), Some(0));
    assert_eq!(after.addr("default/edge", 80).await, kept);
    assert_eq!(ask(&after).await, 200);
    let added = after.addr("default/edge", 82).await;
    assert_eq!(RawClient::connect(added).await.exchange(get("/")).await.status, 200);
    assert!(tokio::net::TcpStream::connect(gone).await.is_err(), "nobody listens where nobody asks to");
}

#[tokio::test]
async fn without_a_predecessor_a_successor_starts_afresh() {
    let origin = origin().await;
    let documents = Documents::from(plain(&origin));
    let folder = Arc::new(TempDir::new().unwrap());
    let mut first = Gateway::start(&documents, successor(&folder, 1)).await;
    first.logged(|line| line["message"] == "nothing to upgrade; starting afresh").await;
    assert_eq!(ask(&first).await, 200);
    // One that died leaves its socket behind.
    first.signal(Signal::KILL);
    assert_eq!(first.ended(LONG).await.code(), None);
    assert!(first.state().join("upgrade.sock").exists());
    let second = Gateway::start(&documents, successor(&folder, 1)).await;
    assert_eq!(ask(&second).await, 200);
}

#[tokio::test]
async fn a_successor_that_fails_leaves_its_predecessor_serving() {
    let origin = origin().await;
    let good = Documents::from(plain(&origin));
    let gateway = Gateway::start(&good, Options::default()).await;
    let mut kept = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    let refused = |documents: Documents, bind: Vec<String>| {
        let options = Options { bind, ..successor(&gateway.folder(), 1) };
        async move { Gateway::try_start(&documents, options).await.unwrap_err() }
    };

    // Before it asks for anything.
    let bad = Documents::from(plain(&origin).replace("backendRefs", "backendRevs"));
    let failed = refused(bad, Vec::new()).await;
    assert_eq!(failed.status.code(), Some(1), "{}", failed.stderr);
    assert_eq!(kept.exchange(get("/")).await.header("connection"), None);

    // With the sockets in its hands.
    gateway.write(&good);
    let occupied = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let failed = refused(good, vec![format!("80={}", occupied.local_addr().unwrap())]).await;
    assert_eq!(failed.status.code(), Some(1), "{}", failed.stderr);
    gateway.logged(|line| line["message"] == "a successor did not come to serve; going on").await;
    assert_eq!(kept.exchange(get("/")).await.header("connection"), None);
    assert_eq!(ask(&gateway).await, 200);
    assert_eq!(gateway.page("/livez").await.0, 200);
}

#[tokio::test]
async fn a_state_folder_has_one_gateway() {
    let origin = origin().await;
    let documents = Documents::from(plain(&origin));
    let gateway = Gateway::start(&documents, Options::default()).await;
    let options = Options { folder: Some(gateway.folder()), ..Options::default() };
    let refused = Gateway::try_start(&documents, options).await.unwrap_err();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("upgrade it with `--upgrade`"), "{}", refused.stderr);
    assert_eq!(ask(&gateway).await, 200);
}
