//! What the guards of one exchange have found: counted as it is found, and told when the exchange ends.

use std::{cell::RefCell, fmt::Write as _, rc::Rc, sync::Arc, time::Duration};

use portcullis_policy::guard::{
    engine::Finding,
    screen::{Direction, Guardrails, Reaction, Stage},
};

use crate::{metrics::GuardedRoute, worker::Worker};

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// To a backend.
    Input,
    /// To a client.
    Output,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Input, Self::Output];

    /// Its word in documents, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// What became of a text, or of all of them: the gravest of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Judged {
    /// Nothing was found.
    #[default]
    Pass,
    /// Something was found and told.
    Flag,
    /// Something stands in the place of something else.
    Mask,
    /// It was refused, or ended.
    Block,
}

impl Judged {
    /// All, by weight.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Flag, Self::Mask, Self::Block];

    /// Its word in metrics, logs and verdicts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Flag => "flag",
            Self::Mask => "mask",
            Self::Block => "block",
        }
    }

    fn of(stage: &Stage) -> Self {
        Self::by(stage.reaction, stage.is_shadow)
    }

    /// What a stage does that reacts like this to what it finds.
    pub fn by(reaction: Reaction, is_shadow: bool) -> Self {
        match reaction {
            _ if is_shadow => Self::Pass,
            Reaction::Block => Self::Block,
            Reaction::Mask | Reaction::Tokenize | Reaction::StripTools => Self::Mask,
            Reaction::Flag => Self::Flag,
        }
    }
}

/// A rule has found something so many times.
#[derive(Debug)]
struct Found {
    way: Way,
    stage: usize,
    rule: Arc<str>,
    count: u32,
}

/// What the guards of one exchange have found. Never what was said.
pub struct Tally {
    worker: Rc<Worker>,
    guardrails: Arc<Guardrails>,
    route: Rc<GuardedRoute>,
    request_id: Box<str>,
    found: RefCell<Vec<Found>>,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("found", &self.found.borrow()).finish_non_exhaustive()
    }
}

impl Tally {
    /// Nothing has been found.
    pub fn new(worker: Rc<Worker>, guardrails: Arc<Guardrails>, route: Rc<GuardedRoute>, request_id: &str) -> Self {
        Self { worker, guardrails, route, request_id: request_id.into(), found: RefCell::default() }
    }

    /// What these guards are.
    pub fn guardrails(&self) -> &Arc<Guardrails> {
        &self.guardrails
    }

    /// Rules of the engine have found something.
    pub fn found(&self, way: Way, findings: &[Finding]) {
        for finding in findings {
            if let Some(origin) = self.direction(way).origin(finding.rule) {
                self.add(way, origin.stage, &origin.rule);
            }
        }
    }

    /// A stage has found something by a rule of its own.
    pub fn add(&self, way: Way, stage: usize, rule: &Arc<str>) {
        let Some(by) = self.direction(way).stages.get(stage) else { return };
        self.count_finding(way, by, rule);
        self.remember(way, stage, rule);
    }

    fn count_finding(&self, way: Way, by: &Stage, rule: &str) {
        let action = if by.is_shadow { "Shadow" } else { by.reaction.as_str() };
        self.worker.metrics.guardrail_finding([&self.route.label, way.as_str(), &by.name, rule, action]);
    }

    fn remember(&self, way: Way, stage: usize, rule: &Arc<str>) {
        let mut found = self.found.borrow_mut();
        match found.iter_mut().find(|one| one.way == way && one.stage == stage && one.rule == *rule) {
            Some(one) => one.count += 1,
            None => found.push(Found { way, stage, rule: rule.clone(), count: 1 }),
        }
    }

    /// A guard elsewhere has found something, by a name of its own: that is told, but is no label of a metric.
    pub fn opinion(&self, way: Way, stage: usize, rule: &Arc<str>) {
        let Some(by) = self.direction(way).stages.get(stage) else { return };
        self.count_finding(way, by, "service");
        self.remember(way, stage, rule);
    }

    /// A stage could not answer.
    pub fn failed(&self, way: Way, stage: &str, reason: &'static str) {
        self.worker.metrics.guardrail_failed([&self.route.label, way.as_str(), stage, reason]);
        tracing::warn!(route = &*self.route.label, way = way.as_str(), stage, reason, "a guard could not answer");
    }

    /// What is to be said of all that went this way.
    pub fn judged(&self, way: Way) -> Judged {
        let direction = self.direction(way);
        let found = self.found.borrow();
        let stages = found.iter().filter(|one| one.way == way).filter_map(|one| direction.stages.get(one.stage));
        stages.map(Judged::of).max().unwrap_or_default()
    }

    /// Counts what became of all that went this way, and tells by which rules if there were any; never what was said.
    pub fn close(&self, way: Way, judged: Judged) {
        self.worker.metrics.guardrail_verdict(&self.route, way, judged);
        if judged == Judged::Block || self.found.borrow().iter().any(|one| one.way == way) {
            let (id, way, verdict) = (&*self.request_id, way.as_str(), judged.as_str());
            tracing::info!(request_id = id, way, verdict, rules = %self.rules(), "guardrails found something");
        }
    }

    /// Patterns have taken so long.
    pub fn took(&self, way: Way, time: Duration) {
        self.worker.metrics.patterns_took(&self.route, way, time);
    }

    /// The worker that all of this happens on.
    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// What was found, by name and number: `input/personal/email=2`, with commas between.
    pub fn rules(&self) -> String {
        let mut rules = String::new();
        for one in self.found.borrow().iter() {
            let Some(stage) = self.direction(one.way).stages.get(one.stage) else { continue };
            let comma = if rules.is_empty() { "" } else { "," };
            let _ = write!(rules, "{comma}{}/{}/{}={}", one.way.as_str(), stage.name, one.rule, one.count);
        }
        // Names are what documents make them; here they stand in a header and in a comment.
        rules.replace(|letter: char| !matches!(letter, ' '..='~') || letter == '"', "_")
    }

    /// One direction of the guards.
    pub fn direction(&self, way: Way) -> &Arc<Direction> {
        match way {
            Way::Input => &self.guardrails.input,
            Way::Output => &self.guardrails.output,
        }
    }
}
