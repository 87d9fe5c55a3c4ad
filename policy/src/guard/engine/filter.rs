//! One text, as it arrives.

use std::sync::Arc;

use super::{
    Engine, Output, Selection, Verdict,
    output::slice,
    rule::CONTEXT_BYTES_MAX,
    text::Text,
    threads::{Machine, Rest, Threads},
};

/// Room for the last bytes that is kept in any case.
const TAIL_BYTES_AT_REST: usize = 128;

/// The state of one text. Beside what is held it takes some hundred bytes.
#[derive(Debug, Clone)]
pub struct Filter {
    engine: Arc<Engine>,
    selection: Arc<Selection>,
    threads: Threads,
    /// The last bytes: those that are held, and those that checks and contexts may ask for.
    tail: Vec<u8>,
    tail_from: u64,
    /// Whether the next few bytes are looked at before anything begins. It makes no difference but in time.
    scouts: bool,
}

impl Filter {
    /// A text of which nothing has come yet, under the rules of a selection that the engine made.
    pub fn new(engine: Arc<Engine>, selection: Arc<Selection>) -> Self {
        let threads = Threads::behind(engine.table().kind(None));
        Self { engine, selection, threads, tail: Vec::new(), tail_from: 0, scouts: true }
    }

    /// Takes the next bytes, and says what is decided now. After a verdict nothing is.
    pub fn push(&mut self, bytes: &[u8], output: &mut Output) {
        output.begin(&mut self.tail, self.tail_from, self.threads.at, bytes.len());
        let carried = std::mem::take(&mut output.carried);
        let text =
            Text { before: &carried, before_from: output.carried_from, here: bytes, here_from: output.pushed_from };
        if let Some(rest) = self.take(&text, bytes, self.scouts, output) {
            // What is held when a text is cut off, and so never said, is what would be held had nobody looked ahead.
            output.cut(rest.at);
            self.threads = Threads::at_rest(rest);
            let behind = (rest.at - output.pushed_from) as usize;
            self.take(&text, bytes.get(behind..).unwrap_or_default(), false, output);
        }
        self.threads.rest();
        self.keep(&carried, bytes, output.carried_from, output.pushed_from);
        output.carried = carried;
        output.verdict = self.threads.verdict.clone();
    }

    /// Takes bytes one by one, those of which nothing becomes at once. Whoever looks ahead at what follows takes them from the
    /// first place on at which nothing is under way, which is returned if the text has been cut off since.
    fn take(&mut self, text: &Text<'_>, bytes: &[u8], scouts: bool, output: &mut Output) -> Option<Rest> {
        let (mut rest, mut begun, mut told) = (bytes, None, 0);
        let mut machine = Machine { engine: &self.engine, selection: &self.selection, scouts: false };
        while self.threads.verdict == Verdict::Pass {
            let begins = if let Some(idle) = self.threads.as_rest() {
                if scouts && begun.is_none() {
                    (begun, told, machine.scouts) = (Some(idle), output.findings.len(), true);
                }
                let (others, begins) = self.threads.skip(&machine, text, rest, output);
                rest = others;
                begins
            } else {
                self.threads.begins(&machine, text, rest, output)
            };
            let (byte, others) = rest.split_first()?;
            self.threads.take(&machine, text, *byte, begins, output);
            rest = others;
        }
        if begun.is_some() {
            output.findings.truncate(told);
        }
        begun
    }

    /// Says what is left when the text is over.
    pub fn finish(&mut self, output: &mut Output) {
        output.begin(&mut self.tail, self.tail_from, self.threads.at, 0);
        let machine = Machine { engine: &self.engine, selection: &self.selection, scouts: false };
        let carried = std::mem::take(&mut output.carried);
        let at = self.threads.at;
        let text = Text { before: &carried, before_from: output.carried_from, here: &[], here_from: at };
        if self.threads.verdict == Verdict::Pass {
            self.threads.finish(&machine, &text, output);
        }
        output.carried = carried;
        output.verdict = self.threads.verdict.clone();
    }

    /// Bytes that have come and of which nothing has been said.
    pub fn held(&self) -> usize {
        (self.threads.at - self.threads.spans.gone) as usize
    }

    /// Memory that it takes: its own, and what it keeps elsewhere.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.tail.capacity() + self.threads.bytes()
    }

    /// The rules, by their place, that what is held waits for; none where nothing is.
    pub fn waits_for(&self) -> Vec<usize> {
        self.threads.wait_for(&Machine { engine: &self.engine, selection: &self.selection, scouts: false })
    }

    /// The same, which begins whatever may begin, and looks at no byte before it is there.
    #[cfg(test)]
    pub(super) fn without_scouts(self) -> Self {
        Self { scouts: false, ..self }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(super) fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Keeps the bytes that will be asked for.
    fn keep(&mut self, carried: &[u8], pushed: &[u8], carried_from: u64, pushed_from: u64) {
        let at = self.threads.at;
        let seen = if self.engine.gates().all.is_empty() { at } else { at.saturating_sub(CONTEXT_BYTES_MAX as u64) };
        let from = self.threads.asks_from(&self.selection).min(seen).max(carried_from);
        self.tail.clear();
        let length = (at - from) as usize;
        self.tail.shrink_to(length.max(TAIL_BYTES_AT_REST));
        self.tail.reserve_exact(length);
        if from < at {
            self.tail.extend_from_slice(slice(carried, carried_from, &(from..pushed_from)));
            self.tail.extend_from_slice(slice(pushed, pushed_from, &(from..at)));
        }
        self.tail_from = from;
    }
}
