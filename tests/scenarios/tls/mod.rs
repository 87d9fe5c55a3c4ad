//! What clients meet at a TLS port: certificates, names, client certificates, passthrough. And TLS towards backends.

mod backends;
mod certificates;
mod clients;
mod handshakes;
mod listeners;
mod slow;
mod tls_routes;

use std::net::SocketAddr;

use portcullis_tests::harness::{Answer, Gateway, Options, Origin, RawClient, Tls, pki::Authority};

use crate::texts;

/// Answers `200` with a text.
async fn origin(text: &'static str) -> Origin {
    Origin::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())).await
}

/// A listener on port 443 that shows these Secrets; `name` and `hostname` as they are written (`""`: any host).
fn listener(name: &str, hostname: &str, secrets: &[&str]) -> String {
    let hostname = if hostname.is_empty() { String::new() } else { format!(", hostname: \"{hostname}\"") };
    let references: Vec<String> = secrets.iter().map(|secret| format!("{{name: {secret}}}")).collect();
    let references = references.join(", ");
    format!("  - {{name: {name}, port: 443, protocol: HTTPS{hostname}, tls: {{certificateRefs: [{references}]}}}}\n")
}

/// A gateway with one listener for any host, `app.test` on its certificate and one origin behind it.
struct Simple {
    gateway: Gateway,
    address: SocketAddr,
    authority: Authority,
    origin: Origin,
}

impl Simple {
    async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    async fn start_with(options: Options) -> Self {
        let (authority, origin) = (Authority::new("site"), origin("ok").await);
        let documents = Self::documents(&authority, origin.address());
        let gateway = Gateway::start(&documents.into(), options).await;
        let address = gateway.addr("default/edge", 443).await;
        Self { gateway, address, authority, origin }
    }

    fn documents(authority: &Authority, origin: SocketAddr) -> String {
        let secret = authority.server(&["app.test"]).secret("default", "site");
        let gateway = texts::gateway(&listener("https", "", &["site"]), "");
        format!("{gateway}{secret}---\n{}{}", texts::service("app", "", &[origin]), texts::route("/", "app", ""))
    }

    /// A client that trusts its authority and asks for `app.test`.
    fn tls(&self) -> Tls {
        Tls::new().server_name("app.test").trusting(&self.authority.pem)
    }

    /// A well-behaved client is served.
    async fn check_it_serves(&self) {
        let mut client = RawClient::connect_tls(self.address, &self.tls()).await.unwrap();
        assert_eq!(get(&mut client, "app.test").await.text(), "ok");
    }
}

async fn get(client: &mut RawClient, host: &str) -> Answer {
    client.exchange(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await
}
