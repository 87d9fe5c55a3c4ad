//! Screening at the edge: what guardrails say of a request and of its answer.

pub mod service;
