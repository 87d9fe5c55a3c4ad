//! The cells of one worker, and what they come to.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::nanoseconds;

/// What is counted of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Arrived,
    Answered,
    Ended,
    Failed,
    Cancelled,
    QueueNanos,
    PrefillNanos,
    DecodeNanos,
    FirstTokenNanos,
    GapNanos,
    Gaps,
    InputTokens,
    CachedTokens,
    OutputTokens,
    /// From here on: how many there are now.
    Held,
    Prefill,
    Decode,
}

const COUNTS: usize = Count::Decode as usize + 1;

/// A series' cells: what is counted, and when the oldest exchange arrived and the oldest that waits (a nanosecond more than
/// the time since the epoch; 0 where there is none).
struct Series {
    counts: [AtomicU64; COUNTS],
    oldest: AtomicU64,
    oldest_waiting: AtomicU64,
}

/// Written by one worker, read by anybody.
pub(super) struct Shard {
    series: Box<[OnceLock<Box<Series>>]>,
}

impl Shard {
    pub(super) fn new(series: usize) -> Self {
        Self { series: (0..series).map(|_| OnceLock::new()).collect() }
    }

    // INVARIANT: only one thread writes these cells, so that a load and a store lose nothing.
    pub(super) fn add(&self, series: usize, count: Count, n: u64) {
        if let Some(cell) = self.written(series).and_then(|series| series.counts.get(count as usize)) {
            cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    pub(super) fn take(&self, series: usize, count: Count) {
        self.add(series, count, u64::MAX);
    }

    pub(super) fn set_oldest(&self, series: usize, oldest: Option<Duration>, waiting: Option<Duration>) {
        if let Some(series) = self.written(series) {
            let raw = |at: Option<Duration>| at.map_or(0, |at| nanoseconds(at).saturating_add(1));
            series.oldest.store(raw(oldest), Relaxed);
            series.oldest_waiting.store(raw(waiting), Relaxed);
        }
    }

    fn written(&self, series: usize) -> Option<&Series> {
        let empty = || {
            Box::new(Series {
                counts: [const { AtomicU64::new(0) }; COUNTS],
                oldest: AtomicU64::new(0),
                oldest_waiting: AtomicU64::new(0),
            })
        };
        Some(self.series.get(series)?.get_or_init(empty))
    }

    pub(super) fn add_to(&self, series: usize, totals: &mut Totals) {
        let Some(series) = self.series.get(series).and_then(OnceLock::get) else { return };
        let mut own = Totals::default();
        for (total, cell) in own.counts.iter_mut().zip(&series.counts) {
            *total = cell.load(Relaxed);
        }
        own.oldest = series.oldest.load(Relaxed);
        own.oldest_waiting = series.oldest_waiting.load(Relaxed);
        totals.add(&own);
    }
}

/// What has been counted so far. Times only grow by what has passed: an exchange's stage counts when it ends, tokens as they
/// come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    counts: [u64; COUNTS],
    oldest: u64,
    oldest_waiting: u64,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        for (total, more) in self.counts.iter_mut().zip(other.counts) {
            *total = total.wrapping_add(more);
        }
        let older = |one: u64, other: u64| if one == 0 || (other != 0 && other < one) { other } else { one };
        self.oldest = older(self.oldest, other.oldest);
        self.oldest_waiting = older(self.oldest_waiting, other.oldest_waiting);
    }

    fn count(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    fn time(&self, count: Count) -> Duration {
        Duration::from_nanos(self.count(count))
    }

    /// Exchanges that arrived.
    pub fn arrived(&self) -> u64 {
        self.count(Count::Arrived)
    }

    /// Exchanges whose first token came.
    pub fn answered(&self) -> u64 {
        self.count(Count::Answered)
    }

    /// Exchanges that ended in whatever way,
    pub fn ended(&self) -> u64 {
        self.count(Count::Ended)
    }

    /// of them, those that failed,
    pub fn failed(&self) -> u64 {
        self.count(Count::Failed)
    }

    /// and those whose client went away.
    pub fn cancelled(&self) -> u64 {
        self.count(Count::Cancelled)
    }

    /// Exchanges that are held, now.
    pub fn held(&self) -> u64 {
        self.count(Count::Held)
    }

    /// Exchanges that are with the server and wait for their first token, now.
    pub fn prefill(&self) -> u64 {
        self.count(Count::Prefill)
    }

    /// Exchanges that are being answered, now.
    pub fn decode(&self) -> u64 {
        self.count(Count::Decode)
    }

    /// All of them, now.
    pub fn in_flight(&self) -> u64 {
        self.held().wrapping_add(self.prefill()).wrapping_add(self.decode())
    }

    /// Time that exchanges were held.
    pub fn queue_time(&self) -> Duration {
        self.time(Count::QueueNanos)
    }

    /// Time between being sent on and the first token; the server's own queue is part of it.
    pub fn prefill_time(&self) -> Duration {
        self.time(Count::PrefillNanos)
    }

    /// Time between the first token and the end.
    pub fn decode_time(&self) -> Duration {
        self.time(Count::DecodeNanos)
    }

    /// Time between arrival and first token, of those that were answered.
    pub fn first_token_time(&self) -> Duration {
        self.time(Count::FirstTokenNanos)
    }

    /// Time between tokens,
    pub fn gap_time(&self) -> Duration {
        self.time(Count::GapNanos)
    }

    /// and between how many.
    pub fn gaps(&self) -> u64 {
        self.count(Count::Gaps)
    }

    /// Tokens that came in, as the server says.
    pub fn input_tokens(&self) -> u64 {
        self.count(Count::InputTokens)
    }

    /// Of them, those that the server had in its cache.
    pub fn cached_tokens(&self) -> u64 {
        self.count(Count::CachedTokens)
    }

    /// Tokens that went out, as the server says.
    pub fn output_tokens(&self) -> u64 {
        self.count(Count::OutputTokens)
    }

    pub(super) fn oldest(&self) -> Option<Duration> {
        self.oldest.checked_sub(1).map(Duration::from_nanos)
    }

    pub(super) fn oldest_waiting(&self) -> Option<Duration> {
        self.oldest_waiting.checked_sub(1).map(Duration::from_nanos)
    }
}
