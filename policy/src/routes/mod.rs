//! Which rule does a request meet? Tables compiled once, looked up in time that does not grow with the number of routes.
//!
//! The order is that of the Gateway API (`HTTPRouteSpec.hostnames`, `HTTPRouteRule.matches`): the most specific host,
//! then the most specific path, then a method, more headers, more query parameters, the oldest route, its name, the
//! position in it. A rule of a less specific host is met only if no rule of a more specific one is. Each step is a
//! module: [`hosts`], [`paths`], [`bucket`]; [`search`] keeps what a lookup has seen so far, and [`values`] reads headers
//! and query parameters.
//!
//! A match may ask for the model that the request's body names. A lookup before the body has been read answers
//! [`Found::NeedsModel`] only where that could change the outcome.

mod bucket;
mod hosts;
#[cfg(test)]
mod oracle;
mod paths;
mod search;
mod values;

use std::{borrow::Cow, sync::Arc};

use foldhash::HashSet;
use http::{HeaderMap, HeaderName, Method};
use regex::Regex;

pub use self::search::Choices;
use self::{hosts::Hosts, paths::Paths, search::Search};
use crate::snapshot::{Access, DocumentId, HostPattern, Rule, WeightedBackend};

/// What a lookup needs to know of a request. Host and path are canonical already (lower case, no port, no dot segments).
#[derive(Debug, Clone, Copy)]
pub struct Facts<'r> {
    /// The canonical host.
    pub host: &'r str,
    /// The method.
    pub method: &'r Method,
    /// The canonical path, without the query.
    pub path: &'r str,
    /// The query without `?`, as sent.
    pub query: Option<&'r str>,
    /// The headers, with everything dropped that a client may not set.
    pub headers: &'r HeaderMap,
    /// The model that the body names.
    pub model: Model<'r>,
}

/// What is known of the model's name (`X-Gateway-Model-Name`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model<'r> {
    /// The body has not been read yet.
    Unread,
    /// The body has been read, or cannot name one.
    Known(Option<&'r str>),
}

/// The answer of a lookup.
#[derive(Debug, Clone)]
pub enum Found<'t> {
    /// This rule.
    Rule(Match<'t>),
    /// It depends on the model, which has not been read: one of these. Authenticate, read, ask again.
    NeedsModel(Choices<'t>),
    /// No rule: 404.
    Nothing,
}

/// A rule, and how the request met it.
#[derive(Debug, Clone, Copy)]
pub struct Match<'t> {
    /// The rule.
    pub rule: &'t Arc<Rule>,
    /// The length of the matched path prefix, for `ReplacePrefixMatch`; `None` if the match was not by prefix.
    pub prefix_len: Option<usize>,
}

/// One match of one rule, on its way into a table.
#[derive(Debug, Clone)]
pub struct RouteEntry {
    /// The effective host: the intersection of route and listener.
    pub host: HostPattern,
    /// The path.
    pub path: PathMatch,
    /// `None`: any method.
    pub method: Option<Method>,
    /// All must hold.
    pub headers: Vec<HeaderMatch>,
    /// All must hold.
    pub query: Vec<QueryMatch>,
    /// Ties between routes: older first, then `namespace/name`, then rules and matches in order.
    pub tie: TieBreak,
    /// The rule it leads to.
    pub rule: Arc<Rule>,
}

/// What decides between matches that are equally specific: smaller wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TieBreak {
    /// `metadata.creationTimestamp`, RFC 3339 (they sort as text); `None` sorts last.
    pub created: (bool, Arc<str>),
    /// `namespace/name` of the route.
    pub route: Arc<str>,
    /// The rule's position.
    pub rule: usize,
    /// The match's position.
    pub matching: usize,
}

/// A path to match.
#[derive(Debug, Clone)]
pub enum PathMatch {
    /// The whole path.
    Exact(Arc<str>),
    /// By segments: `/v1` matches `/v1` and `/v1/x`, not `/v10`. Without a trailing slash, `/` alone excepted.
    Prefix(Arc<str>),
    /// The whole path against an expression (anchored at both ends). Ranks after exact paths and before prefixes.
    Regex(Regex),
    /// A gRPC method of whichever service: `Method` matches `/package.Service/Method`. Ranks after every prefix but `/`,
    /// because a GRPCRoute's matches are compared by the characters of the service before those of the method.
    GrpcMethod(Arc<str>),
}

/// A header to match.
#[derive(Debug, Clone)]
pub struct HeaderMatch {
    /// Its name; `x-gateway-model-name` stands for [`Facts::model`].
    pub name: HeaderName,
    /// Its value; several values of one name are joined by a comma, as RFC 9110 §5.3 says.
    pub value: ValueMatch,
}

/// A query parameter to match; the first of several with one name counts.
#[derive(Debug, Clone)]
pub struct QueryMatch {
    /// Its name, decoded.
    pub name: Arc<str>,
    /// Its value, decoded.
    pub value: ValueMatch,
}

/// A value to match.
#[derive(Debug, Clone)]
pub enum ValueMatch {
    /// Exactly.
    Exact(Arc<str>),
    /// The whole value against an expression (anchored at both ends).
    Regex(Regex),
}

/// `X-Gateway-Model-Name`, as a match names it.
pub const MODEL_HEADER: &str = "x-gateway-model-name";

/// The HTTP rules of one listener.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: Hosts<Paths>,
    size: usize,
    rules: Box<[Arc<Rule>]>,
}

impl RouteTable {
    /// Compiles the entries of one listener, in any order.
    pub fn new(mut entries: Vec<RouteEntry>) -> Self {
        let size = entries.len();
        entries.sort_by(|a, b| a.tie.cmp(&b.tie));
        let mut seen = HashSet::<*const Rule>::default();
        let rules = entries.iter().map(|entry| &entry.rule).filter(|rule| seen.insert(Arc::as_ptr(rule))).cloned();
        let rules = rules.collect();
        let mut hosts = Hosts::<Vec<_>>::default();
        for (rank, entry) in (0..).zip(entries) {
            hosts.entry(&entry.host).push((rank, entry));
        }
        Self { hosts: hosts.map(Paths::new), size, rules }
    }

    /// Every rule that some request may meet, once, the oldest routes first.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// How many matches it holds.
    pub fn len(&self) -> usize {
        self.size
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The rule that `facts` meet.
    ///
    /// Allocates nothing unless the path meets an expression, or a value that is compared is longer than 256 bytes.
    pub fn find<'t>(&'t self, facts: &Facts<'_>) -> Found<'t> {
        let mut search = Search::default();
        let found = self.hosts.find_map(facts.host, |paths| paths.search(facts, &mut search));
        match (search.into_choices(), found) {
            (Some(choices), _) => Found::NeedsModel(choices),
            (None, Some(found)) => Found::Rule(found),
            (None, None) => Found::Nothing,
        }
    }
}

/// The TLSRoutes of one listener, by server name.
#[derive(Debug, Default)]
pub struct TlsRouteTable {
    hosts: Hosts<Option<Arc<TlsRule>>>,
    rules: Vec<Arc<TlsRule>>,
}

/// One TLSRoute rule.
#[derive(Debug)]
pub struct TlsRule {
    /// The route.
    pub route: DocumentId,
    /// Where connections go.
    pub backends: Vec<WeightedBackend>,
    /// Who may come in.
    pub access: Access,
}

impl TlsRouteTable {
    /// Compiles the rules of one listener.
    pub fn new(mut entries: Vec<(HostPattern, TieBreak, Arc<TlsRule>)>) -> Self {
        entries.sort_by(|a, b| a.1.cmp(&b.1));
        let mut hosts = Hosts::<Option<Arc<TlsRule>>>::default();
        let mut rules: Vec<Arc<TlsRule>> = Vec::new();
        for (host, _, rule) in entries {
            if !rules.iter().any(|seen| Arc::ptr_eq(seen, &rule)) {
                rules.push(rule.clone());
            }
            hosts.entry(&host).get_or_insert(rule);
        }
        Self { hosts, rules }
    }

    /// Every rule, once.
    pub fn rules(&self) -> &[Arc<TlsRule>] {
        &self.rules
    }

    /// The rule for a server name; `None`: no route, the connection is closed.
    ///
    /// A client that names no server meets only a rule for any host.
    pub fn find(&self, server_name: Option<&str>) -> Option<&Arc<TlsRule>> {
        let name = server_name.unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        self.hosts.find_map(&name, Option::as_ref)
    }
}
