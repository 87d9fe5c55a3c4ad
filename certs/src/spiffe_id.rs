//! A SPIFFE ID, parsed strictly.
//!
//! Source: SPIFFE-ID specification, sections 2.1 to 2.4.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest SPIFFE ID accepted, in bytes (SPIFFE-ID §2.3).
const ID_BYTES_MAX: usize = 2048;
/// The longest trust domain name, in bytes (SPIFFE-ID §2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// `spiffe://trust.domain/path`, compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId(Arc<str>);

/// Why a text is not a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// It does not begin so.
    #[error("a SPIFFE ID begins with `spiffe://`")]
    Scheme,
    /// Empty, too long, or with a character outside `a-z0-9.-_`.
    #[error("the trust domain may hold lower-case letters, digits, `.`, `-` and `_`, and at most 255 of them")]
    TrustDomain,
    /// An empty segment, `.`, `..`, a trailing slash, or a character outside `a-zA-Z0-9.-_`.
    #[error("each path segment may hold letters, digits, `.`, `-` and `_`, and is neither empty nor `.` nor `..`")]
    Path,
    /// Longer than 2048 bytes.
    #[error("a SPIFFE ID has at most 2048 bytes")]
    TooLong,
}

impl SpiffeId {
    /// The whole identity, as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trust domain's name.
    pub fn trust_domain(&self) -> &str {
        let rest = self.0.get("spiffe://".len()..).unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        let domain_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if domain.is_empty() || domain.len() > TRUST_DOMAIN_BYTES_MAX || !domain.bytes().all(domain_byte) {
            return Err(SpiffeIdError::TrustDomain);
        }
        let segment_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if let Some(path) = path {
            for segment in path.split('/') {
                if matches!(segment, "" | "." | "..") || !segment.bytes().all(segment_byte) {
                    return Err(SpiffeIdError::Path);
                }
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, SpiffeIdError>) {
        let parsed = text.parse::<SpiffeId>();
        assert_eq!(parsed.as_ref().map(SpiffeId::trust_domain).map_err(|e| *e), expected, "{text}");
    }

    #[test]
    fn strict_ids_only() {
        check("spiffe://corp.example/ns/inference/sa/llama-8b", Ok("corp.example"));
        check("spiffe://corp.example", Ok("corp.example"));
        check("spiffe://Corp.example/a", Err(SpiffeIdError::TrustDomain));
        check("spiffe:///a", Err(SpiffeIdError::TrustDomain));
        check("spiffe://corp.example/", Err(SpiffeIdError::Path));
        check("spiffe://corp.example/a//b", Err(SpiffeIdError::Path));
        check("spiffe://corp.example/a/../b", Err(SpiffeIdError::Path));
        check("spiffe://corp.example/%61", Err(SpiffeIdError::Path));
        check("spiffe://corp.example:80/a", Err(SpiffeIdError::TrustDomain));
        check("https://corp.example/a", Err(SpiffeIdError::Scheme));
    }
}
