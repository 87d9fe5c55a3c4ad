//! One name in the handshake, another in the request (row B31).

use portcullis_tests::harness::{Documents, Gateway, H2Client, Options, Origin, RawClient, Tls, pki::Authority};

use super::stage::{documents, hi};

/// B31: over either protocol, with or without a name in the handshake, and whatever the target says.
#[tokio::test]
async fn a_request_for_another_host_than_the_handshake_was_for_is_misdirected() {
    let origin = Origin::answering(hi()).await;
    let authority = Authority::new("fronted");
    let listener = |name: &str| {
        format!(
            "  - name: {name}\n    protocol: HTTPS\n    port: 443\n    hostname: {name}.example\n    \
             tls: {{mode: Terminate, certificateRefs: [{{name: edge}}]}}\n"
        )
    };
    let listeners = [listener("a"), listener("b")].concat();
    let text: String = documents(origin.address(), "/").files().map(|(_, text)| text.to_owned()).collect();
    let text = text
        .replace("  - {name: http, protocol: HTTP, port: 80}\n", &listeners)
        .replace("hostnames: [a.example]", "hostnames: [a.example, b.example]");
    let secret = authority.server(&["a.example", "b.example"]).secret("hostile", "edge");
    let documents = Documents::from(text).with("secret.yaml", secret);
    let gateway = Gateway::start(&documents, Options::default()).await;
    let address = gateway.addr("hostile/edge", 443).await;
    let tls = |name: &str| Tls::new().trusting(&authority.pem).server_name(name);

    for (target, host, status) in [
        ("/", "a.example", 200),
        ("/", "b.example", 421),
        ("/", "A.EXAMPLE.", 200),
        ("https://a.example/", "a.example", 200),
        ("https://b.example/", "b.example", 421),
        ("https://b.example/", "a.example", 400),
        ("/", "c.example", 421),
    ] {
        let mut client = RawClient::connect_tls(address, &tls("a.example")).await.unwrap();
        let answer = client.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{target} of {host} on a connection to a.example");
    }
    let before = origin.seen().len();
    let client = H2Client::connect_tls(address, &tls("a.example")).await.unwrap();
    let ask = |host: &str| http::Request::get(format!("https://{host}/")).body("").unwrap();
    assert_eq!(client.send(ask("b.example")).await.unwrap().status(), 421);
    assert_eq!(origin.seen().len(), before, "nothing reached the origin");
    // The connection is still good for what it was made for.
    assert_eq!(client.send(ask("a.example")).await.unwrap().status(), 200);
    // No listener answers without a name, or for a name that is nobody's.
    assert!(Tls::new().connect(address).await.is_err());
    assert!(Tls::new().server_name("c.example").connect(address).await.is_err());
}
