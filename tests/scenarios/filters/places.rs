//! `URLRewrite` and `RequestRedirect`.

use portcullis_tests::harness::Origin;

use crate::edge::{Edge, http_route, ok, service};

fn rewrite(path: &str, rewrite: &str) -> String {
    format!(
        "- matches: [{{path: {{value: {path}}}}}]
  filters: [{{type: URLRewrite, urlRewrite: {rewrite}}}]
  backendRefs: [{{name: origin, port: 80}}]
"
    )
}

#[tokio::test]
async fn hosts_and_paths_are_rewritten() {
    let origin = Origin::answering(ok("hi")).await;
    let rules = [
        rewrite("/host", "{hostname: inner.test}"),
        rewrite("/full", "{path: {type: ReplaceFullPath, replaceFullPath: /whole}}"),
        rewrite("/prefix", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}"),
        rewrite("/strip", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}"),
        rewrite("/both", "{hostname: inner.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /x/}}"),
        // Two levels: there is one path that was matched, and the backend's change of it counts.
        "- matches: [{path: {value: /levels}}]
  filters: [{type: URLRewrite, urlRewrite: {hostname: rule.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /rule}}}]
  backendRefs:
  - name: origin
    port: 80
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /ref}}}]
"
        .to_owned(),
    ];
    let documents =
        [service("origin", origin.address()), http_route("rewrites", &format!("rules:\n{}", rules.concat()))];
    let edge = Edge::start(&documents).await;
    for (target, host, expected) in [
        ("/host/a?b=c", "inner.test", "/host/a?b=c"),
        ("/full/a?b=c", "x.test", "/whole?b=c"),
        ("/prefix", "x.test", "/new"),
        ("/prefix/", "x.test", "/new/"),
        ("/prefix/a%20b?c", "x.test", "/new/a%20b?c"),
        ("/strip", "x.test", "/"),
        ("/strip/a", "x.test", "/a"),
        ("/strip?q=%2F", "x.test", "/?q=%2F"),
        ("/both/a", "inner.test", "/x/a"),
        ("/x/../prefix/./a", "x.test", "/new/a"),
        ("/levels/a?b", "rule.test", "/ref/a?b"),
    ] {
        let got = edge.get("x.test", target, "").await;
        assert_eq!(got.status, 200, "{target}");
        let seen = origin.seen().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.header("host")), (expected, Some(host)), "{target}");
        assert_eq!(seen.header("x-forwarded-host"), Some("x.test"), "what the client asked for");
    }
}

#[tokio::test]
async fn redirects_say_where_to_go() {
    let redirect = |path: &str, to: &str| {
        format!(
            "- matches: [{{path: {{value: {path}}}}}]
  filters: [{{type: RequestRedirect, requestRedirect: {to}}}]
"
        )
    };
    let rules = [
        redirect("/none", "{}"),
        redirect("/scheme", "{scheme: https}"),
        redirect("/port", "{scheme: https, port: 8443, statusCode: 308}"),
        redirect("/host", "{hostname: new.test, statusCode: 301}"),
        redirect("/full", "{path: {type: ReplaceFullPath, replaceFullPath: /whole}, statusCode: 303}"),
        redirect("/prefix", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}, statusCode: 307}"),
        redirect("/well", "{scheme: http, port: 80}"),
    ];
    let edge = Edge::start(&[http_route("redirects", &format!("rules:\n{}", rules.concat()))]).await;
    let mut client = edge.client().await;
    for (target, status, location) in [
        ("/none/a?b=c", 302, "http://x.test/none/a?b=c"),
        ("/scheme", 302, "https://x.test/scheme"),
        ("/port", 308, "https://x.test:8443/port"),
        ("/host?a=b", 301, "http://new.test/host?a=b"),
        ("/full/x?a", 303, "http://x.test/whole?a"),
        ("/prefix/x", 307, "http://x.test/new/x"),
        ("/well", 302, "http://x.test/well"),
    ] {
        let got = client.exchange(crate::edge::request("GET", "x.test", target, "", "")).await;
        assert_eq!((got.status, got.header("location")), (status, Some(location)), "{target}");
        assert!(got.header("x-request-id").is_some() && got.body.is_empty());
    }
    // A request with a body is answered as well.
    let got = client.exchange(crate::edge::request("POST", "x.test", "/port", "", "body")).await;
    assert_eq!(got.status, 308);
}
