//! TLSRoutes: TLS that ends at a backend, or here with any protocol inside.

use std::net::SocketAddr;

use portcullis_tests::harness::{Gateway, Options, Origin, PATIENCE, RawClient, Reply, Tls, pki::Authority};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::get;
use crate::texts;

fn tls_route(name: &str, hosts: &str, service: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: \
         [{{name: edge}}]\n  hostnames: [{hosts}]\n  rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]\n---\n"
    )
}

/// A server behind TLS whose certificate comes from an authority of its own.
async fn secret_server(name: &'static str) -> (Authority, Origin) {
    let authority = Authority::new(name);
    let config = authority.server(&["a.test", "x.b.test", "c.test"]).server_config(&["http/1.1"]);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()).into_bytes();
    (authority, Origin::start_tls(config, move |_| Reply::Bytes(answer.clone())).await)
}

#[tokio::test]
async fn passed_through_tls_ends_at_the_backend_of_its_name() {
    let ((one_root, one), (two_root, two)) = (secret_server("one").await, secret_server("two").await);
    let listener = "  - {name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}\n";
    let documents = texts::gateway(listener, "")
        + &texts::service("one", "", &[one.address()])
        + &texts::service("two", "", &[two.address()])
        + &texts::service("gone", "", &["127.0.0.1:1".parse().unwrap()])
        + &tls_route("one", "a.test", "one")
        + &tls_route("two", "\"*.b.test\"", "two")
        + &tls_route("gone", "c.test", "gone");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    for (name, root, text) in [("a.test", &one_root, "one"), ("x.b.test", &two_root, "two")] {
        for tls in [Tls::new(), Tls::new().record_bytes_max(64)] {
            let tls = tls.server_name(name).trusting(&root.pem);
            let mut client = RawClient::connect_tls(address, &tls).await.unwrap();
            for _ in 0..2 {
                assert_eq!(get(&mut client, "whatever.test").await.text(), text);
            }
        }
    }
    // No backend, no route, no name: the connection is closed, and no certificate of anyone is shown.
    for tls in [Tls::new().server_name("c.test"), Tls::new().server_name("d.test"), Tls::new()] {
        assert!(RawClient::connect_tls(address, &tls).await.is_err());
    }
}

/// Says what it hears in capitals, and goodbye when it has heard all.
async fn shouting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..read].to_ascii_uppercase()).await.unwrap();
                }
                stream.write_all(b"goodbye").await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn terminated_tls_carries_any_protocol_to_the_backend_of_its_name() {
    let site = Authority::new("site");
    let listener =
        "  - {name: tls, port: 443, protocol: TLS, tls: {mode: Terminate, certificateRefs: [{name: site}]}}\n";
    let documents = texts::gateway(listener, "")
        + &site.server(&["a.test", "b.test"]).secret("default", "site")
        + "---\n"
        + &texts::service("shouting", "", &[shouting().await])
        + &tls_route("shouting", "a.test", "shouting");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let tls = Tls::new().server_name("a.test").trusting(&site.pem);
    let mut client = RawClient::connect_tls(address, &tls).await.unwrap();
    for word in ["hello", "world"] {
        client.send(word).await;
        assert_eq!(client.read().await.unwrap(), word.to_uppercase().into_bytes());
    }
    // One side may end before the other.
    client.finish().await;
    assert_eq!(client.read_until_close(PATIENCE).await.as_deref(), Some(&b"goodbye"[..]));

    let tls = Tls::new().server_name("b.test").trusting(&site.pem);
    let mut client = RawClient::connect_tls(address, &tls).await.unwrap();
    assert_eq!(client.read_until_close(PATIENCE).await.as_deref(), Some(&b""[..]), "no route for this name");
}

#[tokio::test]
async fn passthrough_and_https_share_a_port_by_name() {
    let (root, through) = secret_server("through").await;
    let (site, here) = (Authority::new("site"), super::origin("here").await);
    let listeners = "  - {name: through, port: 443, protocol: TLS, hostname: a.test, tls: {mode: Passthrough}}\n"
        .to_owned()
        + &super::listener("here", "b.test", &["site"]);
    let documents = texts::gateway(&listeners, "")
        + &site.server(&["b.test"]).secret("default", "site")
        + "---\n"
        + &texts::service("through", "", &[through.address()])
        + &texts::service("here", "", &[here.address()])
        + &tls_route("through", "a.test", "through")
        + &texts::route("/", "here", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let mut client =
        RawClient::connect_tls(address, &Tls::new().server_name("a.test").trusting(&root.pem)).await.unwrap();
    assert_eq!(get(&mut client, "a.test").await.text(), "through");
    let mut client =
        RawClient::connect_tls(address, &Tls::new().server_name("b.test").trusting(&site.pem)).await.unwrap();
    assert_eq!(get(&mut client, "b.test").await.text(), "here");
    assert_eq!(get(&mut client, "a.test").await.status, 421);
}
