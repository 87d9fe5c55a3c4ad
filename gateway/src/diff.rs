//! `portcullis diff`: who gains and who loses by a change of documents.

use std::{path::Path, process::ExitCode};

use portcullis_policy::{
    check::{Report, check},
    diagnostics,
    diff::{self, Diff, Direction, NotEnumerated, compare},
};

use crate::{
    cli::{DiffArgs, FailOn, TextOrJson},
    explain::say,
    run::RunError,
};

/// Prints every difference. Exit code 0 if there is none that `--fail-on` names, 1 if there is, or if something could not
/// be enumerated: then nothing is proved.
pub fn diff(arguments: &DiffArgs) -> Result<ExitCode, RunError> {
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let diff = compare(&old, &new);
    say(&match arguments.format {
        TextOrJson::Text => diff::text(&diff),
        TextOrJson::Json => format!("{:#}\n", diff::json(&diff)),
    });
    if diff.not_enumerated.iter().any(|beyond| matches!(beyond, NotEnumerated::Disagreement { .. })) {
        return Err(RunError::Internal("`diff` and the gateway disagree; please report this".to_owned()));
    }
    Ok(if fails(&diff, arguments.fail_on) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(path: &Path) -> Result<Report, RunError> {
    let report = check(&[path.to_owned()]);
    if report.is_clean() { Ok(report) } else { Err(RunError::Input(diagnostics::text(&report.diagnostics, false))) }
}

fn fails(diff: &Diff, fail_on: FailOn) -> bool {
    let any = |direction| diff.changes.iter().any(|change| change.direction == direction);
    !diff.not_enumerated.is_empty()
        || match fail_on {
            FailOn::Any => !diff.changes.is_empty(),
            FailOn::Gain => any(Direction::Gains),
            FailOn::Loss => any(Direction::Loses),
            FailOn::Never => false,
        }
}
