//! The model in a JSON body (OpenAI, Anthropic, and all who copied them).
//!
//! One pass, no recursion, no tree, no copy: strings are skipped eight bytes at a time, containers are one bit each.
//! Strict (RFC 8259): what any parser at a backend might read otherwise is refused. Of the members of the top-level
//! object only `model` and `stream` are looked at, however their keys are escaped, and each may be there once. A key
//! that is `model` but for case is refused, because parsers that ignore case (Go's) would take its value.

use std::borrow::Cow;

use super::{check_name, duplicate, invalid_name};
use crate::refusal::Refusal;

/// How deep containers may be nested, the top-level one included.
pub(super) const DEPTH_MAX: u32 = 128;

/// No key we look for is longer, even if each of its characters is escaped (`\u0065`).
const ESCAPED_KEY_BYTES_MAX: usize = 6 * "stream".len();

/// What a JSON body says at its top level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt<'b> {
    /// `model`.
    pub model: Option<Cow<'b, str>>,
    /// `stream`; `None` where it is missing or null.
    pub stream: Option<bool>,
}

/// Reads a whole JSON body. A body that is valid and no object names no model.
pub fn from_json(body: &[u8]) -> Result<Prompt<'_>, Refusal> {
    if body.starts_with(b"\xef\xbb\xbf") {
        return Err(invalid("a byte order mark is not allowed", 0));
    }
    let text = std::str::from_utf8(body).map_err(|error| invalid("not UTF-8", error.valid_up_to()))?;
    let mut scanner = Scanner { text, body, at: 0 };
    let prompt = if scanner.token() == Some(b'{') {
        scanner.top_level()?
    } else {
        scanner.skip_value()?;
        Prompt::default()
    };
    match scanner.token() {
        None => Ok(prompt),
        Some(_) => Err(scanner.unexpected("the end")),
    }
}

fn invalid(what: &str, at: usize) -> Refusal {
    Refusal::malformed("invalid_json", format!("the request body is not valid JSON: {what} at byte {at}"))
}

/// A string between its quotes.
#[derive(Clone, Copy)]
struct Quoted<'b> {
    raw: &'b str,
    is_escaped: bool,
}

struct Scanner<'b> {
    text: &'b str,
    body: &'b [u8],
    at: usize,
}

impl<'b> Scanner<'b> {
    /// The members of the top-level object.
    fn top_level(&mut self) -> Result<Prompt<'b>, Refusal> {
        let mut prompt = Prompt::default();
        let mut has_stream = false;
        self.at += 1;
        if self.token() == Some(b'}') {
            self.at += 1;
            return Ok(prompt);
        }
        loop {
            match self.key()? {
                Key::Model if prompt.model.is_some() => return Err(duplicate()),
                Key::Model => prompt.model = Some(self.model()?),
                Key::Stream if has_stream => {
                    return Err(Refusal::malformed("duplicate_stream", "the request body has `stream` twice"));
                }
                Key::Stream => {
                    has_stream = true;
                    prompt.stream = self.stream()?;
                }
                Key::Other => self.skip_value()?,
            }
            match self.token() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
        self.at += 1;
        Ok(prompt)
    }

    fn model(&mut self) -> Result<Cow<'b, str>, Refusal> {
        if self.token() != Some(b'"') {
            return Err(invalid_name());
        }
        let Quoted { raw, is_escaped } = self.string()?;
        // The longest escape is six bytes for one.
        if raw.len() > 6 * super::NAME_BYTES_MAX {
            return Err(invalid_name());
        }
        let name = if is_escaped { Cow::Owned(unescape(raw).ok_or_else(invalid_name)?) } else { Cow::Borrowed(raw) };
        check_name(name)
    }

    fn stream(&mut self) -> Result<Option<bool>, Refusal> {
        let value = match self.token() {
            Some(b't') => Some(true),
            Some(b'f') => Some(false),
            Some(b'n') => None,
            _ => return Err(Refusal::malformed("invalid_stream", "`stream` must be true or false")),
        };
        self.skip_value()?;
        Ok(value)
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Key, Refusal> {
        if self.token() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        let key = self.string()?;
        if self.token() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        Key::of(key)
    }

    /// A key whose name does not matter, and its colon.
    fn skip_key(&mut self) -> Result<(), Refusal> {
        if self.token() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        self.string()?;
        if self.token() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// One value with all that is in it.
    fn skip_value(&mut self) -> Result<(), Refusal> {
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
                        self.skip_key()?;
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
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => return Err(self.unexpected("a value")),
            }
            loop {
                let Some(is_object) = open.top() else { return Ok(()) };
                match (self.token(), is_object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.skip_key()?;
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
                    (_, true) => return Err(self.unexpected("`,` or `}`")),
                    (_, false) => return Err(self.unexpected("`,` or `]`")),
                }
            }
        }
    }

    /// The next byte that is not white space.
    fn token(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// A string; stands at its first quote.
    fn string(&mut self) -> Result<Quoted<'b>, Refusal> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            self.at += plain_len(self.body.get(self.at..).unwrap_or_default());
            match self.body.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.unexpected("no control character")),
                None => return Err(self.unexpected("`\"`")),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Quoted { raw, is_escaped })
    }

    /// `\n`, `\u0065`; stands at the backslash.
    fn escape(&mut self) -> Result<(), Refusal> {
        match self.body.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.body.get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => self.at += 6,
                _ => return Err(self.unexpected("four hexadecimal digits after")),
            },
            _ => return Err(self.unexpected("no such escape as")),
        }
        Ok(())
    }

    fn literal(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.body.get(self.at..).is_some_and(|rest| rest.starts_with(name.as_bytes())) {
            return Err(self.unexpected("a value"));
        }
        self.at += name.len();
        Ok(())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<(), Refusal> {
        if self.body.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.body.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.body.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.body.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.body.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        while self.body.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    #[cold]
    fn unexpected(&self, wanted: &str) -> Refusal {
        if self.at >= self.body.len() {
            return invalid(&format!("expected {wanted}, found the end"), self.at);
        }
        invalid(&format!("expected {wanted}"), self.at)
    }

    #[cold]
    fn too_deep(&self) -> Refusal {
        Refusal::malformed("json_too_deep", format!("the request body is nested deeper than {DEPTH_MAX} levels"))
            .detail(format!("at byte {}", self.at))
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

/// What a key of the top-level object means to us.
enum Key {
    Model,
    Stream,
    Other,
}

impl Key {
    fn of(key: Quoted<'_>) -> Result<Self, Refusal> {
        if !key.is_escaped {
            return Self::named(key.raw);
        }
        if key.raw.len() > ESCAPED_KEY_BYTES_MAX {
            return Ok(Self::Other);
        }
        unescape(key.raw).map_or(Ok(Self::Other), |key| Self::named(&key))
    }

    fn named(key: &str) -> Result<Self, Refusal> {
        match key {
            "model" => Ok(Self::Model),
            "stream" => Ok(Self::Stream),
            _ if key.eq_ignore_ascii_case("model") => {
                Err(Refusal::malformed(super::CASE, "the request body has a key that is `model` but for case"))
            }
            _ => Ok(Self::Other),
        }
    }
}

/// The text that an escaped string means; `None` if it has half of a surrogate pair. Its escapes have been checked.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escaped.chars();
        match chars.next()? {
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => {
                let high = unit(chars.as_str())?;
                let low = match high {
                    0xd800..0xdc00 => Some(unit(chars.as_str().get(4..)?.strip_prefix("\\u")?)?),
                    _ => None,
                };
                let units = [high, low.unwrap_or_default()];
                let units = units.get(..1 + usize::from(low.is_some()))?;
                text.push(char::decode_utf16(units.iter().copied()).next()?.ok()?);
                rest = chars.as_str().get(if low.is_some() { 10 } else { 4 }..)?;
                continue;
            }
            itself => text.push(itself),
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// The first four characters as a UTF-16 code unit.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.get(..4)?, 16).ok()
}

/// How many bytes come before the first quote, backslash or control character.
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
