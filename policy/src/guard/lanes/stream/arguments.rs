//! Arguments of tools: JSON inside of a string, written by a model bit by bit. What is screened is what the inner strings
//! say, and what comes out can be read as JSON wherever what came in could.
//!
//! Quotes, colons, commas and brackets stay, also where a span lies across them; insides of strings are replaced; a number
//! or a word (`true`) becomes a string that says what stands in its place, so that whoever asked for a number sees that it
//! is not there. A scalar of which a part had gone out before the span began is completed as it needs. What is no JSON is a
//! text like any other, from where it stops being JSON.

mod lexer;
mod put;

use std::collections::VecDeque;

use self::{
    lexer::{Lexer, Run},
    put::{Put, Scalar},
};
use crate::guard::screen::{Direction, Flow, Scratch, Text};

/// The arguments of one call, as they come.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    lexer: Lexer,
    /// What the text holds: what kind of bytes, and how they were written.
    runs: VecDeque<Run>,
    scalar: Scalar,
    /// The rule whose replacement has not found a place yet.
    owed: Option<usize>,
    is_altered: bool,
}

impl Arguments {
    /// Takes the next bytes of the inner JSON. What is decided is appended as the insides of the outer string.
    pub(super) fn push(
        &mut self,
        text: &mut Text,
        direction: &Direction,
        inner: &[u8],
        fed: &mut Vec<u8>,
        scratch: &mut Scratch,
        made: &mut Vec<u8>,
    ) -> Flow {
        fed.clear();
        let waited = self.lexer.waits();
        for byte in inner {
            self.lexer.take(*byte, fed, &mut self.runs);
        }
        let mut put = Put {
            runs: &mut self.runs,
            scalar: &mut self.scalar,
            owed: &mut self.owed,
            is_altered: &mut self.is_altered,
            direction,
            made,
        };
        match text.push(direction, fed, scratch, &mut put) {
            Flow::Untouched if waited || self.lexer.waits() => Flow::Changed,
            flow => flow,
        }
    }

    /// The arguments are over.
    pub(super) fn finish(
        &mut self,
        text: &mut Text,
        direction: &Direction,
        fed: &mut Vec<u8>,
        scratch: &mut Scratch,
        made: &mut Vec<u8>,
    ) -> Flow {
        fed.clear();
        self.lexer.finish(fed, &mut self.runs);
        let mut put = Put {
            runs: &mut self.runs,
            scalar: &mut self.scalar,
            owed: &mut self.owed,
            is_altered: &mut self.is_altered,
            direction,
            made,
        };
        match text.push(direction, fed, scratch, &mut put) {
            Flow::Untouched | Flow::Changed => text.finish(direction, scratch, &mut put),
            flow => flow,
        }
    }

    /// Whether anything was replaced.
    pub(super) fn is_altered(&self) -> bool {
        self.is_altered
    }

    /// Bytes of an escape whose end has not come.
    pub(super) fn waiting(&self) -> usize {
        self.lexer.waiting()
    }
}
