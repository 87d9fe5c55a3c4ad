//! Rules applied to a whole text, by the book: at every place, every rule, every end. Slow, and right by inspection, so that
//! other ways can be held against it.

use std::ops::Range;

use regex_automata::{
    Anchored,
    dfa::{
        Automaton, StartKind,
        dense::{self, DFA},
    },
    nfa::thompson,
    util::{start, syntax},
};

use super::{AllowedHosts, Rule};

/// The largest automaton of one rule, in bytes.
pub const AUTOMATON_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was found.
#[derive(Debug, Clone)]
pub struct Match {
    /// By which rule.
    pub rule: &'static Rule,
    /// Where.
    pub range: Range<usize>,
}

/// Rules that can be applied to texts.
pub struct Finder {
    automata: Vec<Automatic>,
    /// Which of them can begin with a byte.
    by_first: Vec<Vec<usize>>,
}

struct Automatic {
    rule: &'static Rule,
    length_max: usize,
    dfa: DFA<Vec<u32>>,
}

impl Finder {
    /// Makes the automata. An error names the rule whose expression is at fault.
    pub fn new(rules: &[&'static Rule]) -> Result<Self, String> {
        let mut automata = Vec::with_capacity(rules.len());
        let mut by_first = vec![Vec::new(); 256];
        for (at, rule) in rules.iter().enumerate() {
            let automatic = Automatic::new(rule).map_err(|error| format!("{}: {error}", rule.id))?;
            for (byte, begins) in (0..=u8::MAX).zip(&mut by_first) {
                if automatic.may_begin_with(byte) {
                    begins.push(at);
                }
            }
            automata.push(automatic);
        }
        Ok(Self { automata, by_first })
    }

    /// The memory of the automaton of each rule, in bytes.
    pub fn sizes(&self) -> impl Iterator<Item = (&'static Rule, usize)> + '_ {
        self.automata.iter().map(|automatic| (automatic.rule, automatic.dfa.memory_usage()))
    }

    /// Everything that the rules find in a text, by place, the longest of each rule at each place.
    pub fn find(&self, text: &[u8], allowed: &AllowedHosts) -> Vec<Match> {
        self.find_by(text, allowed, |_| true)
    }

    /// The same, by some of the rules.
    pub fn find_by(&self, text: &[u8], allowed: &AllowedHosts, which: impl Fn(&Rule) -> bool) -> Vec<Match> {
        let mut matches = Vec::new();
        for (start, first) in text.iter().enumerate() {
            let begin_so = self.by_first.get(usize::from(*first)).into_iter().flatten();
            for automatic in begin_so.filter_map(|at| self.automata.get(*at)) {
                if which(automatic.rule) && automatic.rule.may_begin(text.get(..start).unwrap_or_default()) {
                    matches.extend(automatic.at(text, start, allowed));
                }
            }
        }
        matches
    }
}

impl Automatic {
    fn new(rule: &'static Rule) -> Result<Self, Box<dense::BuildError>> {
        let dfa = DFA::builder()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(regex_automata::MatchKind::All)
                    .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
                    .determinize_size_limit(Some(AUTOMATON_BYTES_MAX)),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(rule.body)
            .map_err(Box::new)?;
        Ok(Self { rule, length_max: rule.length_max(), dfa })
    }

    fn may_begin_with(&self, byte: u8) -> bool {
        let start = self.dfa.start_state(&start::Config::new().anchored(Anchored::Yes));
        start.is_ok_and(|start| !self.dfa.is_dead_state(self.dfa.next_state(start, byte)))
    }

    /// The longest match that begins here.
    fn at(&self, text: &[u8], start: usize, allowed: &AllowedHosts) -> Option<Match> {
        let mut state = self.dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        let (mut at, mut longest) = (start, None);
        loop {
            let byte = text.get(at).copied();
            state = byte.map_or_else(|| self.dfa.next_eoi_state(state), |byte| self.dfa.next_state(state, byte));
            // An automaton tells of a match one byte late.
            let candidate = text.get(start..at).unwrap_or_default();
            if self.dfa.is_match_state(state) && self.rule.after.admits(byte) && self.rule.confirms(candidate, allowed)
            {
                longest = Some(Match { rule: self.rule, range: start..at });
            }
            if byte.is_none() || self.dfa.is_dead_state(state) || at - start > self.length_max {
                return longest;
            }
            at += 1;
        }
    }
}
