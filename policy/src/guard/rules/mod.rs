//! What guardrails look for: rules as data, each with a candidate's expression, what must stand around it, and a check.
//!
//! A rule is read in this order, and whoever applies it must keep to it. The `context` and the edge `before` are decided by
//! bytes that stand before the candidate, so a candidate that lacks them never begins and holds nothing back. Then the
//! `body`, an expression over bytes without look-around, decides how far a candidate may reach, never beyond
//! [`Rule::length_max`]. Then one byte behind it, the edge `after`. Last the `check`, over the candidate alone. *Every* part
//! of a text that passes is found, whether or not it overlaps with another, so what is found does not depend on how the text
//! arrives. How rules are applied to a stream is the engine's matter; [`mod@reference`] applies them to a whole text by the book.

use std::sync::LazyLock;

use regex_syntax::ParserBuilder;

mod applied;
pub mod assemble;
pub mod canary;
pub mod checks;
pub mod context;
pub mod edges;
pub mod exfiltration;
pub mod pii;
pub mod reference;
pub mod secrets;

pub use checks::Check;
pub use context::Context;
pub use edges::Edge;
pub use exfiltration::AllowedHosts;

/// The longest candidate of any rule, in bytes. What is longer is no match.
pub const CANDIDATE_BYTES_MAX: usize = 4096;

/// One thing to look for.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in metrics, audit entries and on the page of rules; never changes its meaning.
    pub id: &'static str,
    /// The set that it belongs to.
    pub set: Set,
    /// What it finds: the word of documents (`us-ssn`), or whose secret it is (`GitHub`).
    pub kind: &'static str,
    /// What it finds, for people.
    pub title: &'static str,
    /// What must stand before the candidate.
    pub context: Context,
    /// What may not stand right before it.
    pub before: Edge,
    /// The candidate: an expression over bytes, anchored at both ends, without look-around.
    pub body: &'static str,
    /// The longest candidate in bytes, where `body` alone does not say it.
    pub cut: Option<usize>,
    /// What may not stand right behind it.
    pub after: Edge,
    /// What the candidate itself must pass.
    pub check: Check,
    /// Where a match is only the beginning of what must not be said.
    pub suppress: Option<Suppress>,
    /// Texts in which it finds exactly what stands between `«` and `»`; see [`assemble`].
    pub finds: &'static [&'static str],
    /// Texts in which it finds nothing.
    pub leaves: &'static [&'static str],
}

/// A family of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Personal data.
    Pii,
    /// Credentials.
    Secrets,
    /// What an answer could carry out of the house, or hide in it.
    Exfiltration,
}

impl Set {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Secrets => "secrets",
            Self::Exfiltration => "exfiltration",
        }
    }
}

/// After a match, everything is suppressed until an end is found or so much has gone by. Nothing is held back meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Suppress {
    /// The end, which is suppressed too: an expression as `body` is.
    pub until: &'static str,
    /// At most so many bytes.
    pub bytes_max: usize,
}

impl Rule {
    /// A rule that asks for nothing but its expression, between characters that are no part of a word.
    const fn new(
        set: Set,
        kind: &'static str,
        id: &'static str,
        title: &'static str,
        body: &'static str,
        finds: &'static [&'static str],
        leaves: &'static [&'static str],
    ) -> Self {
        Self {
            id,
            set,
            kind,
            title,
            context: Context::Any,
            before: Edge::Word,
            body,
            cut: None,
            after: Edge::Word,
            check: Check::Nothing,
            suppress: None,
            finds,
            leaves,
        }
    }

    const fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    const fn edges(mut self, before: Edge, after: Edge) -> Self {
        (self.before, self.after) = (before, after);
        self
    }

    const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    const fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// The longest candidate, in bytes.
    pub fn length_max(&self) -> usize {
        let said = self.cut.unwrap_or(CANDIDATE_BYTES_MAX);
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(self.body);
        parsed.ok().and_then(|body| body.properties().maximum_len()).unwrap_or(said).min(said)
    }

    /// Whether a candidate may begin, from the text before it; [`context::CONTEXT_BYTES_MAX`] bytes of it are enough.
    pub fn may_begin(&self, before: &[u8]) -> bool {
        self.before.admits(before.last().copied()) && self.context.holds(context::window(before))
    }

    /// Whether a candidate that the expression describes is a match.
    pub fn confirms(&self, candidate: &[u8], allowed: &AllowedHosts) -> bool {
        candidate.len() <= self.length_max() && self.check.passes(candidate, allowed)
    }
}

/// All rules, in the order of the page that lists them.
pub fn all() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
        pii::RULES.iter().chain(secrets::RULES).copied().flatten().chain(exfiltration::RULES).collect()
    });
    &ALL
}

/// The rule of this name.
pub fn rule(id: &str) -> Option<&'static Rule> {
    all().iter().find(|rule| rule.id == id).copied()
}

#[cfg(test)]
mod tests;
