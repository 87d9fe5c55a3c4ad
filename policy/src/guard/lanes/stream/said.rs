//! What the strings of one event are: which belong to a text that goes on, and which stand for themselves.

use std::ops::Range;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::{
    LANES_MAX,
    lane::Key,
    template::{Hole, Varies},
};
use crate::guard::{
    lanes::{
        json::{Fault, Path, Quoted, Reason, Step, Visitor, walk},
        known::Known,
        shape::{Api, Field, Lane, Number, Part, Shape, is_word},
        shapes::responses,
    },
    screen::{UnknownFields, Unscreened},
};
use std::hash::{BuildHasher, Hash, Hasher};

/// What differs from event to event, of which more are read closely each time.
const VARIES_MAX: usize = 8;

/// What is done with a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The next part of a text.
    Part(Key),
    /// The name of a tool: it stands for itself, and those that may be put together are looked at together as well.
    Name(Key),
    /// A text that is told again from its beginning, each time with more.
    Grown(Key),
    /// A text that is whole.
    Whole,
    /// JSON that is whole.
    Arguments,
    /// It is taken out.
    Drop,
}

/// A string of an event.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// What is done with it.
    pub(super) role: Role,
    /// Its insides.
    pub(super) range: Range<usize>,
}

/// What is told of the tokens of a text of this event.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) lane: Lane,
    /// The container.
    pub(super) range: Range<usize>,
    pub(super) form: Form,
}

/// How tokens are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An array with an object for each.
    Each,
    /// Arrays side by side.
    Parallel,
    /// In some other way.
    Other,
}

/// What one event says. It is used again for each.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) sites: Vec<Site>,
    pub(super) tokens: Vec<Tokens>,
    /// Choices that end.
    pub(super) ended: SmallVec<[u32; 4]>,
    /// All choices that it is about.
    pub(super) choices: SmallVec<[u32; 4]>,
    /// Its `type`, where it has one.
    pub(super) kind: Option<Range<usize>>,
    /// The block or item, and the part of it, that a typed event is about.
    pub(super) output: Option<u32>,
    pub(super) content: Option<u32>,
    /// What differs from event to event, and says nothing.
    pub(super) varies: SmallVec<[Hole; 4]>,
    /// The number by which events of Responses count themselves.
    pub(super) sequence: Option<Range<usize>>,
    /// Whether it ends all that is under way (TGI's last event has the whole text).
    pub(super) is_last: bool,
    /// Elements of `choices`.
    elements: usize,
    /// A number that says which text an element belongs to is written so that one reader takes it for another than the next.
    is_unclear: bool,
    fields: Vec<Found>,
    numbers: SmallVec<[(Number, u32); 4]>,
    finished: SmallVec<[u32; 4]>,
}

#[derive(Debug)]
struct Found {
    field: Field,
    /// Of the key that ends its path, or of the whole path where no table knows it.
    name: u64,
    /// What it would be part of, where no table knows it.
    lane: Lane,
    range: Range<usize>,
    /// In what grows from event to event.
    in_delta: bool,
    is_key: bool,
    /// vLLM's and SGLang's `generate` tell a text again with each event.
    grows: bool,
}

/// Why the text of an event cannot be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Json,
    Opaque,
    Twice,
    TooMany,
}

/// How events are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'r> {
    pub(super) api: Api,
    pub(super) unknown: UnknownFields,
    pub(super) unscreened: Unscreened,
    pub(super) hashes: &'r RandomState,
}

impl Said {
    /// Reads an event.
    pub(super) fn read(&mut self, json: &[u8], reading: Reading<'_>) -> Result<(), Unreadable> {
        self.sites.clear();
        self.tokens.clear();
        self.ended.clear();
        self.choices.clear();
        self.fields.clear();
        self.numbers.clear();
        self.finished.clear();
        self.varies.clear();
        (self.kind, self.output, self.content, self.sequence) = (None, None, None, None);
        (self.is_last, self.elements, self.is_unclear) = (false, 0, false);
        let mut reader = Reader { json, said: self, reading, inside: None };
        walk(json, &mut reader).map_err(|fault| match fault.reason {
            Reason::Stopped => Unreadable::Opaque,
            _ => Unreadable::Json,
        })?;
        let kind = self.kind.clone().and_then(|range| json.get(range)).unwrap_or_default();
        self.resolve(std::str::from_utf8(kind).unwrap_or_default(), reading)
    }

    /// Puts numbers in the places of places.
    fn resolve(&mut self, kind: &str, reading: Reading<'_>) -> Result<(), Unreadable> {
        for (number, value) in &self.numbers {
            match number {
                Number::Output => self.output = Some(*value),
                Number::Content => self.content = Some(*value),
                Number::Choice(_) | Number::Call { .. } => {}
            }
        }
        // What follows looks for one among others.
        if self.numbers.len() > 2 * LANES_MAX || self.tokens.len() > LANES_MAX {
            return Err(Unreadable::TooMany);
        }
        let (output, content) = (self.output, self.content);
        let mut parts = 0;
        let numbers = std::mem::take(&mut self.numbers);
        let choice = |place: u32| {
            let said = numbers.iter().find(|(number, _)| *number == Number::Choice(place));
            said.map(|(_, value)| *value).or(output).unwrap_or(place)
        };
        let placed = |lane: Lane| {
            let call = Number::Call { choice: lane.choice, call: lane.number };
            let is_call = matches!(lane.part, Part::Arguments | Part::Name | Part::Input);
            let number = numbers.iter().find(|(number, _)| is_call && *number == call).map(|(_, value)| *value);
            Lane { choice: choice(lane.choice), number: number.or(content).unwrap_or(lane.number), ..lane }
        };
        let is_delta = |found: &Found| match reading.api {
            Api::Responses => kind.strip_suffix(".delta").is_some(),
            _ => found.in_delta,
        };
        for found in self.fields.drain(..) {
            let key = |lane: Lane| Key { place: placed(lane), name: found.name };
            let role = match found.field {
                Field::Delta(lane) if reading.api == Api::Responses => match responses::part(kind) {
                    Some(part) => Role::Part(key(Lane { part, ..lane })),
                    None if reading.unscreened == Unscreened::Pass => continue,
                    None => return Err(Unreadable::Opaque),
                },
                Field::Delta(lane) if lane.part == Part::Name => Role::Name(key(lane)),
                Field::Delta(lane) if lane.part == Part::Citation => Role::Whole,
                Field::Delta(lane) => Role::Part(key(lane)),
                Field::Copy(lane) if found.grows => Role::Grown(key(lane)),
                Field::Copy(_) | Field::Text(_) | Field::Structure | Field::Logprobs(_) => Role::Whole,
                Field::Arguments(_) => Role::Arguments,
                Field::Opaque | Field::Numbers => continue,
                Field::Unknown => match reading.unknown {
                    UnknownFields::Pass => continue,
                    UnknownFields::Drop if !found.is_key => Role::Drop,
                    _ if !found.is_key && is_delta(&found) => Role::Part(key(found.lane)),
                    _ => Role::Whole,
                },
            };
            parts += usize::from(matches!(role, Role::Part(_) | Role::Name(_) | Role::Grown(_)));
            if parts > LANES_MAX {
                return Err(Unreadable::TooMany);
            }
            self.sites.push(Site { role, range: found.range });
        }
        for tokens in &mut self.tokens {
            tokens.lane = placed(tokens.lane);
        }
        self.ended.extend(self.finished.iter().map(|place| choice(*place)));
        self.choices.extend(numbers.iter().filter(|(number, _)| matches!(number, Number::Choice(_))).map(|(_, v)| *v));
        self.numbers = numbers;
        self.check_readings()
    }

    /// Two strings of one event for one text, two elements for one choice, or elements of which nobody says for which: who would
    /// read which?
    fn check_readings(&self) -> Result<(), Unreadable> {
        if self.is_unclear || self.elements > 1 && self.choices.len() < self.elements {
            return Err(Unreadable::Twice);
        }
        let parts = |site: &Site| match site.role {
            Role::Part(key) | Role::Name(key) | Role::Grown(key) => Some(key),
            _ => None,
        };
        let keys: SmallVec<[Key; 8]> = self.sites.iter().filter_map(parts).collect();
        if keys.iter().enumerate().any(|(at, key)| keys.iter().take(at).any(|other| other == key)) {
            return Err(Unreadable::Twice);
        }
        let twice = |at: usize, choice: &u32| self.choices.iter().take(at).any(|other| other == choice);
        if self.choices.iter().enumerate().any(|(at, choice)| twice(at, choice)) {
            return Err(Unreadable::Twice);
        }
        Ok(())
    }
}

struct Reader<'s, 'r, 'b> {
    json: &'b [u8],
    said: &'s mut Said,
    reading: Reading<'r>,
    /// How many steps lead to the tokens that are being read.
    inside: Option<(usize, Tokens)>,
}

impl Reader<'_, '_, '_> {
    fn shape(&self) -> Shape {
        Shape::event(self.reading.api)
    }

    fn found(&mut self, path: &Path<'_>, mut field: Field, range: Range<usize>, is_key: bool) {
        let known = path.known();
        if known.last() == Some(&Known::Signature) {
            // It is given whole, and the last one counts.
            field = Field::Text(crate::guard::lanes::shape::Speaker::Assistant);
        }
        let in_delta = match self.reading.api {
            Api::Messages => known.first() == Some(&Known::Delta),
            _ => known.first() != Some(&Known::Error) && known.first() != Some(&Known::Usage),
        };
        // Elements of choices and calls are known by a number in them, not by their places.
        let (lane, counted) = match known {
            [Known::Choices, Known::At(choice), _, Known::ToolCalls, Known::At(call), ..] => {
                (Lane::new(*choice, Part::Input, *call), 5)
            }
            [Known::Choices, Known::At(choice), ..] => (Lane::new(*choice, Part::Content, u32::MAX), 2),
            _ => (Lane::new(u32::MAX, Part::Content, u32::MAX), 0),
        };
        let grows = self.reading.api == Api::Generate
            && matches!(known, [.., Known::Text] | [Known::Text | Known::TextOutput, Known::At(_)]);
        let mut hasher = self.reading.hashes.build_hasher();
        let steps = path.steps();
        let from = if field == Field::Unknown { 0 } else { steps.len().saturating_sub(1) };
        for (place, step) in steps.iter().enumerate().skip(from) {
            match step {
                Step::Key(key) => key.hash(&mut hasher),
                Step::Index(index) if place >= counted => index.hash(&mut hasher),
                Step::Index(_) => {}
            }
        }
        self.said.fields.push(Found { field, name: hasher.finish(), lane, range, in_delta, is_key, grows });
    }
}

fn stopped(at: usize) -> Fault {
    Fault { reason: Reason::Stopped, at }
}

impl<'b> Visitor<'b> for Reader<'_, '_, 'b> {
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        if self.inside.is_some() {
            return Ok(());
        }
        let known = path.known();
        self.said.is_unclear |= self.shape().number(known).is_some();
        match known {
            [Known::Type] => self.said.kind = Some(text.range()),
            [Known::Choices, Known::At(choice), Known::FinishReason] => self.said.finished.push(*choice),
            [Known::Obfuscation] if self.said.varies.len() < VARIES_MAX => {
                self.said.varies.push(Hole { range: text.range(), kind: Varies::Padding });
            }
            [Known::GeneratedText] if self.reading.api == Api::Generate => self.said.is_last = true,
            _ => {}
        }
        let field = self.shape().field(known);
        match field {
            Field::Structure if is_word(text.raw) => return Ok(()),
            Field::Opaque | Field::Numbers if self.reading.unscreened == Unscreened::Refuse && !text.raw.is_empty() => {
                return Err(stopped(text.at));
            }
            _ => {}
        }
        self.found(path, field, text.range(), false);
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        if self.inside.is_none() && !Shape::is_known_key(path.known().last()) {
            self.found(path, Field::Unknown, key.range(), true);
        }
        Ok(())
    }

    fn scalar(&mut self, path: &Path<'b>, range: Range<usize>) -> Result<(), Fault> {
        if self.inside.is_some() {
            return Ok(());
        }
        let known = path.known();
        let text = self.json.get(range.clone()).unwrap_or_default();
        let is_number = text.first().is_some_and(|first| matches!(first, b'-' | b'0'..=b'9'));
        if is_number
            && self.reading.unscreened == Unscreened::Refuse
            && matches!(self.shape().field(known), Field::Opaque | Field::Numbers)
        {
            return Err(stopped(range.start));
        }
        let is_digits = text.iter().all(u8::is_ascii_digit);
        if known == [Known::SequenceNumber] && self.reading.api == Api::Responses && is_digits {
            self.said.sequence = Some(range.clone());
        }
        let counts = known.last() == Some(&Known::SequenceNumber) || known.contains(&Known::Usage);
        if counts && self.said.varies.len() < VARIES_MAX && is_digits {
            self.said.varies.push(Hole { range: range.clone(), kind: Varies::Number });
        }
        if let Some(number) = self.shape().number(known)
            && text != b"null"
        {
            // `0.0`, `-0` and `0e0` are 0 to some.
            match std::str::from_utf8(text).ok().filter(|_| is_digits).and_then(|text| text.parse().ok()) {
                Some(value) => self.said.numbers.push((number, value)),
                None => self.said.is_unclear = true,
            }
        }
        Ok(())
    }

    fn open(&mut self, path: &Path<'b>, at: usize, is_object: bool) -> Result<(), Fault> {
        let known = path.known();
        if let [Known::Choices, Known::At(_)] = known {
            self.said.elements += 1;
        }
        if self.inside.is_none()
            && let Field::Logprobs(lane) = self.shape().field(known)
            // Chat's object has two arrays, each of a text.
            && !(self.reading.api == Api::Chat && is_object && known.last() == Some(&Known::Logprobs))
        {
            let part = if known.last() == Some(&Known::Refusal) { Part::Refusal } else { lane.part };
            let form = match self.reading.api {
                Api::Chat | Api::Responses if !is_object => Form::Each,
                Api::Completions if is_object => Form::Parallel,
                _ => Form::Other,
            };
            self.inside = Some((path.steps().len(), Tokens { lane: Lane { part, ..lane }, range: at..at, form }));
        }
        Ok(())
    }

    fn close(&mut self, path: &Path<'b>, end: usize, _: bool) -> Result<(), Fault> {
        if let Some((_, mut tokens)) = self.inside.take_if(|(steps, _)| path.steps().len() == *steps) {
            tokens.range.end = end;
            // Mostly there are none.
            if tokens.range.len() > 2 {
                self.said.tokens.push(tokens);
            }
        }
        Ok(())
    }
}
