//! `RequestRedirect` and `URLRewrite`: new places for requests.

use std::borrow::Cow;

use bytes::Bytes;
use http::Response;
use portcullis_policy::snapshot::{PathChange, Redirect, Scheme};

/// What a redirect keeps of a request.
#[derive(Debug, Clone, Copy)]
pub struct Place<'r> {
    /// How the client reached us.
    pub scheme: Scheme,
    /// The canonical host.
    pub host: &'r str,
    /// The listener's port, as its document names it.
    pub listener_port: u16,
    /// The canonical path.
    pub path: &'r str,
    /// The query without `?`.
    pub query: Option<&'r str>,
    /// The length of the matched prefix ([`portcullis_policy::routes::Match::prefix_len`]).
    pub prefix_len: Option<usize>,
}

/// The answer that a redirect gives, without `x-request-id`.
pub fn redirect(_redirect: &Redirect, _place: &Place<'_>) -> Response<Bytes> {
    unimplemented!()
}

/// The path after the change.
pub fn changed_path<'p>(_change: &'p PathChange, _path: &'p str, _prefix_len: Option<usize>) -> Cow<'p, str> {
    unimplemented!()
}
