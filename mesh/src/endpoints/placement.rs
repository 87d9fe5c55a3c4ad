//! A placement: one exchange, or one attempt of it, at one endpoint.

use std::{cell::Cell, sync::Arc, time::Instant};

use http::StatusCode;

use super::endpoint::{EjectionRule, Endpoint};

/// Holds a place at an endpoint: counted as in flight until it is dropped, so keep it until the last byte of the answer.
#[derive(Debug)]
pub struct Placement {
    endpoint: Arc<Endpoint>,
    rule: EjectionRule,
    trial: Cell<Trial>,
    ending: Cell<Ending>,
}

/// What an attempt came to. Report each as soon as it is known; an attempt may report twice (`Answered`, and later
/// `ResetMidAnswer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The head of an answer came. 502, 503 and 504 count as failures of the endpoint; 500 and 429 only make it less
    /// attractive for a while; everything else is a success, whatever it means for the client.
    Answered(StatusCode),
    /// No connection: refused, unreachable, timed out, or its TLS handshake failed.
    ConnectFailed,
    /// The connection ended before the head of an answer. On a `reused` connection that is the ordinary end of an
    /// idle connection and never counts.
    ResetBeforeAnswer {
        /// Whether the connection had served an exchange before.
        reused: bool,
    },
    /// No head of an answer in time.
    TimedOut,
    /// The answer broke off.
    ResetMidAnswer,
    /// The client went away, or the gateway gave up for reasons that are not the endpoint's. Never counts.
    Cancelled,
}

/// Whether this attempt decides over an ejected endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    No,
    /// The only one allowed.
    Claimed,
    /// One of many, because all endpoints are used in a panic: it can restore the endpoint but not extend its ejection.
    InPanic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Unanswered,
    /// Dropping the placement now means that the answer came to its end.
    Answered,
    BrokenOff,
}

impl Placement {
    pub(super) fn new(endpoint: Arc<Endpoint>, turn: u32, rule: EjectionRule, trial: Trial) -> Self {
        endpoint.enter(turn);
        Self { endpoint, rule, trial: Cell::new(trial), ending: Cell::new(Ending::Unanswered) }
    }

    /// Where to.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Tells what the attempt came to.
    pub fn report(&self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Answered(status) => {
                self.ending.set(Ending::Answered);
                match status.as_u16() {
                    502..=504 => self.failed(now, outcome),
                    429 | 500..=599 => {
                        self.endpoint.penalize(self.endpoint.at(now));
                        self.succeeded(now);
                    }
                    _ => self.succeeded(now),
                }
            }
            Outcome::ConnectFailed | Outcome::ResetBeforeAnswer { reused: false } | Outcome::TimedOut => {
                self.failed(now, outcome);
            }
            Outcome::ResetMidAnswer => {
                self.ending.set(Ending::BrokenOff);
                self.failed(now, outcome);
            }
            Outcome::ResetBeforeAnswer { reused: true } => {}
            Outcome::Cancelled => self.ending.set(Ending::BrokenOff),
        }
    }

    fn succeeded(&self, now: Instant) {
        self.endpoint.succeeded();
        match self.trial.replace(Trial::No) {
            Trial::No => {}
            Trial::Claimed => {
                self.endpoint.restore(self.endpoint.at(now));
                self.endpoint.release_trial();
            }
            Trial::InPanic => self.endpoint.restore(self.endpoint.at(now)),
        }
    }

    fn failed(&self, now: Instant, outcome: Outcome) {
        let now_ms = self.endpoint.at(now);
        self.endpoint.penalize(now_ms);
        if self.trial.replace(Trial::No) == Trial::Claimed {
            self.endpoint.eject_again(now_ms, self.rule);
            self.endpoint.release_trial();
        } else {
            self.endpoint.failed(now_ms, outcome, self.rule);
        }
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        if self.ending.get() == Ending::Answered {
            self.endpoint.completed();
        }
        if self.trial.get() == Trial::Claimed {
            // Nothing was learnt: another exchange may try.
            self.endpoint.release_trial();
        }
        self.endpoint.leave();
    }
}
