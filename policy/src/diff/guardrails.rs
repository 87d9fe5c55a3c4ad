//! Guardrails are not compared text by text: what of them is otherwise is said, stage by stage.

use super::side::Side;
use crate::guard::screen::{Detector, Direction, Guardrails, Stage};

/// A line for each stage that a rule of a route gains, loses or has otherwise, and for each setting.
pub(super) fn notes(old: &Side<'_>, new: &Side<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for (key, rule) in &new.rules {
        let Some(before) = old.rules.get(key) else { continue };
        let of = |guardrails: Option<&Guardrails>| guardrails.map(stages).unwrap_or_default();
        let (before, after) = (of(before.guardrails.as_deref()), of(rule.guardrails.as_deref()));
        let mut note = |said: String| notes.push(format!("{} {}: {said}", key.route, key.rule));
        for (name, said) in &before {
            match after.iter().find(|(other, _)| other == name) {
                None => note(format!("loses the guardrail {name}")),
                Some((_, other)) if other != said => note(format!("the guardrail {name} is otherwise")),
                Some(_) => {}
            }
        }
        for (name, _) in after.iter().filter(|(name, _)| before.iter().all(|(other, _)| other != name)) {
            note(format!("gains the guardrail {name}"));
        }
        let settings = |guardrails: Option<&Guardrails>| {
            guardrails.map(|all| (all.unknown_fields, all.unscreened, all.tell_verdict))
        };
        let (before, after) = (
            old.rules.get(key).and_then(|rule| settings(rule.guardrails.as_deref())),
            settings(rule.guardrails.as_deref()),
        );
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            note("`unknownFields`, `unscreened` or `verdict` is otherwise".to_owned());
        }
    }
    notes
}

/// Each stage by what it is called, and all that it is.
fn stages(guardrails: &Guardrails) -> Vec<(String, String)> {
    let ways = [("input", &guardrails.input), ("output", &guardrails.output)];
    let stages = ways.into_iter().flat_map(|(way, direction)| {
        direction.stages.iter().enumerate().map(move |(place, stage)| {
            let name = format!("`{}` of the {way} ({})", stage.name, stage.policy);
            (name, format!("{}{}", said(stage), rules(direction, place)))
        })
    });
    stages.collect()
}

fn said(stage: &Stage) -> String {
    let Stage { detector, reaction, speakers, is_shadow, on_error, .. } = stage;
    let detector = match detector {
        Detector::Patterns => String::new(),
        Detector::Injection(thresholds, second) => {
            let second = second.as_ref().map(|second| (&second.folder, second.threshold, second.timeout));
            format!("{thresholds:?} {second:?}")
        }
        Detector::Service(service) => format!("{service:?} {:?}", service.credential.as_ref().map(|secret| &secret.0)),
    };
    format!("{detector} {reaction:?} {speakers:?} {is_shadow} {on_error:?}")
}

/// The engine's rules of a stage. Their checks are those of their names.
fn rules(direction: &Direction, stage: usize) -> String {
    let rules = direction.engine().map(|engine| engine.rules()).unwrap_or_default();
    let of_stage = rules
        .iter()
        .enumerate()
        .filter(|(place, _)| direction.origin(*place).is_some_and(|origin| origin.stage == stage));
    let told: Vec<String> =
        of_stage.map(|(_, rule)| format!("{} {} {:?}", rule.id, rule.pattern, rule.action)).collect();
    told.join(" ")
}
