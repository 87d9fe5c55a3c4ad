//! `diff` finds what there is and nothing else: random small sets of documents, compared by it, and by asking the gateway's
//! own decision about every caller and every request of a small world.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{fmt::Write as _, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue};
use portcullis_policy::{
    action::Action,
    authorize::{Caller, Group, Method, Principal, PrincipalKind, Question, authorize},
    check::{Report, check_sources},
    diff::{About, Diff, Direction, compare},
    documents::Sources,
    resolve::about_model,
    roles::Pattern,
    snapshot::{DocumentId, Rule},
};
use proptest::{prelude::*, sample::select};
use serde_json::json;

/// What differs from set to set.
#[derive(Debug, Clone)]
struct World {
    access: &'static str,
    enriches: bool,
    serves: &'static str,
    roles: Vec<Vec<String>>,
    /// Each a role and a subject.
    bindings: Vec<(usize, &'static str)>,
    has_route: bool,
}

const SUBJECTS: [&str; 7] = [
    "{kind: User, provider: sso, name: alice}",
    "{kind: User, provider: directory, name: alice}",
    "{kind: Group, provider: sso, name: g}",
    "{kind: Group, provider: directory, name: g}",
    "{kind: Group, provider: directory, name: h}",
    "{kind: Workload, name: 'spiffe://corp.test/a/*'}",
    "{kind: Workload, name: 'spiffe://corp.test/*b'}",
];
const ACCESS: [&str; 6] = [
    "authentication: {anonymous: {}}",
    "authentication: {anonymous: {actions: [list-models]}}",
    "authentication: {providers: [sso]}",
    "authentication: {providers: [sso, directory, workloads]}",
    "authentication: {providers: [directory, workloads]}",
    "authentication: {providers: [sso, workloads]}\n  authorization: {authenticated: {}}",
];
const WHEN: [&str; 8] = [
    "",
    "",
    "",
    ", when: [{header: x-tenant, values: [v1]}]",
    ", when: [{header: x-tenant, values: [v1, v2]}]",
    ", when: [{scope: s}]",
    ", when: [{claim: c, values: [v]}, {source: [10.0.0.0/8]}]",
    ", when: [{claim: sub, values: [alice]}]",
];
const MODELS: [&str; 5] = ["", "", ", models: ['a*']", ", models: ['*b']", ", models: [ab]"];
const NAMES: [&str; 6] = ["ab", "b", "a", "axb", "c", "abc"];

fn rules() -> impl Strategy<Value = String> {
    let effects = select(vec!["Allow", "Allow", "Deny"]);
    let actions = select(vec!["[infer]", "[list-models]", "['*']", "[infer, admin]"]);
    (effects, select(vec!["chat", "'*'", "other"]), actions, select(MODELS.to_vec()), select(WHEN.to_vec())).prop_map(
        |(effect, route, actions, models, when)| {
            format!("{{effect: {effect}, routes: [{route}], actions: {actions}{models}{when}}}")
        },
    )
}

fn worlds() -> impl Strategy<Value = World> {
    (
        select(ACCESS.to_vec()),
        any::<bool>(),
        select(vec!["", "models: [ab, b]", "models: [ab]"]),
        prop::collection::vec(prop::collection::vec(rules(), 1..3), 2..=2),
        prop::collection::vec((0_usize..2, select(SUBJECTS.to_vec())), 0..4),
        prop::bool::weighted(0.9),
    )
        .prop_map(|(access, enriches, serves, roles, bindings, has_route)| World {
            access,
            enriches,
            serves,
            roles,
            bindings,
            has_route,
        })
}

/// Another set that differs in one thing or in all.
fn pairs() -> impl Strategy<Value = (World, World)> {
    (worlds(), worlds(), 0_u8..6).prop_map(|(old, other, what)| {
        let mut new = old.clone();
        match what {
            0 => new.access = other.access,
            1 => new.roles = other.roles,
            2 => new.bindings = other.bindings,
            3 => new.enriches = other.enriches,
            4 => (new.serves, new.has_route) = (other.serves, other.has_route),
            _ => new = other,
        }
        (old, new)
    })
}

fn report(world: &World) -> Report {
    let enriches = if world.enriches { "[sso]" } else { "[]" };
    let mut text = format!(
        "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  gatewayClassName: portcullis
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    tls: {{certificateRefs: [{{group: portcullis.dev, kind: Certificate, name: edge}}]}}
---
apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {{name: edge}}
spec: {{dnsNames: [edge.test], issuer: {{local: {{}}}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: sso}}
spec: {{oidc: {{issuer: 'https://id.test', audiences: [edge], claims: {{groups: groups}}}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: directory}}
spec:
  ldap:
    urls: ['ldaps://dc.test']
    bind: {{dn: 'CN=p', password: {{file: /run/p}}}}
    users: {{base: 'DC=test', filter: '(uid={{username}})'}}
    groups: {{base: 'DC=test'}}
  enriches: {enriches}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: workloads}}
spec: {{mtls: {{trustDomain: corp.test}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]
  {access}
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: small}}
spec:
  protocol: openai
  transport: {{plaintext: {{}}}}
  endpoints: [{{address: 127.0.0.1, port: 1}}]
  {serves}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {route}}}
spec:
  parentRefs: [{{name: edge}}]
  rules: [{{backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, name: small}}]}}]
",
        access = world.access,
        serves = world.serves,
        route = if world.has_route { "chat" } else { "elsewhere" },
    );
    for (index, rules) in world.roles.iter().enumerate() {
        let _ = write!(
            text,
            "---\napiVersion: portcullis.dev/v1alpha1\nkind: Role\nmetadata: {{name: role-{index}}}\nrules: [{}]\n",
            rules.join(", ")
        );
    }
    for (index, (role, subject)) in world.bindings.iter().enumerate() {
        let _ = write!(
            text,
            "---\napiVersion: portcullis.dev/v1alpha1\nkind: RoleBinding\nmetadata: {{name: binding-{index}}}\n\
             subjects: [{subject}]\nroleRef: {{kind: Role, name: role-{role}}}\n"
        );
    }
    let report = check_sources(&Sources::of_text("all.yaml", &text));
    assert!(report.is_clean(), "{:#?}\n{text}", report.diagnostics);
    report
}

/// A claim that conditions ask for.
const CLAIM: u8 = 1;
/// A scope that conditions ask for.
const SCOPE: u8 = 2;

/// Who somebody is on one side: a directory adds groups only where it enriches. `more`: of what conditions ask for.
fn principal(world: &World, provider: &str, name: &str, groups: u8, more: u8) -> Caller {
    let document = |name: &str| {
        Arc::new(DocumentId {
            group: "portcullis.dev".into(),
            kind: "IdentityProvider".into(),
            namespace: "default".into(),
            name: name.into(),
        })
    };
    let all = [("sso", "g"), ("directory", "g"), ("directory", "h")];
    let counts = |of: &str| of == provider || (of == "directory" && provider == "sso" && world.enriches);
    let chosen = all.iter().enumerate().filter(|(at, (of, _))| groups & 1 << at != 0 && counts(of));
    let (is_sso, is_workload) = (provider == "sso", provider == "workloads");
    let mut claims = serde_json::Map::new();
    if is_sso {
        claims.insert("sub".to_owned(), json!(name));
        if groups & 1 != 0 {
            claims.insert("groups".to_owned(), json!(["g"]));
        }
        if more & CLAIM != 0 {
            claims.insert("c".to_owned(), json!(["v", "w"]));
        }
    }
    Caller::known(Principal {
        provider: document(provider),
        method: Method::Supposed,
        kind: if is_workload { PrincipalKind::Workload } else { PrincipalKind::User },
        name: name.into(),
        stable_id: None,
        groups: chosen.map(|(_, (of, name))| Group { provider: document(of), name: (*name).into() }).collect(),
        scopes: if is_sso && more & SCOPE != 0 { vec!["s".into()] } else { Vec::new() },
        claims,
        expires: None,
    })
}

/// Everybody there is, as the old and the new documents know them.
fn everybody(old: &World, new: &World) -> Vec<(Caller, Caller)> {
    let mut all = vec![(Caller::anonymous(), Caller::anonymous())];
    let mut add = |provider: &str, name: &str, groups: u8, more: u8| {
        all.push((principal(old, provider, name, groups, more), principal(new, provider, name, groups, more)));
    };
    for name in ["alice", "zoe"] {
        for groups in 0..8 {
            for more in 0..=(CLAIM | SCOPE) {
                add("sso", name, groups, more);
            }
            if groups & 1 == 0 {
                add("directory", name, groups, 0);
            }
        }
    }
    for name in ["a/x", "a/b", "c", "x/b"] {
        add("workloads", &format!("spiffe://corp.test/{name}"), 0, 0);
    }
    all
}

fn rule(report: &Report) -> Option<&Arc<Rule>> {
    let listener = report.snapshot.listeners.first()?;
    listener.routes.rules().iter().find(|rule| &*rule.route.name == "chat")
}

fn allows(
    report: &Report,
    caller: &Caller,
    action: Action,
    model: Option<&str>,
    headers: &HeaderMap,
    source: IpAddr,
) -> bool {
    let Some(rule) = rule(report) else { return false };
    let Ok(resolved) = about_model(&report.snapshot, rule, action, model) else { return false };
    let question = Question { action, model: resolved.about(), headers, source: Some(source) };
    authorize(&report.snapshot, rule, caller, &question).is_ok()
}

/// The patterns of models that either set writes, in a role that somebody has or in a backend.
fn written(worlds: [&World; 2]) -> Vec<&'static str> {
    let bound = |world: &World| world.bindings.iter().map(|(role, _)| world.roles[*role].join(" ")).collect::<String>();
    let text = worlds.map(|world| bound(world) + world.serves).concat();
    let marks = [("a*", "['a*']"), ("*b", "['*b']"), ("ab", "models: [ab"), ("b", "[ab, b]")];
    marks.into_iter().filter(|(_, mark)| text.contains(mark)).map(|(pattern, _)| pattern).collect()
}

/// Whether the difference speaks of this direction, action and model. `written`: the patterns of both sets.
fn tells(diff: &Diff, direction: Direction, action: Action, model: Option<&str>, written: &[&str]) -> bool {
    let speaks_of = |about: &About| match (about, model) {
        (About::None, None) => true,
        (About::Model(name), Some(model)) => **name == *model,
        // Of the same class: the same of all patterns match it.
        (About::Like(met, _), Some(model)) => {
            let matching = written.iter().filter(|pattern| Pattern::new(pattern).matches(model));
            let mut matching: Vec<&str> = matching.copied().collect();
            matching.sort_unstable();
            met.iter().map(|pattern| &**pattern).eq(matching) && !written.contains(&model)
        }
        _ => false,
    };
    let of = diff.changes.iter().filter(|change| change.direction == direction && &*change.route.name == "chat");
    of.flat_map(|change| &change.what).any(|(of, about)| *of == action && speaks_of(about))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whoever_gains_or_loses_is_told_and_nobody_else((old, new) in pairs()) {
        let (old_report, new_report) = (report(&old), report(&new));
        let diff = compare(&old_report, &new_report);
        prop_assert_eq!(&diff.not_enumerated, &[]);
        let everybody = everybody(&old, &new);
        let sources: [IpAddr; 2] = ["10.1.1.1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        let headers: Vec<HeaderMap> = (0..8_u8)
            .map(|lines| {
                let chosen = ["v1", "v2", "v3"].iter().enumerate().filter(|(at, _)| lines & 1 << at != 0);
                chosen.map(|(_, line)| (http::HeaderName::from_static("x-tenant"), HeaderValue::from_static(line))).collect()
            })
            .collect();
        let written = written([&old, &new]);
        for action in [Action::Infer, Action::ListModels, Action::Admin] {
            for model in NAMES.iter().map(|name| Some(*name)).chain([None]) {
                let mut found = [false; 2];
                for (before, now) in &everybody {
                    for headers in &headers {
                        for source in sources {
                            let was = allows(&old_report, before, action, model, headers, source);
                            let is = allows(&new_report, now, action, model, headers, source);
                            found[0] |= is && !was;
                            found[1] |= was && !is;
                        }
                    }
                }
                let told = [Direction::Gains, Direction::Loses]
                    .map(|direction| tells(&diff, direction, action, model, &written));
                prop_assert_eq!(told, found, "{} {:?}", action, model);
            }
        }
    }

    #[test]
    fn the_same_documents_differ_in_nothing(world in worlds()) {
        let diff = compare(&report(&world), &report(&world));
        prop_assert!(diff.changes.is_empty() && diff.not_enumerated.is_empty(), "{:?}", diff);
    }
}
