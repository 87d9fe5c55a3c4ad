//! Numbers that look random and come again with their seed.

pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below this.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound.max(1)
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(super) fn of<'o, T>(&mut self, options: &'o [T]) -> &'o T {
        &options[self.below(options.len())]
    }

    /// Cuts something into parts, of one element often, of many seldom.
    pub(super) fn cut<'w, T>(&mut self, whole: &'w [T], longest: usize) -> Vec<&'w [T]> {
        let mut parts = Vec::new();
        let mut rest = whole;
        while !rest.is_empty() {
            let len = (1 + self.below(longest)).min(rest.len());
            let (part, others) = rest.split_at(len);
            parts.push(part);
            rest = others;
        }
        parts
    }
}

/// Runs a check with many seeds. `GUARD_CASES` says how many.
pub(super) fn cases(usual: u64, check: impl Fn(&mut Random)) {
    let count = std::env::var("GUARD_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(usual);
    let first = std::env::var("GUARD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + count {
        let told = Told(seed);
        check(&mut Random::new(seed));
        std::mem::forget(told);
    }
}

/// Tells the seed when a check fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("failed with GUARD_SEED={} GUARD_CASES=1", self.0);
    }
}
