//! The benchmark: what a request costs through Portcullis, beside nginx, HAProxy and Envoy doing the same work.
//!
//! One proxy at a time runs on core 0; the load generator and the origin share core 1. All proxies are alive throughout,
//! take turns of a few seconds, and are stopped (`SIGSTOP`) while it is not their turn; the order rotates. The figure is
//! the CPU time of the proxy's processes divided by the requests they served, and what is reported are medians of its
//! ratios to nginx within the same round, because absolute figures of a shared machine say little.
//!
//! Reading order: [`scenarios`] (what is measured), [`rounds`] (how turns are taken), [`peers`] (how each proxy is
//! configured), [`load`] and [`origin`] (the two ends of the wire), [`report`] (the table of `docs/benchmarks.md`).
#![expect(clippy::print_stdout, reason = "a command-line tool: its answer goes to standard output")]
#![expect(clippy::indexing_slicing, reason = "reads only what it wrote itself or what the peers it configured answer")]

mod load;
mod machine;
mod origin;
mod peers;
mod processes;
mod profile;
mod report;
mod rounds;
mod scenarios;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

/// Any error: this tool reports it and ends.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(version, about = "Measures Portcullis beside nginx, HAProxy and Envoy")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure all scenarios, or those named.
    Run(rounds::Options),
    /// Profile the gateway under one scenario.
    Profile(profile::Options),
    /// The server behind every proxy.
    Origin(origin::Options),
    /// Load: new TLS connections, one request each.
    LoadHandshakes(load::handshakes::Options),
    /// Load: server-sent events on many streams, with the time each spent on the way.
    LoadEvents(load::events::Options),
    /// Load: requests at a fixed rate, with their latency.
    LoadRate(load::rate::Options),
    /// Load: connections that do nothing, and the memory each costs.
    LoadIdle(load::idle::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(options) => rounds::run(&options),
        Command::Profile(options) => profile::run(&options),
        Command::Origin(options) => origin::run(&options),
        Command::LoadHandshakes(options) => load::report(load::handshakes::run(options)),
        Command::LoadEvents(options) => load::report(load::events::run(options)),
        Command::LoadRate(options) => load::report(load::rate::run(options)),
        Command::LoadIdle(options) => load::report(load::idle::run(options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
