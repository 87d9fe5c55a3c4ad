//! The texts of an answer, and how far each has come.

use std::{ops::Range, sync::Arc};

use super::{
    Stop,
    Unscreenable::TooManyTexts,
    requests::replaced,
    walk::{Each, Site},
};
use crate::guard::{
    lanes::{
        document::{Edit, Place, Screener, Settings, readings::looks_like_json},
        shape::{Field, Speaker},
        spoken::{Silence, Spoken},
    },
    placeholders::Values,
    screen::{By, Change, Direction, Guardrails, Scratch, Unscreened, Whole},
};

/// Texts that grow in one answer at once. What has more of which something is held is refused.
pub const LANES_MAX: usize = 1024;
/// Messages that are kept because something is held of their texts, in bytes. What would keep more is refused.
pub const LAST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Texts that are remembered to have nothing in them: names come again with each message.
pub const CLEAN_MAX: usize = 16;
/// The longest of these, in bytes.
pub const CLEAN_BYTES_MAX: usize = 128;

/// The texts of an answer.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) settings: Settings,
    output: Arc<Direction>,
    values: Option<Arc<Values>>,
    /// Those of whose texts something may follow.
    growing: Vec<Growing>,
    /// Texts in which nothing is found.
    clean: Vec<Vec<u8>>,
}

/// The answers to one request, by its id.
#[derive(Debug)]
pub(super) struct Growing {
    id: Vec<u8>,
    elements: Vec<Element>,
}

/// One element of one output.
#[derive(Debug)]
struct Element {
    tensor: Vec<u8>,
    index: usize,
    spoken: Spoken,
    /// The message that its last part was in, while something is held of it.
    last: Option<Arc<[u8]>>,
}

impl Growing {
    fn held(&self) -> usize {
        self.elements.iter().map(|element| element.spoken.held()).sum()
    }

    fn element(&mut self, tensor: &[u8], index: usize) -> Option<&mut Element> {
        self.elements.iter_mut().find(|element| element.index == index && element.tensor == tensor)
    }
}

impl Texts {
    pub(super) fn new(guardrails: &Guardrails, values: Option<Arc<Values>>) -> Self {
        let Guardrails { unknown_fields, unscreened, .. } = *guardrails;
        let (settings, output) = (Settings { unknown_fields, unscreened }, guardrails.output.clone());
        Self { settings, output, values, growing: Vec::new(), clean: Vec::new() }
    }

    /// Drops what is held.
    pub(super) fn forget(&mut self) {
        self.growing.clear();
    }

    pub(super) fn held(&self) -> usize {
        self.growing.iter().map(Growing::held).sum()
    }

    /// The answers to a request are over.
    pub(super) fn end(&mut self, id: &[u8]) -> Option<Growing> {
        let at = self.growing.iter().position(|growing| growing.id == id)?;
        Some(self.growing.remove(at))
    }

    /// All answers are over: those of one request after the other.
    pub(super) fn end_next(&mut self) -> Option<Growing> {
        if self.growing.is_empty() { None } else { Some(self.growing.remove(0)) }
    }

    fn spoken(&self) -> Spoken {
        Spoken::new(&self.output, self.values.as_ref())
    }

    /// A text that is whole.
    fn whole(&mut self, text: &[u8], scratch: &mut Scratch, made: &mut Vec<u8>) -> Result<bool, Stop> {
        if text.is_empty() || self.clean.iter().any(|clean| clean == text) {
            return Ok(false);
        }
        let (from, findings) = (made.len(), scratch.findings.len());
        let is_changed = match std::str::from_utf8(text) {
            Ok(text) if looks_like_json(text) => self.nested(text, scratch, made)?,
            _ => {
                let mut spoken = self.spoken();
                spoken.push(&self.output, text, scratch, made)?;
                spoken.finish(&self.output, scratch, made)?;
                made.get(from..) != Some(text)
            }
        };
        let is_clean = !is_changed && findings == scratch.findings.len();
        if is_clean && text.len() <= CLEAN_BYTES_MAX && self.clean.len() < CLEAN_MAX {
            self.clean.push(text.to_vec());
        }
        Ok(is_changed)
    }

    /// A text that is whole, and may be JSON in itself.
    fn nested(&self, text: &str, scratch: &mut Scratch, made: &mut Vec<u8>) -> Result<bool, Stop> {
        let mut judge = Judge { output: &self.output, values: self.values.as_ref(), scratch, silence: None };
        let place = Place { field: Field::Unknown, speaker: Speaker::Assistant, message: None, at: 0 };
        let is_changed = replaced(&mut judge, &place, text, made);
        judge.silence.map_or(is_changed, |silence| Err(silence.into()))
    }

    /// The text of an element, which begins if it is not there.
    fn element(&mut self, id: &[u8], tensor: &[u8], index: usize) -> Result<&mut Element, Stop> {
        let at = self.growing.iter().position(|growing| growing.id == id);
        let known = at.is_some_and(|at| self.growing.get_mut(at).is_some_and(|it| it.element(tensor, index).is_some()));
        if !known {
            self.make_room()?;
        }
        let spoken = if known { None } else { Some(self.spoken()) };
        let at = self.growing.iter().position(|growing| growing.id == id).unwrap_or_else(|| {
            self.growing.push(Growing { id: id.to_vec(), elements: Vec::new() });
            self.growing.len() - 1
        });
        let growing = self.growing.get_mut(at).ok_or(TooManyTexts)?;
        growing.elements.extend(spoken.map(|spoken| Element { tensor: tensor.to_vec(), index, spoken, last: None }));
        growing.element(tensor, index).ok_or(TooManyTexts.into())
    }

    /// Where there are too many texts, those of which nothing is held go: many servers never say that one has ended.
    fn make_room(&mut self) -> Result<(), Stop> {
        let texts = |growing: &[Growing]| growing.iter().map(|growing| growing.elements.len()).sum::<usize>();
        if texts(&self.growing) >= LANES_MAX {
            self.growing.retain(|growing| growing.held() > 0);
        }
        if texts(&self.growing) >= LANES_MAX { Err(TooManyTexts.into()) } else { Ok(()) }
    }

    /// Bytes of messages that are kept; one that is kept for several texts counts several times.
    fn kept(&self) -> usize {
        let elements = self.growing.iter().flat_map(|growing| &growing.elements);
        elements.filter_map(|element| element.last.as_deref()).map(<[u8]>::len).sum()
    }
}

/// Judges texts that are whole.
struct Judge<'j> {
    output: &'j Direction,
    values: Option<&'j Arc<Values>>,
    scratch: &'j mut Scratch,
    /// Why nothing may go on.
    silence: Option<Silence>,
}

impl Screener for Judge<'_> {
    fn text(&mut self, place: &Place, text: &str) -> Edit {
        let silence = match self.output.whole(place.speaker, text, self.values, self.scratch) {
            Whole::Passes(changes) => {
                let edit = |Change { range, by }| match by {
                    By::Rule(rule) => (range, self.output.replacement(rule).to_owned()),
                    By::Value(value) => (range, value.into_string()),
                };
                return Edit::Ranges(changes.into_iter().map(edit).collect());
            }
            Whole::Blocked(rule) => Silence::Blocked { rule },
            Whole::Overrun => Silence::Overrun,
        };
        self.silence = Some(silence);
        Edit::Refuse
    }
}

/// Screens the texts of a message.
pub(super) struct Parts<'t> {
    pub(super) texts: &'t mut Texts,
    /// Of the request.
    pub(super) id: &'t [u8],
    pub(super) message: &'t [u8],
    /// A copy of the message, once something is held of it.
    pub(super) last: Option<Arc<[u8]>>,
    /// Whether its texts end with it.
    pub(super) ends: bool,
    /// Whether they also begin with it: it is all of an answer.
    pub(super) is_whole: bool,
    pub(super) scratch: &'t mut Scratch,
}

impl Each for Parts<'_> {
    fn text(&mut self, site: Site<'_>, range: Range<usize>, made: &mut Vec<u8>) -> Result<bool, Stop> {
        let text = self.message.get(range).unwrap_or_default();
        match site {
            // What comes in parts may turn out to be JSON when most of it has gone: it is a text as it stands.
            Site::Element { .. } if self.is_whole && std::str::from_utf8(text).is_ok_and(looks_like_json) => {
                self.texts.whole(text, self.scratch, made)
            }
            Site::Element { tensor, index } => self.part(tensor, index, text, made),
            Site::Text | Site::Name | Site::Unknown => self.texts.whole(text, self.scratch, made),
        }
    }
}

impl Parts<'_> {
    /// The next part of an element, and its last if the answers to the request end with it.
    fn part(&mut self, tensor: &[u8], index: usize, part: &[u8], made: &mut Vec<u8>) -> Result<bool, Stop> {
        let (from, unscreened) = (made.len(), self.texts.settings.unscreened);
        let (output, values) = (self.texts.output.clone(), self.texts.values.clone());
        let element = self.texts.element(self.id, tensor, index)?;
        match element.spoken.push(&output, part, self.scratch, made) {
            Err(Silence::NotText) if unscreened == Unscreened::Pass => {
                // The text ends before what is none.
                element.spoken.finish(&output, self.scratch, made)?;
                element.spoken = Spoken::new(&output, values.as_ref());
                made.extend_from_slice(part);
            }
            pushed => pushed?,
        }
        element.last = None;
        if self.ends {
            element.spoken.finish(&output, self.scratch, made)?;
            element.spoken = Spoken::new(&output, values.as_ref());
        } else if element.spoken.held() > 0 {
            element.last = Some(self.last.get_or_insert_with(|| self.message.into()).clone());
            if self.texts.kept() > LAST_BYTES_MAX {
                return Err(TooManyTexts.into());
            }
        }
        Ok(made.get(from..) != Some(part))
    }
}

/// Puts what is held into messages that have gone out already.
pub(super) struct Rest<'t> {
    pub(super) texts: &'t mut Texts,
    pub(super) growing: Growing,
    /// The one that is being made.
    pub(super) message: Arc<[u8]>,
    pub(super) scratch: &'t mut Scratch,
}

impl Rest<'_> {
    /// A message that has a place for something that is held.
    pub(super) fn next(&mut self) -> Option<Arc<[u8]>> {
        let held = self.growing.elements.iter_mut().find(|element| element.spoken.held() > 0)?;
        self.message = held.last.take()?;
        Some(self.message.clone())
    }
}

impl Each for Rest<'_> {
    fn text(&mut self, site: Site<'_>, range: Range<usize>, made: &mut Vec<u8>) -> Result<bool, Stop> {
        let Site::Element { tensor, index } = site else {
            let text = self.message.get(range).unwrap_or_default();
            // What is found in these has been told.
            let told = self.scratch.findings.len();
            let changed = self.texts.whole(text, self.scratch, made);
            self.scratch.findings.truncate(told);
            return changed;
        };
        if let Some(element) = self.growing.element(tensor, index) {
            element.spoken.finish(&self.texts.output, self.scratch, made)?;
            element.spoken = self.texts.spoken();
        }
        Ok(true)
    }
}
