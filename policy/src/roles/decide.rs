//! What is decided, and by which rule.

use super::{Condition, Effect, Pattern, Role, RoleRule, Roles, Standing, subjects::Held};
use crate::{
    action::Action,
    authorize::{AboutModel, Deciding, Principal, Question},
    snapshot::{DocumentId, Rule},
};

/// What the roles of a caller come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A rule allows it, and none denies it.
    Allowed(Place),
    /// A rule denies it.
    Denied(Place),
    /// No rule speaks of it.
    Unsaid,
}

/// A rule, by way of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) held: Held,
    pub(super) rule: u32,
}

impl RoleRule {
    /// Whether it is about what is asked, conditions aside.
    pub(super) fn speaks_of(&self, route: &DocumentId, question: &Question<'_>) -> bool {
        self.speaks_of_route(route) && self.actions.contains(question.action) && self.speaks_of_model(question)
    }

    /// Whether it is about this route of its namespace.
    pub(super) fn speaks_of_route(&self, route: &DocumentId) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.contains(&route.name))
    }

    /// Whether it is about the model that is asked for.
    pub(super) fn speaks_of_model(&self, question: &Question<'_>) -> bool {
        speaks_of_model(&self.models, self.effect, question.action, question.model)
    }

    /// Whether all conditions hold.
    pub(super) fn holds(&self, principal: &Principal, question: &Question<'_>) -> bool {
        self.when.iter().all(|condition: &Condition| condition.holds(self.effect, principal, question))
    }
}

impl Roles {
    /// What the roles of a caller come to, at a route.
    pub(crate) fn decide(
        &self,
        standing: &Standing,
        rule: &Rule,
        principal: &Principal,
        question: &Question<'_>,
    ) -> Verdict {
        by_model(question, |question| {
            let mut verdict = Verdict::Unsaid;
            for held in &standing.held {
                let Some((role, scopes)) = self.role(held.role) else { continue };
                if role.document.namespace != rule.route.namespace {
                    continue;
                }
                scopes.visit(&rule.route.name, question.action, question.model, |at| {
                    verdict = verdict.and(judge(role, *held, at, &rule.route, principal, question));
                });
                // Bindings stand in order, so none of the others could deny by an earlier rule.
                if matches!(verdict, Verdict::Denied(_)) {
                    break;
                }
            }
            verdict
        })
    }

    /// As [`Self::decide`], by looking at every rule of every role: for tests, and for tools that ask once.
    pub fn scan(&self, rule: &Rule, principal: &Principal, question: &Question<'_>) -> Verdict {
        by_model(question, |question| {
            let mut verdict = Verdict::Unsaid;
            let mut seen = Vec::new();
            for (binding, document) in (0..).zip(&self.0.bindings) {
                let Some((role, _)) = self.role(document.role) else { continue };
                let subject = (0..).zip(&document.subjects).find(|(_, subject)| subject.is(principal));
                let Some((subject, _)) = subject else { continue };
                if role.document.namespace != rule.route.namespace || seen.contains(&document.role) {
                    continue;
                }
                seen.push(document.role);
                let held = Held { binding, subject, role: document.role };
                for at in (0..).take(role.rules.len()) {
                    verdict = verdict.and(judge(role, held, at, &rule.route, principal, question));
                }
            }
            verdict
        })
    }

    pub(crate) fn rule(&self, place: Place) -> Option<&RoleRule> {
        self.role(place.held.role)?.0.rules.get(place.rule as usize)
    }

    /// Names what a verdict comes from.
    pub fn named(&self, verdict: &Verdict) -> Option<Deciding> {
        match verdict {
            Verdict::Allowed(place) | Verdict::Denied(place) => self.deciding(*place),
            Verdict::Unsaid => None,
        }
    }

    /// Names what decided.
    pub(crate) fn deciding(&self, place: Place) -> Option<Deciding> {
        let binding = self.0.bindings.get(place.held.binding as usize)?;
        let (role, _) = self.role(place.held.role)?;
        Some(Deciding {
            binding: binding.document.clone(),
            role: role.document.clone(),
            rule: role.rules.get(place.rule as usize)?.location.clone(),
            subject: binding.subjects.get(place.held.subject as usize)?.location.clone(),
        })
    }
}

/// Whether a rule for these models (empty: every one, and what is about none) reaches a request.
pub(crate) fn speaks_of_model(models: &[Pattern], effect: Effect, action: Action, about: AboutModel<'_>) -> bool {
    let all = models.is_empty();
    match about {
        AboutModel::Named(model) => all || models.iter().any(|pattern| pattern.matches(model)),
        // Who may list some models may list; the answer holds no others.
        AboutModel::None if action == Action::ListModels => all || effect == Effect::Allow,
        AboutModel::None => all,
        AboutModel::Unknown | AboutModel::AnyOf(_) => all || effect == Effect::Deny,
    }
}

/// Where any of several models may answer, all of them must be allowed, and none denied.
fn by_model<'q>(question: &Question<'q>, decide: impl Fn(&Question<'q>) -> Verdict) -> Verdict {
    let AboutModel::AnyOf(models @ [_, ..]) = question.model else { return decide(question) };
    let mut all: Option<Verdict> = None;
    for model in models {
        let verdict = decide(&Question { model: AboutModel::Named(model), ..*question });
        all = Some(match (all, verdict) {
            (None, verdict) => verdict,
            (Some(Verdict::Denied(place)), Verdict::Denied(other)) => Verdict::Denied(place.min(other)),
            (Some(denied @ Verdict::Denied(_)), _) | (_, denied @ Verdict::Denied(_)) => denied,
            (Some(Verdict::Unsaid), _) | (_, Verdict::Unsaid) => Verdict::Unsaid,
            (Some(Verdict::Allowed(place)), Verdict::Allowed(other)) => Verdict::Allowed(place.min(other)),
        });
    }
    all.unwrap_or(Verdict::Unsaid)
}

fn judge(
    role: &Role,
    held: Held,
    at: u32,
    route: &DocumentId,
    principal: &Principal,
    question: &Question<'_>,
) -> Verdict {
    let Some(rule) = role.rules.get(at as usize) else { return Verdict::Unsaid };
    if !rule.speaks_of(route, question) || !rule.holds(principal, question) {
        return Verdict::Unsaid;
    }
    let place = Place { held, rule: at };
    match rule.effect {
        Effect::Allow => Verdict::Allowed(place),
        Effect::Deny => Verdict::Denied(place),
    }
}

impl Verdict {
    /// Both, the graver one; of two alike the first, as documents are written.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Denied(a), Self::Denied(b)) => Self::Denied(a.min(b)),
            (denied @ Self::Denied(_), _) | (_, denied @ Self::Denied(_)) => denied,
            (Self::Allowed(a), Self::Allowed(b)) => Self::Allowed(a.min(b)),
            (allowed @ Self::Allowed(_), _) | (_, allowed @ Self::Allowed(_)) => allowed,
            (Self::Unsaid, Self::Unsaid) => Self::Unsaid,
        }
    }
}
