//! The names that engines give what they count. They are quoted here and nowhere else; what a name's words mean is the
//! engine's affair.
//!
//! Sources: Triton's `docs/user_guide/metrics.md`, tensorrtllm_backend's README, TensorRT-LLM's
//! `tensorrt_llm/metrics/collector.py`, vLLM's `vllm/v1/metrics/loggers.py`, SGLang's
//! `python/sglang/srt/observability/metrics_collector.py`, NVIDIA's NIM documentation, llama.cpp's `tools/server/README.md`.

use std::{collections::HashMap, sync::LazyLock};

use foldhash::fast::RandomState;

use super::{Fold, Quantity, Quantity as Q, Row};

/// The rows of a name; none for a name that means nothing here. Counters may end in `_total`.
pub(super) fn rows(name: &str) -> &'static [Row] {
    static ROWS: LazyLock<HashMap<&'static str, Vec<Row>, RandomState>> = LazyLock::new(|| {
        let mut rows: HashMap<&'static str, Vec<Row>, RandomState> = HashMap::default();
        for row in [TRITON, TRITON_TRTLLM, TRTLLM, VLLM, SGLANG, NIM, LLAMA_CPP].into_iter().flatten() {
            rows.entry(row.name).or_default().push(*row);
        }
        rows
    });
    let of = |name| ROWS.get(name).map(Vec::as_slice);
    of(name).or_else(|| of(name.strip_suffix("_total")?)).unwrap_or_default()
}

const fn row(name: &'static str, quantity: Quantity) -> Row {
    let fold = match quantity {
        Q::KvUsage | Q::KvBlockTokens => Fold::Max,
        _ => Fold::Sum,
    };
    Row { name, only: None, about: "model_name", within: None, quantity, fold, unit: 1.0, rank: 0 }
}

/// A name of Triton's.
const fn triton(name: &'static str, quantity: Quantity) -> Row {
    Row { about: "model", ..row(name, quantity) }
}

const MICROSECONDS: f64 = 1e-6;
const MILLISECONDS: f64 = 1e-3;

impl Row {
    const fn only(self, label: &'static str, value: &'static str) -> Self {
        Self { only: Some((label, value)), ..self }
    }

    const fn within(self, label: &'static str) -> Self {
        Self { within: Some(label), ..self }
    }

    const fn unit(self, unit: f64) -> Self {
        Self { unit, ..self }
    }

    /// Counts only where nothing better is said.
    const fn or_else(self) -> Self {
        Self { rank: self.rank + 1, ..self }
    }
}

/// NVIDIA Triton. Its counters move when a request ends: of a queue that stands still they tell nothing.
const TRITON: &[Row] = &[
    triton("nv_inference_pending_request_count", Q::Waiting).or_else(),
    triton("nv_inference_queue_duration_us", Q::QueueSeconds).unit(MICROSECONDS),
    triton("nv_inference_compute_input_duration_us", Q::ComputeSeconds).unit(MICROSECONDS),
    triton("nv_inference_compute_infer_duration_us", Q::ComputeSeconds).unit(MICROSECONDS),
    triton("nv_inference_compute_output_duration_us", Q::ComputeSeconds).unit(MICROSECONDS),
    triton("nv_inference_request_success", Q::Finished),
    triton("nv_inference_request_failure", Q::Failed),
    triton("nv_inference_first_response_histogram_ms_sum", Q::FirstTokenSeconds).unit(MILLISECONDS),
    triton("nv_inference_first_response_histogram_ms_count", Q::FirstTokens),
];

/// TensorRT-LLM inside Triton.
const TRITON_TRTLLM: &[Row] = &[
    triton("nv_trt_llm_request_metrics", Q::Waiting).only("request_type", "waiting"),
    triton("nv_trt_llm_request_metrics", Q::Running).only("request_type", "scheduled"),
    triton("nv_trt_llm_request_metrics", Q::RunningMax).only("request_type", "max"),
    triton("nv_trt_llm_kv_cache_block_metrics", Q::KvUsage).only("kv_cache_block_type", "fraction"),
    triton("nv_trt_llm_kv_cache_block_metrics", Q::KvBlocks).only("kv_cache_block_type", "max"),
    triton("nv_trt_llm_kv_cache_block_metrics", Q::KvBlocksUsed).only("kv_cache_block_type", "used"),
    triton("nv_trt_llm_kv_cache_block_metrics", Q::KvBlocksFree).only("kv_cache_block_type", "free"),
    triton("nv_trt_llm_kv_cache_block_metrics", Q::KvBlockTokens).only("kv_cache_block_type", "tokens_per"),
    triton("nv_llm_input_token_len_sum", Q::InputTokens),
    triton("nv_llm_output_token_len_sum", Q::OutputTokens),
];

/// trtllm-serve (`/prometheus/metrics`).
const TRTLLM: &[Row] = &[
    row("trtllm_num_requests_waiting", Q::Waiting),
    row("trtllm_num_requests_running", Q::Running),
    row("trtllm_max_num_active_requests", Q::RunningMax),
    row("trtllm_kv_cache_utilization", Q::KvUsage),
    row("trtllm_kv_cache_max_blocks", Q::KvBlocks),
    row("trtllm_kv_cache_used_blocks", Q::KvBlocksUsed),
    row("trtllm_kv_cache_free_blocks", Q::KvBlocksFree),
    row("trtllm_kv_cache_tokens_per_block", Q::KvBlockTokens),
    row("trtllm_request_queue_time_seconds_sum", Q::QueueSeconds),
    row("trtllm_request_queue_time_seconds_count", Q::Queued),
    row("trtllm_request_inference_time_seconds_sum", Q::ComputeSeconds),
    row("trtllm_request_prefill_time_seconds_sum", Q::PrefillSeconds),
    row("trtllm_request_decode_time_seconds_sum", Q::DecodeSeconds),
    row("trtllm_e2e_request_latency_seconds_sum", Q::TotalSeconds),
    row("trtllm_request_success", Q::Finished),
    row("trtllm_request_error", Q::Failed),
    row("trtllm_time_to_first_token_seconds_sum", Q::FirstTokenSeconds),
    row("trtllm_time_to_first_token_seconds_count", Q::FirstTokens),
    row("trtllm_time_per_output_token_seconds_sum", Q::GapSeconds),
    row("trtllm_time_per_output_token_seconds_count", Q::Gaps),
    row("trtllm_prompt_tokens", Q::InputTokens),
    row("trtllm_prompt_cached_tokens", Q::CachedTokens),
    row("trtllm_generation_tokens", Q::OutputTokens),
];

/// vLLM. What waits because it was deferred does not wait for room, so only `capacity` counts where reasons are told.
const VLLM: &[Row] = &[
    row("vllm:num_requests_waiting_by_reason", Q::Waiting).only("reason", "capacity"),
    row("vllm:num_requests_waiting", Q::Waiting).or_else(),
    row("vllm:num_requests_running", Q::Running),
    row("vllm:kv_cache_usage_perc", Q::KvUsage),
    row("vllm:gpu_cache_usage_perc", Q::KvUsage).or_else(),
    row("vllm:cache_config_info", Q::KvBlocks).within("num_gpu_blocks"),
    row("vllm:cache_config_info", Q::KvBlockTokens).within("block_size"),
    row("vllm:request_queue_time_seconds_sum", Q::QueueSeconds),
    row("vllm:request_queue_time_seconds_count", Q::Queued),
    row("vllm:request_inference_time_seconds_sum", Q::ComputeSeconds),
    row("vllm:request_prefill_time_seconds_sum", Q::PrefillSeconds),
    row("vllm:request_decode_time_seconds_sum", Q::DecodeSeconds),
    row("vllm:e2e_request_latency_seconds_sum", Q::TotalSeconds),
    row("vllm:request_success", Q::Finished),
    row("vllm:time_to_first_token_seconds_sum", Q::FirstTokenSeconds),
    row("vllm:time_to_first_token_seconds_count", Q::FirstTokens),
    row("vllm:inter_token_latency_seconds_sum", Q::GapSeconds),
    row("vllm:inter_token_latency_seconds_count", Q::Gaps),
    row("vllm:time_per_output_token_seconds_sum", Q::GapSeconds).or_else(),
    row("vllm:time_per_output_token_seconds_count", Q::Gaps).or_else(),
    row("vllm:prompt_tokens", Q::InputTokens),
    row("vllm:generation_tokens", Q::OutputTokens),
    row("vllm:prefix_cache_hits", Q::CachedTokens),
    row("vllm:gpu_prefix_cache_hits", Q::CachedTokens).or_else(),
    row("vllm:prefix_cache_queries", Q::LookedUpTokens),
    row("vllm:gpu_prefix_cache_queries", Q::LookedUpTokens).or_else(),
    row("vllm:num_preemptions", Q::Preempted),
];

/// SGLang. `token_usage` is that of its fullest pool.
const SGLANG: &[Row] = &[
    row("sglang:num_queue_reqs", Q::Waiting),
    row("sglang:num_running_reqs", Q::Running),
    row("sglang:token_usage", Q::KvUsage),
    row("sglang:max_total_num_tokens", Q::KvTokens),
    row("sglang:kv_available_tokens", Q::KvTokensFree),
    row("sglang:kv_evictable_tokens", Q::KvTokensFree),
    row("sglang:cache_config_info", Q::KvBlocks).within("num_pages"),
    row("sglang:cache_config_info", Q::KvBlockTokens).within("page_size"),
    row("sglang:queue_time_seconds_sum", Q::QueueSeconds),
    row("sglang:queue_time_seconds_count", Q::Queued),
    row("sglang:per_stage_req_latency_seconds_sum", Q::PrefillSeconds).only("stage", "prefill_forward"),
    row("sglang:per_stage_req_latency_seconds_sum", Q::DecodeSeconds).only("stage", "decode_forward"),
    row("sglang:e2e_request_latency_seconds_sum", Q::TotalSeconds),
    row("sglang:num_requests", Q::Finished),
    row("sglang:e2e_request_latency_seconds_count", Q::Finished).or_else(),
    row("sglang:num_aborted_requests", Q::Failed),
    row("sglang:time_to_first_token_seconds_sum", Q::FirstTokenSeconds),
    row("sglang:time_to_first_token_seconds_count", Q::FirstTokens),
    row("sglang:inter_token_latency_seconds_sum", Q::GapSeconds),
    row("sglang:inter_token_latency_seconds_count", Q::Gaps),
    row("sglang:prompt_tokens", Q::InputTokens),
    row("sglang:generation_tokens", Q::OutputTokens),
    row("sglang:cached_tokens", Q::CachedTokens),
];

/// NIM (`/v1/metrics`); where it wraps vLLM, what vLLM says counts.
const NIM: &[Row] = &[
    row("num_requests_waiting", Q::Waiting).or_else().or_else(),
    row("num_requests_running", Q::Running).or_else(),
    row("num_request_max", Q::RunningMax).or_else(),
    row("gpu_cache_usage_perc", Q::KvUsage).or_else().or_else(),
    row("e2e_request_latency_seconds_sum", Q::TotalSeconds).or_else(),
    row("request_success", Q::Finished).or_else(),
    row("request_finish", Q::Finished).or_else().or_else(),
    row("request_failure", Q::Failed).or_else(),
    row("time_to_first_token_seconds_sum", Q::FirstTokenSeconds).or_else(),
    row("time_to_first_token_seconds_count", Q::FirstTokens).or_else(),
    row("time_per_output_token_seconds_sum", Q::GapSeconds).or_else().or_else(),
    row("time_per_output_token_seconds_count", Q::Gaps).or_else().or_else(),
    row("prompt_tokens", Q::InputTokens).or_else(),
    row("generation_tokens", Q::OutputTokens).or_else(),
];

/// llama.cpp's server, which serves one thing and labels nothing. Time is that of its slots; what it found in its cache it does
/// not count as read.
const LLAMA_CPP: &[Row] = &[
    row("llamacpp:requests_deferred", Q::Waiting),
    row("llamacpp:requests_processing", Q::Running),
    row("llamacpp:kv_cache_usage_ratio", Q::KvUsage),
    row("llamacpp:prompt_seconds", Q::PrefillSeconds),
    row("llamacpp:tokens_predicted_seconds", Q::DecodeSeconds),
    row("llamacpp:prompt_tokens", Q::InputTokens),
    row("llamacpp:prompt_tokens_cached", Q::InputTokens),
    row("llamacpp:prompt_tokens_cached", Q::CachedTokens),
    row("llamacpp:tokens_predicted", Q::OutputTokens),
];
