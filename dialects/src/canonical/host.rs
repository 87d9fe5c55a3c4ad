//! The one form of a host and its port.
//!
//! Lower case; one trailing dot and the scheme's default port are dropped. Names are letters, digits, `-` and `_` in
//! labels of at most 63 bytes, at most 253 in all (RFC 1035 §2.3.4): no percent-encoding, no raw Unicode (an
//! internationalised name travels as `xn--`), no user information. IPv6 addresses are written in their shortest form
//! (RFC 5952) and have no zone.

use std::{borrow::Cow, net::Ipv6Addr};

use portcullis_policy::snapshot::Scheme;

use crate::refusal::Refusal;

/// The longest host name, in bytes.
const NAME_BYTES_MAX: usize = 253;
/// The longest label of a host name, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// A canonical host, with its port if that is not the default one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'r> {
    text: Cow<'r, str>,
    host_len: usize,
    port: Option<u16>,
}

impl Authority<'_> {
    /// The host alone.
    pub fn host(&self) -> &str {
        self.text.get(..self.host_len).unwrap_or_default()
    }

    /// The port, if it is not the default one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Parses the value of `Host` or `:authority`.
pub fn parse(value: &[u8], scheme: Scheme) -> Result<Authority<'_>, Refusal> {
    let (host, port) = match value {
        [b'[', ..] => ipv6(value)?,
        _ => name(value)?,
    };
    let host_len = host.len();
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let port = port.filter(|&port| port != default);
    let text = match (port, host) {
        (None, host) => host,
        // The whole value was canonical: keep it.
        (Some(_), Cow::Borrowed(host)) if value.get(host.len()) == Some(&b':') => {
            std::str::from_utf8(value).map(Cow::Borrowed).map_err(|_| refuse())?
        }
        (Some(port), host) => Cow::Owned(format!("{host}:{port}")),
    };
    Ok(Authority { text, host_len, port })
}

/// A DNS name or an IPv4 address, and the port behind it.
fn name(value: &[u8]) -> Result<(Cow<'_, str>, Option<u16>), Refusal> {
    let mut label_len = 0;
    let mut has_upper = false;
    let mut end = value.len();
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label_len += 1,
            b'.' if label_len == 0 => return Err(refuse()),
            b'.' => label_len = 0,
            b'A'..=b'Z' => {
                has_upper = true;
                label_len += 1;
            }
            b':' => {
                end = at;
                break;
            }
            _ => return Err(refuse()),
        }
        if label_len > LABEL_BYTES_MAX {
            return Err(refuse());
        }
    }
    let (host, port) = value.split_at(end);
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.is_empty() || host.len() > NAME_BYTES_MAX {
        return Err(refuse());
    }
    let host = std::str::from_utf8(host).map_err(|_| refuse())?;
    let host = if has_upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
    Ok((host, self::port(port)?))
}

/// `[address]`, and the port behind it.
fn ipv6(value: &[u8]) -> Result<(Cow<'_, str>, Option<u16>), Refusal> {
    let end = value.iter().position(|&byte| byte == b']').ok_or_else(refuse)?;
    let (host, port) = value.split_at(end + 1);
    let host = std::str::from_utf8(host).map_err(|_| refuse())?;
    let address = host.get(1..end).ok_or_else(refuse)?;
    let address: Ipv6Addr = address.parse().map_err(|_| refuse())?;
    let canonical = format!("[{address}]");
    let host = if canonical == host { Cow::Borrowed(host) } else { Cow::Owned(canonical) };
    Ok((host, self::port(port)?))
}

/// `:port`, or nothing, or a colon alone (RFC 3986 §3.2.3 calls that the same as nothing). No leading zeros.
fn port(text: &[u8]) -> Result<Option<u16>, Refusal> {
    match text {
        [] | b":" => Ok(None),
        [b':', digits @ ..]
            if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0') =>
        {
            let number = digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
            u16::try_from(number).map(Some).map_err(|_| refuse())
        }
        _ => Err(refuse()),
    }
}

fn refuse() -> Refusal {
    Refusal::malformed("invalid_host", "the host is not a valid name or address")
}
