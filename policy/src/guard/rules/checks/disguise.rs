//! Values in disguise: with characters between the digits that nobody sees, with digits of other scripts, with spaces and
//! hyphens of typographers or in the escapes of URLs.

use smallvec::SmallVec;

use super::{americas, network, payment, phone};

/// A value as it would be written without its disguise.
type Plain = SmallVec<[u8; 64]>;

/// Code points that are not shown: the soft hyphen, zero-width spaces, joiners and marks of direction, the word joiner, the byte
/// order mark.
const fn is_unseen(code: u32) -> bool {
    matches!(code, 0xad | 0x200b..=0x200f | 0x2060 | 0xfeff)
}

/// The decimal digit that a code point stands for: full-width, Arabic, Persian, Devanagari, mathematical.
const fn digit(code: u32) -> Option<u32> {
    match code {
        0xff10..=0xff19 => Some(code - 0xff10),
        0x660..=0x669 => Some(code - 0x660),
        0x6f0..=0x6f9 => Some(code - 0x6f0),
        0x966..=0x96f => Some(code - 0x966),
        0x1d7ce..=0x1d7ff => Some((code - 0x1d7ce) % 10),
        _ => None,
    }
}

/// The text without its disguise. What is no UTF-8 has none.
pub fn plain(text: &[u8]) -> Plain {
    let mut plain = Plain::new();
    let mut rest = std::str::from_utf8(text).unwrap_or_default();
    while let Some(character) = rest.chars().next() {
        let escape = rest.get(..3).filter(|escape| matches!(*escape, "%20" | "%40"));
        rest = rest.get(escape.map_or(character.len_utf8(), str::len)..).unwrap_or_default();
        let code = u32::from(character);
        match (escape, digit(code)) {
            (Some("%20"), _) => plain.push(b' '),
            (Some(_), _) => plain.push(b'@'),
            (None, Some(digit)) => plain.push(b'0' + digit as u8),
            _ if is_unseen(code) => {}
            _ => plain.push(match code {
                0xa0 | 0x2000..=0x200a | 0x202f | 0x3000 => b' ',
                0x2010..=0x2015 | 0x2212 => b'-',
                0xff0b => b'+',
                0xff20 => b'@',
                _ => u8::try_from(code).unwrap_or(b'?'),
            }),
        }
    }
    plain
}

/// The lengths of the groups of digits.
fn groups(plain: &[u8]) -> SmallVec<[usize; 24]> {
    plain.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).collect()
}

/// Whether something stands in a text that nobody sees: it can have been put in any place.
fn hides(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.chars().any(|character| is_unseen(u32::from(character))))
}

/// A card's number, in the groups that cards have, in one, or with each digit alone.
pub fn card(text: &[u8]) -> bool {
    let plain = plain(text);
    let shaped = match groups(&plain).as_slice() {
        [_] | [4, 4, 4, 1..=7] | [4, 6, 4..=5] => true,
        groups => groups.iter().all(|length| *length == 1) || hides(text),
    };
    shaped && payment::card(&plain)
}

/// An SSN in its three groups.
pub fn us_ssn(text: &[u8]) -> bool {
    let plain = plain(text);
    groups(&plain).as_slice() == [3, 2, 4] && americas::us_ssn(&plain)
}

/// An IBAN.
pub fn iban(text: &[u8]) -> bool {
    payment::iban(&plain(text))
}

/// A telephone number with its country code.
pub fn international(text: &[u8]) -> bool {
    phone::international(&plain(text))
}

/// An e-mail address.
pub fn email(text: &[u8]) -> bool {
    let plain = plain(text);
    plain.rsplit(|byte| *byte == b'.').next().is_some_and(|top| (2..=24).contains(&top.len())) && network::email(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_without_its_disguise() {
        let check = |text: &str, expected: &str| {
            assert_eq!(String::from_utf8_lossy(&plain(text.as_bytes())), expected, "{text}");
        };
        check("4\u{200b}1\u{ad}1\u{feff}1", "4111");
        check("\u{ff14}\u{661}\u{6f1}\u{967}\u{1d7ff}", "41119");
        check("078\u{2011}05\u{a0}1120", "078-05 1120");
        check("a%40b%20%41", "a@b %41");
        check("é", "\u{fffd}");
        assert!(plain(b"\xff1").is_empty());
    }
}
