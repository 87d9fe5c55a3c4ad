//! `just conformance`: runs the Gateway API's conformance suite and prints its table, or writes it to `docs/`.
#![expect(clippy::print_stdout, reason = "the table is what was asked for")]

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::Parser;
use portcullis_tests::conformance;

/// Runs the Gateway API's conformance suite against `portcullis`, in file mode.
#[derive(Debug, Parser)]
#[command(name = "conformance")]
struct Arguments {
    /// Only the tests whose name contains one of these words.
    words: Vec<String>,
    /// Write the table to `docs/conformance.md`.
    #[arg(long, conflicts_with = "words")]
    write: bool,
}

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = conformance::run(&arguments.words).await;
    println!("{report}");
    for (name, fault) in report.failures() {
        println!("{name}: {fault}\n");
    }
    if arguments.write {
        let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
        fs::write(page, report.to_string())?;
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
