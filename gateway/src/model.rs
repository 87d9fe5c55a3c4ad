//! Which model does a request ask for?
use std::borrow::Cow;

use http::{HeaderMap, Method};

use crate::refusal::Refusal;

/// The longest model name, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Where the name of a request's model is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource<'r> {
    /// Nowhere: the request is about no model.
    Nowhere,
    /// It is here already: in the path or in the query.
    Here(Cow<'r, str>),
    /// In a JSON body: read it whole and call [`from_json`].
    Json,
    /// In the first gRPC message, in this field: feed a [`GrpcScan`].
    Grpc {
        /// The number of the field.
        field: u32,
    },
    /// In the field `model` of a form: read it whole and call [`from_multipart`].
    Multipart {
        /// Separates the parts.
        boundary: Cow<'r, str>,
    },
}

/// Where the model of a request is found, by method, canonical path and headers. Refuses a body that would have to be
/// read and is encoded or of a type that cannot be read.
pub fn source<'r>(
    _method: &Method,
    _path: &'r str,
    _query: Option<&'r str>,
    _headers: &'r HeaderMap,
) -> Result<ModelSource<'r>, Refusal> {
    unimplemented!()
}

/// What a JSON body says at its top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt<'b> {
    /// `model`.
    pub model: Option<Cow<'b, str>>,
    /// `stream`.
    pub stream: Option<bool>,
}

/// Reads a whole JSON body.
pub fn from_json(_body: &[u8]) -> Result<Prompt<'_>, Refusal> {
    unimplemented!()
}

/// Reads a whole multipart form.
pub fn from_multipart<'b>(_body: &'b [u8], _boundary: &str) -> Result<Option<Cow<'b, str>>, Refusal> {
    unimplemented!()
}

/// Looks for the model in a stream of gRPC messages as it passes; holds nothing but the name. Refuses a message that
/// names its model twice, or another model than the first one did.
#[derive(Debug)]
pub struct GrpcScan {}

impl GrpcScan {
    /// A scan for this field.
    pub fn new(_field: u32) -> Self {
        Self {}
    }

    /// Takes the next bytes of the request's body, in any chunking.
    pub fn push(&mut self, _chunk: &[u8]) -> Result<(), Refusal> {
        unimplemented!()
    }

    /// What is known so far: `None` until the first message has named its model or has ended, then its name
    /// (`Some(None)`: it names none).
    pub fn model(&self) -> Option<Option<&str>> {
        unimplemented!()
    }
}

/// The model, when body, query and the client's own header agree or only one speaks; a conflict is refused.
/// `claims`: values of `x-gateway-model-name` as the client sent them.
pub fn reconcile<'c>(
    _model: Option<&str>,
    _query: Option<&str>,
    _claims: impl IntoIterator<Item = &'c [u8]>,
) -> Result<(), Refusal> {
    unimplemented!()
}
