//! Load reports in the answer's head, as the servers that are imitated write them (ORCA, `endpoint-load-metrics`).

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::simulator::{Flavour, State};

const FORMAT: HeaderName = HeaderName::from_static("endpoint-load-metrics-format");
const REPORT: HeaderName = HeaderName::from_static("endpoint-load-metrics");

/// Adds a report to the head of an answer, if the request asked for one in a format that is known.
///
/// vLLM reports on completions only, and so does Triton on its generate endpoints: callers know where they stand.
pub(crate) fn report(state: &State, request: &HeaderMap, answer: &mut HeaderMap) {
    let Some(format) = request.get(FORMAT).and_then(|format| format.to_str().ok()) else { return };
    let load = state.engine.load();
    let profile = &state.config.profile;
    let metrics = match state.config.flavour {
        Flavour::Vllm => [("kv_cache_usage_perc", load.kv_cache_usage), ("num_requests_waiting", load.waiting as f64)],
        Flavour::Triton => [
            ("kv_cache_utilization", load.kv_cache_usage),
            ("max_token_capacity", (profile.blocks_max * profile.block_tokens) as f64),
        ],
    };
    let text = match format.to_ascii_lowercase().as_str() {
        "text" => {
            let metrics = metrics.map(|(name, value)| format!("named_metrics.{name}={value}"));
            format!("TEXT {}", metrics.join(", "))
        }
        "json" => {
            let [(first, a), (second, b)] = metrics;
            format!("JSON {}", json!({"named_metrics": {first: a, second: b}}))
        }
        _ => return,
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.insert(REPORT, value);
    }
}
