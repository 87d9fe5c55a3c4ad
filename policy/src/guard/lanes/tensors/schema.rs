//! The messages of `inference.GRPCInferenceService` that carry texts.
//! <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto>, and
//! Triton's additions to it.

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    /// One number.
    Number,
    /// Numbers, packed or one by one.
    Numbers,
    /// A text.
    Text,
    /// A name, a version or an id.
    Name,
    /// The type of a tensor.
    Datatype,
    /// An element of a tensor.
    Element,
    /// All elements of a tensor.
    Raw,
    /// A message.
    Message(&'static Schema),
    /// A tensor.
    Tensor,
}

/// How often it may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Where it comes again, one reader takes the last and another merges them.
    Once,
    /// Any number of times.
    Many,
    /// Once, and none of the others beside it.
    OneOf,
}

/// The fields of a message, by number.
#[derive(Debug)]
pub(super) struct Schema(&'static [(u32, Holds, Times)]);

use Holds::{Datatype, Element, Message, Name, Number, Numbers, Raw, Tensor, Text};
use Times::{Many, Once, OneOf};

impl Schema {
    /// What is known of a field.
    pub(super) fn field(&self, number: u32) -> Option<(Holds, Times)> {
        self.0.iter().find(|(known, ..)| *known == number).map(|(_, holds, times)| (*holds, *times))
    }
}

/// `ModelInferRequest`
pub(super) const REQUEST: Schema = Schema(&[
    (1, Name, Once),
    (2, Name, Once),
    (ID, Name, Once),
    (PARAMETERS, Message(&ENTRY), Many),
    (TENSORS, Tensor, Many),
    (6, Message(&REQUESTED), Many),
    (7, Raw, Many),
]);

/// `ModelInferResponse`
pub(super) const ANSWER: Schema = Schema(&[
    (1, Name, Once),
    (2, Name, Once),
    (ID, Name, Once),
    (PARAMETERS, Message(&ENTRY), Many),
    (TENSORS, Tensor, Many),
    (6, Raw, Many),
]);

/// `ModelStreamInferResponse`
pub(super) const STREAM_ANSWER: Schema = Schema(&[(1, Text, Once), (INFER_RESPONSE, Message(&ANSWER), Once)]);

/// `InferInputTensor` and `InferOutputTensor`
pub(super) const TENSOR: Schema = Schema(&[
    (NAME, Name, Once),
    (DATATYPE, Datatype, Once),
    (3, Numbers, Many),
    (PARAMETERS, Message(&ENTRY), Many),
    (CONTENTS, Message(&TENSOR_CONTENTS), Once),
]);

const REQUESTED: Schema = Schema(&[(NAME, Name, Once), (2, Message(&ENTRY), Many)]);

/// `InferTensorContents`
const TENSOR_CONTENTS: Schema = Schema(&[
    (1, Numbers, Many),
    (2, Numbers, Many),
    (3, Numbers, Many),
    (4, Numbers, Many),
    (5, Numbers, Many),
    (6, Numbers, Many),
    (7, Numbers, Many),
    (8, Element, Many),
]);

/// An entry of a map of parameters.
const ENTRY: Schema = Schema(&[(KEY, Text, Once), (VALUE, Message(&PARAMETER), Once)]);

/// `InferParameter`
const PARAMETER: Schema =
    Schema(&[(BOOL, Number, OneOf), (2, Number, OneOf), (3, Text, OneOf), (4, Number, OneOf), (5, Number, OneOf)]);

/// Of requests and answers.
pub(super) const ID: u32 = 3;
/// Of requests, answers and tensors.
pub(super) const PARAMETERS: u32 = 4;
/// Of requests and answers.
pub(super) const TENSORS: u32 = 5;
/// Of messages of a stream.
pub(super) const INFER_RESPONSE: u32 = 2;
/// Of tensors.
pub(super) const NAME: u32 = 1;
/// Of tensors.
pub(super) const DATATYPE: u32 = 2;
/// Of tensors.
pub(super) const CONTENTS: u32 = 5;
/// Of entries.
pub(super) const KEY: u32 = 1;
/// Of entries.
pub(super) const VALUE: u32 = 2;
/// Of parameters.
pub(super) const BOOL: u32 = 1;
