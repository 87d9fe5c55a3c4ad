//! `multipart/form-data` (RFC 7578) in the form that clients send, nothing more. What two parsers might read in two ways is
//! a fault: extended names (`name*=`), escapes in names, folded header lines, text before the first part.

use std::{borrow::Cow, ops::Range};

use memchr::memmem;

/// The longest boundary, in bytes (RFC 2046 §5.1.1).
pub const BOUNDARY_BYTES_MAX: usize = 70;
/// The longest head of a part, in bytes.
pub const PART_HEAD_BYTES_MAX: usize = 4096;
/// The most parts.
pub const PARTS_MAX: usize = 128;

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub &'static str);

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'b> {
    /// All of it, from the boundary before it to the one behind it.
    pub range: Range<usize>,
    /// The name of its field.
    pub name: &'b str,
    /// The name of its file.
    pub file_name: Option<&'b str>,
    /// The type of what it holds.
    pub content_type: Option<&'b str>,
    /// Whether it says that its value is encoded.
    pub is_encoded: bool,
    /// Whether its head says more than all this.
    pub says_more: bool,
    /// Where its value stands.
    pub value: Range<usize>,
}

/// The boundary of a `multipart/form-data` content type.
pub fn boundary(content_type: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let fault = Fault("its content type has no valid boundary");
    let text = std::str::from_utf8(content_type).map_err(|_| fault)?;
    let (_, parameters) = text.split_once(';').ok_or(fault)?;
    let mut found = None;
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or(fault)?;
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(fault);
        }
    }
    let boundary = found.ok_or(fault)?;
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    if boundary.is_empty()
        || boundary.len() > BOUNDARY_BYTES_MAX
        || boundary.ends_with(' ')
        || !boundary.bytes().all(is_valid)
    {
        return Err(fault);
    }
    Ok(Cow::Borrowed(boundary))
}

/// The parts of a whole form.
pub fn parts<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<Part<'b>>, Fault> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let first = delimiter.get(2..).unwrap_or_default().as_bytes();
    if !body.starts_with(first) {
        return Err(Fault("it does not begin with its boundary"));
    }
    let finder = memmem::Finder::new(&delimiter);
    let (mut begin, mut at, mut parts) = (0, first.len(), Vec::new());
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if let Some(end) = rest.strip_prefix(b"--") {
            return match end {
                b"" | b"\r\n" => Ok(parts),
                _ => Err(Fault("something follows its end")),
            };
        }
        if parts.len() >= PARTS_MAX {
            return Err(Fault("it has too many parts"));
        }
        let content = rest.strip_prefix(b"\r\n").ok_or(Fault("no line end follows a boundary"))?;
        let length = finder.find(content).ok_or(Fault("its last boundary is missing"))?;
        let end = at + 2 + length;
        // The line end before a boundary belongs to the boundary.
        let next = end + 2;
        parts.push(part(body, begin..next, at + 2..end)?);
        (begin, at) = (next, end + delimiter.len());
    }
}

/// One part, whose head begins with its content.
fn part(body: &[u8], range: Range<usize>, content: Range<usize>) -> Result<Part<'_>, Fault> {
    let bytes = body.get(content.clone()).unwrap_or_default();
    let window = bytes.get(..PART_HEAD_BYTES_MAX).unwrap_or(bytes);
    let length = memmem::find(window, b"\r\n\r\n").ok_or(Fault("a part has no head or too long a one"))?;
    let head = bytes.get(..length).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| Fault("the head of a part is not UTF-8"))?;
    let value = content.start + length + 4..content.end;
    let (mut disposition, mut content_type, mut is_encoded, mut says_more) = (None, None, false, false);
    for line in head.split("\r\n") {
        let (name, text) = line.split_once(':').ok_or(Fault("a header line of a part has no colon"))?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_name) || text.contains(['\r', '\n']) {
            return Err(Fault("a part has an invalid header line"));
        }
        if name.eq_ignore_ascii_case("content-disposition") {
            if disposition.replace(text).is_some() {
                return Err(Fault("a part has two dispositions"));
            }
        } else if name.eq_ignore_ascii_case("content-type") {
            if content_type.replace(text.trim_matches([' ', '\t'])).is_some() {
                return Err(Fault("a part has two types"));
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            is_encoded = true;
        } else {
            let is_length = name.eq_ignore_ascii_case("content-length");
            says_more |= !is_length || text.bytes().any(|byte| !byte.is_ascii_digit() && byte != b' ');
        }
    }
    let disposition = disposition.ok_or(Fault("a part has no disposition"))?;
    let (name, file_name, more) = names(disposition)?;
    says_more |= more;
    Ok(Part { range, name, file_name, content_type, is_encoded, says_more, value })
}

/// `form-data; name="model"; filename="a.wav"`: both names, and whether there is more.
fn names(disposition: &str) -> Result<(&str, Option<&str>, bool), Fault> {
    let fault = Fault("a part has an invalid disposition");
    let (kind, parameters) = disposition.split_once(';').ok_or(fault)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(fault);
    }
    let (mut field, mut file, mut says_more) = (None, None, false);
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or(fault)?;
        if name.eq_ignore_ascii_case("name") {
            if field.replace(value).is_some() || value.contains(['\\', '%']) {
                return Err(fault);
            }
        } else if name.eq_ignore_ascii_case("name*") {
            return Err(fault);
        } else if name.eq_ignore_ascii_case("filename") && file.is_none() {
            file = Some(value);
        } else {
            // `filename*` is a file's name too, in an encoding of its own.
            file = file.or_else(|| name.eq_ignore_ascii_case("filename*").then_some(value));
            says_more = true;
        }
    }
    Ok((field.ok_or(fault)?, file, says_more))
}

/// `a=b; c="d"`. An item is `None` where that is not what is there.
struct Parameters<'t>(&'t str);

impl<'t> Iterator for Parameters<'t> {
    type Item = Option<(&'t str, &'t str)>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches([' ', '\t']);
        self.0 = "";
        if text.is_empty() {
            return None;
        }
        let Some((name, rest)) = text.split_once('=') else { return Some(None) };
        if name.is_empty() || name.contains([' ', '\t', ';', '"', ',']) {
            return Some(None);
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let Some(end) = end_of_quoted(quoted) else { return Some(None) };
            let value = quoted.get(..end).unwrap_or_default();
            let after = quoted.get(end + 1..).unwrap_or_default().trim_start_matches([' ', '\t']);
            match after.strip_prefix(';') {
                Some(next) => self.0 = next,
                None if after.is_empty() => {}
                None => return Some(None),
            }
            return Some(Some((name, value)));
        }
        let (value, next) = rest.split_once(';').unwrap_or((rest, ""));
        self.0 = next;
        let value = value.trim_end_matches([' ', '\t']);
        if value.contains([' ', '\t', '"', '\\', ',']) {
            return Some(None);
        }
        Some(Some((name, value)))
    }
}

/// Where the quote is that ends a quoted string; a backslash keeps the next character from being it.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}
