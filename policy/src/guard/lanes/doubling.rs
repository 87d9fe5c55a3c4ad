//! A screener for tests, under which what is replaced grows.

use super::document::{Edit, Place, Screener};

/// Replaces `a` by `bb`, refuses what is forbidden, and remembers what it has seen.
#[derive(Default)]
pub(super) struct Double(pub(super) Vec<String>);

impl Screener for Double {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        self.0.push(text.to_owned());
        if text.contains("forbidden") {
            return Edit::Refuse;
        }
        Edit::Ranges(text.match_indices('a').map(|(at, _)| (at..at + 1, "bb".to_owned())).collect())
    }
}
