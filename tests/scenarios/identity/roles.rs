//! What callers may: by route, action, model and condition, over the wire.

use portcullis_tests::harness::{Answer, Origin, RawClient};
use serde_json::{Value, json};

use super::keyed::{Keyed, ROLES};
use crate::{edge::request, texts};

fn chat(model: &str) -> String {
    format!(r#"{{"model": "{model}", "messages": []}}"#)
}

fn code(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    (answer.status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn nobody_may_do_what_no_role_allows() {
    let keyed = Keyed::start(ROLES).await;
    let (alice, bob, carol) = (keyed.key("alice"), keyed.key("bob"), keyed.key("carol"));
    let denied = (403, "permission_denied".to_owned());
    assert_eq!(keyed.post(CHAT, alice, &chat("small-1")).await.status, 200);
    assert_eq!(code(&keyed.post(CHAT, alice, &chat("large")).await), denied);
    assert_eq!(keyed.post(CHAT, bob, &chat("large")).await.status, 200);
    assert_eq!(code(&keyed.post(CHAT, carol, &chat("small-1")).await), denied);
    // Somebody else's name for a model is no way around: the backend gets requests for what it serves.
    assert_eq!(code(&keyed.post(CHAT, alice, &chat("small-9")).await), (404, "model_not_found".to_owned()));
    // Without a model any of them could answer.
    assert_eq!(code(&keyed.post(CHAT, alice, r#"{"messages": []}"#).await), denied);
    assert_eq!(keyed.post(CHAT, bob, r#"{"messages": []}"#).await.status, 200);
    assert_eq!(keyed.origin.seen().len(), 3, "nothing else reached the backend");
    let [allowed, refused] = [r#"decision="allow""#, r#"decision="deny""#];
    let decisions = async |decision| keyed.gateway.metric("portcullis_authorizations_total", &[decision]).await;
    assert_eq!((decisions(allowed).await, decisions(refused).await), (3.0, 3.0));
}

#[tokio::test]
async fn what_denies_wins_over_what_allows() {
    let keyed = Keyed::start(ROLES).await;
    let bob = keyed.key("contractor");
    assert_eq!(keyed.post(CHAT, bob, &chat("large")).await.status, 403);
    assert_eq!(keyed.post(CHAT, bob, &chat("small-1")).await.status, 200);
    assert_eq!(keyed.post(CHAT, bob, r#"{"messages": []}"#).await.status, 403, "it might be the large one");
}

#[tokio::test]
async fn administration_is_never_inference() {
    let keyed = Keyed::start(ROLES).await;
    let alice = keyed.key("alice");
    for path in ["/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/unheard-of"] {
        let answer = keyed.post(path, alice, &chat("small-1")).await;
        assert_eq!(code(&answer), (403, "permission_denied".to_owned()), "{path}");
    }
    assert!(keyed.origin.seen().is_empty());
}

#[tokio::test]
async fn the_model_is_the_one_that_would_answer() {
    let keyed = Keyed::start(ROLES).await;
    let alice = keyed.key("alice");
    let send = async |headers: &str, body: &str| {
        let headers = format!("authorization: Bearer {alice}\r\n{headers}");
        code(&keyed.exchange(&request("POST", "llm.test", CHAT, &headers, body)).await)
    };
    let json = "content-type: application/json\r\n";
    let refused = |status, word: &str| (status, word.to_owned());
    let twice = r#"{"model": "small-1", "model": "large"}"#;
    assert_eq!(send(json, twice).await, refused(400, "duplicate_model"));
    assert_eq!(send(json, r#"{"model": "small-1", "Model": "large"}"#).await, refused(400, "ambiguous_model"));
    let claim = format!("{json}x-gateway-model-name: large\r\n");
    assert_eq!(send(&claim, &chat("small-1")).await, refused(400, "model_conflict"));
    // What cannot be read could name any model.
    assert_eq!(
        send(&format!("{json}content-encoding: gzip\r\n"), "x").await,
        refused(415, "content_encoding_unsupported")
    );
    assert_eq!(send("content-type: text/csv\r\n", "x").await, refused(415, "content_type_unsupported"));
    assert_eq!(send(json, "no json").await, refused(400, "invalid_json"));
    assert!(keyed.origin.seen().is_empty());
}

#[tokio::test]
async fn strangers_are_turned_away_before_their_body_is_read() {
    let keyed = Keyed::start(ROLES).await;
    let mut client = RawClient::connect(keyed.address).await;
    // The body never comes.
    client
        .send(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: llm.test\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
        ))
        .await;
    assert_eq!(code(&client.answer().await), (401, "authentication_required".to_owned()));
}

#[tokio::test]
async fn a_list_holds_the_models_that_the_caller_may_use() {
    let keyed = Keyed::start(ROLES).await;
    let (alice, bob, contractor) = (keyed.key("alice"), keyed.key("bob"), keyed.key("contractor"));
    let models = async |key: &str| -> Vec<String> {
        let list: Value = serde_json::from_str(&keyed.get("/v1/models", key).await.text()).unwrap();
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(models(alice).await, ["small-1"]);
    assert_eq!(models(bob).await, ["large", "small-1"]);
    assert_eq!(models(contractor).await, ["small-1"]);
    assert!(keyed.origin.seen().is_empty(), "the documents know the models");
}

#[tokio::test]
async fn a_backends_own_list_is_filtered() {
    let list = r#"{"object":"list","data":[{"id":"small-1","max_model_len":9},{"id":"large"},{"id":"small-2"}]}"#;
    let reply =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{list}", list.len());
    let origin = Origin::answering(reply).await;
    let backends =
        texts::inference("llm", "openai", &[origin.address()], "") + &texts::inference_route("/v1", "llm", "");
    let keyed = Keyed::before(origin, backends, ROLES).await;
    let alice = keyed.key("alice");
    let answer = keyed.get("/v1/models", alice).await;
    let shown = r#"{"object":"list","data":[{"id":"small-1","max_model_len":9},{"id":"small-2"}]}"#;
    assert_eq!((answer.status, answer.text().as_str()), (200, shown));
    assert_eq!(keyed.origin.seen()[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_refused() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n<html/>",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"data\":{\"large\":{}}}",
    ] {
        let origin = Origin::answering(reply).await;
        let backends =
            texts::inference("llm", "openai", &[origin.address()], "") + &texts::inference_route("/v1", "llm", "");
        let keyed = Keyed::before(origin, backends, ROLES).await;
        let alice = keyed.key("alice");
        let answer = keyed.get("/v1/models", alice).await;
        assert_eq!(answer.status, 502, "{reply}");
        assert!(!answer.text().contains("large"), "{reply}");
    }
}

#[tokio::test]
async fn conditions_are_about_every_value_of_a_header_and_where_a_caller_comes_from() {
    let roles = "
- name: teams
  users: [alice]
  rules:
  - {routes: ['*'], actions: ['*'], when: [{header: x-team, values: [red, blue]}, {source: [127.0.0.0/8]}]}
  - {effect: Deny, routes: ['*'], actions: ['*'], when: [{header: x-tier, values: [free]}]}
- {name: far, users: [bob], rules: [{routes: ['*'], actions: ['*'], when: [{source: [192.0.2.0/24]}]}]}
";
    let keyed = Keyed::start(roles).await;
    let (alice, bob) = (keyed.key("alice"), keyed.key("bob"));
    let status = async |key: &str, more: &str| {
        let headers = format!("content-type: application/json\r\nauthorization: Bearer {key}\r\n{more}");
        keyed.exchange(&request("POST", "llm.test", CHAT, &headers, &chat("large"))).await.status
    };
    for (more, expected) in [
        ("", 403),
        ("x-team: red\r\n", 200),
        ("x-team: red, blue\r\n", 200),
        ("x-team: red\r\nx-team: blue\r\n", 200),
        ("x-team: red, green\r\n", 403),
        ("x-team: red\r\nx-team: green\r\n", 403),
        ("x-team: \r\n", 403),
        ("x-team: red\r\nx-tier: paid, free\r\n", 403),
        ("x-team: red\r\nx-tier: paid\r\nx-tier: free\r\n", 403),
        ("x-team: red\r\nx-tier: paid\r\n", 200),
    ] {
        assert_eq!(status(alice, more).await, expected, "{more:?}");
    }
    assert_eq!(status(bob, "").await, 403);
}

#[tokio::test]
async fn credentials_do_not_reach_the_backend() {
    let keyed = Keyed::start(ROLES).await;
    let alice = keyed.key("alice");
    assert_eq!(keyed.post(CHAT, alice, &chat("small-1")).await.status, 200);
    let seen = keyed.origin.seen();
    assert_eq!((seen[0].header("authorization"), seen[0].header("x-api-key")), (None, None));
    assert_eq!(seen[0].header("x-gateway-model-name"), Some("small-1"));
}

#[tokio::test]
async fn the_record_says_who_it_was_and_who_said_so_and_shows_no_key() {
    let keyed = Keyed::start(ROLES).await;
    let key = keyed.key("alice");
    assert_eq!(keyed.get("/v1/models", key).await.status, 200);
    let line = keyed.gateway.logged(|line| line["message"] == "exchange of a known caller").await;
    assert_eq!((&line["caller"], &line["by"]), (&json!("alice"), &json!("api-key")), "{line}");
    assert_eq!(line["provider"], "IdentityProvider default/keys", "{line}");
    assert_eq!((&line["status"], &line["ending"]), (&json!(200), &json!("complete")), "{line}");
    assert!(!keyed.gateway.stderr().contains(key));
}
