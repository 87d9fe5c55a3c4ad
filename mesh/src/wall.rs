//! What the clock on the wall says, without asking it for each exchange.

use std::{
    cell::Cell,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// A moment, and the milliseconds from 1970 to it. One per worker; to be looked at anew every second, since it may be set.
#[derive(Debug)]
pub struct WallClock(Cell<(Instant, u64)>);

impl WallClock {
    /// As it is now.
    pub fn new() -> Self {
        Self(Cell::new(looked_at()))
    }

    /// Looks at it anew.
    pub fn look(&self) {
        self.0.set(looked_at());
    }

    /// Milliseconds from 1970 to `now`.
    pub fn unix_ms(&self, now: Instant) -> u64 {
        let (then, unix_ms) = self.0.get();
        unix_ms + now.saturating_duration_since(then).as_millis() as u64
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

fn looked_at() -> (Instant, u64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    (Instant::now(), since.map_or(0, |since| since.as_millis() as u64))
}
