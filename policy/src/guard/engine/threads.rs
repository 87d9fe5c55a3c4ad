//! One step of everything that is under way in a text.

use std::ops::Range;

use super::{
    Action, Engine, Finding, Output, Selection, Verdict,
    rule::{ARM_STATES_MAX, HELD_BYTES_MAX, THREADS_MAX},
    scout::LED_BYTES,
    selection::{ALIVE, DISTINCT, HOLDS, PENDING, SURE, WAKES_ARM, WAKES_BODY},
    spans::{Growing, Spans},
    table::{DEAD, State},
    text::Text,
};

/// What is the same for all texts.
pub(super) struct Machine<'m> {
    pub(super) engine: &'m Engine,
    pub(super) selection: &'m Selection,
    /// Whether the next few bytes are looked at before anything begins.
    pub(super) scouts: bool,
}

/// A place where a match may have begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thread {
    pub(super) start: u64,
    pub(super) state: State,
    /// The rule under which it is taken for a match as long as it lives, as it has gone on for so long; or [`NOT`].
    presumed: u32,
}

/// It is not taken for a match.
const NOT: u32 = u32::MAX;
/// With more threads than this, whether two are in one state is looked up rather than looked for.
const MARKED_FROM: usize = 16;

/// A match that goes on until an end is found.
#[derive(Debug, Clone, Copy)]
struct Region {
    rule: u32,
    start: u64,
    /// Of the automaton of the end.
    state: State,
    /// Where the match ended that began it.
    from: u64,
    left: u64,
    /// It has ended with the byte before. It is remembered for a match that ends there too, and had to wait for this one.
    is_over: bool,
}

/// All there is to know of a text while nothing is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) at: u64,
    kind: u16,
    open: bool,
}

/// Everything that is under way in a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Threads {
    /// Bytes that have come.
    pub(super) at: u64,
    pub(super) kind: u16,
    /// By start.
    pub(super) alive: Vec<Thread>,
    arms: Vec<State>,
    /// Rules whose arm has ended here.
    armed: Vec<u32>,
    regions: Vec<Region>,
    pub(super) spans: Spans,
    growing: Growing,
    pub(super) verdict: Verdict,
}

/// Threads and arms of a text that holds nothing keep room for so many at most.
const ROOM_AT_REST: usize = 4;

impl Threads {
    /// Those of a text of which nothing has come, behind what stands before it.
    pub(super) fn behind(kind: u16) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Those of a text of which nothing is under way after so many bytes.
    pub(super) fn at_rest(rest: Rest) -> Self {
        let spans = Spans { gone: rest.at, open: rest.open, ahead: Vec::new() };
        Self { at: rest.at, kind: rest.kind, spans, ..Self::default() }
    }

    /// What there is to know of a text of which nothing is under way.
    pub(super) fn as_rest(&self) -> Option<Rest> {
        self.is_idle().then_some(Rest { at: self.at, kind: self.kind, open: self.spans.open })
    }

    /// Whether only a byte that begins something can matter.
    pub(super) fn is_idle(&self) -> bool {
        self.alive.is_empty()
            && self.arms.is_empty()
            && self.armed.is_empty()
            && self.regions.is_empty()
            && self.growing.is_empty()
            && self.spans.gone == self.at
    }

    /// Memory that is kept elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.alive.capacity() * size_of::<Thread>()
            + (self.arms.capacity() + self.armed.capacity()) * size_of::<State>()
            + self.regions.capacity() * size_of::<Region>()
            + self.spans.bytes()
            + self.growing.bytes()
    }

    /// Gives back what was taken for much that was under way at once.
    pub(super) fn rest(&mut self) {
        if self.is_idle() {
            self.alive.shrink_to(ROOM_AT_REST);
            self.arms.shrink_to(ROOM_AT_REST);
            self.armed.shrink_to(ROOM_AT_REST);
            self.regions.shrink_to(0);
            self.spans.ahead.shrink_to(0);
            self.growing.rest();
        }
    }

    /// Takes one byte, with which these things may begin.
    pub(super) fn take(&mut self, machine: &Machine<'_>, text: &Text<'_>, byte: u8, begins: u8, output: &mut Output) {
        self.settle(machine, text, Some(byte), output);
        if self.verdict != Verdict::Pass {
            return;
        }
        self.step_threads(machine, text, byte, output);
        self.begin(machine, text, byte, begins, output);
        // After the threads: what matches up to the end of a region begins no other.
        if !self.regions.is_empty() {
            self.step_regions(machine, byte, output);
        }
        if begins & WAKES_ARM != 0 || !self.arms.is_empty() {
            self.step_arms(machine, byte, begins, output);
        }
        if self.verdict != Verdict::Pass {
            return;
        }
        self.at += 1;
        self.kind = machine.engine.table().kind(Some(byte));
        if self.is_too_much() {
            self.stop(Verdict::Overrun, output);
            return;
        }
        self.release(machine, output);
        if self.at - self.spans.gone > HELD_BYTES_MAX as u64 {
            self.presume(machine, output);
        }
        self.tell(output);
    }

    /// Whether more is under way than is allowed. What a scout may have left out does not count.
    fn is_too_much(&self) -> bool {
        let counts = |thread: &&Thread| self.at - thread.start >= LED_BYTES as u64;
        self.arms.len() > ARM_STATES_MAX
            || self.alive.len() > THREADS_MAX && self.alive.iter().filter(counts).count() > THREADS_MAX
    }

    /// Takes the end of the text.
    pub(super) fn finish(&mut self, machine: &Machine<'_>, text: &Text<'_>, output: &mut Output) {
        self.settle(machine, text, None, output);
        if self.verdict != Verdict::Pass {
            return;
        }
        self.alive.clear();
        self.regions.clear();
        self.release(machine, output);
        self.growing.tell(u64::MAX, &mut output.findings);
    }

    /// The first to begin of those that bytes wait for: its state, and where it began.
    pub(super) fn holding(&self, selection: &Selection) -> Option<(State, u64)> {
        let holds = |thread: &&Thread| selection.traits(thread.state) & HOLDS != 0;
        self.alive.iter().find(holds).map(|thread| (thread.state, thread.start))
    }

    /// Where the bytes begin that may be asked for.
    pub(super) fn asks_from(&self, selection: &Selection) -> u64 {
        let asks = |thread: &&Thread| selection.traits(thread.state) & DISTINCT != 0;
        self.alive.iter().find(asks).map_or(self.spans.gone, |thread| thread.start.min(self.spans.gone))
    }

    /// Ends what had to see the next byte, or the end.
    fn settle(&mut self, machine: &Machine<'_>, text: &Text<'_>, byte: Option<u8>, output: &mut Output) {
        let (table, selection) = (machine.engine.table(), machine.selection);
        for index in 0..self.alive.len() {
            let Some(Thread { state, start, .. }) = self.alive.get(index).copied() else { break };
            if selection.traits(state) & PENDING != 0 {
                for rule in table.ahead(state, byte) {
                    self.found(machine, text, *rule, start..self.at, output);
                }
            }
        }
        for state in &self.arms {
            let ahead = table.ahead(*state, byte).iter();
            self.armed.extend(ahead.filter(|rule| selection.counts(**rule)));
        }
        self.regions.retain(|region| !region.is_over && table.ahead(region.state, byte).is_empty());
    }

    /// Steps those that were there before this byte.
    fn step_regions(&mut self, machine: &Machine<'_>, byte: u8, output: &mut Output) {
        let table = machine.engine.table();
        let mut regions = std::mem::take(&mut self.regions);
        let at = self.at;
        for region in regions.iter_mut().filter(|region| region.from <= at) {
            region.state = table.step(region.state, byte);
            region.left = region.left.saturating_sub(1);
            self.cover(region.rule, region.start, output);
            region.is_over = region.left == 0 || table.knowledge(region.state).sure != 0;
        }
        self.regions = regions;
    }

    fn step_threads(&mut self, machine: &Machine<'_>, text: &Text<'_>, byte: u8, output: &mut Output) {
        output.scratch.marks.begin(self.alive.len() > MARKED_FROM);
        let (table, mut kept) = (machine.engine.table(), 0);
        for index in 0..self.alive.len() {
            let Some(mut thread) = self.alive.get(index).copied() else { break };
            thread.state = table.step(thread.state, byte);
            if self.enters(machine, text, thread, output) && self.is_new(machine, thread.state, kept, output) {
                if let Some(place) = self.alive.get_mut(kept) {
                    *place = thread;
                }
                kept += 1;
            }
        }
        self.alive.truncate(kept);
    }

    /// Begins what begins with this byte.
    fn begin(&mut self, machine: &Machine<'_>, text: &Text<'_>, byte: u8, begins: u8, output: &mut Output) {
        let (table, start) = (machine.engine.table(), self.at);
        let one = |threads: &mut Self, state: State, output: &mut Output| {
            let thread = Thread { start, state, presumed: NOT };
            let count = threads.alive.len();
            if threads.enters(machine, text, thread, output) && threads.is_new(machine, state, count, output) {
                threads.alive.push(thread);
            }
        };
        if begins & WAKES_BODY != 0 {
            for state in table.begins.after(self.kind, byte) {
                one(self, *state, output);
            }
        }
        let mut armed = std::mem::take(&mut self.armed);
        // Those with a context have been looked for already.
        armed.append(&mut output.scratch.led);
        if !armed.is_empty() {
            armed.sort_unstable();
            armed.dedup();
            for rule in armed.drain(..) {
                one(self, table.step(table.led_start(rule, self.kind), byte), output);
            }
        }
        self.armed = armed;
    }

    /// Enters the state that a thread has come to with this byte, and says whether it lives on.
    fn enters(&mut self, machine: &Machine<'_>, text: &Text<'_>, thread: Thread, output: &mut Output) -> bool {
        let Thread { start, state, presumed } = thread;
        let traits = machine.selection.traits(state);
        if state == DEAD || traits & (ALIVE | SURE) == 0 {
            return false;
        }
        let table = machine.engine.table();
        let known = table.knowledge(state);
        if traits & SURE != 0 {
            for rule in table.sets.rules(known.sure) {
                self.found(machine, text, *rule, start..self.at + 1, output);
            }
        }
        let length = self.at + 1 - start;
        // As long as this, it can only match here, if the right byte follows.
        let longest = machine.selection.longest(known.reach);
        if traits & ALIVE == 0 || length > longest || length == longest && traits & PENDING == 0 {
            return false;
        }
        if presumed != NOT {
            self.cover(presumed, start, output);
        } else if traits & HOLDS == 0 && length > HELD_BYTES_MAX as u64 {
            // Nothing waits for it, and so long a match is not looked for.
            return false;
        }
        true
    }

    /// Whether no thread before has come to this state. The first to begin finds whatever a later one would, and more.
    fn is_new(&self, machine: &Machine<'_>, state: State, before: usize, output: &mut Output) -> bool {
        let is_distinct = machine.selection.traits(state) & DISTINCT != 0;
        if output.scratch.marks.are_used {
            return output.scratch.marks.mark(state) || is_distinct;
        }
        is_distinct || !self.alive.iter().take(before).any(|other| other.state == state)
    }

    fn step_arms(&mut self, machine: &Machine<'_>, byte: u8, begins: u8, output: &mut Output) {
        let (table, selection) = (machine.engine.table(), machine.selection);
        let mut stepped = std::mem::take(&mut output.scratch.arms);
        stepped.clear();
        let begun: &[State] = if begins & WAKES_ARM == 0 { &[] } else { table.arm_begins.after(self.kind, byte) };
        let states = self.arms.iter().map(|state| table.step(*state, byte));
        for state in states.chain(begun.iter().copied()) {
            let traits = selection.traits(state);
            if traits & SURE != 0 {
                let sure = table.sets.rules(table.knowledge(state).sure).iter();
                self.armed.extend(sure.filter(|rule| selection.counts(**rule)));
            }
            if traits & ALIVE != 0 && !stepped.contains(&state) {
                stepped.push(state);
            }
        }
        self.arms.clear();
        self.arms.extend_from_slice(&stepped);
        output.scratch.arms = stepped;
    }

    /// A rule has matched.
    fn found(&mut self, machine: &Machine<'_>, text: &Text<'_>, rule: u32, range: Range<u64>, output: &mut Output) {
        let Some(known) = machine.engine.rules().get(rule as usize) else { return };
        let too_long = known.length_max.is_some_and(|length| range.end - range.start > length as u64);
        if self.verdict != Verdict::Pass || !machine.selection.counts(rule) || too_long {
            return;
        }
        if known.check.as_ref().is_some_and(|passes| !passes(&text.of(&range))) {
            return;
        }
        match &known.action {
            Action::Block => {
                self.stop(Verdict::Block(Finding { rule: rule as usize, range }), output);
                return;
            }
            Action::Mask(_) => self.spans.add(range.start, range.end, rule),
            Action::Flag => {}
        }
        self.growing.add(rule as usize, range.clone(), &mut output.findings);
        let goes_on = self.regions.iter().any(|region| region.rule == rule);
        if let Some(until) = known.until.as_ref().filter(|until| !goes_on && until.bytes_max > 0) {
            let table = machine.engine.table();
            // Either it ends with this byte, or it had to wait for it.
            let last = text.of(&(self.at..range.end)).first().copied();
            let state = table.end_start(rule, last.map_or(self.kind, |last| table.kind(Some(last))));
            self.regions.push(Region {
                rule,
                start: range.start,
                state,
                from: range.end,
                left: until.bytes_max as u64,
                is_over: false,
            });
        }
    }

    /// This byte belongs to a match that goes on.
    fn cover(&mut self, rule: u32, start: u64, output: &mut Output) {
        self.spans.add(start, self.at + 1, rule);
        self.growing.add(rule as usize, start..self.at + 1, &mut output.findings);
    }

    /// Ends the text. What is held is never said.
    fn stop(&mut self, verdict: Verdict, output: &mut Output) {
        self.growing.tell(u64::MAX, &mut output.findings);
        if let Verdict::Block(finding) = &verdict {
            output.findings.push(finding.clone());
        }
        self.verdict = verdict;
    }

    /// Takes what holds too much for a match.
    fn presume(&mut self, machine: &Machine<'_>, output: &mut Output) {
        while self.verdict == Verdict::Pass && self.at - self.spans.gone > HELD_BYTES_MAX as u64 {
            let selection = machine.selection;
            let holds = |thread: &&mut Thread| thread.presumed == NOT && selection.traits(thread.state) & HOLDS != 0;
            let Some(thread) = self.alive.iter_mut().find(holds) else { return };
            let rules = machine.engine.table().sets.rules(machine.engine.table().knowledge(thread.state).reach);
            let acts = |blocks: bool| {
                let action = |rule: &u32| machine.engine.rules().get(*rule as usize).map(|rule| rule.action.clone());
                rules.iter().copied().filter(|rule| selection.counts(*rule)).find(|rule| match action(rule) {
                    Some(Action::Block) => blocks,
                    Some(Action::Mask(_)) => !blocks,
                    _ => false,
                })
            };
            let range = thread.start..self.at;
            if let Some(rule) = acts(true) {
                let finding = Finding { rule: rule as usize, range };
                self.stop(Verdict::Block(finding), output);
            } else if let Some(rule) = acts(false) {
                thread.presumed = rule;
                self.spans.add(range.start, range.end, rule);
                self.growing.add(rule as usize, range, &mut output.findings);
                self.release(machine, output);
            }
        }
    }

    /// Tells the findings that can grow no more.
    fn tell(&mut self, output: &mut Output) {
        if !self.growing.is_empty() {
            let thread = self.alive.first().map_or(u64::MAX, |thread| thread.start);
            let region = self
                .regions
                .iter()
                .filter(|region| !region.is_over)
                .map(|region| region.start)
                .min()
                .unwrap_or(u64::MAX);
            self.growing.tell(thread.min(region), &mut output.findings);
        }
    }
}
