//! What the guardrail engine costs: nanoseconds for 4 KiB of ordinary text with 1, 10 and 100 rules, whole and in parts of
//! four bytes (a word piece has about as many), and a text made to cost as much as it can. States, memory and what is held
//! are printed first. Run it with `cargo bench -p portcullis-policy --bench guard`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use portcullis_policy::guard::engine::{Action, ByteSet, Engine, Filter, Lead, Output, Rule, SAMPLE, Selection};

/// Rules as they are written for streams: a prefix that says whose they are, or digits in a shape.
fn rules(count: usize, email: bool) -> Vec<Rule> {
    let mask = || Action::Mask("[masked]".into());
    let ascii = |id: &str, pattern: &str| Rule { unicode: false, ..Rule::new(id, pattern, mask()) };
    let edged = |rule: Rule| Rule { not_after: ByteSet::word(), not_before: ByteSet::word(), ..rule };
    let mut rules = vec![
        edged(ascii("us-ssn", "[0-9]{3}-[0-9]{2}-[0-9]{4}")),
        edged(ascii("card", "[0-9]{4}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}")),
        edged(ascii("ipv4", r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")),
        edged(ascii("iban", "[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?")),
        edged(ascii("aws", "A[KS]IA[A-Z0-9]{16}")),
        edged(ascii("github", "gh[pousr]_[A-Za-z0-9]{36}")),
        edged(ascii("jwt", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ];
    for number in rules.len()..100 {
        let name: String =
            [number / 26 % 26, number % 26, number * 7 % 26].iter().map(|n| (b'a' + *n as u8) as char).collect();
        rules.push(if number % 3 == 0 {
            let arm = format!(r#"(?i:{name}[a-z_-]{{0,20}}(?:key|token|secret)["' ]{{0,4}}[:=]["' ]{{0,4}})"#);
            Rule { lead: Lead::Arm(arm.as_str().into()), ..ascii(&name, "[A-Za-z0-9]{32,40}") }
        } else {
            edged(ascii(&name, &format!("{name}_(?:live|test)_[A-Za-z0-9]{{24,40}}")))
        });
    }
    rules.truncate(count);
    if email {
        rules.push(Rule {
            not_after: ByteSet::of(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)),
            ..ascii("email", r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
        });
    }
    rules
}

fn run(engine: &Arc<Engine>, selection: &Arc<Selection>, text: &[u8], part: usize, output: &mut Output) {
    let mut filter = Filter::new(engine.clone(), selection.clone());
    for part in text.chunks(part) {
        filter.push(part, output);
        black_box(&output.pieces);
    }
    filter.finish(output);
}

fn guard(criterion: &mut Criterion) {
    let text = SAMPLE.repeat(4096 / SAMPLE.len() + 1);
    let text = text.as_bytes().get(..4096).unwrap();
    let hostile = vec![b'a'; 4096];
    let mut group = criterion.benchmark_group("guard");
    group.throughput(Throughput::Bytes(4096));
    for (name, count, email) in [("1", 1, false), ("10", 10, false), ("100", 100, false), ("100 and e-mail", 100, true)]
    {
        let begun = Instant::now();
        let engine = Arc::new(Engine::compile(rules(count, email)).unwrap());
        let (built, cost, hold) = (begun.elapsed(), engine.cost(), engine.hold(SAMPLE.as_bytes()));
        println!("{name} rules: {} states, {} KiB, built in {built:?}", cost.states, cost.bytes / 1024);
        println!("  held: {:.2} bytes on average, p99 {}, at most {}", hold.mean, hold.p99, hold.max);
        let selection = Arc::new(engine.everything());
        let mut output = Output::default();
        for (way, text, part) in [("whole", text, 4096), ("parts of 4", text, 4), ("hostile, parts of 4", &hostile, 4)]
        {
            group.bench_function(BenchmarkId::new(way, name), |bencher| {
                bencher.iter(|| run(&engine, &selection, text, part, &mut output));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = guard
}
criterion_main!(benches);
