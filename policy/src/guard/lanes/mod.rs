//! The texts in what clients and backends send: where they stand, who says them, and how what became of them is put back.
//!
//! [`json`] reads strictly and says where each string stands; [`shape`] has the tables that say what it is, per dialect;
//! [`document`] rewrites whole documents; [`stream`] screens event streams as they go by.

pub mod document;
pub mod json;
pub mod known;
pub mod shape;
mod shapes;
pub mod stream;
mod words;
