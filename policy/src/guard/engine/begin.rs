//! What begins at a byte: looked for in the next few, so that most of what does not live on never begins.

use super::{
    Output,
    rule::CONTEXT_BYTES_MAX,
    scout::{LED_BYTES, SCOUTED_BYTES},
    selection::{ALIVE, ENOUGH, PENDING, SURE, WAKES_ARM, WAKES_BODY, WAKES_LED},
    table::{DEAD, State},
    text::Text,
    threads::{Machine, Threads},
};

impl Threads {
    /// Lets bytes go at which nothing begins, and returns the others, with what may begin with the first of them.
    pub(super) fn skip<'t>(
        &mut self,
        machine: &Machine<'_>,
        text: &Text<'_>,
        bytes: &'t [u8],
        output: &mut Output,
    ) -> (&'t [u8], u8) {
        let (table, selection) = (machine.engine.table(), machine.selection);
        let (mut rest, mut kind) = (bytes, self.kind);
        let gone = |rest: &[u8]| (bytes.len() - rest.len()) as u64;
        let begins = loop {
            if machine.scouts {
                let quiet = table.pairs.quiet(&table.behind, kind, rest);
                let (passed, others) = rest.split_at_checked(quiet).unwrap_or_default();
                kind = passed.last().map_or(kind, |last| table.kind(Some(*last)));
                rest = others;
            }
            let Some((byte, others)) = rest.split_first() else { break 0 };
            let wakes = selection.wakes(kind, *byte);
            let place = (self.at + gone(rest), kind);
            let begins = if wakes == 0 { 0 } else { machine.begins(text, place, wakes, rest, output) };
            if begins != 0 {
                break begins;
            }
            (rest, kind) = (others, table.kind(Some(*byte)));
        };
        let at = self.at + gone(rest);
        if at > self.at {
            output.pass(self.at..at);
            (self.at, self.kind) = (at, kind);
            (self.spans.gone, self.spans.open) = (at, false);
        }
        (rest, begins)
    }

    /// What may begin with the first of these bytes.
    pub(super) fn begins(&self, machine: &Machine<'_>, text: &Text<'_>, bytes: &[u8], output: &mut Output) -> u8 {
        let table = machine.engine.table();
        let lives = match bytes {
            [first, second, ..] if machine.scouts => table.pairs.may_begin(self.kind, *first, *second),
            _ => true,
        };
        let wakes = bytes.first().filter(|_| lives).map_or(0, |byte| machine.selection.wakes(self.kind, *byte));
        if wakes == 0 { 0 } else { machine.begins(text, (self.at, self.kind), wakes, bytes, output) }
    }
}

impl Machine<'_> {
    /// What of that which wakes at a byte lives on in those that follow. Rules with a context are left in the scratch.
    fn begins(&self, text: &Text<'_>, place: (u64, u16), wakes: u8, bytes: &[u8], output: &mut Output) -> u8 {
        let Some(byte) = bytes.first().copied() else { return 0 };
        if !self.scouts {
            let led = wakes & WAKES_LED != 0 && self.led_lives(text, place, bytes, output);
            return wakes & (WAKES_ARM | WAKES_BODY) | if led { WAKES_LED } else { 0 };
        }
        let mut begins = wakes & WAKES_ARM;
        let states = self.engine.table().begins.after(place.1, byte);
        if wakes & WAKES_BODY != 0 && states.iter().any(|state| self.lives_on(*state, bytes)) {
            begins |= WAKES_BODY;
        }
        if wakes & WAKES_LED != 0 && self.led_lives(text, place, bytes, output) {
            begins |= WAKES_LED;
        }
        begins
    }

    /// Whether what is in this state after the first of these bytes lives on, or matches.
    fn lives_on(&self, mut state: State, bytes: &[u8]) -> bool {
        let (table, selection) = (self.engine.table(), self.selection);
        for byte in bytes.iter().take(SCOUTED_BYTES).skip(1) {
            if selection.traits(state) & (SURE | PENDING) != 0 {
                return true;
            }
            state = table.step(state, *byte);
            if state == DEAD {
                return false;
            }
        }
        selection.traits(state) & (ALIVE | SURE) != 0
    }

    /// Finds the rules whose context holds here and that live on.
    fn led_lives(&self, text: &Text<'_>, (at, kind): (u64, u16), bytes: &[u8], output: &mut Output) -> bool {
        let (scout, table, selection) = (self.engine.scout(), self.engine.table(), self.selection);
        let Some((first, others)) = bytes.split_first() else { return false };
        let (before, last) = text.last_two(at);
        let ajar = self.engine.gates().ajar.behind(before, last);
        let mut state = scout.first(kind, *first);
        for byte in others.iter().take(if self.scouts { LED_BYTES - 1 } else { 0 }) {
            let seen = selection.scouted(state);
            if seen & ajar == 0 {
                return false;
            }
            if seen & ENOUGH != 0 {
                break;
            }
            state = scout.step(state, *byte);
        }
        if selection.scouted(state) & ajar == 0 {
            return false;
        }
        let Some(seen) = scout.seen().get(state as usize) else { return false };
        let mut joined = [0; CONTEXT_BYTES_MAX];
        let window = text.window(at, &mut joined);
        let scratch = &mut output.scratch;
        scratch.led.clear();
        let candidates = table.sets.rules(seen.rules);
        self.engine.gates().open((&seen.gates, ajar), window, candidates, &mut scratch.numbers, &mut scratch.led);
        scratch.led.retain(|rule| {
            let state = table.step(table.led_start(*rule, kind), *first);
            selection.counts(*rule) && if self.scouts { self.lives_on(state, bytes) } else { true }
        });
        !scratch.led.is_empty()
    }
}
