//! Whose key was certified lately: two workloads with one key could each pass for the other, so the second is refused.
//!
//! Remembers a bounded number, the newest, and only while the process runs: what it catches is a key that was baked into an image
//! or copied, not an adversary with patience.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use crate::SpiffeId;

/// How many keys are remembered.
pub(super) const KEYS_SEEN_MAX: usize = 65_536;

/// Keys and whose they are, each as a hash that nobody outside can foresee.
#[derive(Default)]
pub(super) struct KeysSeen {
    hasher: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    owners: HashMap<u64, u64>,
    oldest_first: VecDeque<u64>,
}

impl KeysSeen {
    /// Whether `key` is this workload's as far as is known; from now on it is.
    pub(super) fn belongs_to(&self, key: &[u8], id: &SpiffeId) -> bool {
        let (key, owner) = (self.hasher.hash_one(key), self.hasher.hash_one(id));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.owners.get(&key) {
            return *known == owner;
        }
        if seen.oldest_first.len() == KEYS_SEEN_MAX
            && let Some(oldest) = seen.oldest_first.pop_front()
        {
            seen.owners.remove(&oldest);
        }
        seen.oldest_first.push_back(key);
        seen.owners.insert(key, owner);
        true
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_key_belongs_to_whom_it_was_certified_for_first() {
        let (one, other): (SpiffeId, SpiffeId) =
            ("spiffe://a/one".parse().unwrap(), "spiffe://a/other".parse().unwrap());
        let keys = KeysSeen::default();
        assert!(keys.belongs_to(b"key", &one));
        assert!(keys.belongs_to(b"key", &one), "a renewal with the same key");
        assert!(!keys.belongs_to(b"key", &other));
        assert!(keys.belongs_to(b"another", &other));
    }

    #[test]
    fn the_newest_are_remembered_and_no_more() {
        let (one, other): (SpiffeId, SpiffeId) =
            ("spiffe://a/one".parse().unwrap(), "spiffe://a/other".parse().unwrap());
        let keys = KeysSeen::default();
        for n in 0..=KEYS_SEEN_MAX {
            assert!(keys.belongs_to(&n.to_le_bytes(), &one));
        }
        let seen = keys.seen.lock().unwrap();
        assert_eq!((seen.owners.len(), seen.oldest_first.len()), (KEYS_SEEN_MAX, KEYS_SEEN_MAX));
        drop(seen);
        assert!(!keys.belongs_to(&KEYS_SEEN_MAX.to_le_bytes(), &other));
        assert!(keys.belongs_to(&0_usize.to_le_bytes(), &other), "forgotten");
    }
}
