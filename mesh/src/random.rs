//! Random numbers that need not be secret: which of several weights, which requests are mirrored, how long to back off.

use std::{
    cell::Cell,
    hash::{BuildHasher, Hasher},
};

/// A small generator (wyrand), one per worker.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// Seeded by the operating system, through the standard library's hash keys.
    pub fn from_os() -> Self {
        Self(Cell::new(std::hash::RandomState::new().build_hasher().finish()))
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.0.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_spread_evenly() {
        let random = Random(Cell::new(42));
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            if let Some(count) = counts.get_mut(random.below(10) as usize) {
                *count += 1;
            }
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }
}
