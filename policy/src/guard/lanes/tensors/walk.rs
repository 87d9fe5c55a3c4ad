//! Goes through a message, shows each of its texts, and plans what becomes of them.

use std::ops::Range;

use super::{
    Stop,
    Unscreenable::{Malformed, NotText, TwoReadings},
    plan::{Head, Plan},
    schema::{ANSWER, Holds, REQUEST, STREAM_ANSWER, Schema, TENSOR, Times},
    survey::Survey,
    wire::{Field, Fields, Value},
};
use crate::guard::{
    lanes::document::Settings,
    screen::{UnknownFields, Unscreened},
};

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `ModelInferRequest`
    Request,
    /// `ModelInferResponse`
    Answer,
    /// `ModelStreamInferResponse`
    StreamAnswer,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site<'m> {
    /// It is an element of a tensor.
    Element {
        /// The name of the tensor.
        tensor: &'m [u8],
        /// Which of its elements.
        index: usize,
    },
    /// A parameter, or an error.
    Text,
    /// A name or an id.
    Name,
    /// A field that no table knows.
    Unknown,
}

/// Takes the texts of messages, each in order.
pub(super) trait Each {
    /// Looks at the text that stands here. `true`: what was appended to `made` stands in its place. Elements need not be
    /// UTF-8; other texts are.
    fn text(&mut self, site: Site<'_>, range: Range<usize>, made: &mut Vec<u8>) -> Result<bool, Stop>;
}

/// Plans what becomes of a message.
pub(super) fn walk(
    kind: Kind,
    message: &[u8],
    survey: &Survey,
    settings: Settings,
    plan: &mut Plan,
    each: &mut impl Each,
) -> Result<(), Stop> {
    plan.clear();
    let schema = match kind {
        Kind::Request => &REQUEST,
        Kind::Answer => &ANSWER,
        Kind::StreamAnswer => &STREAM_ANSWER,
    };
    let mut walk = Walk { kind, message, survey, settings, plan, each, tensor: 0, element: 0, raw: 0 };
    walk.message(schema, &(0..message.len()))
}

struct Walk<'w, E> {
    kind: Kind,
    message: &'w [u8],
    survey: &'w Survey,
    settings: Settings,
    plan: &'w mut Plan,
    each: &'w mut E,
    /// How many have come: tensors, elements of the last one, raw contents.
    tensor: usize,
    element: usize,
    raw: usize,
}

impl<E: Each> Walk<'_, E> {
    fn message(&mut self, schema: &Schema, range: &Range<usize>) -> Result<(), Stop> {
        let mut fields = Fields::new(self.message, range);
        // By number; no table has one beyond these bits.
        let mut seen = 0_u32;
        while let Some(field) = fields.next()? {
            let Some((holds, times)) = schema.field(field.number) else {
                self.unknown(field)?;
                continue;
            };
            let bit = 1 << field.number;
            if times == Times::Once && seen & bit != 0 || times == Times::OneOf && seen != 0 {
                return Err(TwoReadings("a field comes twice").into());
            }
            seen |= bit;
            self.known(holds, field)?;
        }
        Ok(())
    }

    fn known(&mut self, holds: Holds, field: Field) -> Result<(), Stop> {
        let (head, content) = match (holds, field.value) {
            (Holds::Number | Holds::Numbers, Value::Varint(_) | Value::Fixed)
            | (Holds::Numbers | Holds::Datatype, Value::Bytes { .. }) => return Ok(()),
            (Holds::Number, Value::Bytes { .. }) => return Err(Malformed("a number is none").into()),
            (_, Value::Bytes { head, content }) => (head, content),
            _ => return Err(Malformed("a field is of another type").into()),
        };
        match holds {
            Holds::Text => self.field(Site::Text, &head, &content),
            Holds::Name => self.field(Site::Name, &head, &content),
            Holds::Element => {
                let index = self.element;
                self.element += 1;
                self.element(self.tensor.wrapping_sub(1), index, Head::Varint, &head, &content)
            }
            Holds::Message(schema) => self.within(schema, &head, &content),
            Holds::Tensor => {
                self.tensor += 1;
                self.element = 0;
                self.within(&TENSOR, &head, &content)
            }
            Holds::Raw => {
                let tensor = self.survey.tensor_of_raw(self.kind, self.raw);
                self.raw += 1;
                self.raw(tensor.unwrap_or(usize::MAX), &head, &content)
            }
            Holds::Number | Holds::Numbers | Holds::Datatype => Ok(()),
        }
    }

    fn within(&mut self, schema: &Schema, head: &Range<usize>, content: &Range<usize>) -> Result<(), Stop> {
        let opened = self.plan.open(Head::Varint, head, content);
        self.message(schema, content)?;
        self.plan.close(opened);
        Ok(())
    }

    /// All elements of a tensor, each behind four bytes that say its length.
    fn raw(&mut self, tensor: usize, head: &Range<usize>, content: &Range<usize>) -> Result<(), Stop> {
        if !self.survey.tensors.get(tensor).is_some_and(|tensor| tensor.is_text) {
            return Ok(());
        }
        let opened = self.plan.open(Head::Varint, head, content);
        let (mut at, mut index) = (content.start, 0);
        while at < content.end {
            let (length, element) = raw_element(self.message, at..content.end)?;
            at = element.end;
            self.element(tensor, index, Head::Fixed, &length, &element)?;
            index += 1;
        }
        self.plan.close(opened);
        Ok(())
    }

    fn element(
        &mut self,
        tensor: usize,
        index: usize,
        head: Head,
        length: &Range<usize>,
        content: &Range<usize>,
    ) -> Result<(), Stop> {
        let name = self.survey.tensors.get(tensor).map_or(0..0, |tensor| tensor.name.clone());
        let tensor = self.message.get(name).unwrap_or_default();
        self.show(Site::Element { tensor, index }, head, length, content)
    }

    fn field(&mut self, site: Site<'_>, head: &Range<usize>, content: &Range<usize>) -> Result<(), Stop> {
        let text = self.message.get(content.clone()).unwrap_or_default();
        if std::str::from_utf8(text).is_err() {
            return Err(Malformed("a string is not UTF-8").into());
        }
        self.show(site, Head::Varint, head, content)
    }

    /// A field that no table knows: if it can hold a text, it is read as one. A message within it is a text as well, unless it
    /// is not UTF-8, or is broken by a replacement, and then fails where it is read.
    fn unknown(&mut self, field: Field) -> Result<(), Stop> {
        match (self.settings.unknown_fields, field.value) {
            (UnknownFields::Drop, _) => self.plan.remove(field.range),
            (UnknownFields::Scan, Value::Bytes { head, content }) => {
                let text = self.message.get(content.clone()).unwrap_or_default();
                if std::str::from_utf8(text).is_ok() {
                    return self.show(Site::Unknown, Head::Varint, &head, &content);
                }
                if self.settings.unscreened == Unscreened::Refuse {
                    return Err(NotText.into());
                }
            }
            (UnknownFields::Scan | UnknownFields::Pass, _) => {}
        }
        Ok(())
    }

    fn show(&mut self, site: Site<'_>, head: Head, length: &Range<usize>, content: &Range<usize>) -> Result<(), Stop> {
        let from = self.plan.made.len();
        if self.each.text(site, content.clone(), &mut self.plan.made)? {
            self.plan.replace(head, length, content, from);
        } else {
            self.plan.made.truncate(from);
        }
        Ok(())
    }
}

/// Where the length and the content of the first of these elements stand.
pub(super) fn raw_element(bytes: &[u8], range: Range<usize>) -> Result<(Range<usize>, Range<usize>), Stop> {
    let begin = range.start.saturating_add(4);
    let length = bytes.get(range.start..begin).filter(|_| begin <= range.end);
    let length = length.and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(BROKEN)?;
    let end = begin.checked_add(length).filter(|end| *end <= range.end).ok_or(BROKEN)?;
    Ok((range.start..begin, begin..end))
}

const BROKEN: Stop = Stop::Failed(Malformed("a tensor of bytes ends within an element"));
