//! Every version that clients speak, to every version that servers speak.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use portcullis_tests::harness::{
    Gateway, H2Client, H2Options, H2Origin, H2Reply, Options, Origin, RawClient, Reply, Tls, pki,
};

use crate::texts;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-from: h1\r\n\r\nok";

/// What stands behind the gateway.
enum Behind {
    H1(Origin),
    H2(H2Origin),
}

impl Behind {
    fn address(&self) -> SocketAddr {
        match self {
            Self::H1(origin) => origin.address(),
            Self::H2(origin) => origin.address(),
        }
    }

    /// The authority, path and body of the requests that came.
    fn seen(&self) -> Vec<(String, String, Vec<u8>)> {
        match self {
            Self::H1(origin) => {
                let of = |seen: portcullis_tests::harness::Seen| {
                    (seen.header("host").unwrap_or_default().to_owned(), seen.target, seen.body)
                };
                origin.seen().into_iter().map(of).collect()
            }
            Self::H2(origin) => {
                let of = |seen: portcullis_tests::harness::H2Seen| {
                    let uri = &seen.head.uri;
                    assert_eq!(seen.header("host"), None, "HTTP/2 says `:authority`");
                    (
                        uri.authority().unwrap().to_string(),
                        uri.path_and_query().unwrap().to_string(),
                        seen.body.to_vec(),
                    )
                };
                origin.seen().into_iter().map(of).collect()
            }
        }
    }
}

async fn h1(tls: Option<&pki::Identity>) -> Behind {
    Behind::H1(match tls {
        None => Origin::answering(ANSWER).await,
        Some(identity) => {
            let config = identity.server_config(&["http/1.1"]);
            Origin::start_tls(config, |_| Reply::Bytes(ANSWER.as_bytes().to_vec())).await
        }
    })
}

async fn h2(tls: Option<&pki::Identity>) -> Behind {
    let tls = tls.map(|identity| Arc::new(identity.server_config(&["h2", "http/1.1"])));
    let options = H2Options { tls, ..H2Options::default() };
    let answer = || Response::builder().header("x-from", "h2").body(Bytes::from_static(b"ok")).unwrap();
    Behind::H2(H2Origin::start(options, move |_| H2Reply::Answer(answer(), None)).await)
}

/// Sends a `GET` and a `POST` over each version that clients speak, in the clear and over TLS.
async fn check(app_protocol: &str, behind: Behind, from: &str, authority: Option<&pki::Authority>) {
    let listeners = "  - {name: http, port: 80, protocol: HTTP}\n  - {name: https, port: 443, protocol: HTTPS, tls: \
                     {certificateRefs: [{name: site}]}}\n";
    let own = pki::Authority::new("own");
    let mut documents = texts::gateway(listeners, "")
        + &own.server(&["app.test"]).secret("default", "site")
        + "---\n"
        + &texts::route("/", "app", "");
    match authority {
        None => documents += &texts::service("app", app_protocol, &[behind.address()]),
        Some(authority) => {
            documents += &texts::bare_service("app", app_protocol, &[behind.address()]);
            documents += &pki::config_map("default", "authority", &authority.pem);
            documents += "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: app}\n\
                          spec:\n  targetRefs: [{group: \"\", kind: Service, name: app}]\n  validation: \
                          {hostname: origin.test, caCertificateRefs: [{group: \"\", kind: ConfigMap, name: authority}]}\n";
        }
    }
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let (plain, secure) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    let tls = Tls::new().server_name("app.test").trusting(&own.pem);

    let clients = [
        RawClient::connect(plain).await,
        RawClient::connect_tls(secure, &tls.clone().alpn(&["http/1.1"])).await.unwrap(),
        RawClient::connect_tls(secure, &tls).await.unwrap(),
    ];
    for mut client in clients {
        let got = client.exchange("GET /a?b=c HTTP/1.1\r\nhost: app.test\r\n\r\n").await;
        assert_eq!((got.status, got.text().as_str(), got.header("x-from")), (200, "ok", Some(from)));
        let posted = client.exchange("POST /p HTTP/1.1\r\nhost: app.test\r\ncontent-length: 4\r\n\r\nbody").await;
        assert_eq!((posted.status, posted.text().as_str()), (200, "ok"));
    }
    for (client, scheme) in
        [(H2Client::connect(plain).await, "http"), (H2Client::connect_tls(secure, &tls).await.unwrap(), "https")]
    {
        let uri = |path: &str| format!("{scheme}://app.test{path}");
        let got = client.send(Request::get(uri("/a?b=c")).body("").unwrap()).await.unwrap();
        assert_eq!((got.status(), got.text().as_str()), (200, "ok"));
        assert_eq!(got.head.headers["x-from"], from);
        let posted = client.send(Request::post(uri("/p")).body("body").unwrap()).await.unwrap();
        assert_eq!((posted.status(), posted.text().as_str()), (200, "ok"));
    }
    let seen = behind.seen();
    assert_eq!(seen.len(), 10);
    for pair in seen.chunks(2) {
        let [get, post] = pair else { unreachable!() };
        assert_eq!((get.0.as_str(), get.1.as_str(), get.2.as_slice()), ("app.test", "/a?b=c", &b""[..]));
        assert_eq!((post.0.as_str(), post.1.as_str()), ("app.test", "/p"));
        // Over HTTP/2 a length need not be announced; it comes in chunks then.
        assert!(post.2 == b"body" || post.2 == b"4\r\nbody\r\n0\r\n\r\n", "{:?}", String::from_utf8_lossy(&post.2));
    }
}

#[tokio::test]
async fn clients_of_every_version_reach_a_server_of_http1() {
    check("", h1(None).await, "h1", None).await;
}

#[tokio::test]
async fn clients_of_every_version_reach_a_server_of_h2c() {
    check("kubernetes.io/h2c", h2(None).await, "h2", None).await;
}

#[tokio::test]
async fn clients_of_every_version_reach_a_server_of_http1_over_tls() {
    let authority = pki::Authority::new("behind");
    check("", h1(Some(&authority.server(&["origin.test"]))).await, "h1", Some(&authority)).await;
}

#[tokio::test]
async fn clients_of_every_version_reach_a_server_of_http2_over_tls() {
    let authority = pki::Authority::new("behind");
    check("", h2(Some(&authority.server(&["origin.test"]))).await, "h2", Some(&authority)).await;
}

#[tokio::test]
async fn h2c_is_not_tried_with_a_server_that_did_not_ask_for_it() {
    let origin = Origin::answering(ANSWER).await;
    let (_gateway, address) = super::before("", origin.address()).await;
    let client = H2Client::connect(address).await;
    assert_eq!(client.send(Request::get("http://app.test/").body("").unwrap()).await.unwrap().status(), 200);
    assert!(origin.seen()[0].head.starts_with(b"GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn grpc_is_carried_over_h2_with_its_trailers_both_ways() {
    let options = H2Options::default();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("7"));
    trailers.insert("grpc-message", HeaderValue::from_static("no"));
    let origin = H2Origin::start(options, move |_| {
        let answer = Response::builder().header("content-type", "application/grpc");
        H2Reply::Answer(answer.body(Bytes::from_static(b"\0\0\0\0\x02hi")).unwrap(), Some(trailers.clone()))
    })
    .await;
    let (_gateway, address) = super::before("kubernetes.io/h2c", origin.address()).await;
    let client = H2Client::connect(address).await;
    let request = Request::post("http://app.test/pkg.Greeter/Hello")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(&b"\0\0\0\0\x02yo"[..])
        .unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "\0\0\0\0\x02hi"));
    let trailers = answer.trailers.expect("trailers");
    assert_eq!((trailers["grpc-status"].as_bytes(), trailers["grpc-message"].as_bytes()), (&b"7"[..], &b"no"[..]));
    let seen = origin.seen();
    assert_eq!((seen[0].header("te"), &seen[0].body[..]), (Some("trailers"), &b"\0\0\0\0\x02yo"[..]));
}

#[tokio::test]
async fn grpc_that_ends_with_its_headers_is_passed_on() {
    let origin = H2Origin::start(H2Options::default(), |_| {
        let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "12");
        H2Reply::Answer(answer.body(Bytes::new()).unwrap(), None)
    })
    .await;
    let (_gateway, address) = super::before("kubernetes.io/h2c", origin.address()).await;
    let request = Request::post("http://app.test/pkg.Greeter/Nothing").header("content-type", "application/grpc");
    let answer = H2Client::connect(address).await.send(request.body("\0\0\0\0\0").unwrap()).await.unwrap();
    assert_eq!(answer.head.headers["grpc-status"], "12");
    assert!(answer.body.is_empty() && answer.trailers.is_none());
}
