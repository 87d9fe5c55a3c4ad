//! Which rule does a request meet? Tables compiled once, looked up in time that does not grow with the number of routes.
//!
//! A lookup goes from the most specific host to the least ([`hosts`]), there from exact paths over expressions to the
//! longest prefix ([`paths`]), and within one path from the match with the most conditions to the one with the fewest
//! ([`bucket`]): the order of the Gateway API, whatever the order in YAML. Every step is a hash, not a search.

mod bucket;
mod hosts;
mod paths;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use regex::Regex;

use self::{bucket::Outcome, hosts::Hosts, paths::PathTable};
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
    /// It depends on the model, which has not been read. Authenticate, read, ask again. Of the rules that may be chosen
    /// then, one for each AccessPolicy.
    NeedsModel(Vec<&'t Arc<Rule>>),
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
    /// The whole path against an expression (anchored at both ends).
    Regex(Regex),
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
    hosts: Hosts<PathTable>,
    size: usize,
}

impl RouteTable {
    /// Compiles the entries of one listener, in any order.
    pub fn new(entries: Vec<RouteEntry>) -> Self {
        let size = entries.len();
        let by_host = entries.into_iter().map(|entry| (entry.host.clone(), entry));
        Self { hosts: Hosts::new(by_host, PathTable::new), size }
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
    pub fn find<'t>(&'t self, facts: &Facts<'_>) -> Found<'t> {
        let mut waiting: Vec<&'t Arc<Rule>> = Vec::new();
        for table in self.hosts.find(facts.host) {
            match table.find(facts, &mut waiting) {
                Outcome::Match(found) if waiting.is_empty() => return Found::Rule(found),
                Outcome::Match(found) => {
                    waiting.push(found.rule);
                    break;
                }
                Outcome::Nothing => {}
            }
        }
        if waiting.is_empty() { Found::Nothing } else { Found::NeedsModel(waiting) }
    }
}

/// The TLSRoutes of one listener, by server name.
#[derive(Debug, Default)]
pub struct TlsRouteTable {
    hosts: Hosts<Option<Arc<TlsRule>>>,
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
        entries.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
        let by_host = entries.into_iter().map(|(host, _, rule)| (host, rule));
        Self { hosts: Hosts::new(by_host, |rules| rules.into_iter().next()) }
    }

    /// The rule for a server name; `None`: no route, the connection is closed.
    pub fn find(&self, server_name: Option<&str>) -> Option<&Arc<TlsRule>> {
        self.hosts.find(server_name.unwrap_or_default()).find_map(Option::as_ref)
    }
}
