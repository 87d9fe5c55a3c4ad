//! Names that no pattern can tell apart: every class of names, with one name of each.
//!
//! Patterns with `*` are read as small automata, all of them at once: a state is how far each pattern has come. Each set of
//! patterns that some name satisfies is found, with the shortest such name, because every state is visited.

use std::collections::VecDeque;

use foldhash::{HashMap, HashSet};

/// How many states are visited at most. Patterns with several `*` each are what makes many.
pub const PATTERN_STATES_MAX: usize = 20_000;

/// What names are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet<'a> {
    /// Models: 1 to 256 printable ASCII characters, no space at either end.
    Model,
    /// SPIFFE IDs of a trust domain, which is given as an ID without a path: `spiffe://corp.example`.
    Workload(&'a str),
}

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// What a name may go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    Empty,
    AfterSpace,
    Inside,
    SegmentEmpty,
    SegmentDot,
    SegmentDots,
}

impl Alphabet<'_> {
    fn start(self) -> Shape {
        match self {
            Self::Workload(_) => Shape::SegmentEmpty,
            Self::Model => Shape::Empty,
        }
    }

    fn step(self, shape: Shape, next: char) -> Option<Shape> {
        match self {
            Self::Model => match next {
                ' ' => (shape != Shape::Empty).then_some(Shape::AfterSpace),
                '!'..='~' => Some(Shape::Inside),
                _ => None,
            },
            Self::Workload(_) => match (next, shape) {
                ('/', Shape::Inside) => Some(Shape::SegmentEmpty),
                ('.', Shape::SegmentEmpty) => Some(Shape::SegmentDot),
                ('.', Shape::SegmentDot) => Some(Shape::SegmentDots),
                ('a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_', _) => Some(Shape::Inside),
                _ => None,
            },
        }
    }

    fn ends(shape: Shape) -> bool {
        shape == Shape::Inside
    }

    /// Characters for where no pattern asks for a particular one.
    fn filler() -> impl Iterator<Item = char> {
        let letters = ('a'..='z').rev().skip(2).take(1).chain('a'..='z').chain('A'..='Z').chain('0'..='9');
        letters.chain(['-', '_', '.']).chain('!'..='~')
    }
}

/// Some of many, by index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn insert(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & 1 << (index % 64) != 0)
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut bits = Self::default();
        indices.into_iter().for_each(|index| bits.insert(index));
        bits
    }
}

/// There are more states than [`PATTERN_STATES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// One name of every class. Names that are `patterns` themselves, without a `*`, are classes of their own.
pub(super) fn classes(patterns: &[&str], alphabet: Alphabet<'_>) -> Result<Vec<String>, TooMany> {
    let globs: Vec<Vec<char>> = patterns.iter().map(|pattern| pattern.chars().collect()).collect();
    let prefix = match alphabet {
        Alphabet::Workload(domain) => format!("{domain}/"),
        Alphabet::Model => String::new(),
    };
    let mut alive: Alive = globs.iter().enumerate().map(|(index, glob)| (index as u32, reach(glob, &[0]))).collect();
    for next in prefix.chars() {
        alive = advance(&globs, &alive, next);
    }
    let first = (alive, alphabet.start());
    let mut visited: HashSet<(Alive, Shape)> = HashSet::from_iter([first.clone()]);
    // Where each state was come from, to write the name down when it is wanted.
    let mut trail: Vec<(usize, char)> = vec![(usize::MAX, '\0')];
    let mut waiting = VecDeque::from([(first, 0, prefix.chars().count())]);
    let mut found: HashMap<Bits, usize> = HashMap::default();
    let mut names = Vec::new();
    while let Some(((alive, shape), at, length)) = waiting.pop_front() {
        if Alphabet::ends(shape) {
            let met: Bits = alive
                .iter()
                .filter(|(index, at)| accepts(&globs, *index, at))
                .map(|(index, _)| *index as usize)
                .collect();
            found.entry(met).or_insert_with(|| {
                names.push(prefix.clone() + &written(&trail, at));
                at
            });
        }
        if length >= NAME_BYTES_MAX {
            continue;
        }
        for next in wanted(&globs, &alive, alphabet, shape) {
            let Some(shape) = alphabet.step(shape, next) else { continue };
            let state = (advance(&globs, &alive, next), shape);
            if visited.insert(state.clone()) {
                if visited.len() > PATTERN_STATES_MAX {
                    return Err(TooMany);
                }
                trail.push((at, next));
                waiting.push_back((state, trail.len() - 1, length + 1));
            }
        }
    }
    Ok(names)
}

/// Patterns that may still be met, each with how far it has come. The others can never be met again.
type Alive = Vec<(u32, Vec<u32>)>;

/// The positions that lead on from `positions` without a character. What lies before the last `*` that was reached can do
/// nothing that it cannot.
fn reach(glob: &[char], positions: &[u32]) -> Vec<u32> {
    let mut all: Vec<u32> = positions.to_vec();
    let mut index = 0;
    while let Some(&at) = all.get(index) {
        if glob.get(at as usize) == Some(&'*') && !all.contains(&(at + 1)) {
            all.push(at + 1);
        }
        index += 1;
    }
    all.sort_unstable();
    let last_star = all.iter().rev().find(|at| glob.get(**at as usize) == Some(&'*')).copied().unwrap_or(0);
    all.retain(|at| *at >= last_star);
    all
}

fn advance(globs: &[Vec<char>], alive: &Alive, next: char) -> Alive {
    alive
        .iter()
        .filter_map(|(index, positions)| {
            let glob = globs.get(*index as usize)?;
            let mut moved = Vec::new();
            for &at in positions {
                match glob.get(at as usize) {
                    Some('*') => moved.push(at),
                    Some(wanted) if *wanted == next => moved.push(at + 1),
                    _ => {}
                }
            }
            if moved.is_empty() {
                return None;
            }
            Some((*index, reach(glob, &moved)))
        })
        .collect()
}

fn accepts(globs: &[Vec<char>], index: u32, positions: &[u32]) -> bool {
    globs.get(index as usize).is_some_and(|glob| positions.contains(&(glob.len() as u32)))
}

/// The characters that some pattern asks for next, and one that none asks for.
fn wanted(globs: &[Vec<char>], alive: &Alive, alphabet: Alphabet<'_>, shape: Shape) -> Vec<char> {
    let mut wanted: Vec<char> = Vec::new();
    for (index, positions) in alive {
        let Some(glob) = globs.get(*index as usize) else { continue };
        wanted.extend(positions.iter().filter_map(|at| glob.get(*at as usize)).filter(|next| **next != '*'));
    }
    wanted.sort_unstable();
    wanted.dedup();
    let is_possible = |next: &char| alphabet.step(shape, *next).is_some();
    let filler = Alphabet::filler().filter(is_possible).find(|next| !wanted.contains(next));
    // Where names have segments, one that nobody asks for is more than a letter.
    let separator = (matches!(alphabet, Alphabet::Workload(_)) && !wanted.contains(&'/')).then_some('/');
    filler.into_iter().chain(separator).chain(wanted.iter().copied()).collect()
}

fn written(trail: &[(usize, char)], mut at: usize) -> String {
    let mut backwards = Vec::new();
    while let Some((before, next)) = trail.get(at) {
        if *before == usize::MAX {
            break;
        }
        backwards.push(*next);
        at = *before;
    }
    backwards.into_iter().rev().collect()
}

/// Whether a pattern with `*` covers a name.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        let Some(at) = name.find(part) else { return false };
        name = name.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "tests")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Each class by the patterns that cover it.
    fn found(patterns: &[&str]) -> BTreeSet<Vec<String>> {
        let names = classes(patterns, Alphabet::Model).expect("few");
        let met = |name: &String| {
            patterns.iter().filter(|pattern| covers(pattern, name)).map(|pattern| (*pattern).to_owned()).collect()
        };
        let all: BTreeSet<Vec<String>> = names.iter().map(met).collect();
        assert_eq!(all.len(), names.len(), "two names of one class: {names:?}");
        all
    }

    fn check(patterns: &[&str], expected: &[&[&str]]) {
        let expected = expected.iter().map(|met| met.iter().map(|name| (*name).to_owned()).collect()).collect();
        assert_eq!(found(patterns), expected, "{patterns:?}");
    }

    #[test]
    fn every_class_has_a_name() {
        check(&[], &[&[]]);
        check(&["a"], &[&[], &["a"]]);
        check(&["a*"], &[&[], &["a*"]]);
        check(&["*"], &[&["*"]]);
        check(&["*a", "a*"], &[&[], &["*a"], &["a*"], &["*a", "a*"]]);
        check(
            &["llama-*", "llama-3.1-*", "llama-3.1-8b"],
            &[&[], &["llama-*"], &["llama-*", "llama-3.1-*"], &["llama-*", "llama-3.1-*", "llama-3.1-8b"]],
        );
        check(&["*-8b", "llama-*"], &[&[], &["*-8b"], &["llama-*"], &["*-8b", "llama-*"]]);
        check(&["ab", "b*"], &[&[], &["ab"], &["b*"]]);
        check(&["a**"], &[&[], &["a**"]]);
        check(&["*x*y*"], &[&[], &["*x*y*"]]);
    }

    #[test]
    fn workloads_are_valid_and_of_their_trust_domain() {
        let patterns = [
            "spiffe://corp.example/ns/agents/sa/*",
            "spiffe://other.example/*",
            "*",
            "spiffe://corp.example/ns/agents",
        ];
        let names = classes(&patterns, Alphabet::Workload("spiffe://corp.example")).expect("few");
        assert_eq!(names.len(), 3, "{names:?}");
        for name in &names {
            assert!(name.parse::<portcullis_certs::SpiffeId>().is_ok(), "{name}");
        }
        assert!(names.iter().any(|name| name.starts_with("spiffe://corp.example/ns/agents/sa/")), "{names:?}");
    }

    #[test]
    fn patterns_beyond_the_bound_are_not_enumerated() {
        let patterns: Vec<String> = ('a'..='z').map(|letter| format!("*{letter}*")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        assert_eq!(classes(&patterns, Alphabet::Model), Err(TooMany));
    }

    proptest! {
        /// Whatever patterns: any name at all is of a class that was found.
        #[test]
        fn no_class_is_missed(
            patterns in prop::collection::vec("[ab*]{1,5}", 0..4),
            names in prop::collection::vec("[abc]{1,7}", 1..40),
        ) {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let of = |name: &str| -> Vec<bool> { patterns.iter().map(|pattern| covers(pattern, name)).collect() };
            let all: BTreeSet<_> = classes(&patterns, Alphabet::Model).expect("few").iter().map(|name| of(name)).collect();
            for name in names {
                prop_assert!(all.contains(&of(&name)), "{name} of {patterns:?}");
            }
        }

        #[test]
        fn a_pattern_covers_what_an_expression_does(pattern in "[ab*]{1,6}", name in "[ab]{0,8}") {
            let expression = format!("^{}$", pattern.replace('*', ".*"));
            let expected = regex::Regex::new(&expression).expect("an expression").is_match(&name);
            prop_assert_eq!(covers(&pattern, &name), expected);
        }
    }
}
