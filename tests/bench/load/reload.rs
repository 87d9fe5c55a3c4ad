//! A change of the documents: how long it takes until it is in force, and what it costs.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use super::Measured;
use crate::{Outcome, peers::Running, processes};

/// How often the documents change in one turn; the last time is what counts.
const CHANGES: u64 = 3;
/// How often the gateway is asked whether a change is in force.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// When to give up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Changes a line at the end of the documents a few times and waits for each to be in force.
pub(crate) fn run(running: &Running) -> Outcome<Measured> {
    let config = running.directory.join("config.yaml");
    let mut measured = Measured { count: 1, ..Measured::default() };
    for change in 1..=CHANGES {
        let documents = fs::read_to_string(&config)?;
        // The last line is the role that the last binding is of: the change is one of who may do what.
        let kept = documents.trim_end().rsplit_once('\n').map_or("", |(kept, _)| kept);
        let changed = format!("{kept}\nroleRef: {{kind: Role, name: team-{:03}}}\n", change % 2);
        let next = running.directory.join("config.yaml.next");
        fs::write(&next, changed)?;
        let (begun, cpu_before) = (Instant::now(), processes::cpu_ns(running.process()));
        fs::rename(&next, &config)?;
        while reloads(running.admin)? < change {
            if begun.elapsed() > PATIENCE {
                return Err(format!("a change is not in force after {PATIENCE:?}").into());
            }
            sleep(LOOK_INTERVAL);
        }
        measured.seconds = begun.elapsed().as_secs_f64();
        measured.cpu_ns = processes::cpu_ns(running.process()) - cpu_before;
    }
    // What the revision before held is given back.
    sleep(Duration::from_secs(1));
    measured.kib_each = processes::resident_kib(running.process()) as f64;
    Ok(measured)
}

/// How many changes of the documents have come into force.
fn reloads(admin: SocketAddr) -> Outcome<u64> {
    let mut stream = TcpStream::connect(admin)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let of = |outcome: &str| {
        let name = format!("portcullis_config_reloads_total{{outcome=\"{outcome}\"}} ");
        answer.lines().find_map(|line| line.strip_prefix(&name)).and_then(|count| count.parse::<u64>().ok())
    };
    match of("refused") {
        Some(refused) if refused > 0 => Err("the changed documents were refused".into()),
        _ => Ok(of("applied").unwrap_or(0)),
    }
}
