//! `portcullis guard explain`: what guardrails find in a text, where and why, what comes out, and what is held meanwhile.
//!
//! The text is the operator's own, so it may be shown. Nobody else is asked about it: a stage that would ask a guard elsewhere
//! says so.

pub(crate) mod look;
mod render;

use std::{
    io::{self, Read as _},
    process::ExitCode,
    sync::Arc,
};

use portcullis_policy::{
    Snapshot,
    check::{Report, check, check_sources},
    diagnostics,
    documents::Sources,
    guard::screen::{Guardrails, Speaker},
    snapshot::Rule,
};

use self::look::{Outcome, holds, look};
use crate::{
    cli::{GuardExplainArgs, TextOrJson, Way},
    explain::say,
    run::RunError,
};

/// The longest text that is explained, in bytes.
pub const EXPLAINED_BYTES_MAX: usize = 1024 * 1024;
const SHIPPED: &str = include_str!("shipped.yaml");

/// Prints what each stage finds. Exit code 0 if the text goes on, changed or not, 1 if it is refused.
pub fn guard_explain(arguments: &GuardExplainArgs) -> Result<ExitCode, RunError> {
    let text = text(arguments.text.as_deref()).map_err(RunError::Input)?;
    let report = match arguments.config.as_slice() {
        [] => check_sources(&Sources::of_text("shipped.yaml", SHIPPED)),
        paths => check(paths),
    };
    let Report { snapshot, .. } = clean(report)?;
    let (rule, guardrails) = chosen(&snapshot, arguments).map_err(RunError::Input)?;
    let (direction, speaker) = match arguments.direction {
        Way::Input => (&guardrails.input, arguments.from.map_or(Speaker::User, Into::into)),
        Way::Output => (&guardrails.output, arguments.from.map_or(Speaker::Assistant, Into::into)),
    };
    let (looked, holds) = (look(direction, speaker, &text), holds(direction, speaker, &text));
    let place = render::Place { rule: &rule, guardrails: &guardrails, way: arguments.direction, speaker };
    say(&match arguments.format {
        TextOrJson::Text => render::text(&place, &looked, &holds),
        TextOrJson::Json => format!("{:#}\n", render::json(&place, &looked, &holds)),
    });
    Ok(if matches!(looked.outcome, Outcome::Passes { .. }) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn clean(report: Report) -> Result<Report, RunError> {
    if report.is_clean() { Ok(report) } else { Err(RunError::Input(diagnostics::text(&report.diagnostics, false))) }
}

/// What is given, or what comes on standard input.
fn text(given: Option<&str>) -> Result<String, String> {
    let mut text = String::new();
    match given {
        Some(given) if given != "-" => given.clone_into(&mut text),
        _ => {
            let read = io::stdin().lock().take(EXPLAINED_BYTES_MAX as u64 + 1).read_to_string(&mut text);
            read.map_err(|error| format!("cannot read the text: {error}"))?;
        }
    }
    if text.len() > EXPLAINED_BYTES_MAX {
        return Err(format!("the text is longer than {EXPLAINED_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The one guarded rule that is meant.
fn chosen(snapshot: &Snapshot, arguments: &GuardExplainArgs) -> Result<(Arc<Rule>, Arc<Guardrails>), String> {
    let is_meant = |rule: &Rule| {
        let names = |route: &str| {
            route == &*rule.route.name || route == format!("{}/{}", rule.route.namespace, rule.route.name)
        };
        arguments.route.as_deref().is_none_or(names)
            && arguments.rule.as_deref().is_none_or(|name| rule.name.as_deref() == Some(name))
    };
    let mut found: Vec<(Arc<Rule>, Arc<Guardrails>)> = Vec::new();
    for rule in snapshot.listeners.iter().flat_map(|listener| listener.routes.rules()).filter(|rule| is_meant(rule)) {
        let Some(guardrails) = &rule.guardrails else { continue };
        if !found.iter().any(|(_, other)| Arc::ptr_eq(other, guardrails)) {
            found.push((rule.clone(), guardrails.clone()));
        }
    }
    match found.as_slice() {
        [(rule, guardrails)] => Ok((rule.clone(), guardrails.clone())),
        [] => Err("no GuardrailPolicy covers such a route".to_owned()),
        several => {
            let names = several.iter().map(|(rule, _)| {
                let name = rule.name.as_deref().map(|name| format!(" --rule {name}")).unwrap_or_default();
                format!("--route {}/{}{name}", rule.route.namespace, rule.route.name)
            });
            Err(format!("several guardrails could be meant; say which: {}", names.collect::<Vec<_>>().join(", or ")))
        }
    }
}
