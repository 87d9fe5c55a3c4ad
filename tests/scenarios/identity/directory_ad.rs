//! Active Directory (Samba's), asked as the gateway asks it.

use std::{sync::Arc, time::Duration};

use portcullis_policy::snapshot::{CacheTimes, LdapGroups, LdapProvider, LdapUsers, Nested};
use portcullis_tests::harness::directory::{ActiveDirectory, active_directory};

use super::{
    directory::{AtWork, FRESH, STALE, server},
    directory_gateway::login,
    site::Site,
};

const PASSWORD: &str = "C0rrect-Horse!";

fn search_and_bind(controller: &ActiveDirectory, nested: Nested) -> LdapProvider {
    LdapProvider {
        servers: vec![server(&controller.url())],
        trust: Some(controller.trust()),
        service_account: Some(("CN=portcullis,OU=Service,DC=corp,DC=example".into(), controller.service_password())),
        users: Some(LdapUsers {
            // The root: the directory adds a reference to another one, which is not followed.
            base: "DC=corp,DC=example".into(),
            filter: vec!["(&(objectClass=user)(sAMAccountName=".into(), "))".into()],
            name: "sAMAccountName".into(),
        }),
        bind_as: None,
        groups: Some(LdapGroups { base: "OU=Groups,DC=corp,DC=example".into(), nested, name: "cn".into() }),
        cache: CacheTimes { fresh: FRESH, stale: STALE },
        failures_max: 3,
        failures_window: Duration::from_mins(15),
    }
}

fn by_principal_name(controller: &ActiveDirectory) -> LdapProvider {
    LdapProvider {
        bind_as: Some(("".into(), "@corp.example".into())),
        ..search_and_bind(controller, Nested::TokenGroups)
    }
}

#[tokio::test]
async fn every_way_finds_the_same_groups_in_groups() {
    let controller = active_directory().await;
    for (nested, way) in [
        (Nested::Auto, "token-groups"),
        (Nested::TokenGroups, "token-groups"),
        (Nested::MatchingRule, "matching-rule"),
        (Nested::Recursive, "recursive"),
    ] {
        let at_work = AtWork::start(&search_and_bind(controller, nested));
        let groups = at_work.login("alice", PASSWORD).await;
        assert_eq!(groups.unwrap(), ["ai-devs", "ai-platform", "ai-users"], "{nested:?}");
        assert_eq!(at_work.directory.status(at_work.now).nested, Some(way));
    }
    let at_work = AtWork::start(&search_and_bind(controller, Nested::None));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs"]);
    let at_work = AtWork::start(&search_and_bind(controller, Nested::MemberOf));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap_err(), "unfit", "it says direct groups only");
}

#[tokio::test]
async fn a_person_is_known_by_the_directorys_name_and_sid() {
    let controller = active_directory().await;
    let spec = LdapProvider {
        servers: vec![server(&controller.start_tls_url())],
        ..search_and_bind(controller, Nested::Auto)
    };
    let at_work = AtWork::start(&spec);
    let known = at_work.directory.login("ALICE", PASSWORD, at_work.now).await.unwrap();
    let principal = known.caller.principal().unwrap();
    assert_eq!(&*principal.name, "alice");
    assert!(principal.stable_id.as_ref().is_some_and(|id| id.starts_with("S-1-5-21-")), "{:?}", principal.stable_id);
}

#[tokio::test]
async fn closed_accounts_are_refused_alike_and_told_apart_in_words() {
    let controller = active_directory().await;
    for spec in [search_and_bind(controller, Nested::Auto), by_principal_name(controller)] {
        let at_work = AtWork::start(&spec);
        for (name, word) in
            [("disabled", "account_disabled"), ("expired", "account_expired"), ("mustchange", "password_must_change")]
        {
            assert_eq!(at_work.login(name, PASSWORD).await.unwrap_err(), word, "{name}");
        }
        assert_eq!(at_work.login("carol", "wrong").await.unwrap_err(), "wrong_password");
    }
    let guessing = LdapProvider { failures_max: 100, ..search_and_bind(controller, Nested::Auto) };
    let at_work = AtWork::start(&guessing);
    let mut words = Vec::new();
    for guess in 0..8 {
        words.push(at_work.login("locked", &format!("guess {guess}")).await.unwrap_err());
    }
    assert!(words.contains(&"account_locked".to_owned()), "{words:?}");
    assert_eq!(at_work.login("locked", PASSWORD).await.unwrap_err(), "account_locked");
}

/// Row B22 of the hostile inputs, through the real gateway.
#[tokio::test]
async fn whoever_cannot_log_in_is_told_the_same_whatever_the_reason() {
    let controller = active_directory().await;
    let provider = format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: directory}}
spec:
  ldap:
    urls: [\"{}\"]
    trust: {{file: {}}}
    bind: {{dn: \"CN=portcullis,OU=Service,DC=corp,DC=example\", password: {{file: {}}}}}
    users: {{base: \"DC=corp,DC=example\", filter: \"(&(objectClass=user)(sAMAccountName={{username}}))\", name: sAMAccountName}}
    groups: {{base: \"OU=Groups,DC=corp,DC=example\"}}
",
        controller.url(),
        controller.trust().display(),
        controller.service_password().display()
    );
    let policy = "  authentication: {providers: [directory]}\n  authorization: {authenticated: {}}\n";
    let site = Site::start(&provider, policy).await;
    assert_eq!(login(&site, "alice", PASSWORD).await.status, 200);
    let mut answers = Vec::new();
    for (name, password, word) in [
        ("disabled", PASSWORD, "account_disabled"),
        ("expired", PASSWORD, "account_expired"),
        ("mustchange", PASSWORD, "password_must_change"),
        ("nobody-here", PASSWORD, "unknown_user"),
        ("alice", "wrong", "wrong_password"),
    ] {
        let mut answer = login(&site, name, password).await;
        assert_eq!(answer.status, 401, "{name}");
        assert!(site.judged(word).await > 0.0, "{name} is not counted as {word}");
        answer.headers.retain(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
        answers.push((answer.headers.clone(), answer.text()));
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_eq!(site.origin.seen().len(), 1);
}

#[tokio::test]
async fn a_directory_that_locks_after_five_is_asked_three_times() {
    let controller = active_directory().await;
    let at_work = AtWork::start(&search_and_bind(controller, Nested::Auto));
    for guess in 0..10 {
        let word = at_work.login("dave", &format!("guess {guess}")).await.unwrap_err();
        assert_eq!(word, if guess < 3 { "wrong_password" } else { "throttled" });
    }
    controller
        .tell("assert int(db.search(base=ROOT, expression='(sAMAccountName=dave)', attrs=['badPwdCount'])[0]['badPwdCount'][0]) == 3")
        .await;
}

#[tokio::test]
async fn a_principal_name_is_bound_with_and_its_owner_looked_up() {
    let controller = active_directory().await;
    let at_work = AtWork::start(&by_principal_name(controller));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs", "ai-platform", "ai-users"]);
    assert_eq!(at_work.login("alice", "wrong").await.unwrap_err(), "wrong_password");
    for name in ["alice@corp.example", "CORP\\alice", "CN=alice,OU=People,DC=corp,DC=example"] {
        assert_eq!(at_work.login(name, PASSWORD).await.unwrap_err(), "username_characters", "{name}");
    }
    // As oneself, where the gateway has no account.
    let alone = LdapProvider { service_account: None, ..by_principal_name(controller) };
    let at_work = AtWork::start(&alone);
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs", "ai-platform", "ai-users"]);
}

#[tokio::test]
async fn a_removal_and_a_closed_account_are_noticed_when_fresh_is_over() {
    let controller = active_directory().await;
    let mut at_work = AtWork::start(&search_and_bind(controller, Nested::TokenGroups));
    controller.tell("db.newuser('erin', PASSWORD, userou='OU=People')").await;
    controller.tell("db.add_remove_group_members('staff', ['erin'], add_members_operation=True)").await;
    assert_eq!(at_work.login("erin", PASSWORD).await.unwrap(), ["staff"]);
    controller.tell("db.add_remove_group_members('staff', ['erin'], add_members_operation=False)").await;
    at_work.now += FRESH;
    assert_eq!(at_work.login("erin", PASSWORD).await.unwrap(), Vec::<String>::new());
    let known = at_work.directory.login("erin", PASSWORD, at_work.now).await.unwrap();
    let erin = Arc::new(known.caller.principal().unwrap().clone());
    controller.tell("db.toggle_userAccountFlags('(sAMAccountName=erin)', 2, on=True)").await;
    at_work.now += FRESH;
    let renewed = at_work.directory.renew(&erin, None, at_work.now).await;
    assert_eq!(renewed.unwrap_err().word(), "account_disabled", "an open stream ends");
    assert_eq!(at_work.login("erin", PASSWORD).await.unwrap_err(), "account_disabled");
}
