//! Which model does a request ask for?
//!
//! [`source`] says where the name is found, from method, path and headers alone. A name in a body is read by
//! [`from_json`], [`from_multipart`] or a [`GrpcScan`]; they are strict, because whoever reads the name differently from
//! the backend lets the wrong people in: duplicates, other types, bodies that are not what they say are refused, and
//! so are names that query, body and header do not agree on ([`reconcile`]).
//!
//! A request whose model is not found here has none; no rule that asks for a model matches it.

mod form;
mod grpc;
mod json;
mod place;

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Method, header};

pub use self::{
    form::from_multipart,
    grpc::GrpcScan,
    json::{Prompt, from_json},
};
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
/// read and is encoded (415), of a type that cannot be read (415), or of two types (400).
///
/// Ask only for requests whose model matters: a route that does not look at it takes bodies of every type.
pub fn source<'r>(
    method: &Method,
    path: &'r str,
    query: Option<&'r str>,
    headers: &'r HeaderMap,
) -> Result<ModelSource<'r>, Refusal> {
    if let Some(named) = place::find(method, path, query)? {
        if matches!(named, ModelSource::Grpc { .. }) {
            refuse_encoded(headers)?;
        }
        return Ok(named);
    }
    if ![Method::POST, Method::PUT, Method::PATCH, Method::QUERY].contains(method) {
        return Ok(ModelSource::Nowhere);
    }
    let content_type = content_type(headers)?;
    let found = match Kind::of(content_type) {
        Kind::Json => ModelSource::Json,
        Kind::Form => ModelSource::Multipart { boundary: form::boundary(content_type)? },
        // Backends that do not look at the type read such a body as JSON.
        Kind::Unsaid if is_api(path) => ModelSource::Json,
        Kind::Other if is_api(path) => return Err(Refusal::content_type_unsupported()),
        Kind::Unsaid | Kind::Other => return Ok(ModelSource::Nowhere),
    };
    refuse_encoded(headers)?;
    Ok(found)
}

/// The model that a request asks for must be the same wherever it is named: `model` (what the source said), the query,
/// and `claims`, the values of `x-gateway-model-name` as the client sent them (before they are dropped). Where the
/// source names none, the others do not count: they would make a model of what the backend does not read.
pub fn reconcile<'c>(
    model: Option<&str>,
    query: Option<&str>,
    claims: impl IntoIterator<Item = &'c [u8]>,
) -> Result<(), Refusal> {
    let Some(model) = model else { return Ok(()) };
    let mut in_query = query.into_iter().flat_map(place::models_in_query);
    if in_query.any(|named| named != model) || claims.into_iter().any(|named| named != model.as_bytes()) {
        return Err(Refusal::malformed(CONFLICT, "the request names two different models"));
    }
    Ok(())
}

/// A name that may become a header's value as it is: 1 to [`NAME_BYTES_MAX`] bytes of printable ASCII, no space around
/// it. Engines take others, but no model is called so, and names that only look alike are worth a refusal.
fn check_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Refusal> {
    let is_fit = name.bytes().all(|byte| matches!(byte, b' '..=b'~')) && name.trim().len() == name.len();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_fit {
        return Err(invalid_name());
    }
    Ok(name)
}

fn invalid_name() -> Refusal {
    Refusal::malformed(
        "invalid_model",
        "the model must be a string of 1 to 256 printable ASCII characters without space around it",
    )
}

/// Whether a request was refused because it names more than one model, or might to somebody else. Such a request is
/// refused wherever it goes; others are only where their model matters.
pub fn is_ambiguous(refusal: &Refusal) -> bool {
    [DUPLICATE, CASE, CONFLICT].contains(&refusal.code)
}

/// The model is named twice.
const DUPLICATE: &str = "duplicate_model";
/// A key is `model` but for case.
const CASE: &str = "ambiguous_model";
/// Body, query or header disagree.
const CONFLICT: &str = "model_conflict";

fn duplicate() -> Refusal {
    Refusal::malformed(DUPLICATE, "the request names its model more than once")
}

/// What a content type means for us.
enum Kind {
    Json,
    Form,
    /// None, or one that says nothing.
    Unsaid,
    Other,
}

impl Kind {
    fn of(content_type: &[u8]) -> Self {
        let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
        let essence = content_type.get(..end).unwrap_or_default().trim_ascii();
        let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
        let ends = |suffix: &[u8]| {
            essence
                .len()
                .checked_sub(suffix.len())
                .and_then(|at| essence.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        if is(b"application/json") || is(b"text/json") || ends(b"+json") {
            Self::Json
        } else if is(b"multipart/form-data") {
            Self::Form
        } else if essence.is_empty() || is(b"text/plain") {
            Self::Unsaid
        } else {
            Self::Other
        }
    }
}

/// OpenAI's and Anthropic's APIs, and whatever engines add beside them.
fn is_api(path: &str) -> bool {
    path.starts_with("/v1/")
}

fn content_type(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next().map_or(&b""[..], HeaderValue::as_bytes);
    match values.next() {
        None => Ok(first),
        Some(_) => {
            Err(Refusal::malformed("several_content_types", "the request has more than one Content-Type header"))
        }
    }
}

/// A body that must be read has to be readable as it is.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    if codings.all(|coding| coding.is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Refusal::content_encoding_unsupported())
}

#[cfg(test)]
mod tests;
