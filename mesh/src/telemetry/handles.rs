//! Handles of one listener, one route, one backend. Making them costs nothing: a series comes into being when it is first
//! counted, and goes with the last handles of its route or backend. So ten thousand routes that nobody asks for cost no
//! memory and no line on the page, and documents may come and go for years.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use http::{Method, StatusCode};

use super::{
    cells::{Counter, Gauge, Histogram},
    registry::{CounterFamily, Described, GaugeFamily, HistogramFamily, OTHER, Registry},
};
use crate::endpoints::Outcome;

/// Series of a counter family; what comes later is counted as `other`.
pub(super) const SERIES_MAX: usize = 4096;
/// Series of a histogram family: each is about twenty lines on the page.
const HISTOGRAM_SERIES_MAX: usize = 1024;
/// Bounds of latency buckets in nanoseconds, from half a millisecond to five minutes.
pub const LATENCY_BOUNDS: &[u64] = &[
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    120_000_000_000,
    300_000_000_000,
];

pub(super) struct ListenerFamilies {
    accepted: CounterFamily<1>,
    open: GaugeFamily<1>,
    handshakes: CounterFamily<3>,
    handshake_duration: HistogramFamily<1>,
    in_flight: GaugeFamily<1>,
}

impl ListenerFamilies {
    pub(super) fn new(registry: &Registry) -> Self {
        let count = Described::count;
        Self {
            accepted: registry.counter(
                count("portcullis_connections_accepted", "Connections accepted, by listener."),
                ["listener"],
                SERIES_MAX,
            ),
            open: registry.gauge(
                count("portcullis_connections_open", "Connections open now, by listener."),
                ["listener"],
                SERIES_MAX,
            ),
            handshakes: registry.counter(
                count("portcullis_tls_handshakes", "TLS handshakes, by listener, version and outcome."),
                ["listener", "version", "outcome"],
                SERIES_MAX,
            ),
            handshake_duration: registry.histogram(
                Described::duration("portcullis_tls_handshake_duration_seconds", "Time of completed TLS handshakes."),
                ["listener"],
                LATENCY_BOUNDS,
                HISTOGRAM_SERIES_MAX,
            ),
            in_flight: registry.gauge(
                count("portcullis_requests_in_flight", "Requests whose answer has not ended, by listener."),
                ["listener"],
                SERIES_MAX,
            ),
        }
    }
}

/// Metrics of one listener. They stay on the page as long as the process lives.
pub struct ListenerMetrics {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open.
    pub open: Gauge,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Time of completed handshakes.
    pub handshake_duration: Histogram,
    handshakes: Slots<{ TLS_VERSIONS.len() * HANDSHAKE_OUTCOMES.len() }>,
    name: Arc<str>,
    families: Arc<ListenerFamilies>,
}

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// In full.
    Full,
    /// With a ticket of an earlier one.
    Resumed,
    /// Not.
    Failed,
    /// Not in time.
    TimedOut,
}

const TLS_VERSIONS: [&str; 3] = ["none", "1.2", "1.3"];
const HANDSHAKE_OUTCOMES: [&str; 4] = ["full", "resumed", "failed", "timed_out"];

impl ListenerMetrics {
    pub(super) fn new(name: &str, families: &Arc<ListenerFamilies>) -> Self {
        Self {
            accepted: families.accepted.with([name]),
            open: families.open.with([name]),
            in_flight: families.in_flight.with([name]),
            handshake_duration: families.handshake_duration.with([name]),
            handshakes: Slots::default(),
            name: name.into(),
            families: Arc::clone(families),
        }
    }

    /// Handshakes with this version (`None` if none was agreed on) and outcome.
    pub fn handshakes(&self, version: Option<rustls::ProtocolVersion>, outcome: Handshake) -> Counter {
        let version = match version {
            Some(rustls::ProtocolVersion::TLSv1_2) => 1,
            Some(rustls::ProtocolVersion::TLSv1_3) => 2,
            _ => 0,
        };
        let outcome = outcome as usize;
        let slot = version * HANDSHAKE_OUTCOMES.len() + outcome;
        let hold = || {
            let version = TLS_VERSIONS.get(version).copied().unwrap_or(OTHER);
            let outcome = HANDSHAKE_OUTCOMES.get(outcome).copied().unwrap_or(OTHER);
            self.families.handshakes.with([&self.name, version, outcome]).0
        };
        Counter(self.handshakes.resolve(slot, hold, |it| self.families.handshakes.release(Counter(it))))
    }
}

pub(super) struct RouteFamilies {
    requests: CounterFamily<3>,
    duration: HistogramFamily<1>,
    first_byte: HistogramFamily<1>,
}

impl RouteFamilies {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.counter(
                Described::count("portcullis_requests", "Requests answered, by route, method and class of status."),
                ["route", "method", "code"],
                SERIES_MAX,
            ),
            duration: registry.histogram(
                Described::duration(
                    "portcullis_request_duration_seconds",
                    "From a request's head to the last byte of its answer.",
                ),
                ["route"],
                LATENCY_BOUNDS,
                HISTOGRAM_SERIES_MAX,
            ),
            first_byte: registry.histogram(
                Described::duration(
                    "portcullis_time_to_first_byte_seconds",
                    "From a request's head to the first byte of its answer.",
                ),
                ["route"],
                LATENCY_BOUNDS,
                HISTOGRAM_SERIES_MAX,
            ),
        }
    }
}

/// Metrics of one route. When the last one of a route is dropped, its series leave the page, so that documents may come
/// and go for years: hold it (in an `Arc`) as long as its handles are used, and make the next revision's before this
/// one's is dropped.
pub struct RouteMetrics {
    name: Arc<str>,
    families: Arc<RouteFamilies>,
    requests: Slots<{ METHODS.len() * CODE_CLASSES.len() }>,
    latencies: Slots<2>,
}

/// Any other method is counted as the last: a client can invent as many as it likes.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", OTHER];
/// The last counts exchanges that ended without an answer: the client went first.
const CODE_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

impl RouteMetrics {
    pub(super) fn new(name: Arc<str>, families: &Arc<RouteFamilies>) -> Self {
        Self { name, families: Arc::clone(families), requests: Slots::default(), latencies: Slots::default() }
    }

    /// Requests with this method and an answer of this status' class; `None` where the client left before an answer.
    pub fn requests(&self, method: &Method, status: Option<StatusCode>) -> Counter {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let none = CODE_CLASSES.len() - 1;
        let class = status.map_or(none, |status| usize::from(status.as_u16() / 100).clamp(1, none) - 1);
        let slot = method * CODE_CLASSES.len() + class;
        let hold = || {
            let method = METHODS.get(method).copied().unwrap_or(OTHER);
            let class = CODE_CLASSES.get(class).copied().unwrap_or(OTHER);
            self.families.requests.with([&self.name, method, class]).0
        };
        Counter(self.requests.resolve(slot, hold, |it| self.families.requests.release(Counter(it))))
    }

    /// From a request's head to the last byte of its answer.
    pub fn duration(&self) -> Histogram {
        self.latency(DURATION, &self.families.duration)
    }

    /// From a request's head to the first byte of its answer.
    pub fn time_to_first_byte(&self) -> Histogram {
        self.latency(FIRST_BYTE, &self.families.first_byte)
    }

    fn latency(&self, slot: usize, family: &HistogramFamily<1>) -> Histogram {
        let series = |first| Histogram { first, bounds: LATENCY_BOUNDS };
        series(self.latencies.resolve(slot, || family.with([&self.name]).first, |it| family.release(series(it))))
    }
}

impl Drop for RouteMetrics {
    fn drop(&mut self) {
        for (_, first) in self.requests.resolved() {
            self.families.requests.release(Counter(first));
        }
        for (slot, first) in self.latencies.resolved() {
            let family = if slot == DURATION { &self.families.duration } else { &self.families.first_byte };
            family.release(Histogram { first, bounds: LATENCY_BOUNDS });
        }
    }
}

/// Slots of [`RouteMetrics::latencies`].
const DURATION: usize = 0;
const FIRST_BYTE: usize = 1;

pub(super) struct BackendFamilies {
    attempts: CounterFamily<2>,
    retries: CounterFamily<2>,
    opened: CounterFamily<1>,
    reused: CounterFamily<1>,
}

impl BackendFamilies {
    pub(super) fn new(registry: &Registry) -> Self {
        let count = Described::count;
        Self {
            attempts: registry.counter(
                count("portcullis_upstream_attempts", "Attempts at endpoints, by backend and outcome."),
                ["backend", "outcome"],
                SERIES_MAX,
            ),
            retries: registry.counter(
                count("portcullis_upstream_retries", "Retries, by backend: made, or refused by the retry budget."),
                ["backend", "verdict"],
                SERIES_MAX,
            ),
            opened: registry.counter(
                count("portcullis_upstream_connections_opened", "Connections made to endpoints, by backend."),
                ["backend"],
                SERIES_MAX,
            ),
            reused: registry.counter(
                count(
                    "portcullis_upstream_connections_reused",
                    "Attempts on a connection that was there already, by backend.",
                ),
                ["backend"],
                SERIES_MAX,
            ),
        }
    }
}

/// Metrics of one backend. As with [`RouteMetrics`], its series live as long as it does.
pub struct BackendMetrics {
    name: Arc<str>,
    families: Arc<BackendFamilies>,
    slots: Slots<12>,
}

impl BackendMetrics {
    pub(super) fn new(name: Arc<str>, families: &Arc<BackendFamilies>) -> Self {
        Self { name, families: Arc::clone(families), slots: Slots::default() }
    }

    /// Attempts with this outcome.
    pub fn attempts(&self, outcome: Outcome) -> Counter {
        let (slot, word) = match outcome {
            Outcome::Answered(status) if status.is_server_error() => (0, "answered_5xx"),
            Outcome::Answered(_) => (1, "answered"),
            Outcome::ConnectFailed => (2, "connect_failed"),
            Outcome::ResetBeforeAnswer { reused: false } => (3, "reset_before_answer"),
            Outcome::ResetBeforeAnswer { reused: true } => (4, "stale_connection"),
            Outcome::TimedOut => (5, "timed_out"),
            Outcome::ResetMidAnswer => (6, "reset_mid_answer"),
            Outcome::Cancelled => (7, "cancelled"),
        };
        self.labelled(slot, &self.families.attempts, word)
    }

    /// Retries that were made.
    pub fn retries_made(&self) -> Counter {
        self.labelled(RETRIES_MADE, &self.families.retries, "made")
    }

    /// Retries that the budget refused.
    pub fn retries_refused(&self) -> Counter {
        self.labelled(RETRIES_REFUSED, &self.families.retries, "refused")
    }

    /// Connections made.
    pub fn connections_opened(&self) -> Counter {
        self.plain(OPENED, &self.families.opened)
    }

    /// Attempts on a connection that was there already.
    pub fn connections_reused(&self) -> Counter {
        self.plain(REUSED, &self.families.reused)
    }

    fn plain(&self, slot: usize, family: &CounterFamily<1>) -> Counter {
        Counter(self.slots.resolve(slot, || family.with([&self.name]).0, |it| family.release(Counter(it))))
    }

    fn labelled(&self, slot: usize, family: &CounterFamily<2>, word: &str) -> Counter {
        Counter(self.slots.resolve(slot, || family.with([&self.name, word]).0, |it| family.release(Counter(it))))
    }
}

impl Drop for BackendMetrics {
    fn drop(&mut self) {
        for (slot, first) in self.slots.resolved() {
            let series = Counter(first);
            match slot {
                RETRIES_MADE | RETRIES_REFUSED => self.families.retries.release(series),
                OPENED => self.families.opened.release(series),
                REUSED => self.families.reused.release(series),
                _ => self.families.attempts.release(series),
            }
        }
    }
}

/// Slots of [`BackendMetrics::slots`]; those before are attempts by outcome.
const RETRIES_MADE: usize = 8;
const RETRIES_REFUSED: usize = 9;
const OPENED: usize = 10;
const REUSED: usize = 11;

/// Series that are resolved when they are first used.
struct Slots<const N: usize>(OnceLock<Box<[AtomicU32; N]>>);

impl<const N: usize> Default for Slots<N> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<const N: usize> Slots<N> {
    /// Not yet resolved. Cells end far below.
    const UNRESOLVED: u32 = u32::MAX - 1;

    fn resolve(&self, slot: usize, hold: impl FnOnce() -> u32, release: impl FnOnce(u32)) -> u32 {
        let slots = self.0.get_or_init(|| Box::new([const { AtomicU32::new(Self::UNRESOLVED) }; N]));
        let Some(slot) = slots.get(slot) else { return u32::MAX };
        match slot.load(Relaxed) {
            Self::UNRESOLVED => {
                let first = hold();
                if slot.compare_exchange(Self::UNRESOLVED, first, Relaxed, Relaxed).is_err() {
                    // Another worker was as quick, and holds the same.
                    release(first);
                }
                first
            }
            first => first,
        }
    }

    /// Every slot that was resolved, with its series.
    fn resolved(&self) -> impl Iterator<Item = (usize, u32)> {
        let slots = self.0.get().into_iter().flat_map(|slots| slots.iter()).map(|slot| slot.load(Relaxed)).enumerate();
        slots.filter(|(_, first)| *first != Self::UNRESOLVED)
    }
}
