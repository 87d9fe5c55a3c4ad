//! One of the two sets of documents: its rules, and every way in which a role allows or denies.

use std::{collections::BTreeMap, sync::Arc};

use super::classes::Bits;
use crate::{
    Snapshot,
    action::{Action, ActionSet},
    authorize::AboutModel,
    documents::Document,
    roles::{Binding, Effect, Role, RoleRule, Subject},
    snapshot::{DocumentId, IdentityProvider, Rule},
};

/// One set of documents.
pub(super) struct Side<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) documents: &'a [Document],
    pub(super) rules: BTreeMap<RuleKey, Arc<Rule>>,
    pub(super) terms: Vec<Term<'a>>,
}

/// A rule of a route, as the other set may have it too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RuleKey {
    pub(super) route: DocumentId,
    /// ``rule `big-model` `` or `rule 1`.
    pub(super) rule: String,
    /// Of several Gateways that a route hangs on, each may have an AccessPolicy of its own.
    pub(super) gateway: String,
}

/// A subject of a binding, and a rule of its role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) binding: &'a Binding,
    pub(super) subject: &'a Subject,
    pub(super) role: &'a Role,
    pub(super) rule: &'a RoleRule,
}

impl<'a> Side<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, documents: &'a [Document]) -> Self {
        let mut rules = BTreeMap::new();
        for listener in &snapshot.listeners {
            for rule in listener.routes.rules() {
                let name = rule.name.as_deref().map(|name| format!("rule `{name}`"));
                let key = RuleKey {
                    route: rule.route.clone(),
                    rule: name.unwrap_or_else(|| format!("rule {}", rule.index)),
                    gateway: format!("{}/{}", listener.id.namespace, listener.id.gateway),
                };
                rules.entry(key).or_insert_with(|| rule.clone());
            }
        }
        let roles = &snapshot.roles;
        let mut terms = Vec::new();
        for binding in roles.bindings() {
            let Some(role) = roles.roles().get(binding.role.0 as usize) else { continue };
            for subject in &binding.subjects {
                terms.extend(role.rules.iter().map(|rule| Term { binding, subject, role, rule }));
            }
        }
        Self { snapshot, documents, rules, terms }
    }

    pub(super) fn provider(&self, document: &DocumentId) -> Option<&'a IdentityProvider> {
        self.snapshot.providers.iter().find(|provider| provider.document == *document)
    }

    /// The directory that adds groups to the callers of a provider.
    pub(super) fn enricher(&self, document: &DocumentId) -> Option<&'a DocumentId> {
        let id = self.provider(document)?.enriched_by?;
        self.snapshot.providers.get(id.0 as usize).map(|provider| &provider.document)
    }

    /// The terms that speak of a route at all.
    pub(super) fn terms_of(&self, route: &DocumentId) -> Vec<Term<'a>> {
        self.terms.iter().filter(|term| term.speaks_of_route(route)).copied().collect()
    }

    /// The actions that requests at a rule can have. What no inference server answers is `access`; nothing at one is.
    pub(super) fn actions(&self, rule: &Rule) -> ActionSet {
        let mut backends = rule
            .backends
            .iter()
            .filter_map(|reference| self.snapshot.backends.get(reference.target.as_ref().ok()?.0 as usize));
        let is_server = backends.any(|backend| backend.dialect.is_some());
        Action::ALL.into_iter().filter(|action| !is_server || *action != Action::Access).collect()
    }
}

impl Term<'_> {
    fn speaks_of_route(&self, route: &DocumentId) -> bool {
        let routes = &self.rule.routes;
        self.role.document.namespace == route.namespace
            && routes.as_ref().is_none_or(|routes| routes.contains(&route.name))
    }

    /// Whether it speaks of an action and of one model, or none, or an unknown one.
    pub(super) fn speaks_of(&self, action: Action, about: AboutModel<'_>) -> bool {
        let is_every = self.rule.models.is_empty();
        let is_deny = self.rule.effect == Effect::Deny;
        self.rule.actions.contains(action)
            && match about {
                AboutModel::Named(model) => {
                    is_every || self.rule.models.iter().any(|pattern| super::classes::covers(pattern.as_str(), model))
                }
                AboutModel::None if action == Action::ListModels => is_every || !is_deny,
                AboutModel::None => is_every,
                AboutModel::Unknown | AboutModel::AnyOf(_) => is_every || is_deny,
            }
    }
}

/// Indices of what fits.
pub(super) fn indices<T>(all: &[T], fits: impl Fn(&T) -> bool) -> Bits {
    all.iter().enumerate().filter(|(_, it)| fits(it)).map(|(index, _)| index).collect()
}
