//! Families of metrics, and the series in them: a bounded number, whatever strangers send.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{
    cells::{Cells, ControlMetrics, Counter, Gauge, Histogram, NOWHERE, WorkerMetrics},
    page::{Format, Kind, Page},
};

/// The label value of the series that takes what no other series may.
pub const OTHER: &str = "other";
/// A longer label value is taken for [`OTHER`].
pub const LABEL_VALUE_BYTES_MAX: usize = 256;

/// Every metric of a process. Made once, with the number of workers; shared behind an `Arc`.
pub struct Registry {
    cells: Arc<Cells>,
    workers: Vec<AtomicBool>,
    families: Mutex<Vec<Arc<Family>>>,
    collectors: Mutex<Vec<Collector>>,
}

/// Writes families whose values are known elsewhere, whenever a page is made.
type Collector = Box<dyn Fn(&mut Page) + Send + Sync>;

/// What a family is; everything about it but its labels and bounds on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// In full, but without `_total` (which every counter gets), with the unit as its last word.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// `seconds`, `bytes`; empty where things are counted.
    pub unit: &'static str,
    /// Cells hold so many raw units for each unit: 1,000,000,000 where they hold nanoseconds and the page seconds.
    pub raw_units: u64,
}

impl Described {
    /// A family that counts things.
    pub const fn count(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: "", raw_units: 1 }
    }

    /// A family of bytes.
    pub const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: "bytes", raw_units: 1 }
    }

    /// A family of durations: raw values are nanoseconds, the page shows seconds.
    pub const fn duration(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: "seconds", raw_units: 1_000_000_000 }
    }
}

/// A family and its series.
pub(super) struct Family {
    described: Described,
    kind: Kind,
    labels: Box<[&'static str]>,
    /// Of a histogram.
    bounds: &'static [u64],
    series_max: usize,
    series: Mutex<Series>,
    cells: Arc<Cells>,
}

#[derive(Default)]
struct Series {
    known: HashMap<Box<[Box<str>]>, Entry>,
    /// In order of appearance.
    listed: Vec<(Box<[Box<str>]>, u32)>,
    /// The first cell of the series of all others, once there is need for it.
    other: Option<u32>,
}

struct Entry {
    first: u32,
    /// Those who would miss it.
    holders: u32,
}

impl Registry {
    /// A registry for so many workers, and for control work.
    pub fn new(workers: usize) -> Self {
        Self {
            cells: Arc::new(Cells::new(workers)),
            workers: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            families: Mutex::new(Vec::new()),
            collectors: Mutex::new(Vec::new()),
        }
    }

    /// The metrics of one worker, counted from 0; `None` if they were handed out already, or there is no such worker.
    pub fn worker(&self, index: usize) -> Option<WorkerMetrics> {
        let first = !self.workers.get(index)?.swap(true, Relaxed);
        let shard = self.cells.worker(index)?;
        first.then(|| WorkerMetrics::new(Arc::clone(shard)))
    }

    /// The metrics of control work.
    pub fn control(&self) -> ControlMetrics {
        ControlMetrics::new(self.cells.control())
    }

    /// Registers a counter with these labels and so many series at most (and one for all others).
    pub fn counter<const L: usize>(
        &self,
        described: Described,
        labels: [&'static str; L],
        series_max: usize,
    ) -> CounterFamily<L> {
        CounterFamily(self.family(described, Kind::Counter, &labels, &[], series_max))
    }

    /// Registers a gauge.
    pub fn gauge<const L: usize>(
        &self,
        described: Described,
        labels: [&'static str; L],
        series_max: usize,
    ) -> GaugeFamily<L> {
        GaugeFamily(self.family(described, Kind::Gauge, &labels, &[], series_max))
    }

    /// Registers a histogram. `bounds` are in raw units, increasing; each is the greatest value of its bucket.
    pub fn histogram<const L: usize>(
        &self,
        described: Described,
        labels: [&'static str; L],
        bounds: &'static [u64],
        series_max: usize,
    ) -> HistogramFamily<L> {
        HistogramFamily(self.family(described, Kind::Histogram, &labels, bounds, series_max))
    }

    /// Registers a function that writes families of its own whenever a page is made. It must bound their series.
    pub fn collect(&self, collector: impl Fn(&mut Page) + Send + Sync + 'static) {
        lock(&self.collectors).push(Box::new(collector));
    }

    /// The page a scraper reads.
    pub fn page(&self, format: Format) -> String {
        let mut page = Page::new(format);
        for family in lock(&self.families).iter() {
            family.write(&mut page);
        }
        for collector in lock(&self.collectors).iter() {
            collector(&mut page);
        }
        page.finish()
    }

    /// A family of that name is registered once; asked for again, it is the same.
    fn family(
        &self,
        described: Described,
        kind: Kind,
        labels: &[&'static str],
        bounds: &'static [u64],
        series_max: usize,
    ) -> Arc<Family> {
        let mut families = lock(&self.families);
        let same = |family: &&Arc<Family>| {
            family.described == described && family.kind == kind && *family.labels == *labels && family.bounds == bounds
        };
        if let Some(family) = families.iter().find(same) {
            return Arc::clone(family);
        }
        let taken = families.iter().any(|family| family.described.name == described.name);
        let family = Arc::new(Family {
            described,
            kind,
            labels: labels.into(),
            bounds,
            series_max,
            series: Mutex::default(),
            cells: Arc::clone(&self.cells),
        });
        if taken {
            // A page with two families of one name would be refused as a whole; rather miss the second.
            tracing::error!(name = described.name, "metric is registered twice with different meanings");
        } else {
            families.push(Arc::clone(&family));
        }
        family
    }
}

impl Family {
    /// The first cell of the series with these label values, or of all others. It is held until it is
    /// [released](Self::release).
    fn hold(&self, values: &[&str]) -> u32 {
        let mut series = lock(&self.series);
        let key: Box<[Box<str>]> = values.iter().map(|value| Box::from(*value)).collect();
        if let Some(entry) = series.known.get_mut(&key) {
            entry.holders += 1;
            return entry.first;
        }
        let fits = values.iter().all(|value| value.len() <= LABEL_VALUE_BYTES_MAX);
        if fits && series.known.len() < self.series_max {
            let Some(first) = self.cells.take(self.width()) else { return NOWHERE };
            series.known.insert(key.clone(), Entry { first, holders: 1 });
            series.listed.push((key, first));
            return first;
        }
        if series.other.is_none() {
            series.other = self.cells.take(self.width());
        }
        series.other.unwrap_or(NOWHERE)
    }

    /// The holder is done. A series without holders leaves the page and makes room for another.
    fn release(&self, first: u32) {
        let mut series = lock(&self.series);
        if series.other == Some(first) {
            return;
        }
        let Some(index) = series.listed.iter().position(|(_, listed)| *listed == first) else { return };
        let Some((key, _)) = series.listed.get(index) else { return };
        let key = key.clone();
        let Some(entry) = series.known.get_mut(&key) else { return };
        entry.holders -= 1;
        if entry.holders == 0 {
            series.known.remove(&key);
            series.listed.remove(index);
            self.cells.give_back(first, self.width());
        }
    }

    /// Cells of one series.
    fn width(&self) -> u32 {
        match self.kind {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram => self.bounds.len() as u32 + 2,
        }
    }

    fn write(&self, page: &mut Page) {
        let (listed, other) = {
            let series = lock(&self.series);
            (series.listed.clone(), series.other)
        };
        if listed.is_empty() && other.is_none() {
            return;
        }
        let Described { name, help, unit, raw_units } = self.described;
        page.family(name, help, unit, self.kind);
        let others: Box<[Box<str>]> = self.labels.iter().map(|_| Box::from(OTHER)).collect();
        for (values, first) in listed.into_iter().chain(other.map(|first| (others, first))) {
            let labels: Vec<(&str, &str)> = self.labels.iter().copied().zip(values.iter().map(AsRef::as_ref)).collect();
            match self.kind {
                Kind::Counter => page.counter(&labels, self.cells.sum(first), raw_units),
                Kind::Gauge => page.gauge(&labels, self.cells.sum(first).cast_signed() as f64 / raw_units as f64),
                Kind::Histogram => {
                    // The sum is the last of the series' cells.
                    let sum_cell = first + self.width() - 1;
                    let counts: Vec<u64> = (first..sum_cell).map(|cell| self.cells.sum(cell)).collect();
                    page.histogram(&labels, self.bounds, &counts, self.cells.sum(sum_cell), raw_units);
                }
            }
        }
    }
}

/// A family of counters with `L` labels.
#[derive(Clone)]
pub struct CounterFamily<const L: usize>(Arc<Family>);

impl<const L: usize> CounterFamily<L> {
    /// The series with these label values. It takes a lock: do it once and keep the result.
    pub fn with(&self, values: [&str; L]) -> Counter {
        Counter(self.0.hold(&values))
    }

    /// Undoes one [`with`](Self::with), for series that come and go with the documents: when nobody is left who asked
    /// for the series, it leaves the page and makes room for another.
    pub fn release(&self, series: Counter) {
        self.0.release(series.0);
    }
}

/// A family of gauges with `L` labels.
#[derive(Clone)]
pub struct GaugeFamily<const L: usize>(Arc<Family>);

impl<const L: usize> GaugeFamily<L> {
    /// The series with these label values. It takes a lock: do it once and keep the result.
    pub fn with(&self, values: [&str; L]) -> Gauge {
        Gauge(self.0.hold(&values))
    }

    /// Undoes one [`with`](Self::with), for series that come and go with the documents: when nobody is left who asked
    /// for the series, it leaves the page and makes room for another.
    pub fn release(&self, series: Gauge) {
        self.0.release(series.0);
    }
}

/// A family of histograms with `L` labels.
#[derive(Clone)]
pub struct HistogramFamily<const L: usize>(Arc<Family>);

impl<const L: usize> HistogramFamily<L> {
    /// The series with these label values. It takes a lock: do it once and keep the result.
    pub fn with(&self, values: [&str; L]) -> Histogram {
        Histogram { first: self.0.hold(&values), bounds: self.0.bounds }
    }

    /// Undoes one [`with`](Self::with), for series that come and go with the documents: when nobody is left who asked
    /// for the series, it leaves the page and makes room for another.
    pub fn release(&self, series: Histogram) {
        self.0.release(series.first);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
