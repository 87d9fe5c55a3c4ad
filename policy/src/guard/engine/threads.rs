//! One step of everything that is under way in a text.

use std::{borrow::Cow, ops::Range};

use super::{
    Action, Engine, Finding, Output, Selection, Verdict,
    output::slice,
    rule::{ARM_STATES_MAX, CONTEXT_BYTES_MAX, HELD_BYTES_MAX, Lead, THREADS_MAX},
    selection::{ALIVE, BLOCKS, DISTINCT, HOLDS, PENDING, SURE, WAKES_ARM, WAKES_BODY, WAKES_LED},
    spans::{Growing, Spans},
    table::{DEAD, State, Table},
};

/// What is the same for all texts.
pub(super) struct Machine<'m> {
    pub(super) engine: &'m Engine,
    pub(super) selection: &'m Selection,
}

/// The bytes that can be asked for: kept ones, and those of this push.
pub(super) struct Text<'t> {
    pub(super) before: &'t [u8],
    pub(super) before_from: u64,
    pub(super) here: &'t [u8],
    pub(super) here_from: u64,
}

impl Text<'_> {
    fn of(&self, range: &Range<u64>) -> Cow<'_, [u8]> {
        if range.start >= self.here_from {
            return slice(self.here, self.here_from, range).into();
        }
        [slice(self.before, self.before_from, range), slice(self.here, self.here_from, range)].concat().into()
    }
}

/// A place where a match may have begun.
#[derive(Debug, Clone, Copy)]
struct Thread {
    state: State,
    start: u64,
    /// It has gone on for so long that it is taken for a match as long as it lives.
    presumed: Option<u32>,
}

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

/// Everything that is under way in a text.
#[derive(Debug)]
pub(super) struct Threads {
    /// Bytes that have come.
    pub(super) at: u64,
    kind: u8,
    /// By start.
    alive: Vec<Thread>,
    stepped: Vec<Thread>,
    arms: Vec<State>,
    stepped_arms: Vec<State>,
    /// Rules whose arm has ended here.
    armed: Vec<u32>,
    regions: Vec<Region>,
    pub(super) spans: Spans,
    growing: Growing,
    pub(super) verdict: Verdict,
}

impl Threads {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            at: 0,
            kind: table.kind(None),
            alive: Vec::new(),
            stepped: Vec::new(),
            arms: Vec::new(),
            stepped_arms: Vec::new(),
            armed: Vec::new(),
            regions: Vec::new(),
            spans: Spans::default(),
            growing: Growing::default(),
            verdict: Verdict::Pass,
        }
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

    /// Lets bytes go at which nothing begins, and returns the others.
    pub(super) fn skip<'t>(&mut self, machine: &Machine<'_>, bytes: &'t [u8], output: &mut Output) -> &'t [u8] {
        let table = machine.engine.table();
        let mut kind = self.kind;
        let begins = |byte: &u8| {
            let wakes = machine.selection.wakes(kind, *byte) != 0;
            if !wakes {
                kind = table.kind(Some(*byte));
            }
            wakes
        };
        let quiet = bytes.iter().position(begins).unwrap_or(bytes.len());
        self.kind = kind;
        if quiet > 0 {
            output.pass(self.at..self.at + quiet as u64);
            self.at += quiet as u64;
            self.spans.gone = self.at;
            self.spans.open = false;
        }
        bytes.get(quiet..).unwrap_or_default()
    }

    /// Takes one byte.
    pub(super) fn take(&mut self, machine: &Machine<'_>, text: &Text<'_>, byte: u8, output: &mut Output) {
        let class = machine.engine.table().class(byte);
        self.settle(machine, text, class, output);
        if self.verdict != Verdict::Pass {
            return;
        }
        self.step_threads(machine, text, class, output);
        self.begin(machine, text, byte, class, output);
        // After the threads: what matches up to the end of a region begins no other.
        self.step_regions(machine, class, output);
        self.step_arms(machine, byte, class);
        if self.verdict != Verdict::Pass {
            return;
        }
        self.at += 1;
        self.kind = machine.engine.table().kind(Some(byte));
        std::mem::swap(&mut self.alive, &mut self.stepped);
        std::mem::swap(&mut self.arms, &mut self.stepped_arms);
        if self.alive.len() > THREADS_MAX || self.arms.len() > ARM_STATES_MAX {
            self.stop(Verdict::Overrun, output);
            return;
        }
        self.release(machine, output);
        self.presume(machine, output);
        self.tell(output);
    }

    /// Takes the end of the text.
    pub(super) fn finish(&mut self, machine: &Machine<'_>, text: &Text<'_>, output: &mut Output) {
        self.settle(machine, text, machine.engine.table().end_of_text(), output);
        if self.verdict != Verdict::Pass {
            return;
        }
        self.alive.clear();
        self.regions.clear();
        self.release(machine, output);
        self.growing.tell(u64::MAX, &mut output.findings);
    }

    /// Where the bytes begin that may be asked for.
    pub(super) fn asks_from(&self, selection: &Selection) -> u64 {
        let asks = |thread: &&Thread| selection.traits(thread.state) & DISTINCT != 0;
        self.alive.iter().find(asks).map_or(self.spans.gone, |thread| thread.start.min(self.spans.gone))
    }

    /// Ends what had to see the next byte, or the end.
    fn settle(&mut self, machine: &Machine<'_>, text: &Text<'_>, class: usize, output: &mut Output) {
        let (table, selection) = (machine.engine.table(), machine.selection);
        for index in 0..self.alive.len() {
            let Some(Thread { state, start, .. }) = self.alive.get(index).copied() else { break };
            if selection.traits(state) & PENDING != 0 {
                for rule in table.ahead(state, class) {
                    self.found(machine, text, *rule, start..self.at, output);
                }
            }
        }
        for state in &self.arms {
            let ahead = table.ahead(*state, class).iter();
            self.armed.extend(ahead.filter(|rule| selection.counts(**rule)));
        }
        self.regions.retain(|region| !region.is_over && table.ahead(region.state, class).is_empty());
    }

    /// Steps those that were there before this byte.
    fn step_regions(&mut self, machine: &Machine<'_>, class: usize, output: &mut Output) {
        let table = machine.engine.table();
        let mut regions = std::mem::take(&mut self.regions);
        let at = self.at;
        for region in regions.iter_mut().filter(|region| region.from <= at) {
            region.state = table.step(region.state, class);
            region.left -= 1;
            self.cover(region.rule, region.start, output);
            region.is_over = region.left == 0 || table.knowledge(region.state).sure != 0;
        }
        self.regions = regions;
    }

    fn step_threads(&mut self, machine: &Machine<'_>, text: &Text<'_>, class: usize, output: &mut Output) {
        self.stepped.clear();
        for index in 0..self.alive.len() {
            let Some(mut thread) = self.alive.get(index).copied() else { break };
            thread.state = machine.engine.table().step(thread.state, class);
            self.enter(machine, text, thread, output);
        }
    }

    /// Begins what begins with this byte.
    fn begin(&mut self, machine: &Machine<'_>, text: &Text<'_>, byte: u8, class: usize, output: &mut Output) {
        let (table, selection) = (machine.engine.table(), machine.selection);
        let wakes = selection.wakes(self.kind, byte);
        let start = self.at;
        if wakes & WAKES_BODY != 0 {
            for state in table.begins(self.kind, byte) {
                self.enter(machine, text, Thread { state: *state, start, presumed: None }, output);
            }
        }
        let mut armed = std::mem::take(&mut self.armed);
        armed.sort_unstable();
        armed.dedup();
        if wakes & WAKES_LED != 0 {
            let window = text.of(&(start.saturating_sub(CONTEXT_BYTES_MAX as u64)..start));
            let holds = |rule: &&u32| match machine.engine.rules().get(**rule as usize).map(|rule| &rule.lead) {
                Some(Lead::Context(context)) => selection.counts(**rule) && context(&window),
                _ => false,
            };
            armed.extend(table.led_begins(self.kind, byte).iter().filter(holds));
        }
        for rule in armed.drain(..) {
            let state = table.step(table.led_start(rule, self.kind), class);
            self.enter(machine, text, Thread { state, start, presumed: None }, output);
        }
        self.armed = armed;
    }

    /// Enters the state that a thread has come to with this byte.
    fn enter(&mut self, machine: &Machine<'_>, text: &Text<'_>, thread: Thread, output: &mut Output) {
        let Thread { state, start, presumed } = thread;
        let traits = machine.selection.traits(state);
        if state == DEAD || traits & (ALIVE | SURE) == 0 {
            return;
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
            return;
        }
        if let Some(rule) = presumed {
            self.cover(rule, start, output);
        } else if traits & HOLDS == 0 && length > HELD_BYTES_MAX as u64 {
            // Nothing waits for it, and so long a match is not looked for.
            return;
        }
        // The first to begin finds whatever a later one would, and more.
        let is_known = traits & DISTINCT == 0 && self.stepped.iter().any(|other| other.state == state);
        if !is_known {
            self.stepped.push(thread);
        }
    }

    fn step_arms(&mut self, machine: &Machine<'_>, byte: u8, class: usize) {
        let (table, selection) = (machine.engine.table(), machine.selection);
        self.stepped_arms.clear();
        let begun: &[State] =
            if selection.wakes(self.kind, byte) & WAKES_ARM == 0 { &[] } else { table.arm_begins(self.kind, byte) };
        let stepped = self.arms.iter().map(|state| table.step(*state, class));
        for state in stepped.chain(begun.iter().copied()) {
            let traits = selection.traits(state);
            if traits & SURE != 0 {
                let sure = table.sets.rules(table.knowledge(state).sure).iter();
                self.armed.extend(sure.filter(|rule| selection.counts(**rule)));
            }
            if traits & ALIVE != 0 && !self.stepped_arms.contains(&state) {
                self.stepped_arms.push(state);
            }
        }
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

    /// Lets go what has one fate.
    fn release(&mut self, machine: &Machine<'_>, output: &mut Output) {
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
                let joins = self.spans.open && holds < here;
                if joins || blocks <= here || first_end == self.at && self.may_be_labelled_anew(machine, here, rule) {
                    return;
                }
            }
            output.mask(here..span.end, rule as usize, begins);
            (self.spans.gone, self.spans.open) = (span.end, true);
            self.spans.ahead.remove(0);
        }
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

    /// Takes what holds too much for a match.
    fn presume(&mut self, machine: &Machine<'_>, output: &mut Output) {
        while self.verdict == Verdict::Pass && self.at - self.spans.gone > HELD_BYTES_MAX as u64 {
            let selection = machine.selection;
            let holds = |thread: &&mut Thread| thread.presumed.is_none() && selection.traits(thread.state) & HOLDS != 0;
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
                thread.presumed = Some(rule);
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
