//! The families of the data plane, registered once; handles for a listener, a route or a backend come from here.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    cells::{Counter, Gauge},
    handles::{
        BackendFamilies, BackendMetrics, ListenerFamilies, ListenerMetrics, RouteFamilies, RouteMetrics, SERIES_MAX,
    },
    page::{Kind, Page},
    process,
    registry::{CounterFamily, Described, GaugeFamily, OTHER, Registry},
};
use crate::{
    endpoints::{BackendStatus, EndpointState},
    listen::{ConnectionLimits, OverLimit},
};

/// Endpoints with lines of their own; the rest are added up as `other`.
const ENDPOINT_LINES_MAX: usize = 1000;

/// Certificates with lines of their own.
const CERTIFICATE_LINES_MAX: usize = 1000;

/// The families of the data plane, registered.
pub struct Catalogue {
    listener: Arc<ListenerFamilies>,
    route: Arc<RouteFamilies>,
    backend: Arc<BackendFamilies>,
    loop_lag: GaugeFamily<1>,
    reloads: CounterFamily<1>,
    revision: Arc<Mutex<RevisionInForce>>,
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
        ListenerMetrics::new(name, &self.listener)
    }

    /// The metrics of a route, or of a rule of it.
    pub fn route(&self, name: impl Into<Arc<str>>) -> RouteMetrics {
        RouteMetrics::new(name.into(), &self.route)
    }

    /// The metrics of a backend.
    pub fn backend(&self, name: impl Into<Arc<str>>) -> BackendMetrics {
        BackendMetrics::new(name.into(), &self.backend)
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

    /// From now on this revision is in force, and it is what the documents say. If it was in force before, it counts as
    /// applied then.
    pub fn revision_applied(&self, revision: &str, now: SystemTime) {
        let applied = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let mut state = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        state.stale = false;
        if state.revision != revision {
            (state.revision, state.applied) = (revision.to_owned(), applied);
        }
    }

    /// The documents differ from the revision in force, because they are refused.
    pub fn revision_stale(&self) {
        self.revision.lock().unwrap_or_else(PoisonError::into_inner).stale = true;
    }

    /// Adds what happened at the door to every page.
    pub fn show_connections(registry: &Registry, limits: Arc<ConnectionLimits>) {
        registry.collect(move |page| write_connections(page, &limits));
    }

    /// Adds when certificates cease to be valid to every page; `certificates` is asked each time.
    pub fn show_certificates(
        registry: &Registry,
        certificates: impl Fn() -> Vec<(String, SystemTime)> + Send + Sync + 'static,
    ) {
        registry.collect(move |page| write_certificates(page, &certificates()));
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

fn write_connections(page: &mut Page, limits: &ConnectionLimits) {
    let counts = limits.counts();
    let refused = "Connections closed unserved, by the bound that they met.";
    page.family("portcullis_connections_refused", refused, "", Kind::Counter);
    page.counter(&[("bound", "connections")], counts.over_limit_total(OverLimit::Connections), 1);
    page.counter(&[("bound", "handshakes_of_source")], counts.over_limit_total(OverLimit::HandshakesOfSource), 1);
    let failures = "Times that no connection could be accepted: it was gone, or files or memory had run out.";
    page.family("portcullis_accept_failures", failures, "", Kind::Counter);
    page.counter(&[("reason", "connection_gone")], counts.aborted_total(), 1);
    page.counter(&[("reason", "out_of_resources")], counts.out_of_resources_total(), 1);
}

fn write_certificates(page: &mut Page, certificates: &[(String, SystemTime)]) {
    if certificates.is_empty() {
        return;
    }
    let help = "When a certificate that listeners show ceases to be valid, in Unix time.";
    page.family("portcullis_certificate_expiry_timestamp_seconds", help, "seconds", Kind::Gauge);
    for (document, expiry) in certificates.iter().take(CERTIFICATE_LINES_MAX) {
        let expiry = expiry.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        page.gauge(&[("document", document)], expiry);
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
