//! Who may: documents in, decisions out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_policy::{
    Snapshot,
    action::Action,
    authorize::{
        AboutModel, Caller, Denial, Group, Method as How, Permit, Principal, PrincipalKind, Question, authorize,
        authorize_with, shows_model,
    },
    check::{Report, check_sources},
    diagnostics,
    documents::Sources,
    roles::Lack,
    routes::{Facts, Found, Model},
    snapshot::{DocumentId, Rule},
};
use serde_json::{Map, json};

const EDGE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: ai}
spec:
  gatewayClassName: portcullis
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: known, namespace: ai}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {providers: [sso, keys]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat, namespace: ai}
spec:
  parentRefs: [{name: edge}]
  hostnames: [chat.example]
  rules: [{backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: llama}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: other, namespace: ai}
spec:
  parentRefs: [{name: edge}]
  hostnames: [other.example]
  rules: [{backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: llama}]}]
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {name: llama, namespace: ai}
spec: {protocol: openai, endpoints: [{address: 10.0.0.1, port: 8000}], transport: {plaintext: {}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso, namespace: ai}
spec: {oidc: {issuer: 'https://id.corp.example', audiences: [llm], claims: {groups: groups}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: keys, namespace: ai}
spec: {apiKeys: {file: keys.yaml}}
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
---
";

fn role(name: &str, rules: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: Role\nmetadata: {{name: {name}, namespace: ai}}\nrules:\n{rules}\n---\n"
    )
}

fn binding(name: &str, role: &str, subjects: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: ai}}\n\
         subjects: [{subjects}]\nroleRef: {{kind: Role, name: {role}}}\n---\n"
    )
}

/// `rules` for everyone of group `staff` that `sso` says.
fn for_staff(rules: &str) -> World {
    World::new(&(role("r", rules) + &binding("b", "r", "{kind: Group, provider: sso, name: staff}")))
}

struct World {
    snapshot: Snapshot,
}

impl World {
    fn new(documents: &str) -> Self {
        let report: Report = check_sources(&Sources::of_text("roles.yaml", &format!("{EDGE}{documents}")));
        let wrong: Vec<_> = report.diagnostics.iter().filter(|d| d.is_error()).cloned().collect();
        assert!(wrong.is_empty(), "{}", diagnostics::text(&wrong, false));
        Self { snapshot: report.snapshot }
    }

    fn rule(&self, host: &str) -> &Arc<Rule> {
        let headers = HeaderMap::new();
        let facts =
            Facts { host, method: &Method::POST, path: "/", query: None, headers: &headers, model: Model::Known(None) };
        match self.snapshot.listeners.first().unwrap().routes.find(&facts) {
            Found::Rule(found) => found.rule,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&self, caller: &Caller, asked: &Asked) -> Result<Permit<'_>, Denial> {
        let rule = self.rule("chat.example");
        let question = asked.question();
        let decided = authorize(&self.snapshot, rule, caller, &question);
        let standing = self.snapshot.roles.standing(caller);
        let kept = authorize_with(&self.snapshot, rule, caller, Some(&standing), &question);
        assert_eq!(decided.as_ref().err(), kept.as_ref().err());
        decided
    }

    fn allows(&self, caller: &Caller, asked: &Asked) -> bool {
        self.ask(caller, asked).is_ok()
    }
}

#[derive(Clone)]
struct Asked {
    action: Action,
    model: Option<&'static str>,
    about: Option<AboutModel<'static>>,
    headers: HeaderMap,
    source: Option<IpAddr>,
}

impl Asked {
    fn infer(model: &'static str) -> Self {
        Self::to(Action::Infer).about(AboutModel::Named(model))
    }

    fn to(action: Action) -> Self {
        Self { action, model: None, about: None, headers: HeaderMap::new(), source: None }
    }

    fn about(mut self, about: AboutModel<'static>) -> Self {
        self.about = Some(about);
        self
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn from(mut self, source: &str) -> Self {
        self.source = Some(source.parse().unwrap());
        self
    }

    fn question(&self) -> Question<'_> {
        let model = self.about.unwrap_or_else(|| self.model.map_or(AboutModel::None, AboutModel::Named));
        Question { action: self.action, model, headers: &self.headers, source: self.source }
    }
}

fn provider(name: &str) -> Arc<DocumentId> {
    Arc::new(DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "ai".into(),
        name: name.into(),
    })
}

fn principal(name: &str, groups: &[(&str, &str)]) -> Principal {
    Principal {
        provider: provider("sso"),
        method: How::Jwt,
        kind: PrincipalKind::User,
        name: name.into(),
        stable_id: None,
        groups: groups.iter().map(|(by, name)| Group { provider: provider(by), name: (*name).into() }).collect(),
        scopes: Vec::new(),
        claims: Map::new(),
        expires: None,
    }
}

fn staff() -> Caller {
    Caller::known(principal("alice", &[("sso", "staff")]))
}

fn workload(id: &str) -> Caller {
    Caller::known(Principal { kind: PrincipalKind::Workload, name: id.into(), ..principal("", &[]) })
}

#[test]
fn nobody_may_anything_until_a_role_says_so() {
    let nothing = World::new("");
    assert_eq!(nothing.ask(&staff(), &Asked::infer("m")).unwrap_err(), Denial::NotAllowed);
    let world = for_staff("- {routes: [chat], actions: [infer]}");
    assert_eq!(world.ask(&Caller::anonymous(), &Asked::infer("m")).unwrap_err(), Denial::Unauthenticated);
    let stranger = Caller::known(principal("mallory", &[]));
    assert_eq!(world.ask(&stranger, &Asked::infer("m")).unwrap_err(), Denial::NotAllowed);
    let permit = world.ask(&staff(), &Asked::infer("m")).unwrap();
    let decided = permit.decided_by().unwrap();
    assert_eq!((&*decided.role.name, &*decided.binding.name), ("r", "b"));
    assert!(decided.rule.line < decided.subject.line, "{decided:?}");
    assert!(!world.allows(&staff(), &Asked::to(Action::ListModels)), "another action");
}

#[test]
fn callers_of_a_provider_that_is_not_named_are_foreign() {
    let world = for_staff("- {routes: [chat], actions: ['*']}");
    let foreign =
        Caller::known(Principal { provider: provider("directory"), ..principal("alice", &[("sso", "staff")]) });
    assert_eq!(world.ask(&foreign, &Asked::infer("m")).unwrap_err(), Denial::ForeignProvider);
}

#[test]
fn a_rule_that_denies_wins_over_all_that_allow() {
    let documents = role("all", "- {routes: ['*'], actions: ['*']}")
        + &role("no-big", "- {effect: Deny, routes: ['*'], actions: ['*'], models: [big]}")
        + &binding("a", "all", "{kind: Group, provider: sso, name: staff}")
        + &binding("z", "no-big", "{kind: Group, provider: directory, name: contractors}");
    let world = World::new(&documents);
    assert!(world.allows(&staff(), &Asked::infer("big")));
    let contractor = Caller::known(principal("bob", &[("sso", "staff"), ("directory", "contractors")]));
    assert!(world.allows(&contractor, &Asked::infer("small")));
    let Err(Denial::Denied(by)) = world.ask(&contractor, &Asked::infer("big")) else { panic!("not denied") };
    assert_eq!((&*by.role.name, &*by.binding.name), ("no-big", "z"));
}

#[test]
fn groups_are_those_of_the_provider_that_says_so() {
    let world = World::new(
        &(role("r", "- {routes: [chat], actions: [infer]}")
            + &binding("b", "r", "{kind: Group, provider: directory, name: staff}")),
    );
    assert!(!world.allows(&staff(), &Asked::infer("m")), "sso says staff, directory does not");
    let enriched = Caller::known(principal("alice", &[("directory", "staff")]));
    assert!(world.allows(&enriched, &Asked::infer("m")));
}

#[test]
fn users_are_known_by_provider_and_name() {
    let world = World::new(
        &(role("r", "- {routes: [chat], actions: [infer]}")
            + &binding("b", "r", "{kind: User, provider: sso, name: alice}")),
    );
    assert!(world.allows(&Caller::known(principal("alice", &[])), &Asked::infer("m")));
    assert!(!world.allows(&Caller::known(principal("Alice", &[])), &Asked::infer("m")));
    let by_key = Caller::known(Principal { provider: provider("keys"), ..principal("alice", &[]) });
    assert!(!world.allows(&by_key, &Asked::infer("m")));
    assert!(!world.allows(&workload("alice"), &Asked::infer("m")), "a workload is no user");
}

#[test]
fn workloads_are_known_by_their_id_and_wildcards() {
    let world = World::new(
        &(role("r", "- {routes: [chat], actions: [infer]}")
            + &binding(
                "b",
                "r",
                "{kind: Workload, name: 'spiffe://corp.example/ns/agents/sa/*'}, \
                 {kind: Workload, name: 'spiffe://corp.example/ns/a/sa/b'}",
            )),
    );
    for (id, expected) in [
        ("spiffe://corp.example/ns/agents/sa/x", true),
        ("spiffe://corp.example/ns/a/sa/b", true),
        ("spiffe://corp.example/ns/a/sa/bb", false),
        ("spiffe://corp.example/ns/agents/x", false),
        ("spiffe://evil.example/ns/agents/sa/x", false),
    ] {
        assert_eq!(world.allows(&workload(id), &Asked::infer("m")), expected, "{id}");
    }
    let user = Caller::known(principal("spiffe://corp.example/ns/a/sa/b", &[]));
    assert!(!world.allows(&user, &Asked::infer("m")), "a user is no workload");
}

#[test]
fn models_are_matched_by_name_and_wildcard() {
    let world = for_staff("- {routes: [chat], actions: [infer], models: ['llama-3.1-*', exact]}");
    for (model, expected) in [("llama-3.1-8b", true), ("exact", true), ("llama-3.3-70b", false), ("Exact", false)] {
        assert_eq!(world.allows(&staff(), &Asked::infer(model)), expected, "{model}");
    }
}

#[test]
fn where_any_model_may_answer_all_must_be_allowed_and_none_denied() {
    let any = |models: &[&str]| -> AboutModel<'static> {
        AboutModel::AnyOf(models.iter().map(|model| Arc::from(*model)).collect::<Vec<_>>().leak())
    };
    let asked = |models: &[&str]| Asked::to(Action::Infer).about(any(models));
    let world = for_staff(
        "- {routes: [chat], actions: [infer], models: [a]}\n- {routes: [chat], actions: [infer], models: ['b*']}",
    );
    assert!(world.allows(&staff(), &asked(&["a", "b1"])));
    assert!(!world.allows(&staff(), &asked(&["a", "c"])));
    assert!(!world.allows(&staff(), &asked(&[])), "no model at all is no permission");
    let denying = for_staff(
        "- {routes: [chat], actions: [infer]}\n- {effect: Deny, routes: [chat], actions: [infer], models: [b]}",
    );
    assert!(denying.allows(&staff(), &asked(&["a", "c"])));
    assert!(matches!(denying.ask(&staff(), &asked(&["a", "b"])), Err(Denial::Denied(_))));
}

#[test]
fn a_model_that_nobody_knows_needs_a_rule_for_every_model() {
    let unknown = Asked::to(Action::LoadModel).about(AboutModel::Unknown);
    assert!(for_staff("- {routes: [chat], actions: [load-model]}").allows(&staff(), &unknown));
    assert!(!for_staff("- {routes: [chat], actions: [load-model], models: ['*']}").allows(&staff(), &unknown));
    let denying = for_staff(
        "- {routes: [chat], actions: ['*']}\n- {effect: Deny, routes: [chat], actions: ['*'], models: [whatever]}",
    );
    assert!(matches!(denying.ask(&staff(), &unknown), Err(Denial::Denied(_))));
}

#[test]
fn what_is_about_no_model_is_not_reached_by_rules_that_name_some() {
    let metrics = Asked::to(Action::Metrics);
    assert!(!for_staff("- {routes: [chat], actions: ['*'], models: ['*']}").allows(&staff(), &metrics));
    let world = for_staff(
        "- {routes: [chat], actions: ['*']}\n- {effect: Deny, routes: [chat], actions: ['*'], models: ['*']}",
    );
    assert!(world.allows(&staff(), &metrics));
}

#[test]
fn who_may_use_some_models_is_shown_these() {
    let shown = |world: &World, caller: &Caller| -> Vec<&'static str> {
        let list = Asked::to(Action::ListModels);
        if !world.allows(caller, &list) {
            return vec!["refused"];
        }
        let rule = world.rule("chat.example");
        let models = ["llama-8b", "llama-70b", "other"];
        let is_shown = |model: &&str| shows_model(&world.snapshot, rule, caller, None, &list.question(), model);
        models.into_iter().filter(is_shown).collect()
    };
    let check = |rules: &str, expected: &[&str]| assert_eq!(shown(&for_staff(rules), &staff()), expected, "{rules}");
    check("- {routes: [chat], actions: [infer, list-models], models: [llama-8b]}", &["llama-8b"]);
    check("- {routes: [chat], actions: [infer], models: [llama-8b]}", &["refused"]);
    check(
        "- {routes: [chat], actions: [list-models]}\n- {routes: [chat], actions: [infer], models: ['llama-*']}",
        &["llama-8b", "llama-70b"],
    );
    check("- {routes: [chat], actions: [list-models], models: ['*']}", &["llama-8b", "llama-70b", "other"]);
    check("- {routes: [chat], actions: [list-models]}", &[]);
    check(
        "- {routes: [chat], actions: ['*']}\n- {effect: Deny, routes: [chat], actions: [infer], models: [llama-70b]}",
        &["llama-8b", "other"],
    );
    check(
        "- {routes: [chat], actions: ['*']}\n- {effect: Deny, routes: [chat], actions: [list-models], models: [other]}",
        &["llama-8b", "llama-70b"],
    );
}

#[test]
fn rules_are_about_routes_of_their_namespace() {
    let world = for_staff("- {routes: [other], actions: [infer]}");
    assert!(!world.allows(&staff(), &Asked::infer("m")), "another route");
    let elsewhere = (role("r", "- {routes: ['*'], actions: ['*']}")
        + &binding("b", "r", "{kind: Group, provider: sso, name: staff}"))
        .replace("namespace: ai", "namespace: elsewhere")
        + "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {name: sso, namespace: elsewhere}\n\
           spec: {oidc: {issuer: 'https://id.corp.example', audiences: [llm], claims: {groups: groups}}}\n---\n";
    let world = World::new(&elsewhere);
    assert!(!world.allows(&staff(), &Asked::infer("m")), "the provider of another namespace is another provider");
    let of_there = Group {
        provider: Arc::new(DocumentId { namespace: "elsewhere".into(), ..(*provider("sso")).clone() }),
        name: "staff".into(),
    };
    let both = Caller::known(Principal { groups: vec![of_there], ..principal("alice", &[]) });
    assert!(!world.allows(&both, &Asked::infer("m")), "a binding is in force in its own namespace only");
}

#[test]
fn every_value_of_a_header_counts() {
    let rules = |effect: &str| {
        format!(
            "- {{routes: [chat], actions: [metrics]}}\n- {{effect: {effect}, routes: [chat], actions: [infer], \
             when: [{{header: X-Tenant, values: [red, blue]}}]}}"
        )
    };
    let allowing = for_staff(&rules("Allow"));
    let denying = World::new(
        &(role(
            "r",
            "- {routes: [chat], actions: [infer]}\n- {effect: Deny, routes: [chat], actions: [infer], when: [{header: x-tenant, values: [red, blue]}]}",
        ) + &binding("b", "r", "{kind: Group, provider: sso, name: staff}")),
    );
    let check = |asked: Asked, allowed: bool, denied: bool| {
        assert_eq!(allowing.allows(&staff(), &asked), allowed, "Allow {:?}", asked.headers);
        assert_eq!(!denying.allows(&staff(), &asked), denied, "Deny {:?}", asked.headers);
    };
    let asked = Asked::infer("m");
    check(asked.clone(), false, false);
    check(asked.clone().with("x-tenant", "red"), true, true);
    check(asked.clone().with("x-tenant", "Red"), false, false);
    check(asked.clone().with("x-tenant", "red").with("x-tenant", "blue"), true, true);
    check(asked.clone().with("x-tenant", "red").with("x-tenant", "green"), false, true);
    check(asked.clone().with("x-tenant", "red, green"), false, true);
    check(asked.clone().with("x-tenant", "green,blue"), false, true);
    check(asked.clone().with("x-tenant", " red ,, blue,"), true, true);
    check(asked.clone().with("x-tenant", ""), false, false);
    check(asked.clone().with("x-tenant", " ,, "), false, false);
    check(asked.with("x-tenant", "\"red\""), false, false);
}

#[test]
fn claims_scopes_and_networks_are_conditions() {
    let check = |when: &str, caller: &Caller, asked: &Asked, expected: bool| {
        let world = for_staff(&format!("- {{routes: [chat], actions: [infer], when: [{when}]}}"));
        assert_eq!(world.allows(caller, asked), expected, "{when}");
    };
    let claims = json!({
        "department": "research", "level": 3, "ratio": 0.5, "contractor": false, "teams": ["a", 7],
        "address": {"country": "CH"}, "https://corp.example/site": "zurich", "nothing": null,
    });
    let caller = Caller::known(Principal {
        claims: claims.as_object().unwrap().clone(),
        scopes: vec!["chat".into()],
        ..principal("alice", &[("sso", "staff")])
    });
    let asked = Asked::infer("m").from("10.1.2.3");
    for (when, expected) in [
        ("{claim: department, values: [research, sales]}", true),
        ("{claim: department, values: [sales]}", false),
        ("{claim: level, values: ['3']}", true),
        ("{claim: level, values: ['3.0']}", false),
        ("{claim: ratio, values: ['0.5']}", true),
        ("{claim: contractor, values: ['false']}", true),
        ("{claim: teams, values: ['7']}", true),
        ("{claim: teams, values: [b]}", false),
        ("{claim: address.country, values: [CH]}", true),
        ("{claim: address, values: [CH]}", false),
        ("{claim: department.x, values: [research]}", false),
        ("{claim: 'https://corp.example/site', values: [zurich]}", true),
        ("{claim: nothing, values: ['']}", false),
        ("{claim: absent, values: ['']}", false),
        ("{scope: chat}", true),
        ("{scope: chats}", false),
        ("{source: [192.168.0.0/16, 10.0.0.0/8]}", true),
        ("{source: [10.1.2.4]}", false),
        ("{scope: chat}, {claim: level, values: ['4']}", false),
    ] {
        check(when, &caller, &asked, expected);
    }
    check("{source: [10.0.0.0/8]}", &caller, &Asked::infer("m").from("::ffff:10.1.2.3"), true);
    check("{source: [10.0.0.0/8]}", &caller, &Asked::infer("m"), false);
    let denying = for_staff(
        "- {routes: [chat], actions: [infer]}\n- {effect: Deny, routes: [chat], actions: [infer], when: [{source: [10.0.0.0/8]}]}",
    );
    assert!(!denying.allows(&staff(), &Asked::infer("m")), "who comes from nobody knows where may come from there");
    assert!(denying.allows(&staff(), &Asked::infer("m").from("192.168.0.1")));
}

#[test]
fn whoever_is_known_may_where_the_policy_says_so_but_for_what_is_denied() {
    let documents = EDGE
        .replace("providers: [sso, keys]}", "providers: [sso, keys]}\n  authorization: {authenticated: {}}")
        + &role("r", "- {effect: Deny, routes: ['*'], actions: [admin]}")
        + &binding("b", "r", "{kind: Group, provider: sso, name: staff}");
    let report = check_sources(&Sources::of_text("roles.yaml", &documents));
    let world = World { snapshot: report.snapshot };
    assert!(world.allows(&staff(), &Asked::infer("m")));
    assert!(matches!(world.ask(&staff(), &Asked::to(Action::Admin)), Err(Denial::Denied(_))));
    assert!(world.allows(&Caller::known(principal("bob", &[])), &Asked::to(Action::Admin)));
    assert_eq!(world.ask(&Caller::anonymous(), &Asked::infer("m")).unwrap_err(), Denial::Unauthenticated);
}

#[test]
fn a_standing_of_others_counts_for_nothing() {
    let world = for_staff("- {routes: [chat], actions: [infer]}");
    let (mallory, alice) = (Caller::known(principal("mallory", &[])), staff());
    let of_alice = world.snapshot.roles.standing(&alice);
    let question = Asked::infer("m");
    let ask = |world: &World, caller: &Caller| {
        let rule = world.rule("chat.example");
        authorize_with(&world.snapshot, rule, caller, Some(&of_alice), &question.question()).is_ok()
    };
    assert!(ask(&world, &alice));
    assert!(!ask(&world, &mallory), "the standing of another caller");
    let closed = for_staff("- {routes: [other], actions: [infer]}");
    assert!(!ask(&closed, &alice), "the standing of another revision");
}

#[test]
fn what_is_missing_is_told_the_nearest_first() {
    let world = World::new(
        &(role("small", "- {routes: [chat], actions: [infer], models: [small]}")
            + &role("big", "- {routes: [chat], actions: [infer], models: [big]}")
            + &role("far", "- {routes: [other], actions: [metrics]}")
            + &binding("b", "small", "{kind: Group, provider: sso, name: staff}")
            + &binding("c", "big", "{kind: Group, provider: sso, name: research}")
            + &binding("d", "far", "{kind: User, provider: sso, name: root}")),
    );
    let asked = Asked::infer("big");
    let near = world.snapshot.roles.lacking(world.rule("chat.example"), &staff(), &asked.question());
    let names: Vec<&str> = near.iter().map(|near| &*near.role.name).collect();
    assert_eq!(names, ["big", "small", "far"]);
    assert_eq!(near.first().unwrap().lacks, [Lack::Subject(vec!["Group sso/research".to_owned()])]);
    assert_eq!(near.get(1).unwrap().lacks, [Lack::Model(vec!["`small`".to_owned()])]);
    assert_eq!(near.get(2).unwrap().lacks.len(), 3);
}

#[test]
fn names_have_an_end() {
    let errors = |documents: &str| {
        let report = check_sources(&Sources::of_text("roles.yaml", &format!("{EDGE}{documents}")));
        report.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).map(|it| it.code).collect::<Vec<_>>()
    };
    let of_bytes = |count: usize| {
        let name = "x".repeat(count);
        role("r", &format!("- {{routes: [chat], actions: [infer], models: [{name}]}}"))
            + &binding("b", "r", &format!("{{kind: User, provider: sso, name: {name}}}"))
    };
    assert!(errors(&of_bytes(512)).is_empty());
    assert_eq!(errors(&of_bytes(513)), ["invalid-value", "invalid-value"]);
}

#[test]
fn no_more_is_told_than_anyone_reads() {
    let rules = "- {routes: [chat], actions: [infer], models: [big]}\n".repeat(11);
    let world = World::new(&role("r", &rules));
    let near = world.snapshot.roles.lacking(world.rule("chat.example"), &staff(), &Asked::infer("big").question());
    assert_eq!(near.len(), portcullis_policy::roles::NEAR_MAX);
    assert_eq!(near.first().unwrap().lacks, [Lack::Subject(Vec::new())], "bound to nobody");
}
