//! Puts what became of the inner text back into JSON.

use std::collections::VecDeque;

use super::lexer::{Class, Run};
use crate::guard::{
    lanes::{json, stream::escapes::write_escaped},
    screen::{Direction, Sink},
};

/// What has been written of the number or word that is being written.
#[derive(Debug, Default)]
pub(super) struct Scalar {
    first: u8,
    last: u8,
    len: usize,
    /// Something stands in its place, and the rest of it is left out.
    is_replaced: bool,
}

/// Takes what is decided, and writes it.
pub(super) struct Put<'p> {
    pub(super) runs: &'p mut VecDeque<Run>,
    pub(super) scalar: &'p mut Scalar,
    pub(super) owed: &'p mut Option<usize>,
    pub(super) is_altered: &'p mut bool,
    pub(super) direction: &'p Direction,
    pub(super) made: &'p mut Vec<u8>,
}

impl Sink for Put<'_> {
    fn pass(&mut self, mut bytes: &[u8]) {
        *self.owed = None;
        while let Some((class, here, raw)) = self.next(&mut bytes) {
            let raw = raw.as_deref().unwrap_or(here);
            match class {
                Class::Bare if self.scalar.is_replaced => {}
                Class::Bare => {
                    self.scalar.wrote(here);
                    write_escaped(raw, self.made);
                }
                Class::Structure => self.structure(raw),
                Class::Content | Class::Loose => write_escaped(raw, self.made),
            }
        }
    }

    fn replace(&mut self, bytes: &[u8], rule: usize, with: Option<&str>) {
        if with.is_some() {
            *self.owed = Some(rule);
        }
        let direction = self.direction;
        let mut said = self.owed.map_or("", |rule| direction.replacement(rule));
        if self.instead(bytes, &mut said) {
            *self.owed = None;
        }
    }

    fn restore(&mut self, placeholder: &[u8], value: &str) {
        *self.owed = None;
        let mut said = value;
        self.instead(placeholder, &mut said);
    }
}

impl Put<'_> {
    /// The next bytes of one kind. How they were written is told with the first of them.
    fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Option<(Class, &'b [u8], Option<super::lexer::Raw>)> {
        if bytes.is_empty() {
            return None;
        }
        let run = self.runs.front_mut()?;
        let (here, rest) = bytes.split_at_checked(run.len).unwrap_or((bytes, &[]));
        *bytes = rest;
        let class = run.class;
        // What was written for several bytes stands for all of them.
        let raw = run.raw.as_mut().map(std::mem::take);
        run.len -= here.len();
        if run.len == 0 {
            self.runs.pop_front();
        }
        Some((class, here, raw))
    }

    /// Writes what stands in the place of these bytes, where the first of them is that is no structure. Whether there was one.
    fn instead(&mut self, mut bytes: &[u8], said: &mut &str) -> bool {
        *self.is_altered = true;
        let mut is_said = false;
        while let Some((class, here, _)) = self.next(&mut bytes) {
            match class {
                Class::Structure => self.structure(here),
                Class::Bare => is_said |= self.replace_scalar(said),
                Class::Content => {
                    self.write_inner(std::mem::take(said).as_bytes());
                    is_said = true;
                }
                Class::Loose => {
                    write_escaped(std::mem::take(said).as_bytes(), self.made);
                    is_said = true;
                }
            }
        }
        is_said
    }

    fn structure(&mut self, raw: &[u8]) {
        *self.scalar = Scalar::default();
        write_escaped(raw, self.made);
    }

    fn write_inner(&mut self, said: &[u8]) {
        let mut inner = Vec::new();
        json::escape(&String::from_utf8_lossy(said), &mut inner);
        write_escaped(&inner, self.made);
    }

    /// Whether there was a place for what is said.
    fn replace_scalar(&mut self, said: &mut &str) -> bool {
        if std::mem::replace(&mut self.scalar.is_replaced, true) {
            return false;
        }
        if self.scalar.len > 0 {
            write_escaped(self.scalar.completion(), self.made);
            return false;
        }
        write_escaped(b"\"", self.made);
        self.write_inner(std::mem::take(said).as_bytes());
        write_escaped(b"\"", self.made);
        true
    }
}

impl Scalar {
    fn wrote(&mut self, bytes: &[u8]) {
        if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
            if self.len == 0 {
                self.first = *first;
            }
            self.last = *last;
            self.len += bytes.len();
        }
    }

    /// What makes a scalar of what has been written.
    fn completion(&self) -> &'static [u8] {
        let word: &[u8] = match (self.first, self.last) {
            (b't', _) => b"true",
            (b'f', _) => b"false",
            (b'n', _) => b"null",
            (b'N', _) => b"NaN",
            (b'I', _) => b"Infinity",
            (_, b'-' | b'+' | b'.' | b'e' | b'E') => return b"0",
            _ => return b"",
        };
        word.get(self.len..).unwrap_or_default()
    }
}
