//! A SPIFFE ID, parsed strictly.
//!
//! Source: SPIFFE-ID specification, sections 2.1 to 2.4.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

const SCHEME: &str = "spiffe://";

/// The longest SPIFFE ID accepted, in bytes (SPIFFE-ID §2.3).
const ID_BYTES_MAX: usize = 2048;
/// The longest trust domain name, in bytes (SPIFFE-ID §2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// `spiffe://trust.domain/path`, compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId(Arc<str>);

/// The name of a trust domain: whose word counts for the identities that begin with it. Compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

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
    /// `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`: who a workload is, as Kubernetes names it.
    pub fn workload(domain: &TrustDomain, namespace: &str, account: &str) -> Result<Self, SpiffeIdError> {
        // A slash in either would move the border between them.
        if namespace.contains('/') || account.contains('/') {
            return Err(SpiffeIdError::Path);
        }
        format!("spiffe://{domain}/ns/{namespace}/sa/{account}").parse()
    }

    /// The whole identity, as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trust domain's name.
    pub fn trust_domain(&self) -> &str {
        self.rest().split('/').next().unwrap_or_default()
    }

    /// What follows the trust domain, with its slash; empty for the trust domain itself.
    pub fn path(&self) -> &str {
        self.rest().find('/').and_then(|at| self.rest().get(at..)).unwrap_or_default()
    }

    /// Namespace and service account, where the path says exactly these.
    pub fn namespace_and_account(&self) -> Option<(&str, &str)> {
        let (namespace, account) = self.path().strip_prefix("/ns/")?.split_once("/sa/")?;
        let plain = |name: &str| !name.contains('/');
        (plain(namespace) && plain(account)).then_some((namespace, account))
    }

    fn rest(&self) -> &str {
        self.0.get(SCHEME.len()..).unwrap_or_default()
    }
}

impl TrustDomain {
    /// The one that `id` belongs to.
    pub fn of(id: &SpiffeId) -> Self {
        Self(id.trust_domain().into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identity of the trust domain itself, which has no path; its authorities carry it.
    pub fn id(&self) -> SpiffeId {
        SpiffeId(format!("{SCHEME}{}", self.0).into())
    }
}

/// So that it can be looked up by name.
impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_trust_domain(text) { Ok(Self(text.into())) } else { Err(SpiffeIdError::TrustDomain) }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_trust_domain(text: &str) -> bool {
    let domain_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= TRUST_DOMAIN_BYTES_MAX && text.bytes().all(domain_byte)
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        if !is_trust_domain(domain) {
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
    #![expect(clippy::unwrap_used, reason = "tests")]

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

    #[test]
    fn a_workload_has_the_identity_that_kubernetes_gives_it() {
        let domain: TrustDomain = "corp.example".parse().unwrap();
        let id = SpiffeId::workload(&domain, "inference", "llama-8b").unwrap();
        assert_eq!(id.as_str(), "spiffe://corp.example/ns/inference/sa/llama-8b");
        assert_eq!(id.path(), "/ns/inference/sa/llama-8b");
        assert_eq!(id.namespace_and_account(), Some(("inference", "llama-8b")));
        assert_eq!(TrustDomain::of(&id), domain);
        assert_eq!((domain.id().as_str(), domain.id().path()), ("spiffe://corp.example", ""));
        for (namespace, account) in [("", "a"), ("a", ""), ("a/sa/b", "c"), ("a", "b/c"), ("..", "a"), ("a", "%61")] {
            assert_eq!(
                SpiffeId::workload(&domain, namespace, account),
                Err(SpiffeIdError::Path),
                "{namespace} {account}"
            );
        }
    }

    #[test]
    fn only_a_whole_workload_path_has_a_namespace() {
        let check = |text: &str| text.parse::<SpiffeId>().unwrap().namespace_and_account().is_some();
        assert!(check("spiffe://a/ns/b/sa/c"));
        for text in
            ["spiffe://a", "spiffe://a/b", "spiffe://a/ns/b/sa/c/d", "spiffe://a/x/ns/b/sa/c", "spiffe://a/NS/b/sa/c"]
        {
            assert!(!check(text), "{text}");
        }
    }

    #[test]
    fn trust_domains_are_names_and_nothing_else() {
        assert!("a-b_c.9".parse::<TrustDomain>().is_ok());
        assert!("x".repeat(255).parse::<TrustDomain>().is_ok());
        let long = "x".repeat(256);
        for text in ["", "A", "a/b", "a:1", "u@a", "b\u{fc}cher", "a b", "*", &long] {
            assert_eq!(text.parse::<TrustDomain>(), Err(SpiffeIdError::TrustDomain), "{text}");
        }
    }

    #[test]
    fn the_longest_identity_has_2048_bytes() {
        let long = |bytes: usize| format!("spiffe://a/{}", "b".repeat(bytes - "spiffe://a/".len()));
        assert!(long(2048).parse::<SpiffeId>().is_ok());
        assert_eq!(long(2049).parse::<SpiffeId>(), Err(SpiffeIdError::TooLong));
    }
}
