//! By path: exactly this one, then expressions, then prefixes from the longest to the shortest.
//!
//! The standard leaves open where expressions stand ("implementation-specific"). They stand between exact paths and
//! prefixes, as in Contour and Envoy Gateway, because nearly every host has a prefix `/` that would hide them; longer
//! expressions go first, which is their rough measure of being specific. Expressions of equal length are equals:
//! method, headers and so on decide between them.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use regex::{Regex, RegexSet, RegexSetBuilder};

use super::{
    Facts, Match, PathMatch,
    bucket::{Bucket, Ranked},
    search::Search,
};

/// The largest automaton of all expressions of one host together, in bytes.
const REGEX_SET_BYTES_MAX: usize = 256 * 1024 * 1024;

type ByName<T> = HashMap<Box<str>, T, RandomState>;

/// The matches of one host.
#[derive(Debug)]
pub(super) struct Paths {
    exact: ByName<Bucket>,
    expressions: Option<Expressions>,
    prefixes: Vec<Node>,
    grpc_methods: ByName<Bucket>,
    /// The prefix `/`.
    root: Option<Bucket>,
}

#[derive(Debug)]
struct Expressions {
    /// All of them at once; `None` where that would be too large an automaton.
    set: Option<RegexSet>,
    /// The longest first.
    sorted: Box<[(Regex, Bucket)]>,
}

/// A prefix, or the beginning of one. The first node stands for `/`.
#[derive(Debug)]
struct Node {
    /// What one more segment leads to.
    children: ByName<usize>,
    /// `None`: no prefix ends here.
    bucket: Option<Bucket>,
    /// The bytes of the path up to here.
    length: usize,
    /// The longest shorter prefix.
    shorter: Option<usize>,
}

impl Paths {
    pub(super) fn new(entries: Vec<Ranked>) -> Self {
        let mut exact: ByName<Vec<Ranked>> = HashMap::default();
        let mut prefixes: ByName<Vec<Ranked>> = HashMap::default();
        let mut expressions: ByName<(Regex, Vec<Ranked>)> = HashMap::default();
        let mut grpc_methods: ByName<Vec<Ranked>> = HashMap::default();
        for (rank, entry) in entries {
            let same = match &entry.path {
                PathMatch::Exact(path) => exact.entry(Box::from(&**path)).or_default(),
                PathMatch::Prefix(prefix) => prefixes.entry(Box::from(prefix.trim_end_matches('/'))).or_default(),
                PathMatch::GrpcMethod(method) => grpc_methods.entry(Box::from(&**method)).or_default(),
                PathMatch::Regex(regex) => {
                    &mut expressions.entry(Box::from(regex.as_str())).or_insert_with(|| (regex.clone(), Vec::new())).1
                }
            };
            same.push((rank, entry));
        }
        Self {
            root: prefixes.remove("").map(Bucket::new),
            exact: buckets(exact),
            expressions: Expressions::new(expressions.into_values().collect()),
            prefixes: tree(prefixes),
            grpc_methods: buckets(grpc_methods),
        }
    }

    /// The match that wins whatever the model is, if there is one.
    #[inline]
    pub(super) fn search<'t>(&'t self, facts: &Facts<'_>, search: &mut Search<'t>) -> Option<Match<'t>> {
        if !self.exact.is_empty()
            && let Some(found) = search_bucket(self.exact.get(facts.path), None, facts, search)
        {
            return Some(found);
        }
        if let Some(expressions) = &self.expressions
            && let Some(found) = expressions.search(facts, search)
        {
            return Some(found);
        }
        let mut at = deepest(&self.prefixes, facts.path);
        while let Some(node) = at.and_then(|at| self.prefixes.get(at)) {
            if let Some(found) = search_bucket(node.bucket.as_ref(), Some(node.length), facts, search) {
                return Some(found);
            }
            at = node.shorter;
        }
        if !self.grpc_methods.is_empty()
            && let Some(method) = grpc_method(facts.path)
            && let Some(found) = search_bucket(self.grpc_methods.get(method), None, facts, search)
        {
            return Some(found);
        }
        search_bucket(self.root.as_ref(), Some(1), facts, search)
    }
}

fn buckets(entries: ByName<Vec<Ranked>>) -> ByName<Bucket> {
    entries.into_iter().map(|(name, entries)| (name, Bucket::new(entries))).collect()
}

/// A level of one bucket.
#[inline]
fn search_bucket<'t>(
    bucket: Option<&'t Bucket>,
    prefix_len: Option<usize>,
    facts: &Facts<'_>,
    search: &mut Search<'t>,
) -> Option<Match<'t>> {
    bucket?.search(facts, search);
    search.settle().map(|rule| Match { rule, prefix_len })
}

/// `Method` of `/package.Service/Method`.
fn grpc_method(path: &str) -> Option<&str> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (!service.is_empty() && !method.contains('/')).then_some(method)
}

/// Makes a tree of segments.
fn tree(prefixes: ByName<Vec<Ranked>>) -> Vec<Node> {
    if prefixes.is_empty() {
        return Vec::new();
    }
    let mut nodes = vec![Node { children: HashMap::default(), bucket: None, length: 0, shorter: None }];
    let mut sorted: Vec<_> = prefixes.into_iter().collect();
    // A prefix comes before those that begin with it, so that `shorter` is known when they do.
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (prefix, entries) in sorted {
        let mut at = 0;
        for segment in prefix.strip_prefix('/').unwrap_or(&prefix).split('/') {
            let next = nodes.len();
            let Some(node) = nodes.get_mut(at) else { break };
            let shorter = if node.bucket.is_some() { Some(at) } else { node.shorter };
            let length = node.length + 1 + segment.len();
            at = *node.children.entry(Box::from(segment)).or_insert(next);
            if at == next {
                nodes.push(Node { children: HashMap::default(), bucket: None, length, shorter });
            }
        }
        if let Some(node) = nodes.get_mut(at) {
            node.bucket = Some(Bucket::new(entries));
        }
    }
    nodes
}

/// The longest known beginning of `path`. It costs no more steps than the tree is deep, however long the path is.
#[inline]
fn deepest(nodes: &[Node], path: &str) -> Option<usize> {
    let mut node = nodes.first()?;
    let mut at = 0;
    for segment in path.strip_prefix('/')?.split('/') {
        if node.children.is_empty() {
            break;
        }
        let Some(&next) = node.children.get(segment) else { break };
        node = nodes.get(next)?;
        at = next;
    }
    Some(at)
}

impl Expressions {
    fn new(entries: Vec<(Regex, Vec<Ranked>)>) -> Option<Self> {
        if entries.is_empty() {
            return None;
        }
        let mut sorted: Vec<_> = entries.into_iter().map(|(regex, entries)| (regex, Bucket::new(entries))).collect();
        sorted
            .sort_by(|(a, _), (b, _)| b.as_str().len().cmp(&a.as_str().len()).then_with(|| a.as_str().cmp(b.as_str())));
        let patterns = sorted.iter().map(|(regex, _)| regex.as_str());
        let set = RegexSetBuilder::new(patterns).size_limit(REGEX_SET_BYTES_MAX).build().ok();
        Some(Self { set, sorted: sorted.into() })
    }

    fn search<'t>(&'t self, facts: &Facts<'_>, search: &mut Search<'t>) -> Option<Match<'t>> {
        match &self.set {
            // Most paths meet no expression, and asking so allocates nothing.
            Some(set) if !set.is_match(facts.path) => None,
            Some(set) => self.search_these(set.matches(facts.path).iter(), facts, search),
            None => {
                let met = self.sorted.iter().enumerate().filter(|(_, (regex, _))| regex.is_match(facts.path));
                self.search_these(met.map(|(at, _)| at), facts, search)
            }
        }
    }

    /// Of expressions that the path matches, in order: equally long ones are one level.
    fn search_these<'t>(
        &'t self,
        met: impl Iterator<Item = usize>,
        facts: &Facts<'_>,
        search: &mut Search<'t>,
    ) -> Option<Match<'t>> {
        let found = |search: &mut Search<'t>| search.settle().map(|rule| Match { rule, prefix_len: None });
        let mut length = None;
        for (regex, bucket) in met.filter_map(|at| self.sorted.get(at)) {
            if length.replace(regex.as_str().len()).is_some_and(|previous| previous != regex.as_str().len())
                && let Some(found) = found(search)
            {
                return Some(found);
            }
            bucket.search(facts, search);
        }
        found(search)
    }
}
