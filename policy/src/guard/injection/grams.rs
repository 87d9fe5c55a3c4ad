//! The features of the model: runs of two to five characters inside of words, and neighbouring words, each hashed to a row of
//! the table. The trainer and the product take them from here, so that there is one definition.

/// The longest piece of a word whose characters are looked at together; longer words are several pieces.
pub const WORD_CHARACTERS_MAX: usize = 24;
/// The longest run of characters that is a gram.
const RUN_MAX: usize = 5;

/// What comes out of a text, word by word.
pub trait Sink {
    /// A gram of the word at hand, by its hash.
    fn gram(&mut self, hash: u64);
    /// The word at hand is complete; it ends before this byte.
    fn word(&mut self, end: usize);
}

const RUN_SEED: u64 = 0x2545_f491_4f6c_dd1d;
const WORD_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const PAIR_SEED: u64 = 0xd6e8_feb8_6659_fd93;
const SKIP_SEED: u64 = 0xa076_1d64_78bd_642f;
const TRIPLE_SEED: u64 = 0xe703_7ed1_a0b4_28db;

#[inline]
const fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Takes the grams of a text that was normalised ([`super::normalise()`]).
#[inline]
pub fn take(text: &str, sink: &mut impl Sink) {
    let mut words = Words::default();
    let mut piece = [' '; WORD_CHARACTERS_MAX + 2];
    let mut length = 1;
    for (at, character) in text.char_indices() {
        if character.is_ascii_whitespace() {
            if length > 1 {
                words.add(&mut piece, length, sink);
                sink.word(at);
                length = 1;
            }
            continue;
        }
        if length > WORD_CHARACTERS_MAX {
            words.add(&mut piece, length, sink);
            sink.word(at);
            length = 1;
        }
        if let Some(place) = piece.get_mut(length) {
            *place = character.to_ascii_lowercase();
        }
        length += 1;
    }
    if length > 1 {
        words.add(&mut piece, length, sink);
        sink.word(text.len());
    }
}

/// The hashes of the words before the one at hand.
#[derive(Default)]
struct Words {
    before: u64,
    before_that: u64,
}

impl Words {
    /// A word of `piece[1..length]`, with a space to its left.
    #[inline]
    fn add(&mut self, piece: &mut [char; WORD_CHARACTERS_MAX + 2], length: usize, sink: &mut impl Sink) {
        if let Some(place) = piece.get_mut(length) {
            *place = ' ';
        }
        let piece = piece.get(..=length).unwrap_or(piece);
        for start in 0..piece.len() - 1 {
            let mut hash = RUN_SEED;
            let run = piece.get(start..).unwrap_or_default();
            for (count, character) in run.iter().take(RUN_MAX).enumerate() {
                hash = mix(hash, u64::from(*character));
                if count > 0 {
                    sink.gram(hash);
                }
            }
        }
        let mut word = WORD_SEED;
        let mut letters = 0;
        for character in piece.iter().filter(|character| character.is_alphanumeric()) {
            word = mix(word, u64::from(*character));
            letters += 1;
        }
        if letters == 0 {
            return;
        }
        sink.gram(word);
        if self.before != 0 {
            sink.gram(mix(mix(PAIR_SEED, self.before), word));
        }
        if self.before_that != 0 {
            sink.gram(mix(mix(SKIP_SEED, self.before_that), word));
            sink.gram(mix(mix(mix(TRIPLE_SEED, self.before_that), self.before), word));
        }
        self.before_that = self.before;
        self.before = word;
    }
}
