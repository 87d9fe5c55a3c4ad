//! Proofs that have been shown: each counts once (RFC 9449 §11.1).
//!
//! One cache for the process, shared by all workers, kept across revisions. Only proofs that are good in every other way
//! are written down, so whoever fills it holds credentials; and a key fills only its own shard, so a busy or hostile
//! client stands in the way of those that share it at most. A shard that is full of proofs that could still be shown again
//! *refuses* further ones: forgetting one that counts would let it count twice. It forgets those that are too old anyway.
//!
//! Another process does not know what this one has seen: after a restart, or behind a load balancer that does not keep
//! a client at one gateway, a proof that was stolen counts once more until it is too old (`PROOF_AGE_MAX`).

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::SystemTime,
};

use aws_lc_rs::digest::{Context, SHA256};
use foldhash::HashMap;

use super::{Proven, Thumbprint};

/// Proofs that are remembered at once, about 40 bytes each: 10,000 proofs a second for the 90 s that one may be shown.
pub const REPLAYS_MAX: usize = 1024 * 1024;
/// Shards; each has a lock that is held for less than a microsecond.
const SHARDS: usize = 16;

/// Half a SHA-256 of key and `jti`: whoever finds two that are the same has made two proofs of which one is refused.
type Fingerprint = [u8; 16];

/// What has been shown.
#[derive(Debug)]
pub struct Replays {
    shards: [Mutex<Shard>; SHARDS],
    shard_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// Proofs, and the second after which each is too old.
    seen: HashMap<Fingerprint, u64>,
    /// The second at which those too old were dropped last, so that a full shard is not swept for every proof.
    swept: u64,
}

/// What the cache says of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It has not been shown before; from now on it has.
    First,
    /// It has been shown before.
    Again,
    /// There is no room to write it down.
    Full,
}

impl Default for Replays {
    fn default() -> Self {
        Self::new(REPLAYS_MAX)
    }
}

impl Replays {
    /// What this process has been shown, by whichever worker, provider and revision.
    pub fn of_process() -> &'static Self {
        static REPLAYS: LazyLock<Replays> = LazyLock::new(Replays::default);
        &REPLAYS
    }

    /// Remembers so many proofs.
    pub fn new(proofs_max: usize) -> Self {
        Self { shards: Default::default(), shard_max: proofs_max.div_ceil(SHARDS) }
    }

    /// Writes a proof down, if it is the first time.
    pub fn show(&self, thumbprint: &Thumbprint, proof: &Proven, now: SystemTime) -> Shown {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let index = usize::from(thumbprint[0]) % SHARDS;
        let Some(shard) = self.shards.get(index) else { return Shown::Full };
        // A map is whole whatever its thread was doing when it ended.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = fingerprint(thumbprint, &proof.id);
        if shard.seen.get(&fingerprint).is_some_and(|until| *until >= now) {
            return Shown::Again;
        }
        if shard.seen.len() >= self.shard_max && !shard.sweep(now, self.shard_max) {
            return Shown::Full;
        }
        shard.seen.insert(fingerprint, proof.until);
        Shown::First
    }

    /// How many are remembered, those too old included that nobody has had to drop yet.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).seen.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shard {
    /// Drops what is too old, once a second at most; whether there is room.
    fn sweep(&mut self, now: u64, max: usize) -> bool {
        if self.swept != now {
            self.swept = now;
            self.seen.retain(|_, until| *until >= now);
            // Memory for a burst is given back.
            if self.seen.len() < self.seen.capacity() / 4 {
                self.seen.shrink_to(self.seen.len() * 2);
            }
        }
        self.seen.len() < max
    }
}

fn fingerprint(thumbprint: &Thumbprint, id: &str) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    context.update(thumbprint);
    context.update(id.as_bytes());
    let mut fingerprint = [0; 16];
    for (to, from) in fingerprint.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    fingerprint
}
