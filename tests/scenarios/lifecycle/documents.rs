//! Documents that change while they are served: all or nothing, and the last good revision stays in force.

use std::{fs, os::unix::fs::symlink, path::Path};

use portcullis_tests::harness::{Documents, Gateway, Options, Origin, RawClient, Signal, eventually, pki::Authority};
use serde_json::Value;

use super::{HOST, backend, both, edge, get, load, origin, plain, route};

async fn ask(gateway: &Gateway) -> (u16, String) {
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    let answer = client.exchange(get("/")).await;
    (answer.status, answer.text())
}

async fn saying(text: &str) -> Origin {
    Origin::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())).await
}

#[tokio::test]
async fn no_request_fails_while_documents_change() {
    let (first, second) = (origin().await, origin().await);
    let identity = Authority::new("test").server(&[HOST]);
    let options = Options { workers: 2, ..Options::default() };
    let gateway = Gateway::start(&both(&first, &identity).into(), options).await;
    let load = load(&gateway).await;
    for round in 0..6 {
        // Another backend, a route more, a listener's port more.
        let origin = if round % 2 == 0 { &second } else { &first };
        let extra = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: round-{round}}}\ndata: {{}}\n");
        gateway.rewrite(&(both(origin, &identity) + &extra).into()).await;
        load.more().await;
    }
    assert!(load.end().await > 100, "this was a load");
    assert!(!first.seen().is_empty() && !second.seen().is_empty());
}

#[tokio::test]
async fn folders_are_read_recursively_and_links_are_followed_when_they_are_swapped() {
    let (first, second) = (saying("first").await, saying("second").await);
    let gateway = Gateway::start(&plain(&first).into(), Options::default()).await;
    // As a volume of Kubernetes: files are links into `..data`, which is a link that is swapped as a whole.
    let volume = gateway.config().join("mounted/below");
    let version = |name: &str, origin: &Origin| {
        fs::create_dir_all(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("all.yaml"), plain(origin)).unwrap();
    };
    version("..2026_1", &first);
    symlink("..2026_1", volume.join("..data")).unwrap();
    symlink("..data/all.yaml", volume.join("all.yaml")).unwrap();
    fs::remove_file(gateway.config().join("documents.yaml")).unwrap();
    let revision = gateway.snapshot().await["revision"].clone();
    let from_volume = |page: &Value| page["documents"][0]["location"].as_str().unwrap_or_default().contains("mounted");
    eventually("the volume is read", async || from_volume(&gateway.snapshot().await)).await;
    assert_eq!(gateway.snapshot().await["revision"], revision, "the same documents are the same revision");
    assert_eq!(ask(&gateway).await, (200, "first".to_owned()));

    version("..2026_2", &second);
    symlink("..2026_2", volume.join("..next")).unwrap();
    fs::rename(volume.join("..next"), volume.join("..data")).unwrap();
    fs::remove_dir_all(volume.join("..2026_1")).unwrap();
    eventually("the swap is noticed", async || gateway.snapshot().await["revision"] != revision).await;
    assert_eq!(ask(&gateway).await, (200, "second".to_owned()));
    assert_eq!(gateway.snapshot().await["state"], "current");
}

#[tokio::test]
async fn a_hangup_reads_again() {
    let origin = origin().await;
    let gateway = Gateway::start(&plain(&origin).into(), Options::default()).await;
    gateway.signal(Signal::HUP);
    let unchanged = ["outcome=\"unchanged\""];
    eventually("a hangup reloads", async || gateway.metric("portcullis_config_reloads_total", &unchanged).await == 1.0)
        .await;
    assert_eq!(gateway.metric("portcullis_config_reloads_total", &[]).await, 1.0, "nothing else was a reason to");
    assert_eq!(ask(&gateway).await.0, 200);
}

/// Hostile row B38: whatever is wrong with the documents, the last good revision serves, and says so everywhere.
#[tokio::test]
async fn whatever_is_wrong_the_last_good_revision_stays_in_force() {
    let origin = origin().await;
    let good = || Documents::from(plain(&origin));
    let gateway = Gateway::start(&good(), Options::default()).await;
    let revision = gateway.snapshot().await["revision"].clone();
    let text = plain(&origin);
    let wrongs = [
        ("an unknown key", Documents::from(text.replace("backendRefs", "backendRevs")), "did you mean `backendRefs`?"),
        ("broken YAML", Documents::from(text.replace("spec:", "spec: [")), "documents.yaml"),
        ("an empty file", Documents::from(""), "no documents"),
        ("an empty folder", Documents::new(), "no documents"),
        ("only strangers' documents", Documents::from(FOREIGN), "no document of a kind that Portcullis reads"),
        ("a backend that is gone", Documents::from(text.replacen("name: main}", "name: mian}", 1)), "mian"),
        ("a guard that would match everywhere", good().with("guardrails.yaml", GUARDRAIL), "matches the empty text"),
        ("bytes that are no text", good().with("binary.yaml", "\u{0}\u{1}"), "binary.yaml"),
        (
            "a route open to nobody",
            Documents::from(text.replace("kind: AccessPolicy", "kind: AccessPolice")),
            "AccessPolic",
        ),
    ];
    for (number, (what, documents, expected)) in wrongs.into_iter().enumerate() {
        let error = gateway.rewrite_refused(&documents).await;
        assert!(error.contains(expected), "{what}: {error}");
        assert_eq!(gateway.snapshot().await["revision"], revision, "{what}");
        let (status, page) = gateway.page("/readyz").await;
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!((status, &page["state"], &page["ready"]), (200, &"stale".into(), &true.into()), "{what}");
        assert!(page["error"].as_str().unwrap().contains(expected), "{what}: {page}");
        assert_eq!(gateway.metric("portcullis_config_stale", &[]).await, 1.0, "{what}");
        let refused = gateway.metric("portcullis_config_reloads_total", &["refused"]).await;
        assert_eq!(refused, number as f64 + 1.0, "{what}");
        assert_eq!(ask(&gateway).await.0, 200, "{what}");

        gateway.write(&good());
        eventually("good documents are good again", async || gateway.snapshot().await["state"] == "current").await;
        assert_eq!(gateway.snapshot().await["error"], Value::Null);
        assert_eq!(gateway.metric("portcullis_config_stale", &[]).await, 0.0);
    }
    let line = gateway.logged(|line| line["level"] == "ERROR").await;
    assert!(line["message"].as_str().unwrap().contains("did you mean `backendRefs`?"), "{line}");
    assert_eq!(line["revision"], revision);
}

const FOREIGN: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {}}";

const GUARDRAIL: &str = "apiVersion: portcullis.dev/v1alpha1
kind: GuardrailPolicy
metadata: {name: all}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: all}]
  input: [{name: numbers, patterns: [{name: star, regex: '[0-9]*'}], action: Block}]
";

#[tokio::test]
async fn a_deleted_file_takes_its_documents_with_it() {
    let origin = origin().await;
    let open = edge("[{name: http, protocol: HTTP, port: 80}]");
    let whole =
        Documents::from(open).with("route.yaml", route("all", "edge", "main") + &backend("main", origin.address()));
    let gateway = Gateway::start(&whole, Options::default()).await;
    assert_eq!(ask(&gateway).await.0, 200);
    let before = gateway.snapshot().await["revision"].clone();
    fs::remove_file(gateway.config().join("route.yaml")).unwrap();
    eventually("the deletion is noticed", async || gateway.snapshot().await["revision"] != before).await;
    assert_eq!(ask(&gateway).await.0, 404);
}

#[tokio::test]
async fn documents_that_are_wrong_from_the_start_end_the_process_with_1() {
    let origin = origin().await;
    let documents = Documents::from(plain(&origin).replace("backendRefs", "backendRevs"));
    let refused = Gateway::try_start(&documents, Options::default()).await.unwrap_err();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("did you mean `backendRefs`?"), "{}", refused.stderr);
    let options = Options { arguments: vec!["--config".to_owned(), "/nowhere".to_owned()], ..Options::default() };
    let refused = Gateway::try_start(&plain(&origin).into(), options).await.unwrap_err();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("/nowhere"), "{}", refused.stderr);
    assert!(!Path::new("/nowhere").exists());
}
