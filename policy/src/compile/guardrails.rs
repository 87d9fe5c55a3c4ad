//! Patterns and words of guardrails: compiled here, so that what blows up is refused before it serves, and what the rest
//! costs is told.

use std::sync::Arc;

use crate::{
    diagnostics::Diagnostic,
    documents::{
        Document, Kind,
        kinds::ours::{GuardrailAction, GuardrailRule},
    },
    guard::engine::{Action, Engine, Rule, SAMPLE, Unusable},
};

/// Says what is wrong with patterns and words, and what they cost.
pub(super) fn check(documents: &[Document], diagnostics: &mut Vec<Diagnostic>) {
    for document in documents {
        let Kind::GuardrailPolicy(policy) = &document.value else { continue };
        for (way, rules) in [("input", &policy.spec.input), ("output", &policy.spec.output)] {
            let (mut paths, mut rules): (Vec<_>, Vec<_>) = written(way, rules).into_iter().unzip();
            while !rules.is_empty() {
                match Engine::compile(rules.clone()) {
                    Ok(engine) => {
                        diagnostics.push(cost(document, way, &Arc::new(engine)));
                        break;
                    }
                    // One error does not hide another: what is at fault is told, and left out.
                    Err(error) => {
                        let at = error.rule().filter(|rule| *rule < rules.len());
                        let path = at.and_then(|rule| paths.get(rule)).map_or(format!("spec.{way}"), Clone::clone);
                        diagnostics.push(unusable(document, &path, &error));
                        let Some(rule) = at else { break };
                        rules.remove(rule);
                        paths.remove(rule);
                    }
                }
            }
        }
    }
}

/// The rules of one way, and where each is written.
fn written(way: &str, rules: &[GuardrailRule]) -> Vec<(String, Rule)> {
    let mut written = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let action = || match rule.action {
            GuardrailAction::Block => Action::Block,
            GuardrailAction::Mask | GuardrailAction::Tokenize => Action::Mask(format!("[{}]", rule.name).into()),
            GuardrailAction::Flag | GuardrailAction::StripTools => Action::Flag,
        };
        let patterns = rule.patterns.iter().enumerate().map(|(nth, pattern)| {
            let path = format!("spec.{way}[{index}].patterns[{nth}].regex");
            (path, Rule::new(&pattern.name, &pattern.regex, action()))
        });
        let words = rule.words.iter().enumerate().map(|(nth, word)| {
            let path = format!("spec.{way}[{index}].words[{nth}]");
            (path, Rule::word(&rule.name, word, action()))
        });
        written.extend(patterns.chain(words));
    }
    written
}

fn unusable(document: &Document, path: &str, error: &Unusable) -> Diagnostic {
    let help = match error {
        Unusable::RuleTooLarge { .. } | Unusable::TooLarge => {
            "counted repetitions that overlap with what stands before them blow up: write `+` for `{1,64}`, begin with \
             something fixed, and `(?-u:\\w)` where ASCII will do"
        }
        Unusable::MatchesNothing { .. } => "write `+` for `*` where something has to be there, and no empty word",
        _ => "the syntax is that of https://docs.rs/regex, of what is UTF-8",
    };
    Diagnostic::error("unusable-rule", format!("the rule cannot be used: {error}"))
        .at(document.span(path), "this rule")
        .help(help)
}

fn cost(document: &Document, way: &str, engine: &Arc<Engine>) -> Diagnostic {
    let (cost, hold) = (engine.cost(), engine.hold(SAMPLE.as_bytes()));
    let count = engine.rules().len();
    let message = format!(
        "{count} pattern{} of {way}: {} states, {} KiB; on ordinary text {:.2} bytes are held on average, {} at most",
        if count == 1 { "" } else { "s" },
        cost.states,
        cost.bytes.div_ceil(1024),
        hold.mean,
        hold.max
    );
    Diagnostic::remark("guardrail-cost", message).at(document.span(&format!("spec.{way}")), "compiled")
}
