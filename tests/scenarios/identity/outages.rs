//! Identity providers that stop, lie or change while requests are made: whoever is known goes on, and nobody else gets in.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use portcullis_tests::harness::{
    Signal,
    directory::{PASSWORD, Slapd, SlapdSetup, basic},
    eventually,
    issuer::{Grant, HostileIssuer, OidcProvider},
    pki::Authority,
};
use serde_json::json;

use super::{
    bound::provider,
    directory_gateway,
    oidc::{document, knows_keys, status},
    site::Site,
};

const POLICY: &str = "  authentication: {providers: [sso]}\n  authorization: {authenticated: {}}\n";
/// How many ask at once.
const CALLERS: usize = 4;
/// How many requests each of them makes at most.
const REQUESTS_MAX: usize = 2000;

/// Lets good callers ask all the while that something happens; each must be let in each time.
async fn under_load<T>(site: &Site, authorization: &str, happening: impl Future<Output = T>) -> T {
    let (done, refused, served) = (Cell::new(false), RefCell::new(Vec::new()), Cell::new(0));
    let caller = async || {
        let mut client = site.connect(None).await;
        let request = format!("GET /v1/things HTTP/1.1\r\nhost: llm.test\r\nauthorization: {authorization}\r\n\r\n");
        for _ in 0..REQUESTS_MAX {
            if done.get() {
                break;
            }
            match client.exchange(&request).await.status {
                200 => served.set(served.get() + 1),
                status => refused.borrow_mut().push(status),
            }
            // A small load: this is about what happens beside it.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let load = futures_util::future::join_all((0..CALLERS).map(|_| caller()));
    let (happened, _) = tokio::join!(
        async {
            let happened = happening.await;
            done.set(true);
            happened
        },
        load
    );
    assert_eq!(*refused.borrow(), [0_u16; 0], "of {} good requests", served.get());
    assert!(served.get() >= CALLERS, "there was a load");
    happened
}

#[tokio::test]
async fn a_certified_issuer_that_stops_under_load_keeps_nobody_out_who_is_known() {
    let issuer = OidcProvider::start(None).await;
    let site = Site::start(&document("sso", &issuer.issuer(), &issuer.trust(), "cache: {fresh: 0s}"), POLICY).await;
    let good = issuer.credential("ES256", "staff").await;
    let other = issuer.credential("RS256", "staff").await;
    knows_keys(&site, &good).await;
    let (head, rest) = good.split_at(good.find('.').unwrap());
    let forged = format!("{head}{}", rest.replace(rest.get(5..7).unwrap(), "AA"));
    under_load(&site, &format!("Bearer {good}"), async {
        issuer.signal(Signal::STOP);
        for _ in 0..5 {
            // Its keys are known: what it has signed counts, whoever shows it, and nothing else does.
            assert_eq!(status(&site, &other).await, 200);
            assert_eq!(status(&site, &forged).await, 401);
        }
        issuer.signal(Signal::CONT);
        let fresh = issuer.credential("EdDSA", "staff").await;
        assert_eq!(status(&site, &fresh).await, 200);
    })
    .await;
}

#[tokio::test]
async fn keys_change_under_load_and_nobody_who_is_good_notices() {
    let issuer = HostileIssuer::start().await;
    issuer.publish(json!({"maxAge": 1})).await;
    let site = Site::start(&document("sso", &issuer.issuer(), &issuer.trust(), "cache: {fresh: 0s}"), POLICY).await;
    let old = issuer.credential(json!({})).await;
    knows_keys(&site, &old).await;
    // Both keys are published for a while, as they should be.
    issuer.rotate("ES256", "two", true).await;
    let new = issuer.credential_by("ES256", "two", json!({})).await;
    under_load(&site, &format!("Bearer {old}"), async {
        assert_eq!(status(&site, &new).await, 200);
        let stranger = issuer.with_header(json!({"kid": "three"})).await;
        assert_eq!(status(&site, &stranger).await, 401);
    })
    .await;
}

#[tokio::test]
async fn an_issuer_that_is_asked_about_credentials_stops_under_load() {
    let issuer = OidcProvider::start(None).await;
    let site = Site::start(&provider(&issuer, "    cache: {fresh: 1m}\n"), POLICY).await;
    let granted = async || {
        let form = vec![("fmt", "opaque".to_owned())];
        let granted = issuer.grant(&Grant { form, ..Grant::default() }).await;
        granted["access_token"].as_str().unwrap().to_owned()
    };
    let (known, unknown) = (granted().await, granted().await);
    assert_eq!(status(&site, &known).await, 200);
    let happening = Box::pin(async {
        issuer.signal(Signal::STOP);
        let (first, second) = tokio::join!(status(&site, &unknown), status(&site, "nonsense"));
        assert_eq!((first, second), (503, 503), "nobody can tell");
        issuer.signal(Signal::CONT);
        eventually("it is asked again", async || status(&site, &unknown).await == 200).await;
        status(&site, "nonsense").await
    });
    let reached = under_load(&site, &format!("Bearer {known}"), happening).await;
    assert_eq!(reached, 401);
}

#[tokio::test]
async fn a_directory_stops_ends_and_starts_under_load() {
    let mut slapd = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new());
    let site = directory_gateway::site(&slapd, "    cache: {fresh: 200ms, stale: 10m}\n").await;
    let login = async |name: &str, password: &str| directory_gateway::status(&site, name, password).await;
    assert_eq!(login("alice", PASSWORD).await, 200);
    let happening = Box::pin(async {
        slapd.signal(Signal::STOP);
        let (guess, other) = tokio::join!(login("alice", "another"), login("bob", PASSWORD));
        assert_eq!((guess, other), (503, 503), "stopped");
        slapd.end();
        let (guess, other) = tokio::join!(login("alice", "another"), login("bob", PASSWORD));
        assert_eq!((guess, other), (503, 503), "gone");
        slapd.start_again();
        eventually("it is asked again", async || login("bob", PASSWORD).await == 403).await;
        assert_eq!(login("alice", "another").await, 401);
    });
    under_load(&site, &format!("Basic {}", basic("alice", PASSWORD)), happening).await;
}
