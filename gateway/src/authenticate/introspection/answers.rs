//! What issuers have said of credentials, for a short while.
//!
//! Two tables: credentials that are active, with their claims, and those that are not. Each is bounded and forgets its older
//! half when it is full, so that what is in use stays.

use std::{sync::Arc, time::Duration};

use foldhash::HashMap;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Fingerprint, INACTIVE_FRESH_MAX};

/// Credentials that are remembered as active.
pub const ACTIVE_MAX: usize = 16 * 1024;
/// Bytes of all that was said of them.
pub const ACTIVE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Credentials that are remembered as not active.
pub const INACTIVE_MAX: usize = 16 * 1024;

/// What an issuer says of a credential.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is good, and this is so.
    Active {
        /// As they came.
        claims: Arc<Map<String, Value>>,
        /// Then it is to be asked again.
        until: Instant,
    },
    /// It is not, or not any more, or never was.
    Inactive,
}

/// Answers that still count.
#[derive(Debug, Default)]
pub struct Answers {
    active: Halves<Active>,
    inactive: Halves<Instant>,
}

#[derive(Debug, Clone)]
struct Active {
    claims: Arc<Map<String, Value>>,
    bytes: usize,
    until: Instant,
}

impl Answers {
    /// What was said of a credential, if that still counts.
    pub fn find(&mut self, fingerprint: &Fingerprint, now: Instant) -> Option<Answer> {
        if let Some(Active { claims, until, .. }) = self.active.find(fingerprint, |active| now < active.until) {
            return Some(Answer::Active { claims, until });
        }
        self.inactive.find(fingerprint, |until| now < *until).map(|_| Answer::Inactive)
    }

    /// Remembers what was answered to a question of this moment. `claims`: none if it is not active, and their length.
    pub fn keep(
        &mut self,
        fingerprint: Fingerprint,
        (claims, bytes): (Option<Map<String, Value>>, usize),
        asked: Instant,
        fresh: Duration,
    ) -> Answer {
        let Some(claims) = claims else {
            self.active.remove(&fingerprint);
            self.inactive.keep(fingerprint, asked + INACTIVE_FRESH_MAX, 1, INACTIVE_MAX);
            return Answer::Inactive;
        };
        let (claims, until) = (Arc::new(claims), asked + fresh);
        self.inactive.remove(&fingerprint);
        if !fresh.is_zero() {
            // A weight that bounds both how many there are and how large they are.
            let weight = 1 + bytes / (ACTIVE_BYTES_MAX / ACTIVE_MAX);
            self.active.keep(
                fingerprint,
                Active { claims: Arc::clone(&claims), bytes: weight, until },
                weight,
                ACTIVE_MAX,
            );
        }
        Answer::Active { claims, until }
    }

    /// Drops everything.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Drops what does not count any more.
    pub fn sweep(&mut self, now: Instant) {
        self.active.retain(|active| now < active.until, |active| active.bytes);
        self.inactive.retain(|until| now < *until, |_| 1);
    }

    /// How many are remembered: active ones and others.
    pub fn len(&self) -> (usize, usize) {
        (self.active.len(), self.inactive.len())
    }
}

/// A bounded map that forgets the older half.
#[derive(Debug)]
struct Halves<V> {
    young: HashMap<Fingerprint, V>,
    old: HashMap<Fingerprint, V>,
    /// Of the young half.
    weight: usize,
}

impl<V> Default for Halves<V> {
    fn default() -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), weight: 0 }
    }
}

impl<V: Clone> Halves<V> {
    fn find(&self, fingerprint: &Fingerprint, counts: impl Fn(&V) -> bool) -> Option<V> {
        let found = self.young.get(fingerprint).or_else(|| self.old.get(fingerprint))?;
        counts(found).then(|| found.clone())
    }

    /// Adds one; all together weigh at most `max`.
    fn keep(&mut self, fingerprint: Fingerprint, value: V, weight: usize, max: usize) {
        if self.weight + weight > max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.old.remove(&fingerprint);
        self.weight += weight;
        // One that is replaced is counted twice, which only makes the half full sooner.
        self.young.insert(fingerprint, value);
    }

    fn remove(&mut self, fingerprint: &Fingerprint) {
        self.young.remove(fingerprint);
        self.old.remove(fingerprint);
    }

    fn retain(&mut self, counts: impl Fn(&V) -> bool, weight: impl Fn(&V) -> usize) {
        self.young.retain(|_, value| counts(value));
        self.old.retain(|_, value| counts(value));
        self.weight = self.young.values().map(weight).sum();
        for half in [&mut self.young, &mut self.old] {
            if half.len() < half.capacity() / 4 {
                half.shrink_to(half.len() * 2);
            }
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
