//! What screening adds to an event of a stream: CPU time of each event of an answer in OpenAI's chat events of 279 bytes, with all
//! rules of the product. Each event is timed by itself, in a run of whole answers; p50 and p99 are printed, with the time of
//! the clock alone beside them. Then whole answers, for the mean, by criterion. Run it with
//! `cargo bench -p portcullis-policy --bench stream`.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark")]

use std::{hint::black_box, sync::Arc, time::Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portcullis_policy::{
    guard::{
        engine::{Action, SAMPLE},
        lanes::{
            shape::Api,
            stream::{EventStream, Scratch, Step},
        },
        rules::{self, AllowedHosts, Set},
        screen::{
            Detector, Direction, Guardrails, OnError, Origin, Reaction, Speakers, Stage, Tell, UnknownFields,
            Unscreened,
        },
    },
    snapshot::DocumentId,
};

/// All rules but those of answers' links.
fn guardrails(email: bool) -> Arc<Guardrails> {
    let policy = DocumentId { group: "g".into(), kind: "k".into(), namespace: "n".into(), name: "p".into() };
    let stage = Stage {
        policy: policy.clone(),
        name: "output".into(),
        detector: Detector::Patterns,
        reaction: Reaction::Mask,
        speakers: Speakers::EVERYBODY,
        is_shadow: false,
        on_error: OnError::Block,
    };
    let allowed = Arc::new(AllowedHosts::default());
    let wanted = rules::all().iter().filter(|rule| rule.set != Set::Exfiltration && (email || rule.kind != "email"));
    let rules: Vec<_> = wanted
        .map(|rule| {
            let origin = Origin { stage: 0, rule: rule.id.into(), kind: rule.kind.into() };
            (origin, rule.applied(Action::Mask("[masked]".into()), &allowed))
        })
        .collect();
    println!("{} rules", rules.len());
    Arc::new(Guardrails {
        policies: vec![policy],
        input: Arc::new(Direction::nothing()),
        output: Arc::new(Direction::new(vec![stage], rules).unwrap()),
        unknown_fields: UnknownFields::Scan,
        unscreened: Unscreened::Refuse,
        tell_verdict: Tell::Nothing,
    })
}

/// An answer, a word piece an event. `beside` is a member that no table knows.
fn events(beside: &str) -> Vec<Vec<u8>> {
    let pieces: Vec<&str> = SAMPLE.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
    let event = |piece: &str| {
        let piece = serde_json::to_string(piece).unwrap();
        let mut event = format!(
            "data: {{{beside}\"id\":\"chatcmpl-BXK9pQ2mVd1yZtR7uWcE4sLhN8aFg\",\"object\":\"chat.completion.chunk\",\"created\":1764117000,\
             \"model\":\"gpt-4.1-2025-04-14\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_b3f1157249\",\"choices\":[{{\
             \"index\":0,\"delta\":{{\"content\":{piece}}},\"logprobs\":null,\"finish_reason\":null}}]}}"
        );
        event += "\n\n";
        event.into_bytes()
    };
    pieces.iter().map(|piece| event(piece)).collect()
}

/// Nanoseconds of each event, sorted.
fn timed(guardrails: &Arc<Guardrails>, events: &[Vec<u8>]) -> Vec<u64> {
    let (mut scratch, mut out) = (Scratch::default(), Vec::with_capacity(1 << 16));
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut stream = EventStream::new(Api::Chat, guardrails.clone());
        for event in events {
            out.clear();
            let begun = Instant::now();
            let step = stream.push(black_box(event), &mut scratch, &mut out);
            times.push(begun.elapsed().as_nanos() as u64);
            assert_eq!(step, Step::Continue);
        }
    }
    times.sort_unstable();
    times
}

/// Streams that are under way at once, to see what one takes.
const AT_ONCE: usize = 20_000;

/// Bytes of memory that a stream takes, of which so much has gone by that little is held.
fn resident_each(guardrails: &Arc<Guardrails>, events: &[Vec<u8>]) -> usize {
    let (mut scratch, mut out) = (Scratch::default(), Vec::with_capacity(1 << 16));
    let mut under_way = |count: usize| -> Vec<EventStream> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = EventStream::new(Api::Chat, guardrails.clone());
            for event in events.iter().take(20) {
                out.clear();
                assert_eq!(stream.push(event, &mut scratch, &mut out), Step::Continue);
            }
            streams.push(stream);
        }
        streams
    };
    drop(under_way(1));
    let before = resident();
    let streams = under_way(AT_ONCE);
    let taken = resident() - before;
    let held: usize = streams.iter().map(EventStream::held).sum();
    (taken - held) / AT_ONCE
}

/// Bytes of memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn stream(criterion: &mut Criterion) {
    let events = events("");
    let mean: usize = events.iter().map(Vec::len).sum::<usize>() / events.len();
    println!("{} events of {mean} bytes", events.len());
    let mut clock: Vec<u64> = (0..10_000).map(|_| Instant::now().elapsed().as_nanos() as u64).collect();
    clock.sort_unstable();
    println!("the clock itself: p50 {} ns", clock[clock.len() / 2]);
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(events.len() as u64));
    let provider = self::events("\"provider\":\"Azure\",");
    for (name, email, events) in [
        ("without e-mail", false, &events),
        ("without e-mail, an unknown constant beside", false, &provider),
        ("with e-mail", true, &events),
    ] {
        let guardrails = guardrails(email);
        println!("{name}: {} bytes a stream", resident_each(&guardrails, events));
        timed(&guardrails, events);
        let times = timed(&guardrails, events);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!("{name}: an event p50 {} ns, p99 {} ns, p99.9 {} ns", at(0.5), at(0.99), at(0.999));
        group.bench_function(name, |bencher| {
            let (mut scratch, mut out) = (Scratch::default(), Vec::with_capacity(1 << 20));
            bencher.iter(|| {
                out.clear();
                let mut stream = EventStream::new(Api::Chat, guardrails.clone());
                for event in events {
                    black_box(stream.push(event, &mut scratch, &mut out));
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = stream
}
criterion_main!(benches);
