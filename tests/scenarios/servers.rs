//! Stock inference servers behind the gateway.
