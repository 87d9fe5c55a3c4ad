//! KServe v2, the protocol of Triton: over HTTP with its binary extension, and over gRPC.

pub(crate) mod grpc;
pub(crate) mod http;
mod instances;
mod json;
mod models;
mod proto;
mod tensor;

pub(crate) use self::instances::{Instances, ModelTally};

/// The models of tensors that every simulated server has.
pub(crate) const TENSOR_MODELS: [&str; 2] = ["identity", "simple"];
/// What servers call themselves.
const SERVER_NAME: &str = "triton";
const SERVER_VERSION: &str = "2.51.0";
const EXTENSIONS: [&str; 2] = ["binary_tensor_data", "model_repository"];
