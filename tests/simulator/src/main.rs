//! `portcullis-simulator`: one simulated server in a process of its own.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use portcullis_simulator::{Config, Faults, Flavour, Profile, Simulator};

/// A simulated inference server: OpenAI, Anthropic and KServe v2, with timing from a seed.
#[derive(Debug, Parser)]
#[command(name = "portcullis-simulator", version, about)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A model to serve. May be given several times.
    #[arg(long = "model", default_value = "simulated")]
    models: Vec<String>,
    /// What it calls itself.
    #[arg(long, default_value = "simulator")]
    name: String,
    /// Whose metric page it imitates: `vllm` or `triton`.
    #[arg(long, default_value = "vllm")]
    engine: Flavour,
    /// What timing and words come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What it says, unless a request says otherwise.
    #[arg(long)]
    text: Option<String>,
    /// What goes wrong with every request, as in `delay-ms=50,stall-after=3`.
    #[arg(long, default_value = "")]
    faults: Faults,
    /// What each step of the engine takes, in microseconds.
    #[arg(long, default_value_t = 4_000)]
    step_us: u64,
    /// What each token of a prompt adds to a step, in microseconds.
    #[arg(long, default_value_t = 20)]
    prefill_token_us: u64,
    /// What each sequence that decodes adds to a step, in microseconds.
    #[arg(long, default_value_t = 50)]
    decode_sequence_us: u64,
    /// Sequences that may be in a batch.
    #[arg(long, default_value_t = 64)]
    sequences_max: usize,
    /// Blocks of the KV cache.
    #[arg(long, default_value_t = 4_096)]
    blocks_max: usize,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "where it listens is what was asked for")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let profile = Profile {
        step: Duration::from_micros(arguments.step_us),
        prefill_token: Duration::from_micros(arguments.prefill_token_us),
        decode_sequence: Duration::from_micros(arguments.decode_sequence_us),
        sequences_max: arguments.sequences_max.max(1),
        blocks_max: arguments.blocks_max.max(2),
        ..Profile::default()
    };
    let started = Simulator::start(Config {
        listen: arguments.listen,
        name: arguments.name,
        models: arguments.models,
        flavour: arguments.engine,
        profile,
        seed: arguments.seed,
        text: arguments.text,
        faults: arguments.faults,
    });
    match started.await {
        Ok(server) => {
            println!("listening on {}", server.address());
            let _ = tokio::signal::ctrl_c().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot listen on {}: {error}", arguments.listen);
            ExitCode::FAILURE
        }
    }
}
