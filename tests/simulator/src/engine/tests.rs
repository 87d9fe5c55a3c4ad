//! What the engine does, step by step, on a clock that is an argument.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    FinishedReason, Order, Progress,
    profile::Profile,
    scheduler::{Load, Scheduler},
};

/// A scheduler with a clock that steps move.
struct Bench {
    scheduler: Scheduler,
    now: Instant,
    durations: Vec<Duration>,
}

impl Bench {
    fn new(profile: Profile) -> Self {
        Self { scheduler: Scheduler::new(profile, 1), now: Instant::now(), durations: Vec::new() }
    }

    fn submit(&mut self, prompt: impl IntoIterator<Item = u32>, output: usize) -> UnboundedReceiver<Progress> {
        let (sender, receiver) = unbounded_channel();
        let outputs = vec![(0..output as u32).collect()];
        let order = Order { prompt: prompt.into_iter().collect(), outputs, reason: FinishedReason::Stop };
        self.scheduler.submit(order, &sender, self.now);
        receiver
    }

    fn step(&mut self) -> bool {
        let Some(plan) = self.scheduler.plan(self.now) else { return false };
        self.durations.push(plan.duration);
        self.now += plan.duration;
        self.scheduler.finish(plan, self.now);
        true
    }

    /// Steps until there is nothing to do; how many.
    fn run(&mut self) -> usize {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 10_000, "the engine makes no progress: {:?}", self.scheduler.load());
        }
        steps
    }

    fn load(&self) -> Load {
        self.scheduler.load()
    }
}

fn said(receiver: &mut UnboundedReceiver<Progress>) -> Vec<Progress> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

fn small() -> Profile {
    Profile {
        step: Duration::from_millis(10),
        prefill_token: Duration::from_millis(1),
        decode_sequence: Duration::from_millis(2),
        jitter: 0.0,
        sequences_max: 2,
        step_tokens_max: 8,
        block_tokens: 4,
        blocks_max: 8,
        context_tokens_max: 32,
        ..Profile::default()
    }
}

#[test]
fn a_prompt_is_computed_in_chunks_and_then_decoded_token_by_token() {
    let mut bench = Bench::new(small());
    let mut progress = bench.submit(0..12, 3);
    assert_eq!(bench.run(), 4);
    let millis = |millis| Duration::from_millis(millis);
    // 8 tokens of the prompt; the other 4 and the first token; two more tokens.
    assert_eq!(bench.durations, [millis(18), millis(14), millis(12), millis(12)]);
    let token = Progress::Token(0);
    assert_eq!(said(&mut progress), [Progress::Cached(0), token, token, token, Progress::Finished(0)]);
    let tally = bench.scheduler.tally();
    assert_eq!((tally.prompt_tokens, tally.generation_tokens), (12, 3));
    assert_eq!(tally.time_to_first_token.count(), 1);
    assert!((tally.time_to_first_token.sum() - 0.032).abs() < 1e-9);
    assert!((tally.inter_token_latency.sum() - 0.024).abs() < 1e-9);
    assert_eq!(tally.finished[&FinishedReason::Stop], 1);
}

#[test]
fn a_batch_has_so_many_seats_and_the_rest_wait_in_order() {
    let mut bench = Bench::new(small());
    let mut all: Vec<_> = (0..4).map(|n| bench.submit([n], 2)).collect();
    assert!(bench.step());
    assert_eq!((bench.load().running, bench.load().waiting), (2, 2));
    bench.run();
    assert_eq!((bench.load().running, bench.load().waiting), (0, 0));
    for progress in &mut all {
        assert_eq!(said(progress).last(), Some(&Progress::Finished(0)));
    }
    assert!(bench.scheduler.tally().queue_time.sum() > 0.0);
}

#[test]
fn a_prompt_that_begins_like_another_is_computed_from_where_they_part() {
    let mut bench = Bench::new(small());
    bench.submit(0..12, 1);
    // Nobody reads these, but they are not asked whether somebody does until they are told to forget.
    bench.run();
    let mut same = bench.submit(0..12, 1);
    bench.run();
    assert_eq!(said(&mut same)[0], Progress::Cached(8), "the last token is computed anew, and so its block is");
    let mut other = bench.submit((0..4).chain(90..98), 1);
    bench.run();
    assert_eq!(said(&mut other)[0], Progress::Cached(4));
    let tally = bench.scheduler.tally();
    assert_eq!((tally.prefix_queries, tally.prefix_hits), (36, 12));
}

#[test]
fn an_answer_is_in_the_cache_when_it_comes_back_in_the_next_prompt() {
    let mut bench = Bench::new(small());
    bench.submit(100..104, 8);
    bench.run();
    // The prompt, then the answer (0, 1, …), then a new question.
    let mut next = bench.submit((100..104).chain(0..8).chain([7, 7]), 1);
    bench.run();
    assert_eq!(said(&mut next)[0], Progress::Cached(8), "the last token said was never computed itself");
}

#[test]
fn the_cache_forgets_what_was_used_longest_ago() {
    let mut bench = Bench::new(small());
    for start in [0, 1_000, 2_000, 3_000] {
        bench.submit(start..start + 12, 1);
        bench.run();
    }
    let mut first = bench.submit(0..12, 1);
    bench.run();
    assert_eq!(said(&mut first)[0], Progress::Cached(0));
    let mut last = bench.submit(3_000..3_012, 1);
    bench.run();
    assert_eq!(said(&mut last)[0], Progress::Cached(8));
}

#[test]
fn a_sequence_without_a_block_gives_up_its_own_and_finishes_later() {
    let mut bench = Bench::new(Profile { blocks_max: 4, ..small() });
    // Each fits alone; together they need six blocks.
    let mut first = bench.submit(0..4, 8);
    let mut second = bench.submit(50..54, 8);
    bench.run();
    let tokens = |progress: &mut _| said(progress).iter().filter(|step| **step == Progress::Token(0)).count();
    assert_eq!((tokens(&mut first), tokens(&mut second)), (8, 8));
    assert!(bench.scheduler.tally().preemptions > 0);
    assert!(bench.load().kv_cache_usage.abs() < 1e-9);
}

#[test]
fn what_nobody_reads_is_given_up() {
    let mut bench = Bench::new(small());
    let gone: Vec<_> = (0..3).map(|n| bench.submit([n; 8], 20)).collect();
    bench.step();
    assert_eq!((bench.load().running, bench.load().waiting), (1, 2));
    assert!(bench.load().kv_cache_usage > 0.0);
    drop(gone);
    bench.scheduler.forget_cancelled();
    assert_eq!(bench.load(), Load { running: 0, waiting: 0, kv_cache_usage: 0.0 });
    assert_eq!(bench.scheduler.tally().finished[&FinishedReason::Abort], 3);
}

#[test]
fn the_same_seed_takes_the_same_time() {
    let durations = |seed| {
        let mut bench = Bench::new(Profile { jitter: 0.3, ..small() });
        bench.scheduler = Scheduler::new(Profile { jitter: 0.3, ..small() }, seed);
        bench.submit(0..12, 6);
        bench.run();
        bench.durations
    };
    assert_eq!(durations(5), durations(5));
    assert_ne!(durations(5), durations(6));
}
