//! Which rule wins, by the words of the Gateway API.
#![expect(clippy::unwrap_used, reason = "tests")]

use http::{HeaderMap, Method};
use std::fmt::Write as _;

use portcullis_policy::{
    Snapshot,
    check::check_sources,
    diagnostics,
    documents::Sources,
    routes::{Facts, Found, Model},
};

const SURROUNDINGS: &str = r"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {}}
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {name: b}
spec: {protocol: openai, endpoints: [{address: 127.0.0.1, port: 80}], transport: {plaintext: {}}}
";

/// A route per line: name, hosts, matches (in YAML).
fn snapshot(routes: &[(&str, &str, &str)]) -> Snapshot {
    let mut text = SURROUNDINGS.to_owned();
    for (name, hosts, matches) in routes {
        let _ = write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: [{{name: edge}}]\n  \
             hostnames: [{hosts}]\n  rules: [{{matches: [{matches}], backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, name: b}}]}}]\n"
        );
    }
    let report = check_sources(&Sources::of_text("test.yaml", &text));
    assert!(report.is_clean(), "{}", diagnostics::text(&report.diagnostics, false));
    report.snapshot
}

fn find(snapshot: &Snapshot, method: &str, url: &str, headers: &[(&'static str, &str)], model: Model<'_>) -> String {
    let url: http::Uri = url.parse().unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let method: Method = method.parse().unwrap();
    let facts = Facts {
        host: url.host().unwrap(),
        method: &method,
        path: url.path(),
        query: url.query(),
        headers: &map,
        model,
    };
    match snapshot.listeners.first().unwrap().routes.find(&facts) {
        Found::Rule(found) => found.rule.route.name.to_string(),
        Found::NeedsModel(rules) => format!("model? {}", rules.iter().count()),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn the_most_specific_host_wins_and_falls_back() {
    let snapshot = snapshot(&[
        ("any", "", "{path: {type: PathPrefix, value: /}}"),
        ("wild", "'*.example.com'", "{path: {type: PathPrefix, value: /}}"),
        ("deep", "'*.a.example.com'", "{path: {type: PathPrefix, value: /deep}}"),
        ("exact", "x.a.example.com", "{path: {type: Exact, value: /only}}"),
    ]);
    let check =
        |url: &str, expected: &str| assert_eq!(find(&snapshot, "GET", url, &[], Model::Known(None)), expected, "{url}");
    check("http://x.a.example.com/only", "exact");
    check("http://x.a.example.com/deep/1", "deep");
    check("http://x.a.example.com/other", "wild");
    check("http://example.com/only", "any");
    check("http://a.example.com/deep", "wild");
    check("http://other.org/", "any");
}

#[test]
fn paths_then_methods_then_headers_then_queries_win() {
    let snapshot = snapshot(&[
        ("root", "", "{path: {type: PathPrefix, value: /}}"),
        ("v1", "", "{path: {type: PathPrefix, value: /v1}}"),
        ("chat", "", "{path: {type: PathPrefix, value: /v1/chat/}}"),
        ("exact", "", "{path: {type: Exact, value: /v1/chat}}"),
        ("post", "", "{path: {type: PathPrefix, value: /v1}, method: POST}"),
        ("one", "", "{path: {type: PathPrefix, value: /v1}, headers: [{name: a, value: '1'}]}"),
        ("two", "", "{path: {type: PathPrefix, value: /v1}, headers: [{name: a, value: '1'}, {name: b, value: '2'}]}"),
        ("query", "", "{path: {type: PathPrefix, value: /v1}, queryParams: [{name: q, value: 'x y'}]}"),
        ("regex", "", "{path: {type: RegularExpression, value: '/v1/m[0-9]+'}}"),
        (
            "header-regex",
            "",
            "{path: {type: PathPrefix, value: /v1}, headers: [{name: c, type: RegularExpression, value: 'x.*'}]}",
        ),
    ]);
    let check = |method: &str, url: &str, headers: &[(&'static str, &str)], expected: &str| {
        assert_eq!(
            find(&snapshot, method, &format!("http://h{url}"), headers, Model::Known(None)),
            expected,
            "{method} {url}"
        );
    };
    check("GET", "/", &[], "root");
    check("GET", "/v10", &[], "root");
    check("GET", "/v1/x", &[], "v1");
    check("GET", "/v1/chat", &[], "exact");
    check("GET", "/v1/chat/completions", &[], "chat");
    check("POST", "/v1/x", &[("a", "1")], "post");
    check("GET", "/v1/x", &[("a", "1")], "one");
    check("GET", "/v1/x", &[("a", "1"), ("b", "2")], "two");
    check("GET", "/v1/x?q=x%20y", &[], "query");
    check("GET", "/v1/x?q=x+y&q=z", &[("a", "1")], "one");
    check("GET", "/v1/m42", &[], "regex");
    check("GET", "/v1/m42x", &[], "v1");
    check("GET", "/v1/x", &[("c", "xyz")], "header-regex");
    check("GET", "/v1/x", &[("a", "1"), ("a", "2")], "v1");
}

#[test]
fn the_model_is_asked_for_only_where_it_matters() {
    let snapshot = snapshot(&[
        ("big", "", "{path: {type: PathPrefix, value: /v1}, headers: [{name: X-Gateway-Model-Name, value: big}]}"),
        ("default", "", "{path: {type: PathPrefix, value: /v1}}"),
        ("post", "", "{path: {type: PathPrefix, value: /v1/raw}, method: POST}"),
    ]);
    let check = |method: &str, path: &str, model: Model<'_>, expected: &str| {
        let spoofed = [("x-gateway-model-name", "big")];
        assert_eq!(find(&snapshot, method, &format!("http://h{path}"), &spoofed, model), expected, "{path} {model:?}");
    };
    check("POST", "/v1/chat", Model::Unread, "model? 2");
    check("POST", "/v1/chat", Model::Known(Some("big")), "big");
    check("POST", "/v1/chat", Model::Known(Some("small")), "default");
    check("POST", "/v1/chat", Model::Known(None), "default");
    check("POST", "/v1/raw", Model::Unread, "post");
    check("GET", "/other", Model::Unread, "nothing");
}
