//! The model in a multipart form (OpenAI's audio, image and file endpoints): the field `model`.
//!
//! RFC 7578 in the form that clients send, nothing more. What two parsers might read in two ways is refused: extended
//! parameters (`name*=`), escapes in names, folded header lines, text before the first part.

use std::borrow::Cow;

use memchr::memmem;

use super::{NAME_BYTES_MAX, check_name, duplicate, invalid_name};
use crate::refusal::Refusal;

/// The longest boundary, in bytes (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// The longest head of a part, in bytes.
const PART_HEAD_BYTES_MAX: usize = 4096;
/// The most parts.
const PARTS_MAX: usize = 128;

/// The boundary of a `multipart/form-data` content type.
pub(super) fn boundary(content_type: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let refuse = || invalid("its content type has no valid boundary");
    let text = std::str::from_utf8(content_type).map_err(|_| refuse())?;
    let (_, parameters) = text.split_once(';').ok_or_else(refuse)?;
    let mut found = None;
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or_else(refuse)?;
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(refuse());
        }
    }
    let boundary = found.ok_or_else(refuse)?;
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    if boundary.is_empty()
        || boundary.len() > BOUNDARY_BYTES_MAX
        || boundary.ends_with(' ')
        || !boundary.bytes().all(is_valid)
    {
        return Err(refuse());
    }
    Ok(Cow::Borrowed(boundary))
}

/// Reads a whole multipart form.
pub fn from_multipart<'b>(body: &'b [u8], boundary: &str) -> Result<Option<Cow<'b, str>>, Refusal> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let first = delimiter.get(2..).unwrap_or_default().as_bytes();
    let mut rest = body.strip_prefix(first).ok_or_else(|| invalid("it does not begin with its boundary"))?;
    let finder = memmem::Finder::new(&delimiter);
    let mut model = None;
    for _ in 0..PARTS_MAX {
        if let Some(end) = rest.strip_prefix(b"--") {
            return match end {
                b"" | b"\r\n" => Ok(model),
                _ => Err(invalid("something follows its end")),
            };
        }
        let part = rest.strip_prefix(b"\r\n").ok_or_else(|| invalid("no line end follows a boundary"))?;
        let end = finder.find(part).ok_or_else(|| invalid("its last boundary is missing"))?;
        let (content, next) = part.split_at(end);
        rest = next.get(delimiter.len()..).unwrap_or_default();
        if let Some(value) = model_in(content)? {
            if model.is_some() {
                return Err(duplicate());
            }
            model = Some(value);
        }
    }
    Err(invalid("it has too many parts"))
}

/// The value of a part, if it is the field `model`.
fn model_in(part: &[u8]) -> Result<Option<Cow<'_, str>>, Refusal> {
    let window = part.get(..PART_HEAD_BYTES_MAX).unwrap_or(part);
    let end = memmem::find(window, b"\r\n\r\n").ok_or_else(|| invalid("a part has no head or too long a one"))?;
    let (head, value) = part.split_at(end);
    let value = value.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| invalid("the head of a part is not UTF-8"))?;
    let mut disposition = None;
    let mut is_encoded = false;
    for line in head.split("\r\n") {
        let (name, text) = line.split_once(':').ok_or_else(|| invalid("a header line of a part has no colon"))?;
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            || text.contains(['\r', '\n'])
        {
            return Err(invalid("a part has an invalid header line"));
        }
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(text).is_some() {
            return Err(invalid("a part has two dispositions"));
        }
        is_encoded |= name.eq_ignore_ascii_case("content-transfer-encoding");
    }
    let disposition = disposition.ok_or_else(|| invalid("a part has no disposition"))?;
    if !is_model(disposition)? {
        return Ok(None);
    }
    if is_encoded || value.len() > NAME_BYTES_MAX {
        return Err(invalid_name());
    }
    let value = std::str::from_utf8(value).map_err(|_| invalid_name())?;
    check_name(Cow::Borrowed(value)).map(Some)
}

/// `form-data; name="model"`, without a file name.
fn is_model(disposition: &str) -> Result<bool, Refusal> {
    let refuse = || invalid("a part has an invalid disposition");
    let (kind, parameters) = disposition.split_once(';').ok_or_else(refuse)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(refuse());
    }
    let mut field = None;
    let mut is_file = false;
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or_else(refuse)?;
        if name.eq_ignore_ascii_case("name") {
            if field.replace(value).is_some() || value.contains(['\\', '%']) {
                return Err(refuse());
            }
        } else if name.eq_ignore_ascii_case("name*") {
            return Err(refuse());
        } else if name.eq_ignore_ascii_case("filename") || name.eq_ignore_ascii_case("filename*") {
            is_file = true;
        }
    }
    match field.ok_or_else(refuse)? {
        "model" if is_file => Err(invalid_name()),
        field => Ok(field == "model"),
    }
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

#[cold]
fn invalid(what: &'static str) -> Refusal {
    Refusal::malformed("invalid_form", format!("the request body is not a valid form: {what}"))
}
