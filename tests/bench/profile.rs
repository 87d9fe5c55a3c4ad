//! Where the gateway's time goes under one scenario: samples by `perf`, or instructions per request by `callgrind`.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::Duration,
};

use clap::Args;

use crate::{
    Outcome, origin,
    peers::{Contender, Workshop},
    processes,
    rounds::{prepare, turn},
    scenarios::{self, Load},
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
    #[arg(long, conflicts_with = "instructions")]
    system_calls: bool,
    /// Count instructions per request with callgrind instead of sampling: slow, but the same on a busy machine.
    #[arg(long)]
    instructions: bool,
}

/// Runs the load on the gateway alone and prints the hottest functions.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let scenario = scenarios::all().into_iter().find(|scenario| scenario.id == options.scenario);
    let scenario = scenario.ok_or_else(|| format!("no scenario `{}`", options.scenario))?;
    let ours = scenario.contenders.iter().find(|contender| matches!(contender, Contender::Portcullis(_)));
    let ours = *ours.ok_or("the gateway does not take part in this scenario")?;
    prepare(0)?;
    let workshop = Workshop::open()?;
    if options.instructions {
        return count_instructions(options, &workshop, ours, scenario.load);
    }
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

/// Where callgrind leaves its counts.
const COUNTS: &str = "target/callgrind.out";

/// Counts what the gateway executes between two moments of a steady load, and divides it by the requests between them.
fn count_instructions(options: &Options, workshop: &Workshop, ours: Contender, load: Load) -> Outcome<()> {
    let file = format!("--callgrind-out-file={COUNTS}");
    let runner = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", &file];
    // Dumps are numbered, and a second one would not be found.
    let _ = fs::remove_file(format!("{COUNTS}.1"));
    let running = workshop.start_under(ours, &runner)?;
    let control = |argument: &[&str]| {
        let process = running.process().to_string();
        Command::new("callgrind_control").args(argument).arg(process).stdout(Stdio::null()).status()
    };
    let requests = thread::scope(|scope| {
        let load = scope.spawn(|| turn(workshop, &running, load, options.seconds + 6));
        // Under valgrind, opening the connections takes a while.
        sleep(Duration::from_secs(4));
        control(&["-i", "on"])?;
        let before = origin::answered(workshop.origin)?;
        sleep(Duration::from_secs(options.seconds));
        let requests = origin::answered(workshop.origin)? - before;
        control(&["-i", "off"])?;
        // The load's own figures mean nothing here, nor do its complaints about a slow server.
        let _ = load.join();
        Outcome::Ok(requests.max(1))
    })?;
    control(&["-d"])?;
    println!("{requests} requests; instructions of each, what a function calls included:");
    let inclusive = functions(&["--inclusive=yes"])?;
    for (name, count) in inclusive.into_iter().filter(|(name, _)| name.contains("portcullis")).take(options.lines) {
        println!("{:>9}  {}", count / requests, name.chars().take(120).collect::<String>());
    }
    println!("without what it calls:");
    for (name, count) in functions(&[])?.into_iter().take(options.lines) {
        println!("{:>9}  {}", count / requests, name.chars().take(120).collect::<String>());
    }
    Ok(())
}

/// What callgrind counted, by function, most first.
fn functions(arguments: &[&str]) -> Outcome<Vec<(String, u64)>> {
    let mut command = Command::new("callgrind_annotate");
    command.args(["--auto=no", "--threshold=99"]).args(arguments).arg(format!("{COUNTS}.1"));
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // One line per function and source file of what was inlined into it. Added up by function; but where a function's
    // callees are included, the line of its own file has them all.
    let inclusive = !arguments.is_empty();
    let mut functions: HashMap<String, u64> = HashMap::new();
    for line in text.lines() {
        let Some((count, rest)) = line.trim().split_once(' ') else { continue };
        let Ok(count) = count.replace(',', "").parse::<u64>() else { continue };
        // `( 9.05%)  path/to/file.rs:module::function [/path/to/object]`
        let name = rest.split_once("%)").map_or(rest, |(_, name)| name).trim();
        let name = name.split_once(" [").map_or(name, |(name, _)| name);
        let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
        let name = name.split_once(':').map_or(name, |(_, function)| function);
        let known = functions.entry(name.to_owned()).or_default();
        *known = if inclusive { count.max(*known) } else { count + *known };
    }
    let mut functions = functions.into_iter().collect::<Vec<_>>();
    functions.sort_by_key(|(_, count)| Reverse(*count));
    Ok(functions)
}
