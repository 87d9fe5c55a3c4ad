//! One worker: a thread, a runtime, its own listening sockets and connections, as at the edge.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use portcullis_mesh::{
    connections::Connections,
    drain::Drain,
    http::Limits,
    listen::{Afterwards, ConnectionLimits},
    load::{Label, Measure, Measuring, measure::MEASURED_LABELS_MAX},
    random::Random,
    telemetry::{Gauge, watch_lag},
    wall::WallClock,
};
use portcullis_policy::authorize::WorkloadRules;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use crate::{
    connection::{self, Inbound},
    metrics::{Metrics, MetricsSource},
    permission::{Open, RECHECK_INTERVAL},
    report::Reporting,
};

/// How often idle connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What every exchange on one core shares.
pub struct Worker {
    /// Connections to the server.
    pub connections: Connections,
    /// Where it counts.
    pub metrics: Metrics,
    /// Bounds of peers' connections.
    pub limits: Limits,
    /// How many connections are let in, on all workers together.
    pub admissions: Arc<ConnectionLimits>,
    /// Asks connections to finish.
    pub drain: Drain,
    /// Where exchanges are measured.
    pub measuring: Measuring,
    /// What is told of the server.
    pub reporting: Reporting,
    measure: Arc<Measure>,
    /// Labels that were looked up once.
    labels: RefCell<HashMap<Box<str>, Label>>,
    /// What is judged again while it is open.
    pub open: Open,
    rules: RefCell<Current>,
    random: Random,
    /// Looked at anew every [`SWEEP_INTERVAL`].
    wall: WallClock,
}

/// The rules in force, counted on this core: an exchange that takes them touches no memory that other cores write.
pub type Current = Rc<Arc<WorkloadRules>>;

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

/// What every worker shares with the control thread.
#[derive(Clone)]
pub struct Shared {
    /// Every metric.
    pub metrics: MetricsSource,
    /// Every measured exchange.
    pub measure: Arc<Measure>,
    /// What is told of the server.
    pub reporting: Reporting,
    /// How many connections are let in, on all workers together.
    pub admissions: Arc<ConnectionLimits>,
}

/// What control work asks of a worker.
#[derive(Debug)]
pub enum Command {
    /// These are the rules from now on.
    Rules(Arc<WorkloadRules>),
    /// Say that you are alive.
    Alive(oneshot::Sender<()>),
    /// Accept no more, finish what is open. Acknowledged when nothing is.
    Drain(oneshot::Sender<()>),
}

/// A worker's thread, seen from outside.
#[derive(Debug)]
pub struct WorkerHandle {
    /// Takes commands.
    pub commands: mpsc::UnboundedSender<Command>,
    /// The thread.
    pub thread: JoinHandle<()>,
}

impl Worker {
    /// The rules in force. An exchange asks once.
    pub fn rules(&self) -> Current {
        self.rules.borrow().clone()
    }

    /// The label of a model. Looked up once: whoever sends ever new names is measured as `other`.
    pub fn label(&self, model: &str) -> Label {
        let mut labels = self.labels.borrow_mut();
        if let Some(known) = labels.get(model) {
            return *known;
        }
        let label = self.measure.label(model);
        if labels.len() <= MEASURED_LABELS_MAX {
            labels.insert(model.into(), label);
        }
        label
    }

    /// Milliseconds from 1970 to `now`.
    pub fn unix_ms(&self, now: Instant) -> u64 {
        self.wall.unix_ms(now)
    }

    /// Bits for an identifier.
    pub fn random_bits(&self) -> u128 {
        u128::from(self.random.next()) << 64 | u128::from(self.random.next())
    }
}

/// Starts a worker on a thread of its own, with these inbound ports and their sockets.
///
/// # Errors
/// There can be no further thread.
pub fn spawn(
    index: usize,
    inbound: Vec<(Inbound, std::net::TcpListener)>,
    rules: Arc<WorkloadRules>,
    shared: Shared,
) -> std::io::Result<WorkerHandle> {
    let Shared { metrics, measure, reporting, admissions } = shared;
    let lag = metrics.catalogue.loop_lag(index);
    let (commands, inbox) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = match builder.enable_all().build_local(tokio::runtime::LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "a worker could not start");
                return;
            }
        };
        let (Some(of_worker), Some(measuring)) = (metrics.for_worker(index), measure.worker(index)) else { return };
        let worker = Rc::new(Worker {
            metrics: of_worker,
            measuring,
            measure,
            reporting,
            labels: RefCell::default(),
            connections: Connections::default(),
            limits: Limits::default(),
            admissions,
            drain: Drain::default(),
            open: Open::default(),
            rules: RefCell::new(Rc::new(rules)),
            random: Random::from_os(),
            wall: WallClock::new(),
        });
        runtime.block_on(run(worker, lag, inbound, inbox));
    })?;
    Ok(WorkerHandle { commands, thread })
}

async fn run(
    worker: Rc<Worker>,
    lag: Gauge,
    inbound: Vec<(Inbound, std::net::TcpListener)>,
    mut inbox: mpsc::UnboundedReceiver<Command>,
) {
    let sweeper = worker.clone();
    spawn_local(async move {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            sweeper.wall.look();
            sweeper.connections.sweep(Instant::now());
        }
    });
    let watched = worker.clone();
    spawn_local(async move { watch_lag(watched.metrics.shard(), lag).await });
    let judged = worker.clone();
    spawn_local(async move {
        loop {
            tokio::time::sleep(RECHECK_INTERVAL).await;
            judged.open.judge_again(&judged.rules(), SystemTime::now());
        }
    });
    let mut listening = Vec::new();
    for (inbound, socket) in inbound {
        let (stop, stopped) = oneshot::channel();
        let accepting = spawn_local(connection::accept(worker.clone(), Rc::new(inbound), socket, stopped));
        listening.push((stop, accepting));
    }
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Rules(rules) => {
                worker.open.judge_again(&rules, SystemTime::now());
                *worker.rules.borrow_mut() = Rc::new(rules);
            }
            Command::Alive(answer) => {
                let _ = answer.send(());
            }
            Command::Drain(done) => {
                let closing = listening.drain(..).map(|(stop, accepting)| async move {
                    let _ = stop.send(Afterwards::Nobody);
                    let _ = accepting.await;
                });
                join_all(closing).await;
                worker.drain.begin();
                poll_fn(|cx| worker.drain.poll_empty(cx)).await;
                let _ = done.send(());
            }
        }
    }
}
