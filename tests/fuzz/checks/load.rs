//! What must hold for load reports of strangers, and for metric pages of engines.

use std::time::Instant;

use http::{HeaderMap, HeaderValue};
use portcullis_mesh::load::{
    EngineReading, Format, LoadReport,
    engine::ENGINE_LABELS_MAX,
    report::{BINARY_HEADER, HEADER, JSON_HEADER, KEYS_MAX, REPORT_BYTES_MAX},
};

/// The first byte chooses the header. What is read is within its bounds, is written so that it fits, and reads the same again.
pub fn load_report(input: &[u8]) {
    let Some((kind, value)) = input.split_first() else { return };
    let header = [HEADER, BINARY_HEADER, JSON_HEADER].into_iter().nth(usize::from(kind % 3)).unwrap_or(HEADER);
    let report = match HeaderValue::from_bytes(value) {
        Ok(value) => LoadReport::from_headers(&HeaderMap::from_iter([(header, value)])).expect("there is one"),
        Err(_) => LoadReport::from_binary(value),
    };
    let Ok(report) = report else { return };
    assert!(report.keys() <= KEYS_MAX && value.len() <= REPORT_BYTES_MAX);
    for format in [Format::Text, Format::Json, Format::Binary] {
        let Some(told) = report.to_value(format) else { continue };
        assert!(told.len() <= REPORT_BYTES_MAX, "{} bytes", told.len());
        let again = LoadReport::from_value(told.to_str().expect("ASCII")).expect("what we write we read");
        assert_eq!(again.named_metrics.len(), report.named_metrics.len());
        assert_eq!(again.utilization.len(), report.utilization.len());
        for ((name, value), (known, expected)) in again.named_metrics.iter().zip(report.named_metrics.iter()) {
            // JSON's numbers are read to within the last bit.
            assert!(name == known && (value - expected).abs() <= 1e-15 * expected, "{name}: {value} for {expected}");
        }
        assert!(again.utilization.iter().all(|(_, share)| (0.0..=1.0).contains(&share)));
    }
}

/// A page is read or refused, the same way each time, and nothing on it makes a value that nothing can have.
pub fn load_page(input: &[u8]) {
    let now = Instant::now();
    let (first, second) = (EngineReading::read(input, now), EngineReading::read(input, now));
    assert_eq!(first.as_ref().err(), second.as_ref().err());
    let (Ok(first), Ok(second)) = (first, second) else { return };
    assert!(first.samples().eq(second.samples()));
    assert!(first.samples().count() <= ENGINE_LABELS_MAX + 1);
    for (_, sample) in first.samples() {
        for share in [sample.kv_usage()].into_iter().flatten() {
            assert!((0.0..=1.0).contains(&share), "{share}");
        }
        for value in [sample.compute_seconds(), sample.ended(), sample.kv_tokens_free()].into_iter().flatten() {
            assert!(value >= 0.0, "{value}");
        }
    }
}
