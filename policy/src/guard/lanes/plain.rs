//! Bodies that are one text: transcripts and subtitles (`text/plain`, `text/vtt`, `application/x-subrip`), Markdown.

use std::sync::Arc;

use super::spoken::{Silence, Spoken};
use crate::guard::{
    placeholders::Values,
    screen::{Direction, Guardrails, Scratch},
};

/// Whether a body of this type is one text, in UTF-8.
pub fn is_text(content_type: &[u8]) -> bool {
    let Ok(content_type) = std::str::from_utf8(content_type) else { return false };
    let mut parameters = content_type.split(';').map(|part| part.trim_matches([' ', '\t']));
    let essence = parameters.next().unwrap_or_default();
    let known = ["text/plain", "text/vtt", "text/markdown", "text/srt", "application/x-subrip"];
    let mut charsets = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
    });
    known.iter().any(|known| known.eq_ignore_ascii_case(essence))
        && charsets.all(|charset| ["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(charset)))
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
    #[error("the text is not UTF-8")]
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
}
