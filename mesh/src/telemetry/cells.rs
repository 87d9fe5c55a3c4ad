//! Where numbers live: one shard of cells per writer, so that a worker's increment is a load and a store of its own
//! memory, without a lock, a locked instruction, or a cache line that another core writes.

use std::{
    cell::Cell,
    marker::PhantomData,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Cells are allocated by so many when the first of them is written.
const CHUNK_CELLS: usize = 512;
/// Chunks of a shard at most: a million cells, 8 MiB, if every one is used.
const CHUNKS_MAX: usize = 2048;
/// The index of no cell: what is written there is lost.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The cells of one writer.
pub(super) struct Shard {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self { chunks: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect() }
    }

    fn cell(&self, index: u32) -> Option<&AtomicU64> {
        let index = index as usize;
        let chunk = self.chunks.get(index / CHUNK_CELLS)?;
        chunk.get_or_init(|| (0..CHUNK_CELLS).map(|_| AtomicU64::new(0)).collect()).get(index % CHUNK_CELLS)
    }

    /// What the cell holds; 0 if its chunk was never written.
    fn read(&self, index: u32) -> u64 {
        self.written(index).map_or(0, |cell| cell.load(Relaxed))
    }

    fn clear(&self, index: u32) {
        if let Some(cell) = self.written(index) {
            cell.store(0, Relaxed);
        }
    }

    /// The cell, if its chunk was ever written.
    fn written(&self, index: u32) -> Option<&AtomicU64> {
        let index = index as usize;
        self.chunks.get(index / CHUNK_CELLS)?.get()?.get(index % CHUNK_CELLS)
    }
}

/// All shards, and which cells are taken.
pub(super) struct Cells {
    workers: Vec<Arc<Shard>>,
    control: Arc<Shard>,
    next: AtomicU32,
    /// What was given back: the first cell and the width.
    returned: Mutex<Vec<(u32, u32)>>,
}

impl Cells {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| Arc::new(Shard::new())).collect(),
            control: Arc::new(Shard::new()),
            next: AtomicU32::new(0),
            returned: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn worker(&self, index: usize) -> Option<&Arc<Shard>> {
        self.workers.get(index)
    }

    pub(super) fn control(&self) -> Arc<Shard> {
        Arc::clone(&self.control)
    }

    /// The first of `width` new cells in a row; `None` when all are taken.
    pub(super) fn take(&self, width: u32) -> Option<u32> {
        let all = (CHUNK_CELLS * CHUNKS_MAX) as u32;
        let end = |next: u32| next.checked_add(width).filter(|end| *end <= all);
        self.next.fetch_update(Relaxed, Relaxed, end).ok().or_else(|| self.take_returned(width))
    }

    /// Cells are used again only when there are no others, so that whoever still writes to a series that is gone does
    /// not count into another one.
    fn take_returned(&self, width: u32) -> Option<u32> {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        let index = returned.iter().position(|(_, wide)| *wide == width)?;
        let (first, _) = returned.swap_remove(index);
        for cell in first..first + width {
            for shard in self.workers.iter().chain([&self.control]) {
                shard.clear(cell);
            }
        }
        Some(first)
    }

    pub(super) fn give_back(&self, first: u32, width: u32) {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push((first, width));
    }

    /// The sum over all shards. Gauges are sums of signed parts, so that it wraps.
    pub(super) fn sum(&self, index: u32) -> u64 {
        self.workers.iter().fold(self.control.read(index), |sum, shard| sum.wrapping_add(shard.read(index)))
    }
}

/// One series of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter(pub(super) u32);

/// One series of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge(pub(super) u32);

/// One series of a histogram: a cell for each bucket, one for what is above, and the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    pub(super) first: u32,
    pub(super) bounds: &'static [u64],
}

impl Histogram {
    /// The cell that counts `value`, and the cell of the sum.
    fn cells(&self, value: u64) -> (u32, u32) {
        let bucket = self.bounds.partition_point(|bound| *bound < value) as u32;
        (self.first.saturating_add(bucket), self.first.saturating_add(self.bounds.len() as u32 + 1))
    }
}

/// Writes one worker's shard. It cannot be shared between threads, so that it is the only writer.
pub struct WorkerMetrics {
    shard: Arc<Shard>,
    only_one_thread: PhantomData<Cell<()>>,
}

impl WorkerMetrics {
    pub(super) fn new(shard: Arc<Shard>) -> Self {
        Self { shard, only_one_thread: PhantomData }
    }

    /// One more.
    pub fn inc(&self, counter: Counter) {
        self.change(counter.0, 1);
    }

    /// `n` more.
    pub fn add(&self, counter: Counter, n: u64) {
        self.change(counter.0, n);
    }

    /// More, or less. A gauge's value is the sum over all workers.
    pub fn shift(&self, gauge: Gauge, by: i64) {
        self.change(gauge.0, by.cast_unsigned());
    }

    /// This worker's part of the gauge.
    pub fn set(&self, gauge: Gauge, value: i64) {
        if let Some(cell) = self.shard.cell(gauge.0) {
            cell.store(value.cast_unsigned(), Relaxed);
        }
    }

    /// Counts `value`, in the family's raw unit.
    pub fn observe(&self, histogram: Histogram, value: u64) {
        let (bucket, sum) = histogram.cells(value);
        self.change(bucket, 1);
        self.change(sum, value);
    }

    /// Counts a duration, in a family of durations.
    pub fn observe_duration(&self, histogram: Histogram, duration: Duration) {
        self.observe(histogram, nanoseconds(duration));
    }

    // INVARIANT: this thread is the cell's only writer, so that a load and a store lose nothing.
    fn change(&self, index: u32, by: u64) {
        if let Some(cell) = self.shard.cell(index) {
            cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
        }
    }
}

/// Writes the shard of control work, from any thread; slower than a worker's.
#[derive(Clone)]
pub struct ControlMetrics {
    shard: Arc<Shard>,
}

impl ControlMetrics {
    pub(super) fn new(shard: Arc<Shard>) -> Self {
        Self { shard }
    }

    /// One more.
    pub fn inc(&self, counter: Counter) {
        self.change(counter.0, 1);
    }

    /// `n` more.
    pub fn add(&self, counter: Counter, n: u64) {
        self.change(counter.0, n);
    }

    /// More, or less.
    pub fn shift(&self, gauge: Gauge, by: i64) {
        self.change(gauge.0, by.cast_unsigned());
    }

    /// Control work's part of the gauge.
    pub fn set(&self, gauge: Gauge, value: i64) {
        if let Some(cell) = self.shard.cell(gauge.0) {
            cell.store(value.cast_unsigned(), Relaxed);
        }
    }

    /// Counts `value`, in the family's raw unit.
    pub fn observe(&self, histogram: Histogram, value: u64) {
        let (bucket, sum) = histogram.cells(value);
        self.change(bucket, 1);
        self.change(sum, value);
    }

    /// Counts a duration, in a family of durations.
    pub fn observe_duration(&self, histogram: Histogram, duration: Duration) {
        self.observe(histogram, nanoseconds(duration));
    }

    fn change(&self, index: u32, by: u64) {
        if let Some(cell) = self.shard.cell(index) {
            cell.fetch_add(by, Relaxed);
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
