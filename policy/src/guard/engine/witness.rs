//! Why bytes are held: what could follow that would make a match of them.

use std::collections::VecDeque;

use foldhash::HashMap;

use super::{
    Engine, Filter, Output, Selection,
    selection::{ALIVE, HOLDS},
    table::{DEAD, State},
};

/// States that are looked at.
const STATES_MAX: usize = 8192;
/// Ways to one of them that are tried: more than there are letters and digits.
const WAYS_MAX: usize = 40;
/// Continuations that are tried.
const TRIES_MAX: usize = 4096;
/// Of these, those that only one rule would match: a checksum does not like most of them. Where one rule likes none, others are
/// tried nevertheless.
const TRIES_OF_RULE_MAX: usize = 1024;
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
    /// Why the first byte that is held is held, shown by what could follow; `None` if nothing waits. What it takes does not grow
    /// with the text.
    pub fn witness(&self) -> Option<Witness> {
        if self.held() == 0 {
            return None;
        }
        let (state, start) = self.threads().holding(self.selection())?;
        let search = Search { engine: self.engine(), selection: self.selection(), start };
        let found = search.run(self, state);
        found.or_else(|| Some(Witness { start, rule: self.waits_for().first().copied()?, continuation: None }))
    }
}

struct Search<'s> {
    engine: &'s Engine,
    selection: &'s Selection,
    start: u64,
}

impl Search<'_> {
    /// Breadth first, so that what is shown is short. Each state goes on from one way to it only, but several ways to it are
    /// tried: of the numbers that differ in their last digit, a checksum likes one.
    fn run(&self, filter: &Filter, from: State) -> Option<Witness> {
        let (mut ways, mut tries) = (HashMap::from_iter([(from, 1)]), Tries::default());
        let mut queue = VecDeque::from([(from, Vec::new())]);
        let mut found = self.tried(filter, from, &[], &mut tries);
        while let Some((state, path)) = queue.pop_front().filter(|_| found.is_none() && tries.all < TRIES_MAX) {
            for byte in bytes(path.len()) {
                let next = self.step(state, byte);
                let ways = if ways.len() < STATES_MAX { ways.entry(next).or_insert(0) } else { continue };
                *ways += 1;
                if next == DEAD || *ways > WAYS_MAX {
                    continue;
                }
                let longer = [path.as_slice(), &[byte]].concat();
                found = found.or_else(|| self.tried(filter, next, &longer, &mut tries));
                if *ways == 1 && self.selection.traits(next) & (ALIVE | HOLDS) == ALIVE | HOLDS {
                    queue.push_back((next, longer));
                }
            }
        }
        found
    }

    /// What matches in this state, which these bytes lead to: as it is, or with the first byte behind it that will do.
    fn tried(&self, filter: &Filter, state: State, path: &[u8], tries: &mut Tries) -> Option<Witness> {
        if tries.may(self.matching_before(state, None)) {
            let witness = self.confirmed(filter, path);
            if witness.is_some() {
                return witness;
            }
        }
        let table = self.engine.table();
        if !table.sets.rules(table.knowledge(state).pending).iter().any(|rule| tries.has_left(*rule)) {
            return None;
        }
        let byte = bytes(path.len()).find(|byte| self.matching_before(state, Some(*byte)).next().is_some())?;
        let may = tries.may(self.matching_before(state, Some(byte)));
        may.then(|| self.confirmed(filter, &[path, &[byte]].concat())).flatten()
    }

    /// What the filter says when it sees that. Nothing is believed that does not happen.
    fn confirmed(&self, filter: &Filter, continuation: &[u8]) -> Option<Witness> {
        let mut other = filter.clone();
        let (mut output, mut findings) = (Output::default(), Vec::new());
        other.push(continuation, &mut output);
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

    /// Rules that have matched in this state if this follows, or the end.
    fn matching_before(&self, state: State, byte: Option<u8>) -> impl Iterator<Item = u32> {
        let ahead = self.engine.table().ahead(state, byte).iter().copied().filter(|rule| self.holds(*rule));
        ahead.chain(self.matching(state).filter(move |_| byte.is_none()))
    }

    /// Rules that have matched in this state, whatever follows.
    fn matching(&self, state: State) -> impl Iterator<Item = u32> {
        let table = self.engine.table();
        table.sets.rules(table.knowledge(state).sure).iter().copied().filter(|rule| self.holds(*rule))
    }

    /// Whether bytes wait for this rule.
    fn holds(&self, rule: u32) -> bool {
        let action = self.engine.rules().get(rule as usize).map(|rule| &rule.action);
        self.selection.counts(rule) && !matches!(action, None | Some(super::Action::Flag))
    }
}

/// How often has been tried.
#[derive(Default)]
struct Tries {
    all: usize,
    of: HashMap<u32, usize>,
}

impl Tries {
    /// Whether what would match these rules may be tried, which counts as such.
    fn may(&mut self, rules: impl Iterator<Item = u32>) -> bool {
        let mut may = false;
        for rule in rules {
            may |= self.has_left(rule);
            *self.of.entry(rule).or_default() += 1;
        }
        self.all += usize::from(may);
        may
    }

    fn has_left(&self, rule: u32) -> bool {
        self.of.get(&rule).is_none_or(|tries| *tries < TRIES_OF_RULE_MAX)
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
