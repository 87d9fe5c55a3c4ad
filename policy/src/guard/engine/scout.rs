//! A look at the next few bytes, which tells whether anything that might begin here lives on. Most of what might does not: a
//! number of four digits is no card's. So no context is looked at for it, and nothing is begun.

use foldhash::HashMap;

use super::{
    ajar::{Bits, bit},
    gate::{Gates, NONE},
    product::sample,
    table::{DEAD, SetId, State, Table, place},
    tabulate::Placed,
};

/// So many bytes are looked at for rules that wait for a context.
pub(super) const LED_BYTES: usize = 8;
/// So many bytes are looked at for any rule. What begins here and lives on is a thread from then on.
pub(super) const SCOUTED_BYTES: usize = 8;

// INVARIANT: what is as old as this has not been left out by any look, so it counts among what a text may ask for.
const _: () = assert!(SCOUTED_BYTES <= LED_BYTES);

/// Rules with a lead, as far as their first bytes go.
#[derive(Debug)]
pub(super) struct Scout {
    classes: Box<[u8; 256]>,
    columns: usize,
    next: Vec<State>,
    /// After the first byte, by what stands before and the byte.
    first: Vec<State>,
    seen: Vec<Seen>,
}

/// What is known of some first bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Rules that may begin so.
    pub(super) rules: SetId,
    /// What decides whether they do.
    pub(super) gates: Box<[u16]>,
    /// No more is looked at: it was enough, or something has matched.
    pub(super) is_enough: bool,
}

impl Scout {
    pub(super) fn first(&self, kind: u16, byte: u8) -> State {
        self.first.get(place(kind, byte)).copied().unwrap_or(DEAD)
    }

    pub(super) fn step(&self, state: State, byte: u8) -> State {
        let class = self.classes.get(usize::from(byte)).copied().unwrap_or_default();
        self.next.get(state as usize * self.columns + usize::from(class)).copied().unwrap_or(DEAD)
    }

    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The gates of what may begin so.
    pub(super) fn bits(&self, state: State) -> Bits {
        let gates = self.seen.get(state as usize).into_iter().flat_map(|seen| &seen.gates);
        gates.fold(0, |bits, gate| bits | bit(usize::from(*gate)))
    }

    pub(super) fn bytes(&self) -> usize {
        (self.next.len() + self.first.len()) * 4 + self.seen.len() * size_of::<Seen>()
    }
}

/// The scout of rules with a lead, given their gates.
pub(super) fn scout(table: &mut Table, led: &[Placed], before: &[Option<u8>], gates: &Gates) -> Scout {
    let mut known = HashMap::<Vec<u32>, u8>::default();
    let mut classes = Box::new([0_u8; 256]);
    let mut maps: Vec<u32> =
        led.iter().filter_map(|placed| table.rows.get(placed.after(None) as usize)).map(|row| row.map).collect();
    maps.sort_unstable();
    maps.dedup();
    for (byte, class) in classes.iter_mut().enumerate() {
        let key = maps.iter().map(|map| u32::from(table.maps.classes(*map).get(byte).copied().unwrap_or_default()));
        let next = known.len() as u8;
        *class = *known.entry(key.collect()).or_insert(next);
    }
    let columns = known.len();
    let mut making =
        Making { table, gates, known: HashMap::default(), waiting: Vec::new(), seen: vec![Seen::default()] };
    let mut first = Vec::with_capacity(before.len() * 256);
    for before in before {
        let starts: Vec<State> =
            led.iter().map(|placed| placed.after(*before)).filter(|start| *start != DEAD).collect();
        first.extend((0..=u8::MAX).map(|byte| making.after(&starts, byte, 1)));
    }
    let mut next = vec![DEAD; columns];
    let sample = sample(&classes[..], columns);
    let mut done = 0;
    while let Some((members, depth)) = making.waiting.get(done).cloned() {
        done += 1;
        let is_enough = making.seen.get(done).is_none_or(|seen| seen.is_enough);
        let step = |byte: &u8| if is_enough { DEAD } else { making.after(&members, *byte, depth + 1) };
        next.extend(sample.iter().map(step));
    }
    Scout { classes, columns, next, first, seen: making.seen }
}

/// A scout that is being made.
struct Making<'t> {
    table: &'t mut Table,
    gates: &'t Gates,
    known: HashMap<(Vec<State>, usize), State>,
    /// The members of each state but the first, and after how many bytes.
    waiting: Vec<(Vec<State>, usize)>,
    seen: Vec<Seen>,
}

impl Making<'_> {
    fn after(&mut self, members: &[State], byte: u8, depth: usize) -> State {
        let mut to: Vec<State> = members.iter().map(|state| self.table.step(*state, byte)).collect();
        to.retain(|state| *state != DEAD);
        to.sort_unstable();
        to.dedup();
        if to.is_empty() {
            return DEAD;
        }
        let known: Vec<_> = to.iter().map(|state| self.table.knowledge(*state)).collect();
        let is_enough = depth >= LED_BYTES || known.iter().any(|known| known.sure != 0 || known.pending != 0);
        let rules = self.table.sets.union(known.iter().flat_map(|known| [known.sure, known.reach]));
        // Where no more is looked at, only the rules matter.
        let key = if is_enough { (vec![rules], 0) } else { (to.clone(), depth) };
        if let Some(state) = self.known.get(&key) {
            return *state;
        }
        let state = self.seen.len() as State;
        let gates = self.table.sets.rules(rules).iter().filter_map(|rule| self.gates.of.get(*rule as usize).copied());
        let mut gates: Vec<u16> = gates.filter(|gate| *gate != NONE).collect();
        gates.sort_unstable();
        gates.dedup();
        self.known.insert(key, state);
        self.seen.push(Seen { rules, gates: gates.into(), is_enough });
        self.waiting.push((to, depth));
        state
    }
}
