//! The model in a multipart form (OpenAI's audio, image and file endpoints): the field `model`.

use std::borrow::Cow;

use portcullis_policy::guard::lanes::form::multipart::{self, Fault};

use super::{NAME_BYTES_MAX, check_name, duplicate, invalid_name};
use crate::refusal::Refusal;

/// The boundary of a `multipart/form-data` content type.
pub(super) fn boundary(content_type: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    multipart::boundary(content_type).map_err(invalid)
}

/// Reads a whole multipart form.
pub fn from_multipart<'b>(body: &'b [u8], boundary: &str) -> Result<Option<Cow<'b, str>>, Refusal> {
    let mut model = None;
    for part in multipart::parts(body, boundary).map_err(invalid)? {
        if part.name != "model" {
            continue;
        }
        if part.file_name.is_some() || part.is_encoded || part.value.len() > NAME_BYTES_MAX {
            return Err(invalid_name());
        }
        let value = std::str::from_utf8(body.get(part.value).unwrap_or_default()).map_err(|_| invalid_name())?;
        if model.replace(check_name(Cow::Borrowed(value))?).is_some() {
            return Err(duplicate());
        }
    }
    Ok(model)
}

#[cold]
fn invalid(Fault(what): Fault) -> Refusal {
    Refusal::malformed("invalid_form", format!("the request body is not a valid form: {what}"))
}
