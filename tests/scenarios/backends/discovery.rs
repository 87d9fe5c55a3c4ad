//! Where endpoints are found: written down, by DNS, in EndpointSlices.

use std::collections::BTreeMap;

use portcullis_tests::harness::eventually;

use super::{all_to, get, named, nobody, started, tally};
use crate::texts;

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn written_endpoints_are_all_used() {
    let (one, two, three) = (named("one").await, named("two").await, named("three").await);
    let (_gateway, address) = started(&all_to(&[one.address(), two.address(), three.address()], "")).await;
    assert_eq!(tally(address, 30).await, counts(&[("one", 10), ("two", 10), ("three", 10)]));
}

#[tokio::test]
async fn dns_names_are_resolved() {
    let origin = named("by name").await;
    let endpoints = format!("  - {{address: localhost, port: {}}}\n", origin.address().port());
    let documents = texts::inference_at("llm", "openai", &endpoints, "") + &texts::inference_route("/", "llm", "");
    let (gateway, address) = started(&documents).await;
    eventually("the name is resolved", async || get(address, "/x").await.status == 200).await;
    assert_eq!(get(address, "/x").await.text(), "by name");
    let page = gateway.endpoints().await;
    assert_eq!(page["backends"][0]["endpoints"][0]["name"], "localhost", "{page:#}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_of_and_hurts_nobody_else() {
    let origin = named("there").await;
    let port = origin.address().port();
    let endpoints =
        format!("  - {{address: nowhere.invalid, port: {port}}}\n  - {{address: 127.0.0.1, port: {port}}}\n");
    let documents = texts::inference_at("llm", "openai", &endpoints, "")
        + &texts::inference_at("gone", "openai", &format!("  - {{address: nowhere.invalid, port: {port}}}\n"), "")
        + &texts::inference_route("/", "llm", "")
        + &texts::inference_route("/gone", "gone", "");
    let (gateway, address) = started(&documents).await;
    assert_eq!(tally(address, 5).await, counts(&[("there", 5)]));
    let unresolved = get(address, "/gone").await;
    assert_eq!(unresolved.status, 503);
    assert!(unresolved.header("retry-after").is_some());
    assert!(gateway.endpoints().await.to_string().contains("nowhere.invalid"));
}

#[tokio::test]
async fn of_slices_only_ready_endpoints_are_used() {
    let (ready, unsaid) = (named("ready").await, named("unsaid").await);
    let (unready, leaving) = (named("unready").await, named("leaving").await);
    let documents = texts::service("app", "", &[])
        + &texts::slice("app-1", "app", ready.address(), "ready: true, serving: true")
        + &texts::slice("app-2", "app", unsaid.address(), "")
        + &texts::slice("app-3", "app", unready.address(), "ready: false")
        + &texts::slice("app-4", "app", leaving.address(), "ready: false, serving: true, terminating: true")
        // Another Service's.
        + &texts::slice("other-1", "other", unready.address(), "ready: true")
        + &texts::route("/", "app", "");
    let (_gateway, address) = started(&documents).await;
    assert_eq!(tally(address, 20).await, counts(&[("ready", 10), ("unsaid", 10)]));
}

#[tokio::test]
async fn when_all_are_leaving_those_that_still_serve_are_used() {
    let (serving, dead) = (named("serving").await, named("dead").await);
    let documents = texts::service("app", "", &[])
        + &texts::slice("app-1", "app", serving.address(), "ready: false, serving: true, terminating: true")
        + &texts::slice("app-2", "app", dead.address(), "ready: false, serving: false, terminating: true")
        + &texts::slice("app-3", "app", dead.address(), "ready: false, serving: false")
        + &texts::route("/", "app", "");
    let (_gateway, address) = started(&documents).await;
    assert_eq!(tally(address, 10).await, counts(&[("serving", 10)]));
}

#[tokio::test]
async fn a_service_without_ready_endpoints_is_unavailable() {
    let unready = named("unready").await;
    let documents = texts::service("app", "", &[])
        + &texts::slice("app-1", "app", unready.address(), "ready: false")
        + &texts::service("empty", "", &[]).replace("spec: {ports", "spec: {clusterIP: None, ports")
        + &texts::route("/", "app", "")
        + &texts::route("/empty", "empty", "");
    let (_gateway, address) = started(&documents).await;
    for path in ["/", "/empty"] {
        let answer = get(address, path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.header("retry-after").is_some());
    }
    assert!(unready.seen().is_empty());
}

#[tokio::test]
async fn ports_are_found_by_their_names() {
    let (web, admin) = (named("web").await, named("admin").await);
    let documents = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: app}}\nspec: {{clusterIP: None, ports: [{{name: web, port: 80, \
         targetPort: web}}, {{name: admin, port: 81}}]}}\n---\napiVersion: discovery.k8s.io/v1\nkind: \
         EndpointSlice\nmetadata: {{name: app-1, labels: {{kubernetes.io/service-name: app}}}}\naddressType: IPv4\nports: \
         [{{name: admin, port: {}}}, {{name: web, port: {}}}]\nendpoints: [{{addresses: [127.0.0.1]}}]\n---\n{}{}{}",
        admin.address().port(),
        web.address().port(),
        texts::service("app", "", &[]).split("---\n").next().unwrap().to_owned() + "---\n",
        texts::route("/", "app", ""),
        texts::route("/admin", "app", "").replace("port: 80", "port: 81"),
    );
    let (_gateway, address) = started(&documents).await;
    assert_eq!(get(address, "/x").await.text(), "web");
    assert_eq!(get(address, "/admin").await.text(), "admin");
}

#[tokio::test]
async fn a_service_without_slices_is_asked_at_its_own_address() {
    let origin = named("cluster").await;
    let port = origin.address().port();
    let documents = texts::service("app", "", &[])
        .replace("spec: {ports: [{port: 80", &format!("spec: {{clusterIP: 127.0.0.1, ports: [{{port: {port}"))
        + &texts::service("outside", "", &[]).replace(
            "spec: {ports: [{port: 80",
            &format!("spec: {{type: ExternalName, externalName: localhost, ports: [{{port: {port}"),
        )
        + &texts::route("/", "app", "").replace("port: 80", &format!("port: {port}"))
        + &texts::route("/outside", "outside", "").replace("port: 80", &format!("port: {port}"));
    let (_gateway, address) = started(&documents).await;
    assert_eq!(get(address, "/x").await.text(), "cluster");
    eventually("the name is resolved", async || get(address, "/outside").await.status == 200).await;
}

#[tokio::test]
async fn an_endpoint_in_two_slices_is_one_endpoint() {
    let (one, two) = (named("one").await, named("two").await);
    let documents = texts::service("app", "", &[one.address(), two.address(), one.address(), one.address()])
        + &texts::route("/", "app", "");
    let (gateway, address) = started(&documents).await;
    assert_eq!(tally(address, 20).await, counts(&[("one", 10), ("two", 10)]));
    assert_eq!(gateway.endpoints().await["backends"][0]["endpoints"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_inference_backend_may_stand_on_a_service() {
    let (one, gone) = (named("one").await, nobody().await);
    let documents = texts::service("app", "", &[])
        + &texts::slice("app-1", "app", one.address(), "")
        + &texts::slice("app-2", "app", gone, "ready: false")
        + "apiVersion: portcullis.dev/v1alpha1\nkind: InferenceBackend\nmetadata: {name: llm}\nspec:\n  protocol: openai\n  \
           transport: {plaintext: {}}\n  serviceRef: {name: app, port: 80}\n---\n"
        + &texts::inference_route("/", "llm", "");
    let (_gateway, address) = started(&documents).await;
    assert_eq!(tally(address, 6).await, counts(&[("one", 6)]));
}
