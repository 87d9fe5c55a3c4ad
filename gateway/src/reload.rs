//! From documents to the revision in force: all or nothing.
//!
//! A revision is read, checked, compiled, brought to life and bound to its ports before anything changes. Whatever
//! fails on the way, the last good revision stays in force, ports and certificates included.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use portcullis_mesh::{
    endpoints::{Endpoint, keep_resolved, run_checks},
    handover::NamedSocket,
    listen::Afterwards,
    telemetry::{Catalogue, Counter, ReloadOutcome},
    workload::Workload,
};
use portcullis_policy::{
    Snapshot,
    check::check,
    diagnostics,
    snapshot::{BackendId, CertificateSource, ListenerId, TlsMode},
};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinSet, block_in_place},
};

use crate::{
    authenticate::providers,
    live::{Live, PortKey},
    metrics::MetricsSource,
    probe::probe,
    sockets::Sockets,
    tls::TlsState,
    watch::Watched,
    worker::{Command, WorkerHandle},
};

/// How long after a failed renewal of certificates the next is tried.
const RENEWAL_RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// For so long at most the providers of a revision that was replaced answer exchanges that began with it.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is looked whether there are any.
const FAREWELL_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the clock is asked whether a certificate is due: it may be set meanwhile.
const RENEWAL_LOOK_INTERVAL: Duration = Duration::from_mins(10);

/// What the admin pages and the end of the process need to know.
#[derive(Debug)]
pub struct State {
    /// The revision in force.
    pub live: ArcSwap<Live>,
    /// Why the documents as they are were refused.
    pub error: ArcSwapOption<String>,
    /// Where each listener is bound.
    pub bound: ArcSwap<HashMap<ListenerId, Vec<SocketAddr>>>,
    /// The process is about to end.
    pub draining: AtomicBool,
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
    /// What its identity providers do besides answering.
    providers: JoinSet<()>,
    state: Arc<State>,
    /// What was read last, whether it is in force or not.
    read: watch::Sender<Watched>,
    renewal_tried: Option<Instant>,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("input", &self.input).finish_non_exhaustive()
    }
}

/// Reads and compiles documents, or says in full what is wrong with them. `read` learns what was looked at.
pub fn load(
    input: &Input,
    previous: Option<&Live>,
    tls: &TlsState,
    read: &mut watch::Sender<Watched>,
) -> Result<Live, String> {
    let mut watched = Watched::default();
    watched.look(input.paths.clone());
    let report = check(&input.paths);
    watched.look(certificate_files(&report.snapshot));
    watched.look(tls.workload().map(Workload::paths).unwrap_or_default());
    watched.look(providers::files(&report.snapshot));
    let refusals: Vec<_> = report.refusals(input.references_may_fail).cloned().collect();
    let loaded = if report.documents.is_empty() && refusals.is_empty() {
        Err("there is no document of a kind that Portcullis reads; served, this would close every port".to_owned())
    } else if refusals.is_empty() {
        Live::build(Arc::new(report.snapshot), previous, tls, Instant::now()).map_err(|error| error.to_string())
    } else {
        Err(diagnostics::text(&refusals, false))
    };
    read.send_replace(watched);
    // An identity alone can change, and is shown from the next handshake on.
    let identity = tls.workload().map_or(Ok(()), |workload| workload.read_again(SystemTime::now()));
    identity.map_err(|error| format!("identity among workloads: {error}"))?;
    loaded
}

/// The certificates in files that documents name.
fn certificate_files(snapshot: &Snapshot) -> Vec<PathBuf> {
    let terminations = snapshot.listeners.iter().filter_map(|listener| match &listener.tls {
        Some(TlsMode::Terminate(termination)) => Some(termination),
        _ => None,
    });
    let files = terminations.flat_map(|termination| &termination.certificates).filter_map(|source| match source {
        CertificateSource::Files { chain, key, .. } => Some([chain.clone(), key.clone()]),
        CertificateSource::Secret { .. } | CertificateSource::Local { .. } => None,
    });
    files.flatten().collect()
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
        read: watch::Sender<Watched>,
    ) -> Self {
        let catalogue: &Catalogue = &metrics.catalogue;
        let outcomes = [ReloadOutcome::Applied, ReloadOutcome::Unchanged, ReloadOutcome::Refused]
            .map(|outcome| catalogue.reloads(outcome));
        let state = Arc::new(State {
            live: ArcSwap::new(live),
            error: ArcSwapOption::empty(),
            bound: ArcSwap::from_pointee(HashMap::default()),
            draining: AtomicBool::new(false),
        });
        let (tasks, providers) = (JoinSet::new(), JoinSet::new());
        Self { input, tls, sockets, workers, metrics, outcomes, tasks, providers, state, read, renewal_tried: None }
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

    /// Hears what was read, after each reading.
    pub fn read(&self) -> watch::Receiver<Watched> {
        self.read.subscribe()
    }

    /// Binds the ports of the first revision and begins to serve. `inherited`: sockets of a predecessor.
    pub async fn start(&mut self, inherited: &mut Vec<NamedSocket>) -> Result<(), String> {
        let live = self.state.live.load_full();
        self.apply(live.clone(), inherited).await?;
        self.in_force(&live.snapshot);
        Ok(())
    }

    /// The documents are what is in force.
    fn in_force(&self, snapshot: &Snapshot) {
        self.metrics.catalogue.revision_applied(&snapshot.revision.0, SystemTime::now());
        self.state.error.store(None);
    }

    /// Lets open exchanges finish and accepts no more. Each receiver is ready when a worker has finished.
    pub fn drain(&mut self, afterwards: Afterwards) -> Vec<oneshot::Receiver<()>> {
        self.state.draining.store(true, Ordering::Relaxed);
        // Or the copies would keep the ports open.
        self.sockets = Sockets::default();
        let mut finished = Vec::new();
        for worker in &self.workers {
            let (done, drained) = oneshot::channel();
            if worker.commands.send(Command::Drain(afterwards, done)).is_ok() {
                finished.push(drained);
            }
        }
        finished
    }

    /// Reads the documents again. The last good revision stays in force if anything is wrong with them.
    pub async fn reload(&mut self) {
        let before = self.state.live.load_full();
        let loaded = block_in_place(|| load(&self.input, Some(&before), &self.tls, &mut self.read));
        let applied = match loaded {
            Ok(live) => self.apply(Arc::new(live), &mut Vec::new()).await,
            Err(error) => Err(error),
        };
        let control = self.metrics.registry.control();
        let [done, unchanged, refused] = self.outcomes;
        match applied {
            Ok(()) => {
                let live = self.state.live.load_full();
                self.in_force(&live.snapshot);
                let revision = &live.snapshot.revision;
                if *revision == before.snapshot.revision {
                    control.inc(unchanged);
                    tracing::info!(%revision, "documents unchanged; certificates in files were read again");
                } else {
                    control.inc(done);
                    tracing::info!(%revision, before = %before.snapshot.revision, "documents applied");
                }
            }
            Err(error) => {
                control.inc(refused);
                self.metrics.catalogue.revision_stale();
                let revision = &before.snapshot.revision;
                tracing::error!(%revision, "documents refused; the last good revision stays in force\n{error}");
                self.state.error.store(Some(Arc::new(error)));
            }
        }
    }

    /// Reads the documents again, and asks again about every caller: nothing that was remembered of them counts any more.
    pub async fn start_over(&mut self) {
        self.reload().await;
        // Whatever the reload came to. Providers first, or workers would remember their old answers again.
        self.state.live.load().providers.forget();
        for worker in &self.workers {
            let _ = worker.commands.send(Command::Forget);
        }
        tracing::info!("what was remembered of callers is forgotten");
    }

    /// Ready when a certificate of the local authority is due to be replaced.
    pub async fn renewal_due(&self) {
        loop {
            let Some(renew_at) = self.state.live.load().renew_at() else { return std::future::pending().await };
            // A clock that was set back says how long in vain.
            let due_in = renew_at.duration_since(SystemTime::now()).unwrap_or_default();
            let tried = self
                .renewal_tried
                .map_or(Duration::ZERO, |tried| RENEWAL_RETRY_INTERVAL.saturating_sub(tried.elapsed()));
            let wait = due_in.max(tried);
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait.min(RENEWAL_LOOK_INTERVAL)).await;
        }
    }

    /// Replaces the certificates that are due, and reads those in files again, for the revision in force: whatever state
    /// the documents are in now.
    pub async fn renew(&mut self) {
        self.renewal_tried = Some(Instant::now());
        let before = self.state.live.load_full();
        let live = Live::build(before.snapshot.clone(), Some(&before), &self.tls, Instant::now());
        let renewed = match live {
            Ok(live) => self.apply(Arc::new(live), &mut Vec::new()).await,
            Err(error) => Err(error.to_string()),
        };
        match renewed {
            Ok(()) => {
                self.renewal_tried = None;
                tracing::info!("certificates of the local authority renewed");
            }
            Err(error) => tracing::error!(%error, "certificates of the local authority cannot be renewed"),
        }
    }

    async fn apply(&mut self, live: Arc<Live>, inherited: &mut Vec<NamedSocket>) -> Result<(), String> {
        let change = self.sockets.prepare(&live.snapshot, inherited).map_err(|error| error.to_string())?;
        futures_util::future::join_all(live.backends().iter().map(|backend| backend.endpoints.resolve())).await;
        // From here on nothing can fail.
        let orders = self.sockets.apply(change);
        for worker in &self.workers {
            let _ = worker.commands.send(Command::Live(live.clone(), orders.rename.clone()));
        }
        for (key, port, sockets) in orders.listen {
            // Each worker gets its own socket, and says when it accepts from it.
            for (worker, socket) in self.workers.iter().cycle().zip(sockets) {
                let (ready, accepting) = oneshot::channel();
                let _ = worker.commands.send(Command::Listen(key.clone(), port.clone(), socket, ready));
                let _ = accepting.await;
            }
        }
        for key in orders.leave {
            for worker in &self.workers {
                let _ = worker.commands.send(Command::Unlisten(key.clone()));
            }
        }
        self.watch_endpoints(&live);
        self.run_providers(&live);
        self.state.bound.store(Arc::new(self.bound(&live)));
        self.state.live.store(live);
        Ok(())
    }

    fn watch_endpoints(&mut self, live: &Arc<Live>) {
        self.tasks = JoinSet::new();
        for (at, backend) in live.backends().iter().enumerate() {
            self.tasks.spawn(keep_resolved(backend.endpoints.clone()));
            if let Some(check) = &backend.spec.health_check {
                let (path, live, at) = (check.path.clone(), Arc::clone(live), BackendId(at as u32));
                let probe = move |endpoint: Arc<Endpoint>| {
                    let target = live.backend(at).and_then(|backend| backend.target(&endpoint, false));
                    let path = path.clone();
                    async move {
                        match target {
                            Some(target) => probe(&target, &path).await,
                            None => false,
                        }
                    }
                };
                self.tasks.spawn(run_checks(backend.endpoints.clone(), probe));
            }
        }
    }

    /// Lets the providers of a revision work. Those before go on for as long as somebody waits for their answer.
    fn run_providers(&mut self, live: &Live) {
        let mut before = std::mem::take(&mut self.providers);
        for task in live.providers.tasks() {
            self.providers.spawn(task);
        }
        if before.is_empty() {
            return;
        }
        let replaced = Arc::downgrade(&self.state.live.load_full());
        tokio::spawn(async move {
            let until = Instant::now() + FAREWELL_TIMEOUT;
            while replaced.strong_count() > 0 && Instant::now() < until {
                tokio::time::sleep(FAREWELL_LOOK_INTERVAL).await;
            }
            before.abort_all();
        });
    }

    fn bound(&self, live: &Live) -> HashMap<ListenerId, Vec<SocketAddr>> {
        let mut by_port: HashMap<&PortKey, Vec<SocketAddr>> = HashMap::default();
        for (port, bound) in self.sockets.bound() {
            by_port.entry(port).or_default().push(bound);
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
