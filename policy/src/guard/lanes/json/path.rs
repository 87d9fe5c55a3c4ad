//! Where a value stands in a document.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::guard::lanes::known::Known;

/// One step from a container to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'b> {
    /// To the member with this key, which has been decoded: `"\u0063ontent"` is `content`.
    Key(Cow<'b, str>),
    /// To the element at this place.
    Index(u32),
}

/// Steps from the document to a value.
///
/// [`Path::known`] is what tables match: the same steps with keys as words of an enumeration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path<'b> {
    steps: SmallVec<[Step<'b>; 10]>,
    known: SmallVec<[Known; 10]>,
}

impl<'b> Path<'b> {
    /// The steps.
    pub fn steps(&self) -> &[Step<'b>] {
        &self.steps
    }

    /// The steps as tables match them.
    #[inline]
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    #[inline]
    pub(super) fn push_key(&mut self, key: Cow<'b, str>, known: Known) {
        self.steps.push(Step::Key(key));
        self.known.push(known);
    }

    #[inline]
    pub(super) fn push_index(&mut self) {
        self.steps.push(Step::Index(0));
        self.known.push(Known::At(0));
    }

    /// To the next element of the array that the last step went into.
    #[inline]
    pub(super) fn next_index(&mut self) {
        if let (Some(Step::Index(index)), Some(Known::At(at))) = (self.steps.last_mut(), self.known.last_mut()) {
            *index = index.saturating_add(1);
            *at = *index;
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        self.steps.pop();
        self.known.pop();
    }
}
