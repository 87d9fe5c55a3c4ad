//! The model in gRPC messages (KServe v2).
//!
//! A request is a stream of messages; each is a flag, a length, and a protobuf. The scan follows the fields as the bytes
//! pass, keeps nothing but the name, and so costs no memory for tensors of any size. Where protobuf says "the last one
//! wins", a second one is refused; and in a stream every message must name the model that the first one named.

use smallvec::SmallVec;

use super::{NAME_BYTES_MAX, check_name, duplicate, invalid_name};
use crate::{grpc::Status, refusal::Refusal};

/// Looks for the model in a stream of gRPC messages as it passes; holds nothing but the name. Refuses a message that
/// names its model twice, or another model than the first one did, and one that is compressed.
#[derive(Debug)]
pub struct GrpcScan {
    field: u32,
    state: State,
    /// Bytes of the current message that are still to come.
    message_left: u32,
    /// The name in the current message, as far as it has been read.
    name: SmallVec<[u8; 64]>,
    has_name: bool,
    /// What the first message said.
    first: First,
}

/// What the first message said.
#[derive(Debug)]
enum First {
    /// Nothing yet.
    Unread,
    /// This model, or none.
    Said(Option<Box<str>>),
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy)]
enum State {
    /// The flag and the length of a message: so many of five bytes have been read.
    Prefix { read: u8, flag: u8, length: u32 },
    /// A tag: field number and wire type.
    Tag(Varint),
    /// The value of a varint field.
    Number(Varint),
    /// The length of a field with one.
    Length { varint: Varint, is_name: bool },
    /// A value that does not matter: so many bytes.
    Skip(u32),
    /// The name: so many bytes.
    Name(u32),
}

const PREFIX: State = State::Prefix { read: 0, flag: 0, length: 0 };
const TAG: State = State::Tag(Varint { value: 0, shift: 0 });

#[derive(Debug, Clone, Copy, Default)]
struct Varint {
    value: u64,
    shift: u8,
}

impl Varint {
    /// Takes the next byte; `Some` when it was the last.
    fn push(&mut self, byte: u8) -> Result<Option<u64>, Refusal> {
        // Ten bytes hold 64 bits, and the last one only the highest of them.
        if self.shift > 63 || (self.shift == 63 && byte > 1) {
            return Err(invalid("a varint is too long"));
        }
        self.value |= u64::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        Ok((byte < 0x80).then_some(self.value))
    }
}

impl GrpcScan {
    /// A scan for this field.
    pub fn new(field: u32) -> Self {
        Self { field, state: PREFIX, message_left: 0, name: SmallVec::new(), has_name: false, first: First::Unread }
    }

    /// What is known so far: `None` until the first message has named its model or has ended, then its name
    /// (`Some(None)`: it names none).
    pub fn model(&self) -> Option<Option<&str>> {
        match &self.first {
            First::Unread => None,
            First::Said(model) => Some(model.as_deref()),
        }
    }

    /// Takes the next bytes of the request's body, in any chunking.
    pub fn push(&mut self, mut chunk: &[u8]) -> Result<(), Refusal> {
        while let Some((&byte, rest)) = chunk.split_first() {
            match self.state {
                State::Prefix { read, flag, length } => {
                    self.prefix(read, flag, length, byte)?;
                    chunk = rest;
                }
                State::Skip(left) | State::Name(left) => {
                    let taken = chunk.len().min(left as usize);
                    let (value, rest) = chunk.split_at_checked(taken).unwrap_or((chunk, &[]));
                    self.value(value, left)?;
                    chunk = rest;
                }
                _ => {
                    self.message_left -= 1;
                    self.field_head(byte)?;
                    chunk = rest;
                }
            }
        }
        Ok(())
    }

    /// The body has ended: not within a message, if it was a proper one.
    pub fn finish(&self) -> Result<(), Refusal> {
        match self.state {
            State::Prefix { read: 0, .. } => Ok(()),
            _ => Err(invalid("the body ends within a message")),
        }
    }

    fn prefix(&mut self, read: u8, flag: u8, length: u32, byte: u8) -> Result<(), Refusal> {
        if read == 0 {
            return match byte {
                0 => {
                    self.state = State::Prefix { read: 1, flag: byte, length };
                    Ok(())
                }
                1 => Err(Refusal::content_encoding_unsupported()
                    .grpc(Status::Unimplemented)
                    .detail("a compressed gRPC message whose model must be read")),
                _ => Err(invalid("a message has an unknown flag")),
            };
        }
        let length = length << 8 | u32::from(byte);
        if read < 4 {
            self.state = State::Prefix { read: read + 1, flag, length };
            return Ok(());
        }
        self.message_left = length;
        self.state = TAG;
        self.next_field()
    }

    /// A byte of a tag, a number or a length.
    fn field_head(&mut self, byte: u8) -> Result<(), Refusal> {
        match &mut self.state {
            State::Tag(varint) => {
                if let Some(tag) = varint.push(byte)? {
                    self.state = self.after_tag(tag)?;
                }
            }
            State::Number(varint) => {
                if varint.push(byte)?.is_some() {
                    self.state = TAG;
                }
            }
            State::Length { varint, is_name } => {
                let is_name = *is_name;
                if let Some(length) = varint.push(byte)? {
                    let length = u32::try_from(length).map_err(|_| invalid("a field is too long"))?;
                    if is_name && length as usize > NAME_BYTES_MAX {
                        return Err(invalid_name());
                    }
                    self.state = if is_name { State::Name(length) } else { State::Skip(length) };
                }
            }
            // `push` handles these.
            State::Prefix { .. } | State::Skip(_) | State::Name(_) => {}
        }
        self.next_field()
    }

    /// What follows a tag: field number and wire type (<https://protobuf.dev/programming-guides/encoding/>).
    fn after_tag(&mut self, tag: u64) -> Result<State, Refusal> {
        let field = tag >> 3;
        let is_name = field == u64::from(self.field);
        if field == 0 || field > (1 << 29) - 1 {
            return Err(invalid("a field has an impossible number"));
        }
        if is_name {
            if self.has_name {
                return Err(duplicate());
            }
            self.has_name = true;
        }
        match tag & 7 {
            2 => Ok(State::Length { varint: Varint::default(), is_name }),
            _ if is_name => Err(invalid_name()),
            0 => Ok(State::Number(Varint::default())),
            1 => Ok(State::Skip(8)),
            5 => Ok(State::Skip(4)),
            // Groups: gone since proto3.
            _ => Err(invalid("a field has an unknown wire type")),
        }
    }

    /// Some bytes of a value of which `left` bytes were to come.
    fn value(&mut self, value: &[u8], left: u32) -> Result<(), Refusal> {
        // No longer than `left`.
        let taken = u32::try_from(value.len()).unwrap_or(left);
        self.message_left -= taken;
        self.state = if matches!(self.state, State::Name(_)) {
            self.name.extend_from_slice(value);
            State::Name(left - taken)
        } else {
            State::Skip(left - taken)
        };
        self.next_field()
    }

    /// Goes on to the next field or message where the last one has ended. A value may be empty.
    fn next_field(&mut self) -> Result<(), Refusal> {
        match self.state {
            State::Skip(left) | State::Name(left) if left > self.message_left => {
                return Err(invalid("a field is longer than its message"));
            }
            State::Name(0) => {
                let name = std::mem::take(&mut self.name);
                let name = std::str::from_utf8(&name).map_err(|_| invalid_name())?;
                self.named(Some(&check_name(name.into())?))?;
                self.state = TAG;
            }
            State::Skip(0) => self.state = TAG,
            _ => {}
        }
        if self.message_left > 0 {
            return Ok(());
        }
        let State::Tag(Varint { shift: 0, .. }) = self.state else {
            return Err(invalid("a message ends within a field"));
        };
        if !self.has_name {
            self.named(None)?;
        }
        self.has_name = false;
        self.state = PREFIX;
        Ok(())
    }

    /// A message has said which model it is for. All must say the same.
    fn named(&mut self, name: Option<&str>) -> Result<(), Refusal> {
        match &self.first {
            First::Unread => self.first = First::Said(name.map(Box::from)),
            First::Said(first) if first.as_deref() != name => {
                return Err(Refusal::malformed(
                    "model_changed",
                    "a message of the stream names another model than the first",
                ));
            }
            First::Said(_) => {}
        }
        Ok(())
    }
}

#[cold]
fn invalid(what: &'static str) -> Refusal {
    Refusal::malformed("invalid_grpc", format!("the request body is not a valid gRPC message: {what}"))
}
