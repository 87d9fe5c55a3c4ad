//! What must not pass from one side to the other, whatever the documents say.

use http::{HeaderMap, HeaderValue};

/// Whether a request header of this name (lower case) is dropped at ingress whatever it says: hop-by-hop, or a claim
/// that clients may not make. `connection`, `te` and `upgrade` included; a codec that wants to skip them while it parses
/// must look at [`wanted_upgrade`] and `te: trailers` itself.
pub fn is_dropped_from_requests(_name: &str) -> bool {
    unimplemented!()
}

/// Whether an answer's header of this name (lower case) is dropped at egress.
pub fn is_dropped_from_answers(_name: &str) -> bool {
    unimplemented!()
}

/// Takes from a request what is hop-by-hop and what a client may not say.
pub fn clean_request(_headers: &mut HeaderMap) {
    unimplemented!()
}

/// Takes from an answer what is hop-by-hop and what a backend must not tell.
pub fn clean_answer(_headers: &mut HeaderMap) {
    unimplemented!()
}

/// The protocol that a request wants to switch to (HTTP/1.1 `Connection: upgrade`); look before [`clean_request`].
pub fn wanted_upgrade(_headers: &HeaderMap) -> Option<HeaderValue> {
    unimplemented!()
}

/// What the backend is told of where a request came from. Both values are made once per connection.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub client: HeaderValue,
    /// `http` or `https`.
    pub scheme: HeaderValue,
}

/// Sets `x-forwarded-for`, `x-forwarded-proto` and `x-forwarded-host`. The client's own are gone by then.
pub fn add_forwarded(_headers: &mut HeaderMap, _origin: &Origin, _host: &HeaderValue) {
    unimplemented!()
}
