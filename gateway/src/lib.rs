//! **What**, at the edge: the stages of one request.
//!
//! Start with [`exchange`]: each of its lines is a stage, each stage a file. How requests are read and refusals are said is
//! `portcullis-dialects`, which the sidecar shares.

pub mod admin;
pub mod answer;
pub mod authenticate;
pub mod certs;
pub mod cli;
pub mod connection;
pub mod demo;
pub mod diff;
pub mod exchange;
pub mod explain;
pub mod fetch;
pub mod filters;
pub mod forward;
pub mod keys;
pub mod limits;
pub mod listing;
pub mod live;
pub mod metrics;
pub mod outbound;
pub mod permission;
pub mod policy_test;
pub mod private_file;
pub mod probe;
pub mod record;
pub mod reload;
pub mod resource;
pub mod route;
pub mod run;
pub mod same_rule;
pub mod screening;
pub mod shadow;
pub mod sockets;
pub mod tls;
pub mod upgrade;
pub mod upstream_identity;
pub mod worker;

use portcullis_dialects::{canonical, grpc, hygiene, identifiers, prompt, receive, refusal, sse};
use portcullis_mesh::{random, telemetry::logging, watch};
