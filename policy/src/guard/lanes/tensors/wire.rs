//! Fields of a protobuf message (<https://protobuf.dev/programming-guides/encoding/>), by their places.

use std::ops::Range;

use super::Unscreenable::{self, Malformed};

/// One field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its number.
    pub(super) number: u32,
    /// All of it, the tag included.
    pub(super) range: Range<usize>,
    /// What it says.
    pub(super) value: Value,
}

/// What a field says.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A varint.
    Varint(u64),
    /// Four or eight bytes.
    Fixed,
    /// A string, bytes, a message, or packed numbers.
    Bytes {
        /// Where its length stands.
        head: Range<usize>,
        /// Where it stands itself.
        content: Range<usize>,
    },
}

/// Reads the fields of a part of a message.
pub(super) struct Fields<'m> {
    message: &'m [u8],
    at: usize,
    end: usize,
}

impl<'m> Fields<'m> {
    /// The fields in this range.
    pub(super) fn new(message: &'m [u8], range: &Range<usize>) -> Self {
        Self { message, at: range.start, end: range.end.min(message.len()) }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<Field>, Unscreenable> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed("a field has an impossible number"))?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.skip(8).map(|_| Value::Fixed)?,
            2 => {
                let from = self.at;
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed("a field is too long"))?;
                let head = from..self.at;
                Value::Bytes { head, content: self.skip(length)? }
            }
            5 => self.skip(4).map(|_| Value::Fixed)?,
            // Groups: gone since proto3.
            _ => return Err(Malformed("a field has an unknown wire type")),
        };
        Ok(Some(Field { number, range: start..self.at, value }))
    }

    fn skip(&mut self, length: usize) -> Result<Range<usize>, Unscreenable> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end);
        let end = end.ok_or(Malformed("a field is longer than its message"))?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn varint(&mut self) -> Result<u64, Unscreenable> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.message.get(self.at..self.end).and_then(|rest| rest.first());
            let byte = *byte.ok_or(Malformed("a message ends within a field"))?;
            self.at += 1;
            // Ten bytes hold 64 bits, and the last one only the highest of them.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint is too long"))
    }
}

/// A varint, as it is written.
pub(super) fn varint(mut value: usize) -> impl Iterator<Item = u8> {
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let low = (value & 0x7f) as u8;
        value >>= 7;
        is_over = value == 0;
        Some(if is_over { low } else { low | 0x80 })
    })
}
