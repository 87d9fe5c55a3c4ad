//! The state of one lookup: the best match so far, and what only the model's name can decide.

use std::{slice, sync::Arc};

use smallvec::SmallVec;

use crate::snapshot::Rule;

/// A rule that a request may meet, and how good that would be among those with the same host and path.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) precedence: Precedence,
    pub(super) rule: Arc<Rule>,
}

/// Smaller wins: a method, more headers, more query parameters, and then the rank by age, name and position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Precedence(u64);

impl Precedence {
    /// The best precedence that a match with so many conditions can have.
    pub(super) fn class(method: bool, headers: usize, query: usize) -> Self {
        let few = |count: usize| u64::from(u8::MAX - u8::try_from(count).unwrap_or(u8::MAX));
        Self(u64::from(!method) << 48 | few(headers) << 40 | few(query) << 32)
    }

    /// Within this class, by rank.
    pub(super) fn ranked(self, rank: u32) -> Self {
        Self(self.0 | u64::from(rank))
    }
}

/// The rules that a request could meet, depending on the model that its body names: at least one, and of those with the
/// same AccessPolicy not every one, so that it stays short where ten thousand models have a route each.
#[derive(Debug, Clone, Default)]
pub struct Choices<'t> {
    open: SmallVec<[&'t [Choice]; 4]>,
}

impl<'t> Choices<'t> {
    /// The rules. One, or one with the same AccessPolicy, may come up more than once.
    pub fn iter(&self) -> impl Iterator<Item = &'t Arc<Rule>> {
        self.open.iter().flat_map(|choices| choices.iter()).map(|choice| &choice.rule)
    }
}

/// One lookup.
///
/// It goes through levels, the most specific first. All matches of a level have the same host and an equally specific
/// path, so that [`Precedence`] decides between them.
#[derive(Debug, Default)]
pub(super) struct Search<'t> {
    choices: Choices<'t>,
    level_start: usize,
    best: Option<&'t Choice>,
}

impl<'t> Search<'t> {
    /// Whether nothing of this class or a worse one can win this level any more.
    #[inline]
    pub(super) fn is_beyond(&self, class: Precedence) -> bool {
        self.best.is_some_and(|best| best.precedence < class)
    }

    /// The request meets this one.
    #[inline]
    pub(super) fn meet(&mut self, choice: &'t Choice) {
        if self.best.is_none_or(|best| choice.precedence < best.precedence) {
            self.best = Some(choice);
        }
    }

    /// The request meets one of these if the model is right. They are sorted by precedence.
    pub(super) fn may_meet(&mut self, choices: &'t [Choice]) {
        self.choices.open.push(choices);
    }

    /// Ends a level. If some match of it does not depend on the model, the lookup ends with it.
    #[inline]
    pub(super) fn settle(&mut self) -> Option<&'t Arc<Rule>> {
        if self.choices.open.len() > self.level_start {
            if let Some(best) = self.best {
                for choices in self.choices.open.iter_mut().skip(self.level_start) {
                    let better = choices.partition_point(|choice| choice.precedence < best.precedence);
                    *choices = choices.get(..better).unwrap_or_default();
                }
            }
            self.level_start = self.choices.open.len();
        }
        self.best.map(|best| &best.rule)
    }

    /// What only the model decides, with the rule that is met otherwise. `None`: the model does not matter.
    #[inline]
    pub(super) fn into_choices(mut self) -> Option<Choices<'t>> {
        self.choices.open.retain(|choices| !choices.is_empty());
        if self.choices.open.is_empty() {
            return None;
        }
        self.choices.open.extend(self.best.map(slice::from_ref));
        Some(self.choices)
    }
}
