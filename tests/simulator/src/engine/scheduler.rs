//! Which sequences a step works on, and what it does to them.
//!
//! First those that decode, one token each; then prompts, as many of their tokens as the step has room for; then the
//! waiting queue, in order, while there are seats and blocks. When a sequence that decodes finds no block, the newest
//! one in the batch gives up all of its own and waits again, at the head of the queue.

use std::{
    collections::VecDeque,
    hash::Hasher as _,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    Progress,
    cache::{BlockName, Cache},
    profile::Profile,
    tally::{Tally, Times},
};
use crate::text::{Fnv, Random};

/// What is to be computed: a prompt, and what will turn out to be its answers.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) prompt: Vec<u32>,
    /// The tokens of each choice.
    pub(crate) outputs: Vec<Vec<u32>>,
    pub(crate) reason: FinishedReason,
}

/// Why a sequence came to its end, in vLLM's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FinishedReason {
    Stop,
    Length,
    /// The client went away.
    Abort,
}

/// How busy the engine is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    /// A fraction.
    pub(crate) kv_cache_usage: f64,
}

/// One step that was decided and not yet done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) duration: Duration,
    work: Vec<Work>,
}

#[derive(Debug, Clone, Copy)]
struct Work {
    sequence: u64,
    /// How many tokens the step computes of it.
    tokens: usize,
}

/// The state of all sequences.
#[derive(Debug)]
pub(super) struct Scheduler {
    profile: Profile,
    random: Random,
    cache: Cache,
    waiting: VecDeque<Sequence>,
    /// In the order in which they came into the batch.
    running: Vec<Sequence>,
    sequences: u64,
    tally: Tally,
}

#[derive(Debug)]
struct Sequence {
    id: u64,
    choice: usize,
    /// The prompt, and what was produced so far.
    tokens: Vec<u32>,
    output: Vec<u32>,
    produced: usize,
    /// Tokens whose keys and values are in the cache.
    computed: usize,
    /// Its full blocks.
    names: Vec<BlockName>,
    /// Its blocks that are not full.
    nameless: usize,
    reason: FinishedReason,
    arrived: Instant,
    admitted: Option<Instant>,
    last_token: Option<Instant>,
    first_token: Option<Instant>,
    progress: UnboundedSender<Progress>,
}

impl Scheduler {
    pub(super) fn new(profile: Profile, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            cache: Cache::new(profile.blocks_max),
            waiting: VecDeque::new(),
            running: Vec::new(),
            sequences: 0,
            tally: Tally::new(),
            profile,
        }
    }

    pub(super) fn submit(&mut self, order: Order, progress: &UnboundedSender<Progress>, now: Instant) {
        for (choice, output) in order.outputs.into_iter().enumerate() {
            self.sequences += 1;
            self.tally.prompt_tokens += order.prompt.len() as u64;
            self.waiting.push_back(Sequence {
                id: self.sequences,
                choice,
                tokens: order.prompt.clone(),
                output,
                produced: 0,
                computed: 0,
                names: Vec::new(),
                nameless: 0,
                reason: order.reason,
                arrived: now,
                admitted: None,
                last_token: None,
                first_token: None,
                progress: progress.clone(),
            });
        }
    }

    pub(super) fn load(&self) -> Load {
        Load { running: self.running.len(), waiting: self.waiting.len(), kv_cache_usage: self.cache.usage() }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Gives up the sequences that nobody reads any more.
    pub(super) fn forget_cancelled(&mut self) {
        let (mut gone, kept): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|sequence| sequence.progress.is_closed());
        self.waiting = kept.into();
        gone.extend(self.running.extract_if(.., |sequence| sequence.progress.is_closed()));
        for mut sequence in gone {
            sequence.leave(&mut self.cache);
            *self.tally.finished.entry(FinishedReason::Abort).or_default() += 1;
        }
    }

    /// Decides the next step; nothing if there is nothing to do.
    pub(super) fn plan(&mut self, now: Instant) -> Option<Plan> {
        let mut room = self.profile.step_tokens_max;
        let mut work = Vec::new();
        let preempted = self.plan_decodes(&mut room, &mut work);
        let decodes = work.len();
        self.plan_prefills(&mut room, &mut work);
        if !preempted {
            self.admit(&mut room, &mut work, now);
        }
        if work.is_empty() {
            return None;
        }
        let prefill_tokens: usize = work.iter().skip(decodes).map(|work| work.tokens).sum();
        let duration = self.profile.step
            + self.profile.prefill_token * u32::try_from(prefill_tokens).unwrap_or(u32::MAX)
            + self.profile.decode_sequence * u32::try_from(decodes).unwrap_or(u32::MAX);
        let stray = 1.0 + self.profile.jitter * (2.0 * self.random.fraction() - 1.0);
        Some(Plan { duration: duration.mul_f64(stray.max(0.0)), work })
    }

    /// What a step has done.
    pub(super) fn finish(&mut self, plan: Plan, now: Instant) {
        for work in plan.work {
            // Sequences leave while a step is under way.
            let Some(at) = self.running.iter().position(|sequence| sequence.id == work.sequence) else { continue };
            let Some(sequence) = self.running.get_mut(at) else { continue };
            sequence.computed += work.tokens;
            sequence.name_full_blocks(&self.profile, &mut self.cache);
            if sequence.computed < sequence.tokens.len() {
                continue;
            }
            sequence.produce(&mut self.tally, now);
            if sequence.produced == sequence.output.len() {
                let mut sequence = self.running.remove(at);
                sequence.leave(&mut self.cache);
                self.tally.finished(sequence.reason, sequence.times(now));
                let _ = sequence.progress.send(Progress::Finished(sequence.choice));
            }
        }
    }

    /// Whether a sequence had to leave the batch.
    fn plan_decodes(&mut self, room: &mut usize, work: &mut Vec<Work>) -> bool {
        let mut preempted = false;
        let mut at = 0;
        while let Some(sequence) = self.running.get_mut(at) {
            at += 1;
            if sequence.left() != 1 || sequence.produced == 0 {
                continue;
            }
            while !self.running.get_mut(at - 1).is_some_and(|s| s.reserve(&self.profile, &mut self.cache)) {
                preempted = true;
                self.preempt();
                if self.running.len() < at {
                    return true;
                }
            }
            if let Some(sequence) = self.running.get(at - 1) {
                work.push(Work { sequence: sequence.id, tokens: 1 });
                *room = room.saturating_sub(1);
            }
        }
        preempted
    }

    /// The newest sequence in the batch gives up its blocks, and waits at the head of the queue.
    fn preempt(&mut self) {
        let Some(mut sequence) = self.running.pop() else { return };
        sequence.leave(&mut self.cache);
        sequence.computed = 0;
        self.tally.preemptions += 1;
        self.waiting.push_front(sequence);
    }

    fn plan_prefills(&mut self, room: &mut usize, work: &mut Vec<Work>) {
        for sequence in &self.running {
            let tokens = sequence.left().min(*room);
            if (sequence.produced == 0 || sequence.left() > 1) && tokens > 0 {
                work.push(Work { sequence: sequence.id, tokens });
                *room -= tokens;
            }
        }
    }

    fn admit(&mut self, room: &mut usize, work: &mut Vec<Work>, now: Instant) {
        while self.running.len() < self.profile.sequences_max && *room > 0 {
            let Some(mut sequence) = self.waiting.pop_front() else { return };
            if !sequence.enter(&self.profile, &mut self.cache, &mut self.tally) {
                self.waiting.push_front(sequence);
                return;
            }
            let tokens = sequence.left().min(*room);
            work.push(Work { sequence: sequence.id, tokens });
            *room -= tokens;
            sequence.admitted.get_or_insert(now);
            self.running.push(sequence);
        }
    }
}

impl Sequence {
    /// Tokens still to be computed before the next one can be produced.
    fn left(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Takes the blocks of everything known so far, those in the cache first. False if they cannot be had.
    fn enter(&mut self, profile: &Profile, cache: &mut Cache, tally: &mut Tally) -> bool {
        let names = block_names(&self.tokens, profile.block_tokens);
        // The last token is always computed: what follows it comes from there.
        let reusable = self.tokens.len().saturating_sub(1) / profile.block_tokens;
        let names = names.get(..reusable.min(names.len())).unwrap_or_default();
        let hits = names.get(..cache.leading(names)).unwrap_or_default();
        let wanted = self.tokens.len().div_ceil(profile.block_tokens);
        if wanted - hits.len() > cache.available(hits) {
            return false;
        }
        for name in hits {
            cache.share(*name);
        }
        self.names = hits.to_vec();
        self.computed = hits.len() * profile.block_tokens;
        tally.prefix_queries += self.tokens.len() as u64;
        tally.prefix_hits += self.computed as u64;
        if self.produced == 0 {
            let _ = self.progress.send(Progress::Cached(self.computed));
        }
        while self.names.len() + self.nameless < wanted && cache.take() {
            self.nameless += 1;
        }
        true
    }

    /// Sees to it that the next token has a block. False if there is none.
    fn reserve(&mut self, profile: &Profile, cache: &mut Cache) -> bool {
        let wanted = self.tokens.len().div_ceil(profile.block_tokens);
        while self.names.len() + self.nameless < wanted {
            if !cache.take() {
                return false;
            }
            self.nameless += 1;
        }
        true
    }

    fn name_full_blocks(&mut self, profile: &Profile, cache: &mut Cache) {
        let full = self.computed / profile.block_tokens;
        while self.names.len() < full && self.nameless > 0 {
            let start = self.names.len() * profile.block_tokens;
            let tokens = self.tokens.get(start..start + profile.block_tokens).unwrap_or_default();
            let name = block_name(self.names.last().copied(), tokens);
            cache.name(name);
            self.names.push(name);
            self.nameless -= 1;
        }
    }

    fn produce(&mut self, tally: &mut Tally, now: Instant) {
        let Some(token) = self.output.get(self.produced).copied() else { return };
        self.tokens.push(token);
        self.produced += 1;
        tally.generation_tokens += 1;
        match self.last_token {
            None => tally.time_to_first_token.record(now.duration_since(self.arrived).as_secs_f64()),
            Some(last) => tally.inter_token_latency.record(now.duration_since(last).as_secs_f64()),
        }
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
        let _ = self.progress.send(Progress::Token(self.choice));
    }

    fn leave(&mut self, cache: &mut Cache) {
        // The end of a prompt is the first to go: its beginning is what others share.
        for name in self.names.drain(..).rev() {
            cache.release(name);
        }
        cache.release_nameless(self.nameless);
        self.nameless = 0;
    }

    fn times(&self, now: Instant) -> Times {
        let admitted = self.admitted.unwrap_or(now);
        let first = self.first_token.unwrap_or(now);
        Times {
            queued: admitted.saturating_duration_since(self.arrived),
            prefilled: first.saturating_duration_since(admitted),
            decoded: now.saturating_duration_since(first),
        }
    }
}

fn block_names(tokens: &[u32], block_tokens: usize) -> Vec<BlockName> {
    let mut before = None;
    let named = |tokens: &[u32]| {
        let name = block_name(before, tokens);
        before = Some(name);
        name
    };
    tokens.chunks_exact(block_tokens).map(named).collect()
}

fn block_name(before: Option<BlockName>, tokens: &[u32]) -> BlockName {
    let mut hash = Fnv::default();
    hash.write_u64(before.unwrap_or(0));
    for token in tokens {
        hash.write_u32(*token);
    }
    hash.finish()
}
