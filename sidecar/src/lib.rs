//! **What**, beside a server: who may call it, and what becomes of each call.
//!
//! Start with [`exchange`]: each of its lines is a stage. [`connection`] is how a peer gets there, [`forward`] how its
//! request reaches the server, [`answer`] how the answer returns, [`permission`] what ends it early, [`report`]
//! what is measured of it all. [`run`] is the process around them.

pub mod admin;
pub mod answer;
pub mod cli;
pub mod connection;
pub mod exchange;
pub mod forward;
pub mod metrics;
pub mod permission;
pub mod record;
pub mod report;
pub mod run;
pub mod worker;
