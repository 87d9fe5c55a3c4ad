//! Which action a method at a path is, protocol by protocol. `docs/actions.md` is printed from here.
//!
//! `{model}` is one segment of a path, `{model…}` one or more. `HEAD` counts as `GET`, and so does the `CONNECT` of a
//! WebSocket over HTTP/2. What changes a server stands here with every method, whichever its engine takes.

use http::Method;

use super::Action::{self, Admin, Files, Infer, ListModels, LoadModel, Metrics, ReadMetadata};

/// What one protocol or engine has.
#[derive(Debug)]
pub struct Table {
    /// Whose.
    pub name: &'static str,
    /// In no order that matters: no two of them are about one method at one path.
    pub rows: &'static [Row],
}

/// Some methods at one path.
#[derive(Debug)]
pub struct Row(
    /// Empty: every method.
    pub &'static [Method],
    /// The path.
    pub &'static str,
    /// What they do.
    pub Action,
);

const ANY: &[Method] = &[];
const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
const POST_PUT: &[Method] = &[Method::POST, Method::PUT];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const GET_POST_DELETE: &[Method] = &[Method::GET, Method::POST, Method::DELETE];
const GET_DELETE: &[Method] = &[Method::GET, Method::DELETE];

/// All of them.
pub static TABLES: &[Table] = &[
    Table { name: "OpenAI", rows: OPENAI },
    Table { name: "Anthropic", rows: ANTHROPIC },
    Table { name: "KServe v2 over HTTP", rows: KSERVE },
    Table { name: "KServe v2 over gRPC", rows: KSERVE_GRPC },
    Table { name: "Health, metrics and descriptions", rows: COMMON },
    Table { name: "vLLM", rows: VLLM },
    Table { name: "SGLang", rows: SGLANG },
    Table { name: "TensorRT-LLM and NIM", rows: NVIDIA },
];

static OPENAI: &[Row] = &[
    Row(POST, "/v1/chat/completions", Infer),
    Row(POST, "/v1/completions", Infer),
    Row(POST, "/v1/responses", Infer),
    Row(POST, "/v1/responses/compact", Infer),
    Row(POST, "/v1/responses/input_tokens", Infer),
    Row(POST, "/v1/responses/{id}/cancel", Infer),
    Row(POST, "/v1/embeddings", Infer),
    Row(POST, "/v1/moderations", Infer),
    Row(POST, "/v1/audio/speech", Infer),
    Row(POST, "/v1/audio/transcriptions", Infer),
    Row(POST, "/v1/audio/translations", Infer),
    Row(POST, "/v1/images/generations", Infer),
    Row(POST, "/v1/images/edits", Infer),
    Row(POST, "/v1/images/variations", Infer),
    Row(GET, "/v1/realtime", Infer),
    Row(POST_PUT, "/v1/rerank", Infer),
    Row(POST, "/v1/score", Infer),
    Row(POST, "/v1/classify", Infer),
    Row(POST, "/v1/pooling", Infer),
    Row(POST, "/v1/tokenize", Infer),
    Row(POST, "/v1/detokenize", Infer),
    Row(GET, "/v1/models", ListModels),
    Row(GET, "/v1/models/{model…}", ReadMetadata),
    Row(DELETE, "/v1/models/{model…}", LoadModel),
    // Answers that are kept are files: they hold what others asked.
    Row(GET, "/v1/chat/completions", Files),
    Row(GET_POST_DELETE, "/v1/chat/completions/{id}", Files),
    Row(GET, "/v1/chat/completions/{id}/messages", Files),
    Row(GET_DELETE, "/v1/responses/{id}", Files),
    Row(GET, "/v1/responses/{id}/input_items", Files),
    Row(GET_POST, "/v1/files", Files),
    Row(GET_POST_DELETE, "/v1/files/{path…}", Files),
    Row(GET_POST, "/v1/uploads", Files),
    Row(GET_POST_DELETE, "/v1/uploads/{path…}", Files),
    Row(GET_POST, "/v1/batches", Files),
    Row(GET_POST_DELETE, "/v1/batches/{path…}", Files),
    Row(GET_POST_DELETE, "/v1/fine_tuning/{path…}", Files),
    Row(GET_POST, "/v1/vector_stores", Files),
    Row(GET_POST_DELETE, "/v1/vector_stores/{path…}", Files),
    Row(GET_POST, "/v1/conversations", Files),
    Row(GET_POST_DELETE, "/v1/conversations/{path…}", Files),
];

static ANTHROPIC: &[Row] = &[
    Row(POST, "/v1/messages", Infer),
    Row(POST, "/v1/messages/count_tokens", Infer),
    Row(POST, "/v1/complete", Infer),
    Row(GET_POST, "/v1/messages/batches", Files),
    Row(GET_POST_DELETE, "/v1/messages/batches/{path…}", Files),
    Row(ANY, "/v1/organizations/{path…}", Admin),
];

static KSERVE: &[Row] = &[
    Row(GET, "/v2", ReadMetadata),
    Row(GET, "/v2/health/live", ReadMetadata),
    Row(GET, "/v2/health/ready", ReadMetadata),
    Row(GET, "/v2/models", ListModels),
    Row(GET, "/v2/models/stats", Metrics),
    Row(GET, "/v2/models/{model}", ReadMetadata),
    Row(GET, "/v2/models/{model}/ready", ReadMetadata),
    Row(GET, "/v2/models/{model}/config", ReadMetadata),
    Row(GET, "/v2/models/{model}/stats", Metrics),
    Row(POST, "/v2/models/{model}/infer", Infer),
    Row(POST, "/v2/models/{model}/generate", Infer),
    Row(POST, "/v2/models/{model}/generate_stream", Infer),
    Row(GET, "/v2/models/{model}/versions/{version}", ReadMetadata),
    Row(GET, "/v2/models/{model}/versions/{version}/ready", ReadMetadata),
    Row(GET, "/v2/models/{model}/versions/{version}/config", ReadMetadata),
    Row(GET, "/v2/models/{model}/versions/{version}/stats", Metrics),
    Row(POST, "/v2/models/{model}/versions/{version}/infer", Infer),
    Row(POST, "/v2/models/{model}/versions/{version}/generate", Infer),
    Row(POST, "/v2/models/{model}/versions/{version}/generate_stream", Infer),
    Row(POST, "/v2/repository/index", ListModels),
    Row(POST, "/v2/repository/{repository}/index", ListModels),
    Row(ANY, "/v2/repository/models/{model}/load", LoadModel),
    Row(ANY, "/v2/repository/models/{model}/unload", LoadModel),
    Row(ANY, "/v2/repository/{repository}/models/{model}/load", LoadModel),
    Row(ANY, "/v2/repository/{repository}/models/{model}/unload", LoadModel),
    Row(ANY, "/v2/systemsharedmemory/{path…}", Admin),
    Row(ANY, "/v2/cudasharedmemory/{path…}", Admin),
    Row(ANY, "/v2/logging", Admin),
    Row(ANY, "/v2/trace/setting", Admin),
    Row(ANY, "/v2/models/{model}/trace/setting", Admin),
    Row(ANY, "/v2/models/{model}/versions/{version}/trace/setting", Admin),
];

static KSERVE_GRPC: &[Row] = &[
    Row(POST, "/inference.GRPCInferenceService/ServerLive", ReadMetadata),
    Row(POST, "/inference.GRPCInferenceService/ServerReady", ReadMetadata),
    Row(POST, "/inference.GRPCInferenceService/ServerMetadata", ReadMetadata),
    Row(POST, "/inference.GRPCInferenceService/ModelReady", ReadMetadata),
    Row(POST, "/inference.GRPCInferenceService/ModelMetadata", ReadMetadata),
    Row(POST, "/inference.GRPCInferenceService/ModelConfig", ReadMetadata),
    Row(POST, "/inference.GRPCInferenceService/ModelInfer", Infer),
    Row(POST, "/inference.GRPCInferenceService/ModelStreamInfer", Infer),
    Row(POST, "/inference.GRPCInferenceService/ModelStatistics", Metrics),
    Row(POST, "/inference.GRPCInferenceService/RepositoryIndex", ListModels),
    Row(ANY, "/inference.GRPCInferenceService/RepositoryModelLoad", LoadModel),
    Row(ANY, "/inference.GRPCInferenceService/RepositoryModelUnload", LoadModel),
    Row(ANY, "/inference.GRPCInferenceService/SystemSharedMemoryStatus", Admin),
    Row(ANY, "/inference.GRPCInferenceService/SystemSharedMemoryRegister", Admin),
    Row(ANY, "/inference.GRPCInferenceService/SystemSharedMemoryUnregister", Admin),
    Row(ANY, "/inference.GRPCInferenceService/CudaSharedMemoryStatus", Admin),
    Row(ANY, "/inference.GRPCInferenceService/CudaSharedMemoryRegister", Admin),
    Row(ANY, "/inference.GRPCInferenceService/CudaSharedMemoryUnregister", Admin),
    Row(ANY, "/inference.GRPCInferenceService/TraceSetting", Admin),
    Row(ANY, "/inference.GRPCInferenceService/LogSettings", Admin),
    Row(POST, "/grpc.health.v1.Health/Check", ReadMetadata),
    Row(POST, "/grpc.health.v1.Health/Watch", ReadMetadata),
    Row(POST, "/grpc.health.v1.Health/List", ReadMetadata),
    Row(POST, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ReadMetadata),
    Row(POST, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ReadMetadata),
];

static COMMON: &[Row] = &[
    Row(GET, "/health", ReadMetadata),
    Row(GET, "/health/live", ReadMetadata),
    Row(GET, "/health/ready", ReadMetadata),
    Row(GET_POST, "/ping", ReadMetadata),
    Row(GET, "/version", ReadMetadata),
    Row(GET, "/openapi.json", ReadMetadata),
    Row(GET, "/docs", ReadMetadata),
    Row(GET, "/redoc", ReadMetadata),
    Row(GET, "/metrics", Metrics),
    Row(POST, "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics", Metrics),
    Row(POST, "/invocations", Infer),
    Row(POST, "/tokenize", Infer),
    Row(POST, "/detokenize", Infer),
    Row(POST_PUT, "/classify", Infer),
    Row(POST_PUT, "/generate", Infer),
    Row(POST, "/generate_stream", Infer),
    Row(POST, "/rerank", Infer),
    Row(POST, "/v2/rerank", Infer),
    Row(POST, "/score", Infer),
    Row(POST, "/pooling", Infer),
    // One word, several engines.
    Row(ANY, "/start_profile", Admin),
    Row(ANY, "/stop_profile", Admin),
    Row(ANY, "/server_info", Admin),
    Row(ANY, "/update_weights", Admin),
    Row(ANY, "/update_weight_version", Admin),
    Row(ANY, "/load_lora_adapter", LoadModel),
    Row(ANY, "/unload_lora_adapter", LoadModel),
];

static VLLM: &[Row] = &[
    Row(POST, "/inference/v1/generate", Infer),
    Row(GET, "/tokenizer_info", ReadMetadata),
    Row(GET, "/is_sleeping", ReadMetadata),
    Row(GET, "/is_paused", ReadMetadata),
    Row(GET, "/load", Metrics),
    Row(ANY, "/v1/load_lora_adapter", LoadModel),
    Row(ANY, "/v1/unload_lora_adapter", LoadModel),
    Row(ANY, "/sleep", Admin),
    Row(ANY, "/wake_up", Admin),
    Row(ANY, "/pause", Admin),
    Row(ANY, "/resume", Admin),
    Row(ANY, "/abort_requests", Admin),
    Row(ANY, "/reset_prefix_cache", Admin),
    Row(ANY, "/reset_mm_cache", Admin),
    Row(ANY, "/reset_encoder_cache", Admin),
    Row(ANY, "/collective_rpc", Admin),
    Row(ANY, "/scale_elastic_ep", Admin),
    Row(ANY, "/is_scaling_elastic_ep", Admin),
    Row(ANY, "/init_weight_transfer_engine", Admin),
    Row(ANY, "/start_weight_update", Admin),
    Row(ANY, "/finish_weight_update", Admin),
];

static SGLANG: &[Row] = &[
    Row(POST_PUT, "/encode", Infer),
    Row(POST, "/generate_from_file", Infer),
    Row(POST, "/vertex_generate", Infer),
    Row(POST, "/parse_function_call", Infer),
    Row(POST, "/separate_reasoning", Infer),
    Row(POST, "/api/chat", Infer),
    Row(POST, "/api/generate", Infer),
    Row(GET, "/api/tags", ListModels),
    Row(POST, "/api/show", ReadMetadata),
    Row(GET, "/health_generate", ReadMetadata),
    Row(GET, "/get_model_info", ReadMetadata),
    Row(GET, "/model_info", ReadMetadata),
    Row(GET, "/get_weight_version", ReadMetadata),
    Row(GET, "/weight_version", ReadMetadata),
    Row(GET, "/get_load", Metrics),
    Row(GET, "/v1/loads", Metrics),
    Row(ANY, "/load_lora_adapter_from_tensors", LoadModel),
    // The server's arguments: the key of its own API is one of them.
    Row(ANY, "/get_server_info", Admin),
    Row(ANY, "/set_internal_state", Admin),
    Row(ANY, "/flush_cache", Admin),
    Row(ANY, "/clear_hicache_storage_backend", Admin),
    Row(ANY, "/hicache/{path…}", Admin),
    Row(ANY, "/freeze_gc", Admin),
    Row(ANY, "/slow_down", Admin),
    Row(ANY, "/open_session", Admin),
    Row(ANY, "/close_session", Admin),
    Row(ANY, "/configure_logging", Admin),
    Row(ANY, "/abort_request", Admin),
    Row(ANY, "/pause_generation", Admin),
    Row(ANY, "/continue_generation", Admin),
    Row(ANY, "/get_weights_by_name", Admin),
    Row(ANY, "/update_weights_from_disk", Admin),
    Row(ANY, "/update_weights_from_tensor", Admin),
    Row(ANY, "/update_weights_from_distributed", Admin),
    Row(ANY, "/update_weights_from_ipc", Admin),
    Row(ANY, "/init_weights_update_group", Admin),
    Row(ANY, "/destroy_weights_update_group", Admin),
    Row(ANY, "/init_weights_send_group_for_remote_instance", Admin),
    Row(ANY, "/send_weights_to_remote_instance", Admin),
    Row(ANY, "/release_memory_occupation", Admin),
    Row(ANY, "/resume_memory_occupation", Admin),
    Row(ANY, "/start_expert_distribution_record", Admin),
    Row(ANY, "/stop_expert_distribution_record", Admin),
    Row(ANY, "/dump_expert_distribution_record", Admin),
];

static NVIDIA: &[Row] = &[
    Row(POST, "/v1/ranking", Infer),
    Row(POST, "/v1/infer", Infer),
    Row(GET, "/v1/health/live", ReadMetadata),
    Row(GET, "/v1/health/ready", ReadMetadata),
    Row(GET, "/v1/metadata", ReadMetadata),
    Row(GET, "/v1/version", ReadMetadata),
    Row(GET, "/v1/manifest", ReadMetadata),
    Row(GET, "/v1/license", ReadMetadata),
    Row(GET, "/v1/metrics", Metrics),
    Row(GET, "/prometheus/metrics", Metrics),
    Row(GET, "/perf_metrics", Metrics),
    Row(ANY, "/kv_cache_events", Admin),
    Row(ANY, "/release_memory", Admin),
    Row(ANY, "/resume_memory", Admin),
    // Triton's OpenAI front end.
    Row(POST, "/v1/models/{model…}", LoadModel),
];
