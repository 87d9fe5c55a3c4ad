//! A gateway that asks who comes: over TLS, for clients with and without certificates, in front of one origin.

use std::net::SocketAddr;

use portcullis_tests::harness::{
    Answer, Documents, Gateway, Options, Origin, RawClient, Reply, Seen, Tls,
    pki::{self, Authority, Identity},
};

use crate::texts;

/// What its certificate names.
pub(super) const HOST: &str = "llm.test";

/// The gateway, and what it takes to talk to it.
pub(super) struct Site {
    /// The process.
    pub(super) gateway: Gateway,
    /// Its one port.
    pub(super) address: SocketAddr,
    /// What is behind it.
    pub(super) origin: Origin,
    /// Who vouches for it.
    authority: Authority,
    /// Vouches for clients.
    pub(super) clients: Authority,
}

impl Site {
    /// `providers`: their documents. `policy`: the rest of the AccessPolicy's spec, two spaces deep.
    pub(super) async fn start(providers: &str, policy: &str) -> Self {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        Self::start_before(providers, policy, |_| Reply::Bytes(answer.to_vec())).await
    }

    /// The same in front of an origin that answers as a function says.
    pub(super) async fn start_before(
        providers: &str,
        policy: &str,
        answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (authority, clients) = (Authority::new("site"), Authority::new("clients"));
        Self::of(authority, clients, providers, policy, answering).await
    }

    /// The same with an authority of clients that others know as well.
    pub(super) async fn start_for(clients: Authority, providers: &str, policy: &str) -> Self {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        Self::of(Authority::new("site"), clients, providers, policy, |_| Reply::Bytes(answer.to_vec())).await
    }

    async fn of(
        authority: Authority,
        clients: Authority,
        providers: &str,
        policy: &str,
        answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let origin = Origin::start(answering).await;
        let documents = documents(&authority, &clients, &origin, providers, policy);
        let gateway = Gateway::start(&documents, Options::default()).await;
        let address = gateway.addr("default/edge", 443).await;
        Self { gateway, address, origin, authority, clients }
    }

    /// The port in its URLs is the one that the OS chose.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.address.port())
    }

    /// One request with these further header lines (each ended by CRLF), on a connection of its own that shows this
    /// certificate.
    pub(super) async fn request(&self, line: &str, headers: &str, identity: Option<&Identity>) -> Answer {
        let mut client = self.connect(identity).await;
        let host = format!("{HOST}:{}", self.address.port());
        client.send(format!("{line} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n")).await;
        client.answer().await
    }

    /// A connection to it.
    pub(super) async fn connect(&self, identity: Option<&Identity>) -> RawClient {
        let tls = Tls::new().server_name(HOST).trusting(&self.authority.pem);
        let tls = identity.map_or(tls.clone(), |identity| tls.identity(identity));
        RawClient::connect_tls(self.address, &tls).await.expect("whoever comes may shake hands")
    }

    /// How often a provider has judged with this word.
    pub(super) async fn judged(&self, word: &str) -> f64 {
        let outcome = format!("outcome=\"{word}\"");
        self.gateway.metric("portcullis_authentications_total", &[&outcome]).await
    }
}

fn documents(authority: &Authority, clients: &Authority, origin: &Origin, providers: &str, policy: &str) -> Documents {
    let reference = "{group: \"\", kind: ConfigMap, name: clients}";
    let text = format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  gatewayClassName: portcullis
  listeners:
  - {{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: site}}]}}}}
  tls: {{frontend: {{default: {{validation: {{caCertificateRefs: [{reference}], mode: AllowInsecureFallback}}}}}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: known}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]
{policy}---
{providers}---
{}---
{}---
",
        authority.server(&[HOST]).secret("default", "site"),
        pki::config_map("default", "clients", &clients.pem),
    );
    Documents::from(text + &texts::service("app", "", &[origin.address()]) + &texts::route("/v1", "app", ""))
}
