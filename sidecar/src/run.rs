//! `portcullis-sidecar run`: the process. An identity and rules are read, workers serve them, changes replace them, and a
//! stop lets what is open finish.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use portcullis_certs::SpiffeId;
use portcullis_mesh::{
    listen::{BindError, ConnectionLimits, LimitSpec, bind, raise_open_files_limit},
    load::{Measure, Phase},
    pages,
    telemetry::Catalogue,
    tls::mutual::Mutual,
    watch::{Watched, watch},
    workload::{Workload, WorkloadFiles},
};
use portcullis_policy::{
    authorize::WorkloadRules,
    check::check,
    diagnostics::{self, Class},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    admin::{self, State},
    cli::RunArgs,
    connection::Inbound,
    metrics::MetricsSource,
    report::{self, Reporting},
    worker::{self, Command, Shared, WorkerHandle},
};

/// Connections of one source that may be in their handshake.
const HANDSHAKES_PER_SOURCE_MAX: u32 = 256;

/// Why a sidecar did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The user's documents, files or flags: exit code 1.
    #[error("{0}")]
    Input(String),
    /// The system or ourselves: exit code 70.
    #[error("{0}")]
    Internal(String),
}

impl From<std::io::Error> for RunError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        Self::Input(error.to_string())
    }
}

/// Runs the sidecar until it is told to stop. `serving` is called once it serves, with the addresses that peers come by, in the
/// order of the arguments.
///
/// # Errors
/// It cannot start, or something of its own breaks.
pub fn run(arguments: &RunArgs, serving: impl FnOnce(&[SocketAddr])) -> Result<ExitCode, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().thread_name("control").enable_all().build()?;
    let result = runtime.block_on(control(arguments, serving));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn control(arguments: &RunArgs, serving: impl FnOnce(&[SocketAddr])) -> Result<ExitCode, RunError> {
    let (mut stop, mut interrupted, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let open_files_max = raise_open_files_limit();
    let files = arguments.workload_files();
    let read = watch::channel(looked_at(arguments, &files)).0;
    let workload = Arc::new(Workload::open(files.clone(), SystemTime::now()).map_err(RunError::Input)?);
    let rules = Arc::new(rules(&arguments.config, workload.id()).map_err(RunError::Input)?);
    if rules.is_empty() {
        tracing::warn!(workload = %workload.id(), "no WorkloadPolicy names this workload: nobody may call it");
    }
    let tls = workload.inbound().map_err(|error| RunError::Internal(error.to_string()))?;
    let count = arguments.workers.max(1);
    let metrics = MetricsSource::new(count);
    let (enter, phase) = watch::channel(Phase::Serving);
    let reporting = Reporting::new(phase.clone());
    let measure = Arc::new(Measure::new(count, Instant::now()));
    tokio::spawn(report::keep(Arc::clone(&measure), reporting.clone(), arguments.engine_metrics.clone(), phase));
    let listener = TcpListener::bind(arguments.admin).await.map_err(|error| {
        RunError::Input(format!("cannot listen on `{}` for the admin pages: {error}", arguments.admin))
    })?;
    let admin = listener.local_addr()?;
    let admissions = ConnectionLimits::new(LimitSpec {
        connections_max: arguments.connections_max,
        handshakes_per_source_max: HANDSHAKES_PER_SOURCE_MAX,
    });
    Catalogue::show_connections(&metrics.registry, Arc::clone(&admissions));
    show_load(&metrics, &reporting);
    let shared = Shared { metrics: metrics.clone(), measure, reporting, admissions };
    let (workers, inbound) = workers(arguments, &tls, &rules, &shared)?;
    let state = Arc::new(State {
        workload: Arc::clone(&workload),
        has_policy: AtomicBool::new(!rules.is_empty()),
        is_draining: AtomicBool::new(false),
        workers: workers.iter().map(|worker| worker.commands.clone()).collect(),
    });
    show_identity(&metrics, &workload);
    let (_stop_pages, stopped) = watch::channel(false);
    tokio::spawn(pages::serve(listener, admin::pages(Arc::clone(&state), Arc::clone(&metrics.registry)), stopped));
    tracing::info!(workload = %workload.id(), %admin, workers = workers.len(), open_files_max, "serving peers");
    serving(&inbound);

    let (changed, mut changes) = mpsc::channel(1);
    tokio::spawn(watch(read.subscribe(), changed));
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = interrupted.recv() => break,
            _ = hangup.recv() => {}
            Some(()) = changes.recv() => {}
        }
        read.send_replace(looked_at(arguments, &files));
        match reload(arguments, &workload) {
            Ok(rules) => {
                state.has_policy.store(!rules.is_empty(), Relaxed);
                for worker in &workers {
                    let _ = worker.commands.send(Command::Rules(Arc::clone(&rules)));
                }
                tracing::info!("identity and rules were read again");
            }
            Err(error) => tracing::error!(%error, "what was read is refused; what was in force stays"),
        }
    }
    // Said in reports before readiness drops, so that nobody is sent here who would find the door closed.
    enter.send_replace(Phase::Draining);
    state.is_draining.store(true, Relaxed);
    drain(workers, Duration::from_secs(arguments.grace)).await;
    enter.send_replace(Phase::Stopped);
    Ok(ExitCode::SUCCESS)
}

/// Adds how the server is to every page.
fn show_load(metrics: &MetricsSource, reporting: &Reporting) {
    let reporting = reporting.clone();
    metrics.registry.collect(move |page| report::write(page, &reporting.told()));
}

/// Adds to every page until when this workload can prove who it is.
fn show_identity(metrics: &MetricsSource, workload: &Arc<Workload>) {
    let workload = Arc::clone(workload);
    Catalogue::show_certificates(&metrics.registry, move || {
        workload.expires_at().map(|expiry| (workload.id().to_string(), expiry)).into_iter().collect()
    });
}

/// What is read, as it looks now.
fn looked_at(arguments: &RunArgs, files: &WorkloadFiles) -> Watched {
    let mut watched = Watched::default();
    watched.look(arguments.config.clone());
    watched.look(files.paths());
    watched
}

/// Reads everything again. Nothing changes unless all of it can be used.
fn reload(arguments: &RunArgs, workload: &Workload) -> Result<Arc<WorkloadRules>, String> {
    let rules = rules(&arguments.config, workload.id())?;
    workload.read_again(SystemTime::now())?;
    Ok(Arc::new(rules))
}

/// What documents say of this workload, or everything that is wrong with them. What only an edge would enforce is none of
/// our business.
fn rules(paths: &[PathBuf], id: &SpiffeId) -> Result<WorkloadRules, String> {
    let report = check(paths);
    let refusals: Vec<_> =
        report.refusals(true).filter(|diagnostic| diagnostic.class == Class::Document).cloned().collect();
    if !refusals.is_empty() {
        return Err(diagnostics::text(&refusals, false));
    }
    Ok(WorkloadRules::of(&report.snapshot, id))
}

fn workers(
    arguments: &RunArgs,
    tls: &Mutual,
    rules: &Arc<WorkloadRules>,
    shared: &Shared,
) -> Result<(Vec<WorkerHandle>, Vec<SocketAddr>), RunError> {
    let count = arguments.workers.max(1);
    let mut sockets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for port in &arguments.inbound {
        let bound = bind(port.listen, count)?;
        for (of_worker, socket) in sockets.iter_mut().zip(bound) {
            let address = socket.local_addr()?;
            tracing::info!(%address, server = %port.server, "inbound");
            let inbound = Inbound { port: address.port(), server: port.server, tls: tls.clone() };
            of_worker.push((inbound, socket));
            addresses.push(address);
        }
    }
    let spawn = |(index, inbound)| worker::spawn(index, inbound, Arc::clone(rules), shared.clone());
    let workers = sockets.into_iter().enumerate().map(spawn).collect::<Result<_, _>>()?;
    addresses.dedup();
    Ok((workers, addresses))
}

/// Lets what is open finish, for so long at most.
async fn drain(workers: Vec<WorkerHandle>, grace: Duration) {
    tracing::info!("stopping: what is open may finish");
    let drained = workers.iter().map(|worker| {
        let (done, drained) = oneshot::channel();
        let _ = worker.commands.send(Command::Drain(done));
        drained
    });
    if timeout(grace, join_all(drained)).await.is_err() {
        tracing::warn!(grace_s = grace.as_secs(), "what is still open is cut");
    }
}
