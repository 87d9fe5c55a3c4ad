//! How a text is to be read, told by the small words of it: backwards, or with its letters moved by thirteen.

/// Words that are common in prose and in orders to a model, and are no other word when they are turned around or moved.
#[rustfmt::skip]
const COMMON: [&str; 64] = [
    "the",
    "and",
    "you",
    "your",
    "this",
    "that",
    "with",
    "for",
    "from",
    "have",
    "all",
    "must",
    "will",
    "what",
    "which",
    "about",
    "ignore",
    "previous",
    "forget",
    "system",
    "prompt",
    "reveal",
    "please",
    "write",
    "print",
    "show",
    "give",
    "their",
    "there",
    "they",
    "would",
    "should",
    "could",
    "when",
    "where",
    "because",
    "into",
    "then",
    "than",
    "them",
    "other",
    "only",
    "every",
    "user",
    "rules",
    "without",
    "und",
    "nicht",
    "eine",
    "alles",
    "vous",
    "pour",
    "dans",
    "avec",
    "para",
    "como",
    "sobre",
    "todas",
    "instruction",
    "secret",
    "answer",
    "respond",
    "tell",
    "act",
];

/// How a text may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    Plain,
    Reversed,
    Rot13,
}

/// How many common words a text has in each reading.
#[derive(Debug, Default)]
pub(super) struct Counts {
    plain: usize,
    reversed: usize,
    rot13: usize,
}

impl Counts {
    /// Whether a reading is worth making: two words of it, or one where none is common as it stands.
    pub(super) const fn speaks(&self, tongue: Tongue) -> bool {
        let words = self.of(tongue);
        words >= 2 || words > self.plain
    }

    const fn of(&self, tongue: Tongue) -> usize {
        match tongue {
            Tongue::Plain => self.plain,
            Tongue::Reversed => self.reversed,
            Tongue::Rot13 => self.rot13,
        }
    }
}

/// Counts the words that would be common ones.
pub(super) fn tongues(text: &str) -> Counts {
    let mut counts = Counts::default();
    let mut word = 0_u64;
    let mut letters = 0_u32;
    for byte in text.bytes().chain(std::iter::once(b' ')) {
        if byte.is_ascii_alphabetic() {
            word = word << 8 | u64::from(byte | 0x20);
            letters += 1;
            continue;
        }
        if (3..=8).contains(&letters) {
            counts.plain += usize::from(PLAIN.has(word));
            counts.reversed += usize::from(REVERSED.has(word));
            counts.rot13 += usize::from(ROT13.has(word));
        }
        (word, letters) = (0, 0);
    }
    counts
}

static PLAIN: Table = Table::of(Tongue::Plain);
static REVERSED: Table = Table::of(Tongue::Reversed);
static ROT13: Table = Table::of(Tongue::Rot13);

/// Words of up to eight letters, each in a number, by a hash without collisions beyond its slots.
struct Table {
    slots: [u64; SLOTS],
}

const SLOTS: usize = 512;

#[expect(clippy::indexing_slicing, reason = "evaluated when compiled; an index is taken modulo the length")]
impl Table {
    const fn of(tongue: Tongue) -> Self {
        let mut slots = [0; SLOTS];
        let mut at = 0;
        while at < COMMON.len() {
            let bytes = COMMON[at].as_bytes();
            // Longer ones do not fit and are left out.
            if bytes.len() <= 8 {
                let mut word = 0_u64;
                let mut letter = 0;
                while letter < bytes.len() {
                    let byte = match tongue {
                        Tongue::Plain => bytes[letter],
                        Tongue::Reversed => bytes[bytes.len() - 1 - letter],
                        Tongue::Rot13 => (bytes[letter] - b'a' + 13) % 26 + b'a',
                    };
                    word = word << 8 | byte as u64;
                    letter += 1;
                }
                let mut slot = Self::slot(word);
                while slots[slot] != 0 {
                    slot = (slot + 1) % SLOTS;
                }
                slots[slot] = word;
            }
            at += 1;
        }
        Self { slots }
    }

    const fn slot(word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % SLOTS
    }

    const fn has(&self, word: u64) -> bool {
        let mut slot = Self::slot(word);
        while self.slots[slot] != 0 {
            if self.slots[slot] == word {
                return true;
            }
            slot = (slot + 1) % SLOTS;
        }
        false
    }
}
