//! Callers whom an issuer knows and whose groups a directory knows: real ones of both kinds.

use std::time::{Duration, Instant};

use portcullis_tests::harness::{
    directory::{Slapd, SlapdSetup, group, person},
    eventually,
    issuer::{HostileIssuer, oidc_provider},
    pki::Authority,
};
use serde_json::json;

use super::{
    directory_gateway,
    oidc::{document, status},
    site::Site,
};

/// The issuer's document, the directory that enriches it, and a role for the directory's `ai-users`.
fn documents(sso: &str, slapd: &Slapd, cache: &str) -> String {
    let more = format!("    cache: {cache}\n  enriches: [sso]\n");
    format!("{sso}---\n{}", directory_gateway::provider(slapd, &more))
}

const POLICY: &str = "  authentication: {providers: [sso]}\n";

/// Alice in groups in groups, and `svc`, as the certified provider calls its client, in one of them.
fn corp() -> Slapd {
    let more = person("svc") + &group("services", &["uid=svc,ou=people"]);
    let slapd = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new().with(&more));
    slapd.modify(
        "dn: cn=ai-platform,ou=groups,dc=corp,dc=example\nchangetype: modify\nadd: member\nmember: \
         cn=services,ou=groups,dc=corp,dc=example\n",
    );
    slapd
}

async fn hostile_site(issuer: &HostileIssuer, slapd: &Slapd, fields: &str) -> Site {
    let sso = document("sso", &issuer.issuer(), &issuer.trust(), fields);
    Site::start(&documents(&sso, slapd, "{fresh: 200ms, stale: 10m}"), POLICY).await
}

/// Waits until issuer and directory have answered.
async fn lets_in(site: &Site, credential: &str) {
    eventually("issuer and directory answer", async || status(site, credential).await == 200).await;
}

#[tokio::test]
async fn groups_of_the_directory_reach_roles_and_a_removal_takes_effect() {
    let (provider, slapd) = (oidc_provider().await, corp());
    let sso = document("sso", &provider.issuer(), &provider.trust(), "");
    let site = Site::start(&documents(&sso, &slapd, "{fresh: 1s, stale: 1m}"), POLICY).await;
    // What the issuer calls a group of this name is another group.
    let credential = provider.credential("ES256", "ai-users").await;
    lets_in(&site, &credential).await;
    slapd.modify("dn: cn=services,ou=groups,dc=corp,dc=example\nchangetype: delete\n");
    let removed = Instant::now();
    eventually("the group is gone", async || status(&site, &credential).await == 403).await;
    assert!(removed.elapsed() < Duration::from_secs(4), "{:?}", removed.elapsed());
}

#[tokio::test]
async fn without_the_directory_the_known_pass_until_stale_is_over_and_then_nobody() {
    const STALE: Duration = Duration::from_secs(4);
    let (provider, mut slapd) = (oidc_provider().await, corp());
    let sso = document("sso", &provider.issuer(), &provider.trust(), "");
    let site = Site::start(&documents(&sso, &slapd, "{fresh: 100ms, stale: 4s}"), POLICY).await;
    let credential = provider.credential("ES256", "").await;
    lets_in(&site, &credential).await;
    let answered = Instant::now();
    slapd.end();
    let first = status(&site, &credential).await;
    assert!(first == 200 || answered.elapsed() > STALE, "{first}");
    eventually("what is known is too old", async || status(&site, &credential).await == 503).await;
    // The last answer may have come a moment before `answered`.
    assert!(answered.elapsed() + Duration::from_secs(1) > STALE, "{:?}", answered.elapsed());
    slapd.start_again();
    eventually("the directory is asked again", async || status(&site, &credential).await == 200).await;
}

#[tokio::test]
async fn groups_that_a_credential_cannot_hold_are_those_of_the_directory() {
    let (issuer, slapd) = (HostileIssuer::start().await, corp());
    let site = hostile_site(&issuer, &slapd, "groupOverage: Resolve").await;
    lets_in(&site, &issuer.credential(json!({})).await).await;
    let sources = json!({"src1": {"endpoint": "https://graph.example/me"}});
    let many = |user: &str| {
        [
            json!({"sub": user, "groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": sources}),
            json!({"sub": user, "groups": null, "hasgroups": true}),
        ]
    };
    for claims in many("alice") {
        assert_eq!(status(&site, &issuer.credential(claims.clone()).await).await, 200, "{claims}");
    }
    // The refusals beside the success: the directory knows that bob is no user, and of zoe it knows nothing.
    for (user, code) in [("bob", "permission_denied"), ("zoe", "groups_overage")] {
        for claims in many(user) {
            let credential = issuer.credential(claims.clone()).await;
            let answer = site.request("GET /v1/things", &format!("authorization: Bearer {credential}\r\n"), None).await;
            assert_eq!(answer.status, 403, "{claims}: {}", answer.text());
            assert!(answer.text().contains(code), "{claims}: {}", answer.text());
        }
    }
    assert_eq!(site.origin.seen().iter().filter(|seen| seen.target == "/v1/things").count(), 3);
}

#[tokio::test]
async fn groups_that_a_credential_cannot_hold_are_a_refusal_where_the_document_says_so() {
    let (issuer, slapd) = (HostileIssuer::start().await, corp());
    for fields in ["groupOverage: Refuse", "cache: {fresh: 0s}"] {
        let site = hostile_site(&issuer, &slapd, fields).await;
        lets_in(&site, &issuer.credential(json!({})).await).await;
        let credential = issuer.credential(json!({"groups": null, "hasgroups": true})).await;
        let answer = site.request("GET /v1/things", &format!("authorization: Bearer {credential}\r\n"), None).await;
        assert_eq!(answer.status, 403, "{fields}: {}", answer.text());
        assert!(answer.text().contains("groups_overage"), "{fields}: {}", answer.text());
        assert!(site.judged("groups_overage").await > 0.0);
    }
}
