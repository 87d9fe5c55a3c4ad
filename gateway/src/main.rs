//! The binary: a table of contents.

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use portcullis_gateway::{
    cli::{CheckArgs, CheckFormat, Cli, Command, SchemaArgs},
    demo::demo,
    explain::explain,
    logging,
    run::{RunError, run},
};
use portcullis_policy::{check::check, diagnostics, schema};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Our own fault (sysexits.h: `EX_SOFTWARE`).
const EXIT_INTERNAL: u8 = 70;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(arguments) => match logging::init(arguments.log_format) {
            // The logs outlive the run, so that its last words are written.
            Ok(_logging) => run(arguments, |_, _| {}),
            Err(error) => Err(RunError::Input(error.to_string())),
        },
        Command::Demo(arguments) => demo(&arguments),
        Command::Check(arguments) => Ok(check_documents(&arguments)),
        Command::Explain(arguments) => explain(&arguments),
        Command::Schema(arguments) => Ok(print_schema(&arguments)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        match error {
            RunError::Input(_) => ExitCode::FAILURE,
            RunError::Internal(_) => ExitCode::from(EXIT_INTERNAL),
        }
    })
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn check_documents(arguments: &CheckArgs) -> ExitCode {
    let report = check(&arguments.paths);
    match arguments.format {
        CheckFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            eprint!("{}", diagnostics::text(&report.diagnostics, colour));
            eprintln!("{}", diagnostics::summary(&report.diagnostics));
        }
        CheckFormat::Json => println!("{:#}", diagnostics::json(&report.diagnostics)),
        CheckFormat::Sarif => println!("{:#}", diagnostics::sarif(&report.diagnostics, env!("CARGO_PKG_VERSION"))),
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn print_schema(arguments: &SchemaArgs) -> ExitCode {
    if arguments.crd {
        print!("{}", schema::yaml(&schema::custom_resource_definitions()));
    } else {
        println!("{:#}", schema::json_schema());
    }
    ExitCode::SUCCESS
}
