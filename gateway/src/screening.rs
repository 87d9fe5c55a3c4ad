//! What may be said: guardrails on what goes in ([`input()`]) and on what comes out ([`output()`]).
//!
//! A route that has guardrails takes only what they can read. What goes in is read whole, so that nothing of it has left
//! before all of it was judged. What comes out is judged as it comes: an event stream flows on, and only what may yet become
//! a match waits. [`Screened`] is the proof that the first half has been done; nothing is forwarded without it.

pub(crate) mod api;
mod begins;
mod blocked;
mod contained;
mod content;
mod document;
mod flow;
mod guards;
mod input;
mod media;
pub(crate) mod offline;
mod output;
mod scores;
mod secret;
pub mod service;
mod status;
mod tally;
mod tools;
mod verdict;
mod windows;

pub use self::{
    contained::{Panicked, contained, end_on_panic},
    document::INLINE_BYTES_MAX,
    flow::{AnswerScreen, Passed},
    guards::Guards,
    input::{Screened, input},
    output::{ANSWER_BYTES_MAX, output},
    secret::{PlaceholderSecret, SecretError},
    tally::{Judged, Tally, Way},
    verdict::X_GUARD_VERDICT,
};
