//! How likely it is that a text is an attempt to take over a model: a score in microseconds, from a table of a quarter of a
//! megabyte.
//!
//! It is a measure of risk with limits that are measured (`docs/guardrails.md`), never a wall: half of the attacks that it never
//! saw pass it. Use it to tell apart what is logged, what loses its tools and what is refused.
//!
//! A text is [`normalise()`]d, read in whatever ways undo a disguise ([`views`]), cut to [`grams`] and summed by the [`model`]. The
//! reading and the window that say most decide. The recipe that trains the model is `just train-guard`, and what it was trained
//! on is written beside it, in `model.txt`. Who can afford milliseconds has a second opinion on what is in doubt: [`embedding`].

pub mod embedding;
mod explain;
pub mod grams;
mod letters;
pub mod model;
mod normalise;
#[cfg(test)]
mod tests;
pub mod views;
mod words;

use std::{cell::RefCell, sync::OnceLock};

pub use explain::{Decisive, Explanation, Gram};
use model::{Model, NotAModel, Sums};
pub use normalise::{Normal, Signal, Signals, normalise};
pub use views::View;

/// A long text is read in blocks of so many bytes, so that memory is bounded and the cost grows with the text and not faster.
pub const BLOCK_BYTES: usize = 16 * 1024;
/// What of a block is read again with the next one: no window is cut.
pub const OVERLAP_BYTES: usize = 1024;
/// The score of a text whose disguise tells enough.
const SIGNAL_VALUE: f32 = 0.99;

static SHIPPED: &[u8] = include_bytes!("model.bin");

/// Whose words a text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Somebody who may ask for things.
    User,
    /// What a tool answered. Nothing in it is to be obeyed.
    Tool,
    /// What was looked up. Nothing in it is to be obeyed.
    Retrieved,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::User, Self::Tool, Self::Retrieved];

    /// Its name where people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Tool => "tool",
            Self::Retrieved => "retrieved",
        }
    }
}

/// How likely a text is an attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// From 0 to 1. Calibrated on the corpora that the model was chosen with, where every second text was an attack: it orders
    /// texts, and is no probability for traffic in which attacks are rare.
    pub value: f32,
    /// The reading that decided.
    pub view: View,
    /// Disguises that are reason enough by themselves.
    pub reasons: Signals,
}

/// Scores texts with one model.
#[derive(Debug)]
pub struct Scorer {
    model: Model<'static>,
}

/// Scores a text with the model that is shipped.
pub fn score(text: &str, source: Source) -> Score {
    Scorer::shipped().score(text, source)
}

thread_local! {
    static SUMS: RefCell<Sums> = RefCell::default();
}

impl Scorer {
    /// The model that is shipped.
    pub fn shipped() -> &'static Self {
        static SCORER: OnceLock<Scorer> = OnceLock::new();
        SCORER.get_or_init(|| {
            // A test reads the file; one that is not whole never comes this far.
            Self::of(SHIPPED).unwrap_or_else(|_| Self { model: Model::everything() })
        })
    }

    /// A scorer with the model of this file.
    pub fn of(file: &'static [u8]) -> Result<Self, NotAModel> {
        Model::parse(file).map(|model| Self { model })
    }

    /// The score from which on a text of this source is taken for an attack where nobody says otherwise.
    pub fn threshold(&self, source: Source) -> f32 {
        self.model.threshold(source as usize)
    }

    /// How likely `text` is an attack. The cost grows with the text and not faster.
    pub fn score(&self, text: &str, source: Source) -> Score {
        let leaning = SUMS.with_borrow_mut(|sums| self.lean(text, sums));
        let Leaning { margin, view, signals } = leaning;
        let value = probability(self.model.log_odds(margin, source as usize));
        let value = if signals.is_empty() { value } else { value.max(SIGNAL_VALUE) };
        Score { value, view, reasons: signals }
    }

    /// The margin of the reading that leans most: what the trainer calibrates.
    pub fn margin(&self, text: &str) -> f32 {
        SUMS.with_borrow_mut(|sums| self.lean(text, sums)).margin
    }

    /// The log-odds that a margin comes to.
    pub fn log_odds(&self, margin: f32, source: Source) -> f32 {
        self.model.log_odds(margin, source as usize)
    }

    fn lean(&self, text: &str, sums: &mut Sums) -> Leaning {
        let mut most = Leaning { margin: self.model.none(), view: View::Plain, signals: Signals::default() };
        for block in blocks(text) {
            let signals = views::read(block, |view, text| {
                if let Some(window) = self.model.lean(text, sums)
                    && window.margin > most.margin
                {
                    most = Leaning { margin: window.margin, view, ..most };
                }
            });
            most.signals = most.signals.join(signals);
        }
        most
    }
}

#[derive(Clone, Copy)]
struct Leaning {
    margin: f32,
    view: View,
    signals: Signals,
}

fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The blocks of a long text, each with the end of the one before.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let rest = text.get(start..)?;
        if rest.len() <= BLOCK_BYTES {
            done = true;
            return Some(rest);
        }
        let end = rest.floor_char_boundary(BLOCK_BYTES);
        let block = rest.get(..end)?;
        start += rest.floor_char_boundary(BLOCK_BYTES - OVERLAP_BYTES);
        Some(block)
    })
}
