//! Hosts: exact, then the longest wildcard, then any.

use std::sync::Arc;

use foldhash::HashMap;

use crate::snapshot::HostPattern;

/// Something for each host pattern.
#[derive(Debug)]
pub(super) struct Hosts<T> {
    exact: HashMap<Arc<str>, T>,
    /// By suffix, the leading dot included.
    suffixes: HashMap<Arc<str>, T>,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), suffixes: HashMap::default(), any: None }
    }
}

impl<T> Hosts<T> {
    /// Gathers entries by host and makes something of each host's.
    pub(super) fn new<E>(entries: impl Iterator<Item = (HostPattern, E)>, make: impl Fn(Vec<E>) -> T) -> Self {
        let mut exact: HashMap<Arc<str>, Vec<E>> = HashMap::default();
        let mut suffixes: HashMap<Arc<str>, Vec<E>> = HashMap::default();
        let mut any = Vec::new();
        for (host, entry) in entries {
            match host {
                HostPattern::Exact(host) => exact.entry(host).or_default().push(entry),
                HostPattern::Suffix(suffix) => suffixes.entry(suffix).or_default().push(entry),
                HostPattern::Any => any.push(entry),
            }
        }
        let finish = |(host, entries)| (host, make(entries));
        Self {
            exact: exact.into_iter().map(finish).collect(),
            suffixes: suffixes.into_iter().map(finish).collect(),
            any: (!any.is_empty()).then(|| make(any)),
        }
    }

    /// What there is for `host`, the most specific first.
    pub(super) fn find<'t, 'h>(&'t self, host: &'h str) -> impl Iterator<Item = &'t T> {
        let suffixes = (!self.suffixes.is_empty())
            .then(|| host.match_indices('.').filter(|(at, _)| *at > 0))
            .into_iter()
            .flatten()
            .filter_map(move |(at, _)| self.suffixes.get(host.get(at..)?));
        self.exact.get(host).into_iter().chain(suffixes).chain(&self.any)
    }
}
