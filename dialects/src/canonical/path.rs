//! The one form of a path.
//!
//! - `.` and `..` are resolved, encoded ones too (`%2e`). Above the root there is nothing: 400.
//! - Several slashes are one. (A `//` cannot mean an authority here, and backends disagree on what it does mean.)
//!   Slashes are merged before dots are resolved, as nginx does: `/a//../b` is `/b`.
//! - An encoding that the grammar of a segment does not need is undone (RFC 3986 §6.2.2.2): unreserved characters, and
//!   `!$'()*:@`, so that `:predict` and `%3Apredict` are one. What servers may take for a separator within a segment
//!   (`;=,&+`) stays as it came.
//! - Other encodings are written with upper-case digits, and characters that should have been encoded (`"<>[]^{|}` and
//!   the backquote) are.
//! - Decoding happens once: `%252f` is a percent sign and `2f`, and stays so.
//! - Refused: an encoded slash, backslash or NUL, a raw backslash, control characters however written, a `#`, raw bytes
//!   beyond ASCII, encodings that are not UTF-8 (overlong ones included), `%` without two hexadecimal digits.
//! - Parameters (`;x`) are part of their segment: nothing here gives them a meaning, they are matched and forwarded as
//!   they are, and `/admin;x` does not meet a rule for `/admin`. Servers for servlets drop them before they route, so
//!   `.;` and `..;` would be dot segments to them: refused.

use std::borrow::Cow;

use crate::refusal::Refusal;

/// May stand in a path as it is.
const PLAIN: u8 = 0;
const SLASH: u8 = 1;
/// Needs work, or a closer look: `%`, and what should have been encoded.
const ODD: u8 = 2;
/// May stand in a query as it is, not in a path.
const QUERY_ONLY: u8 = 3;
/// May stand nowhere.
const BAD: u8 = 4;

/// What each byte is in a request target.
const CLASSES: [u8; 256] = {
    let mut classes = [BAD; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            classes[byte] = match byte as u8 {
                b'/' => SLASH,
                b'%' | b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => ODD,
                b'?' | b'\\' => QUERY_ONLY,
                b'#' => BAD,
                _ => PLAIN,
            };
        }
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(BAD)
}

/// The canonical path and the query of `/path?query` or `*`.
pub(super) fn split(path_and_query: &[u8]) -> Result<(Cow<'_, str>, Option<&str>), Refusal> {
    let (path, query) = match memchr::memchr(b'?', path_and_query).map(|at| path_and_query.split_at(at)) {
        Some((path, query)) => (path, query.get(1..)),
        None => (path_and_query, None),
    };
    let query = query.map(check_query).transpose()?;
    Ok((canonical(path)?, query))
}

/// The canonical form of a path that begins with a slash; an empty one (`https://host?query`) is a slash.
pub fn canonical(path: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    if path.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    let mut previous = 0;
    for &byte in path {
        // A slash or a dot after a slash may need work; most paths have neither, nor anything odd.
        let is_work = match class(byte) {
            PLAIN => byte == b'.' && previous == b'/',
            SLASH => previous == b'/',
            ODD => true,
            _ => return Err(invalid(byte)),
        };
        if is_work {
            return rewrite(path).map(Cow::Owned);
        }
        previous = byte;
    }
    // Only ASCII has passed.
    std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| invalid(0x80))
}

/// Segment by segment, into a new string.
#[cold]
fn rewrite(path: &[u8]) -> Result<String, Refusal> {
    let mut out = String::with_capacity(path.len() + 8);
    let mut is_directory = false;
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/') {
        let start = out.len();
        out.push('/');
        decode_segment(segment, &mut out)?;
        is_directory = true;
        match out.get(start + 1..).unwrap_or_default() {
            "" | "." => out.truncate(start),
            ".." => {
                out.truncate(start);
                let Some(parent) = out.rfind('/') else {
                    return Err(Refusal::malformed("path_above_root", "the path leads above its root"));
                };
                out.truncate(parent);
            }
            dots if is_dots_with_parameters(dots) => {
                return Err(Refusal::malformed("ambiguous_path", "the path has a dot segment with parameters"));
            }
            _ => is_directory = false,
        }
    }
    if is_directory {
        out.push('/');
    }
    Ok(out)
}

/// `.;x`, `..;x`, and the same with an encoded semicolon.
fn is_dots_with_parameters(segment: &str) -> bool {
    let rest = segment.strip_prefix('.').map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    rest.is_some_and(|rest| rest.starts_with(';') || rest.starts_with("%3B"))
}

/// Appends the canonical form of one segment.
fn decode_segment(segment: &[u8], out: &mut String) -> Result<(), Refusal> {
    let mut utf8 = Utf8::default();
    let mut bytes = segment.iter().copied();
    while let Some(byte) = bytes.next() {
        let (decoded, was_encoded) = if byte == b'%' {
            let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
                return Err(Refusal::malformed(
                    "invalid_encoding",
                    "a percent sign in the path has no two hexadecimal digits",
                ));
            };
            (high << 4 | low, true)
        } else {
            (byte, false)
        };
        utf8.push(decoded)?;
        match (decoded, was_encoded) {
            (b'/' | b'\\' | 0, true) => {
                return Err(Refusal::malformed("encoded_separator", "the path has an encoded slash, backslash or NUL"));
            }
            (0..0x20 | 0x7f, _) | (0x80.., false) => return Err(invalid(decoded)),
            (b';' | b'=' | b',' | b'&' | b'+', true) => push_encoded(out, decoded),
            _ => match class(decoded) {
                PLAIN => out.push(char::from(decoded)),
                QUERY_ONLY | BAD if !was_encoded => return Err(invalid(decoded)),
                _ => push_encoded(out, decoded),
            },
        }
    }
    utf8.finish()
}

/// The query is passed on as it came, so only what cannot be passed on, or is read in several ways, is refused.
fn check_query(query: &[u8]) -> Result<&str, Refusal> {
    let mut bytes = query.iter().copied();
    while let Some(byte) = bytes.next() {
        if class(byte) == BAD {
            return Err(invalid(byte));
        }
        if byte == b'%' {
            match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(0), Some(0)) => {
                    return Err(Refusal::malformed("encoded_separator", "the query has an encoded NUL"));
                }
                (Some(_), Some(_)) => {}
                _ => {
                    return Err(Refusal::malformed(
                        "invalid_encoding",
                        "a percent sign in the query has no two hexadecimal digits",
                    ));
                }
            }
        }
    }
    std::str::from_utf8(query).map_err(|_| invalid(0x80))
}

fn invalid(byte: u8) -> Refusal {
    Refusal::malformed("invalid_target", "the request target has a character that may not stand there")
        .detail(format!("byte 0x{byte:02x}"))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn push_encoded(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    out.push('%');
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}

/// Checks that the decoded bytes are UTF-8 without control characters.
#[derive(Default)]
struct Utf8 {
    bytes: [u8; 4],
    len: usize,
    expected: usize,
}

impl Utf8 {
    fn push(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.len == 0 {
            self.expected = match byte {
                0..0x80 => return Ok(()),
                0xc2..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0..0xf5 => 4,
                _ => return Err(Self::refuse()),
            };
        }
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
        }
        self.len += 1;
        if self.len < self.expected {
            return Ok(());
        }
        self.len = 0;
        let decoded = self.bytes.get(..self.expected).and_then(|bytes| std::str::from_utf8(bytes).ok());
        match decoded {
            Some(text) if !text.contains(char::is_control) => Ok(()),
            _ => Err(Self::refuse()),
        }
    }

    fn finish(&self) -> Result<(), Refusal> {
        if self.len == 0 { Ok(()) } else { Err(Self::refuse()) }
    }

    fn refuse() -> Refusal {
        Refusal::malformed("invalid_encoding", "the path is not UTF-8")
    }
}
