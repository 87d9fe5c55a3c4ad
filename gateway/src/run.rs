//! `portcullis run`: the process. Documents become a revision, workers serve it, changes replace it all or nothing, and
//! a stop lets what is open finish.

use std::{
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use portcullis_mesh::{
    handover::{HandoverError, NamedSocket, Successor},
    listen::{Afterwards, ConnectionLimits, LimitSpec, raise_open_files_limit},
    pages,
    telemetry::Catalogue,
    workload::Workload,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, block_in_place},
};

use crate::{
    admin::{AdminPages, Readiness, ShadowPage, SnapshotPage},
    authenticate::{directory, oidc::shown as issuers},
    cli::{RunArgs, UnresolvedReferences},
    limits::limits,
    metrics::{MetricsSource, show_shadow},
    reload::{Input, Reloader, State, load},
    screening::PlaceholderSecret,
    shadow::follow::{self, Follower},
    sockets::Sockets,
    tls::TlsState,
    upgrade::{ADMIN_SOCKET, Succession},
    upstream_identity::SigningKeys,
    watch::{Watched, watch},
    worker::{self, Command, WorkerHandle},
};

/// How long a worker may take to say that it is alive.
const WORKER_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is looked whether it is time for another signing key: the clock may be set meanwhile.
const KEYS_LOOK_INTERVAL: Duration = Duration::from_mins(10);

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
    let open_files_max = raise_open_files_limit();
    let count = arguments.workers.unwrap_or_else(cores).max(1);
    let metrics = MetricsSource::new(count);
    let input = Input {
        paths: arguments.config.clone(),
        references_may_fail: arguments.unresolved_references == UnresolvedReferences::Serve500,
    };
    let mut shadow = Follower::new(&arguments.shadow, input.references_may_fail).map_err(RunError::Input)?;
    let workload = arguments.workload_files().map(|files| Workload::open(files, SystemTime::now()));
    let tls = TlsState::new(&arguments.state).as_workload(workload.transpose().map_err(RunError::Input)?);
    let keys = SigningKeys::open(&arguments.state, SystemTime::now()).map(Arc::new);
    let keys = keys.map_err(|error| RunError::Input(error.to_string()))?;
    let placeholders = PlaceholderSecret::open(&arguments.state);
    let placeholders = placeholders.map_err(|error| RunError::Input(error.to_string()))?;
    let mut read = watch::channel(Watched::default()).0;
    let live = Arc::new(load(&input, None, &tls, &mut read).map_err(RunError::Input)?);
    // From here on a predecessor is involved, if there is one.
    let mut succession = Succession::begin(&arguments.state, arguments.upgrade).await?;
    let admin = succession.admin_socket(arguments.admin)?;
    let address = admin.local_addr()?;
    let admissions = ConnectionLimits::new(LimitSpec {
        connections_max: arguments.connections_max,
        handshakes_per_source_max: arguments.handshakes_per_source_max,
    });
    let limits = limits(&arguments.limit);
    let workers: Vec<WorkerHandle> = (0..count)
        .map(|index| {
            let (live, metrics, keys) = (live.clone(), metrics.clone(), keys.clone());
            worker::spawn(index, live, metrics, limits.clone(), admissions.clone(), keys, placeholders.clone())
        })
        .collect::<Result<_, _>>()?;
    let sockets = Sockets::new(arguments.bind.clone(), count);
    let commands: Vec<_> = workers.iter().map(|worker| worker.commands.clone()).collect();
    if let Some(shadow) = &mut shadow {
        // Before the first request can come.
        shadow.serve(commands.clone());
        show_shadow(&metrics.registry, shadow.state());
    }
    let mut reloader = Reloader::new(input, tls, sockets, workers, metrics.clone(), live, read);
    reloader.start(&mut succession.inherited).await.map_err(RunError::Input)?;
    let state = reloader.state();
    show(&metrics, &state, admissions);
    let successors = succession.serving().await?;

    let mut admin = Admin {
        asked: arguments.admin,
        socket: admin,
        pages: pages(&metrics, &state, shadow.as_ref().map(Follower::state), commands, keys.clone()),
        open: None,
    };
    tokio::spawn(turn_keys(keys));
    admin.open()?;
    tracing::info!(
        admin = %address,
        revision = %state.live.load().snapshot.revision,
        workers = count,
        open_files_max,
        "serving"
    );
    serving(&state, address);

    let afterwards = serve(&mut reloader, shadow, &mut admin, successors, &mut signals).await;
    match afterwards {
        Afterwards::Nobody => tracing::info!("stopping: what is open may finish"),
        Afterwards::Successor => tracing::info!("stopping: a successor has the sockets; what is open here may finish"),
    }
    let limit = Duration::from_secs(arguments.drain_seconds);
    drain(reloader.drain(afterwards), limit, &mut signals).await;
    Ok(ExitCode::SUCCESS)
}

/// Serves until it is asked to stop, or a successor has the sockets and the admin pages: the revision in force follows
/// the documents, certificates are renewed.
async fn serve(
    reloader: &mut Reloader,
    mut shadow: Option<Follower>,
    admin: &mut Admin,
    mut successors: mpsc::Receiver<Successor>,
    signals: &mut Signals,
) -> Afterwards {
    let (tell, mut changed) = mpsc::channel(1);
    // It ends when `changed` does.
    tokio::spawn(watch(reloader.read(), tell));
    let (tell, mut shadow_changed) = mpsc::channel(1);
    if let Some(shadow) = &shadow {
        shadow.watch(tell);
    }
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Afterwards::Nobody,
            _ = signals.interrupt.recv() => return Afterwards::Nobody,
            _ = signals.hangup.recv() => {
                reloader.start_over().await;
                shadow.iter_mut().for_each(Follower::reload);
            }
            Some(()) = shadow_changed.recv() => shadow.iter_mut().for_each(Follower::reload),
            Some(()) = changed.recv() => reloader.reload().await,
            () = reloader.renewal_due() => reloader.renew().await,
            Some(successor) = successors.recv() => tokio::select! {
                handed_over = hand_over(reloader, admin, successor) => match handed_over {
                    Ok(()) => return Afterwards::Successor,
                    Err(error) => tracing::warn!(%error, "a successor did not come to serve; going on"),
                },
                // It may come to serve all the same, from the same sockets.
                () = signals.stop() => return Afterwards::Successor,
            },
        }
    }
}

/// Hands every listening socket over, and the admin pages when the successor serves. On an error everything is as it
/// was.
async fn hand_over(reloader: &Reloader, admin: &mut Admin, successor: Successor) -> Result<(), HandoverError> {
    tracing::info!("a successor asks for the listening sockets");
    let mut sockets = reloader.sockets().copies()?;
    sockets.push(admin.copy()?);
    let serving = successor.hand_over(&sockets).await?;
    // First: whoever asks for a page from now on shall get the successor's.
    admin.close();
    let acknowledged = serving.acknowledge().await;
    if acknowledged.is_err() {
        admin.open()?;
    }
    acknowledged
}

/// The admin pages, whose socket is handed to a successor too.
struct Admin {
    asked: SocketAddr,
    socket: TcpListener,
    pages: AdminPages,
    open: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Admin {
    fn open(&mut self) -> std::io::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let listener = tokio::net::TcpListener::from_std(self.socket.try_clone()?)?;
        let serving = tokio::spawn(pages::serve(listener, self.pages.clone().into_pages(), stopped));
        self.open = Some((stop, serving));
        Ok(())
    }

    /// Accepts no more; what has been asked is answered.
    fn close(&mut self) {
        if let Some((stop, _)) = self.open.take() {
            stop.send_replace(true);
        }
    }

    fn copy(&self) -> std::io::Result<NamedSocket> {
        Ok(NamedSocket { name: ADMIN_SOCKET.to_owned(), asked: self.asked, socket: self.socket.try_clone()? })
    }
}

/// Adds to the metrics what is known elsewhere.
fn show(metrics: &MetricsSource, state: &Arc<State>, limits: Arc<ConnectionLimits>) {
    Catalogue::show_connections(&metrics.registry, limits);
    let (for_certificates, for_endpoints) = (state.clone(), state.clone());
    Catalogue::show_certificates(&metrics.registry, move || {
        let live = for_certificates.live.load();
        live.certificate_expiries().map(|(document, expiry)| (document.to_owned(), expiry)).collect()
    });
    Catalogue::show_endpoints(&metrics.registry, move || {
        let live = for_endpoints.live.load();
        live.backends().iter().map(|backend| backend.endpoints.status(Instant::now())).collect()
    });
    let for_directories = state.clone();
    directory::show(&metrics.registry, move || for_directories.live.load().providers.directories(SystemTime::now()));
    let for_issuers = state.clone();
    issuers::show(&metrics.registry, move || for_issuers.live.load().providers.issuers());
}

/// Replaces the keys that backends verify callers with, when it is time.
async fn turn_keys(keys: Arc<SigningKeys>) {
    loop {
        tokio::time::sleep(KEYS_LOOK_INTERVAL).await;
        if let Err(error) = block_in_place(|| keys.turn(SystemTime::now())) {
            tracing::error!(%error, "the keys of what backends are told cannot be replaced");
        }
    }
}

fn pages(
    metrics: &MetricsSource,
    state: &Arc<State>,
    shadow: Option<Arc<follow::State>>,
    commands: Vec<mpsc::UnboundedSender<Command>>,
    keys: Arc<SigningKeys>,
) -> AdminPages {
    let (registry, for_ready, for_snapshot, for_endpoints) =
        (metrics.registry.clone(), state.clone(), state.clone(), state.clone());
    AdminPages {
        readiness: Arc::new(move || {
            let (state, commands) = (for_ready.clone(), commands.clone());
            Box::pin(async move { readiness(&state, &commands).await })
        }),
        metrics: Arc::new(move |format| registry.page(format)),
        key_set: Arc::new(move || keys.key_set()),
        snapshot: Arc::new(move || SnapshotPage {
            snapshot: for_snapshot.live.load().snapshot.clone(),
            error: for_snapshot.error.load().as_ref().map(|error| error.as_str().into()),
            bound: (**for_snapshot.bound.load()).clone(),
            shadow: shadow.as_ref().map(|shadow| ShadowPage {
                revision: shadow.set.load().snapshot.revision.clone(),
                error: shadow.error.load().as_ref().map(|error| error.as_str().into()),
            }),
        }),
        endpoints: Arc::new(move || {
            let live = for_endpoints.live.load();
            live.backends().iter().map(|backend| backend.endpoints.status(Instant::now())).collect()
        }),
    }
}

/// Asked of every worker, so that the answer has been where requests go.
async fn readiness(state: &State, commands: &[mpsc::UnboundedSender<Command>]) -> Readiness {
    for (index, worker) in commands.iter().enumerate() {
        let (answer, answered) = oneshot::channel();
        let asked = worker.send(Command::Count(answer)).is_ok();
        if !asked || !matches!(tokio::time::timeout(WORKER_ANSWER_TIMEOUT, answered).await, Ok(Ok(_))) {
            return Readiness::NotReady(format!("worker {index} does not answer"));
        }
    }
    if state.draining.load(Ordering::Relaxed) {
        return Readiness::NotReady("draining: about to stop".to_owned());
    }
    match &*state.error.load() {
        Some(error) => Readiness::Stale(error.to_string()),
        None => Readiness::Ready,
    }
}

/// Waits for workers to finish, for as long as they may. A further signal ends the wait.
async fn drain(finished: Vec<oneshot::Receiver<()>>, limit: Duration, signals: &mut Signals) {
    let all = async {
        for drained in finished {
            let _ = drained.await;
        }
    };
    tokio::select! {
        () = all => tracing::info!("stopped: every exchange has finished"),
        () = tokio::time::sleep(limit) => tracing::warn!("stopped: some exchanges were cut after {limit:?}"),
        () = signals.stop() => tracing::warn!("stopped at once: a signal came while exchanges were open"),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
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
