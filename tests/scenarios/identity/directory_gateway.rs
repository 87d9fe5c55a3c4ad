//! A directory behind the real gateway: names with passwords over HTTPS, and roles for its groups.

use std::time::Duration;

use portcullis_tests::harness::{
    Answer, Signal,
    directory::{PASSWORD, Slapd, SlapdSetup},
    eventually,
    pki::Authority,
};

use super::site::Site;

/// A directory, and a role for its `ai-users`. `more`: further fields of `ldap`, and behind them of the spec.
pub(super) fn provider(slapd: &Slapd, more: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: directory}}
spec:
  ldap:
    urls: [\"{}\"]
    trust: {{file: {}}}
    bind: {{dn: \"cn=portcullis,ou=service,dc=corp,dc=example\", password: {{file: {}}}}}
    users: {{base: \"ou=people,dc=corp,dc=example\", filter: \"(uid={{username}})\"}}
    groups: {{base: \"ou=groups,dc=corp,dc=example\"}}
{more}---
apiVersion: portcullis.dev/v1alpha1
kind: Role
metadata: {{name: user}}
rules:
- {{routes: [\"*\"], actions: [\"*\"]}}
---
apiVersion: portcullis.dev/v1alpha1
kind: RoleBinding
metadata: {{name: users}}
subjects: [{{kind: Group, provider: directory, name: ai-users}}]
roleRef: {{kind: Role, name: user}}
",
        slapd.url(),
        slapd.trust().display(),
        slapd.service_password().display(),
    )
}

pub(super) async fn site(slapd: &Slapd, more: &str) -> Site {
    Site::start(&provider(slapd, more), "  authentication: {providers: [directory]}\n").await
}

pub(super) async fn status(site: &Site, username: &str, password: &str) -> u16 {
    login(site, username, password).await.status
}

pub(super) async fn login(site: &Site, username: &str, password: &str) -> Answer {
    let credential = portcullis_tests::harness::directory::basic(username, password);
    site.request("GET /v1/x", &format!("authorization: Basic {credential}\r\n"), None).await
}

#[tokio::test]
async fn a_group_in_a_group_opens_the_door_and_nothing_else_does() {
    let slapd = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new());
    let site = site(&slapd, "").await;
    assert_eq!(status(&site, "alice", PASSWORD).await, 200);
    assert_eq!(status(&site, "bob", PASSWORD).await, 403, "known, and in no group that has the role");
    for (username, password) in [
        ("alice", "wrong"),
        ("zoe", PASSWORD),
        ("*", PASSWORD),
        ("*)(uid=*))(|(uid=*", PASSWORD),
        ("alice,ou=people", PASSWORD),
        ("alice", ""),
        ("alice", "\0"),
        ("", PASSWORD),
    ] {
        assert_eq!(status(&site, username, password).await, 401, "{username:?} {password:?}");
    }
    assert_eq!(site.request("GET /v1/x", "", None).await.status, 401);
    assert_eq!(site.origin.seen().len(), 1, "one request was forwarded");
    let sent = &site.origin.seen()[0];
    assert!(!format!("{sent:?}").contains(&portcullis_tests::harness::directory::basic("alice", PASSWORD)));
    let asked = site.gateway.metric("portcullis_directory_servers_up", &["provider=\"default/directory\""]).await;
    assert!((asked - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_removal_takes_effect_within_fresh() {
    let slapd = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new());
    let site = site(&slapd, "    cache: {fresh: 1s, stale: 1m}\n").await;
    assert_eq!(status(&site, "alice", PASSWORD).await, 200);
    slapd.modify("dn: cn=ai-devs,ou=groups,dc=corp,dc=example\nchangetype: delete\n");
    let removed = std::time::Instant::now();
    eventually("the group is gone", async || status(&site, "alice", PASSWORD).await == 403).await;
    assert!(removed.elapsed() < Duration::from_secs(4), "{:?}", removed.elapsed());
}

#[tokio::test]
async fn whoever_waits_for_the_directory_while_documents_change_is_answered() {
    let slapd = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new());
    let site = site(&slapd, "").await;
    slapd.signal(Signal::STOP);
    let waiting = status(&site, "alice", PASSWORD);
    let change = async {
        // Once the question is on its way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let path = site.gateway.config().join("documents.yaml");
        let documents = std::fs::read_to_string(&path).unwrap();
        site.gateway.rewrite(&documents.replace("name: users}", "name: people}").into()).await;
        slapd.signal(Signal::CONT);
    };
    assert_eq!(tokio::join!(waiting, change).0, 200);
}

#[tokio::test]
async fn while_the_directory_is_away_the_known_pass_and_nobody_else() {
    let mut slapd = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new());
    let site = site(&slapd, "    cache: {fresh: 200ms, stale: 10m}\n").await;
    assert_eq!(status(&site, "alice", PASSWORD).await, 200);
    slapd.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(status(&site, "alice", PASSWORD).await, 200, "stopped: from memory");
    assert_eq!(status(&site, "alice", "another").await, 503);
    assert_eq!(status(&site, "bob", PASSWORD).await, 503);
    slapd.end();
    assert_eq!(status(&site, "alice", PASSWORD).await, 200, "gone: from memory");
    slapd.start_again();
    eventually("it is asked again", async || status(&site, "bob", PASSWORD).await == 403).await;
    assert_eq!(status(&site, "alice", PASSWORD).await, 200);
    assert_eq!(status(&site, "alice", "another").await, 401);
}
