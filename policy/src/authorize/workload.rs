//! What one workload may ask of another, behind the edge: WorkloadPolicies, as its sidecar enforces them.
//!
//! Closed: a workload that no policy names is called by nobody, what no rule allows is denied, and a rule that denies wins
//! over all that allow. There are as many rules as somebody wrote for one server, so they are simply looked through.

use std::sync::Arc;

use http::Method;
use portcullis_certs::SpiffeId;

use super::AboutModel;
use crate::{
    Snapshot,
    action::{Action, ActionSet, classify},
    roles::{Effect, Pattern, speaks_of_model},
    snapshot::{Dialect, DocumentId, Location},
};

/// A WorkloadPolicy, compiled.
#[derive(Debug, Clone)]
pub struct WorkloadPolicy {
    /// The document.
    pub document: DocumentId,
    /// Whose sidecars enforce it.
    pub workloads: Vec<Pattern>,
    /// What they speak; `None`: they are no inference servers.
    pub protocol: Option<Dialect>,
    /// In document order.
    pub rules: Vec<WorkloadRule>,
}

/// One rule of a [`WorkloadPolicy`].
#[derive(Debug, Clone)]
pub struct WorkloadRule {
    /// Where it is written.
    pub location: Location,
    /// What it does.
    pub effect: Effect,
    /// Who calls.
    pub from: Vec<Pattern>,
    /// By which ports; empty: every one.
    pub ports: Vec<u16>,
    /// With which methods; empty: every one.
    pub methods: Vec<Method>,
    /// At which canonical paths; empty: every one.
    pub paths: Vec<Pattern>,
    /// For what.
    pub actions: ActionSet,
    /// About which models; empty: every one, and what is about none.
    pub models: Vec<Pattern>,
    /// Whether the callers may say for whom they call.
    pub relays_callers: bool,
}

/// The policies of one workload.
#[derive(Debug, Clone, Default)]
pub struct WorkloadRules {
    policies: Vec<Arc<WorkloadPolicy>>,
}

/// What a peer asks of a workload.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadQuestion<'q> {
    /// Who it proved to be.
    pub peer: &'q SpiffeId,
    /// The port that it came by.
    pub port: u16,
    /// The method.
    pub method: &'q Method,
    /// The canonical path.
    pub path: &'q str,
    /// The model that the request names.
    pub model: Option<&'q str>,
}

/// Proof that a rule lets a peer ask this of a workload. Cannot be made elsewhere.
#[derive(Debug, Clone)]
pub struct WorkloadPermit {
    action: Action,
    rule: Location,
    relays_callers: bool,
}

impl WorkloadPermit {
    /// What the request does.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether the peer may say for whom it calls.
    pub fn relays_callers(&self) -> bool {
        self.relays_callers
    }

    /// Where the rule that allows it is written.
    pub fn rule(&self) -> &Location {
        &self.rule
    }
}

/// Why a peer may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadDenial {
    /// No rule allows it.
    #[error("no WorkloadPolicy lets `{peer}` do `{action}` here")]
    NotAllowed {
        /// Who asked.
        peer: SpiffeId,
        /// What the request does.
        action: Action,
    },
    /// A rule denies it.
    #[error("{rule} denies it")]
    Denied {
        /// Where the rule is written.
        rule: Location,
    },
}

impl WorkloadRules {
    /// Of a workload, from all documents.
    pub fn of(snapshot: &Snapshot, workload: &SpiffeId) -> Self {
        let names = |policy: &&Arc<WorkloadPolicy>| policy.workloads.iter().any(|it| it.matches(workload.as_str()));
        Self { policies: snapshot.workloads.iter().filter(names).cloned().collect() }
    }

    /// Whether no document speaks of the workload: then nobody may ask anything.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether a rule asks which model a request is about, so that the request has to be read.
    pub fn names_models(&self) -> bool {
        self.rules().any(|(_, rule)| !rule.models.is_empty())
    }

    /// Whether `peer` may do what it asks.
    ///
    /// # Errors
    /// The rule that denies, or that none allows.
    pub fn permit(&self, question: &WorkloadQuestion<'_>) -> Result<WorkloadPermit, WorkloadDenial> {
        let mut allowed = None;
        for (policy, rule) in self.rules() {
            let action = classify(policy.protocol, question.method, question.path);
            if !rule.speaks_of(action, question) {
                continue;
            }
            match rule.effect {
                Effect::Deny => return Err(WorkloadDenial::Denied { rule: rule.location.clone() }),
                Effect::Allow => {
                    let relays_callers = rule.relays_callers;
                    allowed.get_or_insert_with(|| WorkloadPermit {
                        action,
                        rule: rule.location.clone(),
                        relays_callers,
                    });
                }
            }
        }
        allowed.ok_or_else(|| WorkloadDenial::NotAllowed { peer: question.peer.clone(), action: self.action(question) })
    }

    fn rules(&self) -> impl Iterator<Item = (&WorkloadPolicy, &WorkloadRule)> {
        self.policies.iter().flat_map(|policy| policy.rules.iter().map(|rule| (&**policy, rule)))
    }

    fn action(&self, question: &WorkloadQuestion<'_>) -> Action {
        let protocol = self.policies.first().and_then(|policy| policy.protocol);
        classify(protocol, question.method, question.path)
    }
}

impl WorkloadRule {
    fn speaks_of(&self, action: Action, question: &WorkloadQuestion<'_>) -> bool {
        let about = match (question.model, action) {
            (Some(model), _) => AboutModel::Named(model),
            // Nobody here knows which models the server has, and a list of them is not filtered here.
            (None, Action::Infer | Action::LoadModel | Action::ListModels) => AboutModel::Unknown,
            (None, _) => AboutModel::None,
        };
        self.from.iter().any(|caller| caller.matches(question.peer.as_str()))
            && (self.ports.is_empty() || self.ports.contains(&question.port))
            && (self.methods.is_empty() || self.methods.contains(question.method))
            && (self.paths.is_empty() || self.paths.iter().any(|path| path.matches(question.path)))
            && self.actions.contains(action)
            && speaks_of_model(&self.models, self.effect, action, about)
    }
}
