//! The screening of what goes in. It is read whole, so that nothing of it has left before all of it was judged.

use std::{borrow::Cow, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{self, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use portcullis_mesh::http::Incoming;
use portcullis_policy::{
    authorize::Caller,
    guard::{
        lanes::{
            document::Unreadable,
            shape::{Api, Shape},
        },
        placeholders::Values,
        screen::{Guardrails, Speaker, Unscreened},
    },
    snapshot::Rule,
};

use super::{
    Judged, Tally, Way, api,
    document::{self, Job, No, Outcome},
    guards::{self, Asked, Opinions},
};
use crate::{
    listing::ask_readable,
    live::Live,
    outbound::Outbound,
    prompt::{PROMPT_BYTES_MAX, refuse_body},
    record::Record,
    refusal::Refusal,
};

/// What goes in has been judged, or nobody wants it to be. Nothing is forwarded without it, and it is what the answer is
/// judged with.
#[derive(Debug)]
pub struct Screened(Option<Guarded>);

/// What is known of a guarded exchange when its request leaves.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) guardrails: Arc<Guardrails>,
    pub(super) tally: Rc<Tally>,
    pub(super) api: Api,
    /// What has to come back in the answer.
    pub(super) values: Option<Arc<Values>>,
    /// Guards elsewhere that are asked about the request, and about the answer.
    pub(super) asked: [Vec<Asked>; Way::ALL.len()],
    /// What the answer answers, where somebody else is asked about it.
    pub(super) prompt: Vec<(Speaker, String)>,
    pub(super) model: Option<Arc<str>>,
}

impl Screened {
    /// Asks for an answer that guardrails can read: the whole of it, as it is.
    pub fn ask_readable(&self, headers: &mut HeaderMap) {
        if self.0.is_some() {
            ask_readable(headers);
        }
    }

    pub(super) fn into_guarded(self) -> Option<Guarded> {
        self.0
    }
}

/// Judges what goes in, by the guards of its rule.
pub async fn input(
    live: &Live,
    rule: &Arc<Rule>,
    outbound: &mut Outbound<'_>,
    caller: &Caller,
    record: &Record,
) -> Result<Screened, Refusal> {
    let Some(guardrails) = &rule.guardrails else { return Ok(Screened(None)) };
    let worker = &record.worker;
    let tally = Rc::new(Tally::new(worker.clone(), guardrails.clone(), worker.metrics.guarded(rule)));
    let api = api::of_path(outbound.head.uri.path());
    let mut guarded = Guarded {
        guardrails: guardrails.clone(),
        tally,
        api,
        values: None,
        asked: [live.guards.of(&guardrails.input), live.guards.of(&guardrails.output)],
        prompt: Vec::new(),
        model: outbound.model().map(Arc::from),
    };
    let judged = guarded.judge(outbound, caller).await;
    let verdict = if judged.is_err() { Judged::Block } else { guarded.tally.judged(Way::Input) };
    guarded.tally.count(Way::Input, verdict);
    if !guarded.tally.is_empty() {
        tracing::info!(request_id = record.id.as_str(), verdict = verdict.as_str(), rules = %guarded.tally.rules(), "guardrails found something on the way in");
    }
    judged.map(|()| Screened(Some(guarded)))
}

/// What a request's body is, for those who read it.
#[derive(Debug)]
enum Form {
    Nothing,
    Json,
    /// Perhaps JSON: some backends do not look at the type.
    Text,
    Other,
}

impl Form {
    fn of(outbound: &Outbound<'_>) -> Self {
        let headers = &outbound.head.headers;
        if outbound.body.is_end_stream() {
            return Self::Nothing;
        }
        if is_encoded(headers) {
            return Self::Other;
        }
        let essence = essence(headers);
        match &*essence {
            "application/json" | "text/json" => Self::Json,
            essence if essence.ends_with("+json") => Self::Json,
            "" | "text/plain" => Self::Text,
            _ => Self::Other,
        }
    }
}

/// Whether a body is other than as it is read.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    codings.any(|coding| !coding.is_empty() && !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// The media type without its parameters, in lower case; empty where there is none, or more than one.
pub(super) fn essence(headers: &HeaderMap) -> Cow<'static, str> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return "".into() };
    let value = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default();
    value.trim().to_ascii_lowercase().into()
}

impl Guarded {
    async fn judge(&mut self, outbound: &mut Outbound<'_>, caller: &Caller) -> Result<(), Refusal> {
        if outbound.upgrade.is_some() {
            self.unscreened("tunnel")?;
        }
        match Form::of(outbound) {
            Form::Nothing => Ok(()),
            Form::Json => self.json(outbound, caller).await,
            Form::Text | Form::Other => self.unscreened("content_type"),
        }
    }

    /// What cannot be screened is refused, unless the policy says in words that it passes.
    fn unscreened(&self, reason: &'static str) -> Result<(), Refusal> {
        if self.guardrails.unscreened == Unscreened::Pass {
            return Ok(());
        }
        self.tally.failed(Way::Input, "body", reason);
        Err(Refusal::unscreenable().detail(reason))
    }

    async fn json(&mut self, outbound: &mut Outbound<'_>, caller: &Caller) -> Result<(), Refusal> {
        let bytes = whole(&mut outbound.body).await?;
        let job = Job {
            guardrails: self.guardrails.clone(),
            way: Way::Input,
            shape: Shape::request(self.api),
            body: bytes,
            values: None,
            tenant: Some((self.tally.worker().placeholders.clone(), tenant(caller))),
        };
        let mut outcome = self.run(job).await?;
        self.values = outcome.values.take();
        let texts = std::mem::take(&mut outcome.texts);
        if let Some(instead) = self.opinions(Way::Input, &texts).await? {
            let shape = Shape::request(self.api);
            let body = document::rewritten(&self.guardrails, shape, &outcome.body, instead);
            outcome = Outcome { body: body.map_err(|no| self.refuse(&no))?, is_untouched: false, ..outcome };
        }
        self.prompt = texts;
        if !outcome.is_untouched {
            replace_body(outbound, outcome.body);
        }
        Ok(())
    }

    /// Guards elsewhere that are asked about what goes this way.
    pub(super) fn asked(&self, way: Way) -> &[Asked] {
        let [input, output] = &self.asked;
        match way {
            Way::Input => input,
            Way::Output => output,
        }
    }

    /// What guards elsewhere write in the place of texts; a refusal if one of them refuses, or has to answer and does not.
    pub(super) async fn opinions(
        &self,
        way: Way,
        texts: &[(Speaker, String)],
    ) -> Result<Option<Vec<Option<String>>>, Refusal> {
        let asked = self.asked(way);
        if asked.is_empty() {
            return Ok(None);
        }
        match guards::ask(asked, way, texts, self.model.as_ref(), &self.tally).await {
            Opinions::Pass(instead) => Ok(instead),
            Opinions::Refused(stage) => Err(self.refuse(&No::Blocked(stage))),
            Opinions::Unanswered(no) => Err(Refusal::guardrail_unavailable().detail(no.as_str())),
        }
    }

    /// Screens a document of the request.
    async fn run(&self, job: Job) -> Result<Outcome, Refusal> {
        let started = Instant::now();
        let done = document::screen(job, &self.tally.worker().screening_texts).await;
        self.tally.took(Way::Input, started.elapsed());
        let done = done.map_err(|_| {
            self.tally.failed(Way::Input, "patterns", "panicked");
            Refusal::guardrail_unavailable().detail("panicked")
        })?;
        self.tally.found(Way::Input, &done.findings);
        for (stage, rule) in &done.by_stages {
            self.tally.add(Way::Input, *stage, rule);
        }
        done.judged.map_err(|no| self.refuse(&no))
    }

    fn refuse(&self, no: &No) -> Refusal {
        match no {
            No::Blocked(stage) => {
                let name = self.guardrails.input.stages.get(*stage).map_or("", |stage| &*stage.name);
                Refusal::content_filter().detail(format!("by `{name}`"))
            }
            No::Overrun => {
                self.tally.failed(Way::Input, "patterns", "overrun");
                Refusal::content_filter().detail("overrun")
            }
            No::Unreadable(Unreadable::Json(fault)) => {
                Refusal::malformed("invalid_json", format!("the request body is not valid JSON: {fault}"))
            }
            No::Unreadable(why) => {
                self.tally.failed(Way::Input, "body", "content");
                Refusal::unscreenable().detail(why.to_string())
            }
        }
    }
}

/// Whom placeholders are made for: nobody else's are like theirs.
fn tenant(caller: &Caller) -> Arc<str> {
    caller
        .principal()
        .map_or_else(|| "".into(), |principal| format!("{}/{}", principal.provider, principal.name).into())
}

/// The whole body, to be read by guards.
async fn whole(body: &mut Incoming) -> Result<Bytes, Refusal> {
    let (bytes, again) = std::mem::take(body).whole(PROMPT_BYTES_MAX).await.map_err(|error| refuse_body(&error))?;
    *body = again;
    bytes.ok_or_else(|| Refusal::body_too_large(PROMPT_BYTES_MAX))
}

/// Puts another body in the place of the request's. What the headers say of the old one goes.
fn replace_body(outbound: &mut Outbound<'_>, bytes: Bytes) {
    let headers = &mut outbound.head.headers;
    if headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    for digest in ["content-md5", "digest", "content-digest", "repr-digest"] {
        headers.remove(digest);
    }
    headers.remove(header::ETAG);
    outbound.body = Incoming::Full(bytes);
}
