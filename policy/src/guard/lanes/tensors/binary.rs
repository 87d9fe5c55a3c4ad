//! KServe v2 over HTTP with tensors behind the JSON: `Inference-Header-Content-Length` says how long that is, and the
//! parameter `binary_data_size` of each tensor how many of the bytes behind it are its own, in order.
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>

use std::ops::Range;

use super::{
    Stop,
    Unscreenable::{Elsewhere, Malformed, NotText, UnknownDatatype},
    requests::replaced,
    survey::is_number,
    walk::raw_element,
};
use crate::guard::{
    lanes::{
        document::{Place, Screener, Settings},
        json::{Fault, Path, Quoted, Step, Visitor, walk},
        known::Known,
        shape::{Field, Form, Lane, Part, Speaker},
    },
    screen::Unscreened,
};

/// A body of JSON and tensors, as it is to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The JSON, with the sizes of the tensors as they are now. Its own texts have yet to be screened.
    pub json: Vec<u8>,
    /// The tensors.
    pub tensors: Vec<u8>,
}

/// Cuts a body behind its JSON.
pub fn split(body: &[u8], header_bytes: usize) -> Result<(&[u8], &[u8]), Stop> {
    body.split_at_checked(header_bytes).ok_or(Stop::Failed(Malformed("the body is shorter than its header says")))
}

/// Shows each element of the tensors behind the JSON, and writes what becomes of both; `None`: they stay as they are.
pub fn rewrite(
    form: Form,
    json: &[u8],
    tensors: &[u8],
    settings: &Settings,
    screener: &mut impl Screener,
) -> Result<Option<Written>, Stop> {
    let mut reader = Reader { form, tensors: Vec::new() };
    walk(json, &mut reader).map_err(|_| Malformed("the header is no JSON"))?;
    let (mut written, mut sizes, mut at) = (Vec::with_capacity(tensors.len()), Vec::new(), 0);
    for (number, tensor) in reader.tensors.iter().enumerate() {
        let Some(size) = tensor.size(json)? else { continue };
        let end = at + size.1;
        let content = tensors.get(at..end).ok_or(Malformed("a tensor is longer than the body"))?;
        let begin = written.len();
        if tensor.is_text {
            let mut elements = Elements { form, number: number as u32, at: json.len() + at, settings, screener };
            elements.rewrite(content, &mut written)?;
        } else {
            written.extend_from_slice(content);
        }
        sizes.push((size.0, written.len() - begin));
        at = end;
    }
    if at != tensors.len() {
        return Err(Malformed("something follows the tensors").into());
    }
    if reader.tensors.iter().any(|tensor| tensor.is_elsewhere) && settings.unscreened == Unscreened::Refuse {
        return Err(Elsewhere.into());
    }
    if written == tensors {
        return Ok(None);
    }
    let (mut header, mut at) = (Vec::with_capacity(json.len() + 8), 0);
    // Sizes may stand in another order than tensors do only if an object has a key twice, which is no JSON here.
    for (place, size) in sizes {
        header.extend_from_slice(json.get(at..place.start).unwrap_or_default());
        header.extend_from_slice(size.to_string().as_bytes());
        at = place.end;
    }
    header.extend_from_slice(json.get(at..).unwrap_or_default());
    Ok(Some(Written { json: header, tensors: written }))
}

/// What the JSON says of a tensor.
#[derive(Debug, Default)]
struct Tensor {
    is_text: bool,
    is_known: bool,
    is_elsewhere: bool,
    /// Where the number stands that says its size.
    size: Option<Range<usize>>,
}

impl Tensor {
    /// Where its size stands and what it is, if it is behind the JSON.
    fn size(&self, json: &[u8]) -> Result<Option<(Range<usize>, usize)>, Stop> {
        let Some(place) = &self.size else { return Ok(None) };
        if !self.is_known {
            return Err(UnknownDatatype.into());
        }
        let digits = json.get(place.clone()).and_then(|digits| std::str::from_utf8(digits).ok());
        let size = digits.and_then(|digits| digits.parse().ok()).filter(|size| *size < usize::MAX / 2);
        Ok(Some((place.clone(), size.ok_or(Malformed("the size of a tensor is none"))?)))
    }
}

/// Finds out what the JSON says of tensors.
struct Reader {
    form: Form,
    tensors: Vec<Tensor>,
}

impl Reader {
    /// What is known of the tensor at this path, and the rest of the path.
    fn tensor<'p>(&mut self, path: &'p [Known]) -> Option<(&mut Tensor, &'p [Known])> {
        let (at, rest) = match (self.form, path) {
            (Form::Request, [Known::Inputs, Known::At(at), rest @ ..])
            | (Form::Answer | Form::Event, [Known::Outputs, Known::At(at), rest @ ..]) => (*at as usize, rest),
            _ => return None,
        };
        if at == self.tensors.len() {
            self.tensors.push(Tensor::default());
        }
        Some((self.tensors.get_mut(at)?, rest))
    }
}

impl<'b> Visitor<'b> for Reader {
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        if let Some((tensor, [Known::Datatype])) = self.tensor(path.known()) {
            let datatype = text.text()?;
            tensor.is_text = datatype == "BYTES";
            tensor.is_known = tensor.is_text || is_number(datatype.as_bytes());
        }
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, _: Quoted<'b>) -> Result<(), Fault> {
        let is_elsewhere = is_named(path, "shared_memory_region");
        if let Some((tensor, [Known::Parameters, _])) = self.tensor(path.known()) {
            tensor.is_elsewhere |= is_elsewhere;
        }
        Ok(())
    }

    fn scalar(&mut self, path: &Path<'b>, range: Range<usize>) -> Result<(), Fault> {
        let is_size = is_named(path, "binary_data_size");
        if let Some((tensor, [Known::Parameters, _])) = self.tensor(path.known())
            && is_size
        {
            tensor.size = Some(range);
        }
        Ok(())
    }

    fn open(&mut self, path: &Path<'b>, _: usize, _: bool) -> Result<(), Fault> {
        self.tensor(path.known());
        Ok(())
    }
}

fn is_named(path: &Path<'_>, name: &str) -> bool {
    matches!(path.steps().last(), Some(Step::Key(key)) if key == name)
}

/// The elements of one tensor.
struct Elements<'e, S> {
    form: Form,
    number: u32,
    /// Where the tensor begins in the body.
    at: usize,
    settings: &'e Settings,
    screener: &'e mut S,
}

impl<S: Screener> Elements<'_, S> {
    fn rewrite(&mut self, content: &[u8], written: &mut Vec<u8>) -> Result<(), Stop> {
        let (mut at, mut index) = (0, 0);
        while at < content.len() {
            let (_, range) = raw_element(content, at..content.len())?;
            at = range.end;
            let begin = written.len();
            written.extend_from_slice(&[0; 4]);
            let element = content.get(range.clone()).unwrap_or_default();
            if !self.element(element, index, range.start, written)? {
                written.truncate(begin + 4);
                written.extend_from_slice(element);
            }
            let length = u32::try_from(written.len() - begin - 4).unwrap_or(u32::MAX).to_le_bytes();
            written.get_mut(begin..begin + 4).into_iter().for_each(|place| place.copy_from_slice(&length));
            index += 1;
        }
        Ok(())
    }

    fn element(&mut self, element: &[u8], index: u32, at: usize, written: &mut Vec<u8>) -> Result<bool, Stop> {
        let Ok(text) = std::str::from_utf8(element) else {
            return if self.settings.unscreened == Unscreened::Refuse { Err(NotText.into()) } else { Ok(false) };
        };
        if text.is_empty() {
            return Ok(false);
        }
        let (field, speaker) = match self.form {
            Form::Request => (Field::Text(Speaker::User), Speaker::User),
            Form::Answer | Form::Event => {
                (Field::Copy(Lane::new(self.number, Part::Content, index)), Speaker::Assistant)
            }
        };
        let place = Place { field, speaker, message: None, at: self.at + at };
        replaced(self.screener, &place, text, written)
    }
}
