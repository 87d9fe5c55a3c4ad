//! **May**: YAML documents → diagnostics → one immutable [`Snapshot`].
//!
//! Nothing here opens a socket, and nothing here knows how bytes travel. Read in this order: a [`documents`] folder
//! becomes typed documents with spans, [`check`] says everything that is wrong with them at once, [`compile`] makes the
//! [`snapshot`], and [`routes`] answers which rule a request meets.

pub mod action;
pub mod authorize;
pub mod check;
pub mod compile;
pub mod diagnostics;
pub mod diff;
pub mod documents;
pub mod guard;
pub mod reach;
pub mod resolve;
pub mod roles;
pub mod routes;
pub mod schema;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod timestamp;

pub use snapshot::Snapshot;
