//! **What is said**: one reading of each request, and a no in its client's own words.
//!
//! Both products read requests, at the edge and beside a server, and a request that two of ours read in two ways would be a
//! hole between them. So they read it here: [`mod@receive`] takes it apart, [`canonical`] gives it one form,
//! [`hygiene`] takes from it what a client may not say, [`identifiers`] names it, [`prompt`] reads of its body what it takes to
//! know which [`model`] it asks for. [`refusal`] answers it when a stage said no;
//! [`grpc`] and [`sse`] know the two formats whose ends can be mistaken. Opens no socket.

pub mod canonical;
pub mod grpc;
pub mod hygiene;
pub mod identifiers;
pub mod model;
pub mod prompt;
pub mod receive;
pub mod refusal;
pub mod sse;
