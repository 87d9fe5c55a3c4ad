//! What the stages cost that every request meets, in nanoseconds: `cargo bench -p portcullis-gateway --bench stages`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_dialects::{
    canonical::{Head, canonicalise},
    hygiene::{Origin, add_forwarded, clean_answer, clean_request},
    identifiers::RequestId,
    model::{GrpcScan, from_json},
    refusal::Dialect,
    sse::{Bounds, Splitter, Tail},
};
use portcullis_policy::snapshot::Scheme;

/// What the OpenAI SDK for Python sends.
const REQUEST: [(&str, &str); 18] = [
    ("host", "models.corp.example"),
    ("connection", "keep-alive"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("content-type", "application/json"),
    ("content-length", "1024"),
    ("user-agent", "OpenAI/Python 3.54.0"),
    ("authorization", "Bearer sk-0123456789abcdef0123456789abcdef"),
    ("x-stainless-lang", "python"),
    ("x-stainless-package-version", "3.54.0"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.13.1"),
    ("x-stainless-async", "false"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-read-timeout", "600"),
    ("cookie", "a=b"),
];

/// What vLLM answers.
const ANSWER: [(&str, &str); 5] = [
    ("date", "Tue, 24 Nov 2026 15:00:00 GMT"),
    ("server", "uvicorn"),
    ("content-length", "1024"),
    ("content-type", "application/json"),
    ("endpoint-load-metrics", "JSON {\"named_metrics\":{\"kv_cache_usage_perc\":0.1}}"),
];

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

/// A chat request of about so many bytes; `model` comes last or first.
fn chat(bytes: usize, text: &str, is_model_last: bool) -> Vec<u8> {
    let content = text.repeat(bytes.saturating_sub(120) / text.len());
    let rest = format!(r#""messages":[{{"role":"user","content":"{content}"}}],"temperature":0.7,"stream":true"#);
    let model = r#""model":"meta-llama/Llama-3.1-8B-Instruct""#;
    let body = if is_model_last { format!("{{{rest},{model}}}") } else { format!("{{{model},{rest}}}") };
    body.into_bytes()
}

fn canonical(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("canonical");
    for (name, target, host) in [
        ("as it is", "/v1/chat/completions", "models.corp.example"),
        ("to be copied", "/v1//chat/./completions", "Models.corp.example"),
    ] {
        let hosts = [HeaderValue::from_static(host)];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let head = Head {
                    method: &Method::POST,
                    target: black_box(target.as_bytes()),
                    authority: None,
                    hosts: black_box(&hosts),
                    scheme: Scheme::Https,
                    extended_connect: false,
                };
                canonicalise(&head).map(|canonical| canonical.path().len())
            });
        });
    }
}

fn model(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("model");
    for (name, body) in [
        ("1 KiB", chat(1024, "The quick brown fox jumps over the lazy dog. ", false)),
        ("1 KiB, escapes", chat(1024, "The quick\\nbrown \\\"fox\\\" jumps. ", true)),
        ("100 KiB", chat(100 * 1024, "The quick brown fox jumps over the lazy dog. ", true)),
        ("100 KiB, UTF-8", chat(100 * 1024, "Der schnelle braune Fuchs springt \u{fc}ber den faulen Hund. ", true)),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| from_json(black_box(&body)).map(|prompt| prompt.model.map(|model| model.len())));
        });
    }
    let message = b"\0\0\0\x04\x0c\x0a\x06simple\x3a\x80\x08".iter().copied().chain([0; 1024]).collect::<Vec<u8>>();
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("gRPC, 1 KiB", |bencher| {
        bencher.iter(|| {
            let mut scan = GrpcScan::new(1);
            scan.push(black_box(&message)).map(|()| scan.model().is_some())
        });
    });
}

fn headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("headers");
    let request = map(&REQUEST);
    let answer = map(&ANSWER);
    let origin = Origin { client: HeaderValue::from_static("192.0.2.1"), scheme: HeaderValue::from_static("https") };
    let host = HeaderValue::from_static("models.corp.example");
    group.bench_function("clean a request of 18", |bencher| {
        bencher.iter_batched_ref(|| request.clone(), clean_request, BatchSize::SmallInput);
    });
    group.bench_function("clean an answer of 5", |bencher| {
        bencher.iter_batched_ref(|| answer.clone(), clean_answer, BatchSize::SmallInput);
    });
    group.bench_function("add x-forwarded-*", |bencher| {
        bencher.iter_batched_ref(
            || request.clone(),
            |headers| add_forwarded(headers, &origin, &host),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("name an exchange", |bencher| {
        bencher.iter(|| RequestId::choose(black_box(&request), black_box(1), black_box(2)).to_header_value());
    });
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events");
    let event =
        b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
                  [{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
    group.throughput(Throughput::Bytes(event.len() as u64));
    let mut tail = Tail::new(Dialect::OpenAi);
    group.bench_function("follow one", |bencher| bencher.iter(|| tail.push(black_box(event))));
    let mut splitter = Splitter::new(Bounds::default());
    group.bench_function("split one", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(&event[..]);
            splitter.next(&mut rest).map(|event| event.and_then(|event| event.data().map(|data| data.len())))
        });
    });
}

criterion_group!(benches, canonical, model, headers, events);
criterion_main!(benches);
