//! **How**: from a socket to an authenticated exchange, and back.
//!
//! Nothing here knows what a prompt, a model, a user or a budget is.

pub mod connections;
pub mod drain;
pub mod endpoints;
pub mod handover;
pub mod http;
pub mod io;
pub mod listen;
pub mod load;
pub mod pages;
pub mod random;
pub mod telemetry;
pub mod timer;
pub mod tls;
pub mod wall;
pub mod watch;
pub mod workload;
