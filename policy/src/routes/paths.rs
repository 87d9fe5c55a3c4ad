//! Paths of one host: exact ones, then expressions, then prefixes from the longest to the shortest.
//!
//! Where expressions stand is for implementations to say: like Envoy Gateway, we put them between the two.

use std::sync::Arc;

use foldhash::HashMap;
use regex::{Regex, RegexSet, RegexSetBuilder};

use super::{
    Facts, Match, PathMatch, RouteEntry,
    bucket::{Best, Bucket, Outcome},
};
use crate::snapshot::Rule;

/// The largest automaton of all expressions of one host together, in bytes.
const REGEX_SET_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The matches of one host.
#[derive(Debug)]
pub(super) struct PathTable {
    exact: HashMap<Arc<str>, Bucket>,
    prefixes: HashMap<Arc<str>, Bucket>,
    /// No prefix is longer, in bytes: longer parts of a path need not be looked at.
    prefix_len_max: usize,
    expressions: Option<Expressions>,
}

#[derive(Debug)]
struct Expressions {
    /// All at once; `None` if together they are too large, and are tried one by one.
    set: Option<RegexSet>,
    each: Vec<(Regex, Bucket)>,
}

impl PathTable {
    pub(super) fn new(entries: Vec<RouteEntry>) -> Self {
        let mut exact: HashMap<Arc<str>, Vec<RouteEntry>> = HashMap::default();
        let mut prefixes: HashMap<Arc<str>, Vec<RouteEntry>> = HashMap::default();
        let mut expressions: Vec<(Regex, Vec<RouteEntry>)> = Vec::new();
        let mut by_pattern: HashMap<String, usize> = HashMap::default();
        for entry in entries {
            match entry.path.clone() {
                PathMatch::Exact(path) => exact.entry(path).or_default().push(entry),
                PathMatch::Prefix(path) => prefixes.entry(path).or_default().push(entry),
                PathMatch::Regex(regex) => {
                    let at = *by_pattern.entry(regex.as_str().to_owned()).or_insert_with(|| {
                        expressions.push((regex, Vec::new()));
                        expressions.len() - 1
                    });
                    if let Some((_, entries)) = expressions.get_mut(at) {
                        entries.push(entry);
                    }
                }
            }
        }
        let finish = |(path, entries)| (path, Bucket::new(entries));
        let prefix_len_max = prefixes.keys().map(|prefix| prefix.len()).max().unwrap_or(0);
        Self {
            exact: exact.into_iter().map(finish).collect(),
            prefixes: prefixes.into_iter().map(finish).collect(),
            prefix_len_max,
            expressions: Expressions::new(expressions),
        }
    }

    /// The best match. Rules that depend on a model not yet read, and would come before it, go into `waiting`.
    pub(super) fn find<'t>(&'t self, facts: &Facts<'_>, waiting: &mut Vec<&'t Arc<Rule>>) -> Outcome<'t> {
        let matched = |best: Best<'t>, prefix_len| Outcome::Match(Match { rule: best.rule, prefix_len });
        if let Some(best) = self.exact.get(facts.path).and_then(|bucket| bucket.find(facts, waiting)) {
            return matched(best, None);
        }
        if let Some(best) = self.expressions.as_ref().and_then(|expressions| expressions.find(facts, waiting)) {
            return matched(best, None);
        }
        for prefix in prefixes_of(facts.path, self.prefix_len_max) {
            if let Some(best) = self.prefixes.get(prefix).and_then(|bucket| bucket.find(facts, waiting)) {
                return matched(best, Some(prefix.len()));
            }
        }
        Outcome::Nothing
    }
}

/// The prefixes of a path at the ends of its segments, from the longest of at most `len_max` bytes to `/`.
fn prefixes_of(path: &str, len_max: usize) -> impl Iterator<Item = &str> {
    let bytes = path.as_bytes();
    let longest = bytes.len().min(len_max);
    let is_boundary = move |end: usize| {
        end > 1 && bytes.get(end).is_none_or(|byte| *byte == b'/') && bytes.get(end - 1) != Some(&b'/')
    };
    let ends = (2..=longest).rev().filter(move |end| is_boundary(*end));
    ends.filter_map(|end| path.get(..end)).chain(path.get(..1).filter(|root| *root == "/"))
}

impl Expressions {
    fn new(mut expressions: Vec<(Regex, Vec<RouteEntry>)>) -> Option<Self> {
        if expressions.is_empty() {
            return None;
        }
        expressions.sort_by(|(_, a), (_, b)| {
            let first = |entries: &[RouteEntry]| entries.iter().map(|entry| entry.tie.clone()).min();
            first(a).cmp(&first(b))
        });
        let set = RegexSetBuilder::new(expressions.iter().map(|(regex, _)| regex.as_str()))
            .size_limit(REGEX_SET_BYTES_MAX)
            .build()
            .ok();
        let each = expressions.into_iter().map(|(regex, entries)| (regex, Bucket::new(entries))).collect();
        Some(Self { set, each })
    }

    fn find<'t>(&'t self, facts: &Facts<'_>, waiting: &mut Vec<&'t Arc<Rule>>) -> Option<Best<'t>> {
        let mut best: Option<Best<'t>> = None;
        let mut consider = |bucket: &'t Bucket| {
            if let Some(found) = bucket.find(facts, waiting)
                && best.as_ref().is_none_or(|best| found.precedes(best))
            {
                best = Some(found);
            }
        };
        match &self.set {
            Some(set) => {
                for index in &set.matches(facts.path) {
                    if let Some((_, bucket)) = self.each.get(index) {
                        consider(bucket);
                    }
                }
            }
            None => {
                let matching = self.each.iter().filter(|(regex, _)| regex.is_match(facts.path));
                matching.for_each(|(_, bucket)| consider(bucket));
            }
        }
        best
    }
}

#[cfg(test)]
mod prefix_tests {
    use super::prefixes_of;

    #[test]
    fn prefixes_end_with_segments() {
        let check = |path: &str, len_max: usize, expected: &[&str]| {
            assert_eq!(prefixes_of(path, len_max).collect::<Vec<_>>(), expected, "{path} {len_max}");
        };
        check("/", 10, &["/"]);
        check("/v1", 10, &["/v1", "/"]);
        check("/v1/", 10, &["/v1", "/"]);
        check("/v1/chat/x", 10, &["/v1/chat/x", "/v1/chat", "/v1", "/"]);
        check("/v1/chat/x", 8, &["/v1/chat", "/v1", "/"]);
        check("/v1/chat/x", 0, &["/"]);
        check("*", 10, &[]);
    }
}
