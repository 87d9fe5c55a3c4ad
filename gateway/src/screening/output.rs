//! The screening of what comes out.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, ETAG},
    response::Parts,
};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use portcullis_mesh::http::Answer;
use portcullis_policy::guard::{
    lanes::{
        plain::PlainText,
        shape::{Api, Shape},
        stream::EventStream,
        tensors::{Answers, Method},
    },
    screen::{Speaker, Unscreened},
};

use super::{
    Judged, Screened, Tally, Way,
    begins::{BLANKS_BYTES_MAX, Begins},
    blocked::blocked_answer,
    content::Kind,
    document::{self, Job, No, Outcome},
    flow::{AnswerScreen, Texts},
    guards::{self, Opinions},
    input::Guarded,
    media::{HEADER_LENGTH, Media, content_type},
    status::Status,
    verdict::{Verdict, X_GUARD_VERDICT},
    windows::Windows,
};
use crate::{answer::AnswerBody, grpc, record::Record, refusal::Refusal};

/// The largest answer that is screened whole, in bytes. Event streams have no bound.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What of an answer's head speaks of bytes that may be others now.
const OF_BYTES: [&str; 5] = ["content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"];

/// Judges what comes out, by the guards that its request was judged with.
pub async fn output(
    answer: Answer<AnswerBody>,
    screened: Screened,
    revision: &str,
    record: &Record,
) -> Result<Answer<AnswerBody>, Refusal> {
    let Some(guarded) = screened.into_guarded() else { return Ok(answer) };
    let response = match answer {
        Answer::Response(response) => response,
        // It was asked for, and whether it may be is decided there.
        tunnel => return Ok(tunnel),
    };
    let (mut parts, mut body) = response.into_parts();
    let verdict = Verdict::new(guarded.guardrails.tell_verdict, record.id.as_str(), revision);
    let is_empty = body.is_end_stream() || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // An answer of gRPC without a body has its status in its head.
    if grpc::is_grpc(content_type(&parts.headers).unwrap_or_default()) {
        Status::of(&guarded).judge(&mut parts.headers);
    }
    if is_empty {
        tell(&mut parts, verdict.as_ref(), &guarded.tally, true);
        return Ok(Answer::Response(http::Response::from_parts(parts, body)));
    }
    let mut form = Form::of(&parts.headers, guarded.api, guarded.method);
    if matches!(form, Form::Flows(Flows::Text)) {
        form = by_its_beginning(&mut body, guarded.api).await;
    }
    match form {
        Form::Whole(kind) => guarded.answer(kind, parts, body, verdict).await,
        Form::Flows(flows) => {
            forget_bytes(&mut parts.headers);
            tell(&mut parts, verdict.as_ref(), &guarded.tally, false);
            Ok(Answer::Response(http::Response::from_parts(parts, guarded.flowing(flows, body, verdict)?)))
        }
        Form::Facts => Ok(Answer::Response(http::Response::from_parts(parts, body))),
        Form::Other => {
            guarded.unscreened_answer("content_type")?;
            Ok(Answer::Response(http::Response::from_parts(parts, body)))
        }
    }
}

/// What an answer's body is, for those who read it.
#[derive(Debug)]
enum Form {
    /// It is read whole.
    Whole(Kind),
    /// It is read as it comes.
    Flows(Flows),
    /// It says nothing but facts about models.
    Facts,
    Other,
}

/// What is read as it comes.
#[derive(Debug, Clone, Copy)]
enum Flows {
    Events,
    /// Messages of gRPC; of a stream, whose texts grow from message to message.
    Messages {
        is_stream: bool,
    },
    Text,
}

impl Form {
    fn of(headers: &HeaderMap, api: Api, method: Option<Method>) -> Self {
        if grpc::is_grpc(content_type(headers).unwrap_or_default()) {
            return match method {
                Some(Method::Infer) => Self::Flows(Flows::Messages { is_stream: false }),
                Some(Method::StreamInfer) => Self::Flows(Flows::Messages { is_stream: true }),
                Some(Method::Facts) => Self::Facts,
                Some(Method::Unknown) | None => Self::Other,
            };
        }
        match Media::of(headers, Shape::answer(api)) {
            Media::Document(kind) => Self::Whole(kind),
            Media::Events => Self::Flows(Flows::Events),
            Media::Text => Self::Flows(Flows::Text),
            Media::Multipart | Media::Urlencoded | Media::Unsaid | Media::Other => Self::Other,
        }
    }
}

/// What an answer is whose type says text: not every client looks at the type.
async fn by_its_beginning(body: &mut AnswerBody, api: Api) -> Form {
    let AnswerBody::Flow(flow) = body else { return Form::Flows(Flows::Text) };
    let is_enough = |bytes: &[u8]| bytes.len() > BLANKS_BYTES_MAX || Begins::of(bytes) != Begins::Unclear;
    let begun = flow.begin(is_enough).await;
    match Begins::of(&begun) {
        Begins::Json => Form::Whole(Kind::Json(Shape::answer(api))),
        Begins::Events => Form::Flows(Flows::Events),
        Begins::Unclear if begun.len() > BLANKS_BYTES_MAX => Form::Other,
        Begins::Text | Begins::Unclear => Form::Flows(Flows::Text),
    }
}

/// Tells the client what has been judged.
fn tell(parts: &mut Parts, verdict: Option<&Verdict>, tally: &Tally, is_whole: bool) {
    if let Some(value) = verdict.and_then(|verdict| verdict.header(tally, is_whole, SystemTime::now())) {
        parts.headers.insert(X_GUARD_VERDICT, value);
    }
}

fn forget_bytes(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(ETAG);
    headers.remove(ACCEPT_RANGES);
    for name in OF_BYTES {
        headers.remove(name);
    }
}

impl Guarded {
    /// The same of an answer.
    fn unscreened_answer(&self, reason: &'static str) -> Result<(), Refusal> {
        if self.guardrails.unscreened == Unscreened::Pass {
            return Ok(());
        }
        self.tally.failed(Way::Output, "body", reason);
        self.tally.close(Way::Output, Judged::Block);
        Err(Refusal::unscreenable_answer().detail(reason))
    }

    /// An answer that is judged as it comes.
    fn flowing(self, flows: Flows, body: AnswerBody, verdict: Option<Verdict>) -> Result<AnswerBody, Refusal> {
        let AnswerBody::Flow(mut flow) = body else {
            // Nothing of ours flows.
            return Err(Refusal::internal().detail("an answer that does not flow"));
        };
        let values = self.values.clone();
        let texts = match flows {
            Flows::Events => {
                let events = EventStream::new(self.api, self.guardrails.clone());
                Texts::Events(Box::new(match values {
                    Some(values) => events.restoring(values),
                    None => events,
                }))
            }
            Flows::Messages { is_stream: true } => Texts::Messages(Box::new(Answers::stream(&self.guardrails, values))),
            Flows::Messages { is_stream: false } => Texts::Messages(Box::new(Answers::whole(&self.guardrails, values))),
            Flows::Text => Texts::Text(Box::new(PlainText::new(&self.guardrails, values.as_ref()))),
        };
        let is_asked = !self.asked(Way::Output).is_empty();
        if is_asked && !matches!(texts, Texts::Events(_)) {
            self.unscreened_answer("guard_on_stream")?;
        }
        let windows = Windows::new(&self).filter(|_| matches!(texts, Texts::Events(_)));
        let status = matches!(flows, Flows::Messages { .. }).then(|| Status::of(&self));
        flow.screened_by(AnswerScreen::new(self.tally, texts, windows, verdict).with_status(status));
        Ok(AnswerBody::Flow(flow))
    }

    /// An answer that is judged whole.
    async fn answer(
        self,
        kind: Kind,
        mut parts: Parts,
        body: AnswerBody,
        mut verdict: Option<Verdict>,
    ) -> Result<Answer<AnswerBody>, Refusal> {
        let collected = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let bytes = collected.map_err(|error| Refusal::unscreenable_answer().detail(error.to_string()))?.to_bytes();
        let judged = self.document(kind, bytes.clone()).await;
        self.tally.close(Way::Output, if judged.is_err() { Judged::Block } else { self.tally.judged(Way::Output) });
        let bytes = match judged {
            Ok(outcome) => {
                if let Some(length) = outcome.header_bytes {
                    parts.headers.insert(HEADER_LENGTH, length.into());
                }
                outcome.body
            }
            Err(Refused::Blocked) => match self.filtered(&bytes).await {
                Some(answer) => {
                    parts.headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
                    answer
                }
                None => return Err(Refusal::answer_filtered()),
            },
            Err(Refused::With(refusal)) => return Err(refusal),
        };
        forget_bytes(&mut parts.headers);
        if let Some(verdict) = &mut verdict {
            verdict.sent(&bytes);
        }
        tell(&mut parts, verdict.as_ref(), &self.tally, true);
        Ok(Answer::Response(http::Response::from_parts(parts, AnswerBody::Full(bytes))))
    }

    fn job(&self, kind: Kind, body: Bytes) -> Job {
        Job {
            guardrails: self.guardrails.clone(),
            way: Way::Output,
            kind,
            body,
            values: self.values.clone(),
            tenant: None,
        }
    }

    /// Judges a document of the answer.
    async fn document(&self, kind: Kind, body: Bytes) -> Result<Outcome, Refused> {
        let job = self.job(kind.clone(), body);
        let started = Instant::now();
        let done = document::screen(job, &self.tally.worker().screening_texts).await;
        self.tally.took(Way::Output, started.elapsed());
        let done = done.map_err(|_| {
            self.tally.failed(Way::Output, "patterns", "panicked");
            Refused::With(Refusal::guardrail_unavailable().detail("panicked"))
        })?;
        self.tally.found(Way::Output, &done.findings);
        done.scored.tell(Way::Output, &self.tally);
        match done.judged {
            Ok(outcome) => self.opinions_of(&kind, outcome).await,
            Err(No::Blocked(_)) => Err(Refused::Blocked),
            Err(No::Overrun) => {
                self.tally.failed(Way::Output, "patterns", "overrun");
                Err(Refused::Blocked)
            }
            Err(No::Unreadable(why)) => {
                self.tally.failed(Way::Output, "body", "content");
                Err(Refused::With(Refusal::unscreenable_answer().detail(why.to_string())))
            }
        }
    }

    /// The same after guards elsewhere have been asked.
    async fn opinions_of(&self, kind: &Kind, mut outcome: Outcome) -> Result<Outcome, Refused> {
        let asked = self.asked(Way::Output);
        if asked.is_empty() {
            return Ok(outcome);
        }
        let texts: Vec<_> =
            std::mem::take(&mut outcome.texts).into_iter().map(|(_, text)| (Speaker::Assistant, text)).collect();
        let all = [&self.prompt[..], &texts].concat();
        match guards::ask(asked, Way::Output, &all, self.model.as_ref(), &self.tally).await {
            Opinions::Pass(None) => Ok(outcome),
            Opinions::Pass(Some(instead)) => {
                let instead = instead.into_iter().skip(self.prompt.len()).collect();
                document::rewritten(&self.guardrails, kind, outcome, instead)
                    .map_err(|_| Refused::With(Refusal::unscreenable_answer()))
            }
            Opinions::Refused(_) => Err(Refused::Blocked),
            Opinions::Unanswered(no) => Err(Refused::With(Refusal::guardrail_unavailable().detail(no.as_str()))),
        }
    }

    /// The answer that says that it was filtered. What is left of the original in it must pass as well.
    async fn filtered(&self, original: &Bytes) -> Option<Bytes> {
        let answer = Bytes::from(blocked_answer(self.api, original)?);
        let job = self.job(Kind::Json(Shape::answer(self.api)), answer);
        let done = document::screen(job, &self.tally.worker().screening_texts).await.ok()?;
        done.judged.ok().map(|outcome| outcome.body)
    }
}

/// Why an answer does not go out.
enum Refused {
    /// A stage says so.
    Blocked,
    /// It cannot be judged.
    With(Refusal),
}
