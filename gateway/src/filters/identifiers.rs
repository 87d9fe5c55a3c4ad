//! The name of an exchange: `x-request-id`.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of an exchange: at most 64 bytes, of letters, digits and `-._:+/=@`. Held inline.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    bytes: [u8; 64],
    len: u8,
}

impl RequestId {
    /// The client's own where it sent one that is fit to be logged, else a UUID (version 7, RFC 9562) of this time and
    /// these random bits.
    pub fn choose(headers: &HeaderMap, unix_ms: u64, random: u128) -> Self {
        Self::from_client(headers).unwrap_or_else(|| Self::generate(unix_ms, random))
    }

    /// The client's own, if it sent exactly one and that is fit to be logged.
    pub fn from_client(_headers: &HeaderMap) -> Option<Self> {
        unimplemented!()
    }

    /// A UUID (version 7).
    pub fn generate(_unix_ms: u64, _random: u128) -> Self {
        unimplemented!()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    /// As a header's value.
    pub fn to_header_value(&self) -> HeaderValue {
        HeaderValue::from_str(self.as_str()).unwrap_or(HeaderValue::from_static("-"))
    }
}
