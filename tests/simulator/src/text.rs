//! Text as the simulator understands it: pieces that count as tokens, and words to say.

use std::hash::{Hash, Hasher};

/// The longest piece, in characters without the space before it.
const PIECE_CHARS_MAX: usize = 6;

/// Splits a text into pieces, each of which counts as one token. Together they are the text.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut chars) = (0, 0);
    for (at, character) in text.char_indices() {
        let begins_word = character.is_whitespace() && chars > 0;
        if begins_word || chars == PIECE_CHARS_MAX {
            pieces.push(text.get(start..at).unwrap_or_default());
            (start, chars) = (at, 0);
        }
        chars += usize::from(!character.is_whitespace());
    }
    if start < text.len() {
        pieces.push(text.get(start..).unwrap_or_default());
    }
    pieces
}

/// The numbers of a text's tokens.
pub(crate) fn tokens(text: &str) -> Vec<u32> {
    pieces(text).into_iter().map(token).collect()
}

/// The number of one token.
pub(crate) fn token(piece: &str) -> u32 {
    hash(&piece) as u32
}

/// A hash that is the same in every run.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hash = Fnv::default();
    value.hash(&mut hash);
    hash.finish()
}

/// FNV-1a, with its bits mixed at the end.
#[derive(Debug)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        Random::new(self.0).next()
    }
}

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get((self.next() % from.len().max(1) as u64) as usize).copied().unwrap_or_default()
    }
}

const SUBJECTS: &[&str] =
    &["the gate", "a guard", "the river", "an old map", "the night watch", "a lantern", "the bridge"];
const VERBS: &[&str] = &["keeps", "carries", "answers", "remembers", "opens", "follows", "measures"];
const OBJECTS: &[&str] =
    &["the key", "every name", "a quiet song", "the last hour", "the road", "its own light", "a promise"];

/// Sentences that mean nothing, the same for the same seed.
pub(crate) fn sentences(random: &mut Random, count: usize) -> String {
    let sentence = |random: &mut Random| {
        let words = format!("{} {} {}.", random.pick(SUBJECTS), random.pick(VERBS), random.pick(OBJECTS));
        let mut chars = words.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    };
    (0..count).map(|_| sentence(random)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_together_are_the_text() {
        for text in
            ["", " ", "a", "Hello, world!", "  two  spaces\n\nand lines ", "überraschenderweise läuft 東京都庁 é"]
        {
            assert_eq!(pieces(text).concat(), text);
        }
        assert_eq!(pieces("Hello there, wonderful one"), ["Hello", " there,", " wonder", "ful", " one"]);
    }

    #[test]
    fn sentences_come_from_the_seed() {
        let say = |seed| sentences(&mut Random::new(seed), 3);
        assert_eq!(say(7), say(7));
        assert_ne!(say(7), say(8));
    }
}
