//! What a request does, by protocol, method and path: the verbs of roles.

use std::fmt;

/// What a request does. `infer` is only what asks a model for an answer; whatever changes a server is never that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// Asks a model for an answer.
    Infer,
    /// Lists models.
    ListModels,
    /// Reads what a server or a model says of itself: metadata, configuration, health.
    ReadMetadata,
    /// Loads or unloads a model or an adapter.
    LoadModel,
    /// Reads statistics.
    Metrics,
    /// Stores, reads or deletes files, batches and fine-tuning jobs.
    Files,
    /// Changes a server in any other way, or does what nobody here knows on an inference server.
    Admin,
    /// Anything at a backend that is no inference server.
    Access,
}

impl Action {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 8] = [
        Self::Infer,
        Self::ListModels,
        Self::ReadMetadata,
        Self::LoadModel,
        Self::Metrics,
        Self::Files,
        Self::Admin,
        Self::Access,
    ];

    /// As documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::ListModels => "list-models",
            Self::ReadMetadata => "read-metadata",
            Self::LoadModel => "load-model",
            Self::Metrics => "metrics",
            Self::Files => "files",
            Self::Admin => "admin",
            Self::Access => "access",
        }
    }

    /// As documents write it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a request does.
pub fn classify(dialect: Option<crate::snapshot::Dialect>, _grpc: bool, _method: &http::Method, _path: &str) -> Action {
    if dialect.is_some() { Action::Infer } else { Action::Access }
}

/// Some actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ActionSet(u16);

impl ActionSet {
    /// Every action.
    pub const EVERY: Self = Self(u16::MAX);
    /// What `anonymous: {}` means: everything that does not change a server.
    pub const HARMLESS: Self = Self(!(1 << Action::LoadModel as u16 | 1 << Action::Admin as u16));

    /// Whether it has this one.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u16) != 0
    }

    /// Adds one.
    pub fn insert(&mut self, action: Action) {
        self.0 |= 1 << action as u16;
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::default();
        actions.into_iter().for_each(|action| set.insert(action));
        set
    }
}
