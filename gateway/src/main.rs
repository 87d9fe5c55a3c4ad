//! The binary: a table of contents.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use portcullis_gateway::{
    certs::certs,
    cli::{CheckArgs, CheckFormat, Cli, Command, GuardArgs, GuardCommand, RunArgs, SchemaArgs},
    demo::demo,
    diff::diff,
    explain::{explain, guard::guard_explain},
    keys::keys,
    policy_test::policy_test,
    run::{RunError, run},
    screening::end_on_panic,
};
use portcullis_mesh::telemetry::logging::{self, LogFormat};
use portcullis_policy::{check::check, diagnostics, reach, schema};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Our own fault (sysexits.h: `EX_SOFTWARE`).
const EXIT_INTERNAL: u8 = 70;

fn main() -> ExitCode {
    end_on_panic();
    let outcome = match Cli::parse().command {
        Command::Run(arguments) => run_gateway(arguments),
        Command::Demo(arguments) => demo(&arguments),
        Command::Check(arguments) => Ok(check_documents(&arguments)),
        Command::Explain(arguments) => explain(&arguments),
        Command::Test(arguments) => policy_test(&arguments),
        Command::Diff(arguments) => diff(&arguments),
        Command::Guard(GuardArgs { command: GuardCommand::Explain(arguments) }) => guard_explain(&arguments),
        Command::Keys(arguments) => keys(&arguments),
        Command::Certs(arguments) => certs(&arguments),
        Command::Schema(arguments) => Ok(print_schema(&arguments)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        exit_code(&error)
    })
}

fn exit_code(error: &RunError) -> ExitCode {
    match error {
        RunError::Input(_) => ExitCode::FAILURE,
        RunError::Internal(_) => ExitCode::from(EXIT_INTERNAL),
    }
}

fn run_gateway(arguments: RunArgs) -> Result<ExitCode, RunError> {
    let format = arguments.log_format.unwrap_or_else(LogFormat::detect);
    // The logs outlive the run, so that its last words are written.
    let _logging = logging::init(Some(format)).map_err(|error| RunError::Input(error.to_string()))?;
    match run(arguments, |_, _| {}) {
        // Whoever reads JSON reads nothing else.
        Err(error) if format == LogFormat::Json => {
            tracing::error!("{error}");
            Ok(exit_code(&error))
        }
        outcome => outcome,
    }
}

fn check_documents(arguments: &CheckArgs) -> ExitCode {
    let report = check(&arguments.paths);
    let told = report.told();
    let printed = match arguments.format {
        CheckFormat::Json if arguments.reachable => {
            let reachable = reach::json(&reach::reachable(&report.snapshot));
            let all = serde_json::json!({"diagnostics": diagnostics::json(&told), "reachable": reachable});
            print(&format!("{all:#}\n"))
        }
        CheckFormat::Text => {
            if arguments.reachable {
                print(&reach::text(&reach::reachable(&report.snapshot)));
            }
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            eprint!("{}", diagnostics::text(&told, colour));
            eprintln!("{}", diagnostics::summary(&told));
            ExitCode::SUCCESS
        }
        CheckFormat::Json => print(&format!("{:#}\n", diagnostics::json(&told))),
        CheckFormat::Sarif => print(&format!("{:#}\n", diagnostics::sarif(&told, env!("CARGO_PKG_VERSION")))),
    };
    if report.is_clean() { printed } else { ExitCode::FAILURE }
}

fn print_schema(arguments: &SchemaArgs) -> ExitCode {
    if arguments.crd {
        print(&schema::yaml(&schema::custom_resource_definitions()))
    } else {
        print(&format!("{:#}\n", schema::json_schema()))
    }
}

/// What was asked for goes to standard output. Whoever has read enough may close it.
fn print(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("cannot write to standard output: {error}");
            ExitCode::from(EXIT_INTERNAL)
        }
        _ => ExitCode::SUCCESS,
    }
}
