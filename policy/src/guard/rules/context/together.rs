//! The contexts of all rules, decided in one look: a hundred rules that wait for a name cost what one does.

use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use foldhash::HashMap;

use super::{
    super::{Rule, all},
    Context, NAME_BYTES_MAX, VALUE_NAMES, begins_a_word, may_precede_assigned, may_precede_value, name_assigned_to,
    stands_alone_at, stands_apart, stands_in_place_of_value,
};
use crate::guard::engine::{Contexts, Lead};

impl Context {
    /// The same for the engine, for a rule of this number among [`all`].
    pub(in super::super) fn lead(&self, number: usize) -> Lead {
        let number = number as u32;
        match *self {
            Self::Any => Lead::Anything,
            Self::Near(_) => Lead::OneOf(KNOWN.near.clone(), number),
            Self::Assigned(_) => Lead::OneOf(KNOWN.assigned.clone(), number),
            Self::Behind(_) => Lead::OneOf(KNOWN.behind.clone(), number),
            Self::NotBehind(_) => {
                let context = *self;
                Lead::Context(Arc::new(move |window: &[u8]| context.holds(window)))
            }
            Self::Value => Lead::OneOf(KNOWN.value.clone(), 0),
            Self::Apart => Lead::OneOf(KNOWN.apart.clone(), 0),
            Self::Other(what, may_follow, holds) => {
                let shared = KNOWN.others.get(what).cloned();
                Lead::OneOf(shared.unwrap_or_else(|| Arc::new(Other { may_follow, holds })), 0)
            }
        }
    }
}

/// The contexts of all rules.
struct Known {
    near: Arc<Near>,
    assigned: Arc<Assigned>,
    behind: Arc<Behind>,
    value: Arc<Value>,
    apart: Arc<Apart>,
    /// What is decided by a function, by what it says in words.
    others: HashMap<&'static str, Arc<Other>>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::of(all()));

impl Known {
    fn of(rules: &[&'static Rule]) -> Self {
        let numbered = || rules.iter().enumerate().map(|(number, rule)| (number as u32, rule.context));
        let words = |of: fn(Context) -> &'static [&'static str]| {
            Words::new(
                numbered().flat_map(move |(number, context)| of(context).iter().map(move |word| (number, *word))),
            )
        };
        let others = numbered().filter_map(|(_, context)| match context {
            Context::Other(what, may_follow, holds) => Some((what, Arc::new(Other { may_follow, holds }))),
            _ => None,
        });
        Self {
            near: Arc::new(Near(words(|context| if let Context::Near(words) = context { words } else { &[] }))),
            assigned: Arc::new(Assigned(words(|context| match context {
                Context::Assigned(words) => words,
                _ => &[],
            }))),
            behind: Arc::new(Behind::of(numbered())),
            value: Arc::new(Value(Assigned(Words::new(VALUE_NAMES.iter().map(|name| (0, *name)))))),
            apart: Arc::new(Apart),
            others: others.collect(),
        }
    }
}

/// Words, and which contexts ask for them.
struct Words {
    found: Option<AhoCorasick>,
    asked: Vec<Vec<u32>>,
    longest: usize,
}

impl Words {
    fn new(asked: impl Iterator<Item = (u32, &'static str)>) -> Self {
        let mut words = Vec::<&'static str>::new();
        let (mut places, mut by_word) = (HashMap::default(), Vec::<Vec<u32>>::new());
        for (number, word) in asked {
            let place = *places.entry(word).or_insert_with(|| {
                words.push(word);
                by_word.push(Vec::new());
                words.len() - 1
            });
            by_word.get_mut(place).into_iter().for_each(|numbers| numbers.push(number));
        }
        let found = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .prefilter(false)
            .build(&words);
        let longest = words.iter().map(|word| word.len()).max().unwrap_or_default();
        // Words that a rule of ours asks for are few enough for any automaton.
        Self { found: found.ok(), asked: by_word, longest }
    }

    /// Adds the contexts that ask for a word that stands in this text where this holds of its beginning and its end.
    fn find(&self, text: &[u8], holding: &mut Vec<u32>, stands: impl Fn(usize, usize) -> bool) {
        let found = self.found.iter().flat_map(|found| found.find_overlapping_iter(text));
        for word in found.filter(|word| stands(word.start(), word.end())) {
            holding.extend(self.asked.get(word.pattern().as_usize()).into_iter().flatten());
        }
    }
}

struct Near(Words);

impl Contexts for Near {
    fn may_follow(&self, _: &[u8]) -> bool {
        true
    }

    fn holding(&self, window: &[u8], holding: &mut Vec<u32>) {
        self.0.find(window, holding, |at, end| stands_alone_at(window, at, end));
    }
}

struct Assigned(Words);

impl Contexts for Assigned {
    fn may_follow(&self, last: &[u8]) -> bool {
        may_precede_assigned(last)
    }

    fn holding(&self, window: &[u8], holding: &mut Vec<u32>) {
        let Some(name) = name_assigned_to(window) else { return };
        // A word that ends too far before the end of the name does not count, so it is not looked for either.
        let from = name.len().saturating_sub(NAME_BYTES_MAX + self.0.longest);
        let part = name.get(from..).unwrap_or_default();
        self.0.find(part, holding, |at, end| begins_a_word(name, from + at) && part.len() - end <= NAME_BYTES_MAX);
    }
}

struct Value(Assigned);

impl Contexts for Value {
    fn may_follow(&self, last: &[u8]) -> bool {
        may_precede_value(last)
    }

    fn holding(&self, window: &[u8], holding: &mut Vec<u32>) {
        if stands_in_place_of_value(window) {
            holding.push(0);
        } else {
            self.0.holding(window, holding);
        }
    }
}

/// What a function says.
struct Other {
    may_follow: fn(&[u8]) -> bool,
    holds: fn(&[u8]) -> bool,
}

impl Contexts for Other {
    fn may_follow(&self, last: &[u8]) -> bool {
        (self.may_follow)(last)
    }

    fn holding(&self, window: &[u8], holding: &mut Vec<u32>) {
        if (self.holds)(window) {
            holding.push(0);
        }
    }
}

struct Apart;

impl Contexts for Apart {
    fn may_follow(&self, last: &[u8]) -> bool {
        stands_apart(last)
    }

    fn holding(&self, window: &[u8], holding: &mut Vec<u32>) {
        if stands_apart(window) {
            holding.push(0);
        }
    }
}

/// What stands right before, as a tree that is read from its last letter on.
struct Behind(Vec<Letter>);

/// A place in the tree.
#[derive(Clone, Default)]
struct Letter {
    /// What may stand before, and the place of that.
    before: Vec<(u8, usize)>,
    /// The contexts that are satisfied here.
    asked: Vec<u32>,
}

impl Behind {
    fn of(contexts: impl Iterator<Item = (u32, Context)>) -> Self {
        let mut letters = vec![Letter::default()];
        for (number, context) in contexts {
            let ends = if let Context::Behind(ends) = context { ends } else { &[] };
            for end in ends {
                let mut at = 0;
                for letter in end.bytes().rev().map(|letter| letter.to_ascii_lowercase()) {
                    let known = letters.get(at).and_then(|place| place.of(letter));
                    at = known.unwrap_or_else(|| {
                        let next = letters.len();
                        letters.get_mut(at).into_iter().for_each(|place| place.before.push((letter, next)));
                        letters.push(Letter::default());
                        next
                    });
                }
                letters.get_mut(at).into_iter().for_each(|place| place.asked.push(number));
            }
        }
        Self(letters)
    }
}

impl Letter {
    fn of(&self, letter: u8) -> Option<usize> {
        self.before.iter().find(|(known, _)| *known == letter).map(|(_, place)| *place)
    }
}

impl Contexts for Behind {
    fn may_follow(&self, last: &[u8]) -> bool {
        let mut place = self.0.first();
        for letter in last.iter().rev() {
            let before = place.and_then(|place| place.of(letter.to_ascii_lowercase()));
            let Some(letter) = before.and_then(|before| self.0.get(before)) else { return false };
            if !letter.asked.is_empty() {
                return true;
            }
            place = Some(letter);
        }
        !last.is_empty()
    }

    fn holding(&self, window: &[u8], holding: &mut Vec<u32>) {
        let mut place = self.0.first();
        for letter in window.iter().rev() {
            let before = place.and_then(|place| place.of(letter.to_ascii_lowercase()));
            let Some(letter) = before.and_then(|before| self.0.get(before)) else { return };
            holding.extend_from_slice(&letter.asked);
            place = Some(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::window, *};

    /// Parts of which windows are made: all words that any rule asks for, in several cases, and what may stand beside them.
    fn parts() -> Vec<String> {
        let words = all().iter().flat_map(|rule| match rule.context {
            Context::Near(words) | Context::Assigned(words) | Context::Behind(words) => words,
            _ => &[],
        });
        let cased = words.flat_map(|word| [(*word).to_owned(), word.to_uppercase(), format!("my{word}")]);
        let beside =
            ["=", ": ", " is ", "_", "-key", " ", "\"", ", ", "a", "X", "é", "\n", " := '", "->", "_token_of_tests"];
        cased.chain(beside.iter().flat_map(|part| vec![(*part).to_owned(); 60])).collect()
    }

    proptest! {
        #[test]
        fn contexts_are_decided_together_as_each_is_alone(parts in prop::collection::vec(prop::sample::select(parts()), 0..7)) {
            let text = parts.concat();
            let window = window(text.as_bytes());
            let mut value = Vec::new();
            KNOWN.value.holding(window, &mut value);
            let last = window.get(window.len().saturating_sub(2)..).unwrap_or_default();
            prop_assert!(value.is_empty() || KNOWN.value.may_follow(last), "a value behind `{}`", text);
            prop_assert_eq!(!value.is_empty(), Context::Value.holds(window), "a value behind `{}`", text);
            for contexts in [&*KNOWN.near as &dyn Contexts, &*KNOWN.assigned, &*KNOWN.behind] {
                let mut holding = Vec::new();
                contexts.holding(window, &mut holding);
                prop_assert!(holding.is_empty() || contexts.may_follow(last), "a context behind `{}`", text);
                for (number, rule) in all().iter().enumerate() {
                    let is_one = match rule.context {
                        Context::Near(_) => std::ptr::addr_eq(contexts, &raw const *KNOWN.near),
                        Context::Assigned(_) => std::ptr::addr_eq(contexts, &raw const *KNOWN.assigned),
                        Context::Behind(_) => std::ptr::addr_eq(contexts, &raw const *KNOWN.behind),
                        _ => false,
                    };
                    if is_one {
                        let alone = rule.context.holds(window);
                        prop_assert_eq!(holding.contains(&(number as u32)), alone, "{} behind `{}`", rule.id, text);
                    }
                }
            }
        }
    }
}
