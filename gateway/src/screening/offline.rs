//! Whole bodies under guardrails without an exchange, for `portcullis test`: judged by the functions of the exchange, so that
//! a case says what would become of it. Guards elsewhere are not asked; the caller has to say so.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portcullis_policy::guard::{
    lanes::{document::Settings, shape::Shape, tensors::Method},
    placeholders::Values,
    screen::{Guardrails, Scratch, Unscreened},
};

use super::{
    Judged, Way, api,
    begins::Begins,
    blocked::blocked_answer,
    contained,
    content::{Content, Kind},
    document::{self, Done, Job, No, Outcome},
    input::{Form, by_its_beginning, refusal},
    media::Media,
    secret::PlaceholderSecret,
};
use crate::refusal::Refusal;

/// What became of a body.
#[derive(Debug, Default)]
pub(crate) struct Offline {
    /// As it goes on, or what the client is told in its place.
    pub(crate) body: Bytes,
    /// The texts in it.
    pub(crate) texts: Vec<String>,
    /// Who says no, and with which status.
    pub(crate) refused: Option<Refused>,
    /// The names of stages that found something.
    pub(crate) found: Vec<String>,
    /// The gravest of what was done.
    pub(crate) judged: Judged,
    /// What has to come back in the answer.
    pub(crate) values: Option<Arc<Values>>,
}

/// A no.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The stage that says it, or why nobody could judge.
    pub(crate) by: String,
    /// What the client gets; of an answer, its own status may stay.
    pub(crate) status: Option<StatusCode>,
    /// Whether that is what was found, and not that it could not be judged.
    is_block: bool,
}

/// What becomes of the body of a request. An error is what cannot be run here.
pub(crate) fn input(
    guardrails: &Arc<Guardrails>,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Offline, String> {
    let api = api::of_path(path);
    let kind = match Form::of_head(headers, path, api) {
        Form::Nothing | Form::Grpc(Method::Facts) => return Ok(passing(body)),
        Form::Whole(kind) => kind,
        Form::Perhaps(kind) => match by_its_beginning(&kind, api, body) {
            Some(kind) => kind,
            None if guardrails.unscreened == Unscreened::Pass => kind,
            None => return Ok(unread("two_readings", &Refusal::unscreenable())),
        },
        Form::Grpc(Method::Infer | Method::StreamInfer) => return Err("a body of gRPC is not run here".to_owned()),
        Form::Grpc(Method::Unknown) | Form::Other if guardrails.unscreened == Unscreened::Pass => {
            return Ok(passing(body));
        }
        Form::Grpc(Method::Unknown) | Form::Other => return Ok(unread("content_type", &Refusal::unscreenable())),
    };
    let tenant = Some((PlaceholderSecret::known(), "".into()));
    let job = Job { guardrails: guardrails.clone(), way: Way::Input, kind, body: body.clone(), values: None, tenant };
    let refused = |no: &No| Some(refusal(guardrails, no).status);
    Ok(run(&job, refused))
}

/// What becomes of the body of an answer. An error is what cannot be run here.
pub(crate) fn output(
    guardrails: &Arc<Guardrails>,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
    values: Option<&Arc<Values>>,
) -> Result<Offline, String> {
    let api = api::of_path(path);
    let shape = Shape::answer(api);
    let kind = match Media::of(headers, shape) {
        Media::Document(kind) => kind,
        Media::Events => return Err("write an event stream as `stream`".to_owned()),
        Media::Text if Begins::of_whole(body) == Begins::Json => Kind::Json(shape),
        Media::Text => return Err("write an answer that is one text as `answer: TEXT`".to_owned()),
        _ if guardrails.unscreened == Unscreened::Pass => return Ok(passing(body)),
        _ => return Ok(unread("content_type", &Refusal::unscreenable_answer())),
    };
    let job = |kind, body| Job {
        guardrails: guardrails.clone(),
        way: Way::Output,
        kind,
        body,
        values: values.cloned(),
        tenant: None,
    };
    let mut became = run(&job(kind, body.clone()), |no| match no {
        No::Blocked(_) | No::Overrun => Some(Refusal::answer_filtered().status),
        No::Unreadable(_) => Some(Refusal::unscreenable_answer().status),
    });
    let is_blocked = became.refused.as_ref().is_some_and(|refused| refused.is_block);
    if let (true, Some(told)) = (is_blocked, blocked_answer(api, body)) {
        let told = run(&job(Kind::Json(shape), told.into()), |_| None);
        if told.refused.is_none() {
            (became.body, became.texts) = (told.body, told.texts);
            became.refused = became.refused.map(|refused| Refused { status: None, ..refused });
        }
    }
    Ok(became)
}

fn passing(body: &Bytes) -> Offline {
    let texts = vec![String::from_utf8_lossy(body).into_owned()];
    Offline { body: body.clone(), texts, ..Offline::default() }
}

fn unread(why: &str, refusal: &Refusal) -> Offline {
    let refused = Some(Refused { by: why.to_owned(), status: Some(refusal.status), is_block: false });
    Offline { refused, judged: Judged::Block, ..Offline::default() }
}

fn run(job: &Job, status: impl Fn(&No) -> Option<StatusCode>) -> Offline {
    let direction = match job.way {
        Way::Input => &job.guardrails.input,
        Way::Output => &job.guardrails.output,
    };
    let judging = contained(|| document::run(job, &mut Scratch::default(), Instant::now()));
    let Ok(Done { judged, findings, scored }) = judging else {
        return unread("a guard panicked", &Refusal::guardrail_unavailable());
    };
    let by_rules = findings.iter().filter_map(|finding| direction.stage_of(finding.rule));
    let by_stages = scored.found.iter().filter_map(|(stage, _)| direction.stages.get(*stage));
    let stages: Vec<_> = by_rules.chain(by_stages).collect();
    let gravest = stages.iter().map(|stage| Judged::by(stage.reaction, stage.is_shadow)).max().unwrap_or_default();
    let mut found: Vec<String> = stages.iter().map(|stage| stage.name.to_string()).collect();
    found.sort_unstable();
    found.dedup();
    match judged {
        Ok(outcome) => {
            let texts = texts(job, &outcome);
            Offline { texts, body: outcome.body, refused: None, found, judged: gravest, values: outcome.values }
        }
        Err(no) => {
            let by = match &no {
                No::Blocked(stage) => direction.stages.get(*stage).map_or("?", |stage| &*stage.name).to_owned(),
                No::Overrun => "overrun".to_owned(),
                No::Unreadable(why) => why.to_string(),
            };
            let is_block = matches!(no, No::Blocked(_) | No::Overrun);
            let refused = Some(Refused { by, status: status(&no), is_block });
            Offline { refused, found, judged: Judged::Block, ..Offline::default() }
        }
    }
}

/// The texts of a body that goes on.
fn texts(job: &Job, outcome: &Outcome) -> Vec<String> {
    let Guardrails { unknown_fields, .. } = *job.guardrails;
    let settings = Settings { unknown_fields, unscreened: Unscreened::Pass };
    let kind = job.kind.now(outcome.header_bytes);
    let read = Content::read(&kind, &outcome.body, settings);
    read.map(|content| content.texts().iter().map(|(_, text)| (*text).to_owned()).collect()).unwrap_or_default()
}
