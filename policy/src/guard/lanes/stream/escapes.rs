//! Strings of JSON that make one text together: what they say, and how something else is said in their place.

use crate::guard::lanes::json;

/// The insides of a string cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// U+FFFD, which stands for half of a surrogate pair whose other half did not come.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Reads the insides of strings that make one text together. Half of a surrogate pair waits for the other half, which may
/// come in the next string.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Decoder {
    high: Option<u16>,
}

impl Decoder {
    /// Whether half of a pair waits.
    pub(super) fn waits(self) -> bool {
        self.high.is_some()
    }

    /// Appends what these insides of a string say. `Ok(true)`: that, and nothing else, is what the string says.
    pub(super) fn read(&mut self, raw: &[u8], into: &mut Vec<u8>) -> Result<bool, Broken> {
        let mut is_exact = !self.waits();
        let mut rest = raw;
        while let Some(byte) = rest.first() {
            if *byte != b'\\' {
                is_exact &= self.give_up(into);
                let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
                let (plain, others) = rest.split_at_checked(plain).ok_or(Broken)?;
                into.extend_from_slice(plain);
                rest = others;
                continue;
            }
            let (escape, others) = escape(rest).ok_or(Broken)?;
            rest = others;
            match (escape, self.high.take()) {
                (Escape::Unit(low @ 0xdc00..=0xdfff), Some(high)) => {
                    let pair = 0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                    write_char(char::from_u32(pair), into);
                }
                (escape, high) => {
                    if high.is_some() {
                        into.extend_from_slice(REPLACEMENT);
                        is_exact = false;
                    }
                    match escape {
                        Escape::Byte(byte) => into.push(byte),
                        Escape::Unit(high @ 0xd800..=0xdbff) => self.high = Some(high),
                        Escape::Unit(unit) => {
                            is_exact &= !(0xdc00..=0xdfff).contains(&unit);
                            write_char(char::from_u32(u32::from(unit)), into);
                        }
                    }
                }
            }
        }
        Ok(is_exact && !self.waits())
    }

    /// The text is over: half of a pair that waits will have no other half.
    pub(super) fn finish(&mut self, into: &mut Vec<u8>) {
        self.give_up(into);
    }

    /// Whether nothing had to be given up.
    fn give_up(&mut self, into: &mut Vec<u8>) -> bool {
        let lone = self.high.take();
        if lone.is_some() {
            into.extend_from_slice(REPLACEMENT);
        }
        lone.is_none()
    }
}

/// What an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// A character of one byte.
    Byte(u8),
    /// A unit of UTF-16.
    Unit(u16),
}

/// The escape that this begins with, and what follows it. `None`: it is none, or it is not complete.
pub(super) fn escape(raw: &[u8]) -> Option<(Escape, &[u8])> {
    let [b'\\', kind, rest @ ..] = raw else { return None };
    let byte = match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (digits, rest) = rest.split_at_checked(4)?;
            let unit =
                digits.iter().try_fold(0, |unit: u16, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16));
            return Some((Escape::Unit(unit?), rest));
        }
        _ => return None,
    };
    Some((Escape::Byte(byte), rest))
}

fn write_char(said: Option<char>, into: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    into.extend_from_slice(said.map_or(REPLACEMENT, |said| said.encode_utf8(&mut buffer).as_bytes()));
}

/// Appends a text as the insides of a string. A rule that cut a character leaves U+FFFD where it did.
pub(super) fn write_escaped(text: &[u8], into: &mut Vec<u8>) {
    json::escape(&String::from_utf8_lossy(text), into);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_string_says_does_not_depend_on_where_it_is_cut() {
        let said = |pieces: &[&str]| {
            let (mut decoder, mut text) = (Decoder::default(), Vec::new());
            let exact: Vec<_> = pieces.iter().map(|piece| decoder.read(piece.as_bytes(), &mut text).unwrap()).collect();
            decoder.finish(&mut text);
            (String::from_utf8(text).unwrap(), exact)
        };
        assert_eq!(said(&[r#"a\u0040\n\"\/\\é"#]), ("a@\n\"/\\é".to_owned(), vec![true]));
        assert_eq!(said(&[r"x\uD83D\uDE00y"]), ("x😀y".to_owned(), vec![true]));
        assert_eq!(said(&[r"x\ud83d", r"\ude00y"]), ("x😀y".to_owned(), vec![false, false]));
        assert_eq!(said(&[r"\ud83d", "", r"\ude00"]).0, "😀");
        assert_eq!(said(&[r"\ud83dx"]), ("\u{fffd}x".to_owned(), vec![false]));
        assert_eq!(said(&[r"\ud83d\ud83d\ude00"]).0, "\u{fffd}😀");
        assert_eq!(said(&[r"\ude00"]), ("\u{fffd}".to_owned(), vec![false]));
        assert_eq!(said(&[r"a\ud83d"]), ("a\u{fffd}".to_owned(), vec![false]));
        for broken in [r"\", r"\x", r"\u12", r"\u12g4"] {
            assert_eq!(Decoder::default().read(broken.as_bytes(), &mut Vec::new()), Err(Broken), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_says_the_text(text in ".*") {
            let (mut written, mut read) = (Vec::new(), Vec::new());
            write_escaped(text.as_bytes(), &mut written);
            prop_assert_eq!(Decoder::default().read(&written, &mut read), Ok(true));
            prop_assert_eq!(read, text.as_bytes());
            let quoted = format!("\"{}\"", String::from_utf8(written).unwrap());
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
    }
}
