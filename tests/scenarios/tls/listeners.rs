//! Several listeners on one port: which of them a client means, and that it stays with that one.

use http::Request;
use portcullis_tests::harness::{Gateway, H2Client, Options, Origin, RawClient, Tls, pki::Authority};

use super::{get, listener, origin};
use crate::texts;

/// Listeners for `a.test`, `*.test`, `x.*.test`'s parent `*.w.test` and, if wanted, any host. Each shows a certificate of
/// an authority of its own and leads to an origin of its own, both called after it.
struct Several {
    _gateway: Gateway,
    address: std::net::SocketAddr,
    authorities: Vec<Authority>,
    origins: Vec<Origin>,
}

const NAMES: [&str; 4] = ["exact", "wildcard", "deeper", "any"];
const HOSTS: [&str; 4] = ["a.test", "*.test", "*.w.test", ""];

impl Several {
    async fn start(count: usize) -> Self {
        let mut listeners = String::new();
        let mut documents = String::new();
        let (mut authorities, mut origins) = (Vec::new(), Vec::new());
        for (name, host) in NAMES.into_iter().zip(HOSTS).take(count) {
            let authority = Authority::new(name);
            let certificate = authority.server(&["a.test", "b.test", "x.w.test", "other.example", "127.0.0.1"]);
            let origin = origin(name).await;
            listeners += &listener(name, host, &[name]);
            documents += &certificate.secret("default", name);
            documents += "---\n";
            documents += &texts::service(name, "", &[origin.address()]);
            documents += &texts::route("/", name, "")
                .replace("route", &format!("route-{name}"))
                .replace("[{name: edge}]", &format!("[{{name: edge, sectionName: {name}}}]"));
            authorities.push(authority);
            origins.push(origin);
        }
        let documents = texts::gateway(&listeners, "") + &documents;
        let gateway = Gateway::start(&documents.into(), Options::default()).await;
        let address = gateway.addr("default/edge", 443).await;
        Self { _gateway: gateway, address, authorities, origins }
    }

    /// A client that asks for this name and trusts only the certificate of this listener.
    fn tls(&self, server_name: Option<&str>, listener: &str) -> Tls {
        let index = NAMES.iter().position(|name| *name == listener).unwrap();
        let tls = Tls::new().trusting(&self.authorities[index].pem);
        server_name.map_or(tls.clone(), |name| tls.server_name(name))
    }
}

#[tokio::test]
async fn the_most_specific_listener_answers() {
    let several = Several::start(4).await;
    for (server_name, host, listener) in [
        (Some("a.test"), "a.test", "exact"),
        (Some("a.test"), "A.TEST:443", "exact"),
        (Some("A.Test"), "a.test.", "exact"),
        (Some("b.test"), "b.test", "wildcard"),
        (Some("x.w.test"), "x.w.test", "deeper"),
        (Some("other.example"), "other.example", "any"),
        (None, "other.example", "any"),
        (None, "127.0.0.1", "any"),
    ] {
        let tls = several.tls(server_name, listener);
        let mut client = RawClient::connect_tls(several.address, &tls)
            .await
            .unwrap_or_else(|error| panic!("{server_name:?} shows another certificate than {listener}: {error}"));
        let answer = get(&mut client, host).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, listener), "{server_name:?} {host}");
        let client = H2Client::connect_tls(several.address, &tls).await.unwrap();
        let uri = format!("https://{}/", host.trim_end_matches('.'));
        let answer = client.send(Request::get(uri).body("").unwrap()).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, listener), "{server_name:?} {host} over HTTP/2");
    }
}

#[tokio::test]
async fn a_request_for_another_listeners_host_is_misdirected() {
    let several = Several::start(4).await;
    for (server_name, host, listener) in [
        (Some("a.test"), "b.test", "exact"),
        (Some("a.test"), "other.example", "exact"),
        (Some("b.test"), "a.test", "wildcard"),
        (Some("b.test"), "x.w.test", "wildcard"),
        (Some("other.example"), "a.test", "any"),
        (None, "a.test", "any"),
        (None, "b.test", "any"),
    ] {
        let tls = several.tls(server_name, listener);
        let mut client = RawClient::connect_tls(several.address, &tls).await.unwrap();
        assert_eq!(get(&mut client, host).await.status, 421, "{server_name:?} {host}");
        // Coalesced: the connection serves its own host before and after.
        let client = H2Client::connect_tls(several.address, &tls).await.unwrap();
        let ask = async |host: &str| {
            client.send(Request::get(format!("https://{host}/")).body("").unwrap()).await.unwrap().status()
        };
        let own = server_name.unwrap_or("other.example");
        assert_eq!((ask(own).await, ask(host).await, ask(own).await), (200, 421, 200), "{server_name:?} {host}");
    }
    let seen: usize = several.origins.iter().map(|origin| origin.seen().len()).sum();
    assert_eq!(seen, 7 * 2, "nothing that is misdirected reaches a backend");
}

#[tokio::test]
async fn hosts_of_one_listener_share_its_connections() {
    // Same certificate, same demands on clients: nothing is gained by another connection.
    let several = Several::start(2).await;
    let client = H2Client::connect_tls(several.address, &several.tls(Some("b.test"), "wildcard")).await.unwrap();
    for host in ["b.test", "c.test"] {
        let answer = client.send(Request::get(format!("https://{host}/")).body("").unwrap()).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "wildcard"));
    }
}

#[tokio::test]
async fn a_name_that_no_listener_answers_for_is_refused_in_the_handshake() {
    let several = Several::start(3).await;
    for server_name in [Some("other.example"), Some("test"), Some("w.example"), None] {
        let tls = several.tls(server_name, "exact");
        let error = RawClient::connect_tls(several.address, &tls).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("UnrecognisedName"), "{server_name:?}: {error}");
    }
    let mut client = RawClient::connect_tls(several.address, &several.tls(Some("a.test"), "exact")).await.unwrap();
    assert_eq!(get(&mut client, "a.test").await.status, 200);
}
