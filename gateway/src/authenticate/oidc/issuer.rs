//! An issuer's keys, kept fresh: fetched in the background, replaced at once, and good for a stated time while the issuer
//! cannot be asked.
//!
//! Whoever verifies a credential takes no lock and waits for nothing, as long as its key is known. A credential by an unknown
//! key makes the keys be fetched again: once for all who wait, and no sooner than [`REFETCH_COOLDOWN`] after the last time,
//! whatever came of that. So strangers cannot make us ask the issuer more often, and keys that changed are learnt of at once.
//! A set that is refused changes nothing: the old one stays, and the log and the metrics say so.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, StatusCode, header::IF_NONE_MATCH};
use portcullis_policy::snapshot::{Algorithm, KeySource, OidcProvider as Spec};
use serde_json::{Map, Value};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::keys::KeySet;
use crate::{
    authenticate::json,
    fetch::{HttpsClient, HttpsUrl, Response},
    random::Random,
};

/// Keys are fetched again no later than this, whatever their server says of how long they may be kept.
pub const REFRESH_INTERVAL_MAX: Duration = Duration::from_mins(15);
/// And no sooner than this.
pub const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Where the server does not say.
const REFRESH_INTERVAL_DEFAULT: Duration = Duration::from_mins(5);
/// After a failed attempt the next one waits this long; each further failure doubles it…
const RETRY_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// … up to this.
const RETRY_INTERVAL_MAX: Duration = Duration::from_mins(1);
/// Between two attempts that unknown keys bring about, however the first one ended.
pub const REFETCH_COOLDOWN: Duration = Duration::from_secs(10);
/// How long a request waits for keys.
pub const KEYS_WAIT: Duration = Duration::from_secs(3);
/// A discovery document is read again after this time.
const DISCOVERY_INTERVAL: Duration = Duration::from_hours(1);

/// Every change of any issuer's keys has a number of its own, so that none is taken for another across revisions.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// An issuer, with what is known of its keys.
#[derive(Debug)]
pub struct Issuer {
    /// Its name: an https URL.
    name: Arc<str>,
    source: KeySource,
    algorithms: Vec<Algorithm>,
    stale: Duration,
    client: HttpsClient,
    /// Whether somebody needs the discovery document: for keys, or for where to introspect.
    needs_discovery: bool,
    held: ArcSwapOption<Held>,
    discovered: ArcSwapOption<Discovered>,
    rounds: watch::Sender<Rounds>,
    wanted: Notify,
    outcomes: Outcomes,
    /// What the last attempt failed of, if it did.
    trouble: ArcSwapOption<String>,
}

/// Keys in force.
#[derive(Debug, Clone)]
pub struct Held {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// Another one whenever the keys are.
    pub generation: u64,
    /// When the issuer last said that these are its keys; `None`: a file says so, and files do not age.
    confirmed: Option<Instant>,
    etag: Option<HeaderValue>,
}

/// What a discovery document says.
#[derive(Debug, Clone)]
struct Discovered {
    keys: Option<HttpsUrl>,
    introspection: Option<HttpsUrl>,
    /// When; `None`: too long ago, or not to be relied upon.
    read: Option<Instant>,
}

/// How attempts to fetch keys went.
#[derive(Debug, Clone, Copy, Default)]
struct Rounds {
    /// How many have ended.
    ended: u64,
    /// When the last one began that an unknown key has brought about.
    wanted: Option<Instant>,
    is_running: bool,
    /// Failures in a row.
    failures: u32,
    /// When the next one is due by itself.
    due: Option<Instant>,
}

/// What attempts came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Other keys.
    Changed,
    /// The same.
    Unchanged,
    /// There is a set, and it was refused.
    Refused,
    /// There is none.
    Failed,
}

/// Counted since the process began or the issuer was first named, in the order of [`Outcome`].
#[derive(Debug, Default)]
struct Outcomes([AtomicU64; 4]);

/// How an issuer is, for metrics and pages.
#[derive(Debug, Clone)]
pub struct Status {
    /// Since its keys were last confirmed; `None`: there are none, or a file says so.
    pub age: Option<Duration>,
    /// How many there are.
    pub keys: usize,
    /// Their number.
    pub generation: u64,
    /// What the last attempt failed of, if it did.
    pub last_error: Option<Arc<String>>,
    /// Attempts so far, by what they came to.
    pub fetches: [(Outcome, u64); 4],
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Changed, Self::Unchanged, Self::Refused, Self::Failed];

    /// A word for metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Why an attempt brought no keys.
struct Failure {
    outcome: Outcome,
    reason: String,
}

impl Issuer {
    /// Reads what is in files. Keys that `previous` holds and would be fetched from the same place are kept.
    pub fn new(spec: &Spec, previous: Option<&Self>) -> Result<Self, String> {
        HttpsUrl::parse(&spec.issuer).map_err(|error| error.to_string())?;
        let introspects = spec.introspection.as_ref().is_some_and(|client| client.endpoint.is_none());
        let same = previous.filter(|previous| {
            previous.name == spec.issuer && previous.source == spec.keys && previous.algorithms == spec.algorithms
        });
        let issuer = Self {
            name: Arc::clone(&spec.issuer),
            source: spec.keys.clone(),
            algorithms: spec.algorithms.clone(),
            stale: spec.cache.stale,
            client: HttpsClient::new(spec.trust.as_deref())?,
            needs_discovery: spec.keys == KeySource::Discovery || introspects,
            held: ArcSwapOption::new(same.and_then(|same| same.held.load_full())),
            discovered: ArcSwapOption::new(same.and_then(|same| same.discovered.load_full())),
            rounds: watch::Sender::new(same.map(Self::rounds_left).unwrap_or_default()),
            wanted: Notify::new(),
            outcomes: Outcomes(std::array::from_fn(|index| {
                let count = same.and_then(|same| same.outcomes.0.get(index)).map(|count| count.load(Ordering::Relaxed));
                AtomicU64::new(count.unwrap_or(0))
            })),
            trouble: ArcSwapOption::new(same.and_then(|same| same.trouble.load_full())),
        };
        match &issuer.source {
            KeySource::Discovery => {}
            KeySource::Url(url) => {
                HttpsUrl::parse(url).map_err(|error| error.to_string())?;
            }
            KeySource::File(path) => issuer.read_file(path)?,
        }
        Ok(issuer)
    }

    /// What a new revision takes over: when the next attempt is due, and how the last ones went.
    fn rounds_left(&self) -> Rounds {
        Rounds { is_running: false, ..*self.rounds.borrow() }
    }

    /// The client that asks this issuer.
    pub fn client(&self) -> &HttpsClient {
        &self.client
    }

    /// Where to ask about opaque credentials, as the discovery document says.
    pub fn introspection_endpoint(&self) -> Option<HttpsUrl> {
        self.discovered.load().as_ref()?.introspection.clone()
    }

    /// The number of the keys in force; another one whenever they change. 0: there are none.
    pub fn generation(&self) -> u64 {
        self.held.load().as_ref().map_or(0, |held| held.generation)
    }

    /// Looks at the keys in force. `None`: there are none, or they have not been confirmed for too long.
    pub fn look<T>(&self, look: impl FnOnce(&KeySet) -> T) -> Option<T> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let is_good = held.confirmed.is_none_or(|confirmed| confirmed.elapsed() <= self.stale);
        is_good.then(|| look(&held.keys))
    }

    /// Waits for the attempt that is under way, or brings one about unless there was one a moment ago. Whether there has been one, so
    /// that looking again is of use.
    pub async fn refetched(&self) -> bool {
        if matches!(self.source, KeySource::File(_)) {
            return false;
        }
        let mut rounds = self.rounds.subscribe();
        let before = *rounds.borrow_and_update();
        if !before.is_running {
            if before.is_cooling() {
                return false;
            }
            self.wanted.notify_one();
        }
        matches!(timeout(KEYS_WAIT, rounds.wait_for(|now| now.ended > before.ended)).await, Ok(Ok(_)))
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let held = self.held.load();
        let held = held.as_ref();
        Status {
            age: held.and_then(|held| Some(held.confirmed?.elapsed())),
            keys: held.map_or(0, |held| held.keys.len()),
            generation: held.map_or(0, |held| held.generation),
            last_error: self.trouble.load_full(),
            fetches: Outcome::ALL.map(|outcome| (outcome, self.outcomes.count(outcome))),
        }
    }

    /// Keeps the keys fresh until it is dropped. Ends at once where there is nothing to fetch.
    pub async fn run(&self) {
        if matches!(self.source, KeySource::File(_)) && !self.needs_discovery {
            return;
        }
        let random = Random::from_os();
        loop {
            let rounds = *self.rounds.borrow();
            let is_wanted = tokio::select! {
                () = sleep_until(rounds.due.unwrap_or_else(Instant::now)) => false,
                () = self.wanted.notified() => true,
            };
            // It may have been wanted before the last attempt began, and that one has answered it.
            if is_wanted && rounds.is_cooling() {
                continue;
            }
            self.rounds.send_modify(|rounds| {
                rounds.is_running = true;
                if is_wanted {
                    rounds.wanted = Some(Instant::now());
                }
            });
            let fetched = self.fetch().await;
            let now = Instant::now();
            let pause = self.tell(&fetched);
            self.rounds.send_modify(|rounds| {
                rounds.is_running = false;
                rounds.ended += 1;
                rounds.failures = if fetched.is_ok() { 0 } else { rounds.failures.saturating_add(1) };
                let pause = pause.unwrap_or_else(|| retry_interval(rounds.failures));
                rounds.due = Some(now + scattered(pause, &random));
            });
        }
    }

    /// Counts an attempt, and says in the log what somebody should know. Gives the time until the next one, if it went well.
    fn tell(&self, fetched: &Result<(Outcome, Duration), Failure>) -> Option<Duration> {
        match fetched {
            Ok((outcome, pause)) => {
                self.outcomes.add(*outcome);
                let had_trouble = self.trouble.swap(None).is_some();
                if *outcome == Outcome::Changed || had_trouble {
                    let status = self.status();
                    tracing::info!(issuer = %self.name, keys = status.keys, generation = status.generation, "keys of the issuer are in force");
                }
                Some(*pause)
            }
            Err(Failure { outcome, reason }) => {
                self.outcomes.add(*outcome);
                self.trouble.store(Some(Arc::new(reason.clone())));
                let age = self.status().age.map(|age| age.as_secs());
                tracing::warn!(
                    issuer = %self.name, outcome = outcome.as_str(), %reason, age_seconds = age,
                    "cannot refresh the keys of the issuer; the last good ones stay in force until `cache.stale` is over"
                );
                None
            }
        }
    }

    async fn fetch(&self) -> Result<(Outcome, Duration), Failure> {
        if self.needs_discovery {
            let discovered = self.discover().await;
            // Where keys are is known otherwise: only who introspects has to wait.
            if self.source == KeySource::Discovery {
                discovered?;
            } else if let Err(Failure { reason, .. }) = discovered {
                tracing::warn!(issuer = %self.name, %reason, "cannot read the discovery document of the issuer");
            }
        }
        let url = match &self.source {
            KeySource::File(_) => return Ok((Outcome::Unchanged, DISCOVERY_INTERVAL)),
            KeySource::Url(url) => HttpsUrl::parse(url).map_err(Failure::failed)?,
            KeySource::Discovery => {
                let discovered = self.discovered.load_full();
                let keys = discovered.and_then(|discovered| discovered.keys.clone());
                keys.ok_or_else(|| Failure::refused("the discovery document names no keys"))?
            }
        };
        let held = self.held.load_full();
        let mut conditions = HeaderMap::new();
        if let Some(etag) = held.as_ref().and_then(|held| held.etag.clone()) {
            conditions.insert(IF_NONE_MATCH, etag);
        }
        let begun = Instant::now();
        let response = self.client.get(&url, conditions).await.map_err(|error| self.moved(error))?;
        let keys = match (response.status, &held) {
            (StatusCode::NOT_MODIFIED, Some(held)) => Arc::clone(&held.keys),
            (StatusCode::OK, _) => {
                let parsed = KeySet::parse(&response.body, &self.algorithms).map_err(Failure::refused)?;
                if held.as_ref().is_none_or(|held| held.keys.dropped() != parsed.dropped()) {
                    self.tell_dropped(&parsed);
                }
                Arc::new(parsed)
            }
            (status, _) => return Err(self.moved(format!("{url} answered {status}"))),
        };
        Ok(self.take(keys, &response, held.as_deref(), begun))
    }

    /// Perhaps the keys have another place now: the discovery document is read again next time.
    fn moved(&self, error: impl std::fmt::Display) -> Failure {
        if let Some(discovered) = self.discovered.load_full() {
            self.discovered.store(Some(Arc::new(Discovered { read: None, ..(*discovered).clone() })));
        }
        Failure::failed(error)
    }

    fn take(&self, keys: Arc<KeySet>, response: &Response, held: Option<&Held>, begun: Instant) -> (Outcome, Duration) {
        let same = held.filter(|held| held.keys == keys);
        let generation = same.map_or_else(next_generation, |held| held.generation);
        let bounds = (REFRESH_INTERVAL_MIN, REFRESH_INTERVAL_MAX.min(self.stale / 2).max(REFRESH_INTERVAL_MIN));
        let pause = response.max_age().unwrap_or(REFRESH_INTERVAL_DEFAULT).clamp(bounds.0, bounds.1);
        // A server need not repeat the tag when it says that nothing has changed.
        let kept =
            if response.status == StatusCode::NOT_MODIFIED { held.and_then(|held| held.etag.clone()) } else { None };
        self.held.store(Some(Arc::new(Held {
            keys,
            generation,
            // Since the question: the answer was true at some time after it.
            confirmed: Some(begun),
            etag: response.etag().cloned().or(kept),
        })));
        (if same.is_some() { Outcome::Unchanged } else { Outcome::Changed }, pause)
    }

    fn tell_dropped(&self, keys: &KeySet) {
        for dropped in keys.dropped() {
            let id = dropped.id.as_deref().unwrap_or("");
            if dropped.is_alarming {
                tracing::warn!(issuer = %self.name, kid = id, reason = dropped.reason, "a key of the issuer is not used");
            } else {
                tracing::debug!(issuer = %self.name, kid = id, reason = dropped.reason, "a key of the issuer is not used");
            }
        }
    }

    /// Reads the discovery document, unless that was done not long ago.
    async fn discover(&self) -> Result<(), Failure> {
        let known = self.discovered.load_full();
        if known.and_then(|known| known.read).is_some_and(|read| read.elapsed() < DISCOVERY_INTERVAL) {
            return Ok(());
        }
        let response = self.discovery_document().await?;
        let document =
            json::object(&response.body).ok_or_else(|| Failure::refused("the discovery document is no JSON object"))?;
        // Whoever answers here speaks for this issuer and no other (OpenID Connect Discovery §4.3, RFC 8414 §3.3).
        if document.get("issuer").and_then(Value::as_str) != Some(&*self.name) {
            return Err(Failure::refused("the discovery document is of another issuer"));
        }
        let discovered = Discovered {
            keys: url_of(&document, "jwks_uri")?,
            introspection: url_of(&document, "introspection_endpoint")?,
            read: Some(Instant::now()),
        };
        self.discovered.store(Some(Arc::new(discovered)));
        Ok(())
    }

    /// Where OpenID Connect has it, else where OAuth 2 has it (RFC 8414 §3.1).
    async fn discovery_document(&self) -> Result<Response, Failure> {
        let issuer = self.name.trim_end_matches('/');
        let openid = format!("{issuer}/.well-known/openid-configuration");
        let rest = issuer.strip_prefix("https://").unwrap_or(issuer);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let oauth = format!("https://{authority}/.well-known/oauth-authorization-server{path}");
        let mut status = StatusCode::NOT_FOUND;
        for text in [&openid, &oauth] {
            let url = HttpsUrl::parse(text).map_err(Failure::failed)?;
            let response = self.client.get(&url, HeaderMap::new()).await.map_err(Failure::failed)?;
            status = response.status;
            match status {
                StatusCode::OK => return Ok(response),
                StatusCode::NOT_FOUND => {}
                _ => break,
            }
        }
        Err(Failure::failed(format!("{openid} answered {status}")))
    }

    fn read_file(&self, path: &PathBuf) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
        let text = std::fs::read(path).map_err(|error| failed(&error))?;
        let keys = Arc::new(KeySet::parse(&text, &self.algorithms).map_err(|error| failed(&error))?);
        self.tell_dropped(&keys);
        let held = self.held.load_full();
        let same = held.filter(|held| held.keys == keys);
        let generation = same.map_or_else(next_generation, |held| held.generation);
        self.held.store(Some(Arc::new(Held { keys, generation, confirmed: None, etag: None })));
        Ok(())
    }
}

impl Rounds {
    /// Whether strangers cannot bring about another attempt yet.
    fn is_cooling(&self) -> bool {
        self.wanted.is_some_and(|wanted| wanted.elapsed() < REFETCH_COOLDOWN)
    }
}

impl Outcomes {
    fn add(&self, outcome: Outcome) {
        if let Some(count) = self.0.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Failure {
    fn failed(reason: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Failed, reason: reason.to_string() }
    }

    fn refused(reason: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Refused, reason: reason.to_string() }
    }
}

fn url_of(document: &Map<String, Value>, name: &str) -> Result<Option<HttpsUrl>, Failure> {
    match document.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => {
            HttpsUrl::parse(text).map(Some).map_err(|error| Failure::refused(format!("{name}: {error}")))
        }
        Some(_) => Err(Failure::refused(format!("{name} is no string"))),
    }
}

/// The number that the next change of any issuer's keys gets.
pub fn generations() -> u64 {
    GENERATIONS.load(Ordering::Relaxed)
}

fn next_generation() -> u64 {
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

fn retry_interval(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY_INTERVAL_MIN.saturating_mul(1 << doublings).min(RETRY_INTERVAL_MAX)
}

/// Up to a tenth sooner, so that many gateways do not ask together.
fn scattered(pause: Duration, random: &Random) -> Duration {
    pause.mul_f64(1.0 - random.below(100) as f64 / 1000.0)
}

#[cfg(test)]
mod tests;
