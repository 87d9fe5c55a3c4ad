//! Roles and RoleBindings, compiled: who may do what, and how that is decided.
//!
//! Closed: what no rule allows is denied, and a rule that denies wins over all that allow. A decision looks at the roles
//! that a caller holds ([`Standing`]) in the namespace of the route, and within each of them at the rules for this route,
//! this action and this model: [`scopes`] and [`subjects`] find them, so ten thousand others cost nothing. [`decide`] is
//! what is decided by; [`Roles::scan`] does the same by looking at every rule, and a test holds the two, and Cedar, together.

mod condition;
mod decide;
mod lacking;
mod pattern;
mod scopes;
mod subjects;

use std::sync::Arc;

pub(crate) use self::decide::speaks_of_model;
pub use self::{
    condition::Condition,
    decide::{Place, Verdict},
    lacking::{Lack, NEAR_MAX, Near},
    pattern::Pattern,
    subjects::Standing,
};
use self::{scopes::Scopes, subjects::Subjects};
pub use crate::documents::kinds::ours::{Effect, SubjectKind};
use crate::{
    action::ActionSet,
    snapshot::{DocumentId, Location},
};

/// Every Role and every RoleBinding. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Roles(Arc<All>);

#[derive(Debug, Default)]
struct All {
    roles: Vec<Role>,
    bindings: Vec<Binding>,
    scopes: Vec<Scopes>,
    subjects: Subjects,
    looks_at_headers: bool,
}

/// An index into [`Roles::roles`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleId(pub u32);

/// What may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The document. Its namespace is that of the routes it speaks of.
    pub document: DocumentId,
    /// In document order.
    pub rules: Vec<RoleRule>,
}

/// One rule of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    /// Where it is written.
    pub location: Location,
    /// What it does.
    pub effect: Effect,
    /// Names of routes of the role's namespace; `None`: all of them.
    pub routes: Option<Vec<Arc<str>>>,
    /// What it is about.
    pub actions: ActionSet,
    /// Models; empty: every one, and what is about none.
    pub models: Vec<Pattern>,
    /// All of these must hold.
    pub when: Vec<Condition>,
}

/// Who has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The document. Its namespace is the role's.
    pub document: DocumentId,
    /// The role.
    pub role: RoleId,
    /// Any of these.
    pub subjects: Vec<Subject>,
}

/// A user, a group or a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Where it is written.
    pub location: Location,
    /// Which of them.
    pub kind: SubjectKind,
    /// Its name; only a workload's has wildcards.
    pub name: Pattern,
    /// The IdentityProvider that must say so; users and groups have one, workloads may.
    pub provider: Option<DocumentId>,
}

impl Roles {
    /// Of compiled documents; `bindings` in the order in which they count.
    pub fn new(roles: Vec<Role>, bindings: Vec<Binding>) -> Self {
        let scopes = roles.iter().map(Scopes::new).collect();
        let subjects = Subjects::new(&bindings);
        let mut conditions = roles.iter().flat_map(|role| &role.rules).flat_map(|rule| &rule.when);
        let looks_at_headers = conditions.any(|condition| matches!(condition, Condition::Header { .. }));
        Self(Arc::new(All { roles, bindings, scopes, subjects, looks_at_headers }))
    }

    /// Every role; [`RoleId`] is an index into it.
    pub fn roles(&self) -> &[Role] {
        &self.0.roles
    }

    /// Every binding, in the order in which they count.
    pub fn bindings(&self) -> &[Binding] {
        &self.0.bindings
    }

    /// Whether some rule has a condition about a header of the request.
    pub fn looks_at_headers(&self) -> bool {
        self.0.looks_at_headers
    }

    fn role(&self, id: RoleId) -> Option<(&Role, &Scopes)> {
        let at = id.0 as usize;
        Some((self.0.roles.get(at)?, self.0.scopes.get(at)?))
    }
}
