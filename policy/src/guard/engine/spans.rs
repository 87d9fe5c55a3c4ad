//! What is masked, what has been let go, and what is known of findings.

use std::ops::Range;

use super::Finding;

/// Matches that share bytes.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Start, end and rule of the match that labels it: the least of all its matches.
    pub(super) label: (u64, u64, u32),
}

/// The spans of a text from the first byte that has not been let go.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    /// Everything before this has been let go.
    pub(super) gone: u64,
    /// Whether the byte before `gone` was masked.
    pub(super) open: bool,
    /// In order, none of them touching another but at its ends.
    pub(super) ahead: Vec<Span>,
}

impl Spans {
    /// Memory that is kept elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.ahead.capacity() * size_of::<Span>()
    }

    /// Adds a match. None that was added before ends later.
    pub(super) fn add(&mut self, start: u64, end: u64, rule: u32) {
        if end <= self.gone {
            return;
        }
        let mut span = Span { start, end, label: (start, end, rule) };
        while let Some(last) = self.ahead.pop_if(|last| last.end > start) {
            span.start = span.start.min(last.start);
            span.end = span.end.max(last.end);
            span.label = span.label.min(last.label);
        }
        self.ahead.push(span);
    }
}

/// Findings that may yet grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Growing(Vec<Finding>);

/// Findings of one text that may yet grow, at once; of more, the oldest is told as it is.
pub(super) const GROWING_MAX: usize = 64;

impl Growing {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Memory that is kept elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Finding>()
    }

    /// Gives back what is not needed now.
    pub(super) fn rest(&mut self) {
        self.0.shrink_to(0);
    }

    /// Adds a match. None that was added before ends later.
    pub(super) fn add(&mut self, rule: usize, range: Range<u64>, told: &mut Vec<Finding>) {
        let mut finding = Finding { rule, range };
        self.0.retain(|other| {
            let shares = other.rule == rule && other.range.end > finding.range.start;
            if shares {
                finding.range.start = finding.range.start.min(other.range.start);
                finding.range.end = finding.range.end.max(other.range.end);
            }
            !shares
        });
        if self.0.len() >= GROWING_MAX {
            told.push(self.0.remove(0));
        }
        self.0.push(finding);
    }

    /// Tells those that end before anything that may yet match begins.
    pub(super) fn tell(&mut self, begins: u64, told: &mut Vec<Finding>) {
        self.0.retain(|finding| {
            let grown = finding.range.end <= begins;
            if grown {
                told.push(finding.clone());
            }
            !grown
        });
    }
}
