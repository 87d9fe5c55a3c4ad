//! Puts values back into one text that arrives in pieces.

use std::{ops::Range, sync::Arc};

use memchr::memchr2;

use super::Values;

/// Takes what becomes of a text.
pub trait Sink {
    /// These bytes of the text go on as they are. Together with the placeholders, all bytes come by here once, in order.
    fn pass(&mut self, bytes: &[u8]);
    /// This value stands here, for this placeholder as it was spelled. It is text: whoever writes JSON has to escape it.
    fn value(&mut self, placeholder: &[u8], value: &str);
}

impl Sink for Vec<u8> {
    fn pass(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn value(&mut self, _: &[u8], value: &str) {
        self.extend_from_slice(value.as_bytes());
    }
}

/// Restores the values of one request in one text.
///
/// A placeholder is known in any case, with `\_` for `_` (Markdown), and with `&lt;` and `&gt;` for its brackets (HTML); what
/// stands around it, backticks and quotes too, stays. Bytes are held exactly as long as they are the beginning of such a
/// spelling of a placeholder of this request, and so could still become one.
#[derive(Debug)]
pub struct Restorer {
    values: Arc<Values>,
    /// What has come of the candidate in earlier pieces.
    held: Vec<u8>,
    candidate: Candidate,
}

/// What may become a placeholder.
#[derive(Debug)]
struct Candidate {
    /// The values whose placeholders begin like this.
    places: Range<usize>,
    /// Bytes of these placeholders that have been seen.
    seen: usize,
    escape: Escape,
}

/// A byte of a placeholder that is being spelled in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    /// `\`: of `\_`.
    Backslash,
    /// `&`
    Ampersand,
    /// `&l` or `&g`: of `&lt;` or `&gt;`.
    Letter(u8),
    /// `&lt` or `&gt`.
    Unclosed(u8),
}

/// What a byte makes of a candidate.
enum Step {
    /// It goes on, or begins.
    On,
    /// It is a placeholder, of the value at this place.
    Whole(usize),
    /// It is none. The byte has to be read again: without a candidate, or with one that the `&` before it began.
    Broken { after_ampersand: bool },
}

impl Candidate {
    fn none(values: &Values) -> Self {
        Self { places: values.all(), seen: 0, escape: Escape::None }
    }

    fn exists(&self) -> bool {
        self.seen > 0 || self.escape != Escape::None
    }

    fn take(&mut self, values: &Values, byte: u8) -> Step {
        let byte = byte.to_ascii_lowercase();
        let escape = match (self.escape, byte) {
            (Escape::None, b'\\') if self.may_go_on(values, b'_') => Escape::Backslash,
            (Escape::None, b'&') if self.may_go_on(values, b'<') || self.may_go_on(values, b'>') => Escape::Ampersand,
            (Escape::None, byte) => return self.spelled(values, byte),
            (Escape::Backslash, b'_') => return self.spelled(values, b'_'),
            (Escape::Ampersand, b'l') if self.may_go_on(values, b'<') => Escape::Letter(b'<'),
            (Escape::Ampersand, b'g') if self.may_go_on(values, b'>') => Escape::Letter(b'>'),
            (Escape::Letter(bracket), b't') => Escape::Unclosed(bracket),
            (Escape::Unclosed(bracket), b';') => return self.spelled(values, bracket),
            (escape, _) => return Step::Broken { after_ampersand: escape == Escape::Ampersand && self.seen > 0 },
        };
        self.escape = escape;
        Step::On
    }

    /// The next byte of the placeholder is this.
    fn spelled(&mut self, values: &Values, byte: u8) -> Step {
        self.escape = Escape::None;
        self.places = values.going_on(&self.places, self.seen, byte);
        self.seen += 1;
        if self.places.is_empty() {
            return Step::Broken { after_ampersand: false };
        }
        // No placeholder is the beginning of another, since each ends with the only `>` in it.
        match values.whole(self.places.start, self.seen) {
            Some(_) => Step::Whole(self.places.start),
            None => Step::On,
        }
    }

    fn may_go_on(&self, values: &Values, byte: u8) -> bool {
        !values.going_on(&self.places, self.seen, byte).is_empty()
    }
}

impl Restorer {
    /// A text of which nothing has come yet.
    pub fn new(values: Arc<Values>) -> Self {
        let candidate = Candidate::none(&values);
        Self { values, held: Vec::new(), candidate }
    }

    /// Takes the next bytes. Says whether exactly these went on: whoever holds them in another form may forward that.
    pub fn restore(&mut self, piece: &[u8], sink: &mut impl Sink) -> bool {
        let mut is_untouched = self.held.is_empty();
        // Of the piece: what has been passed on, where the candidate begins, and what is read.
        let (mut passed, mut begins, mut at) = (0, 0, 0);
        loop {
            if !self.candidate.exists() {
                let rest = piece.get(at..).unwrap_or_default();
                at = memchr2(b'<', b'&', rest).filter(|_| !self.values.is_empty()).map_or(piece.len(), |n| at + n);
                begins = at;
            }
            let Some(byte) = piece.get(at) else { break };
            match self.candidate.take(&self.values, *byte) {
                Step::On => at += 1,
                Step::Whole(place) => {
                    at += 1;
                    pass(piece.get(passed..begins), sink);
                    self.held.extend_from_slice(piece.get(begins..at).unwrap_or_default());
                    sink.value(&self.held, self.values.whole(place, self.candidate.seen).unwrap_or_default());
                    (passed, is_untouched) = (at, false);
                    self.held.clear();
                    self.candidate = Candidate::none(&self.values);
                }
                Step::Broken { after_ampersand } => {
                    begins = self.give_up(after_ampersand, at, sink);
                }
            }
        }
        pass(piece.get(passed..begins), sink);
        let undecided = piece.get(begins..).unwrap_or_default();
        self.held.extend_from_slice(undecided);
        is_untouched && undecided.is_empty()
    }

    /// The candidate is none: what was held of it goes on. Says where in the piece the next one begins, of which nothing has
    /// been read or, `after_ampersand`, its `&`.
    fn give_up(&mut self, after_ampersand: bool, at: usize, sink: &mut impl Sink) -> usize {
        self.candidate = Candidate::none(&self.values);
        if after_ampersand {
            self.candidate.escape = Escape::Ampersand;
        }
        let kept = usize::from(after_ampersand && at == 0);
        let given = self.held.len().saturating_sub(kept);
        pass(self.held.get(..given), sink);
        self.held.drain(..given);
        at.saturating_sub(usize::from(after_ampersand))
    }

    /// The text is over: what was held goes on.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        pass(Some(&self.held), sink);
        self.held.clear();
        self.candidate = Candidate::none(&self.values);
    }

    /// Bytes that have come and of which nothing has been said.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

fn pass(bytes: Option<&[u8]>, sink: &mut impl Sink) {
    if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
        sink.pass(bytes);
    }
}
