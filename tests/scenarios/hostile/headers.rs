//! Headers by which a client says what only we may say (rows A21 and B30).

use portcullis_tests::harness::{RawClient, RawH2, Reply, Seen, h2_raw::Fate};

use super::stage::Stage;

/// What only a proxy that the backend trusts may say.
const CLAIMS: [&str; 34] = [
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-forwarded-groups",
    "x-forwarded-email",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "l5d-client-id",
    "l5d-dst-override",
    "x-gateway-model-name-x",
    "x-gateway-destination-endpoint",
    "x-gateway-destination-endpoint-subset",
    "endpoint-load-metrics",
    "endpoint-load-metrics-format",
    "endpoint-load-metrics-bin",
    "x-envoy-original-path",
    "x-envoy-upstream-rq-timeout-ms",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-remote-user",
    "remote-user",
    "x-auth-request-user",
    "x-authenticated-userid",
    "x-ssl-client-verify",
    "client-cert",
    "x-portcullis-caller",
];
/// What cannot be mistaken for anything of ours.
const MARK: &str = "spoofed";

fn spoofed(seen: &Seen) -> Vec<&(String, String)> {
    seen.headers.iter().filter(|(name, value)| name.contains(MARK) || value.contains(MARK)).collect()
}

/// A21: whatever the case, whatever stands between the words, as often as it is said.
#[tokio::test]
async fn claims_do_not_pass() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    for claim in CLAIMS {
        let spellings = [
            claim.to_owned(),
            claim.to_uppercase(),
            claim.replace('-', "_"),
            claim.replace('-', "."),
            claim.replacen('-', "_", 1),
        ];
        let fields: String = spellings.iter().map(|name| format!("{name}: {MARK}\r\n")).collect();
        let request = format!("GET /claims HTTP/1.1\r\nHost: a.example\r\n{fields}{claim}: {MARK}, {MARK}\r\n\r\n");
        assert_eq!(client.exchange(request).await.status, 200, "{claim}");
    }
    for (claim, seen) in CLAIMS.iter().zip(stage.reached()) {
        assert_eq!(spoofed(&seen), Vec::<&(String, String)>::new(), "{claim}");
        assert_eq!(seen.headers_named("x-forwarded-for").collect::<Vec<_>>(), ["127.0.0.1"]);
        assert_eq!(seen.headers_named("x-forwarded-proto").collect::<Vec<_>>(), ["http"]);
        assert_eq!(seen.headers_named("x-forwarded-host").collect::<Vec<_>>(), ["a.example"]);
    }
}

/// A21 over HTTP/2.
#[tokio::test]
async fn claims_do_not_pass_over_http2_either() {
    let stage = Stage::start().await;
    let mut raw = RawH2::connect(stage.address).await;
    let pseudo: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/claims")];
    let claims: Vec<_> = CLAIMS.iter().map(|claim| (claim.as_bytes(), MARK.as_bytes())).collect();
    raw.request(1, &[pseudo.as_slice(), &claims].concat()).await.unwrap();
    assert_eq!(raw.fate(1).await, Fate::Answered(200));
    assert_eq!(spoofed(&stage.reached()[0]), Vec::<&(String, String)>::new());
}

/// A21: the model's name is ours to say; a client that says another one than it asks for is told so.
#[tokio::test]
async fn the_name_of_the_model_is_not_the_clients_to_say() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    let chat = |name: &str| {
        let body = r#"{"model":"m","messages":[]}"#;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n";
        format!("{head}{name}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    assert_eq!(client.exchange(chat("X-Gateway-Model-Name: another\r\n")).await.status, 400);
    assert_eq!(stage.reached().len(), 0);
    let mut client = RawClient::connect(stage.address).await;
    assert_eq!(client.exchange(chat("")).await.status, 200);
    assert_eq!(client.exchange(chat("x_gateway_model_name: another\r\n")).await.status, 200);
    for seen in stage.reached() {
        assert_eq!(seen.headers_named("x-gateway-model-name").collect::<Vec<_>>(), ["m"]);
        assert!(!String::from_utf8_lossy(&seen.head).contains("another"), "{seen:?}");
    }
}

/// A21: `Connection` takes nothing away that somebody relies on, and what it may take is taken.
#[tokio::test]
async fn connection_options_take_nothing_that_matters() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer x\r\nX-Hop: 1\r\nContent-Type: a/b\r\n\
                   Connection: keep-alive, X-Hop, Authorization, Host, X-Forwarded-For, X-Request-Id, Content-Type\r\n\r\n";
    assert_eq!(client.exchange(request).await.status, 200);
    let seen = &stage.reached()[0];
    assert_eq!(seen.header("authorization"), Some("Bearer x"));
    assert_eq!(seen.header("host"), Some("a.example"));
    assert_eq!(seen.header("content-type"), Some("a/b"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(seen.header("x-request-id").is_some());
    assert_eq!(seen.header("x-hop"), None);
}

/// A21 from behind: what a backend must not tell.
#[tokio::test]
async fn backends_tell_clients_nothing_about_themselves() {
    let stage = Stage::answering(|_| {
        let told = "endpoint-load-metrics: JSON {}\r\nEndpoint-Load-Metrics-Bin: x\r\nserver: uvicorn\r\n\
                    x-powered-by: vLLM\r\nx-gateway-destination-endpoint-served: 10.0.0.1\r\n\
                    x-envoy-upstream-service-time: 3\r\nl5d-server-id: x\r\nalt-svc: h3\r\nx-own: kept\r\n";
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\n{told}content-length: 2\r\n\r\nhi").into_bytes())
    })
    .await;
    let mut client = RawClient::connect(stage.address).await;
    let answer = client.exchange("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(answer.header("x-own"), Some("kept"));
    for name in
        ["endpoint-load-metrics", "endpoint-load-metrics-bin", "server", "x-powered-by", "l5d-server-id", "alt-svc"]
    {
        assert_eq!(answer.header(name), None);
    }
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("x-gateway") && !name.starts_with("x-envoy")));
}

/// B30: an upgrade to HTTP/2 in the clear is no way past anything: it is ignored.
#[tokio::test]
async fn upgrades_to_http2_in_the_clear_are_ignored() {
    let stage = Stage::start().await;
    let mut client = RawClient::connect(stage.address).await;
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let answer = client.exchange(format!("GET /raw/x HTTP/1.1\r\nHost: a.example\r\n{upgrade}\r\n")).await;
    assert_eq!(answer.status, 200);
    let seen = &stage.reached()[0];
    assert!(["upgrade", "http2-settings", "connection"].iter().all(|name| seen.header(name).is_none()), "{seen:?}");
}
