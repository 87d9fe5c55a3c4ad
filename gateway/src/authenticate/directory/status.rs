//! What metrics and status pages say of a directory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use portcullis_mesh::telemetry::{Kind, Page, Registry};

/// What became of looking somebody up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Answered from memory, fresh.
    Remembered,
    /// Answered by the directory.
    Asked,
    /// Answered from memory, because no server could be asked.
    Stale,
    /// Refused: a name or a password is not good, or an account is closed.
    Refused,
    /// Refused here, without asking.
    Throttled,
    /// Not answered.
    Unavailable,
}

/// Counters, and what may be wrong.
#[derive(Debug, Default)]
pub(super) struct Counters {
    lookups: [AtomicU64; 6],
    /// Milliseconds.
    oldest_in_use: AtomicU64,
}

/// A directory at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Servers that answered when they were last asked, or were not asked yet.
    pub servers_up: usize,
    /// Servers there are.
    pub servers: usize,
    /// How groups in groups are found; `None`: not known yet.
    pub nested: Option<&'static str>,
    /// What somebody must mend: nobody is let in as long as it stands.
    pub problem: Option<String>,
    /// Lookups by what became of them: a word for a label, and how many.
    pub lookups: [(&'static str, u64); 6],
    /// The age of the oldest answer that was used since this was last asked: how late a removal was noticed at most.
    pub oldest_in_use: Duration,
    /// People whom something is remembered of.
    pub remembered: usize,
    /// People whose attempts are answered here.
    pub throttled: usize,
}

impl Counters {
    pub(super) fn count(&self, lookup: Lookup) {
        if let Some(counter) = self.lookups.get(lookup as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn used(&self, age: Duration) {
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.oldest_in_use.fetch_max(milliseconds, Ordering::Relaxed);
    }

    pub(super) fn lookups(&self) -> [(&'static str, u64); 6] {
        let words = ["remembered", "asked", "stale", "refused", "throttled", "unavailable"];
        let mut counts = words.map(|word| (word, 0));
        for ((_, count), counter) in counts.iter_mut().zip(&self.lookups) {
            *count = counter.load(Ordering::Relaxed);
        }
        counts
    }

    /// Since it was last asked.
    pub(super) fn take_oldest_in_use(&self) -> Duration {
        Duration::from_millis(self.oldest_in_use.swap(0, Ordering::Relaxed))
    }
}

/// Adds the state of directories to every page of metrics; `directories` is asked each time.
pub fn show(registry: &Registry, directories: impl Fn() -> Vec<(String, Status)> + Send + Sync + 'static) {
    registry.collect(move |page| write(page, &directories()));
}

/// Name, help, unit and value.
type ShownGauge = (&'static str, &'static str, &'static str, fn(&Status) -> f64);

fn write(page: &mut Page, directories: &[(String, Status)]) {
    let gauges: [ShownGauge; 5] = [
        ("portcullis_directory_servers", "Servers of a directory.", "", |status| status.servers as f64),
        (
            "portcullis_directory_servers_up",
            "Servers of a directory that answered when they were last asked.",
            "",
            |status| status.servers_up as f64,
        ),
        ("portcullis_directory_fit", "Whether groups can be found the way the document says: 1, or 0.", "", |status| {
            f64::from(u8::from(status.problem.is_none()))
        }),
        (
            "portcullis_directory_oldest_answer_seconds",
            "Age of the oldest answer that was used since the last scrape.",
            "seconds",
            |status| status.oldest_in_use.as_secs_f64(),
        ),
        ("portcullis_directory_throttled", "People whose attempts are answered here.", "", |status| {
            status.throttled as f64
        }),
    ];
    for (name, help, unit, value) in gauges {
        page.family(name, help, unit, Kind::Gauge);
        for (provider, status) in directories {
            page.gauge(&[("provider", provider)], value(status));
        }
    }
    page.family("portcullis_directory_lookups", "Lookups of people, by what became of them.", "", Kind::Counter);
    for (provider, status) in directories {
        for (outcome, count) in status.lookups {
            page.counter(&[("provider", provider), ("outcome", outcome)], count, 1);
        }
    }
}
