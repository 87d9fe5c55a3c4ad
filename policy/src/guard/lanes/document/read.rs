//! Finds the texts of a document, and who says them.

use std::{borrow::Cow, ops::Range};

use smallvec::SmallVec;

use super::{
    Document, Place, Said, Settings, Source, Unreadable, arguments,
    logprobs::Region,
    readings::{Reading, readings},
};
use crate::guard::{
    lanes::{
        json::{Fault, Path, Quoted, Step, Visitor},
        known::Known::{self, At, Input, Instructions, Logprobs, Messages, Role, Source as SourceKey, Type},
        shape::{Api, Field, Form, Shape, Speaker, is_word, speaker},
    },
    screen::{UnknownFields, Unscreened},
};

/// Reads a document.
pub(super) struct Reader<'b, 's> {
    shape: Shape,
    json: &'b [u8],
    settings: &'s Settings,
    document: Document<'b>,
    open: SmallVec<[Open; 8]>,
    /// A container that is one text: where it begins, and how long its path is.
    arguments: Option<(usize, usize)>,
    /// The logprobs that are being read.
    region: Option<Region<'b>>,
    /// Numbers that cannot be screened stand here.
    tokens_at: Option<usize>,
    /// Where the last value ended.
    end: usize,
}

/// A container that is open.
struct Open {
    is_object: bool,
    /// Where it begins.
    at: usize,
    /// How many texts came before it.
    texts: usize,
    /// What its `role` says.
    speaker: Option<Speaker>,
    /// What its `type` says.
    kind: Kind,
    /// Where the member begins that is being read.
    member: Option<usize>,
    /// It is taken out.
    is_dropped: bool,
    /// Where the last member ended that stays.
    kept: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its source is in the document, as text.
    Text,
    /// It is a document, or a result of a search.
    Retrieved,
    Other,
}

impl<'b, 's> Reader<'b, 's> {
    pub(super) fn new(shape: Shape, json: &'b [u8], settings: &'s Settings) -> Self {
        let document = Document { json, texts: Vec::new(), regions: Vec::new(), dropped: Vec::new() };
        let open = SmallVec::new();
        Self { shape, json, settings, document, open, arguments: None, region: None, tokens_at: None, end: 0 }
    }

    /// What was read, when all of it has been. Only now it is known what the opaque stand for.
    pub(super) fn document(self) -> Result<Document<'b>, Unreadable> {
        let mut document = self.document;
        let is_opaque = |said: &&Said<'_>| said.place.field == Field::Opaque;
        if self.settings.unscreened == Unscreened::Refuse {
            let opaque = document.texts.iter().find(is_opaque).map(|said| said.place.at);
            if let Some(at) = opaque.into_iter().chain(self.tokens_at).min() {
                return Err(Unreadable::Unscreened { at });
            }
        }
        document.texts.retain(|said| said.place.field != Field::Opaque || !is_binary(&said.text));
        Ok(document)
    }

    fn say(&mut self, field: Field, path: &Path<'b>, at: usize, text: Cow<'b, str>, source: Source<'b>) {
        if text.is_empty() {
            return;
        }
        let speaker = match field {
            // Whatever an answer says, its backend says it: a rule for a whole answer is one for a stream.
            _ if self.shape.form != Form::Request => Speaker::Assistant,
            Field::Text(speaker) => speaker,
            Field::Delta(_) | Field::Copy(_) | Field::Arguments(_) | Field::Logprobs(_) => Speaker::Assistant,
            Field::Structure | Field::Opaque | Field::Numbers | Field::Unknown => Speaker::Unknown,
        };
        let place = Place { field, speaker, message: self.message(path.known()), at };
        let key = if matches!(source, Source::Key(_)) { None } else { leading_key(field, path) };
        self.document.texts.push(Said { place, key, text, source });
    }

    fn message(&self, path: &[Known]) -> Option<u32> {
        match (self.shape.form, path) {
            (Form::Request, [Messages, At(message), ..]) => Some(*message),
            (Form::Request, [Input, At(item), ..]) if self.shape.api == Api::Responses => Some(*item),
            _ => None,
        }
    }

    /// A string that is JSON in itself, or should be.
    fn arguments(&mut self, field: Field, path: &Path<'b>, quoted: Quoted<'b>) -> Result<(), Fault> {
        let inner = quoted.text()?;
        // What only looks like an escape is seen both ways.
        if inner.contains('\\') && !arguments::is_json(&inner) {
            self.say(field, path, quoted.at, inner.clone(), Source::String(quoted));
        }
        let text = match inner {
            Cow::Borrowed(inner) => arguments::decoded(inner),
            Cow::Owned(inner) => Cow::Owned(arguments::decoded(&inner).into_owned()),
        };
        self.say(field, path, quoted.at, text, Source::Document(quoted));
        Ok(())
    }

    /// A string that may be JSON in itself.
    fn nested(&mut self, field: Field, path: &Path<'b>, quoted: Quoted<'b>, text: Cow<'b, str>) {
        let ways = match text {
            Cow::Borrowed(text) => readings(text),
            Cow::Owned(text) => {
                readings(&text).into_iter().map(|(way, text)| (way, text.into_owned().into())).collect()
            }
        };
        for (way, text) in ways {
            let source = match way {
                Reading::Plain => Source::String(quoted),
                Reading::Json => Source::Document(quoted),
            };
            match field {
                Field::Unknown => self.unknown(path, quoted.at, text, source),
                _ => self.say(field, path, quoted.at, text, source),
            }
        }
    }

    /// Whether strings of this document may be JSON in themselves: servers of tensors take JSON as a text of its own.
    fn nests(&self) -> bool {
        matches!((self.shape.api, self.shape.form), (Api::Infer, _) | (Api::Generate, Form::Request))
    }

    /// A text that no table knows.
    fn unknown(&mut self, path: &Path<'b>, at: usize, text: Cow<'b, str>, source: Source<'b>) {
        match self.settings.unknown_fields {
            UnknownFields::Pass => return,
            UnknownFields::Drop => {
                if let Some(object) = self.open.iter_mut().rfind(|open| open.is_object) {
                    object.is_dropped = true;
                    return;
                }
            }
            UnknownFields::Scan => {}
        }
        self.say(Field::Unknown, path, at, text, source);
    }

    /// Remembers what an object says of itself.
    fn describe(&mut self, path: &Path<'b>, text: &str) {
        let (Some(object), Some(key)) = (self.open.last_mut(), path.known().last()) else { return };
        match (key, text) {
            (Role, role) => object.speaker = Some(speaker(role)),
            (Type, "text") => object.kind = Kind::Text,
            (Type, "document" | "search_result") => object.kind = Kind::Retrieved,
            _ => {}
        }
    }

    /// Says who said the texts of an object, now that it has been read.
    fn attribute(&mut self, object: &Open, path: &[Known]) {
        if self.shape.form != Form::Request {
            return;
        }
        let texts = self.document.texts.get_mut(object.texts..).unwrap_or_default();
        match (path, self.shape.api) {
            ([Messages, At(_)], _) | ([Input | Instructions, At(_)], Api::Responses) => {
                let Some(speaker) = object.speaker else { return };
                for said in texts.iter_mut().filter(|said| said.place.field == Field::Text(Speaker::Unknown)) {
                    said.place.field = Field::Text(speaker);
                    said.place.speaker = speaker;
                }
            }
            ([Messages, .., SourceKey], Api::Messages) if object.kind == Kind::Text => {
                for said in texts.iter_mut().filter(|said| said.place.field == Field::Opaque) {
                    said.place.field = Field::Text(Speaker::Retrieved);
                    said.place.speaker = Speaker::Retrieved;
                }
            }
            ([Messages, .., At(_)], Api::Messages) if object.kind == Kind::Retrieved => {
                for said in texts.iter_mut().filter(|said| matches!(said.place.field, Field::Text(_))) {
                    said.place.field = Field::Text(Speaker::Retrieved);
                    said.place.speaker = Speaker::Retrieved;
                }
            }
            _ => {}
        }
    }

    /// Ends the member that was being read, before what begins at `next`; `None`: the object ends.
    fn member_ends(&mut self, next: Option<usize>) {
        let Some(object) = self.open.last_mut() else { return };
        let Some(member) = object.member else { return };
        if object.is_dropped {
            self.document.dropped.push(match next {
                Some(next) => member..next,
                None => object.kept.unwrap_or(member)..self.end,
            });
        } else {
            object.kept = Some(self.end);
        }
        object.is_dropped = false;
    }

    /// A value ends.
    fn value_ends(&mut self, path: &Path<'b>, range: Range<usize>) {
        self.end = range.end;
        if let Some(region) = &mut self.region {
            region.ends(path.known().get(region.depth..).unwrap_or_default(), range);
        }
    }
}

impl<'b> Visitor<'b> for Reader<'b, '_> {
    fn string(&mut self, path: &Path<'b>, quoted: Quoted<'b>) -> Result<(), Fault> {
        let range = quoted.range();
        self.value_ends(path, range.start - 1..range.end + 1);
        if self.arguments.is_some() {
            quoted.text()?;
            return Ok(());
        }
        if let Some(region) = &mut self.region {
            let path = path.known().get(region.depth..).unwrap_or_default();
            region.string(path, quoted.at, quoted.text()?);
            return Ok(());
        }
        let field = self.shape.field(path.known());
        let text = match field {
            Field::Arguments(_) => return self.arguments(field, path, quoted),
            _ => quoted.text()?,
        };
        let source = Source::String(quoted);
        match field {
            Field::Structure => {
                self.describe(path, &text);
                if !is_word(&text) {
                    self.say(field, path, quoted.at, text, source);
                }
            }
            Field::Numbers if is_binary(&text) => {}
            Field::Unknown => self.nested(field, path, quoted, text),
            Field::Text(_) | Field::Copy(_) if self.nests() => self.nested(field, path, quoted, text),
            _ => self.say(field, path, quoted.at, text, source),
        }
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        self.member_ends(Some(key.at - 1));
        if let Some(object) = self.open.last_mut() {
            object.member = Some(key.at - 1);
        }
        if self.arguments.is_some() || path.known().last() != Some(&Known::Other) {
            return Ok(());
        }
        let text = key.text()?;
        if let Some(region) = &mut self.region {
            region.key(key, text);
            return Ok(());
        }
        match self.shape.field(path.known()) {
            Field::Unknown => self.unknown(path, key.at, text, Source::Key(key)),
            field @ Field::Text(_) => self.say(field, path, key.at, text, Source::Key(key)),
            _ => self.say(Field::Unknown, path, key.at, text, Source::Key(key)),
        }
        Ok(())
    }

    fn scalar(&mut self, path: &Path<'b>, range: Range<usize>) -> Result<(), Fault> {
        let start = range.start;
        self.value_ends(path, range);
        let is_element = matches!(path.known().last(), Some(At(_)));
        if is_element && self.tokens_at.is_none() && self.arguments.is_none() && self.region.is_none() {
            let is_number = self.json.get(start).is_some_and(|first| matches!(first, b'-' | b'0'..=b'9'));
            if is_number && self.shape.is_token(path.known()) {
                self.tokens_at = Some(start);
            }
        }
        Ok(())
    }

    fn open(&mut self, path: &Path<'b>, at: usize, is_object: bool) -> Result<(), Fault> {
        let texts = self.document.texts.len();
        self.open.push(Open {
            is_object,
            at,
            texts,
            speaker: None,
            kind: Kind::Other,
            member: None,
            is_dropped: false,
            kept: None,
        });
        if self.arguments.is_some() || self.region.is_some() {
            return Ok(());
        }
        match path.known().last() {
            Some(Input) if matches!(self.shape.field(path.known()), Field::Arguments(_)) => {
                self.arguments = Some((at, path.known().len()));
            }
            Some(Logprobs) => {
                if let Field::Logprobs(lane) = self.shape.field(path.known()) {
                    self.region = Some(Region::new(lane, at, path.known().len()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, path: &Path<'b>, end: usize, is_object: bool) -> Result<(), Fault> {
        if is_object {
            self.member_ends(None);
        }
        let Some(container) = self.open.pop() else { return Ok(()) };
        self.value_ends(path, container.at..end);
        let depth = path.known().len();
        if self.region.as_ref().is_some_and(|region| region.depth == depth) {
            self.document.regions.extend(self.region.take());
        }
        if let Some((at, _)) = self.arguments.take_if(|(_, arguments)| *arguments == depth) {
            let inner = self.json.get(at..end).and_then(|inner| std::str::from_utf8(inner).ok()).unwrap_or_default();
            let field = self.shape.field(path.known());
            // Empty arguments say nothing.
            if inner.len() > 2 {
                self.say(field, path, at, arguments::decoded(inner), Source::Container(inner));
            }
        }
        if is_object && self.arguments.is_none() && self.region.is_none() {
            self.attribute(&container, path.known());
        }
        Ok(())
    }
}

/// The key that says what a value is, where it is none that a table knows: its own, or that of the array that it stands in.
fn leading_key<'b>(field: Field, path: &Path<'b>) -> Option<Cow<'b, str>> {
    if !matches!(field, Field::Unknown | Field::Text(_)) {
        return None;
    }
    let mut steps = path.steps().iter().zip(path.known()).rev();
    let key = steps.find_map(|(step, known)| match step {
        Step::Key(key) => Some((key, known)),
        Step::Index(_) => None,
    });
    key.filter(|(_, known)| **known == Known::Other).map(|(key, _)| key.clone())
}

/// Whether this is bytes, in base64 or in a `data:` link with base64: nothing in it can be read.
fn is_binary(text: &str) -> bool {
    match text.strip_prefix("data:") {
        Some(link) => link.split_once(";base64,").is_some_and(|(kind, bytes)| is_media_type(kind) && is_base64(bytes)),
        None => text.len() >= 64 && is_base64(text),
    }
}

/// `image/png`, with no room for a text.
fn is_media_type(kind: &str) -> bool {
    kind.len() <= 40 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+-.".contains(&byte))
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len() - digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte))
}
