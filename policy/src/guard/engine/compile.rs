//! Rules → an engine.

use std::fmt;

use super::{
    Action, Rule, Unusable,
    automata::build,
    rule::{Lead, RULES_MAX, TABLE_BYTES_MAX},
    table::Table,
    tabulate::tabulate,
};

/// Compiled rules: immutable, and shared by all streams.
pub struct Engine {
    rules: Box<[Rule]>,
    table: Table,
    has_contexts: bool,
}

impl Engine {
    /// Compiles rules. Where two would do, the first labels.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, Unusable> {
        if rules.len() > RULES_MAX {
            return Err(Unusable::TooMany);
        }
        let masks = |rule: &Rule| matches!(rule.action, Action::Mask(_));
        if let Some(rule) = rules.iter().position(|rule| rule.until.is_some() && !masks(rule)) {
            return Err(Unusable::UntilWithoutMask { rule });
        }
        let table = tabulate(&rules, &build(&rules)?)?;
        if table.bytes() > TABLE_BYTES_MAX {
            return Err(Unusable::TooLarge);
        }
        let has_contexts = rules.iter().any(|rule| matches!(rule.lead, Lead::Context(_)));
        Ok(Self { rules: rules.into(), table, has_contexts })
    }

    /// The rules, by their place.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn has_contexts(&self) -> bool {
        self.has_contexts
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("rules", &self.rules).field("cost", &self.cost()).finish_non_exhaustive()
    }
}
