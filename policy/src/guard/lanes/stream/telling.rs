//! What is told of tokens, in an event of a stream: what of it goes on.

use std::ops::Range;

use super::{
    Scratch,
    data::{Edit, Screening, under},
    lane::{Became, Coming, whole},
    said::{Form, Role, Said, Tokens},
    tokens,
};
use crate::guard::lanes::json::unescape;

impl Screening {
    /// The tokens that come with a part of a text. Alternatives are texts of their own: none says the start of a value and
    /// leaves the rest to the next.
    pub(super) fn coming<'j>(&self, json: &'j [u8], told: &Tokens, scratch: &mut Scratch) -> Coming<'j> {
        let under = under(&self.guardrails, self.values.as_ref());
        let json = json.get(told.range.clone()).unwrap_or_default();
        let Scratch { buffers, made, .. } = scratch;
        let from = made.len();
        let mut tokens = tokens::read(json);
        for token in tokens.iter_mut().flatten() {
            let is_clean = |range: &Range<usize>| {
                let raw = json.get(range.clone()).unwrap_or_default();
                whole(under, raw, false, buffers, made) == Ok(Became::Itself)
            };
            token.is_foul = !token.others.iter().all(is_clean);
        }
        made.truncate(from);
        Coming { json, tokens }
    }

    pub(super) fn is_idle(&self, told: &Tokens) -> bool {
        let lane = self.lanes.iter().find(|lane| lane.key.place == told.lane);
        lane.is_none_or(|lane| lane.is_idle() && lane.spoken.as_ref().is_none_or(|spoken| !spoken.waits()))
    }

    /// What goes on of what is told of tokens.
    pub(super) fn tokens(
        &mut self,
        json: &[u8],
        data: &Range<usize>,
        told: &Tokens,
        said: &Said,
        was_idle: bool,
        scratch: &mut Scratch,
    ) {
        let raw = json.get(told.range.clone()).unwrap_or_default();
        let from = scratch.made.len();
        let stays = match told.form {
            Form::Each => {
                let count = tokens::read(raw).map_or(0, |tokens| tokens.len());
                let spoken = self
                    .lanes
                    .iter_mut()
                    .filter(|lane| lane.key.place == told.lane)
                    .find_map(|lane| lane.spoken.as_deref_mut());
                scratch.made.push(b'[');
                let released = spoken.map(|spoken| spoken.release(&mut scratch.made));
                scratch.made.push(b']');
                was_idle && released.unwrap_or(0) == count
            }
            Form::Parallel => {
                scratch.made.extend_from_slice(b"null");
                was_idle && self.is_idle(told) && self.come_to(json, data, told, said, scratch)
            }
            Form::Other => {
                scratch.made.extend_from_slice(if raw.first() == Some(&b'{') { b"null" } else { b"[]" });
                false
            }
        };
        if stays {
            scratch.made.truncate(from);
            return;
        }
        let range = data.start + told.range.start..data.start + told.range.end;
        scratch.edits.push(Edit { range, made: from..scratch.made.len() });
    }

    /// Whether tokens side by side come to the text of this event, all of which goes out, and say nothing beside it that must
    /// not be said.
    fn come_to(&self, json: &[u8], data: &Range<usize>, told: &Tokens, said: &Said, scratch: &mut Scratch) -> bool {
        let raw = json.get(told.range.clone()).unwrap_or_default();
        let Some((tokens, others)) = tokens::read_parallel(raw) else { return false };
        let site = said.sites.iter().find(|site| matches!(site.role, Role::Part(key) if key.place == told.lane));
        let Some(site) = site else { return false };
        let text = json.get(site.range.clone()).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        let is_edited = scratch.edits.iter().any(|edit| edit.range.start == data.start + site.range.start);
        if is_edited || unescape(text).is_none_or(|text| text != tokens) {
            return false;
        }
        let under = under(&self.guardrails, self.values.as_ref());
        let Scratch { buffers, made, .. } = scratch;
        let from = made.len();
        let is_clean = others.iter().all(|range| {
            let raw = raw.get(range.clone()).unwrap_or_default();
            whole(under, raw, false, buffers, made) == Ok(Became::Itself)
        });
        made.truncate(from);
        is_clean
    }
}
