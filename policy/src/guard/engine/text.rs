//! The bytes of a text that can be asked for.

use std::{borrow::Cow, ops::Range};

use super::{output::slice, rule::CONTEXT_BYTES_MAX};

/// The bytes that can be asked for: kept ones, and those of this push.
pub(super) struct Text<'t> {
    pub(super) before: &'t [u8],
    pub(super) before_from: u64,
    pub(super) here: &'t [u8],
    pub(super) here_from: u64,
}

impl Text<'_> {
    pub(super) fn of(&self, range: &Range<u64>) -> Cow<'_, [u8]> {
        let here = slice(self.here, self.here_from, range);
        if range.start >= self.here_from {
            return here.into();
        }
        let before = slice(self.before, self.before_from, range);
        if here.is_empty() { before.into() } else { [before, here].concat().into() }
    }

    /// The last two bytes before this place.
    pub(super) fn last_two(&self, at: u64) -> (Option<u8>, Option<u8>) {
        let byte = |back: u64| {
            let at = at.checked_sub(back)?;
            let here = at.checked_sub(self.here_from).and_then(|at| self.here.get(at as usize));
            let before = || self.before.get(at.checked_sub(self.before_from)? as usize);
            here.or_else(before).copied()
        };
        (byte(2), byte(1))
    }

    /// The last [`CONTEXT_BYTES_MAX`] bytes before this place, or all if there are fewer.
    pub(super) fn window<'w>(&'w self, at: u64, joined: &'w mut [u8; CONTEXT_BYTES_MAX]) -> &'w [u8] {
        let range = at.saturating_sub(CONTEXT_BYTES_MAX as u64)..at;
        let (before, here) = (slice(self.before, self.before_from, &range), slice(self.here, self.here_from, &range));
        if before.is_empty() || here.is_empty() {
            return if here.is_empty() { before } else { here };
        }
        let length = before.len() + here.len();
        // Both are copied at once: one byte after the other, it would take longer than all that is asked of the window.
        if let Some((first, second)) = joined.split_at_mut_checked(before.len())
            && let Some(second) = second.get_mut(..here.len())
        {
            first.copy_from_slice(before);
            second.copy_from_slice(here);
        }
        joined.get(..length).unwrap_or_default()
    }
}
