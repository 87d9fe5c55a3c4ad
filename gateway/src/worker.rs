//! One worker: a thread, a runtime, its own listeners and its own connections. Nothing on the hot path is shared.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use foldhash::HashMap;
use futures_util::future::join_all;
use portcullis_mesh::{
    connections::Connections,
    drain::Drain,
    http::Limits,
    listen::{Afterwards, ConnectionLimits},
    telemetry::{Gauge, watch_lag},
    wall::WallClock,
};
use portcullis_policy::guard::{lanes::stream, screen};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle as TaskHandle, spawn_local},
};

use crate::{
    authenticate::{failures::Failures, remembered::Remembered},
    connection::{self, Doorway},
    live::{Live, PortKey},
    metrics::{Metrics, MetricsSource},
    permission::{self, AllWatched, RECHECK_INTERVAL},
    random::Random,
    screening::PlaceholderSecret,
    shadow::{Beside, Shadow},
    sockets::SocketKey,
    upstream_identity::{SigningKeys, UpstreamIdentity},
};

/// How often idle connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What every exchange on one core shares.
#[derive(Debug)]
pub struct Worker {
    /// Its place among the workers, from 0.
    pub index: usize,
    /// Connections to endpoints.
    pub connections: Connections,
    /// Where it counts.
    pub metrics: Metrics,
    /// Credentials that were judged a moment ago.
    pub remembered: RefCell<Remembered>,
    /// Tells backends of callers.
    pub identity: UpstreamIdentity,
    /// What placeholders of personal data are made with.
    pub placeholders: PlaceholderSecret,
    /// What the screening of whole texts uses again and again.
    pub screening_texts: RefCell<screen::Scratch>,
    /// What the screening of event streams does.
    pub screening_events: RefCell<stream::Scratch>,
    /// Whose credentials fail.
    pub failures: Failures,
    /// Exchanges whose answers go on.
    pub watched: AllWatched,
    /// A second set of documents, asked and not heeded.
    pub shadow: Beside,
    /// For weights and mirrors.
    pub random: Random,
    /// Copies to mirrors in flight.
    pub mirrors: Cell<usize>,
    /// Bounds of downstream connections.
    pub limits: Limits,
    /// How many connections are let in, on all workers together.
    pub admissions: Arc<ConnectionLimits>,
    /// Counts connections. Those who ask them to finish are the doorways by which they came.
    pub drain: Drain,
    live: RefCell<Current>,
    /// Looked at anew every [`SWEEP_INTERVAL`].
    wall: WallClock,
}

/// The revision in force, counted on this core: an exchange that takes it touches no line of memory that other cores
/// write.
pub type Current = Rc<Arc<Live>>;

/// What control work asks of a worker.
pub enum Command {
    /// This is the revision from now on, and these addresses stand for other ports.
    Live(Arc<Live>, Vec<(SocketKey, PortKey)>),
    /// This second set of documents is asked from now on.
    Shadow(Arc<Shadow>),
    /// Accept connections here, for this port. Acknowledged when it does.
    Listen(SocketKey, PortKey, std::net::TcpListener, oneshot::Sender<()>),
    /// Accept no more connections here; what waits in the queue is taken first. Those who came in may finish.
    Unlisten(SocketKey),
    /// Forget who showed which credential, and judge again what goes on.
    Forget,
    /// Accept no more, finish what is open. Acknowledged when nothing is.
    Drain(Afterwards, oneshot::Sender<()>),
    /// How many connections are open.
    Count(oneshot::Sender<usize>),
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
    /// The revision in force. An exchange asks once.
    pub fn live(&self) -> Current {
        self.live.borrow().clone()
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

/// Starts a worker on a thread of its own.
pub fn spawn(
    index: usize,
    live: Arc<Live>,
    metrics: MetricsSource,
    limits: Limits,
    admissions: Arc<ConnectionLimits>,
    keys: Arc<SigningKeys>,
    placeholders: PlaceholderSecret,
) -> std::io::Result<WorkerHandle> {
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
        let Some(metrics) = metrics.for_worker(index) else { return };
        let worker = Rc::new(Worker {
            index,
            connections: Connections::default(),
            metrics,
            remembered: RefCell::default(),
            identity: UpstreamIdentity::new(keys),
            placeholders,
            screening_texts: RefCell::default(),
            screening_events: RefCell::default(),
            failures: Failures::default(),
            watched: AllWatched::default(),
            shadow: Beside::default(),
            random: Random::from_os(),
            mirrors: Cell::new(0),
            limits,
            admissions,
            drain: Drain::default(),
            live: RefCell::new(Rc::new(live)),
            wall: WallClock::new(),
        });
        runtime.block_on(run(worker, lag, inbox));
    })?;
    Ok(WorkerHandle { commands, thread })
}

async fn run(worker: Rc<Worker>, lag: Gauge, mut inbox: mpsc::UnboundedReceiver<Command>) {
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
            permission::recheck(&judged, Instant::now(), SystemTime::now());
        }
    });
    let mut open: HashMap<SocketKey, Vec<Listening>> = HashMap::default();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Live(live, renamed) => {
                for (key, port) in renamed {
                    for listening in open.get(&key).into_iter().flatten() {
                        *listening.doorway.port.borrow_mut() = port.clone();
                    }
                }
                worker.metrics.revision(&live);
                *worker.live.borrow_mut() = Rc::new(live);
            }
            Command::Shadow(shadow) => worker.shadow.replace(shadow),
            Command::Listen(key, port, socket, ready) => {
                open.entry(key).or_default().push(Listening::new(&worker, port, socket));
                let _ = ready.send(());
            }
            Command::Unlisten(key) => {
                for listening in open.remove(&key).into_iter().flatten() {
                    spawn_local(listening.close(Afterwards::Nobody));
                }
            }
            Command::Forget => {
                worker.remembered.borrow_mut().forget();
                permission::ask_again(&worker);
            }
            Command::Drain(afterwards, done) => {
                let closing: Vec<_> = open.drain().flat_map(|(_, all)| all).map(|it| it.close(afterwards)).collect();
                let worker = worker.clone();
                spawn_local(async move {
                    join_all(closing).await;
                    poll_fn(|cx| worker.drain.poll_empty(cx)).await;
                    let _ = done.send(());
                });
            }
            Command::Count(count) => {
                let _ = count.send(worker.drain.taken());
            }
        }
    }
}

/// A socket that connections are accepted from.
struct Listening {
    doorway: Rc<Doorway>,
    stop: oneshot::Sender<Afterwards>,
    accepting: TaskHandle<()>,
}

impl Listening {
    fn new(worker: &Rc<Worker>, port: PortKey, socket: std::net::TcpListener) -> Self {
        let doorway = Rc::new(Doorway { port: RefCell::new(port), drain: Drain::default() });
        let (stop, stopped) = oneshot::channel();
        let accepting = spawn_local(connection::accept(worker.clone(), doorway.clone(), socket, stopped));
        Self { doorway, stop, accepting }
    }

    /// Closes the socket once its queue is empty, then asks whoever came in to finish.
    async fn close(self, afterwards: Afterwards) {
        let _ = self.stop.send(afterwards);
        let _ = self.accepting.await;
        self.doorway.drain.begin();
    }
}
