//! One form for each request: what is matched is what is forwarded.
use std::borrow::Cow;

use http::{HeaderMap, Method};
use portcullis_policy::snapshot::Scheme;

use crate::refusal::Refusal;

/// A request as it came, before anything is believed.
#[derive(Debug, Clone, Copy)]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// HTTP/1.1: the request target as sent. HTTP/2: `:path` (empty for a plain CONNECT).
    pub target: &'r [u8],
    /// HTTP/2: `:authority`, where there is one. HTTP/1.1: `None`.
    pub authority: Option<&'r [u8]>,
    /// The header fields; only `Host` is looked at.
    pub headers: &'r HeaderMap,
    /// How the client reached us: decides which port is the default one.
    pub scheme: Scheme,
    /// Whether CONNECT with a path is taken (RFC 8441: HTTP/2 with `:protocol`). A plain CONNECT never is.
    pub extended_connect: bool,
}

/// The canonical form. Zero-copy where the request had it already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical<'r> {
    authority: Cow<'r, str>,
    host_len: usize,
    port: Option<u16>,
    path: Cow<'r, str>,
    query: Option<&'r str>,
}

impl<'r> Canonical<'r> {
    /// The host: lower case, no port, no trailing dot; an IPv6 address in brackets, in its shortest form.
    pub fn host(&self) -> &str {
        self.authority.get(..self.host_len).unwrap_or_default()
    }
    /// The port, where it is not the scheme's default one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
    /// Host and port as they are forwarded in `Host` or `:authority`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
    /// The path to match and to forward; `*` for `OPTIONS *`.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The query without `?`, as sent.
    pub fn query(&self) -> Option<&'r str> {
        self.query
    }
    /// Whether the request is about the server as a whole (`OPTIONS *`).
    pub fn is_asterisk(&self) -> bool {
        self.path == "*"
    }
}

/// Makes the canonical form, or says why there is none.
pub fn canonicalise<'r>(_head: &Head<'r>) -> Result<Canonical<'r>, Refusal> {
    unimplemented!()
}
