//! **Who**: identities, trust bundles, issuance, rotation, chain verification.
//!
//! Nothing else in the workspace judges a chain of certificates: others ask [`verify`] and get a proof or a reason.

mod authority;
mod distinguished_name;
mod facts;
mod files;
mod pem;
mod provider;
mod spiffe_id;
pub mod verify;

pub use authority::{AuthorityError, LocalAuthority, SERVER_CERTIFICATE_LIFE};
pub use facts::{ChainFacts, FactsError};
pub use pem::{CertifiedPair, PemError, parse_chain, parse_key, parse_pair};
pub use provider::crypto_provider;
pub use spiffe_id::{SpiffeId, SpiffeIdError};
