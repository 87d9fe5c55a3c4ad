//! Expressions that match themselves, by trying everything.

use proptest::prelude::*;

/// A small expression.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    OneOf(&'static str),
    Boundary,
    Sequence(Vec<Expression>),
    Either(Vec<Expression>),
    Often(Box<Expression>),
    Perhaps(Box<Expression>),
}

use Expression::{Boundary, Either, Often, OneOf, Perhaps, Sequence};

impl Expression {
    /// Where it can end if it begins here.
    pub(super) fn ends(&self, text: &[u8], at: usize) -> Vec<usize> {
        let mut ends = match self {
            OneOf(set) => {
                let is_one = text.get(at).is_some_and(|byte| set.as_bytes().contains(byte));
                if is_one { vec![at + 1] } else { vec![] }
            }
            Boundary => {
                let is_word = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
                if is_word(at.checked_sub(1)) == is_word(Some(at)) { vec![] } else { vec![at] }
            }
            Sequence(parts) => parts.iter().fold(vec![at], |ends, part| {
                let mut ends: Vec<_> = ends.iter().flat_map(|at| part.ends(text, *at)).collect();
                ends.sort_unstable();
                ends.dedup();
                ends
            }),
            Either(parts) => parts.iter().flat_map(|part| part.ends(text, at)).collect(),
            Often(part) => {
                let mut all = part.ends(text, at);
                let mut seen = 0;
                while seen < all.len() {
                    let more: Vec<_> =
                        part.ends(text, all[seen]).into_iter().filter(|end| !all.contains(end)).collect();
                    all.extend(more);
                    seen += 1;
                }
                all
            }
            Perhaps(part) => part.ends(text, at).into_iter().chain([at]).collect(),
        };
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    pub(super) fn pattern(&self) -> String {
        let all = |parts: &[Self], between| parts.iter().map(Self::pattern).collect::<Vec<_>>().join(between);
        match self {
            OneOf(set) => format!("[{set}]"),
            Boundary => r"(?-u:\b)".to_owned(),
            Sequence(parts) => format!("(?:{})", all(parts, "")),
            Either(parts) => format!("(?:{})", all(parts, "|")),
            Often(part) => format!("(?:{})+", part.pattern()),
            Perhaps(part) => format!("(?:{})?", part.pattern()),
        }
    }

    /// The shortest and the longest match, if nothing is repeated.
    pub(super) fn lengths(&self) -> (usize, usize) {
        match self {
            OneOf(_) => (1, 1),
            Boundary => (0, 0),
            Sequence(parts) => {
                parts.iter().map(Self::lengths).fold((0, 0), |all, part| (all.0 + part.0, all.1 + part.1))
            }
            Either(parts) => {
                let lengths = || parts.iter().map(Self::lengths);
                (lengths().map(|of| of.0).min().unwrap_or(0), lengths().map(|of| of.1).max().unwrap_or(0))
            }
            Often(part) => part.lengths(),
            Perhaps(part) => (0, part.lengths().1),
        }
    }
}

/// Expressions that match something, of up to four bytes if nothing is repeated.
pub(super) fn expressions() -> impl Strategy<Value = Expression> {
    let set = prop::sample::select(vec!["a", "b", " ", "ab", "b ", "a", "b"]).prop_map(OneOf);
    let leaf = prop_oneof![6 => set, 1 => Just(Boundary)];
    let tree = leaf.prop_recursive(3, 10, 3, |part| {
        prop_oneof![
            4 => prop::collection::vec(part.clone(), 2..4).prop_map(Sequence),
            2 => prop::collection::vec(part.clone(), 2..3).prop_map(Either),
            1 => part.clone().prop_filter("of nothing", |part| part.lengths().0 > 0).prop_map(|part| Often(Box::new(part))),
            1 => part.prop_map(|part| Perhaps(Box::new(part))),
        ]
    });
    tree.prop_filter("too short or too long", |tree| tree.lengths().0 > 0 && tree.lengths().1 <= 4)
}
