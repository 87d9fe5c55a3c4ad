//! Opaque credentials (RFC 7662): what a gateway makes of an issuer that tells the truth, that lies, and that says nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use portcullis_tests::harness::{
    Origin, PATIENCE, Reply, Seen, Signal, eventually,
    issuer::{self, Grant, OidcProvider},
    pki::Authority,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{bound::provider, site::Site};

const AUDIENCE: &str = "https://llm.corp.example";
const POLICY: &str = "  authentication: {providers: [sso]}\n  authorization: {authenticated: {}}\n";

/// A server that is asked about credentials and answers as a test wants.
struct Issuer {
    origin: Origin,
    folder: TempDir,
}

impl Issuer {
    async fn start(answering: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("issuer");
        std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        std::fs::write(folder.path().join("secret"), "gw-secret\n").unwrap();
        let config = authority.server(&["localhost"]).server_config(&["http/1.1"]);
        let answering = move |seen: &Seen| match seen.target.as_str() {
            "/introspect" => answering(&asked(seen)),
            _ => Reply::Bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()),
        };
        Self { origin: Origin::start_tls(config, answering).await, folder }
    }

    /// A provider that asks it; answers are fresh for so long.
    fn provider(&self, fresh: &str) -> String {
        let (port, folder) = (self.origin.address().port(), self.folder.path().display());
        format!(
            "apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: sso}}
spec:
  oidc:
    issuer: https://localhost:{port}
    trust: {{file: {folder}/ca.pem}}
    audiences: ['{AUDIENCE}']
    introspection: {{endpoint: 'https://localhost:{port}/introspect', clientId: gw, clientSecret: {{file: {folder}/secret}}}}
    cache: {{fresh: {fresh}}}
"
        )
    }

    /// Which credentials it was asked about.
    fn asked(&self) -> Vec<String> {
        let questions = self.origin.seen();
        questions.iter().filter(|seen| seen.target == "/introspect").map(asked).collect()
    }
}

/// The credential that a question is about.
fn asked(seen: &Seen) -> String {
    let form = String::from_utf8_lossy(&seen.body).into_owned();
    let credential = form.split('&').find_map(|part| part.strip_prefix("token="));
    credential.expect("a question names its credential").to_owned()
}

fn answer(status: &str, body: impl AsRef<str>) -> Reply {
    let body = body.as_ref();
    let length = body.len();
    Reply::Last(
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// What is said of a credential that is good, with one member changed.
fn said(name: &str, value: Value) -> Reply {
    let mut said = json!({
        "active": true, "aud": AUDIENCE, "sub": "alice", "client_id": "chat", "exp": now() + 300, "token_type": "Bearer",
    });
    said[name] = value;
    answer("200 OK", said.to_string())
}

async fn status(site: &Site, credential: &str) -> u16 {
    site.request("GET /v1/things", &format!("authorization: Bearer {credential}\r\n"), None).await.status
}

#[tokio::test]
async fn lies_let_nobody_in() {
    let issuer = Issuer::start(|credential| match credential {
        "good" => said("scope", json!("chat")),
        "inactive" => answer("200 OK", r#"{"active":false}"#),
        "a-word" => said("active", json!("true")),
        "a-number" => said("active", json!(1)),
        "not-said" => said("active", json!(null)),
        "said-twice" => answer("200 OK", format!(r#"{{"active":false,"active":true,"aud":"{AUDIENCE}","sub":"eve"}}"#)),
        "other-audience" => said("aud", json!("https://other.example")),
        "no-audience" => said("aud", json!(null)),
        "other-issuer" => said("iss", json!("https://other.example")),
        "expired" => said("exp", json!(now() - 120)),
        "a-refresh-credential" => said("typ", json!("Refresh")),
        "bound" => said("cnf", json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})),
        "huge" => answer("200 OK", format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(2 * 1024 * 1024))),
        "page" => answer("200 OK", "<html>"),
        "nobody" => answer("401 Unauthorized", r#"{"active":true}"#),
        "elsewhere" => {
            Reply::Last(b"HTTP/1.1 307 Moved\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n".to_vec())
        }
        "broken-off" => Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"active\":true".to_vec()),
        _ => Reply::Reset(Vec::new()),
    })
    .await;
    let site = Site::start(&issuer.provider("30s"), POLICY).await;
    assert_eq!(status(&site, "good").await, 200);
    for (credential, expected, word) in [
        ("inactive", 401, "inactive"),
        ("other-audience", 401, "audience"),
        ("no-audience", 401, "audience"),
        ("other-issuer", 401, "issuer"),
        ("expired", 401, "expired"),
        ("a-refresh-credential", 401, "type"),
        ("bound", 401, "confirmation_malformed"),
        ("a-word", 503, "introspection_malformed"),
        ("a-number", 503, "introspection_malformed"),
        ("not-said", 503, "introspection_malformed"),
        ("said-twice", 503, "introspection_malformed"),
        ("page", 503, "introspection_malformed"),
        ("huge", 503, "introspection_failed"),
        ("nobody", 503, "introspection_refused"),
        ("elsewhere", 503, "introspection_failed"),
        ("broken-off", 503, "introspection_failed"),
        ("reset", 503, "introspection_failed"),
    ] {
        let before = site.judged(word).await;
        assert_eq!(status(&site, credential).await, expected, "{credential}");
        assert!(site.judged(word).await > before, "{credential} is not counted as `{word}`");
    }
    assert_eq!(site.origin.seen().len(), 1, "nobody but `good` came through");
    assert!(!site.gateway.stderr().contains("gw-secret"));
}

#[tokio::test]
async fn what_no_issuer_should_see_is_not_asked_about() {
    let issuer = Issuer::start(|_| said("scope", json!("chat"))).await;
    let site = Site::start(&issuer.provider("30s"), POLICY).await;
    let long = "x".repeat(5000);
    for credential in ["pcl_anotherkind_of_key", "a.b.c", &long] {
        assert_eq!(status(&site, credential).await, 401, "{credential}");
    }
    assert!(issuer.asked().is_empty(), "{:?}", issuer.asked());
    assert_eq!(status(&site, "opaque").await, 200);
    assert_eq!(issuer.asked(), ["opaque"]);
}

#[tokio::test]
async fn one_question_is_asked_for_many_requests() {
    let issuer = Issuer::start(|_| said("scope", json!("chat"))).await;
    let site = Site::start(&issuer.provider("30s"), POLICY).await;
    let all = futures_util::future::join_all((0..20).map(|_| status(&site, "opaque"))).await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    let refused = futures_util::future::join_all((0..20).map(|_| status(&site, "other"))).await;
    assert!(refused.iter().all(|status| *status == 200), "{refused:?}");
    assert_eq!(issuer.asked().len(), 2);
}

#[tokio::test]
async fn a_failure_is_not_remembered_and_needs_no_restart() {
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let issuer =
        Issuer::start(move |_| if switch.load(SeqCst) { said("scope", json!("chat")) } else { answer("503 Busy", "") })
            .await;
    let site = Site::start(&issuer.provider("30s"), POLICY).await;
    let refused = site.request("GET /v1/things", "authorization: Bearer opaque\r\n", None).await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    works.store(true, SeqCst);
    assert_eq!(status(&site, "opaque").await, 200);
    // Whoever was judged a moment ago is not asked about again; others are, and find nobody.
    works.store(false, SeqCst);
    assert_eq!(status(&site, "opaque").await, 200);
    assert_eq!(status(&site, "another").await, 503);
}

#[tokio::test]
async fn a_silent_issuer_costs_a_bounded_time_and_holds_nobody_else_up() {
    let issuer = Issuer::start(|credential| match credential {
        "silence" => Reply::Silence,
        _ => said("scope", json!("chat")),
    })
    .await;
    let site = Site::start(&issuer.provider("30s"), POLICY).await;
    let begun = Instant::now();
    let (silence, other) = tokio::join!(status(&site, "silence"), async {
        let status = status(&site, "opaque").await;
        (status, begun.elapsed())
    });
    assert_eq!((silence, other.0), (503, 200));
    // `INTROSPECTION_TIMEOUT` is 3 s.
    assert!(begun.elapsed() < Duration::from_secs(3) + PATIENCE / 4, "{:?}", begun.elapsed());
    assert!(other.1 < begun.elapsed() / 2 + Duration::from_secs(1), "{:?}", other.1);
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_is_revoked() {
    let revoked = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&revoked);
    let issuer = Issuer::start(move |_| {
        if switch.load(SeqCst) { answer("200 OK", r#"{"active":false}"#) } else { said("scope", json!("chat")) }
    })
    .await;
    let site = Site::start_before(&issuer.provider("1s"), POLICY, |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let first = format!("{head}f\r\ndata: {{\"n\":1}}\n\n\r\n");
        let mut pieces = vec![(Duration::ZERO, first.into_bytes())];
        pieces.push((PATIENCE * 2, Vec::new()));
        Reply::Pieces(pieces)
    })
    .await;
    let mut client = site.connect(None).await;
    client.send("GET /v1/things HTTP/1.1\r\nhost: llm.test\r\nauthorization: Bearer opaque\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    // It goes on for longer than an answer is fresh: the issuer is asked again, and says that all is well.
    eventually("the issuer is asked again", async || issuer.asked().len() >= 2).await;
    revoked.store(true, SeqCst);
    let mut rest = String::new();
    while !rest.contains("permission_lost") {
        let bytes = client.read().await.expect("an event says why the stream ends");
        assert!(!bytes.is_empty(), "closed without a word after {rest}");
        rest += &String::from_utf8_lossy(&bytes);
    }
    assert_eq!(status(&site, "opaque").await, 401);
}

#[tokio::test]
async fn an_opaque_credential_for_another_audience_is_refused() {
    let issuer = issuer::oidc_provider().await;
    let other = provider(issuer, "").replace("https://llm.corp.example", "https://other.corp.example");
    let site = Site::start(&other, POLICY).await;
    let form = vec![("fmt", "opaque".to_owned())];
    let granted = issuer.grant(&Grant { form, ..Grant::default() }).await;
    assert_eq!(status(&site, granted["access_token"].as_str().unwrap()).await, 401);
    assert_eq!(site.judged("audience").await, 1.0);
}

#[tokio::test]
async fn a_provider_that_is_stopped_and_continues_needs_no_restart() {
    let issuer = OidcProvider::start(None).await;
    let site = Site::start(&provider(&issuer, ""), POLICY).await;
    let credential = async || {
        let form = vec![("fmt", "opaque".to_owned())];
        let granted = issuer.grant(&Grant { form, ..Grant::default() }).await;
        granted["access_token"].as_str().unwrap().to_owned()
    };
    let (known, other) = (credential().await, credential().await);
    assert_eq!(status(&site, &known).await, 200);
    issuer.signal(Signal::STOP);
    let begun = Instant::now();
    assert_eq!(status(&site, &other).await, 503);
    assert!(begun.elapsed() < Duration::from_secs(3) + PATIENCE / 4, "{:?}", begun.elapsed());
    assert_eq!(status(&site, &known).await, 200, "what was said a moment ago still counts");
    issuer.signal(Signal::CONT);
    eventually("it is asked again", async || status(&site, &other).await == 200).await;
}
