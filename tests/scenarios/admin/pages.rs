//! The admin pages.

use portcullis_tests::harness::{Options, Origin, RawClient, eventually, pki::Authority};
use serde_json::Value;

use crate::edge::{Edge, http_route, inference_backend, named, service, to_inference};

/// A gateway, and the origin behind it.
async fn edge() -> (Edge, Origin) {
    let origin = named("here").await;
    let documents = [
        http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("main"))),
        inference_backend("main", "openai", origin.address(), ""),
    ];
    (Edge::start(&documents).await, origin)
}

async fn json(edge: &Edge, page: &str) -> Value {
    let (status, text) = edge.gateway.page(page).await;
    assert_eq!(status, 200, "{page}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{page}: {error} in {text}"))
}

#[tokio::test]
async fn each_page_says_what_it_is_asked() {
    let (edge, _origin) = edge().await;
    assert_eq!(json(&edge, "/livez").await["live"], true);
    let ready = json(&edge, "/readyz").await;
    assert_eq!((&ready["ready"], &ready["state"], &ready["error"]), (&true.into(), &"current".into(), &Value::Null));
    let endpoints = json(&edge, "/endpoints").await;
    let backend = &endpoints["backends"][0];
    assert_eq!(backend["name"], "InferenceBackend default/main");
    assert_eq!((&backend["panic"], &backend["endpoints"][0]["state"]), (&false.into(), &"ready".into()));
    let (status, index) = edge.gateway.page("/").await;
    assert_eq!(status, 200);
    for page in ["/livez", "/readyz", "/metrics", "/snapshot", "/endpoints"] {
        assert!(index.contains(page), "{index}");
    }
}

#[tokio::test]
async fn the_snapshot_has_the_conditions_of_every_document() {
    let documents = [
        http_route("good", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("main"))),
        http_route("lost", "rules: [{matches: [{path: {value: /lost}}], backendRefs: [{name: nowhere, port: 80}]}]"),
        inference_backend("main", "openai", "127.0.0.1:9".parse().unwrap(), ""),
        service("idle", "127.0.0.1:9".parse().unwrap()),
    ];
    let edge = Edge::start_with(&documents, Options { serve_unresolved: true, ..Options::default() }).await;
    let snapshot = edge.gateway.snapshot().await;
    assert_eq!(snapshot["revision"].as_str().map(str::len), Some(16));
    assert_eq!(snapshot["state"], "current");
    let listener = &snapshot["listeners"][0];
    assert_eq!((&listener["id"], &listener["port"]), (&"default/edge/http".into(), &80.into()));
    assert_eq!(listener["bound"][0], edge.address.to_string());
    let of = |kind: &str, name: &str| {
        let documents = snapshot["documents"].as_array().unwrap();
        let found = documents.iter().find(|document| document["kind"] == kind && document["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name} in {snapshot:#}")).clone()
    };
    let condition = |conditions: &Value, kind: &str| {
        let found = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == kind);
        let condition = found.unwrap_or_else(|| panic!("no {kind} in {conditions:#}"));
        (condition["status"].as_str().unwrap().to_owned(), condition["reason"].as_str().unwrap().to_owned())
    };
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    let gateway = of("Gateway", "edge");
    assert_eq!(condition(&gateway["conditions"], "Accepted"), is("True", "Accepted"));
    assert_eq!(condition(&gateway["conditions"], "Programmed"), is("True", "Programmed"));
    assert_eq!(gateway["listeners"][0]["attachedRoutes"], 2);
    let good = of("HTTPRoute", "good");
    assert_eq!(condition(&good["parents"][0]["conditions"], "Accepted"), is("True", "Accepted"));
    assert_eq!(condition(&good["parents"][0]["conditions"], "ResolvedRefs"), is("True", "ResolvedRefs"));
    assert!(good["location"].as_str().unwrap().contains("documents.yaml:"), "{good}");
    let lost = of("HTTPRoute", "lost");
    assert_eq!(condition(&lost["parents"][0]["conditions"], "ResolvedRefs"), is("False", "BackendNotFound"));
    of("Service", "idle");
    of("InferenceBackend", "main");
}

#[tokio::test]
async fn the_pages_only_tell() {
    let (edge, _origin) = edge().await;
    let mut client = RawClient::connect(edge.gateway.admin()).await;
    let answer = client.exchange("GET /nothing HTTP/1.1\r\nhost: admin\r\n\r\n").await;
    assert_eq!(answer.status, 404);
    client.send("HEAD /livez HTTP/1.1\r\nhost: admin\r\n\r\n").await;
    assert_eq!(client.answer_to_head().await.status, 200);
    let answer = client.exchange("POST /livez HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn secrets_are_on_no_page_and_in_no_log() {
    let origin = named("here").await;
    let identity = Authority::new("test").server(&["edge.test"]);
    let documents = [
        http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("main"))),
        inference_backend("main", "openai", origin.address(), ""),
        format!("---\n{}", identity.secret("default", "pair")),
    ];
    let options =
        Options { environment: vec![("PORTCULLIS_LOG".to_owned(), "debug".to_owned())], ..Options::default() };
    let edge = Edge::start_with(&documents, options).await;
    let credential = "very-secret-credential";
    let header = format!("authorization: Bearer {credential}\r\n");
    assert_eq!(edge.get("edge.test", "/", &header).await.status, 200);
    let key_line = identity.key_pem.lines().nth(1).unwrap();
    for page in ["/readyz", "/snapshot", "/metrics", "/endpoints"] {
        let (_, text) = edge.gateway.page(page).await;
        assert!(!text.contains(key_line) && !text.contains(credential), "{page}");
    }
    let log = edge.gateway.stderr();
    assert!(!log.contains(key_line) && !log.contains(credential), "{log}");
}

#[tokio::test]
async fn every_line_of_the_log_is_one_json_object() {
    let (edge, _origin) = edge().await;
    edge.gateway.write(&"kind: [".into());
    edge.gateway.logged(|line| line["level"] == "ERROR").await;
    eventually("lines are written", async || edge.gateway.stderr().lines().count() >= 2).await;
    for line in edge.gateway.stderr().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
    }
}
