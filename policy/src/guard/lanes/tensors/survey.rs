//! What has to be known of a message before its texts can be: which raw tensor is of which type, and whose answer it is.

use std::ops::Range;

use super::{
    Unscreenable::{self, Elsewhere, Malformed, TwoReadings, UnknownDatatype},
    schema::{BOOL, CONTENTS, DATATYPE, ID, INFER_RESPONSE, KEY, NAME, PARAMETERS, TENSORS, VALUE},
    walk::Kind,
    wire::{Field, Fields, Value},
};
use crate::guard::{lanes::document::Settings, screen::Unscreened};

/// The key of a parameter that says that a tensor stands elsewhere.
const SHARED_MEMORY: &[u8] = b"shared_memory_region";
/// The key of the parameter that says that an answer is the last of its request.
const FINAL: &[u8] = b"triton_final_response";

/// What is known of a message.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where the id of its request stands.
    pub(super) id: Range<usize>,
    /// Whether it says that it is the last of its request.
    pub(super) is_final: bool,
    /// Its tensors: inputs or outputs.
    pub(super) tensors: Vec<Tensor>,
    raws: usize,
    has_contents: bool,
    has_shared: bool,
}

/// What is known of a tensor.
#[derive(Debug, Default)]
pub(super) struct Tensor {
    /// Where its name stands.
    pub(super) name: Range<usize>,
    /// Whether its elements are BYTES.
    pub(super) is_text: bool,
    is_shared: bool,
}

impl Survey {
    /// Looks through a message.
    pub(super) fn of(kind: Kind, message: &[u8], settings: Settings) -> Result<Self, Unscreenable> {
        let mut survey = Self::default();
        let all = 0..message.len();
        if kind == Kind::StreamAnswer {
            let mut fields = Fields::new(message, &all);
            while let Some(Field { number, value, .. }) = fields.next()? {
                if let (INFER_RESPONSE, Value::Bytes { content, .. }) = (number, value) {
                    survey.infer(message, &content, kind)?;
                }
            }
        } else {
            survey.infer(message, &all, kind)?;
        }
        survey.check(kind, settings)?;
        Ok(survey)
    }

    /// The tensor that the raw contents of this place are of.
    pub(super) fn tensor_of_raw(&self, kind: Kind, raw: usize) -> Option<usize> {
        if !self.leaves_out_shared(kind) {
            return Some(raw);
        }
        let here = self.tensors.iter().enumerate().filter(|(_, tensor)| !tensor.is_shared);
        here.map(|(at, _)| at).nth(raw)
    }

    /// Requests have no raw contents for tensors in shared memory. Answers may have an empty one.
    fn leaves_out_shared(&self, kind: Kind) -> bool {
        self.has_shared && (kind == Kind::Request || self.raws < self.tensors.len())
    }

    fn check(&self, kind: Kind, settings: Settings) -> Result<(), Unscreenable> {
        if self.has_shared && settings.unscreened == Unscreened::Refuse {
            return Err(Elsewhere);
        }
        if self.raws > 0 {
            let shared = self.tensors.iter().filter(|tensor| tensor.is_shared).count();
            let left_out = if self.leaves_out_shared(kind) { shared } else { 0 };
            if self.raws + left_out != self.tensors.len() {
                return Err(Malformed("tensors and raw contents are not as many"));
            }
            if self.has_contents {
                return Err(TwoReadings("tensors have contents twice"));
            }
        }
        Ok(())
    }

    fn infer(&mut self, message: &[u8], range: &Range<usize>, kind: Kind) -> Result<(), Unscreenable> {
        let raw_field = if kind == Kind::Request { 7 } else { 6 };
        let mut fields = Fields::new(message, range);
        while let Some(Field { number, value, .. }) = fields.next()? {
            let Value::Bytes { content, .. } = value else { continue };
            match number {
                ID => self.id = content,
                PARAMETERS => {
                    let (key, holds) = parameter(message, &content)?;
                    self.has_shared |= key == SHARED_MEMORY;
                    self.is_final |= key == FINAL && holds;
                }
                TENSORS => self.tensor(message, &content)?,
                raw if raw == raw_field => self.raws += 1,
                // A requested output may be wanted in shared memory.
                6 => self.has_shared |= is_shared(message, &content, 2)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn tensor(&mut self, message: &[u8], range: &Range<usize>) -> Result<(), Unscreenable> {
        let mut tensor = Tensor { is_shared: is_shared(message, range, PARAMETERS)?, ..Tensor::default() };
        let mut is_known = false;
        let mut fields = Fields::new(message, range);
        while let Some(Field { number, value, .. }) = fields.next()? {
            let Value::Bytes { content, .. } = value else { continue };
            match number {
                NAME => tensor.name = content,
                DATATYPE => {
                    let datatype = message.get(content).unwrap_or_default();
                    tensor.is_text = datatype == b"BYTES";
                    is_known = tensor.is_text || is_number(datatype);
                }
                CONTENTS => self.has_contents |= !content.is_empty(),
                _ => {}
            }
        }
        self.has_shared |= tensor.is_shared;
        self.tensors.push(tensor);
        if is_known { Ok(()) } else { Err(UnknownDatatype) }
    }
}

/// Whether one of the parameters in this field puts a tensor into shared memory.
fn is_shared(message: &[u8], range: &Range<usize>, parameters: u32) -> Result<bool, Unscreenable> {
    let mut fields = Fields::new(message, range);
    while let Some(field) = fields.next()? {
        if let Value::Bytes { content, .. } = field.value
            && field.number == parameters
            && parameter(message, &content)?.0 == SHARED_MEMORY
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The key of a parameter, and whether it is true.
fn parameter<'m>(message: &'m [u8], range: &Range<usize>) -> Result<(&'m [u8], bool), Unscreenable> {
    let (mut key, mut holds) = (&[][..], false);
    let mut fields = Fields::new(message, range);
    while let Some(field) = fields.next()? {
        let Value::Bytes { content, .. } = field.value else { continue };
        match field.number {
            KEY => key = message.get(content).unwrap_or_default(),
            VALUE => {
                let mut choices = Fields::new(message, &content);
                while let Some(choice) = choices.next()? {
                    holds = choice.number == BOOL && matches!(choice.value, Value::Varint(1..));
                }
            }
            _ => {}
        }
    }
    Ok((key, holds))
}

/// Whether it is a known type of numbers.
pub(super) fn is_number(datatype: &[u8]) -> bool {
    matches!(
        datatype,
        b"BOOL"
            | b"UINT8"
            | b"UINT16"
            | b"UINT32"
            | b"UINT64"
            | b"INT8"
            | b"INT16"
            | b"INT32"
            | b"INT64"
            | b"FP16"
            | b"FP32"
            | b"FP64"
            | b"BF16"
    )
}
