//! Which gates may be open at all, from the last two bytes: where hardly any is, little is looked at.

use foldhash::HashMap;
use smallvec::SmallVec;

use super::{automata::NOTHING, gate::Gate};

/// Some gates, a bit for each. Those that come late share the last bit.
pub(super) type Bits = u32;

/// So many bits are used; the one above them is free for whoever keeps such bits.
const BITS: usize = 31;

/// The bit of the gate at this place.
pub(super) fn bit(place: usize) -> Bits {
    1 << place.min(BITS - 1)
}

/// Gates that may be open, by the last byte of the text, if there is one.
type Row = [Bits; NOTHING + 1];

/// Which gates may be open behind any two bytes.
pub(super) struct Ajar {
    /// The row of the last byte but one.
    rows_of: Box<[u16; NOTHING + 1]>,
    rows: Vec<Row>,
    /// Whatever the last byte but one.
    any: Box<Row>,
}

impl Ajar {
    /// Those of some gates.
    pub(super) fn of(gates: &[Gate]) -> Self {
        let (mut rows_of, mut rows, mut any) = (Box::new([0; NOTHING + 1]), Vec::new(), Box::new([0; NOTHING + 1]));
        // Where no gate says more, one row will do for all.
        let narrows = gates.iter().any(|gate| gate.narrows().is_some());
        let mut known = HashMap::<Row, u16>::default();
        for (before, place) in bytes().zip(rows_of.iter_mut()).take(if narrows { NOTHING + 1 } else { 1 }) {
            let row = row(gates, before);
            any.iter_mut().zip(row).for_each(|(any, bits)| *any |= bits);
            *place = *known.entry(row).or_insert_with(|| {
                rows.push(row);
                (rows.len() - 1) as u16
            });
        }
        Self { rows_of, rows, any }
    }

    /// Gates that may be open right behind this byte, whatever stands before it.
    pub(super) fn behind_one(&self, last: Option<u8>) -> Bits {
        self.any.get(place(last)).copied().unwrap_or_default()
    }

    /// Gates that may be open right behind these two.
    pub(super) fn behind(&self, before: Option<u8>, last: Option<u8>) -> Bits {
        let row = self.rows_of.get(place(before)).and_then(|row| self.rows.get(usize::from(*row)));
        row.and_then(|row| row.get(place(last))).copied().unwrap_or_default()
    }
}

/// All bytes, and nothing.
fn bytes() -> impl Iterator<Item = Option<u8>> {
    (0..=u8::MAX).map(Some).chain([None])
}

fn place(byte: Option<u8>) -> usize {
    byte.map_or(NOTHING, usize::from)
}

/// Which gates may be open behind this byte and any other.
fn row(gates: &[Gate], before: Option<u8>) -> Row {
    let mut row = [0; NOTHING + 1];
    for (last, bits) in bytes().zip(&mut row) {
        // Before nothing there is nothing.
        let two: SmallVec<[u8; 2]> = before.filter(|_| last.is_some()).into_iter().chain(last).collect();
        for (place, gate) in gates.iter().enumerate() {
            if gate.narrows().is_none_or(|contexts| contexts.may_follow(&two)) {
                *bits |= bit(place);
            }
        }
    }
    row
}
