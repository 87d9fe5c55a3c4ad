//! What the edge counts, in the words of the edge: the data plane's families and those that mesh has no word for.

mod guardrails;

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc, time::Duration};

use foldhash::{HashMap, HashSet};
use http::{Method, StatusCode};
use portcullis_mesh::{
    connections::{AttemptError, Chosen},
    endpoints::Outcome,
    http::h1_client::SendError,
    telemetry::{
        BackendMetrics, Catalogue, Counter, CounterFamily, Described, Gauge, Handshake, Kind, ListenerMetrics,
        Registry, RouteMetrics, WorkerMetrics,
    },
    tls::{Accepted, TlsRefusal},
};
use portcullis_policy::snapshot::{DocumentId, Rule};

pub use self::guardrails::GuardedRoute;

use crate::{
    forward::Attempted,
    live::{Live, PortKey},
    record::Ending,
    refusal::Refusal,
    shadow::{Outcome as Judgement, follow::State as ShadowState},
    worker::Worker,
};

/// Codes of refusals with a series of their own. There are fewer.
const REFUSAL_CODES_MAX: usize = 100;
/// Models with a series of their own; requests for further ones are counted as `other`.
const MODELS_MAX: usize = 100;

/// Providers and outcomes with a series of their own; further ones are counted as `other`.
const AUTHENTICATIONS_MAX: usize = 1000;
/// Routes and decisions with a series of their own; further ones are counted as `other`.
const AUTHORIZATIONS_MAX: usize = 4000;
/// Routes and pairs of decisions with a series of their own; further ones are counted as `other`.
const SHADOW_DECISIONS_MAX: usize = 4000;

/// Every metric of the process; each worker takes its part.
#[derive(Clone)]
pub struct MetricsSource {
    /// All families.
    pub registry: Arc<Registry>,
    /// Those of the data plane.
    pub catalogue: Arc<Catalogue>,
    refusals: CounterFamily<2>,
    endings: CounterFamily<1>,
    malformed: CounterFamily<1>,
    models: CounterFamily<1>,
    mirrors_skipped: CounterFamily<1>,
    authentications: CounterFamily<2>,
    authorizations: CounterFamily<2>,
    shadow_decisions: CounterFamily<3>,
    shadow_unlogged: CounterFamily<0>,
    guardrails: guardrails::Families,
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
        Self {
            refusals: registry.counter(
                Described::count(
                    "portcullis_refusals",
                    "Requests that a stage refused, by code and by whose fault it was.",
                ),
                ["code", "fault"],
                REFUSAL_CODES_MAX,
            ),
            endings: registry.counter(
                Described::count("portcullis_exchanges", "Exchanges by how they ended."),
                ["ending"],
                8,
            ),
            malformed: registry.counter(
                Described::count(
                    "portcullis_malformed_requests",
                    "What came and was not HTTP, by the status it was answered with.",
                ),
                ["code"],
                16,
            ),
            models: registry.counter(
                Described::count("portcullis_model_requests", "Requests by the model they name."),
                ["model"],
                MODELS_MAX,
            ),
            mirrors_skipped: registry.counter(
                Described::count(
                    "portcullis_mirrors_skipped",
                    "Requests that were not mirrored: too large, or too many at once.",
                ),
                ["backend"],
                MODELS_MAX,
            ),
            authentications: registry.counter(
                Described::count(
                    "portcullis_authentications",
                    "Credentials judged, by the provider that judged and what it came to.",
                ),
                ["provider", "outcome"],
                AUTHENTICATIONS_MAX,
            ),
            authorizations: registry.counter(
                Described::count("portcullis_authorizations", "Decisions about callers, by route and decision."),
                ["route", "decision"],
                AUTHORIZATIONS_MAX,
            ),
            shadow_decisions: registry.counter(
                Described::count(
                    "portcullis_shadow_decisions",
                    "Decisions about requests, by route, what was decided, and what the shadow set would have decided.",
                ),
                ["route", "live", "shadow"],
                SHADOW_DECISIONS_MAX,
            ),
            shadow_unlogged: registry.counter(
                Described::count(
                    "portcullis_shadow_differences_unlogged",
                    "Differences between the documents and the shadow set that were counted and not logged: too many.",
                ),
                [],
                1,
            ),
            guardrails: guardrails::Families::new(&registry),
            registry,
            catalogue,
        }
    }

    /// The part of one worker. `None` if it has been taken.
    pub fn for_worker(&self, index: usize) -> Option<Metrics> {
        Some(Metrics {
            shard: self.registry.worker(index)?,
            endings: [Ending::Complete, Ending::Cancelled, Ending::Broken, Ending::Refused, Ending::Blocked]
                .map(|ending| self.endings.with([ending.as_str()])),
            source: self.clone(),
            resolved: RefCell::default(),
        })
    }
}

/// Adds to every page whether the second set of documents is as its files are.
pub fn show_shadow(registry: &Registry, state: Arc<ShadowState>) {
    registry.collect(move |page| {
        let help = "1 if the documents of the shadow set were refused and an earlier one is asked.";
        page.family("portcullis_shadow_stale", help, "", Kind::Gauge);
        page.gauge(&[], f64::from(u8::from(state.error.load().is_some())));
    });
}

/// One worker's part, with the series it has used so far.
pub struct Metrics {
    shard: WorkerMetrics,
    source: MetricsSource,
    endings: [Counter; 5],
    resolved: RefCell<Resolved>,
}

/// Series by the address of what they are about, for as long as a revision lives; labels are looked up once. By document
/// they outlive it: what was counted of a route or backend is kept for as long as documents name it.
#[derive(Default)]
struct Resolved {
    generation: u64,
    routes: HashMap<usize, Rc<RouteMetrics>>,
    backends: HashMap<usize, Rc<BackendMetrics>>,
    by_route: HashMap<DocumentId, Rc<RouteMetrics>>,
    by_backend: HashMap<DocumentId, Rc<BackendMetrics>>,
    models: HashMap<Box<str>, Counter>,
    authentications: HashMap<(usize, usize), Counter>,
    authorizations: HashMap<(usize, bool), Counter>,
    shadow_decisions: HashMap<(usize, Judgement, Judgement), Counter>,
    ports: HashMap<PortKey, Rc<PortMetrics>>,
    guarded: HashMap<usize, Rc<GuardedRoute>>,
}

/// The series of one port.
pub struct PortMetrics(ListenerMetrics);

impl fmt::Debug for PortMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortMetrics")
    }
}

/// Counts a connection as open until it is dropped.
pub struct OpenConnection {
    worker: Rc<Worker>,
    open: Gauge,
}

impl PortMetrics {
    /// Requests whose answer has not ended.
    pub fn in_flight(&self) -> Gauge {
        self.0.in_flight
    }

    /// A connection was accepted.
    pub fn connection_opened(&self, worker: &Rc<Worker>) -> OpenConnection {
        let shard = worker.metrics.shard();
        shard.inc(self.0.accepted);
        shard.shift(self.0.open, 1);
        OpenConnection { worker: worker.clone(), open: self.0.open }
    }

    /// A handshake has ended.
    pub fn handshake<S>(&self, worker: &Worker, accepted: &Result<Accepted<S>, TlsRefusal>, after: Duration) {
        let shard = worker.metrics.shard();
        let (version, outcome) = match accepted {
            Ok(Accepted::Terminated { peer, .. }) => {
                (peer.version, if peer.resumed { Handshake::Resumed } else { Handshake::Full })
            }
            Ok(Accepted::Passthrough { .. }) => return,
            Err(TlsRefusal::Timeout) => (None, Handshake::TimedOut),
            Err(_) => (None, Handshake::Failed),
        };
        shard.inc(self.0.handshakes(version, outcome));
        if accepted.is_ok() {
            shard.observe_duration(self.0.handshake_duration, after);
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.worker.metrics.shard().shift(self.open, -1);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A new revision: addresses mean other things now, and what no document names any more leaves the page.
    pub fn revision(&self, live: &Live) {
        let mut resolved = self.resolved.borrow_mut();
        if resolved.generation == live.generation {
            return;
        }
        resolved.generation = live.generation;
        resolved.routes.clear();
        resolved.backends.clear();
        resolved.authentications.clear();
        resolved.authorizations.clear();
        resolved.shadow_decisions.clear();
        resolved.guarded.clear();
        let documents: HashSet<&DocumentId> = live.snapshot.documents.iter().map(|status| &status.document).collect();
        resolved.by_route.retain(|route, _| documents.contains(route));
        let backends: HashSet<&DocumentId> = live.backends().iter().map(|backend| &backend.spec.document).collect();
        resolved.by_backend.retain(|backend, _| backends.contains(backend));
    }

    /// The series of a rule's route.
    pub fn route(&self, rule: &Arc<Rule>) -> Rc<RouteMetrics> {
        let resolved = &mut *self.resolved.borrow_mut();
        let key = Arc::as_ptr(rule) as usize;
        let (by_route, route) = (&mut resolved.by_route, &rule.route);
        let make = || Rc::new(self.source.catalogue.route(format!("{}/{}", route.namespace, route.name)));
        let held = || by_route.entry(route.clone()).or_insert_with(make).clone();
        resolved.routes.entry(key).or_insert_with(held).clone()
    }

    /// The series of a backend.
    pub fn backend(&self, document: &DocumentId) -> Rc<BackendMetrics> {
        let resolved = &mut *self.resolved.borrow_mut();
        let key = Arc::as_ptr(&document.name).cast::<u8>() as usize;
        let by_backend = &mut resolved.by_backend;
        let make = || Rc::new(self.source.catalogue.backend(document.to_string()));
        let held = || by_backend.entry(document.clone()).or_insert_with(make).clone();
        resolved.backends.entry(key).or_insert_with(held).clone()
    }

    /// The series of a port.
    pub fn port(&self, port: &PortKey) -> Rc<PortMetrics> {
        let mut resolved = self.resolved.borrow_mut();
        if let Some(metrics) = resolved.ports.get(port) {
            return metrics.clone();
        }
        let metrics = Rc::new(PortMetrics(self.source.catalogue.listener(&port.to_string())));
        resolved.ports.insert(port.clone(), metrics.clone());
        metrics
    }

    /// Writes to this worker's shard.
    pub fn shard(&self) -> &WorkerMetrics {
        &self.shard
    }

    /// A request for a model.
    pub fn model(&self, name: &str) {
        let mut resolved = self.resolved.borrow_mut();
        let counter = match resolved.models.get(name) {
            Some(counter) => *counter,
            None => {
                let counter = self.source.models.with([name]);
                // Beyond the bound every name has the same counter, and need not be remembered.
                if resolved.models.len() < MODELS_MAX {
                    resolved.models.insert(name.into(), counter);
                }
                counter
            }
        };
        self.shard.inc(counter);
    }

    /// The head of an answer is known.
    pub fn first_byte(&self, route: Option<&RouteMetrics>, after: Duration) {
        if let Some(route) = route {
            self.shard.observe_duration(route.time_to_first_byte(), after);
        }
    }

    /// An exchange has ended.
    pub fn exchange_closed(
        &self,
        route: Option<&RouteMetrics>,
        method: &Method,
        status: Option<StatusCode>,
        ending: Ending,
        after: Duration,
    ) {
        if let Some(route) = route {
            self.shard.inc(route.requests(method, status));
            self.shard.observe_duration(route.duration(), after);
        }
        if let Some(counter) = self.endings.get(ending as usize) {
            self.shard.inc(*counter);
        }
    }

    /// A stage said no.
    pub fn refused(&self, refusal: &Refusal) {
        self.shard.inc(self.source.refusals.with([refusal.code, refusal.whose.as_str()]));
    }

    /// What came was not HTTP.
    pub fn malformed(&self, status: StatusCode) {
        self.shard.inc(self.source.malformed.with([status.as_str()]));
    }

    /// An attempt at an endpoint.
    pub fn attempt(&self, backend: &BackendMetrics, attempted: &Attempted) {
        let outcome = match attempted {
            Attempted::Done(Ok(answered)) => Outcome::Answered(answered.status()),
            Attempted::Done(Err(AttemptError::Dial(_))) => Outcome::ConnectFailed,
            Attempted::Done(Err(AttemptError::Stale)) => Outcome::ResetBeforeAnswer { reused: true },
            Attempted::Done(Err(AttemptError::Send(SendError::TimedOut))) | Attempted::AttemptTimedOut => {
                Outcome::TimedOut
            }
            Attempted::Done(Err(AttemptError::Send(SendError::RequestBody(_)))) | Attempted::DeadlineExceeded => {
                Outcome::Cancelled
            }
            Attempted::Done(Err(AttemptError::Send(_))) => Outcome::ResetBeforeAnswer { reused: false },
        };
        self.shard.inc(backend.attempts(outcome));
    }

    /// A retry was made, or the budget refused it.
    pub fn retry(&self, backend: &BackendMetrics, made: bool) {
        self.shard.inc(if made { backend.retries_made() } else { backend.retries_refused() });
    }

    /// An attempt has the connection that it goes on.
    pub fn connection(&self, backend: &BackendMetrics, chosen: Chosen) {
        self.shard.inc(match chosen {
            Chosen::Opened => backend.connections_opened(),
            Chosen::Reused => backend.connections_reused(),
        });
    }

    /// A credential was judged, or there was none. `provider`: its label in the revision in force, or a word that stays.
    pub fn authentication(&self, provider: &str, outcome: &'static str) {
        let key = (provider.as_ptr() as usize, outcome.as_ptr() as usize);
        let make = || self.source.authentications.with([provider, outcome]);
        let counter = *self.resolved.borrow_mut().authentications.entry(key).or_insert_with(make);
        self.shard.inc(counter);
    }

    /// A caller may, or may not.
    pub fn authorization(&self, rule: &Rule, is_allowed: bool) {
        let key = (std::ptr::from_ref(rule) as usize, is_allowed);
        let make = || {
            let route = format!("{}/{}", rule.route.namespace, rule.route.name);
            self.source.authorizations.with([&route, if is_allowed { "allow" } else { "deny" }])
        };
        let counter = *self.resolved.borrow_mut().authorizations.entry(key).or_insert_with(make);
        self.shard.inc(counter);
    }

    /// The second set of documents was asked about a decision.
    pub fn shadow_decision(&self, rule: &Rule, live: Judgement, shadow: Judgement) {
        let key = (std::ptr::from_ref(rule) as usize, live, shadow);
        let make = || {
            let route = format!("{}/{}", rule.route.namespace, rule.route.name);
            self.source.shadow_decisions.with([&route, live.as_str(), shadow.as_str()])
        };
        let counter = *self.resolved.borrow_mut().shadow_decisions.entry(key).or_insert_with(make);
        self.shard.inc(counter);
    }

    /// It differed, and too many had been logged to log it.
    pub fn shadow_unlogged(&self) {
        self.shard.inc(self.source.shadow_unlogged.with([]));
    }

    /// A request was not mirrored.
    pub fn mirror_skipped(&self, backend: &DocumentId) {
        self.shard.inc(self.source.mirrors_skipped.with([&backend.to_string()]));
    }
}
