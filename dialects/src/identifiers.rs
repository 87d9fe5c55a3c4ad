//! The name of an exchange: `x-request-id`.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that is taken from a client, in bytes.
const BYTES_MAX: usize = 64;

/// The name of an exchange: 1 to 64 bytes, of letters, digits and `-._:+/=@`, so that it can stand in a log line, a
/// header or a URL without being escaped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's own where it sent one that is fit to be logged, else a UUID (version 7, RFC 9562) of this time and
    /// these random bits.
    pub fn choose(headers: &HeaderMap, unix_ms: u64, random: u128) -> Self {
        Self::from_client(headers).unwrap_or_else(|| Self::generate(unix_ms, random))
    }

    /// The client's own, if it sent exactly one and that is fit to be logged.
    pub fn from_client(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let bytes = value.as_bytes();
        let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:+/=@".contains(byte);
        let fits = (1..=BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(is_safe);
        // Copied: a part of the head would keep the whole of it for as long as the exchange lasts.
        HeaderValue::from_bytes(bytes).ok().filter(|_| fits).map(Self)
    }

    /// A UUID (version 7).
    pub fn generate(unix_ms: u64, random: u128) -> Self {
        const VERSION: u128 = 7 << 76;
        const VARIANT: u128 = 2 << 62;
        /// Where each byte's two digits stand.
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let random = random & !(0xffff_ffff_ffff << 80) & !(0xf << 76) & !(3 << 62);
        let value = (u128::from(unix_ms) << 80) | VERSION | VARIANT | random;
        let mut text = [b'-'; 36];
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        for (byte, at) in value.to_be_bytes().into_iter().zip(PLACES) {
            if let Some([high, low]) = text.get_mut(at..at + 2) {
                (*high, *low) = (digit(byte >> 4), digit(byte & 0xf));
            }
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-")))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As a header's value.
    pub fn to_header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn generated_names_are_version_7_uuids() {
        // RFC 9562, appendix A.6.
        let random = 0x0000_0000_0000_0cc3_18c4_dc0c_0c07_398f_u128;
        assert_eq!(RequestId::generate(0x017F_22E2_79B0, random).as_str(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(RequestId::generate(0, 0).as_str(), "00000000-0000-7000-8000-000000000000");
        assert_eq!(RequestId::generate(u64::MAX, u128::MAX).as_str(), "ffffffff-ffff-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_client_may_name_its_own_requests_if_the_name_is_safe() {
        let check = |values: &[&[u8]], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            }
            let got = RequestId::from_client(&headers);
            assert_eq!(got.as_ref().map(RequestId::as_str), expected, "{values:?}");
            let chosen = RequestId::choose(&headers, 1, 2);
            assert_eq!(chosen.as_str().len(), expected.map_or(36, str::len));
            assert_eq!(chosen.to_header_value(), chosen.as_str());
        };
        check(&[b"req_0123-abc.def:1"], Some("req_0123-abc.def:1"));
        check(&[&[b'a'; 64]], Some(&"a".repeat(64)));
        check(&[&[b'a'; 65]], None);
        check(&[b""], None);
        check(&[], None);
        check(&[b"a", b"b"], None);
        for unsafe_name in [&b"a b"[..], b"a\"b", b"a\\b", b"a\tb", b"\xc3\xa9", b"a,b", b"<a>", b"a;b", b"a%0ab"] {
            check(&[unsafe_name], None);
        }
    }
}
