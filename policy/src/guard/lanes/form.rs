//! The texts of forms: what goes with a sound to be transcribed or a picture to be changed.
//!
//! Each field that is text is shown and replaced where it stands; everything else is copied byte for byte. A file cannot be
//! screened, and neither can a part of another type, in another encoding, or with more in its head than names: such a form is
//! refused, unless the settings say that it passes.

pub mod multipart;
pub mod urlencoded;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use self::{
    multipart::{Fault, Part},
    urlencoded::{encode, pairs},
};
use super::{
    document::{Edit, Place, Screener, Settings, fit, patches::Patches},
    plain,
    shape::{Field, Speaker, is_word},
};
use crate::guard::screen::{UnknownFields, Unscreened};

/// A form that has been read.
#[derive(Debug)]
pub struct Form<'b> {
    body: &'b [u8],
    /// What stands between its parts, and how many stay; `None`: it has no parts.
    parts: Option<(Cow<'b, str>, usize)>,
    texts: Vec<Said<'b>>,
    /// Fields that no table knows and that are taken out.
    dropped: Vec<Range<usize>>,
}

/// A text of a form.
#[derive(Debug)]
struct Said<'b> {
    place: Place,
    /// The name of its field, where no table knows that.
    key: Option<Cow<'b, str>>,
    text: Cow<'b, str>,
    range: Range<usize>,
    written: Written,
}

/// How a text stands in its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// As it is.
    Plain,
    /// Between quotes, in the head of a part.
    Quoted,
    /// With escapes of URLs.
    Encoded,
}

/// Why a form does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no form that everybody reads in one way.
    #[error("it is not a valid form: {0}")]
    Malformed(#[from] Fault),
    /// A part cannot be screened.
    #[error("the part at byte {at} cannot be screened")]
    Unscreened {
        /// Where it stands.
        at: usize,
    },
    /// The screener does not let the text at this byte go on.
    #[error("refused because of the text at byte {at}")]
    Refused {
        /// Where it stands.
        at: usize,
    },
}

impl<'b> Form<'b> {
    /// Reads a form of `multipart/form-data`.
    pub fn multipart(content_type: &'b [u8], body: &'b [u8], settings: &Settings) -> Result<Self, Unreadable> {
        let boundary = multipart::boundary(content_type)?;
        let mut form = Self { body, parts: None, texts: Vec::new(), dropped: Vec::new() };
        let parts = multipart::parts(body, &boundary)?;
        for part in &parts {
            form.part(part, *settings)?;
        }
        form.parts = Some((boundary, parts.len() - form.dropped.len()));
        Ok(form)
    }

    /// Reads a form of `application/x-www-form-urlencoded`.
    pub fn urlencoded(body: &'b [u8], settings: &Settings) -> Result<Self, Unreadable> {
        let mut form = Self { body, parts: None, texts: Vec::new(), dropped: Vec::new() };
        for pair in pairs(body)? {
            let (field, speaker) = field(&pair.name.1);
            match (field, settings.unknown_fields) {
                (Field::Unknown, UnknownFields::Drop) => form.dropped.push(pair.range),
                (Field::Unknown, UnknownFields::Pass) => {}
                _ => {
                    let key = (field == Field::Unknown).then(|| pair.name.1.clone());
                    form.show(Field::Structure, Speaker::Unknown, None, pair.name.1, pair.name.0, Written::Encoded);
                    form.show(field, speaker, key, pair.value.1, pair.value.0, Written::Encoded);
                }
            }
        }
        Ok(form)
    }

    fn part(&mut self, part: &Part<'b>, settings: Settings) -> Result<(), Unreadable> {
        let (field, speaker) = field(part.name);
        // A field of a file is known by that.
        if field == Field::Unknown && part.file_name.is_none() {
            match settings.unknown_fields {
                UnknownFields::Scan => {}
                UnknownFields::Drop => {
                    self.dropped.push(part.range.clone());
                    return Ok(());
                }
                UnknownFields::Pass => return Ok(()),
            }
        }
        let value = self.body.get(part.value.clone()).unwrap_or_default();
        let is_text = part.file_name.is_none()
            && !part.is_encoded
            && !part.says_more
            && part.content_type.is_none_or(|of| plain::is_text(of.as_bytes()));
        let text = std::str::from_utf8(value).ok().filter(|_| is_text);
        if text.is_none() && settings.unscreened == Unscreened::Refuse {
            return Err(Unreadable::Unscreened { at: part.range.start });
        }
        for said in [Some(part.name), part.file_name, part.content_type].into_iter().flatten() {
            self.show(Field::Structure, Speaker::Unknown, None, said.into(), self.place_of(said), Written::Quoted);
        }
        if let Some(text) = text {
            let key = (field == Field::Unknown).then(|| part.name.into());
            self.show(field, speaker, key, text.into(), part.value.clone(), Written::Plain);
        }
        Ok(())
    }

    fn show(
        &mut self,
        field: Field,
        speaker: Speaker,
        key: Option<Cow<'b, str>>,
        text: Cow<'b, str>,
        range: Range<usize>,
        written: Written,
    ) {
        let is_shown = field != Field::Structure || !is_word(&text);
        if is_shown && !text.is_empty() {
            let place = Place { field, speaker, message: None, at: range.start };
            self.texts.push(Said { place, key, text, range, written });
        }
    }

    /// Where a part of the body stands in it.
    fn place_of(&self, part: &str) -> Range<usize> {
        let at = (part.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        at..at + part.len()
    }

    /// Its texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.texts.iter().map(|said| (&said.place, &*said.text))
    }

    /// Shows each text, and writes what becomes of the form; `None`: it stays as it is.
    pub fn rewrite(&self, screener: &mut impl Screener) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut patches = Patches::default();
        for range in &self.dropped {
            patches.delete(range.clone());
        }
        for said in &self.texts {
            let at = said.place.at;
            let edit = match &said.key {
                Some(key) => screener.behind(&said.place, key, &said.text),
                None => screener.text(&said.place, &said.text),
            };
            let edits = match edit {
                Edit::Keep => continue,
                Edit::Refuse => return Err(Unreadable::Refused { at }),
                Edit::Ranges(edits) => fit(&said.text, edits),
            };
            said.replace(edits, &mut patches);
        }
        let written = patches.apply(self.body);
        if written.as_deref().is_some_and(|written| !self.keeps_its_parts(written)) {
            return Err(Unreadable::Refused { at: 0 });
        }
        Ok(written)
    }

    /// Whoever sends a form chooses its boundary, so one could be completed by what is put in.
    fn keeps_its_parts(&self, written: &[u8]) -> bool {
        let Some((boundary, count)) = &self.parts else { return true };
        multipart::parts(written, boundary).is_ok_and(|parts| parts.len() == *count)
    }
}

impl Said<'_> {
    fn replace(&self, edits: Vec<(Range<usize>, String)>, patches: &mut Patches) {
        if edits.is_empty() {
            return;
        }
        if self.written == Written::Encoded {
            let mut text = self.text.to_string();
            for (range, with) in edits.iter().rev() {
                text.replace_range(range.clone(), with);
            }
            return patches.put(self.range.clone(), encode(&text).into_bytes());
        }
        for (range, with) in edits {
            let with =
                if self.written == Written::Quoted { with.replace(['"', '\\', '\r', '\n', '%'], "_") } else { with };
            patches.put(self.range.start + range.start..self.range.start + range.end, with.into_bytes());
        }
    }
}

/// What a field of a form is, by its name (OpenAI's audio, pictures and files).
fn field(name: &str) -> (Field, Speaker) {
    match name.strip_suffix("[]").unwrap_or(name) {
        "prompt" | "input" | "text" | "instructions" | "hotwords" => (Field::Text(Speaker::User), Speaker::User),
        "model"
        | "language"
        | "to_language"
        | "response_format"
        | "temperature"
        | "timestamp_granularities"
        | "include"
        | "chunking_strategy"
        | "stream"
        | "size"
        | "quality"
        | "n"
        | "user"
        | "background"
        | "output_format"
        | "output_compression"
        | "partial_images"
        | "input_fidelity"
        | "moderation"
        | "voice"
        | "style"
        | "purpose"
        | "seed" => (Field::Structure, Speaker::Unknown),
        _ => (Field::Unknown, Speaker::Unknown),
    }
}
