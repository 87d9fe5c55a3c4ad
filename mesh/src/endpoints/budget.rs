//! How many retries a backend can take: a share of its requests, so that retries never multiply an outage.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Requests and retries are counted over this many seconds.
pub const RETRY_WINDOW_SECONDS: u32 = 10;
/// Retries allowed in the window: this many for each hundred requests of the window,
pub const RETRY_PERCENT: u32 = 20;
/// and this many a second besides, so that a quiet backend can be retried at all.
pub const RETRIES_PER_SECOND_MIN: u32 = 10;

/// Slots of one second; more than the window, so that a slot is never read and reused at once.
const SLOTS: usize = 16;

/// Counts attempts (by marks of the backend's turn, which every attempt advances) and retries.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    /// The second marked last.
    marked: AtomicU32,
    /// The second (high half) and the turn at its first attempt (low half).
    marks: [AtomicU64; SLOTS],
    /// The second (high half) and the retries allowed in it (low half).
    retries: [AtomicU64; SLOTS],
}

impl RetryBudget {
    /// Notes the first attempt of a second. Every attempt calls it; all but the first only read.
    pub(super) fn mark(&self, now_ms: u64, turn: u32) {
        let second = second(now_ms);
        if self.marked.load(Relaxed) != second
            && self.marked.swap(second, Relaxed) != second
            && let Some(mark) = self.marks.get(second as usize % SLOTS)
        {
            mark.store(pack(second, turn), Relaxed);
        }
    }

    /// Takes one retry from the budget; false if none is left. `turn` is the backend's next.
    pub(super) fn take(&self, now_ms: u64, turn: u32) -> bool {
        let now = second(now_ms);
        let recent = |(at, _): &(u32, u32)| now.wrapping_sub(*at) < RETRY_WINDOW_SECONDS;
        let oldest = self.marks.iter().map(|mark| unpack(mark.load(Relaxed))).filter(recent);
        let attempts =
            oldest.max_by_key(|(at, _)| now.wrapping_sub(*at)).map_or(0, |(_, mark)| turn.wrapping_sub(mark));
        let retries: u32 =
            self.retries.iter().map(|slot| unpack(slot.load(Relaxed))).filter(recent).map(|(_, n)| n).sum();

        let requests = u64::from(attempts.saturating_sub(retries));
        let allowed =
            requests * u64::from(RETRY_PERCENT) / 100 + u64::from(RETRIES_PER_SECOND_MIN * RETRY_WINDOW_SECONDS);
        if u64::from(retries) >= allowed {
            return false;
        }
        if let Some(slot) = self.retries.get(now as usize % SLOTS) {
            let _ = slot.fetch_update(Relaxed, Relaxed, |packed| match unpack(packed) {
                (at, n) if at == now => Some(pack(now, n.saturating_add(1))),
                _ => Some(pack(now, 1)),
            });
        }
        true
    }
}

/// Whole seconds, from 1: 0 marks an empty slot, and must look old.
fn second(now_ms: u64) -> u32 {
    (now_ms / 1000) as u32 + RETRY_WINDOW_SECONDS
}

fn pack(second: u32, count: u32) -> u64 {
    (u64::from(second) << 32) | u64::from(count)
}

fn unpack(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, packed as u32)
}
