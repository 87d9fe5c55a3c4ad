//! Cuts a stream into events.

use std::borrow::Cow;

use memchr::memchr2;

/// Above this, the buffer of a long event is given back when the event is done, in bytes.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

/// Bounds of a [`Splitter`]. A line end counts as one byte, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest line, in bytes.
    pub line_bytes_max: usize,
    /// The longest event, in bytes.
    pub event_bytes_max: usize,
}

impl Default for Bounds {
    /// 1 MiB a line, 4 MiB an event: a Responses stream ends with an event that holds the whole response.
    fn default() -> Self {
        Self { line_bytes_max: 1024 * 1024, event_bytes_max: 4 * 1024 * 1024 }
    }
}

/// A line or an event is longer than its bound. Nothing can be said about the rest of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// A line.
    #[error("a line of an event stream is longer than {0} bytes")]
    Line(usize),
    /// An event.
    #[error("an event of an event stream is longer than {0} bytes")]
    Event(usize),
}

/// Cuts a stream into events: the same ones whatever the pieces it comes in. An event that lies within one piece is not
/// copied.
#[derive(Debug)]
pub struct Splitter {
    bounds: Bounds,
    /// The beginning of an event whose end has not come, or an event that has just been given out.
    held: Vec<u8>,
    is_held_given: bool,
    /// Bytes of the current line.
    line_len: usize,
    /// Bytes of the current event, without the current line.
    event_len: usize,
    /// Whether the current event has a line that is not empty.
    has_lines: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// No event has been given out.
    is_first: bool,
    failed: Option<TooLong>,
}

impl Splitter {
    /// At the beginning of a stream.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            held: Vec::new(),
            is_held_given: false,
            line_len: 0,
            event_len: 0,
            has_lines: false,
            after_cr: false,
            is_first: true,
            failed: None,
        }
    }

    /// The next event of the stream, taken from the front of `chunk`; `None` when `chunk` is used up. Call it until then.
    pub fn next<'s, 'c: 's>(&'s mut self, chunk: &mut &'c [u8]) -> Result<Option<Event<'s>>, TooLong> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if std::mem::take(&mut self.is_held_given) {
            self.held.clear();
            self.held.shrink_to(BUFFER_BYTES_KEPT);
        }
        let end = match self.find_end(chunk) {
            Ok(end) => end,
            Err(failed) => {
                self.failed = Some(failed);
                self.held = Vec::new();
                return Err(failed);
            }
        };
        let Some(end) = end else {
            self.held.extend_from_slice(chunk);
            *chunk = &[];
            return Ok(None);
        };
        let (event, rest) = chunk.split_at_checked(end).unwrap_or((chunk, &[]));
        *chunk = rest;
        let is_first = std::mem::take(&mut self.is_first);
        if self.held.is_empty() {
            return Ok(Some(Event { raw: event, is_first }));
        }
        self.held.extend_from_slice(event);
        self.is_held_given = true;
        Ok(Some(Event { raw: &self.held, is_first }))
    }

    /// Whether `chunk` begins with the LF of the CR LF that ended the last event, of which only the CR had come. It is taken.
    pub fn late_line_end(&mut self, chunk: &mut &[u8]) -> bool {
        let is_ended = self.is_held_given || self.held.is_empty();
        let Some(rest) = chunk.strip_prefix(b"\n").filter(|_| self.after_cr && is_ended && !self.is_mid_event()) else {
            return false;
        };
        self.after_cr = false;
        *chunk = rest;
        true
    }

    /// Whether an event has begun and not ended.
    pub fn is_mid_event(&self) -> bool {
        self.has_lines || self.line_len > 0
    }

    /// What has come of an event that has not ended, or of the line ends behind the last one.
    pub fn rest(&self) -> &[u8] {
        if self.is_held_given { &[] } else { &self.held }
    }

    /// Where in `chunk` the current event ends, its empty line included.
    fn find_end(&mut self, chunk: &[u8]) -> Result<Option<usize>, TooLong> {
        let mut at = 0;
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            at = usize::from(chunk.first() == Some(&b'\n'));
        }
        while let Some(rest) = chunk.get(at..) {
            let Some(line_len) = memchr2(b'\n', b'\r', rest) else {
                self.line_len += rest.len();
                self.check()?;
                return Ok(None);
            };
            self.line_len += line_len;
            self.check()?;
            at += line_len + 1;
            if rest.get(line_len) == Some(&b'\r') {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            let is_empty = self.line_len == 0;
            self.event_len += self.line_len + 1;
            self.line_len = 0;
            if is_empty && self.has_lines {
                self.has_lines = false;
                self.event_len = 0;
                return Ok(Some(at));
            }
            self.has_lines |= !is_empty;
        }
        Ok(None)
    }

    /// Names the bound that was passed first, so that the pieces do not matter.
    fn check(&self) -> Result<(), TooLong> {
        let Bounds { line_bytes_max, event_bytes_max } = self.bounds;
        match event_bytes_max.checked_sub(self.event_len) {
            Some(left) if self.line_len <= left.min(line_bytes_max) => Ok(()),
            Some(left) if line_bytes_max <= left => Err(TooLong::Line(line_bytes_max)),
            _ => Err(TooLong::Event(event_bytes_max)),
        }
    }
}

/// One event, or a comment that stands alone.
#[derive(Debug, Clone, Copy)]
pub struct Event<'s> {
    raw: &'s [u8],
    is_first: bool,
}

impl<'s> Event<'s> {
    /// As it came, with the empty line that ends it (the LF of a last CR LF may have come too late for that), and with
    /// empty lines before it.
    pub fn raw(&self) -> &'s [u8] {
        self.raw
    }

    /// Whether it is the first of its stream, which may begin with a byte order mark.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Its fields in order, comments left out.
    pub fn fields(&self) -> impl Iterator<Item = (&'s [u8], &'s [u8])> + use<'s> {
        let raw = match self.raw.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if self.is_first => rest,
            _ => self.raw,
        };
        raw.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !matches!(line, [] | [b':', ..])).map(|line| {
            let colon = memchr::memchr(b':', line).unwrap_or(line.len());
            let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
            let value = value.strip_prefix(b":").unwrap_or(value);
            (name, value.strip_prefix(b" ").unwrap_or(value))
        })
    }

    /// The last `event` field: its type, where it is not `message`.
    pub fn name(&self) -> Option<&'s [u8]> {
        self.fields()
            .filter(|(name, _)| *name == b"event")
            .last()
            .map(|(_, value)| value)
            .filter(|name| !name.is_empty())
    }

    /// Its `data` fields, joined by line feeds; `None` where it has none, and no browser would see it.
    pub fn data(&self) -> Option<Cow<'s, [u8]>> {
        let mut lines = self.fields().filter(|(name, _)| *name == b"data").map(|(_, value)| value);
        let first = lines.next()?;
        let Some(second) = lines.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = [first, second].join(&b'\n');
        for line in lines {
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
        Some(Cow::Owned(joined))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Bounds = Bounds { line_bytes_max: 20, event_bytes_max: 50 };

    /// Name and data of each event.
    type Seen = Vec<(Option<String>, Option<String>)>;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The events of a stream in these pieces, and how it ended.
    fn split(pieces: &[&[u8]], bounds: Bounds) -> (Seen, Result<bool, TooLong>) {
        let mut splitter = Splitter::new(bounds);
        let mut seen = Vec::new();
        let mut raw = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            loop {
                match splitter.next(&mut rest) {
                    Ok(Some(event)) => {
                        raw.extend_from_slice(event.raw());
                        seen.push((event.name().map(text), event.data().as_deref().map(text)));
                    }
                    Ok(None) => break,
                    Err(error) => return (seen, Err(error)),
                }
            }
        }
        raw.extend_from_slice(if splitter.is_held_given { &[] } else { &splitter.held });
        assert_eq!(raw, pieces.concat(), "not a byte is lost");
        (seen, Ok(splitter.is_mid_event()))
    }

    fn check(stream: &str, expected: &[(Option<&str>, Option<&str>)], is_mid_event: bool) {
        let expected: Seen =
            expected.iter().map(|(name, data)| (name.map(str::to_owned), data.map(str::to_owned))).collect();
        let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
        for pieces in [&[stream.as_bytes()][..], &bytes] {
            assert_eq!(split(pieces, Bounds::default()), (expected.clone(), Ok(is_mid_event)), "{stream:?}");
        }
    }

    #[test]
    fn events_are_cut_at_empty_lines() {
        let between = false;
        check("data: a\n\ndata: b\n\n", &[(None, Some("a")), (None, Some("b"))], between);
        check(
            "data: a\r\n\r\ndata: b\r\rdata: c\n\r\n",
            &[(None, Some("a")), (None, Some("b")), (None, Some("c"))],
            between,
        );
        check("event: x\ndata: a\ndata:b\ndata:  c\n\n", &[(Some("x"), Some("a\nb\n c"))], between);
        check("data\n\n", &[(None, Some(""))], between);
        check("data:\ndata\n\n", &[(None, Some("\n"))], between);
        check(": ping\n\n", &[(None, None)], between);
        check("id: 1\nretry: 5\n\n", &[(None, None)], between);
        check("\n\n\r\n\rdata: a\n\n\n\n", &[(None, Some("a"))], between);
        check(
            "event: a\nevent: b\ndata: c\n\nevent:\ndata: d\n\n",
            &[(Some("b"), Some("c")), (None, Some("d"))],
            between,
        );
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[(None, Some("a")), (None, None)], between);
        check("data: é€😀\n\n", &[(None, Some("é€😀"))], between);
        check("data: a\n\ndata: b\n", &[(None, Some("a"))], true);
        check("data: a", &[], true);
        check("", &[], between);
        check("\n", &[], between);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let check = |stream: &str, expected: Result<bool, TooLong>| {
            let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
            assert_eq!(split(&[stream.as_bytes()], SMALL).1, expected, "{stream:?}");
            assert_eq!(split(&bytes, SMALL).1, expected, "{stream:?}");
        };
        let line = |len: usize| "x".repeat(len);
        check(&line(20), Ok(true));
        check(&line(21), Err(TooLong::Line(20)));
        check(&format!("{}\n{}\n{}\n\n", line(20), line(20), line(7)), Ok(false));
        check(&format!("{}\n{}\n{}\n\n", line(20), line(20), line(9)), Err(TooLong::Event(50)));
        check(&format!("{}\r\n{}\r\n{}\r\n\r\n", line(20), line(20), line(7)), Ok(false));
        check(&format!("{}\n\n", line(20)).repeat(10), Ok(false));
        check(&"\n".repeat(1000), Err(TooLong::Event(50)));
    }

    #[test]
    fn a_stream_that_failed_stays_failed() {
        let mut splitter = Splitter::new(SMALL);
        let long = [b'x'; 30];
        assert!(splitter.next(&mut &long[..]).is_err());
        assert!(splitter.next(&mut &b"\n\ndata: a\n\n"[..]).is_err());
    }

    #[test]
    fn an_event_in_one_piece_is_not_copied() {
        let mut splitter = Splitter::new(Bounds::default());
        let mut rest = &b"data: a\n\ndata: b\n\n"[..];
        assert!(matches!(splitter.next(&mut rest), Ok(Some(event)) if event.raw() == b"data: a\n\n"));
        assert_eq!(splitter.held.capacity(), 0);
    }

    /// What the specification's text says, on a whole stream.
    fn reference(stream: &[u8]) -> Seen {
        let stream = text(stream).replace("\r\n", "\n").replace('\r', "\n");
        let mut seen = Vec::new();
        let mut lines: Vec<&str> = Vec::new();
        let complete = stream.rsplit_once('\n').map_or("", |(complete, _)| complete);
        for line in complete.split('\n') {
            if !line.is_empty() {
                lines.push(line);
            } else if !lines.is_empty() {
                let values = |wanted: &str| -> Vec<String> {
                    let fields = lines.iter().map(|line| line.split_once(':').unwrap_or((line, "")));
                    let fields = fields.filter(|(name, _)| *name == wanted);
                    fields.map(|(_, value)| value.strip_prefix(' ').unwrap_or(value).to_owned()).collect()
                };
                let data = values("data");
                let name = values("event").pop().filter(|name| !name.is_empty());
                seen.push((name, (!data.is_empty()).then(|| data.join("\n"))));
                lines.clear();
            }
        }
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn any_chunking_gives_the_same_events(
            stream in prop::collection::vec(prop_oneof![
                5 => prop::sample::select(vec![&b"\n"[..], b"\r", b"\r\n", b"data: a", b"data:", b"event: x", b": c", b"x", b" "]),
                1 => prop::sample::select(vec![&b"\xff"[..], b"\xc3\xa9", b"\0", b"data: [DONE]"]),
            ], 0..30),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            is_small in any::<bool>(),
        ) {
            let stream = stream.concat();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).filter_map(|cut| match cut {
                [from, to] => stream.get(*from..*to),
                _ => None,
            }).collect();
            let bounds = if is_small { SMALL } else { Bounds::default() };
            let whole = split(&[&stream], bounds);
            prop_assert_eq!(&split(&pieces, bounds), &whole);
            if !is_small {
                prop_assert_eq!(&whole.0, &reference(&stream));
            }
        }
    }
}
