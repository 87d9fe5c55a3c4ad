//! How long a decision takes, with 10 to 10,000 rules, and how long Cedar takes for the same.
//!
//! `spread`: ten rules a role, each role bound to a group of its own; the caller is in four groups. `one-role`: one role that
//! the caller holds, each rule about another model. `fresh` finds out which roles the caller holds, `kept` knows it
//! already. Cedar is asked with every policy, and with those only that are about the route (`sliced`); building its request
//! is not counted. Run it with `cargo bench -p portcullis-policy --bench decisions`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

mod cedar;

use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Duration};

use cedar_policy::Authorizer;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use portcullis_policy::{
    action::Action,
    authorize::{AboutModel, Caller, Group, Method, Principal, PrincipalKind, Question, authorize, authorize_with},
    check::{Report, check_sources},
    documents::Sources,
    snapshot::{DocumentId, Rule},
};
use serde_json::Map;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const CEDAR_MAX: usize = 1_000;
const RULES_PER_ROLE: usize = 10;
const GROUPS: usize = 4;

const EDGE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: ai}
spec: {gatewayClassName: portcullis, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso, namespace: ai}
spec: {oidc: {issuer: 'https://id.example', audiences: [llm], claims: {groups: groups}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: known, namespace: ai}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {providers: [sso]}
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {name: llama, namespace: ai}
spec: {protocol: openai, endpoints: [{address: 10.0.0.1, port: 8000}], transport: {plaintext: {}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route-0, namespace: ai}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: llama}]}]}
---
";

fn spread(rules: usize) -> String {
    let mut text = EDGE.to_owned();
    for role in 0..rules / RULES_PER_ROLE {
        let _ = write!(
            text,
            "apiVersion: portcullis.dev/v1alpha1\nkind: Role\nmetadata: {{name: role-{role}, namespace: ai}}\nrules:\n"
        );
        for rule in 0..RULES_PER_ROLE {
            let route = role * RULES_PER_ROLE + rule;
            let _ = writeln!(
                text,
                "- {{routes: [route-{route}], actions: [infer, list-models], models: ['llama-*', m-{rule}]}}"
            );
        }
        let _ = write!(
            text,
            "---\napiVersion: portcullis.dev/v1alpha1\nkind: RoleBinding\nmetadata: {{name: binding-{role}, namespace: ai}}\n\
             subjects: [{{kind: Group, provider: sso, name: group-{role}}}]\nroleRef: {{kind: Role, name: role-{role}}}\n---\n"
        );
    }
    text
}

fn one_role(rules: usize) -> String {
    let mut text = EDGE.to_owned()
        + "apiVersion: portcullis.dev/v1alpha1\nkind: RoleBinding\nmetadata: {name: binding, namespace: ai}\n\
           subjects: [{kind: Group, provider: sso, name: group-0}]\nroleRef: {kind: Role, name: role}\n---\n\
           apiVersion: portcullis.dev/v1alpha1\nkind: Role\nmetadata: {name: role, namespace: ai}\nrules:\n\
           - {routes: [route-0], actions: [infer], models: [llama-3]}\n";
    for rule in 1..rules {
        let _ = writeln!(text, "- {{routes: [route-0], actions: [infer], models: [m-{rule}]}}");
    }
    text
}

fn caller() -> Principal {
    let provider: Arc<DocumentId> = Arc::new(DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "ai".into(),
        name: "sso".into(),
    });
    let group = |at| Group { provider: provider.clone(), name: format!("group-{at}").into() };
    Principal {
        groups: (0..GROUPS).map(group).collect(),
        provider: provider.clone(),
        method: Method::Jwt,
        kind: PrincipalKind::User,
        name: "alice".into(),
        stable_id: None,
        scopes: Vec::new(),
        claims: Map::new(),
        expires: None,
    }
}

fn decisions(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    let question =
        Question { action: Action::Infer, model: AboutModel::Named("llama-3"), headers: &headers, source: None };
    let principal = caller();
    let caller = Caller::known(principal.clone());
    for (shape, documents) in [("spread", spread as fn(usize) -> String), ("one-role", one_role)] {
        let mut group = criterion.benchmark_group(shape);
        group.sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
        for size in SIZES {
            let Report { snapshot, documents, .. } = check_sources(&Sources::of_text("bench.yaml", &documents(size)));
            let rule: Arc<Rule> = snapshot.listeners[0].routes.rules()[0].clone();
            let standing = snapshot.roles.standing(&caller);
            assert!(authorize(&snapshot, &rule, &caller, &question).is_ok());
            group.bench_function(BenchmarkId::new("fresh", size), |bencher| {
                bencher.iter(|| authorize(&snapshot, &rule, black_box(&caller), black_box(&question)).is_ok());
            });
            group.bench_function(BenchmarkId::new("kept", size), |bencher| {
                bencher.iter(|| {
                    authorize_with(&snapshot, &rule, black_box(&caller), Some(&standing), black_box(&question)).is_ok()
                });
            });
            if size > CEDAR_MAX {
                continue;
            }
            let policies = cedar::policies(&documents);
            let authorizer = Authorizer::new();
            let asked = cedar::Asked::new(&principal, &rule.route, &question);
            let all = cedar::policy_set(&policies);
            assert!(asked.is_allowed(&authorizer, &all));
            group.bench_function(BenchmarkId::new("cedar", size), |bencher| {
                bencher.iter(|| black_box(&asked).is_allowed(&authorizer, &all));
            });
            let about_route = policies.iter().filter(|policy| {
                policy.namespace == "ai" && (policy.routes.is_empty() || policy.routes.iter().any(|it| it == "route-0"))
            });
            let sliced = cedar::policy_set(about_route);
            group.bench_function(BenchmarkId::new("cedar-sliced", size), |bencher| {
                bencher.iter(|| black_box(&asked).is_allowed(&authorizer, &sliced));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
