//! Differences for people, and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{About, Cause, Change, Diff, Direction, Witness, compare::told};
use crate::action::Action;

/// Rule by rule: who gains, who loses, by what, and a request that shows it.
pub fn text(diff: &Diff) -> String {
    let mut text = String::new();
    let mut before = None;
    for change in &diff.changes {
        let place = format!("{}, {} (Gateway {})", change.route, change.rule, change.gateway);
        if before.as_ref() != Some(&place) {
            let _ = writeln!(text, "{place}");
            before = Some(place);
        }
        let _ = writeln!(text, "  {:<6} {}: {}", change.direction.word(), change.who, what(&change.what));
        let _ = writeln!(text, "         by {}", by(&change.by));
        let side = if change.direction == Direction::Gains { "before" } else { "now" };
        let _ = writeln!(text, "         {side}: {}", change.because);
        let _ = writeln!(text, "         for example {}", example(&change.witness));
    }
    for note in &diff.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for beyond in &diff.not_enumerated {
        let _ = writeln!(text, "not enumerated: {beyond}");
    }
    let count = |direction| diff.changes.iter().filter(|change| change.direction == direction).count();
    let (gains, losses) = (count(Direction::Gains), count(Direction::Loses));
    let _ = match (diff.not_enumerated.len(), gains, losses) {
        (0, 0, 0) => writeln!(text, "nobody gains, nobody loses"),
        (0, gains, losses) => writeln!(text, "{gains} gained, {losses} lost"),
        (beyond, gains, losses) => {
            writeln!(text, "{gains} gained, {losses} lost, {beyond} not enumerated: this is not the whole difference")
        }
    };
    text
}

impl Direction {
    /// A word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gains => "gains",
            Self::Loses => "loses",
        }
    }
}

fn by(cause: &Cause) -> String {
    match cause {
        Cause::Role(deciding) => told(deciding),
        Cause::Policy(policy, location) => format!("{policy} ({location})"),
    }
}

/// `infer, list-models with llama-3.1-8b; metrics`
fn what(what: &[(Action, About)]) -> String {
    let mut groups: Vec<(Vec<Action>, Vec<&About>)> = Vec::new();
    let mut actions: Vec<Action> = what.iter().map(|(action, _)| *action).collect();
    actions.sort_unstable();
    actions.dedup();
    for action in actions {
        let abouts: Vec<&About> = what.iter().filter(|(of, _)| *of == action).map(|(_, about)| about).collect();
        match groups.iter_mut().find(|(_, same)| *same == abouts) {
            Some((actions, _)) => actions.push(action),
            None => groups.push((vec![action], abouts)),
        }
    }
    let told = groups.iter().map(|(actions, abouts)| {
        let actions: Vec<&str> = actions.iter().map(|action| action.as_str()).collect();
        let abouts: Vec<String> = abouts.iter().map(|about| about.told()).collect();
        format!("{} with {}", actions.join(", "), abouts.join(", "))
    });
    told.collect::<Vec<_>>().join("; ")
}

impl About {
    fn told(&self) -> String {
        match self {
            Self::None => "no model named".to_owned(),
            Self::Model(name) => format!("`{name}`"),
            Self::Like(patterns, name) if patterns.is_empty() => format!("any other model (such as `{name}`)"),
            Self::Like(patterns, name) => {
                let patterns: Vec<String> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
                format!("others like {} (such as `{name}`)", patterns.join(" and "))
            }
        }
    }
}

fn example(witness: &Witness) -> String {
    let mut parts = vec![match &witness.caller {
        None => "nobody in particular".to_owned(),
        Some((name, provider)) => format!("`{name}`, known by {provider}"),
    }];
    let groups = witness.groups.iter().map(|(name, provider)| format!("`{name}` of {}", provider.name));
    let groups: Vec<String> = groups.collect();
    if !groups.is_empty() {
        parts.push(format!("in {}", groups.join(", ")));
    }
    parts.extend(witness.scopes.iter().map(|scope| format!("with scope `{scope}`")));
    if !witness.claims.is_empty() {
        parts.push(format!("with claims {}", Value::Object(witness.claims.clone())));
    }
    parts.extend(witness.headers.iter().map(|(name, value)| format!("with `{name}: {value}`")));
    parts.extend(witness.source.map(|source| format!("from {source}")));
    let model = witness.model.as_ref().map_or("no model named".to_owned(), |model| format!("model `{model}`"));
    format!("{}: {}, {model}", parts.join(", "), witness.action)
}

/// The same for programs.
pub fn json(diff: &Diff) -> Value {
    let changes: Vec<Value> = diff.changes.iter().map(change_json).collect();
    json!({
        "changes": changes,
        "notes": diff.notes,
        "notEnumerated": diff.not_enumerated.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn change_json(change: &Change) -> Value {
    let by = match &change.by {
        Cause::Role(deciding) => {
            json!({"binding": deciding.binding.to_string(), "subjectAt": deciding.subject.to_string(),
            "role": deciding.role.to_string(), "ruleAt": deciding.rule.to_string()})
        }
        Cause::Policy(policy, location) => json!({"policy": policy.to_string(), "at": location.to_string()}),
    };
    let what = change.what.iter().map(|(action, about)| {
        let models = match about {
            About::None => Value::Null,
            About::Model(name) => json!({"name": &**name}),
            About::Like(patterns, name) => {
                json!({"like": patterns.iter().map(|pattern| &**pattern).collect::<Vec<_>>(), "suchAs": &**name})
            }
        };
        json!({"action": action.as_str(), "model": models})
    });
    let witness = &change.witness;
    let named = |pairs: &[(std::sync::Arc<str>, crate::snapshot::DocumentId)]| {
        pairs.iter().map(|(name, of)| json!({"name": &**name, "provider": of.to_string()})).collect::<Vec<_>>()
    };
    json!({
        "direction": change.direction.word(),
        "route": change.route.to_string(),
        "rule": change.rule,
        "gateway": change.gateway,
        "who": change.who,
        "by": by,
        "because": change.because,
        "what": what.collect::<Vec<_>>(),
        "witness": {
            "caller": witness.caller.as_ref().map(|(name, of)| json!({"name": &**name, "provider": of.to_string()})),
            "groups": named(&witness.groups),
            "scopes": witness.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
            "claims": witness.claims,
            "headers": witness.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "source": witness.source.map(|source| source.to_string()),
            "action": witness.action.as_str(),
            "model": witness.model.as_deref(),
        },
    })
}
