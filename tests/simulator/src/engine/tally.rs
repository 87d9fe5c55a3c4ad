//! What an engine has done, in the terms of vLLM's metrics.

use std::{collections::BTreeMap, time::Duration};

use super::{Histogram, scheduler::FinishedReason};

/// vLLM's bounds for times until the first token, in seconds.
const FIRST_TOKEN_BOUNDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
/// vLLM's bounds for times between tokens, in seconds.
const BETWEEN_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
/// vLLM's bounds for times of whole requests, in seconds.
const REQUEST_BOUNDS: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];

/// Counters and histograms since the start.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) prompt_tokens: u64,
    pub(crate) generation_tokens: u64,
    /// Tokens of prompts that were looked for in the cache.
    pub(crate) prefix_queries: u64,
    /// Tokens of prompts that were found there.
    pub(crate) prefix_hits: u64,
    pub(crate) preemptions: u64,
    pub(crate) finished: BTreeMap<FinishedReason, u64>,
    pub(crate) time_to_first_token: Histogram,
    pub(crate) inter_token_latency: Histogram,
    pub(crate) e2e_latency: Histogram,
    pub(crate) queue_time: Histogram,
    pub(crate) prefill_time: Histogram,
    pub(crate) decode_time: Histogram,
}

/// The moments of one sequence that finished.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) queued: Duration,
    pub(super) prefilled: Duration,
    pub(super) decoded: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        let reasons = [FinishedReason::Stop, FinishedReason::Length, FinishedReason::Abort];
        Self {
            prompt_tokens: 0,
            generation_tokens: 0,
            prefix_queries: 0,
            prefix_hits: 0,
            preemptions: 0,
            finished: reasons.map(|reason| (reason, 0)).into(),
            time_to_first_token: Histogram::new(FIRST_TOKEN_BOUNDS),
            inter_token_latency: Histogram::new(BETWEEN_BOUNDS),
            e2e_latency: Histogram::new(REQUEST_BOUNDS),
            queue_time: Histogram::new(REQUEST_BOUNDS),
            prefill_time: Histogram::new(REQUEST_BOUNDS),
            decode_time: Histogram::new(REQUEST_BOUNDS),
        }
    }

    pub(super) fn finished(&mut self, reason: FinishedReason, times: Times) {
        *self.finished.entry(reason).or_default() += 1;
        let seconds = Duration::as_secs_f64;
        self.queue_time.record(seconds(&times.queued));
        self.prefill_time.record(seconds(&times.prefilled));
        self.decode_time.record(seconds(&times.decoded));
        self.e2e_latency.record(seconds(&(times.queued + times.prefilled + times.decoded)));
    }
}
