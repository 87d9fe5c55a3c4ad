//! The screening of what goes in. It is read whole, so that nothing of it has left before all of it was judged.

use std::{rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{self, CONTENT_LENGTH},
};
use http_body::Body as _;
use portcullis_mesh::http::Incoming;
use portcullis_policy::{
    authorize::Caller,
    guard::{
        lanes::{
            shape::{Api, Shape},
            tensors::{self, Frames, Method},
        },
        placeholders::Values,
        screen::{Guardrails, Speaker, Unscreened},
    },
    snapshot::Rule,
};

use super::{
    Judged, Tally, Way, api,
    begins::Begins,
    contained,
    content::{Kind, Unreadable},
    document::{self, Job, No, Outcome},
    guards::{self, Asked, Opinions},
    media::{self, HEADER_LENGTH, Media},
    scores,
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
    /// Of gRPC.
    pub(super) method: Option<Method>,
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

/// Why a body ends that is judged as it passes: codes of refusals ([`Refusal::of_ended_body`]).
const FILTERED: &str = "content_filter";
const UNSCREENABLE: &str = "unscreenable";
const FAILED: &str = "guardrail_unavailable";

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
    let tally =
        Rc::new(Tally::new(worker.clone(), guardrails.clone(), worker.metrics.guarded(rule), record.id.as_str()));
    let api = api::of_path(outbound.head.uri.path());
    let mut guarded = Guarded {
        guardrails: guardrails.clone(),
        tally,
        api,
        method: outbound.grpc.then(|| Method::of(outbound.head.uri.path())),
        values: None,
        asked: [live.guards.of(&guardrails.input), live.guards.of(&guardrails.output)],
        prompt: Vec::new(),
        model: outbound.model().map(Arc::from),
    };
    let judged = guarded.judge(outbound, caller).await;
    let verdict = if judged.is_err() { Judged::Block } else { guarded.tally.judged(Way::Input) };
    guarded.tally.close(Way::Input, verdict);
    judged.map(|()| Screened(Some(guarded)))
}

/// What a request's body is, for those who read it.
#[derive(Debug)]
pub(super) enum Form {
    Nothing,
    /// It is read whole.
    Whole(Kind),
    /// Its type says text, a form, or nothing: some backends do not look at it and read JSON.
    Perhaps(Kind),
    /// Messages of gRPC, read one by one.
    Grpc(Method),
    Other,
}

impl Form {
    fn of(outbound: &Outbound<'_>, api: Api) -> Self {
        if outbound.body.is_end_stream() {
            return Self::Nothing;
        }
        Self::of_head(&outbound.head.headers, outbound.head.uri.path(), api)
    }

    /// What a body is by the head that it comes with.
    pub(super) fn of_head(headers: &HeaderMap, path: &str, api: Api) -> Self {
        let content_type = media::content_type(headers).unwrap_or_default();
        if crate::grpc::is_grpc(content_type) {
            return Self::Grpc(Method::of(path));
        }
        match Media::of(headers, Shape::request(api)) {
            Media::Document(kind) => Self::Whole(kind),
            Media::Multipart => Self::Whole(Kind::Multipart(content_type.into())),
            Media::Urlencoded => Self::Perhaps(Kind::Urlencoded),
            Media::Text | Media::Unsaid => Self::Perhaps(Kind::Plain),
            Media::Events | Media::Other => Self::Other,
        }
    }
}

impl Guarded {
    async fn judge(&mut self, outbound: &mut Outbound<'_>, caller: &Caller) -> Result<(), Refusal> {
        if outbound.upgrade.is_some() {
            self.unscreened("tunnel")?;
        }
        match Form::of(outbound, self.api) {
            Form::Nothing | Form::Grpc(Method::Facts) => Ok(()),
            Form::Whole(kind) => {
                let bytes = whole(&mut outbound.body).await?;
                self.body(kind, bytes, outbound, caller).await
            }
            Form::Perhaps(kind) => {
                let bytes = whole(&mut outbound.body).await?;
                let kind = match by_its_beginning(&kind, self.api, &bytes) {
                    Some(kind) => kind,
                    None => {
                        self.unscreened("two_readings")?;
                        kind
                    }
                };
                self.body(kind, bytes, outbound, caller).await
            }
            Form::Grpc(Method::Infer) => self.call(outbound, caller).await,
            Form::Grpc(Method::StreamInfer) => self.calls(outbound),
            Form::Grpc(Method::Unknown) => self.unscreened("grpc_method"),
            Form::Other => self.unscreened("content_type"),
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

    /// Judges a body that is read whole.
    async fn body(
        &mut self,
        kind: Kind,
        bytes: Bytes,
        outbound: &mut Outbound<'_>,
        caller: &Caller,
    ) -> Result<(), Refusal> {
        let outcome = self.whole(kind, bytes, caller).await?;
        if !outcome.is_untouched {
            if let Some(length) = outcome.header_bytes {
                outbound.head.headers.insert(HEADER_LENGTH, HeaderValue::from(length));
            }
            replace_body(outbound, outcome.body);
        }
        Ok(())
    }

    async fn whole(&mut self, kind: Kind, body: Bytes, caller: &Caller) -> Result<Outcome, Refusal> {
        let tenant = Some((self.tally.worker().placeholders.clone(), tenant(caller)));
        let (guardrails, again) = (self.guardrails.clone(), kind.clone());
        let mut outcome = self.run(Job { guardrails, way: Way::Input, kind, body, values: None, tenant }).await?;
        self.values = outcome.values.take();
        let texts = std::mem::take(&mut outcome.texts);
        if let Some(instead) = self.opinions(Way::Input, &texts).await? {
            let rewritten = document::rewritten(&self.guardrails, &again, outcome, instead);
            outcome = rewritten.map_err(|no| self.refuse(&no))?;
        }
        self.prompt = texts;
        Ok(outcome)
    }

    /// Judges the one message of a call.
    async fn call(&mut self, outbound: &mut Outbound<'_>, caller: &Caller) -> Result<(), Refusal> {
        let bytes = whole(&mut outbound.body).await?;
        let mut rest = &bytes[..];
        let mut frames = Frames::default();
        let first = frames.next(&mut rest).map_err(|why| self.unread(why.to_string()))?;
        let Some(message) = first.map(Bytes::copy_from_slice).filter(|_| rest.is_empty()) else {
            return Err(self.unread("a call has one message".to_owned()));
        };
        let outcome = self.whole(Kind::Message, message, caller).await?;
        if !outcome.is_untouched {
            let mut framed = Vec::with_capacity(outcome.body.len() + 5);
            tensors::write(&outcome.body, &mut framed).map_err(|why| self.unread(why.to_string()))?;
            replace_body(outbound, framed.into());
        }
        Ok(())
    }

    /// Judges the messages of a stream as they pass. Answers begin before the last of them has come, so that placeholders
    /// could not be taken back: what would be one is masked for good. Guards elsewhere and embedding models cannot be
    /// asked here.
    fn calls(&self, outbound: &mut Outbound<'_>) -> Result<(), Refusal> {
        let second_opinion = self.guardrails.input.stages.iter().any(scores::has_second_opinion);
        if second_opinion || !self.asked(Way::Input).is_empty() {
            self.unscreened("guard_on_stream")?;
        }
        let (guardrails, tally) = (self.guardrails.clone(), self.tally.clone());
        // What is masked has another length.
        outbound.head.headers.remove(CONTENT_LENGTH);
        let mut frames = Frames::default();
        let body = std::mem::take(&mut outbound.body);
        outbound.body = body.changed(move |chunk| {
            let mut passed = Vec::with_capacity(chunk.len());
            let mut rest = &chunk[..];
            while let Some(message) = frames.next(&mut rest).map_err(|_| UNSCREENABLE)? {
                let body = Bytes::copy_from_slice(message);
                let guardrails = guardrails.clone();
                let job = Job { guardrails, way: Way::Input, kind: Kind::Message, body, values: None, tenant: None };
                let scratch = &mut tally.worker().screening_texts.borrow_mut();
                let done = contained(|| document::run(&job, scratch, Instant::now())).map_err(|_| FAILED)?;
                tally.found(Way::Input, &done.findings);
                done.scored.tell(Way::Input, &tally);
                let outcome = done.judged.map_err(|no| match no {
                    No::Blocked(_) | No::Overrun => FILTERED,
                    No::Unreadable(_) => UNSCREENABLE,
                })?;
                tensors::write(&outcome.body, &mut passed).map_err(|_| UNSCREENABLE)?;
            }
            Ok(passed.into())
        });
        Ok(())
    }

    fn unread(&self, why: String) -> Refusal {
        self.refuse(&No::Unreadable(Unreadable::Unscreenable(why)))
    }

    /// What guards elsewhere write in the place of texts; a refusal if one of them refuses, or has to answer and does not.
    async fn opinions(&self, way: Way, texts: &[(Speaker, String)]) -> Result<Option<Vec<Option<String>>>, Refusal> {
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

    /// Guards elsewhere that are asked about what goes this way.
    pub(super) fn asked(&self, way: Way) -> &[Asked] {
        let [input, output] = &self.asked;
        match way {
            Way::Input => input,
            Way::Output => output,
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
        done.scored.tell(Way::Input, &self.tally);
        done.judged.map_err(|no| self.refuse(&no))
    }

    fn refuse(&self, no: &No) -> Refusal {
        match no {
            No::Overrun => self.tally.failed(Way::Input, "patterns", "overrun"),
            No::Unreadable(Unreadable::Unscreenable(_)) => self.tally.failed(Way::Input, "body", "content"),
            No::Blocked(_) | No::Unreadable(_) => {}
        }
        refusal(&self.guardrails, no)
    }
}

/// The refusal of a request that does not go in.
pub(super) fn refusal(guardrails: &Guardrails, no: &No) -> Refusal {
    match no {
        No::Blocked(stage) => {
            let name = guardrails.input.stages.get(*stage).map_or("", |stage| &*stage.name);
            Refusal::content_filter().detail(format!("by `{name}`"))
        }
        No::Overrun => Refusal::content_filter().detail("overrun"),
        No::Unreadable(Unreadable::Malformed(why)) => {
            let code = if why.starts_with("not valid JSON") { "invalid_json" } else { "malformed_body" };
            Refusal::malformed(code, format!("the request body cannot be read: {why}"))
        }
        No::Unreadable(Unreadable::Unscreenable(why)) => Refusal::unscreenable().detail(why.clone()),
        No::Unreadable(Unreadable::Refused) => Refusal::content_filter(),
    }
}

/// What a body is whose type not every backend looks at. `None`: it has two readings, as a form and as JSON.
pub(super) fn by_its_beginning(kind: &Kind, api: Api, body: &[u8]) -> Option<Kind> {
    if Begins::of_whole(body) != Begins::Json {
        return Some(kind.clone());
    }
    let is_escaped = || body.iter().any(|byte| matches!(byte, b'%' | b'+' | b'&'));
    let has_two = matches!(kind, Kind::Urlencoded) && is_escaped();
    (!has_two).then_some(Kind::Json(Shape::request(api)))
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
