//! Who gains and who loses by a change of documents: complete, by enumeration, and without sampling.
//!
//! Everything by which either set of documents could tell two requests apart is a variable with few values: who asks (every
//! name that a binding names, every class of workloads, and somebody else of each provider), each group, each scope, each
//! claim's value, each header's lines, the networks. Models are taken by classes: names that no pattern can tell apart. For
//! each rule of a route, each action and each class of models, "one set allows it and the other does not" is one formula,
//! and a search decides whether it can be true. Whatever it finds is asked of the gateway's own
//! [`authorize`](crate::authorize::authorize()) before anybody is told.
//!
//! What is not compared is which rule a request meets (hosts, paths, headers of matches), and whom a provider knows: the
//! documents that changed so are named in [`Diff::notes`].

mod classes;
mod compare;
mod guardrails;
mod networks;
mod said;
mod side;
mod solve;
mod universe;

use std::sync::Arc;

pub use self::{
    classes::PATTERN_STATES_MAX,
    compare::compare,
    said::{json, text},
    solve::SEARCH_STEPS_MAX,
};
use crate::{
    action::Action,
    authorize::Deciding,
    snapshot::{DocumentId, Location},
};

/// Every difference between two sets of documents.
#[derive(Debug, Default)]
pub struct Diff {
    /// Who gains and who loses, route by route.
    pub changes: Vec<Change>,
    /// What changed otherwise, and is not compared.
    pub notes: Vec<String>,
    /// What could not be enumerated within the bounds; where there is any, nothing is proved.
    pub not_enumerated: Vec<NotEnumerated>,
}

/// Somebody may do something that they might not, or the other way round.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// The route.
    pub route: DocumentId,
    /// Which of its rules: ``rule `big-model` ``.
    pub rule: String,
    /// The Gateway it hangs on: `inference/edge`.
    pub gateway: String,
    /// Who.
    pub who: String,
    /// What allows it, on the side that does.
    pub by: Cause,
    /// Why the other side does not.
    pub because: String,
    /// What may be done, and with which model.
    pub what: Vec<(Action, About)>,
    /// A request that shows it.
    pub witness: Witness,
}

/// Which way a difference goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The new documents allow it, the old ones do not.
    Gains,
    /// The old documents allow it, the new ones do not.
    Loses,
}

/// What allows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A role.
    Role(Deciding),
    /// An AccessPolicy, in words: for anyone, or for whoever is known.
    Policy(DocumentId, Location),
}

/// The models that a request is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// None is named.
    None,
    /// This one.
    Model(Arc<str>),
    /// Any that matches these patterns, and no others of either set; with one such name.
    Like(Vec<Arc<str>>, Arc<str>),
}

/// A request that one side allows and the other does not. Shown by `authorize` itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Witness {
    /// The caller's name and provider; `None`: nobody.
    pub caller: Option<(Arc<str>, DocumentId)>,
    /// Groups, each with who says so.
    pub groups: Vec<(Arc<str>, DocumentId)>,
    /// Scopes.
    pub scopes: Vec<Arc<str>>,
    /// Claims.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Where it comes from, if that matters.
    pub source: Option<std::net::IpAddr>,
    /// What it does.
    pub action: Action,
    /// The model it names.
    pub model: Option<Arc<str>>,
}

/// What is beyond the bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEnumerated {
    /// The patterns of models.
    #[error("the patterns of models together have more than {PATTERN_STATES_MAX} states")]
    Models,
    /// The patterns of workloads.
    #[error("the patterns of workloads together have more than {PATTERN_STATES_MAX} states for {0}")]
    Workloads(DocumentId),
    /// A question that takes too long.
    #[error("whether {action} at {route} changes takes more than {SEARCH_STEPS_MAX} steps to find out")]
    Question {
        /// The route.
        route: DocumentId,
        /// The action.
        action: Action,
    },
    /// The enumeration and the gateway disagree, which must not be.
    #[error("`diff` and the gateway disagree on {action} at {route}: this is a mistake of ours")]
    Disagreement {
        /// The route.
        route: DocumentId,
        /// The action.
        action: Action,
    },
}
