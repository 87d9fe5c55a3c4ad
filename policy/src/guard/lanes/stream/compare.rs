//! Most events are like the last one of their text but for what is said: what an event is compared with, and comparing.

use std::ops::Range;

use smallvec::SmallVec;

use super::{
    Scratch,
    data::{Edit, Halt, Screening, splice, under},
    kinds::Ends,
    lane::{Became, whole},
    parts::Parts,
    said::{Role, Said, Site},
    template::{Hole, Places, Varies},
};
use crate::guard::lanes::shape::Api;

/// Texts with whose last event a new one is compared before it is read closely.
const COMPARED_MAX: usize = 16;

/// Constants beside what is said; events with more are read closely each time.
const BESIDE_MAX: usize = 4;

/// An event, and what it is.
pub(super) struct Understood<'e> {
    pub(super) parts: &'e Parts<'e>,
    pub(super) data: &'e Range<usize>,
    pub(super) said: &'e Said,
    pub(super) kind: &'e str,
    pub(super) ends: Ends<'e>,
}

impl Screening {
    /// Whether this event was like the last one of its text, and has been taken.
    pub(super) fn compare(&mut self, raw: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<bool, Halt> {
        let count = self.lanes.len();
        for place in 0..count.min(COMPARED_MAX) {
            let at = (self.last + place) % count;
            let Some(places) = self.lanes.get(at).and_then(|lane| lane.template.find(raw)) else { continue };
            return self.alike(at, &places, raw, scratch, out);
        }
        Ok(false)
    }

    /// Takes an event that is like the last one of a text.
    fn alike(
        &mut self,
        at: usize,
        places: &Places,
        raw: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<bool, Halt> {
        let Scratch { buffers, made, .. } = scratch;
        let under = under(&self.guardrails, self.values.as_ref());
        let said = raw.get(places.text.clone()).unwrap_or_default();
        if std::str::from_utf8(said).is_err() {
            return Ok(false);
        }
        made.clear();
        if let Some(padding) = places.padding.clone() {
            let padding = raw.get(padding).unwrap_or_default();
            if whole(under, padding, false, buffers, made)? == Became::Another {
                return Ok(false);
            }
            made.clear();
        }
        let mut beside: SmallVec<[(usize, Range<usize>); BESIDE_MAX]> = SmallVec::new();
        for (key, range) in &places.beside {
            let lane = self.lanes.iter().position(|lane| lane.key == *key && !lane.is_over);
            let Some(lane) = lane else { return Ok(false) };
            beside.push((lane, range.clone()));
        }
        let mut edits: SmallVec<[Edit; 4]> = SmallVec::new();
        for (lane, range) in beside.into_iter().chain([(at, places.text.clone())]) {
            let Some(lane) = self.lanes.get_mut(lane) else { continue };
            let from = made.len();
            match lane.push(under, raw.get(range.clone()).unwrap_or_default(), None, buffers, made) {
                Ok(Became::Itself) => made.truncate(from),
                Ok(Became::Another) => edits.push(Edit { range, made: from..made.len() }),
                Err(stop) => {
                    let decided = made.get(from..).unwrap_or_default();
                    if !decided.is_empty() {
                        lane.template.write(decided, self.opening.inserted(self.api), out);
                    }
                    return Err(stop.into());
                }
            }
        }
        self.last = at;
        if let Some(number) = places.number.clone().filter(|_| self.api == Api::Responses) {
            self.number(raw, &number, made, &mut edits);
        }
        if edits.is_empty() {
            out.extend_from_slice(raw);
        } else {
            edits.sort_unstable_by_key(|edit| edit.range.start);
            splice(raw, &edits, made, out);
        }
        Ok(true)
    }

    /// Counts an event by its number, and gives it another where events have been inserted before it.
    pub(super) fn number(
        &mut self,
        raw: &[u8],
        number: &Range<usize>,
        made: &mut Vec<u8>,
        edits: &mut impl Extend<Edit>,
    ) {
        let from = made.len();
        if self.opening.counted(raw.get(number.clone()).unwrap_or_default(), made) {
            edits.extend([Edit { range: number.clone(), made: from..made.len() }]);
        }
    }

    /// Keeps what the next events are compared with, as they come, and what an ending is made of.
    pub(super) fn remember(&mut self, event: &Understood<'_>, scratch: &Scratch, written: &[u8]) {
        let Understood { parts, data, said, kind, ends } = *event;
        let under = under(&self.guardrails, self.values.as_ref());
        let edits = &scratch.edits;
        // Where the JSON stands in what was written. Edits are in order.
        let moved = |at: usize| {
            let before = edits.iter().take_while(|edit| edit.range.end <= at);
            before.fold(at, |at, edit| at + edit.made.len() - edit.range.len())
        };
        let json = moved(data.start)..moved(data.end);
        // What an ending is made of must not say what has just been replaced.
        let told = if edits.is_empty() { parts.bytes(data) } else { written.get(json.clone()).unwrap_or_default() };
        self.opening.saw(self.api, kind, said, told);
        let edited = |site: &Site| {
            let start = data.start + site.range.start;
            edits.binary_search_by_key(&start, |edit| edit.range.start).ok().and_then(|at| edits.get(at))
        };
        let texts = || said.sites.iter().filter(|site| matches!(site.role, Role::Part(_)));
        // An empty string adds nothing to its text, whose last event is another. What no table knows is mostly a constant.
        let spoken = texts().filter(|site| !site.range.is_empty()).count();
        let is_beside = |site: &Site| {
            let is_unknown = matches!(site.role, Role::Part(key) if key.is_unknown());
            spoken > 1 && is_unknown && !site.range.is_empty()
        };
        let beside = texts().filter(|site| is_beside(site)).count();
        let only = beside <= BESIDE_MAX && if spoken == 0 { texts().count() == 1 } else { spoken - beside == 1 };
        let is_alike = only
            && edits.len()
                == texts().filter(|site| edited(site).is_some()).count() + usize::from(self.opening.shifts(said))
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
            if is_alike && !is_beside(site) && (!site.range.is_empty() || texts().count() == 1) {
                let at = |range: &Range<usize>| data.start + range.start..data.start + range.end;
                let varies = said.varies.iter().map(|hole| Hole { range: at(&hole.range), kind: hole.kind });
                let constants = texts().filter(|site| is_beside(site)).filter_map(|site| match site.role {
                    Role::Part(key) => Some(Hole { range: at(&site.range), kind: Varies::Beside(key) }),
                    _ => None,
                });
                let holes = varies.chain(constants).chain([Hole { range: at(&site.range), kind: Varies::Text }]);
                lane.template.keep(&parts.raw, data.clone(), holes, true);
                continue;
            }
            let start = start + grown - shrunk;
            let text = start..start + edited(site).map_or(site.range.len(), |edit| edit.made.len());
            let hole = Hole { range: text, kind: Varies::Text };
            lane.template.keep(written, json.clone(), [hole].into_iter(), false);
        }
    }
}
