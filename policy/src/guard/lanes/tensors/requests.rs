//! Requests: each text of a message is whole.

use std::ops::Range;

use super::{
    Stop,
    Unscreenable::NotText,
    plan::Plan,
    survey::Survey,
    walk::{Each, Kind, Site, walk},
};
use crate::guard::{
    lanes::{
        document::{Edit, Place, Screener, Settings, fit},
        shape::{Field, Speaker, is_word},
    },
    screen::Unscreened,
};

/// A `ModelInferRequest` that has been read.
#[derive(Debug)]
pub struct Request<'m> {
    message: &'m [u8],
    settings: Settings,
    survey: Survey,
    texts: Vec<(Place, &'m str)>,
}

impl<'m> Request<'m> {
    /// Reads a message.
    pub fn read(message: &'m [u8], settings: &Settings) -> Result<Self, Stop> {
        let survey = Survey::of(Kind::Request, message, *settings)?;
        let mut request = Self { message, settings: *settings, survey, texts: Vec::new() };
        let mut reader = Reader { message, settings: *settings, texts: Vec::new() };
        walk(Kind::Request, message, &request.survey, *settings, &mut Plan::default(), &mut reader)?;
        request.texts = reader.texts;
        Ok(request)
    }

    /// Its texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.texts.iter().map(|(place, text)| (place, *text))
    }

    /// Shows each text, and writes what becomes of the message; `None`: it stays as it is.
    pub fn rewrite(&self, screener: &mut impl Screener) -> Result<Option<Vec<u8>>, Stop> {
        let mut writer = Writer { screener, texts: self.texts.iter(), next: None };
        writer.next = writer.texts.next();
        let mut plan = Plan::default();
        walk(Kind::Request, self.message, &self.survey, self.settings, &mut plan, &mut writer)?;
        if plan.is_empty() {
            return Ok(None);
        }
        let mut written = Vec::with_capacity(self.message.len() + 64);
        plan.write(self.message, &mut written);
        Ok(Some(written))
    }
}

/// Collects texts.
struct Reader<'m> {
    message: &'m [u8],
    settings: Settings,
    texts: Vec<(Place, &'m str)>,
}

impl Each for Reader<'_> {
    fn text(&mut self, site: Site<'_>, range: Range<usize>, _: &mut Vec<u8>) -> Result<bool, Stop> {
        let bytes = self.message.get(range.clone()).unwrap_or_default();
        let Ok(text) = std::str::from_utf8(bytes) else {
            return if self.settings.unscreened == Unscreened::Refuse { Err(NotText.into()) } else { Ok(false) };
        };
        let (field, speaker) = match site {
            Site::Element { .. } | Site::Text => (Field::Text(Speaker::User), Speaker::User),
            Site::Name => (Field::Structure, Speaker::Unknown),
            Site::Unknown => (Field::Unknown, Speaker::Unknown),
        };
        let is_shown = field != Field::Structure || !is_word(text);
        if is_shown && !text.is_empty() {
            self.texts.push((Place { field, speaker, message: None, at: range.start }, text));
        }
        Ok(false)
    }
}

/// Shows texts, and writes what becomes of them.
struct Writer<'w, 'm, S> {
    screener: &'w mut S,
    texts: std::slice::Iter<'w, (Place, &'m str)>,
    next: Option<&'w (Place, &'m str)>,
}

impl<S: Screener> Each for Writer<'_, '_, S> {
    fn text(&mut self, _: Site<'_>, range: Range<usize>, made: &mut Vec<u8>) -> Result<bool, Stop> {
        // Those that are not shown are left out of the list.
        let Some((place, text)) = self.next.filter(|(place, _)| place.at == range.start && !range.is_empty()) else {
            return Ok(false);
        };
        self.next = self.texts.next();
        replaced(self.screener, place, text, made)
    }
}

/// Shows a text, and appends what stands in its place, if something does.
pub(super) fn replaced(
    screener: &mut impl Screener,
    place: &Place,
    text: &str,
    made: &mut Vec<u8>,
) -> Result<bool, Stop> {
    let edits = match screener.text(place, text) {
        Edit::Keep => return Ok(false),
        Edit::Refuse => return Err(Stop::Refused { at: place.at }),
        Edit::Ranges(edits) => fit(text, edits),
    };
    let mut at = 0;
    for (range, with) in &edits {
        made.extend_from_slice(text.get(at..range.start).unwrap_or_default().as_bytes());
        made.extend_from_slice(with.as_bytes());
        at = range.end;
    }
    made.extend_from_slice(text.get(at..).unwrap_or_default().as_bytes());
    Ok(!edits.is_empty())
}
