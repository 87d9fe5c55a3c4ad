//! The definition, on a whole text and by the book: every rule, at every place, every end. Slow, and made otherwise than the
//! engine, so that one can be held against the other where rules are anybody's. Arms and ends are not read here.

use std::ops::Range;

use regex_automata::{
    Anchored, Input, MatchKind,
    dfa::{Automaton as _, OverlappingState, StartKind, dense},
    nfa::thompson,
};

use super::{
    Action, Finding, Rule, Unusable,
    automata::parse,
    rule::{CONTEXT_BYTES_MAX, Lead, RULE_TABLE_BYTES_MAX},
};

/// What the definition says of a text.
#[derive(Debug)]
pub struct Said {
    /// Whether each byte is masked.
    pub masked: Vec<bool>,
    /// The match that ends the text.
    pub blocked: Option<Finding>,
}

/// What the definition says of a text under some rules.
pub fn said(rules: &[Rule], text: &[u8]) -> Result<Said, Unusable> {
    let mut said = Said { masked: vec![false; text.len()], blocked: None };
    for (index, rule) in rules.iter().enumerate() {
        for range in matches(index, rule, text)? {
            match rule.action {
                Action::Mask(_) => said.masked.iter_mut().take(range.end).skip(range.start).for_each(|is| *is = true),
                Action::Block => {
                    let finding = Finding { rule: index, range: range.start as u64..range.end as u64 };
                    // The first to end; of these, the one that began first.
                    let key = |finding: &Finding| (finding.range.end, finding.range.start, finding.rule);
                    if said.blocked.as_ref().is_none_or(|other| key(&finding) < key(other)) {
                        said.blocked = Some(finding);
                    }
                }
                Action::Flag => {}
            }
        }
    }
    Ok(said)
}

/// All matches of one rule.
fn matches(index: usize, rule: &Rule, text: &[u8]) -> Result<Vec<Range<usize>>, Unusable> {
    let too_large = || Unusable::RuleTooLarge { rule: index, bytes_max: RULE_TABLE_BYTES_MAX };
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().utf8(false))
        .build_from_hir(&parse(index, &rule.pattern, rule.unicode)?)
        .map_err(|_| too_large())?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(RULE_TABLE_BYTES_MAX))
        .determinize_size_limit(Some(RULE_TABLE_BYTES_MAX));
    let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|_| too_large())?;
    let mut matches = Vec::new();
    for start in 0..text.len() {
        let before = text.get(..start).unwrap_or_default();
        let window = before.get(start.saturating_sub(CONTEXT_BYTES_MAX)..).unwrap_or_default();
        let begins = match &rule.lead {
            Lead::Context(holds) => holds(window),
            Lead::OneOf(contexts, number) => {
                let mut holding = Vec::new();
                contexts.holding(window, &mut holding);
                holding.contains(number)
            }
            Lead::Anything | Lead::Arm(_) => true,
        };
        if !begins || before.last().is_some_and(|byte| rule.not_after.contains(*byte)) {
            continue;
        }
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let mut state = OverlappingState::start();
        loop {
            let searched = dfa.try_search_overlapping_fwd(&input, &mut state);
            let Some(end) = searched.ok().and_then(|()| state.get_match()).map(|found| found.offset()) else { break };
            let part = text.get(start..end).unwrap_or_default();
            let fits = rule.length_max.is_none_or(|length| part.len() <= length)
                && !text.get(end).is_some_and(|byte| rule.not_before.contains(*byte))
                && rule.check.as_ref().is_none_or(|passes| passes(part));
            if fits {
                matches.push(start..end);
            }
        }
    }
    Ok(matches)
}
