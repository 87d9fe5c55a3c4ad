//! Where a listener's certificates come from, and which of them it shows.

use std::fs;

use portcullis_tests::harness::{Gateway, Options, RawClient, Tls, eventually, pki::Authority};
use tempfile::TempDir;

use super::{Simple, get, listener, origin};
use crate::texts;

#[tokio::test]
async fn of_several_certificates_the_one_for_the_name_is_shown() {
    let origin = origin("ok").await;
    let authorities: Vec<Authority> = ["one", "two", "three"].into_iter().map(Authority::new).collect();
    let secrets = [
        authorities[0].server(&["one.test"]).secret("default", "one"),
        authorities[1].server(&["two.test", "*.two.test"]).secret("default", "two"),
        // With what lies between it and the root.
        authorities[2].intermediate("between").server(&["three.test"]).secret("default", "three"),
    ];
    let documents = texts::gateway(&listener("https", "", &["one", "two", "three"]), "")
        + &secrets.join("---\n")
        + "---\n"
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    for (name, authority) in [("one.test", 0), ("two.test", 1), ("x.two.test", 1), ("three.test", 2)] {
        let tls = Tls::new().server_name(name).trusting(&authorities[authority].pem);
        let mut client = RawClient::connect_tls(address, &tls).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(get(&mut client, name).await.text(), "ok");
    }
    // A name that none of them has gets the first, and may judge by itself.
    let tls = Tls::new().server_name("four.test").trusting(&authorities[0].pem);
    let error = RawClient::connect_tls(address, &tls).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

fn certificate(issuer: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: Certificate\nmetadata: {{name: site}}\nspec:\n  dnsNames: [app.test, \
         \"*.app.test\"]\n  issuer: {issuer}\n---\n"
    )
}

fn listener_of_certificate() -> String {
    let reference = "{group: portcullis.dev, kind: Certificate, name: site}";
    listener("https", "", &["x"]).replace("{name: x}", reference)
}

#[tokio::test]
async fn the_local_authority_issues_for_the_names_of_a_document() {
    let origin = origin("ok").await;
    let documents = texts::gateway(&listener_of_certificate(), "")
        + &certificate("{local: {}}")
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let root = fs::read_to_string(gateway.state().join("authority/ca.pem")).unwrap();
    for name in ["app.test", "x.app.test"] {
        let tls = Tls::new().server_name(name).trusting(&root);
        let mut client = RawClient::connect_tls(address, &tls).await.unwrap();
        assert_eq!(get(&mut client, name).await.text(), "ok");
    }
    let tls = Tls::new().server_name("other.test").trusting(&root);
    assert!(RawClient::connect_tls(address, &tls).await.is_err());
}

#[tokio::test]
async fn a_certificate_in_files_is_swapped_when_they_change() {
    let (origin, folder) = (origin("ok").await, TempDir::new().unwrap());
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (chain, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let put = |authority: &Authority| {
        let identity = authority.server(&["app.test"]);
        // Each file is renamed into place; between the two they do not fit, and the gateway keeps what it has.
        for (path, text) in [(&chain, &identity.chain_pem), (&key, &identity.key_pem)] {
            let staging = path.with_extension("new");
            fs::write(&staging, text).unwrap();
            fs::rename(&staging, path).unwrap();
        }
    };
    put(&old);
    let issuer = format!("{{files: {{certificate: {}, key: {}}}}}", chain.display(), key.display());
    let documents = texts::gateway(&listener_of_certificate(), "")
        + &certificate(&issuer)
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let address = gateway.addr("default/edge", 443).await;
    let tls = |authority: &Authority| Tls::new().server_name("app.test").trusting(&authority.pem);
    let mut client = RawClient::connect_tls(address, &tls(&old)).await.unwrap();
    assert_eq!(get(&mut client, "app.test").await.text(), "ok");
    put(&new);
    eventually("the new certificate is shown", async || RawClient::connect_tls(address, &tls(&new)).await.is_ok())
        .await;
    assert!(RawClient::connect_tls(address, &tls(&old)).await.is_err(), "the old one is not");
    assert_eq!(get(&mut client, "app.test").await.text(), "ok", "the open connection goes on");
}

#[tokio::test]
async fn a_certificate_in_a_secret_is_swapped_when_it_changes() {
    let simple = Simple::start().await;
    let mut client = RawClient::connect_tls(simple.address, &simple.tls()).await.unwrap();
    assert_eq!(get(&mut client, "app.test").await.text(), "ok");
    let other = Authority::new("other");
    simple.gateway.rewrite(&Simple::documents(&other, simple.origin.address()).into()).await;
    let tls = Tls::new().server_name("app.test").trusting(&other.pem);
    assert!(RawClient::connect_tls(simple.address, &tls).await.is_ok());
    assert!(RawClient::connect_tls(simple.address, &simple.tls()).await.is_err());
    assert_eq!(get(&mut client, "app.test").await.text(), "ok", "the open connection goes on");
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_refused() {
    let origin = origin("ok").await;
    let authority = Authority::new("site");
    let mut identity = authority.server(&["app.test"]);
    identity.key_pem = authority.server(&["app.test"]).key_pem;
    let documents = texts::gateway(&listener("https", "", &["site"]), "")
        + &identity.secret("default", "site")
        + "---\n"
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "");
    let refused = Gateway::try_start(&documents.into(), Options::default()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("key"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("PRIVATE KEY"), "secrets are not printed");
}
