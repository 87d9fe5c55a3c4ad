//! The values of one request and what stands for them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
    sync::Arc,
};

use super::ConversationKey;

/// Values of one request that have a placeholder. Further ones are masked for good.
pub const VALUES_MAX: usize = 1024;
/// Bytes of these values together.
pub const VALUES_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the word that says what kind of value it is; longer ones are cut.
pub const KIND_BYTES_MAX: usize = 24;

/// Letters of a placeholder. Where two values would share them, the later one has more.
const LETTERS: usize = 8;
/// Sixteen consonants: four bits each.
const ALPHABET: &[u8; 16] = b"bcdfghjklmnpqrst";

/// Makes the placeholders of one request.
pub struct Placeholders {
    key: ConversationKey,
    pairs: Vec<Pair>,
    /// Where the pair of a value is, by the tag of the value.
    by_tag: HashMap<[u8; 32], usize>,
    taken: HashSet<Box<str>>,
    bytes: usize,
}

/// A placeholder, and what it stands for.
struct Pair {
    placeholder: Box<str>,
    value: Box<str>,
}

impl Placeholders {
    /// For a request of this conversation; no value has come yet.
    pub fn new(key: ConversationKey) -> Self {
        Self { key, pairs: Vec::new(), by_tag: HashMap::new(), taken: HashSet::new(), bytes: 0 }
    }

    /// What stands for this value. `None` if the request has as many as it may: then the value is to be masked for good.
    pub fn placeholder(&mut self, kind: &str, value: &str) -> Option<&str> {
        let tag = self.key.tag(kind, value);
        let at = match self.by_tag.get(&tag) {
            Some(at) => *at,
            None => self.add(kind, value, tag)?,
        };
        self.pairs.get(at).map(|pair| &*pair.placeholder)
    }

    fn add(&mut self, kind: &str, value: &str, tag: [u8; 32]) -> Option<usize> {
        if self.pairs.len() >= VALUES_MAX || self.bytes + value.len() > VALUES_BYTES_MAX {
            return None;
        }
        let placeholder = self.unused(kind, &tag)?;
        self.bytes += value.len();
        self.taken.insert(placeholder.clone());
        self.pairs.push(Pair { placeholder, value: value.into() });
        let at = self.pairs.len() - 1;
        self.by_tag.insert(tag, at);
        Some(at)
    }

    /// The shortest placeholder that stands for nothing yet. A conversation that grows brings the same values in the same
    /// order, so a longer one comes again as well.
    fn unused(&self, kind: &str, tag: &[u8; 32]) -> Option<Box<str>> {
        let letters = tag.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let letters: String =
            letters.filter_map(|four| ALPHABET.get(usize::from(four))).copied().map(char::from).collect();
        let kind = word(kind);
        (LETTERS..=letters.len())
            .filter_map(|length| letters.get(..length))
            .map(|letters| format!("<{kind}_{letters}>").into_boxed_str())
            .find(|placeholder| !self.taken.contains(placeholder))
    }

    /// Nothing more comes in: what may be restored in the answers.
    pub fn into_values(self) -> Arc<Values> {
        let lowered = |pair: Pair| Pair { placeholder: pair.placeholder.to_ascii_lowercase().into(), ..pair };
        let mut pairs: Vec<_> = self.pairs.into_iter().map(lowered).collect();
        pairs.sort_unstable_by(|one, other| one.placeholder.cmp(&other.placeholder));
        Arc::new(Values(pairs.into()))
    }
}

/// A kind as the word of a placeholder: letters and digits of ASCII, and `_`.
fn word(kind: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let word: String = kind.chars().take(KIND_BYTES_MAX).map(letter).collect();
    if word.is_empty() { "VALUE".to_owned() } else { word }
}

impl fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placeholders").field("values", &self.pairs.len()).finish_non_exhaustive()
    }
}

/// The values of one request that may be restored, by their placeholders in lower case, in order.
pub struct Values(Box<[Pair]>);

impl Values {
    /// Whether there is nothing to restore.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All places.
    pub(super) fn all(&self) -> Range<usize> {
        0..self.0.len()
    }

    /// Those of these places, whose placeholders are the same up to `at`, that go on with this byte.
    pub(super) fn going_on(&self, places: &Range<usize>, at: usize, byte: u8) -> Range<usize> {
        let among = self.0.get(places.clone()).unwrap_or_default();
        let next = |pair: &Pair| pair.placeholder.as_bytes().get(at).copied();
        let from = among.partition_point(|pair| next(pair) < Some(byte));
        let to = among.partition_point(|pair| next(pair) <= Some(byte));
        places.start + from..places.start + to
    }

    /// The value at this place, if its placeholder is this long.
    pub(super) fn whole(&self, place: usize, length: usize) -> Option<&str> {
        self.0.get(place).filter(|pair| pair.placeholder.len() == length).map(|pair| &*pair.value)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("values", &self.0.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_placeholder_that_is_taken_becomes_longer_and_does_so_again() {
        let make = |taken: Option<&str>| {
            let mut placeholders = Placeholders::new(ConversationKey::derive(&[0; 32], "acme", b"hello"));
            placeholders.taken.extend(taken.map(Into::into));
            placeholders.placeholder("email", "bob@example.org").unwrap().to_owned()
        };
        let first = make(None);
        let longer = make(Some(&first));
        assert_eq!(longer.len(), first.len() + 1);
        assert!(longer.starts_with(first.trim_end_matches('>')));
        assert_eq!(make(Some(&first)), longer);
    }
}
