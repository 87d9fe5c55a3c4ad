//! Instances of models of tensors: so many inferences at a time, a queue before them, and Triton's counters.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// What became of the inferences of one model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ModelTally {
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) queued: Duration,
    pub(crate) computed: Duration,
}

/// The instances of all models.
#[derive(Debug)]
pub(crate) struct Instances {
    free: Semaphore,
    takes: Duration,
    pending: AtomicUsize,
    tallies: Mutex<BTreeMap<String, ModelTally>>,
}

impl Instances {
    pub(crate) fn new(instances: usize, takes: Duration) -> Self {
        Self { free: Semaphore::new(instances.max(1)), takes, pending: AtomicUsize::new(0), tallies: Mutex::default() }
    }

    /// Waits for an instance and takes the time of one inference.
    pub(crate) async fn infer(&self, model: &str) {
        let arrived = Instant::now();
        let pending = Pending::new(&self.pending);
        let permit = self.free.acquire().await;
        drop(pending);
        let begun = Instant::now();
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        drop(permit);
        self.count(model, |tally| {
            tally.successes += 1;
            tally.queued += begun - arrived;
            tally.computed += begun.elapsed();
        });
    }

    /// Counts inferences that did not come to this queue.
    pub(crate) fn count(&self, model: &str, count: impl FnOnce(&mut ModelTally)) {
        count(self.tallies().entry(model.to_owned()).or_default());
    }

    /// Inferences that wait.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    /// What every model has done.
    pub(crate) fn by_model(&self) -> BTreeMap<String, ModelTally> {
        self.tallies().clone()
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<String, ModelTally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits; no longer when dropped.
struct Pending<'c>(&'c AtomicUsize);

impl<'c> Pending<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
