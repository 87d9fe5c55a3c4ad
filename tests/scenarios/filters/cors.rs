//! `CORS`: preflights are answered here, answers are marked, whatever the backend says about it.

use portcullis_tests::harness::{Answer, Origin, Reply};

use crate::edge::{Edge, answer, http_route, service};

async fn origin() -> Origin {
    Origin::answering(answer(
        200,
        &[("access-control-allow-origin", "https://evil.test"), ("access-control-max-age", "9"), ("vary", "accept")],
        "hi",
    ))
    .await
}

fn rule(path: &str, cors: &str) -> String {
    format!(
        "- matches: [{{path: {{value: {path}}}}}]
  filters: [{{type: CORS, cors: {cors}}}]
  backendRefs: [{{name: origin, port: 80}}]
"
    )
}

fn said(answer: &Answer) -> Vec<(String, String)> {
    let mut said: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.to_lowercase().starts_with("access-control-"))
        .map(|(name, value)| (name.to_lowercase()["access-control-".len()..].to_owned(), value.clone()))
        .collect();
    said.sort();
    said
}

fn expect(answer: &Answer, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(said(answer), expected, "{answer:?}");
}

#[tokio::test]
async fn preflights_are_answered_and_answers_are_marked() {
    let origin = origin().await;
    let rules = [
        rule(
            "/lists",
            "{allowOrigins: ['https://app.test', 'https://*.corp.test'], allowCredentials: true, allowMethods: [GET, POST], \
             allowHeaders: [authorization, x-one], exposeHeaders: [x-request-id], maxAge: 3600}",
        ),
        rule("/any", "{allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*']}"),
        rule("/trusting", "{allowOrigins: ['*'], allowCredentials: true, allowMethods: ['*'], allowHeaders: ['*']}"),
        rule("/nobody", "{allowOrigins: []}"),
        "- matches: [{path: {value: /backend}}]
  backendRefs: [{name: origin, port: 80, filters: [{type: CORS, cors: {allowOrigins: ['https://app.test']}}]}]
"
        .to_owned(),
    ];
    let documents = [service("origin", origin.address()), http_route("cors", &format!("rules:\n{}", rules.concat()))];
    let edge = Edge::start(&documents).await;
    let preflight = async |path: &str, from: &str, asked: &str| {
        let headers = format!(
            "origin: {from}\r\naccess-control-request-method: PUT\r\naccess-control-request-headers: {asked}\r\n"
        );
        let got = edge.request("OPTIONS", "x.test", path, &headers, "").await;
        assert_eq!(got.status, 204, "{path}");
        assert!(got.header("x-request-id").is_some());
        got
    };
    let lists = [
        ("allow-credentials", "true"),
        ("allow-headers", "authorization, x-one"),
        ("allow-methods", "GET, POST"),
        ("allow-origin", "https://app.test"),
        ("expose-headers", "x-request-id"),
        ("max-age", "3600"),
    ];
    expect(&preflight("/lists", "https://app.test", "x-one").await, &lists);
    let sub = preflight("/lists", "https://a.b.corp.test", "x-one").await;
    assert!(said(&sub).contains(&("allow-origin".to_owned(), "https://a.b.corp.test".to_owned())));
    for stranger in ["https://app.test.evil", "http://app.test", "https://corp.test", "null", "https://app.test:444"] {
        expect(&preflight("/lists", stranger, "x-one").await, &[]);
    }
    expect(&preflight("/nobody", "https://app.test", "x-one").await, &[]);
    expect(
        &preflight("/any", "https://any.test", "x-one, x-two").await,
        &[
            ("allow-headers", "x-one, x-two"),
            ("allow-methods", "PUT"),
            ("allow-origin", "*"),
            ("expose-headers", "*"),
            ("max-age", "5"),
        ],
    );
    // With credentials `*` means nothing to a browser, so what was asked for is said.
    expect(
        &preflight("/trusting", "https://any.test", "x-one").await,
        &[
            ("allow-credentials", "true"),
            ("allow-headers", "x-one"),
            ("allow-methods", "PUT"),
            ("allow-origin", "https://any.test"),
            ("max-age", "5"),
        ],
    );
    expect(
        &preflight("/backend", "https://app.test", "x-one").await,
        &[("allow-origin", "https://app.test"), ("max-age", "5")],
    );
    assert!(origin.seen().is_empty(), "no preflight is forwarded");

    let ask = async |path: &str, from: &str| edge.get("x.test", path, &format!("origin: {from}\r\n")).await;
    let got = ask("/lists", "https://app.test").await;
    assert_eq!((got.status, got.text().as_str()), (200, "hi"));
    expect(
        &got,
        &[("allow-credentials", "true"), ("allow-origin", "https://app.test"), ("expose-headers", "x-request-id")],
    );
    assert!(got.headers_named("vary").any(|vary| vary.eq_ignore_ascii_case("origin")), "{got:?}");
    // A stranger is answered; its browser is told nothing.
    let got = ask("/lists", "https://evil.test").await;
    assert_eq!(got.status, 200);
    expect(&got, &[]);
    expect(&ask("/any", "https://any.test").await, &[("allow-origin", "*"), ("expose-headers", "*")]);
    expect(&ask("/backend", "https://app.test").await, &[("allow-origin", "https://app.test")]);
    // An OPTIONS request that is no preflight is the backend's.
    let before = origin.seen().len();
    assert_eq!(edge.request("OPTIONS", "x.test", "/lists", "origin: https://app.test\r\n", "").await.status, 200);
    assert_eq!(origin.seen().len(), before + 1);
}

/// A page that cannot read a refusal shows its user a riddle.
#[tokio::test]
async fn refusals_are_marked_like_answers() {
    let origin = Origin::start(|_| Reply::Reset(Vec::new())).await;
    let cors = "{allowOrigins: ['https://app.test'], exposeHeaders: [x-request-id]}";
    let nowhere = format!("- matches: [{{path: {{value: /none}}}}]\n  filters: [{{type: CORS, cors: {cors}}}]\n");
    let rules = format!("rules:\n{}{nowhere}", rule("/reset", cors));
    let edge = Edge::start(&[service("origin", origin.address()), http_route("cors", &rules)]).await;
    for (path, status) in [("/reset", 502), ("/none", 500)] {
        let got = edge.get("x.test", path, "origin: https://app.test\r\n").await;
        assert_eq!(got.status, status, "{got:?}");
        expect(&got, &[("allow-origin", "https://app.test"), ("expose-headers", "x-request-id")]);
        assert_eq!(got.header("vary"), Some("Origin"));
        let stranger = edge.get("x.test", path, "origin: https://evil.test\r\n").await;
        assert_eq!(stranger.status, status);
        expect(&stranger, &[]);
    }
}
