//! The rules as a gateway applies them: one engine, text in pieces as a stream brings it.

use std::{ops::Range, sync::Arc};

use portcullis_policy::guard::{
    engine::{Action, Engine, Filter, Output, Selection},
    rules::{AllowedHosts, Rule, Set, all},
};

use crate::Failure;

/// Bytes of a piece: about a word piece of an ordinary model.
const PIECE_BYTES: usize = 4;

/// Rules, compiled.
pub(crate) struct Screen {
    rules: Vec<&'static Rule>,
    pub(crate) engine: Arc<Engine>,
    selection: Arc<Selection>,
}

/// A part of a text that is masked, and the rule that found it.
pub(crate) struct Found {
    pub(crate) rule: &'static Rule,
    pub(crate) range: Range<usize>,
}

/// Personal data and credentials. `email-domain` stands for `email` where nothing shall be held back for it.
pub(crate) fn is_default(rule: &Rule) -> bool {
    matches!(rule.set, Set::Pii | Set::Secrets) && rule.kind != "email-domain"
}

impl Screen {
    /// The rules for which this holds.
    pub(crate) fn of(counts: impl Fn(&Rule) -> bool) -> Result<Self, Failure> {
        let rules: Vec<&'static Rule> = all().iter().copied().filter(|rule| counts(rule)).collect();
        let allowed = Arc::new(AllowedHosts::default());
        let applied = rules.iter().map(|rule| rule.applied(Action::Mask("[masked]".into()), &allowed)).collect();
        let engine = Arc::new(Engine::compile(applied)?);
        let selection = Arc::new(engine.everything());
        Ok(Self { rules, engine, selection })
    }

    /// How many rules there are.
    pub(crate) fn count(&self) -> usize {
        self.rules.len()
    }

    /// A text of which nothing has come yet.
    pub(crate) fn filter(&self) -> Filter {
        Filter::new(self.engine.clone(), self.selection.clone())
    }

    /// What is masked of a text.
    pub(crate) fn find(&self, text: &str) -> Vec<Found> {
        let (mut filter, mut output, mut found) = (self.filter(), Output::default(), Vec::new());
        let mut take = |output: &mut Output| {
            for finding in output.findings.drain(..) {
                if let Some(rule) = self.rules.get(finding.rule) {
                    found.push(Found { rule, range: finding.range.start as usize..finding.range.end as usize });
                }
            }
        };
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            filter.push(piece, &mut output);
            take(&mut output);
        }
        filter.finish(&mut output);
        take(&mut output);
        found
    }
}

/// Whether each letter and digit of a part of the text is masked by one of these: a telephone number of which two digits are
/// left has not been caught.
pub(crate) fn is_covered(text: &str, part: &Range<usize>, found: &[Found]) -> bool {
    let inside = |at: usize| found.iter().any(|found| found.range.contains(&at));
    let bytes = text.as_bytes().get(part.clone()).unwrap_or_default();
    bytes.iter().zip(part.clone()).filter(|(byte, _)| is_told(**byte)).all(|(_, at)| inside(at))
}

/// Letters and digits, and whatever is written beyond ASCII: digits of another script give away as much.
fn is_told(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}
