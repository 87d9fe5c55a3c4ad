//! One text, as it arrives.

use std::sync::Arc;

use super::{
    Engine, Output, Selection, Verdict,
    output::slice,
    rule::CONTEXT_BYTES_MAX,
    threads::{Machine, Text, Threads},
};

/// The state of one text. Beside what is held it takes some hundred bytes.
#[derive(Debug)]
pub struct Filter {
    engine: Arc<Engine>,
    selection: Arc<Selection>,
    threads: Threads,
    /// The last bytes: those that are held, and those that checks and contexts may ask for.
    tail: Vec<u8>,
    tail_from: u64,
}

impl Filter {
    /// A text of which nothing has come yet, under the rules of a selection that the engine made.
    pub fn new(engine: Arc<Engine>, selection: Arc<Selection>) -> Self {
        let threads = Threads::new(engine.table());
        Self { engine, selection, threads, tail: Vec::new(), tail_from: 0 }
    }

    /// Takes the next bytes, and says what is decided now. After a verdict nothing is.
    pub fn push(&mut self, bytes: &[u8], output: &mut Output) {
        output.begin(&mut self.tail, self.tail_from, self.threads.at, bytes.len());
        let machine = Machine { engine: &self.engine, selection: &self.selection };
        let carried = std::mem::take(&mut output.carried);
        let text =
            Text { before: &carried, before_from: output.carried_from, here: bytes, here_from: output.pushed_from };
        let mut rest = bytes;
        while self.threads.verdict == Verdict::Pass {
            if self.threads.is_idle() {
                rest = self.threads.skip(&machine, rest, output);
            }
            let Some((byte, others)) = rest.split_first() else { break };
            self.threads.take(&machine, &text, *byte, output);
            rest = others;
        }
        self.keep(&carried, bytes, output.carried_from, output.pushed_from);
        output.carried = carried;
        output.verdict = self.threads.verdict.clone();
    }

    /// Says what is left when the text is over.
    pub fn finish(&mut self, output: &mut Output) {
        output.begin(&mut self.tail, self.tail_from, self.threads.at, 0);
        let machine = Machine { engine: &self.engine, selection: &self.selection };
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

    /// Keeps the bytes that will be asked for.
    fn keep(&mut self, carried: &[u8], pushed: &[u8], carried_from: u64, pushed_from: u64) {
        let at = self.threads.at;
        let seen = if self.engine.has_contexts() { at.saturating_sub(CONTEXT_BYTES_MAX as u64) } else { at };
        let from = self.threads.asks_from(&self.selection).min(seen).max(carried_from);
        self.tail.clear();
        if from < at {
            self.tail.extend_from_slice(slice(carried, carried_from, &(from..pushed_from)));
            self.tail.extend_from_slice(slice(pushed, pushed_from, &(from..at)));
        }
        self.tail_from = from;
    }
}
