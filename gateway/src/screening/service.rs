//! Guards elsewhere: a NeMo Guardrails server, a guard model behind an OpenAI API, a webhook.
//!
//! An [`Asker`] asks one of them about texts and says what it thinks, or in one word why it says nothing ([`NoOpinion`]).
//! What that means is for who asks: a guard that cannot answer has not passed unless the document says so.
//!
//! - *Every text counts.* A guard that judges the last message of a conversation alone is asked so that every text is the
//!   last of one ([`nemo`], [`openai`]).
//! - *One reading.* Whatever is not exactly a verdict is none: other words, other types, names that are repeated.
//! - *Bounded.* One deadline covers all of it, the wait for a turn included. Questions at a time, questions waiting,
//!   connections kept, bytes asked and bytes answered have bounds; a redirect is not followed.
//! - *Here and there.* Sockets live on the control runtime; workers wait with a deadline of their own. Who stops waiting ends
//!   the question.
//!
//! On streams a guard is asked about windows ([`window`]). What was said is in no error, log or `Debug` output of this.

pub mod connections;
mod nemo;
mod openai;
mod webhook;
pub mod window;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use portcullis_certs::verify::Authorities;
use portcullis_policy::guard::screen::{Service, ServiceKind, Speaker};
use serde_json::{Map, Value};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use self::connections::Connections;
use super::Way;
use crate::{
    authenticate::json,
    fetch::{FetchError, HttpUrl},
};

/// Questions that one guard is asked at a time.
pub const ASKING_MAX: usize = 64;
/// Questions that are being asked or wait for their turn; whoever comes then has no answer.
pub const ASKING_WAITING_MAX: usize = 1024;
/// The texts of a question, together.
pub const QUESTION_BYTES_MAX: usize = 1024 * 1024;
/// What an answer may have besides a copy of the texts, which may be three times as long by its escapes.
pub const OPINION_BYTES_MAX: usize = 64 * 1024;
/// A guard's name for what it found; of a longer one nothing is told.
pub const RULE_BYTES_MAX: usize = 64;

/// What a guard is asked about.
#[derive(Clone)]
pub struct Question {
    /// On the way out, what [`Speaker::Assistant`] says is judged and the rest says what it answers; on the way in, all of it
    /// is judged.
    pub way: Way,
    /// Who said what, in order.
    pub texts: Vec<(Speaker, String)>,
    /// The model that it is for.
    pub model: Option<Arc<str>>,
}

/// What a guard thinks.
#[derive(Clone, PartialEq, Eq)]
pub enum Opinion {
    /// It may be said.
    Passes,
    /// It may not.
    Refuses {
        /// The guard's name for what it found: letters, digits and a few signs, for audit entries. It is not of a fixed list, so
        /// it is no label of a metric.
        rule: Arc<str>,
    },
    /// It may be said in other words.
    Rewrites {
        /// As above.
        rule: Arc<str>,
        /// In the place of each text of the question, in its order.
        texts: Vec<String>,
    },
}

/// Why a guard says nothing: a word for metrics and audit entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOpinion {
    /// Not in time.
    Timeout,
    /// Too many are asking.
    Busy,
    /// No connection, no TLS that we trust, or the connection broke off.
    Unreachable,
    /// Another status than 200: an error, a redirect.
    Status,
    /// Not JSON, or two things at once.
    Malformed,
    /// The question or the answer is too large.
    TooLarge,
    /// JSON, but no verdict that the kind of guard has.
    WrongVerdict,
    /// The guard says itself that it failed.
    Failed,
}

impl NoOpinion {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Busy,
        Self::Unreachable,
        Self::Status,
        Self::Malformed,
        Self::TooLarge,
        Self::WrongVerdict,
        Self::Failed,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::Status => "status",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::WrongVerdict => "wrong_verdict",
            Self::Failed => "failed",
        }
    }
}

impl From<FetchError> for NoOpinion {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::TimedOut => Self::Timeout,
            FetchError::Redirect(_) => Self::Status,
            FetchError::TooLarge => Self::TooLarge,
            FetchError::Encoded => Self::Malformed,
            FetchError::Url(_)
            | FetchError::Resolve { .. }
            | FetchError::Connect { .. }
            | FetchError::Tls { .. }
            | FetchError::Http(_) => Self::Unreachable,
        }
    }
}

/// Asks one guard. Clones ask the same one: its connections, its turns.
#[derive(Clone)]
pub struct Asker(Arc<Inner>);

struct Inner {
    service: Arc<Service>,
    form: Form,
    headers: HeaderMap,
    connections: Connections,
    runtime: Handle,
    turns: Semaphore,
    /// Questions that are being asked or wait.
    waiting: AtomicUsize,
    /// The last question had no answer: said once, not for every question.
    is_failing: AtomicBool,
}

/// How a question is put and a verdict is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Nemo,
    LlamaGuard,
    NemoGuard,
    Webhook,
}

impl Form {
    fn of(service: &Service) -> Result<Self, String> {
        match (service.kind, service.config.as_deref()) {
            (ServiceKind::NemoGuardrails, Some(_)) => Ok(Self::Nemo),
            (ServiceKind::NemoGuardrails, None) => Err("`config` is missing: which configuration of the server".into()),
            (ServiceKind::OpenAi, _) if service.model.is_none() => Err("`model` is missing: which guard model".into()),
            (ServiceKind::OpenAi, None | Some("llama-guard")) => Ok(Self::LlamaGuard),
            (ServiceKind::OpenAi, Some("nemoguard")) => Ok(Self::NemoGuard),
            (ServiceKind::OpenAi, Some(other)) => {
                Err(format!("`config` is the form of the guard model: `llama-guard` or `nemoguard`, not `{other}`"))
            }
            (ServiceKind::Webhook, _) => Ok(Self::Webhook),
        }
    }

    /// What stands behind the document's URL.
    fn path(self) -> &'static str {
        match self {
            Self::Nemo => "/v1/checks",
            Self::LlamaGuard | Self::NemoGuard => "/chat/completions",
            Self::Webhook => "",
        }
    }
}

impl Asker {
    /// Who asks this guard, over sockets of this runtime. An error says what of the document cannot be.
    pub fn new(service: Arc<Service>, runtime: Handle) -> Result<Self, String> {
        let form = Form::of(&service)?;
        let url = format!("{}{}", service.url.trim_end_matches('/'), form.path());
        let url = HttpUrl::parse(&url).map_err(|_| format!("`{}` is not the URL of a guard", service.url))?;
        if !url.is_tls() && !is_loopback(url.host()) {
            return Err(format!("`{}` is not https: what is asked would be read on the way", service.url));
        }
        let authorities = service.authorities_pem.clone().map_or(Authorities::System, Authorities::Pem);
        let headers = headers(&service)?;
        Ok(Self(Arc::new(Inner {
            form,
            headers,
            connections: Connections::new(url, &authorities)?,
            runtime,
            turns: Semaphore::new(ASKING_MAX),
            waiting: AtomicUsize::new(0),
            is_failing: AtomicBool::new(false),
            service,
        })))
    }

    /// The guard, as its document says.
    pub fn service(&self) -> &Arc<Service> {
        &self.0.service
    }

    /// What the guard thinks of these texts. Dropping the future ends the question.
    pub async fn ask(&self, question: Question) -> Result<Opinion, NoOpinion> {
        let deadline = Instant::now() + self.0.service.timeout;
        let opinion = self.asked(question, deadline).await;
        self.0.tell(&opinion);
        opinion
    }

    async fn asked(&self, question: Question, deadline: Instant) -> Result<Opinion, NoOpinion> {
        if question.texts.iter().map(|(_, text)| text.len()).sum::<usize>() > QUESTION_BYTES_MAX {
            return Err(NoOpinion::TooLarge);
        }
        let place = Place::take(&self.0).ok_or(NoOpinion::Busy)?;
        let inner = Arc::clone(&self.0);
        let answered = async move {
            let _place = place;
            timeout_at(deadline, inner.opinion(question)).await.unwrap_or(Err(NoOpinion::Timeout))
        };
        let mut asking = Asking(self.0.runtime.spawn(answered));
        match timeout_at(deadline, &mut asking.0).await {
            Ok(answered) => answered.unwrap_or(Err(NoOpinion::Unreachable)),
            Err(_) => Err(NoOpinion::Timeout),
        }
    }
}

impl Inner {
    async fn opinion(&self, question: Question) -> Result<Opinion, NoOpinion> {
        match self.form {
            Form::Nemo => nemo::opinion(self, &question).await,
            Form::LlamaGuard => {
                let body = openai::llama_guard(self.service.model.as_deref(), &question);
                openai::read_llama_guard(&self.post(&body, 0).await?)
            }
            Form::NemoGuard => {
                let body = openai::nemoguard(self.service.model.as_deref(), &question);
                openai::read_nemoguard(&self.post(&body, 0).await?, question.way)
            }
            Form::Webhook => {
                let body = webhook::question(&question);
                let copy = question.texts.iter().map(|(_, text)| text.len()).sum();
                webhook::read(&self.post(&body, copy).await?, question.texts.len())
            }
        }
    }

    /// Posts one question: the object that is answered. `copy`: so many bytes of the texts may stand in the answer.
    async fn post(&self, body: &Value, copy: usize) -> Result<Map<String, Value>, NoOpinion> {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        let bytes_max = OPINION_BYTES_MAX + 3 * copy;
        let response = self.connections.post(self.headers.clone(), body.to_string().into(), bytes_max).await?;
        if response.status != StatusCode::OK {
            return Err(NoOpinion::Status);
        }
        json::object(&response.body).ok_or(NoOpinion::Malformed)
    }

    fn tell(&self, opinion: &Result<Opinion, NoOpinion>) {
        let url = &self.service.url;
        match opinion {
            Ok(_) if self.is_failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(%url, "the guard answers again");
            }
            Err(none) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%url, outcome = none.as_str(), "the guard does not answer");
            }
            _ => {}
        }
    }
}

/// A place among those who ask or wait; dropping it gives it back.
struct Place(Arc<Inner>);

impl Place {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        // The place gives back what it took even if there was none for it.
        let place = Self(Arc::clone(inner));
        (inner.waiting.fetch_add(1, Ordering::Relaxed) < ASKING_WAITING_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A question under way; dropping it ends it.
struct Asking(tokio::task::JoinHandle<Result<Opinion, NoOpinion>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn headers(service: &Service) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(credential) = &service.credential {
        let mut bearer = b"Bearer ".to_vec();
        bearer.extend_from_slice(credential.0.trim_ascii());
        let mut value = HeaderValue::try_from(bearer).map_err(|_| "the guard's credential is not one line of text")?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Whether nothing leaves this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A guard's name for what it found, if it is one that may be told: it comes from elsewhere and goes into audit entries.
fn rule(name: Option<&Value>) -> Arc<str> {
    let is_told = |byte: u8| byte.is_ascii_alphanumeric() || b" _.,:/=$-()".contains(&byte);
    match name.and_then(Value::as_str) {
        Some(name) if (1..=RULE_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_told) => name.into(),
        _ => "unnamed".into(),
    }
}

/// `serde_json` reads it; a field that is there must be a string.
fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, NoOpinion> {
    object.get(name).and_then(Value::as_str).ok_or(NoOpinion::WrongVerdict)
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("way", &self.way).field("texts", &self.texts.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passes => f.write_str("Passes"),
            Self::Refuses { rule } => write!(f, "Refuses({rule})"),
            Self::Rewrites { rule, texts } => write!(f, "Rewrites({rule}, {} texts)", texts.len()),
        }
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("service", &self.0.service).finish_non_exhaustive()
    }
}
