//! Which bytes have one fate, and go.

use super::{
    Action, Output,
    selection::{BLOCKS, HOLDS, PENDING},
    threads::{Machine, Thread, Threads},
};

impl Threads {
    /// Lets go what has one fate.
    pub(super) fn release(&mut self, machine: &Machine<'_>, output: &mut Output) {
        if self.alive.is_empty() && self.spans.ahead.is_empty() {
            if self.spans.gone < self.at {
                output.pass(self.spans.gone..self.at);
                (self.spans.gone, self.spans.open) = (self.at, false);
            }
            return;
        }
        let selection = machine.selection;
        let first = |flag: u8| {
            let mut threads = self.alive.iter();
            threads.find(|thread| selection.traits(thread.state) & flag != 0).map_or(u64::MAX, |thread| thread.start)
        };
        let (holds, blocks) = (first(HOLDS), first(BLOCKS));
        while self.spans.gone < self.at {
            let here = self.spans.gone;
            let Some(span) = self.spans.ahead.first().filter(|span| span.start <= here) else {
                // INVARIANT: no byte passes at or behind the start of a thread that may yet match.
                if holds <= here {
                    self.release_inside(machine, output);
                    return;
                }
                let next = self.spans.ahead.first().map_or(u64::MAX, |span| span.start);
                let end = self.at.min(next).min(holds);
                output.pass(here..end);
                (self.spans.gone, self.spans.open) = (end, false);
                continue;
            };
            let (_, first_end, rule) = span.label;
            let begins = span.start == here;
            if begins {
                // A match from before would join it to the span that ends here, and one that blocks would end the text.
                if self.spans.open && holds < here {
                    self.release_inside(machine, output);
                    return;
                }
                if blocks <= here || first_end == self.at && self.may_be_labelled_anew(machine, here, rule) {
                    return;
                }
            }
            output.mask(here..span.end, rule as usize, begins);
            (self.spans.gone, self.spans.open) = (span.end, true);
            self.spans.ahead.remove(0);
        }
    }

    /// Lets go all bytes if they belong to the span that is open, whatever follows.
    fn release_inside(&mut self, machine: &Machine<'_>, output: &mut Output) {
        if let Some(rule) = self.matches_in_any_case(machine, self.spans.gone) {
            output.mask(self.spans.gone..self.at, rule as usize, false);
            self.spans.gone = self.at;
            self.spans.ahead.clear();
        }
    }

    /// Whether something that began before this place matches here whatever follows, if not always the same rule: one that
    /// masks where the text ends here. What a rule may still reject does not count.
    fn matches_in_any_case(&self, machine: &Machine<'_>, place: u64) -> Option<u32> {
        let (table, selection) = (machine.engine.table(), machine.selection);
        let masks = |rule: &u32| {
            let rule = machine.engine.rules().get(*rule as usize).filter(|_| selection.counts(*rule));
            rule.is_some_and(|rule| {
                matches!(rule.action, Action::Mask(_)) && rule.check.is_none() && rule.length_max.is_none()
            })
        };
        let matching = |byte: Option<u8>| {
            let before = self.alive.iter().take_while(|thread| thread.start < place);
            let pending = before.filter(|thread| selection.traits(thread.state) & PENDING != 0);
            pending.flat_map(|thread| table.ahead(thread.state, byte)).copied().find(|rule| masks(rule))
        };
        let at_the_end = matching(None)?;
        (0..=u8::MAX).all(|byte| matching(Some(byte)).is_some()).then_some(at_the_end)
    }

    /// Whether the next byte may show that an earlier rule matches the same bytes.
    fn may_be_labelled_anew(&self, machine: &Machine<'_>, start: u64, rule: u32) -> bool {
        let (table, selection) = (machine.engine.table(), machine.selection);
        let masks = |rule: &u32| {
            let action = machine.engine.rules().get(*rule as usize).map(|rule| &rule.action);
            selection.counts(*rule) && matches!(action, Some(Action::Mask(_)))
        };
        let may = |thread: &Thread| {
            let pending = table.sets.rules(table.knowledge(thread.state).pending);
            thread.start == start && pending.iter().any(|other| *other < rule && masks(other))
        };
        self.alive.iter().any(may)
    }

    /// The rules that the first byte held waits for.
    pub(super) fn wait_for(&self, machine: &Machine<'_>) -> Vec<usize> {
        let table = machine.engine.table();
        let first = self.alive.iter().filter(|thread| self.spans.gone < self.at && thread.start <= self.spans.gone);
        let rules = first.flat_map(|thread| table.sets.rules(table.knowledge(thread.state).reach));
        let mut rules: Vec<_> =
            rules.filter(|rule| machine.selection.counts(**rule)).map(|rule| *rule as usize).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}
