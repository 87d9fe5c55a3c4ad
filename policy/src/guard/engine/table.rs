//! One table for all automata.
//!
//! A state has a row of its own width: the classes of bytes that *it* tells apart, by a map that it shares with others. Tables
//! of hundreds of rules are a tenth as large so, and what a text walks through stays in the cache.

use foldhash::HashMap;

use super::{ajar::Bits, automata::NOTHING, pairs::Pairs};

/// A place in the table.
pub(super) type State = u32;
/// The state from which nothing can be reached.
pub(super) const DEAD: State = 0;
/// A set of rules that has been seen before.
pub(super) type SetId = u32;

/// Sets of rules, each once. The first is empty.
#[derive(Debug)]
pub(super) struct Sets {
    sets: Vec<Box<[u32]>>,
    known: HashMap<Box<[u32]>, SetId>,
}

impl Sets {
    pub(super) fn new() -> Self {
        let mut sets = Self { sets: Vec::new(), known: HashMap::default() };
        sets.id_of(Vec::new());
        sets
    }

    /// The number of a set, in any order.
    pub(super) fn id_of(&mut self, mut set: Vec<u32>) -> SetId {
        set.sort_unstable();
        set.dedup();
        if let Some(id) = self.known.get(set.as_slice()) {
            return *id;
        }
        let (id, set) = (self.sets.len() as SetId, set.into_boxed_slice());
        self.known.insert(set.clone(), id);
        self.sets.push(set);
        id
    }

    /// The number of what is in any of these sets.
    pub(super) fn union(&mut self, ids: impl Iterator<Item = SetId>) -> SetId {
        let mut one = 0;
        let mut all = Vec::new();
        for id in ids.filter(|id| *id != 0) {
            if one == 0 {
                one = id;
            } else if id != one && all.is_empty() {
                all.extend_from_slice(self.rules(one));
            }
            if id != one {
                all.extend_from_slice(self.rules(id));
            }
        }
        if all.is_empty() { one } else { self.id_of(all) }
    }

    /// Its rules, in order.
    pub(super) fn rules(&self, id: SetId) -> &[u32] {
        self.sets.get(id as usize).map_or(&[], |set| set)
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    fn bytes(&self) -> usize {
        self.sets.iter().map(|set| set.len() * 8 + 64).sum()
    }
}

/// What is known of a state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Knowledge {
    /// Rules that have matched, whatever follows.
    pub(super) sure: SetId,
    /// Rules that may yet match: beyond here, or here if the right byte follows. A state is alive if there are any.
    pub(super) reach: SetId,
    /// Where it says which rules match before which byte; 0 is nowhere.
    pub(super) ahead: u32,
    /// Rules that match here before some byte, and not before every one.
    pub(super) pending: SetId,
}

/// Where a state goes from here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    /// Where its row begins.
    pub(super) base: u32,
    /// Where the map begins that says the place of a byte in it.
    pub(super) map: u32,
}

/// Which of the bytes a state tells apart.
#[derive(Debug, Default)]
pub(super) struct Maps {
    places: Vec<u8>,
    widths: Vec<usize>,
    known: HashMap<Box<[u8; 256]>, u32>,
}

impl Maps {
    /// The number of a map, by the class of each byte.
    pub(super) fn id_of(&mut self, classes: &[u8; 256], width: usize) -> u32 {
        if let Some(map) = self.known.get(classes) {
            return *map;
        }
        let map = self.widths.len() as u32;
        self.known.insert(Box::new(*classes), map);
        self.places.extend_from_slice(classes);
        self.widths.push(width);
        map
    }

    pub(super) fn width(&self, map: u32) -> usize {
        self.widths.get(map as usize).copied().unwrap_or_default()
    }

    pub(super) fn classes(&self, map: u32) -> &[u8] {
        let base = map as usize * 256;
        self.places.get(base..base + 256).unwrap_or_default()
    }
}

/// All automata of an engine.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) maps: Maps,
    pub(super) rows: Vec<Row>,
    pub(super) next: Vec<State>,
    pub(super) states: Vec<Knowledge>,
    /// Of each state that has one: the rules that match at the end of the text, and before each class.
    pub(super) ahead: Vec<SetId>,
    pub(super) sets: Sets,
    /// What matters of the byte before, by byte.
    pub(super) behind: Box<[u16; NOTHING + 1]>,
    pub(super) kinds: usize,
    /// Gates that may be open, by what stands before.
    pub(super) ajar: Vec<Bits>,
    /// States after the first byte, by what stands before and the byte.
    pub(super) begins: Begins,
    pub(super) arm_begins: Begins,
    pub(super) pairs: Pairs,
    /// The first states of rules with a lead and of ends, by rule and what stands before.
    pub(super) led: Vec<State>,
    pub(super) ends: Vec<State>,
}

/// States after the first byte.
#[derive(Debug, Default)]
pub(super) struct Begins {
    /// By what stands before and the byte, of each of some groups.
    pub(super) states: Vec<State>,
    pub(super) groups: usize,
}

impl Begins {
    pub(super) fn after(&self, kind: u16, byte: u8) -> &[State] {
        let at = place(kind, byte) * self.groups;
        self.states.get(at..at + self.groups).unwrap_or_default()
    }
}

impl Table {
    pub(super) fn step(&self, state: State, byte: u8) -> State {
        let row = self.rows.get(state as usize).copied().unwrap_or_default();
        let class = self.maps.places.get(row.map as usize * 256 + usize::from(byte)).copied().unwrap_or_default();
        self.next.get(row.base as usize + usize::from(class)).copied().unwrap_or(DEAD)
    }

    pub(super) fn knowledge(&self, state: State) -> Knowledge {
        self.states.get(state as usize).copied().unwrap_or_default()
    }

    /// The rules that match here if this byte follows, or nothing, beyond those that match whatever follows.
    pub(super) fn ahead(&self, state: State, byte: Option<u8>) -> &[u32] {
        let place = self.knowledge(state).ahead as usize;
        if place == 0 {
            return &[];
        }
        let row = self.rows.get(state as usize).copied().unwrap_or_default();
        let class = byte.map_or(0, |byte| {
            let class = self.maps.places.get(row.map as usize * 256 + usize::from(byte));
            usize::from(class.copied().unwrap_or_default()) + 1
        });
        self.sets.rules(self.ahead.get(place + class).copied().unwrap_or_default())
    }

    /// What matters of a byte that stands before.
    pub(super) fn kind(&self, before: Option<u8>) -> u16 {
        self.behind.get(before.map_or(NOTHING, usize::from)).copied().unwrap_or_default()
    }

    /// Gates that may be open behind what stands before.
    pub(super) fn ajar(&self, kind: u16) -> Bits {
        self.ajar.get(usize::from(kind)).copied().unwrap_or_default()
    }

    pub(super) fn led_start(&self, rule: u32, kind: u16) -> State {
        self.led.get(rule as usize * self.kinds + usize::from(kind)).copied().unwrap_or(DEAD)
    }

    pub(super) fn end_start(&self, rule: u32, kind: u16) -> State {
        self.ends.get(rule as usize * self.kinds + usize::from(kind)).copied().unwrap_or(DEAD)
    }

    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let words = self.next.len() + self.ahead.len() + self.begins.states.len() + self.arm_begins.states.len();
        let of_states = self.states.len() * (size_of::<Knowledge>() + size_of::<Row>());
        words * 4 + (self.led.len() + self.ends.len()) * 4 + of_states + self.maps.places.len() * 2 + self.sets.bytes()
    }
}

/// The place of what stands before and a byte.
pub(super) fn place(kind: u16, byte: u8) -> usize {
    usize::from(kind) * 256 + usize::from(byte)
}
