//! The texts in what clients and backends send: where they stand, who says them, and how what became of them is put back.
//!
//! [`json`] reads strictly and says where each string stands; [`shape`] has the tables that say what it is, per dialect;
//! [`document`] rewrites whole documents; [`stream`] screens event streams as they go by; [`tensors`] does both for
//! messages of gRPC, [`form`] and [`mod@plain`] for what is no JSON.

pub mod document;
#[cfg(test)]
mod doubling;
pub mod form;
pub mod json;
pub mod known;
pub mod plain;
pub mod shape;
mod shapes;
mod spoken;
pub mod stream;
pub mod tensors;
mod words;
