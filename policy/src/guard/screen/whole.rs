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
