//! What guardrails make of what a case says, and of what its backend answers.
//!
//! An answer comes in pieces, and how it is cut must make no difference: it is taken whole, byte by byte, in two pieces and in
//! three ([`cuts`]).

mod cuts;
mod stream;

use std::{fs, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policy::{
    documents::{
        Document,
        kinds::ours::{CaseAnswer, CaseRequest, CaseVerdict, Effect, Expectation, RecordedStream, WholeAnswer},
    },
    guard::{
        placeholders::Values,
        screen::{Detector, Direction, Guardrails, Speaker},
    },
};
use serde_json::Value;

use crate::{
    explain::guard::look::{Looked, Looks, Outcome, look, screened},
    refusal::Refusal,
    screening::{
        Judged,
        offline::{self, Offline},
    },
};

/// The longest recorded stream, in bytes.
const RECORDED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What became of what was said.
#[derive(Default)]
pub(super) struct Said {
    /// The stage that says no.
    pub(super) blocked_by: Option<String>,
    /// What a client gets for that, where it is known.
    pub(super) status: Option<StatusCode>,
    /// The gravest of what was done.
    judged: Judged,
    /// The texts that come out of the last direction that was looked at.
    texts: Vec<String>,
    /// What comes out as it is sent, where that is more than texts.
    sent: String,
    /// Stages that found something.
    found: Vec<String>,
    /// Stages that would have asked somebody else, and where.
    elsewhere: Vec<String>,
    /// Ways of cutting the answer after which something else came out.
    differs: Vec<String>,
    /// Of the request, what has to come back in the answer.
    values: Option<Arc<Values>>,
}

/// The body that a case sends, if it sends one.
pub(super) fn body(request: &CaseRequest) -> Option<Bytes> {
    request.body.as_ref().map(written)
}

/// A text as it stands, anything else as JSON.
fn written(body: &Value) -> Bytes {
    match body {
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

/// The header lines that a case sends: those that it writes, and what its body is if it does not say it.
pub(super) fn fields(request: &CaseRequest) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let says = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    if !says && request.body.as_ref().is_some_and(|body| !body.is_string()) {
        fields.push((CONTENT_TYPE.as_str(), "application/json"));
    }
    fields
}

/// What guardrails make of a case; `None`: it says nothing, and nothing is answered. An error is the case's own.
pub(super) fn said(
    guardrails: Option<&Arc<Guardrails>>,
    document: &Document,
    request: &CaseRequest,
) -> Result<Option<Said>, String> {
    let CaseRequest { say, body, answer, stream, .. } = request;
    if say.is_none() && body.is_none() && answer.is_none() && stream.is_none() {
        return Ok(None);
    }
    if answer.is_some() && stream.is_some() {
        return Err("`answer` and `stream` are both given".to_owned());
    }
    if say.is_some() && body.is_some() {
        return Err("`say` and `body` are both given".to_owned());
    }
    let recorded = stream.as_ref().map(|stream| recorded(document, stream)).transpose()?;
    let Some(guardrails) = guardrails else { return Ok(Some(Said::unguarded(request, recorded.as_deref()))) };
    let mut said = Said::default();
    said.take_request(guardrails, request)?;
    if said.blocked_by.is_none() {
        said.take_answer(guardrails, request, recorded)?;
    }
    Ok(Some(said))
}

fn recorded(document: &Document, stream: &RecordedStream) -> Result<Vec<u8>, String> {
    match stream {
        RecordedStream { events: Some(events), .. } => Ok(events.clone().into_bytes()),
        RecordedStream { file: Some(file), .. } => {
            let path = document.beside(file);
            let cannot = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
            if fs::metadata(&path).map_err(cannot)?.len() > RECORDED_BYTES_MAX {
                return Err(format!("`{}` is longer than {RECORDED_BYTES_MAX} bytes", path.display()));
            }
            fs::read(&path).map_err(cannot)
        }
        RecordedStream { .. } => Err("`stream` names neither `file` nor `events`".to_owned()),
    }
}

impl Said {
    /// Nobody looks at it: it comes out as it is.
    fn unguarded(request: &CaseRequest, recorded: Option<&[u8]>) -> Self {
        let sent = match (&request.answer, recorded) {
            (_, Some(recorded)) => {
                let sent = String::from_utf8_lossy(recorded).into_owned();
                return Self { texts: stream::texts(recorded), sent, ..Self::default() };
            }
            (Some(CaseAnswer::Text(text)), _) => Some(text.clone()),
            (Some(CaseAnswer::Whole(whole)), _) => Some(String::from_utf8_lossy(&written(&whole.body)).into_owned()),
            (None, None) => {
                request.say.clone().or_else(|| body(request).map(|body| String::from_utf8_lossy(&body).into_owned()))
            }
        };
        Self { texts: sent.into_iter().collect(), ..Self::default() }
    }

    fn take_request(&mut self, guardrails: &Arc<Guardrails>, request: &CaseRequest) -> Result<(), String> {
        if let Some(user) = &request.say {
            self.take(&guardrails.input, look(&guardrails.input, Speaker::User, user));
            self.status = self.blocked_by.as_ref().map(|_| Refusal::content_filter().status);
        }
        if let Some(body) = body(request) {
            let headers = headers(&fields(request))?;
            let became = offline::input(guardrails, path(request), &headers, &body)?;
            self.take_whole(&guardrails.input, became);
        }
        Ok(())
    }

    fn take_answer(
        &mut self,
        guardrails: &Arc<Guardrails>,
        request: &CaseRequest,
        recorded: Option<Vec<u8>>,
    ) -> Result<(), String> {
        let output = &guardrails.output;
        match &request.answer {
            Some(CaseAnswer::Text(answer)) => {
                self.take(output, look(output, Speaker::Assistant, answer));
                let run = |pieces: &[&[u8]]| screened(output, Speaker::Assistant, answer, pieces.iter().copied());
                self.differs = cuts::differences(answer.as_bytes(), run, |screened| screened.said.clone());
            }
            Some(CaseAnswer::Whole(WholeAnswer { body, content_type })) => {
                let content_type = content_type.as_deref().unwrap_or("application/json");
                let headers = headers(&[(CONTENT_TYPE.as_str(), content_type)])?;
                let values = self.values.as_ref();
                let became = offline::output(guardrails, path(request), &headers, &written(body), values)?;
                self.take_whole(output, became);
            }
            None => {}
        }
        if let Some(recorded) = recorded {
            let run = |pieces: &[&[u8]]| stream::screened(guardrails, path(request), pieces);
            let whole = run(&[recorded.as_slice()]);
            self.differs =
                cuts::differences(&recorded, run, |streamed| String::from_utf8_lossy(&streamed.sent).into_owned());
            self.take_stream(output, whole);
        }
        Ok(())
    }

    fn take(&mut self, direction: &Direction, looked: Looked) {
        let found = looked.stages.iter().filter(|stage| match &stage.looks {
            Looks::Patterns(found) => !found.is_empty(),
            Looks::Score(scored) => scored.counts(),
            Looks::Elsewhere | Looks::Service(_) => false,
        });
        for stage in found {
            self.judged = self.judged.max(Judged::by(stage.reaction, stage.is_shadow));
            self.found.push(stage.name.to_string());
        }
        let (text, blocked_by) = match looked.outcome {
            Outcome::Passes { text, .. } => (text, None),
            Outcome::Blocked { stage, before } => (before, Some(stage.to_string())),
            Outcome::Overrun => (String::new(), Some("overrun".to_owned())),
        };
        self.texts = vec![text];
        self.close(direction, blocked_by);
    }

    fn take_whole(&mut self, direction: &Direction, became: Offline) {
        self.judged = self.judged.max(became.judged);
        self.found.extend(became.found);
        self.texts = became.texts;
        self.sent = String::from_utf8_lossy(&became.body).into_owned();
        self.values = became.values;
        self.status = became.refused.as_ref().and_then(|refused| refused.status);
        self.close(direction, became.refused.map(|refused| refused.by));
    }

    fn take_stream(&mut self, direction: &Direction, streamed: stream::Streamed) {
        for stage in direction.stages.iter().filter(|stage| streamed.found.iter().any(|name| **name == *stage.name)) {
            self.judged = self.judged.max(Judged::by(stage.reaction, stage.is_shadow));
        }
        self.found.extend(streamed.found);
        self.texts = stream::texts(&streamed.sent);
        self.sent = String::from_utf8_lossy(&streamed.sent).into_owned();
        self.close(direction, streamed.blocked_by);
    }

    /// One direction has been looked at. Where nothing here says no, guards elsewhere would have been asked.
    fn close(&mut self, direction: &Direction, blocked_by: Option<String>) {
        if blocked_by.is_some() {
            self.judged = Judged::Block;
        } else {
            self.elsewhere.extend(direction.stages.iter().filter_map(|stage| match &stage.detector {
                Detector::Service(service) if !stage.is_shadow => {
                    Some(format!("`{}` asks {}", stage.name, service.url))
                }
                _ => None,
            }));
        }
        self.blocked_by = blocked_by;
    }

    /// Why nobody can say here what becomes of it, if that is so: a guard elsewhere would be asked.
    pub(super) fn is_open(&self) -> Option<String> {
        (!self.elsewhere.is_empty()).then(|| format!("{}, which is not asked here", self.elsewhere.join(", ")))
    }

    fn differences(&self, expect: &Expectation) -> Vec<String> {
        let mut differs = self.differs.clone();
        if let Some(wanted) = &expect.guardrail {
            let got: Vec<String> = match expect.decision {
                Effect::Deny => self.blocked_by.iter().cloned().collect(),
                Effect::Allow => self.found.clone(),
            };
            if !got.contains(wanted) {
                let got = if got.is_empty() { "none".to_owned() } else { got.join(", ") };
                let does = if expect.decision == Effect::Deny { "say no" } else { "find something" };
                differs.push(format!("expected guardrail {wanted} to {does}, got {got}"));
            }
        }
        if let Some(wanted) = expect.verdict.map(judged)
            && wanted != self.judged
        {
            differs.push(format!("expected the verdict {}, got {}", wanted.as_str(), self.judged.as_str()));
        }
        let texts = self.texts.join("`, `");
        let says = |wanted: &&String| self.texts.iter().any(|text| text.contains(wanted.as_str()));
        let missing = expect.says.iter().filter(|wanted| !says(wanted));
        differs.extend(missing.map(|wanted| format!("expected `{wanted}` to come out, got `{texts}`")));
        let leaks = |wanted: &&String| says(wanted) || self.sent.contains(wanted.as_str());
        let leaked = expect.never_says.iter().filter(leaks);
        differs.extend(leaked.map(|wanted| format!("`{wanted}` comes out: `{texts}`")));
        differs
    }
}

/// What is otherwise than expected.
pub(super) fn differences(expect: &Expectation, said: Option<&Said>) -> Vec<String> {
    let asks = expect.guardrail.is_some()
        || expect.verdict.is_some()
        || !expect.says.is_empty()
        || !expect.never_says.is_empty();
    match said {
        Some(said) => said.differences(expect),
        None if asks => vec!["expected guardrails to look at something, but nothing is said".to_owned()],
        None => Vec::new(),
    }
}

fn judged(verdict: CaseVerdict) -> Judged {
    match verdict {
        CaseVerdict::Pass => Judged::Pass,
        CaseVerdict::Flag => Judged::Flag,
        CaseVerdict::Mask => Judged::Mask,
        CaseVerdict::Block => Judged::Block,
    }
}

/// The path without its query.
fn path(request: &CaseRequest) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

fn headers(fields: &[(&str, &str)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is not a header name"))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| format!("`{value}` is not a header value"))?);
    }
    Ok(headers)
}
