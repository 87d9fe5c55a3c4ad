//! A second set of documents beside the first: asked about every decision, counted and logged, and never heeded.

use std::{fs, path::Path, time::Instant};

use portcullis_tests::harness::{Documents, Gateway, Options, Origin, RawClient, Signal, eventually};
use serde_json::Value;

use super::keyed::{Keyed, ROLES};
use crate::{edge::request, texts};

const CHAT: &str = "/v1/chat/completions";

/// Alice may use the large model too, and bob may no longer.
const OTHERS: &str = "
- {name: small, rules: [{routes: ['*'], actions: [infer, list-models], models: ['small-*', large]}], users: [alice]}
- {name: all, rules: [{routes: ['*'], actions: ['*']}], users: [bob]}
- {name: none, rules: [{effect: Deny, routes: ['*'], actions: ['*'], models: [large]}], users: [bob]}
";

fn chat(model: &str) -> String {
    format!(r#"{{"model": "{model}", "messages": []}}"#)
}

/// How many decisions came to this, by the first set and by the second.
async fn decisions(gateway: &Gateway, live: &str, shadow: &str) -> f64 {
    let labels = [format!("live=\"{live}\""), format!("shadow=\"{shadow}\"")];
    gateway.metric("portcullis_shadow_decisions_total", &[&labels[0], &labels[1]]).await
}

fn differs(line: &Value) -> bool {
    line["message"] == "shadow differs"
}

/// The line of a document that a log names first: `… (FILE:LINE:COLUMN) …`. `within`: the folder that it must be in.
fn named_line(said: &Value, within: &Path) -> String {
    let said = said.as_str().unwrap();
    let (_, at) = said.rsplit_once('(').unwrap();
    let [file, line, _column] = at.trim_end_matches(')').splitn(3, ':').collect::<Vec<_>>()[..] else {
        panic!("no line in {said}")
    };
    assert!(Path::new(file).starts_with(within), "{said} is not in {}", within.display());
    let text = fs::read_to_string(file).unwrap();
    text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap().to_owned()
}

async fn shadow_state(gateway: &Gateway) -> Value {
    gateway.snapshot().await["shadow"]["state"].clone()
}

#[tokio::test]
async fn the_first_set_decides_and_differences_are_counted_and_logged_with_both_rules() {
    let keyed = Keyed::start_beside(ROLES, OTHERS).await;
    let (alice, bob, gateway) = (keyed.key("alice"), keyed.key("bob"), &keyed.gateway);
    let (config, shadow) = (gateway.config(), keyed.shadow());

    assert_eq!(keyed.post(CHAT, alice, &chat("small-1")).await.status, 200);
    let gain = keyed.post(CHAT, alice, &chat("large")).await;
    assert_eq!(gain.status, 403);
    let loss = keyed.post(CHAT, bob, &chat("large")).await;
    assert_eq!(loss.status, 200);
    assert_eq!(keyed.post("/v1/load_lora_adapter", alice, &chat("small-1")).await.status, 403);
    assert_eq!(keyed.post(CHAT, alice, &chat("small-9")).await.status, 404);
    assert_eq!(keyed.origin.seen().len(), 2, "what the second set allows does not reach the backend");

    for (live, shadow, expected) in [
        ("allow", "allow", 1.0),
        ("deny", "allow", 1.0),
        ("allow", "deny", 1.0),
        ("deny", "deny", 1.0),
        ("not-served", "not-served", 1.0),
    ] {
        assert_eq!(decisions(gateway, live, shadow).await, expected, "{live} {shadow}");
    }
    assert_eq!(gateway.metric("portcullis_shadow_decisions_total", &["route=\"default/route-v1\""]).await, 5.0);
    assert_eq!(gateway.metric("portcullis_shadow_differences_unlogged_total", &[]).await, 0.0);

    let gained = gateway.logged(|line| differs(line) && line["live"] == "deny").await;
    assert_eq!(gained["level"], "WARN");
    for (field, expected) in [
        ("route", "HTTPRoute default/route-v1"),
        ("rule", "rule 0"),
        ("provider", "IdentityProvider default/keys"),
        ("caller", "alice"),
        ("action", "infer"),
        ("model", "large"),
        ("shadow", "allow"),
        ("request_id", gain.header("x-request-id").unwrap()),
    ] {
        assert_eq!(gained[field], expected, "{field} of {gained}");
    }
    assert!(gained["live_by"].as_str().unwrap().starts_with("no role allows it, says AccessPolicy default/open"));
    assert!(named_line(&gained["live_by"], &config).contains("providers: [keys]"));
    assert!(gained["shadow_by"].as_str().unwrap().starts_with("RoleBinding default/small ("), "{gained}");
    assert!(named_line(&gained["shadow_by"], &shadow).contains(r#""small-*","large""#));

    let lost = gateway.logged(|line| differs(line) && line["shadow"] == "deny").await;
    assert_eq!((&lost["caller"], &lost["live"]), (&"bob".into(), &"allow".into()), "{lost}");
    assert_eq!(lost["request_id"], loss.header("x-request-id").unwrap());
    assert!(lost["live_by"].as_str().unwrap().contains("Role default/all ("), "{lost}");
    assert!(named_line(&lost["live_by"], &config).contains(r#""actions":["*"]"#));
    assert!(lost["shadow_by"].as_str().unwrap().contains("Role default/none ("), "{lost}");
    assert!(named_line(&lost["shadow_by"], &shadow).contains(r#""effect":"Deny""#));
    assert_eq!(gateway.stderr().matches("shadow differs").count(), 2, "what does not differ is not logged");
    assert!(!gateway.stderr().contains(alice), "credentials are not logged");
}

#[tokio::test]
async fn a_rule_that_the_second_set_lacks_is_a_difference_and_so_is_a_door_that_it_closes() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let backend = texts::inference("llm", "openai", &[origin.address()], "  models: [small-1]\n");
    let live = texts::PLAIN_GATEWAY.to_owned()
        + &backend
        + &texts::inference_route("/v1", "llm", "")
        + &texts::inference_route("/v1/embeddings", "llm", "");
    let second = texts::PLAIN_GATEWAY.replace("{anonymous: {actions: ['*']}}", "{providers: [sso]}")
        + "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {name: sso}\nspec: {oidc: {issuer: \
           'https://127.0.0.1:1', audiences: [edge]}}\n---\n"
        + &backend
        + &texts::inference_route("/v1", "llm", "");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("next.yaml");
    fs::write(&file, second).unwrap();
    let arguments = vec!["--shadow".to_owned(), file.to_str().unwrap().to_owned()];
    let gateway = Gateway::start(&live.into(), Options { arguments, ..Options::default() }).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    let json = "content-type: application/json\r\n";
    for path in [CHAT, "/v1/embeddings"] {
        assert_eq!(
            client.exchange(request("POST", "llm.test", path, json, &chat("small-1"))).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(decisions(&gateway, "allow", "deny").await, 1.0);
    assert_eq!(decisions(&gateway, "allow", "no-rule").await, 1.0);
    let closed = gateway.logged(|line| differs(line) && line["shadow"] == "deny").await;
    assert!(
        closed["shadow_by"].as_str().unwrap().starts_with("authentication required, says AccessPolicy default/open")
    );
    assert_eq!((&closed["caller"], &closed["provider"]), (&Value::Null, &Value::Null), "nobody was asked: {closed}");
    assert!(named_line(&closed["live_by"], &gateway.config()).contains("anonymous"));
    let gone = gateway.logged(|line| differs(line) && line["shadow"] == "no-rule").await;
    assert_eq!(gone["route"], "HTTPRoute default/route-v1-embeddings", "{gone}");
}

#[tokio::test]
async fn a_second_set_that_cannot_be_used_refuses_the_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let broken = folder.path().join("broken.yaml");
    fs::write(&broken, texts::PLAIN_GATEWAY.replace("listeners:", "listners:")).unwrap();
    let strange = folder.path().join("strange.yaml");
    fs::write(&strange, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {}}").unwrap();
    let missing = folder.path().join("missing");
    let documents = Documents::from(texts::PLAIN_GATEWAY);
    for (path, expected) in [(broken, "did you mean `listeners`?"), (strange, "no document"), (missing, "missing")] {
        let arguments = vec!["--shadow".to_owned(), path.to_str().unwrap().to_owned()];
        let started = Gateway::try_start(&documents, Options { arguments, ..Options::default() }).await;
        let refused = started.err().unwrap_or_else(|| panic!("it starts with {}", path.display()));
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("--shadow") && refused.stderr.contains(expected), "{}", refused.stderr);
    }
    let gateway = Gateway::start(&documents, Options::default()).await;
    assert_eq!(gateway.snapshot().await["shadow"], Value::Null, "there need be none");
    assert!(!gateway.metrics().await.contains("portcullis_shadow_stale"));
}

#[tokio::test]
async fn one_that_breaks_later_is_stale_and_the_last_good_one_is_asked() {
    let keyed = Keyed::start_beside(ROLES, OTHERS).await;
    let (alice, gateway) = (keyed.key("alice"), &keyed.gateway);
    let before = gateway.snapshot().await;
    assert_eq!((&before["shadow"]["state"], &before["shadow"]["error"]), (&"current".into(), &Value::Null));
    assert_eq!(gateway.metric("portcullis_shadow_stale", &[]).await, 0.0);

    let break_it = |text: &str| text.replace("roleRef", "rolRef");
    let remove_it = || fs::remove_dir_all(keyed.shadow()).unwrap();
    let changes: [(&dyn Fn(), &str); 2] =
        [(&|| keyed.write_shadow(OTHERS, break_it), "did you mean `roleRef`?"), (&remove_it, "shadow")];
    for (at, (change, expected)) in (1..).zip(changes) {
        change();
        eventually("the second set is stale", async || shadow_state(gateway).await == "stale").await;
        let now = gateway.snapshot().await;
        assert!(now["shadow"]["error"].as_str().unwrap().contains(expected), "{}", now["shadow"]);
        assert_eq!(now["shadow"]["revision"], before["shadow"]["revision"]);
        assert_eq!((&now["state"], &now["error"]), (&"current".into(), &Value::Null), "the first is what it was");
        assert_eq!(gateway.metric("portcullis_shadow_stale", &[]).await, 1.0);
        assert_eq!(gateway.metric("portcullis_config_stale", &[]).await, 0.0);
        gateway.logged(|line| line["level"] == "ERROR" && line["message"].as_str().unwrap().contains(expected)).await;
        assert_eq!(keyed.post(CHAT, alice, &chat("large")).await.status, 403);
        assert_eq!(decisions(gateway, "deny", "allow").await, f64::from(at), "the last good one is asked");

        keyed.write_shadow(OTHERS, str::to_owned);
        eventually("the second set is good again", async || shadow_state(gateway).await == "current").await;
        assert_eq!(gateway.metric("portcullis_shadow_stale", &[]).await, 0.0);
    }
    assert_eq!(gateway.metric("portcullis_config_reloads_total", &[]).await, 0.0, "the first was not read again");
}

#[tokio::test]
async fn each_set_follows_its_own_files() {
    let keyed = Keyed::start_beside(ROLES, OTHERS).await;
    let (alice, gateway) = (keyed.key("alice"), &keyed.gateway);
    let ask = async || keyed.post(CHAT, alice, &chat("large")).await.status;
    assert_eq!((ask().await, decisions(gateway, "deny", "allow").await), (403, 1.0));

    let revisions = async || {
        let page = gateway.snapshot().await;
        (page["revision"].clone(), page["shadow"]["revision"].clone())
    };
    let (first, second) = revisions().await;
    keyed.write_shadow(ROLES, str::to_owned);
    eventually("another second set", async || revisions().await.1 != second).await;
    assert_eq!(revisions().await, (first.clone(), first.clone()), "the first stays, and both say the same now");
    assert_eq!((ask().await, decisions(gateway, "deny", "deny").await), (403, 1.0));
    assert_eq!(gateway.metric("portcullis_config_reloads_total", &[]).await, 0.0, "the first was not read again");

    keyed.roles(OTHERS).await;
    assert_eq!((ask().await, decisions(gateway, "allow", "deny").await), (200, 1.0));
    assert_eq!(revisions().await, (second.clone(), first), "now they have changed places");

    // A signal reads both again.
    let read = gateway.stderr().matches("shadow set read").count();
    gateway.signal(Signal::HUP);
    eventually("the second set is read", async || gateway.stderr().matches("shadow set read").count() > read).await;
}

#[tokio::test]
async fn beyond_so_many_a_second_differences_are_counted_and_not_logged() {
    const REQUESTS: usize = 60;
    const LOGS_PER_SECOND_MAX: usize = 10;
    let keyed = Keyed::start_beside(ROLES, OTHERS).await;
    let headers = format!("content-type: application/json\r\nauthorization: Bearer {}\r\n", keyed.key("alice"));
    let request = request("POST", "llm.test", CHAT, &headers, &chat("large"));
    let mut client = RawClient::connect(keyed.address).await;
    let began = Instant::now();
    for _ in 0..REQUESTS {
        assert_eq!(client.exchange(&request).await.status, 403);
    }
    let seconds = began.elapsed().as_secs() as usize;
    let gateway = &keyed.gateway;
    assert_eq!(decisions(gateway, "deny", "allow").await, REQUESTS as f64);
    let unlogged = gateway.metric("portcullis_shadow_differences_unlogged_total", &[]).await as usize;
    let logged = || gateway.stderr().matches("shadow differs").count();
    eventually("what is logged has been written", async || logged() == REQUESTS - unlogged).await;
    assert!((LOGS_PER_SECOND_MAX..=LOGS_PER_SECOND_MAX * (seconds + 2)).contains(&logged()), "{}", logged());
}
