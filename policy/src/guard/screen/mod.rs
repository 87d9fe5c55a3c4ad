//! What a route enforces, compiled from GuardrailPolicies: one [`Direction`] for what goes in, one for what comes out.
//!
//! A direction has *stages*, in the order of documents. The pattern stages share one engine, so a text is read once however
//! many rules there are; the others (scores, guards elsewhere) look at whole texts. [`Text`] is one text under a direction.

mod text;
mod whole;

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    engine::{Action, Engine, Rule, Selection, Unusable},
    injection::{Source, embedding::EmbeddingModel},
};
use crate::snapshot::{DocumentId, SecretBytes};

pub use self::{
    text::{Flow, Scratch, Sink, Text},
    whole::{By, Change, Whole},
};

/// Who said a text, as far as the document that carries it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// The operator: system and developer texts.
    System,
    /// The person, or whoever asks.
    User,
    /// A tool's result.
    Tool,
    /// A document that was looked up.
    Retrieved,
    /// The model.
    Assistant,
    /// Nobody says.
    Unknown,
}

impl Speaker {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::System, Self::User, Self::Tool, Self::Retrieved, Self::Assistant, Self::Unknown];

    /// Whose words its texts count as when they are scored. What the operator says is its own, and what the model said has
    /// been screened.
    pub fn source(self) -> Option<Source> {
        match self {
            Self::User | Self::Unknown => Some(Source::User),
            Self::Tool => Some(Source::Tool),
            Self::Retrieved => Some(Source::Retrieved),
            Self::System | Self::Assistant => None,
        }
    }

    /// Its word in documents and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Tool => "tool",
            Self::Retrieved => "retrieved",
            Self::Assistant => "assistant",
            Self::Unknown => "unknown",
        }
    }
}

/// Some speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speakers(u8);

impl Speakers {
    /// Everybody.
    pub const EVERYBODY: Self = Self(0b11_1111);

    /// These.
    pub fn of(speakers: impl IntoIterator<Item = Speaker>) -> Self {
        Self(speakers.into_iter().fold(0, |bits, speaker| bits | 1 << speaker as u8))
    }

    /// Whether this one is among them.
    pub fn has(self, speaker: Speaker) -> bool {
        self.0 & 1 << speaker as u8 != 0
    }
}

/// What happens with text in fields that no table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownFields {
    /// It is screened as any other.
    #[default]
    Scan,
    /// It is taken out.
    Drop,
    /// It passes unseen.
    Pass,
}

/// What happens with what cannot be screened: pictures, sound, encodings, protocols that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unscreened {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes, because a document says so in words.
    Pass,
}

/// What happens when a stage cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It has not passed.
    #[default]
    Block,
    /// It passes, because a document says so in words.
    Pass,
}

/// What a stage does about what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing of it goes on.
    Block,
    /// Something else stands in its place.
    Mask,
    /// A placeholder stands in its place, and the answer has the value again.
    Tokenize,
    /// It is told.
    Flag,
    /// The model gets no tools.
    StripTools,
}

impl Reaction {
    /// Its word in documents, metrics and audit entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "Block",
            Self::Mask => "Mask",
            Self::Tokenize => "Tokenize",
            Self::Flag => "Flag",
            Self::StripTools => "StripTools",
        }
    }
}

/// What the GuardrailPolicies of a route mean.
#[derive(Debug)]
pub struct Guardrails {
    /// The policies, in the order in which their stages come: those of the Gateway first.
    pub policies: Vec<DocumentId>,
    /// For what goes in.
    pub input: Arc<Direction>,
    /// For what comes out.
    pub output: Arc<Direction>,
    /// Of fields that no table knows.
    pub unknown_fields: UnknownFields,
    /// Of what cannot be screened.
    pub unscreened: Unscreened,
    /// Whether clients are told what was found: a header, and a comment at the end of an event stream.
    pub tell_verdict: Tell,
}

impl Guardrails {
    /// Nobody looks at anything.
    pub fn nothing() -> Self {
        Self {
            policies: Vec::new(),
            input: Arc::new(Direction::nothing()),
            output: Arc::new(Direction::nothing()),
            unknown_fields: UnknownFields::Pass,
            unscreened: Unscreened::Pass,
            tell_verdict: Tell::Nothing,
        }
    }
}

/// Whether clients are told of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tell {
    /// They are not.
    #[default]
    Nothing,
    /// The policies' revision, and which rules found how much.
    Verdict,
    /// The same, signed with the gateway's key.
    Signed,
}

/// One step of a direction.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The policy that it is of.
    pub policy: DocumentId,
    /// Its name there.
    pub name: Arc<str>,
    /// What it looks for.
    pub detector: Detector,
    /// What it does about it.
    pub reaction: Reaction,
    /// Whose texts it looks at.
    pub speakers: Speakers,
    /// It only watches: what it would have done is counted and logged.
    pub is_shadow: bool,
    /// When it cannot answer.
    pub on_error: OnError,
}

/// How a stage looks for it.
#[derive(Debug, Clone)]
pub enum Detector {
    /// With rules of the direction's engine.
    Patterns,
    /// With the score for injected instructions, and a second opinion on what is in doubt.
    Injection(Thresholds, Option<SecondOpinion>),
    /// By asking somebody else.
    Service(Arc<Service>),
}

/// From which score on a text counts as an injection, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// What people say.
    pub user: f32,
    /// What tools answer.
    pub tool: f32,
    /// What was looked up.
    pub retrieved: f32,
}

impl Thresholds {
    /// For texts of this source.
    pub fn of(self, source: Source) -> f32 {
        match source {
            Source::User => self.user,
            Source::Tool => self.tool,
            Source::Retrieved => self.retrieved,
        }
    }
}

/// Who is asked about texts whose score is below the threshold and in doubt.
#[derive(Debug, Clone)]
pub struct SecondOpinion {
    /// Where the model came from.
    pub folder: Arc<Path>,
    /// The model.
    pub model: Arc<EmbeddingModel>,
    /// From which score of the model on a text counts as an injection.
    pub threshold: f32,
    /// How long all texts of a document together may take.
    pub timeout: Duration,
}

/// A guard elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// What it speaks.
    pub kind: ServiceKind,
    /// Where it is.
    pub url: Arc<str>,
    /// The name of its configuration.
    pub config: Option<Arc<str>>,
    /// The name of its model.
    pub model: Option<Arc<str>>,
    /// How long it may take.
    pub timeout: Duration,
    /// The authorities that its certificate is judged by, in PEM; `None`: those of the system.
    pub authorities_pem: Option<Vec<Arc<[u8]>>>,
    /// What it is told as `Authorization: Bearer`.
    pub credential: Option<SecretBytes>,
    /// On streams it is asked about so many bytes at a time, and so many are held for it.
    pub window_bytes: usize,
}

/// What a guard elsewhere speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// `POST {url}/v1/checks` of a NeMo Guardrails server.
    NemoGuardrails,
    /// A guard model behind `POST {url}/chat/completions`; `config` is the form of its verdict.
    OpenAi,
    /// Our own small form.
    Webhook,
}

/// One direction of a route.
#[derive(Debug)]
pub struct Direction {
    /// In order.
    pub stages: Vec<Stage>,
    /// `None`: no stage has rules.
    engine: Option<Arc<Engine>>,
    /// By [`Speaker`]; `None` where no rule looks at what they say.
    selections: [Option<Arc<Selection>>; Speaker::ALL.len()],
    /// Of each rule of the engine.
    origins: Vec<Origin>,
}

/// Where a rule of the engine comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its stage, by its place.
    pub stage: usize,
    /// Its own name: `github-token`, `email`, or what the document calls it.
    pub rule: Arc<str>,
    /// The kind of what it finds, for placeholders: `EMAIL`.
    pub kind: Arc<str>,
}

impl Direction {
    /// A direction in which nothing is said.
    pub fn nothing() -> Self {
        Self { stages: Vec::new(), engine: None, selections: Default::default(), origins: Vec::new() }
    }

    /// Puts stages and the rules of their patterns together. An error names a rule by its place in `rules`.
    pub fn new(stages: Vec<Stage>, rules: Vec<(Origin, Rule)>) -> Result<Self, Unusable> {
        let (origins, rules): (Vec<Origin>, Vec<Rule>) = rules.into_iter().unzip();
        let engine = if rules.is_empty() { None } else { Some(Arc::new(Engine::compile(rules)?)) };
        Ok(Self::over(stages, origins, engine))
    }

    /// Puts stages over an engine, which others may share. `origins` are those of its rules, in their order.
    pub fn over(stages: Vec<Stage>, origins: Vec<Origin>, engine: Option<Arc<Engine>>) -> Self {
        let Some(engine) = engine else { return Self { stages, ..Self::nothing() } };
        let speakers = |rule: usize| {
            let stage = origins.get(rule).and_then(|origin: &Origin| stages.get(origin.stage));
            stage.map_or(Speakers::EVERYBODY, |stage| stage.speakers)
        };
        let selections = Speaker::ALL.map(|speaker| {
            let counts = |rule: usize| speakers(rule).has(speaker);
            (0..origins.len()).any(counts).then(|| Arc::new(engine.select(counts)))
        });
        Self { stages, engine: Some(engine), selections, origins }
    }

    /// Whether nobody looks at anything.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The engine of its patterns.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.as_ref()
    }

    /// Where a rule of the engine comes from.
    pub fn origin(&self, rule: usize) -> Option<&Origin> {
        self.origins.get(rule)
    }

    /// The stage that a rule of the engine is of.
    pub fn stage_of(&self, rule: usize) -> Option<&Stage> {
        self.stages.get(self.origin(rule)?.stage)
    }

    /// What stands in the place of what this rule finds.
    pub fn replacement(&self, rule: usize) -> &str {
        match self.engine.as_ref().and_then(|engine| engine.rules().get(rule)).map(|rule| &rule.action) {
            Some(Action::Mask(with)) => with,
            _ => "",
        }
    }

    fn selection(&self, speaker: Speaker) -> Option<&Arc<Selection>> {
        self.selections.get(speaker as usize)?.as_ref()
    }
}
