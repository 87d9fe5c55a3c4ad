//! What IdentityProviders and AccessPolicies come to: what is said, and what holds when nothing is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{path::Path, time::Duration};

use http::{HeaderMap, Method};
use portcullis_policy::{
    check::{Report, check_sources},
    diagnostics,
    documents::Sources,
    routes::{Facts, Found, Model},
    snapshot::{Access, Algorithm, GroupOverage, Guard, IdentityProvider, KeySource, Nested, ProviderKind, Upstream},
};

fn report(text: &str) -> Report {
    let report = check_sources(&Sources::of_text("documents/identity.yaml", text));
    let wrong: Vec<_> = report.diagnostics.iter().filter(|d| d.is_error()).cloned().collect();
    assert!(wrong.is_empty(), "{}", diagnostics::text(&wrong, false));
    report
}

fn provider(name: &str, spec: &str) -> IdentityProvider {
    let text = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {{name: {name}, namespace: ai}}\nspec: {spec}\n"
    );
    report(&text).snapshot.providers.first().unwrap().clone()
}

#[test]
fn an_issuer_has_the_defaults_that_the_reference_says() {
    let provider = provider("sso", "{oidc: {issuer: 'https://id.corp.example', audiences: [llm]}}");
    let ProviderKind::Oidc(oidc) = &provider.kind else { panic!("{provider:?}") };
    assert_eq!(&*oidc.issuer, "https://id.corp.example");
    assert_eq!(oidc.keys, KeySource::Discovery);
    assert_eq!(oidc.algorithms, [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]);
    assert_eq!(oidc.types.iter().map(|word| &**word).collect::<Vec<_>>(), ["at+jwt"]);
    assert_eq!(*oidc.user_claim, ["sub".into()]);
    assert_eq!((oidc.groups_claim.as_ref(), oidc.introspection.as_ref()), (None, None));
    assert_eq!((oidc.age_max, oidc.clock_skew), (Duration::from_hours(24), Duration::from_secs(30)));
    assert_eq!((oidc.cache.fresh, oidc.cache.stale), (Duration::from_secs(30), Duration::from_hours(1)));
    assert_eq!((oidc.proof_required, oidc.group_overage), (false, GroupOverage::Refuse));
}

#[test]
fn an_issuer_is_what_the_document_says() {
    let provider = provider(
        "sso",
        "{oidc: {issuer: 'https://id.corp.example', audiences: [llm], types: [application/AT+JWT, JWT], \
         keys: {file: keys.json}, trust: {file: /etc/ca.pem}, proof: Required, ageMax: 1h, clockSkew: 60s, \
         claims: {user: 'https://corp.example/name', groups: realm_access.roles}, cache: {fresh: 0s, stale: 5m}, \
         introspection: {clientId: us, clientSecret: {file: ../secret}}}}",
    );
    let ProviderKind::Oidc(oidc) = &provider.kind else { panic!("{provider:?}") };
    assert_eq!(oidc.types.iter().map(|word| &**word).collect::<Vec<_>>(), ["at+jwt", "jwt"]);
    assert_eq!(oidc.keys, KeySource::File("documents/keys.json".into()));
    assert_eq!(oidc.trust.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(*oidc.user_claim, ["https://corp.example/name".into()]);
    assert_eq!(oidc.groups_claim.as_deref(), Some(&["realm_access".into(), "roles".into()][..]));
    assert_eq!((oidc.age_max, oidc.clock_skew), (Duration::from_hours(1), Duration::from_mins(1)));
    assert_eq!((oidc.cache.fresh, oidc.cache.stale), (Duration::ZERO, Duration::from_mins(5)));
    assert!(oidc.proof_required);
    let introspection = oidc.introspection.as_ref().unwrap();
    assert_eq!(introspection.client_secret, Path::new("documents/../secret"));
}

#[test]
fn a_directory_has_the_defaults_that_the_reference_says() {
    let provider = provider(
        "directory",
        "{ldap: {urls: ['ldap://dc1.corp.example', 'ldaps://[fd00::1]:3269'], bind: {dn: 'cn=us', password: {file: p}}, \
         users: {base: 'dc=corp', filter: '(|(uid={username})(mail={username}))'}, groups: {base: 'dc=corp'}}}",
    );
    let ProviderKind::Ldap(ldap) = &provider.kind else { panic!("{provider:?}") };
    let servers: Vec<_> = ldap.servers.iter().map(|s| (&*s.host, s.port, s.start_tls)).collect();
    assert_eq!(servers, [("dc1.corp.example", 389, true), ("fd00::1", 3269, false)]);
    let users = ldap.users.as_ref().unwrap();
    assert_eq!(users.filter.iter().map(|part| &**part).collect::<Vec<_>>(), ["(|(uid=", ")(mail=", "))"]);
    assert_eq!(&*users.name, "uid");
    let groups = ldap.groups.as_ref().unwrap();
    assert_eq!((&*groups.name, groups.nested), ("cn", Nested::Auto));
    assert_eq!(ldap.service_account.as_ref().unwrap().1, Path::new("documents/p"));
    assert_eq!((ldap.cache.fresh, ldap.cache.stale), (Duration::from_mins(1), Duration::from_mins(15)));
    assert_eq!((ldap.failures_max, ldap.failures_window), (3, Duration::from_mins(15)));
}

#[test]
fn keys_have_their_pepper_beside_them() {
    let provider = provider("keys", "{apiKeys: {file: keys.yaml}}");
    let ProviderKind::ApiKeys(keys) = &provider.kind else { panic!("{provider:?}") };
    assert_eq!(keys.file, Path::new("documents/keys.yaml"));
    assert_eq!(keys.pepper, Path::new("documents/keys.yaml.pepper"));
}

const EDGE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: ai}
spec: {gatewayClassName: portcullis, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat, namespace: ai}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: llama}]}]
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {name: llama, namespace: ai}
spec: {protocol: openai, endpoints: [{address: 10.0.0.1, port: 8000}], transport: {plaintext: {}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: keys, namespace: ai}
spec: {apiKeys: {file: keys.yaml}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso, namespace: ai}
spec: {oidc: {issuer: 'https://id.corp.example', audiences: [llm]}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: known, namespace: ai}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {providers: [sso, keys]}
";

fn guard(more: &str) -> Guard {
    let report = report(&format!("{EDGE}{more}\n"));
    let listener = report.snapshot.listeners.first().unwrap();
    let facts = Facts {
        host: "llm.corp.example",
        method: &Method::POST,
        path: "/v1/chat/completions",
        query: None,
        headers: &HeaderMap::new(),
        model: Model::Known(None),
    };
    let Found::Rule(found) = listener.routes.find(&facts) else { panic!("no rule") };
    match &found.rule.access {
        Access::Guarded(guard) => (**guard).clone(),
        open @ Access::Anonymous { .. } => panic!("{open:?}"),
    }
}

#[test]
fn a_policy_that_says_no_more_tells_backends_nothing_and_asks_for_a_role() {
    let guard = guard("");
    assert_eq!(guard.providers.len(), 2);
    assert_eq!((guard.open_to_known, guard.upstream, guard.resource), (None, Upstream::Nothing, None));
}

#[test]
fn what_backends_are_told_is_what_the_policy_says() {
    let found = guard("  authorization: {authenticated: {}}\n  upstream: {jwt: {audience: llama}}");
    assert_eq!(found.open_to_known.unwrap().line as usize, EDGE.lines().count() + 1);
    let Upstream::Jwt { audience, lifetime, header } = found.upstream else { panic!("{:?}", found.upstream) };
    assert_eq!((&*audience, lifetime, header.as_str()), ("llama", Duration::from_mins(1), "authorization"));

    let found = guard("  upstream: {headers: {user: X-Auth-User}}\n  resource: {url: 'https://llm.corp.example/v1'}");
    let Upstream::Headers { user, groups, provider } = found.upstream else { panic!("{:?}", found.upstream) };
    assert_eq!((user.unwrap().as_str(), groups, provider), ("x-auth-user", None, None));
    assert_eq!(&*found.resource.unwrap().path, "/v1");

    assert_eq!(guard("  upstream: {credential: {}}").upstream, Upstream::Credential);
}

#[test]
fn a_directory_enriches_the_provider_it_names() {
    let text = "
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso, namespace: ai}
spec: {oidc: {issuer: 'https://id.corp.example', audiences: [llm]}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: directory, namespace: ai}
spec:
  ldap:
    urls: ['ldaps://dc1.corp.example']
    bind: {dn: 'cn=us', password: {file: p}}
    users: {base: 'dc=corp', filter: '(uid={username})'}
    groups: {base: 'dc=corp'}
  enriches: [sso]
";
    let providers = report(text).snapshot.providers;
    let (sso, directory) = (providers.first().unwrap(), providers.get(1).unwrap());
    assert_eq!(sso.enriched_by.map(|id| id.0), Some(1));
    assert_eq!(directory.enriched_by, None);
}
