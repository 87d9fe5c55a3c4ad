//! The families of the data plane: every name in one place, and handles shaped for where they are counted.
//!
//! Handles are made when a listener, a rule or a backend is set up, which costs nothing; a series comes into being when
//! it is first counted. So ten thousand routes that nobody asks for cost no memory and no line on the page.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::SystemTime,
};

use http::{Method, StatusCode};

use super::{
    cells::{Counter, Gauge, Histogram},
    page::{Kind, Page},
    process,
    registry::{CounterFamily, Described, GaugeFamily, HistogramFamily, OTHER, Registry},
};
use crate::endpoints::{BackendStatus, EndpointState, Outcome};

/// Series of a counter family; what comes later is counted as `other`.
const SERIES_MAX: usize = 4096;
/// Series of a histogram family: each is about twenty lines on the page.
const HISTOGRAM_SERIES_MAX: usize = 1024;
/// Endpoints with lines of their own; the rest are added up as `other`.
const ENDPOINT_LINES_MAX: usize = 1000;

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

/// The families of the data plane, registered.
pub struct Catalogue {
    listener: Arc<ListenerFamilies>,
    route: Arc<RouteFamilies>,
    backend: Arc<BackendFamilies>,
    loop_lag: GaugeFamily<1>,
    reloads: CounterFamily<1>,
    revision: Arc<Mutex<RevisionInForce>>,
}

struct ListenerFamilies {
    accepted: CounterFamily<1>,
    refused: CounterFamily<2>,
    open: GaugeFamily<1>,
    handshakes: CounterFamily<3>,
    handshake_duration: HistogramFamily<1>,
    in_flight: GaugeFamily<1>,
    received: CounterFamily<1>,
    sent: CounterFamily<1>,
}

struct RouteFamilies {
    requests: CounterFamily<3>,
    duration: HistogramFamily<1>,
    first_byte: HistogramFamily<1>,
}

struct BackendFamilies {
    attempts: CounterFamily<2>,
    retries: CounterFamily<2>,
    opened: CounterFamily<1>,
    reused: CounterFamily<1>,
    sent: CounterFamily<1>,
    received: CounterFamily<1>,
}

#[derive(Default)]
struct RevisionInForce {
    revision: String,
    stale: bool,
    applied: f64,
}

impl Catalogue {
    /// Registers every family, and the section about the process. `version` is that of the binary.
    pub fn new(registry: &Registry, version: &'static str) -> Self {
        process::register(registry, version);
        let revision = Arc::new(Mutex::new(RevisionInForce::default()));
        let shown = Arc::clone(&revision);
        registry.collect(move |page| write_revision(page, &shown.lock().unwrap_or_else(PoisonError::into_inner)));
        Self {
            listener: Arc::new(ListenerFamilies::new(registry)),
            route: Arc::new(RouteFamilies::new(registry)),
            backend: Arc::new(BackendFamilies::new(registry)),
            loop_lag: registry.gauge(
                Described::duration(
                    "portcullis_worker_loop_lag_seconds",
                    "How late a worker's event loop noticed its last timer.",
                ),
                ["worker"],
                SERIES_MAX,
            ),
            reloads: registry.counter(
                Described::count("portcullis_config_reloads", "Reloads of the documents, by outcome."),
                ["outcome"],
                8,
            ),
            revision,
        }
    }

    /// The metrics of a listener. `name` is its id: namespace, Gateway, listener.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let families = &self.listener;
        ListenerMetrics {
            accepted: families.accepted.with([name]),
            open: families.open.with([name]),
            in_flight: families.in_flight.with([name]),
            received: families.received.with([name]),
            sent: families.sent.with([name]),
            handshake_duration: families.handshake_duration.with([name]),
            refused: Slots::default(),
            handshakes: Slots::default(),
            name: name.into(),
            families: Arc::clone(families),
        }
    }

    /// The metrics of a route, or of a rule of it.
    pub fn route(&self, name: impl Into<Arc<str>>) -> RouteMetrics {
        RouteMetrics {
            name: name.into(),
            families: Arc::clone(&self.route),
            requests: Slots::default(),
            latencies: Slots::default(),
        }
    }

    /// The metrics of a backend.
    pub fn backend(&self, name: impl Into<Arc<str>>) -> BackendMetrics {
        BackendMetrics { name: name.into(), families: Arc::clone(&self.backend), slots: Slots::default() }
    }

    /// The lag of one worker's event loop, for [`watch_lag`](super::watch_lag).
    pub fn loop_lag(&self, worker: usize) -> Gauge {
        self.loop_lag.with([&worker.to_string()])
    }

    /// Reloads with this outcome.
    pub fn reloads(&self, outcome: ReloadOutcome) -> Counter {
        self.reloads.with([match outcome {
            ReloadOutcome::Applied => "applied",
            ReloadOutcome::Unchanged => "unchanged",
            ReloadOutcome::Refused => "refused",
        }])
    }

    /// From now on this revision is in force.
    pub fn revision_applied(&self, revision: &str, now: SystemTime) {
        let applied = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let mut state = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        *state = RevisionInForce { revision: revision.to_owned(), stale: false, applied };
    }

    /// The documents differ from the revision in force, because they are refused.
    pub fn revision_stale(&self) {
        self.revision.lock().unwrap_or_else(PoisonError::into_inner).stale = true;
    }

    /// Adds the state of endpoints to every page; `backends` is asked each time.
    pub fn show_endpoints(registry: &Registry, backends: impl Fn() -> Vec<BackendStatus> + Send + Sync + 'static) {
        registry.collect(move |page| write_endpoints(page, &backends()));
    }
}

/// What a reload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// A new revision is in force.
    Applied,
    /// The documents mean what they meant.
    Unchanged,
    /// The documents are invalid; the last good revision stays in force.
    Refused,
}

impl ListenerFamilies {
    fn new(registry: &Registry) -> Self {
        let count = Described::count;
        Self {
            accepted: registry.counter(
                count("portcullis_connections_accepted", "Connections accepted, by listener."),
                ["listener"],
                SERIES_MAX,
            ),
            refused: registry.counter(
                count("portcullis_connections_refused", "Connections closed unserved, by listener and reason."),
                ["listener", "reason"],
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
            received: registry.counter(
                Described::bytes("portcullis_received_bytes", "Bytes received from clients, TLS included."),
                ["listener"],
                SERIES_MAX,
            ),
            sent: registry.counter(
                Described::bytes("portcullis_sent_bytes", "Bytes sent to clients, TLS included."),
                ["listener"],
                SERIES_MAX,
            ),
        }
    }
}

/// Metrics of one listener.
pub struct ListenerMetrics {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open.
    pub open: Gauge,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Bytes from clients.
    pub received: Counter,
    /// Bytes to clients.
    pub sent: Counter,
    /// Time of completed handshakes.
    pub handshake_duration: Histogram,
    refused: Slots<3>,
    handshakes: Slots<{ TLS_VERSIONS.len() * HANDSHAKE_OUTCOMES.len() }>,
    name: Arc<str>,
    families: Arc<ListenerFamilies>,
}

/// Why a connection was closed unserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// There are as many as there may be.
    TooMany,
    /// The process is about to end.
    Draining,
    /// What came is neither TLS nor HTTP, whichever was expected.
    Malformed,
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
    /// Connections closed unserved for this reason.
    pub fn refused(&self, reason: ConnectionRefusal) -> Counter {
        let (slot, word) = match reason {
            ConnectionRefusal::TooMany => (0, "too_many"),
            ConnectionRefusal::Draining => (1, "draining"),
            ConnectionRefusal::Malformed => (2, "malformed"),
        };
        Counter(self.refused.resolve(slot, || self.families.refused.with([&self.name, word]).0))
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
        Counter(self.handshakes.resolve(slot, || {
            let version = TLS_VERSIONS.get(version).copied().unwrap_or(OTHER);
            let outcome = HANDSHAKE_OUTCOMES.get(outcome).copied().unwrap_or(OTHER);
            self.families.handshakes.with([&self.name, version, outcome]).0
        }))
    }
}

impl RouteFamilies {
    fn new(registry: &Registry) -> Self {
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

/// Metrics of one route.
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
    /// Requests with this method and an answer of this status' class; `None` where the client left before an answer.
    pub fn requests(&self, method: &Method, status: Option<StatusCode>) -> Counter {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let none = CODE_CLASSES.len() - 1;
        let class = status.map_or(none, |status| usize::from(status.as_u16() / 100).clamp(1, none) - 1);
        let slot = method * CODE_CLASSES.len() + class;
        Counter(self.requests.resolve(slot, || {
            let method = METHODS.get(method).copied().unwrap_or(OTHER);
            let class = CODE_CLASSES.get(class).copied().unwrap_or(OTHER);
            self.families.requests.with([&self.name, method, class]).0
        }))
    }

    /// From a request's head to the last byte of its answer.
    pub fn duration(&self) -> Histogram {
        let first = self.latencies.resolve(0, || self.families.duration.with([&self.name]).first);
        Histogram { first, bounds: LATENCY_BOUNDS }
    }

    /// From a request's head to the first byte of its answer.
    pub fn time_to_first_byte(&self) -> Histogram {
        let first = self.latencies.resolve(1, || self.families.first_byte.with([&self.name]).first);
        Histogram { first, bounds: LATENCY_BOUNDS }
    }
}

impl BackendFamilies {
    fn new(registry: &Registry) -> Self {
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
                count("portcullis_upstream_connections_reused", "Attempts that used an idle connection, by backend."),
                ["backend"],
                SERIES_MAX,
            ),
            sent: registry.counter(
                Described::bytes("portcullis_upstream_sent_bytes", "Bytes sent to endpoints, by backend."),
                ["backend"],
                SERIES_MAX,
            ),
            received: registry.counter(
                Described::bytes("portcullis_upstream_received_bytes", "Bytes received from endpoints, by backend."),
                ["backend"],
                SERIES_MAX,
            ),
        }
    }
}

/// Metrics of one backend.
pub struct BackendMetrics {
    name: Arc<str>,
    families: Arc<BackendFamilies>,
    slots: Slots<14>,
}

impl BackendMetrics {
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
        Counter(self.slots.resolve(slot, || self.families.attempts.with([&self.name, word]).0))
    }

    /// Retries that were made.
    pub fn retries_made(&self) -> Counter {
        Counter(self.slots.resolve(8, || self.families.retries.with([&self.name, "made"]).0))
    }

    /// Retries that the budget refused.
    pub fn retries_refused(&self) -> Counter {
        Counter(self.slots.resolve(9, || self.families.retries.with([&self.name, "refused"]).0))
    }

    /// Connections made.
    pub fn connections_opened(&self) -> Counter {
        Counter(self.slots.resolve(10, || self.families.opened.with([&self.name]).0))
    }

    /// Attempts that used an idle connection.
    pub fn connections_reused(&self) -> Counter {
        Counter(self.slots.resolve(11, || self.families.reused.with([&self.name]).0))
    }

    /// Bytes sent to its endpoints.
    pub fn sent(&self) -> Counter {
        Counter(self.slots.resolve(12, || self.families.sent.with([&self.name]).0))
    }

    /// Bytes received from its endpoints.
    pub fn received(&self) -> Counter {
        Counter(self.slots.resolve(13, || self.families.received.with([&self.name]).0))
    }
}

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

    fn resolve(&self, slot: usize, series: impl FnOnce() -> u32) -> u32 {
        let slots = self.0.get_or_init(|| Box::new([const { AtomicU32::new(Self::UNRESOLVED) }; N]));
        let Some(slot) = slots.get(slot) else { return series() };
        match slot.load(Relaxed) {
            Self::UNRESOLVED => {
                let first = series();
                slot.store(first, Relaxed);
                first
            }
            first => first,
        }
    }
}

fn write_revision(page: &mut Page, state: &RevisionInForce) {
    if state.revision.is_empty() {
        return;
    }
    page.family("portcullis_config_info", "The revision in force; always 1.", "", Kind::Gauge);
    page.gauge(&[("revision", &state.revision)], 1.0);
    page.family(
        "portcullis_config_stale",
        "1 if the documents were refused and an earlier revision is in force.",
        "",
        Kind::Gauge,
    );
    page.gauge(&[], f64::from(u8::from(state.stale)));
    page.family(
        "portcullis_config_applied_timestamp_seconds",
        "When the revision in force was applied, in Unix time.",
        "seconds",
        Kind::Gauge,
    );
    page.gauge(&[], state.applied);
}

fn write_endpoints(page: &mut Page, backends: &[BackendStatus]) {
    if backends.is_empty() {
        return;
    }
    page.family("portcullis_endpoints", "Endpoints, by backend and state.", "", Kind::Gauge);
    for backend in backends {
        for word in EndpointState::WORDS {
            let count = backend.endpoints.iter().filter(|endpoint| endpoint.state.word() == word).count();
            if count > 0 || word == "ready" {
                page.gauge(&[("backend", &backend.name), ("state", word)], count as f64);
            }
        }
    }
    page.family(
        "portcullis_backend_panic",
        "1 while all endpoints are used because too few are healthy.",
        "",
        Kind::Gauge,
    );
    for backend in backends {
        page.gauge(&[("backend", &backend.name)], f64::from(u8::from(backend.panic)));
    }
    page.family(
        "portcullis_endpoint_requests_in_flight",
        "Exchanges in flight, by backend and endpoint.",
        "",
        Kind::Gauge,
    );
    let mut lines = 0;
    let mut others = 0.0;
    for backend in backends {
        for endpoint in &backend.endpoints {
            lines += 1;
            if lines <= ENDPOINT_LINES_MAX {
                let address = endpoint.address.to_string();
                page.gauge(&[("backend", &backend.name), ("endpoint", &address)], f64::from(endpoint.in_flight));
            } else {
                others += f64::from(endpoint.in_flight);
            }
        }
    }
    if lines > ENDPOINT_LINES_MAX {
        page.gauge(&[("backend", OTHER), ("endpoint", OTHER)], others);
    }
}
