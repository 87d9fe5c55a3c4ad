//! Which two bytes anything begins with: most pairs of a text begin nothing, which one look tells.

use super::{
    scout::Scout,
    table::{DEAD, State, Table},
};

/// For each byte and the one behind it, whether anything that begins with the first lives on with the second.
#[derive(Debug, Default)]
pub(super) struct Pairs(Box<[u64]>);

/// Words of one half: where what stands before is part of a word, or is not.
const HALF: usize = 256 * 256 / 64;

/// Whether what stands before is part of a word.
pub(super) fn is_in_word(before: Option<u8>) -> bool {
    before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Pairs {
    /// Whether anything may begin with these two.
    pub(super) fn may_begin(&self, in_word: bool, first: u8, second: u8) -> bool {
        let at = usize::from(in_word) * HALF + usize::from(first) * 4 + usize::from(second) / 64;
        self.0.get(at).is_some_and(|word| word >> (second % 64) & 1 == 1)
    }
}

/// The pairs with which any rule begins, whichever are selected.
pub(super) fn pairs(table: &Table, scout: &Scout, before: &[Option<u8>]) -> Pairs {
    let mut words = vec![0_u64; 2 * HALF].into_boxed_slice();
    for first in 0..=u8::MAX {
        for half in [false, true] {
            let kinds = (0_u16..).zip(before).filter(|(_, before)| is_in_word(**before) == half).map(|(kind, _)| kind);
            let (mut bodies, mut led, mut all) = (Vec::new(), Vec::new(), false);
            for kind in kinds {
                bodies.extend(table.begins.after(kind, first).iter().filter(|state| **state != DEAD));
                led.push(scout.first(kind, first));
                // Arms are few, and none is left out.
                all |= table.arm_begins.after(kind, first).iter().any(|state| *state != DEAD);
            }
            for states in [&mut bodies, &mut led] {
                states.sort_unstable();
                states.dedup();
            }
            for second in 0..=u8::MAX {
                let lives = |state: &State| {
                    let known = table.knowledge(*state);
                    known.sure != 0 || known.pending != 0 || table.step(*state, second) != DEAD
                };
                let is_led = |state: &State| {
                    let seen = scout.seen().get(*state as usize);
                    *state != DEAD && (seen.is_some_and(|seen| seen.is_enough) || scout.step(*state, second) != DEAD)
                };
                if all || bodies.iter().any(lives) || led.iter().any(is_led) {
                    let at = usize::from(half) * HALF + usize::from(first) * 4 + usize::from(second) / 64;
                    words.get_mut(at).into_iter().for_each(|word| *word |= 1 << (second % 64));
                }
            }
        }
    }
    Pairs(words)
}
