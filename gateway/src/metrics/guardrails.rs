//! What guardrails count: findings by rule, verdicts, failures, and the time they add.

use std::{rc::Rc, sync::Arc, time::Duration};

use portcullis_mesh::telemetry::{Counter, CounterFamily, Described, Histogram, HistogramFamily, Registry};
use portcullis_policy::snapshot::Rule;

use super::Metrics;
use crate::screening::{Judged, Way};

/// Rules, stages and routes with a series of their own; further ones are counted as `other`.
const FINDINGS_MAX: usize = 8000;
/// Routes and verdicts with a series of their own; further ones are counted as `other`.
const VERDICTS_MAX: usize = 4000;
/// Stages and reasons with a series of their own; further ones are counted as `other`.
const FAILURES_MAX: usize = 1000;
/// Stages with a series of their own; further ones are counted as `other`.
const DURATIONS_MAX: usize = 200;

/// The stages of a direction that share its engine, in the label of durations.
const PATTERNS: &str = "patterns";

/// From a microsecond, which patterns take, to seconds, which guards elsewhere may.
const DURATION_BOUNDS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// The families of guardrails.
#[derive(Clone)]
pub(super) struct Families {
    findings: CounterFamily<5>,
    verdicts: CounterFamily<3>,
    failures: CounterFamily<4>,
    duration: HistogramFamily<2>,
}

impl Families {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            findings: registry.counter(
                Described::count(
                    "portcullis_guardrail_findings",
                    "What guardrails found, by rule and by what was done about it.",
                ),
                ["route", "direction", "stage", "rule", "action"],
                FINDINGS_MAX,
            ),
            verdicts: registry.counter(
                Described::count(
                    "portcullis_guardrail_verdicts",
                    "Requests and answers that guardrails have judged, by the gravest thing that was done.",
                ),
                ["route", "direction", "verdict"],
                VERDICTS_MAX,
            ),
            failures: registry.counter(
                Described::count(
                    "portcullis_guardrail_failures",
                    "Guards that could not answer, and what could not be screened, by the reason.",
                ),
                ["route", "direction", "stage", "reason"],
                FAILURES_MAX,
            ),
            duration: registry.histogram(
                Described::duration(
                    "portcullis_guardrail_duration_seconds",
                    "Time that guardrails added to a request, an answer or one event of a stream.",
                ),
                ["direction", "stage"],
                DURATION_BOUNDS,
                DURATIONS_MAX,
            ),
        }
    }
}

/// The series of one guarded rule's route that every exchange needs.
pub struct GuardedRoute {
    /// The route's label.
    pub label: Box<str>,
    verdicts: [[Counter; Judged::ALL.len()]; Way::ALL.len()],
    patterns: [Histogram; Way::ALL.len()],
}

impl Metrics {
    /// The series of a guarded rule's route.
    pub fn guarded(&self, rule: &Arc<Rule>) -> Rc<GuardedRoute> {
        let key = Arc::as_ptr(rule) as usize;
        let make = || {
            let label = format!("{}/{}", rule.route.namespace, rule.route.name).into_boxed_str();
            let families = &self.source.guardrails;
            Rc::new(GuardedRoute {
                verdicts: Way::ALL.map(|way| {
                    Judged::ALL.map(|judged| families.verdicts.with([&label, way.as_str(), judged.as_str()]))
                }),
                patterns: Way::ALL.map(|way| families.duration.with([way.as_str(), PATTERNS])),
                label,
            })
        };
        self.resolved.borrow_mut().guarded.entry(key).or_insert_with(make).clone()
    }

    /// A rule has found something: route, direction, stage, rule, and what is done about it.
    pub fn guardrail_finding(&self, labels: [&str; 5]) {
        self.shard.inc(self.source.guardrails.findings.with(labels));
    }

    /// A request or an answer has been judged.
    pub fn guardrail_verdict(&self, route: &GuardedRoute, way: Way, judged: Judged) {
        if let Some(counter) = route.verdicts.get(way as usize).and_then(|of_way| of_way.get(judged as usize)) {
            self.shard.inc(*counter);
        }
    }

    /// A guard could not answer: route, direction, stage, reason.
    pub fn guardrail_failed(&self, labels: [&str; 4]) {
        self.shard.inc(self.source.guardrails.failures.with(labels));
    }

    /// Patterns have taken so long over a request, an answer or a piece of one.
    pub fn patterns_took(&self, route: &GuardedRoute, way: Way, time: Duration) {
        if let Some(histogram) = route.patterns.get(way as usize) {
            self.shard.observe_duration(*histogram, time);
        }
    }

    /// Another stage has: direction, stage.
    pub fn guardrail_took(&self, labels: [&str; 2], time: Duration) {
        self.shard.observe_duration(self.source.guardrails.duration.with(labels), time);
    }
}
