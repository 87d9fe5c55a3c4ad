//! Opaque credentials: their issuer is asked what they are worth (RFC 7662).
//!
//! - *Closed.* `active` must be `true` itself; whoever gives no answer, a strange one or none in time lets nobody in (503),
//!   and nothing is remembered of it. An answer is then judged as the claims of a signed credential are, as far as they are
//!   there; `aud` must be ([`judge`]).
//! - *Bounded.* An answer is remembered for `cache.fresh` at most, never longer than [`ANSWER_FRESH_MAX`] or than the
//!   credential is good; that a credential is not active for [`INACTIVE_FRESH_MAX`], apart from the others, so that
//!   strangers who try cannot push good ones out ([`answers`]). That is how much later a revocation takes effect.
//! - *Once.* Whoever shows a credential that is being asked about waits for that answer. So many questions are asked at a
//!   time and so many wait; beyond that there is no answer.
//!
//! Workers wait, the control runtime asks. A credential is held as its SHA-256 but for the time of the question.

pub mod answers;
mod judge;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use foldhash::HashMap;
use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use portcullis_policy::{
    authorize::{Caller, Method},
    documents::API_KEY_PREFIX,
    snapshot::{IntrospectionClient, OidcProvider as Spec},
};
use serde_json::{Map, Value};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::{Instant, interval, timeout},
};

use self::answers::{Answer, Answers};
use super::{Rejection, credential::Credential, json, oidc::jwt::is_signed};
use crate::fetch::{HttpsClient, HttpsUrl, basic};

/// An opaque credential; whatever is longer is not asked about.
pub const OPAQUE_BYTES_MAX: usize = 4096;
/// The time a question may take, its wait for a turn included.
pub const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer of the issuer.
pub const INTROSPECTION_BYTES_MAX: usize = 64 * 1024;
/// Questions that an issuer is asked at a time.
pub const INTROSPECTIONS_MAX: usize = 64;
/// Questions that are being asked or wait for their turn.
pub const INTROSPECTIONS_WAITING_MAX: usize = 1024;
/// How long an answer is remembered at most, whatever `cache.fresh` says.
pub const ANSWER_FRESH_MAX: Duration = Duration::from_mins(1);
/// How long it is remembered that a credential is not active.
pub const INACTIVE_FRESH_MAX: Duration = Duration::from_secs(5);
/// The file of our secret.
const SECRET_BYTES_MAX: u64 = 4096;
/// How often answers that are too old are dropped.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// The SHA-256 of a credential.
type Fingerprint = [u8; 32];
/// A word for logs and metrics.
type Word = &'static str;
/// A question that is being asked: its answer, once there is one.
type Flight = watch::Receiver<Option<Result<Answer, Word>>>;

/// An issuer that can be asked.
pub struct Introspection {
    /// Who we are, as the document says it; and towards whom.
    client: IntrospectionClient,
    issuer: Arc<str>,
    authorization: HeaderValue,
    https: HttpsClient,
    endpoint: Option<HttpsUrl>,
    fresh: Duration,
    shared: Arc<Shared>,
}

/// Opaque credentials that were judged, by a word for what came of it.
pub type Counts = [(&'static str, u64); 4];

/// What became of opaque credentials, in the order of [`Counts`]: known from a moment ago, active, inactive, not answered.
#[derive(Debug, Default)]
struct Counters([AtomicU64; 4]);

impl Counters {
    const REMEMBERED: usize = 0;

    fn count(&self, answer: &Result<Answer, Word>) {
        self.add(match answer {
            Ok(Answer::Active { .. }) => 1,
            Ok(Answer::Inactive) => 2,
            Err(_) => 3,
        });
    }

    fn add(&self, place: usize) {
        if let Some(counter) = self.0.get(place) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is the same for all revisions that ask the same issuer as the same client.
#[derive(Default)]
struct Shared {
    answers: Mutex<Answers>,
    flights: Mutex<HashMap<Fingerprint, Flight>>,
    turns: Turns,
    /// The control runtime.
    runtime: OnceLock<Handle>,
    /// The last question had no answer: said once, not for every question.
    is_failing: AtomicBool,
    counters: Counters,
}

struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(INTROSPECTIONS_MAX))
    }
}

/// Claims that hold, and for how long they need not be asked for again.
#[derive(Debug, Clone, PartialEq)]
pub struct Introspected {
    /// What the issuer says; with a `sub` in any case.
    pub claims: Map<String, Value>,
    /// From now on.
    pub fresh: Duration,
}

/// Whether a credential is one to ask about: not signed, not one of our own API keys, which are no issuer's business, not
/// too long, and of the characters of one (RFC 6750 §2.1).
pub fn is_opaque(credential: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (1..=OPAQUE_BYTES_MAX).contains(&credential.len())
        && credential.bytes().all(is_fit)
        && !is_signed(credential)
        && !credential.starts_with(API_KEY_PREFIX)
}

/// The opaque credential of an exchange that goes on: its issuer can be asked about nothing less.
#[derive(Clone)]
pub struct Held(Arc<str>);

impl Held {
    /// Of a caller whom introspection knows; of others nothing is held.
    pub fn of(caller: &Caller, credential: Option<&Credential<'_>>) -> Option<Self> {
        match (caller.principal()?.method, credential?) {
            (Method::Introspection, Credential::Bearer(text) | Credential::Dpop { access: text, .. }) => {
                Some(Self((*text).into()))
            }
            _ => None,
        }
    }

    /// As it is shown to the provider again. A proof is not: it was shown when the exchange began.
    pub fn credential(&self) -> Credential<'_> {
        Credential::Bearer(&self.0)
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Introspection {
    /// Reads our secret. `None`: the document does not say that the issuer is asked. What `previous` remembers is kept if
    /// the issuer is the same and we are.
    pub fn new(spec: &Spec, previous: Option<&Self>) -> Result<Option<Self>, String> {
        let Some(client) = &spec.introspection else { return Ok(None) };
        let secret = read_secret(&client.client_secret)?;
        let authorization =
            basic(&client.client_id, &secret).ok_or("the client of `introspection` has no header form")?;
        let endpoint =
            client.endpoint.as_deref().map(HttpsUrl::parse).transpose().map_err(|error| error.to_string())?;
        let same = previous.filter(|previous| {
            previous.client == *client && previous.issuer == spec.issuer && previous.authorization == authorization
        });
        Ok(Some(Self {
            client: client.clone(),
            issuer: Arc::clone(&spec.issuer),
            authorization,
            https: HttpsClient::new(spec.trust.as_deref())?.within(INTROSPECTION_TIMEOUT),
            endpoint,
            fresh: spec.cache.fresh.min(ANSWER_FRESH_MAX),
            shared: same.map(|previous| Arc::clone(&previous.shared)).unwrap_or_default(),
        }))
    }

    /// Whether only the issuer's discovery document says where to ask.
    pub fn needs_discovery(&self) -> bool {
        self.endpoint.is_none()
    }

    /// What became of opaque credentials so far.
    pub fn counts(&self) -> Counts {
        let mut counts = ["remembered", "active", "inactive", "unavailable"].map(|word| (word, 0));
        for ((_, count), counter) in counts.iter_mut().zip(&self.shared.counters.0) {
            *count = counter.load(Ordering::Relaxed);
        }
        counts
    }

    /// Lends the runtime that it runs on to questions, and drops what is too old, until it is dropped.
    pub async fn run(&self) {
        let _ = self.shared.runtime.set(Handle::current());
        let mut sweep = interval(SWEEP_INTERVAL);
        loop {
            sweep.tick().await;
            lock(&self.shared.answers).sweep(Instant::now());
        }
    }

    /// Drops what the issuer said: it is asked again about every credential.
    pub fn forget(&self) {
        lock(&self.shared.answers).forget();
    }

    /// What the issuer says of an opaque credential, if that makes it good here. `discovered`: the endpoint, where the
    /// document leaves it to the issuer. Whether the credential is bound to something, who calls must look.
    pub async fn judge(
        &self,
        credential: &str,
        spec: &Spec,
        discovered: Option<HttpsUrl>,
        now: SystemTime,
    ) -> Result<Introspected, Rejection> {
        if !is_opaque(credential) {
            return Err(Rejection::Invalid("malformed"));
        }
        match self.ask(credential, discovered).await.map_err(Rejection::Unavailable)? {
            Answer::Inactive => Err(Rejection::Invalid("inactive")),
            Answer::Active { claims, until } => {
                let claims = judge::judge(&claims, spec, now).map_err(Rejection::Invalid)?;
                Ok(Introspected { claims, fresh: until.saturating_duration_since(Instant::now()) })
            }
        }
    }

    async fn ask(&self, credential: &str, discovered: Option<HttpsUrl>) -> Result<Answer, Word> {
        let fingerprint = fingerprint(credential);
        if let Some(answer) = lock(&self.shared.answers).find(&fingerprint, Instant::now()) {
            self.shared.counters.add(Counters::REMEMBERED);
            return Ok(answer);
        }
        let answer = self.answered(fingerprint, credential, discovered).await;
        self.shared.counters.count(&answer);
        answer
    }

    async fn answered(
        &self,
        fingerprint: Fingerprint,
        credential: &str,
        discovered: Option<HttpsUrl>,
    ) -> Result<Answer, Word> {
        let endpoint = self.endpoint.clone().or(discovered).ok_or("introspection_endpoint")?;
        let mut flight = self.join(fingerprint, credential, endpoint)?;
        let answered = timeout(INTROSPECTION_TIMEOUT, flight.wait_for(Option::is_some)).await;
        let answer = answered.map_err(|_| "introspection_timeout")?.map_err(|_| "introspection_failed")?;
        answer.clone().unwrap_or(Err("introspection_failed"))
    }

    /// The question that is being asked about this credential; it is begun if there is none.
    fn join(&self, fingerprint: Fingerprint, credential: &str, endpoint: HttpsUrl) -> Result<Flight, Word> {
        let mut flights = lock(&self.shared.flights);
        if let Some(flight) = flights.get(&fingerprint) {
            return Ok(flight.clone());
        }
        if flights.len() >= INTROSPECTIONS_WAITING_MAX {
            return Err("introspection_busy");
        }
        // In the first moments of a revision nobody has lent a runtime yet; the one we are on asks as well.
        let runtime = self.shared.runtime.get().cloned().or_else(|| Handle::try_current().ok());
        let runtime = runtime.ok_or("introspection_failed")?;
        let (answer, flight) = watch::channel(None);
        flights.insert(fingerprint, flight.clone());
        let landing = Landing { shared: Arc::clone(&self.shared), fingerprint, answer };
        let question = Question {
            https: self.https.clone(),
            endpoint,
            authorization: self.authorization.clone(),
            credential: credential.to_owned(),
        };
        runtime.spawn(landing.fly(question, self.fresh, Arc::clone(&self.issuer)));
        Ok(flight)
    }
}

/// Where the answer to a question comes down. Dropping it ends the flight, whatever became of it.
struct Landing {
    shared: Arc<Shared>,
    fingerprint: Fingerprint,
    answer: watch::Sender<Option<Result<Answer, Word>>>,
}

impl Landing {
    async fn fly(self, question: Question, fresh: Duration, issuer: Arc<str>) {
        let asked = async {
            // The semaphore is never closed.
            let _turn = self.shared.turns.0.acquire().await;
            // INVARIANT: counted from before the question, because the answer was true at some moment after it.
            let asked = Instant::now();
            question.ask().await.map(|claims| (claims, asked))
        };
        let asked = timeout(INTROSPECTION_TIMEOUT, asked).await.unwrap_or(Err(Failure::of("introspection_timeout")));
        let landed = match asked {
            Ok((claims, asked)) => {
                if self.shared.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(%issuer, "the issuer answers questions about credentials again");
                }
                Ok(lock(&self.shared.answers).keep(self.fingerprint, claims, asked, fresh))
            }
            Err(Failure { word, reason }) => {
                if !self.shared.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%issuer, outcome = word, reason, "the issuer cannot be asked about credentials; nobody who shows an opaque one comes in");
                }
                Err(word)
            }
        };
        self.answer.send_replace(Some(landed));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.shared.flights).remove(&self.fingerprint);
    }
}

/// One question to the issuer.
struct Question {
    https: HttpsClient,
    endpoint: HttpsUrl,
    authorization: HeaderValue,
    credential: String,
}

/// Why there is no answer. The reason never holds the credential or our secret.
struct Failure {
    word: Word,
    reason: String,
}

impl Failure {
    fn of(word: Word) -> Self {
        Self { word, reason: String::new() }
    }
}

impl Question {
    /// The claims, and the bytes that they came in; no claims: the credential is not active.
    async fn ask(self) -> Result<(Option<Map<String, Value>>, usize), Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization);
        let form = [("token", &*self.credential), ("token_type_hint", "access_token")];
        let response = self.https.post_form(&self.endpoint, headers, &form).await;
        let response = response.map_err(|error| Failure { word: "introspection_failed", reason: error.to_string() })?;
        if response.status != StatusCode::OK {
            // 401: it does not know us, or our secret.
            let reason = format!("{} answered {}", self.endpoint, response.status);
            return Err(Failure { word: "introspection_refused", reason });
        }
        if response.body.len() > INTROSPECTION_BYTES_MAX {
            return Err(Failure::of("introspection_too_large"));
        }
        let malformed = || Failure::of("introspection_malformed");
        let claims = json::object(&response.body).ok_or_else(malformed)?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok((Some(claims), response.body.len())),
            Some(Value::Bool(false)) => Ok((None, 0)),
            // A word, a number, nothing: whoever writes that may mean either.
            _ => Err(malformed()),
        }
    }
}

fn fingerprint(credential: &str) -> Fingerprint {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, credential.as_bytes()).as_ref());
    fingerprint
}

/// What is in the maps is whole, whatever its thread was doing when it ended.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first line of the file of a secret.
fn read_secret(path: &Path) -> Result<String, String> {
    let failed = |reason: &dyn fmt::Display| format!("`{}`: {reason}", path.display());
    let length = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if length > SECRET_BYTES_MAX {
        return Err(failed(&format_args!("more than {SECRET_BYTES_MAX} bytes are no secret of a client")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() || secret.contains(char::is_control) {
        return Err(failed(&"a secret is one line of text"));
    }
    Ok(secret.to_owned())
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("client", &self.client)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
