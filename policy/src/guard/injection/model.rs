//! The linear model: a weight per hashed gram, summed over windows of words; the window that says most decides.

use std::ops::Range;

use super::grams::{self, Sink};

/// Windows that a text is looked at in, in words. A text with fewer is one window.
pub const WINDOWS_WORDS: [usize; 2] = [32, 128];
/// How far a window moves, in words.
pub const STEP_WORDS: usize = 4;

/// Grams that every window has besides its own.
const NORM_GRAMS: f32 = 80.0;

/// What a window gives away for each time that the text is longer, as its logarithm.
const LUCK: f32 = 1.0;

/// Where a model's file begins, and what kind it is.
const MAGIC: &[u8; 8] = b"PCGUARD1";
/// Bytes before the weights.
const HEAD_BYTES: usize = 64;

/// A model as it lies in its file.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    bits: u32,
    /// What a weight of one stands for.
    unit: f32,
    /// Added to a window's sum.
    bias: f32,
    /// From a margin to log-odds, for each source: factor and summand.
    odds: [[f32; 2]; 3],
    /// The score from which on a text counts as an attack, for each source.
    thresholds: [f32; 3],
    weights: &'a [u8],
}

/// Why a file is not a model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a model of this version, or not whole")]
pub struct NotAModel;

/// A window of a text, and how far the model leans to calling it an attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Its words.
    pub first: usize,
    /// The word after its last.
    pub end: usize,
    /// Bytes of the text where it ends.
    pub end_byte: usize,
    /// What is taken off because there are so many windows.
    pub luck: f32,
    /// Sum of weights over the square root of their number, and the bias.
    pub margin: f32,
}

/// What is summed over a text, word by word. Kept by the caller, so that texts share its memory.
#[derive(Debug, Default)]
pub struct Sums {
    /// After each word: the sum of weights, the number of grams, the byte where the word ends.
    words: Vec<(i32, u32, u32)>,
}

impl<'a> Model<'a> {
    /// Reads a model's file.
    pub fn parse(file: &'a [u8]) -> Result<Self, NotAModel> {
        let (head, weights) = file.split_at_checked(HEAD_BYTES).ok_or(NotAModel)?;
        let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let real = |at: usize| word(at).map(f32::from_bits).filter(|value| value.is_finite()).ok_or(NotAModel);
        let bits = word(8).ok_or(NotAModel)?;
        if head.get(..8) != Some(MAGIC) || !(8..=20).contains(&bits) || weights.len() != 1 << bits {
            return Err(NotAModel);
        }
        Ok(Self {
            bits,
            unit: real(12)?,
            bias: real(16)?,
            odds: [[real(20)?, real(24)?], [real(28)?, real(32)?], [real(36)?, real(40)?]],
            thresholds: [real(44)?, real(48)?, real(52)?],
            weights,
        })
    }

    /// The margin of a text without words.
    pub(super) const fn none(&self) -> f32 {
        -8.0 + self.bias
    }

    /// What takes every text for an attack: the place of a model that cannot be read.
    pub(super) const fn everything() -> Model<'static> {
        Model { bits: 8, unit: 0.0, bias: 16.0, odds: [[1.0, 0.0]; 3], thresholds: [0.5; 3], weights: &[] }
    }

    /// Writes a model's file.
    pub fn write(
        bits: u32,
        unit: f32,
        bias: f32,
        odds: [[f32; 2]; 3],
        thresholds: [f32; 3],
        weights: &[i8],
    ) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend(bits.to_le_bytes());
        for value in [unit, bias].into_iter().chain(odds.into_iter().flatten()).chain(thresholds) {
            file.extend(value.to_le_bytes());
        }
        file.resize(HEAD_BYTES, 0);
        file.extend(weights.iter().map(|weight| weight.to_le_bytes()[0]));
        file
    }

    /// The row of a gram in a table of two to the power of `bits` rows.
    pub const fn row(bits: u32, hash: u64) -> usize {
        (hash >> (64 - bits)) as usize
    }

    /// The weight of a gram.
    fn weight(&self, hash: u64) -> i8 {
        let weight = self.weights.get(Self::row(self.bits, hash)).copied().unwrap_or(0);
        i8::from_le_bytes([weight])
    }

    /// The window of a normalised text that leans most.
    pub fn lean(&self, text: &str, sums: &mut Sums) -> Option<Window> {
        sums.clear();
        let mut weighing = Weighing { model: self, sum: 0, grams: 0, words: &mut sums.words };
        grams::take(text, &mut weighing);
        let lean = |window: Window| Window { margin: window.margin * self.unit + self.bias - window.luck, ..window };
        sums.windows().map(lean).reduce(|best, window| if window.margin > best.margin { window } else { best })
    }

    /// What one gram adds to a window of so many.
    pub(super) fn share(&self, hash: u64, grams: u32) -> f32 {
        f32::from(self.weight(hash)) * self.unit / norm(grams)
    }

    /// The log-odds of a margin, for the source at this place.
    pub(super) fn log_odds(&self, margin: f32, source: usize) -> f32 {
        let [factor, summand] = self.odds.get(source).copied().unwrap_or([1.0, 0.0]);
        margin * factor + summand
    }

    pub(super) fn threshold(&self, source: usize) -> f32 {
        self.thresholds.get(source).copied().unwrap_or(0.5)
    }
}

/// What a sum of so many grams is divided by. Few grams are weak evidence, so that a text of one word is not judged by it alone.
pub fn norm(grams: u32) -> f32 {
    (grams as f32 + NORM_GRAMS).sqrt()
}

/// A window: its first word, the one after its last, and how much it may lean by luck.
pub type Span = (usize, usize, f32);

/// The windows of a text of `words` words.
pub fn spans(words: usize) -> impl Iterator<Item = Span> {
    WINDOWS_WORDS.into_iter().enumerate().flat_map(move |(at, size)| {
        let longer_than = at.checked_sub(1).and_then(|at| WINDOWS_WORDS.get(at)).copied().unwrap_or(0);
        let size = size.min(words);
        // A text that is one window already is not looked at as one again.
        let starts = if words <= longer_than { 0 } else { (words - size).div_ceil(STEP_WORDS) + 1 };
        // Of many windows, the one that leans most leans more.
        let luck = if size == 0 { 0.0 } else { LUCK * (words as f32 / size as f32).ln() };
        (0..starts).map(move |step| {
            let first = (step * STEP_WORDS).min(words - size);
            (first, first + size, luck)
        })
    })
}

impl Sums {
    /// Begins another text.
    fn clear(&mut self) {
        self.words.clear();
    }

    /// Each window, with its sum over the norm.
    fn windows(&self) -> impl Iterator<Item = Window> {
        spans(self.words.len()).filter_map(|span| self.window(span))
    }

    fn window(&self, (first, end, luck): Span) -> Option<Window> {
        let (sum_before, grams_before, _) =
            first.checked_sub(1).and_then(|at| self.words.get(at)).copied().unwrap_or_default();
        let (sum, grams, end_byte) = end.checked_sub(1).and_then(|at| self.words.get(at)).copied()?;
        Some(Window {
            first,
            end,
            end_byte: end_byte as usize,
            luck,
            margin: (sum - sum_before) as f32 / norm(grams - grams_before),
        })
    }

    /// The bytes of the text that a window has.
    pub fn bytes(&self, window: &Window) -> Range<usize> {
        let start =
            window.first.checked_sub(1).and_then(|at| self.words.get(at)).map_or(0, |(_, _, end)| *end as usize);
        start..window.end_byte
    }
}

/// Sums here and not in [`Sums`], so that they stay in registers.
struct Weighing<'a> {
    model: &'a Model<'a>,
    sum: i32,
    grams: u32,
    words: &'a mut Vec<(i32, u32, u32)>,
}

impl Sink for Weighing<'_> {
    #[inline]
    fn gram(&mut self, hash: u64) {
        self.sum += i32::from(self.model.weight(hash));
        self.grams += 1;
    }

    #[inline]
    fn word(&mut self, end: usize) {
        self.words.push((self.sum, self.grams, end as u32));
    }
}
