//! One event after another: what it says is screened, and it goes out with what may be said.

use std::{ops::Range, sync::Arc};

use foldhash::quality::RandomState;

use super::{
    LANES_MAX, Scratch, Step, Unscreenable,
    compare::Understood,
    ending::Opening,
    kinds::{Ends, ends},
    lane::{Became, Key, Lane, NAME_BYTES_MAX, Stop, Under, whole},
    parts::Parts,
    said::{Form, Reading, Role, Said, Site, Tokens, Unreadable},
    splitter::Event,
    template,
};
use crate::guard::{lanes::shape::Api, placeholders::Values, screen::Guardrails};

/// The texts of a stream.
#[derive(Debug)]
pub(super) struct Screening {
    pub(super) api: Api,
    pub(super) guardrails: Arc<Guardrails>,
    /// What is put back in the place of placeholders.
    pub(super) values: Option<Arc<Values>>,
    pub(super) lanes: Vec<Lane>,
    /// The text of the last event.
    pub(super) last: usize,
    pub(super) opening: Opening,
    hashes: RandomState,
}

/// What is written in the place of a part of an event.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    /// Of the event.
    pub(super) range: Range<usize>,
    /// Of what was made.
    pub(super) made: Range<usize>,
}

/// Why nothing more goes out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Halt {
    Blocked(usize),
    Failed(Unscreenable),
}

impl From<Unscreenable> for Halt {
    fn from(why: Unscreenable) -> Self {
        Self::Failed(why)
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked(rule) => Self::Blocked(rule),
            Stop::Overrun => Self::Failed(Unscreenable::Overrun),
            Stop::Broken => Self::Failed(Unscreenable::NotJson),
        }
    }
}

impl Screening {
    pub(super) fn new(api: Api, guardrails: Arc<Guardrails>) -> Self {
        Self {
            api,
            guardrails,
            values: None,
            lanes: Vec::new(),
            last: 0,
            opening: Opening::default(),
            hashes: RandomState::default(),
        }
    }

    /// Bytes of texts that are held.
    pub(super) fn held(&self) -> usize {
        self.lanes.iter().map(Lane::held).sum()
    }

    /// Gives everything back.
    pub(super) fn forget(&mut self) {
        self.lanes = Vec::new();
        self.opening = Opening::default();
    }

    /// Takes an event.
    pub(super) fn take(&mut self, event: &Event<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        let taken = match self.compare(event.raw(), scratch, out) {
            Ok(true) => return Step::Continue,
            Ok(false) => self.read(event, scratch, out),
            Err(halt) => Err(halt),
        };
        self.step(taken, out)
    }

    /// The body is over.
    pub(super) fn finish(&mut self, scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        let has_end = matches!(self.api, Api::Chat | Api::Completions | Api::Messages | Api::Responses);
        if has_end {
            let holds = self.lanes.iter().any(|lane| !lane.is_idle());
            return if holds { Step::Failed(Unscreenable::CutShort) } else { Step::Continue };
        }
        let flushed = self.flush(Ends::Everything, &[], scratch, out);
        self.step(flushed, out)
    }

    /// Writes the dialect's ending.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        self.opening.end(self.api, out);
    }

    fn step(&self, taken: Result<(), Halt>, out: &mut Vec<u8>) -> Step {
        match taken {
            Ok(()) => Step::Continue,
            Err(Halt::Failed(why)) => Step::Failed(why),
            Err(Halt::Blocked(rule)) => {
                self.end(out);
                Step::Blocked { rule }
            }
        }
    }

    /// Reads an event closely.
    fn read(&mut self, event: &Event<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), Halt> {
        let parts = Parts::of(event);
        scratch.edits.clear();
        scratch.made.clear();
        self.lines(&parts, scratch)?;
        let data = parts.data.clone().filter(|data| !parts.bytes(data).is_empty());
        match data {
            None => {
                self.name_is_known(&parts)?;
                write(event, &parts, scratch, out);
            }
            Some(data) if parts.bytes(&data) == b"[DONE]" => {
                self.flush(Ends::Everything, &[], scratch, out)?;
                write(event, &parts, scratch, out);
            }
            Some(data) => {
                let mut said = std::mem::take(&mut scratch.said);
                let screened = self.data(event, &parts, &data, &mut said, scratch, out);
                scratch.said = said;
                screened?;
            }
        }
        Ok(())
    }

    /// An event with data.
    fn data(
        &mut self,
        event: &Event<'_>,
        parts: &Parts<'_>,
        data: &Range<usize>,
        said: &mut Said,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let reading = Reading {
            api: self.api,
            unknown: self.guardrails.unknown_fields,
            unscreened: self.guardrails.unscreened,
            hashes: &self.hashes,
        };
        let json = parts.bytes(data);
        said.read(json, reading).map_err(|why| match why {
            Unreadable::Json => Unscreenable::NotJson,
            Unreadable::Opaque => Unscreenable::Opaque,
            Unreadable::Twice => Unscreenable::TwoReadings,
            Unreadable::TooMany => Unscreenable::TooManyTexts,
        })?;
        let kind = said.kind.clone().and_then(|range| json.get(range)).unwrap_or_default();
        let kind = std::str::from_utf8(kind).unwrap_or_default();
        self.kind_is_known(parts, kind)?;
        let ends = ends(self.api, kind, said);
        self.flush(ends, &said.sites, scratch, out)?;
        let idle: Vec<bool> = said.tokens.iter().map(|tokens| self.is_idle(tokens)).collect();
        for (nth, site) in said.sites.iter().enumerate() {
            if let Err(halt) = self.site(json, data, site, &said.tokens, ends, scratch) {
                if matches!(halt, Halt::Blocked(_)) {
                    self.decided(parts, data, said, nth, scratch, out);
                }
                return Err(halt);
            }
        }
        for (tokens, was_idle) in said.tokens.iter().zip(idle) {
            self.tokens(json, data, tokens, said, was_idle, scratch);
        }
        if let Some(number) = said.sequence.clone() {
            let Scratch { made, edits, .. } = &mut *scratch;
            self.number(&parts.raw, &(data.start + number.start..data.start + number.end), made, edits);
        }
        let from = out.len();
        write(event, parts, scratch, out);
        let written = out.get(from..).unwrap_or_default();
        self.remember(&Understood { parts, data, said, kind, ends }, scratch, written);
        Ok(())
    }

    /// Screens a string of an event.
    fn site(
        &mut self,
        json: &[u8],
        data: &Range<usize>,
        site: &Site,
        told: &[Tokens],
        ends: Ends<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Halt> {
        let raw = json.get(site.range.clone()).unwrap_or_default();
        let from = scratch.made.len();
        let (guardrails, values) = (self.guardrails.clone(), self.values.clone());
        let under = under(&guardrails, values.as_ref());
        let became = match site.role {
            Role::Drop => Became::Another,
            Role::Whole | Role::Arguments => {
                let is_json = site.role == Role::Arguments;
                whole(under, raw, is_json, &mut scratch.buffers, &mut scratch.made)?
            }
            Role::Name(key) => self.name(key, raw, scratch)?,
            Role::Grown(key) => {
                let lane = self.lane(key)?;
                lane.grow(under, raw, &mut scratch.buffers, &mut scratch.made)?
            }
            Role::Part(key) => {
                let tokens = told.iter().find(|tokens| tokens.lane == key.place && tokens.form == Form::Each);
                let coming = tokens.map(|tokens| self.coming(json, tokens, scratch));
                let lane = self.lane(key)?;
                if lane.is_over && !raw.is_empty() {
                    return Err(Unscreenable::AfterEnd.into());
                }
                let Scratch { buffers, made, .. } = scratch;
                let mut became = lane.push(under, raw, coming, buffers, made)?;
                if ends.ends(&key) && !lane.is_over {
                    let is_idle = lane.is_idle();
                    let pushed = made.len();
                    lane.finish(under, buffers, made)?;
                    if !is_idle || made.len() > pushed {
                        became = Became::Another;
                    }
                }
                became
            }
        };
        if became == Became::Itself {
            scratch.made.truncate(from);
        } else {
            let range = data.start + site.range.start..data.start + site.range.end;
            scratch.edits.push(Edit { range, made: from..scratch.made.len() });
        }
        Ok(())
    }

    /// The name of a tool: it is given whole, but clients that get two put them together.
    fn name(&mut self, key: Key, raw: &[u8], scratch: &mut Scratch) -> Result<Became, Halt> {
        if raw.is_empty() {
            return Ok(Became::Itself);
        }
        let (guardrails, values) = (self.guardrails.clone(), self.values.clone());
        let under = under(&guardrails, values.as_ref());
        let Scratch { buffers, made, .. } = scratch;
        let became = whole(under, raw, false, buffers, made)?;
        let lane = self.lane(key)?;
        let is_first = lane.kept.is_empty();
        lane.kept.extend_from_slice(raw);
        if !is_first {
            let from = made.len();
            let together = whole(under, &lane.kept, false, buffers, made)?;
            made.truncate(from);
            if together == Became::Another || lane.kept.len() > NAME_BYTES_MAX {
                return Err(Unscreenable::NameInParts.into());
            }
        }
        Ok(became)
    }

    fn lane(&mut self, key: Key) -> Result<&mut Lane, Unscreenable> {
        let at = match self.lanes.iter().position(|lane| lane.key == key) {
            Some(at) => at,
            None if self.lanes.len() == LANES_MAX => return Err(Unscreenable::TooManyTexts),
            None => {
                // Most streams have one text; a vector would begin with room for four.
                if self.lanes.is_empty() {
                    self.lanes.reserve_exact(1);
                }
                self.lanes.push(Lane::new(key, under(&self.guardrails, self.values.as_ref())));
                self.lanes.len() - 1
            }
        };
        self.last = at;
        self.lanes.get_mut(at).ok_or(Unscreenable::TooManyTexts)
    }

    /// Ends texts of which this event says nothing: what is held of them goes out before it.
    fn flush(&mut self, ends: Ends<'_>, sites: &[Site], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), Halt> {
        let under = under(&self.guardrails, self.values.as_ref());
        let Scratch { buffers, made, .. } = scratch;
        for lane in &mut self.lanes {
            let is_here = || sites.iter().any(|site| site.role == Role::Part(lane.key));
            if lane.is_over || !ends.ends(&lane.key) || is_here() {
                continue;
            }
            let from = made.len();
            let finished = match lane.grown() {
                Some(raw) => whole(under, &raw, false, buffers, made).map(|_| ()),
                None => lane.finish(under, buffers, made),
            };
            let left = made.get(from..).unwrap_or_default();
            if !left.is_empty() {
                lane.template.write(left, self.opening.inserted(self.api), out);
            }
            made.truncate(from);
            finished?;
            lane.retire(under);
        }
        Ok(())
    }

    /// A rule ended the stream in this string of an event: what was decided before goes out, if nothing that would have to
    /// stand beside it must not.
    fn decided(
        &mut self,
        parts: &Parts<'_>,
        data: &Range<usize>,
        said: &Said,
        last: usize,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) {
        let json = parts.bytes(data);
        let begun = scratch.edits.last().map_or(0, |edit| edit.made.end)..scratch.made.len();
        let under = under(&self.guardrails, self.values.as_ref());
        let Scratch { buffers, made, edits, .. } = scratch;
        let is_clean = |site: &Site| {
            let raw = json.get(site.range.clone()).unwrap_or_default();
            let is_part = matches!(site.role, Role::Part(_));
            is_part || whole(under, raw, site.role == Role::Arguments, buffers, made) == Ok(Became::Itself)
        };
        if !said.sites.iter().all(is_clean) {
            return;
        }
        for (nth, site) in said.sites.iter().enumerate().take(last + 1) {
            let range = data.start + site.range.start..data.start + site.range.end;
            if !matches!(site.role, Role::Part(_)) {
                continue;
            }
            let edit = edits.iter().find(|edit| edit.range == range);
            let text = match edit {
                _ if nth == last => made.get(begun.clone()).unwrap_or_default(),
                Some(edit) => made.get(edit.made.clone()).unwrap_or_default(),
                None => parts.bytes(&range),
            };
            if !text.is_empty() {
                template::write(&parts.raw, data, range.start, text, self.opening.inserted(self.api), out);
            }
        }
        self.opening.saw_last(self.api, said, json);
    }
}

/// Writes an event with what was made in the place of its parts; as it came, where nothing was.
fn write(event: &Event<'_>, parts: &Parts<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    if scratch.edits.is_empty() {
        out.extend_from_slice(event.raw());
        return;
    }
    scratch.edits.sort_unstable_by_key(|edit| edit.range.start);
    splice(&parts.raw, &scratch.edits, &scratch.made, out);
}

/// Writes an event with its edits, which are in order.
pub(super) fn splice(raw: &[u8], edits: &[Edit], made: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    for edit in edits {
        out.extend_from_slice(raw.get(at..edit.range.start).unwrap_or_default());
        out.extend_from_slice(made.get(edit.made.clone()).unwrap_or_default());
        at = edit.range.end;
    }
    out.extend_from_slice(raw.get(at..).unwrap_or_default());
}

/// What texts are screened under.
pub(super) fn under<'u>(guardrails: &'u Guardrails, values: Option<&'u Arc<Values>>) -> Under<'u> {
    Under { direction: &guardrails.output, values }
}
