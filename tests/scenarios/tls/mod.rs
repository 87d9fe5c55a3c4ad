//! What clients meet at a TLS port: certificates, names, client certificates, passthrough.
