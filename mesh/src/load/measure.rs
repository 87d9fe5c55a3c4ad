//! Our own clocks: what becomes of each exchange with the server beside us, counted where it happens.
//!
//! An exchange is a [`Flight`], from its arrival to the last byte of its answer, however long that takes: a server that
//! streams a hundred answers is not idle. It is held until it is sent on, then without a token until the first one comes,
//! then it decodes. Each worker counts in cells of its own, without a lock or a locked instruction ([`cells`]); whoever wants
//! to know adds the workers up ([`Measure::totals`]). A label is whatever the product tells things apart by; of labels and
//! priorities there is a bounded number.

mod ages;
mod cells;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub use self::cells::Totals;
use self::{
    ages::Ages,
    cells::{Count, Shard},
};
use crate::telemetry::{LABEL_VALUE_BYTES_MAX, OTHER};

/// Labels that are told apart; further ones are counted together as `other`.
pub const MEASURED_LABELS_MAX: usize = 64;
/// Priorities that are told apart; greater ones are counted with the last.
pub const PRIORITIES: usize = 4;

/// What all workers measure.
pub struct Measure {
    /// When it began: cells hold time since then.
    epoch: Instant,
    labels: Mutex<Vec<Arc<str>>>,
    workers: Vec<(Arc<Shard>, AtomicBool)>,
}

/// What exchanges are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// How urgent an exchange is: 0 is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Priority(pub u8);

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With the last byte of an answer.
    Completed,
    /// Without one, or with an error of the server.
    Failed,
    /// The client went away.
    Cancelled,
}

impl Measure {
    /// For so many workers.
    pub fn new(workers: usize, now: Instant) -> Self {
        let worker = || (Arc::new(Shard::new((MEASURED_LABELS_MAX + 1) * PRIORITIES)), AtomicBool::new(false));
        Self { epoch: now, labels: Mutex::new(Vec::new()), workers: (0..workers).map(|_| worker()).collect() }
    }

    /// Who measures for one worker, counted from 0; `None` if that was asked before, or there is no such worker.
    pub fn worker(&self, index: usize) -> Option<Measuring> {
        let (shard, taken) = self.workers.get(index)?;
        let first = !taken.swap(true, Relaxed);
        let inner = Inner { shard: Arc::clone(shard), epoch: self.epoch, ages: RefCell::new(Ages::default()) };
        first.then(|| Measuring(Rc::new(inner)))
    }

    /// The label of this name; of names that are too long or too many, the one of all others. Takes a lock: ask for it once,
    /// not for each exchange.
    pub fn label(&self, name: &str) -> Label {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = labels.iter().position(|label| **label == *name) {
            return Label(known);
        }
        if labels.len() >= MEASURED_LABELS_MAX || name.len() > LABEL_VALUE_BYTES_MAX || name == OTHER {
            return Label(MEASURED_LABELS_MAX);
        }
        labels.push(name.into());
        Label(labels.len() - 1)
    }

    /// Every label that was asked for, with its name.
    pub fn labels(&self) -> Vec<(Label, Arc<str>)> {
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let named = labels.iter().enumerate().map(|(index, name)| (Label(index), Arc::clone(name)));
        named.chain([(Label(MEASURED_LABELS_MAX), Arc::from(OTHER))]).collect()
    }

    /// All workers together, of one label and priority.
    pub fn totals_of(&self, label: Label, priority: Priority) -> Totals {
        let series = series(label, priority);
        let mut totals = Totals::default();
        for (shard, _) in &self.workers {
            shard.add_to(series, &mut totals);
        }
        totals
    }

    /// All workers together, of one label.
    pub fn totals(&self, label: Label) -> Totals {
        let mut totals = Totals::default();
        for priority in 0..PRIORITIES as u8 {
            totals.add(&self.totals_of(label, Priority(priority)));
        }
        totals
    }

    /// All workers together, of everything.
    pub fn totals_of_all(&self) -> Totals {
        let mut totals = Totals::default();
        for label in 0..=MEASURED_LABELS_MAX {
            totals.add(&self.totals(Label(label)));
        }
        totals
    }

    /// How long the oldest of these exchanges has been in flight.
    pub fn oldest_age(&self, totals: &Totals, now: Instant) -> Option<Duration> {
        totals.oldest().map(|at| self.age(at, now))
    }

    /// How long the oldest has waited for its first token.
    pub fn oldest_waiting_age(&self, totals: &Totals, now: Instant) -> Option<Duration> {
        totals.oldest_waiting().map(|at| self.age(at, now))
    }

    fn age(&self, at: Duration, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch).saturating_sub(at)
    }
}

fn series(Label(label): Label, Priority(priority): Priority) -> usize {
    label * PRIORITIES + usize::from(priority).min(PRIORITIES - 1)
}

/// Measures for one worker. It cannot leave its thread, so that it is the only one that writes its cells.
#[derive(Clone)]
pub struct Measuring(Rc<Inner>);

struct Inner {
    shard: Arc<Shard>,
    epoch: Instant,
    ages: RefCell<Ages>,
}

impl Inner {
    fn since_epoch(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.epoch)
    }
}

impl Measuring {
    /// An exchange has arrived.
    pub fn arrived(&self, label: Label, priority: Priority, now: Instant) -> Flight {
        let series = series(label, priority);
        let inner = &self.0;
        inner.shard.add(series, Count::Arrived, 1);
        inner.shard.add(series, Count::Held, 1);
        let place = inner.ages.borrow_mut().arrived(series, inner.since_epoch(now));
        inner.publish(series);
        Flight { inner: Rc::clone(inner), series, place, arrived: now, since: now, stage: Stage::Held }
    }
}

/// Where an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// With us.
    Held,
    /// With the server, which has said nothing yet.
    Prefill,
    /// The server is answering.
    Decode,
    /// It has ended.
    Ended,
}

/// One exchange that is measured. Dropping it says that the client went away.
pub struct Flight {
    inner: Rc<Inner>,
    series: usize,
    place: ages::Place,
    arrived: Instant,
    /// When its stage began; while it decodes, when the last token came.
    since: Instant,
    stage: Stage,
}

impl Flight {
    /// It is sent on to the server.
    pub fn sent(&mut self, now: Instant) {
        if self.stage == Stage::Held {
            self.count(Count::QueueNanos, now.saturating_duration_since(self.since));
            self.enter(Stage::Prefill, now);
        }
    }

    /// A token has come, or as much of an answer as comes at one time.
    pub fn token(&mut self, now: Instant) {
        match self.stage {
            Stage::Held | Stage::Prefill => {
                self.sent(now);
                self.count(Count::PrefillNanos, now.saturating_duration_since(self.since));
                self.count(Count::FirstTokenNanos, now.saturating_duration_since(self.arrived));
                self.inner.shard.add(self.series, Count::Answered, 1);
                self.enter(Stage::Decode, now);
                self.inner.ages.borrow_mut().answered(self.series, self.place);
                self.inner.publish(self.series);
            }
            Stage::Decode => {
                let gap = now.saturating_duration_since(self.since);
                self.count(Count::DecodeNanos, gap);
                self.count(Count::GapNanos, gap);
                self.inner.shard.add(self.series, Count::Gaps, 1);
                self.since = now;
            }
            Stage::Ended => {}
        }
    }

    /// What the server says that it read, how much of that it had in its cache, and what it wrote; in tokens.
    pub fn used(&mut self, input: u64, cached: u64, output: u64) {
        for (count, tokens) in
            [(Count::InputTokens, input), (Count::CachedTokens, cached), (Count::OutputTokens, output)]
        {
            self.inner.shard.add(self.series, count, tokens);
        }
    }

    /// It has ended.
    pub fn ended(mut self, outcome: Outcome, now: Instant) {
        self.end(outcome, now);
    }

    fn end(&mut self, outcome: Outcome, now: Instant) {
        let spent = now.saturating_duration_since(self.since);
        match self.stage {
            Stage::Held => self.count(Count::QueueNanos, spent),
            Stage::Prefill => self.count(Count::PrefillNanos, spent),
            Stage::Decode => self.count(Count::DecodeNanos, spent),
            Stage::Ended => return,
        }
        self.enter(Stage::Ended, now);
        self.inner.shard.add(self.series, Count::Ended, 1);
        match outcome {
            Outcome::Completed => {}
            Outcome::Failed => self.inner.shard.add(self.series, Count::Failed, 1),
            Outcome::Cancelled => self.inner.shard.add(self.series, Count::Cancelled, 1),
        }
        self.inner.ages.borrow_mut().ended(self.series, self.place);
        self.inner.publish(self.series);
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        let gauge = |stage| match stage {
            Stage::Held => Some(Count::Held),
            Stage::Prefill => Some(Count::Prefill),
            Stage::Decode => Some(Count::Decode),
            Stage::Ended => None,
        };
        if let Some(left) = gauge(self.stage) {
            self.inner.shard.take(self.series, left);
        }
        if let Some(entered) = gauge(stage) {
            self.inner.shard.add(self.series, entered, 1);
        }
        (self.stage, self.since) = (stage, now);
    }

    fn count(&self, count: Count, time: Duration) {
        self.inner.shard.add(self.series, count, nanoseconds(time));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.stage != Stage::Ended {
            // Nobody is there to say when. A stage that has lasted for minutes must not count for nothing.
            self.end(Outcome::Cancelled, Instant::now().max(self.since));
        }
    }
}

impl Inner {
    /// Shows others how old the oldest exchanges are.
    fn publish(&self, series: usize) {
        let (oldest, waiting) = self.ages.borrow().oldest(series);
        self.shard.set_oldest(series, oldest, waiting);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
