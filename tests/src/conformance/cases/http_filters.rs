//! HTTPRoutes: what filters make of requests and answers.

use super::{SAME_NAMESPACE, V1, V2};
use crate::{
    conformance::{
        http::{Case, Redirect, get, request},
        suite::Suite,
    },
    harness::Tls,
};

/// A case of a redirect.
fn redirect(path: &str, status: u16, to: Redirect) -> Case {
    get(path).redirects(status, to)
}

const NOWHERE_ELSE: Redirect = Redirect { scheme: None, host: None, port: None, path: None };
const TO_EXAMPLE: Redirect = Redirect { host: Some("example.org"), ..NOWHERE_ELSE };

pub(in crate::conformance) async fn redirect_303(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["303-redirect"]).await;
    door.expect(request("POST", "/see-other").redirects(303, NOWHERE_ELSE)).await;
}

pub(in crate::conformance) async fn redirect_307(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["307-redirect"]).await;
    door.expect(redirect("/temporary", 307, NOWHERE_ELSE)).await;
}

pub(in crate::conformance) async fn redirect_308(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["308-redirect"]).await;
    door.expect(redirect("/permanent", 308, NOWHERE_ELSE)).await;
}

pub(in crate::conformance) async fn redirect_host_and_status(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["redirect-host-and-status"]).await;
    door.expect(redirect("/hostname-redirect", 302, TO_EXAMPLE)).await;
    door.expect(redirect("/host-and-status", 301, TO_EXAMPLE)).await;
}

pub(in crate::conformance) async fn redirect_path(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["redirect-path"]).await;
    let to = |path| Redirect { path: Some(path), ..NOWHERE_ELSE };
    let to_example = |path| Redirect { path: Some(path), ..TO_EXAMPLE };
    door.expect_all([
        redirect("/original-prefix/lemon", 302, to("/replacement-prefix/lemon")),
        redirect("/full/path/original", 302, to("/full-path-replacement")),
        redirect("/path-and-host", 302, to_example("/replacement-prefix")),
        redirect("/path-and-status", 301, to("/replacement-prefix")),
        redirect("/full-path-and-host", 302, to_example("/replacement-full")),
        redirect("/full-path-and-status", 301, to("/replacement-full")),
    ])
    .await;
}

pub(in crate::conformance) async fn redirect_port(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["redirect-port"]).await;
    let port = Redirect { port: Some(8083), ..NOWHERE_ELSE };
    let port_and_host = Redirect { port: Some(8083), ..TO_EXAMPLE };
    door.expect_all([
        redirect("/port", 302, port.clone()),
        redirect("/port-and-host", 302, port_and_host.clone()),
        redirect("/port-and-status", 301, port),
        redirect("/port-and-host-and-status", 302, port_and_host),
    ])
    .await;
}

pub(in crate::conformance) async fn redirect_scheme(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["redirect-scheme"]).await;
    let scheme = Redirect { scheme: Some("https"), ..NOWHERE_ELSE };
    let scheme_and_host = Redirect { scheme: Some("https"), ..TO_EXAMPLE };
    door.expect_all([
        redirect("/scheme", 302, scheme.clone()),
        redirect("/scheme-and-host", 302, scheme_and_host.clone()),
        redirect("/scheme-and-status", 301, scheme),
        redirect("/scheme-and-host-and-status", 302, scheme_and_host),
    ])
    .await;
}

pub(in crate::conformance) async fn redirect_port_and_scheme(suite: Suite) {
    let to = |path: &str, scheme, port| redirect(path, 302, Redirect { scheme: Some(scheme), port, ..TO_EXAMPLE });

    let door = suite.open(SAME_NAMESPACE, &["http-route-for-listener-on-port-80"]).await;
    door.expect_all([
        to("/scheme-nil-and-port-nil", "http", None),
        to("/scheme-nil-and-port-80", "http", None),
        to("/scheme-nil-and-port-8080", "http", Some(8080)),
        to("/scheme-https-and-port-nil", "https", None),
        to("/scheme-https-and-port-443", "https", None),
        to("/scheme-https-and-port-8443", "https", Some(8443)),
    ])
    .await;

    let gateway = "same-namespace-with-http-listener-on-8080";
    let door = suite.open_at(gateway, 8080, &["http-route-for-listener-on-port-8080"]).await;
    door.expect_all([
        to("/scheme-nil-and-port-nil", "http", Some(8080)),
        to("/scheme-nil-and-port-80", "http", None),
        to("/scheme-https-and-port-nil", "https", None),
    ])
    .await;

    let gateway = "same-namespace-with-https-listener";
    let door = suite.open_at(gateway, 443, &["http-route-for-listener-on-port-443"]).await;
    let tls = Tls::new().server_name("example.org").pinning(&suite.cluster.certificates.listener.chain_pem);
    let cases = [
        to("/scheme-nil-and-port-nil", "https", None),
        to("/scheme-nil-and-port-443", "https", None),
        to("/scheme-nil-and-port-8443", "https", Some(8443)),
        to("/scheme-http-and-port-nil", "http", None),
        to("/scheme-http-and-port-80", "http", None),
        to("/scheme-http-and-port-8080", "http", Some(8080)),
    ];
    door.tls(&tls).expect_all(cases.map(|case| case.host("example.org"))).await;
}

pub(in crate::conformance) async fn backend_redirect(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backend-request-redirect"]).await;
    let to = |path| Redirect { path: Some(path), ..NOWHERE_ELSE };
    door.expect(redirect("/full/original", 302, to("/redirected-full"))).await;
    door.expect(redirect("/prefix/original", 302, to("/redirected-prefix/original"))).await;
}

pub(in crate::conformance) async fn backend_rewrite(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["backend-url-rewrite"]).await;
    door.expect(get("/full/original").arrives_at("/rewritten-full").reaches(V1)).await;
    door.expect(get("/prefix/original").arrives_at("/rewritten-prefix/original").reaches(V1)).await;
}

/// What several tests send to a rule that modifies headers, and what arrives.
pub(super) fn modified(case: Case) -> Case {
    case.with(&[("X-Header-Remove", "remove-val"), ("X-Header-Add-Append", "append-val-1")])
        .arrives_with(&[
            ("X-Header-Add", "header-val-1"),
            ("X-Header-Add-Append", "append-val-1,header-val-2"),
            ("X-Header-Set", "set-overwrites-values"),
        ])
        .arrives_without(&["X-Header-Remove"])
}

pub(in crate::conformance) async fn rewrite_host(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["rewrite-host"]).await;
    door.expect_all([
        get("/one").host("rewrite.example").arrives_for("one.example.org").reaches(V1),
        get("/two").host("rewrite.example").arrives_for("example.org").reaches(V2),
        modified(get("/rewrite-host-and-modify-headers").host("rewrite.example"))
            .arrives_for("test.example.org")
            .reaches(V2),
    ])
    .await;
}

pub(in crate::conformance) async fn rewrite_path(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["rewrite-path"]).await;
    let set = &[("X-Header-Set", "set-val")];
    door.expect_all([
        get("/prefix/one/two").arrives_at("/one/two").reaches(V1),
        get("/strip-prefix/three").arrives_at("/three").reaches(V1),
        get("/strip-prefix").arrives_at("/").reaches(V1),
        get("/full/one/two").arrives_at("/one").reaches(V1),
        modified(get("/full/rewrite-path-and-modify-headers/test").with(set)).arrives_at("/test").reaches(V1),
        modified(get("/prefix/rewrite-path-and-modify-headers/one").with(set)).arrives_at("/prefix/one").reaches(V1),
    ])
    .await;
}

pub(in crate::conformance) async fn request_headers(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["request-header-modifier"]).await;
    let other = ("Some-Other-Header", "val");
    door.expect_all([
        get("/set").with(&[other]).arrives_with(&[other, ("X-Header-Set", "set-overwrites-values")]).reaches(V1),
        get("/set")
            .with(&[other, ("X-Header-Set", "some-other-value")])
            .arrives_with(&[other, ("X-Header-Set", "set-overwrites-values")])
            .reaches(V1),
        get("/add").with(&[other]).arrives_with(&[other, ("X-Header-Add", "add-appends-values")]).reaches(V1),
        get("/add")
            .with(&[other, ("X-Header-Add", "some-other-value")])
            .arrives_with(&[other, ("X-Header-Add", "some-other-value,add-appends-values")])
            .reaches(V1),
        get("/remove").with(&[("X-Header-Remove", "val")]).arrives_without(&["X-Header-Remove"]).reaches(V1),
        get("/multiple")
            .with(&[
                ("X-Header-Set-2", "set-val-2"),
                ("X-Header-Add-2", "add-val-2"),
                ("X-Header-Remove-2", "remove-val-2"),
                ("Another-Header", "another-header-val"),
            ])
            .arrives_with(&[
                ("X-Header-Set-1", "header-set-1"),
                ("X-Header-Set-2", "header-set-2"),
                ("X-Header-Add-1", "header-add-1"),
                ("X-Header-Add-2", "add-val-2,header-add-2"),
                ("X-Header-Add-3", "header-add-3"),
                ("Another-Header", "another-header-val"),
            ])
            .arrives_without(&["X-Header-Remove-1", "X-Header-Remove-2"])
            .reaches(V1),
        get("/case-insensitivity")
            .with(&[
                ("x-header-set", "original-val-set"),
                ("x-header-add", "original-val-add"),
                ("x-header-remove", "original-val-remove"),
                ("Another-Header", "another-header-val"),
            ])
            .arrives_with(&[
                ("X-Header-Set", "header-set"),
                ("X-Header-Add", "original-val-add,header-add"),
                ("Another-Header", "another-header-val"),
            ])
            .arrives_without(&["X-Header-Remove"])
            .reaches(V1),
    ])
    .await;
}

pub(in crate::conformance) async fn response_headers(suite: Suite) {
    let door = suite.open(SAME_NAMESPACE, &["response-header-modifier"]).await;
    let other = ("Some-Other-Header", "val");
    let several = [
        ("X-Header-Set-2", "set-val-2"),
        ("X-Header-Add-2", "add-val-2"),
        ("X-Header-Remove-2", "remove-val-2"),
        ("Another-Header", "another-header-val"),
        ("X-Header-Remove-1", "val"),
    ];
    let several_answered = [
        ("X-Header-Set-1", "header-set-1"),
        ("X-Header-Set-2", "header-set-2"),
        ("X-Header-Add-1", "header-add-1"),
        ("X-Header-Add-2", "add-val-2,header-add-2"),
        ("Another-Header", "another-header-val"),
    ];
    let removed = ["X-Header-Remove-1", "X-Header-Remove-2"];
    let echo = ("X-Header-Echo", "echo");
    door.expect_all(
        [
            get("/set").backend_sets(&[other]).answer_has(&[other, ("X-Header-Set", "set-overwrites-values")]),
            get("/set")
                .backend_sets(&[other, ("X-Header-Set", "some-other-value")])
                .answer_has(&[other, ("X-Header-Set", "set-overwrites-values")]),
            get("/add").backend_sets(&[other]).answer_has(&[other, ("X-Header-Add", "add-appends-values")]),
            get("/add")
                .backend_sets(&[other, ("X-Header-Add", "some-other-value")])
                .answer_has(&[other, ("X-Header-Add", "some-other-value,add-appends-values")]),
            get("/remove").backend_sets(&[("X-Header-Remove", "val")]).answer_lacks(&["X-Header-Remove"]),
            get("/multiple")
                .backend_sets(&several)
                .answer_has(&several_answered)
                .answer_has(&[("X-Header-Add-3", "header-add-3")])
                .answer_lacks(&removed),
            get("/case-insensitivity")
                .backend_sets(&[
                    ("x-header-set", "original-val-set"),
                    ("x-header-add", "original-val-add"),
                    ("x-header-remove", "original-val-remove"),
                    ("Another-Header", "another-header-val"),
                ])
                .answer_has(&[
                    ("X-Header-Set", "header-set"),
                    ("X-Header-Add", "original-val-add,header-add"),
                    ("X-Lowercase-Add", "lowercase-add"),
                    ("X-Mixedcase-Add-1", "mixedcase-add-1"),
                    ("X-Mixedcase-Add-2", "mixedcase-add-2"),
                    ("X-Uppercase-Add", "uppercase-add"),
                    ("Another-Header", "another-header-val"),
                ])
                .answer_lacks(&["X-Header-Remove"]),
            modified(get("/response-and-request-header-modifiers").with(&[echo]))
                .arrives_with(&[echo])
                .backend_sets(&several)
                .backend_sets(&[echo])
                .answer_has(&several_answered)
                .answer_has(&[echo])
                .answer_lacks(&removed),
        ]
        .map(|case| case.reaches(V1)),
    )
    .await;
}

const ORIGIN: &str = "access-control-allow-origin";
const METHODS: &str = "access-control-allow-methods";
const HEADERS: &str = "access-control-allow-headers";
const EXPOSED: &str = "access-control-expose-headers";
const CREDENTIALS: &str = "access-control-allow-credentials";

/// A preflight from an origin for a method, perhaps with headers.
fn preflight(path: &str, origin: &str, method: &str, headers: Option<&str>) -> Case {
    let asked = headers.map(|headers| ("access-control-request-headers", headers));
    let case = request("OPTIONS", path).with(&[("Origin", origin), ("access-control-request-method", method)]);
    asked.map_or(case.clone(), |asked| case.with(&[asked])).status(&[200, 204]).stays_at_the_gateway()
}

pub(in crate::conformance) async fn cors(suite: Suite) {
    let routes = [
        "cors-multiple-origins-methods-headers",
        "cors-wildcard-methods",
        "cors-wildcard-origin",
        "cors-wildcard-methods-headers",
    ];
    let door = suite.open(SAME_NAMESPACE, &routes).await;
    let both = "x-header-1, x-header-2";
    let allowed = |origin: &str| {
        preflight("/cors-1", origin, "GET", Some(both))
            .answer_has_one_of(ORIGIN, &[origin])
            .answer_has_one_of(METHODS, &["GET, OPTIONS", "OPTIONS, GET"])
            .answer_has_one_of(HEADERS, &[both, "x-header-2, x-header-1"])
            .answer_has_one_of(EXPOSED, &["x-header-3, x-header-4", "x-header-4, x-header-3"])
            .answer_has_one_of("access-control-max-age", &["3600"])
            .answer_has_one_of(CREDENTIALS, &["true"])
    };
    let simple = |origin: &str| {
        get("/cors-1").with(&[
            ("Origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", both),
        ])
    };
    door.expect_all([
        allowed("https://www.foo.com"),
        allowed("https://www.bar.com"),
        allowed("https://xpto.www.bar.com"),
        preflight("/cors-1", "https://foobar.com", "GET", None).status(&[200, 204, 403]).answer_lacks(&[ORIGIN]),
        simple("https://www.foo.com").answer_has(&[(ORIGIN, "https://www.foo.com")]),
        simple("https://www.bar.com").answer_has(&[(ORIGIN, "https://www.bar.com")]),
        get("/cors-1")
            .with(&[("Origin", "https://foobar.com"), ("access-control-request-method", "GET")])
            .answer_lacks(&[ORIGIN]),
        preflight("/cors-2", "https://www.foo.com", "POST", None)
            .answer_has_one_of(METHODS, &["POST", "*"])
            .answer_has(&[(ORIGIN, "https://www.foo.com")])
            .answer_lacks(&[CREDENTIALS]),
    ])
    .await;

    let any = "/cors-wildcard-origin";
    for origin in ["https://foobar.com", "https://foobar.com:12345"] {
        let asked = preflight(any, origin, "PUT", None).answer_has_one_of(METHODS, &["PUT"]);
        let simple = request("PUT", any).with(&[("Origin", origin)]);
        let cases = [asked, simple];
        door.expect_all(cases.map(|case| case.answer_has_one_of(ORIGIN, &[origin, "*"]).answer_lacks(&[CREDENTIALS])))
            .await;
    }

    let (credentials, none) = ("/cors-wildcard-methods-headers", "/cors-wildcard-methods-headers-unauth");
    let origin = "https://other.foo.com";
    door.expect_all([
        preflight(credentials, origin, "PUT", Some(both))
            .answer_has_one_of(ORIGIN, &[origin])
            .answer_has_one_of(METHODS, &["PUT"])
            .answer_has_one_of(HEADERS, &[both, "x-header-2, x-header-1"])
            .answer_has_one_of(CREDENTIALS, &["true"]),
        preflight(none, origin, "PUT", Some(both))
            .answer_has_one_of(ORIGIN, &[origin, "*"])
            .answer_has_one_of(METHODS, &["PUT", "*"])
            .answer_has_one_of(HEADERS, &[both, "x-header-2, x-header-1", "*"])
            .answer_lacks(&[CREDENTIALS]),
        get(credentials).with(&[("Origin", origin)]).answer_has(&[(ORIGIN, origin), (CREDENTIALS, "true")]),
        get(none).with(&[("Origin", origin)]).answer_has_one_of(ORIGIN, &[origin, "*"]).answer_lacks(&[CREDENTIALS]),
    ])
    .await;
}
