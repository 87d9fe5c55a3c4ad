//! Rails of a NeMo Guardrails configuration as rules of an engine.

use super::{
    policy::{Draft, Way},
    rules::{RuleDraft, of_set, shipped, written},
};
use crate::{
    documents::{
        Kind,
        kinds::ours::{GuardrailAction, GuardrailRule, NemoRails},
    },
    guard::{
        engine::{Action, Rule},
        nemo::{self, Finds, NativeRule},
        rules::Set,
        screen::Reaction,
    },
};

/// The key of the ConfigMap.
const CONFIG: &str = "config.yml";

/// The rules that rails of this way mean. What is not exactly a rule is told, line by line.
pub(super) fn drafts(
    way: Way,
    rule: &GuardrailRule,
    spec: &NemoRails,
    path: &str,
    action: &Action,
    draft: &mut Draft<'_, '_>,
) -> Vec<RuleDraft> {
    let path = format!("{path}.configMapRef");
    let Some(found) = draft.local(&spec.config_map_ref, "ConfigMap", &path) else { return Vec::new() };
    let Kind::ConfigMap(map) = &found.value else { return Vec::new() };
    let mut fail = |message: String, help: &str| draft.fail("nemo-rails", &path, message, "not taken as rules", help);
    let Some(yaml) = map.data.get(CONFIG) else {
        fail(format!("{} has no `{CONFIG}`", found.id), "");
        return Vec::new();
    };
    let rails = match nemo::read(yaml) {
        Ok(rails) => rails,
        Err(refused) => {
            for refused in refused {
                let at = if refused.path.is_empty() { String::new() } else { format!(", `{}`", refused.path) };
                fail(format!("`{CONFIG}` of {}, line {}{at}: {}", found.id, refused.line, refused.reason), "");
            }
            return Vec::new();
        }
    };
    let meant = match way {
        Way::Input => nemo::Way::Input,
        Way::Output => nemo::Way::Output,
    };
    let rails: Vec<_> = rails.into_iter().filter(|rail| rail.way == meant).collect();
    if rails.is_empty() {
        fail(format!("`{CONFIG}` of {} has no rails for this way", found.id), "take the rule out of this list");
    }
    for rail in rails.iter().filter(|rail| !agrees(rail, rule.action)) {
        let verb = if rail.reaction == Reaction::Mask { "masks" } else { "blocks" };
        let message = format!("`{CONFIG}` of {}, line {}: the rail {verb}, the rule does not", found.id, rail.line);
        fail(message, "write the same `action`, or `Flag` to watch");
    }
    rails.into_iter().flat_map(|rail| rules(rail, rule, &path, action)).collect()
}

fn agrees(rail: &NativeRule, action: GuardrailAction) -> bool {
    match action {
        GuardrailAction::Block => rail.reaction == Reaction::Block,
        GuardrailAction::Mask => rail.reaction == Reaction::Mask,
        GuardrailAction::Flag => true,
        GuardrailAction::Tokenize | GuardrailAction::StripTools => false,
    }
}

fn rules(rail: NativeRule, rule: &GuardrailRule, path: &str, action: &Action) -> Vec<RuleDraft> {
    match rail.finds {
        Finds::Pattern(regex) => {
            vec![written(Rule::new(&rule.name, &regex, action.clone()), &rule.name, path.to_owned())]
        }
        Finds::Pii { kind, with } => {
            let action = match action {
                Action::Mask(_) if rule.with.is_none() => Action::Mask(with.into()),
                action => action.clone(),
            };
            of_set(Set::Pii)
                .filter(|rule| rule.kind == kind)
                .map(|rule| shipped(rule, kind, path, &action, &[]))
                .collect()
        }
    }
}
