//! Texts and how they are written in a document.

use std::borrow::Cow;

/// The text that an escaped string means; `None` if it has half of a surrogate pair. Its escapes have been checked.
pub fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('\\') {
        return Some(Cow::Borrowed(raw));
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let (char, len) = escaped_char(escaped)?;
        text.push(char);
        rest = escaped.get(len..)?;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// What the text behind a backslash begins with: the character, and how many bytes stand for it. Both halves of a surrogate
/// pair are one character; `None` for one half, and for what is no escape.
pub(in crate::guard::lanes) fn escaped_char(escaped: &str) -> Option<(char, usize)> {
    let char = match escaped.as_bytes().first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        itself @ (b'"' | b'\\' | b'/') => char::from(*itself),
        b'u' => {
            let high = unit(escaped.get(1..)?)?;
            if !(0xd800..0xdc00).contains(&high) {
                return Some((char::from_u32(u32::from(high))?, 5));
            }
            let low = unit(escaped.get(5..)?.strip_prefix("\\u")?)?;
            return Some((char::decode_utf16([high, low]).next()?.ok()?, 11));
        }
        _ => return None,
    };
    Some((char, 1))
}

/// The first four characters as a UTF-16 code unit.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Writes a text as it stands between quotes: no more is escaped than must be.
pub fn escape(text: &str, into: &mut Vec<u8>) {
    const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (plain, special) = rest.split_at(at);
        into.extend_from_slice(plain);
        let Some((byte, others)) = special.split_first() else { break };
        match byte {
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', *byte]),
            control => {
                into.extend_from_slice(b"\\u00");
                let digit = |of: u8| HEXADECIMAL.get(usize::from(of & 15)).copied();
                into.extend([digit(control >> 4), digit(*control)].into_iter().flatten());
            }
        }
        rest = others;
    }
    into.extend_from_slice(rest);
}
