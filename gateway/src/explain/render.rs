//! An explanation for people, a line for each stage, and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Explanation, Outcome,
    decide::{Refused, deciding_json},
};

/// A line for each thing that a stage says.
pub fn text(explanation: &Explanation) -> String {
    let mut text = String::new();
    for stage in &explanation.stages {
        for said in &stage.said {
            let _ = writeln!(text, "{:<12} {said}", stage.name);
        }
    }
    text
}

/// The stages and the outcome.
pub fn json(explanation: &Explanation) -> Value {
    let stages: Vec<Value> = explanation
        .stages
        .iter()
        .map(|stage| json!({"stage": stage.name, "says": stage.said, "facts": stage.facts}))
        .collect();
    let outcome = match &explanation.outcome {
        Outcome::Forwarded(backends) => {
            json!({"forwarded": true, "backends": backends.iter().map(|name| &**name).collect::<Vec<_>>()})
        }
        Outcome::Answered(status) => json!({"forwarded": false, "status": status.as_u16()}),
        Outcome::Refused(Refused { stage, status, code }) => {
            json!({"forwarded": false, "status": status.as_u16(), "code": code, "refusedBy": stage})
        }
    };
    json!({
        "stages": stages,
        "outcome": outcome,
        "decidedBy": explanation.decided_by.as_ref().map(deciding_json),
        "policy": explanation.policy.as_ref().map(ToString::to_string),
    })
}
