//! Roles and RoleBindings: from documents to who may do what.

mod conditions;
mod subjects;
mod warnings;

use foldhash::HashMap;

pub(super) use self::subjects::is_workload;
use super::{access::unknown_action, identity::Providers, inventory::Inventory, status::arc};
use crate::{
    action::{Action, ActionSet},
    diagnostics::{Class, Diagnostic},
    documents::{
        Document, Kind,
        kinds::ours::{self, Effect},
    },
    roles::{Binding, Pattern, Role, RoleId, RoleRule, Roles},
    snapshot::DocumentId,
};

/// The longest pattern of a model or a workload, in bytes.
const PATTERN_BYTES_MAX: usize = 512;

/// Every role and who has it, with what is wrong with them and what is probably not meant.
pub(super) fn compile(inventory: &Inventory<'_>, providers: &Providers, diagnostics: &mut Vec<Diagnostic>) -> Roles {
    let mut by_name: HashMap<&DocumentId, RoleId> = HashMap::default();
    let mut roles = Vec::new();
    let mut documents = Vec::new();
    for document in inventory.documents {
        let Kind::Role(role) = &document.value else { continue };
        let rules = role.rules.iter().enumerate();
        let rules = rules.filter_map(|(at, rule)| role_rule(document, at, rule, diagnostics)).collect();
        by_name.entry(&document.id).or_insert(RoleId(roles.len() as u32));
        roles.push(Role { document: document.id.clone(), rules });
        documents.push(document);
    }
    let mut bindings = Vec::new();
    for document in inventory.documents {
        let Kind::RoleBinding(binding) = &document.value else { continue };
        let subjects = subjects::compile(document, &binding.subjects, inventory, providers, diagnostics);
        let Some(role) = role_of(document, &binding.role_ref, inventory, &by_name, diagnostics) else { continue };
        bindings.push((document, Binding { document: document.id.clone(), role, subjects }));
    }
    warnings::warn(inventory, &documents, &roles, &bindings, diagnostics);
    Roles::new(roles, bindings.into_iter().map(|(_, binding)| binding).collect())
}

fn role_of(
    document: &Document,
    reference: &ours::RoleReference,
    inventory: &Inventory<'_>,
    by_name: &HashMap<&DocumentId, RoleId>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<RoleId> {
    if reference.kind != "Role" {
        diagnostics.push(
            Diagnostic::error("invalid-kind", format!("a RoleBinding cannot give a `{}`", reference.kind))
                .at(document.span("roleRef.kind"), "not a kind of role")
                .help("write `kind: Role`: roles are of one namespace, there are none of a whole cluster"),
        );
        return None;
    }
    let Some(found) = inventory.find("Role", &document.id.namespace, &reference.name) else {
        diagnostics.push(never_in_force(inventory.not_found(document, "roleRef.name", "Role", &reference.name)));
        return None;
    };
    by_name.get(&found.id).copied()
}

/// A reference that leads nowhere refuses the revision here: what it leads to might deny.
fn never_in_force(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic { class: Class::Document, ..diagnostic }
}

fn role_rule(
    document: &Document,
    at: usize,
    rule: &ours::RoleRule,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<RoleRule> {
    let path = format!("rules[{at}]");
    if !rule.tools.is_empty() {
        diagnostics.push(
            Diagnostic::enforcement("not-enforced-yet", "rules for tools are not enforced yet, so `run` refuses them")
                .at(document.span(&format!("{path}.tools")), "no action is about tools yet")
                .help("remove the rule, so that nobody believes in it"),
        );
        return None;
    }
    let before = diagnostics.len();
    let actions = actions(document, &path, &rule.actions, diagnostics);
    let models = patterns(document, &format!("{path}.models"), &rule.models, diagnostics);
    let when = rule.when.iter().enumerate();
    let when: Vec<_> = when
        .filter_map(|(index, it)| conditions::compile(document, &format!("{path}.when[{index}]"), it, diagnostics))
        .collect();
    let is_every = rule.routes.iter().any(|route| route == "*");
    for (index, route) in rule.routes.iter().enumerate() {
        if route.contains('*') && route != "*" {
            let at = document.span(&format!("{path}.routes[{index}]"));
            diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{route}` is not the name of a route"))
                    .at(at, "not a name")
                    .help("write each route's name, or `*` for every route of the namespace"),
            );
        }
    }
    // A rule with a mistake in it might say more than it should.
    (diagnostics.len() == before).then(|| RoleRule {
        location: document.location(&path),
        effect: rule.effect.unwrap_or(Effect::Allow),
        routes: (!is_every).then(|| rule.routes.iter().map(|route| arc(route)).collect()),
        actions,
        models,
        when,
    })
}

pub(super) fn actions(
    document: &Document,
    path: &str,
    words: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> ActionSet {
    let mut actions = ActionSet::default();
    for (index, word) in words.iter().enumerate() {
        match Action::parse(word) {
            Some(action) => actions.insert(action),
            None if word == "*" => actions = ActionSet::EVERY,
            None => diagnostics.push(unknown_action(document, &format!("{path}.actions[{index}]"), word)),
        }
    }
    actions
}

pub(super) fn patterns(
    document: &Document,
    path: &str,
    texts: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Pattern> {
    for (index, text) in texts.iter().enumerate() {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            let message = format!("the name of a model has 1 to {PATTERN_BYTES_MAX} bytes");
            diagnostics.push(
                Diagnostic::error("invalid-value", message)
                    .at(document.span(&format!("{path}[{index}]")), "not a name")
                    .help("leave `models` out if every model is meant"),
            );
        }
    }
    texts.iter().map(|text| Pattern::new(text)).collect()
}
