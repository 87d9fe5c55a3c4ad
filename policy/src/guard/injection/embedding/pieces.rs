//! From a text to the pieces of words that the model knows: BERT's WordPiece, without case and accents.

use std::{collections::HashMap, sync::LazyLock};

use icu_normalizer::DecomposingNormalizerBorrowed;
use regex::Regex;

/// The longest word that is cut into pieces, in characters. A longer one is unknown.
const WORD_CHARS_MAX: usize = 100;

/// A sign, an ideograph, or a run of anything else but space.
static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let signs = r"\p{P}$+<=>^`|~";
    let ideographs = r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}";
    Regex::new(&format!(r"[{signs}]|[{ideographs}]|[^\s{signs}{ideographs}]+")).ok()
});
/// What is not read: marks, and characters that nobody sees. Space is.
static UNREAD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{Mn}\x{FFFD}[\p{C}--[\t\n\r]]]").ok());

/// The pieces that a model knows.
#[derive(Debug)]
pub(super) struct Pieces {
    numbers: HashMap<Box<str>, u32>,
    begin: u32,
    end: u32,
    unknown: u32,
}

impl Pieces {
    /// Reads a vocabulary: a piece a line, those that go on with a word after `##`.
    pub(super) fn parse(vocabulary: &str, count: usize) -> Result<Self, String> {
        let numbers: HashMap<Box<str>, u32> = vocabulary.lines().map(Box::from).zip(0..).collect();
        if numbers.len() != count {
            return Err(format!("it has {} pieces and not {count}", numbers.len()));
        }
        let of = |piece: &str| numbers.get(piece).copied().ok_or_else(|| format!("it has no `{piece}`"));
        let (begin, end, unknown) = (of("[CLS]")?, of("[SEP]")?, of("[UNK]")?);
        Ok(Self { numbers, begin, end, unknown })
    }

    /// The numbers of a text's pieces, `most` of them at most, with those that stand before and after.
    pub(super) fn cut(&self, text: &str, most: usize) -> Vec<u32> {
        let mut found = vec![self.begin];
        let nfd = DecomposingNormalizerBorrowed::new_nfd();
        let text = nfd.normalize(text);
        let text = UNREAD.as_ref().map_or_else(|| text.as_ref().into(), |unread| unread.replace_all(&text, ""));
        let text = text.to_lowercase();
        for word in WORDS.iter().flat_map(|words| words.find_iter(&text)) {
            if found.len() >= most {
                break;
            }
            self.cut_word(word.as_str(), &mut found);
        }
        found.truncate(most.saturating_sub(1));
        found.push(self.end);
        found
    }

    /// The longest piece, and then the longest that goes on from there. A word that is not pieces to its end is unknown.
    fn cut_word(&self, word: &str, found: &mut Vec<u32>) {
        let before = found.len();
        let mut rest = word;
        let mut piece = String::new();
        while !rest.is_empty() && word.chars().count() <= WORD_CHARS_MAX {
            let prefix = if rest.len() == word.len() { "" } else { "##" };
            let ends = rest.char_indices().rev().map(|(at, first)| at + first.len_utf8());
            let longest = ends.into_iter().find_map(|end| {
                piece.clear();
                piece.extend([prefix, rest.get(..end)?]);
                Some((end, *self.numbers.get(piece.as_str())?))
            });
            let Some((end, number)) = longest else { break };
            found.push(number);
            rest = rest.get(end..).unwrap_or_default();
        }
        if !rest.is_empty() {
            found.truncate(before);
            found.push(self.unknown);
        }
    }
}
