//! What guardrails make of what a case says, and of what its backend answers.
//!
//! An answer comes in pieces, and how it is cut must make no difference: it is taken whole, byte by byte, in every two pieces,
//! and in some three.

use portcullis_policy::{
    documents::kinds::ours::{CaseRequest, Effect, Expectation},
    guard::screen::{Direction, Guardrails, Speaker},
};

use crate::explain::guard::look::{Looked, Looks, Outcome, Screened, look, screened};

/// Ways to cut an answer into three pieces that are tried; of longer ones, these are spread evenly.
const THREE_PIECES_TRIED: usize = 2_000;
/// Ways to cut an answer into two pieces that are tried.
const TWO_PIECES_TRIED: usize = 20_000;

/// What became of what was said.
#[derive(Default)]
pub(super) struct Said {
    /// The stage that says no.
    pub(super) blocked_by: Option<String>,
    /// What comes out of the last direction that was looked at.
    text: String,
    /// Stages that found something.
    found: Vec<String>,
    /// Stages that would have asked somebody else.
    elsewhere: Vec<String>,
    /// Ways of cutting the answer after which something else came out.
    differs: Vec<String>,
}

/// What guardrails make of a case; `None`: it says nothing, and nothing is answered.
pub(super) fn said(guardrails: Option<&Guardrails>, request: &CaseRequest) -> Option<Said> {
    let mut said = Said::default();
    let (user, answer) = (request.say.as_deref(), request.answer.as_deref());
    if user.is_none() && answer.is_none() {
        return None;
    }
    if let Some(user) = user {
        match guardrails {
            Some(guardrails) => said.take(look(&guardrails.input, Speaker::User, user)),
            None => user.clone_into(&mut said.text),
        }
    }
    if let Some(answer) = answer.filter(|_| said.blocked_by.is_none()) {
        match guardrails {
            Some(guardrails) => {
                said.take(look(&guardrails.output, Speaker::Assistant, answer));
                said.differs = differences_by_cut(&guardrails.output, answer);
            }
            None => answer.clone_into(&mut said.text),
        }
    }
    Some(said)
}

impl Said {
    fn take(&mut self, looked: Looked) {
        let found = looked.stages.iter().filter(|stage| match &stage.looks {
            Looks::Patterns(found) => !found.is_empty(),
            Looks::Score(scored) => scored.counts(),
            Looks::Elsewhere | Looks::Service(_) => false,
        });
        let asks = looked.stages.iter().filter(|stage| matches!(stage.looks, Looks::Service(_)));
        self.elsewhere.extend(asks.map(|stage| stage.name.to_string()));
        self.found.extend(found.map(|stage| stage.name.to_string()));
        match looked.outcome {
            Outcome::Passes { text, .. } => self.text = text,
            Outcome::Blocked { stage, before } => {
                self.blocked_by = Some(stage.to_string());
                self.text = before;
            }
            Outcome::Overrun => {
                self.blocked_by = Some("overrun".to_owned());
                self.text.clear();
            }
        }
    }

    /// Whether the guardrail that is expected to say something is one that would have to be asked.
    pub(super) fn needs_another(&self, expect: &Expectation) -> bool {
        expect.guardrail.as_ref().is_some_and(|wanted| self.elsewhere.contains(wanted))
    }

    fn differences(&self, expect: &Expectation) -> Vec<String> {
        let mut differs = self.differs.clone();
        if let Some(wanted) = &expect.guardrail {
            let got = match expect.decision {
                Effect::Deny => self.blocked_by.iter().cloned().collect(),
                Effect::Allow => self.found.clone(),
            };
            if !got.contains(wanted) {
                let got = if got.is_empty() { "none".to_owned() } else { got.join(", ") };
                let does = if expect.decision == Effect::Deny { "say no" } else { "find something" };
                differs.push(format!("expected guardrail {wanted} to {does}, got {got}"));
            }
        }
        let missing = expect.says.iter().filter(|wanted| !self.text.contains(wanted.as_str()));
        differs.extend(missing.map(|wanted| format!("expected `{wanted}` to come out, got `{}`", self.text)));
        let leaked = expect.never_says.iter().filter(|wanted| self.text.contains(wanted.as_str()));
        differs.extend(leaked.map(|wanted| format!("`{wanted}` comes out: `{}`", self.text)));
        differs
    }
}

/// What is otherwise than expected.
pub(super) fn differences(expect: &Expectation, said: Option<&Said>) -> Vec<String> {
    let asks = expect.guardrail.is_some() || !expect.says.is_empty() || !expect.never_says.is_empty();
    match said {
        Some(said) => said.differences(expect),
        None if asks => vec!["expected guardrails to look at something, but nothing is said".to_owned()],
        None => Vec::new(),
    }
}

/// Cuts a text in many ways; the first of each kind after which it is otherwise is told.
fn differences_by_cut(direction: &Direction, text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let whole = screened(direction, Speaker::Assistant, text, [bytes]);
    let run = |pieces: &[&[u8]]| screened(direction, Speaker::Assistant, text, pieces.iter().copied());
    let mut differs = Vec::new();
    let mut check = |got: &Screened, how: String| {
        let is_otherwise = *got != whole;
        if is_otherwise {
            differs.push(format!("{how}, it comes out as `{}`, not as `{}`", got.said, whole.said));
        }
        is_otherwise
    };
    check(&run(&bytes.chunks(1).collect::<Vec<_>>()), "byte by byte".to_owned());
    for at in spread(1..bytes.len(), TWO_PIECES_TRIED) {
        let (first, second) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
        if check(&run(&[first, second]), format!("cut at byte {at}")) {
            break;
        }
    }
    let pairs = bytes.len().saturating_mul(bytes.len());
    for pair in spread(0..pairs, THREE_PIECES_TRIED) {
        let (one, other) = (pair / bytes.len().max(1), pair % bytes.len().max(1));
        let (from, to) = (one.min(other), one.max(other));
        let (first, rest) = bytes.split_at_checked(from).unwrap_or((bytes, &[]));
        let (second, third) = rest.split_at_checked(to - from).unwrap_or((rest, &[]));
        if check(&run(&[first, second, third]), format!("cut at bytes {from} and {to}")) {
            break;
        }
    }
    differs
}

/// At most so many numbers of a range, evenly.
fn spread(range: std::ops::Range<usize>, most: usize) -> impl Iterator<Item = usize> {
    let step = range.len().div_ceil(most).max(1);
    range.step_by(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_all_of_a_range() {
        assert_eq!(spread(1..4, 10).collect::<Vec<_>>(), [1, 2, 3]);
        let many: Vec<usize> = spread(0..1_000_000, 2_000).collect();
        assert!(many.len() <= 2_000 && many.last().is_some_and(|last| *last > 990_000));
        assert_eq!(spread(1..0, 10).count(), 0);
    }
}
