//! What kind each byte of the inner JSON is, and what its escapes say.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::guard::lanes::{
    json::DEPTH_MAX,
    stream::escapes::{Escape, escape},
};

/// What a byte is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The insides of a string.
    Content,
    /// What makes it JSON: quotes, brackets, colons, commas, white space.
    Structure,
    /// A number, `true`, `false`, `null`.
    Bare,
    /// No JSON.
    Loose,
}

/// Bytes of one kind that were given to the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) class: Class,
    /// As many were given.
    pub(super) len: usize,
    /// How they were written, where that is not the same.
    pub(super) raw: Option<Raw>,
}

/// One escape, or the two of a surrogate pair.
pub(super) type Raw = SmallVec<[u8; 12]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// Where in the inner JSON the next byte stands.
#[derive(Debug)]
pub(super) struct Lexer {
    expects: Expects,
    in_string: bool,
    is_loose: bool,
    /// A bit for each container that is open, the innermost the lowest, 1 for an object.
    are_objects: u128,
    depth: u32,
    /// The number or word that is being written, as far as it has to be known.
    bare: SmallVec<[u8; 9]>,
    /// An escape whose end has not come, or half of a surrogate pair.
    escape: Raw,
}

impl Default for Lexer {
    fn default() -> Self {
        Self {
            expects: Expects::Value,
            in_string: false,
            is_loose: false,
            are_objects: 0,
            depth: 0,
            bare: SmallVec::new(),
            escape: Raw::new(),
        }
    }
}

/// What is given to the text, and what it was.
type Runs = VecDeque<Run>;

impl Lexer {
    /// Whether bytes have come of which nothing was given to the text.
    pub(super) fn waits(&self) -> bool {
        !self.escape.is_empty()
    }

    /// How many.
    pub(super) fn waiting(&self) -> usize {
        self.escape.len()
    }

    /// Takes one byte.
    pub(super) fn take(&mut self, byte: u8, fed: &mut Vec<u8>, runs: &mut Runs) {
        if self.waits() {
            self.go_on_with_escape(byte, fed, runs);
        } else if byte == b'\\' && (self.in_string || self.is_loose) {
            self.escape.push(byte);
        } else {
            let class = self.class(byte);
            give(class, byte, fed, runs);
        }
    }

    /// Nothing follows: an escape without an end is no escape.
    pub(super) fn finish(&mut self, fed: &mut Vec<u8>, runs: &mut Runs) {
        if self.escape.len() >= 6 {
            self.give_escape("\u{fffd}".as_bytes(), 6, fed, runs);
        }
        self.stray(fed, runs);
    }

    fn go_on_with_escape(&mut self, byte: u8, fed: &mut Vec<u8>, runs: &mut Runs) {
        // Behind the first half of a pair there must be another escape.
        let half_alone = match self.escape.len() {
            6 => byte != b'\\',
            7 => byte != b'u',
            _ => false,
        };
        if half_alone {
            self.give_escape("\u{fffd}".as_bytes(), 6, fed, runs);
            if self.waits() {
                self.go_on_with_escape(byte, fed, runs);
            } else {
                self.take(byte, fed, runs);
            }
            return;
        }
        self.escape.push(byte);
        let is_hex = |at: usize| at % 6 < 2 || byte.is_ascii_hexdigit();
        let is_sound = match self.escape.len() {
            2 => matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u'),
            len => is_hex(len - 1),
        };
        if !is_sound {
            if self.escape.len() > 6 {
                self.give_escape("\u{fffd}".as_bytes(), 6, fed, runs);
            }
            self.is_loose |= self.in_string;
            self.stray(fed, runs);
            return;
        }
        self.complete(fed, runs);
    }

    /// Gives what is complete.
    fn complete(&mut self, fed: &mut Vec<u8>, runs: &mut Runs) {
        let whole = self.escape.clone();
        let Some((first, rest)) = escape(&whole) else { return };
        match (first, escape(rest)) {
            (Escape::Byte(byte), _) => self.give_escape(&[byte], 2, fed, runs),
            (Escape::Unit(0xd800..=0xdbff), None) => {}
            (Escape::Unit(high @ 0xd800..=0xdbff), Some((second, _))) => {
                let Escape::Unit(low) = second else { return };
                if let Some(Ok(said)) = char::decode_utf16([high, low]).next() {
                    self.give_escape(said.encode_utf8(&mut [0; 4]).as_bytes(), 12, fed, runs);
                } else {
                    self.give_escape("\u{fffd}".as_bytes(), 6, fed, runs);
                    self.complete(fed, runs);
                }
            }
            (Escape::Unit(unit), _) => {
                let said = char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.give_escape(said.encode_utf8(&mut [0; 4]).as_bytes(), 6, fed, runs);
            }
        }
    }

    /// The first bytes of what waits say this.
    fn give_escape(&mut self, said: &[u8], written: usize, fed: &mut Vec<u8>, runs: &mut Runs) {
        let written = written.min(self.escape.len());
        let raw: Raw = self.escape.drain(..written).collect();
        fed.extend_from_slice(said);
        let class = if self.is_loose { Class::Loose } else { Class::Content };
        runs.push_back(Run { class, len: said.len(), raw: Some(raw) });
    }

    /// What waits is no escape.
    fn stray(&mut self, fed: &mut Vec<u8>, runs: &mut Runs) {
        for byte in std::mem::take(&mut self.escape) {
            give(Class::Loose, byte, fed, runs);
        }
    }

    fn class(&mut self, byte: u8) -> Class {
        if self.is_loose {
            return Class::Loose;
        }
        if self.in_string {
            return match byte {
                b'"' => {
                    self.in_string = false;
                    Class::Structure
                }
                0..=0x1f => self.loose(),
                _ => Class::Content,
            };
        }
        if !self.bare.is_empty() {
            if is_bare(byte) {
                return if self.goes_on(byte) { Class::Bare } else { self.loose() };
            }
            self.bare.clear();
            self.ended_value();
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Class::Structure;
        }
        if self.structure(byte) { Class::Structure } else { self.begin_bare(byte) }
    }

    /// Whether this belongs to the structure here.
    fn structure(&mut self, byte: u8) -> bool {
        let in_object = self.depth > 0 && self.are_objects & 1 == 1;
        match (self.expects, byte) {
            (Expects::Value | Expects::ValueOrEnd, b'{' | b'[') if self.depth < DEPTH_MAX => {
                self.depth += 1;
                self.are_objects = self.are_objects << 1 | u128::from(byte == b'{');
                self.expects = if byte == b'{' { Expects::KeyOrEnd } else { Expects::ValueOrEnd };
            }
            (Expects::Value | Expects::ValueOrEnd, b'"') => {
                self.in_string = true;
                self.ended_value();
            }
            (Expects::Key | Expects::KeyOrEnd, b'"') => {
                self.in_string = true;
                self.expects = Expects::Colon;
            }
            (Expects::Colon, b':') => self.expects = Expects::Value,
            (Expects::CommaOrEnd, b',') => self.expects = if in_object { Expects::Key } else { Expects::Value },
            (Expects::CommaOrEnd | Expects::KeyOrEnd, b'}') if in_object => self.close(),
            (Expects::CommaOrEnd | Expects::ValueOrEnd, b']') if !in_object => self.close(),
            _ => return false,
        }
        true
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.are_objects >>= 1;
        self.ended_value();
    }

    fn ended_value(&mut self) {
        self.expects = if self.depth == 0 { Expects::Nothing } else { Expects::CommaOrEnd };
    }

    /// A number or a word begins, within a container: alone, it is rather a text.
    fn begin_bare(&mut self, byte: u8) -> Class {
        let expected = matches!(self.expects, Expects::Value | Expects::ValueOrEnd) && self.depth > 0;
        if expected && matches!(byte, b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I') {
            self.bare.push(byte);
            Class::Bare
        } else {
            self.loose()
        }
    }

    /// Whether a number or a word may go on with this.
    fn goes_on(&mut self, byte: u8) -> bool {
        let last = self.bare.last().copied().unwrap_or_default();
        if matches!(self.bare.first(), Some(b'-' | b'0'..=b'9')) && !matches!(byte, b'I') && last != b'I' {
            // Only the last byte of a number matters for what may follow.
            self.bare.truncate(1);
            self.bare.push(byte);
            return match byte {
                b'0'..=b'9' => true,
                b'.' | b'e' | b'E' => last.is_ascii_digit(),
                b'-' | b'+' => matches!(last, b'e' | b'E'),
                _ => false,
            };
        }
        self.bare.push(byte);
        [&b"true"[..], b"false", b"null", b"NaN", b"Infinity", b"-Infinity"]
            .iter()
            .any(|word| word.starts_with(&self.bare))
    }

    fn loose(&mut self) -> Class {
        self.is_loose = true;
        Class::Loose
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

fn give(class: Class, byte: u8, fed: &mut Vec<u8>, runs: &mut Runs) {
    fed.push(byte);
    match runs.back_mut() {
        Some(last) if last.class == class && last.raw.is_none() => last.len += 1,
        _ => runs.push_back(Run { class, len: 1, raw: None }),
    }
}
