//! The matches of one path: by method, headers and query, the most specific first.
//!
//! Matches that look at the same fields form a group, and a group is one hash over the values of these fields. So ten
//! thousand routes that differ in the value of one header are found as fast as two.

use std::{
    borrow::Cow,
    cmp::Reverse,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

use foldhash::{HashMap, fast::FixedState};
use http::{HeaderMap, HeaderName, Method};

use super::{Facts, HeaderMatch, MODEL_HEADER, Match, Model, QueryMatch, RouteEntry, TieBreak, ValueMatch};
use crate::snapshot::Rule;

/// What a table answers.
#[derive(Debug)]
pub(super) enum Outcome<'t> {
    Match(Match<'t>),
    Nothing,
}

/// The best match of a bucket, with what it takes to compare it with another bucket's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Best<'t> {
    pub(super) rule: &'t Arc<Rule>,
    rank: Rank,
    tie: &'t TieBreak,
}

impl Best<'_> {
    pub(super) fn precedes(&self, other: &Self) -> bool {
        (self.rank, self.tie) < (other.rank, other.tie)
    }
}

/// Smaller comes first: with a method, then with more headers, then with more query parameters.
type Rank = (Reverse<bool>, Reverse<usize>, Reverse<usize>);

/// All matches of one path.
#[derive(Debug)]
pub(super) struct Bucket {
    /// In order of rank.
    groups: Vec<Group>,
}

/// Matches that look at the same fields.
#[derive(Debug)]
struct Group {
    rank: Rank,
    has_method: bool,
    headers: Vec<HeaderName>,
    query: Vec<Arc<str>>,
    by_values: HashMap<u64, Vec<Candidate>>,
    /// One rule for each AccessPolicy, if the group depends on the model.
    waiting: Vec<Arc<Rule>>,
}

#[derive(Debug)]
struct Candidate {
    method: Option<Method>,
    headers: Vec<HeaderMatch>,
    query: Vec<QueryMatch>,
    tie: TieBreak,
    rule: Arc<Rule>,
}

impl Bucket {
    pub(super) fn new(entries: Vec<RouteEntry>) -> Self {
        type Signature = (bool, usize, usize, Vec<String>, Vec<Arc<str>>);
        let mut groups: HashMap<Signature, Group> = HashMap::default();
        for entry in entries {
            let RouteEntry { method, mut headers, mut query, tie, rule, .. } = entry;
            headers.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
            query.sort_by(|a, b| a.name.cmp(&b.name));
            let exact = |value: &ValueMatch| matches!(value, ValueMatch::Exact(_));
            let names: Vec<HeaderName> = headers.iter().filter(|h| exact(&h.value)).map(|h| h.name.clone()).collect();
            let parameters: Vec<Arc<str>> = query.iter().filter(|q| exact(&q.value)).map(|q| q.name.clone()).collect();
            let signature = (
                method.is_some(),
                headers.len(),
                query.len(),
                names.iter().map(ToString::to_string).collect(),
                parameters.clone(),
            );
            let group = groups.entry(signature).or_insert_with(|| Group {
                rank: (Reverse(method.is_some()), Reverse(headers.len()), Reverse(query.len())),
                has_method: method.is_some(),
                headers: names,
                query: parameters,
                by_values: HashMap::default(),
                waiting: Vec::new(),
            });
            if headers.iter().any(|header| header.name == MODEL_HEADER)
                && !group.waiting.iter().any(|other| other.access == rule.access)
            {
                group.waiting.push(rule.clone());
            }
            let key = group.key_of(method.as_ref(), &headers, &query);
            group.by_values.entry(key).or_default().push(Candidate { method, headers, query, tie, rule });
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_key(|group| group.rank);
        for candidates in groups.iter_mut().flat_map(|group| group.by_values.values_mut()) {
            candidates.sort_by(|a, b| a.tie.cmp(&b.tie));
        }
        Self { groups }
    }

    pub(super) fn find<'t>(&'t self, facts: &Facts<'_>, waiting: &mut Vec<&'t Arc<Rule>>) -> Option<Best<'t>> {
        let mut best: Option<Best<'t>> = None;
        for group in &self.groups {
            // A lower rank cannot win any more.
            if best.as_ref().is_some_and(|best| best.rank < group.rank) {
                break;
            }
            if !group.waiting.is_empty() && facts.model == Model::Unread {
                waiting.extend(&group.waiting);
                continue;
            }
            if let Some(found) = group.find(facts)
                && best.as_ref().is_none_or(|best| found.precedes(best))
            {
                best = Some(found);
            }
        }
        best
    }
}

impl Group {
    fn find<'t>(&'t self, facts: &Facts<'_>) -> Option<Best<'t>> {
        let mut hasher = FixedState::default().build_hasher();
        if self.has_method {
            facts.method.hash(&mut hasher);
        }
        for name in &self.headers {
            hash_text(&header_value(facts, name)?, &mut hasher);
        }
        for name in &self.query {
            hash_text(query_value(facts.query, name)?.as_bytes(), &mut hasher);
        }
        let candidates = self.by_values.get(&hasher.finish())?;
        let found = candidates.iter().find(|candidate| candidate.matches(facts))?;
        Some(Best { rule: &found.rule, rank: self.rank, tie: &found.tie })
    }

    fn key_of(&self, method: Option<&Method>, headers: &[HeaderMatch], query: &[QueryMatch]) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        if let Some(method) = method {
            method.hash(&mut hasher);
        }
        for header in headers {
            if let ValueMatch::Exact(value) = &header.value {
                hash_text(value.as_bytes(), &mut hasher);
            }
        }
        for parameter in query {
            if let ValueMatch::Exact(value) = &parameter.value {
                hash_text(value.as_bytes(), &mut hasher);
            }
        }
        hasher.finish()
    }
}

impl Candidate {
    /// The hash says probably; this says surely.
    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.method.as_ref().is_none_or(|method| method == facts.method)
            && self.headers.iter().all(|header| {
                header_value(facts, &header.name).is_some_and(|value| value_matches(&header.value, &value))
            })
            && self.query.iter().all(|parameter| {
                query_value(facts.query, &parameter.name)
                    .is_some_and(|value| value_matches(&parameter.value, value.as_bytes()))
            })
    }
}

fn hash_text(text: &[u8], hasher: &mut impl Hasher) {
    hasher.write(text);
    hasher.write_usize(text.len());
}

fn value_matches(expected: &ValueMatch, value: &[u8]) -> bool {
    match expected {
        ValueMatch::Exact(text) => text.as_bytes() == value,
        ValueMatch::Regex(regex) => std::str::from_utf8(value).is_ok_and(|value| regex.is_match(value)),
    }
}

/// A header's value, several joined by commas; the model for its own header, whatever the client says.
fn header_value<'r>(facts: &Facts<'r>, name: &HeaderName) -> Option<Cow<'r, [u8]>> {
    if name == MODEL_HEADER {
        return match facts.model {
            Model::Known(model) => model.map(|model| Cow::Borrowed(model.as_bytes())),
            Model::Unread => None,
        };
    }
    joined(facts.headers, name)
}

fn joined<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Option<Cow<'r, [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.as_bytes();
    let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
    let mut all = first.to_vec();
    for value in std::iter::once(second).chain(values) {
        all.push(b',');
        all.extend_from_slice(value.as_bytes());
    }
    Some(Cow::Owned(all))
}

/// The first value of a query parameter, decoded as forms are.
fn query_value<'r>(query: Option<&'r str>, name: &str) -> Option<Cow<'r, str>> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |at: usize| after.get(at).and_then(|b| (*b as char).to_digit(16));
                if let (Some(high), Some(low)) = (digit(0), digit(1)) {
                    bytes.push((high << 4 | low) as u8);
                    rest = after.get(2..).unwrap_or_default();
                } else {
                    bytes.push(b'%');
                }
            }
            byte => bytes.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
