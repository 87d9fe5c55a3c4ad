//! Why bytes are held: what could follow that would make a match of them.

use std::collections::VecDeque;

use foldhash::{HashSet, HashSetExt as _};

use super::{
    Engine, Filter, Output, Selection,
    selection::{ALIVE, HOLDS},
    table::State,
};

/// States that are looked at.
const STATES_MAX: usize = 8192;
/// Continuations that are tried: a checksum does not like most of them.
const TRIES_MAX: usize = 256;
/// What people read first, in an order in which no two steps look alike: entropy is asked for, too.
const ORDER: &[u8] = b"4k7q1w9e2r5t8y3u6i0opasdfghjlzxcvbnmQWERTYUIOPASDFGHJKLZXCVBNM-._@/: ";
const STEP: usize = 11;

/// Why the first byte that is held is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Where the match would begin, from the beginning of the text.
    pub start: u64,
    /// The rule that would match, by its place.
    pub rule: usize,
    /// With what it would; empty if it is the end of the text. `None`: whatever was tried, a check of the rule would not pass.
    pub continuation: Option<Vec<u8>>,
}

impl Filter {
    /// Why the first byte that is held is held, shown by what could follow; `None` if nothing waits. `text` is all that has come.
    pub fn witness(&self, text: &[u8]) -> Option<Witness> {
        if self.held() == 0 {
            return None;
        }
        let (state, start) = self.threads().holding(self.selection())?;
        let search = Search { engine: self.engine(), selection: self.selection(), text, start };
        let found = search.run(self, state);
        found.or_else(|| Some(Witness { start, rule: self.waits_for().first().copied()?, continuation: None }))
    }
}

struct Search<'s> {
    engine: &'s Engine,
    selection: &'s Selection,
    text: &'s [u8],
    start: u64,
}

impl Search<'_> {
    /// Breadth first, so that what is shown is short.
    fn run(&self, filter: &Filter, from: State) -> Option<Witness> {
        let mut seen = HashSet::new();
        seen.insert(from);
        let mut queue = VecDeque::from([(from, Vec::new())]);
        let mut tries = 0;
        while let Some((state, path)) = queue.pop_front() {
            if self.matches_before(state, None)
                && let Some(witness) = self.confirmed(filter, &path)
            {
                return Some(witness);
            }
            // What matches here whatever follows but a few need not be tried with all of them.
            let mut is_tried = false;
            for byte in bytes(path.len()) {
                let next = self.step(state, byte);
                let longer = || [path.as_slice(), &[byte]].concat();
                let matches_here = !is_tried && self.matches_before(state, Some(byte));
                is_tried |= matches_here;
                if matches_here || self.matches(next) {
                    tries += 1;
                    if let Some(witness) = self.confirmed(filter, &longer()) {
                        return Some(witness);
                    }
                    if tries > TRIES_MAX {
                        return None;
                    }
                }
                let is_alive = self.selection.traits(next) & (ALIVE | HOLDS) == ALIVE | HOLDS;
                if is_alive && seen.len() < STATES_MAX && seen.insert(next) {
                    queue.push_back((next, longer()));
                }
            }
        }
        None
    }

    /// What a filter says that sees all of it. Nothing is believed that does not happen.
    fn confirmed(&self, filter: &Filter, continuation: &[u8]) -> Option<Witness> {
        let mut other = filter.anew();
        let (mut output, mut findings) = (Output::default(), Vec::new());
        other.push(&[self.text, continuation].concat(), &mut output);
        findings.append(&mut output.findings);
        other.finish(&mut output);
        findings.append(&mut output.findings);
        let acts = |rule: usize| self.holds(rule as u32);
        let found = findings.into_iter().find(|finding| finding.range.contains(&self.start) && acts(finding.rule))?;
        Some(Witness { start: self.start, rule: found.rule, continuation: Some(continuation.to_vec()) })
    }

    fn step(&self, state: State, byte: u8) -> State {
        self.engine.table().step(state, byte)
    }

    /// Whether a rule has matched in this state if this follows, or the end.
    fn matches_before(&self, state: State, byte: Option<u8>) -> bool {
        let table = self.engine.table();
        let known = table.knowledge(state);
        table.ahead(state, byte).iter().any(|rule| self.holds(*rule)) || byte.is_none() && self.has(known.sure)
    }

    /// Whether a rule has matched in this state, whatever follows.
    fn matches(&self, state: State) -> bool {
        self.has(self.engine.table().knowledge(state).sure)
    }

    fn has(&self, set: u32) -> bool {
        self.engine.table().sets.rules(set).iter().any(|rule| self.holds(*rule))
    }

    /// Whether bytes wait for this rule.
    fn holds(&self, rule: u32) -> bool {
        let action = self.engine.rules().get(rule as usize).map(|rule| &rule.action);
        self.selection.counts(rule) && !matches!(action, None | Some(super::Action::Flag))
    }
}

/// All bytes, what people read first, beginning elsewhere at each depth.
fn bytes(depth: usize) -> impl Iterator<Item = u8> {
    const ALPHANUMERIC: usize = 35;
    let (letters, others) = ORDER.split_at_checked(ALPHANUMERIC).unwrap_or((ORDER, &[]));
    let begin = depth * STEP % letters.len().max(1);
    let (late, early) = letters.split_at_checked(begin).unwrap_or_default();
    let said = early.iter().chain(late).chain(others).copied();
    said.chain((0..=u8::MAX).filter(|byte| !ORDER.contains(byte)))
}
