//! Random documents and questions: the index, a full scan, and Cedar agree.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../benches/cedar/mod.rs"]
#[expect(dead_code, reason = "a benchmark looks at what policies are about")]
mod cedar;

use std::{fmt::Write as _, sync::Arc};

use cedar_policy::Authorizer;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_policy::{
    action::Action,
    authorize::{
        AboutModel, Caller, Denial, Group, Method, Principal, PrincipalKind, Question, authorize, authorize_with,
    },
    check::check_sources,
    diagnostics,
    documents::Sources,
    roles::Verdict,
    snapshot::{DocumentId, Rule},
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const NAMESPACES: [&str; 2] = ["ai", "b"];
const ROUTES: [&str; 2] = ["chat", "other"];
const PROVIDERS: [&str; 2] = ["sso", "keys"];
const MODELS: [&str; 5] = ["a", "b", "ab", "aa", "c-1"];
const NAMES: [&str; 3] = ["x", "y", "z"];
const WORKLOADS: [&str; 3] =
    ["spiffe://corp.example/ns/a/sa/x", "spiffe://corp.example/ns/a/sa/y", "spiffe://corp.example/ns/b/sa/x"];

fn document(kind: &str, namespace: &str, name: &str, rest: &Value) -> String {
    let mut document = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
    });
    document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    format!("{document}\n---\n")
}

/// One Gateway, and two routes in each of two namespaces.
fn edge() -> String {
    let mut text =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: ai}\nspec: \
                    {gatewayClassName: portcullis, listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: \
                    {namespaces: {from: All}}}]}\n---\n"
            .to_owned();
    let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}]);
    let authentication = json!({"providers": PROVIDERS});
    text += &document(
        "AccessPolicy",
        "ai",
        "known",
        &json!({"spec": {"targetRefs": target, "authentication": authentication}}),
    );
    for namespace in NAMESPACES {
        for provider in PROVIDERS {
            let oidc = json!({"issuer": "https://id.example", "audiences": ["llm"], "claims": {"groups": "groups"}});
            text += &document("IdentityProvider", namespace, provider, &json!({"spec": {"oidc": oidc}}));
        }
        let endpoints = json!([{"address": "10.0.0.1", "port": 8000}]);
        let spec = json!({"protocol": "openai", "endpoints": endpoints, "transport": {"plaintext": {}}});
        text += &document("InferenceBackend", namespace, "llama", &json!({"spec": spec}));
        for route in ROUTES {
            let _ = write!(
                text,
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {route}, namespace: \
                 {namespace}}}\nspec: {{parentRefs: [{{name: edge, namespace: ai}}], hostnames: \
                 [{route}.{namespace}.example], rules: [{{backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, \
                 name: llama}}]}}]}}\n---\n"
            );
        }
    }
    text
}

fn conditions() -> impl Strategy<Value = Value> {
    let values = vec(select(vec!["red", "blue", "3", "true"]), 1..3);
    prop_oneof![
        (select(vec!["x-tenant", "X-Team"]), values.clone())
            .prop_map(|(header, values)| json!({"header": header, "values": values})),
        (select(vec!["colour", "level", "deep.colour", "deep", "none"]), values)
            .prop_map(|(claim, values)| json!({"claim": claim, "values": values})),
        select(vec!["chat", "admin"]).prop_map(|scope| json!({"scope": scope})),
        vec(select(vec!["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"]), 1..3).prop_map(|source| json!({"source": source})),
    ]
}

fn rules() -> impl Strategy<Value = Value> {
    let routes = vec(select(vec!["chat", "other", "*", "nowhere"]), 1..3);
    let actions = vec(select(vec!["infer", "list-models", "metrics", "admin", "*"]), 1..3);
    let models = prop_oneof![
        2 => Just(Vec::new()),
        3 => vec(select(vec!["a", "b", "ab", "a*", "*b", "*", "c-1", "a*a"]), 1..3),
    ];
    let effect = prop_oneof![3 => Just("Allow"), 2 => Just("Deny")];
    (effect, routes, actions, models, vec(conditions(), 0..3)).prop_map(|(effect, routes, actions, models, when)| {
        json!({"effect": effect, "routes": routes, "actions": actions, "models": models, "when": when})
    })
}

fn subjects() -> impl Strategy<Value = Value> {
    let known = (select(vec!["User", "Group"]), select(PROVIDERS.to_vec()), select(NAMES.to_vec()))
        .prop_map(|(kind, provider, name)| json!({"kind": kind, "provider": provider, "name": name}));
    let wild = ["spiffe://corp.example/ns/a/sa/*", "spiffe://corp.example/*/x", "spiffe://corp.example/ns/a/sa/x"];
    let workload =
        (select(wild.to_vec()), proptest::option::of(select(PROVIDERS.to_vec()))).prop_map(|(name, provider)| {
            let mut subject = json!({"kind": "Workload", "name": name});
            if let Some(provider) = provider {
                subject["provider"] = provider.into();
            }
            subject
        });
    prop_oneof![3 => known, 1 => workload]
}

/// Roles `r0`… and bindings of them, in either namespace.
fn documents() -> impl Strategy<Value = String> {
    let roles = vec((select(NAMESPACES.to_vec()), vec(rules(), 0..5)), 1..5);
    let bindings = vec((any::<prop::sample::Index>(), vec(subjects(), 1..3)), 0..6);
    (roles, bindings).prop_map(|(roles, bindings)| {
        let mut text = edge();
        for (at, (namespace, rules)) in roles.iter().enumerate() {
            text += &document("Role", namespace, &format!("r{at}"), &json!({"rules": rules}));
        }
        for (at, (role, subjects)) in bindings.iter().enumerate() {
            let role = role.index(roles.len());
            let reference = json!({"kind": "Role", "name": format!("r{role}")});
            let rest = json!({"subjects": subjects, "roleRef": reference});
            text += &document("RoleBinding", roles[role].0, &format!("b{at}"), &rest);
        }
        text
    })
}

fn provider() -> impl Strategy<Value = Arc<DocumentId>> {
    (select(NAMESPACES.to_vec()), select(PROVIDERS.to_vec())).prop_map(|(namespace, name)| {
        let (group, kind) = ("portcullis.dev".into(), "IdentityProvider".into());
        Arc::new(DocumentId { group, kind, namespace: namespace.into(), name: name.into() })
    })
}

fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        select(vec!["red", "blue", "true"]).prop_map(Value::from),
        select(vec![3, 4]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        vec(select(vec![json!("red"), json!(3), json!(true), json!(null), json!({"colour": "red"})]), 0..3)
            .prop_map(Value::from),
    ];
    (value.clone(), value.clone(), value, any::<bool>()).prop_map(|(colour, level, deep, has_deep)| {
        let mut claims = json!({"colour": colour, "level": level}).as_object().unwrap().clone();
        claims.insert("deep".to_owned(), if has_deep { json!({"colour": deep}) } else { deep });
        claims
    })
}

fn principals() -> impl Strategy<Value = Principal> {
    let who = prop_oneof![
        3 => select(NAMES.to_vec()).prop_map(|name| (PrincipalKind::User, name)),
        1 => select(WORKLOADS.to_vec()).prop_map(|name| (PrincipalKind::Workload, name)),
    ];
    let group = (provider(), select(NAMES.to_vec())).prop_map(|(provider, name)| Group { provider, name: name.into() });
    let scopes = vec(select(vec!["chat", "admin"]), 0..3);
    // Most are taken by the routes: those of `ai`.
    let provider = prop_oneof![1 => provider(), 4 => provider().prop_map(|it| Arc::new(DocumentId { namespace: "ai".into(), ..(*it).clone() }))];
    (who, provider, vec(group, 0..4), scopes, claims()).prop_map(|((kind, name), provider, groups, scopes, claims)| {
        Principal {
            provider,
            method: Method::Supposed,
            kind,
            name: name.into(),
            stable_id: None,
            groups,
            scopes: scopes.into_iter().map(Into::into).collect(),
            claims,
            expires: None,
        }
    })
}

#[derive(Debug, Clone)]
struct Asked {
    action: usize,
    about: u8,
    models: Vec<Arc<str>>,
    headers: Vec<(&'static str, &'static str)>,
    source: Option<&'static str>,
    route: usize,
}

fn questions() -> impl Strategy<Value = Asked> {
    let headers = vec(
        (select(vec!["x-tenant", "x-team"]), select(vec!["red", "blue", "red,blue", "red, green", "", ",", "3 ,"])),
        0..4,
    );
    let source =
        proptest::option::of(select(vec!["10.0.0.1", "10.1.0.1", "192.168.0.1", "fd00::1", "::ffff:10.1.0.1"]));
    let models = vec(select(MODELS.to_vec()), 0..3);
    (0..Action::ALL.len(), 0_u8..5, models, headers, source, 0_usize..4).prop_map(
        |(action, about, models, headers, source, route)| Asked {
            action,
            about,
            models: models.into_iter().map(Into::into).collect(),
            headers,
            source,
            route,
        },
    )
}

impl Asked {
    fn headers(&self) -> HeaderMap {
        let line = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().copied().map(line) {
            headers.append(name, value);
        }
        headers
    }

    fn about(&self) -> AboutModel<'_> {
        match (self.about, self.models.first()) {
            (0, _) => AboutModel::None,
            (1, _) => AboutModel::Unknown,
            (2, _) => AboutModel::AnyOf(&self.models),
            (_, Some(model)) => AboutModel::Named(model),
            (_, None) => AboutModel::None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn index_scan_and_cedar_agree(
        text in documents(),
        asked in vec((principals(), questions()), 48),
    ) {
        let report = check_sources(&Sources::of_text("random.yaml", &text));
        let wrong: Vec<_> = report.diagnostics.iter().filter(|d| d.is_error()).cloned().collect();
        prop_assert!(wrong.is_empty(), "{}", diagnostics::text(&wrong, false));
        let snapshot = &report.snapshot;
        let policies = cedar::policy_set(&cedar::policies(&report.documents));
        let authorizer = Authorizer::new();
        let rules: Vec<Arc<Rule>> = snapshot.listeners[0].routes.rules().to_vec();
        prop_assert_eq!(rules.len(), 4);
        for (principal, asked) in &asked {
            let headers = asked.headers();
            let question = Question {
                action: Action::ALL[asked.action],
                model: asked.about(),
                headers: &headers,
                source: asked.source.map(|source| source.parse().unwrap()),
            };
            let rule = &rules[asked.route];
            let scanned = snapshot.roles.scan(rule, principal, &question);
            let caller = Caller::known(principal.clone());
            let decided = authorize(snapshot, rule, &caller, &question);
            let standing = snapshot.roles.standing(&caller);
            let kept = authorize_with(snapshot, rule, &caller, Some(&standing), &question);
            prop_assert_eq!(decided.as_ref().err(), kept.as_ref().err());
            let by_cedar = cedar::Asked::new(principal, &rule.route, &question).is_allowed(&authorizer, &policies);
            let is_allowed = matches!(scanned, Verdict::Allowed(_));
            prop_assert_eq!(is_allowed, by_cedar, "scan {:?}, {:?} {:?} at {}", scanned, principal, question, rule.route);
            if &*principal.provider.namespace != "ai" {
                prop_assert_eq!(decided.unwrap_err(), Denial::ForeignProvider);
                continue;
            }
            prop_assert_eq!(decided.is_ok(), is_allowed, "index and scan, {:?} {:?} at {}", principal, question, rule.route);
            match decided {
                Ok(permit) => prop_assert_eq!(permit.decided_by(), snapshot.roles.named(&scanned)),
                Err(Denial::Denied(by)) => prop_assert_eq!(Some(*by), snapshot.roles.named(&scanned)),
                Err(other) => prop_assert_eq!((other, scanned), (Denial::NotAllowed, Verdict::Unsaid)),
            }
        }
    }
}
