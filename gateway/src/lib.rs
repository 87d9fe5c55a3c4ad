//! **What**, at the edge: the stages of one request.
//!
//! Read in the order in which a request meets them: [`canonical`] gives it one form, [`filters`] takes from it what a
//! client may not say, [`model`] reads which model it asks for, and [`refusal`] answers it when a stage said no.
//! [`grpc`] and [`sse`] know the two formats whose ends can be mistaken.

pub mod admin;
pub mod canonical;
pub mod filters;
pub mod grpc;
pub mod logging;
pub mod model;
pub mod refusal;
pub mod sse;
