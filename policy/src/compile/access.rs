//! Which AccessPolicy a route stands under. None is an error: a door is open only where a document says so in words.

mod guard;
mod transport;

use std::cell::RefCell;

use foldhash::{HashMap, HashSet};

pub(super) use self::transport::unreadable;
use super::{identity::Providers, inventory::Inventory};
use crate::{
    action::{Action, ActionSet},
    diagnostics::Diagnostic,
    documents::{
        Document, Kind, closest,
        kinds::{GATEWAY_GROUP, ours::AccessPolicy},
    },
    snapshot::{Access, DocumentId},
};

/// AccessPolicies by what they target.
pub(super) struct AccessRules<'d> {
    by_target: HashMap<(&'d str, &'d str, &'d str), (&'d Document, Access)>,
    providers: &'d Providers,
    inventory: &'d Inventory<'d>,
    /// Policies and listeners that do not go together, and have been told of.
    told: RefCell<HashSet<(DocumentId, DocumentId, usize)>>,
}

const TARGETS: [&str; 4] = ["Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute"];

impl<'d> AccessRules<'d> {
    pub(super) fn new(
        inventory: &'d Inventory<'d>,
        providers: &'d Providers,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut by_target = HashMap::<_, (&Document, Access)>::default();
        for document in inventory.documents {
            let Kind::AccessPolicy(policy) = &document.value else { continue };
            let Some(access) = access_of(document, policy, providers, inventory, diagnostics) else { continue };
            for (index, target) in policy.spec.target_refs.iter().enumerate() {
                let path = |field: &str| format!("spec.targetRefs[{index}].{field}");
                if target.group != GATEWAY_GROUP || !TARGETS.contains(&target.kind.as_str()) {
                    diagnostics.push(
                        Diagnostic::error(
                            "unknown-target",
                            format!("an AccessPolicy cannot target a `{}`", target.kind),
                        )
                        .at(document.span(&path("kind")), "not a target")
                        .help("targets are Gateway, HTTPRoute, GRPCRoute and TLSRoute of `gateway.networking.k8s.io`"),
                    );
                    continue;
                }
                if inventory.find(&target.kind, &document.id.namespace, &target.name).is_none() {
                    diagnostics.push(inventory.not_found(document, &path("name"), &target.kind, &target.name));
                }
                let key = (target.kind.as_str(), &*document.id.namespace, target.name.as_str());
                if let Some((first, _)) = by_target.get(&key) {
                    diagnostics.push(
                        Diagnostic::error(
                            "conflicting-access",
                            format!("two AccessPolicies target the same {}", target.kind),
                        )
                        .at(document.span(&path("name")), "targeted again here")
                        .note(first.name_span(), "targeted first by this policy")
                        .help("which of them should hold would be a guess: keep one"),
                    );
                } else {
                    by_target.insert(key, (document, access.clone()));
                }
            }
        }
        Self { by_target, providers, inventory, told: RefCell::default() }
    }

    /// The policy of a route: its own, else its Gateway's.
    pub(super) fn of(&self, route: &'d Document, gateway: &'d DocumentId) -> Option<&Access> {
        let own = self.by_target.get(&(&*route.id.kind, &*route.id.namespace, &*route.id.name));
        own.or_else(|| self.by_target.get(&("Gateway", &*gateway.namespace, &*gateway.name))).map(|(_, access)| access)
    }
}

/// What one AccessPolicy asks for.
fn access_of(
    document: &Document,
    policy: &AccessPolicy,
    providers: &Providers,
    inventory: &Inventory<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Access> {
    let authentication = &policy.spec.authentication;
    match (&authentication.anonymous, authentication.providers.as_slice()) {
        (Some(anonymous), []) => Some(Access::Anonymous {
            policy: document.id.clone(),
            location: document.location("spec.authentication.anonymous"),
            actions: anonymous_actions(document, &anonymous.actions, diagnostics),
        }),
        (None, [_, ..]) => Some(guard::compile(document, policy, providers, inventory, diagnostics)),
        (anonymous, _) => {
            let message = if anonymous.is_some() {
                "`anonymous` and `providers` contradict each other"
            } else {
                "neither `providers` nor `anonymous` is given"
            };
            diagnostics.push(
                Diagnostic::error("ambiguous-access", message)
                    .at(document.span("spec.authentication"), "say one of them")
                    .help("name the `providers` that know the callers, or write `anonymous: {}` to let everyone in"),
            );
            None
        }
    }
}

fn anonymous_actions(document: &Document, words: &[String], diagnostics: &mut Vec<Diagnostic>) -> ActionSet {
    if words.is_empty() {
        return ActionSet::HARMLESS;
    }
    let mut actions = ActionSet::default();
    for (index, word) in words.iter().enumerate() {
        match Action::parse(word) {
            Some(action) => actions.insert(action),
            None if word == "*" => actions = ActionSet::EVERY,
            None => {
                let path = format!("spec.authentication.anonymous.actions[{index}]");
                diagnostics.push(unknown_action(document, &path, word));
            }
        }
    }
    actions
}

/// What to say about a word that is no action.
pub(super) fn unknown_action(document: &Document, path: &str, word: &str) -> Diagnostic {
    let message = match closest(word, Action::ALL.iter().map(|action| action.as_str())) {
        Some(meant) => format!("there is no action `{word}`, did you mean `{meant}`?"),
        None => format!("there is no action `{word}`"),
    };
    let words: Vec<String> = Action::ALL.iter().map(|action| format!("`{action}`")).collect();
    Diagnostic::error("unknown-action", message)
        .at(document.span(path), "unknown action")
        .help(format!("actions are {}, or `*` for all of them", words.join(", ")))
}

/// What to say about a route that no policy covers.
pub(super) fn uncovered(route: &Document, gateway: &DocumentId) -> Diagnostic {
    Diagnostic::error("no-access-policy", format!("no AccessPolicy says who may use {}", route.id))
        .at(route.name_span(), "open to nobody, and so refused")
        .for_want_of("AccessPolicy", &route.id.namespace, None)
        .help(format!(
            "write an AccessPolicy in namespace `{}` with `targetRefs: [{{group: gateway.networking.k8s.io, kind: {}, name: {}}}]` \
             and either `authentication: {{providers: […]}}` or, to let everyone in, `authentication: {{anonymous: {{}}}}`; \
             one on Gateway {}/{} covers all of its routes",
            route.id.namespace, route.id.kind, route.id.name, gateway.namespace, gateway.name
        ))
}
