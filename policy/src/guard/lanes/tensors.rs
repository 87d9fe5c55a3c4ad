//! The texts in KServe v2's gRPC messages: tensors of BYTES, parameters, names, errors.
//!
//! Messages are read by a table of their fields and rewritten in place: what nobody changes stays to the byte, and lengths
//! around what is changed follow. What two readers could read in two ways is refused, as is what cannot be read at all:
//! compressed messages, tensors in shared memory, elements that are not UTF-8, unless a policy lets pass what cannot be
//! screened. Tensors of numbers are numbers: whoever spells a text in them is not read.
//!
//! A request is a whole text per element ([`Request`]). An answer of `ModelStreamInfer` often is one element per token, so
//! there each element of each output grows from message to message ([`Answers`]): what is held goes out with the next message
//! of the same request, or at its end (`triton_final_response`, or that of the stream) in a message made from its last one.

mod answers;
pub mod binary;
mod frames;
mod plan;
mod requests;
mod schema;
mod survey;
mod texts;
mod walk;
mod wire;

#[cfg(test)]
pub(in crate::guard::lanes) mod tests;

pub use self::{
    answers::{Answers, Step},
    frames::{Frames, MESSAGE_BYTES_MAX, write},
    requests::Request,
    texts::{CLEAN_BYTES_MAX, CLEAN_MAX, LANES_MAX, LAST_BYTES_MAX},
};
use super::spoken::Silence;

/// What a gRPC method carries, as far as guardrails are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One request, one answer.
    Infer,
    /// Many of both.
    StreamInfer,
    /// Nothing but names of models and facts about them.
    Facts,
    /// Nothing is known of it, so it cannot be screened.
    Unknown,
}

impl Method {
    /// The method of a path.
    pub fn of(path: &str) -> Self {
        match path.strip_prefix("/inference.GRPCInferenceService/") {
            Some("ModelInfer") => Self::Infer,
            Some("ModelStreamInfer") => Self::StreamInfer,
            Some("ServerLive" | "ServerReady" | "ModelReady" | "ServerMetadata" | "ModelMetadata") => Self::Facts,
            _ => Self::Unknown,
        }
    }
}

/// What keeps a message from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A rule, by its place in the engine.
    Blocked {
        /// Which.
        rule: usize,
    },
    /// The screener does not let the text at this byte go on.
    Refused {
        /// Where it stands.
        at: usize,
    },
    /// It cannot be screened.
    Failed(Unscreenable),
}

impl From<Unscreenable> for Stop {
    fn from(why: Unscreenable) -> Self {
        Self::Failed(why)
    }
}

impl From<Silence> for Stop {
    fn from(why: Silence) -> Self {
        match why {
            Silence::Blocked { rule } => Self::Blocked { rule },
            Silence::NotText => Self::Failed(Unscreenable::NotText),
            Silence::Overrun => Self::Failed(Unscreenable::Overrun),
        }
    }
}

/// Why a message cannot be screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unscreenable {
    /// It is no message of its kind.
    #[error("a message is not valid: {0}")]
    Malformed(&'static str),
    /// It is compressed.
    #[error("a message is compressed")]
    Compressed,
    /// It is too long.
    #[error("a message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// Two readers could read it in two ways.
    #[error("a message can be read in two ways: {0}")]
    TwoReadings(&'static str),
    /// A tensor is of a type that is not known.
    #[error("a tensor is of a type that is not known")]
    UnknownDatatype,
    /// A tensor is in shared memory.
    #[error("a tensor is in shared memory")]
    Elsewhere,
    /// An element of a tensor, or a field that is not known, is not UTF-8.
    #[error("a tensor of bytes, or an unknown field, is not UTF-8")]
    NotText,
    /// More texts than [`LANES_MAX`] grow at once.
    #[error("more than {LANES_MAX} texts")]
    TooManyTexts,
    /// A text asks for more than is allowed of one.
    #[error("a text takes too much to screen")]
    Overrun,
    /// The body ends in the middle of a message.
    #[error("the body ends within a message")]
    CutShort,
}
