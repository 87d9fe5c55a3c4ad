//! Hosts, paths, headers, queries, methods and models, their precedence, and that `explain` agrees with the gateway.

use std::fmt::Write as _;

use portcullis_tests::harness::{Gateway, Options, Origin, RawClient, Reply};

use crate::edge::{Edge, GATEWAY, ok, portcullis, request, service, together};

/// A rule whose requests carry its name, so that the origin can say it.
fn rule(name: &str, matches: &str) -> String {
    format!(
        "- name: {name}
  matches: {matches}
  filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-rule, value: {name}}}]}}}}]
  backendRefs: [{{name: origin, port: 80}}]
"
    )
}

fn route(name: &str, hostnames: &str, rules: &[String]) -> String {
    crate::edge::http_route(name, &format!("hostnames: {hostnames}\nrules:\n{}", rules.concat()))
}

/// Says the name of the rule.
async fn origin() -> Origin {
    Origin::start(|seen| Reply::Bytes(ok(seen.header("x-rule").unwrap_or("none")))).await
}

/// A request, and the rule it meets; `Err`: the status of the refusal.
struct Case {
    method: &'static str,
    host: &'static str,
    target: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    expected: Result<&'static str, u16>,
}

fn get(host: &'static str, target: &'static str, expected: &'static str) -> Case {
    Case { method: "GET", host, target, headers: &[], body: "", expected: Ok(expected) }
}

fn refused(host: &'static str, target: &'static str, status: u16) -> Case {
    Case { method: "GET", host, target, headers: &[], body: "", expected: Err(status) }
}

fn with(headers: &'static [&'static str], host: &'static str, target: &'static str, expected: &'static str) -> Case {
    Case { method: "GET", host, target, headers, body: "", expected: Ok(expected) }
}

fn by(method: &'static str, host: &'static str, target: &'static str, expected: &'static str) -> Case {
    Case { method, host, target, headers: &[], body: "", expected: Ok(expected) }
}

fn chat(body: &'static str, expected: Result<&'static str, u16>) -> Case {
    let headers = &["content-type: application/json"];
    Case { method: "POST", host: "models.test", target: "/v1/chat/completions", headers, body, expected }
}

/// Asks the gateway and `explain`.
async fn check(documents: &[String], cases: &[Case]) {
    let edge = Edge::start(documents).await;
    let config = edge.gateway.config();
    let config = config.to_str().unwrap();
    let body_file = edge.gateway.folder().path().join("body.json");
    let mut wrong = String::new();
    for case in cases {
        let lines: String = case.headers.iter().map(|header| format!("{header}\r\n")).collect();
        let answer = edge.request(case.method, case.host, case.target, &lines, case.body).await;
        let got = if answer.status == 200 { Ok(answer.text()) } else { Err(answer.status) };
        let expected = case.expected.map(str::to_owned);
        let what = format!("{} {}{} {:?} {}", case.method, case.host, case.target, case.headers, case.body);
        if case.method != "HEAD" && got != expected {
            let _ = writeln!(wrong, "{what}: {got:?} instead of {expected:?}: {}", answer.text());
        }
        let url = format!("http://{}{}", case.host, case.target);
        let mut arguments = vec!["explain", "--config", config, case.method, &url];
        for header in case.headers {
            arguments.extend(["-H", header]);
        }
        if !case.body.is_empty() {
            std::fs::write(&body_file, case.body).unwrap();
            arguments.extend(["--body", body_file.to_str().unwrap()]);
        }
        let output = portcullis(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let fits = match &expected {
            Ok(rule) => output.status.code() == Some(0) && said.contains(&format!("`{rule}`")),
            Err(status) => output.status.code() == Some(1) && said.contains(&format!("refused: {status}")),
        };
        if !fits {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            let _ = writeln!(wrong, "{what}: explain says otherwise than {expected:?}: {said}{error}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn hosts_match_exactly_then_by_wildcard_then_any() {
    let origin = origin().await;
    let documents = [
        service("origin", origin.address()),
        route(
            "none",
            "[]",
            &[rule("any-host", "[{path: {value: /hosts}}]"), rule("only-any", "[{path: {value: /any}}]")],
        ),
        route("wild", "['*.example.com']", &[rule("wild", "[{path: {value: /hosts}}]")]),
        route("deep", "['*.api.example.com']", &[rule("deep", "[{path: {value: /hosts}}]")]),
        route("exact", "[www.example.com, second.example.com]", &[rule("exact", "[{path: {value: /hosts}}]")]),
    ];
    check(
        &documents,
        &[
            get("www.example.com", "/hosts", "exact"),
            get("second.example.com", "/hosts", "exact"),
            get("WWW.Example.COM", "/hosts", "exact"),
            get("www.example.com:80", "/hosts", "exact"),
            get("www.example.com.", "/hosts", "exact"),
            get("a.example.com", "/hosts", "wild"),
            get("a.b.example.com", "/hosts", "wild"),
            get("x.api.example.com", "/hosts", "deep"),
            get("api.example.com", "/hosts", "wild"),
            get("example.com", "/hosts", "any-host"),
            get("notexample.com", "/hosts", "any-host"),
            get("other.test", "/hosts", "any-host"),
            get("[::1]", "/hosts", "any-host"),
            // A more specific host without a rule for the path leaves the request to the others.
            get("www.example.com", "/any", "only-any"),
            refused("www.example.com", "/elsewhere", 404),
            refused("a..example.com", "/hosts", 400),
        ],
    )
    .await;
}

#[tokio::test]
async fn paths_match_exactly_by_expression_and_by_segments() {
    let origin = origin().await;
    let paths = [
        rule("root", "[{path: {type: PathPrefix, value: /}}]"),
        rule("v1", "[{path: {type: PathPrefix, value: /v1}}]"),
        rule("models", "[{path: {type: PathPrefix, value: /v1/models/}}]"),
        rule("number", "[{path: {type: RegularExpression, value: '/v1/[0-9]+'}}]"),
        rule("exact", "[{path: {type: Exact, value: /v1/models}}]"),
        rule("exact-slash", "[{path: {type: Exact, value: /exact/}}]"),
        rule("spaced", "[{path: {type: Exact, value: '/a%20b'}}]"),
    ];
    let documents = [service("origin", origin.address()), route("paths", "[paths.test]", &paths)];
    check(
        &documents,
        &[
            get("paths.test", "/v1/models", "exact"),
            get("paths.test", "/v1/models/", "models"),
            get("paths.test", "/v1/models/x", "models"),
            get("paths.test", "/v1/modelsx", "v1"),
            get("paths.test", "/v1", "v1"),
            get("paths.test", "/v1/", "v1"),
            get("paths.test", "/v1?x=/v2", "v1"),
            get("paths.test", "/v10", "root"),
            get("paths.test", "/V1/models", "root"),
            get("paths.test", "/v1/42", "number"),
            get("paths.test", "/v1/42/x", "v1"),
            get("paths.test", "/x/v1/42", "root"),
            get("paths.test", "/exact/", "exact-slash"),
            get("paths.test", "/exact", "root"),
            get("paths.test", "/a%20b", "spaced"),
            get("paths.test", "/", "root"),
            // One canonical form is matched.
            get("paths.test", "/v2/../v1/models", "exact"),
            get("paths.test", "/%761/models", "exact"),
            refused("paths.test", "/v1%2fmodels", 400),
            refused("paths.test", "/../v1", 400),
        ],
    )
    .await;
}

#[tokio::test]
async fn methods_headers_and_queries_must_all_hold() {
    let origin = origin().await;
    let rules = [
        rule("all", "[{path: {value: /}}]"),
        rule("post", "[{method: POST}]"),
        rule("options", "[{method: OPTIONS}]"),
        rule("header", "[{headers: [{name: X-Kind, value: a}]}]"),
        rule("header-regex", "[{headers: [{name: x-kind, type: RegularExpression, value: 'b[0-9]+'}]}]"),
        rule("two-headers", "[{headers: [{name: x-kind, value: a}, {name: x-more, value: b}]}]"),
        rule("joined", "[{headers: [{name: x-list, value: 'one,two'}]}]"),
        rule("query", "[{queryParams: [{name: q, value: '1'}]}]"),
        rule("query-regex", "[{queryParams: [{name: q, type: RegularExpression, value: 'x[0-9]+'}]}]"),
        rule("two-queries", "[{queryParams: [{name: q, value: '1'}, {name: r, value: '2'}]}]"),
        rule("header-and-query", "[{headers: [{name: x-kind, value: a}], queryParams: [{name: r, value: '2'}]}]"),
        rule("either", "[{headers: [{name: x-either, value: a}]}, {queryParams: [{name: either, value: 'é b'}]}]"),
    ];
    let documents = [service("origin", origin.address()), route("facts", "[facts.test]", &rules)];
    check(
        &documents,
        &[
            get("facts.test", "/", "all"),
            by("POST", "facts.test", "/", "post"),
            by("PUT", "facts.test", "/", "all"),
            by("OPTIONS", "facts.test", "/x", "options"),
            with(&["x-kind: a"], "facts.test", "/", "header"),
            with(&["X-KIND: a"], "facts.test", "/", "header"),
            with(&["x-kind: A"], "facts.test", "/", "all"),
            with(&["x-kind: b12"], "facts.test", "/", "header-regex"),
            with(&["x-kind: xb12"], "facts.test", "/", "all"),
            with(&["x-kind: a", "x-more: b"], "facts.test", "/", "two-headers"),
            with(&["x-list: one", "x-list: two"], "facts.test", "/", "joined"),
            with(&["x-list: two", "x-list: one"], "facts.test", "/", "all"),
            get("facts.test", "/?q=1", "query"),
            get("facts.test", "/?Q=1", "all"),
            get("facts.test", "/?q=x7", "query-regex"),
            get("facts.test", "/?q=x7y", "all"),
            get("facts.test", "/?q=1&r=2", "two-queries"),
            get("facts.test", "/?r=2&q=1&z", "two-queries"),
            // The first of several counts.
            get("facts.test", "/?q=2&q=1", "all"),
            get("facts.test", "/?q=%31", "query"),
            // A method is more than headers, headers are more than queries.
            Case { headers: &["x-kind: a"], ..by("POST", "facts.test", "/?q=1&r=2", "post") },
            with(&["x-kind: a"], "facts.test", "/?q=1", "header"),
            with(&["x-kind: a"], "facts.test", "/?r=2&q=1", "header-and-query"),
            with(&["x-either: a"], "facts.test", "/", "either"),
            get("facts.test", "/?either=%C3%A9+b", "either"),
        ],
    )
    .await;
}

/// Whatever the order in the file: path before method, method before headers, headers before queries.
#[tokio::test]
async fn the_more_specific_match_wins_whatever_the_order_in_the_file() {
    let origin = origin().await;
    let mut rules = vec![
        rule("long-path", "[{path: {value: /a/b}}]"),
        rule("method", "[{path: {value: /a}, method: GET}]"),
        rule("headers", "[{path: {value: /a}, headers: [{name: h1, value: '1'}, {name: h2, value: '2'}]}]"),
        rule("query", "[{path: {value: /a}, queryParams: [{name: q, value: '1'}]}]"),
        rule("short-path", "[{path: {value: /a}}]"),
        rule("regex", "[{path: {type: RegularExpression, value: '/a/[a-z]'}, headers: [{name: h3, value: '3'}]}]"),
    ];
    let everything: &[&str] = &["h1: 1", "h2: 2"];
    let cases = [
        with(everything, "order.test", "/a/b?q=1", "long-path"),
        with(&["h1: 1", "h2: 2", "h3: 3"], "order.test", "/a/b?q=1", "regex"),
        with(everything, "order.test", "/a/c?q=1", "method"),
        Case { headers: everything, ..by("PUT", "order.test", "/a/c?q=1", "headers") },
        by("PUT", "order.test", "/a/c?q=1", "query"),
        by("PUT", "order.test", "/a/c", "short-path"),
    ];
    for _ in 0..2 {
        let documents = [service("origin", origin.address()), route("order", "[order.test]", &rules)];
        check(&documents, &cases).await;
        rules.reverse();
    }
}

#[tokio::test]
async fn between_equal_matches_the_older_route_then_the_first_name_then_the_first_rule_wins() {
    let origin = origin().await;
    let aged = |name: &str, created: &str, rules: &[String]| {
        let text = route(name, "[]", rules);
        text.replace(
            "namespace: default}\nspec",
            &format!("namespace: default, creationTimestamp: '{created}'}}\nspec"),
        )
    };
    let tie = |name: &str, path: &str| rule(name, &format!("[{{path: {{value: {path}}}}}]"));
    let documents = [
        service("origin", origin.address()),
        route(
            "a-undated",
            "[]",
            &[tie("undated", "/age"), tie("first-name", "/name"), tie("first", "/rule"), tie("second", "/rule")],
        ),
        aged("b-young", "2026-02-01T00:00:00Z", &[tie("young", "/age")]),
        aged("c-old", "2025-02-01T00:00:00Z", &[tie("old", "/age")]),
        route("d-undated", "[]", &[tie("last-name", "/name")]),
    ];
    check(
        &documents,
        &[get("ties.test", "/age", "old"), get("ties.test", "/name", "first-name"), get("ties.test", "/rule", "first")],
    )
    .await;
}

#[tokio::test]
async fn the_model_in_the_body_decides() {
    let origin = origin().await;
    let model = |name: &str, value: &str| {
        rule(name, &format!("[{{path: {{value: /v1}}, headers: [{{name: X-Gateway-Model-Name, {value}}}]}}]"))
    };
    let rules = [
        rule("default", "[{path: {value: /v1}}]"),
        model("big", "value: llama-70b"),
        model("small", "type: RegularExpression, value: 'qwen-.*'"),
        rule("no-body", "[{path: {value: /v1/chat/completions}, method: GET}]"),
    ];
    let documents = [service("origin", origin.address()), route("models", "[models.test]", &rules)];
    let conflict = &["content-type: application/json", "x-gateway-model-name: llama-70b"];
    check(
        &documents,
        &[
            chat(r#"{"model":"llama-70b","messages":[]}"#, Ok("big")),
            chat(r#"{"messages":[],"model":"qwen-2"}"#, Ok("small")),
            chat(r#"{"model":"other"}"#, Ok("default")),
            chat(r#"{"messages":[]}"#, Ok("default")),
            chat(r#"{"model":"llama-70b","model":"qwen-2"}"#, Err(400)),
            chat(r#"{"model":["llama-70b"]}"#, Err(400)),
            chat(r#"{"model":"llama-70b""#, Err(400)),
            // What a client claims routes nothing, and must not be false.
            Case { headers: conflict, ..chat(r#"{"model":"other"}"#, Err(400)) },
            Case { headers: conflict, ..chat(r#"{"model":"llama-70b"}"#, Ok("big")) },
            Case { headers: conflict, ..chat(r#"{"messages":[]}"#, Ok("default")) },
            get("models.test", "/v1/chat/completions", "no-body"),
            Case { target: "/v1/chat/completions?model=qwen-2", ..chat(r#"{"model":"llama-70b"}"#, Err(400)) },
            Case { target: "/v1/chat/completions?model=llama-70b", ..chat(r#"{"model":"llama-70b"}"#, Ok("big")) },
            get("models.test", "/v1/models/llama-70b", "big"),
            get("models.test", "/v1/models/qwen-2", "small"),
            get("models.test", "/v1/models", "default"),
        ],
    )
    .await;
}

/// Routes choose Gateways, listeners and ports; each is asked at its own address.
#[tokio::test]
async fn several_gateways_and_ports_have_their_own_routes() {
    let origin = origin().await;
    let documents = format!(
        "{GATEWAY}---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: second, namespace: default}}
spec:
  gatewayClassName: portcullis
  listeners:
  - {{name: wide, protocol: HTTP, port: 80}}
  - {{name: narrow, protocol: HTTP, port: 80, hostname: narrow.test}}
  - {{name: other, protocol: HTTP, port: 8080}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: second, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: second}}]
  authentication: {{anonymous: {{actions: ['*']}}}}
{}{}{}{}{}",
        service("origin", origin.address()),
        route("first", "[]", &[rule("first-gateway", "[{path: {value: /}}]")]),
        route("wide", "[]", &[rule("wide", "[{path: {value: /}}]")])
            .replace("[{name: edge}]", "[{name: second, sectionName: wide}]"),
        route("narrow", "[]", &[rule("narrow", "[{path: {value: /}}]")])
            .replace("[{name: edge}]", "[{name: second, sectionName: narrow}]"),
        route("port", "[]", &[rule("port", "[{path: {value: /}}]")])
            .replace("[{name: edge}]", "[{name: second, port: 8080}]"),
    );
    let gateway = Gateway::start(&documents.as_str().into(), Options::default()).await;
    let ask = async |of: &str, port: u16, host: &str| {
        let mut client = RawClient::connect(gateway.addr(of, port).await).await;
        client.exchange(request("GET", host, "/", "", "")).await.text()
    };
    assert_eq!(ask("default/edge", 80, "narrow.test").await, "first-gateway");
    assert_eq!(ask("default/second", 80, "any.test").await, "wide");
    assert_eq!(ask("default/second", 80, "narrow.test").await, "narrow");
    assert_eq!(ask("default/second", 8080, "narrow.test").await, "port");
    // `explain` is told the port by the URL.
    let config = gateway.config();
    let explain = |url: &str| {
        let output = portcullis(&["explain", "--config", config.to_str().unwrap(), "GET", url]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(explain("http://narrow.test:8080/").contains("`port`"), "{}", explain("http://narrow.test:8080/"));
    assert!(explain("http://narrow.test/").contains("`narrow`"), "{}", explain("http://narrow.test/"));
}

#[tokio::test]
async fn a_host_without_a_listener_and_a_path_without_a_rule_are_404() {
    let origin = origin().await;
    let documents = together(&[
        service("origin", origin.address()),
        route("one", "[]", &[rule("one", "[{path: {type: Exact, value: /one}}]")]),
    ]);
    let text: String = documents.files().map(|(_, text)| text.to_owned()).collect();
    let text = text.replace("protocol: HTTP, port: 80", "protocol: HTTP, port: 80, hostname: '*.one.test'");
    let gateway = Gateway::start(&text.into(), Options::default()).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    let mut status = async |host: &str, path: &str| {
        let answer = client.exchange(request("GET", host, path, "", "")).await;
        assert!(answer.header("x-request-id").is_some(), "{answer:?}");
        answer.status
    };
    assert_eq!(status("a.one.test", "/one").await, 200);
    assert_eq!(status("a.one.test", "/two").await, 404);
    assert_eq!(status("two.test", "/one").await, 404);
    // The connection is still good.
    assert_eq!(status("a.one.test", "/one").await, 200);
    assert_eq!(origin.seen().len(), 2);
}
