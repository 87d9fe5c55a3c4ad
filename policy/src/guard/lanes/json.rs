//! Complete JSON (RFC 8259), read strictly: one pass, no recursion, no tree, no copy.
//!
//! Whoever decides about a text must read it as its backend does, so what two parsers might read differently is a fault:
//! a byte order mark, bytes that are not UTF-8, control characters, numbers of other shapes, what comes after the end, and
//! ([`walk()`]) a key that stands twice in one object or is no text. A [`Fault`] says what and where, and never quotes.

mod path;
mod scanner;
mod text;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;

pub(in crate::guard::lanes) use self::text::escaped_char;
pub use self::{
    path::{Path, Step},
    scanner::{DEPTH_MAX, Quoted, Scanner},
    text::{escape, unescape},
    walk::{Visitor, walk, walk_any},
};

/// What makes a document unreadable, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub reason: Reason,
    /// At which byte.
    pub at: usize,
}

/// What makes a document unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It begins with one.
    ByteOrderMark,
    /// It is not UTF-8.
    NotUtf8,
    /// This should stand there.
    Expected(&'static str),
    /// Containers are nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// An object has a key twice.
    DuplicateKey,
    /// Half of a surrogate pair stands alone, which is no text.
    LoneSurrogate,
    /// A visitor has seen enough.
    Stopped,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::ByteOrderMark => write!(f, "a byte order mark is not allowed")?,
            Reason::NotUtf8 => write!(f, "not UTF-8")?,
            Reason::Expected(what) => write!(f, "expected {what}")?,
            Reason::TooDeep => write!(f, "nested deeper than {DEPTH_MAX} levels")?,
            Reason::DuplicateKey => write!(f, "an object has a key twice")?,
            Reason::LoneSurrogate => write!(f, "half of a surrogate pair")?,
            Reason::Stopped => write!(f, "stopped")?,
        }
        write!(f, " at byte {}", self.at)
    }
}

impl std::error::Error for Fault {}
