//! **What**, at the edge: the stages of one request.
//!
//! Read in the order in which a request meets them: [`canonical`] gives it one form, [`filters`] takes from it what a
//! client may not say, [`model`] reads which model it asks for, and [`refusal`] answers it when a stage said no.
//! [`grpc`] and [`sse`] know the two formats whose ends can be mistaken.

pub mod admin;
pub mod answer;
pub mod authenticate;
pub mod canonical;
pub mod cli;
pub mod connection;
pub mod demo;
pub mod diff;
pub mod exchange;
pub mod explain;
pub mod fetch;
pub mod filters;
pub mod forward;
pub mod grpc;
pub mod keys;
pub mod limits;
pub mod listing;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod outbound;
pub mod permission;
pub mod policy_test;
pub mod private_file;
pub mod probe;
pub mod prompt;
pub mod random;
pub mod receive;
pub mod record;
pub mod refusal;
pub mod reload;
pub mod resource;
pub mod route;
pub mod run;
pub mod same_rule;
pub mod screening;
pub mod shadow;
pub mod sockets;
pub mod sse;
pub mod tls;
pub mod upgrade;
pub mod upstream_identity;
pub mod watch;
pub mod worker;
