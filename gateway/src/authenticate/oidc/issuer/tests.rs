#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, sync::Mutex};

use serde_json::json;

use super::{
    super::{
        testing::{EDDSA, ES256, Signer},
        tests::spec,
    },
    *,
};
use portcullis_policy::snapshot::{CacheTimes, KEYS_STALE_MIN};

use crate::fetch::testing::{Provider, answer, json as json_answer};

/// What a provider publishes at the moment.
type Published = Arc<Mutex<(Vec<u8>, bool)>>;

/// An issuer's server: a discovery document that names its keys, and the keys, which a test changes.
async fn server(discovery: impl Fn(&str) -> Value + Send + Sync + 'static) -> (Provider, Published) {
    let published: Published = Arc::new(Mutex::new(json_answer(&Signer::set(&[&ES256]))));
    let keys = Arc::clone(&published);
    let provider = Provider::start(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        match path {
            "/.well-known/openid-configuration" => json_answer(&discovery(&format!("https://{host}"))),
            "/keys" => keys.lock().unwrap().clone(),
            _ => answer("404 Not Found", "", ""),
        }
    })
    .await;
    (provider, published)
}

fn honest(url: &str) -> Value {
    json!({ "issuer": url, "jwks_uri": format!("{url}/keys"), "introspection_endpoint": format!("{url}/ask") })
}

fn spec_of(provider: &Provider, trust: &Path) -> Spec {
    Spec { issuer: provider.url("").into(), trust: Some(trust.to_owned()), ..spec() }
}

/// Started, and after its first attempt.
async fn started(spec: &Spec) -> Arc<Issuer> {
    let issuer = Arc::new(Issuer::new(spec, None).unwrap());
    let running = Arc::clone(&issuer);
    tokio::spawn(async move { running.run().await });
    ended(&issuer, 1).await;
    issuer
}

/// Waits until so many attempts have ended.
async fn ended(issuer: &Issuer, count: u64) {
    let mut rounds = issuer.rounds.subscribe();
    timeout(Duration::from_secs(30), rounds.wait_for(|rounds| rounds.ended >= count)).await.unwrap().unwrap();
}

fn has(issuer: &Issuer, signer: &Signer) -> bool {
    issuer.look(|keys| keys.find(Some(signer.id)).is_some()).unwrap_or(false)
}

fn fetches(provider: &Provider, path: &str) -> usize {
    provider.requests().iter().filter(|request| request.starts_with(&format!("GET {path} "))).count()
}

#[tokio::test]
async fn keys_are_found_by_discovery() {
    let (provider, _) = server(honest).await;
    let issuer = started(&spec_of(&provider, &provider.trust())).await;
    assert!(has(&issuer, &ES256));
    assert_eq!(issuer.introspection_endpoint().unwrap().to_string(), provider.url("/ask"));
    let status = issuer.status();
    assert_eq!((status.keys, status.last_error, status.fetches[0]), (1, None, (Outcome::Changed, 1)));
    assert!(status.age.is_some() && status.generation != 0);
}

#[tokio::test]
async fn keys_may_be_elsewhere_and_discovery_is_then_not_asked() {
    let (provider, _) = server(|_| json!({})).await;
    let spec = Spec { keys: KeySource::Url(provider.url("/keys").into()), ..spec_of(&provider, &provider.trust()) };
    assert!(has(&*started(&spec).await, &ES256));
    assert_eq!(fetches(&provider, "/.well-known/openid-configuration"), 0);
}

#[tokio::test]
async fn oauth_metadata_do_where_there_is_no_openid() {
    let provider = Provider::start(|request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        match request.split(' ').nth(1).unwrap() {
            "/.well-known/oauth-authorization-server/tenant" => json_answer(
                &json!({ "issuer": format!("https://{host}/tenant"), "jwks_uri": format!("https://{host}/keys") }),
            ),
            "/keys" => json_answer(&Signer::set(&[&ES256])),
            _ => answer("404 Not Found", "", ""),
        }
    })
    .await;
    let spec = Spec { issuer: provider.url("/tenant").into(), ..spec_of(&provider, &provider.trust()) };
    assert!(has(&*started(&spec).await, &ES256));
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    for discovery in [
        (|url: &str| json!({ "issuer": "https://evil.example", "jwks_uri": format!("{url}/keys") }))
            as fn(&str) -> Value,
        |url| json!({ "issuer": format!("{url}/"), "jwks_uri": format!("{url}/keys") }),
        |url| json!({ "issuer": [url], "jwks_uri": format!("{url}/keys") }),
        |url| json!({ "jwks_uri": format!("{url}/keys") }),
        |url| json!({ "issuer": url, "jwks_uri": "http://127.0.0.1/keys" }),
        |url| json!({ "issuer": url, "jwks_uri": 5 }),
        |url| json!({ "issuer": url }),
        |_| json!([]),
    ] {
        let (provider, _) = server(discovery).await;
        let issuer = started(&spec_of(&provider, &provider.trust())).await;
        let status = issuer.status();
        assert_eq!((status.keys, status.fetches[2]), (0, (Outcome::Refused, 1)), "{:?}", status.last_error);
        assert_eq!(fetches(&provider, "/keys"), 0);
    }
}

#[tokio::test]
async fn an_unknown_key_is_learnt_of_at_once_and_by_one_question() {
    let (provider, published) = server(honest).await;
    let issuer = started(&spec_of(&provider, &provider.trust())).await;
    let generation = issuer.generation();
    *published.lock().unwrap() = json_answer(&Signer::set(&[&ES256, &EDDSA]));
    let looked = futures_util::future::join_all((0..100).map(|_| issuer.refetched())).await;
    assert!(looked.into_iter().all(|fetched| fetched));
    assert!(has(&issuer, &EDDSA) && has(&issuer, &ES256));
    assert_ne!(issuer.generation(), generation);
    assert_eq!(fetches(&provider, "/keys"), 2);
    // And for a while no other, however many ask.
    for _ in 0..1000 {
        assert!(!issuer.refetched().await);
    }
    assert_eq!(fetches(&provider, "/keys"), 2);
}

#[tokio::test]
async fn strangers_wait_for_no_one_after_a_failure() {
    let (provider, published) = server(honest).await;
    let issuer = started(&spec_of(&provider, &provider.trust())).await;
    *published.lock().unwrap() = answer("503 Service Unavailable", "", "");
    assert!(issuer.refetched().await, "there was an attempt");
    assert!(!issuer.refetched().await, "and no other so soon, although it failed");
    assert!(has(&issuer, &ES256));
    assert!(issuer.status().last_error.unwrap().contains("503"));
}

/// The keys stay, whatever is published in their place; the trouble is told; a good set ends it.
#[tokio::test]
async fn a_poisoned_set_changes_nothing() {
    let huge = json!({ "keys": vec![EDDSA.jwk(json!({"kid": null})); 10_000] });
    let weak = json!({"kty": "RSA", "kid": "ed", "n": "AQAB", "e": "AQ"});
    let elsewhere = Provider::start(|_| json_answer(&Signer::set(&[&EDDSA]))).await;
    let cases = [
        (json_answer(&huge), Outcome::Refused),
        (json_answer(&json!({ "keys": vec![json!({"kid": "a"}); 201] })), Outcome::Refused),
        (json_answer(&json!({ "keys": [] })), Outcome::Refused),
        (json_answer(&json!({ "keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "ed"}] })), Outcome::Refused),
        (json_answer(&json!({ "keys": [weak] })), Outcome::Refused),
        (answer("200 OK", "content-type: text/html\r\n", "<html>Sign in</html>"), Outcome::Refused),
        (answer("200 OK", "", vec![b' '; 50 * 1024 * 1024]), Outcome::Failed),
        (answer("302 Found", &format!("location: {}\r\n", elsewhere.url("/")), ""), Outcome::Failed),
        (answer("304 Not Modified", "", ""), Outcome::Failed),
        (answer("500 Internal Server Error", "", ""), Outcome::Failed),
        (answer("401 Unauthorized", "", ""), Outcome::Failed),
    ];
    // Together, because each waits for the next attempt.
    futures_util::future::join_all(cases.into_iter().map(|(poison, outcome)| judge_poison(poison, outcome))).await;
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

async fn judge_poison(poison: (Vec<u8>, bool), outcome: Outcome) {
    let (provider, published) = server(honest).await;
    let issuer = started(&spec_of(&provider, &provider.trust())).await;
    let generation = issuer.generation();
    *published.lock().unwrap() = poison;
    assert!(issuer.refetched().await);
    let status = issuer.status();
    let error = status.last_error.clone().unwrap();
    assert_eq!(status.fetches.iter().find(|(which, _)| *which == outcome).unwrap().1, 1, "{error}");
    assert_eq!((status.generation, status.keys), (generation, 1), "{error}");
    assert!(has(&issuer, &ES256) && !has(&issuer, &EDDSA), "{error}");
    // The next attempt comes by itself.
    *published.lock().unwrap() = json_answer(&Signer::set(&[&EDDSA]));
    ended(&issuer, 3).await;
    assert!(has(&issuer, &EDDSA) && !has(&issuer, &ES256), "{error}");
    assert_eq!(issuer.status().last_error, None);
}

#[tokio::test]
async fn the_same_keys_have_the_same_number() {
    let (provider, published) = server(honest).await;
    let set = Signer::set(&[&ES256]).to_string();
    *published.lock().unwrap() = answer("200 OK", "etag: \"one\"\r\ncache-control: max-age=0\r\n", &set);
    let issuer = started(&spec_of(&provider, &provider.trust())).await;
    let generation = issuer.generation();
    ended(&issuer, 2).await;
    *published.lock().unwrap() = (b"HTTP/1.1 304 Not Modified\r\ncache-control: max-age=0\r\n\r\n".to_vec(), false);
    ended(&issuer, 4).await;
    assert_eq!(issuer.generation(), generation);
    assert!(issuer.status().fetches[1].1 >= 2 && has(&issuer, &ES256));
    let asked = provider.requests();
    let conditional = |request: &&String| request.contains("if-none-match: \"one\"");
    // The tag lasts although the answers that nothing has changed do not repeat it.
    assert_eq!(asked.iter().filter(|request| request.starts_with("GET /keys ")).filter(conditional).count(), 3);
}

#[tokio::test]
async fn keys_count_while_the_issuer_is_silent_and_for_so_long() {
    let (provider, published) = server(honest).await;
    let spec =
        Spec { cache: CacheTimes { stale: KEYS_STALE_MIN, ..spec().cache }, ..spec_of(&provider, &provider.trust()) };
    let issuer = started(&spec).await;
    *published.lock().unwrap() = (Vec::new(), true);
    assert!(has(&issuer, &ES256), "at once");
    let confirmed = issuer.held.load_full().unwrap().confirmed.unwrap();
    while issuer.look(|_| ()).is_some() {
        assert!(confirmed.elapsed() < KEYS_STALE_MIN + Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(confirmed.elapsed() >= KEYS_STALE_MIN);
}

#[tokio::test]
async fn a_new_revision_keeps_what_is_known_and_asks_no_sooner() {
    let (provider, _) = server(honest).await;
    let spec = spec_of(&provider, &provider.trust());
    let first = started(&spec).await;
    for _ in 0..5 {
        let next = Arc::new(Issuer::new(&spec, Some(&first)).unwrap());
        assert_eq!((next.generation(), has(&next, &ES256)), (first.generation(), true));
        let running = Arc::clone(&next);
        let task = tokio::spawn(async move { running.run().await });
        tokio::task::yield_now().await;
        task.abort();
    }
    assert_eq!(fetches(&provider, "/keys"), 1);
    // Another issuer or other algorithms make it another.
    let other = Spec { algorithms: vec![Algorithm::EdDSA], ..spec.clone() };
    assert_eq!(Issuer::new(&other, Some(&first)).unwrap().generation(), 0);
}

#[test]
fn a_specification_that_cannot_work_is_refused() {
    let refused = |spec: Spec| Issuer::new(&spec, None).unwrap_err();
    assert!(refused(Spec { issuer: "http://id.example".into(), ..spec() }).contains("https"));
    assert!(refused(Spec { keys: KeySource::Url("http://id.example/keys".into()), ..spec() }).contains("https"));
    assert!(refused(Spec { trust: Some("/nowhere/ca.pem".into()), ..spec() }).contains("/nowhere/ca.pem"));
}

#[test]
fn retries_are_rarer_and_rarer() {
    let seconds: Vec<_> = (0..10).map(|failures| retry_interval(failures).as_secs()).collect();
    assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(retry_interval(u32::MAX), RETRY_INTERVAL_MAX);
}
