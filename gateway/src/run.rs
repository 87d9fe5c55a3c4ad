//! `portcullis run`: the process. Documents become a revision, workers serve it, changes replace it all or nothing, and
//! a stop lets what is open finish.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use portcullis_mesh::telemetry::Catalogue;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, oneshot},
};

use crate::{
    admin::{self, AdminPages, Readiness, SnapshotPage},
    cli::{RunArgs, UnresolvedReferences},
    limits::limits,
    metrics::MetricsSource,
    reload::{Input, Reloader, State, load},
    sockets::Sockets,
    tls::TlsState,
    watch::watch,
    worker::{self, Command, WorkerHandle},
};

/// How long a worker may take to say that it is alive.
const WORKER_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a gateway did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The user's documents or flags: exit code 1.
    #[error("{0}")]
    Input(String),
    /// The system or ourselves: exit code 70.
    #[error("{0}")]
    Internal(String),
}

impl From<std::io::Error> for RunError {
    fn from(error: std::io::Error) -> Self {
        RunError::Internal(error.to_string())
    }
}

/// Runs the gateway until it is told to stop. `serving` is called once it serves, with the state and the admin address.
pub fn run(arguments: RunArgs, serving: impl FnOnce(&State, SocketAddr)) -> Result<ExitCode, RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(4)
        .thread_name("control")
        .enable_all()
        .build()?;
    let result = runtime.block_on(control(arguments, serving));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn control(arguments: RunArgs, serving: impl FnOnce(&State, SocketAddr)) -> Result<ExitCode, RunError> {
    let mut signals = Signals::new()?;
    let count = arguments.workers.unwrap_or_else(cores).max(1);
    let metrics = MetricsSource::new(count);
    let input = Input {
        paths: arguments.config.clone(),
        references_may_fail: arguments.unresolved_references == UnresolvedReferences::Serve500,
    };
    let tls = TlsState::new(&arguments.state);
    let live = Arc::new(load(&input, None, &tls).map_err(RunError::Input)?);
    let admin = TcpListener::bind(arguments.admin).await.map_err(|error| {
        RunError::Input(format!("cannot listen on {} for the admin pages: {error}", arguments.admin))
    })?;
    let limits = limits(&arguments.limit);
    let workers: Vec<WorkerHandle> = (0..count)
        .map(|index| worker::spawn(index, live.clone(), metrics.clone(), limits.clone()))
        .collect::<Result<_, _>>()?;
    let sockets = Sockets::new(arguments.bind.clone(), count);
    let mut reloader = Reloader::new(input, tls, sockets, workers, metrics.clone(), live);
    reloader.start(&mut Vec::new()).await.map_err(RunError::Input)?;

    let state = reloader.state();
    let commands: Vec<_> = reloader.workers().iter().map(|worker| worker.commands.clone()).collect();
    show_endpoints(&metrics, &state);
    let address = admin.local_addr()?;
    let pages = tokio::spawn(admin::serve(admin, pages(&metrics, &state, commands)));
    tracing::info!(admin = %address, revision = %state.live.load().snapshot.revision, workers = count, "serving");
    serving(&state, address);

    let changed = Arc::new(Notify::new());
    let watcher = tokio::spawn(watch(watched(&arguments, &state), changed.clone()));
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => reloader.reload().await,
            () = changed.notified() => reloader.reload().await,
        }
    }
    watcher.abort();
    tracing::info!("stopping: what is open may finish");
    drain(reloader, Duration::from_secs(arguments.drain_seconds), &mut signals).await;
    pages.abort();
    Ok(ExitCode::SUCCESS)
}

/// Documents, and the certificates in files that they name.
fn watched(arguments: &RunArgs, state: &State) -> Vec<std::path::PathBuf> {
    use portcullis_policy::snapshot::{CertificateSource, TlsMode};
    let mut paths = arguments.config.clone();
    for listener in &state.live.load().snapshot.listeners {
        let Some(TlsMode::Terminate(termination)) = &listener.tls else { continue };
        for certificate in &termination.certificates {
            if let CertificateSource::Files { chain, key, .. } = certificate {
                paths.extend([chain.clone(), key.clone()]);
            }
        }
    }
    paths
}

fn show_endpoints(metrics: &MetricsSource, state: &Arc<State>) {
    let state = state.clone();
    Catalogue::show_endpoints(&metrics.registry, move || {
        let live = state.live.load();
        live.backends().iter().map(|backend| backend.endpoints.status(std::time::Instant::now())).collect()
    });
}

fn pages(
    metrics: &MetricsSource,
    state: &Arc<State>,
    commands: Vec<tokio::sync::mpsc::UnboundedSender<Command>>,
) -> AdminPages {
    let (registry, for_ready, for_snapshot, for_endpoints) =
        (metrics.registry.clone(), state.clone(), state.clone(), state.clone());
    AdminPages {
        readiness: Arc::new(move || {
            let (state, commands) = (for_ready.clone(), commands.clone());
            Box::pin(async move { readiness(&state, &commands).await })
        }),
        metrics: Arc::new(move |format| registry.page(format)),
        snapshot: Arc::new(move || SnapshotPage {
            snapshot: for_snapshot.live.load().snapshot.clone(),
            error: for_snapshot.error.load().as_ref().map(|error| (*error.0).into()),
            bound: (**for_snapshot.bound.load()).clone(),
        }),
        endpoints: Arc::new(move || {
            let live = for_endpoints.live.load();
            live.backends().iter().map(|backend| backend.endpoints.status(std::time::Instant::now())).collect()
        }),
    }
}

/// Asked of every worker, so that the answer has been where requests go.
async fn readiness(state: &State, commands: &[tokio::sync::mpsc::UnboundedSender<Command>]) -> Readiness {
    for (index, worker) in commands.iter().enumerate() {
        let (answer, answered) = oneshot::channel();
        let asked = worker.send(Command::Count(answer)).is_ok();
        if !asked || !matches!(tokio::time::timeout(WORKER_ANSWER_TIMEOUT, answered).await, Ok(Ok(_))) {
            return Readiness::NotReady(format!("worker {index} does not answer"));
        }
    }
    match &*state.error.load() {
        Some(error) => Readiness::Stale(error.0.to_string()),
        None => Readiness::Ready,
    }
}

/// Lets open exchanges finish. A second signal ends the wait.
async fn drain(reloader: Reloader, limit: Duration, signals: &mut Signals) {
    let mut finished = Vec::new();
    for worker in reloader.workers() {
        let (done, drained) = oneshot::channel();
        if worker.commands.send(Command::Drain(done)).is_ok() {
            finished.push(drained);
        }
    }
    let all = async {
        for drained in finished {
            let _ = drained.await;
        }
    };
    tokio::select! {
        () = all => tracing::info!("stopped: every exchange has finished"),
        () = tokio::time::sleep(limit) => tracing::warn!("stopped: some exchanges were cut after {limit:?}"),
        () = signals.stop() => tracing::warn!("stopped at once: asked twice"),
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
