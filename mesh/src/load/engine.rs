//! What an inference engine says of itself on its metric page, by one set of quantities for all engines.
//!
//! [`names`] has the tables: which name of which engine means which quantity. Reading is the same for all, so that nobody has
//! to say which engine stands behind, and an engine that others wrap (Triton around TensorRT-LLM, NIM around vLLM) is read
//! as both. Values that nothing can have (NaN, infinite, negative, a share above 1) are dropped; what is not on the page
//! is not known, which is not 0.

mod names;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub use super::page::PageFault;
use super::page::{Labels, lines};
use crate::telemetry::{LABEL_VALUE_BYTES_MAX, OTHER};

/// Labels of a page that have a sample of their own; what is said of further ones is added up under [`OTHER`].
pub const ENGINE_LABELS_MAX: usize = 64;

/// Something that engines say about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Requests that wait, now.
    Waiting,
    /// Requests that are worked on, now.
    Running,
    /// How many can be worked on at one time.
    RunningMax,
    /// How much of the cache of keys and values is in use, from 0 to 1; of several ranks the fullest.
    KvUsage,
    /// Blocks of that cache,
    KvBlocks,
    /// of them, in use,
    KvBlocksUsed,
    /// and free.
    KvBlocksFree,
    /// Tokens that a block holds.
    KvBlockTokens,
    /// Tokens that the cache holds.
    KvTokens,
    /// Tokens for which the cache has room now.
    KvTokensFree,
    /// Time that requests waited; from here on, everything is counted since the engine began.
    QueueSeconds,
    /// Requests of which that time is told.
    Queued,
    /// Time that requests were worked on,
    ComputeSeconds,
    /// of it, before their first token,
    PrefillSeconds,
    /// and after it.
    DecodeSeconds,
    /// Time from a request's arrival to its end.
    TotalSeconds,
    /// Requests that ended well.
    Finished,
    /// Requests that failed.
    Failed,
    /// Time from arrival to first token,
    FirstTokenSeconds,
    /// and of how many requests.
    FirstTokens,
    /// Time between tokens,
    GapSeconds,
    /// and of how many.
    Gaps,
    /// Tokens that came in,
    InputTokens,
    /// of them, found in the cache.
    CachedTokens,
    /// Tokens that were looked up in the cache.
    LookedUpTokens,
    /// Tokens that went out.
    OutputTokens,
    /// Requests that had to give way and begin again.
    Preempted,
}

impl Quantity {
    const COUNT: usize = Self::Preempted as usize + 1;

    /// Whether it is a share, which cannot be more than 1.
    const fn is_share(self) -> bool {
        matches!(self, Self::KvUsage)
    }
}

/// What an engine says about one label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineSample([Option<f64>; Quantity::COUNT]);

impl Default for EngineSample {
    fn default() -> Self {
        Self([None; Quantity::COUNT])
    }
}

impl EngineSample {
    /// What it says of this.
    pub fn value(&self, quantity: Quantity) -> Option<f64> {
        self.0.get(quantity as usize).copied().flatten()
    }

    /// The same sample, saying this.
    #[must_use]
    pub fn with(mut self, quantity: Quantity, value: f64) -> Self {
        if let Some(held) = self.0.get_mut(quantity as usize) {
            *held = Some(value);
        }
        self
    }

    /// How much of the cache is in use.
    pub fn kv_usage(&self) -> Option<f64> {
        let of_blocks = || {
            let (used, all) = (self.value(Quantity::KvBlocksUsed)?, self.value(Quantity::KvBlocks)?);
            (all > 0.0).then(|| (used / all).min(1.0))
        };
        self.value(Quantity::KvUsage).or_else(of_blocks)
    }

    /// How many tokens the cache holds.
    pub fn kv_tokens(&self) -> Option<f64> {
        let of_blocks = || Some(self.value(Quantity::KvBlocks)? * self.value(Quantity::KvBlockTokens)?);
        self.value(Quantity::KvTokens).or_else(of_blocks)
    }

    /// For how many tokens it has room.
    pub fn kv_tokens_free(&self) -> Option<f64> {
        let of_blocks = || Some(self.value(Quantity::KvBlocksFree)? * self.value(Quantity::KvBlockTokens)?);
        let of_share = || Some(self.kv_tokens()? * (1.0 - self.kv_usage()?));
        self.value(Quantity::KvTokensFree).or_else(of_blocks).or_else(of_share)
    }

    /// Time that requests were worked on.
    pub fn compute_seconds(&self) -> Option<f64> {
        let of_phases = || Some(self.value(Quantity::PrefillSeconds)? + self.value(Quantity::DecodeSeconds)?);
        let of_total = || Some((self.value(Quantity::TotalSeconds)? - self.value(Quantity::QueueSeconds)?).max(0.0));
        self.value(Quantity::ComputeSeconds).or_else(of_phases).or_else(of_total)
    }

    /// Requests that ended, one way or the other.
    pub fn ended(&self) -> Option<f64> {
        let failed = self.value(Quantity::Failed).unwrap_or_default();
        self.value(Quantity::Finished).map(|finished| finished + failed).or(self.value(Quantity::Queued))
    }
}

/// A page that was read.
#[derive(Debug, Clone)]
pub struct EngineReading {
    at: Instant,
    samples: BTreeMap<Box<str>, EngineSample>,
    dropped: u32,
}

impl EngineReading {
    /// Reads a page that came at `now`.
    pub fn read(page: &[u8], now: Instant) -> Result<Self, PageFault> {
        let mut found = Found::default();
        for line in lines(page)? {
            let rows = names::rows(line.name);
            if rows.is_empty() {
                continue;
            }
            let (labels, value) = line.read()?;
            for row in rows {
                found.take(row, &labels, value);
            }
        }
        if found.by_label.is_empty() && found.dropped == 0 {
            return Err(PageFault::Strange);
        }
        let samples = found.by_label.into_iter().map(|(label, held)| (label, held.sample())).collect();
        Ok(Self { at: now, samples, dropped: found.dropped })
    }

    /// What somebody said at `now` who has no page.
    pub fn of(now: Instant, samples: impl IntoIterator<Item = (Box<str>, EngineSample)>) -> Self {
        Self { at: now, samples: samples.into_iter().collect(), dropped: 0 }
    }

    /// When the page came.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// How old it is.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }

    /// What the engine says about this label. Engines that serve one thing do not label it, and so answer for any.
    pub fn sample(&self, label: &str) -> Option<&EngineSample> {
        self.samples.get(label).or_else(|| self.samples.get("").filter(|_| self.samples.len() == 1))
    }

    /// What it says, by label.
    pub fn samples(&self) -> impl Iterator<Item = (&str, &EngineSample)> {
        self.samples.iter().map(|(label, sample)| (&**label, sample))
    }

    /// How many values were dropped that nothing can have.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

/// How values of one quantity come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    /// Of queues and of counters: ranks add up.
    Sum,
    /// Of shares and of sizes: the greatest counts.
    Max,
}

/// What a line means.
#[derive(Debug, Clone, Copy)]
struct Row {
    name: &'static str,
    /// Only where a label has this value.
    only: Option<(&'static str, &'static str)>,
    /// The label that says what the line is about.
    about: &'static str,
    /// The value stands in this label, and not behind.
    within: Option<&'static str>,
    quantity: Quantity,
    fold: Fold,
    /// What the value is multiplied with.
    unit: f64,
    /// Of lines that mean the same, those of the lowest rank count.
    rank: u8,
}

#[derive(Default)]
struct Found {
    by_label: BTreeMap<Box<str>, Held>,
    dropped: u32,
}

/// The values of one label so far, each with the rank of whoever said it.
struct Held([Option<(u8, f64)>; Quantity::COUNT]);

impl Found {
    fn take(&mut self, row: &Row, labels: &Labels<'_>, value: f64) {
        if row.only.is_some_and(|(name, value)| !labels.is(name, value)) || is_repetition(labels) {
            return;
        }
        let value = match row.within {
            Some(label) => labels.value(label).and_then(|value| value.parse().ok()).unwrap_or(f64::NAN),
            None => value,
        };
        let value = value * row.unit;
        if !value.is_finite() || value < 0.0 || (row.quantity.is_share() && value > 1.0) {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let label = labels.value(row.about).unwrap_or_default();
        let label = if label.len() > LABEL_VALUE_BYTES_MAX { OTHER } else { &*label };
        self.of(label).take(row, value);
    }

    fn of(&mut self, label: &str) -> &mut Held {
        let known = self.by_label.contains_key(label);
        let label = if known || self.by_label.len() < ENGINE_LABELS_MAX { label } else { OTHER };
        self.by_label.entry(label.into()).or_insert_with(|| Held([None; Quantity::COUNT]))
    }
}

impl Held {
    fn take(&mut self, row: &Row, value: f64) {
        let Some(held) = self.0.get_mut(row.quantity as usize) else { return };
        *held = Some(match *held {
            Some((rank, before)) if rank == row.rank => match row.fold {
                Fold::Sum => (rank, before + value),
                Fold::Max => (rank, before.max(value)),
            },
            Some((rank, before)) if rank < row.rank => (rank, before),
            _ => (row.rank, value),
        });
    }

    fn sample(&self) -> EngineSample {
        EngineSample(self.0.map(|held| held.map(|(_, value)| value)))
    }
}

/// Whether a line says once more what another one says: ranks of one tensor-parallel group all tell of the same requests,
/// and a gauge that is told by priority is told for all priorities too.
fn is_repetition(labels: &Labels<'_>) -> bool {
    let is_first = |rank: &str| matches!(labels.value(rank).as_deref(), None | Some("" | "0"));
    let is_alone = labels.is("dp_rank", "");
    !labels.is("priority", "") || !is_first("pp_rank") || (is_alone && !is_first("tp_rank"))
}
