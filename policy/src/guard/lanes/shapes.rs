//! The tables, one file an API. Paths are matched as slices of known keys; what no line names is unknown.

#![expect(clippy::unnested_or_patterns, clippy::match_same_arms, reason = "a line of a table is about one place")]

pub(super) mod chat;
pub(super) mod completions;
pub(super) mod errors;
pub(super) mod generate;
pub(super) mod infer;
pub(super) mod lists;
pub(super) mod messages;
pub(super) mod responses;
