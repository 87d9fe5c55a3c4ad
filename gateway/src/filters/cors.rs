//! `CORS` (GEP-1767).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use portcullis_policy::snapshot::Cors;

/// What a CORS filter makes of a request.
#[derive(Debug)]
pub enum Verdict {
    /// A preflight: this is the answer, without `x-request-id`; nothing is forwarded.
    Preflight(Response<Bytes>),
    /// Anything else: forward it, and apply this to the answer.
    Forward(Grant),
}

/// What the answer to a request says to a browser.
#[derive(Debug, Clone)]
pub struct Grant {
    origin: Option<HeaderValue>,
}

/// Judges a request.
pub fn judge(_cors: &Cors, _method: &Method, _headers: &HeaderMap) -> Verdict {
    unimplemented!()
}

impl Grant {
    /// Replaces whatever the backend said by what the document says.
    pub fn apply(&self, _cors: &Cors, _headers: &mut HeaderMap) {
        let _ = &self.origin;
        unimplemented!()
    }
}
