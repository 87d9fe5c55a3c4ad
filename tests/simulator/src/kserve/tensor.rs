//! Tensors: a name, a type, a shape, and elements as they are in memory, little end first.

use bytes::Bytes;

use crate::answer::Problem;

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) datatype: Datatype,
    pub(crate) shape: Vec<i64>,
    pub(crate) bytes: Bytes,
}

/// What the elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bf16,
    /// Each element is its length in four bytes, and so many bytes.
    Bytes,
}

const DATATYPES: [(&str, Datatype); 14] = [
    ("BOOL", Datatype::Bool),
    ("UINT8", Datatype::Uint8),
    ("UINT16", Datatype::Uint16),
    ("UINT32", Datatype::Uint32),
    ("UINT64", Datatype::Uint64),
    ("INT8", Datatype::Int8),
    ("INT16", Datatype::Int16),
    ("INT32", Datatype::Int32),
    ("INT64", Datatype::Int64),
    ("FP16", Datatype::Fp16),
    ("FP32", Datatype::Fp32),
    ("FP64", Datatype::Fp64),
    ("BF16", Datatype::Bf16),
    ("BYTES", Datatype::Bytes),
];

impl Datatype {
    pub(crate) fn named(name: &str) -> Result<Self, Problem> {
        let found = DATATYPES.into_iter().find(|(word, _)| *word == name);
        found.map(|(_, datatype)| datatype).ok_or_else(|| Problem::bad_request(format!("`{name}` is no datatype")))
    }

    pub(crate) fn name(self) -> &'static str {
        DATATYPES.into_iter().find(|(_, datatype)| *datatype == self).map_or("", |(name, _)| name)
    }

    /// Bytes of one element; nothing where elements differ.
    fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }
}

impl Tensor {
    /// A tensor whose bytes fit its shape.
    pub(crate) fn new(name: String, datatype: Datatype, shape: Vec<i64>, bytes: Bytes) -> Result<Self, Problem> {
        let wrong = |what: String| Problem::bad_request(format!("tensor `{name}` {what}"));
        let elements =
            shape.iter().try_fold(1_usize, |product, size| product.checked_mul(usize::try_from(*size).ok()?));
        let elements = elements.ok_or_else(|| wrong(format!("has no shape {shape:?}")))?;
        let held = match datatype.width() {
            Some(width) if bytes.len().is_multiple_of(width) => Some(bytes.len() / width),
            Some(_) => None,
            None => elements_of(&bytes).map(|elements| elements.len()),
        };
        match held {
            Some(held) if held == elements => Ok(Self { name, datatype, shape, bytes }),
            _ => Err(wrong(format!("has {} bytes, which is not what its shape {shape:?} holds", bytes.len()))),
        }
    }

    /// A tensor of one text.
    pub(crate) fn text(name: &str, text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 4);
        push_element(&mut bytes, text.as_bytes());
        Self { name: name.to_owned(), datatype: Datatype::Bytes, shape: vec![1], bytes: bytes.into() }
    }

    /// The elements of a tensor of `BYTES`.
    pub(crate) fn elements(&self) -> Vec<&[u8]> {
        elements_of(&self.bytes).unwrap_or_default()
    }

    /// The elements of a tensor of `INT32`.
    pub(crate) fn int32(&self) -> Vec<i32> {
        self.bytes.chunks_exact(4).filter_map(|bytes| Some(i32::from_le_bytes(bytes.try_into().ok()?))).collect()
    }
}

/// Appends an element of a tensor of `BYTES`.
pub(crate) fn push_element(bytes: &mut Vec<u8>, element: &[u8]) {
    bytes.extend(u32::try_from(element.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(element);
}

fn elements_of(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        elements.push(element);
        bytes = rest;
    }
    Some(elements)
}
