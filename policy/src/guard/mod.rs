//! Guardrails: what may be said, in and out. A `Guardrail` reads text and makes a `Finding` of what it finds; what is done
//! about it is the `Verdict`.
//!
//! Nothing here knows of JSON, events or sockets: [`rules`] say what is looked for, as data; [`engine`] finds patterns in one
//! text that arrives in pieces.

pub mod engine;
pub mod rules;
