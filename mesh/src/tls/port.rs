//! The TLS listeners that share one port, and which of them a server name means.

use std::{fmt, sync::Arc};

use foldhash::{HashMap, HashMapExt};

use super::Termination;

/// The longest server name a client may send (RFC 1035 §2.3.4); longer ones match nothing but [`HostPattern::Any`].
const SERVER_NAME_BYTES_MAX: usize = 255;

/// Which server names a listener answers for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every name, and clients that send none.
    Any,
    /// Exactly this name.
    Exact(Arc<str>),
    /// `*.example.com` is held as `.example.com`: every name that ends so, with at least one label before it.
    Suffix(Arc<str>),
}

/// One listener of a port.
#[derive(Debug, Clone)]
pub struct TlsListener {
    /// Which names it answers for.
    pub pattern: HostPattern,
    /// The caller's number for it; handed back with each connection.
    pub listener: usize,
    /// What it does with TLS.
    pub action: TlsAction,
}

/// What a listener does with TLS.
#[derive(Debug, Clone)]
pub enum TlsAction {
    /// It ends here.
    Terminate(Arc<Termination>),
    /// It goes through to a backend; only the server name is read.
    Passthrough,
}

/// The listeners of one port. It never changes: a reload makes another one.
#[derive(Debug)]
pub struct PortTls {
    exact: HashMap<Box<str>, Chosen>,
    /// By suffix, with its leading dot.
    suffix: HashMap<Box<str>, Chosen>,
    any: Option<Chosen>,
    passthrough: bool,
    terminates: bool,
}

type Chosen = (usize, TlsAction);

/// Why listeners cannot share a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortTlsError {
    /// Two of them answer for the same names.
    #[error("two TLS listeners of one port answer for `{0}`")]
    Duplicate(HostPattern),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl PortTls {
    /// Puts listeners on one port.
    pub fn new(listeners: impl IntoIterator<Item = TlsListener>) -> Result<Self, PortTlsError> {
        let (exact, suffix) = (HashMap::new(), HashMap::new());
        let mut port = Self { exact, suffix, any: None, passthrough: false, terminates: false };
        for TlsListener { pattern, listener, action } in listeners {
            match action {
                TlsAction::Passthrough => port.passthrough = true,
                TlsAction::Terminate(_) => port.terminates = true,
            }
            let before = match &pattern {
                HostPattern::Any => port.any.replace((listener, action)),
                HostPattern::Exact(name) => port.exact.insert(lower(name), (listener, action)),
                HostPattern::Suffix(suffix) => port.suffix.insert(lower(suffix), (listener, action)),
            };
            if before.is_some() {
                return Err(PortTlsError::Duplicate(pattern));
            }
        }
        Ok(port)
    }

    /// Whether some listener passes connections through, so that what is read must be kept.
    pub fn has_passthrough(&self) -> bool {
        self.passthrough
    }

    /// Whether TLS ends at some listener. On the other ports we are no party to TLS, and say nothing in it.
    pub fn terminates(&self) -> bool {
        self.terminates
    }

    /// The most specific listener for a server name: the name itself, then the longest suffix, then any.
    pub fn find(&self, server_name: Option<&str>) -> Option<(usize, &TlsAction)> {
        let named = server_name.and_then(|name| self.find_named(name));
        named.or(self.any.as_ref()).map(|(listener, action)| (*listener, action))
    }

    fn find_named(&self, name: &str) -> Option<&Chosen> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > SERVER_NAME_BYTES_MAX {
            return None;
        }
        // rustls hands names over in lower case mostly; the standard compares without case.
        let name = lower(name);
        if let Some(chosen) = self.exact.get(&name) {
            return Some(chosen);
        }
        // From the first dot on, then from the second: the longest suffix is met first. At most 128 labels.
        let dots = memchr::memchr_iter(b'.', name.as_bytes()).filter(|dot| *dot > 0);
        if self.suffix.is_empty() {
            return None;
        }
        dots.filter_map(|dot| name.get(dot..)).find_map(|suffix| self.suffix.get(suffix))
    }
}

fn lower(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into_boxed_str()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn port(patterns: &[HostPattern]) -> Result<PortTls, PortTlsError> {
        let listeners = patterns.iter().enumerate().map(|(listener, pattern)| TlsListener {
            pattern: pattern.clone(),
            listener,
            action: TlsAction::Passthrough,
        });
        PortTls::new(listeners)
    }

    #[test]
    fn the_most_specific_listener_wins() {
        let exact = |name: &str| HostPattern::Exact(name.into());
        let suffix = |name: &str| HostPattern::Suffix(name.into());
        let patterns = [suffix(".example.com"), exact("a.example.com"), suffix(".b.Example.com"), HostPattern::Any];
        let (all, named) = (port(&patterns).unwrap(), port(patterns.get(..3).unwrap()).unwrap());
        for (name, expected) in [
            (Some("a.example.com"), Some(1)),
            (Some("A.EXAMPLE.com"), Some(1)),
            (Some("a.example.com."), Some(1)),
            (Some("x.a.example.com"), Some(0)),
            (Some("z.example.com"), Some(0)),
            (Some("x.y.example.com"), Some(0)),
            (Some("x.b.example.com"), Some(2)),
            (Some("x.y.b.example.com"), Some(2)),
            (Some("b.example.com"), Some(0)),
            (Some("example.com"), None),
            (Some(".example.com"), None),
            (Some("badexample.com"), None),
            (Some("test"), None),
            (Some(""), None),
            (None, None),
        ] {
            let found = |port: &PortTls| port.find(name).map(|(listener, _)| listener);
            assert_eq!(found(&named), expected, "{name:?}");
            assert_eq!(found(&all), expected.or(Some(3)), "{name:?} with any");
        }
    }

    #[test]
    fn two_listeners_with_the_same_names_are_refused() {
        let twice = [HostPattern::Exact("a.test".into()), HostPattern::Exact("A.test".into())];
        assert_eq!(port(&twice).unwrap_err().to_string(), "two TLS listeners of one port answer for `A.test`");
        assert!(port(&[HostPattern::Any, HostPattern::Any]).is_err());
        assert!(port(&[HostPattern::Exact("a.test".into()), HostPattern::Suffix(".test".into())]).is_ok());
    }
}
