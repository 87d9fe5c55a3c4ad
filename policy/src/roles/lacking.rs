//! What is missing for a request to be allowed.

use super::{Condition, Effect, RoleId, RoleRule, Roles};
use crate::{
    authorize::{AboutModel, Caller, Question},
    snapshot::{DocumentId, Location, Rule},
};

/// How many rules are named at most.
pub const NEAR_MAX: usize = 10;

/// A rule that would allow it, but for what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The role.
    pub role: DocumentId,
    /// Where its rule is written.
    pub rule: Location,
    /// The bindings that give the role, with where each is written.
    pub bindings: Vec<DocumentId>,
    /// What is missing. Never empty.
    pub lacks: Vec<Lack>,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The caller is no subject of a binding of the role: these are (`Group directory/ml-engineers`). Empty: nobody is.
    Subject(Vec<String>),
    /// The rule is not about this route.
    Route,
    /// The rule is not about this action.
    Action,
    /// The rule is not about this model: these are its patterns.
    Model(Vec<String>),
    /// A condition does not hold.
    Condition(String),
}

impl Lack {
    /// In words, as the end of a sentence that begins with "it lacks".
    pub fn told(&self) -> String {
        match self {
            Self::Subject(subjects) if subjects.is_empty() => "a RoleBinding: the role is bound to nobody".to_owned(),
            Self::Subject(subjects) => format!("the caller among its subjects: {}", subjects.join(", ")),
            Self::Route => "this route".to_owned(),
            Self::Action => "this action".to_owned(),
            Self::Model(models) => format!("this model: it is about {}", models.join(", ")),
            Self::Condition(condition) => format!("what it asks for: {condition}"),
        }
    }

    /// How far off it is: who is meant and when is closer than what.
    fn weight(&self) -> u32 {
        match self {
            Self::Condition(_) => 2,
            Self::Subject(_) => 3,
            Self::Model(_) => 4,
            Self::Action => 5,
            Self::Route => 6,
        }
    }
}

impl Roles {
    /// The rules that come nearest to allowing what is asked, the nearest first, at most [`NEAR_MAX`]: those of the route's
    /// namespace that allow anything. Where they lack nothing, something else denies it, and they are not named.
    pub fn lacking(&self, rule: &Rule, caller: &Caller, question: &Question<'_>) -> Vec<Near> {
        let mut near: Vec<(u32, Near)> = Vec::new();
        for (id, role) in (0..).map(RoleId).zip(self.roles()) {
            if role.document.namespace != rule.route.namespace {
                continue;
            }
            let bindings: Vec<_> = self.bindings().iter().filter(|binding| binding.role == id).collect();
            let is_held = caller.principal().is_some_and(|principal| {
                bindings.iter().any(|binding| binding.subjects.iter().any(|subject| subject.is(principal)))
            });
            for allowing in role.rules.iter().filter(|rule| rule.effect == Effect::Allow) {
                let mut lacks = lacks_of(allowing, &rule.route, caller, question);
                if !is_held {
                    let subjects = bindings.iter().flat_map(|binding| &binding.subjects).take(NEAR_MAX);
                    lacks.push(Lack::Subject(subjects.map(ToString::to_string).collect()));
                }
                let weight = lacks.iter().map(Lack::weight).sum();
                if weight > 0 {
                    let bindings = bindings.iter().map(|binding| binding.document.clone()).collect();
                    let place = (role.document.clone(), allowing.location.clone());
                    near.push((weight, Near { role: place.0, rule: place.1, bindings, lacks }));
                }
            }
        }
        near.sort_by_key(|(weight, _)| *weight);
        near.into_iter().take(NEAR_MAX).map(|(_, near)| near).collect()
    }
}

fn lacks_of(rule: &RoleRule, route: &DocumentId, caller: &Caller, question: &Question<'_>) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if !rule.speaks_of_route(route) {
        lacks.push(Lack::Route);
    }
    if !rule.actions.contains(question.action) {
        lacks.push(Lack::Action);
    }
    let speaks_of_model = match question.model {
        AboutModel::AnyOf(models @ [_, ..]) => {
            models.iter().all(|model| rule.speaks_of_model(&Question { model: AboutModel::Named(model), ..*question }))
        }
        _ => rule.speaks_of_model(question),
    };
    if !speaks_of_model {
        lacks.push(Lack::Model(rule.models.iter().map(|pattern| format!("`{pattern}`")).collect()));
    }
    let holds = |condition: &&Condition| {
        caller.principal().is_some_and(|principal| condition.holds(rule.effect, principal, question))
    };
    lacks.extend(rule.when.iter().filter(|it| !holds(it)).map(|condition| Lack::Condition(condition.to_string())));
    lacks
}

impl std::fmt::Display for super::Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "{:?} {}/{}", self.kind, provider.name, self.name),
            None => write!(f, "{:?} {}", self.kind, self.name),
        }
    }
}
