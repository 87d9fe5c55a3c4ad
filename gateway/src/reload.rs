//! From documents to the revision in force: all or nothing.
//!
//! A revision is read, checked, compiled, brought to life and bound to its ports before anything changes. Whatever
//! fails on the way, the last good revision stays in force, ports and certificates included.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use portcullis_mesh::{
    endpoints::{keep_resolved, run_checks},
    telemetry::{Catalogue, Counter, ReloadOutcome},
};
use portcullis_policy::{check::check, diagnostics, snapshot::ListenerId};
use tokio::{sync::oneshot, task::JoinSet};

use crate::{
    live::{Live, PortKey},
    metrics::MetricsSource,
    probe::probe,
    sockets::{Inherited, Sockets},
    tls::TlsState,
    worker::{Command, WorkerHandle},
};

/// What the admin pages and the end of the process need to know.
#[derive(Debug)]
pub struct State {
    /// The revision in force.
    pub live: ArcSwap<Live>,
    /// Why the documents as they are were refused.
    pub error: ArcSwapOption<str_box::Text>,
    /// Where each listener is bound.
    pub bound: ArcSwap<HashMap<ListenerId, Vec<SocketAddr>>>,
}

/// A sized text, since `ArcSwapOption` holds no `str`.
pub mod str_box {
    /// The text.
    #[derive(Debug)]
    pub struct Text(pub Box<str>);
}

/// Where documents come from, and how strictly they are taken.
#[derive(Debug, Clone)]
pub struct Input {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Whether a reference that leads nowhere is answered with 500 instead of refusing the revision.
    pub references_may_fail: bool,
}

/// Replaces revisions.
pub struct Reloader {
    input: Input,
    tls: TlsState,
    sockets: Sockets,
    workers: Vec<WorkerHandle>,
    metrics: MetricsSource,
    outcomes: [Counter; 3],
    /// Lookups and health checks of the revision in force.
    tasks: JoinSet<()>,
    state: Arc<State>,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("input", &self.input).finish_non_exhaustive()
    }
}

/// Reads and compiles documents, or says in full what is wrong with them.
pub fn load(input: &Input, previous: Option<&Live>, tls: &TlsState) -> Result<Live, String> {
    let report = check(&input.paths);
    let refusals: Vec<_> = report.refusals(input.references_may_fail).cloned().collect();
    if !refusals.is_empty() {
        return Err(diagnostics::text(&refusals, false));
    }
    Live::build(report.snapshot, previous, tls, Instant::now()).map_err(|error| error.to_string())
}

impl Reloader {
    /// Everything is ready: `live` is the first revision, and nothing is bound yet.
    pub fn new(
        input: Input,
        tls: TlsState,
        sockets: Sockets,
        workers: Vec<WorkerHandle>,
        metrics: MetricsSource,
        live: Arc<Live>,
    ) -> Self {
        let catalogue: &Catalogue = &metrics.catalogue;
        let outcomes = [ReloadOutcome::Applied, ReloadOutcome::Unchanged, ReloadOutcome::Refused]
            .map(|outcome| catalogue.reloads(outcome));
        let state = Arc::new(State {
            live: ArcSwap::new(live),
            error: ArcSwapOption::empty(),
            bound: ArcSwap::from_pointee(HashMap::default()),
        });
        Self { input, tls, sockets, workers, metrics, outcomes, tasks: JoinSet::new(), state }
    }

    /// What is in force.
    pub fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// The workers, for a stop.
    pub fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// The sockets, for a hand-over.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Binds the ports of the first revision and begins to serve. `inherited`: sockets of a predecessor.
    pub async fn start(&mut self, inherited: &mut Vec<Inherited>) -> Result<(), String> {
        let live = self.state.live.load_full();
        self.apply(live, inherited).await
    }

    /// Reads the documents again. The last good revision stays in force if anything is wrong with them.
    pub async fn reload(&mut self) {
        let before = self.state.live.load_full();
        let (input, tls) = (self.input.clone(), &self.tls);
        let loaded = tokio::task::block_in_place(|| load(&input, Some(&before), tls));
        let applied = match loaded {
            Ok(live) => self.apply(Arc::new(live), &mut Vec::new()).await,
            Err(error) => Err(error),
        };
        let control = self.metrics.registry.control();
        let [done, unchanged, refused] = self.outcomes;
        match applied {
            Ok(()) => {
                let live = self.state.live.load();
                let same = live.snapshot.revision == before.snapshot.revision;
                control.inc(if same { unchanged } else { done });
                tracing::info!(revision = %live.snapshot.revision, "documents applied");
            }
            Err(error) => {
                control.inc(refused);
                self.metrics.catalogue.revision_stale();
                tracing::error!(revision = %before.snapshot.revision, "documents refused; the last good revision stays in force\n{error}");
                self.state.error.store(Some(Arc::new(str_box::Text(error.into()))));
            }
        }
    }

    async fn apply(&mut self, live: Arc<Live>, inherited: &mut Vec<Inherited>) -> Result<(), String> {
        let change = self.sockets.prepare(&live.snapshot, inherited).map_err(|error| error.to_string())?;
        for backend in live.backends() {
            backend.endpoints.resolve().await;
        }
        // From here on nothing can fail.
        for worker in &self.workers {
            let _ = worker.commands.send(Command::Live(live.clone()));
        }
        let (listen, leave) = self.sockets.apply(change);
        for (port, sockets) in listen {
            self.listen(&port, sockets).await;
        }
        for port in leave {
            for worker in &self.workers {
                let _ = worker.commands.send(Command::Unlisten(port.clone()));
            }
        }
        self.watch_endpoints(&live);
        self.metrics.catalogue.revision_applied(&live.snapshot.revision.0, SystemTime::now());
        self.state.bound.store(Arc::new(self.bound(&live)));
        self.state.live.store(live);
        self.state.error.store(None);
        Ok(())
    }

    /// Each worker gets its own socket, and says when it accepts from it.
    async fn listen(&self, port: &PortKey, sockets: Vec<std::net::TcpListener>) {
        for (worker, socket) in self.workers.iter().cycle().zip(sockets) {
            let (ready, accepting) = oneshot::channel();
            let _ = worker.commands.send(Command::Listen(port.clone(), socket, ready));
            let _ = accepting.await;
        }
    }

    fn watch_endpoints(&mut self, live: &Live) {
        self.tasks = JoinSet::new();
        for backend in live.backends() {
            self.tasks.spawn(keep_resolved(backend.endpoints.clone()));
            if let Some(check) = &backend.spec.health_check {
                let (path, tls) = (check.path.clone(), backend.tls.clone());
                let endpoints = backend.endpoints.clone();
                self.tasks
                    .spawn(run_checks(endpoints, move |endpoint| probe(endpoint.address(), path.clone(), tls.clone())));
            }
        }
    }

    fn bound(&self, live: &Live) -> HashMap<ListenerId, Vec<SocketAddr>> {
        let mut by_port: HashMap<&PortKey, Vec<SocketAddr>> = HashMap::default();
        for (port, bound) in self.sockets.bound() {
            by_port.entry(port).or_default().extend(bound.iter().map(|bound| bound.address));
        }
        let listeners = live.snapshot.listeners.iter();
        listeners
            .map(|listener| {
                let addresses = by_port.get(&PortKey::of(listener)).cloned().unwrap_or_default();
                (listener.id.clone(), addresses)
            })
            .collect()
    }
}
