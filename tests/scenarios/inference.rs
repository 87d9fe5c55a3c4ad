//! What inference clients send and read: model names, event streams, gRPC, cancellation, dialects of refusals.

mod cancel;
mod cut;
mod dialects;
mod events;
mod kserve;
mod models;
mod unreadable;
