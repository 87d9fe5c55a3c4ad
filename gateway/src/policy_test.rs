//! `portcullis test`: the PolicyTest documents of a folder, run against the documents beside them.
//!
//! A case is a request that nobody sends, taken through the stages that `explain` shows. What cannot be shown yet is
//! skipped, and said so: a case that was not run has not passed.

mod guardrails;

use std::{fmt::Write as _, net::IpAddr, process::ExitCode};

use portcullis_mesh::http::Incoming;
use portcullis_policy::{
    check::check,
    diagnostics,
    documents::{
        Document, Kind,
        kinds::ours::{CaseRequest, Effect, Expectation, Given, PolicyCase},
    },
    snapshot::{DocumentId, Location, Snapshot},
};
use serde_json::{Value, json};

use self::guardrails::Said;
use crate::{
    cli::{TestArgs, TextOrJson},
    explain::{
        self, Asked, Explanation, Outcome, decide,
        decide::deciding_words,
        render,
        who::{Supposed, Who},
    },
    run::RunError,
};

/// What came of a case.
#[derive(Debug)]
enum Verdict {
    Passed,
    /// What differed, a line each.
    Failed(Vec<String>),
    /// Why it was not run.
    Skipped(String),
}

#[derive(Debug)]
struct Outcomes {
    name: String,
    location: Location,
    verdict: Verdict,
    explanation: Option<Explanation>,
}

/// Runs every case. Exit code 0 if none failed and some passed, 1 otherwise.
pub fn policy_test(arguments: &TestArgs) -> Result<ExitCode, RunError> {
    let report = check(&arguments.paths);
    if !report.is_clean() {
        return Err(RunError::Input(diagnostics::text(&report.diagnostics, false)));
    }
    let mut outcomes = Vec::new();
    for document in &report.documents {
        let Kind::PolicyTest(test) = &document.value else { continue };
        for (index, case) in test.cases.iter().enumerate() {
            outcomes.push(run(document, index, case, &report.snapshot));
        }
    }
    if outcomes.is_empty() {
        let paths: Vec<String> = arguments.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(RunError::Input(format!("there is no PolicyTest with a case in {}", paths.join(", "))));
    }
    explain::say(&match arguments.format {
        TextOrJson::Text => text(&outcomes),
        TextOrJson::Json => format!("{:#}\n", as_json(&outcomes)),
    });
    let [passed, failed, _] = counts(&outcomes);
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(document: &Document, index: usize, case: &PolicyCase, snapshot: &Snapshot) -> Outcomes {
    let location = document.location(&format!("cases[{index}]"));
    let name = format!("{}[{index}]", document.id.name);
    match asked(document, case, snapshot) {
        Err(why) => Outcomes { name, location, verdict: Verdict::Failed(vec![why]), explanation: None },
        Ok(asked) => {
            let explanation = decide(asked, snapshot);
            let forwarded = matches!(explanation.outcome, Outcome::Forwarded(_));
            let said = match guardrails::said(explanation.guardrails.as_ref(), document, &case.request) {
                Err(why) => {
                    return Outcomes { name, location, verdict: Verdict::Failed(vec![why]), explanation: None };
                }
                Ok(said) => said.filter(|_| forwarded),
            };
            if let Some(why) = said.as_ref().and_then(Said::is_open) {
                return Outcomes { name, location, verdict: Verdict::Skipped(why), explanation: None };
            }
            let differs = differences(&case.expect, &explanation, said.as_ref());
            let verdict = if differs.is_empty() { Verdict::Passed } else { Verdict::Failed(differs) };
            Outcomes { name, location, verdict, explanation: Some(explanation) }
        }
    }
}

/// The request of a case, as `explain` takes it.
fn asked(document: &Document, case: &PolicyCase, snapshot: &Snapshot) -> Result<Asked, String> {
    let CaseRequest { host, method, path, model, .. } = &case.request;
    let body = guardrails::body(&case.request).map_or(Incoming::Empty, Incoming::Full);
    Ok(Asked {
        arrival: explain::request(method, host, path, &guardrails::fields(&case.request), body)?,
        scheme: None,
        port: None,
        model: model.clone(),
        who: who(&case.given, &document.id.namespace, snapshot)?,
        source: source(&case.given)?,
    })
}

fn source(given: &Given) -> Result<Option<IpAddr>, String> {
    let parsed = given.source.as_ref().map(|text| text.parse().map_err(|_| format!("`{text}` is not an address")));
    parsed.transpose()
}

fn who(given: &Given, namespace: &str, snapshot: &Snapshot) -> Result<Who, String> {
    let supposed = Supposed {
        user: given.user.as_deref(),
        workload: given.workload.as_deref(),
        provider: given.provider.as_deref(),
        namespace: Some(namespace),
        groups: given.groups.iter().map(String::as_str).collect(),
        scopes: given.scopes.iter().map(String::as_str).collect(),
        claims: given.claims.clone(),
    };
    let is_anonymous = given.anonymous == Some(true);
    match (supposed.known(snapshot)?, is_anonymous) {
        (Some(_), true) => Err("`given` says `anonymous` and names a caller".to_owned()),
        (Some(caller), false) => Ok(Who::Known(caller)),
        (None, true) => Ok(Who::Nobody),
        (None, false) => Err("`given` names nobody: write `user`, `workload` or `anonymous: true`".to_owned()),
    }
}

/// What is otherwise than expected.
fn differences(expect: &Expectation, explanation: &Explanation, said: Option<&Said>) -> Vec<String> {
    let mut differs = guardrails::differences(expect, said);
    let outcome = outcome_words(explanation);
    let blocked_by = said.and_then(|said| said.blocked_by.as_deref());
    match (expect.decision, &explanation.outcome, blocked_by) {
        (Effect::Allow, Outcome::Forwarded(_), Some(stage)) => {
            differs.push(format!("expected Allow, but guardrail {stage} says no"));
        }
        (Effect::Allow, Outcome::Forwarded(_) | Outcome::Answered(_), _)
        | (Effect::Deny, Outcome::Forwarded(_), Some(_)) => {}
        (Effect::Allow, Outcome::Refused(_), _) => differs.push(format!("expected Allow, but it is {outcome}")),
        // A request that reaches no rule says nothing of who may: the host or the path may be a slip of the pen.
        (Effect::Deny, Outcome::Refused(refused), _)
            if expect.status.is_some() || matches!(refused.stage, "authenticate" | "authorize") => {}
        (Effect::Deny, Outcome::Refused(_), _) => {
            differs
                .push(format!("expected Deny by policy, but it is {outcome}; if that is meant, expect its `status`"));
        }
        (Effect::Deny, _, _) => differs.push(format!("expected Deny, but it is {outcome}")),
    }
    if let Some(status) = expect.status {
        let got = match &explanation.outcome {
            Outcome::Answered(got) => Some(got.as_u16()),
            Outcome::Refused(refused) => Some(refused.status.as_u16()),
            Outcome::Forwarded(_) => said.and_then(|said| said.status).map(|status| status.as_u16()),
        };
        if got != Some(status) {
            let got = got.map_or("whatever the backend answers".to_owned(), |got| got.to_string());
            differs.push(format!("expected status {status}, got {got}"));
        }
    }
    if let Some(rule) = &expect.rule {
        let (deciding, policy) = (explanation.decided_by.as_ref(), explanation.policy.as_ref());
        let documents = deciding.map(|deciding| vec![&deciding.binding, &deciding.role]);
        let documents = documents.unwrap_or_else(|| policy.into_iter().collect());
        if !documents.iter().any(|document| is_named(document, rule)) {
            let got = deciding.map(deciding_words).or_else(|| policy.map(ToString::to_string));
            differs.push(format!("expected {rule} to decide, got {}", got.unwrap_or_else(|| "no document".to_owned())));
        }
    }
    if let Some(backend) = &expect.backend {
        let possible: &[_] = match &explanation.outcome {
            Outcome::Forwarded(backends) => backends,
            _ => &[],
        };
        if !possible.iter().any(|name| **name == **backend) {
            let got = if possible.is_empty() { "none".to_owned() } else { possible.join(" or ") };
            differs.push(format!("expected backend {backend}, got {got}"));
        }
    }
    differs
}

/// `RoleBinding/research`, or `RoleBinding/inference/research`.
fn is_named(document: &DocumentId, wanted: &str) -> bool {
    let DocumentId { kind, namespace, name, .. } = document;
    wanted == format!("{kind}/{name}") || wanted == format!("{kind}/{namespace}/{name}")
}

fn outcome_words(explanation: &Explanation) -> String {
    let by = explanation.decided_by.as_ref().map(|deciding| format!(", by {}", deciding_words(deciding)));
    let by = by.unwrap_or_default();
    match &explanation.outcome {
        Outcome::Forwarded(backends) => format!("allowed{by}: forwarded to {}", backends.join(" or ")),
        Outcome::Answered(status) => format!("answered with {status}"),
        Outcome::Refused(_) => {
            let last = explanation.stages.last();
            let said = last.and_then(|stage| stage.said.first().map(|said| format!("{said} (stage {})", stage.name)));
            said.unwrap_or_default()
        }
    }
}

fn counts(outcomes: &[Outcomes]) -> [usize; 3] {
    let count = |of: fn(&Verdict) -> bool| outcomes.iter().filter(|outcome| of(&outcome.verdict)).count();
    [
        count(|verdict| matches!(verdict, Verdict::Passed)),
        count(|verdict| matches!(verdict, Verdict::Failed(_))),
        count(|verdict| matches!(verdict, Verdict::Skipped(_))),
    ]
}

fn text(outcomes: &[Outcomes]) -> String {
    let mut text = String::new();
    for Outcomes { name, location, verdict, explanation } in outcomes {
        let _ = match verdict {
            Verdict::Passed => writeln!(text, "ok       {name} ({location})"),
            Verdict::Skipped(why) => writeln!(text, "skipped  {name} ({location}): {why}"),
            Verdict::Failed(_) => writeln!(text, "FAILED   {name} ({location})"),
        };
        let Verdict::Failed(differs) = verdict else { continue };
        for line in differs {
            let _ = writeln!(text, "           {line}");
        }
        for line in explanation.iter().map(render::text).collect::<String>().lines() {
            let _ = writeln!(text, "           | {line}");
        }
    }
    let [passed, failed, skipped] = counts(outcomes);
    let tail = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    let _ = writeln!(text, "{passed} passed, {failed} failed{tail}");
    text
}

fn as_json(outcomes: &[Outcomes]) -> Value {
    let cases: Vec<Value> = outcomes
        .iter()
        .map(|Outcomes { name, location, verdict, explanation }| {
            let (verdict, why) = match verdict {
                Verdict::Passed => ("passed", json!([])),
                Verdict::Failed(differs) => ("failed", json!(differs)),
                Verdict::Skipped(why) => ("skipped", json!([why])),
            };
            json!({"case": name, "at": location.to_string(), "verdict": verdict, "why": why,
                   "explanation": explanation.as_ref().map(render::json)})
        })
        .collect();
    let [passed, failed, skipped] = counts(outcomes);
    json!({"cases": cases, "passed": passed, "failed": failed, "skipped": skipped})
}
