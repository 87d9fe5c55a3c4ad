//! Where the gateway's time goes under one scenario: samples by `perf`, or instructions per request by `callgrind`.

use std::{
    fs,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::Duration,
};

use clap::Args;

use crate::{
    Outcome,
    peers::{Contender, Workshop},
    processes,
    rounds::{prepare, turn},
    scenarios,
};

#[derive(Args)]
pub(crate) struct Options {
    /// The scenario.
    #[arg(default_value = "tls-h1")]
    scenario: String,
    /// How long to sample, in whole seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many functions to list.
    #[arg(long, default_value_t = 60)]
    lines: usize,
    /// Where `perf` leaves its samples, for `perf report` or a flame graph.
    #[arg(long, default_value = "target/profile.data")]
    samples: String,
    /// Count system calls instead of sampling.
    #[arg(long)]
    system_calls: bool,
}

/// Runs the load on the gateway alone and prints the hottest functions.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let scenario = scenarios::all().into_iter().find(|scenario| scenario.id == options.scenario);
    let scenario = scenario.ok_or_else(|| format!("no scenario `{}`", options.scenario))?;
    let ours = scenario.contenders.iter().find(|contender| matches!(contender, Contender::Portcullis(_)));
    let ours = *ours.ok_or("the gateway does not take part in this scenario")?;
    prepare(0)?;
    let workshop = Workshop::open()?;
    let running = workshop.start(ours)?;
    turn(&workshop, &running, scenario.load, 1)?;

    let process = running.process();
    let seconds = options.seconds;
    let watcher = if options.system_calls {
        let mut command = Command::new("timeout");
        command.args(["--signal=INT", &seconds.to_string(), "strace", "-c", "-f", "-p", &process.to_string()]);
        thread::spawn(move || command.stdin(Stdio::null()).status())
    } else {
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "-F", "1999", "-g", "--call-graph", "fp", "-o", &options.samples]);
        command.args(["-p", &process.to_string(), "--", "sleep", &seconds.to_string()]);
        thread::spawn(move || command.stdin(Stdio::null()).status())
    };
    sleep(Duration::from_millis(200));
    let measured = turn(&workshop, &running, scenario.load, seconds)?;
    let _ = watcher.join();

    let each = measured.cpu_ns as f64 / 1000.0 / measured.count.max(1) as f64;
    println!("{}: {} in {seconds} s, {each:.1} µs of CPU each", scenario.title, measured.count);
    println!("{} MiB resident", processes::resident_kib(process) / 1024);
    if options.system_calls {
        return Ok(());
    }
    for sort in ["dso", "symbol"] {
        let mut command = Command::new("perf");
        command.args(["report", "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.2"]);
        command.args(["--sort", sort, "-i", &options.samples]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        for line in lines.take(options.lines) {
            println!("{line}");
        }
        println!();
    }
    println!("samples: {}", fs::canonicalize(&options.samples)?.display());
    Ok(())
}
