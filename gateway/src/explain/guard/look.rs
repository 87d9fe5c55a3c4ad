//! One text under the guardrails of a direction, as an exchange screens it, with what each stage says.

use std::{ops::Range, sync::Arc, time::Instant};

use portcullis_policy::guard::{
    injection::{
        self, Scorer, Source,
        embedding::{DOUBT_FROM, NotEmbedded},
    },
    placeholders::{ConversationKey, Placeholders},
    screen::{Detector, Direction, Flow, OnError, Reaction, Scratch, SecondOpinion, Sink, Speaker, Stage, Text},
};

/// So much of a text is taken byte by byte, to show what is held.
const HELD_SHOWN_BYTES_MAX: usize = 2048;
/// Places of a text at which is said why something is held, each of which takes some milliseconds to find out.
const HELD_EXPLAINED_MAX: usize = 256;

/// What stages say of a text.
pub(crate) struct Looked {
    pub(crate) stages: Vec<StageSaid>,
    pub(crate) outcome: Outcome,
}

/// What is held of a text as it comes.
pub(crate) struct Holds {
    /// After each character, where something is.
    pub(crate) held: Vec<Held>,
    /// Only so many bytes were taken one by one; `None`: all.
    pub(crate) cut_at: Option<usize>,
}

/// What one stage says.
pub(crate) struct StageSaid {
    pub(crate) policy: String,
    pub(crate) name: Arc<str>,
    pub(crate) reaction: Reaction,
    pub(crate) is_shadow: bool,
    pub(crate) looks: Looks,
}

pub(crate) enum Looks {
    /// It does not look at what this speaker says.
    Elsewhere,
    /// What was found.
    Patterns(Vec<Found>),
    /// What was scored.
    Score(Box<Scored>),
    /// It would have asked there.
    Service(Arc<str>),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) rule: Arc<str>,
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

pub(crate) struct Scored {
    pub(crate) explanation: injection::Explanation,
    pub(crate) counts_from: f32,
    /// What an embedding model says of a text in doubt.
    pub(crate) second: Option<Second>,
}

/// A second opinion.
pub(crate) struct Second {
    pub(crate) value: Result<f32, NotEmbedded>,
    pub(crate) counts_from: f32,
    /// Whether no answer counts.
    closed: bool,
}

impl Scored {
    pub(crate) fn counts(&self) -> bool {
        self.explanation.score.value >= self.counts_from || self.second.as_ref().is_some_and(Second::counts)
    }
}

impl Second {
    pub(crate) fn counts(&self) -> bool {
        self.value.map_or(self.closed, |value| value >= self.counts_from)
    }
}

/// What becomes of the text.
pub(crate) enum Outcome {
    /// It goes on, and the model has its tools unless they are stripped.
    Passes { text: String, without_tools: bool },
    /// A stage refuses it. Of a stream, so much would have gone before.
    Blocked { stage: Arc<str>, before: String },
    /// It asks for more than is allowed of one text.
    Overrun,
}

/// What is held at some point of a stream.
pub(crate) struct Held {
    /// What has come.
    pub(crate) after: usize,
    /// What waits of it.
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
    /// The rule that may yet match, and what would have to follow. `None`: a placeholder's end is waited for.
    pub(crate) because: Option<(Arc<str>, Option<String>)>,
}

/// Screens a text.
pub(crate) fn look(direction: &Direction, speaker: Speaker, text: &str) -> Looked {
    let Screened { said, found, flow } = screened(direction, speaker, text, [text.as_bytes()]);
    let mut found = found.into_iter().map(Some).collect::<Vec<_>>();
    let stages: Vec<StageSaid> = direction
        .stages
        .iter()
        .enumerate()
        .map(|(place, stage)| {
            let found = found.get_mut(place).and_then(Option::take).unwrap_or_default();
            stage_said(stage, speaker, text, found)
        })
        .collect();
    Looked { outcome: outcome(direction, &stages, said, &flow), stages }
}

fn stage_said(stage: &Stage, speaker: Speaker, text: &str, found: Vec<Found>) -> StageSaid {
    let looks = match &stage.detector {
        _ if !stage.speakers.has(speaker) => Looks::Elsewhere,
        Detector::Patterns => Looks::Patterns(found),
        Detector::Injection(thresholds, second) => speaker.source().map_or(Looks::Elsewhere, |source| {
            let explanation = Scorer::shipped().explain(text, source);
            let counts_from = thresholds.of(source);
            let is_in_doubt = (DOUBT_FROM..counts_from).contains(&explanation.score.value);
            let second = second.as_ref().filter(|_| is_in_doubt).map(|second| ask(second, stage, text, source));
            Looks::Score(Box::new(Scored { explanation, counts_from, second }))
        }),
        Detector::Service(service) => Looks::Service(service.url.clone()),
    };
    StageSaid {
        policy: format!("{}/{}", stage.policy.namespace, stage.policy.name),
        name: stage.name.clone(),
        reaction: stage.reaction,
        is_shadow: stage.is_shadow,
        looks,
    }
}

fn ask(second: &SecondOpinion, stage: &Stage, text: &str, source: Source) -> Second {
    let value = second.model.score(text, source, Instant::now() + second.timeout);
    Second { value, counts_from: second.threshold, closed: stage.on_error == OnError::Block }
}

fn outcome(direction: &Direction, stages: &[StageSaid], said: String, flow: &Flow) -> Outcome {
    let by_pattern = match flow {
        Flow::Overrun => return Outcome::Overrun,
        Flow::Blocked(rule) => direction.origin(*rule).map(|origin| origin.stage),
        Flow::Untouched | Flow::Changed => None,
    };
    let scored = |reaction: Reaction| {
        move |stage: &StageSaid| {
            let counts = matches!(&stage.looks, Looks::Score(scored) if scored.counts());
            counts && stage.reaction == reaction && !stage.is_shadow
        }
    };
    let blocking = stages.iter().position(scored(Reaction::Block));
    // A whole text is scored before anything of it goes on.
    if let Some(place) = blocking.into_iter().chain(by_pattern).min()
        && let Some(stage) = stages.get(place)
    {
        let before = if blocking.is_some() { String::new() } else { said };
        return Outcome::Blocked { stage: stage.name.clone(), before };
    }
    let strips = |stage: &StageSaid| {
        let found = matches!(&stage.looks, Looks::Patterns(found) if !found.is_empty());
        stage.reaction == Reaction::StripTools && !stage.is_shadow && found
    };
    let without_tools = stages.iter().any(|stage| strips(stage) || scored(Reaction::StripTools)(stage));
    Outcome::Passes { text: said, without_tools }
}

/// What rules make of a text.
#[derive(Debug, PartialEq)]
pub(crate) struct Screened {
    /// What comes out.
    pub(crate) said: String,
    /// What was found, by stage.
    pub(crate) found: Vec<Vec<Found>>,
    /// How it went: that something was held on the way makes no difference.
    pub(crate) flow: Flow,
}

/// Screens a text that comes in these pieces.
pub(crate) fn screened<'t>(
    direction: &Direction,
    speaker: Speaker,
    text: &str,
    pieces: impl IntoIterator<Item = &'t [u8]>,
) -> Screened {
    let mut screened = Text::new(direction, speaker);
    let (mut scratch, mut said) = (Scratch::default(), Said::new(direction));
    let mut flow = Flow::Changed;
    for piece in pieces {
        flow = screened.push(direction, piece, &mut scratch, &mut said);
        if !matches!(flow, Flow::Untouched | Flow::Changed) {
            break;
        }
    }
    if matches!(flow, Flow::Untouched | Flow::Changed) {
        flow = match screened.finish(direction, &mut scratch, &mut said) {
            Flow::Untouched => Flow::Changed,
            flow => flow,
        };
    }
    said.end_span();
    let mut found: Vec<Vec<Found>> = direction.stages.iter().map(|_| Vec::new()).collect();
    for finding in &scratch.findings {
        let Some(origin) = direction.origin(finding.rule) else { continue };
        let range = finding.range.start as usize..finding.range.end as usize;
        let bytes = text.as_bytes().get(range.clone()).unwrap_or_default();
        let here = Found { rule: origin.rule.clone(), range, text: String::from_utf8_lossy(bytes).into_owned() };
        if let Some(of_stage) = found.get_mut(origin.stage) {
            of_stage.push(here);
        }
    }
    for of_stage in &mut found {
        of_stage.sort_by_key(|found| (found.range.start, found.range.end, found.rule.clone()));
    }
    Screened { said: String::from_utf8_lossy(&said.text).into_owned(), found, flow }
}

/// Takes a text byte by byte, and says after each character what is held, and why.
pub(super) fn holds(direction: &Direction, speaker: Speaker, text: &str) -> Holds {
    let shown = text.get(..text.floor_char_boundary(HELD_SHOWN_BYTES_MAX)).unwrap_or_default();
    let mut screened = Text::new(direction, speaker);
    let (mut scratch, mut said) = (Scratch::default(), Said::new(direction));
    let (mut held, mut after) = (Vec::new(), 0);
    for letter in shown.chars() {
        let mut bytes = [0; 4];
        let flow = screened.push(direction, letter.encode_utf8(&mut bytes).as_bytes(), &mut scratch, &mut said);
        after += letter.len_utf8();
        if !matches!(flow, Flow::Untouched | Flow::Changed) {
            return Holds { held, cut_at: None };
        }
        let count = screened.held();
        if count == 0 {
            continue;
        }
        let come = shown.get(..after).unwrap_or_default();
        let because = screened.witness().map(|witness| {
            let rule = direction.origin(witness.rule).map_or_else(|| "?".into(), |origin| origin.rule.clone());
            (rule, witness.continuation.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        });
        let range = after.saturating_sub(count)..after;
        let bytes = come.as_bytes().get(range.clone()).unwrap_or_default();
        held.push(Held { after, range, text: String::from_utf8_lossy(bytes).into_owned(), because });
        if held.len() == HELD_EXPLAINED_MAX {
            break;
        }
    }
    Holds { held, cut_at: (after < text.len()).then_some(after) }
}

/// What comes out, with placeholders of a key that is good for nothing else.
struct Said<'d> {
    direction: &'d Direction,
    text: Vec<u8>,
    placeholders: Placeholders,
    /// The rule and the bytes of a value that is being replaced by a placeholder.
    value: Option<(usize, Vec<u8>)>,
}

impl<'d> Said<'d> {
    fn new(direction: &'d Direction) -> Self {
        let placeholders = Placeholders::new(ConversationKey::derive(&[0; 32], "explain", b"explain"));
        Self { direction, text: Vec::new(), placeholders, value: None }
    }

    fn end_span(&mut self) {
        let Some((rule, value)) = self.value.take() else { return };
        let kind = self.direction.origin(rule).map_or("VALUE", |origin| &origin.kind);
        let value = String::from_utf8_lossy(&value);
        let with = self.placeholders.placeholder(kind, &value).unwrap_or("[…]");
        self.text.extend_from_slice(with.as_bytes());
    }
}

impl Sink for Said<'_> {
    fn pass(&mut self, bytes: &[u8]) {
        self.end_span();
        self.text.extend_from_slice(bytes);
    }

    fn replace(&mut self, bytes: &[u8], rule: usize, with: Option<&str>) {
        match (with, &mut self.value) {
            (None, Some((_, value))) => value.extend_from_slice(bytes),
            (None, None) => {}
            (Some(with), _) => {
                self.end_span();
                let tokenizes = self.direction.stage_of(rule).is_some_and(|stage| stage.reaction == Reaction::Tokenize);
                if tokenizes {
                    self.value = Some((rule, bytes.to_vec()));
                } else {
                    self.text.extend_from_slice(with.as_bytes());
                }
            }
        }
    }

    fn restore(&mut self, _: &[u8], value: &str) {
        self.text.extend_from_slice(value.as_bytes());
    }
}
