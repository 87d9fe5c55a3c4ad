//! Canary strings: words that stand in a prompt only so that they can be found where they should never be.
//!
//! A canary is found as it is, and as models like to repeat what they were told not to: spelt out, backwards, in hexadecimal,
//! and in Base64 at each of three alignments.

use base64::{Engine, engine::general_purpose};

/// The shortest canary, in bytes: a shorter one comes up by chance.
pub const CANARY_BYTES_MIN: usize = 8;
/// The longest canary, in bytes.
pub const CANARY_BYTES_MAX: usize = 128;

/// Why a text is no canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanaryError {
    /// It would be found by chance.
    #[error("a canary has at least {CANARY_BYTES_MIN} bytes, or it is found by chance")]
    TooShort,
    /// It is too long.
    #[error("a canary has at most {CANARY_BYTES_MAX} bytes")]
    TooLong,
    /// It has something else in it than letters, digits, `-`, `_` and `.`.
    #[error("a canary is made of letters, digits, `-`, `_` and `.`")]
    Alphabet,
}

/// The expressions that find a canary, each as the body of a rule is.
pub fn expressions(canary: &str) -> Result<Vec<String>, CanaryError> {
    if canary.len() < CANARY_BYTES_MIN {
        return Err(CanaryError::TooShort);
    }
    if canary.len() > CANARY_BYTES_MAX {
        return Err(CanaryError::TooLong);
    }
    if !canary.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(CanaryError::Alphabet);
    }
    let backwards: String = canary.chars().rev().collect();
    let spelt = canary
        .chars()
        .map(|letter| regex_syntax::escape(&letter.to_string()))
        .collect::<Vec<_>>()
        .join(r"[ _\-.*\n]{1,3}");
    let hexadecimal = hexadecimal(canary);
    let mut expressions = vec![
        format!("(?i:{})", regex_syntax::escape(canary)),
        format!("(?i:{})", regex_syntax::escape(&backwards)),
        format!("(?i:{spelt})"),
        format!("(?i:{hexadecimal})"),
    ];
    expressions.extend((0..3).map(|before| regex_syntax::escape(&in_base64(canary, before))));
    Ok(expressions)
}

fn hexadecimal(text: &str) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What of a text stands in Base64 whatever comes before and after it, if it begins so many bytes into a group of three.
fn in_base64(text: &str, before: usize) -> String {
    let encoded = general_purpose::STANDARD_NO_PAD.encode([&vec![0; before][..], text.as_bytes()].concat());
    // A character that is made of bits of the neighbours is left out at both ends.
    let begin = (before * 8).div_ceil(6);
    let end = (before + text.len()) * 8 / 6;
    encoded.get(begin..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use regex::bytes::RegexSet;

    use super::*;

    #[test]
    fn a_canary_is_found_however_it_is_told() {
        let canary = "Heron-4b1e.2207";
        let found = RegexSet::new(expressions(canary).unwrap()).unwrap();
        let backwards: String = canary.chars().rev().collect();
        let spelt: String = canary.chars().flat_map(|letter| [letter, ' ']).collect();
        let hexadecimal = hexadecimal(canary).to_uppercase();
        for told in [canary, &canary.to_uppercase(), &backwards, &spelt, &hexadecimal] {
            assert!(found.is_match(told.as_bytes()), "{told}");
        }
        for before in ["", "a", "ab", "abc", "the word is: "] {
            let told = general_purpose::STANDARD.encode(format!("{before}{canary} and more"));
            assert!(found.is_match(told.as_bytes()), "{told}");
        }
        for told in ["Heron", "Heron-4b1e", "4b1e.2207", "a heron stood by the water"] {
            assert!(!found.is_match(told.as_bytes()), "{told}");
        }
    }

    #[test]
    fn what_would_be_found_by_chance_is_refused() {
        assert_eq!(expressions("heron"), Err(CanaryError::TooShort));
        assert_eq!(expressions(&"h".repeat(CANARY_BYTES_MAX + 1)), Err(CanaryError::TooLong));
        assert_eq!(expressions("two words"), Err(CanaryError::Alphabet));
        assert!(expressions(&"h".repeat(CANARY_BYTES_MAX)).is_ok());
    }
}
