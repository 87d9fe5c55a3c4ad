//! One form for each request: what is matched is what is forwarded.
//!
//! Two servers that read one request in two ways are a hole in every policy: the gateway decides on `/v1/models`, the
//! backend serves `/admin`. So each request is brought into one form, policy sees that form, and the backend is sent
//! that form. Whatever has no such form is refused (400), never guessed at. [`mod@path`] and [`mod@host`] say what the form
//! is; here the parts of a request are put together (RFC 9112 §3.2, RFC 9113 §8.3.1).
//!
//! - Method: those of RFC 9110 but for `TRACE` and a plain `CONNECT`, and `PATCH` and `QUERY`; case counts. 405 otherwise.
//! - Host: exactly one `Host`, or `:authority`, or both if they are the same; a target in absolute form must name it as
//!   well. There is none in old HTTP/1.0 requests: refused, since nothing could be decided about them.
//! - `OPTIONS *` keeps its asterisk.

pub mod host;
pub mod path;

use std::borrow::Cow;

use http::{HeaderValue, Method};
use portcullis_policy::snapshot::Scheme;

use self::host::Authority;
use crate::refusal::Refusal;

/// The longest request target, in bytes (414 beyond it). Heads have their own, smaller or larger, bound in the codecs.
pub const TARGET_BYTES_MAX: usize = 64 * 1024;

/// A request as it came, before anything is believed.
#[derive(Debug, Clone, Copy)]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// HTTP/1.1: the request target as sent. HTTP/2: `:path` (empty for a plain CONNECT).
    pub target: &'r [u8],
    /// HTTP/2: `:authority`, where there is one. HTTP/1.1: `None`.
    pub authority: Option<&'r [u8]>,
    /// Every `Host` field.
    pub hosts: &'r [HeaderValue],
    /// How the client reached us: decides which port is the default one.
    pub scheme: Scheme,
    /// Whether CONNECT with a path is taken (RFC 8441: HTTP/2 with `:protocol`). A plain CONNECT never is.
    pub extended_connect: bool,
}

/// The canonical form. Zero-copy where the request had it already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical<'r> {
    authority: Authority<'r>,
    path: Cow<'r, str>,
    query: Option<&'r str>,
}

impl<'r> Canonical<'r> {
    /// The host: lower case, no port, no trailing dot; an IPv6 address in brackets, in its shortest form.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port, where it is not the scheme's default one.
    pub fn port(&self) -> Option<u16> {
        self.authority.port()
    }

    /// Host and port as they are forwarded in `Host` or `:authority`.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The path to match and to forward; `*` for `OPTIONS *`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query without `?`, as sent.
    pub fn query(&self) -> Option<&'r str> {
        self.query
    }

    /// Whether the request is about the server as a whole (`OPTIONS *`). It matches no path.
    pub fn is_asterisk(&self) -> bool {
        self.path == "*"
    }
}

/// Makes the canonical form, or says why there is none.
pub fn canonicalise<'r>(head: &Head<'r>) -> Result<Canonical<'r>, Refusal> {
    let is_extended_connect = head.extended_connect && *head.method == Method::CONNECT;
    if !is_known(head.method) && !is_extended_connect {
        return Err(Refusal::method_not_allowed());
    }
    if head.target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::target_too_long());
    }
    let target = match head.target {
        // By far the most frequent: origin form.
        [b'/', ..] => Target { authority: None, path_and_query: head.target },
        b"*" if *head.method == Method::OPTIONS => Target { authority: None, path_and_query: b"*" },
        _ => absolute_form(head)?,
    };
    let authority = authority(head, target.authority)?;
    let (path, query) = path::split(target.path_and_query)?;
    Ok(Canonical { authority, path, query })
}

/// RFC 9110 §9 and the two that came later. Anything else, lower case included, is a name no backend was asked about.
fn is_known(method: &Method) -> bool {
    const KNOWN: [Method; 8] = [
        Method::POST,
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::QUERY,
    ];
    KNOWN.contains(method)
}

/// A target taken apart.
struct Target<'r> {
    authority: Option<&'r [u8]>,
    path_and_query: &'r [u8],
}

/// `http://host/path`, as clients of proxies send it; servers must take it (RFC 9112 §3.2.2).
fn absolute_form<'r>(head: &Head<'r>) -> Result<Target<'r>, Refusal> {
    let refuse = || Refusal::malformed("invalid_target", "the request target is neither a path nor an http(s) URL");
    let (scheme, prefix): (_, &[u8]) = match head.scheme {
        Scheme::Http => ("http", b"http://"),
        Scheme::Https => ("https", b"https://"),
    };
    let (given, rest) = head.target.split_at_checked(prefix.len()).ok_or_else(refuse)?;
    if !given.eq_ignore_ascii_case(prefix) {
        return Err(refuse().detail(format!("this listener serves {scheme}")));
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    let path_and_query: &[u8] = match path_and_query {
        [] if *head.method == Method::OPTIONS => b"*",
        [] => b"/",
        given => given,
    };
    Ok(Target { authority: Some(authority), path_and_query })
}

/// The one authority on which everything that names one agrees.
fn authority<'r>(head: &Head<'r>, in_target: Option<&'r [u8]>) -> Result<Authority<'r>, Refusal> {
    let host = match head.hosts {
        [] => None,
        [host] => Some(host.as_bytes()),
        _ => {
            return Err(Refusal::malformed("several_hosts", "the request has more than one Host header").closing());
        }
    };
    let mut given = [in_target, head.authority, host].into_iter().flatten();
    let first = given.next().ok_or_else(|| Refusal::malformed("missing_host", "the request has no Host header"))?;
    let authority = host::parse(first, head.scheme)?;
    for other in given {
        if other != first && host::parse(other, head.scheme)? != authority {
            return Err(Refusal::malformed("host_mismatch", "the request names two different hosts").closing());
        }
    }
    Ok(authority)
}

#[cfg(test)]
mod tests;
