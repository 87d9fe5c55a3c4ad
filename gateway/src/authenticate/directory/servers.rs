//! The servers of a directory: which of them can be asked, and connections to them that are kept.
//!
//! Two pools for each server, because they mean different things: connections bound as the gateway's own account, which
//! search, and connections on which people's passwords are tried, which never do. A server is judged by what came of
//! asking it; one that failed is left alone until a check in the background finds it well again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{
    entry::Entry,
    failure::{Failure, bind_word, code},
    messages::{Outcome, Search},
    password::Password,
    wire::{Target, Wire},
};
use crate::random::Random;

/// Connections that search, to one server.
const SEARCHERS_MAX: usize = 4;
/// Connections that try passwords, to one server.
const BINDERS_MAX: usize = 4;
/// Waiting for one of these.
const PLACE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that lay idle for longer is closed.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// A server that nobody asked for so long is asked how it is.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// How long a server that failed is left alone at first; twice as long each time.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
/// The longest.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// How long nothing is tried after the gateway's own password was refused: each attempt brings its account nearer to
/// being locked.
const ACCOUNT_PAUSE: Duration = Duration::from_mins(2);

/// The servers, in the order in which they are preferred.
#[derive(Debug)]
pub(super) struct Servers {
    servers: Vec<Server>,
    account: Option<(Arc<str>, Password)>,
}

#[derive(Debug)]
struct Server {
    target: Target,
    health: Mutex<Health>,
    searchers: Pool,
    binders: Pool,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    /// Not asked before; `None`: well, or never asked.
    left_alone_until: Option<Instant>,
    /// When it answered.
    answered: Option<Instant>,
    last_failure: String,
}

#[derive(Debug)]
struct Pool {
    idle: Mutex<Vec<(Wire, Instant)>>,
    places: Semaphore,
}

/// A connection and its place in the pool. Dropped, the connection is closed.
#[derive(Debug)]
struct Lent<'s> {
    server: &'s Server,
    wire: Wire,
    reused: bool,
    _place: SemaphorePermit<'s>,
}

/// A connection that searches.
#[derive(Debug)]
pub(super) struct Searcher<'s> {
    lent: Lent<'s>,
    /// Whether it is bound as the gateway's account. Bound as a person, it is closed after use.
    of_account: bool,
}

/// A connection on which passwords are tried. It cannot search.
#[derive(Debug)]
pub(super) struct Binder<'s>(Lent<'s>);

impl Servers {
    pub(super) fn new(targets: Vec<Target>, account: Option<(Arc<str>, Password)>) -> Self {
        let server = |target| Server {
            target,
            health: Mutex::default(),
            searchers: Pool::new(SEARCHERS_MAX),
            binders: Pool::new(BINDERS_MAX),
        };
        Self { servers: targets.into_iter().map(server).collect(), account }
    }

    /// How many servers there are.
    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there is an account of the gateway's own.
    pub(super) const fn has_account(&self) -> bool {
        self.account.is_some()
    }

    /// How many servers answered when they were last asked.
    pub(super) fn up(&self) -> usize {
        self.servers.iter().filter(|server| server.is_up() && lock(&server.health).answered.is_some()).count()
    }

    /// A connection of the first server that is well, bound as the gateway's account.
    pub(super) async fn searcher(&self) -> Result<Searcher<'_>, Failure> {
        let Some((dn, password)) = &self.account else {
            return Err(Failure::Unfit("there is no `bind`, so nobody can be looked up".to_owned()));
        };
        let mut last = None;
        for server in self.servers.iter().filter(|server| server.is_up()) {
            match server.searcher(dn, password).await {
                Ok(lent) => return Ok(Searcher { lent, of_account: true }),
                Err(failure) => last = Some(self.failed(server, failure)),
            }
        }
        Err(self.none(last))
    }

    /// A connection of the first server that is well, to try a password on.
    pub(super) async fn binder(&self) -> Result<Binder<'_>, Failure> {
        let mut last = None;
        for server in self.servers.iter().filter(|server| server.is_up()) {
            match server.lend(&server.binders).await {
                Ok(lent) => return Ok(Binder(lent)),
                Err(failure) => last = Some(self.failed(server, failure)),
            }
        }
        Err(self.none(last))
    }

    /// Takes note of what came of a connection.
    fn failed(&self, server: &Server, failure: Failure) -> Failure {
        if matches!(failure, Failure::Account { .. }) {
            // It would be refused by the others, too.
            for server in &self.servers {
                server.failed(&failure, ACCOUNT_PAUSE);
            }
        } else if failure.is_of_server() {
            server.failed(&failure, server.back_off());
        }
        failure
    }

    fn none(&self, last: Option<Failure>) -> Failure {
        last.unwrap_or_else(|| {
            let failures = self.servers.iter().map(|server| {
                let health = lock(&server.health);
                format!("{}:{}: {}", server.target.host, server.target.port, health.last_failure)
            });
            Failure::NoServer(failures.collect::<Vec<_>>().join("; "))
        })
    }

    /// Looks after the servers that are due: those left alone long enough, and those not asked for a while.
    pub(super) async fn check(&self) {
        join_all(self.servers.iter().map(|server| self.check_one(server))).await;
    }

    async fn check_one(&self, server: &Server) {
        server.searchers.close_idle();
        server.binders.close_idle();
        if !server.is_due() {
            return;
        }
        let checked = match &self.account {
            Some((dn, password)) => server.fresh_searcher(dn, password).await.map(|lent| {
                Searcher { lent, of_account: true }.give_back();
            }),
            None => server.fresh(&server.binders).await.map(|lent| Binder(lent).give_back()),
        };
        match checked {
            Ok(()) => server.well(),
            Err(failure) => {
                let word = failure.word();
                let first = lock(&server.health).failures == 0;
                let failure = self.failed(server, failure);
                let Target { host, port, .. } = &server.target;
                if first {
                    tracing::warn!(%host, port, word, error = %failure, "a directory server cannot be asked");
                }
            }
        }
    }
}

impl Server {
    fn is_up(&self) -> bool {
        lock(&self.health).left_alone_until.is_none()
    }

    fn is_due(&self) -> bool {
        let health = lock(&self.health);
        match health.left_alone_until {
            Some(until) => until <= Instant::now(),
            None => health.answered.is_none_or(|at| at.elapsed() >= CHECK_INTERVAL),
        }
    }

    fn well(&self) {
        let mut health = lock(&self.health);
        if health.left_alone_until.is_some() {
            let Target { host, port, .. } = &self.target;
            tracing::info!(%host, port, "a directory server answers again");
        }
        *health = Health { answered: Some(Instant::now()), ..Health::default() };
    }

    fn failed(&self, failure: &Failure, pause: Duration) {
        {
            let mut health = lock(&self.health);
            health.failures = health.failures.saturating_add(1);
            health.left_alone_until = Some(Instant::now() + pause);
            health.last_failure = failure.to_string();
        }
        // What is open to it may be as dead as what failed.
        self.searchers.close_all();
        self.binders.close_all();
    }

    fn back_off(&self) -> Duration {
        let failures = lock(&self.health).failures;
        let pause = BACK_OFF_MIN.saturating_mul(1 << failures.min(10)).min(BACK_OFF_MAX);
        // Between three and five quarters of it, so that gateways do not come back all at once.
        pause.mul_f64(0.75 + Random::from_os().below(500) as f64 / 1000.0)
    }

    async fn searcher(&self, dn: &str, password: &Password) -> Result<Lent<'_>, Failure> {
        let place = self.place(&self.searchers).await?;
        match self.searchers.take() {
            Some(wire) => Ok(Lent { server: self, wire, reused: true, _place: place }),
            None => self.connect(dn, password, place).await,
        }
    }

    async fn fresh_searcher(&self, dn: &str, password: &Password) -> Result<Lent<'_>, Failure> {
        let place = self.searchers.place().await?;
        self.connect(dn, password, place).await
    }

    async fn connect<'s>(
        &'s self,
        dn: &str,
        password: &Password,
        place: SemaphorePermit<'s>,
    ) -> Result<Lent<'s>, Failure> {
        let mut wire = Wire::connect(&self.target).await?;
        let Outcome { code, text, .. } = wire.bind(dn, password.bytes()).await?;
        match code {
            code::SUCCESS => Ok(Lent { server: self, wire, reused: false, _place: place }),
            code if bind_word(code, &text).is_some() => Err(Failure::Account { code, text }),
            code => Err(Failure::Code { code, text }),
        }
    }

    async fn lend<'s>(&'s self, pool: &'s Pool) -> Result<Lent<'s>, Failure> {
        let place = self.place(pool).await?;
        match pool.take() {
            Some(wire) => Ok(Lent { server: self, wire, reused: true, _place: place }),
            None => {
                let wire = Wire::connect(&self.target).await?;
                Ok(Lent { server: self, wire, reused: false, _place: place })
            }
        }
    }

    async fn fresh<'s>(&'s self, pool: &'s Pool) -> Result<Lent<'s>, Failure> {
        let place = pool.place().await?;
        let wire = Wire::connect(&self.target).await?;
        Ok(Lent { server: self, wire, reused: false, _place: place })
    }

    /// A place in the pool. The server may have failed while this waited.
    async fn place<'s>(&self, pool: &'s Pool) -> Result<SemaphorePermit<'s>, Failure> {
        let place = pool.place().await?;
        if self.is_up() { Ok(place) } else { Err(Failure::NoServer(lock(&self.health).last_failure.clone())) }
    }
}

impl Pool {
    fn new(places: usize) -> Self {
        Self { idle: Mutex::default(), places: Semaphore::new(places) }
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let busy = || Failure::NoServer("all connections are busy".to_owned());
        timeout(PLACE_TIMEOUT, self.places.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// The one that was used last: the others may go.
    fn take(&self) -> Option<Wire> {
        let (wire, since) = lock(&self.idle).pop()?;
        (since.elapsed() < IDLE_MAX).then_some(wire)
    }

    fn give_back(&self, wire: Wire) {
        lock(&self.idle).push((wire, Instant::now()));
    }

    fn close_idle(&self) {
        lock(&self.idle).retain(|(_, since)| since.elapsed() < IDLE_MAX);
    }

    fn close_all(&self) {
        lock(&self.idle).clear();
    }
}

impl<'s> Searcher<'s> {
    /// All entries that a search finds.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Vec<Entry>, Failure> {
        self.lent.wire.search(search).await
    }

    /// The first entries that a search finds, and whether there are more.
    pub(super) async fn first(&mut self, search: &Search<'_>) -> Result<(Vec<Entry>, bool), Failure> {
        self.lent.wire.first(search).await
    }

    /// Nothing failed: it is kept for the next one, unless it is bound as a person.
    pub(super) fn give_back(self) {
        self.lent.server.well();
        if self.of_account {
            self.lent.server.searchers.give_back(self.lent.wire);
        }
    }

    /// Something failed. Says whether to try again: another server may do better, or a new connection.
    pub(super) fn failed(self, servers: &Servers, failure: &Failure) -> bool {
        self.lent.failed(servers, failure)
    }

    /// The same connection, to try a password on. It forgets who it was bound as.
    pub(super) fn into_binder(self) -> Binder<'s> {
        Binder(self.lent)
    }
}

impl<'s> Binder<'s> {
    /// Tries a password.
    pub(super) async fn bind(&mut self, dn: &str, password: &Password) -> Result<Outcome, Failure> {
        self.0.wire.bind(dn, password.bytes()).await
    }

    /// Nothing failed: it is kept for the next password.
    pub(super) fn give_back(self) {
        self.0.server.well();
        self.0.server.binders.give_back(self.0.wire);
    }

    /// See [`Searcher::failed`].
    pub(super) fn failed(self, servers: &Servers, failure: &Failure) -> bool {
        self.0.failed(servers, failure)
    }

    /// Searches as the person whose password was just taken. Closed afterwards.
    pub(super) fn into_searcher(self) -> Searcher<'s> {
        Searcher { lent: self.0, of_account: false }
    }
}

impl Lent<'_> {
    fn failed(self, servers: &Servers, failure: &Failure) -> bool {
        if self.reused && failure.is_broken_connection() {
            // The server may have closed it while it lay idle, and the others like it.
            self.server.searchers.close_all();
            self.server.binders.close_all();
            return true;
        }
        if !failure.is_of_server() {
            return false;
        }
        self.server.failed(failure, self.server.back_off());
        servers.servers.iter().any(Server::is_up)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
