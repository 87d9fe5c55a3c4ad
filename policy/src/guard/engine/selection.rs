//! Which rules count: the choice of one tenant or route, made at run time over the table that all share.

use super::{Action, Engine, ajar::Bits, scout::Seen, table::place};

/// Some rule of the selection may yet match.
pub(super) const ALIVE: u8 = 1;
/// One that masks or blocks, so bytes wait for it.
pub(super) const HOLDS: u8 = 2;
/// One that blocks.
pub(super) const BLOCKS: u8 = 4;
/// One that asks which bytes they were, so threads in this state must be kept apart.
pub(super) const DISTINCT: u8 = 8;
/// Some rule of the selection has matched.
pub(super) const SURE: u8 = 16;
/// Some rule of the selection has matched if the right byte follows.
pub(super) const PENDING: u8 = 32;

/// No more is looked at, beside the bits of gates.
pub(super) const ENOUGH: Bits = 1 << 31;

/// A match may begin with this byte.
pub(super) const WAKES_BODY: u8 = 1;
/// An arm may.
pub(super) const WAKES_ARM: u8 = 2;
/// A match of a rule with a context may.
pub(super) const WAKES_LED: u8 = 4;

/// Which rules of an [`Engine`] count. It is made once for each tenant, and shared by their streams.
#[derive(Debug)]
pub struct Selection {
    enabled: Box<[bool]>,
    traits: Box<[u8]>,
    wakes: Box<[u8]>,
    /// What the scout has seen: the gates of rules that may begin so, by its state.
    scouted: Box<[Bits]>,
    /// The longest match that a set of rules can make, by set; empty where no rule of the selection has a bound.
    longest: Box<[u64]>,
}

impl Engine {
    /// All rules.
    pub fn everything(&self) -> Selection {
        self.select(|_| true)
    }

    /// The rules, by their place, for which this holds.
    pub fn select(&self, counts: impl Fn(usize) -> bool) -> Selection {
        let enabled: Box<[bool]> = (0..self.rules().len()).map(counts).collect();
        let table = self.table();
        let of_sets: Vec<(u8, u64)> = (0..table.sets.len()).map(|set| self.of_set(&enabled, set as u32)).collect();
        let of_set = |set: u32| of_sets.get(set as usize).map_or(0, |(traits, _)| *traits);
        let traits: Box<[u8]> = (0..table.states() as u32)
            .map(|state| {
                let known = table.knowledge(state);
                let some = |set, flag| if of_set(set) & ALIVE == 0 { 0 } else { flag };
                of_set(known.reach) | some(known.sure, SURE) | some(known.pending, PENDING)
            })
            .collect();
        let scouted: Box<[Bits]> = self.scout().seen().iter().map(|seen| self.scouted(&enabled, seen)).collect();
        let wakes = self.wakes(&traits, &scouted);
        let bounded = self.rules().iter().zip(&enabled).any(|(rule, on)| *on && rule.length_max.is_some());
        let longest = if bounded { of_sets.into_iter().map(|(_, longest)| longest).collect() } else { Box::default() };
        Selection { enabled, traits, wakes, scouted, longest }
    }

    fn of_set(&self, enabled: &[bool], set: u32) -> (u8, u64) {
        let on = |rule: &&u32| enabled.get(**rule as usize).copied().unwrap_or(false);
        let rules = self.table().sets.rules(set).iter().filter(on).filter_map(|rule| self.rules().get(*rule as usize));
        rules.fold((0, 0), |(traits, longest), rule| {
            let acts = match rule.action {
                Action::Mask(_) => HOLDS,
                Action::Block => HOLDS | BLOCKS,
                Action::Flag => 0,
            };
            let distinct = if rule.check.is_some() || rule.length_max.is_some() { DISTINCT } else { 0 };
            let length = rule.length_max.map_or(u64::MAX, |length| length as u64);
            (traits | ALIVE | acts | distinct, longest.max(length))
        })
    }

    /// The gates of rules of a selection that may begin so, and whether that is enough.
    fn scouted(&self, enabled: &[bool], seen: &Seen) -> Bits {
        let on = |rule: &&u32| enabled.get(**rule as usize).copied().unwrap_or(false);
        let gates = self.table().sets.rules(seen.rules).iter().filter(on).map(|rule| self.gates().bit_of(*rule));
        let gates = gates.fold(0, |gates, bit| gates | bit);
        if seen.is_enough { gates | ENOUGH } else { gates }
    }

    fn wakes(&self, traits: &[u8], scouted: &[Bits]) -> Box<[u8]> {
        let table = self.table();
        let matters = |state: &u32| traits.get(*state as usize).is_some_and(|traits| traits & (ALIVE | SURE) != 0);
        let flag = |is, flag| if is { flag } else { 0 };
        let places = (0..table.kinds as u16).flat_map(|kind| (0..=u8::MAX).map(move |byte| (kind, byte)));
        places
            .map(|(kind, byte)| {
                let led = self.scout().first(kind, byte) as usize;
                flag(table.begins.after(kind, byte).iter().any(matters), WAKES_BODY)
                    | flag(table.arm_begins.after(kind, byte).iter().any(matters), WAKES_ARM)
                    | flag(scouted.get(led).is_some_and(|seen| seen & table.ajar(kind) != 0), WAKES_LED)
            })
            .collect()
    }
}

impl Selection {
    pub(super) fn counts(&self, rule: u32) -> bool {
        self.enabled.get(rule as usize).copied().unwrap_or(false)
    }

    pub(super) fn traits(&self, state: u32) -> u8 {
        self.traits.get(state as usize).copied().unwrap_or_default()
    }

    /// What may begin with this byte.
    pub(super) fn wakes(&self, kind: u16, byte: u8) -> u8 {
        self.wakes.get(place(kind, byte)).copied().unwrap_or_default()
    }

    /// What the scout has seen in a state: the gates of rules that may begin so, and whether that is [`ENOUGH`].
    pub(super) fn scouted(&self, state: u32) -> Bits {
        self.scouted.get(state as usize).copied().unwrap_or_default()
    }

    /// The longest match of any rule in this set, in bytes.
    pub(super) fn longest(&self, set: u32) -> u64 {
        self.longest.get(set as usize).copied().unwrap_or(u64::MAX)
    }
}
