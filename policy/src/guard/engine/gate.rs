//! What decides whether rules with a context may begin, each thing once however many rules ask for it.

use std::sync::Arc;

use super::{
    ajar::{Ajar, Bits, bit},
    rule::{Check, Contexts, Lead, Rule},
};

/// Decides for some rules.
pub(super) struct Gate {
    decides: Decides,
    /// The rules, by the number of their context.
    rules: Vec<Vec<u32>>,
}

enum Decides {
    Alone(Check),
    Together(Arc<dyn Contexts>),
}

/// The gate of a rule that has none.
pub(super) const NONE: u16 = u16::MAX;

/// The gates of rules.
pub(super) struct Gates {
    pub(super) all: Vec<Gate>,
    /// The gate of each rule.
    pub(super) of: Vec<u16>,
    /// Which of them may be open, at a glance.
    pub(super) ajar: Ajar,
}

impl Gates {
    /// The bit of a rule's gate; none if it has no gate.
    pub(super) fn bit_of(&self, rule: u32) -> Bits {
        self.of.get(rule as usize).filter(|gate| **gate != NONE).map_or(0, |gate| bit(usize::from(*gate)))
    }

    /// Adds those of some candidates, in order, that these gates let begin behind this; some perhaps twice. Gates that are not
    /// ajar are not asked.
    pub(super) fn open(
        &self,
        (which, ajar): (&[u16], Bits),
        window: &[u8],
        candidates: &[u32],
        numbers: &mut Vec<u32>,
        rules: &mut Vec<u32>,
    ) {
        for place in which {
            let Some(gate) = self.all.get(usize::from(*place)).filter(|_| bit(usize::from(*place)) & ajar != 0) else {
                continue;
            };
            if gate.rules.len() > 1 {
                gate.open(window, numbers, candidates, rules);
            } else if gate.is_open(window, numbers) {
                let is_of_it = |rule: &&u32| self.of.get(**rule as usize) == Some(place);
                rules.extend(candidates.iter().filter(is_of_it));
            }
        }
    }
}

/// The gates of rules.
pub(super) fn gates(rules: &[Rule]) -> Gates {
    let (mut gates, mut of) = (Vec::<Gate>::new(), Vec::with_capacity(rules.len()));
    for (index, rule) in rules.iter().enumerate() {
        let decides = match &rule.lead {
            Lead::Anything | Lead::Arm(_) => {
                of.push(NONE);
                continue;
            }
            Lead::Context(check) => (Decides::Alone(check.clone()), 0),
            Lead::OneOf(contexts, number) => (Decides::Together(contexts.clone()), *number as usize),
        };
        let (decides, number) = decides;
        let place = gates.iter().position(|gate| gate.decides.is(&decides)).unwrap_or(gates.len());
        if place == gates.len() {
            gates.push(Gate { decides, rules: Vec::new() });
        }
        if let Some(gate) = gates.get_mut(place) {
            gate.rules.resize(gate.rules.len().max(number + 1), Vec::new());
            gate.rules.get_mut(number).into_iter().for_each(|rules| rules.push(index as u32));
        }
        of.push(place as u16);
    }
    let ajar = Ajar::of(&gates);
    Gates { all: gates, of, ajar }
}

impl Decides {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Alone(one), Self::Alone(other)) => Arc::ptr_eq(one, other),
            (Self::Together(one), Self::Together(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Gate {
    /// What says whether it can be open, from the last two bytes. `None`: it can be at any place.
    pub(super) fn narrows(&self) -> Option<&dyn Contexts> {
        match &self.decides {
            Decides::Alone(_) => None,
            Decides::Together(contexts) => Some(&**contexts),
        }
    }

    /// Whether the only context of this gate holds.
    fn is_open(&self, window: &[u8], numbers: &mut Vec<u32>) -> bool {
        match &self.decides {
            Decides::Alone(holds) => holds(window),
            Decides::Together(contexts) => {
                numbers.clear();
                contexts.holding(window, numbers);
                numbers.contains(&0)
            }
        }
    }

    /// Adds those of some candidates, in order, whose context holds; some perhaps twice.
    fn open(&self, window: &[u8], numbers: &mut Vec<u32>, candidates: &[u32], rules: &mut Vec<u32>) {
        let Decides::Together(contexts) = &self.decides else { return };
        numbers.clear();
        contexts.holding(window, numbers);
        for number in numbers.drain(..) {
            let of = self.rules.get(number as usize).into_iter().flatten();
            rules.extend(of.filter(|rule| candidates.binary_search(rule).is_ok()));
        }
    }
}
