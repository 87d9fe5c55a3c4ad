//! The ways in which a text is read that may be JSON in itself: what inference servers are given as one element or one
//! parameter (`sampling_parameters` of vLLM), and fields of which nobody knows who reads them.

use std::{borrow::Cow, ops::Range};

use smallvec::{SmallVec, smallvec};

use super::arguments;

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::guard::lanes) enum Reading {
    /// As it stands.
    Plain,
    /// As JSON: with the escapes of its strings decoded, and so that it stays JSON when parts are replaced.
    Json,
}

/// The ways in which a text is read, and what it says then: most in one way. What looks like JSON, has escapes and is none
/// is read in both, since another reader may be less strict.
pub(in crate::guard::lanes) fn readings(text: &str) -> SmallVec<[(Reading, Cow<'_, str>); 2]> {
    let plain = (Reading::Plain, Cow::Borrowed(text));
    if !looks_like_json(text) {
        return smallvec![plain];
    }
    if arguments::is_json(text) {
        return smallvec![(Reading::Json, arguments::decoded(text))];
    }
    if text.contains('\\') { smallvec![plain, (Reading::Json, arguments::decoded(text))] } else { smallvec![plain] }
}

/// Whether it begins as a document or a string of JSON. A number alone is taken for what it says, so that what stands in its
/// place needs no quotes.
pub(in crate::guard::lanes) fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start_matches(|char: char| char == '\u{feff}' || char.is_ascii_whitespace());
    matches!(text.bytes().next(), Some(b'{' | b'[' | b'"'))
}

impl Reading {
    /// Where in the text stands what is to be replaced in what was shown of it, and by what.
    pub(in crate::guard::lanes) fn located(
        self,
        text: &str,
        edits: Vec<(Range<usize>, String)>,
    ) -> Vec<(Range<usize>, String)> {
        match self {
            Self::Plain => edits,
            Self::Json => arguments::replace(text, &edits),
        }
    }
}
