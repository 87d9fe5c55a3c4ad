//! Authentication: who asks, shown by a credential that a provider of the route vouches for.
//!
//! A request shows at most one credential ([`credential`]); the route's AccessPolicy says which providers it may be shown
//! to; what a provider says is a [`Caller`] or a [`Rejection`]. The reason of a rejection is for logs and metrics: the
//! client hears one uniform 401.

pub mod bound;
pub mod credential;
pub mod dpop;
pub mod fetch;
pub mod json;

use std::{
    borrow::Cow,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use http::Method;
use portcullis_mesh::tls::PeerCertificate;
use portcullis_policy::authorize::Caller;

use self::credential::Credential;

/// What a request shows of who sends it, and what a proof may be bound to.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'r> {
    /// The credential in its headers, if there is one.
    pub credential: Option<&'r Credential<'r>>,
    /// The certificate of its connection.
    pub certificate: &'r PeerCertificate,
    /// Its method, for proofs of possession.
    pub method: &'r Method,
    /// Its URL without query, as the client sees it, for proofs of possession: `https://llm.corp.example/v1/models`.
    pub url: &'r str,
    /// Where it comes from.
    pub source: IpAddr,
    /// When.
    pub now: SystemTime,
}

/// A caller, and how long what a provider said of them may be remembered.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who it is.
    pub caller: Caller,
    /// Within this time the same credential need not be judged again; zero where it must be each time, as whatever is
    /// bound to a key or to a certificate must ([`bound::Possession`]).
    pub fresh: Duration,
}

/// Why a credential does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It is not good. The word is for logs and metrics (a fixed list), never for the client.
    Invalid(&'static str),
    /// A proof of possession is missing or not good (RFC 9449 §7.1: the client is told `invalid_dpop_proof`).
    InvalidProof(&'static str),
    /// It is good, and its caller is refused all the same, with a reason that the client is told: `groups_overage`.
    Refused {
        /// A code for programs.
        code: &'static str,
        /// A sentence for the caller.
        message: Cow<'static, str>,
    },
    /// Too many failures: nobody is asked any more for a while.
    Throttled {
        /// After which time to try again.
        retry_after: Duration,
    },
    /// Whoever could tell cannot be asked: 503. The word is for logs and metrics.
    Unavailable(&'static str),
}
