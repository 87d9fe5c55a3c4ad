//! Automata → the table: their states one after the other, and what they have in common.

use foldhash::{HashMap, HashSet};

use super::{
    ByteSet,
    automata::{Automaton, NOTHING, NOWHERE, Starts, anywhere, automaton, parse},
    gate::Gates,
    pairs::{Pairs, pairs},
    product::Product,
    rule::{Lead, Rule, TABLE_BYTES_MAX, Unusable},
    scout::{Scout, scout},
    table::{Begins, DEAD, Knowledge, Maps, Row, Sets, State, Table},
};

/// States that stand for several of one group. Rules that need more do not begin together.
pub(super) const PRODUCT_STATES_MAX: usize = 16 * 1024;

/// An automaton in the table: its first states.
pub(super) struct Placed {
    pub(super) rule: u32,
    offset: State,
    starts: Starts,
    not_after: ByteSet,
}

impl Placed {
    /// The first state behind this byte.
    pub(super) fn after(&self, before: Option<u8>) -> State {
        let start = self.starts.after(before);
        if start == NOWHERE || before.is_some_and(|byte| self.not_after.contains(byte)) {
            return DEAD;
        }
        self.offset + start
    }
}

/// Rules → the table.
pub(super) fn tabulate(rules: &[Rule], gates: &Gates) -> Result<(Table, Scout), Unusable> {
    let mut table = Table {
        maps: Maps::default(),
        rows: Vec::new(),
        next: Vec::new(),
        states: Vec::new(),
        // Place 0 says that nothing is ahead.
        ahead: vec![0],
        sets: Sets::new(),
        behind: Box::new([0; NOTHING + 1]),
        kinds: 1,
        ajar: Vec::new(),
        begins: Begins::default(),
        arm_begins: Begins::default(),
        pairs: Pairs::default(),
        led: Vec::new(),
        ends: Vec::new(),
    };
    // The dead state has a row of one column, which leads to itself.
    table.maps.id_of(&[0; 256], 1);
    table.rows.push(Row::default());
    table.next.push(DEAD);
    table.states.push(Knowledge::default());
    let (mut together, mut led, mut arms, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut copies = Copies::default();
    for (index, rule) in rules.iter().enumerate() {
        let body = automaton(index, &parse(index, &rule.pattern, rule.unicode)?, rule.not_before)?;
        let body = copies.place(&mut table, index, body, rule.not_after)?;
        let begins = if matches!(rule.lead, Lead::Anything) { &mut together } else { &mut led };
        begins.push(body);
        if let Lead::Arm(arm) = &rule.lead {
            let arm = automaton(index, &parse(index, arm, rule.unicode)?, ByteSet::EMPTY)?;
            arms.push(copies.place(&mut table, index, arm, ByteSet::EMPTY)?);
        }
        if let Some(until) = &rule.until {
            let end = anywhere(parse(index, &until.pattern, rule.unicode)?);
            ends.push(copies.place(&mut table, index, automaton(index, &end, ByteSet::EMPTY)?, ByteSet::EMPTY)?);
        }
    }
    let before = kinds(&mut table, [&together, &led, &arms, &ends].into_iter().flatten(), gates);
    table.led = firsts(&led, &before, rules.len());
    table.ends = firsts(&ends, &before, rules.len());
    table.begins = begins(&mut table, &together, &before)?;
    table.arm_begins = begins(&mut table, &arms, &before)?;
    let scout = scout(&mut table, &led, &before, gates);
    table.pairs = pairs(&table, &scout);
    Ok((table, scout))
}

/// What has been seen of automata that are copied.
#[derive(Default)]
struct Copies {
    ahead: HashMap<Vec<u32>, u32>,
}

impl Copies {
    /// Puts an automaton into the table.
    fn place(
        &mut self,
        table: &mut Table,
        rule: usize,
        automaton: Automaton,
        not_after: ByteSet,
    ) -> Result<Placed, Unusable> {
        let (rule, offset) = (rule as u32, table.states.len() as State);
        let map = table.maps.id_of(&automaton.classes, automaton.columns);
        let own = table.sets.id_of(vec![rule]);
        let (base, goes_on) = (table.next.len(), automaton.next.len() / automaton.columns.max(1));
        table.next.extend(automaton.next.iter().map(|to| if *to == NOWHERE { DEAD } else { offset + to }));
        let if_so = |holds: bool| if holds { own } else { 0 };
        for (at, state) in automaton.states.iter().enumerate() {
            let row = Row { base: (base + at * automaton.columns) as u32, map };
            table.rows.push(if at < goes_on { row } else { Row::default() });
            let ahead = if state.ahead.is_empty() {
                0
            } else {
                // The end of the text comes first.
                let ends = state.ahead.last().into_iter().chain(&state.ahead);
                let row: Vec<u32> = ends.take(state.ahead.len()).map(|found| if_so(*found)).collect();
                *self.ahead.entry(row).or_insert_with_key(|row| {
                    table.ahead.extend(row);
                    (table.ahead.len() - row.len()) as u32
                })
            };
            table.states.push(Knowledge {
                sure: if_so(state.sure),
                reach: if_so(state.alive),
                ahead,
                pending: if_so(ahead != 0),
            });
        }
        if table.next.len() * 4 > TABLE_BYTES_MAX {
            return Err(Unusable::TooLarge);
        }
        Ok(Placed { rule, offset, starts: automaton.starts, not_after })
    }
}

/// Tells apart the bytes that may stand before, and returns one of each kind.
fn kinds<'p>(table: &mut Table, all: impl Iterator<Item = &'p Placed>, gates: &Gates) -> Vec<Option<u8>> {
    let bytes = || (0..=u8::MAX).map(Some).chain([None]);
    let (mut edges, mut kinds) = (HashSet::default(), vec![0_usize; NOTHING + 1]);
    let mut refine = |by: &dyn Fn(Option<u8>) -> u32| {
        let mut known = HashMap::default();
        for (kind, before) in kinds.iter_mut().zip(bytes()) {
            let next = known.len();
            *kind = *known.entry((*kind, by(before))).or_insert(next);
        }
    };
    for placed in all {
        if edges.insert(placed.not_after) {
            refine(&|before| u32::from(before.is_some_and(|byte| placed.not_after.contains(byte))));
        }
        if matches!(placed.starts, Starts::ByByte(_)) {
            refine(&|before| placed.starts.after(before));
        }
    }
    refine(&|before| gates.ajar.behind_one(before));
    // Hardly anything begins in the middle of a word, which is told from other places in any case.
    refine(&|before| u32::from(before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')));
    let mut sample = Vec::new();
    for ((before, kind), behind) in bytes().zip(&kinds).zip(table.behind.iter_mut()) {
        // Kinds are numbered in the order in which they come up.
        if *kind == sample.len() {
            sample.push(before);
        }
        *behind = *kind as u16;
    }
    table.kinds = sample.len();
    table.ajar = sample.iter().map(|before| gates.ajar.behind_one(*before)).collect();
    sample
}

/// The first state of each rule behind each kind.
fn firsts(all: &[Placed], before: &[Option<u8>], rules: usize) -> Vec<State> {
    if all.is_empty() {
        return Vec::new();
    }
    let mut firsts = vec![DEAD; rules * before.len()];
    for placed in all {
        let row = firsts.iter_mut().skip(placed.rule as usize * before.len());
        row.zip(before).for_each(|(first, before)| *first = placed.after(*before));
    }
    firsts
}

/// Takes the first step in advance, so that a byte at which nothing can begin costs one look.
fn begins(table: &mut Table, all: &[Placed], before: &[Option<u8>]) -> Result<Begins, Unusable> {
    let mut groups: Vec<Vec<State>> = Vec::new();
    let mut waiting: Vec<&[Placed]> = vec![all];
    while let Some(part) = waiting.pop() {
        if part.is_empty() {
            continue;
        }
        if let Some(begins) = together(table, part, before) {
            groups.push(begins);
        } else {
            let (one, other) = part.split_at(part.len() / 2);
            waiting.extend([other, one]);
        }
        if table.bytes() > TABLE_BYTES_MAX {
            return Err(Unusable::TooLarge);
        }
    }
    let count = groups.len();
    let states = (0..before.len() * 256).flat_map(|at| groups.iter().filter_map(move |begins| begins.get(at).copied()));
    Ok(Begins { states: states.collect(), groups: count })
}

/// The states after the first byte of rules that begin together. `None`: they are too many for that.
fn together(table: &mut Table, all: &[Placed], before: &[Option<u8>]) -> Option<Vec<State>> {
    let starts: Vec<Vec<State>> =
        before.iter().map(|before| all.iter().map(|one| one.after(*before)).collect()).collect();
    let steps: Vec<Vec<State>> = starts
        .iter()
        .flat_map(|starts| (0..=u8::MAX).map(move |byte| (starts, byte)))
        .map(|(starts, byte)| starts.iter().map(|start| table.step(*start, byte)).collect())
        .collect();
    let mut product = Product::over(table);
    let begins = steps.into_iter().map(|step| product.of(step)).collect();
    product.complete(if all.len() == 1 { usize::MAX } else { PRODUCT_STATES_MAX }).then_some(begins)
}
