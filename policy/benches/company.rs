//! A large company: 100,000 people in 5,000 groups, 1,000 bindings. Prints how long the documents take to compile, what they
//! weigh, and what it costs to keep the standing of everyone. Run it with `cargo bench -p portcullis-policy --bench company`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::{fmt::Write as _, fs, sync::Arc, time::Instant};

use portcullis_policy::{
    authorize::{Caller, Group, Method, Principal, PrincipalKind},
    check::check_sources,
    documents::Sources,
    snapshot::DocumentId,
};
use serde_json::Map;

const PEOPLE: usize = 100_000;
const GROUPS: usize = 5_000;
const GROUPS_OF_EACH: usize = 20;
const BINDINGS: usize = 1_000;
const ROLES: usize = 100;

fn main() {
    let text = documents();
    let before = resident_kib();
    let start = Instant::now();
    let report = check_sources(&Sources::of_text("company.yaml", &text));
    assert!(report.is_clean(), "{:?}", report.diagnostics.first());
    println!(
        "{} documents, {} KiB: read, checked and compiled in {:?}",
        report.documents.len(),
        text.len() / 1024,
        start.elapsed()
    );
    let roles = report.snapshot.roles.clone();
    drop(report);
    println!("compiled, with what reading left behind: {} KiB", resident_kib().saturating_sub(before));

    let provider: Arc<DocumentId> = Arc::new(DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "ai".into(),
        name: "sso".into(),
    });
    let names: Vec<Arc<str>> = (0..GROUPS).map(|group| format!("group-{group}").into()).collect();
    let people: Vec<Caller> = (0..PEOPLE)
        .map(|person| {
            let groups = (0..GROUPS_OF_EACH).filter_map(|at| names.get((person * 31 + at * 257) % GROUPS));
            Caller::known(Principal {
                groups: groups.map(|name| Group { provider: provider.clone(), name: name.clone() }).collect(),
                provider: provider.clone(),
                method: Method::Jwt,
                kind: PrincipalKind::User,
                name: format!("person-{person}").into(),
                stable_id: None,
                scopes: Vec::new(),
                claims: Map::new(),
                expires: None,
            })
        })
        .collect();
    let before = resident_kib();
    let start = Instant::now();
    let standings: Vec<_> = people.iter().map(|caller| roles.standing(caller)).collect();
    let took = start.elapsed();
    let held: usize = standings.iter().map(portcullis_policy::roles::Standing::len).sum();
    println!(
        "{PEOPLE} standings of {:.1} roles each: {took:?} ({:?} each), {} KiB",
        held as f64 / PEOPLE as f64,
        took / PEOPLE as u32,
        resident_kib().saturating_sub(before)
    );
}

fn documents() -> String {
    let mut text =
        "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {name: sso, namespace: ai}\nspec: \
                    {oidc: {issuer: 'https://id.example', audiences: [llm], claims: {groups: groups}}}\n---\n"
            .to_owned();
    for role in 0..ROLES {
        let _ = write!(
            text,
            "apiVersion: portcullis.dev/v1alpha1\nkind: Role\nmetadata: {{name: role-{role}, namespace: ai}}\nrules:\n\
             - {{routes: ['*'], actions: [infer, list-models], models: ['model-{role}-*']}}\n\
             - {{effect: Deny, routes: ['*'], actions: [infer], models: [model-{role}-secret]}}\n---\n"
        );
    }
    for binding in 0..BINDINGS {
        let _ = write!(
            text,
            "apiVersion: portcullis.dev/v1alpha1\nkind: RoleBinding\nmetadata: {{name: binding-{binding}, namespace: ai}}\n\
             subjects:\n"
        );
        for at in 0..GROUPS / BINDINGS {
            let group = binding * (GROUPS / BINDINGS) + at;
            let _ = writeln!(text, "- {{kind: Group, provider: sso, name: group-{group}}}");
        }
        let _ = write!(text, "roleRef: {{kind: Role, name: role-{}}}\n---\n", binding % ROLES);
    }
    text
}

/// What the process takes of memory.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
