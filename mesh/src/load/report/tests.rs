//! Golden reports, everything that is rejected, and that what is written is read again.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use http::{HeaderMap, HeaderName};
use proptest::prelude::*;

use super::*;

const TEXT: &str = "TEXT application_utilization=0.82,rps_fractional=14.5,eps=0,named_metrics.num_requests_waiting=7,utilization.kv_cache=0.61";
const JSON: &str = r#"JSON {"application_utilization":0.82,"rps_fractional":14.5,"named_metrics":{"num_requests_waiting":7},"utilization":{"kv_cache":0.61}}"#;
/// The report of `JSON` as protobuf's own Python library writes it.
const BINARY: &str = "KhMKCGt2X2NhY2hlEYXrUbgeheM/MQAAAAAAAC1AQh8KFG51bV9yZXF1ZXN0c193YWl0aW5nEQAAAAAAABxAST0K16NwPeo/";

fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

fn read(value: &str) -> Result<LoadReport, Rejection> {
    LoadReport::from_headers(&headers(&[(HEADER, value)])).expect("there is a report")
}

fn golden() -> LoadReport {
    let mut report =
        LoadReport { application_utilization: Some(0.82), rps_fractional: Some(14.5), ..LoadReport::default() };
    report.named_metrics.set("num_requests_waiting", 7.0);
    report.utilization.set("kv_cache", 0.61);
    report
}

#[test]
fn the_golden_reports_are_read_and_written() {
    let with_eps = LoadReport { eps: Some(0.0), ..golden() };
    assert_eq!(read(TEXT), Ok(with_eps.clone()));
    assert_eq!(with_eps.to_value(Format::Text).unwrap(), TEXT);
    assert_eq!(read(JSON), Ok(golden()));
    assert_eq!(golden().to_value(Format::Json).unwrap(), JSON);
    assert_eq!(LoadReport::from_headers(&headers(&[(BINARY_HEADER, BINARY)])), Some(Ok(golden())));
    assert_eq!(golden().to_trailer().unwrap(), BINARY);
    assert_eq!(read(&format!("BIN {BINARY}")), Ok(golden()));
    assert_eq!(with_eps.to_value(Format::Binary).unwrap(), format!("BIN {BINARY}"));
}

#[test]
fn reports_of_other_servers_are_read() {
    let named = |pairs: &[(&str, f64)]| {
        let mut report = LoadReport::default();
        for (name, value) in pairs {
            report.named_metrics.set(name, *value);
        }
        report
    };
    let vllm = named(&[("kv_cache_usage_perc", 0.4), ("num_requests_waiting", 3.0)]);
    for text in [
        "TEXT named_metrics.kv_cache_usage_perc=0.4, named_metrics.num_requests_waiting=3",
        "named_metrics.kv_cache_usage_perc=0.4, named_metrics.num_requests_waiting=3",
        "text named_metrics.kv_cache_usage_perc:0.4 , named_metrics.num_requests_waiting: 3",
        r#"JSON {"named_metrics": {"kv_cache_usage_perc": 0.4, "num_requests_waiting": 3.0}}"#,
        r#"{"namedMetrics": {"kv_cache_usage_perc": "0.4", "num_requests_waiting": 3}, "eps": null}"#,
    ] {
        assert_eq!(read(text), Ok(vllm.clone()), "{text}");
    }
    assert_eq!(
        read("TEXT named_metrics.kv_cache_utilization=0.000160, named_metrics.max_token_capacity=399296"),
        Ok(named(&[("kv_cache_utilization", 0.00016), ("max_token_capacity", 399_296.0)]))
    );
    let older = LoadReport { cpu_utilization: Some(0.7), eps: Some(2.0), ..LoadReport::default() };
    assert_eq!(read("TEXT cpu_utilization:0.7,eps:2"), Ok(older.clone()));
    let json = headers(&[(JSON_HEADER, r#"{"cpu_utilization": 0.7, "eps": 2}"#)]);
    assert_eq!(LoadReport::from_headers(&json), Some(Ok(older)));
    assert_eq!(LoadReport::from_headers(&HeaderMap::new()), None);
    // Padding is as the sender likes it.
    let bytes = LoadReport { eps: Some(1.0), ..LoadReport::default() }.to_binary();
    for text in [BASE64_STANDARD.encode(&bytes), BASE64_STANDARD_NO_PAD.encode(&bytes)] {
        let read = LoadReport::from_headers(&headers(&[(BINARY_HEADER, &text)])).unwrap().unwrap();
        assert_eq!(read.eps, Some(1.0));
    }
}

#[test]
fn a_report_of_which_anything_is_wrong_is_rejected_whole() {
    let many = |count: usize| (0..count).map(|n| format!("named_metrics.m{n}=1")).collect::<Vec<_>>().join(",");
    assert_eq!(read(&many(KEYS_MAX)).unwrap().keys(), KEYS_MAX);
    let rows: &[(&str, &str)] = &[
        ("TEXT eps=1,eps=1", "duplicate"),
        ("TEXT utilization.a=0.1,utilization.a=0.2", "duplicate"),
        (r#"JSON {"eps":1,"eps":1}"#, "duplicate"),
        (r#"JSON {"named_metrics":{"a":1,"a":1}}"#, "duplicate"),
        (r#"JSON {"utilization":{},"utilization":{}}"#, "duplicate"),
        ("TEXT ", "empty"),
        ("TEXT eps=", "empty"),
        ("TEXT =1", "empty"),
        ("TEXT eps=1,", "empty"),
        ("TEXT named_metrics.=1", "empty"),
        ("TEXT named_metrics=1", "empty"),
        (r#"JSON {"named_metrics":{"":1}}"#, "empty"),
        (r#"JSON {"eps":""}"#, "empty"),
        ("BIN ", "empty"),
        ("TEXT eps=nan", "not_finite"),
        ("TEXT named_metrics.a=inf", "not_finite"),
        ("TEXT eps=1e999", "not_finite"),
        (r#"JSON {"eps":"NaN"}"#, "not_finite"),
        (r#"JSON {"utilization":{"a":"Infinity"}}"#, "not_finite"),
        ("TEXT eps=-1", "negative"),
        ("TEXT named_metrics.a=-0.5", "negative"),
        (r#"JSON {"rps":-1}"#, "negative"),
        ("TEXT utilization.kv_cache=1.01", "out_of_range"),
        ("TEXT mem_utilization=2", "out_of_range"),
        (r#"JSON {"utilization":{"a":1.5}}"#, "out_of_range"),
        ("TEXT eps=one", "not_a_number"),
        ("TEXT eps=0x1", "not_a_number"),
        ("TEXT nonsense=1", "unknown_field"),
        ("TEXT labels.a=1", "unknown_field"),
        (r#"JSON {"nonsense":1}"#, "unknown_field"),
        ("XML eps=1", "unknown_encoding"),
        ("nonsense", "unknown_encoding"),
        ("TEXT eps", "malformed"),
        ("JSON {", "malformed"),
        ("JSON []", "malformed"),
        (r#"JSON {"eps":1} x"#, "malformed"),
        (r#"JSON {"eps":{}}"#, "malformed"),
        ("BIN !!!!", "malformed"),
        ("BIN /////w==", "malformed"),
        ("TEXT named_metrics.a b=1", "odd_name"),
        (r#"JSON {"named_metrics":{"a\n":1}}"#, "odd_name"),
    ];
    for (value, word) in rows {
        assert_eq!(read(value).expect_err(value).word(), *word, "{value}");
    }
    assert_eq!(read(&many(KEYS_MAX + 1)), Err(Rejection::TooManyKeys));
    assert_eq!(read(&format!("eps=1,{}", many(KEYS_MAX))), Err(Rejection::TooManyKeys));
    assert_eq!(read(&many(10_000)), Err(Rejection::TooLong));
    let long = format!("TEXT named_metrics.{}=1", "a".repeat(NAME_BYTES_MAX + 1));
    assert_eq!(read(&long), Err(Rejection::OddName));
    let two = headers(&[(HEADER, "TEXT eps=1"), (BINARY_HEADER, BINARY)]);
    assert_eq!(LoadReport::from_headers(&two), Some(Err(Rejection::Several)));
    let mut two = headers(&[(HEADER, "TEXT eps=1")]);
    two.append(HEADER, "TEXT eps=1".parse().unwrap());
    assert_eq!(LoadReport::from_headers(&two), Some(Err(Rejection::Several)));
}

#[test]
fn a_message_is_rejected_for_the_same_reasons() {
    // Field 8, an entry: the name `a` and the double that is given.
    let entry = |value: f64| [&[0x42, 12, 0x0a, 1, b'a', 0x11], value.to_le_bytes().as_slice()].concat();
    assert_eq!(LoadReport::from_binary(&entry(2.0)).unwrap().named_metrics.value("a"), Some(2.0));
    assert_eq!(LoadReport::from_binary(&[entry(1.0), entry(1.0)].concat()), Err(Rejection::Duplicate));
    assert_eq!(LoadReport::from_binary(&entry(f64::NAN)), Err(Rejection::NotFinite));
    assert_eq!(LoadReport::from_binary(&entry(-1.0)), Err(Rejection::Negative));
    // Field 1.
    let cpu = |value: f64| [[0x09].as_slice(), &value.to_le_bytes()].concat();
    assert_eq!(LoadReport::from_binary(&cpu(f64::INFINITY)), Err(Rejection::NotFinite));
    assert_eq!(LoadReport::from_binary(&cpu(1.5)).unwrap().cpu_utilization, Some(1.5));
    assert_eq!(LoadReport::from_binary(&vec![0; REPORT_BYTES_MAX + 1]), Err(Rejection::TooLong));
    assert_eq!(LoadReport::from_binary(entry(1.0).get(..5).unwrap()), Err(Rejection::Malformed));
    // A field that a later definition has is no reason.
    assert_eq!(LoadReport::from_binary(&[0xf8, 0x06, 1]), Ok(LoadReport::default()));
}

#[test]
fn the_fullest_report_fits_and_is_read() {
    let mut report = LoadReport::default();
    for n in 0..KEYS_MAX * 2 {
        report.utilization.set(&format!("{n:0>NAME_BYTES_MAX$}"), 0.123_456_789_012_345_68);
    }
    for format in [Format::Text, Format::Json, Format::Binary] {
        let value = report.to_value(format).unwrap();
        assert!(value.len() <= REPORT_BYTES_MAX, "{format:?}: {} bytes", value.len());
        assert_eq!(read(value.to_str().unwrap()), Ok(report.clone()));
    }
}

#[test]
fn what_a_report_cannot_have_is_not_written() {
    let mut report = LoadReport { eps: Some(f64::NAN), cpu_utilization: Some(-1.0), ..golden() };
    for (name, value) in [("a b", 1.0), ("", 1.0), ("nan", f64::NAN), ("less", -1.0)] {
        report.named_metrics.set(name, value);
    }
    assert_eq!(report.to_value(Format::Json).unwrap(), JSON);
    assert_eq!(LoadReport::default().to_value(Format::Json), None);
    let idle = LoadReport { eps: Some(0.0), ..LoadReport::default() };
    assert_eq!((idle.to_value(Format::Binary), idle.to_trailer()), (None, None));
    assert_eq!(idle.to_value(Format::Text).unwrap(), "TEXT eps=0");
    let costs = LoadReport { rps: Some(1), ..LoadReport::default() };
    assert_eq!(costs.to_value(Format::Text), None);
}

#[test]
fn ours_completes_what_a_server_says() {
    let mut ours = LoadReport { application_utilization: Some(0.5), ..LoadReport::default() };
    ours.named_metrics.set("num_requests_waiting", 2.0);
    let theirs = read("named_metrics.num_requests_waiting=9, named_metrics.kv_cache_usage_perc=0.4, eps=1").unwrap();
    ours.complete(&theirs);
    assert_eq!((ours.application_utilization, ours.eps), (Some(0.5), Some(1.0)));
    assert_eq!(ours.named_metrics.value("num_requests_waiting"), Some(2.0));
    assert_eq!(ours.named_metrics.value("kv_cache_usage_perc"), Some(0.4));
}

#[test]
fn a_request_says_which_encoding_it_wants() {
    let asked = |value: &str| Format::asked(&headers(&[(FORMAT_HEADER, value)]));
    assert_eq!(asked("text"), Some(Format::Text));
    assert_eq!(asked("JSON"), Some(Format::Json));
    assert_eq!(asked(" bin "), Some(Format::Binary));
    assert_eq!(asked("xml"), None);
    assert_eq!(Format::asked(&HeaderMap::new()), None);
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1.0, 1e-30..1e-3, 1e3..1e30]
}

fn metrics(value: impl Strategy<Value = f64>) -> impl Strategy<Value = Metrics> {
    prop::collection::btree_map("[a-z_.][a-zA-Z0-9_.]{0,20}", value, 0..6).prop_map(|map| {
        let mut metrics = Metrics::default();
        for (name, value) in map {
            metrics.set(&name, value);
        }
        metrics
    })
}

fn report() -> impl Strategy<Value = LoadReport> {
    let some = |value| prop::option::of(value);
    let scalars = (some(value().boxed()), some(value().boxed()), some((0.0..=1.0).boxed()), some(value().boxed()));
    let maps = (metrics(value()), metrics(0.0..=1.0), metrics(value()));
    (scalars, some(value().boxed()), prop::option::of(1_u64..1 << 50), maps).prop_map(
        |((application, cpu, memory, rps_fractional), eps, rps, (named_metrics, utilization, request_cost))| {
            LoadReport {
                application_utilization: application,
                cpu_utilization: cpu,
                mem_utilization: memory,
                rps_fractional,
                eps,
                rps,
                named_metrics,
                utilization,
                request_cost,
            }
        },
    )
}

/// JSON's numbers are read to within the last bit.
fn are_close(one: &LoadReport, other: &LoadReport) -> bool {
    let values = |report: &LoadReport| -> Vec<(String, f64)> {
        let scalars = Scalar::ALL.into_iter().filter_map(|it| Some((it.name().to_owned(), report.scalar(it)?)));
        let maps = Map::ALL
            .into_iter()
            .flat_map(|map| report.map(map).iter().map(move |(name, value)| (format!("{}.{name}", map.name()), value)));
        scalars.chain(maps).collect()
    };
    let (one_values, other_values) = (values(one), values(other));
    one.rps == other.rps
        && one_values.len() == other_values.len()
        && one_values.iter().zip(&other_values).all(|((name, value), (other_name, other_value))| {
            name == other_name && (value - other_value).abs() <= 1e-15 * value.abs()
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(report in report()) {
        let of_json = LoadReport::from_json(&report.to_json()).unwrap();
        prop_assert!(are_close(&of_json, &report), "{of_json:?} is not {report:?}");
        let without_zeros = |value: Option<f64>| value.filter(|value| *value != 0.0);
        let said = LoadReport {
            application_utilization: without_zeros(report.application_utilization),
            cpu_utilization: without_zeros(report.cpu_utilization),
            mem_utilization: without_zeros(report.mem_utilization),
            rps_fractional: without_zeros(report.rps_fractional),
            eps: without_zeros(report.eps),
            ..report.clone()
        };
        prop_assert_eq!(LoadReport::from_binary(&report.to_binary()), Ok(said));
        let told = LoadReport { rps: None, request_cost: Metrics::default(), ..report };
        if told.keys() > 0 {
            prop_assert_eq!(LoadReport::from_text(&told.to_text()), Ok(told));
        }
    }

    #[test]
    fn anything_is_read_or_rejected(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = LoadReport::from_value(&text);
        let _ = LoadReport::from_json(&text);
        let _ = LoadReport::from_binary(&bytes);
    }
}
