//! Paths of [`TABLES`] as a tree of segments: what is looked up costs the same for any number of rows.

use std::sync::LazyLock;

use foldhash::HashMap;
use http::Method;

use super::{
    Action,
    tables::{Row, TABLES},
};

/// The tables as they are written.
pub(super) static AS_WRITTEN: LazyLock<Node> = LazyLock::new(|| Node::of_tables(false));
/// The tables in lower case.
pub(super) static LOWER_CASE: LazyLock<Node> = LazyLock::new(|| Node::of_tables(true));

/// What stands below some segments.
#[derive(Debug, Default)]
pub(super) struct Node {
    literals: HashMap<Box<str>, Node>,
    /// `{model}`.
    any: Option<Box<Node>>,
    /// `{model…}`.
    rest: Vec<&'static Row>,
    here: Vec<&'static Row>,
}

impl Node {
    fn of_tables(lower_case: bool) -> Self {
        let mut root = Self::default();
        for row in TABLES.iter().flat_map(|table| table.rows) {
            root.insert(row, lower_case);
        }
        root
    }

    fn insert(&mut self, row: &'static Row, lower_case: bool) {
        let mut node = self;
        for segment in row.1.split('/').skip(1) {
            if segment.ends_with("…}") {
                node.rest.push(row);
                return;
            }
            node = if segment.starts_with('{') {
                node.any.get_or_insert_default()
            } else {
                let name = if lower_case { segment.to_ascii_lowercase() } else { segment.to_owned() };
                node.literals.entry(name.into()).or_default()
            };
        }
        node.here.push(row);
    }

    /// The rows of a path: those with most of it written out.
    pub(super) fn find(&self, path: &str) -> Option<&[&'static Row]> {
        let (segment, rest) = match path.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (path, None),
        };
        if segment.is_empty() {
            return None;
        }
        let literal = self.literals.get(segment).and_then(|node| node.below(rest));
        let found = literal.or_else(|| self.any.as_deref().and_then(|node| node.below(rest)));
        // The rest may be any segments, but no empty one: a server that drops those would see another path.
        let is_whole = rest.is_none_or(|rest| rest.split('/').all(|segment| !segment.is_empty()));
        found.or_else(|| Some(self.rest.as_slice()).filter(|rows| !rows.is_empty() && is_whole))
    }

    fn below(&self, rest: Option<&str>) -> Option<&[&'static Row]> {
        match rest {
            Some(rest) => self.find(rest),
            None => Some(self.here.as_slice()).filter(|rows| !rows.is_empty()),
        }
    }
}

impl Row {
    /// Whether it is about this method.
    pub(super) fn takes(&self, method: &Method) -> bool {
        let method = if [Method::HEAD, Method::CONNECT].contains(method) { &Method::GET } else { method };
        self.0.is_empty() || self.0.contains(method)
    }
}

/// The gravest action of some rows.
pub(super) fn gravest(rows: &[&'static Row]) -> Option<Action> {
    rows.iter().map(|row| row.2).max_by_key(|action| action.gravity())
}
