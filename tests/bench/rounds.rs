//! How turns are taken: all contenders alive, one at work, a few seconds each, in an order that rotates.

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};

use crate::{
    Outcome,
    load::{Group, HOST, Measured, idle::Kind, reload},
    machine, origin,
    peers::{Contender, LOAD_CORE, Routes, Running, Workshop, pinned},
    processes, report,
    scenarios::{self, Load, Scenario},
};

#[derive(Args)]
pub(crate) struct Options {
    /// The scenarios to measure; all if none is named.
    scenarios: Vec<String>,
    /// How often each contender has its turn.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How long a turn lasts, in whole seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Three rounds of one second: a first look.
    #[arg(long)]
    quick: bool,
    /// Leave the tables in docs/benchmarks.md.
    #[arg(long)]
    write: bool,
    /// Measure the peers alone.
    #[arg(long)]
    peers_only: bool,
    /// The scheduling priority of everything that is measured; below 0 needs root.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    niceness: i32,
}

/// All turns of one scenario.
pub(crate) struct Results {
    pub(crate) scenario: Scenario,
    /// One row per round, one cell per contender; `None` where a turn failed.
    pub(crate) rounds: Vec<Vec<Option<Measured>>>,
    pub(crate) seconds: u64,
}

/// Measures, prints, and writes if asked to.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let (rounds, seconds) = if options.quick { (3, 1) } else { (options.rounds, options.seconds) };
    let mut chosen = scenarios::all();
    if let Some(unknown) = options.scenarios.iter().find(|id| chosen.iter().all(|scenario| scenario.id != **id)) {
        let known = chosen.iter().map(|scenario| scenario.id).collect::<Vec<_>>().join(", ");
        return Err(format!("no scenario `{unknown}`; there are {known}").into());
    }
    chosen.retain(|scenario| options.scenarios.is_empty() || options.scenarios.iter().any(|id| id == scenario.id));
    if options.peers_only {
        for scenario in &mut chosen {
            scenario.contenders.retain(|contender| !matches!(contender, Contender::Portcullis(_)));
        }
        chosen.retain(|scenario| !scenario.contenders.is_empty());
    }
    prepare(options.niceness)?;

    println!("{}\n{}\n", machine::description(), machine::versions().join(" · "));
    let mut all = Vec::new();
    for scenario in chosen {
        let results = measure(scenario, rounds, seconds)?;
        println!("{}", report::table(&results));
        if options.write {
            report::write(&results)?;
        }
        all.push(results);
    }
    println!("{}", report::goals(&all));
    if options.write {
        report::write_goals(&all)?;
    }
    Ok(())
}

/// Many connections need many files; a busy machine needs priority.
pub(crate) fn prepare(niceness: i32) -> Outcome<()> {
    let files = rustix::process::getrlimit(Resource::Nofile);
    let ample = Rlimit { current: Some(65_536), maximum: Some(65_536) };
    // Only root may raise the upper limit; without that, all there is.
    if files.maximum.is_some_and(|maximum| maximum < 65_536) && setrlimit(Resource::Nofile, ample).is_err() {
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    }
    if niceness != 0 {
        setpriority_process(None, niceness)?;
    }
    Ok(())
}

fn measure(scenario: Scenario, rounds: usize, seconds: u64) -> Outcome<Results> {
    eprintln!("{}: {}", scenario.id, scenario.title);
    let workshop = Workshop::open()?;
    let rows = if matches!(scenario.load, Load::Idle(_) | Load::Start | Load::Reload) {
        fresh_each_round(&workshop, &scenario, rounds.min(5))?
    } else {
        in_turns(&workshop, &scenario, rounds, seconds)?
    };
    Ok(Results { scenario, rounds: rows, seconds })
}

/// Memory is measured on a process that has done nothing else, since an allocator keeps what it once had.
fn fresh_each_round(workshop: &Workshop, scenario: &Scenario, rounds: usize) -> Outcome<Vec<Vec<Option<Measured>>>> {
    let mut rows = Vec::new();
    for _ in 0..rounds {
        let mut row = Vec::new();
        for &contender in &scenario.contenders {
            let running = workshop.start(contender)?;
            row.push(checked(turn(workshop, &running, scenario.load, 1), contender));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn in_turns(
    workshop: &Workshop,
    scenario: &Scenario,
    rounds: usize,
    seconds: u64,
) -> Outcome<Vec<Vec<Option<Measured>>>> {
    let mut contenders = Vec::new();
    for &contender in &scenario.contenders {
        let running = if contender == Contender::Direct { None } else { Some(workshop.start(contender)?) };
        // A first second each, not counted: connections to the origin open, caches fill.
        checked(turn_of(workshop, running.as_ref(), scenario.load, 1), contender);
        if let Some(running) = &running {
            running.pause()?;
        }
        contenders.push((contender, running));
    }
    let mut rows = Vec::new();
    for round in 0..rounds {
        let mut row = vec![None; contenders.len()];
        for step in 0..contenders.len() {
            let at = (round + step) % contenders.len();
            let (contender, running) = &contenders[at];
            if let Some(running) = running {
                running.resume()?;
            }
            row[at] = checked(turn_of(workshop, running.as_ref(), scenario.load, seconds), *contender);
            if let Some(running) = running {
                // It should still see the load's connections close: that is part of its work, but not of the next turn's.
                sleep(Duration::from_millis(150));
                running.pause()?;
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A turn with errors does not count, but is told.
fn checked(measured: Outcome<Measured>, contender: Contender) -> Option<Measured> {
    match measured {
        Ok(measured) if measured.errors == 0 && (measured.count > 0 || measured.seconds > 0.0) => Some(measured),
        Ok(measured) => {
            eprintln!("  {}: {} errors in {} — turn dropped", contender.name(), measured.errors, measured.count);
            None
        }
        Err(error) => {
            eprintln!("  {}: {error} — turn dropped", contender.name());
            None
        }
    }
}

fn turn_of(workshop: &Workshop, running: Option<&Running>, load: Load, seconds: u64) -> Outcome<Measured> {
    match running {
        Some(running) => turn(workshop, running, load, seconds),
        None if load == (Load::Rate { chat: true }) => Err("chat requests go through a proxy".into()),
        None => ours(workshop, "load-rate", &["--seconds", &seconds.to_string()], workshop.origin, None, false),
    }
}

/// One turn of one contender.
pub(crate) fn turn(workshop: &Workshop, running: &Running, load: Load, seconds: u64) -> Outcome<Measured> {
    let process = Some(running.process());
    let duration = seconds.to_string();
    match load {
        Load::Keepalive { tls, script } => wrk(workshop, running, tls, script, seconds),
        Load::Http2 => h2load(workshop, running, seconds),
        Load::Handshakes(group) => {
            let group = match group {
                Group::X25519 => "x25519",
                Group::X25519Mlkem768 => "x25519-mlkem768",
            };
            let arguments = ["--seconds", &duration, "--group", group];
            ours(workshop, "load-handshakes", &arguments, running.tls, process, true)
        }
        Load::Events => ours(workshop, "load-events", &["--seconds", &duration], running.plain, process, false),
        Load::Rate { chat } => {
            let folder = workshop.directory.path().display().to_string();
            let mut arguments = vec!["--seconds", &duration];
            if chat {
                arguments.extend(["--chat", &folder]);
            }
            ours(workshop, "load-rate", &arguments, running.tls, process, true)
        }
        Load::Idle(Kind::Connection) => {
            ours(workshop, "load-idle", &["--kind", "connection"], running.tls, process, true)
        }
        Load::Idle(Kind::Stream) => ours(workshop, "load-idle", &["--kind", "stream"], running.plain, process, false),
        Load::Start => {
            sleep(Duration::from_secs(1));
            Ok(Measured {
                count: 1,
                seconds: running.ready_after.as_secs_f64(),
                kib_each: processes::resident_kib(running.process()) as f64,
                ..Measured::default()
            })
        }
        Load::Reload => reload::run(running),
    }
}

/// Runs one of our own generators.
fn ours(
    workshop: &Workshop,
    subcommand: &str,
    arguments: &[&str],
    target: std::net::SocketAddr,
    watch: Option<u32>,
    tls: bool,
) -> Outcome<Measured> {
    let mut command = pinned(LOAD_CORE, &std::env::current_exe()?);
    command.arg(subcommand).args(arguments).args(["--target", &target.to_string()]);
    if tls {
        command.arg("--authority").arg(workshop.path("authority.crt"));
    }
    if let Some(process) = watch {
        command.args(["--watch", &process.to_string()]);
    }
    Ok(serde_json::from_str(&output_of(command)?)?)
}

fn output_of(mut command: Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// What happened while a load generator was at full work: its first and last moments, in which connections are opened and
/// closed, would count as work for requests otherwise.
struct Window {
    count: u64,
    cpu_ns: u64,
    seconds: f64,
    output: String,
}

fn window(workshop: &Workshop, running: &Running, mut command: Command, seconds: u64) -> Outcome<Window> {
    let sample = || -> Outcome<(u64, u64, Instant)> {
        Ok((origin::answered(workshop.origin)?, processes::cpu_ns(running.process()), Instant::now()))
    };
    let generator = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    sleep(Duration::from_millis(350));
    let (count_before, cpu_before, started) = sample()?;
    sleep(Duration::from_millis(seconds * 1000 - 500));
    let (count_after, cpu_after, ended) = sample()?;
    let output = generator.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Window {
        count: count_after - count_before,
        cpu_ns: cpu_after - cpu_before,
        seconds: (ended - started).as_secs_f64(),
        output: text,
    })
}

fn wrk(workshop: &Workshop, running: &Running, tls: bool, script: Option<&str>, seconds: u64) -> Outcome<Measured> {
    let mut command = pinned(LOAD_CORE, "wrk".as_ref());
    command.env("OPENSSL_CONF", workshop.path("client-openssl.cnf"));
    command.env("BENCH_DIRECTORY", workshop.directory.path());
    command.args(["-t1", "-c64", "--latency", "-d", &format!("{seconds}s"), "-H", &format!("Host: {HOST}")]);
    if let Some(script) = script {
        command.arg("-s").arg(workshop.path(script));
    }
    if let Contender::Portcullis(Routes::Many(count)) = running.contender {
        command.env("BENCH_ROUTES", count.to_string());
    }
    command.arg(if tls { format!("https://{}/", running.tls) } else { format!("http://{}/", running.plain) });
    let Window { count, cpu_ns, seconds, output } = window(workshop, running, command, seconds)?;

    let number_after = |label: &str| {
        output.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim).unwrap_or_default().to_owned()
    };
    if !output.contains(" requests in ") {
        return Err(format!("wrk printed no summary: {output}").into());
    }
    let failed = output.lines().any(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    if failed {
        eprintln!("{output}");
    }
    Ok(Measured {
        count,
        errors: u64::from(failed),
        seconds,
        cpu_ns,
        p50_us: microseconds(&number_after("50%")),
        p99_us: microseconds(&number_after("99%")),
        kib_each: 0.0,
    })
}

fn h2load(workshop: &Workshop, running: &Running, seconds: u64) -> Outcome<Measured> {
    let mut command = pinned(LOAD_CORE, "h2load".as_ref());
    command.env("OPENSSL_CONF", workshop.path("client-openssl.cnf"));
    command.args(["-t1", "-c16", "-m16", "-D", &seconds.to_string(), &format!("https://{}/", running.tls)]);
    let Window { count, cpu_ns, seconds, output } = window(workshop, running, command, seconds)?;
    // `requests: 89216 total, 89472 started, 89216 done, 89216 succeeded, 0 failed, 0 errored, 0 timeout`
    let summary = output.lines().find(|line| line.starts_with("requests: ")).ok_or("h2load printed no summary")?;
    let number_before = |label: &str| {
        let part = summary.split([',', ':']).find(|part| part.ends_with(label)).unwrap_or_default();
        part.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    let errors = number_before("failed") + number_before("errored") + number_before("timeout");
    if errors > 0 || !output.contains("Application protocol: h2") {
        eprintln!("{output}");
        return Err("not answered over HTTP/2".into());
    }
    // `time for request:  1.05ms  12.33ms  5.60ms  1.02ms  73.21%`: min, max, mean, sd, within one sd.
    let times = output.lines().find(|line| line.starts_with("time for request:")).unwrap_or_default();
    let mean = times.split_whitespace().nth(5).map_or(0.0, microseconds);
    Ok(Measured { count, errors, seconds, cpu_ns, p50_us: mean, ..Measured::default() })
}

/// `1.05ms`, `830.00us`, `2.00s`, `1.50m` in microseconds; 0 for anything else.
fn microseconds(text: &str) -> f64 {
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => 0.0,
    };
    number.parse::<f64>().unwrap_or(0.0) * scale
}

/// Reads a file of this repository, from its root.
pub(crate) fn read_document(name: &str) -> Outcome<String> {
    fs::read_to_string(name).map_err(|error| format!("{name}: {error}; start from the repository's root").into())
}

#[cfg(test)]
mod tests {
    use super::microseconds;

    #[test]
    fn times_of_wrk_and_h2load_are_read() {
        for (text, expected) in [("1.05ms", 1050.0), ("830.00us", 830.0), ("2.00s", 2e6), ("1.5m", 9e7), ("", 0.0)] {
            assert!((microseconds(text) - expected).abs() < 1e-6, "{text}");
        }
    }
}
