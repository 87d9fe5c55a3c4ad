//! **Who**: identities, trust bundles, issuance, rotation, chain verification.

mod spiffe_id;

pub use spiffe_id::{SpiffeId, SpiffeIdError};
