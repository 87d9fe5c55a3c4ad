//! What measuring costs an exchange, and what a page of metrics and a report cost.
//!
//! `cargo bench -p portcullis-mesh --bench load`.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portcullis_mesh::load::{EngineReading, Format, LoadReport, Measure, Outcome, Priority, Setting, Window};

fn measuring(criterion: &mut Criterion) {
    let begun = Instant::now();
    let measure = Measure::new(1, begun);
    let (label, worker) = (measure.label("llama"), measure.worker(0).unwrap());
    let mut group = criterion.benchmark_group("measure");
    // A thousand others are in flight.
    let _others: Vec<_> = (0..1000).map(|_| worker.arrived(label, Priority::default(), begun)).collect();
    group.bench_function("exchange", |bencher| {
        bencher.iter(|| {
            let mut flight = worker.arrived(label, Priority::default(), black_box(begun));
            flight.sent(begun);
            flight.token(begun);
            flight.used(100, 0, 10);
            flight.ended(Outcome::Completed, black_box(begun));
        });
    });
    let mut flight = worker.arrived(label, Priority::default(), begun);
    flight.token(begun);
    group.bench_function("token", |bencher| bencher.iter(|| flight.token(black_box(begun))));
    group.finish();
}

/// A page of vLLM's of about a megabyte: most of it is buckets of histograms.
fn page() -> String {
    let mut page = String::new();
    let mut engine = 0;
    while page.len() < 1 << 20 {
        let labels = format!("engine=\"{engine}\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"");
        for name in ["num_requests_running", "num_requests_waiting", "request_success_total", "prompt_tokens_total"] {
            let _ = writeln!(page, "# TYPE vllm:{name} gauge\nvllm:{name}{{{labels}}} 12.0");
        }
        for name in ["request_queue_time_seconds", "request_inference_time_seconds", "time_to_first_token_seconds"] {
            for bucket in 0..24 {
                let _ = writeln!(page, "vllm:{name}_bucket{{{labels},le=\"{bucket}.5\"}} 17.0");
            }
            let _ = writeln!(page, "vllm:{name}_sum{{{labels}}} 3.25\nvllm:{name}_count{{{labels}}} 17.0");
        }
        engine += 1;
    }
    page
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("page");
    for (name, page) in [("1 MiB", page()), ("vllm", include_str!("../tests/pages/vllm.txt").to_owned())] {
        group.throughput(Throughput::Bytes(page.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| EngineReading::read(black_box(page.as_bytes()), Instant::now()).unwrap());
        });
    }
    group.finish();
}

fn reporting(criterion: &mut Criterion) {
    let begun = Instant::now();
    let measure = Measure::new(8, begun);
    let label = measure.label("llama");
    let mut window = Window::default();
    let page = include_str!("../tests/pages/vllm.txt");
    for second in 0..30 {
        let now = begun + Duration::from_secs(second);
        window.push(measure.totals(label), now);
        let reading = EngineReading::read(page.as_bytes(), now).unwrap();
        window.push_engine(&reading, "meta-llama/Llama-3.1-8B-Instruct");
    }
    let now = begun + Duration::from_secs(30);
    let setting = Setting { engine_period: Duration::from_secs(1), ..Setting::default() };
    let mut group = criterion.benchmark_group("report");
    group.bench_function("made", |bencher| bencher.iter(|| window.report(&measure, &setting, black_box(now))));
    let report = window.report(&measure, &setting, now);
    for (name, format) in [("text", Format::Text), ("json", Format::Json), ("binary", Format::Binary)] {
        let value = report.to_value(format).unwrap();
        let text = value.to_str().unwrap();
        group.bench_function(format!("{name} written"), |bencher| bencher.iter(|| report.to_value(format)));
        group.bench_function(format!("{name} read"), |bencher| {
            bencher.iter(|| LoadReport::from_value(black_box(text)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, measuring, reading, reporting);
criterion_main!(benches);
