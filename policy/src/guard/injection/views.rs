//! What a text says besides what it says: readings of it that undo a disguise. Each costs a pass of the model, so they are made
//! only where the text looks like one, and their number and bytes are bounded.

use std::collections::VecDeque;

use base64::{Engine, alphabet, engine::general_purpose};

use super::{
    normalise::{Signals, normalise},
    words::{Tongue, tongues},
};

/// Readings of one block of text beside its own.
pub const VIEWS_MAX: usize = 8;
/// Encodings within encodings that are undone.
pub const VIEW_DEPTH_MAX: usize = 3;
/// Readings of one block of text together, in bytes.
pub const VIEW_BYTES_MAX: usize = 64 * 1024;

/// The shortest run that may be base64 or hexadecimal digits, in characters.
const ENCODED_MIN: usize = 16;
/// Letters that stand alone in a row where a text was spaced out.
const SPACED_MIN: usize = 6;
/// Escapes that a text has where it was escaped.
const ESCAPES_MIN: usize = 3;
/// Words with digits for letters where a text was written so: of eight in a row, and of a text with fewer words. Names in
/// sources have digits too, but stand further apart.
const LEET_CROWD_MIN: u32 = 3;
const LEET_MIN: usize = 2;

/// How a text was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// As it stands.
    Plain,
    /// What stands in characters that nobody sees.
    Hidden,
    /// With digits and signs read as the letters that they look like.
    Leet,
    /// With letters that stand apart read as words.
    Spaced,
    /// What base64 in it says.
    Base64,
    /// What hexadecimal digits in it say.
    Hex,
    /// With URL, HTML and string escapes undone.
    Escapes,
    /// From its end to its start.
    Reversed,
    /// With letters moved by thirteen.
    Rot13,
}

impl View {
    /// Its name where people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Hidden => "hidden",
            Self::Leet => "leet",
            Self::Spaced => "spaced",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Escapes => "escapes",
            Self::Reversed => "reversed",
            Self::Rot13 => "rot13",
        }
    }
}

/// Shows each reading of a text to `visit`, its own first. Returns what tells of a disguise, in any of them.
pub fn read(text: &str, mut visit: impl FnMut(View, &str)) -> Signals {
    let normal = normalise(text);
    visit(View::Plain, &normal.text);
    let mut signals = normal.signals;
    let mut further = Further { queue: VecDeque::new(), views: 0, bytes: 0 };
    if !normal.hidden.is_empty() {
        further.add(View::Hidden, &normal.hidden, 1);
    }
    further.add_all(&normal.text, View::Plain, 1);
    while let Some((view, text, depth)) = further.queue.pop_front() {
        let normal = normalise(&text);
        visit(view, &normal.text);
        signals = signals.join(normal.signals);
        further.add_all(&normal.text, view, depth + 1);
    }
    signals
}

/// Readings that are still to be shown.
struct Further {
    queue: VecDeque<(View, String, usize)>,
    views: usize,
    bytes: usize,
}

impl Further {
    fn add(&mut self, view: View, text: &str, depth: usize) {
        if text.is_empty() || self.views == VIEWS_MAX || self.bytes + text.len() > VIEW_BYTES_MAX {
            return;
        }
        self.views += 1;
        self.bytes += text.len();
        self.queue.push_back((view, text.to_owned(), depth));
    }

    fn add_all(&mut self, text: &str, of: View, depth: usize) {
        // What digits stood for is the last disguise to be undone: it changes letters that others are told by.
        if depth > VIEW_DEPTH_MAX || of == View::Leet {
            return;
        }
        let counts = tongues(text);
        let mut add = |view, read: Option<String>| {
            if let Some(read) = read {
                self.add(view, &read, depth);
            }
        };
        let runs = Runs::of(text);
        if runs.encoded {
            add(View::Base64, base64(text));
        }
        if runs.hex {
            add(View::Hex, hex(text));
        }
        if runs.escapes >= ESCAPES_MIN {
            add(View::Escapes, unescaped(text));
        }
        if runs.spaced && of != View::Spaced {
            add(View::Spaced, unspaced(text));
        }
        if of != View::Reversed && counts.speaks(Tongue::Reversed) {
            add(View::Reversed, Some(text.chars().rev().collect()));
        }
        if of != View::Rot13 && counts.speaks(Tongue::Rot13) {
            add(View::Rot13, Some(text.chars().map(rot13).collect()));
        }
        if runs.leet {
            add(View::Leet, unleet(text));
        }
    }
}

/// What one look over the bytes says about which readings may be worth making.
struct Runs {
    encoded: bool,
    hex: bool,
    spaced: bool,
    leet: bool,
    escapes: usize,
}

impl Runs {
    fn of(text: &str) -> Self {
        let mut runs = Self { encoded: false, hex: false, spaced: false, leet: false, escapes: 0 };
        let (mut encoded, mut hex_digits, mut alone, mut letters, mut signs) =
            (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
        let (mut word, mut before) = (0_usize, 0_u8);
        for byte in text.bytes().chain(std::iter::once(b'\n')) {
            let kind = KINDS.get(usize::from(byte)).copied().unwrap_or(0);
            encoded = if kind & ENCODED != 0 { encoded + 1 } else { 0 };
            runs.encoded |= encoded >= ENCODED_MIN;
            runs.escapes += usize::from(kind & ESCAPE != 0);
            if kind & HEX != 0 {
                hex_digits += 1;
                runs.hex |= hex_digits >= ENCODED_MIN;
            } else if kind & (BREAK | ESCAPE) == 0 && byte != b'x' {
                hex_digits = 0;
            }
            if kind & BREAK != 0 {
                // A run of breaks ends one word only.
                if word == 1 && before & (LETTER | HEX) != 0 {
                    alone += 1;
                    runs.spaced |= alone >= SPACED_MIN;
                } else if word > 0 {
                    alone = 0;
                }
                runs.leet |= signs > 0 && (letters > 0 || signs > 2);
                (word, letters, signs) = (0, 0, 0);
            } else {
                // Bytes that continue a character are none of their own.
                word += usize::from(!matches!(byte, 0x80..0xc0));
                letters += usize::from(kind & LETTER != 0);
                signs += usize::from(kind & LEET != 0);
            }
            before = kind;
        }
        runs
    }
}

const ENCODED: u8 = 1;
const HEX: u8 = 2;
const ESCAPE: u8 = 4;
const LETTER: u8 = 8;
const LEET: u8 = 16;
const BREAK: u8 = 32;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        let mut kind = 0;
        if character.is_ascii_alphanumeric() || matches!(character, b'+' | b'/' | b'-' | b'_') {
            kind |= ENCODED;
        }
        if character.is_ascii_hexdigit() {
            kind |= HEX;
        }
        if matches!(character, b'%' | b'\\' | b'&') {
            kind |= ESCAPE;
        }
        if character.is_ascii_alphabetic() || !character.is_ascii() {
            kind |= LETTER;
        }
        if leet_letter(character as char).is_some() {
            kind |= LEET;
        }
        if is_break(character as char) {
            kind |= BREAK;
        }
        #[expect(clippy::indexing_slicing, reason = "the index is below 256, and this is evaluated when compiled")]
        {
            kinds[byte] = kind;
        }
        byte += 1;
    }
    kinds
};

/// What may stand between letters that stand apart.
const fn is_break(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t' | '\r' | '.' | '-' | '_' | '*' | '|' | '/' | ',' | '~' | ':')
}

/// The letter that a digit or sign is written for.
const fn leet_letter(character: char) -> Option<char> {
    Some(match character {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => return None,
    })
}

/// The text with words of letters and leet read as letters.
fn unleet(text: &str) -> Option<String> {
    let mut read = String::with_capacity(text.len());
    let (mut words, mut changed, mut crowded) = (0, 0, false);
    let mut latest = 0_u8;
    for piece in text.split_inclusive(char::is_whitespace) {
        // What ends a word is read as what it is.
        let word = piece.trim_end_matches(|c: char| {
            c.is_whitespace() || matches!(c, '!' | '.' | ',' | '?' | ':' | ';' | ')' | '"')
        });
        let letters = word.chars().filter(char::is_ascii_alphabetic).count();
        let signs = word.chars().filter(|c| leet_letter(*c).is_some()).count();
        let foreign = word.chars().any(|c| {
            !c.is_ascii_alphanumeric() && leet_letter(c).is_none() && !matches!(c, '\'' | '-' | '(' | '"' | ',')
        });
        let disguised = signs > 0 && !foreign && letters > 0;
        words += 1;
        changed += usize::from(disguised);
        latest = latest << 1 | u8::from(disguised);
        crowded |= latest.count_ones() >= LEET_CROWD_MIN;
        if signs == 0 || foreign || (letters == 0 && signs < 2) {
            read.push_str(piece);
            continue;
        }
        read.extend(word.chars().map(|c| leet_letter(c).unwrap_or(c)));
        read.push_str(piece.get(word.len()..).unwrap_or_default());
    }
    (crowded || (words < 8 && changed >= LEET_MIN)).then_some(read)
}

/// The text with letters that stand apart pulled together.
fn unspaced(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut read = String::with_capacity(text.len());
    let mut at = 0;
    let mut found = false;
    while let Some(&first) = characters.get(at) {
        let starts = at.checked_sub(1).and_then(|before| characters.get(before)).is_none_or(|before| is_break(*before));
        let end = if starts { run_of_letters(&characters, at) } else { None };
        let Some((end, word)) = end else {
            read.push(first);
            at += 1;
            continue;
        };
        found = true;
        read.push_str(&word);
        at = end;
    }
    found.then_some(read)
}

/// Where a run of single letters that begins at `start` ends, and what it says. More than one break is a space between words.
fn run_of_letters(characters: &[char], start: usize) -> Option<(usize, String)> {
    let mut word = String::new();
    let (mut at, mut end, mut letters) = (start, start, 0);
    while let Some(&letter) = characters.get(at) {
        if is_break(letter) || characters.get(at + 1).is_some_and(|next| !is_break(*next)) {
            break;
        }
        word.push(letter);
        letters += 1;
        end = at + 1;
        let breaks = characters.get(end..)?.iter().take_while(|c| is_break(**c)).count();
        at = end + breaks;
        if breaks > 1 {
            word.push(' ');
        }
    }
    (letters >= SPACED_MIN).then(|| {
        let ended = word.trim_end().len();
        word.truncate(ended);
        (end, word)
    })
}

const LENIENT: general_purpose::GeneralPurposeConfig = general_purpose::GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);

/// What runs of base64 in the text say, one after the other.
fn base64(text: &str) -> Option<String> {
    let mut read = String::new();
    // Lines of 76 characters and the like are one run.
    let joined = joined_lines(text);
    for run in joined.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_'))) {
        if run.len() < ENCODED_MIN || is_lower_word(run) {
            continue;
        }
        let standard = run.replace('-', "+").replace('_', "/");
        // A last character alone cannot be of a whole byte.
        let whole =
            if standard.len() % 4 == 1 { standard.get(..standard.len() - 1).unwrap_or_default() } else { &standard };
        let engine = general_purpose::GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
        if let Ok(bytes) = engine.decode(whole) {
            push_text(&bytes, &mut read);
        }
    }
    (!read.is_empty()).then_some(read)
}

/// Words of prose are not encodings.
fn is_lower_word(run: &str) -> bool {
    run.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'/'))
}

/// The text without line ends inside of long runs of letters.
fn joined_lines(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        let run = line.len() >= 40
            && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        joined.push_str(line);
        if !run {
            joined.push('\n');
        }
    }
    joined
}

/// What runs of hexadecimal digits in the text say: `69676e` and `69 67 6e` and `\x69\x67` and `0x69`.
fn hex(text: &str) -> Option<String> {
    let mut read = String::new();
    let mut bytes = Vec::new();
    let mut characters = text.bytes().peekable();
    let mut high: Option<u8> = None;
    let mut before = 0_u8;
    let mut close = |bytes: &mut Vec<u8>| {
        if bytes.len() * 2 >= ENCODED_MIN {
            push_text(bytes, &mut read);
        }
        bytes.clear();
    };
    while let Some(byte) = characters.next() {
        match (char::from(byte).to_digit(16), high) {
            (Some(0), None) if matches!(characters.peek(), Some(b'x' | b'X')) => {
                characters.next();
            }
            (Some(digit), Some(first)) => {
                bytes.push(first << 4 | digit as u8);
                high = None;
            }
            (Some(digit), None) => high = Some(digit as u8),
            (None, _) => {
                let between = matches!(byte, b' ' | b':' | b',' | b'\\' | b'%' | b'\n')
                    || (matches!(byte, b'x' | b'X') && before == b'\\');
                if high.take().is_some() || !between {
                    close(&mut bytes);
                }
            }
        }
        before = byte;
    }
    close(&mut bytes);
    (!read.is_empty()).then_some(read)
}

/// Adds decoded bytes if they are text.
fn push_text(bytes: &[u8], read: &mut String) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may have been cut.
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok()).unwrap_or_default()
        }
        Err(_) => return,
    };
    let (mut all, mut words) = (0, 0);
    for character in text.chars() {
        all += 1;
        words +=
            usize::from(character.is_alphanumeric() || character.is_whitespace() || character.is_ascii_punctuation());
    }
    if all > 0 && words * 20 >= all * 19 {
        if !read.is_empty() {
            read.push(' ');
        }
        read.push_str(text);
    }
}

/// The text with `%69`, `&#105;`, `\u0069` and `\x69` read.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut undone = 0;
    while let Some(first) = rest.chars().next() {
        if let Some((character, length)) = escape(rest) {
            undone += 1;
            match character {
                Escaped::Byte(byte) => bytes.push(byte),
                Escaped::Character(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            rest = rest.get(length..).unwrap_or_default();
        } else {
            let length = first.len_utf8();
            bytes.extend_from_slice(rest.get(..length).unwrap_or_default().as_bytes());
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    (undone >= ESCAPES_MIN).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

enum Escaped {
    Byte(u8),
    Character(char),
}

/// The escape that `text` begins with, and its bytes.
fn escape(text: &str) -> Option<(Escaped, usize)> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    if text.starts_with('%') {
        return Some((Escaped::Byte(byte(1)?), 3));
    }
    if text.starts_with("\\x") {
        return Some((Escaped::Byte(byte(2)?), 4));
    }
    if text.starts_with("\\u") {
        let code = u32::from_str_radix(text.get(2..6)?, 16).ok()?;
        return Some((Escaped::Character(char::from_u32(code)?), 6));
    }
    let number = text.strip_prefix("&#")?;
    let end = number.bytes().take(9).position(|byte| byte == b';')?;
    let digits = number.get(..end)?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some((Escaped::Character(char::from_u32(code)?), end + 3))
}

const fn rot13(character: char) -> char {
    match character {
        'a'..='m' | 'A'..='M' => (character as u8 + 13) as char,
        'n'..='z' | 'N'..='Z' => (character as u8 - 13) as char,
        _ => character,
    }
}
