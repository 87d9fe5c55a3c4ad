//! Finds patterns in a text that arrives in pieces, and says of each byte, as early as can be known, whether it may go on.
//!
//! # What a text means
//! Rules are regular expressions over bytes, with ASCII word boundaries. A **match** of a rule is a non-empty part `s..e` of
//! the text that its expression describes *from end to end*, with what the rule asks for around it. All matches count, also
//! those inside or across others; nothing depends on which was looked for first.
//! - **Mask.** Matches that share a byte make one span; those that merely touch do not. One replacement stands for a span:
//!   that of the match that begins first, of these the one that ends first, of these the first in the order of rules.
//! - **Block.** The first match to end ends the stream; of several that end together, one that needs to see no further byte,
//!   then the one that began first. What had not been passed on by then never is, and no byte of the match had been.
//! - **Flag.** The match is told, and changes nothing.
//! - **Findings**, for all three: matches of one rule that share a byte are one finding.
//!
//! So what comes out is a function of the text: how it was cut into pieces does not show.
//!
//! # What is held, and why no filter could hold less
//! After each byte, a **thread** is a place where a match may have begun, and the state that its automaton is in. States from
//! which no match can be reached are cut off when rules are compiled, so a thread is alive exactly if some continuation
//! completes it, and another (the end of the text, to begin with) does not. Hence a byte at or behind the start of a thread
//! that is alive, and not covered by a match that has ended, has two possible fates, and no filter may let it go. All other
//! bytes have one, and go at once; a span's replacement goes when its first match has ended. The tests hold this against an
//! oracle that tries continuations, and that shows two of them with different fates for the first byte held.
//!
//! Three refinements are not counted: a `check` or a `length_max` is taken to be able to pass, bytes that cannot continue
//! UTF-8 are taken to be able to follow, and a byte that is certain to be matched, but not by a match up to here, waits for the end
//! of one, as the `a` of `a\b|a\w` does.
//!
//! # How much it may take
//! Each byte costs one step of each thread, usually none: there is no backtracking, whatever the patterns. Most bytes are let
//! go after one look at them and the next (`pairs`); where something may begin, the next few are looked at first, and most of
//! what might begin does not (`scout`), nor does what waits for a context that cannot hold behind the last two bytes (`ajar`);
//! then contexts are asked for, each once for all rules (`gate`). This makes no difference but in time: what comes out is what
//! would without, piece by piece, and the tests hold one against the other.
//!
//! Threads in the same state share their future, so the first to begin stands for all. What is held is bounded by
//! [`HELD_BYTES_MAX`]: a thread that holds more is taken for a match and masked for as long as it lives, or blocked. Rules
//! whose tables grow too large are refused with the reason ([`Unusable`]).

mod ajar;
mod automata;
mod begin;
mod bytes;
mod compile;
mod cost;
mod filter;
mod gate;
mod output;
mod pairs;
mod product;
pub mod reference;
mod release;
mod rule;
mod scout;
mod selection;
mod spans;
mod table;
mod tabulate;
mod text;
mod threads;
mod witness;

#[cfg(test)]
mod tests;

pub use self::{
    bytes::ByteSet,
    compile::Engine,
    cost::{Cost, Hold, SAMPLE},
    filter::Filter,
    output::{Finding, Output, Piece, Verdict},
    rule::{
        ARM_STATES_MAX, Action, CONTEXT_BYTES_MAX, Check, Contexts, HELD_BYTES_MAX, Lead, NFA_BYTES_MAX,
        RULE_TABLE_BYTES_MAX, RULES_MAX, Rule, TABLE_BYTES_MAX, THREADS_MAX, UNTIL_BYTES_MAX, Until, Unusable,
    },
    selection::Selection,
    witness::Witness,
};
