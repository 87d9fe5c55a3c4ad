//! Which two bytes anything begins with: most pairs of a text begin nothing, which one look tells.

use super::{
    automata::NOTHING,
    scout::Scout,
    table::{DEAD, State, Table, place},
};

/// For each byte and the one behind it, whether anything that begins with the first lives on with the second: a row for each
/// kind of what stands before and the first byte.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<[u64; 4]>);

impl Pairs {
    /// Whether anything may begin with these two.
    pub(super) fn may_begin(&self, kind: u16, first: u8, second: u8) -> bool {
        let row = self.0.get(place(kind, first));
        row.and_then(|row| row.get(usize::from(second) / 64)).is_some_and(|word| word >> (second % 64) & 1 == 1)
    }

    /// How many of these bytes stand before the first with which and the next one anything may begin; all but the last if
    /// there is none, as it is not known what follows that. `behind` says the kind of each.
    pub(super) fn quiet(&self, behind: &[u16; NOTHING + 1], mut kind: u16, bytes: &[u8]) -> usize {
        let pairs = bytes.iter().zip(bytes.iter().skip(1));
        let quiet = pairs.take_while(|(first, second)| {
            let begins = self.may_begin(kind, **first, **second);
            kind = behind.get(usize::from(**first)).copied().unwrap_or_default();
            !begins
        });
        quiet.count()
    }
}

/// The pairs with which any rule begins, whichever are selected.
pub(super) fn pairs(table: &Table, scout: &Scout) -> Pairs {
    let rows = (0..table.kinds as u16).flat_map(|kind| (0..=u8::MAX).map(move |first| (kind, first)));
    Pairs(rows.map(|(kind, first)| row(table, scout, kind, first)).collect())
}

/// Before which bytes anything lives on that begins with this one.
fn row(table: &Table, scout: &Scout, kind: u16, first: u8) -> [u64; 4] {
    // Arms are few, and none is left out.
    if table.arm_begins.after(kind, first).iter().any(|state| *state != DEAD) {
        return [u64::MAX; 4];
    }
    let lives = |state: &State, second: u8| {
        let known = table.knowledge(*state);
        known.sure != 0 || known.pending != 0 || table.step(*state, second) != DEAD
    };
    let bodies = || table.begins.after(kind, first).iter().filter(|state| **state != DEAD);
    let led = scout.first(kind, first);
    let is_enough = scout.seen().get(led as usize).is_some_and(|seen| seen.is_enough);
    let ajar = table.ajar(kind);
    let is_led =
        |second: u8| scout.bits(led) & ajar != 0 && (is_enough || scout.bits(scout.step(led, second)) & ajar != 0);
    let mut row = [0; 4];
    for second in 0..=u8::MAX {
        if is_led(second) || bodies().any(|state| lives(state, second)) {
            row.get_mut(usize::from(second) / 64).into_iter().for_each(|word| *word |= 1 << (second % 64));
        }
    }
    row
}
