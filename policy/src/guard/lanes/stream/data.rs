//! One event after another: what it says is screened, and it goes out with what may be said.

use std::{ops::Range, sync::Arc};

use foldhash::quality::RandomState;

use super::{
    LANES_MAX, Scratch, Step, Unscreenable,
    ending::Opening,
    kinds::{Ends, ends, is_known},
    lane::{Became, Key, Lane, NAME_BYTES_MAX, Stop, Under, whole},
    parts::Parts,
    said::{Form, Reading, Role, Said, Site, Tokens, Unreadable},
    splitter::Event,
    template::{self, Hole, Varies},
};
use crate::guard::{
    lanes::shape::Api,
    placeholders::Values,
    screen::{Flow, Guardrails, Sink, Unscreened},
};

/// Texts with whose last event a new one is compared before it is read closely.
const COMPARED_MAX: usize = 16;

/// The texts of a stream.
#[derive(Debug)]
pub(super) struct Screening {
    api: Api,
    pub(super) guardrails: Arc<Guardrails>,
    /// What is put back in the place of placeholders.
    pub(super) values: Option<Arc<Values>>,
    pub(super) lanes: Vec<Lane>,
    /// The text of the last event.
    last: usize,
    opening: Opening,
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
enum Halt {
    Blocked(usize),
    Failed(Unscreenable),
}

/// An event, and what it is.
struct Understood<'e> {
    parts: &'e Parts<'e>,
    data: &'e Range<usize>,
    said: &'e Said,
    kind: &'e str,
    ends: Ends<'e>,
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

    /// Most events are like the last one of their text but for what is said. Whether this one was.
    fn compare(&mut self, raw: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<bool, Halt> {
        let Scratch { buffers, made, .. } = scratch;
        let under = under(&self.guardrails, self.values.as_ref());
        let count = self.lanes.len();
        for place in 0..count.min(COMPARED_MAX) {
            let at = (self.last + place) % count;
            let Some(lane) = self.lanes.get_mut(at) else { break };
            let Some(places) = lane.template.find(raw) else { continue };
            let said = raw.get(places.text.clone()).unwrap_or_default();
            if std::str::from_utf8(said).is_err() {
                return Ok(false);
            }
            made.clear();
            if let Some(padding) = places.padding {
                let padding = raw.get(padding).unwrap_or_default();
                if whole(under, padding, false, buffers, made)? == Became::Another {
                    return Ok(false);
                }
                made.clear();
            }
            match lane.push(under, said, None, buffers, made) {
                Ok(Became::Itself) => out.extend_from_slice(raw),
                Ok(Became::Another) => {
                    out.extend_from_slice(raw.get(..places.text.start).unwrap_or_default());
                    out.extend_from_slice(made);
                    out.extend_from_slice(raw.get(places.text.end..).unwrap_or_default());
                }
                Err(stop) => {
                    if !made.is_empty() {
                        lane.template.write(made, out);
                    }
                    return Err(stop.into());
                }
            }
            self.last = at;
            if let Some(number) = places.number.filter(|_| self.api == Api::Responses) {
                self.opening.counted(raw.get(number).unwrap_or_default());
            }
            return Ok(true);
        }
        Ok(false)
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

    /// Comments, ids and whatever else stands in lines of their own.
    fn lines(&self, parts: &Parts<'_>, scratch: &mut Scratch) -> Result<(), Halt> {
        let under = under(&self.guardrails, self.values.as_ref());
        for range in &parts.others {
            let line = parts.bytes(range);
            std::str::from_utf8(line).map_err(|_| Unscreenable::NotUtf8)?;
            let from = scratch.made.len();
            let mut sink = Line { made: &mut scratch.made, is_altered: false };
            let mut text = under.text();
            let screen = &mut scratch.buffers.screen;
            let flow = match text.push(under.direction, line, screen, &mut sink) {
                Flow::Untouched | Flow::Changed => text.finish(under.direction, screen, &mut sink),
                flow => flow,
            };
            match flow {
                Flow::Untouched | Flow::Changed if sink.is_altered => {
                    scratch.edits.push(Edit { range: range.clone(), made: from..scratch.made.len() });
                }
                Flow::Untouched | Flow::Changed => scratch.made.truncate(from),
                Flow::Blocked(rule) => return Err(Halt::Blocked(rule)),
                Flow::Overrun => return Err(Unscreenable::Overrun.into()),
            }
        }
        Ok(())
    }

    /// Streams without types have events without names.
    fn name_is_known(&self, parts: &Parts<'_>) -> Result<(), Unscreenable> {
        let Some(name) = parts.name.as_ref().map(|name| parts.bytes(name)) else { return Ok(()) };
        let is_known = match self.api {
            Api::Responses | Api::Messages => std::str::from_utf8(name).is_ok_and(|name| is_known(self.api, name)),
            _ => matches!(name, b"" | b"message" | b"error" | b"ping"),
        };
        if is_known || self.guardrails.unscreened == Unscreened::Pass {
            Ok(())
        } else {
            Err(Unscreenable::UnknownEvent)
        }
    }

    /// An event's type must be known, and told once or twice alike.
    fn kind_is_known(&self, parts: &Parts<'_>, kind: &str) -> Result<(), Unscreenable> {
        self.name_is_known(parts)?;
        if !matches!(self.api, Api::Responses | Api::Messages) {
            return Ok(());
        }
        if parts.name.as_ref().is_some_and(|name| parts.bytes(name) != kind.as_bytes()) {
            return Err(Unscreenable::TwoReadings);
        }
        if is_known(self.api, kind) || self.guardrails.unscreened == Unscreened::Pass {
            Ok(())
        } else {
            Err(Unscreenable::UnknownEvent)
        }
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
                lane.template.write(left, out);
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
                template::write(&parts.raw, data, range.start, text, out);
            }
        }
        self.opening.saw_last(self.api, said, json);
    }

    /// Keeps what the next events are compared with, and what an ending is made of.
    fn remember(&mut self, event: &Understood<'_>, scratch: &Scratch, written: &[u8]) {
        let Understood { parts, data, said, kind, ends } = *event;
        let under = under(&self.guardrails, self.values.as_ref());
        self.opening.saw(self.api, kind, said, parts.bytes(data));
        let edits = &scratch.edits;
        // Where something stands in what was written. Edits are in order, and so are strings.
        let moved = |at: usize| {
            let before = edits.iter().take_while(|edit| edit.range.end <= at);
            before.fold(at, |at, edit| at + edit.made.len() - edit.range.len())
        };
        let json = moved(data.start)..moved(data.end);
        let edited = |site: &Site| {
            let start = data.start + site.range.start;
            edits.binary_search_by_key(&start, |edit| edit.range.start).ok().and_then(|at| edits.get(at))
        };
        let texts = || said.sites.iter().filter(|site| matches!(site.role, Role::Part(_)));
        // An empty string adds nothing to its text, whose last event is another.
        let only = match texts().filter(|site| !site.range.is_empty()).count() {
            0 => texts().count() == 1,
            count => count == 1,
        };
        let is_alike = only
            && edits.len() == texts().filter(|site| edited(site).is_some()).count()
            && parts.others.is_empty()
            && said.tokens.is_empty()
            && matches!(ends, Ends::Nothing | Ends::Choices([]))
            && !said.sites.iter().any(|site| matches!(site.role, Role::Name(_)))
            && matches!(parts.raw, std::borrow::Cow::Borrowed(_));
        let (mut before, mut grown, mut shrunk) = (edits.iter().peekable(), 0, 0);
        for site in &said.sites {
            let (Role::Part(key) | Role::Grown(key)) = site.role else { continue };
            let start = data.start + site.range.start;
            while let Some(edit) = before.next_if(|edit| edit.range.end <= start && edit.range.start < start) {
                grown += edit.made.len();
                shrunk += edit.range.len();
            }
            let Some(lane) = self.lanes.iter_mut().find(|lane| lane.key == key) else { continue };
            if ends.ends(&key) || lane.is_over {
                lane.retire(under);
                continue;
            }
            if self.api == Api::Messages && kind == "content_block_start" {
                lane.template.begin_block(&key);
                continue;
            }
            let start = start + grown - shrunk;
            let text = start..start + edited(site).map_or(site.range.len(), |edit| edit.made.len());
            let is_alike = is_alike && (!site.range.is_empty() || texts().count() == 1);
            let varies = said.varies.iter().filter(|_| is_alike).map(|hole| {
                let range = moved(data.start + hole.range.start)..moved(data.start + hole.range.end);
                Hole { range, kind: hole.kind }
            });
            let holes = varies.chain([Hole { range: text, kind: Varies::Text }]);
            lane.template.keep(written, json.clone(), holes, is_alike);
        }
    }
}

/// Writes an event with what was made in the place of its parts; as it came, where nothing was.
fn write(event: &Event<'_>, parts: &Parts<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    if scratch.edits.is_empty() {
        out.extend_from_slice(event.raw());
        return;
    }
    scratch.edits.sort_unstable_by_key(|edit| edit.range.start);
    let mut at = 0;
    for edit in &scratch.edits {
        out.extend_from_slice(parts.bytes(&(at..edit.range.start)));
        out.extend_from_slice(scratch.made.get(edit.made.clone()).unwrap_or_default());
        at = edit.range.end;
    }
    out.extend_from_slice(parts.bytes(&(at..parts.raw.len())));
}

/// What texts are screened under.
pub(super) fn under<'u>(guardrails: &'u Guardrails, values: Option<&'u Arc<Values>>) -> Under<'u> {
    Under { direction: &guardrails.output, values }
}

/// Writes a line. What stands in the place of something in it is in the same line.
struct Line<'m> {
    made: &'m mut Vec<u8>,
    is_altered: bool,
}

impl Sink for Line<'_> {
    fn pass(&mut self, bytes: &[u8]) {
        self.made.extend_from_slice(bytes);
    }

    fn replace(&mut self, _: &[u8], _: usize, with: Option<&str>) {
        self.is_altered = true;
        self.made.extend(with.unwrap_or_default().bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }

    fn restore(&mut self, _: &[u8], value: &str) {
        self.is_altered = true;
        self.made.extend(value.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }
}
