//! A second opinion on texts whose score is in doubt: a sentence embedding (all-MiniLM-L6-v2), and a head that was trained on it.
//!
//! It takes milliseconds where the score takes microseconds, and weights of 90 MB that are not shipped: a folder has them, and
//! only a build with the feature `embedding` reads it. Without the feature a model cannot be loaded, and a document that asks for
//! one is refused.
//!
//! What is embedded is the window that decided the score, in the reading that undid its disguise, so that the cost is that of
//! one short text however long a text is. The recipe that trains the head is `just train-embedding`; what it was trained on is
//! written beside it, in `head.txt`.

#[cfg(feature = "embedding")]
pub mod head;
#[cfg(feature = "embedding")]
mod load;
#[cfg(feature = "embedding")]
mod minilm;
#[cfg(feature = "embedding")]
mod pieces;
#[cfg(feature = "embedding")]
mod threads;

#[cfg(not(feature = "embedding"))]
use std::path::Path;
#[cfg(feature = "embedding")]
use std::sync::Arc;
use std::{path::PathBuf, time::Instant};

#[cfg(feature = "embedding")]
pub use load::EmbeddingModel;
#[cfg(feature = "embedding")]
pub use threads::EMBEDDING_THREADS_MAX;

#[cfg(feature = "embedding")]
use super::Scorer;
use super::Source;

/// The score from which on a text is in doubt. Below it nobody asks for a second opinion.
pub const DOUBT_FROM: f32 = 0.3;
/// So many texts of a document are embedded at most. Those in doubt beyond them are as those that cannot be embedded.
pub const EMBEDDED_TEXTS_MAX: usize = 16;

/// Why a folder is not a model that can be asked.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// The feature is missing.
    #[error("this gateway was built without the embedding stage")]
    NotBuilt,
    /// A file cannot be read.
    #[error("`{}` cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}` is not that of all-MiniLM-L6-v2: {why}", file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The name of the threads that embed, before their number. Nothing but a guard runs on them.
pub const EMBEDDING_THREAD_NAME: &str = "embedding-";

/// Why there is no second opinion on a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEmbedded {
    /// The model could not make anything of it.
    #[error("the text could not be embedded")]
    Failed,
    /// The time was over.
    #[error("embedding the text would have taken too long")]
    Late,
}

impl NotEmbedded {
    /// Its word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "embedding",
            Self::Late => "timeout",
        }
    }
}

/// What takes the place of the model in a build without it: there is none.
#[cfg(not(feature = "embedding"))]
#[derive(Debug)]
pub enum EmbeddingModel {}

#[cfg(not(feature = "embedding"))]
impl EmbeddingModel {
    /// No folder is a model here.
    pub fn load(_: &Path) -> Result<std::sync::Arc<Self>, NotLoaded> {
        Err(NotLoaded::NotBuilt)
    }

    /// Never called: there is no model to call it on.
    pub fn score(&self, _: &str, _: Source, _: Instant) -> Result<f32, NotEmbedded> {
        match *self {}
    }

    /// The score from which on a text counts as an attack where nobody says otherwise.
    pub fn threshold(&self) -> f32 {
        match *self {}
    }
}

#[cfg(feature = "embedding")]
impl EmbeddingModel {
    /// How likely a text is an attack, from 0 to 1, with what the linear model says of it; no answer if there is none at
    /// `until`. The caller waits, and the threads of this module work.
    pub fn score(self: &Arc<Self>, text: &str, source: Source, until: Instant) -> Result<f32, NotEmbedded> {
        let scorer = Scorer::shipped();
        let decisive = scorer.decisive(text);
        let log_odds = scorer.log_odds(decisive.margin, source);
        let model = self.clone();
        threads::run(until, move || model.second(log_odds, &decisive.window))?
    }
}
