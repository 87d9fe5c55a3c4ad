//! The definition, on whole texts.

use std::{fmt, sync::Arc};

use super::{
    super::{Action, ByteSet, Check, Finding, Lead, Rule, Until},
    Fate,
    expression::Expression,
};

/// A rule as the oracle reads it.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) body: Expression,
    pub(super) arm: Option<Expression>,
    pub(super) until: Option<(Expression, usize)>,
    pub(super) alone_before: bool,
    pub(super) alone_behind: bool,
    pub(super) length_max: Option<usize>,
    /// Whether the number of `a` has to be even.
    pub(super) even: bool,
    /// Whether the arm is a context instead: the byte before is a space, or nothing.
    pub(super) after_space: bool,
    pub(super) action: Action,
    pub(super) counts: bool,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.body.pattern())?;
        if let Some(arm) = &self.arm {
            write!(f, " after {}", arm.pattern())?;
        }
        if let Some((until, most)) = &self.until {
            write!(f, " until {} within {most}", until.pattern())?;
        }
        let Self { alone_before, alone_behind, length_max, even, after_space, action, counts, .. } = self;
        write!(f, " ({alone_before} {alone_behind} {length_max:?} {even} {after_space} {action:?} {counts})")
    }
}

fn is_even(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |even, byte| even != (*byte == b'a'))
}

impl Model {
    pub(super) fn rule(&self, index: usize) -> Rule {
        let edge = |alone| if alone { ByteSet::word() } else { ByteSet::EMPTY };
        let context: Check = Arc::new(|before| before.last().is_none_or(|byte| *byte == b' '));
        let lead = match &self.arm {
            Some(arm) => Lead::Arm(arm.pattern().into()),
            None if self.after_space => Lead::Context(context),
            None => Lead::Anything,
        };
        Rule {
            not_after: edge(self.alone_before),
            not_before: edge(self.alone_behind),
            lead,
            length_max: self.length_max,
            check: self.even.then(|| Arc::new(is_even) as Check),
            until: self
                .until
                .as_ref()
                .map(|(end, bytes_max)| Until { pattern: end.pattern().into(), bytes_max: *bytes_max }),
            ..Rule::new(&format!("r{index}"), &self.body.pattern(), self.action.clone())
        }
    }

    /// All matches, by end and then start.
    fn matches(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let is_word = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
        let ends_here = |at: usize| {
            let arm = self.arm.as_ref();
            arm.is_none_or(|arm| (0..at).any(|from| arm.ends(text, from).contains(&at)))
        };
        let mut matches = Vec::new();
        for start in (0..text.len()).filter(|_| self.counts) {
            let before = start.checked_sub(1);
            let context = !self.after_space || self.arm.is_some() || before.is_none_or(|at| text[at] == b' ');
            if self.alone_before && before.is_some_and(is_word) || !context || !ends_here(start) {
                continue;
            }
            for end in self.body.ends(text, start).into_iter().filter(|end| *end > start) {
                let fits = self.length_max.is_none_or(|most| end - start <= most);
                let passes = !self.even || is_even(&text[start..end]);
                if fits && passes && !(self.alone_behind && is_word(end)) {
                    matches.push((end, start));
                }
            }
        }
        matches.sort_unstable();
        matches.into_iter().map(|(end, start)| (start, end)).collect()
    }

    /// Parts that go on after a match until an end is found.
    fn regions(&self, text: &[u8], matches: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let Some((until, most)) = &self.until else { return Vec::new() };
        let mut regions = Vec::<(usize, usize)>::new();
        for (start, end) in matches.iter().copied() {
            if regions.last().is_none_or(|last| last.1 < end) {
                let ends = (end..text.len()).flat_map(|from| until.ends(text, from)).min();
                regions.push((start, ends.unwrap_or(text.len()).min(end + most).min(text.len())));
            }
        }
        regions
    }
}

/// What is to be said of a text.
#[derive(Debug, PartialEq)]
pub(super) struct Truth {
    pub(super) fates: Vec<Fate>,
    pub(super) findings: Vec<Finding>,
    /// Where a match that blocks ends, the first of them.
    pub(super) blocked_at: Option<usize>,
}

pub(super) fn truth(models: &[Model], text: &[u8]) -> Truth {
    let (mut labels, mut findings, mut cut, mut blocked_at) = (Vec::new(), Vec::new(), text.len(), None::<usize>);
    for (rule, model) in models.iter().enumerate() {
        let matches = model.matches(text);
        let regions = model.regions(text, &matches);
        let mut all: Vec<_> = matches.iter().chain(&regions).copied().collect();
        findings
            .extend(joined(&mut all).into_iter().map(|(start, end)| Finding { rule, range: start as u64..end as u64 }));
        match model.action {
            Action::Mask(_) => labels.extend(matches.iter().chain(&regions).map(|(start, end)| (*start, *end, rule))),
            Action::Block => {
                cut = matches.iter().map(|(start, _)| *start).chain([cut]).min().unwrap();
                blocked_at = matches.first().map(|(_, end)| *end).into_iter().chain(blocked_at).min();
            }
            Action::Flag => {}
        }
    }
    let mut fates = vec![Fate::Pass; text.len()];
    for (start, end) in joined(&mut labels.iter().map(|(start, end, _)| (*start, *end)).collect::<Vec<_>>()) {
        let label = labels.iter().filter(|(from, ..)| *from == start).min().unwrap();
        fates[start..end].fill(Fate::Inside);
        fates[start] = Fate::Begins(label.2);
    }
    // Of a byte inside a span nothing comes out in any case.
    fates[cut..].iter_mut().filter(|fate| **fate != Fate::Inside).for_each(|fate| *fate = Fate::Cut);
    findings.sort_unstable_by_key(|finding| (finding.rule, finding.range.start));
    Truth { fates, findings, blocked_at }
}

/// Parts that share bytes, as one.
fn joined(parts: &mut [(usize, usize)]) -> Vec<(usize, usize)> {
    parts.sort_unstable();
    let mut joined = Vec::<(usize, usize)>::new();
    for (start, end) in parts.iter().copied() {
        match joined.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}
