//! One reading of a text: compatibility forms made plain, marks and invisible characters dropped, look-alikes of Latin letters
//! replaced. What was invisible is counted, and what was written in invisible letters is kept apart.
//!
//! The case of ASCII letters stays, because encodings need it ([`super::views`]); grams are taken without it.

use std::borrow::Cow;

use icu_normalizer::DecomposingNormalizerBorrowed;

use super::letters::{LOOKS_LIKE, UNSEEN};

/// Invisible characters among a text's own from which on they count as a signal, in percent, and the fewest of them.
const INVISIBLE_PERCENT_MAX: usize = 3;
const INVISIBLE_MIN: usize = 8;
/// Letters of the tag block that a flag may have: `gbeng` and the like.
const FLAG_TAGS_MAX: usize = 7;
/// Variation selectors in a row that say something: a picture character has one.
const SELECTORS_MIN: usize = 4;

/// What tells of a disguise by itself, whatever the words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Letters of Unicode's tag block: text that no reader sees and a model reads.
    Tags,
    /// Bytes written as variation selectors.
    Selectors,
    /// A character that turns the direction of what follows around.
    Override,
    /// More invisible characters than writing needs.
    Invisible,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 4] = [Self::Tags, Self::Selectors, Self::Override, Self::Invisible];

    /// Its name where people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tags => "tag-block",
            Self::Selectors => "variation-selectors",
            Self::Override => "direction-override",
            Self::Invisible => "invisible-characters",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals(u8);

impl Signals {
    /// Whether the signal was seen.
    pub const fn has(self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// Whether none was seen.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that were seen.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.into_iter().filter(move |signal| self.has(*signal))
    }

    pub(super) const fn add(&mut self, signal: Signal) {
        self.0 |= signal.bit();
    }

    pub(super) const fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A text as it is read.
#[derive(Debug)]
pub struct Normal<'a> {
    /// What is read, with whatever was written in tag letters at its place.
    pub text: Cow<'a, str>,
    /// What was written in characters that nobody sees, by itself.
    pub hidden: String,
    /// What tells of a disguise.
    pub signals: Signals,
}

/// Reads a text. Reading what was read changes nothing.
pub fn normalise(text: &str) -> Normal<'_> {
    if text.bytes().all(is_plain) {
        return Normal { text: Cow::Borrowed(text), hidden: String::new(), signals: Signals::default() };
    }
    let mut reader = Reader::default();
    let mut characters = text.chars().peekable();
    let decomposing = DecomposingNormalizerBorrowed::new_nfkd();
    let mut seen = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            '\u{1f3f4}' => {
                reader.skip_flag(&mut characters);
                seen.push(' ');
            }
            _ => reader.take(character, &mut seen),
        }
    }
    reader.close_selectors();
    let mut read = String::with_capacity(seen.len());
    for character in decomposing.normalize_iter(seen.chars()) {
        write_plain(character, &mut read);
    }
    Normal { text: Cow::Owned(read), signals: reader.signals(), hidden: reader.hidden }
}

/// Printable ASCII and its white space are read as they are.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r')
}

fn write_plain(character: char, read: &mut String) {
    if character.is_ascii() {
        read.push(if is_plain(character as u8) { character } else { ' ' });
        return;
    }
    if is_unseen(character) {
        return;
    }
    if character.is_whitespace() || character.is_control() {
        read.push(' ');
        return;
    }
    if let Some(letter) = looks_like(character) {
        read.push(letter);
        return;
    }
    for lower in character.to_lowercase() {
        match looks_like(lower) {
            Some(letter) => read.push(letter),
            None if is_unseen(lower) => {}
            None => read.push(lower),
        }
    }
}

fn looks_like(character: char) -> Option<char> {
    let at = LOOKS_LIKE.binary_search_by_key(&character, |(from, _)| *from).ok()?;
    LOOKS_LIKE.get(at).map(|(_, to)| *to)
}

fn is_unseen(character: char) -> bool {
    let after = UNSEEN.partition_point(|(first, _)| *first <= character);
    after.checked_sub(1).and_then(|at| UNSEEN.get(at)).is_some_and(|(_, last)| character <= *last)
}

/// What is learnt while characters go by.
#[derive(Default)]
struct Reader {
    seen: usize,
    invisible: usize,
    overrides: usize,
    right_to_left: usize,
    tags: usize,
    before: Option<char>,
    selectors: Vec<u8>,
    spoke_in_selectors: bool,
    hidden: String,
}

impl Reader {
    fn take(&mut self, character: char, seen: &mut String) {
        if let Some(byte) = selected(character) {
            self.selectors.push(byte);
            return;
        }
        self.close_selectors();
        match character {
            '\u{e0020}'..='\u{e007e}' => {
                self.tags += 1;
                // The block repeats ASCII, so the difference is always an ASCII character.
                let letter = char::from((character as u32 - 0xe_0000) as u8);
                self.hidden.push(letter);
                seen.push(letter);
                self.before = Some(letter);
                return;
            }
            '\u{e0000}'..='\u{e0fff}' => self.tags += 1,
            '\u{202d}' | '\u{202e}' => self.overrides += 1,
            '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => self.right_to_left += 1,
            _ => {}
        }
        if is_format(character) {
            // Joiners are how Persian, Indic scripts and pictures are spelt.
            let spells =
                matches!(character, '\u{200c}' | '\u{200d}') && self.before.is_some_and(|before| !before.is_ascii());
            self.invisible += usize::from(!spells);
            return;
        }
        self.seen += 1;
        self.before = Some(character);
        seen.push(character);
    }

    /// A flag of a part of a country is a black flag and tag letters.
    fn skip_flag(&mut self, characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        self.close_selectors();
        let mut ahead = characters.clone();
        let mut letters = 0;
        while ahead.next_if(|next| matches!(next, '\u{e0030}'..='\u{e007a}')).is_some() {
            letters += 1;
        }
        if (1..=FLAG_TAGS_MAX).contains(&letters) && ahead.next_if_eq(&'\u{e007f}').is_some() {
            *characters = ahead;
        }
    }

    fn close_selectors(&mut self) {
        if self.selectors.len() >= SELECTORS_MIN {
            self.spoke_in_selectors = true;
            self.hidden.push_str(&String::from_utf8_lossy(&self.selectors));
            self.hidden.push(' ');
        }
        self.selectors.clear();
    }

    fn signals(&self) -> Signals {
        let mut signals = Signals::default();
        if self.tags > 0 {
            signals.add(Signal::Tags);
        }
        if self.spoke_in_selectors {
            signals.add(Signal::Selectors);
        }
        if self.overrides > 0 && self.right_to_left == 0 {
            signals.add(Signal::Override);
        }
        if self.invisible >= INVISIBLE_MIN
            && self.invisible * 100 > (self.seen + self.invisible) * INVISIBLE_PERCENT_MAX
        {
            signals.add(Signal::Invisible);
        }
        signals
    }
}

/// The byte that a variation selector stands for where text is smuggled in them.
const fn selected(character: char) -> Option<u8> {
    match character {
        '\u{fe00}'..='\u{fe0f}' => Some((character as u32 - 0xfe00) as u8),
        '\u{e0100}'..='\u{e01ef}' => Some((character as u32 - 0xe_0100 + 16) as u8),
        _ => None,
    }
}

/// Characters that are neither seen nor marks upon what is seen.
const fn is_format(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}
