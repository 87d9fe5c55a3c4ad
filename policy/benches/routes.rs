//! How long a lookup takes, and building a table, with 10 to 100,000 routes of four ordinary shapes.
//!
//! `one` asks the same question again and again, as a busy route is asked; `all` goes through every route in a
//! scattered order, so that it also measures the memory that a large table takes. Run it with
//! `cargo bench -p portcullis-policy --bench routes`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_policy::{
    action::ActionSet,
    routes::{Facts, Found, HeaderMatch, MODEL_HEADER, Model, PathMatch, RouteEntry, RouteTable, TieBreak, ValueMatch},
    snapshot::{Access, DocumentId, Filters, HostPattern, Location, Rule},
};

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];
const SHAPES: [Shape; 5] = [Shape::Host, Shape::Exact, Shape::Prefix, Shape::Header, Shape::Model];

/// What the routes differ in.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Host,
    Exact,
    Prefix,
    Header,
    Model,
}

/// The words of a request.
struct Asked {
    host: String,
    path: String,
    headers: HeaderMap,
    model: String,
}

fn rule(number: usize) -> Arc<Rule> {
    let id = |kind: &str, name: &str| DocumentId {
        group: "g".into(),
        kind: kind.into(),
        namespace: "n".into(),
        name: name.into(),
    };
    let location = Location { file: "f".into(), line: 1, column: 1 };
    Arc::new(Rule {
        route: id("HTTPRoute", &format!("route-{number}")),
        name: None,
        index: 0,
        location: location.clone(),
        filters: Filters::default(),
        backends: Vec::new(),
        request_timeout: None,
        backend_request_timeout: None,
        retry: None,
        access: Access::Anonymous { policy: id("AccessPolicy", "open"), location, actions: ActionSet::EVERY },
        guardrails: None,
        grpc: false,
    })
}

fn entry(shape: Shape, number: usize) -> RouteEntry {
    let header = |name: &'static str, value: String| HeaderMatch {
        name: HeaderName::from_static(name),
        value: ValueMatch::Exact(value.into()),
    };
    let host = match shape {
        Shape::Host => format!("team-{number}.example.com"),
        _ => "api.example.com".to_owned(),
    };
    RouteEntry {
        host: HostPattern::Exact(host.into()),
        path: match shape {
            Shape::Exact => PathMatch::Exact(format!("/v1/team-{number}/completions").into()),
            Shape::Prefix => PathMatch::Prefix(format!("/team-{number}").into()),
            _ => PathMatch::Prefix("/v1".into()),
        },
        method: None,
        headers: match shape {
            Shape::Header => vec![header("x-team", format!("team-{number}"))],
            Shape::Model => vec![header(MODEL_HEADER, format!("model-{number}"))],
            _ => Vec::new(),
        },
        query: Vec::new(),
        tie: TieBreak { created: (true, "".into()), route: format!("n/route-{number}").into(), rule: 0, matching: 0 },
        rule: rule(number),
    }
}

fn asked(shape: Shape, number: usize) -> Asked {
    let mut headers = HeaderMap::new();
    // Only where they are read: a request's own memory is warm when it is routed.
    if let Shape::Header = shape {
        headers.insert("x-team", HeaderValue::from_str(&format!("team-{number}")).unwrap());
    }
    Asked {
        host: match shape {
            Shape::Host => format!("team-{number}.example.com"),
            _ => "api.example.com".to_owned(),
        },
        path: match shape {
            Shape::Exact => format!("/v1/team-{number}/completions"),
            Shape::Prefix => format!("/team-{number}/v1/completions"),
            _ => "/v1/chat/completions".to_owned(),
        },
        headers,
        model: format!("model-{number}"),
    }
}

fn find(table: &RouteTable, asked: &Asked) -> usize {
    let Asked { host, path, headers, model } = asked;
    let facts = Facts { host, method: &Method::POST, path, query: None, headers, model: Model::Known(Some(model)) };
    match table.find(black_box(&facts)) {
        Found::Rule(found) => found.prefix_len.unwrap_or_default(),
        other => unreachable!("{other:?}"),
    }
}

fn lookups(criterion: &mut Criterion) {
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(format!("find/{shape:?}"));
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1)).sample_size(20);
        for size in SIZES {
            let table = RouteTable::new((0..size).map(|number| entry(shape, number)).collect());
            let middle = asked(shape, size / 2);
            group.bench_function(BenchmarkId::new("one", size), |bencher| bencher.iter(|| find(&table, &middle)));
            // 7919 is a prime that divides none of the sizes.
            let all: Vec<Asked> = (0..size).map(|step| asked(shape, step * 7919 % size)).collect();
            let mut at = 0;
            group.bench_function(BenchmarkId::new("all", size), |bencher| {
                bencher.iter(|| {
                    at = if at + 1 == all.len() { 0 } else { at + 1 };
                    find(&table, &all[at])
                });
            });
        }
        group.finish();
    }
}

fn unread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("find/Model unread");
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1)).sample_size(20);
    for size in SIZES {
        let table = RouteTable::new((0..size).map(|number| entry(Shape::Model, number)).collect());
        let Asked { host, path, headers, .. } = asked(Shape::Model, 0);
        let facts = Facts {
            host: &host,
            method: &Method::POST,
            path: &path,
            query: None,
            headers: &headers,
            model: Model::Unread,
        };
        group.bench_function(BenchmarkId::new("one", size), |bencher| {
            bencher.iter(|| matches!(table.find(black_box(&facts)), Found::NeedsModel(_)));
        });
    }
    group.finish();
}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1)).sample_size(10);
    for shape in SHAPES {
        let entries: Vec<RouteEntry> = (0..10_000).map(|number| entry(shape, number)).collect();
        group.bench_function(format!("{shape:?}/10000"), |bencher| {
            bencher.iter_with_large_drop(|| RouteTable::new(entries.clone()));
        });
    }
    group.finish();
}

criterion_group!(benches, lookups, unread, building);
criterion_main!(benches);
