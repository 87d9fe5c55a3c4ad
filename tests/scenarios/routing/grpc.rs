//! GRPCRoutes: services, methods and headers; refusals as gRPC statuses.

use http::Request;
use portcullis_tests::harness::{H2Answer, H2Client};

use crate::edge::{
    Edge, H2Origin, H2Reply, grpc_message, grpc_route, http_route, inference_backend, service_speaking, to_inference,
};

fn rule(name: &str, matches: &str, backend: &str) -> String {
    format!(
        "- name: {name}
  matches: {matches}
  filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-rule, value: {name}}}]}}}}]
  backendRefs: [{{name: {backend}, port: 80}}]
"
    )
}

/// Says in a header which rule sent the request.
async fn origin() -> H2Origin {
    H2Origin::start(|seen| {
        let mut reply = H2Reply::grpc(&[b"pong"]);
        let rule = seen.headers.get("x-rule").map(|rule| rule.to_str().unwrap().to_owned());
        reply.headers.push(("x-said", rule.unwrap_or_default()));
        reply
    })
    .await
}

async fn call(client: &H2Client, path: &str, headers: &[(&str, &str)]) -> H2Answer {
    let mut request = Request::post(format!("http://grpc.test{path}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request.body(grpc_message(b"ping")).unwrap()).await.expect("an answer")
}

fn said(answer: &H2Answer) -> &str {
    answer.head.headers.get("x-said").map_or("", |said| said.to_str().unwrap())
}

/// The status, wherever it stands: in trailers, or in the head of an answer without messages.
fn grpc_status(answer: &H2Answer) -> Option<&str> {
    let trailers = answer.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    trailers.or_else(|| answer.head.headers.get("grpc-status")).map(|status| status.to_str().unwrap())
}

#[tokio::test]
async fn services_methods_and_headers_match() {
    let origin = origin().await;
    let rules = [
        rule("service", "[{method: {service: a.B}}]", "origin"),
        rule("method", "[{method: {service: a.B, method: Get}}]", "origin"),
        rule("any-service", "[{method: {method: List}}]", "origin"),
        rule("regex", "[{method: {type: RegularExpression, service: 'x[.].+', method: 'Do[A-Z]'}}]", "origin"),
        rule("header", "[{method: {service: a.B}, headers: [{name: version, value: two}]}]", "origin"),
    ];
    let documents = [
        service_speaking("origin", origin.address(), "kubernetes.io/h2c"),
        grpc_route("calls", &format!("hostnames: [grpc.test]\nrules:\n{}", rules.concat())),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    for (path, headers, expected) in [
        ("/a.B/Get", &[][..], "method"),
        ("/a.B/Put", &[], "service"),
        ("/a.B/Put", &[("version", "two")], "header"),
        ("/a.B/Get", &[("version", "two")], "method"),
        ("/any.Service/List", &[], "any-service"),
        ("/x.Y/DoZ", &[], "regex"),
    ] {
        let answer = call(&client, path, headers).await;
        assert_eq!((answer.status(), said(&answer)), (200, expected), "{path} {headers:?}");
        assert_eq!(grpc_status(&answer), Some("0"));
        assert_eq!(&answer.body[..], grpc_message(b"pong"));
    }
    // Exact case, whole segments, no slash too many: anything else is another method (row B33).
    for path in ["/a.b/Get", "/A.B/get", "/a.Bx/Get", "/x.Y/Doz", "/x.Y/DoZz", "/grpc.health.v1.Health/Check"] {
        let answer = call(&client, path, &[]).await;
        assert_eq!((answer.status(), grpc_status(&answer)), (200, Some("12")), "{path}");
        assert_eq!(answer.head.headers["content-type"], "application/grpc");
        assert!(answer.head.headers.contains_key("x-request-id"));
    }
    for path in ["//a.B/Get", "/a.B//Get", "/a.B/Get/", "/a.B/./Get", "/a.B/%47et"] {
        let answer = call(&client, path, &[]).await;
        let seen = origin.seen().last().map(|seen| seen.path.clone()).unwrap_or_default();
        // Either refused, or brought into the one form which was then both matched and forwarded.
        match grpc_status(&answer) {
            Some("0") => assert!(["/a.B/Get", "/a.B/Get/"].contains(&seen.as_str()), "{path} went out as {seen}"),
            status => assert!(matches!(status, Some("12" | "3")), "{path}: {status:?}"),
        }
    }
}

#[tokio::test]
async fn refusals_are_grpc_statuses() {
    let gone = origin().await;
    let address = gone.address();
    drop(gone);
    let documents = [
        service_speaking("gone", address, "kubernetes.io/h2c"),
        grpc_route(
            "calls",
            "rules:
- matches: [{method: {service: gone.G}}]
  backendRefs: [{name: gone, port: 80}]
- matches: [{method: {service: empty.E}}]",
        ),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    for (path, headers, expected) in [
        ("/gone.G/Call", &[][..], "14"),
        ("/empty.E/Call", &[], "2"),
        ("/none.N/Call", &[], "12"),
        ("/gone.G/Call", &[("grpc-timeout", "soon")], "3"),
        ("/gone.G/Call", &[("grpc-timeout", "999999999999S")], "3"),
    ] {
        let answer = call(&client, path, headers).await;
        assert_eq!((answer.status(), grpc_status(&answer)), (200, Some(expected)), "{path} {headers:?}");
        assert!(answer.head.headers.contains_key("grpc-message"), "{path}");
        assert!(answer.body.is_empty());
    }
    let unavailable = call(&client, "/gone.G/Call", &[]).await;
    assert!(unavailable.head.headers.contains_key("retry-after"));
}

/// Row B33: what a content type says changes neither the route nor who hears of a refusal in a wrong form.
#[tokio::test]
async fn a_content_type_does_not_change_the_route() {
    let origin = origin().await;
    let documents = [
        service_speaking("origin", origin.address(), "kubernetes.io/h2c"),
        grpc_route("calls", &format!("rules:\n{}", rule("calls", "[{method: {service: a.B}}]", "origin"))),
        http_route("pages", &format!("rules:\n{}", rule("pages", "[{path: {type: Exact, value: /a.B}}]", "origin"))),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    for content_type in ["application/grpc+proto", "application/json", "application/grpc-web"] {
        let answer = call(&client, "/a.B/Get", &[("content-type", content_type)]).await;
        assert_eq!(said(&answer), "calls", "{content_type}");
    }
    // A route that is not there is a 404 for a client of HTTP, a status for one of gRPC.
    let json = call(&client, "/c.D/Get", &[("content-type", "application/json")]).await;
    assert_eq!((json.status(), grpc_status(&json)), (404, None));
    // Only POST is gRPC.
    let get = client.send(Request::get("http://grpc.test/a.B/Get").body(Vec::new()).unwrap()).await.unwrap();
    assert_eq!(get.status(), 404);
}

/// Row B33: a client that calls its JSON gRPC cannot have HTTP/2 spoken to a server that does not, and so make a healthy
/// endpoint look broken.
#[tokio::test]
async fn a_content_type_does_not_change_what_a_backend_is_spoken_to() {
    let origin = crate::edge::named("plain").await;
    let documents = [
        inference_backend("llm", "openai", origin.address(), ""),
        http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("llm"))),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    for _ in 0..20 {
        let answer = call(&client, "/v1/chat/completions", &[]).await;
        assert_eq!((answer.status(), answer.text().as_str()), (200, "plain"));
    }
    assert_eq!(edge.get("llm.test", "/v1/models", "").await.text(), "plain");
}

#[tokio::test]
async fn a_deadline_of_the_client_is_kept() {
    // It takes connections and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let documents = [
        service_speaking("slow", listener.local_addr().unwrap(), "kubernetes.io/h2c"),
        grpc_route("calls", "rules:\n- backendRefs: [{name: slow, port: 80}]"),
    ];
    let edge = Edge::start(&documents).await;
    let client = edge.h2().await;
    for timeout in ["100m", "0S", "99999n"] {
        let answer = call(&client, "/a.B/Get", &[("grpc-timeout", timeout)]).await;
        assert_eq!(grpc_status(&answer), Some("4"), "{timeout}");
    }
}
