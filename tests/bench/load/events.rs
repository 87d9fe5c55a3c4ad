//! Server-sent events: many streams, each at a fixed pace, and how long every event was on its way.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};

use super::{HOST, Measured, Target, on_one_thread, percentiles, seconds};
use crate::{Outcome, origin::monotonic_ns};

/// What stands before an event's time, and how many digits the time has.
const MARK: &[u8] = b"{\"t\":";
const DIGITS: usize = 20;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Streams at a time.
    #[arg(long, default_value_t = 300)]
    streams: usize,
    /// Events a second on each.
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// How long, once all streams are open.
    #[arg(long, default_value = "2", value_parser = seconds)]
    seconds: Duration,
}

#[derive(Default)]
struct Seen {
    /// How long each event took, while measuring.
    times_ns: Vec<u64>,
    /// Streams that are open.
    open: usize,
    /// Streams that ended or failed.
    lost: u64,
    measuring: bool,
}

/// Runs the load.
pub(crate) fn run(options: Options) -> Outcome<Measured> {
    on_one_thread(async move {
        let target = options.target;
        let connector = target.connector()?;
        let seen = Rc::new(RefCell::new(Seen::default()));
        for _ in 0..options.streams {
            let mut wire = target.connect(connector.as_ref()).await?;
            let seen = Rc::clone(&seen);
            tokio::task::spawn_local(async move {
                let request = format!("GET /events?rate={} HTTP/1.1\r\nhost: {HOST}\r\n\r\n", options.rate);
                if wire.write_all(request.as_bytes()).await.is_ok() && wire.flush().await.is_ok() {
                    let mut pending = Vec::with_capacity(4096);
                    let mut first = true;
                    while wire.read_buf(&mut pending).await.is_ok_and(|length| length > 0) {
                        let mut seen = seen.borrow_mut();
                        seen.open += usize::from(std::mem::take(&mut first));
                        take_events(&mut pending, &mut seen);
                    }
                }
                seen.borrow_mut().lost += 1;
            });
        }
        let opening = Instant::now();
        while seen.borrow().open < options.streams {
            if opening.elapsed() > Duration::from_secs(10) {
                return Err(format!("only {} of {} streams opened", seen.borrow().open, options.streams).into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(200)).await;

        seen.borrow_mut().measuring = true;
        let (started, cpu_before) = (Instant::now(), target.cpu_ns());
        sleep(options.seconds).await;
        let (cpu_ns, seconds) = (target.cpu_ns() - cpu_before, started.elapsed().as_secs_f64());
        let seen = std::mem::take(&mut *seen.borrow_mut());
        let mut times = seen.times_ns;
        let (p50_us, p99_us) = percentiles(&mut times);
        Ok(Measured {
            count: times.len() as u64,
            errors: seen.lost,
            seconds,
            cpu_ns,
            p50_us,
            p99_us,
            ..Measured::default()
        })
    })
}

/// Takes the whole events off the front of `pending`.
fn take_events(pending: &mut Vec<u8>, seen: &mut Seen) {
    let now = monotonic_ns();
    let mut used = 0;
    while let Some(at) = memmem::find(&pending[used..], MARK) {
        let digits = used + at + MARK.len();
        let Some(written) = pending.get(digits..digits + DIGITS) else { break };
        let written = written.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit.wrapping_sub(b'0')));
        if seen.measuring {
            seen.times_ns.push(now.saturating_sub(written));
        }
        used = digits + DIGITS;
    }
    // What is left may hold the beginning of a mark.
    let keep_from =
        memmem::find(&pending[used..], MARK).map_or(pending.len().saturating_sub(MARK.len()).max(used), |at| used + at);
    pending.drain(..keep_from);
}
