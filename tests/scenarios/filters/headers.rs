//! Header modifiers at both levels, and what no request or answer may carry through whatever the filters say.

use portcullis_tests::harness::{Origin, Reply, Seen};

use crate::edge::{Edge, answer, http_route, ok, service};

fn values<'s>(seen: &'s Seen, name: &'s str) -> Vec<&'s str> {
    seen.headers_named(name).collect()
}

#[tokio::test]
async fn requests_and_answers_are_changed_at_the_rule_and_at_the_backend() {
    let origin = Origin::answering(answer(
        200,
        &[
            ("x-a", "origin"),
            ("x-b", "origin"),
            ("x-c", "origin"),
            ("x-remove", "1"),
            ("x-remove", "2"),
            ("x-keep", "k"),
        ],
        "hi",
    ))
    .await;
    let documents = [
        service("origin", origin.address()),
        http_route(
            "headers",
            "rules:
- filters:
  - type: RequestHeaderModifier
    requestHeaderModifier:
      set: [{name: X-Set, value: rule}, {name: X-Both, value: rule}]
      add: [{name: X-Add, value: rule}]
      remove: [X-Remove]
  - type: ResponseHeaderModifier
    responseHeaderModifier:
      set: [{name: x-a, value: rule}, {name: x-new, value: rule}]
      add: [{name: x-b, value: rule}]
      remove: [x-remove]
  backendRefs:
  - name: origin
    port: 80
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: x-both, value: backend}]
        add: [{name: x-add, value: backend}]
    - type: ResponseHeaderModifier
      responseHeaderModifier:
        set: [{name: x-a, value: backend}, {name: x-c, value: backend}]",
        ),
    ];
    let edge = Edge::start(&documents).await;
    let sent = "x-set: client\r\nx-set: again\r\nx-add: client\r\nx-remove: 1\r\nx-remove: 2\r\nx-keep: client\r\n";
    let got = edge.get("x.test", "/", sent).await;
    let seen = &origin.seen()[0];
    assert_eq!(values(seen, "x-set"), ["rule"]);
    assert_eq!(values(seen, "x-both"), ["backend"], "the rule's filters come first");
    assert_eq!(values(seen, "x-add"), ["client", "rule", "backend"]);
    assert!(values(seen, "x-remove").is_empty());
    assert_eq!(values(seen, "x-keep"), ["client"]);
    let answered = |name: &str| got.headers_named(name).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(answered("x-a"), ["rule"], "the backend's filters come first on the way back");
    assert_eq!(answered("x-b"), ["origin", "rule"]);
    assert_eq!(answered("x-c"), ["backend"]);
    assert_eq!(answered("x-new"), ["rule"]);
    assert!(answered("x-remove").is_empty());
    assert_eq!(answered("x-keep"), ["k"]);
}

/// Rows A21 and B26, as filters and backends see them; a document may say what a client may not.
#[tokio::test]
async fn what_clients_may_not_say_is_dropped() {
    let origin = Origin::answering(ok("hi")).await;
    let documents = [
        service("origin", origin.address()),
        http_route(
            "claims",
            "rules:
- matches: [{headers: [{name: x-forwarded-user, value: root}]}]
  backendRefs: []
- filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-remote-user, value: gateway}]}}]
  backendRefs: [{name: origin, port: 80}]",
        ),
    ];
    let edge = Edge::start(&documents).await;
    let claims = [
        "x-forwarded-client-cert",
        "x_forwarded_client_cert",
        "x.forwarded.client.cert",
        "X-Forwarded-User",
        "x-forwarded_uri",
        "forwarded",
        "l5d-client-id",
        "x-gateway-destination-endpoint",
        "x-gateway-model-name",
        "x_gateway_model_name",
        "endpoint-load-metrics",
        "endpoint-load-metrics-bin",
        "x-real-ip",
        "x-http-method-override",
        "client-cert",
        "x-envoy-original-path",
        "proxy",
        "proxy-authorization",
    ];
    let lines: String = claims.iter().map(|name| format!("{name}: root\r\n")).collect();
    let lines = format!(
        "{lines}x-remote-user: root\r\nx-forwarded-for: 6.6.6.6\r\nx-forwarded-proto: https\r\nx-forwarded-host: evil\r\n"
    );
    let got = edge.get("x.test", "/", &lines).await;
    assert_eq!(got.status, 200, "a claim meets no rule");
    let seen = &origin.seen()[0];
    for name in claims {
        assert!(values(seen, name).is_empty(), "{name}: {:?}", values(seen, name));
    }
    assert_eq!(values(seen, "x-remote-user"), ["gateway"]);
    assert_eq!(values(seen, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(seen, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(seen, "x-forwarded-host"), ["x.test"]);
    assert_eq!(values(seen, "host"), ["x.test"]);
    assert_eq!(values(seen, "x-request-id"), [got.header("x-request-id").unwrap()]);
}

#[tokio::test]
async fn hop_by_hop_fields_end_here() {
    let origin = Origin::answering(answer(
        200,
        &[
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=60"),
            ("proxy-authenticate", "Basic"),
            ("server", "engine/1.0"),
            ("x-powered-by", "engine"),
            ("endpoint-load-metrics", "JSON {}"),
            ("alt-svc", "h3=\":1\""),
            ("x-kept", "1"),
        ],
        "hi",
    ))
    .await;
    let documents =
        [service("origin", origin.address()), http_route("all", "rules: [{backendRefs: [{name: origin, port: 80}]}]")];
    let edge = Edge::start(&documents).await;
    let sent = "connection: keep-alive, x-hop, authorization\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nte: gzip, trailers\r\n\
                authorization: Bearer k\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    let got = edge.get("x.test", "/", sent).await;
    let seen = &origin.seen()[0];
    for name in ["x-hop", "keep-alive", "upgrade", "http2-settings", "proxy-connection"] {
        assert!(values(seen, name).is_empty(), "{name}");
    }
    assert_eq!(values(seen, "te"), ["trailers"]);
    // Nobody may have a credential removed on the way.
    assert_eq!(values(seen, "authorization"), ["Bearer k"]);
    for name in
        ["x-hop", "keep-alive", "proxy-authenticate", "server", "x-powered-by", "endpoint-load-metrics", "alt-svc"]
    {
        assert_eq!(got.header(name), None, "{name}");
    }
    assert_eq!(got.header("x-kept"), Some("1"));
}

/// Rows A22, B28 and B29: one form of host and target; methods are what the request line says.
#[tokio::test]
async fn hosts_and_targets_have_one_form_and_methods_are_not_overridden() {
    let origin = Origin::answering(ok("hi")).await;
    let documents = [
        service("origin", origin.address()),
        http_route(
            "one",
            "hostnames: [x.test]\nrules: [{matches: [{path: {value: /a}, method: GET}, {path: {value: /a}, method: OPTIONS}], \
             backendRefs: [{name: origin, port: 80}]}]",
        ),
    ];
    let edge = Edge::start(&documents).await;
    for host in ["X.TEST", "x.test.", "x.test:80", "x.test"] {
        assert_eq!(edge.get(host, "/a", "").await.status, 200, "{host}");
        assert_eq!(origin.seen().last().unwrap().header("host"), Some("x.test"), "{host}");
    }
    assert_eq!(edge.get("x.test", "http://x.test/a", "").await.status, 200);
    assert_eq!(origin.seen().last().unwrap().target, "/a");
    let good = origin.seen().len();
    for (method, host, target, headers, status) in [
        ("GET", "x.test", "http://y.test/a", "", 400),
        ("GET", "x.test", "https://x.test/a", "", 400),
        ("GET", "x.test", "/a", "host: y.test\r\n", 400),
        ("GET", "user@x.test", "/a", "", 400),
        ("GET", "", "/a", "", 400),
        ("POST", "x.test", "/a", "x-http-method-override: GET\r\n", 404),
        ("get", "x.test", "/a", "", 405),
        ("BREW", "x.test", "/a", "", 405),
        ("CONNECT", "x.test", "x.test:80", "", 405),
        ("TRACE", "x.test", "/a", "", 405),
        ("OPTIONS", "x.test", "*", "", 404),
    ] {
        let got = edge.request(method, host, target, headers, "").await;
        assert_eq!(got.status, status, "{method} {target} at {host:?} {headers}: {}", got.text());
    }
    assert_eq!(origin.seen().len(), good, "nothing of that was forwarded");
}

#[tokio::test]
async fn a_client_may_name_its_request_and_every_answer_says_the_name() {
    let origin = Origin::start(|_| Reply::Bytes(answer(200, &[("x-request-id", "of-the-origin")], "hi"))).await;
    let documents = [
        service("origin", origin.address()),
        http_route("one", "rules: [{matches: [{path: {value: /a}}], backendRefs: [{name: origin, port: 80}]}]"),
    ];
    let edge = Edge::start(&documents).await;
    let named = edge.get("x.test", "/a", "x-request-id: mine-1\r\n").await;
    assert_eq!(named.headers_named("x-request-id").collect::<Vec<_>>(), ["mine-1"]);
    assert_eq!(values(&origin.seen()[0], "x-request-id"), ["mine-1"]);
    let unsafe_name = edge.get("x.test", "/b", "x-request-id: a b\"\r\n").await;
    assert_eq!(unsafe_name.status, 404);
    assert_eq!(unsafe_name.header("x-request-id").map(str::len), Some(36));
}
