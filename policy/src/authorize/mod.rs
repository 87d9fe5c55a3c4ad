//! Only this module mints a [`Permit`]: nothing is forwarded without one.
//!
//! Closed: what no rule allows is denied, and a rule that denies wins over all that allow.

mod caller;
mod workload;

use std::net::IpAddr;

use http::HeaderMap;

pub use self::{
    caller::{Caller, Group, Method, Principal, PrincipalKind},
    workload::{WorkloadDenial, WorkloadPermit, WorkloadPolicy, WorkloadQuestion, WorkloadRule, WorkloadRules},
};
use crate::{
    Snapshot,
    action::Action,
    roles::{Place, Roles, Standing, Verdict},
    snapshot::{Access, Location, Rule},
};

/// What a caller wants.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// What it does.
    pub action: Action,
    /// The model it is about.
    pub model: AboutModel<'q>,
    /// The request's headers, without what a client may not say.
    pub headers: &'q HeaderMap,
    /// Where it comes from.
    pub source: Option<IpAddr>,
}

/// Which model a request is about, once it is known which backends would answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AboutModel<'q> {
    /// None: rules that name models do not reach it.
    None,
    /// This one.
    Named(&'q str),
    /// Any of these: none is named, and the backend serves several. All of them must be allowed.
    AnyOf(&'q [std::sync::Arc<str>]),
    /// One that cannot be known here: only rules for every model allow it, and every rule that denies a model denies it.
    Unknown,
}

/// Proof that a rule admits a caller. Cannot be made elsewhere.
#[derive(Debug)]
pub struct Permit<'s> {
    access: &'s Access,
    decided_by: Option<Decided<'s>>,
}

/// What decided, not yet in words: most permits are never asked.
#[derive(Debug)]
struct Decided<'s> {
    roles: &'s Roles,
    place: Place,
}

impl Decided<'_> {
    fn names_models(&self) -> bool {
        self.roles.rule(self.place).is_some_and(|rule| !rule.models.is_empty())
    }
}

/// What decided: a rule of a role, by way of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// `RoleBinding/research`.
    pub binding: crate::snapshot::DocumentId,
    /// The role.
    pub role: crate::snapshot::DocumentId,
    /// Where the rule is written.
    pub rule: Location,
    /// Where the subject is written.
    pub subject: Location,
}

impl Permit<'_> {
    /// What the rule of the route asks for.
    pub fn access(&self) -> &Access {
        self.access
    }

    /// What allows it; `None` where the AccessPolicy itself does.
    pub fn decided_by(&self) -> Option<Deciding> {
        self.decided_by.as_ref().and_then(|decided| decided.roles.deciding(decided.place))
    }
}

/// Why a caller may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The rule asks who it is, and nobody has said.
    #[error("authentication required")]
    Unauthenticated,
    /// The caller is known by a provider that this route does not take.
    #[error("callers of this provider are not taken here")]
    ForeignProvider,
    /// Anyone may come in, but not for this.
    #[error("not open to everyone")]
    NotForEveryone,
    /// No role allows it.
    #[error("no role allows it")]
    NotAllowed,
    /// A role denies it.
    #[error("a role denies it")]
    Denied(Box<Deciding>),
}

/// Whether `rule` admits `caller` for what is asked. Whoever asks more than once for a caller keeps a [`Standing`] and
/// calls [`authorize_with`].
pub fn authorize<'s>(
    snapshot: &'s Snapshot,
    rule: &'s Rule,
    caller: &Caller,
    question: &Question<'_>,
) -> Result<Permit<'s>, Denial> {
    authorize_with(snapshot, rule, caller, None, question)
}

/// As [`authorize`], with what is known of the caller already ([`Roles::standing`](crate::roles::Roles::standing)). One of
/// another revision or another caller counts for nothing.
pub fn authorize_with<'s>(
    snapshot: &'s Snapshot,
    rule: &'s Rule,
    caller: &Caller,
    standing: Option<&Standing>,
    question: &Question<'_>,
) -> Result<Permit<'s>, Denial> {
    let access = &rule.access;
    let guard = match access {
        Access::Anonymous { actions, .. } if actions.contains(question.action) => {
            return Ok(Permit { access, decided_by: None });
        }
        Access::Anonymous { .. } => return Err(Denial::NotForEveryone),
        Access::Guarded(guard) => guard,
    };
    let principal = caller.principal().ok_or(Denial::Unauthenticated)?;
    let mut taken = guard.providers.iter().filter_map(|id| snapshot.providers.get(id.0 as usize));
    if !taken.any(|provider| provider.document == *principal.provider) {
        return Err(Denial::ForeignProvider);
    }
    let roles = &snapshot.roles;
    let made;
    let standing = match standing.filter(|standing| standing.is_of(roles, caller)) {
        Some(standing) => standing,
        None => {
            made = roles.standing(caller);
            &made
        }
    };
    match roles.decide(standing, rule, principal, question) {
        // What decided is named by places in these very documents; if it were not, nothing could be said for it.
        Verdict::Denied(place) => {
            Err(roles.deciding(place).map_or(Denial::NotAllowed, |deciding| Denial::Denied(Box::new(deciding))))
        }
        Verdict::Allowed(place) => Ok(Permit { access, decided_by: Some(Decided { roles, place }) }),
        Verdict::Unsaid if guard.open_to_known.is_some() => Ok(Permit { access, decided_by: None }),
        Verdict::Unsaid => Err(Denial::NotAllowed),
    }
}

/// Whether a model is on the list that a caller is shown at a rule (`GET /v1/models`). It is if the caller may use it
/// (`infer`), or if a rule for `list-models` names it; never if a rule denies to list or to use it. Where access does not
/// go by roles, who may list is shown whatever nobody denies.
pub fn shows_model(
    snapshot: &Snapshot,
    rule: &Rule,
    caller: &Caller,
    standing: Option<&Standing>,
    question: &Question<'_>,
    model: &str,
) -> bool {
    let ask = |action| {
        let question = Question { action, model: AboutModel::Named(model), ..*question };
        authorize_with(snapshot, rule, caller, standing, &question)
    };
    let (lists, uses) = (ask(Action::ListModels), ask(Action::Infer));
    match (lists, uses) {
        (_, Err(Denial::Denied(_))) => false,
        (Ok(permit), uses) => uses.is_ok() || permit.decided_by.is_none_or(|decided| decided.names_models()),
        (Err(Denial::NotAllowed), uses) => uses.is_ok(),
        (Err(_), _) => false,
    }
}
