#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod guard;
mod hostile;
mod verdicts;
mod windows;

use std::time::Duration;

use portcullis_policy::snapshot::SecretBytes;

use self::guard::{Guard, Says};
use super::*;
use crate::fetch::testing::{self, Provider};

/// Longer than anything takes here, and shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(20);

fn service(kind: ServiceKind, url: &str) -> Service {
    Service {
        kind,
        url: url.into(),
        config: (kind == ServiceKind::NemoGuardrails).then(|| "rails".into()),
        model: Some("guard".into()),
        timeout: PATIENCE,
        authorities_pem: None,
        credential: None,
        window_bytes: 64,
    }
}

fn asker(service: Service) -> Asker {
    Asker::new(Arc::new(service), Handle::current()).unwrap()
}

fn question(texts: &[(Speaker, &str)]) -> Question {
    let texts = texts.iter().map(|(speaker, text)| (*speaker, (*text).to_owned())).collect();
    Question { way: Way::Input, texts, model: Some("llama".into()) }
}

fn hello() -> Question {
    question(&[(Speaker::User, "hello")])
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside what is no opinion")]
fn refuses(rule: &str) -> Result<Opinion, NoOpinion> {
    Ok(Opinion::Refuses { rule: rule.into() })
}

#[tokio::test]
async fn connections_are_kept_and_one_that_was_closed_meanwhile_is_no_failure() {
    let guard = Guard::start(|_| Says::json(r#"{"verdict":"pass"}"#)).await;
    let asker = asker(service(ServiceKind::Webhook, &guard.url()));
    for _ in 0..3 {
        assert_eq!(asker.ask(hello()).await, Ok(Opinion::Passes));
    }
    assert_eq!((guard.requests().len(), guard.connections()), (3, 1));
    guard.close_connections().await;
    assert_eq!(asker.ask(hello()).await, Ok(Opinion::Passes));
    assert_eq!(guard.connections(), 2);
}

#[tokio::test]
async fn so_many_are_asked_at_a_time_and_the_wait_for_a_turn_counts() {
    let guard = Guard::start(|_| Says::Nothing).await;
    let service = Service { timeout: Duration::from_millis(400), ..service(ServiceKind::Webhook, &guard.url()) };
    let asker = asker(service);
    let all = futures_util::future::join_all((0..ASKING_MAX + 8).map(|_| asker.ask(hello())));
    let begun = Instant::now();
    assert!(all.await.iter().all(|opinion| *opinion == Err(NoOpinion::Timeout)));
    assert!(begun.elapsed() < PATIENCE, "the deadline holds");
    assert!(guard.requests().len() <= ASKING_MAX, "{}", guard.requests().len());
}

#[tokio::test]
async fn who_comes_when_too_many_wait_hears_so_at_once() {
    let guard = Guard::start(|_| Says::json(r#"{"verdict":"pass"}"#)).await;
    let asker = asker(service(ServiceKind::Webhook, &guard.url()));
    let mut places: Vec<_> = (0..ASKING_WAITING_MAX).map(|_| Place::take(&asker.0).unwrap()).collect();
    assert_eq!(asker.ask(hello()).await, Err(NoOpinion::Busy));
    places.pop();
    assert_eq!(asker.ask(hello()).await, Ok(Opinion::Passes));
    drop(places);
    assert_eq!(asker.0.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_stops_waiting_ends_the_question() {
    let guard = Guard::start(|_| Says::Nothing).await;
    let asker = asker(service(ServiceKind::Webhook, &guard.url()));
    let mut asking = Box::pin(asker.ask(hello()));
    let heard = guard.until(|guard| guard.requests().len() == 1);
    tokio::select! {
        _ = &mut asking => panic!("nobody answers"),
        () = heard => {}
    }
    drop(asking);
    guard.until(|guard| guard.open() == 0).await;
    assert_eq!(asker.0.waiting.load(Ordering::Relaxed), 0);
}

/// As in the gateway: sockets on one runtime, who waits on another.
#[test]
fn sockets_live_elsewhere() {
    let control = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let guard = control.block_on(Guard::start(|_| Says::json(r#"{"verdict":"pass"}"#)));
    let service = Arc::new(service(ServiceKind::Webhook, &guard.url()));
    let asker = Asker::new(service, control.handle().clone()).unwrap();
    // Without io: it could not open a socket.
    let worker = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(worker.block_on(asker.ask(hello())), Ok(Opinion::Passes));
    assert_eq!(worker.block_on(asker.ask(hello())), Ok(Opinion::Passes));
    assert_eq!(guard.connections(), 1);
}

#[tokio::test]
async fn a_guard_is_asked_over_tls_by_its_own_authorities() {
    let answer = |_: &str| testing::answer("200 OK", "connection: close\r\n", r#"{"verdict":"pass"}"#);
    let (provider, other) = (Provider::start(answer).await, Provider::start(answer).await);
    let trusting = |trust: &Provider| {
        let pem = std::fs::read(trust.trust()).unwrap();
        let service = service(ServiceKind::Webhook, &provider.url("/judge"));
        asker(Service { authorities_pem: Some(vec![pem.into()]), ..service })
    };
    assert_eq!(trusting(&provider).ask(hello()).await, Ok(Opinion::Passes));
    assert_eq!(provider.requests().len(), 1);
    assert_eq!(trusting(&other).ask(hello()).await, Err(NoOpinion::Unreachable));
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn a_guard_is_told_our_credential_and_nobody_else_is() {
    let guard = Guard::start(|_| Says::json(r#"{"verdict":"pass"}"#)).await;
    let credential = Some(SecretBytes(b"a-secret-of-ours\n".as_slice().into()));
    let asker = asker(Service { credential, ..service(ServiceKind::Webhook, &guard.url()) });
    assert_eq!(asker.ask(hello()).await, Ok(Opinion::Passes));
    let requests = guard.requests();
    assert!(requests[0].contains("authorization: Bearer a-secret-of-ours\r\n"), "{}", requests[0]);
    assert!(!format!("{asker:?}").contains("a-secret-of-ours"));
}

#[tokio::test]
async fn what_was_said_is_in_no_debug_output() {
    let question = question(&[(Speaker::User, "osprey")]);
    let rewrites = Opinion::Rewrites { rule: "a".into(), texts: vec!["osprey".to_owned()] };
    let guard = Guard::start(|_| Says::Nothing).await;
    let mut watch =
        window::Watch::new(asker(service(ServiceKind::Webhook, &guard.url())), question.texts.clone(), None);
    watch.push("osprey");
    for shown in [format!("{question:?}"), format!("{rewrites:?}"), format!("{watch:?}")] {
        assert!(!shown.contains("osprey"), "{shown}");
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_asked_by_is_refused_with_the_reason() {
    let refused = |service: Service| Asker::new(Arc::new(service), Handle::current()).map(|_| ()).unwrap_err();
    for url in ["http://rails.corp.example", "http://10.0.0.1:8000", "http://[2001:db8::1]/", "http://localhost.evil"] {
        let reason = refused(service(ServiceKind::Webhook, url));
        assert!(reason.contains("not https"), "{reason}");
    }
    for url in ["rails.corp.example", "ftp://a/", "https://a:b@c/", "https://a/#b", ""] {
        let reason = refused(service(ServiceKind::Webhook, url));
        assert!(reason.contains("not the URL of a guard"), "{reason}");
    }
    for url in ["http://127.0.0.1:1", "http://localhost:1/a", "http://[::1]:1", "https://rails.corp.example"] {
        asker(service(ServiceKind::Webhook, url));
    }
    let nemo = Service { config: None, ..service(ServiceKind::NemoGuardrails, "https://a") };
    assert!(refused(nemo).contains("`config` is missing"));
    let nameless = Service { model: None, ..service(ServiceKind::OpenAi, "https://a") };
    assert!(refused(nameless).contains("`model` is missing"));
    let other = Service { config: Some("shieldgemma".into()), ..service(ServiceKind::OpenAi, "https://a") };
    assert!(refused(other).contains("`llama-guard` or `nemoguard`"));
    let lines = Some(SecretBytes(b"a\nb".as_slice().into()));
    assert!(refused(Service { credential: lines, ..service(ServiceKind::Webhook, "https://a") }).contains("one line"));
}

#[test]
fn a_rule_s_name_is_a_name() {
    for name in ["S1,S9", "regex check input", "content safety check input $model=content_safety", "a/b (c): d_e-f"] {
        assert_eq!(&*rule(Some(&name.into())), name);
    }
    let long = "x".repeat(RULE_BYTES_MAX + 1);
    for name in ["", "a\nb", "\u{1b}[0m", "ü", "<b>", "\"", "alice@corp.example", &long] {
        assert_eq!(&*rule(Some(&name.into())), "unnamed", "{name}");
    }
    assert_eq!(&*rule(Some(&7.into())), "unnamed");
    assert_eq!(&*rule(None), "unnamed");
}
