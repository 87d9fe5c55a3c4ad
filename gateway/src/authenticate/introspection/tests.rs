#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use portcullis_policy::snapshot::{Algorithm, CacheTimes, GroupOverage, KeySource};
use serde_json::json;

use super::*;
use crate::fetch::testing::{self as issuer, Provider};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a secret of ours";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn spec() -> Spec {
    Spec {
        issuer: "https://id.corp.example".into(),
        keys: KeySource::Discovery,
        trust: None,
        audiences: vec!["https://llm.corp.example".into()],
        algorithms: vec![Algorithm::RS256],
        types: vec!["at+jwt".into()],
        clients: Vec::new(),
        user_claim: [Box::from("sub")].into(),
        groups_claim: None,
        age_max: Duration::from_hours(24),
        clock_skew: Duration::from_secs(30),
        introspection: None,
        proof_required: false,
        group_overage: GroupOverage::Refuse,
        cache: CacheTimes { fresh: Duration::from_secs(30), stale: Duration::from_hours(1) },
    }
}

/// What an issuer says of a credential that is good here.
fn good() -> Value {
    json!({"active": true, "iss": spec().issuer, "aud": "https://llm.corp.example", "sub": "alice", "client_id": "app",
        "scope": "ai.chat", "token_type": "Bearer", "exp": NOW + 300, "iat": NOW})
}

/// A value with one member changed, or taken away (`null`).
fn with(name: &str, member: Value) -> Value {
    let mut value = good();
    let object = value.as_object_mut().unwrap();
    match member {
        Value::Null => object.remove(name),
        member => object.insert(name.to_owned(), member),
    };
    value
}

/// A gateway that asks an issuer, on a runtime that has been lent.
struct Asking {
    spec: Spec,
    introspection: Arc<Introspection>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn secret(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    path
}

impl Asking {
    fn of(provider: &Provider, fresh: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = spec();
        spec.trust = Some(provider.trust());
        spec.cache.fresh = fresh;
        spec.introspection = Some(IntrospectionClient {
            endpoint: Some(provider.url("/introspect").into()),
            client_id: "gate way".into(),
            client_secret: secret(&folder, &format!("{SECRET}\n")),
        });
        let introspection = Arc::new(Introspection::new(&spec, None).unwrap().unwrap());
        let lent = Arc::clone(&introspection);
        Self { spec, introspection, task: tokio::spawn(async move { lent.run().await }), _folder: folder }
    }

    async fn judge(&self, credential: &str) -> Result<Introspected, Rejection> {
        self.introspection.judge(credential, &self.spec, None, at(NOW)).await
    }
}

/// What becomes of a credential of which an issuer says this.
async fn judged(said: Value) -> Result<Introspected, Rejection> {
    let provider = Provider::start(move |_| issuer::json(&said)).await;
    Asking::of(&provider, Duration::from_secs(30)).judge("opaque").await
}

fn invalid(word: Word) -> Result<Introspected, Rejection> {
    Err(Rejection::Invalid(word))
}

#[tokio::test]
async fn what_the_issuer_calls_good_is_good_and_it_is_asked_as_the_rfc_says() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    let introspected = asking.judge("an-opaque+credential").await.unwrap();
    assert_eq!(introspected.claims.get("sub"), Some(&json!("alice")));
    assert!(introspected.fresh > Duration::from_secs(20) && introspected.fresh <= Duration::from_secs(30));
    let requests = provider.requests();
    let request = requests.first().unwrap();
    assert!(request.starts_with("POST /introspect HTTP/1.1\r\n"), "{request}");
    // `gate%20way:a%20secret%20of%20ours`
    assert!(request.contains("authorization: Basic Z2F0ZSUyMHdheTphJTIwc2VjcmV0JTIwb2YlMjBvdXJz\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ntoken=an-opaque%2Bcredential&token_type_hint=access_token"), "{request}");
}

#[tokio::test]
async fn what_was_said_can_be_forgotten() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    for _ in 0..2 {
        assert!(asking.judge("opaque").await.is_ok());
    }
    assert_eq!(provider.requests().len(), 1);
    asking.introspection.forget();
    assert!(asking.judge("opaque").await.is_ok());
    assert_eq!(provider.requests().len(), 2);
}

#[tokio::test]
async fn what_is_not_active_is_refused() {
    assert_eq!(judged(json!({"active": false})).await, invalid("inactive"));
    assert_eq!(judged(with("active", json!(false))).await, invalid("inactive"));
}

#[tokio::test]
async fn an_answer_that_does_not_say_true_is_none() {
    for said in [
        with("active", json!("true")),
        with("active", json!(1)),
        with("active", json!([true])),
        with("active", Value::Null),
        json!([true]),
        json!("active"),
    ] {
        assert_eq!(judged(said.clone()).await, Err(Rejection::Unavailable("introspection_malformed")), "{said}");
    }
}

#[tokio::test]
async fn what_is_said_is_judged_as_claims_are() {
    for (name, value, word) in [
        ("iss", json!("https://evil.example"), "issuer"),
        ("iss", json!(["https://id.corp.example"]), "issuer"),
        ("aud", Value::Null, "audience"),
        ("aud", json!("https://other.corp.example"), "audience"),
        ("aud", json!({}), "audience"),
        ("exp", json!(NOW - 31), "expired"),
        ("exp", json!("later"), "time"),
        ("nbf", json!(NOW + 31), "not_yet"),
        ("iat", json!(NOW + 31), "issued_in_future"),
        ("iat", json!(NOW - 25 * 3600), "too_old"),
        ("client_id", json!(7), "client"),
        ("token_type", json!("N_A"), "type"),
        ("token_type", json!("DPoP"), "type"),
        ("token_type", json!(["Bearer"]), "type"),
        ("typ", json!("Refresh"), "type"),
        ("typ", json!("ID"), "type"),
    ] {
        assert_eq!(judged(with(name, value.clone())).await, invalid(word), "{name}: {value}");
    }
    let nobody = json!({"active": true, "aud": "https://llm.corp.example"});
    assert_eq!(judged(nobody).await, invalid("subject"));
}

#[tokio::test]
async fn what_need_not_be_said_may_be_left_out() {
    for (name, value) in [
        ("iss", Value::Null),
        ("exp", Value::Null),
        ("iat", Value::Null),
        ("token_type", Value::Null),
        ("token_type", json!("bearer")),
        ("typ", json!("Bearer")),
        ("exp", json!(NOW - 29)),
        ("nbf", json!(NOW + 30)),
    ] {
        assert!(judged(with(name, value.clone())).await.is_ok(), "{name}: {value}");
    }
    let client = judged(with("sub", Value::Null)).await.unwrap();
    assert_eq!(client.claims.get("sub"), Some(&json!("app")));
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_lets_nobody_in_and_nothing_is_remembered_of_it() {
    let huge = format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(INTROSPECTION_BYTES_MAX));
    let twice = r#"{"active":false,"active":true,"aud":"https://llm.corp.example","sub":"alice"}"#;
    for (status, body, word) in [
        ("401 Unauthorized", String::new(), "introspection_refused"),
        ("500 Broken", good().to_string(), "introspection_refused"),
        ("302 Found", String::new(), "introspection_failed"),
        ("200 OK", String::new(), "introspection_malformed"),
        ("200 OK", "<html>".to_owned(), "introspection_malformed"),
        ("200 OK", twice.to_owned(), "introspection_malformed"),
        ("200 OK", huge, "introspection_too_large"),
    ] {
        let provider = Provider::start(move |_| issuer::answer(status, "", &body)).await;
        let asking = Asking::of(&provider, Duration::from_secs(30));
        for round in 1..=2 {
            assert_eq!(asking.judge("opaque").await, Err(Rejection::Unavailable(word)), "{status}");
            assert_eq!(provider.requests().len(), round, "{status}");
        }
    }
}

#[tokio::test]
async fn an_issuer_that_recovers_is_asked_again() {
    let calls = AtomicUsize::new(0);
    let answer = move |_: &str| match calls.fetch_add(1, SeqCst) {
        0 => issuer::answer("503 Busy", "", ""),
        _ => issuer::json(&good()),
    };
    let provider = Provider::start(answer).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    assert_eq!(asking.judge("opaque").await, Err(Rejection::Unavailable("introspection_refused")));
    assert!(asking.judge("opaque").await.is_ok());
}

#[tokio::test]
async fn an_answer_is_remembered_and_the_one_of_another_credential_is_not_taken_for_it() {
    let answer = |request: &str| {
        let is_good = request.contains("token=good&");
        issuer::json(&if is_good { good() } else { json!({"active": false}) })
    };
    let provider = Provider::start(answer).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    for _ in 0..3 {
        assert!(asking.judge("good").await.is_ok());
        assert_eq!(asking.judge("bad").await, invalid("inactive"));
    }
    assert_eq!(provider.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_is_judged_again_whenever_it_is_used() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    assert!(asking.judge("opaque").await.is_ok());
    let later = asking.introspection.judge("opaque", &asking.spec, None, at(NOW + 331)).await;
    assert_eq!(later, invalid("expired"));
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn without_a_time_to_remember_every_request_is_asked() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let asking = Asking::of(&provider, Duration::ZERO);
    for round in 1..=3 {
        assert_eq!(asking.judge("opaque").await.map(|known| known.fresh), Ok(Duration::ZERO));
        assert_eq!(provider.requests().len(), round);
    }
}

#[tokio::test]
async fn one_question_is_asked_for_all_who_wait() {
    let provider = Provider::start(|_| {
        std::thread::sleep(Duration::from_millis(50));
        issuer::json(&good())
    })
    .await;
    let asking = Asking::of(&provider, Duration::ZERO);
    let all = futures_util::future::join_all((0..50).map(|_| asking.judge("opaque"))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(provider.requests().len(), 1);
    assert!(lock(&asking.introspection.shared.flights).is_empty());
}

#[tokio::test]
async fn a_slow_issuer_costs_a_bounded_time() {
    let provider = Provider::start(|_| (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec(), true)).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    let begun = Instant::now();
    let judged = asking.judge("opaque").await;
    assert!(
        matches!(judged, Err(Rejection::Unavailable("introspection_timeout" | "introspection_failed"))),
        "{judged:?}"
    );
    assert!(begun.elapsed() < INTROSPECTION_TIMEOUT + Duration::from_secs(2));
}

#[tokio::test]
async fn so_many_questions_wait_and_no_more() {
    let provider = Provider::start(|_| (Vec::new(), true)).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    let endpoint = || HttpsUrl::parse(&provider.url("/introspect")).unwrap();
    for index in 0..INTROSPECTIONS_WAITING_MAX {
        let credential = index.to_string();
        assert!(asking.introspection.join(fingerprint(&credential), &credential, endpoint()).is_ok());
    }
    let refused = asking.introspection.join(fingerprint("x"), "x", endpoint());
    assert_eq!(refused.map(|_| ()), Err("introspection_busy"));
    // Whoever waits for one that is being asked may.
    assert!(asking.introspection.join(fingerprint("1"), "1", endpoint()).is_ok());
}

#[tokio::test]
async fn what_is_no_opaque_credential_is_not_asked_about() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    let long = "x".repeat(OPAQUE_BYTES_MAX + 1);
    let key = format!("{API_KEY_PREFIX}one_of_our_own");
    for credential in ["", &key, "a b", "a\"", "ü", "a.b.c", "a&token=b", &long] {
        assert_eq!(asking.judge(credential).await, invalid("malformed"), "{credential}");
    }
    assert!(provider.requests().is_empty());
    assert!(
        is_opaque(&"x".repeat(OPAQUE_BYTES_MAX))
            && is_opaque("a.b")
            && is_opaque("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO")
    );
}

#[tokio::test]
async fn without_an_endpoint_nobody_is_asked() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let mut asking = Asking::of(&provider, Duration::from_secs(30));
    asking.spec.introspection.as_mut().unwrap().endpoint = None;
    let introspection = Introspection::new(&asking.spec, None).unwrap().unwrap();
    let judge = |discovered| introspection.judge("opaque", &asking.spec, discovered, at(NOW));
    assert_eq!(judge(None).await, Err(Rejection::Unavailable("introspection_endpoint")));
    assert!(judge(HttpsUrl::parse(&provider.url("/found")).ok()).await.is_ok());
    assert!(provider.requests().first().unwrap().starts_with("POST /found "));
}

#[tokio::test]
async fn what_is_remembered_outlives_a_revision_but_not_another_issuer_or_client() {
    let provider = Provider::start(|_| issuer::json(&good())).await;
    let asking = Asking::of(&provider, Duration::from_secs(30));
    asking.judge("opaque").await.unwrap();
    let next = |spec: &Spec| Introspection::new(spec, Some(&asking.introspection)).unwrap().unwrap();
    let shares = |next: &Introspection| Arc::ptr_eq(&next.shared, &asking.introspection.shared);
    assert!(shares(&next(&asking.spec)));
    assert!(!shares(&next(&Spec { issuer: "https://other.example".into(), ..asking.spec.clone() })));
    let path = asking.spec.introspection.as_ref().unwrap().client_secret.clone();
    std::fs::write(path, "another").unwrap();
    assert!(!shares(&next(&asking.spec)));
}

#[test]
fn a_secret_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_secret(&secret(&folder, "a b\r\n")).as_deref(), Ok("a b"));
    assert_eq!(read_secret(&secret(&folder, "a")).as_deref(), Ok("a"));
    for text in ["", "\n", "a\nb", "a\n\n", "a\0"] {
        let error = read_secret(&secret(&folder, text)).unwrap_err();
        assert!(error.contains("secret`") && error.ends_with("one line of text"), "{error}");
    }
    assert!(read_secret(&secret(&folder, &"x".repeat(5000))).is_err());
    assert!(read_secret(&folder.path().join("missing")).unwrap_err().contains("missing"));
}

#[test]
fn answers_are_bounded_and_those_that_are_used_stay() {
    let start = Instant::now();
    let mut answers = Answers::default();
    let name = |number: usize| fingerprint(&number.to_string());
    let fresh = Duration::from_secs(30);
    for number in 0..2 * answers::ACTIVE_MAX {
        answers.keep(name(number), (Some(Map::new()), 100), start, fresh);
    }
    for number in 0..2 * answers::INACTIVE_MAX {
        answers.keep(name(1_000_000 + number), (None, 0), start, fresh);
    }
    let (active, inactive) = answers.len();
    assert!(active <= answers::ACTIVE_MAX && inactive <= answers::INACTIVE_MAX, "{active} {inactive}");
    // Strangers who try have not pushed out what is good.
    assert!(active > answers::ACTIVE_MAX / 4);
    assert!(answers.find(&name(2 * answers::ACTIVE_MAX - 1), start).is_some());
    assert!(answers.find(&name(0), start).is_none());
    // Large answers take the room of many.
    for number in 0..answers::ACTIVE_MAX {
        answers.keep(name(2_000_000 + number), (Some(Map::new()), INTROSPECTION_BYTES_MAX), start, fresh);
    }
    assert!(answers.len().0 * INTROSPECTION_BYTES_MAX <= answers::ACTIVE_BYTES_MAX);
    answers.sweep(start + fresh);
    assert_eq!(answers.len(), (0, 0));
}

#[test]
fn answers_count_for_as_long_as_they_may() {
    let start = Instant::now();
    let mut answers = Answers::default();
    let fresh = Duration::from_secs(30);
    let (good, bad) = (fingerprint("good"), fingerprint("bad"));
    answers.keep(good, (Some(Map::new()), 2), start, fresh);
    answers.keep(bad, (None, 0), start, fresh);
    let just = |duration: Duration| start + duration - Duration::from_millis(1);
    assert!(answers.find(&good, just(fresh)).is_some() && answers.find(&good, start + fresh).is_none());
    assert!(answers.find(&bad, just(INACTIVE_FRESH_MAX)).is_some());
    assert!(answers.find(&bad, start + INACTIVE_FRESH_MAX).is_none());
    // Revoked, and found out: the earlier answer does not count any more.
    answers.keep(good, (None, 0), start, fresh);
    assert_eq!(answers.find(&good, start), Some(Answer::Inactive));
    // No time to remember: not remembered.
    answers.keep(bad, (Some(Map::new()), 2), start, Duration::ZERO);
    assert_eq!(answers.find(&bad, start), None);
}
