//! What guardrails make of what a case says, and of what its backend answers.
//!
//! An answer comes in pieces, and how it is cut must make no difference: it is taken whole, byte by byte, in two pieces and in
//! three ([`cuts`]).

mod cuts;
mod stream;

use std::{fs, sync::Arc};

use portcullis_policy::{
    documents::{
        Document,
        kinds::ours::{CaseRequest, Effect, Expectation, RecordedStream},
    },
    guard::screen::{Guardrails, Speaker},
};

use crate::explain::guard::look::{Looked, Looks, Outcome, look, screened};

/// The longest recorded stream, in bytes.
const RECORDED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What became of what was said.
#[derive(Default)]
pub(super) struct Said {
    /// The stage that says no.
    pub(super) blocked_by: Option<String>,
    /// The texts that come out of the last direction that was looked at.
    texts: Vec<String>,
    /// What comes out as it is sent, where that is more than texts.
    sent: String,
    /// Stages that found something.
    found: Vec<String>,
    /// Stages that would have asked somebody else.
    elsewhere: Vec<String>,
    /// Ways of cutting the answer after which something else came out.
    differs: Vec<String>,
}

/// What guardrails make of a case; `None`: it says nothing, and nothing is answered. An error is the case's own.
pub(super) fn said(
    guardrails: Option<&Arc<Guardrails>>,
    document: &Document,
    request: &CaseRequest,
) -> Result<Option<Said>, String> {
    let CaseRequest { say, answer, stream, path, .. } = request;
    if say.is_none() && answer.is_none() && stream.is_none() {
        return Ok(None);
    }
    if answer.is_some() && stream.is_some() {
        return Err("`answer` and `stream` are both given".to_owned());
    }
    let recorded = stream.as_ref().map(|stream| recorded(document, stream)).transpose()?;
    let mut said = Said::default();
    let Some(guardrails) = guardrails else {
        said.texts.extend(answer.as_ref().or(say.as_ref()).cloned());
        if let Some(recorded) = recorded {
            said.texts = stream::texts(&recorded);
            said.sent = String::from_utf8_lossy(&recorded).into_owned();
        }
        return Ok(Some(said));
    };
    if let Some(user) = say {
        said.take(look(&guardrails.input, Speaker::User, user));
    }
    if said.blocked_by.is_some() {
        return Ok(Some(said));
    }
    if let Some(answer) = answer {
        said.take(look(&guardrails.output, Speaker::Assistant, answer));
        let run = |pieces: &[&[u8]]| screened(&guardrails.output, Speaker::Assistant, answer, pieces.iter().copied());
        said.differs = cuts::differences(answer.as_bytes(), run, |screened| screened.said.clone());
    }
    if let Some(recorded) = recorded {
        let run = |pieces: &[&[u8]]| stream::screened(guardrails, path, pieces);
        let whole = run(&[recorded.as_slice()]);
        said.differs =
            cuts::differences(&recorded, run, |streamed| String::from_utf8_lossy(&streamed.sent).into_owned());
        said.take_stream(guardrails, whole);
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
    fn take(&mut self, looked: Looked) {
        let found = looked.stages.iter().filter(|stage| match &stage.looks {
            Looks::Patterns(found) => !found.is_empty(),
            Looks::Score(scored) => scored.counts(),
            Looks::Elsewhere | Looks::Service(_) => false,
        });
        let asks = looked.stages.iter().filter(|stage| matches!(stage.looks, Looks::Service(_)));
        self.elsewhere.extend(asks.map(|stage| stage.name.to_string()));
        self.found.extend(found.map(|stage| stage.name.to_string()));
        let (text, blocked_by) = match looked.outcome {
            Outcome::Passes { text, .. } => (text, None),
            Outcome::Blocked { stage, before } => (before, Some(stage.to_string())),
            Outcome::Overrun => (String::new(), Some("overrun".to_owned())),
        };
        (self.texts, self.blocked_by) = (vec![text], blocked_by);
    }

    fn take_stream(&mut self, guardrails: &Guardrails, streamed: stream::Streamed) {
        let asks = guardrails
            .output
            .stages
            .iter()
            .filter(|stage| matches!(stage.detector, portcullis_policy::guard::screen::Detector::Service(_)));
        self.elsewhere.extend(asks.map(|stage| stage.name.to_string()));
        self.found.extend(streamed.found);
        self.blocked_by = streamed.blocked_by;
        self.texts = stream::texts(&streamed.sent);
        self.sent = String::from_utf8_lossy(&streamed.sent).into_owned();
    }

    /// Whether the guardrail that is expected to say something is one that would have to be asked.
    pub(super) fn needs_another(&self, expect: &Expectation) -> bool {
        expect.guardrail.as_ref().is_some_and(|wanted| self.elsewhere.contains(wanted))
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
    let asks = expect.guardrail.is_some() || !expect.says.is_empty() || !expect.never_says.is_empty();
    match said {
        Some(said) => said.differences(expect),
        None if asks => vec!["expected guardrails to look at something, but nothing is said".to_owned()],
        None => Vec::new(),
    }
}
