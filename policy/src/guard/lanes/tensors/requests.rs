//! Requests: each text of a message is whole.

use std::{borrow::Cow, ops::Range};

use super::{
    Stop,
    Unscreenable::NotText,
    plan::Plan,
    survey::Survey,
    walk::{Each, Kind, Site, walk},
};
use crate::guard::{
    lanes::{
        document::{Edit, Place, Screener, Settings, fit, readings::readings},
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
    texts: Vec<(Place, Cow<'m, str>)>,
}

impl<'m> Request<'m> {
    /// Reads a message.
    pub fn read(message: &'m [u8], settings: &Settings) -> Result<Self, Stop> {
        let survey = Survey::of(Kind::Request, message, *settings)?;
        let mut reader = Reader { message, settings: *settings, texts: Vec::new() };
        walk(Kind::Request, message, &survey, *settings, &mut Plan::default(), &mut reader)?;
        Ok(Self { message, settings: *settings, survey, texts: reader.texts })
    }

    /// Its texts, in order; one that can be read in two ways is there twice.
    pub fn texts(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.texts.iter().map(|(place, text)| (place, &**text))
    }

    /// Shows each text, and writes what becomes of the message; `None`: it stays as it is.
    pub fn rewrite(&self, screener: &mut impl Screener) -> Result<Option<Vec<u8>>, Stop> {
        let mut writer = Writer { message: self.message, settings: self.settings, screener };
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

/// The text that stands here, if it is one to be shown, and what it is.
fn shown<'m>(
    message: &'m [u8],
    settings: Settings,
    site: Site<'_>,
    range: Range<usize>,
) -> Result<Option<(Place, &'m str)>, Stop> {
    let at = range.start;
    let Ok(text) = std::str::from_utf8(message.get(range).unwrap_or_default()) else {
        return if settings.unscreened == Unscreened::Refuse { Err(NotText.into()) } else { Ok(None) };
    };
    let (field, speaker) = match site {
        Site::Element { .. } | Site::Text => (Field::Text(Speaker::User), Speaker::User),
        Site::Name => (Field::Structure, Speaker::Unknown),
        Site::Unknown => (Field::Unknown, Speaker::Unknown),
    };
    let is_shown = !text.is_empty() && (field != Field::Structure || !is_word(text));
    Ok(is_shown.then_some((Place { field, speaker, message: None, at }, text)))
}

/// Collects texts.
struct Reader<'m> {
    message: &'m [u8],
    settings: Settings,
    texts: Vec<(Place, Cow<'m, str>)>,
}

impl Each for Reader<'_> {
    fn text(&mut self, site: Site<'_>, range: Range<usize>, _: &mut Vec<u8>) -> Result<bool, Stop> {
        if let Some((place, text)) = shown(self.message, self.settings, site, range)? {
            self.texts.extend(readings(text).into_iter().map(|(_, text)| (place, text)));
        }
        Ok(false)
    }
}

/// Shows texts, and writes what becomes of them.
struct Writer<'w, 'm, S> {
    message: &'m [u8],
    settings: Settings,
    screener: &'w mut S,
}

impl<S: Screener> Each for Writer<'_, '_, S> {
    fn text(&mut self, site: Site<'_>, range: Range<usize>, made: &mut Vec<u8>) -> Result<bool, Stop> {
        match shown(self.message, self.settings, site, range)? {
            Some((place, text)) => replaced(self.screener, &place, text, made),
            None => Ok(false),
        }
    }
}

/// Shows a text in each way in which it is read, and appends what stands in its place, if something does.
pub(super) fn replaced(
    screener: &mut impl Screener,
    place: &Place,
    text: &str,
    made: &mut Vec<u8>,
) -> Result<bool, Stop> {
    let mut edits = Vec::new();
    for (reading, shown) in readings(text) {
        match screener.text(place, &shown) {
            Edit::Keep => {}
            Edit::Refuse => return Err(Stop::Refused { at: place.at }),
            Edit::Ranges(here) => edits.extend(reading.located(text, fit(&shown, here))),
        }
    }
    let edits = fit(text, edits);
    if edits.is_empty() {
        return Ok(false);
    }
    let mut at = 0;
    for (range, with) in &edits {
        made.extend_from_slice(text.get(at..range.start).unwrap_or_default().as_bytes());
        made.extend_from_slice(with.as_bytes());
        at = range.end;
    }
    made.extend_from_slice(text.get(at..).unwrap_or_default().as_bytes());
    Ok(true)
}
