//! States that stand for several others at once, so that one thread does for all rules that may begin at a place.

use foldhash::HashMap;

use super::table::{DEAD, Knowledge, Row, State, Table};

/// What stands for several states of a table.
pub(super) struct Product<'t> {
    table: &'t mut Table,
    known: HashMap<Box<[State]>, State>,
    /// The members of each state that has no row yet.
    waiting: Vec<(Box<[State]>, State)>,
    refined: HashMap<Box<[u32]>, u32>,
    before: Lengths,
}

/// How long the parts of a table were.
#[derive(Clone, Copy)]
struct Lengths {
    states: usize,
    next: usize,
    ahead: usize,
}

impl Lengths {
    fn of(table: &Table) -> Self {
        Self { states: table.states.len(), next: table.next.len(), ahead: table.ahead.len() }
    }
}

impl<'t> Product<'t> {
    pub(super) fn over(table: &'t mut Table) -> Self {
        let before = Lengths::of(table);
        Self { table, known: HashMap::default(), waiting: Vec::new(), refined: HashMap::default(), before }
    }

    /// The state that stands for these.
    pub(super) fn of(&mut self, mut members: Vec<State>) -> State {
        members.retain(|state| *state != DEAD);
        members.sort_unstable();
        members.dedup();
        match members.as_slice() {
            [] => DEAD,
            [one] => *one,
            _ => self.known.get(members.as_slice()).copied().unwrap_or_else(|| self.add(members)),
        }
    }

    /// Adds the rows of all states that come of those asked for. `false`: they are more than this, and none is left.
    pub(super) fn complete(&mut self, states_max: usize) -> bool {
        while let Some((members, state)) = self.waiting.pop() {
            if self.table.states.len() - self.before.states > states_max {
                self.table.states.truncate(self.before.states);
                self.table.rows.truncate(self.before.states);
                self.table.next.truncate(self.before.next);
                self.table.ahead.truncate(self.before.ahead);
                return false;
            }
            self.fill(&members, state);
        }
        true
    }

    fn add(&mut self, members: Vec<State>) -> State {
        let state = self.table.states.len() as State;
        let members = members.into_boxed_slice();
        let known = |of: fn(&Knowledge) -> u32| {
            members.iter().map(|member| of(&self.table.knowledge(*member))).collect::<Vec<_>>()
        };
        let (sure, reach, pending) = (known(|of| of.sure), known(|of| of.reach), known(|of| of.pending));
        let sets = &mut self.table.sets;
        let [sure, reach, pending] = [sure, reach, pending].map(|ids| sets.union(ids.into_iter()));
        self.table.states.push(Knowledge { sure, reach, ahead: 0, pending });
        self.table.rows.push(Row::default());
        self.known.insert(members.clone(), state);
        self.waiting.push((members, state));
        state
    }

    fn fill(&mut self, members: &[State], state: State) {
        let map = self.map_of(members);
        let sample = sample(self.table.maps.classes(map), self.table.maps.width(map));
        let base = self.table.next.len();
        self.table.next.resize(base + sample.len(), DEAD);
        for (column, byte) in sample.iter().enumerate() {
            let to = members.iter().map(|member| self.table.step(*member, *byte)).collect();
            let to = self.of(to);
            if let Some(place) = self.table.next.get_mut(base + column) {
                *place = to;
            }
        }
        if let Some(row) = self.table.rows.get_mut(state as usize) {
            *row = Row { base: base as u32, map };
        }
        if self.table.knowledge(state).pending != 0 {
            self.look_ahead(members, state, &sample);
        }
    }

    /// Says what matches before which byte.
    fn look_ahead(&mut self, members: &[State], state: State, sample: &[u8]) {
        let sure = self.table.sets.rules(self.table.knowledge(state).sure).to_vec();
        let mut row = Vec::with_capacity(sample.len() + 1);
        for byte in std::iter::once(None).chain(sample.iter().copied().map(Some)) {
            let all = members.iter().flat_map(|member| self.table.ahead(*member, byte).iter().copied());
            let all: Vec<u32> = all.filter(|rule| sure.binary_search(rule).is_err()).collect();
            row.push(self.table.sets.id_of(all));
        }
        let place = self.table.ahead.len() as u32;
        self.table.ahead.extend(row);
        if let Some(known) = self.table.states.get_mut(state as usize) {
            known.ahead = place;
        }
    }

    /// The map that tells apart what any of these tells apart.
    fn map_of(&mut self, members: &[State]) -> u32 {
        let maps = members.iter().filter_map(|member| self.table.rows.get(*member as usize)).map(|row| row.map);
        let mut maps: Vec<u32> = maps.collect();
        maps.sort_unstable();
        maps.dedup();
        if let [one] = maps.as_slice() {
            return *one;
        }
        if let Some(map) = self.refined.get(maps.as_slice()) {
            return *map;
        }
        let (mut classes, mut known) = ([0_u8; 256], HashMap::<Vec<u8>, u8>::default());
        for (byte, class) in classes.iter_mut().enumerate() {
            let key = maps.iter().map(|map| self.table.maps.classes(*map).get(byte).copied().unwrap_or_default());
            let next = known.len() as u8;
            *class = *known.entry(key.collect()).or_insert(next);
        }
        let map = self.table.maps.id_of(&classes, known.len());
        self.refined.insert(maps.into(), map);
        map
    }
}

/// A byte of each class.
pub(super) fn sample(classes: &[u8], width: usize) -> Vec<u8> {
    let mut sample = vec![0; width];
    for (byte, class) in (0..=u8::MAX).zip(classes).rev() {
        if let Some(place) = sample.get_mut(usize::from(*class)) {
            *place = byte;
        }
    }
    sample
}
