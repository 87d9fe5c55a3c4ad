//! What the operating system says about this process, and how far behind a worker's event loop is.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

use super::{
    cells::{Gauge, WorkerMetrics},
    page::{Kind, Page},
    registry::Registry,
};

/// A worker measures its lag so often. Each time wakes it up, which is why it is not more often.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// Adds the section about this process to every page.
pub(super) fn register(registry: &Registry, version: &'static str) {
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    registry.collect(move |page| {
        page.family("portcullis_build_info", "Which build this is; always 1.", "", Kind::Gauge);
        page.gauge(&[("version", version)], 1.0);
        write(page, started);
    });
}

fn write(page: &mut Page, started: f64) {
    page.family("process_start_time_seconds", "When the process started, in Unix time.", "seconds", Kind::Gauge);
    page.gauge(&[], started);
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_stat) {
        page.family("process_cpu_seconds", "CPU time of the process, user and system.", "seconds", Kind::Counter);
        page.counter(&[], stat.cpu_ticks, rustix::param::clock_ticks_per_second());
        page.family("process_resident_memory_bytes", "Memory of the process that is in RAM.", "bytes", Kind::Gauge);
        page.gauge(&[], stat.resident_pages as f64 * rustix::param::page_size() as f64);
        page.family("process_virtual_memory_bytes", "Address space of the process.", "bytes", Kind::Gauge);
        page.gauge(&[], stat.virtual_bytes as f64);
        page.family("process_threads", "Threads of the process.", "", Kind::Gauge);
        page.gauge(&[], stat.threads as f64);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        page.family("process_open_fds", "Open file descriptors.", "", Kind::Gauge);
        // One of them is the folder being read.
        page.gauge(&[], descriptors.count().saturating_sub(1) as f64);
    }
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        page.family("process_max_fds", "File descriptors the process may have open.", "", Kind::Gauge);
        page.gauge(&[], limit as f64);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Reads `/proc/self/stat`, see proc(5). The command's name may hold anything, but only it holds parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    // The first field after the name is the third of the line.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// Keeps `gauge` (of durations) at the delay with which this worker's event loop last noticed a timer, until it is
/// dropped. Run it on the worker.
pub async fn watch_lag(metrics: &WorkerMetrics, gauge: Gauge) {
    loop {
        let due = Instant::now() + LAG_INTERVAL;
        sleep(LAG_INTERVAL).await;
        let late = Instant::now().saturating_duration_since(due);
        metrics.set(gauge, i64::try_from(late.as_nanos()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn stat_is_read_past_a_hostile_command_name() {
        let line = "7 (a) b) (c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 4 0 999 123456 789 18446744073709551615";
        let stat = Stat { cpu_ticks: 42, threads: 4, virtual_bytes: 123_456, resident_pages: 789 };
        assert_eq!(parse_stat(line), Some(stat));
        assert_eq!(parse_stat("7 (a) S 1"), None);
        assert!(parse_stat(&fs::read_to_string("/proc/self/stat").unwrap()).is_some());
    }
}
