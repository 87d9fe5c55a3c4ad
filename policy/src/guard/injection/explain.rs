//! What a score came from: the reading, the window, and the grams that weigh most in it.

use super::{
    Score, Scorer, Source, blocks,
    grams::{self, Sink},
    model::Sums,
    views::{self, View},
};

/// Grams that are named.
const GRAMS_MAX: usize = 12;

/// What a score came from.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The score.
    pub score: Score,
    /// The score from which on a text of this source is taken for an attack.
    pub threshold: f32,
    /// The words of the reading that decided, as they were read.
    pub window: String,
    /// The words that weigh most for an attack, the heaviest first.
    pub grams: Vec<Gram>,
}

/// A word of the window and what it adds to the margin, with its grams and those it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    /// The word, as it was read.
    pub text: String,
    /// What it adds.
    pub weight: f32,
}

/// The window that decides a score, in the reading that undid its disguise.
#[derive(Debug, Clone)]
pub struct Decisive {
    /// How far the model leans to calling it an attack.
    pub margin: f32,
    /// Its words, as they were read.
    pub window: String,
}

impl Scorer {
    /// Scores a text and says why.
    pub fn explain(&self, text: &str, source: Source) -> Explanation {
        let score = self.score(text, source);
        let window = self.decisive(text).window;
        let grams = self.heaviest(&window);
        Explanation { score, threshold: self.threshold(source), window, grams }
    }

    /// The window that decides a score.
    pub fn decisive(&self, text: &str) -> Decisive {
        let mut sums = Sums::default();
        let mut most: Option<(f32, String)> = None;
        for block in blocks(text) {
            views::read(block, |_: View, read| {
                if let Some(window) = self.model.lean(read, &mut sums)
                    && most.as_ref().is_none_or(|(margin, _)| window.margin > *margin)
                {
                    most = Some((window.margin, read.get(sums.bytes(&window)).unwrap_or_default().trim().to_owned()));
                }
            });
        }
        most.map_or_else(
            || Decisive { margin: self.model.none(), window: String::new() },
            |(margin, window)| Decisive { margin, window },
        )
    }

    fn heaviest(&self, window: &str) -> Vec<Gram> {
        let mut words = PerWord::default();
        grams::take(window, &mut words);
        let all = words.hashes.len() as u32;
        let mut start = 0;
        let mut first = 0;
        let mut found: Vec<Gram> = Vec::new();
        for (end_byte, end) in words.ends {
            let hashes = words.hashes.get(first..end).unwrap_or_default();
            let weight: f32 = hashes.iter().map(|hash| self.model.share(*hash, all)).sum();
            let text = window.get(start..end_byte).unwrap_or_default().trim();
            if weight > 0.0 {
                match found.iter_mut().find(|gram| gram.text == text) {
                    Some(gram) => gram.weight += weight,
                    None => found.push(Gram { text: text.to_owned(), weight }),
                }
            }
            (start, first) = (end_byte, end);
        }
        found.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        found.truncate(GRAMS_MAX);
        found
    }
}

#[derive(Default)]
struct PerWord {
    hashes: Vec<u64>,
    ends: Vec<(usize, usize)>,
}

impl Sink for PerWord {
    fn gram(&mut self, hash: u64) {
        self.hashes.push(hash);
    }

    fn word(&mut self, end: usize) {
        self.ends.push((end, self.hashes.len()));
    }
}
