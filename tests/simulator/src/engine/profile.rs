//! How big and how fast an engine is.

use std::time::Duration;

/// How big and how fast an engine is. Every step takes `step`, and so much more for each token it works on.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What every step costs.
    pub step: Duration,
    /// What each token of a prompt adds to a step.
    pub prefill_token: Duration,
    /// What each sequence that decodes adds to a step.
    pub decode_sequence: Duration,
    /// How far a step's duration strays from what it should be, as a fraction of it.
    pub jitter: f64,
    /// Sequences that may be in a batch.
    pub sequences_max: usize,
    /// Tokens that one step may work on; longer prompts take several steps.
    pub step_tokens_max: usize,
    /// Tokens in a block of the KV cache.
    pub block_tokens: usize,
    /// Blocks of the KV cache.
    pub blocks_max: usize,
    /// Tokens of a prompt and its answer together.
    pub context_tokens_max: usize,
    /// What one inference of a model of tensors takes.
    pub inference: Duration,
    /// Inferences of a model of tensors at a time; the rest wait.
    pub instances: usize,
}

impl Default for Profile {
    /// A small model on a fast accelerator.
    fn default() -> Self {
        Self {
            step: Duration::from_millis(4),
            prefill_token: Duration::from_micros(20),
            decode_sequence: Duration::from_micros(50),
            jitter: 0.1,
            sequences_max: 64,
            step_tokens_max: 2_048,
            block_tokens: 16,
            blocks_max: 4_096,
            context_tokens_max: 32_768,
            inference: Duration::from_millis(2),
            instances: 2,
        }
    }
}

impl Profile {
    /// An engine that takes no time, for tests that ask about anything else.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            step: Duration::ZERO,
            prefill_token: Duration::ZERO,
            decode_sequence: Duration::ZERO,
            jitter: 0.0,
            inference: Duration::ZERO,
            ..Self::default()
        }
    }

    /// An engine whose tokens come this far apart.
    #[must_use]
    pub fn paced(step: Duration) -> Self {
        Self { step, ..Self::instant() }
    }
}
