//! Examples as texts: secrets in them are assembled when they are needed, so that no scanner stumbles over this repository.
//!
//! `⟨hex:32⟩` stands for 32 characters of an alphabet, the same ones each time; `⟨crc:30⟩` for the checksum of the 30
//! characters before it, as GitHub, npm and our own keys end in one; `⟨base64url:TEXT⟩` and `⟨base64:TEXT⟩` for a text in
//! Base64. `«` and `»` stand around what a rule must find.

use std::ops::Range;

use base64::{Engine, engine::general_purpose};

use super::checks::checksum;

/// An example that is ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The text.
    pub text: String,
    /// What a rule must find in it.
    pub marked: Vec<Range<usize>>,
}

/// Makes the text of an example. `None`: it is not written as examples are.
pub fn example(written: &str) -> Option<Example> {
    let (mut text, mut marked, mut open) = (String::new(), Vec::new(), None);
    let mut rest = written;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..)?;
        match character {
            '«' => open = Some(text.len()),
            '»' => marked.push(open.take()?..text.len()),
            '⟨' => {
                let (instruction, behind) = rest.split_once('⟩')?;
                text.push_str(&filled(instruction, &text)?);
                rest = behind;
            }
            _ => text.push(character),
        }
    }
    open.is_none().then_some(Example { text, marked })
}

fn filled(instruction: &str, before: &str) -> Option<String> {
    let (what, argument) = instruction.split_once(':')?;
    let alphabet: &[u8] = match what {
        "base64" => return Some(general_purpose::STANDARD.encode(argument)),
        "base64url" => return Some(general_purpose::URL_SAFE_NO_PAD.encode(argument)),
        "crc" => {
            let covered = before.len().checked_sub(argument.parse().ok()?)?;
            return Some(checksum(before.get(covered..)?.as_bytes()));
        }
        "repeat" => {
            let (character, times) = argument.split_once('*')?;
            return Some(character.repeat(times.parse().ok()?));
        }
        "digit" => b"0123456789",
        "hex" => b"0123456789abcdef",
        "HEX" => b"0123456789ABCDEF",
        "lower" => b"0123456789abcdefghijklmnopqrstuvwxyz",
        "upper" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "letter" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "alnum" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "b64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "url" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        _ => return None,
    };
    let length: usize = argument.parse().ok()?;
    // Not random, only without a pattern: a walk by a step that has no factor in common with the size of any alphabet, from
    // where the length and the text before say.
    let mut state = before
        .bytes()
        .fold(length as u64 + 0x9e37_79b9, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % alphabet.len();
        text.extend(alphabet.get(at).map(|byte| char::from(*byte)));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_assembled() {
        let made = example("key «a_⟨hex:8⟩⟨crc:8⟩» end").map(|made| (made.text.len(), made.marked.first().cloned()));
        assert_eq!(made, Some((24, Some(4..20))));
        assert_eq!(example("⟨hex:32⟩"), example("⟨hex:32⟩"));
        assert_eq!(
            example("⟨base64url:{\"a\":1}⟩ ⟨repeat:ab*2⟩").map(|made| made.text),
            Some("eyJhIjoxfQ abab".to_owned())
        );
    }

    #[test]
    fn what_is_written_otherwise_is_no_example() {
        for written in ["»", "«", "⟨hex:3", "⟨hex⟩", "⟨what:3⟩", "⟨crc:9⟩", "⟨hex:x⟩"] {
            assert_eq!(example(written), None, "{written}");
        }
    }
}
