//! Requests at a fixed rate, well below what the proxy can do, and how long each took.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::time::{MissedTickBehavior, interval};

use super::{HOST, Measured, Target, Wire, exchange, on_one_thread, percentiles, seconds};
use crate::Outcome;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Requests a second; at most 1,000, since one is sent per tick of a millisecond clock.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Connections kept open.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long.
    #[arg(long, default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Send the prompt of this folder with each of its credentials in turn, instead of small requests.
    #[arg(long)]
    chat: Option<PathBuf>,
}

struct Free {
    wires: Vec<(Wire, Vec<u8>)>,
    times_ns: Vec<u64>,
    errors: u64,
}

/// Runs the load.
pub(crate) fn run(options: Options) -> Outcome<Measured> {
    on_one_thread(async move {
        let target = options.target;
        let connector = target.connector()?;
        let requests: Vec<Rc<[u8]>> = match &options.chat {
            None => vec![format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n").into_bytes().into()],
            Some(folder) => chat_requests(folder)?,
        };
        let mut turns = requests.iter().cycle();
        let mut wires = Vec::new();
        for _ in 0..options.connections {
            let mut wire = target.connect(connector.as_ref()).await?;
            let mut buffer = Vec::with_capacity(4096);
            exchange(&mut wire, turns.next().ok_or("no credentials")?, &mut buffer).await?;
            wires.push((wire, buffer));
        }
        let free = Rc::new(RefCell::new(Free { wires, times_ns: Vec::new(), errors: 0 }));

        let (started, cpu_before) = (Instant::now(), target.cpu_ns());
        let mut ticks = interval(Duration::from_micros(1_000_000 / options.rate.clamp(1, 1000)));
        // A late tick is made up for at once: the offered rate does not follow the proxy's pace.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while started.elapsed() < options.seconds {
            ticks.tick().await;
            let Some((mut wire, mut buffer)) = free.borrow_mut().wires.pop() else {
                free.borrow_mut().errors += 1;
                continue;
            };
            let (free, request) = (Rc::clone(&free), turns.next().cloned().unwrap_or_default());
            tokio::task::spawn_local(async move {
                let begun = Instant::now();
                let outcome = exchange(&mut wire, &request, &mut buffer).await;
                let mut free = free.borrow_mut();
                match outcome {
                    Ok(()) => {
                        free.times_ns.push(begun.elapsed().as_nanos() as u64);
                        free.wires.push((wire, buffer));
                    }
                    Err(_) => free.errors += 1,
                }
            });
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu_ns = target.cpu_ns() - cpu_before;
        let mut free = free.borrow_mut();
        let (p50_us, p99_us) = percentiles(&mut free.times_ns);
        Ok(Measured {
            count: free.times_ns.len() as u64,
            errors: free.errors,
            seconds,
            cpu_ns,
            p50_us,
            p99_us,
            ..Measured::default()
        })
    })
}

fn chat_requests(folder: &Path) -> Outcome<Vec<Rc<[u8]>>> {
    let prompt = fs::read_to_string(folder.join("prompt.json"))?;
    let request = |credential: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n\
             authorization: Bearer {credential}\r\ncontent-length: {}\r\n\r\n{prompt}",
            prompt.len()
        )
        .into_bytes()
        .into()
    };
    Ok(fs::read_to_string(folder.join("credentials"))?.lines().map(request).collect())
}
