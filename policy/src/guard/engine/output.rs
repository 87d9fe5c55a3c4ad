//! What a filter says of the bytes that it was given.

use std::ops::Range;

use super::{Action, Engine, table::State};

/// What becomes of a part of the text. Ranges are counted from the beginning of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Goes on unchanged.
    Pass(Range<u64>),
    /// Is part of a span, which stands under the rule of this place.
    Mask {
        /// The bytes that go.
        range: Range<u64>,
        /// The rule that labels the span.
        rule: usize,
        /// Whether the span begins here. One that was begun earlier has its replacement already.
        begins: bool,
    },
}

/// A rule has found something here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, by its place.
    pub rule: usize,
    /// Where, from the beginning of the text.
    pub range: Range<u64>,
}

/// What is to happen with the text as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It goes on.
    #[default]
    Pass,
    /// It ends before this. Nothing more comes out.
    Block(Finding),
    /// It asks for more than is allowed of a text ([`super::THREADS_MAX`], [`super::ARM_STATES_MAX`]). Nothing more comes out.
    Overrun,
}

/// What came of one push. It is cleared by the next, so one is enough for a stream.
#[derive(Debug, Default)]
pub struct Output {
    /// What is decided now, in order, without gaps, beginning where the last push ended.
    pub pieces: Vec<Piece>,
    /// What was found and can grow no more.
    pub findings: Vec<Finding>,
    /// Whether the text goes on.
    pub verdict: Verdict,
    /// Bytes of earlier pushes that were undecided.
    pub(super) carried: Vec<u8>,
    pub(super) carried_from: u64,
    /// Where this push begins.
    pub(super) pushed_from: u64,
    pub(super) pushed: u64,
    pub(super) scratch: Scratch,
}

/// Room that a push works in, so that none is taken for each.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Rules whose context holds at the byte that is looked at.
    pub(super) led: Vec<u32>,
    /// Contexts that hold.
    pub(super) numbers: Vec<u32>,
    pub(super) arms: Vec<State>,
    pub(super) marks: Marks,
}

/// Which states a byte has led to, for very many.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) are_used: bool,
    slots: Vec<(State, u64)>,
    round: u64,
}

/// More than twice as many as can be marked in one round.
const SLOTS: usize = 4 * super::THREADS_MAX;

impl Marks {
    pub(super) fn begin(&mut self, are_used: bool) {
        self.are_used = are_used;
        self.round += 1;
    }

    /// Marks a state. `false`: it was marked in this round already.
    pub(super) fn mark(&mut self, state: State) -> bool {
        self.slots.resize(SLOTS, (0, 0));
        let first = (state.wrapping_mul(0x9e37_79b1) >> 7) as usize;
        for at in (first..first + SLOTS).map(|at| at % SLOTS) {
            let Some(slot) = self.slots.get_mut(at) else { break };
            if slot.1 != self.round {
                *slot = (state, self.round);
                return true;
            }
            if slot.0 == state {
                return false;
            }
        }
        true
    }
}

impl Output {
    /// Whether exactly what was pushed goes on, as it was: whoever holds it in another form may forward that.
    pub fn is_untouched(&self) -> bool {
        let all = self.pushed_from..self.pushed_from + self.pushed;
        match self.pieces.as_slice() {
            [] => self.pushed == 0 && self.verdict == Verdict::Pass,
            [Piece::Pass(range)] => *range == all && self.verdict == Verdict::Pass,
            _ => false,
        }
    }

    /// Writes what goes on as a text. `pushed` is what was given to the push that this is the output of.
    pub fn write(&self, engine: &Engine, pushed: &[u8], into: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Pass(range) => {
                    let (before, here) = self.text(range, pushed);
                    into.extend_from_slice(before);
                    into.extend_from_slice(here);
                }
                Piece::Mask { rule, begins: true, .. } => {
                    if let Some(Action::Mask(with)) = engine.rules().get(*rule).map(|rule| &rule.action) {
                        into.extend_from_slice(with.as_bytes());
                    }
                }
                Piece::Mask { .. } => {}
            }
        }
    }

    /// The bytes of a range: those of earlier pushes, then those of this one.
    pub(in crate::guard) fn text<'t>(&'t self, range: &Range<u64>, pushed: &'t [u8]) -> (&'t [u8], &'t [u8]) {
        (slice(&self.carried, self.carried_from, range), slice(pushed, self.pushed_from, range))
    }

    /// Begins the output of a push, and takes the undecided bytes of earlier ones.
    pub(super) fn begin(&mut self, carried: &mut Vec<u8>, carried_from: u64, pushed_from: u64, pushed: usize) {
        self.pieces.clear();
        self.findings.clear();
        self.verdict = Verdict::Pass;
        self.carried.clear();
        std::mem::swap(&mut self.carried, carried);
        (self.carried_from, self.pushed_from, self.pushed) = (carried_from, pushed_from, pushed as u64);
    }

    pub(super) fn pass(&mut self, range: Range<u64>) {
        match self.pieces.last_mut() {
            _ if range.is_empty() => {}
            Some(Piece::Pass(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Pass(range)),
        }
    }

    /// Takes back what was said of this place and of all behind it, but for spans that began before.
    pub(super) fn cut(&mut self, from: u64) {
        self.pieces.retain_mut(|piece| match piece {
            Piece::Pass(range) => {
                range.end = range.end.min(from);
                !range.is_empty()
            }
            Piece::Mask { range, .. } => range.start < from,
        });
    }

    pub(super) fn mask(&mut self, range: Range<u64>, rule: usize, begins: bool) {
        match self.pieces.last_mut() {
            Some(Piece::Mask { range: last, .. }) if !begins && last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Mask { range, rule, begins }),
        }
    }
}

/// The part of a range that these bytes hold, the first of which stands at `from`.
pub(super) fn slice<'t>(bytes: &'t [u8], from: u64, range: &Range<u64>) -> &'t [u8] {
    let place = |at: u64| (at.saturating_sub(from) as usize).min(bytes.len());
    bytes.get(place(range.start)..place(range.end)).unwrap_or_default()
}
