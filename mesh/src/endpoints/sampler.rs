//! Draws an index in proportion to weights, in constant time (Vose's alias method).

/// Made once for a set of weights.
#[derive(Debug)]
pub(super) struct Sampler {
    cells: Vec<Cell>,
}

/// Each index owns one cell of equal probability, and lends the part of it that it does not need to another.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Below this fraction (of 2^64) the cell means its own index,
    own: u64,
    /// else this one.
    other: usize,
}

impl Sampler {
    /// Weights must be finite and greater than 0.
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut cells: Vec<Cell> = (0..weights.len()).map(|other| Cell { own: u64::MAX, other }).collect();

        let shares = weights.iter().map(|weight| weight / mean).enumerate();
        let (mut small, mut large): (Vec<_>, Vec<_>) = shares.partition(|&(_, share)| share < 1.0);
        while let (Some((needy, share)), Some((rich, wealth))) = (small.pop(), large.last_mut()) {
            if let Some(cell) = cells.get_mut(needy) {
                // The conversion saturates: a share of 1 is all of the cell.
                *cell = Cell { own: (share * 2_f64.powi(64)) as u64, other: *rich };
            }
            *wealth -= 1.0 - share;
            if *wealth < 1.0 {
                small.extend(large.pop());
            }
        }
        Self { cells }
    }

    /// The index at the fraction `point / 2^64` of all weight.
    pub(super) fn at(&self, point: u64) -> usize {
        let scaled = u128::from(point) * self.cells.len() as u128;
        let (index, fraction) = ((scaled >> 64) as usize, scaled as u64);
        match self.cells.get(index) {
            Some(cell) if fraction >= cell.own => cell.other,
            _ => index,
        }
    }
}

/// A sequence of points that fills the whole range evenly (multiples of the golden ratio, as fractions of 2^64).
pub(super) fn spread(step: u32) -> u64 {
    u64::from(step).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A point that looks random (SplitMix64): another one for each `draw` of each `step`.
pub(super) fn scatter(step: u64, draw: u64) -> u64 {
    let mut point = (step << 4 | draw).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    point = (point ^ (point >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    point = (point ^ (point >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    point ^ (point >> 31)
}
