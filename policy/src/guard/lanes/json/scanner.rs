//! A cursor over a document. Strings are skipped eight bytes at a time; containers that nobody asks about are one bit each.

use std::{borrow::Cow, ops::Range};

use super::{Fault, Reason, unescape};

/// How deep containers may be nested, the top-level one included.
pub const DEPTH_MAX: u32 = 128;

/// A string of a document, as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<'b> {
    /// What stands between the quotes. Its escapes have been checked, but for surrogates.
    pub raw: &'b str,
    /// Where that begins.
    pub at: usize,
    /// Whether it has an escape. Without, the text is what stands there.
    pub is_escaped: bool,
}

impl<'b> Quoted<'b> {
    /// Where it stands, without its quotes.
    pub fn range(&self) -> Range<usize> {
        self.at..self.at + self.raw.len()
    }

    /// The text that it means.
    pub fn text(&self) -> Result<Cow<'b, str>, Fault> {
        if !self.is_escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        unescape(self.raw).ok_or(Fault { reason: Reason::LoneSurrogate, at: self.at })
    }
}

/// A cursor over a document. It knows what a value is; what follows what is its caller's.
pub struct Scanner<'b> {
    text: &'b str,
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Scanner<'b> {
    /// At the beginning of a document, which must be UTF-8 without a byte order mark.
    pub fn new(json: &'b [u8]) -> Result<Self, Fault> {
        if json.starts_with(b"\xef\xbb\xbf") {
            return Err(Fault { reason: Reason::ByteOrderMark, at: 0 });
        }
        let not_utf8 = |error: std::str::Utf8Error| Fault { reason: Reason::NotUtf8, at: error.valid_up_to() };
        let text = std::str::from_utf8(json).map_err(not_utf8)?;
        Ok(Self { text, bytes: json, at: 0 })
    }

    /// Where it stands.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space; stands there.
    #[inline]
    pub fn token(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// Goes on by the byte that [`Scanner::token`] has shown.
    #[inline]
    pub fn advance(&mut self) {
        self.at += 1;
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.token() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end")),
        }
    }

    /// A key and its colon.
    #[inline]
    pub fn key(&mut self) -> Result<Quoted<'b>, Fault> {
        if self.token() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        let key = self.string()?;
        if self.token() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(key)
    }

    /// One value with all that is in it.
    pub fn skip_value(&mut self) -> Result<(), Fault> {
        let mut open = Open { are_objects: 0, depth: 0 };
        loop {
            match self.token() {
                Some(b'"') => drop(self.string()?),
                Some(b'{') => {
                    self.at += 1;
                    if self.token() == Some(b'}') {
                        self.at += 1;
                    } else {
                        open.push(true).ok_or_else(|| self.too_deep())?;
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if self.token() == Some(b']') {
                        self.at += 1;
                    } else {
                        open.push(false).ok_or_else(|| self.too_deep())?;
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                let Some(is_object) = open.top() else { return Ok(()) };
                match (self.token(), is_object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.key()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        open.pop();
                    }
                    (_, true) => return Err(self.expected("`,` or `}`")),
                    (_, false) => return Err(self.expected("`,` or `]`")),
                }
            }
        }
    }

    /// A string; stands at its first quote.
    #[inline]
    pub fn string(&mut self) -> Result<Quoted<'b>, Fault> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            self.at += plain_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("no control character")),
                None => return Err(self.expected("`\"`")),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Quoted { raw, at: start, is_escaped })
    }

    /// A number, or one of the three words.
    #[inline]
    pub fn scalar(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.at) {
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.expected("a value")),
        }
    }

    /// This should stand here.
    #[cold]
    pub fn expected(&self, what: &'static str) -> Fault {
        Fault { reason: Reason::Expected(what), at: self.at }
    }

    #[cold]
    pub(super) fn too_deep(&self) -> Fault {
        Fault { reason: Reason::TooDeep, at: self.at }
    }

    /// `\n`, `\u0065`; stands at the backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.bytes.get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => self.at += 6,
                _ => return Err(self.expected("four hexadecimal digits after")),
            },
            _ => return Err(self.expected("no such escape as")),
        }
        Ok(())
    }

    fn literal(&mut self, name: &str) -> Result<(), Fault> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(name.as_bytes())) {
            return Err(self.expected("a value"));
        }
        self.at += name.len();
        Ok(())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<(), Fault> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }
}

/// The containers that are open: a bit each, the innermost the lowest, 1 for an object.
struct Open {
    are_objects: u128,
    depth: u32,
}

impl Open {
    fn push(&mut self, is_object: bool) -> Option<()> {
        // One level is the top-level container's.
        if self.depth == DEPTH_MAX - 1 {
            return None;
        }
        self.depth += 1;
        self.are_objects = self.are_objects << 1 | u128::from(is_object);
        Some(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.are_objects >>= 1;
    }

    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.are_objects & 1 == 1)
    }
}

/// How many bytes come before the first quote, backslash or control character.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of each byte that is zero. Bytes above one that is may be marked falsely; only the lowest counts.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | controls;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}
