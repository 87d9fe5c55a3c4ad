//! A text that is there whole.

use std::{ops::Range, sync::Arc};

use super::{Direction, Flow, Scratch, Sink, Speaker, Text};
use crate::guard::placeholders::Values;

/// A part of a text that does not go on, in bytes, and what is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which part.
    pub range: Range<usize>,
    /// Why, and what instead.
    pub by: By,
}

/// Why a part of a text does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// This rule has found it, by its place in the engine.
    Rule(usize),
    /// It is a placeholder of this value.
    Value(Box<str>),
}

/// What becomes of a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// It goes on, but for these parts, in order.
    Passes(Vec<Change>),
    /// A rule refuses it, by its place in the engine.
    Blocked(usize),
    /// It asks for more than is allowed of a text.
    Overrun,
}

impl Direction {
    /// Screens a text that is there whole, and puts these values back. What is found is added to the scratch.
    pub fn whole(&self, speaker: Speaker, text: &str, values: Option<&Arc<Values>>, scratch: &mut Scratch) -> Whole {
        let mut screened = Text::new(self, speaker);
        if let Some(values) = values {
            screened = screened.restoring(values);
        }
        let mut changes = Changes::default();
        let pushed = screened.push(self, text.as_bytes(), scratch, &mut changes);
        // Also where all of it has gone on: what is only flagged is told by its end.
        for flow in [pushed, screened.finish(self, scratch, &mut changes)] {
            match flow {
                Flow::Blocked(rule) => return Whole::Blocked(rule),
                Flow::Overrun => return Whole::Overrun,
                Flow::Untouched | Flow::Changed => {}
            }
        }
        Whole::Passes(changes.changes)
    }

    /// The same of a text behind a key, which may be the context of what stands in it (`ssn: 123456789`): what is found in the
    /// text alone, and what is found because of the key. What the key says itself is not looked at here.
    pub fn whole_behind(
        &self,
        speaker: Speaker,
        key: &str,
        text: &str,
        values: Option<&Arc<Values>>,
        scratch: &mut Scratch,
    ) -> Whole {
        let from = scratch.findings.len();
        let mut changes = match self.whole(speaker, text, values, scratch) {
            Whole::Passes(changes) => changes,
            refused => return refused,
        };
        let alone = scratch.findings.len();
        let both = format!("{key}: {text}");
        let lead = both.len() - text.len();
        let with_key = match self.whole(speaker, &both, values, scratch) {
            Whole::Passes(changes) => changes,
            // Also where the key is what is refused: it is a text of its own.
            refused => return refused,
        };
        let more = with_key.into_iter().filter_map(|Change { range, by }| {
            let range = range.start.saturating_sub(lead)..range.end.checked_sub(lead).filter(|end| *end > 0)?;
            Some(Change { range, by })
        });
        let more: Vec<_> = more.filter(|one| !changes.iter().any(|other| overlap(&one.range, &other.range))).collect();
        changes.extend(more);
        changes.sort_by_key(|change| change.range.start);
        scratch.tell_once(from, alone, lead);
        Whole::Passes(changes)
    }
}

fn overlap<T: PartialOrd>(one: &Range<T>, other: &Range<T>) -> bool {
    one.start < other.end && other.start < one.end
}

impl Scratch {
    /// Of what was found in a text alone (from `from` on) and behind `lead` bytes (from `behind` on), keeps each once.
    fn tell_once(&mut self, from: usize, behind: usize, lead: usize) {
        let lead = lead as u64;
        let again = self.findings.split_off(behind.min(self.findings.len()));
        for mut finding in again {
            if finding.range.end <= lead {
                continue;
            }
            finding.range = finding.range.start.saturating_sub(lead)..finding.range.end - lead;
            let alone = self.findings.get(from..).unwrap_or_default();
            if !alone.iter().any(|told| told.rule == finding.rule && overlap(&told.range, &finding.range)) {
                self.findings.push(finding);
            }
        }
    }
}

/// Where a text is changed.
#[derive(Debug, Default)]
struct Changes {
    at: usize,
    changes: Vec<Change>,
}

impl Sink for Changes {
    fn pass(&mut self, bytes: &[u8]) {
        self.at += bytes.len();
    }

    fn replace(&mut self, bytes: &[u8], rule: usize, with: Option<&str>) {
        let end = self.at + bytes.len();
        match self.changes.last_mut() {
            Some(last) if with.is_none() && last.range.end == self.at => last.range.end = end,
            _ => self.changes.push(Change { range: self.at..end, by: By::Rule(rule) }),
        }
        self.at = end;
    }

    fn restore(&mut self, placeholder: &[u8], value: &str) {
        let end = self.at + placeholder.len();
        self.changes.push(Change { range: self.at..end, by: By::Value(value.into()) });
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::{
        guard::{
            engine::{Action, Rule},
            rules,
            screen::{Detector, OnError, Origin, Reaction, Speakers, Stage},
        },
        snapshot::DocumentId,
    };

    /// The rule for Social Security numbers that need a word beside them, and one of an admin that begins where a text does.
    fn direction() -> Direction {
        let stage = Stage {
            policy: DocumentId { group: "g".into(), kind: "k".into(), namespace: "n".into(), name: "p".into() },
            name: "personal".into(),
            detector: Detector::Patterns,
            reaction: Reaction::Mask,
            speakers: Speakers::EVERYBODY,
            is_shadow: false,
            on_error: OnError::Block,
        };
        let mask = || Action::Mask("[x]".into());
        let named = rules::rule("us-ssn-named").unwrap().applied(mask(), &Arc::default());
        let rules = [named, Rule::new("badge", "[0-9]{3}-[0-9]{3}", mask())];
        let rules = rules
            .into_iter()
            .enumerate()
            .map(|(place, rule)| (Origin { stage: 0, rule: place.to_string().into(), kind: "X".into() }, rule));
        Direction::new(vec![stage], rules.collect()).unwrap()
    }

    #[test]
    fn a_key_is_the_context_of_its_value() {
        let direction = direction();
        let check = |key: &str, text: &str, ranges: &[(usize, usize)]| {
            let mut scratch = Scratch::default();
            let whole = direction.whole_behind(Speaker::User, key, text, None, &mut scratch);
            let Whole::Passes(changes) = whole else { panic!("{whole:?}") };
            let changed: Vec<_> = changes.iter().map(|change| (change.range.start, change.range.end)).collect();
            assert_eq!(changed, ranges, "{key} {text}");
            let found =
                scratch.findings.iter().map(|finding| (finding.range.start as usize, finding.range.end as usize));
            let mut found: Vec<_> = found.collect();
            found.sort_unstable();
            assert_eq!(found, ranges, "{key}");
        };
        check("ssn", "219099999", &[(0, 9)]);
        check("ssn", "it is 219099999, badge 555-123", &[(6, 15), (23, 30)]);
        check("order", "219099999", &[]);
        check("order", "ssn 219099999", &[(4, 13)]);
        check("badge 555-123", "555-123", &[(0, 7)]);
        check("555-123", "none", &[]);
        check("ssn", "", &[]);
    }
}
