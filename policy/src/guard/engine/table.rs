//! One table for all automata, without states from which no match can be reached.
//!
//! The automata of `regex-automata` tell of a match one byte late, since they may have to look at it. Here a state knows which
//! rules have matched *whatever follows* (`sure`), and which have matched if a certain class of byte follows (`ahead`), so
//! that nothing is held for a byte that does not matter.

use foldhash::HashMap;

/// A row of the table; [`DEAD`] has none.
pub(super) type State = u32;
/// The state from which nothing can be reached.
pub(super) const DEAD: State = 0;
/// A set of rules that has been seen before.
pub(super) type SetId = u32;
/// What stands before the text.
const NOTHING: usize = 256;

/// Sets of rules, each once. The first is empty.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: Vec<Box<[u32]>>,
    known: HashMap<Box<[u32]>, SetId>,
}

impl Sets {
    /// The number of a set, whose rules are in order.
    pub(super) fn id_of(&mut self, set: Vec<u32>) -> SetId {
        let set = set.into_boxed_slice();
        let next = self.sets.len() as SetId;
        let id = *self.known.entry(set.clone()).or_insert(next);
        if id == next {
            self.sets.push(set);
        }
        id
    }

    /// Its rules, in order.
    pub(super) fn rules(&self, id: SetId) -> &[u32] {
        self.sets.get(id as usize).map_or(&[], |set| set)
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
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

/// All automata of an engine.
pub(super) struct Table {
    pub(super) classes: Box<[u8; 256]>,
    /// Columns: one for each class of bytes, and one more for the end of the text.
    pub(super) columns: usize,
    pub(super) next: Vec<State>,
    pub(super) states: Vec<Knowledge>,
    pub(super) ahead: Vec<SetId>,
    pub(super) sets: Sets,
    /// What matters of the byte before, by byte.
    pub(super) behind: Box<[u8; 257]>,
    pub(super) kinds: usize,
    /// States after the first byte, by what stands before and the byte.
    pub(super) begins: Vec<Box<[State]>>,
    pub(super) arm_begins: Vec<Box<[State]>>,
    /// Rules with a context that may begin, by what stands before and the byte.
    pub(super) led_begins: Vec<Box<[u32]>>,
    pub(super) led: HashMap<(u32, u8), State>,
    pub(super) ends: HashMap<(u32, u8), State>,
}

impl Table {
    pub(super) fn class(&self, byte: u8) -> usize {
        usize::from(self.classes.get(usize::from(byte)).copied().unwrap_or_default())
    }

    /// The column of the end of the text.
    pub(super) fn end_of_text(&self) -> usize {
        self.columns.saturating_sub(1)
    }

    pub(super) fn step(&self, state: State, class: usize) -> State {
        self.next.get(state as usize * self.columns + class).copied().unwrap_or(DEAD)
    }

    pub(super) fn knowledge(&self, state: State) -> Knowledge {
        self.states.get(state as usize).copied().unwrap_or_default()
    }

    /// The rules that match here if this class follows, beyond those that match whatever follows.
    pub(super) fn ahead(&self, state: State, class: usize) -> &[u32] {
        match self.knowledge(state).ahead {
            0 => &[],
            place => {
                let set = self.ahead.get((place as usize - 1) * self.columns + class);
                self.sets.rules(set.copied().unwrap_or_default())
            }
        }
    }

    /// What matters of a byte that stands before.
    pub(super) fn kind(&self, before: Option<u8>) -> u8 {
        self.behind.get(before.map_or(NOTHING, usize::from)).copied().unwrap_or_default()
    }

    pub(super) fn begins(&self, kind: u8, byte: u8) -> &[State] {
        self.begins.get(place(kind, byte)).map_or(&[], |states| states)
    }

    pub(super) fn arm_begins(&self, kind: u8, byte: u8) -> &[State] {
        self.arm_begins.get(place(kind, byte)).map_or(&[], |states| states)
    }

    pub(super) fn led_begins(&self, kind: u8, byte: u8) -> &[u32] {
        self.led_begins.get(place(kind, byte)).map_or(&[], |rules| rules)
    }

    pub(super) fn led_start(&self, rule: u32, kind: u8) -> State {
        self.led.get(&(rule, kind)).copied().unwrap_or(DEAD)
    }

    pub(super) fn end_start(&self, rule: u32, kind: u8) -> State {
        self.ends.get(&(rule, kind)).copied().unwrap_or(DEAD)
    }

    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let begins = self.begins.iter().chain(&self.arm_begins).map(|states| states.len() * 4 + 16).sum::<usize>();
        let sets = self.sets.sets.iter().map(|set| set.len() * 8 + 48).sum::<usize>();
        (self.next.len() + self.ahead.len()) * 4 + self.states.len() * size_of::<Knowledge>() + begins + sets
    }
}

fn place(kind: u8, byte: u8) -> usize {
    usize::from(kind) * 256 + usize::from(byte)
}
