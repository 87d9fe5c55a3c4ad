//! A second set of documents beside the first (`--shadow`): asked what it would have decided, and never heeded.
//!
//! Whoever plans a change of policy lets it watch before it counts. Each decision about a request is made by the first set;
//! then the second is asked about the same caller, action and model at the rule of the same name, and where it would have
//! decided otherwise, that is counted and logged. It opens no socket, asks no provider and holds nothing up: callers are
//! those whom the first set's providers know. [`follow`] reads it, and reads it again when its files change.

pub mod follow;

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use portcullis_policy::{
    Snapshot,
    action::Action,
    authorize::{Denial, Permit},
    snapshot::{ListenerId, Rule},
};

use crate::{
    authenticate::Authenticated,
    explain::decide::deciding_words,
    permission::{NoPassage, Seen},
    record::Record,
    route::action_of,
    same_rule::RulesByName,
};

/// Differences that a worker logs in a second. All are counted; so are those that are not logged.
pub const SHADOW_LOGS_PER_SECOND_MAX: u32 = 10;

/// The second set, compiled.
#[derive(Debug)]
pub struct Shadow {
    /// What it means.
    pub snapshot: Snapshot,
    rules: RulesByName,
}

impl Shadow {
    /// Of documents without mistakes.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { rules: RulesByName::new(&snapshot), snapshot }
    }

    fn judge(&self, decided: &Decided<'_>) -> Judged<'_> {
        let live = decided.rule;
        let Some(rule) = self.rules.find(decided.listener, &live.route, live.name.as_deref(), live.index) else {
            return Judged { outcome: Outcome::NoRule, rule: None, action: decided.action, by: By::Nothing };
        };
        // What its own backends speak says what a request does.
        let action = action_of(&self.snapshot, rule, decided.method, decided.path);
        let standing = decided.authenticated.standing_under(&self.snapshot.roles);
        let caller = decided.authenticated.caller();
        let judged = decided.seen.judge(&self.snapshot, rule, caller, standing.as_deref(), action);
        let outcome = Outcome::of(judged.as_ref());
        let by = match judged {
            Ok(permit) => By::Permit(permit),
            Err(no) => By::NoPassage(no),
        };
        Judged { outcome, rule: Some(rule), action, by }
    }
}

/// What a decision came to, in the words of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The caller may.
    Allow,
    /// The caller may not, or would have to be known.
    Deny,
    /// No backend of the rule serves the model.
    NotServed,
    /// The second set has no such rule.
    NoRule,
}

impl Outcome {
    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NotServed => "not-served",
            Self::NoRule => "no-rule",
        }
    }

    fn of(judged: Result<&Permit<'_>, &NoPassage>) -> Self {
        match judged {
            Ok(_) => Self::Allow,
            Err(NoPassage::Denied(_)) => Self::Deny,
            Err(NoPassage::NotServed) => Self::NotServed,
        }
    }
}

/// A decision of the first set.
#[derive(Debug)]
pub struct Decided<'r> {
    /// Where the request came in.
    pub listener: &'r ListenerId,
    /// The rule that it met.
    pub rule: &'r Rule,
    /// Who asks.
    pub authenticated: &'r Authenticated,
    /// The method.
    pub method: &'r Method,
    /// The canonical path.
    pub path: &'r str,
    /// What policy looks at.
    pub seen: Seen<'r>,
    /// What the request does.
    pub action: Action,
    /// What was decided.
    pub judged: Result<&'r Permit<'r>, &'r NoPassage>,
}

/// What the second set would have decided.
struct Judged<'s> {
    outcome: Outcome,
    rule: Option<&'s Rule>,
    action: Action,
    by: By<'s>,
}

/// What decided: put into words for those that are logged, and for no others.
enum By<'s> {
    Permit(Permit<'s>),
    NoPassage(NoPassage),
    Nothing,
}

impl Judged<'_> {
    fn words(&self) -> String {
        let Some(rule) = self.rule else { return "no such rule at this listener".to_owned() };
        match &self.by {
            By::Permit(permit) => words(rule, Ok(permit)),
            By::NoPassage(no) => words(rule, Err(no)),
            By::Nothing => String::new(),
        }
    }
}

/// The line of the document that decided.
fn words(rule: &Rule, judged: Result<&Permit<'_>, &NoPassage>) -> String {
    let (policy, at) = (rule.access.policy(), rule.access.location());
    match judged {
        Ok(permit) => permit.decided_by().map_or_else(|| format!("{policy} ({at})"), |by| deciding_words(&by)),
        Err(NoPassage::Denied(Denial::Denied(by))) => deciding_words(by),
        Err(NoPassage::Denied(denial)) => format!("{denial}, says {policy} ({at})"),
        Err(NoPassage::NotServed) => format!("no backend of {} ({}) serves the model", rule.route, rule.location),
    }
}

/// The second set on one worker.
#[derive(Debug, Default)]
pub struct Beside {
    set: RefCell<Option<Arc<Shadow>>>,
    logged: Cell<Option<Logged>>,
}

/// What was logged in the second that began then.
#[derive(Debug, Clone, Copy)]
struct Logged {
    since: Instant,
    lines: u32,
}

impl Beside {
    /// From now on this one is asked.
    pub fn replace(&self, shadow: Arc<Shadow>) {
        *self.set.borrow_mut() = Some(shadow);
    }

    /// Asks the second set, if there is one, about a decision of the first, and tells where they differ.
    pub fn compare(&self, decided: &Decided<'_>, record: &Record) {
        let set = self.set.borrow();
        let Some(shadow) = &*set else { return };
        let live = Outcome::of(decided.judged);
        let judged = shadow.judge(decided);
        let metrics = &record.worker.metrics;
        metrics.shadow_decision(decided.rule, live, judged.outcome);
        if live == judged.outcome {
            return;
        }
        if self.may_log(record.started) {
            log(decided, live, &judged, record);
        } else {
            metrics.shadow_unlogged();
        }
    }

    fn may_log(&self, now: Instant) -> bool {
        let this_second = |logged: &Logged| now.saturating_duration_since(logged.since) < Duration::from_secs(1);
        let logged = self.logged.get().filter(this_second).unwrap_or(Logged { since: now, lines: 0 });
        self.logged.set(Some(Logged { lines: logged.lines.saturating_add(1), ..logged }));
        logged.lines < SHADOW_LOGS_PER_SECOND_MAX
    }
}

fn log(decided: &Decided<'_>, live: Outcome, judged: &Judged<'_>, record: &Record) {
    let rule = decided.rule;
    let principal = decided.authenticated.caller().principal();
    let named = rule.name.as_deref().map_or_else(|| format!("rule {}", rule.index), |name| format!("rule `{name}`"));
    tracing::warn!(
        request_id = record.id.as_str(),
        route = %rule.route,
        rule = named,
        provider = principal.map(|principal| tracing::field::display(&principal.provider)),
        caller = principal.map(|principal| &*principal.name),
        action = decided.action.as_str(),
        // Where the second set's backends speak otherwise.
        shadow_action = (judged.action != decided.action).then(|| judged.action.as_str()),
        model = decided.seen.model,
        live = live.as_str(),
        live_by = words(rule, decided.judged),
        shadow = judged.outcome.as_str(),
        shadow_by = judged.words(),
        "shadow differs"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second_and_as_many_in_the_next() {
        let beside = Beside::default();
        let start = Instant::now();
        let logged = |at: Duration| (0..2 * SHADOW_LOGS_PER_SECOND_MAX).filter(|_| beside.may_log(start + at)).count();
        let max = SHADOW_LOGS_PER_SECOND_MAX as usize;
        assert_eq!(logged(Duration::ZERO), max);
        assert_eq!(logged(Duration::from_millis(999)), 0);
        assert_eq!(logged(Duration::from_secs(1)), max);
    }
}
