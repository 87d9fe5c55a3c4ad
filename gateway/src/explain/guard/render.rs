//! What guardrails say of a text, for people and for programs.

use std::fmt::Write as _;

use portcullis_policy::{
    guard::{
        injection::embedding::NotEmbedded,
        screen::{Guardrails, Speaker},
    },
    snapshot::Rule,
};
use serde_json::{Value, json};

use super::look::{Held, Holds, Looked, Looks, Outcome, Scored, StageSaid};
use crate::cli::Way;

/// Rows of what is held that people are shown; programs are shown all.
const HELD_ROWS_MAX: usize = 40;
/// Words of a score that people are shown.
const WORDS_MAX: usize = 5;

/// Where the text is supposed to be said.
pub(super) struct Place<'p> {
    pub(super) rule: &'p Rule,
    pub(super) guardrails: &'p Guardrails,
    pub(super) way: Way,
    pub(super) speaker: Speaker,
}

/// A line for each thing that a stage says.
pub(super) fn text(place: &Place<'_>, looked: &Looked, holds: &Holds) -> String {
    let mut text = String::new();
    let mut line = |name: &str, said: &str| {
        let _ = writeln!(text, "{name:<12} {said}");
    };
    let policies: Vec<String> = place.guardrails.policies.iter().map(ToString::to_string).collect();
    let at = format!("{}, rule {}", place.rule.route, place.rule.index);
    let way = format!("{}, said by {}", place.way.as_str(), place.speaker.as_str());
    line("guardrails", &format!("{}, on {at}; {way}", policies.join(", ")));
    if looked.stages.is_empty() {
        line("stages", "none this way");
    }
    for stage in &looked.stages {
        for said in stage_lines(stage) {
            line(&stage.name, &said);
        }
    }
    match &looked.outcome {
        Outcome::Passes { text, without_tools } => {
            line("goes on", &quoted(text));
            if *without_tools {
                line("tools", "none: the model gets no tools");
            }
        }
        Outcome::Blocked { stage, before } => {
            line("blocked", &format!("by `{stage}`"));
            if place.way == Way::Output {
                line("goes on", &format!("{} of a stream, then its end", quoted(before)));
            }
        }
        Outcome::Overrun => line("blocked", "it asks for more than is allowed of one text"),
    }
    let runs = runs(&holds.held);
    for held in runs.iter().take(HELD_ROWS_MAX) {
        line("held", &held_words(held));
    }
    if let Some(more) = runs.len().checked_sub(HELD_ROWS_MAX).filter(|more| *more > 0) {
        line("held", &format!("{more} more; `-o json` shows all"));
    }
    if let Some(bytes) = holds.cut_at {
        line("held", &format!("shown for the first {bytes} bytes"));
    }
    text
}

fn stage_lines(stage: &StageSaid) -> Vec<String> {
    let does = stage.reaction.as_str();
    let does = if stage.is_shadow { format!("would {does} (shadow)") } else { does.to_owned() };
    match &stage.looks {
        Looks::Elsewhere => vec!["does not look at what this speaker says".to_owned()],
        Looks::Patterns(found) if found.is_empty() => vec!["finds nothing".to_owned()],
        Looks::Patterns(found) => found
            .iter()
            .map(|found| {
                format!(
                    "{does}: `{}` at {}..{} {}",
                    found.rule,
                    found.range.start,
                    found.range.end,
                    quoted(&found.text)
                )
            })
            .collect(),
        Looks::Score(scored) => score_lines(scored, &does),
        Looks::Service(url) => vec![format!("{does} if {url} says so, which is not asked here")],
    }
}

fn score_lines(scored: &Scored, does: &str) -> Vec<String> {
    let score = &scored.explanation.score;
    let does = if scored.counts() { does } else { "nothing" };
    let mut lines = vec![format!(
        "{does}: score {:.3}, counts from {:.3}; read as {}",
        score.value,
        scored.counts_from,
        score.view.name()
    )];
    if let Some(second) = &scored.second {
        lines.push(match second.value {
            Ok(value) => format!("second opinion: {value:.3}, counts from {:.3}", second.counts_from),
            Err(why) => format!(
                "no second opinion ({}), which {}",
                why.as_str(),
                if second.counts() { "counts" } else { "passes" }
            ),
        });
    }
    let reasons: Vec<&str> = score.reasons.iter().map(portcullis_policy::guard::injection::Signal::name).collect();
    if !reasons.is_empty() {
        lines.push(format!("disguised: {}", reasons.join(", ")));
    }
    let heaviest = scored.explanation.grams.iter().take(WORDS_MAX);
    let words: Vec<String> = heaviest.map(|gram| format!("{} +{:.2}", quoted(&gram.text), gram.weight)).collect();
    if !words.is_empty() {
        lines.push(format!("weighs most: {}", words.join(", ")));
    }
    lines
}

/// Of what is held from one place on for one rule, the most.
fn runs(held: &[Held]) -> Vec<&Held> {
    let mut runs: Vec<&Held> = Vec::new();
    for held in held {
        let rule = |held: &Held| held.because.as_ref().map(|(rule, _)| rule.clone());
        match runs.last_mut() {
            Some(last) if last.range.start == held.range.start && rule(last) == rule(held) => *last = held,
            _ => runs.push(held),
        }
    }
    runs
}

fn held_words(held: &Held) -> String {
    let text = quoted(&held.text);
    match &held.because {
        Some((rule, Some(more))) if more.is_empty() => format!("{text} because it would be `{rule}` if the text ended"),
        Some((rule, Some(more))) => format!("{text} because {text} + {} would be `{rule}`", quoted(more)),
        Some((rule, None)) => format!("{text} because it may become `{rule}`, if its check passes"),
        None => format!("{text} because what it belongs to may yet grow"),
    }
}

/// Without what a terminal would obey.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// Everything that [`text()`] says, and more of it.
pub(super) fn json(place: &Place<'_>, looked: &Looked, holds: &Holds) -> Value {
    let stages: Vec<Value> = looked.stages.iter().map(stage_json).collect();
    let outcome = match &looked.outcome {
        Outcome::Passes { text, without_tools } => json!({"passes": true, "text": text, "withoutTools": without_tools}),
        Outcome::Blocked { stage, before } => json!({"passes": false, "blockedBy": &**stage, "before": before}),
        Outcome::Overrun => json!({"passes": false, "overrun": true}),
    };
    let held = holds.held.iter().map(|held| {
        json!({"after": held.after, "start": held.range.start, "end": held.range.end, "text": held.text,
            "rule": held.because.as_ref().map(|(rule, _)| &**rule),
            "with": held.because.as_ref().and_then(|(_, more)| more.as_deref())})
    });
    json!({
        "policies": place.guardrails.policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "route": place.rule.route.to_string(),
        "rule": place.rule.index,
        "direction": place.way.as_str(),
        "from": place.speaker.as_str(),
        "stages": stages,
        "outcome": outcome,
        "held": held.collect::<Vec<_>>(),
        "heldIsCut": holds.cut_at.is_some(),
    })
}

fn stage_json(stage: &StageSaid) -> Value {
    let (detector, says) = match &stage.looks {
        Looks::Elsewhere => ("elsewhere", Value::Null),
        Looks::Patterns(found) => {
            let found = found.iter().map(|found| {
                json!({"rule": &*found.rule, "start": found.range.start, "end": found.range.end, "text": found.text})
            });
            ("patterns", found.collect())
        }
        Looks::Score(scored) => {
            let explanation = &scored.explanation;
            let words = explanation.grams.iter().map(|gram| json!({"text": gram.text, "weight": gram.weight}));
            let reasons = explanation.score.reasons.iter().map(portcullis_policy::guard::injection::Signal::name);
            let second = scored.second.as_ref().map(|second| {
                json!({"score": second.value.ok(), "failure": second.value.err().map(NotEmbedded::as_str),
                    "countsFrom": second.counts_from, "counts": second.counts()})
            });
            let says = json!({"score": explanation.score.value, "secondOpinion": second, "countsFrom": scored.counts_from,
                "counts": scored.counts(), "readAs": explanation.score.view.name(), "window": explanation.window,
                "words": words.collect::<Vec<_>>(), "disguises": reasons.collect::<Vec<_>>()});
            ("injection", says)
        }
        Looks::Service(url) => ("service", json!({"url": &**url, "asked": false})),
    };
    json!({"policy": stage.policy, "name": &*stage.name, "action": stage.reaction.as_str(), "shadow": stage.is_shadow,
        "detector": detector, "says": says})
}
