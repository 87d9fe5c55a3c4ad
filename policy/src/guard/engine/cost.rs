//! What rules cost, told before they serve.

use std::sync::Arc;

use super::{Engine, Filter, Output};

/// Ordinary text, as models write it: what rules hold on it is told before they serve.
pub const SAMPLE: &str = include_str!("sample.txt");

/// What an engine costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// States of its table.
    pub states: usize,
    /// Memory of its table.
    pub bytes: usize,
}

/// What is held on some text that arrives in parts of a few bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hold {
    /// Bytes held after a part, on average.
    pub mean: f64,
    /// At most so many after 99 of 100 parts.
    pub p99: usize,
    /// The most after any.
    pub max: usize,
}

/// Bytes of a part: a word piece of an ordinary model has about as many.
const PART_BYTES: usize = 4;

impl Engine {
    /// What it costs.
    pub fn cost(&self) -> Cost {
        Cost { states: self.table().states(), bytes: self.table().bytes() + self.scout().bytes() }
    }

    /// What it holds on a text.
    pub fn hold(self: &Arc<Self>, text: &[u8]) -> Hold {
        let mut filter = Filter::new(self.clone(), Arc::new(self.everything()));
        let mut output = Output::default();
        let held = text.chunks(PART_BYTES).map(|part| {
            filter.push(part, &mut output);
            filter.held()
        });
        let mut held: Vec<_> = held.collect();
        held.sort_unstable();
        let at = |part: f64| held.get((held.len() as f64 * part) as usize).or(held.last()).copied().unwrap_or_default();
        Hold {
            mean: held.iter().sum::<usize>() as f64 / held.len().max(1) as f64,
            p99: at(0.99),
            max: held.last().copied().unwrap_or_default(),
        }
    }
}
