//! One text of an answer: screened, and the caller's own values restored behind that, so that they are not masked again.

use std::sync::Arc;

use crate::guard::{
    placeholders::Values,
    screen::{Direction, Flow, Scratch, Speaker, Text},
};

/// A text that comes in parts, and goes out in parts that end between two characters.
#[derive(Debug)]
pub(super) struct Spoken {
    text: Text,
    /// The beginning of a character whose rest has not come.
    unread: Vec<u8>,
    /// The same, of what goes out.
    unsaid: Vec<u8>,
}

impl Spoken {
    /// A text of which nothing has come yet.
    pub(super) fn new(direction: &Direction, values: Option<&Arc<Values>>) -> Self {
        let text = Text::new(direction, Speaker::Assistant);
        let text = if let Some(values) = values { text.restoring(values) } else { text };
        Self { text, unread: Vec::new(), unsaid: Vec::new() }
    }

    /// Takes the next part, and appends what goes out now. A part that cannot belong to a text is not taken.
    pub(super) fn push(
        &mut self,
        direction: &Direction,
        part: &[u8],
        scratch: &mut Scratch,
        made: &mut Vec<u8>,
    ) -> Result<(), Silence> {
        if !goes_on(&mut self.unread, part) {
            return Err(Silence::NotText);
        }
        let from = made.len();
        made.append(&mut self.unsaid);
        passed(&self.text.push(direction, part, scratch, made))?;
        let end = made.len() - unfinished(made.get(from..).unwrap_or_default());
        self.unsaid.extend(made.drain(end..));
        Ok(())
    }

    /// The text is over: appends what was held.
    pub(super) fn finish(
        &mut self,
        direction: &Direction,
        scratch: &mut Scratch,
        made: &mut Vec<u8>,
    ) -> Result<(), Silence> {
        made.append(&mut self.unsaid);
        self.unread.clear();
        passed(&self.text.finish(direction, scratch, made))
    }

    /// Bytes that have come and not gone out.
    pub(super) fn held(&self) -> usize {
        self.text.held() + self.unsaid.len()
    }
}

/// Why nothing more comes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// It is not UTF-8.
    NotText,
    /// A rule ended it, by its place in the engine of the output.
    Blocked { rule: usize },
    /// It asks for more than is allowed of one.
    Overrun,
}

fn passed(flow: &Flow) -> Result<(), Silence> {
    match flow {
        Flow::Untouched | Flow::Changed => Ok(()),
        Flow::Blocked(rule) => Err(Silence::Blocked { rule: *rule }),
        Flow::Overrun => Err(Silence::Overrun),
    }
}

/// Whether a text that ended in the middle of this character, if in one, can go on like this. Keeps the character in the
/// middle of which it ends then.
fn goes_on(unread: &mut Vec<u8>, part: &[u8]) -> bool {
    let mut rest = part;
    while !unread.is_empty() {
        let Some((byte, others)) = rest.split_first() else { return true };
        unread.push(*byte);
        rest = others;
        match std::str::from_utf8(unread) {
            Ok(_) => unread.clear(),
            Err(error) if error.error_len().is_none() => {}
            Err(_) => return false,
        }
    }
    let Err(error) = std::str::from_utf8(rest) else { return true };
    unread.extend_from_slice(rest.get(error.valid_up_to()..).unwrap_or_default());
    error.error_len().is_none()
}

/// The length of the character that ends the bytes and is not whole.
fn unfinished(bytes: &[u8]) -> usize {
    // A character has four bytes at most.
    let tail = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
    let Some(begin) = tail.iter().rposition(|byte| *byte >= 0xc0) else { return 0 };
    let last = tail.get(begin..).unwrap_or_default();
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_be_cut_within_characters_but_not_broken() {
        for text in ["", "plain", "größe", "𝄞𝄞 クラゲ"] {
            for size in 1..5 {
                let mut unread = Vec::new();
                assert!(text.as_bytes().chunks(size).all(|part| goes_on(&mut unread, part)), "{text} by {size}");
                assert!(unread.is_empty());
            }
        }
        for broken in [&[0xff][..], b"a\x80", b"\xc3(", b"\xed\xa0\x80", b"\xf0\x9d\x84("] {
            for size in 1..5 {
                let mut unread = Vec::new();
                assert!(!broken.chunks(size).all(|part| goes_on(&mut unread, part)), "{broken:?} by {size}");
            }
        }
    }

    #[test]
    fn a_character_that_is_not_whole_is_kept_back() {
        let check = |bytes: &[u8], length: usize| assert_eq!(unfinished(bytes), length, "{bytes:?}");
        check(b"", 0);
        check(b"abc", 0);
        check("größe".as_bytes(), 0);
        check(b"gr\xc3", 1);
        check(b"\xf0\x9d\x84", 3);
        check("𝄞".as_bytes(), 0);
        check(b"\xff", 0);
    }
}
