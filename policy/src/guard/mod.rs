//! Guardrails: what may be said, in and out. A `Guardrail` reads text and makes a `Finding` of what it finds; what is done
//! about it is the `Verdict`.
//!
//! Nothing here opens a socket. [`rules`] say what is looked for, as data; [`engine`] finds patterns in one text that arrives
//! in pieces; [`screen`] is what documents make of them for a route; [`lanes`] finds the texts in what clients and
//! backends send, and puts back what became of them; [`placeholders`] stand for personal data and give way to it again;
//! [`injection`] says how likely a text is an attempt to take over a model.

pub mod engine;
pub mod injection;
pub mod lanes;
pub mod nemo;
pub mod placeholders;
pub mod rules;
pub mod screen;
