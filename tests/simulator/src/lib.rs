//! A simulated inference server, for demos, tests and routing experiments.
//!
//! It speaks OpenAI's, Anthropic's and KServe v2's protocols over HTTP/1.1 and HTTP/2 without TLS, takes its time as an
//! engine with continuous batching and a KV cache would, says what it is told to, and goes wrong on request. It reads in
//! this order: [`engine`] computes, [`speech`] decides what is said, each API has a file that dresses it, [`stream`]
//! sends it piece by piece with the [`faults`] asked for, and [`server`] holds the connections.
#![expect(
    clippy::indexing_slicing,
    reason = "`value[\"field\"]` is null where JSON has no such field, and only JSON is indexed"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on says so and ends"))]

mod answer;
mod anthropic;
mod call;
mod engine;
mod faults;
mod kserve;
mod openai;
mod orca;
mod page;
mod server;
mod simulator;
mod speech;
mod stream;
mod text;

pub use self::{
    engine::profile::Profile,
    faults::{FAULTS_HEADER, Faults, Mishap},
    simulator::{Config, Flavour, Simulator},
};
