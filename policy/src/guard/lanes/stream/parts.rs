//! One event: where its JSON stands, and what stands beside it.

use std::{borrow::Cow, ops::Range};

use super::splitter::Event;

/// An event as it can be rewritten: its data stands in one line.
#[derive(Debug)]
pub(super) struct Parts<'e> {
    /// All of it. Where the data came in several lines, they have been put together.
    pub(super) raw: Cow<'e, [u8]>,
    /// Its data.
    pub(super) data: Option<Range<usize>>,
    /// Its type.
    pub(super) name: Option<Range<usize>>,
    /// Comments, ids and fields of other names.
    pub(super) others: Vec<Range<usize>>,
}

impl<'e> Parts<'e> {
    /// The parts of an event.
    pub(super) fn of(event: &Event<'e>) -> Self {
        let raw = event.raw();
        let mut parts = Self { raw: Cow::Borrowed(raw), data: None, name: None, others: Vec::new() };
        let mut has_more = false;
        let begins = if event.is_first() && raw.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        for line in lines(raw, begins) {
            match field(raw, &line) {
                (b"data", _) if parts.data.is_some() => has_more = true,
                (b"data", value) => parts.data = Some(value),
                (b"event", value) => parts.name = Some(value),
                _ => parts.others.push(line),
            }
        }
        if has_more { Self::of_many_lines(event) } else { parts }
    }

    /// Lines of data mean one text with line feeds between them. JSON has none within its strings, so spaces will do.
    fn of_many_lines(event: &Event<'e>) -> Self {
        let raw = event.raw();
        let mut written = Vec::with_capacity(raw.len());
        let mut others = Vec::new();
        let mut name = None;
        let begins = if event.is_first() && raw.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        for line in lines(raw, begins) {
            let from = written.len();
            match field(raw, &line) {
                (b"data", _) => continue,
                (b"event", value) => name = Some(from + (value.start - line.start)..from + (value.end - line.start)),
                _ => others.push(from..from + line.len()),
            }
            written.extend_from_slice(raw.get(line).unwrap_or_default());
            written.push(b'\n');
        }
        written.extend_from_slice(b"data: ");
        let from = written.len();
        let data = event.data().unwrap_or_default();
        written.extend(data.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        let data = from..written.len();
        written.extend_from_slice(b"\n\n");
        Self { raw: Cow::Owned(written), data: Some(data), name, others }
    }

    /// The bytes of a part.
    pub(super) fn bytes(&self, part: &Range<usize>) -> &[u8] {
        self.raw.get(part.clone()).unwrap_or_default()
    }
}

/// Lines that are not empty, without their ends.
fn lines(raw: &[u8], begins: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = begins;
    std::iter::from_fn(move || {
        let rest = raw.get(at..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = at..at + len;
        at += len + 1;
        Some(line)
    })
    .filter(|line| !line.is_empty())
}

/// The name of a line's field, and where its value stands. A comment has no name.
fn field<'r>(raw: &'r [u8], line: &Range<usize>) -> (&'r [u8], Range<usize>) {
    let text = raw.get(line.clone()).unwrap_or_default();
    let colon = memchr::memchr(b':', text).unwrap_or(text.len());
    let name = text.get(..colon).unwrap_or_default();
    let value = (colon + 1).min(text.len());
    let space = usize::from(text.get(value) == Some(&b' '));
    (name, line.start + value + space..line.end)
}
