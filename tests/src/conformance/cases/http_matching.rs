//! HTTPRoutes: which rule a request meets.

use super::{SAME_NAMESPACE, V1, V2, V3};
use crate::{
    conformance::{
        INFRA, WEB,
        http::{Case, get, request},
        status::{Condition, ListenerDemand, fails_as, holds},
        suite::Suite,
    },
    harness::Tls,
};

const VALID: [Condition; 2] = [holds("Accepted"), holds("ResolvedRefs")];

/// `GET` a path of a host: it reaches a backend, or nothing (404).
fn of_host(host: &str, path: &str, backend: Option<&str>) -> Case {
    to(get(path).host(host), backend)
}

fn to(case: Case, backend: Option<&str>) -> Case {
    match backend {
        Some(backend) => case.reaches(backend),
        None => case.status(&[404]),
    }
}

pub(in crate::conformance) async fn simple_same_namespace(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["gateway-conformance-infra-test"]).await;
    door.expect(get("/").reaches(V1)).await;
}

pub(in crate::conformance) async fn cross_namespace(suite: Suite) {
    let status = suite.status().await;
    status.listeners_are_programmed("backend-namespaces", &[]);
    for condition in ["Accepted", "ResolvedRefs"] {
        status.parent_has("HTTPRoute", WEB, "cross-namespace", "backend-namespaces", holds(condition));
    }
    let door = suite.door("backend-namespaces", 80).await;
    door.expect(get("/").reaches("web-backend").in_namespace(WEB)).await;
}

pub(in crate::conformance) async fn exact_path(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["exact-matching"]).await;
    let paths =
        [("/one", Some(V1)), ("/two", Some(V2)), ("/", None), ("/one/example", None), ("/two/", None), ("/Two", None)];
    door.expect_all(paths.map(|(path, backend)| to(get(path), backend))).await;
}

pub(in crate::conformance) async fn headers(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["header-matching"]).await;
    let cases: [(&[(&str, &str)], _); 11] = [
        (&[("Version", "one")], Some(V1)),
        (&[("Version", "two")], Some(V2)),
        (&[("Version", "two"), ("Color", "orange")], Some(V1)),
        (&[("Version", "two"), ("Color", "blue")], Some(V2)),
        (&[("Color", "orange")], None),
        (&[("Some-Other-Header", "one")], None),
        (&[("Color", "blue")], Some(V1)),
        (&[("Color", "green")], Some(V1)),
        (&[("Color", "red")], Some(V2)),
        (&[("Color", "yellow")], Some(V2)),
        (&[("Color", "purple")], None),
    ];
    door.expect_all(cases.map(|(headers, backend)| to(get("/").with(headers), backend))).await;
}

pub(in crate::conformance) async fn matching(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["matching"]).await;
    door.expect_all([
        get("/").reaches(V1),
        get("/example").reaches(V1),
        get("/").with(&[("Version", "one")]).reaches(V1),
        get("/v2").reaches(V2),
        get("/v2/example").reaches(V2),
        get("/").with(&[("Version", "two")]).reaches(V2),
        get("/v2/").reaches(V2),
        get("/v2example").reaches(V1),
        get("/foo/v2/example").reaches(V1),
    ])
    .await;
}

pub(in crate::conformance) async fn across_routes(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["matching-part1", "matching-part2"]).await;
    door.expect_all([
        of_host("example.com", "/", Some(V1)),
        of_host("example.com", "/example", Some(V1)),
        of_host("example.net", "/example", Some(V1)),
        of_host("example.com", "/example", Some(V1)).with(&[("Version", "one")]),
        of_host("example.com", "/v2", Some(V2)),
        of_host("example.net", "/v2", Some(V1)),
        of_host("example.com", "/v2/example", Some(V2)),
        of_host("example.com", "/", Some(V2)).with(&[("Version", "two")]),
    ])
    .await;
}

pub(in crate::conformance) async fn methods(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["method-matching"]).await;
    let version = |case: Case, version: &str| case.with(&[("version", version)]);
    door.expect_all([
        request("POST", "/").reaches(V1),
        request("GET", "/").reaches(V2),
        request("HEAD", "/").status(&[404]),
        request("GET", "/path1").reaches(V1),
        version(request("PUT", "/"), "one").reaches(V2),
        version(request("POST", "/path2"), "two").reaches(V3),
        request("PATCH", "/path3").reaches(V1),
        version(request("DELETE", "/path4"), "three").reaches(V1),
        request("PUT", "/").status(&[404]),
        request("DELETE", "/path4").status(&[404]),
        request("PATCH", "/path5").reaches(V1),
        version(request("PATCH", "/"), "four").reaches(V2),
    ])
    .await;
}

pub(in crate::conformance) async fn path_order(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["path-matching-order"]).await;
    door.expect_all([
        get("/match/exact/one").reaches(V3),
        get("/match/exact").reaches(V2),
        get("/match").reaches(V1),
        get("/match/prefix/one/any").reaches(V2),
        get("/match/prefix/any").reaches(V1),
        get("/match/any").reaches(V3),
    ])
    .await;
}

pub(in crate::conformance) async fn query_parameters(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["query-param-matching"]).await;
    let version = |path: &str, version: &str| get(path).with(&[("version", version)]);
    door.expect_all([
        get("/?animal=whale").reaches(V1),
        get("/?animal=dolphin").reaches(V2),
        get("/?animal=dolphin&color=blue").reaches(V3),
        get("/?ANIMAL=Whale").reaches(V3),
        get("/?animal=whale&otherparam=irrelevant").reaches(V1),
        get("/?animal=dolphin&color=yellow").reaches(V2),
        get("/?color=blue").status(&[404]),
        get("/?animal=dog").status(&[404]),
        get("/?animal=whaledolphin").status(&[404]),
        get("/").status(&[404]),
        get("/path1?animal=whale").reaches(V1),
        version("/?animal=whale", "one").reaches(V2),
        version("/path2?animal=whale", "two").reaches(V3),
        get("/path3?animal=shark").reaches(V1),
        version("/path4?animal=kraken", "three").reaches(V1),
        get("/?animal=shark").status(&[404]),
        get("/path4?animal=kraken").status(&[404]),
        get("/path5?animal=hydra").reaches(V1),
        version("/?animal=hydra", "four").reaches(V3),
    ])
    .await;
}

pub(in crate::conformance) async fn named_rules(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["http-named-rules"]).await;
    door.expect_all([get("/named"), get("/unnamed")]).await;
}

pub(in crate::conformance) async fn multiple_gateways(suite: Suite) {
    for (gateway, dedicated, backend) in [
        (SAME_NAMESPACE, "same-namespace-dedicated-route", V2),
        ("all-namespaces", "all-namespaces-dedicated-route", V3),
    ] {
        let door = suite.open(gateway, &["multiple-gateways-shared-route", dedicated]).await;
        door.expect_all([get("/shared").reaches(V1), get("/").reaches(backend)]).await;
    }
}

pub(in crate::conformance) async fn listener_hostnames(suite: Suite) {
    let gateway = "httproute-listener-hostname-matching";
    let door = suite.open(gateway, &["backend-v1", "backend-v2", "backend-v3"]).await;
    let hosts = [
        ("bar.com", Some(V1)),
        ("foo.bar.com", Some(V2)),
        ("baz.bar.com", Some(V3)),
        ("boo.bar.com", Some(V3)),
        ("multiple.prefixes.bar.com", Some(V3)),
        ("multiple.prefixes.foo.com", Some(V3)),
        ("foo.com", None),
        ("no.matching.host", None),
    ];
    door.expect_all(hosts.map(|(host, backend)| of_host(host, "/", backend))).await;
}

pub(in crate::conformance) async fn listener_ports(suite: Suite) {
    let gateway = "httproute-listener-port-matching";
    let door80 = suite.open(gateway, &["backend-v1", "backend-v2", "backend-v3"]).await;
    let (door8080, door8090) = (suite.door(gateway, 8080).await, suite.door(gateway, 8090).await);
    door80.expect(of_host("foo.com", "/", Some(V1))).await;
    door8080.expect(of_host("foo.com:8080", "/", Some(V2))).await;
    door8080.expect(of_host("bar.com:8080", "/", Some(V2))).await;
    door8090.expect(of_host("foo.com:8090", "/", Some(V3))).await;
    door8090.expect(of_host("bar.com:8090", "/", None)).await;
}

pub(in crate::conformance) async fn hostname_intersection(suite: Suite) {
    let gateway = "httproute-hostname-intersection";
    let routes = [
        "specific-host-matches-listener-specific-host",
        "specific-host-matches-listener-wildcard-host",
        "wildcard-host-matches-listener-specific-host",
        "wildcard-host-matches-listener-wildcard-host",
    ];
    let door = suite.open(gateway, &routes).await;
    let cases = [
        ("very.specific.com", "/s1", Some(V1)),
        ("very.specific.com:1234", "/s1", Some(V1)),
        ("non.matching.com", "/s1", None),
        ("foo.nonmatchingwildcard.io", "/s1", None),
        ("foo.wildcard.io", "/s1", None),
        ("very.specific.com", "/non-matching-prefix", None),
        ("foo.wildcard.io", "/s2", Some(V2)),
        ("bar.wildcard.io", "/s2", Some(V2)),
        ("foo.bar.wildcard.io", "/s2", Some(V2)),
        ("non.matching.com", "/s2", None),
        ("wildcard.io", "/s2", None),
        ("very.specific.com", "/s2", None),
        ("foo.wildcard.io", "/non-matching-prefix", None),
        ("very.specific.com", "/s3", Some(V3)),
        ("non.matching.com", "/s3", None),
        ("foo.specific.com", "/s3", None),
        ("foo.wildcard.io", "/s3", None),
        ("foo.anotherwildcard.io", "/s4", Some(V1)),
        ("bar.anotherwildcard.io", "/s4", Some(V1)),
        ("foo.bar.anotherwildcard.io", "/s4", Some(V1)),
        ("anotherwildcard.io", "/s4", None),
        ("foo.wildcard.io", "/s4", None),
        ("very.specific.com", "/s4", None),
        ("foo.anotherwildcard.io", "/non-matching-prefix", None),
        // Of the route that intersects with no listener.
        ("specific.but.wrong.com", "/s5", None),
        ("wildcard.io", "/s5", None),
    ];
    door.expect_all(cases.map(|(host, path, backend)| of_host(host, path, backend))).await;

    let status = suite.status().await;
    let refused = fails_as("Accepted", "NoMatchingListenerHostname");
    status.route_has("HTTPRoute", "no-intersecting-hosts", gateway, refused);
    let demand = |name, attached| ListenerDemand { name, kinds: Some(&["HTTPRoute"]), attached, conditions: &VALID };
    status.listeners_are(gateway, &[demand("listener-1", 2), demand("listener-2", 1), demand("listener-3", 1)]);

    let all = "httproute-hostname-intersection-all";
    let hosts = [
        ("first.com", Some(V2)),
        ("sub.first.com", Some(V2)),
        ("second.com", Some(V2)),
        ("sub.second.com", Some(V2)),
        ("third.com", None),
        ("sub.third.com", None),
    ];
    let door = suite.open(all, &[all]).await;
    door.expect_all(hosts.map(|(host, backend)| of_host(host, "/", backend))).await;
}

/// A request over TLS for `host`, on a connection that was made for `server_name`.
fn over_tls(suite: &Suite, server_name: &str) -> Tls {
    Tls::new().server_name(server_name).pinning(&suite.cluster.certificates.listener.chain_pem)
}

pub(in crate::conformance) async fn https_listener(suite: Suite) {
    let gateway = "same-namespace-with-https-listener";
    let routes = ["httproute-https-test", "httproute-https-test-no-hostname"];
    let door = suite.open_at(gateway, 443, &routes).await;
    for (host, backend) in [("example.org", Some(V1)), ("unknown-example.org", None), ("second-example.org", Some(V2))]
    {
        door.tls(&over_tls(&suite, host)).expect(of_host(host, "/", backend)).await;
    }
}

pub(in crate::conformance) async fn misdirected_requests(suite: Suite) {
    let gateway = "same-namespace-with-https-listener";
    let routes: Vec<_> = (1..=4).map(|n| format!("https-listener-detect-misdirected-requests-test-{n}")).collect();
    let routes: Vec<_> = routes.iter().map(String::as_str).collect();
    let door = suite.open_at(gateway, 443, &routes).await;
    for (server_name, host, result) in [
        ("example.org", "example.org", Ok(V1)),
        ("example.org", "second-example.org", Err(421)),
        ("example.org", "unknown-example.org", Err(404)),
        ("second-example.org", "second-example.org", Ok(V2)),
        ("second-example.org", "example.org", Err(421)),
        ("second-example.org", "unknown-example.org", Err(421)),
        ("third-example.wildcard.org", "third-example.wildcard.org", Ok(V3)),
        ("third-example.wildcard.org", "fith-example.wildcard.org", Ok(V3)),
        ("third-example.wildcard.org", "fourth-example.wildcard.org", Err(421)),
        ("third-example.wildcard.org", "second-example.org", Err(421)),
        ("third-example.wildcard.org", "unknown-example.org", Err(421)),
        ("fourth-example.wildcard.org", "fourth-example.wildcard.org", Ok(V1)),
        ("fourth-example.wildcard.org", "fith-example.wildcard.org", Err(421)),
        ("unknown-example.org", "example.org", Ok(V1)),
        ("unknown-example.org", "unknown-example.org", Err(404)),
    ] {
        let case = get("/detect-misdirected-requests").host(host).over_h2();
        let case = match result {
            Ok(backend) => case.reaches(backend),
            Err(status) => case.status(&[status]),
        };
        door.tls(&over_tls(&suite, server_name)).expect(case).await;
    }
}

pub(in crate::conformance) async fn listener_isolation(suite: Suite) {
    let suffixes = ["empty-hostname", "wildcard-example-com", "wildcard-foo-example-com", "abc-foo-example-com"];
    let hosts = ["bar.com", "bar.example.com", "bar.foo.example.com", "abc.foo.example.com"];
    for variant in ["", "-with-hostname-intersection"] {
        let routes: Vec<_> = suffixes.iter().map(|suffix| format!("attaches-to-{suffix}{variant}")).collect();
        let routes: Vec<_> = routes.iter().map(String::as_str).collect();
        let door = suite.open(&format!("http-listener-isolation{variant}"), &routes).await;
        // Each host meets the routes of the most specific listener, and of no other.
        let cases = hosts.iter().enumerate().flat_map(|(of_host_index, host)| {
            suffixes.iter().enumerate().map(move |(index, suffix)| {
                of_host(host, &format!("/{suffix}"), (index == of_host_index).then_some(V1)).in_namespace(INFRA)
            })
        });
        door.expect_all(cases).await;
    }
}
