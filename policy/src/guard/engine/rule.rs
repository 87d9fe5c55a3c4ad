//! What to look for and what to do about it, the bounds, and what makes a rule unusable.

use std::{fmt, sync::Arc};

use super::ByteSet;

/// Rules of one engine.
pub const RULES_MAX: usize = 4096;
/// Memory of one rule's automaton while it is made.
pub const RULE_TABLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Memory of one rule's expression before it becomes an automaton.
pub const NFA_BYTES_MAX: usize = 1024 * 1024;
/// Memory of all tables of an engine.
pub const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that are held back while it is undecided whether they belong to a match. What would hold more is taken for one.
pub const HELD_BYTES_MAX: usize = 4096;
/// Bytes after a match of a rule with an [`Until`] that are masked at most, unless the rule says less.
pub const UNTIL_BYTES_MAX: usize = 64 * 1024;
/// Bytes before a candidate that a [`Lead::Context`] sees.
pub const CONTEXT_BYTES_MAX: usize = 96;
/// Places of one text at which matches may have begun, at once. A stream that needs more is refused.
pub const THREADS_MAX: usize = 512;
/// States that the arms of one text are in, at once. A stream that needs more is refused.
pub const ARM_STATES_MAX: usize = 512;

/// A condition on bytes.
pub type Check = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// One thing to look for. [`Rule::new`] makes one that asks for nothing but its expression.
#[derive(Clone)]
pub struct Rule {
    /// What it is called in findings.
    pub id: Arc<str>,
    /// The expression, in the syntax of the crate `regex`; `\b` is a boundary of ASCII words.
    pub pattern: Arc<str>,
    /// Whether `\w`, `\d`, `.` and case reach beyond ASCII. Tables are much smaller where they do not, but `.` and `[^a]`
    /// are bytes then, and the author sees to it that no match cuts a character.
    pub unicode: bool,
    /// Bytes that may not stand right before a match.
    pub not_after: ByteSet,
    /// Bytes that may not stand right behind a match.
    pub not_before: ByteSet,
    /// What must stand before a match, which is never held and never masked.
    pub lead: Lead,
    /// What longer parts of text are no match, in bytes.
    pub length_max: Option<usize>,
    /// What the matched bytes must pass: a checksum.
    pub check: Option<Check>,
    /// Where a match is only the beginning of what must not be said.
    pub until: Option<Until>,
    /// What to do.
    pub action: Action,
}

/// What must stand before a match.
#[derive(Clone)]
pub enum Lead {
    /// Anything.
    Anything,
    /// A match of this expression, which ends where the rule's begins.
    Arm(Arc<str>),
    /// What a function says of the last [`CONTEXT_BYTES_MAX`] bytes, or all if there are fewer. Rules that share it are asked
    /// for once.
    Context(Check),
    /// One of several contexts, by its number, which are decided in one look.
    OneOf(Arc<dyn Contexts>, u32),
}

/// Contexts that are decided in one look at what stands before.
pub trait Contexts: Send + Sync {
    /// Whether any of them can hold right behind these, the last two bytes, or all if there are fewer. Where none can, none is
    /// asked for.
    fn may_follow(&self, last: &[u8]) -> bool;
    /// Adds the numbers of those that hold, given the last [`CONTEXT_BYTES_MAX`] bytes, or all if there are fewer. The order
    /// does not matter, nor whether one comes twice.
    fn holding(&self, window: &[u8], holding: &mut Vec<u32>);
}

/// After a match, everything is masked until this has matched or so many bytes have gone by. Nothing is held meanwhile.
/// Further matches of the rule up to there do not begin this anew.
#[derive(Debug, Clone)]
pub struct Until {
    /// The end, which is masked too.
    pub pattern: Arc<str>,
    /// At most so many bytes after the match.
    pub bytes_max: usize,
}

/// What is done about a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// This stands in its place.
    Mask(Arc<str>),
    /// The text ends before it.
    Block,
    /// It is told.
    Flag,
}

impl Rule {
    /// A rule that asks for nothing but its expression.
    pub fn new(id: &str, pattern: &str, action: Action) -> Self {
        Self {
            id: id.into(),
            pattern: pattern.into(),
            unicode: true,
            not_after: ByteSet::EMPTY,
            not_before: ByteSet::EMPTY,
            lead: Lead::Anything,
            length_max: None,
            check: None,
            until: None,
            action,
        }
    }

    /// A rule for a word or a phrase, in any case. Where it begins or ends with a letter or digit of ASCII, none may stand
    /// beside it; spaces within it stand for any white space.
    pub fn word(id: &str, word: &str, action: Action) -> Self {
        let parts: Vec<_> = word.split_whitespace().map(regex_syntax::escape).collect();
        let is_word = |letter: Option<char>| letter.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let edge = |letter| if is_word(letter) { ByteSet::word() } else { ByteSet::EMPTY };
        let trimmed = word.trim();
        Self {
            not_after: edge(trimmed.chars().next()),
            not_before: edge(trimmed.chars().next_back()),
            ..Self::new(id, &format!("(?i:{})", parts.join(r"\s{1,8}")), action)
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("id", &self.id).field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The expression has a fault.
    #[error("{reason}")]
    Syntax {
        /// Of which rule, by its place.
        rule: usize,
        /// What is wrong.
        reason: String,
    },
    /// It matches where nothing is.
    #[error("it matches the empty text, so it would match everywhere")]
    MatchesNothing {
        /// Which rule, by its place.
        rule: usize,
    },
    /// It has an end, but does not mask.
    #[error("only a rule that masks can go on until an end")]
    UntilWithoutMask {
        /// Which rule, by its place.
        rule: usize,
    },
    /// One rule is too large.
    #[error("its automaton needs more than {bytes_max} bytes")]
    RuleTooLarge {
        /// Which rule, by its place.
        rule: usize,
        /// The bound that it met.
        bytes_max: usize,
    },
    /// Each rule will do, but not all of them together.
    #[error("together the rules need more than {TABLE_BYTES_MAX} bytes of tables")]
    TooLarge,
    /// Too many rules.
    #[error("there are more than {RULES_MAX} rules")]
    TooMany,
}

impl Unusable {
    /// The rule at fault, by its place.
    pub fn rule(&self) -> Option<usize> {
        match self {
            Self::Syntax { rule, .. }
            | Self::MatchesNothing { rule }
            | Self::UntilWithoutMask { rule }
            | Self::RuleTooLarge { rule, .. } => Some(*rule),
            Self::TooLarge | Self::TooMany => None,
        }
    }
}
