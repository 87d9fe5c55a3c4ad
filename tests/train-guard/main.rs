//! Trains the injection model and measures it: `just train-guard`, `just measure-guard`. What it learns from is laid out by
//! `corpora.py`; features, readings and scores are the product's own.

#![expect(clippy::indexing_slicing, clippy::print_stdout, reason = "a tool that is run by hand, on files that it made")]

mod corpus;
mod disguise;
mod learn;
mod measure;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Trains the injection model and measures it.
#[derive(Parser)]
struct Arguments {
    /// The folder with `train`, `choice` and `foreign`.
    #[arg(long, default_value = ".cache/guard-train")]
    corpora: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains, calibrates and writes the model.
    Train {
        /// Where the model is written.
        #[arg(long, default_value = "policy/src/guard/injection/model.bin")]
        model: PathBuf,
        /// A corpus that is left out, and measured with.
        #[arg(long)]
        leave: Vec<String>,
        #[command(flatten)]
        settings: learn::Settings,
    },
    /// Prints texts that a model is mistaken about.
    Mistakes {
        /// The model.
        #[arg(long, default_value = "policy/src/guard/injection/model.bin")]
        model: PathBuf,
        /// `train` or `choice`.
        #[arg(long, default_value = "choice")]
        part: String,
        /// The corpus.
        corpus: String,
        /// How many.
        #[arg(long, default_value_t = 20)]
        count: usize,
    },
    /// Measures a model.
    Measure {
        /// The model.
        #[arg(long, default_value = "policy/src/guard/injection/model.bin")]
        model: PathBuf,
        /// `choice` while settings are chosen, `foreign` for what is told.
        #[arg(long, default_value = "choice")]
        part: String,
        /// Where the page is written.
        #[arg(long)]
        page: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Train { model, leave, settings } => learn::train(&arguments.corpora, &model, &leave, &settings),
        Command::Measure { model, part, page } => measure::measure(&arguments.corpora, &model, &part, page.as_deref()),
        Command::Mistakes { model, part, corpus, count } => {
            measure::mistakes(&arguments.corpora, &model, &part, &corpus, count)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
