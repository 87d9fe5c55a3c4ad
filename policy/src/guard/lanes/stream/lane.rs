//! One text of a stream: what has come of it, and what it waits for.

use std::sync::Arc;

use super::{
    arguments::Arguments,
    escapes::{Decoder, write_escaped},
    template::Template,
    tokens::{Spoken, Token},
};
use crate::guard::{
    lanes::shape::{Lane as Place, Part},
    placeholders::Values,
    screen::{Direction, Flow, Scratch, Sink, Speaker, Text},
};

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Of which choice, block or item, what of it, and which of these.
    pub(super) place: Place,
    /// Of the key under which it stands.
    pub(super) name: u64,
}

impl Key {
    /// Whether no table knows it.
    pub(super) fn is_unknown(&self) -> bool {
        self.place.number == u32::MAX
    }
}

/// Names of tools are short, and come in one piece. In bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// One text of a stream.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) key: Key,
    /// Nothing may be added to it any more.
    pub(super) is_over: bool,
    decoder: Decoder,
    text: Text,
    arguments: Option<Box<Arguments>>,
    /// Whether anything of it was replaced.
    is_altered: bool,
    /// The name of a tool, as far as it has come; a text that is told again each time, while some of it is held.
    pub(super) kept: Vec<u8>,
    /// Where the server tells of each token.
    pub(super) spoken: Option<Box<Spoken>>,
    /// Its last event.
    pub(super) template: Template,
}

/// What texts are screened under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Under<'u> {
    pub(super) direction: &'u Direction,
    /// What is put back in the place of placeholders.
    pub(super) values: Option<&'u Arc<Values>>,
}

impl Under<'_> {
    /// A text of which nothing has come yet.
    pub(super) fn text(self) -> Text {
        let text = Text::new(self.direction, Speaker::Assistant);
        match self.values {
            Some(values) => text.restoring(values),
            None => text,
        }
    }
}

/// What is used again for each string.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) screen: Scratch,
    decoded: Vec<u8>,
    fed: Vec<u8>,
}

/// The tokens that come with a part of a text. `None`: they cannot be read.
pub(super) struct Coming<'c> {
    /// The array.
    pub(super) json: &'c [u8],
    pub(super) tokens: Option<Vec<Token>>,
}

/// What became of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Became {
    /// It goes on as it stands.
    Itself,
    /// What was written goes on in its place.
    Another,
}

/// Why there is no more of a text. What is decided has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A rule blocks, by its place in the direction's engine.
    Blocked(usize),
    /// The text asks for more than is allowed of one.
    Overrun,
    /// An escape is none. (Whoever has read the event as JSON has seen that there is none.)
    Broken,
}

impl Lane {
    pub(super) fn new(key: Key, under: Under<'_>) -> Self {
        let arguments = key.place.part.is_json().then(Box::default);
        Self {
            key,
            is_over: false,
            decoder: Decoder::default(),
            text: under.text(),
            arguments,
            is_altered: false,
            kept: Vec::new(),
            spoken: None,
            template: Template::default(),
        }
    }

    /// All of a text that is told again each time, if some of it is held.
    pub(super) fn grown(&mut self) -> Option<Vec<u8>> {
        let is_grown = self.key.place.part != Part::Name && !self.kept.is_empty();
        is_grown.then(|| std::mem::take(&mut self.kept))
    }

    /// Bytes that have come and of which nothing has been said.
    pub(super) fn held(&self) -> usize {
        self.text.held() + self.arguments.as_ref().map_or(0, |arguments| arguments.waiting())
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.held() == 0 && !self.decoder.waits()
    }

    /// Takes the insides of the next string, and writes what is decided as the insides of another.
    pub(super) fn push(
        &mut self,
        under: Under<'_>,
        raw: &[u8],
        coming: Option<Coming<'_>>,
        buffers: &mut Buffers,
        made: &mut Vec<u8>,
    ) -> Result<Became, Stop> {
        let Buffers { screen, decoded, fed } = buffers;
        let is_plain = !self.decoder.waits() && memchr::memchr(b'\\', raw).is_none();
        let (said, is_exact) = if is_plain {
            (raw, true)
        } else {
            decoded.clear();
            let is_exact = self.decoder.read(raw, decoded).map_err(|_| Stop::Broken)?;
            self.is_altered |= !is_exact;
            (decoded.as_slice(), is_exact)
        };
        match (&mut self.spoken, coming) {
            (None, None) => {}
            (Some(spoken), None) => spoken.skip(said.len()),
            (spoken, Some(coming)) => {
                let spoken = spoken.get_or_insert_with(|| Box::new(Spoken::new(self.text.held())));
                spoken.take(coming.json, coming.tokens, said);
            }
        }
        let flow = match &mut self.arguments {
            None => {
                let spoken = self.spoken.as_deref_mut();
                let mut sink = Escaped { made, is_altered: &mut self.is_altered, spoken };
                self.text.push(under.direction, said, screen, &mut sink)
            }
            Some(arguments) => arguments.push(&mut self.text, under.direction, said, fed, screen, made),
        };
        match went(&flow)? {
            Became::Itself if is_exact => Ok(Became::Itself),
            _ => Ok(Became::Another),
        }
    }

    /// Takes the insides of a string that tells all of the text so far, and writes what is decided of it.
    pub(super) fn grow(
        &mut self,
        under: Under<'_>,
        raw: &[u8],
        buffers: &mut Buffers,
        made: &mut Vec<u8>,
    ) -> Result<Became, Stop> {
        let mut lane = Self::new(self.key, under);
        let became = lane.push(under, raw, None, buffers, made)?;
        self.kept.clear();
        if !lane.is_idle() {
            self.kept.extend_from_slice(raw);
        }
        Ok(if became == Became::Itself && !lane.is_altered() { became } else { Became::Another })
    }

    /// The text is over: writes what is left of it.
    pub(super) fn finish(&mut self, under: Under<'_>, buffers: &mut Buffers, made: &mut Vec<u8>) -> Result<(), Stop> {
        self.is_over = true;
        let Buffers { screen, decoded, fed } = buffers;
        decoded.clear();
        self.decoder.finish(decoded);
        let flow = match &mut self.arguments {
            None => {
                let mut spoken = self.spoken.as_deref_mut();
                if let Some(spoken) = &mut spoken {
                    spoken.skip(decoded.len());
                }
                let mut sink = Escaped { made, is_altered: &mut self.is_altered, spoken };
                match self.text.push(under.direction, decoded, screen, &mut sink) {
                    Flow::Untouched | Flow::Changed => self.text.finish(under.direction, screen, &mut sink),
                    flow => flow,
                }
            }
            Some(arguments) => match arguments.push(&mut self.text, under.direction, decoded, fed, screen, made) {
                Flow::Untouched | Flow::Changed => arguments.finish(&mut self.text, under.direction, fed, screen, made),
                flow => flow,
            },
        };
        went(&flow).map(|_| ())
    }

    /// Whether what goes on is not what came.
    fn is_altered(&self) -> bool {
        self.is_altered || self.arguments.as_ref().is_some_and(|arguments| arguments.is_altered())
    }

    /// Forgets all but that it was.
    pub(super) fn retire(&mut self, under: Under<'_>) {
        *self = Self { is_over: true, ..Self::new(self.key, under) };
    }
}

/// What is said in one string, which is whole.
pub(super) fn whole(
    under: Under<'_>,
    raw: &[u8],
    is_json: bool,
    buffers: &mut Buffers,
    made: &mut Vec<u8>,
) -> Result<Became, Stop> {
    let part = if is_json { Part::Arguments } else { Part::Content };
    let mut lane = Lane::new(Key { place: Place::new(0, part, 0), name: 0 }, under);
    lane.push(under, raw, None, buffers, made)?;
    lane.finish(under, buffers, made)?;
    Ok(if lane.is_altered() { Became::Another } else { Became::Itself })
}

fn went(flow: &Flow) -> Result<Became, Stop> {
    match flow {
        Flow::Untouched => Ok(Became::Itself),
        Flow::Changed => Ok(Became::Another),
        Flow::Blocked(rule) => Err(Stop::Blocked(*rule)),
        Flow::Overrun => Err(Stop::Overrun),
    }
}

/// Writes the insides of a string.
struct Escaped<'m> {
    made: &'m mut Vec<u8>,
    is_altered: &'m mut bool,
    spoken: Option<&'m mut Spoken>,
}

impl Sink for Escaped<'_> {
    fn pass(&mut self, bytes: &[u8]) {
        if let Some(spoken) = &mut self.spoken {
            spoken.decide(bytes.len(), false);
        }
        write_escaped(bytes, self.made);
    }

    fn replace(&mut self, bytes: &[u8], _: usize, with: Option<&str>) {
        if let Some(spoken) = &mut self.spoken {
            spoken.decide(bytes.len(), true);
        }
        *self.is_altered = true;
        if let Some(with) = with {
            write_escaped(with.as_bytes(), self.made);
        }
    }

    fn restore(&mut self, placeholder: &[u8], value: &str) {
        if let Some(spoken) = &mut self.spoken {
            spoken.decide(placeholder.len(), true);
        }
        *self.is_altered = true;
        write_escaped(value.as_bytes(), self.made);
    }
}
