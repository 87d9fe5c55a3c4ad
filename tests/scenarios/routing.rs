//! Which rule a request meets, through the whole gateway, and what is answered where none is met.

mod backends;
mod explain;
mod grpc;
mod many;
mod matches;
