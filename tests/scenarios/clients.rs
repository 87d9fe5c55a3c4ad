//! Stock clients that must not notice the gateway.
