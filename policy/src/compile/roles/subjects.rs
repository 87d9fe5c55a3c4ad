//! Who is bound.

use portcullis_certs::SpiffeId;

use super::{PATTERN_BYTES_MAX, never_in_force};
use crate::{
    compile::{identity::Providers, inventory::Inventory},
    diagnostics::Diagnostic,
    documents::{
        Document,
        kinds::ours::{self, SubjectKind},
    },
    roles::{Pattern, Subject},
    snapshot::{DocumentId, ProviderKind},
};

pub(super) fn compile(
    document: &Document,
    specs: &[ours::Subject],
    inventory: &Inventory<'_>,
    providers: &Providers,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Subject> {
    let mut subjects = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let path = format!("subjects[{index}]");
        let provider = match &spec.provider {
            Some(name) => {
                let Some(found) = inventory.find("IdentityProvider", &document.id.namespace, name) else {
                    let path = format!("{path}.provider");
                    diagnostics.push(never_in_force(inventory.not_found(document, &path, "IdentityProvider", name)));
                    continue;
                };
                says_groups(document, &path, spec, &found.id, providers, diagnostics);
                Some(found.id.clone())
            }
            None => None,
        };
        if let Err(diagnostic) = check(document, &path, spec, inventory) {
            diagnostics.push(*diagnostic);
            continue;
        }
        subjects.push(Subject {
            location: document.location(&path),
            kind: spec.kind,
            name: Pattern::new(&spec.name),
            provider,
        });
    }
    subjects
}

fn check(
    document: &Document,
    path: &str,
    spec: &ours::Subject,
    inventory: &Inventory<'_>,
) -> Result<(), Box<Diagnostic>> {
    let invalid = |message: String, label: &str, help: &str| {
        let diagnostic = Diagnostic::error("invalid-value", message);
        Err(Box::new(diagnostic.at(document.span(&format!("{path}.name")), label).help(help)))
    };
    if spec.name.is_empty() || spec.name.len() > PATTERN_BYTES_MAX {
        let message = format!("the name of a subject has 1 to {PATTERN_BYTES_MAX} bytes");
        return invalid(message, "not a name", "write the name as its provider says it");
    }
    match spec.kind {
        SubjectKind::Workload if !is_workload(&spec.name) => invalid(
            format!("`{}` is not the name of workloads", spec.name),
            "not a SPIFFE ID",
            "write it like `spiffe://corp.example/ns/agents/sa/*`: `*` may stand anywhere but in the trust domain",
        ),
        SubjectKind::User | SubjectKind::Group if spec.name.contains('*') => invalid(
            format!("`{}` names nobody: users and groups have no wildcards", spec.name),
            "`*` is not understood here",
            "bind a group instead",
        ),
        SubjectKind::User | SubjectKind::Group if spec.provider.is_none() => {
            let word = if spec.kind == SubjectKind::User { "user" } else { "group" };
            let known: Vec<String> = inventory
                .documents
                .iter()
                .filter(|other| *other.id.kind == *"IdentityProvider" && other.id.namespace == document.id.namespace)
                .map(|other| format!("`{}`", other.id.name))
                .collect();
            let help = if known.is_empty() {
                format!("there is no IdentityProvider in namespace `{}` yet", document.id.namespace)
            } else {
                format!("write `provider:` and one of {}", known.join(", "))
            };
            let message = format!("who says who the {word} `{}` is?", spec.name);
            let diagnostic = Diagnostic::error("missing-provider", message)
                .at(document.span(path), "`provider` belongs here: two providers may know two people by one name")
                .help(help);
            Err(Box::new(diagnostic))
        }
        SubjectKind::Workload | SubjectKind::User | SubjectKind::Group => Ok(()),
    }
}

/// A SPIFFE ID, perhaps with wildcards in its path.
pub(in crate::compile) fn is_workload(name: &str) -> bool {
    let Some((domain, path)) = name.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    // What a wildcard stands for is at least nothing, so the rest must be an ID by itself.
    let filled = path.replace('*', "x");
    !domain.contains('*') && format!("spiffe://{domain}/{filled}").parse::<SpiffeId>().is_ok()
}

/// Warns of a group that its provider will never name.
fn says_groups(
    document: &Document,
    path: &str,
    spec: &ours::Subject,
    provider: &DocumentId,
    providers: &Providers,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(kind) = providers.id(provider).and_then(|id| providers.kind(id)) else { return };
    let field = match kind {
        ProviderKind::Oidc(oidc) if oidc.groups_claim.is_none() => "oidc.claims.groups",
        ProviderKind::Ldap(ldap) if ldap.groups.is_none() => "ldap.groups",
        _ => return,
    };
    if spec.kind == SubjectKind::Group {
        diagnostics.push(
            Diagnostic::warning("groups-unsaid", format!("`{}` says nothing of groups", provider.name))
                .at(document.span(&format!("{path}.name")), "nobody will be in it")
                .help(format!("write `{field}` in the IdentityProvider, or name the directory that knows the group")),
        );
    }
}
