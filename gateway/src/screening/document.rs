//! One whole body under the guards of one direction: its texts against patterns and scores, and what becomes of it.
//!
//! It is a plain function of plain values, so that a large document can be screened on a thread beside the worker, whose
//! other exchanges would wait for it.

use std::{ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;
use portcullis_policy::guard::{
    engine::Finding,
    lanes::document::{Edit, Place, Screener, Settings},
    placeholders::{ConversationKey, Placeholders, Values},
    screen::{By, Detector, Direction, Guardrails, Reaction, Scratch, Speaker, Stage, Whole},
};

use super::{
    Panicked, Way, contained,
    content::{Content, Kind, Unreadable},
    scores::{self, Scored},
    secret::PlaceholderSecret,
    tools::without_tools,
};

/// Above so many bytes a document is screened beside the worker.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// A document to be screened.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) guardrails: Arc<Guardrails>,
    pub(super) way: Way,
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    /// The caller's own values, which come back.
    pub(super) values: Option<Arc<Values>>,
    /// What placeholders are made with, and for whom.
    pub(super) tenant: Option<(PlaceholderSecret, Arc<str>)>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) judged: Result<Outcome, No>,
    /// By rules of the engine.
    pub(super) findings: Vec<Finding>,
    /// By stages that score.
    pub(super) scored: Scored,
}

/// A document that goes on.
#[derive(Debug)]
pub(super) struct Outcome {
    /// As it is to go on.
    pub(super) body: Bytes,
    /// Of a document with tensors behind it, if it was changed: how long the document is now.
    pub(super) header_bytes: Option<usize>,
    /// Whether that is as it came.
    pub(super) is_untouched: bool,
    /// What has to come back in the answer.
    pub(super) values: Option<Arc<Values>>,
    /// Who says what in it now, where somebody else is to be asked.
    pub(super) texts: Vec<(Speaker, String)>,
}

/// Why a document does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum No {
    /// A stage refuses it, by its place.
    Blocked(usize),
    /// A text asks for more than is allowed of one.
    Overrun,
    /// It cannot be read.
    Unreadable(Unreadable),
}

/// Screens a document, beside the worker if it is large or may need a second opinion.
pub(super) async fn screen(job: Job, scratch: &std::cell::RefCell<Scratch>) -> Result<Done, Panicked> {
    // A second opinion takes milliseconds.
    let now = Instant::now();
    if job.body.len() <= INLINE_BYTES_MAX && !job.direction().stages.iter().any(scores::has_second_opinion) {
        return contained(|| run(&job, &mut scratch.borrow_mut(), now));
    }
    let beside = tokio::task::spawn_blocking(move || contained(|| run(&job, &mut Scratch::default(), now)));
    beside.await.unwrap_or(Err(Panicked))
}

/// Screens a document; `now` is when that was asked for.
pub(super) fn run(job: &Job, scratch: &mut Scratch, now: Instant) -> Done {
    scratch.findings.clear();
    let mut scored = Scored::default();
    let settings = Settings { unknown_fields: job.guardrails.unknown_fields, unscreened: job.guardrails.unscreened };
    let judged = Content::read(&job.kind, &job.body, settings)
        .map_err(No::Unreadable)
        .and_then(|content| job.judge(&content, &mut scored, scratch, now));
    let findings = std::mem::take(&mut scratch.findings);
    let judged = judged.and_then(|outcome| strip_tools(job, &findings, &scored, outcome));
    let judged = judged.and_then(|outcome| job.with_texts(outcome, settings));
    Done { judged, findings, scored }
}

impl Job {
    fn direction(&self) -> &Direction {
        match self.way {
            Way::Input => &self.guardrails.input,
            Way::Output => &self.guardrails.output,
        }
    }

    fn judge(
        &self,
        content: &Content<'_>,
        scored: &mut Scored,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Result<Outcome, No> {
        let direction = self.direction();
        *scored = scores::score(direction, content, now);
        let refusing = scored.found.iter().find(|(stage, _)| direction.stages.get(*stage).is_some_and(refuses));
        if let Some((stage, _)) = refusing {
            return Err(No::Blocked(*stage));
        }
        let mut placeholders = self.placeholders(content);
        let mut reader = Reader { job: self, direction, scratch, placeholders: placeholders.as_mut(), no: None };
        let rewritten = content.rewrite(&mut reader);
        if let Some(no) = reader.no {
            return Err(no);
        }
        let rewritten = rewritten.map_err(No::Unreadable)?;
        Ok(Outcome {
            is_untouched: rewritten.is_none(),
            header_bytes: rewritten.as_ref().and_then(|written| written.header_bytes),
            body: rewritten.map_or_else(|| self.body.clone(), |written| written.body.into()),
            values: placeholders.map(Placeholders::into_values).filter(|values| !values.is_empty()),
            texts: Vec::new(),
        })
    }

    /// What makes placeholders, where a stage does.
    fn placeholders(&self, content: &Content<'_>) -> Option<Placeholders> {
        let (secret, tenant) = self.tenant.as_ref()?;
        let is_wanted = self.direction().stages.iter().any(|stage| stage.reaction == Reaction::Tokenize);
        if !is_wanted {
            return None;
        }
        let mut opening = Vec::new();
        for text in content.opening() {
            opening.extend_from_slice(&(text.len() as u64).to_be_bytes());
            opening.extend_from_slice(text.as_bytes());
        }
        Some(Placeholders::new(ConversationKey::derive(&secret.0, tenant, &opening)))
    }

    /// Collects who says what, where somebody else is to be asked about it.
    fn with_texts(&self, mut outcome: Outcome, settings: Settings) -> Result<Outcome, No> {
        let asks = |stage: &Stage| matches!(stage.detector, Detector::Service(_));
        let is_asked = self.direction().stages.iter().any(asks)
            || self.way == Way::Input && self.guardrails.output.stages.iter().any(asks);
        if is_asked {
            let kind = self.kind.now(outcome.header_bytes);
            let content = Content::read(&kind, &outcome.body, settings).map_err(No::Unreadable)?;
            outcome.texts = content.texts().iter().map(|(place, text)| (place.speaker, (*text).to_owned())).collect();
        }
        Ok(outcome)
    }
}

/// The body of an outcome, in which these texts are written in the place of others.
pub(super) fn rewritten(
    guardrails: &Guardrails,
    kind: &Kind,
    outcome: Outcome,
    texts: Vec<Option<String>>,
) -> Result<Outcome, No> {
    let kind = kind.now(outcome.header_bytes);
    let content = Content::read(&kind, &outcome.body, settings(guardrails)).map_err(No::Unreadable)?;
    let Some(written) = content.rewrite(&mut Instead(texts.into_iter())).map_err(No::Unreadable)? else {
        drop(content);
        return Ok(outcome);
    };
    drop(content);
    Ok(Outcome {
        body: written.body.into(),
        header_bytes: written.header_bytes.or(outcome.header_bytes),
        is_untouched: false,
        ..outcome
    })
}

/// Writes one text after another.
struct Instead(std::vec::IntoIter<Option<String>>);

impl Screener for Instead {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        match self.0.next().flatten() {
            Some(instead) => Edit::Ranges(vec![(0..text.len(), instead)]),
            None => Edit::Keep,
        }
    }
}

fn settings(guardrails: &Guardrails) -> Settings {
    Settings { unknown_fields: guardrails.unknown_fields, unscreened: guardrails.unscreened }
}

/// Whether what this stage finds does not go on.
pub(super) fn refuses(stage: &Stage) -> bool {
    stage.reaction == Reaction::Block && !stage.is_shadow
}

/// Takes the tools from a request, where a stage that says so has found something.
fn strip_tools(job: &Job, findings: &[Finding], scored: &Scored, outcome: Outcome) -> Result<Outcome, No> {
    let direction = job.direction();
    let of_rules = findings.iter().filter_map(|finding| direction.stage_of(finding.rule));
    let of_stages = scored.found.iter().filter_map(|(stage, _)| direction.stages.get(*stage));
    let strips = |stage: &Stage| stage.reaction == Reaction::StripTools && !stage.is_shadow;
    if !of_rules.chain(of_stages).any(strips) || !matches!(job.kind, Kind::Json(_)) {
        return Ok(outcome);
    }
    match without_tools(&outcome.body).map_err(|fault| No::Unreadable(fault.into()))? {
        Some(body) => Ok(Outcome { body: body.into(), is_untouched: false, ..outcome }),
        None => Ok(outcome),
    }
}

/// Judges each text of a document.
struct Reader<'j> {
    job: &'j Job,
    direction: &'j Direction,
    scratch: &'j mut Scratch,
    placeholders: Option<&'j mut Placeholders>,
    no: Option<No>,
}

impl Screener for Reader<'_> {
    fn text(&mut self, place: &Place, text: &str) -> Edit {
        let whole = self.direction.whole(place.speaker, text, self.job.values.as_ref(), self.scratch);
        self.edit(whole, text)
    }

    fn behind(&mut self, place: &Place, key: &str, text: &str) -> Edit {
        let values = self.job.values.as_ref();
        let whole = self.direction.whole_behind(place.speaker, key, text, values, self.scratch);
        self.edit(whole, text)
    }
}

impl Reader<'_> {
    fn edit(&mut self, whole: Whole, text: &str) -> Edit {
        match whole {
            Whole::Passes(changes) if changes.is_empty() => Edit::Keep,
            Whole::Passes(changes) => Edit::Ranges(
                changes
                    .into_iter()
                    .map(|change| (change.range.clone(), self.instead(&change.by, text, &change.range)))
                    .collect(),
            ),
            Whole::Blocked(rule) => {
                let stage = self.direction.origin(rule).map_or(usize::MAX, |origin| origin.stage);
                self.no = Some(No::Blocked(stage));
                Edit::Refuse
            }
            Whole::Overrun => {
                self.no = Some(No::Overrun);
                Edit::Refuse
            }
        }
    }

    /// What stands in the place of a part of a text.
    fn instead(&mut self, by: &By, text: &str, range: &Range<usize>) -> String {
        let rule = match by {
            By::Value(value) => return value.to_string(),
            By::Rule(rule) => *rule,
        };
        let is_tokenized = self.direction.stage_of(rule).is_some_and(|stage| stage.reaction == Reaction::Tokenize);
        let placeholder = self.placeholders.as_mut().filter(|_| is_tokenized).and_then(|placeholders| {
            let kind = &self.direction.origin(rule)?.kind;
            placeholders.placeholder(kind, text.get(range.clone())?)
        });
        placeholder.unwrap_or_else(|| self.direction.replacement(rule)).to_owned()
    }
}
