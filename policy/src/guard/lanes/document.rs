//! Whole documents: each text is shown to a [`Screener`], and what it replaces is replaced where it stands. Everything else
//! is copied byte for byte; a document in which nothing is replaced is not written at all.
//!
//! # What is shown
//! Every string, as the text that it means, but for the words that protocols fix ([`super::shape::is_word`]) and for empty
//! ones; and every key that no table knows. What no table names is shown, taken out or passed over, as [`Settings`] say. What
//! stands for something that cannot be read (pictures, sounds, ids of tokens) is refused unless they say that it passes.
//! Numbers are not shown, but for those in arguments.
//!
//! **Arguments** are JSON in themselves. They are one text: the document with the escapes of its strings decoded, so that what
//! stands before a value is seen beside it. What is replaced in them leaves their structure as it is: only within strings and
//! keys is text replaced, and a number or a word of which a part is replaced becomes a string, as a whole (half of a number
//! is another number). Elements and parameters of inference servers, and strings that no table names, are read the same way if
//! they are JSON.
//!
//! **A key that no table knows** says what its value is (`"ssn": "…"`), so it is shown before it ([`Screener::behind`]).
//!
//! **Logprobs** say a text again, token by token. Those of tokens of which a part is replaced are taken out; where they do
//! not add up to the text, all of them are.

mod arguments;
mod logprobs;
pub(super) mod patches;
mod read;
pub(super) mod readings;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use self::{logprobs::Region, patches::Patches, read::Reader};
use super::{
    json::{Fault, Quoted, walk},
    shape::{Field, Lane, Shape, Speaker},
};
use crate::guard::screen::{UnknownFields, Unscreened};

/// Looks at texts.
pub trait Screener {
    /// What becomes of a text.
    fn text(&mut self, place: &Place, text: &str) -> Edit;

    /// The same of a text that stands behind a key. What becomes of the key is asked apart.
    fn behind(&mut self, place: &Place, _key: &str, text: &str) -> Edit {
        self.text(place, text)
    }
}

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It stays.
    Keep,
    /// These bytes of it are replaced by these texts. In order, and none in another; what cuts a character takes all of it.
    Ranges(Vec<(Range<usize>, String)>),
    /// The document does not go on.
    Refuse,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub field: Field,
    /// Who says it.
    pub speaker: Speaker,
    /// The message that it is of, by its place in the conversation.
    pub message: Option<u32>,
    /// Its first byte in the document.
    pub at: usize,
}

/// What is done about what cannot be judged by its place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Of fields that no table knows.
    pub unknown_fields: UnknownFields,
    /// Of what cannot be screened.
    pub unscreened: Unscreened,
}

/// Why a document does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON that everybody reads in one way.
    #[error("{0}")]
    Json(#[from] Fault),
    /// What stands at this byte cannot be screened.
    #[error("what stands at byte {at} cannot be screened")]
    Unscreened {
        /// Where.
        at: usize,
    },
    /// The screener does not let the text at this byte go on.
    #[error("refused because of the text at byte {at}")]
    Refused {
        /// Where.
        at: usize,
    },
    /// With what is replaced in its keys, an object would have one twice.
    #[error("keys that are masked would be the same")]
    SameKeys,
}

/// Shows the texts of a document to a screener, and writes what becomes of it; `None`: it stays as it is.
pub fn rewrite(
    shape: Shape,
    json: &[u8],
    settings: &Settings,
    screener: &mut impl Screener,
) -> Result<Option<Vec<u8>>, Unreadable> {
    Document::read(shape, json, settings)?.rewrite(screener)
}

/// A document that has been read.
#[derive(Debug)]
pub struct Document<'b> {
    json: &'b [u8],
    texts: Vec<Said<'b>>,
    regions: Vec<Region<'b>>,
    /// Members that no table knows and that are taken out.
    dropped: Vec<Range<usize>>,
}

/// A text of a document.
#[derive(Debug)]
struct Said<'b> {
    place: Place,
    /// The key that says what it is, where no table does.
    key: Option<Cow<'b, str>>,
    text: Cow<'b, str>,
    source: Source<'b>,
}

/// How a text stands in its document.
#[derive(Debug, Clone, Copy)]
enum Source<'b> {
    /// As a string.
    String(Quoted<'b>),
    /// As a key.
    Key(Quoted<'b>),
    /// As a string that is JSON in itself, whose escapes have been decoded twice.
    Document(Quoted<'b>),
    /// As a container.
    Container(&'b str),
}

impl<'b> Document<'b> {
    /// Reads a document.
    pub fn read(shape: Shape, json: &'b [u8], settings: &Settings) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(shape, json, settings);
        walk(json, &mut reader)?;
        reader.document()
    }

    /// Its texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.texts.iter().map(|said| (&said.place, &*said.text))
    }

    /// What a conversation begins with, and goes on beginning with: all that the system says before a user does, and the
    /// user's first message.
    pub fn opening(&self) -> impl Iterator<Item = &str> {
        let is_user = |said: &&Said<'_>| said.place.speaker == Speaker::User;
        let first = self.texts.iter().find(is_user).map(|said| said.place.message);
        let system = self.texts.iter().filter(|said| said.place.speaker == Speaker::System);
        let user = self.texts.iter().filter(is_user).filter(move |said| Some(said.place.message) == first);
        system.chain(user).map(|said| &*said.text)
    }

    /// Messages of which somebody says several texts, these joined line by line: what is spread over the parts of one
    /// message is read by a model as one text. What stands between them and is no text of a message does not part them.
    pub fn joined(&self) -> Vec<(Place, String)> {
        let is_said = |said: &&Said<'_>| said.place.message.is_some() && matches!(said.place.field, Field::Text(_));
        let mut joined = Vec::<(Place, &str, Option<String>)>::new();
        for said in self.texts.iter().filter(is_said) {
            let mut of_message = joined.iter_mut().rev().take_while(|(place, ..)| place.message == said.place.message);
            match of_message.find(|(place, ..)| place.speaker == said.place.speaker) {
                Some((_, first, all)) => {
                    let all = all.get_or_insert_with(|| (*first).to_owned());
                    all.push('\n');
                    all.push_str(&said.text);
                }
                None => joined.push((said.place, &*said.text, None)),
            }
        }
        joined.into_iter().filter_map(|(place, _, all)| Some((place, all?))).collect()
    }

    /// Shows each text, and writes what becomes of the document; `None`: it stays as it is.
    pub fn rewrite(&self, screener: &mut impl Screener) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut patches = Patches::default();
        for range in &self.dropped {
            patches.delete(range.clone());
        }
        let mut masked = Vec::new();
        let mut are_keys_masked = false;
        for said in &self.texts {
            let edit = match &said.key {
                Some(key) => screener.behind(&said.place, key, &said.text),
                None => screener.text(&said.place, &said.text),
            };
            let edits = match edit {
                Edit::Keep => continue,
                Edit::Refuse => return Err(Unreadable::Refused { at: said.place.at }),
                Edit::Ranges(edits) => fit(&said.text, edits),
            };
            if edits.is_empty() {
                continue;
            }
            are_keys_masked |= matches!(said.source, Source::Key(_));
            said.replace(&edits, &mut patches);
            if let Field::Copy(lane) = said.place.field {
                masked.push(Masked { lane, ranges: edits.into_iter().map(|(range, _)| range).collect() });
            }
        }
        for region in &self.regions {
            region.rewrite(self, &masked, screener, &mut patches)?;
        }
        let Some(written) = patches.apply(self.json) else { return Ok(None) };
        if are_keys_masked {
            walk(&written, &mut Unseen).map_err(|_| Unreadable::SameKeys)?;
        }
        Ok(Some(written))
    }

    /// The text of a lane.
    fn lane(&self, lane: Lane) -> Option<&str> {
        self.texts.iter().find(|said| said.place.field == Field::Copy(lane)).map(|said| &*said.text)
    }
}

/// What was replaced in a lane.
struct Masked {
    lane: Lane,
    ranges: Vec<Range<usize>>,
}

impl Said<'_> {
    /// Puts replacements where they stand in the document.
    fn replace(&self, edits: &[(Range<usize>, String)], patches: &mut Patches) {
        match self.source {
            Source::String(quoted) | Source::Key(quoted) => patches.replace(quoted, edits),
            Source::Document(quoted) => {
                let inner = quoted.text().unwrap_or_default();
                patches.replace(quoted, &arguments::replace(&inner, edits));
            }
            Source::Container(inner) => {
                for (range, with) in arguments::replace(inner, edits) {
                    let at = self.place.at;
                    patches.put(at + range.start..at + range.end, with.into_bytes());
                }
            }
        }
    }
}

/// Replacements in order, without empty ones and none in another, between characters.
pub(super) fn fit(text: &str, mut edits: Vec<(Range<usize>, String)>) -> Vec<(Range<usize>, String)> {
    for (range, _) in &mut edits {
        *range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
    }
    edits.retain(|(range, _)| !range.is_empty());
    edits.sort_by_key(|(range, _)| range.start);
    edits.dedup_by(|(next, _), (last, _)| {
        let is_within = next.start < last.end;
        if is_within {
            last.end = last.end.max(next.end);
        }
        is_within
    });
    edits
}

/// Looks at nothing.
struct Unseen;

impl<'b> super::json::Visitor<'b> for Unseen {
    fn string(&mut self, _: &super::json::Path<'b>, _: Quoted<'b>) -> Result<(), Fault> {
        Ok(())
    }
}
