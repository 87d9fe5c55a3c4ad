//! Automata → the table: what they have in common, their states, and what can be cut off.

use foldhash::{HashMap, HashSet};
use regex_automata::{
    Anchored, PatternID,
    dfa::Automaton as _,
    util::{primitives::StateID, start},
};

use super::{
    ByteSet,
    automata::{Automaton, Part},
    rule::{Lead, Rule, TABLE_BYTES_MAX, Unusable},
    table::{DEAD, Knowledge, SetId, Sets, State, Table},
};

/// Automata → the table.
pub(super) fn tabulate(rules: &[Rule], automata: &[Automaton]) -> Result<Table, Unusable> {
    let (classes, sample) = classes(rules, automata);
    let (behind, before) = kinds(rules, automata);
    let mut copy = Copy { rules, sample: &sample, next: Vec::new(), found: Vec::new(), sets: Sets::default() };
    copy.sets.id_of(Vec::new());
    copy.row();
    let mut starts = Starts::default();
    for automaton in automata {
        copy.copy(automaton, &before, &mut starts)?;
    }
    Ok(trim(copy, starts, classes, behind, before.len()))
}

/// Bytes that no automaton tells apart, and one of each class.
fn classes(rules: &[Rule], automata: &[Automaton]) -> (Box<[u8; 256]>, Vec<u8>) {
    let edges: HashSet<_> = rules.iter().map(|rule| rule.not_before).collect();
    let key = |byte: u8| {
        let seen = automata.iter().map(|automaton| automaton.dfa.byte_classes().get(byte));
        seen.chain(edges.iter().map(|edge| u8::from(edge.contains(byte)))).collect::<Vec<u8>>()
    };
    let mut known = HashMap::<Vec<u8>, u8>::default();
    let (mut classes, mut sample) = (Box::new([0; 256]), Vec::new());
    for (byte, class) in (0..=u8::MAX).zip(classes.iter_mut()) {
        *class = *known.entry(key(byte)).or_insert_with(|| {
            sample.push(byte);
            (sample.len() - 1) as u8
        });
    }
    (classes, sample)
}

/// Bytes that no automaton tells apart when they stand before a match, and one of each kind.
fn kinds(rules: &[Rule], automata: &[Automaton]) -> (Box<[u8; 257]>, Vec<Option<u8>>) {
    let edges: HashSet<_> = rules.iter().map(|rule| rule.not_after).collect();
    let key = |before: Option<u8>| {
        let starts = automata.iter().map(|automaton| {
            let config = start::Config::new().anchored(Anchored::Yes).look_behind(before);
            automaton.dfa.start_state(&config).map_or(0, |state| state.as_u32())
        });
        let own = automata.iter().flat_map(|automaton| {
            automaton.owners.iter().enumerate().filter_map(move |(pattern, _)| {
                let alone = Anchored::Pattern(PatternID::new(pattern).ok()?);
                let config = start::Config::new().anchored(alone).look_behind(before);
                automaton.dfa.start_state(&config).ok().map(|state| state.as_u32())
            })
        });
        let inside = edges.iter().map(|edge| u32::from(before.is_some_and(|byte| edge.contains(byte))));
        starts.chain(own).chain(inside).collect::<Vec<u32>>()
    };
    let mut known = HashMap::<Vec<u32>, u8>::default();
    let (mut behind, mut sample) = (Box::new([0; 257]), Vec::new());
    let bytes = (0..=u8::MAX).map(Some).chain([None]);
    for (before, kind) in bytes.zip(behind.iter_mut()) {
        *kind = *known.entry(key(before)).or_insert_with(|| {
            sample.push(before);
            (sample.len() - 1) as u8
        });
    }
    (behind, sample)
}

/// Start states, by kind.
#[derive(Default)]
struct Starts {
    together: Vec<(u8, State)>,
    arms: Vec<(u8, State)>,
    led: HashMap<(u32, u8), State>,
    ends: HashMap<(u32, u8), State>,
}

/// The table before it is trimmed.
struct Copy<'c> {
    rules: &'c [Rule],
    sample: &'c [u8],
    next: Vec<State>,
    /// What has been found before each class.
    found: Vec<SetId>,
    sets: Sets,
}

impl Copy<'_> {
    fn columns(&self) -> usize {
        self.sample.len() + 1
    }

    fn row(&mut self) -> State {
        let row = self.next.len() / self.columns();
        self.next.resize(self.next.len() + self.columns(), DEAD);
        self.found.resize(self.next.len(), 0);
        row as State
    }

    fn copy(&mut self, automaton: &Automaton, before: &[Option<u8>], starts: &mut Starts) -> Result<(), Unusable> {
        let mut rows = HashMap::<StateID, State>::default();
        let mut waiting = Vec::new();
        for (kind, before) in before.iter().enumerate().map(|(kind, before)| (kind as u8, *before)) {
            let mut start = |copy: &mut Self, mode| {
                let config = start::Config::new().anchored(mode).look_behind(before);
                let state = automaton.dfa.start_state(&config).ok()?;
                Some(copy.row_of(state, &mut rows, &mut waiting))
            };
            let forbidden = |edge: &ByteSet| before.is_some_and(|byte| edge.contains(byte));
            match automaton.part {
                Part::Together(edge) if forbidden(&edge) => {}
                Part::Together(_) => starts.together.extend(start(self, Anchored::Yes).map(|state| (kind, state))),
                Part::Arms => starts.arms.extend(start(self, Anchored::Yes).map(|state| (kind, state))),
                Part::Led | Part::Ends => {
                    for (pattern, owner) in automaton.owners.iter().enumerate() {
                        let ends = automaton.part == Part::Ends;
                        let edge = self.rules.get(*owner as usize).map(|rule| rule.not_after).unwrap_or_default();
                        let Ok(pattern) = PatternID::new(pattern) else { continue };
                        if !ends && forbidden(&edge) {
                            continue;
                        }
                        let Some(state) = start(self, Anchored::Pattern(pattern)) else { continue };
                        let of = if ends { &mut starts.ends } else { &mut starts.led };
                        of.insert((*owner, kind), state);
                    }
                }
            }
        }
        while let Some((from, row)) = waiting.pop() {
            for column in 0..self.columns() {
                let byte = self.sample.get(column).copied();
                let to = byte
                    .map_or_else(|| automaton.dfa.next_eoi_state(from), |byte| automaton.dfa.next_state(from, byte));
                let found = self.found(automaton, to, byte);
                let to = if byte.is_none() { DEAD } else { self.row_of_live(automaton, to, &mut rows, &mut waiting) };
                let place = row as usize * self.columns() + column;
                if let (Some(next), Some(seen)) = (self.next.get_mut(place), self.found.get_mut(place)) {
                    (*next, *seen) = (to, found);
                }
            }
            if (self.next.len() + self.found.len()) * 4 > 2 * TABLE_BYTES_MAX {
                return Err(Unusable::TooLarge);
            }
        }
        Ok(())
    }

    fn row_of(
        &mut self,
        state: StateID,
        rows: &mut HashMap<StateID, State>,
        waiting: &mut Vec<(StateID, State)>,
    ) -> State {
        if let Some(row) = rows.get(&state) {
            return *row;
        }
        let row = self.row();
        rows.insert(state, row);
        waiting.push((state, row));
        row
    }

    fn row_of_live(
        &mut self,
        automaton: &Automaton,
        state: StateID,
        rows: &mut HashMap<StateID, State>,
        waiting: &mut Vec<(StateID, State)>,
    ) -> State {
        if automaton.dfa.is_dead_state(state) { DEAD } else { self.row_of(state, rows, waiting) }
    }

    /// The rules that a step into a state has found, which end before the byte of that step.
    fn found(&mut self, automaton: &Automaton, to: StateID, before: Option<u8>) -> SetId {
        if !automaton.dfa.is_match_state(to) {
            return 0;
        }
        let patterns = 0..automaton.dfa.match_len(to);
        let owners =
            patterns.filter_map(|nth| automaton.owners.get(automaton.dfa.match_pattern(to, nth).as_usize()).copied());
        // Edges are those of matches, not of what arms or ends them.
        let has_edges = matches!(automaton.part, Part::Together(_) | Part::Led);
        let refused = |owner: &u32| {
            let edge = self.rules.get(*owner as usize).map(|rule| rule.not_before).unwrap_or_default();
            has_edges && before.is_some_and(|byte| edge.contains(byte))
        };
        let mut rules: Vec<u32> = owners.filter(|owner| !refused(owner)).collect();
        rules.sort_unstable();
        rules.dedup();
        self.sets.id_of(rules)
    }
}

/// Cuts off what leads nowhere, and numbers what is left.
fn trim(copy: Copy<'_>, starts: Starts, classes: Box<[u8; 256]>, behind: Box<[u8; 257]>, kinds: usize) -> Table {
    let columns = copy.columns();
    let rows = copy.next.len() / columns;
    let mut sets = copy.sets;
    let row = |all: &[u32], row: usize| all.get(row * columns..(row + 1) * columns).unwrap_or_default().to_vec();
    let mut sure = Vec::with_capacity(rows);
    let mut ahead = vec![0; columns];
    let mut places = vec![0_u32; rows];
    let mut pending = vec![0; rows];
    ahead.clear();
    for (at, (place, pending)) in places.iter_mut().zip(&mut pending).enumerate() {
        let found = row(&copy.found, at);
        let always = intersection(&sets, &found);
        let rest: Vec<_> = found.iter().map(|set| without(sets.rules(*set), &always)).collect();
        if rest.iter().any(|rules| !rules.is_empty()) {
            let mut all = rest.concat();
            all.sort_unstable();
            all.dedup();
            *pending = sets.id_of(all);
            ahead.extend(rest.into_iter().map(|rules| sets.id_of(rules)));
            *place = (ahead.len() / columns) as u32;
        }
        sure.push(sets.id_of(always));
    }
    let reach = reach(&sets, &copy.next, columns, &sure, &pending, copy.rules.len());
    // A row for each state that goes on, then an entry without a row for each in which all has been said.
    let is_alive = |at: usize| reach.get(at).is_some_and(|words| words.iter().any(|word| *word != 0));
    let is_last = |at: usize| !is_alive(at) && sure.get(at).is_some_and(|set| *set != 0);
    let kept: Vec<usize> = std::iter::once(0)
        .chain((1..rows).filter(|at| is_alive(*at)))
        .chain((1..rows).filter(|at| is_last(*at)))
        .collect();
    let mut numbers = vec![DEAD; rows];
    for (number, at) in kept.iter().enumerate() {
        if let Some(place) = numbers.get_mut(*at) {
            *place = number as State;
        }
    }
    let number = |at: State| numbers.get(at as usize).copied().unwrap_or(DEAD);
    let mut next = Vec::new();
    let mut states = Vec::with_capacity(kept.len());
    for at in kept {
        if at == 0 || is_alive(at) {
            next.extend(row(&copy.next, at).into_iter().map(number));
        }
        states.push(Knowledge {
            sure: sure.get(at).copied().unwrap_or_default(),
            reach: sets.id_of(reach.get(at).map(|words| members(words)).unwrap_or_default()),
            ahead: places.get(at).copied().unwrap_or_default(),
            pending: pending.get(at).copied().unwrap_or_default(),
        });
    }
    let all = |of: HashMap<(u32, u8), State>| of.into_iter().map(|(key, state)| (key, number(state))).collect();
    let mut table = Table {
        classes,
        columns,
        next,
        states,
        ahead,
        sets,
        behind,
        kinds,
        begins: Vec::new(),
        arm_begins: Vec::new(),
        led_begins: Vec::new(),
        led: all(starts.led),
        ends: all(starts.ends),
    };
    first_steps(&mut table, copy.rules, &starts.together, &starts.arms, number);
    table
}

/// Takes the first step in advance, so that a byte at which nothing can begin costs one look.
fn first_steps(
    table: &mut Table,
    rules: &[Rule],
    together: &[(u8, State)],
    arms: &[(u8, State)],
    number: impl Fn(State) -> State,
) {
    for kind in 0..table.kinds as u8 {
        for byte in 0..=u8::MAX {
            let class = table.class(byte);
            let steps = |starts: &[(u8, State)]| {
                let of_kind = starts.iter().filter(|(of, _)| *of == kind);
                of_kind.map(|(_, state)| table.step(number(*state), class)).filter(|state| *state != DEAD).collect()
            };
            let contexts = rules.iter().enumerate().filter(|(_, rule)| matches!(rule.lead, Lead::Context(_)));
            let led = contexts
                .map(|(index, _)| index as u32)
                .filter(|rule| table.step(table.led_start(*rule, kind), class) != DEAD)
                .collect();
            let (begins, arms) = (steps(together), steps(arms));
            table.begins.push(begins);
            table.arm_begins.push(arms);
            table.led_begins.push(led);
        }
    }
}

fn intersection(sets: &Sets, of: &[SetId]) -> Vec<u32> {
    let Some((first, rest)) = of.split_first() else { return Vec::new() };
    if *first == 0 {
        return Vec::new();
    }
    let everywhere = |rule: &u32| rest.iter().all(|set| sets.rules(*set).binary_search(rule).is_ok());
    sets.rules(*first).iter().copied().filter(everywhere).collect()
}

fn without(rules: &[u32], gone: &[u32]) -> Vec<u32> {
    rules.iter().copied().filter(|rule| gone.binary_search(rule).is_err()).collect()
}

fn members(words: &[u64]) -> Vec<u32> {
    let bits =
        words.iter().enumerate().flat_map(|(word, bits)| (0..64).map(move |bit| (word * 64 + bit, bits >> bit & 1)));
    bits.filter(|(_, bit)| *bit == 1).map(|(rule, _)| rule as u32).collect()
}

/// The rules that may yet match from each state, as bits.
fn reach(
    sets: &Sets,
    next: &[State],
    columns: usize,
    sure: &[SetId],
    pending: &[SetId],
    rules: usize,
) -> Vec<Vec<u64>> {
    let words = rules.div_ceil(64);
    let bits = |set: SetId| {
        let mut bits = vec![0_u64; words];
        for rule in sets.rules(set) {
            if let Some(word) = bits.get_mut(*rule as usize / 64) {
                *word |= 1 << (rule % 64);
            }
        }
        bits
    };
    let successors: Vec<Vec<State>> = next
        .chunks(columns)
        .map(|row| {
            let mut row = row.to_vec();
            row.sort_unstable();
            row.dedup();
            row.retain(|state| *state != DEAD);
            row
        })
        .collect();
    let sure: Vec<_> = sure.iter().map(|set| bits(*set)).collect();
    let mut reach: Vec<_> = pending.iter().map(|set| bits(*set)).collect();
    // Successors tend to stand further down, so going upwards settles most at once.
    loop {
        let mut changed = false;
        for (at, successors) in successors.iter().enumerate().rev() {
            let mut here = reach.get(at).cloned().unwrap_or_default();
            for to in successors.iter().map(|state| *state as usize) {
                let beyond = sure.get(to).into_iter().chain(reach.get(to));
                for (word, bits) in beyond.flat_map(|words| here_and(words)) {
                    if let Some(here) = here.get_mut(word) {
                        *here |= bits;
                    }
                }
            }
            if let Some(before) = reach.get_mut(at).filter(|before| **before != here) {
                *before = here;
                changed = true;
            }
        }
        if !changed {
            return reach;
        }
    }
}

fn here_and(words: &[u64]) -> impl Iterator<Item = (usize, u64)> + '_ {
    words.iter().copied().enumerate()
}
