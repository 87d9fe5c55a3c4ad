//! Expressions → anchored automata that find all matches at once. Each is made by `regex-automata`; [`super::table`] takes
//! them apart.

use std::sync::Arc;

use foldhash::HashMap;
use regex_automata::{
    MatchKind,
    dfa::{StartKind, dense},
    nfa::thompson::{self, WhichCaptures},
};
use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Look},
};

use super::{
    ByteSet,
    rule::{Lead, NFA_BYTES_MAX, RULE_TABLE_BYTES_MAX, Rule, TABLE_BYTES_MAX, Unusable},
};

/// An automaton over some rules.
pub(super) struct Automaton {
    pub(super) dfa: dense::DFA<Vec<u32>>,
    /// The rule of each of its patterns, by its place.
    pub(super) owners: Vec<u32>,
    pub(super) part: Part,
}

/// What an automaton is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Rules that begin together, wherever none of these bytes stands before.
    Together(ByteSet),
    /// Rules with a lead: each begins alone.
    Led,
    /// What arms rules.
    Arms,
    /// What ends a rule that goes on.
    Ends,
}

/// The automata of all rules.
pub(super) fn build(rules: &[Rule]) -> Result<Vec<Automaton>, Unusable> {
    let mut groups = Vec::<(Part, Vec<u32>, Vec<Hir>)>::new();
    let mut places = HashMap::<ByteSet, usize>::default();
    let (mut led, mut arms, mut ends) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for (index, rule) in rules.iter().enumerate() {
        let owner = index as u32;
        let body = parse(index, &rule.pattern, rule.unicode)?;
        if matches!(rule.lead, Lead::Anything) {
            let place = *places.entry(rule.not_after).or_insert_with(|| {
                groups.push((Part::Together(rule.not_after), Vec::new(), Vec::new()));
                groups.len() - 1
            });
            if let Some((_, owners, bodies)) = groups.get_mut(place) {
                owners.push(owner);
                bodies.push(body);
            }
        } else {
            led.0.push(owner);
            led.1.push(body);
        }
        if let Lead::Arm(arm) = &rule.lead {
            arms.0.push(owner);
            arms.1.push(parse(index, arm, rule.unicode)?);
        }
        if let Some(until) = &rule.until {
            ends.0.push(owner);
            ends.1.push(anywhere(parse(index, &until.pattern, rule.unicode)?));
        }
    }
    let parts = [(Part::Led, led), (Part::Arms, arms), (Part::Ends, ends)];
    groups.extend(parts.into_iter().map(|(part, (owners, bodies))| (part, owners, bodies)));
    groups.retain(|(_, owners, _)| !owners.is_empty());
    groups
        .into_iter()
        .map(|(part, owners, bodies)| {
            let alone = matches!(part, Part::Led | Part::Ends);
            let bytes_max = if bodies.len() == 1 { RULE_TABLE_BYTES_MAX } else { TABLE_BYTES_MAX };
            let dfa = automaton(&bodies, alone, bytes_max);
            // A small table has no large part.
            let has_large = dfa.as_ref().is_none_or(|dfa| dfa.memory_usage() > RULE_TABLE_BYTES_MAX);
            let large = if has_large { too_large(&owners, &bodies, alone) } else { None };
            match (large, dfa) {
                (Some(rule), _) => Err(Unusable::RuleTooLarge { rule, bytes_max: RULE_TABLE_BYTES_MAX }),
                (None, Some(dfa)) => Ok(Automaton { dfa, owners, part }),
                (None, None) => Err(Unusable::TooLarge),
            }
        })
        .collect()
}

/// The first rule that is too large by itself.
fn too_large(owners: &[u32], bodies: &[Hir], alone: bool) -> Option<usize> {
    let too_large = |body: &&Hir| automaton(std::slice::from_ref(*body), alone, RULE_TABLE_BYTES_MAX).is_none();
    let (owner, _) = owners.iter().zip(bodies).find(|(_, body)| too_large(body))?;
    Some(*owner as usize)
}

fn automaton(bodies: &[Hir], alone: bool, bytes_max: usize) -> Option<dense::DFA<Vec<u32>>> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(NFA_BYTES_MAX.saturating_mul(bodies.len()))),
        )
        .build_many_from_hir(bodies)
        .ok()?;
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Anchored)
                .match_kind(MatchKind::All)
                .starts_for_each_pattern(alone)
                .accelerate(false)
                .dfa_size_limit(Some(bytes_max))
                .determinize_size_limit(Some(bytes_max)),
        )
        .build_from_nfa(&nfa)
        .ok()
}

/// The expression, with boundaries of ASCII words, and able to match something.
fn parse(rule: usize, pattern: &Arc<str>, unicode: bool) -> Result<Hir, Unusable> {
    let last_line = |error: &str| error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // An expression that can only match UTF-8 never cuts a character. Without Unicode, its author sees to that.
    let parsed = ParserBuilder::new().unicode(unicode).utf8(unicode).build().parse(pattern);
    let hir = parsed.map_err(|error| Unusable::Syntax { rule, reason: last_line(&error.to_string()) })?;
    match hir.properties().minimum_len() {
        Some(0) => Err(Unusable::MatchesNothing { rule }),
        _ => Ok(with_ascii_boundaries(&hir)),
    }
}

/// Unicode's word boundaries have no automaton of this kind.
fn with_ascii_boundaries(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(with_ascii_boundaries(&repetition.sub))),
        // Captures are not asked for.
        HirKind::Capture(capture) => with_ascii_boundaries(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(with_ascii_boundaries).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(with_ascii_boundaries).collect()),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
    }
}

/// What comes to this, whatever stands before.
fn anywhere(end: Hir) -> Hir {
    let any = Hir::repetition(regex_syntax::hir::Repetition {
        min: 0,
        max: None,
        greedy: false,
        sub: Box::new(Hir::dot(regex_syntax::hir::Dot::AnyByte)),
    });
    Hir::concat(vec![any, end])
}
