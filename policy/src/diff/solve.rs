//! Whether something that is said can be: a search over variables with few values each, without sampling.
//!
//! What is asked here is nearly always decided at once: take what is asked for, and nothing else. Only where a condition
//! forbids something (a header with one value and no other) is there more than one thing to try.

use super::classes::Bits;

/// How many times a question may be divided before it is given up, and said so.
pub const SEARCH_STEPS_MAX: usize = 100_000;

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Variable(pub u32);

/// What is said of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Formula {
    /// The variable has one of these values.
    Is(Variable, Bits),
    /// It has none of them.
    IsNot(Variable, Bits),
    /// All of them hold.
    All(Vec<Formula>),
    /// One of them holds.
    Any(Vec<Formula>),
}

impl Formula {
    pub(super) const TRUE: Self = Self::All(Vec::new());
    pub(super) const FALSE: Self = Self::Any(Vec::new());

    /// The contrary.
    pub(super) fn not(&self) -> Self {
        match self {
            Self::Is(variable, values) => Self::IsNot(*variable, values.clone()),
            Self::IsNot(variable, values) => Self::Is(*variable, values.clone()),
            Self::All(parts) => Self::Any(parts.iter().map(Self::not).collect()),
            Self::Any(parts) => Self::All(parts.iter().map(Self::not).collect()),
        }
    }

    /// `None`: it depends on what is not decided yet.
    fn holds(&self, values: &[Option<u32>]) -> Option<bool> {
        let of = |variable: &Variable| values.get(variable.0 as usize).copied().flatten();
        match self {
            Self::Is(variable, allowed) => of(variable).map(|value| allowed.contains(value as usize)),
            Self::IsNot(variable, refused) => of(variable).map(|value| !refused.contains(value as usize)),
            Self::All(parts) => {
                let mut all = Some(true);
                for part in parts {
                    match part.holds(values) {
                        Some(false) => return Some(false),
                        None => all = None,
                        Some(true) => {}
                    }
                }
                all
            }
            Self::Any(parts) => {
                let mut any = Some(false);
                for part in parts {
                    match part.holds(values) {
                        Some(true) => return Some(true),
                        None => any = None,
                        Some(false) => {}
                    }
                }
                any
            }
        }
    }

    /// A variable that is not decided yet and for whose earliest value this does not hold; its values, and whether it should
    /// have one of them. `plain`: with the earliest values for what is not decided.
    fn wanting(&self, values: &[Option<u32>], plain: &[Option<u32>]) -> Option<(Variable, &Bits, bool)> {
        match self {
            Self::Is(variable, bits) => Some((*variable, bits, true)),
            Self::IsNot(variable, bits) => Some((*variable, bits, false)),
            Self::All(parts) | Self::Any(parts) => parts
                .iter()
                .find(|part| part.holds(values).is_none() && part.holds(plain) == Some(false))
                .and_then(|part| part.wanting(values, plain)),
        }
    }
}

/// The question was divided more than [`SEARCH_STEPS_MAX`] times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooHard;

/// Values for which the formula holds, the earliest of each variable where nothing asks for another; `None`: there are none.
/// `domains`: how many values each variable has, at least one.
pub(super) fn solve(formula: &Formula, domains: &[u32]) -> Result<Option<Vec<u32>>, TooHard> {
    let mut steps = 0;
    let mut values = vec![None; domains.len()];
    search(formula, domains, &mut values, &mut steps)
}

fn search(
    formula: &Formula,
    domains: &[u32],
    values: &mut Vec<Option<u32>>,
    steps: &mut usize,
) -> Result<Option<Vec<u32>>, TooHard> {
    *steps += 1;
    if *steps > SEARCH_STEPS_MAX {
        return Err(TooHard);
    }
    if formula.holds(values) == Some(false) {
        return Ok(None);
    }
    let plain: Vec<Option<u32>> = values.iter().map(|value| value.or(Some(0))).collect();
    if formula.holds(&plain) == Some(true) {
        return Ok(Some(plain.into_iter().flatten().collect()));
    }
    let Some((variable, bits, inside)) = formula.wanting(values, &plain) else { return Ok(None) };
    let bits = bits.clone();
    let domain = domains.get(variable.0 as usize).copied().unwrap_or(1);
    let first = (0..domain).filter(|value| bits.contains(*value as usize) == inside);
    let then = (0..domain).filter(|value| bits.contains(*value as usize) != inside);
    for value in first.chain(then) {
        if let Some(place) = values.get_mut(variable.0 as usize) {
            *place = Some(value);
        }
        let found = search(formula, domains, values, steps)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    if let Some(place) = values.get_mut(variable.0 as usize) {
        *place = None;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const DOMAINS: [u32; 4] = [2, 2, 3, 4];

    fn formulas() -> impl Strategy<Value = Formula> {
        let leaf =
            (0_u32..4, prop::collection::vec(0_usize..4, 0..3), any::<bool>()).prop_map(|(variable, values, is)| {
                let bits = values.into_iter().collect();
                if is { Formula::Is(Variable(variable), bits) } else { Formula::IsNot(Variable(variable), bits) }
            });
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Formula::All),
                prop::collection::vec(inner, 0..4).prop_map(Formula::Any),
            ]
        })
    }

    fn every_assignment() -> impl Iterator<Item = Vec<Option<u32>>> {
        (0..48_u32).map(|n| vec![Some(n % 2), Some(n / 2 % 2), Some(n / 4 % 3), Some(n / 12)])
    }

    proptest! {
        #[test]
        fn finds_values_if_and_only_if_there_are_some(formula in formulas()) {
            let expected = every_assignment().any(|values| formula.holds(&values) == Some(true));
            let found = solve(&formula, &DOMAINS).expect("small");
            prop_assert_eq!(found.is_some(), expected);
            if let Some(found) = found {
                let values: Vec<_> = found.into_iter().map(Some).collect();
                prop_assert_eq!(formula.holds(&values), Some(true));
            }
        }

        #[test]
        fn the_contrary_holds_where_it_does_not(formula in formulas()) {
            let contrary = formula.not();
            for values in every_assignment() {
                prop_assert_eq!(formula.holds(&values).map(|holds| !holds), contrary.holds(&values));
            }
        }
    }

    #[test]
    fn ten_thousand_things_that_must_not_be_are_one_step() {
        let nobody = (1..10_000).map(|n| Formula::IsNot(Variable(n), Bits::from_iter([1])));
        let formula = Formula::All(nobody.chain([Formula::Is(Variable(0), Bits::from_iter([1]))]).collect());
        let found = solve(&formula, &vec![2; 10_000]).expect("easy").expect("possible");
        assert_eq!(found.iter().sum::<u32>(), 1);
    }
}
