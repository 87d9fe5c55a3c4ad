//! The last event of a text: the next one is mostly the same but for what is said, and what is held back goes out in
//! another like it.

use std::ops::Range;

use smallvec::SmallVec;

use super::lane::Key;
use crate::guard::lanes::{json::Scanner, shape::Part};

/// Events that are longer are not kept, in bytes: what must be said later goes out in an event of the text's own making.
pub(super) const TEMPLATE_BYTES_MAX: usize = 4096;

/// Paddings that are longer are read closely, in bytes.
const PADDING_BYTES_MAX: usize = 64;

/// An event, and where in it what is said.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// As it went out; as it came, where the next may be like it.
    raw: Vec<u8>,
    /// Its JSON.
    json: Range<usize>,
    /// What differs from event to event, in order.
    holes: SmallVec<[Hole; 2]>,
    /// Whether the next event may be read by comparing it with this one.
    is_alike: bool,
}

/// What differs from event to event.
#[derive(Debug, Clone)]
pub(super) struct Hole {
    pub(super) range: Range<usize>,
    pub(super) kind: Varies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Varies {
    /// What is said.
    Text,
    /// A number that counts.
    Number,
    /// Letters that hide how long the text is.
    Padding,
    /// Another text, of which each event says the same.
    Beside(Key),
}

/// Where in an event stands what differs.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) text: Range<usize>,
    pub(super) number: Option<Range<usize>>,
    pub(super) padding: Option<Range<usize>>,
    pub(super) beside: SmallVec<[(Key, Range<usize>); 1]>,
}

impl Template {
    /// Keeps an event. `is_alike`: nothing but these makes the next event another one.
    pub(super) fn keep(&mut self, raw: &[u8], json: Range<usize>, holes: impl Iterator<Item = Hole>, is_alike: bool) {
        self.raw.clear();
        self.holes.clear();
        self.holes.extend(holes);
        self.holes.sort_unstable_by_key(|hole| hole.range.start);
        (self.json, self.is_alike) = (json, is_alike && raw.len() <= TEMPLATE_BYTES_MAX);
        if raw.len() <= TEMPLATE_BYTES_MAX {
            self.raw.extend_from_slice(raw);
            return;
        }
        // What is long in it is what was said, mostly.
        let mut short = Vec::new();
        let text = self.text().and_then(|text| write(raw, &self.json, text.start, b"", None, &mut short));
        if let Some(text) = text {
            self.holes.clear();
            self.holes.push(Hole { range: text..text, kind: Varies::Text });
            let begins = memchr::memmem::find(&short, b"data:").map_or(0, |at| at + 5);
            self.json = begins..short.len() - 2;
            self.raw = short;
        }
    }

    /// A block of Anthropic's begins: events of its text will look like this.
    pub(super) fn begin_block(&mut self, key: &Key) {
        let (kind, name) = match key.place.part {
            Part::Reasoning => ("thinking_delta", "thinking"),
            Part::Arguments => ("input_json_delta", "partial_json"),
            _ => ("text_delta", "text"),
        };
        let index = key.place.choice;
        let before = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\
             \"delta\":{{\"type\":\"{kind}\",\"{name}\":\""
        );
        let (json, text) = (before.find('{').unwrap_or_default(), before.len());
        let raw = before + "\"}}";
        let json = json..raw.len();
        self.keep((raw + "\n\n").as_bytes(), json, [Hole { range: text..text, kind: Varies::Text }].into_iter(), true);
    }

    fn text(&self) -> Option<&Range<usize>> {
        self.holes.iter().find(|hole| hole.kind == Varies::Text).map(|hole| &hole.range)
    }

    /// Where in this event stands what differs, if all else is as it was.
    pub(super) fn find(&self, raw: &[u8]) -> Option<Places> {
        if !self.is_alike {
            return None;
        }
        let mut places = Places::default();
        let (mut at, mut kept) = (0, 0);
        for hole in &self.holes {
            let same = self.raw.get(kept..hole.range.start)?;
            if raw.get(at..at + same.len())? != same {
                return None;
            }
            at += same.len();
            let rest = raw.get(at..)?;
            let len = match hole.kind {
                Varies::Text => text_len(rest)?,
                Varies::Number => number_len(rest)?,
                Varies::Padding => padding_len(rest)?,
                Varies::Beside(_) => {
                    let same = self.raw.get(hole.range.clone())?;
                    (rest.get(..same.len())? == same).then_some(same.len())?
                }
            };
            match hole.kind {
                Varies::Text => places.text = at..at + len,
                Varies::Number => places.number = Some(at..at + len),
                Varies::Padding => places.padding = Some(at..at + len),
                Varies::Beside(key) => places.beside.push((key, at..at + len)),
            }
            at += len;
            kept = hole.range.end;
        }
        (raw.get(at..)? == self.raw.get(kept..)?).then_some(places)
    }

    /// Writes an event of the same text that says this (the insides of a string) and nothing else, under this number.
    pub(super) fn write(&self, said: &[u8], number: Option<u64>, out: &mut Vec<u8>) {
        if let Some(text) = self.text() {
            write(&self.raw, &self.json, text.start, said, number, out);
        }
    }
}

/// Writes an event that is like this one, and in which nothing stands but this, in the place of the string that begins at
/// `text`. It counts itself by this number, if it does. Where the string stands then.
pub(super) fn write(
    raw: &[u8],
    json: &Range<usize>,
    text: usize,
    said: &[u8],
    number: Option<u64>,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let before = raw.get(..json.start)?;
    for line in before.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if line.starts_with(b"event:") || line.starts_with(b"data:") {
            out.extend_from_slice(line);
        }
    }
    let place = prune(raw.get(json.clone())?, text.checked_sub(json.start)?, &Wanted { said, number }, 0, out);
    out.extend_from_slice(b"\n\n");
    place
}

/// How long the insides of a string are, whose end must come. `None`: the event is to be looked at closely.
fn text_len(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// How long a number is that has nothing but digits.
fn number_len(rest: &[u8]) -> Option<usize> {
    let len = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    (len == 1 || len > 1 && rest.first() != Some(&b'0')).then_some(len)
}

/// How long a padding is: nothing but letters and digits.
fn padding_len(rest: &[u8]) -> Option<usize> {
    let len = rest.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    (len <= PADDING_BYTES_MAX).then_some(len)
}

/// Keys of the envelope that an event of the same text has, too.
fn is_envelope(key: &str) -> bool {
    matches!(
        key,
        "id" | "object"
            | "model"
            | "type"
            | "item_id"
            | "response_id"
            | "system_fingerprint"
            | "service_tier"
            | "model_name"
            | "model_version"
    )
}

/// What an event of our own says.
struct Wanted<'w> {
    said: &'w [u8],
    /// By which it counts itself.
    number: Option<u64>,
}

/// Writes a value with nothing in it but what leads to the target, and what says what it is.
fn prune(json: &[u8], target: usize, wanted: &Wanted<'_>, depth: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut scanner = Scanner::new(json).ok()?;
    let first = scanner.token()?;
    if !matches!(first, b'{' | b'[') {
        out.push(b'"');
        let place = out.len();
        out.extend_from_slice(wanted.said);
        out.push(b'"');
        return Some(place);
    }
    out.push(first);
    scanner.advance();
    let (mut is_first, mut place) = (true, None);
    while !matches!(scanner.token()?, b'}' | b']') {
        let start = scanner.at();
        let key = if first == b'{' { scanner.key().ok()?.raw } else { "" };
        let kind = scanner.token()?;
        let value = scanner.at();
        scanner.skip_value().ok()?;
        let range = value..scanner.at();
        let leads = range.contains(&target);
        let keeps = match kind {
            _ if first == b'[' => false,
            b'{' | b'[' => false,
            b'"' if depth == 0 => is_envelope(key),
            b'"' => key == "type",
            _ => true,
        };
        if leads || keeps {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(json.get(start..value)?);
        }
        if leads {
            place = prune(json.get(range)?, target - value, wanted, depth + 1, out);
        } else if keeps {
            match wanted.number.filter(|_| depth == 0 && key == "sequence_number") {
                Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
                None => out.extend_from_slice(json.get(range)?),
            }
        }
        if scanner.token()? == b',' {
            scanner.advance();
        }
    }
    out.push(if first == b'{' { b'}' } else { b']' });
    place
}
