//! Expressions → automata that find all matches, one for each, without states from which no match can be reached. Each is made
//! by `regex-automata`.
//!
//! The automata of `regex-automata` tell of a match one byte late, since they may have to look at it. Here a state knows
//! whether it has matched *whatever follows* (`sure`), and by which bytes it has if they follow (`ahead`), so that nothing is
//! held for a byte that does not matter.

use foldhash::HashMap;
use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton as _, StartKind, dense},
    nfa::thompson::{self, WhichCaptures},
    util::{primitives::StateID, start},
};
use regex_syntax::{
    ParserBuilder,
    hir::{Dot, Hir, HirKind, Look, Repetition},
};

use super::{
    ByteSet,
    rule::{NFA_BYTES_MAX, RULE_TABLE_BYTES_MAX, Unusable},
};

/// What is followed by nothing that could match.
pub(super) const NOWHERE: u32 = u32::MAX;
/// What stands before a text, where bytes are counted.
pub(super) const NOTHING: usize = 256;

/// The automaton of one expression.
pub(super) struct Automaton {
    /// The class of each byte.
    pub(super) classes: Box<[u8; 256]>,
    /// How many classes there are.
    pub(super) columns: usize,
    /// Where each class leads, by state. States that have no row lead nowhere.
    pub(super) next: Vec<u32>,
    pub(super) states: Vec<Found>,
    /// The first state, by the byte that stands before.
    pub(super) starts: Starts,
}

/// What is known in a state.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// It has matched, whatever follows.
    pub(super) sure: bool,
    /// Whether it has matched if a class follows, and in the last place, if nothing does; empty where none of them decides.
    pub(super) ahead: Vec<bool>,
    /// Something may yet match: beyond here, or here.
    pub(super) alive: bool,
}

/// The first state.
pub(super) enum Starts {
    /// Whatever stands before.
    Always(u32),
    /// By the byte that stands before.
    ByByte(Box<[u32; NOTHING + 1]>),
}

impl Starts {
    pub(super) fn after(&self, before: Option<u8>) -> u32 {
        match self {
            Self::Always(start) => *start,
            Self::ByByte(starts) => starts.get(before.map_or(NOTHING, usize::from)).copied().unwrap_or(NOWHERE),
        }
    }
}

/// The automaton of an expression behind whose matches none of some bytes may stand.
pub(super) fn automaton(rule: usize, hir: &Hir, not_before: ByteSet) -> Result<Automaton, Unusable> {
    let too_large = Unusable::RuleTooLarge { rule, bytes_max: RULE_TABLE_BYTES_MAX };
    let config =
        thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_BYTES_MAX));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).map_err(|_| too_large.clone())?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .accelerate(false)
        .dfa_size_limit(Some(RULE_TABLE_BYTES_MAX))
        .determinize_size_limit(Some(RULE_TABLE_BYTES_MAX));
    let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|_| too_large)?;
    Ok(taken_apart(&dfa, not_before))
}

fn taken_apart(dfa: &dense::DFA<Vec<u32>>, not_before: ByteSet) -> Automaton {
    let classes_of = |byte: u8| (dfa.byte_classes().get(byte), not_before.contains(byte));
    let (mut known, mut sample, mut classes) = (HashMap::default(), Vec::new(), Box::new([0_u8; 256]));
    for (byte, class) in (0..=u8::MAX).zip(classes.iter_mut()) {
        *class = *known.entry(classes_of(byte)).or_insert_with(|| {
            sample.push(byte);
            (sample.len() - 1) as u8
        });
    }
    let mut copy = Copy { dfa, not_before, sample, numbers: HashMap::default(), waiting: Vec::new(), next: Vec::new() };
    let mut start = |before: Option<u8>| {
        let config = start::Config::new().anchored(Anchored::Yes).look_behind(before);
        dfa.start_state(&config).map_or(NOWHERE, |state| copy.number_of(state))
    };
    let mut starts = Box::new([NOWHERE; NOTHING + 1]);
    for (before, first) in (0..=u8::MAX).map(Some).chain([None]).zip(starts.iter_mut()) {
        *first = start(before);
    }
    let mut states = Vec::new();
    while let Some(state) = copy.waiting.get(states.len()).copied() {
        states.push(copy.row(state));
    }
    let columns = copy.sample.len();
    trimmed(classes, columns, &copy.next, states, &starts)
}

/// An automaton that is being copied.
struct Copy<'d> {
    dfa: &'d dense::DFA<Vec<u32>>,
    not_before: ByteSet,
    /// A byte of each class.
    sample: Vec<u8>,
    numbers: HashMap<StateID, u32>,
    /// All states, in the order of their numbers.
    waiting: Vec<StateID>,
    next: Vec<u32>,
}

impl Copy<'_> {
    fn number_of(&mut self, state: StateID) -> u32 {
        if self.dfa.is_dead_state(state) {
            return NOWHERE;
        }
        let waiting = &mut self.waiting;
        *self.numbers.entry(state).or_insert_with(|| {
            waiting.push(state);
            (waiting.len() - 1) as u32
        })
    }

    /// Adds the row of a state, and says what it has found before which class.
    fn row(&mut self, state: StateID) -> Found {
        let mut ahead = Vec::with_capacity(self.sample.len() + 1);
        for index in 0..self.sample.len() {
            let Some(byte) = self.sample.get(index).copied() else { break };
            let to = self.dfa.next_state(state, byte);
            ahead.push(self.dfa.is_match_state(to) && !self.not_before.contains(byte));
            let number = self.number_of(to);
            self.next.push(number);
        }
        ahead.push(self.dfa.is_match_state(self.dfa.next_eoi_state(state)));
        let sure = ahead.iter().all(|found| *found);
        if sure || ahead.iter().all(|found| !found) {
            ahead.clear();
        }
        Found { sure, ahead, alive: false }
    }
}

/// Cuts off what leads nowhere. States that go on come first, then those in which all has been said.
fn trimmed(
    classes: Box<[u8; 256]>,
    columns: usize,
    next: &[u32],
    mut states: Vec<Found>,
    starts: &[u32; NOTHING + 1],
) -> Automaton {
    let mut came_from = vec![Vec::new(); states.len()];
    for (from, row) in next.chunks(columns).enumerate() {
        let mut before = NOWHERE;
        for to in row.iter().copied().filter(|to| *to != NOWHERE) {
            if to != before {
                came_from.get_mut(to as usize).into_iter().for_each(|all| all.push(from));
            }
            before = to;
        }
    }
    let mut waiting = Vec::new();
    for (at, state) in states.iter_mut().enumerate() {
        state.alive = !state.ahead.is_empty();
        if state.alive || state.sure {
            waiting.push(at);
        }
    }
    while let Some(to) = waiting.pop() {
        for from in came_from.get(to).into_iter().flatten() {
            if let Some(state) = states.get_mut(*from).filter(|state| !state.alive) {
                state.alive = true;
                waiting.push(*from);
            }
        }
    }
    let goes_on = states.iter().enumerate().filter(|(_, state)| state.alive).map(|(at, _)| at);
    let is_last = states.iter().enumerate().filter(|(_, state)| state.sure && !state.alive).map(|(at, _)| at);
    let kept: Vec<usize> = goes_on.chain(is_last).collect();
    let mut numbers = vec![NOWHERE; states.len()];
    for (number, at) in kept.iter().enumerate() {
        if let Some(place) = numbers.get_mut(*at) {
            *place = number as u32;
        }
    }
    let number = |at: u32| numbers.get(at as usize).copied().unwrap_or(NOWHERE);
    let row = |at: &usize| next.get(at * columns..(at + 1) * columns).unwrap_or_default();
    let alive = |at: &&usize| states.get(**at).is_some_and(|state| state.alive);
    let next = kept.iter().filter(alive).flat_map(row).map(|to| number(*to)).collect();
    let starts = Box::new(starts.map(number));
    let first = starts.first().copied().unwrap_or(NOWHERE);
    let always = starts.iter().all(|start| *start == first);
    Automaton {
        classes,
        columns,
        next,
        states: kept.iter().filter_map(|at| states.get(*at).cloned()).collect(),
        starts: if always { Starts::Always(first) } else { Starts::ByByte(starts) },
    }
}

/// The expression, with boundaries of ASCII words, and able to match something.
pub(super) fn parse(rule: usize, pattern: &str, unicode: bool) -> Result<Hir, Unusable> {
    let last_line = |error: &str| error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // An expression that can only match UTF-8 never cuts a character. Without Unicode, its author sees to that.
    let parsed = ParserBuilder::new().unicode(unicode).utf8(unicode).build().parse(pattern);
    let hir = parsed.map_err(|error| Unusable::Syntax { rule, reason: last_line(&error.to_string()) })?;
    match hir.properties().minimum_len() {
        Some(0) => Err(Unusable::MatchesNothing { rule }),
        _ => Ok(with_ascii_boundaries(&hir)),
    }
}

/// Unicode's word boundaries have no automaton of this kind.
fn with_ascii_boundaries(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(with_ascii_boundaries(&repetition.sub))),
        // Captures are not asked for.
        HirKind::Capture(capture) => with_ascii_boundaries(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(with_ascii_boundaries).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(with_ascii_boundaries).collect()),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
    }
}

/// What comes to this, whatever stands before.
pub(super) fn anywhere(end: Hir) -> Hir {
    let any = Repetition { min: 0, max: None, greedy: false, sub: Box::new(Hir::dot(Dot::AnyByte)) };
    Hir::concat(vec![Hir::repetition(any), end])
}
