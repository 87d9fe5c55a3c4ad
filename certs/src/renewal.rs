//! When to ask for the next certificate: a schedule that does nothing itself, so that time is an argument.
//!
//! At half of a certificate's life, give or take a tenth, so that workloads that began together do not ask together. After a
//! failure with growing pauses, for each identity alone. At once when somebody says that the certificate will not be believed
//! for much longer.
//!
//! Waiting is measured with the monotonic clock: a wall clock that jumps makes nobody ask in a loop and nobody fall asleep. The
//! wall clock is looked at too, where it says that the certificate is older than the monotonic clock knows (the machine slept).

use std::time::{Duration, Instant, SystemTime};

/// The share of a certificate's life that is over when it is renewed.
const RENEWAL_SHARE: f64 = 0.5;
/// How much earlier or later than that, as a share of it.
const JITTER_SHARE: f64 = 0.1;
/// The pause after the first failure.
pub const BACK_OFF_MIN: Duration = Duration::from_millis(500);
/// The longest pause.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(150);
/// However short a certificate's life is, it is not renewed more often.
pub const RENEWAL_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The schedule of one identity.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// When to ask, by the monotonic clock.
    due: Instant,
    /// When to ask, by the wall clock: it may have gone on where the other stood still.
    due_by_wall: Option<SystemTime>,
    expires: Option<SystemTime>,
    failures: u32,
    why: Why,
}

/// Why a certificate is asked for, for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is none yet.
    First,
    /// Half of its life is over.
    HalfLife,
    /// Its authority is not trusted much longer.
    Tainted,
    /// The bundle has changed so that it may not be believed.
    BundleChanged,
    /// The last attempt failed.
    Retry,
}

impl Why {
    /// A short word for metrics; the set is fixed.
    pub fn label(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::HalfLife => "half_life",
            Self::Tainted => "tainted",
            Self::BundleChanged => "bundle_changed",
            Self::Retry => "retry",
        }
    }
}

/// A number between 0 and 1, drawn by the caller: 0 is earliest, 1 is latest.
#[derive(Debug, Clone, Copy)]
pub struct Draw(f64);

impl Draw {
    /// `number`, or the nearest within 0 and 1; what is no number counts as 0.5.
    pub fn new(number: f64) -> Self {
        Self(if number.is_nan() { 0.5 } else { number.clamp(0.0, 1.0) })
    }

    /// A random one.
    pub fn random() -> Self {
        let mut bytes = [0; 4];
        match crate::crypto_provider().secure_random.fill(&mut bytes) {
            Ok(()) => Self::new(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)),
            Err(_) => Self::new(0.5),
        }
    }

    /// Between `1 − JITTER_SHARE` and `1 + JITTER_SHARE`.
    fn jitter(self) -> f64 {
        1.0 + JITTER_SHARE * (2.0 * self.0 - 1.0)
    }
}

impl Renewal {
    /// Nothing is held: the first certificate is asked for at once.
    pub fn first(now: Instant) -> Self {
        Self { due: now, due_by_wall: None, expires: None, failures: 0, why: Why::First }
    }

    /// Whether to ask now, and why.
    pub fn due(&self, now: Instant, wall: SystemTime) -> Option<Why> {
        let by_wall = self.due_by_wall.is_some_and(|due| due <= wall);
        (self.due <= now || by_wall).then_some(self.why)
    }

    /// How long to wait before asking [`due`](Self::due) again. Callers should look again after at most a minute or so all the
    /// same, for the wall clock.
    pub fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// When what is held expires.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires
    }

    /// How many attempts failed since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A certificate with these dates is held.
    pub fn succeeded(
        &mut self,
        not_before: SystemTime,
        not_after: SystemTime,
        now: Instant,
        wall: SystemTime,
        draw: Draw,
    ) {
        let life = not_after.duration_since(not_before).unwrap_or_default();
        let at = not_before + life.mul_f64(RENEWAL_SHARE * draw.jitter());
        // Never more than the same share of its life from now on: a wall clock that is behind says too much.
        let most = life.mul_f64(RENEWAL_SHARE * draw.jitter());
        let wait = at.duration_since(wall).unwrap_or_default().min(most).max(RENEWAL_PAUSE_MIN);
        self.due = now + wait;
        self.due_by_wall = Some(at.max(wall + RENEWAL_PAUSE_MIN));
        self.expires = Some(not_after);
        self.failures = 0;
        self.why = Why::HalfLife;
    }

    /// The attempt failed. What is held stays, and the next attempt is later than the last one was.
    pub fn failed(&mut self, now: Instant, draw: Draw) {
        let doubled = 2_u32.saturating_pow(self.failures.min(16));
        let pause = BACK_OFF_MIN.saturating_mul(doubled).mul_f64(draw.jitter());
        self.due = now + pause.clamp(BACK_OFF_MIN.mul_f64(1.0 - JITTER_SHARE), BACK_OFF_MAX);
        // A wall clock that is ahead must not turn pauses into a loop.
        self.due_by_wall = None;
        self.failures = self.failures.saturating_add(1);
        self.why = Why::Retry;
    }

    /// Somebody says that what is held will not do much longer. Workloads hear it at the same time, so it is spread over
    /// `spread`; a pause after failures is not cut short.
    pub fn hasten(&mut self, why: Why, spread: Duration, now: Instant, draw: Draw) {
        if self.failures > 0 {
            return;
        }
        let due = now + spread.mul_f64(draw.0);
        if due < self.due {
            self.due = due;
            self.why = why;
        }
    }
}

#[cfg(test)]
mod tests;
