//! Server-sent events: where one ends, and whether a stream ended as it should.

use crate::refusal::Dialect;

/// Bounds of a [`Splitter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest line, in bytes.
    pub line_bytes_max: usize,
    /// The longest event, in bytes.
    pub event_bytes_max: usize,
}

/// How a stream of events stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its last event was the one that ends a stream of this dialect.
    Complete,
    /// It stands between two events.
    BetweenEvents,
    /// It stands inside an event.
    MidEvent,
}

/// Follows a stream that passes through; costs the same for a chunk of any length, and holds its last bytes only.
#[derive(Debug)]
pub struct Tail {}

impl Tail {
    /// At the beginning of a stream of this dialect.
    pub fn new(_dialect: Dialect) -> Self {
        Self {}
    }
    /// Takes the next bytes.
    pub fn push(&mut self, _chunk: &[u8]) {
        unimplemented!()
    }
    /// How the stream stands.
    pub fn ending(&self) -> Ending {
        unimplemented!()
    }
}
