//! The metric page: vLLM's or Triton's, and what the simulator knows of itself.

use std::{fmt::Write as _, time::Duration};

use crate::{
    engine::{FinishedReason, Histogram},
    kserve::{ModelTally, TENSOR_MODELS},
    simulator::{Flavour, State},
};

/// The whole page in Prometheus' text format.
pub(crate) fn page(state: &State) -> String {
    let mut page = Page { text: String::new(), labels: String::new() };
    match state.config.flavour {
        Flavour::Vllm => vllm(state, &mut page),
        Flavour::Triton => triton(state, &mut page),
    }
    page.labels.clear();
    page.one(
        "simulator_cancelled_total",
        "counter",
        "Requests whose client went away.",
        state.engine.cancelled() as f64,
    );
    page.text
}

fn vllm(state: &State, page: &mut Page) {
    let (load, tally, profile) = (state.engine.load(), state.engine.tally(), &state.config.profile);
    page.labels = format!("engine=\"0\",model_name=\"{}\"", escaped(state.first_model()));
    page.one(
        "vllm:num_requests_running",
        "gauge",
        "Number of requests in model execution batches.",
        load.running as f64,
    );
    page.one("vllm:num_requests_waiting", "gauge", "Number of requests waiting to be processed.", load.waiting as f64);
    page.one("vllm:kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.", load.kv_cache_usage);
    let counters = [
        ("prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.", tally.prefix_queries),
        ("prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", tally.prefix_hits),
        ("num_preemptions", "Cumulative number of preemption from the engine.", tally.preemptions),
        ("prompt_tokens", "Number of prefill tokens processed.", tally.prompt_tokens),
        ("generation_tokens", "Number of generation tokens processed.", tally.generation_tokens),
    ];
    for (name, help, value) in counters {
        page.one(&format!("vllm:{name}_total"), "counter", help, value as f64);
    }
    page.head("vllm:request_success_total", "counter", "Count of successfully processed requests.");
    for (reason, count) in &tally.finished {
        let reason = match reason {
            FinishedReason::Stop => "stop",
            FinishedReason::Length => "length",
            FinishedReason::Abort => "abort",
        };
        page.line("vllm:request_success_total", &format!("finished_reason=\"{reason}\""), *count as f64);
    }
    let histograms = [
        ("time_to_first_token_seconds", "Histogram of time to first token in seconds.", &tally.time_to_first_token),
        ("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &tally.inter_token_latency),
        ("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &tally.e2e_latency),
        ("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &tally.queue_time),
        ("request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", &tally.prefill_time),
        ("request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", &tally.decode_time),
    ];
    for (name, help, histogram) in histograms {
        page.histogram(&format!("vllm:{name}"), help, histogram);
    }
    page.head("vllm:cache_config_info", "gauge", "Information of the LLMEngine CacheConfig");
    let config = format!("block_size=\"{}\",num_gpu_blocks=\"{}\"", profile.block_tokens, profile.blocks_max);
    page.line("vllm:cache_config_info", &config, 1.0);
}

/// How a counter is read.
type Value<'f> = &'f dyn Fn(&ModelTally) -> f64;

fn triton(state: &State, page: &mut Page) {
    let models = state.instances.by_model();
    let names = TENSOR_MODELS.into_iter().chain(state.config.models.iter().map(String::as_str));
    let models: Vec<(String, ModelTally)> = names
        .map(|name| {
            (format!("model=\"{}\",version=\"1\"", escaped(name)), models.get(name).copied().unwrap_or_default())
        })
        .collect();
    let micros = |duration: Duration| duration.as_micros() as f64;
    let counters: [(&str, &str, Value<'_>); 7] = [
        ("request_success", "Number of successful inference requests, all batch sizes", &|tally| {
            tally.successes as f64
        }),
        ("count", "Number of inferences performed (does not include cached requests)", &|tally| tally.successes as f64),
        ("exec_count", "Number of model executions performed (does not include cached requests)", &|tally| {
            tally.successes as f64
        }),
        ("request_duration_us", "Cumulative inference request duration in microseconds", &|tally| {
            micros(tally.queued + tally.computed)
        }),
        ("queue_duration_us", "Cumulative inference queuing duration in microseconds", &|tally| micros(tally.queued)),
        ("compute_input_duration_us", "Cumulative compute input duration in microseconds", &|_| 0.0),
        ("compute_infer_duration_us", "Cumulative compute inference duration in microseconds", &|tally| {
            micros(tally.computed)
        }),
    ];
    for (name, help, value) in counters {
        let name = format!("nv_inference_{name}");
        page.head(&name, "counter", help);
        for (labels, tally) in &models {
            page.line(&name, labels, value(tally));
        }
    }
    page.head("nv_inference_request_failure", "counter", "Number of failed inference requests, all batch sizes");
    for (labels, tally) in &models {
        page.line("nv_inference_request_failure", &format!("{labels},reason=\"OTHER\""), tally.failures as f64);
    }
    let waiting = (state.instances.pending() + state.engine.load().waiting) as f64;
    page.one("nv_inference_pending_request_count", "gauge", "Instantaneous number of pending requests.", waiting);
}

/// A name as the value of a label.
fn escaped(name: &str) -> String {
    name.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

struct Page {
    text: String,
    /// Of every line.
    labels: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let labels: Vec<&str> =
            [self.labels.as_str(), labels].into_iter().filter(|labels| !labels.is_empty()).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        for (bound, count) in histogram.cumulative() {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            self.line(&format!("{name}_bucket"), &format!("le=\"{bound}\""), count as f64);
        }
        self.line(&format!("{name}_sum"), "", histogram.sum());
        self.line(&format!("{name}_count"), "", histogram.count() as f64);
    }
}
