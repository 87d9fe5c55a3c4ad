//! What it costs to find the texts of a document, and to write one anew. Run it with
//! `cargo bench -p portcullis-policy --bench lanes`.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portcullis_policy::guard::lanes::{
    document::{Document, Edit, Place, Screener, Settings, rewrite},
    json::{Fault, Path, Quoted, Visitor, walk},
    shape::{Api, Shape},
};

/// Masks one word.
struct Masking(&'static str);

impl Screener for Masking {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        match text.find(self.0) {
            Some(at) => Edit::Ranges(vec![(at..at + self.0.len(), "[masked]".to_owned())]),
            None => Edit::Keep,
        }
    }
}

/// Knows what each string is, and does nothing about it.
struct Classify(Shape, usize);

impl<'b> Visitor<'b> for Classify {
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        self.1 +=
            usize::from(matches!(self.0.field(path.known()), portcullis_policy::guard::lanes::shape::Field::Text(_)))
                * text.raw.len();
        Ok(())
    }
}

fn chat(bytes: usize) -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45);
    let messages =
        serde_json::json!([{"role": "system", "content": "You are kind."}, {"role": "user", "content": text}]);
    serde_json::json!({"model": "m", "messages": messages, "stream": true, "max_tokens": 100, "temperature": 0.5})
        .to_string()
}

fn answer() -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    serde_json::json!({
        "id": "chatcmpl-123", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })
    .to_string()
}

fn event() -> String {
    serde_json::json!({
        "id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": {"content": " fox"}, "logprobs": null, "finish_reason": null}],
    })
    .to_string()
}

fn lanes(criterion: &mut Criterion) {
    let settings = Settings::default();
    let (request, response) = (Shape::request(Api::Chat), Shape::answer(Api::Chat));
    for (name, shape, json) in [
        ("chat request, 1 KiB", request, chat(900)),
        ("chat request, 100 KiB", request, chat(100 * 1024)),
        ("chat answer, 1 KiB", response, answer()),
        ("chat event", Shape::event(Api::Chat), event()),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_function("walk and classify", |bencher| {
            bencher.iter(|| {
                let mut classify = Classify(shape, 0);
                walk(black_box(json.as_bytes()), &mut classify).unwrap();
                classify.1
            });
        });
        group.bench_function("read", |bencher| {
            bencher.iter(|| Document::read(shape, black_box(json.as_bytes()), &settings).unwrap().texts().count());
        });
        group.bench_function("rewrite", |bencher| {
            bencher.iter(|| rewrite(shape, black_box(json.as_bytes()), &settings, &mut Masking("lazy")).unwrap());
        });
    }
}

criterion_group!(benches, lanes);
criterion_main!(benches);
