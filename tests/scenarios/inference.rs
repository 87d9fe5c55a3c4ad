//! What inference clients send and read: model names, event streams, gRPC, cancellation, dialects of refusals.
