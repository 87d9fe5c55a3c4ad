//! What was said, token by token. Where it adds up to the text that was screened, it needs no look of its own.

use std::{borrow::Cow, ops::Range};

use super::{Document, Edit, Masked, Place, Screener, Speaker, Unreadable, patches::Patches};
use crate::guard::lanes::{
    json::Quoted,
    known::Known::{self, At, Content, Refusal, TextOffset, Token, TokenLogprobs, Tokens, TopLogprobs},
    shape::{Field, Lane, Part},
};

/// The `logprobs` of one text, or of the texts of one choice.
#[derive(Debug)]
pub(super) struct Region<'b> {
    lane: Lane,
    /// All of it.
    range: Range<usize>,
    rows: Vec<Row<'b>>,
    /// What else might have been said.
    others: Vec<(usize, Cow<'b, str>)>,
    /// How long paths to it are.
    pub(super) depth: usize,
}

/// An array with an element for each token.
#[derive(Debug)]
struct Row<'b> {
    /// Its key; `None`: the region is the array.
    key: Option<Known>,
    range: Range<usize>,
    elements: Vec<Range<usize>>,
    tokens: Vec<Cow<'b, str>>,
}

impl<'b> Region<'b> {
    pub(super) fn new(lane: Lane, at: usize, depth: usize) -> Self {
        Self { lane, range: at..at, rows: Vec::new(), others: Vec::new(), depth }
    }

    /// A string; the path begins in the region.
    pub(super) fn string(&mut self, path: &[Known], at: usize, text: Cow<'b, str>) {
        let key = match path {
            [key @ (Content | Refusal), At(_), Token] => Some(*key),
            [Tokens, At(_)] => Some(Tokens),
            [At(_), Token] => None,
            _ => {
                self.others.push((at, text));
                return;
            }
        };
        self.row(key).tokens.push(text);
    }

    /// A key that no table knows: where alternatives are a map, they are its keys.
    pub(super) fn key(&mut self, key: Quoted<'b>, text: Cow<'b, str>) {
        self.others.push((key.at, text));
    }

    /// A value ends; the path begins in the region.
    pub(super) fn ends(&mut self, path: &[Known], range: Range<usize>) {
        match path {
            [] => self.range.end = range.end,
            [key @ (Content | Refusal | Tokens | TokenLogprobs | TopLogprobs | TextOffset)] => {
                self.row(Some(*key)).range = range;
            }
            [key @ (Content | Refusal | Tokens | TokenLogprobs | TopLogprobs | TextOffset), At(_)] => {
                self.row(Some(*key)).elements.push(range);
            }
            [At(_)] => self.row(None).elements.push(range),
            _ => {}
        }
    }

    fn row(&mut self, key: Option<Known>) -> &mut Row<'b> {
        let place = self.rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
            self.rows.push(Row { key, range: 0..0, elements: Vec::new(), tokens: Vec::new() });
            self.rows.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "it is one of them")]
        &mut self.rows[place]
    }

    /// Takes out what says again what was replaced, and shows what says anything else.
    pub(super) fn rewrite(
        &self,
        document: &Document<'b>,
        masked: &[Masked],
        screener: &mut impl Screener,
        patches: &mut Patches,
    ) -> Result<(), Unreadable> {
        let mut is_clean = true;
        let mut show = |at: usize, text: &str| -> Result<bool, Unreadable> {
            if text.is_empty() {
                return Ok(true);
            }
            let place = Place { field: Field::Logprobs(self.lane), speaker: Speaker::Assistant, message: None, at };
            match screener.text(&place, text) {
                Edit::Keep => Ok(true),
                Edit::Ranges(ranges) => Ok(ranges.is_empty()),
                Edit::Refuse => Err(Unreadable::Refused { at }),
            }
        };
        for (at, text) in &self.others {
            is_clean &= show(*at, text)?;
        }
        for row in self.rows.iter().filter(|row| !row.tokens.is_empty()) {
            let lane = self.lane_of(row);
            let text = document.lane(lane).unwrap_or_default();
            let masked = masked.iter().find(|masked| masked.lane == lane).map(|masked| &*masked.ranges);
            if row.adds_up_to(text) {
                is_clean &= masked.is_none_or(|masked| self.take_out(row, masked, patches));
            } else {
                is_clean &= show(row.range.start, &row.tokens.concat())? && masked.is_none();
            }
        }
        if !is_clean {
            // Where the array is the member itself, clients ask for an array.
            let nothing: &[u8] = if self.rows.iter().any(|row| row.key.is_none()) { b"[]" } else { b"null" };
            patches.put(self.range.clone(), nothing.to_vec());
        }
        Ok(())
    }

    fn lane_of(&self, row: &Row<'_>) -> Lane {
        match row.key {
            Some(Refusal) => Lane { part: Part::Refusal, ..self.lane },
            _ => self.lane,
        }
    }

    /// Takes the elements of those tokens out that say a part of what was replaced. Whether that could be done.
    fn take_out(&self, row: &Row<'_>, masked: &[Range<usize>], patches: &mut Patches) -> bool {
        let mut at = 0;
        let keeps: Vec<bool> = row
            .tokens
            .iter()
            .map(|token| {
                let (start, end) = (at, at + token.len());
                at = end;
                !masked.iter().any(|range| start < range.end && range.start < end)
            })
            .collect();
        let is_beside = |other: &&Row<'_>| match row.key {
            Some(Tokens) => matches!(other.key, Some(Tokens | TokenLogprobs | TopLogprobs | TextOffset)),
            key => other.key == key,
        };
        let rows: Vec<_> = self.rows.iter().filter(is_beside).filter(|row| !row.elements.is_empty()).collect();
        if rows.iter().any(|row| row.elements.len() != keeps.len()) {
            return false;
        }
        for row in rows {
            row.keep(&keeps, patches);
        }
        true
    }
}

impl Row<'_> {
    fn adds_up_to(&self, text: &str) -> bool {
        let rest = self.tokens.iter().try_fold(text, |rest, token| rest.strip_prefix(&**token));
        rest == Some("")
    }

    /// Deletes the others, with their commas.
    fn keep(&self, keeps: &[bool], patches: &mut Patches) {
        let mut last_kept = None;
        for (place, (element, keep)) in self.elements.iter().zip(keeps).enumerate() {
            if *keep {
                last_kept = Some(element.end);
                continue;
            }
            match self.elements.get(place + 1) {
                Some(next) => patches.delete(element.start..next.start),
                None => patches.delete(last_kept.unwrap_or(element.start)..element.end),
            }
        }
    }
}
