//! `application/x-www-form-urlencoded` (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>), read strictly.

use std::{borrow::Cow, ops::Range};

use super::multipart::Fault;

/// Pairs of a form. What has more is a fault.
pub const PAIRS_MAX: usize = 1024;

/// One pair, with where each half stands.
#[derive(Debug)]
pub(super) struct Pair<'b> {
    /// All of it, with the `&` behind it.
    pub(super) range: Range<usize>,
    pub(super) name: (Range<usize>, Cow<'b, str>),
    pub(super) value: (Range<usize>, Cow<'b, str>),
}

/// The pairs of a form. Whatever is not UTF-8 or no proper escape is a fault.
pub(super) fn pairs(body: &[u8]) -> Result<Vec<Pair<'_>>, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault("it is not UTF-8"))?;
    let (mut at, mut pairs) = (0, Vec::new());
    for written in text.split('&') {
        let end = at + written.len();
        if !written.is_empty() {
            let name = written.split_once('=').map_or(written, |(name, _)| name);
            let value = (at + name.len() + 1).min(end)..end;
            let all = at..(end + 1).min(text.len());
            let of = |range: Range<usize>| Ok((range.clone(), decode(text.get(range).unwrap_or_default())?));
            pairs.push(Pair { range: all, name: of(at..at + name.len())?, value: of(value)? });
        }
        if pairs.len() > PAIRS_MAX {
            return Err(Fault("it has too many fields"));
        }
        at = end + 1;
    }
    Ok(pairs)
}

fn decode(written: &str) -> Result<Cow<'_, str>, Fault> {
    if !written.contains(['%', '+']) {
        return Ok(Cow::Borrowed(written));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(written.len()), written.as_bytes());
    while let Some((byte, others)) = rest.split_first() {
        rest = others;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, others) = rest.split_at_checked(2).ok_or(Fault("it has half of an escape"))?;
                let digit = |at: usize| digits.get(at).and_then(|digit| char::from(*digit).to_digit(16));
                let (high, low) = digit(0).zip(digit(1)).ok_or(Fault("it has an escape that is none"))?;
                bytes.push((high << 4 | low) as u8);
                rest = others;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Fault("it is not UTF-8"))
}

/// Writes a text as a name or a value.
pub(super) fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => written.push('+'),
            b'*' | b'-' | b'.' | b'_' => written.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => written.push(char::from(byte)),
            byte => {
                let digit = |of: u8| DIGITS.get(usize::from(of)).copied().map(char::from);
                written.push('%');
                written.extend([digit(byte >> 4), digit(byte & 15)].into_iter().flatten());
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn pairs_are_read_or_refused() {
        let read = |body: &'static str| {
            let pairs = pairs(body.as_bytes()).ok()?;
            Some(pairs.into_iter().map(|pair| format!("{}={}", pair.name.1, pair.value.1)).collect::<Vec<_>>())
        };
        let check = |body, expected: &[&str]| assert_eq!(read(body).unwrap(), expected, "{body}");
        check("", &[]);
        check("a=1&b=2", &["a=1", "b=2"]);
        check("a&&b=&=c", &["a=", "b=", "=c"]);
        check("a+b=%C3%B6+%26=", &["a b=ö &="]);
        for body in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%c3&b=%b6"] {
            assert_eq!(read(body), None, "{body}");
        }
        assert!(pairs("a&".repeat(PAIRS_MAX).as_bytes()).is_ok());
        assert_eq!(pairs("a&".repeat(PAIRS_MAX + 1).as_bytes()).unwrap_err(), Fault("it has too many fields"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "plain", "a b&c=d+e%", "größe\n\0"] {
            assert_eq!(decode(&encode(text)).unwrap(), text);
        }
    }
}
