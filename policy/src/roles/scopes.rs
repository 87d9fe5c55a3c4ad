//! The rules of one role by route, action and model.

use foldhash::HashMap;

use super::{Effect, Role};
use crate::{action::Action, authorize::AboutModel};

/// The rules of one role, by what they are about. Indices into [`Role::rules`].
#[derive(Debug, Default)]
pub(super) struct Scopes {
    by_route: HashMap<Box<str>, Scope>,
    every_route: Scope,
}

/// Rules about some routes.
#[derive(Debug, Default)]
struct Scope(Vec<(Action, Bucket)>);

/// Rules about some routes and one action.
#[derive(Debug, Default)]
struct Bucket {
    /// Those that speak of every model, or of models by wildcards.
    open: Vec<u32>,
    /// Those that name each of their models.
    by_model: HashMap<Box<str>, Vec<u32>>,
    /// Those of them that deny.
    named_deny: Vec<u32>,
    /// Those of them that allow.
    named_allow: Vec<u32>,
}

impl Scopes {
    pub(super) fn new(role: &Role) -> Self {
        let mut scopes = Self::default();
        for (at, rule) in (0..).zip(&role.rules) {
            match &rule.routes {
                None => scopes.every_route.insert(at, rule),
                Some(routes) => {
                    for (index, route) in routes.iter().enumerate() {
                        if !routes.iter().take(index).any(|earlier| earlier == route) {
                            scopes.by_route.entry((**route).into()).or_default().insert(at, rule);
                        }
                    }
                }
            }
        }
        scopes
    }

    /// Calls `each` with every rule about this route and action that could speak of the model, and perhaps with some that
    /// do not; in no order.
    pub(super) fn visit(&self, route: &str, action: Action, model: AboutModel<'_>, mut each: impl FnMut(u32)) {
        let scopes = [self.by_route.get(route), Some(&self.every_route)];
        for bucket in scopes.into_iter().flatten().filter_map(|scope| scope.bucket(action)) {
            let named: &[u32] = match model {
                AboutModel::Named(model) => bucket.by_model.get(model).map_or(&[], Vec::as_slice),
                AboutModel::None if action == Action::ListModels => &bucket.named_allow,
                AboutModel::None => &[],
                // A caller is asked about one model after the other: see `decide`.
                AboutModel::AnyOf(_) | AboutModel::Unknown => &bucket.named_deny,
            };
            for at in bucket.open.iter().chain(named) {
                each(*at);
            }
        }
    }
}

impl Scope {
    fn insert(&mut self, at: u32, rule: &super::RoleRule) {
        let exact: Option<Vec<&str>> = rule.models.iter().map(super::Pattern::exact).collect();
        for action in rule.actions.iter() {
            let bucket = match self.0.iter().position(|(other, _)| *other == action) {
                Some(found) => self.0.get_mut(found),
                None => {
                    self.0.push((action, Bucket::default()));
                    self.0.last_mut()
                }
            };
            let Some((_, bucket)) = bucket else { continue };
            match exact.as_deref() {
                None | Some([]) => bucket.open.push(at),
                Some(models) => {
                    for (index, model) in models.iter().enumerate() {
                        if !models.iter().take(index).any(|earlier| earlier == model) {
                            bucket.by_model.entry((*model).into()).or_default().push(at);
                        }
                    }
                    match rule.effect {
                        Effect::Deny => bucket.named_deny.push(at),
                        Effect::Allow => bucket.named_allow.push(at),
                    }
                }
            }
        }
    }

    fn bucket(&self, action: Action) -> Option<&Bucket> {
        self.0.iter().find(|(other, _)| *other == action).map(|(_, bucket)| bucket)
    }
}
