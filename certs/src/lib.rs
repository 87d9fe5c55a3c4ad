//! **Who**: identities, trust bundles, issuance, rotation, chain verification.
//!
//! Nothing else in the workspace judges a chain of certificates: others ask [`verify`] and get a proof or a reason.

mod authority;
mod bundle;
mod distinguished_name;
mod facts;
mod files;
mod identity;
mod inspection;
mod pem;
mod provider;
pub mod renewal;
mod spiffe_id;
mod svid;
#[cfg(test)]
mod testing;
pub mod verify;

pub use authority::{
    AUTHORITY_LIFE, AuthorityError, IssueError, Issued, Lifetimes, LocalAuthority, PROPAGATION, REQUEST_BYTES_MAX,
    REVOKED_MAX, RequestFault, RootStanding, RootState, SERVER_CERTIFICATE_LIFE, SVID_LIFE, SVID_LIFE_MAX,
    SigningRequest, Step, SvidAuthority, UpstreamFiles,
};
pub use bundle::{
    BUNDLE_AUTHORITIES_MAX, BUNDLE_BYTES_MAX, BUNDLE_MAP_BYTES_MAX, BundleError, TRUST_DOMAINS_MAX, TrustBundle,
    TrustBundles,
};
pub use facts::{ChainFacts, FactsError};
pub use identity::{Identity, ReplaceError, mesh_client_config, mesh_server_config};
pub use inspection::Inspection;
pub use pem::{CertifiedPair, PemError, parse_chain, parse_key, parse_pair};
pub use provider::crypto_provider;
pub use spiffe_id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use svid::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, Svid, SvidError, SvidFault, judge_svid};
