//! Bodies that are one text: transcripts and subtitles (`text/plain`, `text/vtt`, `application/x-subrip`), Markdown.

use std::sync::Arc;

use super::spoken::{Silence, Spoken};
use crate::guard::{
    placeholders::Values,
    screen::{Direction, Guardrails, Scratch},
};

/// Whether a body of this type is one text, in UTF-8.
pub fn is_text(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let known = ["text/plain", "text/vtt", "text/markdown", "text/srt", "application/x-subrip"];
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(essence)) && is_in_utf8(content_type)
}

/// Whether a type says of its characters that they are UTF-8, or nothing. In any other encoding a text would be read as
/// something else: `+AEA-` is an `@` in UTF-7.
pub fn is_in_utf8(content_type: &[u8]) -> bool {
    let Ok(content_type) = std::str::from_utf8(content_type) else { return false };
    let parameters =
        content_type.split(';').skip(1).map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    let mut charsets = parameters.filter(|(name, _)| {
        let name = name.trim_matches([' ', '\t']).as_bytes();
        // `charset*` says it in words of its own.
        name.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"charset"))
    });
    charsets.all(|(_, charset)| {
        let charset = charset.trim_matches([' ', '\t', '"']);
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(charset))
    })
}

/// Whether this can be a part of a text. UTF-16 and UTF-32 of what is written in ASCII are UTF-8 as well, with a NUL beside each
/// letter, and some readers of JSON guess the encoding by that.
pub fn is_written(part: &[u8]) -> bool {
    memchr::memchr(0, part).is_none()
}

/// An answer that is one text, as it goes by.
#[derive(Debug)]
pub struct PlainText {
    spoken: Spoken,
    output: Arc<Direction>,
    is_over: bool,
}

/// How a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Continue,
    /// A rule has ended it. Nothing comes after what has been written.
    Blocked {
        /// Which rule, by its place in the engine of the output.
        rule: usize,
    },
    /// It cannot be screened. Nothing comes after what has been written.
    Failed(Unscreenable),
}

/// Why a text cannot be screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unscreenable {
    /// It is not UTF-8.
    #[error("the text is not UTF-8, or has characters that stand in no text")]
    NotText,
    /// It asks for more than is allowed of one.
    #[error("the text takes too much to screen")]
    Overrun,
}

impl PlainText {
    /// A text of which nothing has come yet. `values` are those that may be restored.
    pub fn new(guardrails: &Guardrails, values: Option<&Arc<Values>>) -> Self {
        let output = guardrails.output.clone();
        Self { spoken: Spoken::new(&output, values), output, is_over: false }
    }

    /// Takes the next bytes, and appends what may go to the client.
    pub fn push(&mut self, chunk: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        if self.is_over {
            return Step::Continue;
        }
        if !is_written(chunk) {
            return self.step(Err(Silence::NotText));
        }
        let pushed = self.spoken.push(&self.output, chunk, scratch, out);
        self.step(pushed)
    }

    /// The body is over: appends what was held.
    pub fn finish(&mut self, scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        if self.is_over {
            return Step::Continue;
        }
        let finished = self.spoken.finish(&self.output, scratch, out);
        let step = self.step(finished);
        self.is_over = true;
        step
    }

    fn step(&mut self, result: Result<(), Silence>) -> Step {
        let step = match result {
            Ok(()) => return Step::Continue,
            Err(Silence::Blocked { rule }) => Step::Blocked { rule },
            Err(Silence::NotText) => Step::Failed(Unscreenable::NotText),
            Err(Silence::Overrun) => Step::Failed(Unscreenable::Overrun),
        };
        self.is_over = true;
        step
    }

    /// Bytes that have come and of which nothing has gone out.
    pub fn held(&self) -> usize {
        if self.is_over { 0 } else { self.spoken.held() }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::guard::lanes::tensors::tests::guardrails;

    /// What comes out of a body in chunks of this size.
    fn screened(body: &[u8], size: usize) -> (String, Step) {
        let (mut text, mut scratch, mut out) = (PlainText::new(&guardrails(), None), Scratch::default(), Vec::new());
        for chunk in body.chunks(size) {
            let step = text.push(chunk, &mut scratch, &mut out);
            if step != Step::Continue {
                return (String::from_utf8(out).unwrap(), step);
            }
        }
        let step = text.finish(&mut scratch, &mut out);
        (String::from_utf8(out).unwrap(), step)
    }

    #[test]
    fn a_transcript_is_masked_however_it_is_cut() {
        let check = |body: &[u8], expected: &str, ends: Step| {
            for size in 1..=body.len().max(1) {
                assert_eq!(screened(body, size), (expected.to_owned(), ends), "in chunks of {size}");
            }
        };
        let subtitles = "WEBVTT\n\n00:01.000 --> 00:02.000\nGrüße: 555-123\n";
        check(subtitles.as_bytes(), &subtitles.replace("555-123", "[number]"), Step::Continue);
        check(b"", "", Step::Continue);
        check(b"call 555-12", "call 555-12", Step::Continue);
        check(b"it is forbidden", "it is ", Step::Blocked { rule: 1 });
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(screened(b"fine\xff", 1), ("fine".to_owned(), Step::Failed(Unscreenable::NotText)));
        let wide: Vec<u8> = "call 555-123".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(screened(&wide, 99), (String::new(), Step::Failed(Unscreenable::NotText)));
    }

    #[test]
    fn types_of_one_text_are_known() {
        for known in [
            "text/plain",
            "Text/VTT; charset=UTF-8",
            "application/x-subrip",
            "text/markdown;charset=\"utf-8\"",
            "text/plain; a=b",
        ] {
            assert!(is_text(known.as_bytes()), "{known}");
        }
        for other in
            ["", "text/html", "text/plain; charset=utf-16", "text/plain; charset=utf-8; charset=utf-7", "audio/wav"]
        {
            assert!(!is_text(other.as_bytes()), "{other}");
        }
        assert!(!is_text(b"text/plain\xff"));
    }

    #[test]
    fn other_encodings_than_utf_8_are_known_however_they_are_said() {
        for utf8 in ["", "application/json", "a/b; charset=utf-8", "a/b;CharSet = \"UTF8\" ", "a/b; x=charset; y"] {
            assert!(is_in_utf8(utf8.as_bytes()), "{utf8}");
        }
        for other in [
            "a/b; charset=utf-7",
            "a/b;charset=\"utf-16\"",
            "a/b; charset = utf-7",
            "a/b; charset=utf-8; charset=latin1",
            "a/b; charset*=utf-7''x",
            "a/b; charset",
            "a/b; charset='utf-8'",
        ] {
            assert!(!is_in_utf8(other.as_bytes()), "{other}");
        }
    }
}
