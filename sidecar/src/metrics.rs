//! What a sidecar counts.

use std::{cell::RefCell, fmt, sync::Arc, time::Instant};

use portcullis_dialects::refusal::Refusal;
use portcullis_mesh::telemetry::{
    Catalogue, Counter, CounterFamily, Described, Gauge, GaugeFamily, Histogram, HistogramFamily, LATENCY_BOUNDS,
    Registry, WorkerMetrics,
};

use crate::record::Ending;

/// Codes of refusals with a series of their own. There are fewer.
const REFUSAL_CODES_MAX: usize = 100;
/// Reasons for which a peer is not let in. There are fewer.
const HANDSHAKE_REASONS_MAX: usize = 64;

/// Every metric of the process; each worker takes its part.
#[derive(Clone)]
pub struct MetricsSource {
    /// All families.
    pub registry: Arc<Registry>,
    /// Those that every data plane has.
    pub catalogue: Arc<Catalogue>,
    endings: CounterFamily<1>,
    refusals: CounterFamily<1>,
    handshakes: CounterFamily<1>,
    in_flight: GaugeFamily<0>,
    first_byte: HistogramFamily<0>,
    duration: HistogramFamily<0>,
}

impl fmt::Debug for MetricsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsSource")
    }
}

impl MetricsSource {
    /// Registers every family for so many workers.
    pub fn new(workers: usize) -> Self {
        let registry = Arc::new(Registry::new(workers));
        let catalogue = Arc::new(Catalogue::new(&registry, env!("CARGO_PKG_VERSION")));
        let count = Described::count;
        Self {
            endings: registry.counter(
                count("portcullis_sidecar_exchanges", "Exchanges with peers by how they ended."),
                ["ending"],
                8,
            ),
            refusals: registry.counter(
                count("portcullis_sidecar_refusals", "Requests of peers that were refused, by code."),
                ["code"],
                REFUSAL_CODES_MAX,
            ),
            handshakes: registry.counter(
                count(
                    "portcullis_sidecar_handshakes",
                    "Handshakes of peers by what they came to: `accepted`, or why the peer was not let in.",
                ),
                ["outcome"],
                HANDSHAKE_REASONS_MAX,
            ),
            in_flight: registry.gauge(
                count("portcullis_sidecar_in_flight", "Exchanges whose answer has not ended."),
                [],
                1,
            ),
            first_byte: registry.histogram(
                Described::duration(
                    "portcullis_sidecar_first_byte_seconds",
                    "From a request's head to the head of the server's answer.",
                ),
                [],
                LATENCY_BOUNDS,
                1,
            ),
            duration: registry.histogram(
                Described::duration(
                    "portcullis_sidecar_duration_seconds",
                    "From a request's head to the last byte of its answer.",
                ),
                [],
                LATENCY_BOUNDS,
                1,
            ),
            registry,
            catalogue,
        }
    }

    /// The part of one worker. `None` if it has been taken.
    pub fn for_worker(&self, index: usize) -> Option<Metrics> {
        Some(Metrics {
            shard: self.registry.worker(index)?,
            endings: Ending::ALL.map(|ending| self.endings.with([ending.as_str()])),
            accepted: self.handshakes.with(["accepted"]),
            in_flight: self.in_flight.with([]),
            first_byte: self.first_byte.with([]),
            duration: self.duration.with([]),
            source: self.clone(),
            by_word: RefCell::default(),
        })
    }
}

/// One worker's part.
pub struct Metrics {
    shard: WorkerMetrics,
    source: MetricsSource,
    endings: [Counter; Ending::ALL.len()],
    accepted: Counter,
    in_flight: Gauge,
    first_byte: Histogram,
    duration: Histogram,
    /// Series that were looked up once: refusals and refused handshakes.
    by_word: RefCell<Vec<((bool, &'static str), Counter)>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Where event loops are watched from.
    pub fn shard(&self) -> &WorkerMetrics {
        &self.shard
    }

    /// A peer has proved who it is.
    pub fn accepted(&self) {
        self.shard.inc(self.accepted);
    }

    /// A peer was not let in.
    pub fn turned_away(&self, reason: &'static str) {
        self.shard.inc(self.of_word(true, reason));
    }

    /// A request was refused.
    pub fn refused(&self, refusal: &Refusal) {
        self.shard.inc(self.of_word(false, refusal.code));
    }

    /// An exchange has begun.
    pub fn begun(&self) {
        self.shard.shift(self.in_flight, 1);
    }

    /// An exchange has ended.
    pub fn ended(&self, ending: Ending, started: Instant, answered: Option<Instant>) {
        self.shard.shift(self.in_flight, -1);
        self.endings.get(ending as usize).into_iter().for_each(|counter| self.shard.inc(*counter));
        if let Some(at) = answered {
            self.shard.observe_duration(self.first_byte, at.saturating_duration_since(started));
        }
        self.shard.observe_duration(self.duration, started.elapsed());
    }

    fn of_word(&self, is_handshake: bool, word: &'static str) -> Counter {
        let mut by_word = self.by_word.borrow_mut();
        if let Some((_, known)) = by_word.iter().find(|(key, _)| *key == (is_handshake, word)) {
            return *known;
        }
        let family = if is_handshake { &self.source.handshakes } else { &self.source.refusals };
        let counter = family.with([word]);
        by_word.push(((is_handshake, word), counter));
        counter
    }
}
