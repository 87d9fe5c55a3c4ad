//! What is replaced in a document, and how it is put together again.

use std::ops::Range;

use crate::guard::lanes::json::{Quoted, escape, escaped_char};

/// Parts of a document and what stands in their place.
#[derive(Default)]
pub(in crate::guard::lanes) struct Patches(Vec<(Range<usize>, Vec<u8>)>);

impl Patches {
    /// These bytes stand in the place of those.
    pub(in crate::guard::lanes) fn put(&mut self, range: Range<usize>, with: Vec<u8>) {
        self.0.push((range, with));
    }

    /// Nothing stands in the place of those.
    pub(in crate::guard::lanes) fn delete(&mut self, range: Range<usize>) {
        self.put(range, Vec::new());
    }

    /// Replaces parts of the text that a string means, in order.
    pub(super) fn replace(&mut self, quoted: Quoted<'_>, edits: &[(Range<usize>, String)]) {
        let escapes = if quoted.is_escaped { escapes(quoted.raw) } else { Vec::new() };
        for (range, with) in edits {
            let raw = locate(&escapes, range);
            let mut written = Vec::with_capacity(with.len());
            escape(with, &mut written);
            self.put(quoted.at + raw.start..quoted.at + raw.end, written);
        }
    }

    /// The document with its patches; `None`: there are none. Of patches that share a byte, the first stands for all.
    pub(in crate::guard::lanes) fn apply(mut self, json: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut written = Vec::with_capacity(json.len() + 64);
        let mut at = 0;
        for (range, with) in &self.0 {
            if range.start >= at {
                written.extend_from_slice(json.get(at..range.start).unwrap_or_default());
                written.extend_from_slice(with);
            }
            at = at.max(range.end);
        }
        written.extend_from_slice(json.get(at..).unwrap_or_default());
        Some(written)
    }
}

/// An escape: what it stands for in the text, and where it stands.
pub(super) struct Escape {
    text: Range<usize>,
    raw: Range<usize>,
}

/// The escapes of what stands between quotes, in order. A backslash that begins none means itself.
pub(super) fn escapes(raw: &str) -> Vec<Escape> {
    let mut escapes = Vec::new();
    let (mut at, mut decoded) = (0, 0);
    while let Some(plain) = raw.get(at..).and_then(|rest| rest.find('\\')) {
        (at, decoded) = (at + plain, decoded + plain);
        let char = raw.get(at + 1..).and_then(escaped_char);
        let (text, len) = char.map_or((1, 1), |(char, len)| (char.len_utf8(), 1 + len));
        escapes.push(Escape { text: decoded..decoded + text, raw: at..at + len });
        (at, decoded) = (at + len, decoded + text);
    }
    escapes
}

/// Where a part of the text stands, with all of the escapes of which it takes a part.
pub(super) fn locate(escapes: &[Escape], text: &Range<usize>) -> Range<usize> {
    let behind = |count: usize, at: usize| match count.checked_sub(1).and_then(|last| escapes.get(last)) {
        Some(last) => last.raw.end + at.saturating_sub(last.text.end),
        None => at,
    };
    let first = escapes.partition_point(|escape| escape.text.end <= text.start);
    let start = match escapes.get(first) {
        Some(escape) if escape.text.start <= text.start => escape.raw.start,
        _ => behind(first, text.start),
    };
    let begun = escapes.partition_point(|escape| escape.text.start < text.end);
    start..behind(begun, text.end)
}
