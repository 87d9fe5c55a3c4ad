//! Credentials, by who gives them out. Written from what providers publish about their formats.
//!
//! A credential that begins as nothing else does is found wherever it stands. One that is mere letters and digits is found only
//! where it is assigned to a name that has the provider's word in it: everything before the value is context, so prose holds
//! nothing back. Where a format has no checksum, a floor of entropy keeps placeholders (`xxxx…`) out.

use super::{Check, Context, Edge, Rule, Set};

mod ai;
mod clouds;
mod code;
mod commerce;
mod further;
mod generic;
mod messaging;
mod operations;

/// The rules, in the order of the page that lists them.
pub(super) static RULES: &[&[Rule]] = &[
    clouds::RULES,
    code::RULES,
    ai::RULES,
    messaging::RULES,
    commerce::RULES,
    operations::RULES,
    further::RULES,
    generic::RULES,
];

/// A credential that is known by how it begins. What stands right beside it does not matter, but for a letter before it, lest
/// prose be held back wherever a word ends as one begins: text that was pasted together is no reason to let it through.
const fn token(
    provider: &'static str,
    id: &'static str,
    title: &'static str,
    body: &'static str,
    finds: &'static [&'static str],
    leaves: &'static [&'static str],
) -> Rule {
    Rule::new(Set::Secrets, provider, id, title, body, finds, leaves)
        .edges(Edge::Open, Edge::Open)
        .context(Context::Apart)
        .check(Check::Entropy(30))
}

/// A credential that is known by what it is assigned to.
const fn assigned(
    provider: &'static str,
    id: &'static str,
    title: &'static str,
    words: &'static [&'static str],
    body: &'static str,
    finds: &'static [&'static str],
    leaves: &'static [&'static str],
) -> Rule {
    Rule::new(Set::Secrets, provider, id, title, body, finds, leaves)
        .context(Context::Assigned(words))
        .edges(Edge::Word, Edge::Name)
        .check(Check::Entropy(30))
}
