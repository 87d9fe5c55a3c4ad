//! Rules → an engine.

use std::fmt;

use super::{
    Action, Rule, Unusable,
    gate::{Gates, gates},
    rule::{RULES_MAX, TABLE_BYTES_MAX},
    scout::Scout,
    table::Table,
    tabulate::tabulate,
};

/// Compiled rules: immutable, and shared by all streams.
pub struct Engine {
    rules: Box<[Rule]>,
    table: Table,
    scout: Scout,
    gates: Gates,
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
        let gates = gates(&rules);
        let (table, scout) = tabulate(&rules, &gates)?;
        if table.bytes() + scout.bytes() > TABLE_BYTES_MAX {
            return Err(Unusable::TooLarge);
        }
        Ok(Self { rules: rules.into(), table, scout, gates })
    }

    /// The rules, by their place.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn scout(&self) -> &Scout {
        &self.scout
    }

    pub(super) fn gates(&self) -> &Gates {
        &self.gates
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("rules", &self.rules).field("cost", &self.cost()).finish_non_exhaustive()
    }
}
