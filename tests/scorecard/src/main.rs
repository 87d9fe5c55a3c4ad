//! `portcullis-scorecard`: what guardrails catch and miss, what they mask that they should not, what they hold back and what
//! they cost. `just guard-scorecard` installs the texts, runs it, and writes the tables into docs/guardrails.md.
//!
//! Each section is a file that says what it measures and how; `screen` is how each of them asks the engine.
#![allow(clippy::print_stdout, reason = "a program that prints tables")]

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use clap::Parser;

mod cost;
mod disguises;
mod labelled;
mod ordinary;
mod page;
mod random;
mod screen;
mod secrets;

/// Why a table could not be made.
type Failure = Box<dyn Error>;

/// Measures guardrails and prints the tables of the scorecard.
#[derive(Debug, Parser)]
struct Arguments {
    /// The sections to measure, all if none is named: labelled, secrets, ordinary, disguises, cost.
    sections: Vec<String>,
    /// Where `tests/setup/install guard-data` put the texts.
    #[arg(long, default_value = ".cache/guard-data")]
    data: PathBuf,
    /// Write the tables into this page, between their markers.
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
    /// Print what was missed and what was masked falsely.
    #[arg(long)]
    details: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("portcullis-scorecard: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Where `just train-guard` writes what the model of injection reaches.
const INJECTION: &str = "tests/train-guard/scorecard.md";

/// What stands there.
fn injection() -> Result<String, Failure> {
    Ok(fs::read_to_string(INJECTION).map_err(|error| format!("{INJECTION}: {error}"))?)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    type Section = fn(&Arguments) -> Result<String, Failure>;
    let sections: [(&str, Section); 5] = [
        ("labelled", |it| labelled::table(&it.data, it.details)),
        ("secrets", |it| secrets::table(it.details)),
        ("ordinary", |it| ordinary::table(&it.data, it.details)),
        ("disguises", |_| disguises::table()),
        ("cost", |it| cost::table(&it.data)),
    ];
    let mut page = arguments.write.as_ref().map(fs::read_to_string).transpose()?;
    for (name, section) in sections {
        if arguments.sections.is_empty() || arguments.sections.iter().any(|wanted| wanted == name) {
            let table = section(arguments)?;
            println!("## {name}\n\n{table}");
            if let Some(page) = &mut page {
                *page = page::with(page, name, &table)?;
            }
        }
    }
    if let (Some(path), Some(page)) = (&arguments.write, page) {
        let page = page::with(&page, "machine", &page::machine())?;
        let page = page::with(&page, "injection", &injection()?)?;
        fs::write(path, page)?;
    }
    Ok(())
}
