//! The binary: a table of contents.

use std::process::ExitCode;

use clap::Parser as _;
use portcullis_mesh::telemetry::logging;
use portcullis_sidecar::{
    cli::{Cli, Command},
    run::{RunError, run},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Our own fault (sysexits.h: `EX_SOFTWARE`).
const EXIT_INTERNAL: u8 = 70;

fn main() -> ExitCode {
    let Command::Run(arguments) = Cli::parse().command;
    let _logging = match logging::init(arguments.log_format) {
        Ok(logging) => logging,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match run(&arguments, |_| {}) {
        Ok(code) => code,
        Err(RunError::Input(error)) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
        Err(RunError::Internal(error)) => {
            tracing::error!("{error}");
            EXIT_INTERNAL.into()
        }
    }
}
