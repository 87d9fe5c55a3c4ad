//! The engine: continuous batching, as vLLM does it, with a clock instead of a GPU.
//!
//! [`Engine`] runs steps on the runtime's clock. What a step does is decided by the [`scheduler`], which knows no clock
//! and no task, so that the same seed and the same orders give the same steps.

mod cache;
mod histogram;
pub(crate) mod profile;
mod scheduler;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

pub(crate) use self::{
    histogram::Histogram,
    scheduler::{FinishedReason, Load, Order},
    tally::Tally,
};
use self::{profile::Profile, scheduler::Scheduler};

/// What becomes of an order, as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The prompt's first tokens were found in the cache; said once, before anything else.
    Cached(usize),
    /// One more token of this choice is out.
    Token(usize),
    /// This choice has all its tokens.
    Finished(usize),
}

/// A running engine. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    scheduler: Mutex<Scheduler>,
    work: Notify,
    cancelled: AtomicU64,
}

impl Engine {
    /// Starts an engine; it stops when the task is aborted.
    pub(crate) fn start(profile: Profile, seed: u64) -> (Self, JoinHandle<()>) {
        let engine = Self {
            shared: Arc::new(Shared {
                scheduler: Mutex::new(Scheduler::new(profile, seed)),
                work: Notify::new(),
                cancelled: AtomicU64::new(0),
            }),
        };
        let stepping = tokio::spawn(engine.clone().steps());
        (engine, stepping)
    }

    /// Puts an order into the waiting queue.
    pub(crate) fn submit(&self, order: Order) -> Run {
        let (sender, progress) = mpsc::unbounded_channel();
        let open = order.outputs.len();
        self.scheduler().submit(order, &sender, Instant::now());
        self.shared.work.notify_one();
        Run { engine: self.clone(), progress, open }
    }

    /// How busy it is now.
    pub(crate) fn load(&self) -> Load {
        self.scheduler().load()
    }

    /// What it has done so far.
    pub(crate) fn tally(&self) -> Tally {
        self.scheduler().tally().clone()
    }

    /// Runs whose client went away before their end.
    pub(crate) fn cancelled(&self) -> u64 {
        self.shared.cancelled.load(Relaxed)
    }

    fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.shared.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn steps(self) {
        // Steps are shorter than the timer's millisecond, so their ends are reckoned from each other and not from when
        // the timer woke: the rate is right even where a single moment is not.
        let mut clock = Instant::now();
        loop {
            let plan = self.scheduler().plan(Instant::now());
            let Some(plan) = plan else {
                self.shared.work.notified().await;
                clock = Instant::now();
                continue;
            };
            clock = (clock + plan.duration).max(Instant::now().checked_sub(LAG_MAX).unwrap_or(clock));
            match clock.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => tokio::time::sleep(rest).await,
                _ => tokio::task::yield_now().await,
            }
            self.scheduler().finish(plan, Instant::now());
        }
    }
}

/// How far the engine may be behind its clock and still catch up.
const LAG_MAX: Duration = Duration::from_millis(5);

/// One order under way. Dropping it before its end cancels it.
#[derive(Debug)]
pub(crate) struct Run {
    engine: Engine,
    progress: mpsc::UnboundedReceiver<Progress>,
    open: usize,
}

impl Run {
    /// What happens next; nothing after the end.
    pub(crate) async fn next(&mut self) -> Option<Progress> {
        if self.open == 0 {
            return None;
        }
        let progress = self.progress.recv().await;
        match progress {
            Some(Progress::Finished(_)) => self.open -= 1,
            Some(_) => {}
            None => self.open = 0,
        }
        progress
    }

    /// Stops it without calling that the client's doing.
    pub(crate) fn give_up(&mut self) {
        self.open = 0;
        self.progress.close();
        self.engine.scheduler().forget_cancelled();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.open > 0 {
            self.progress.close();
            self.engine.shared.cancelled.fetch_add(1, Relaxed);
            self.engine.scheduler().forget_cancelled();
        }
    }
}
