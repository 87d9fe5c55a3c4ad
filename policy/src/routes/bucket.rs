//! The matches that share a host and a path: which of them does a request meet?
//!
//! They are grouped by what they ask about: whether a method, which headers, which query parameters. A group is one
//! hash over the request's answers to these questions, so that ten thousand routes which differ in the value of one
//! header cost as much as ten. Regular expressions are the exception: those of one group with equal exact values are
//! tried one after the other.

use std::{
    collections::{HashMap, HashSet},
    slice,
};

use foldhash::fast::RandomState;
use http::HeaderName;
use regex::Regex;

use super::{
    Facts, MODEL_HEADER, Model, RouteEntry, ValueMatch,
    search::{Choice, Precedence, Search},
    values::{Buffer, append_header, append_query},
};

/// By the answers to a group's questions, one after the other, each followed by its length.
type ByAnswers<T> = HashMap<Box<[u8]>, T, RandomState>;

/// Matches that share a host and a path.
#[derive(Debug)]
pub(super) enum Bucket {
    /// A match without further conditions, alone.
    Always(Choice),
    /// Those that can win first.
    Groups(Box<[Group]>),
}

/// Matches that ask about the same things.
#[derive(Debug)]
pub(super) struct Group {
    questions: Questions,
    /// Where there are no questions. Comparing nothing with nothing in a hash table is not free: `memcmp` on the address
    /// of an empty slice costs 80 ns on some processors.
    unasked: Option<Outcome>,
    answers: ByAnswers<Outcome>,
    /// Longer answers match nothing.
    answer_bytes_max: usize,
}

/// What a group asks about, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Questions {
    class: Precedence,
    method: bool,
    headers: Box<[HeaderName]>,
    query: Box<[Box<str>]>,
    then: Then,
}

/// What is left to ask when the answers are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Then {
    Nothing,
    Model,
    Conditions,
}

#[derive(Debug)]
enum Outcome {
    /// The first of the matches with these answers; the others can never be met.
    Met(Choice),
    /// By the model's name, exactly.
    ByModel {
        models: HashMap<Box<str>, Choice, RandomState>,
        /// Those in `models` sorted by precedence, the first of each AccessPolicy.
        sorted: Box<[Choice]>,
    },
    /// Sorted by precedence.
    Conditional(Box<[Conditional]>),
}

#[derive(Debug)]
struct Conditional {
    choice: Choice,
    conditions: Box<[Condition]>,
}

#[derive(Debug)]
enum Condition {
    Header(HeaderName, Regex),
    Query(Box<str>, Regex),
    Model(ValueMatch),
}

/// A match on its way into a bucket, and its rank among all matches of the table.
pub(super) type Ranked = (u32, RouteEntry);

impl Bucket {
    /// Of matches that share a host and a path; in any order.
    pub(super) fn new(entries: Vec<Ranked>) -> Self {
        let mut groups: HashMap<Questions, ByAnswers<Vec<Conditional>>> = HashMap::new();
        for (rank, entry) in entries {
            let (questions, answers, conditions) = questions_of(&entry);
            let choice = Choice { precedence: questions.class.ranked(rank), rule: entry.rule };
            let same = groups.entry(questions).or_default().entry(answers).or_default();
            same.push(Conditional { choice, conditions });
        }
        let mut groups: Vec<Group> =
            groups.into_iter().map(|(questions, answers)| Group::new(questions, answers)).collect();
        groups.sort_by_key(|group| group.questions.class);
        match groups.as_slice() {
            [group] if group.questions.is_empty() => match &group.unasked {
                Some(Outcome::Met(choice)) => Self::Always(choice.clone()),
                _ => Self::Groups(groups.into()),
            },
            _ => Self::Groups(groups.into()),
        }
    }

    /// Tells `search` what the request meets here.
    #[inline]
    pub(super) fn search<'t>(&'t self, facts: &Facts<'_>, search: &mut Search<'t>) {
        match self {
            Self::Always(choice) => search.meet(choice),
            Self::Groups(groups) => {
                for group in groups {
                    if search.is_beyond(group.questions.class) {
                        return;
                    }
                    group.search(facts, search);
                }
            }
        }
    }
}

impl Questions {
    fn is_empty(&self) -> bool {
        !self.method && self.headers.is_empty() && self.query.is_empty() && self.then == Then::Nothing
    }

    /// Writes down the request's answers. False: it has none to one of the questions, or a longer one than any wanted.
    #[inline]
    fn ask(&self, facts: &Facts<'_>, bytes_max: usize, answers: &mut Buffer) -> bool {
        if self.method {
            answers.extend_from_slice(facts.method.as_str().as_bytes());
            end_answer(answers, 0);
        }
        for name in &self.headers {
            let start = answers.len();
            if !append_header(facts.headers, name, answers) || answers.len() > bytes_max {
                return false;
            }
            end_answer(answers, start);
        }
        for name in &self.query {
            let start = answers.len();
            if !append_query(facts.query, name, answers) || answers.len() > bytes_max {
                return false;
            }
            end_answer(answers, start);
        }
        true
    }
}

/// Closes the answer that begins at `start`, so that no two lists of answers have the same bytes.
fn end_answer(answers: &mut Buffer, start: usize) {
    let length = answers.len() - start;
    answers.extend_from_slice(&(length as u32).to_le_bytes());
}

impl Group {
    fn new(questions: Questions, answers: ByAnswers<Vec<Conditional>>) -> Self {
        let answer_bytes_max = answers.keys().map(|answer| answer.len()).max().unwrap_or_default();
        let outcome = |mut matches: Vec<Conditional>| {
            matches.sort_by_key(|conditional| conditional.choice.precedence);
            match questions.then {
                Then::Nothing => matches.into_iter().next().map(|first| Outcome::Met(first.choice)),
                Then::Model => Some(by_model(matches)),
                Then::Conditions => Some(Outcome::Conditional(matches.into())),
            }
        };
        let outcomes = answers.into_iter().filter_map(|(answer, matches)| Some((answer, outcome(matches)?)));
        let mut answers: ByAnswers<Outcome> = outcomes.collect();
        let unasked = answers.remove::<[u8]>(&[]);
        Self { questions, unasked, answers, answer_bytes_max }
    }

    fn search<'t>(&'t self, facts: &Facts<'_>, search: &mut Search<'t>) {
        let outcome = match &self.unasked {
            Some(outcome) => outcome,
            None => {
                let mut answers = Buffer::new();
                if !self.questions.ask(facts, self.answer_bytes_max, &mut answers) {
                    return;
                }
                let Some(outcome) = self.answers.get(&*answers) else { return };
                outcome
            }
        };
        match (outcome, facts.model) {
            (Outcome::Met(choice), _) => search.meet(choice),
            (Outcome::ByModel { sorted, .. }, Model::Unread) => search.may_meet(sorted),
            (Outcome::ByModel { models, .. }, Model::Known(Some(model))) => {
                if let Some(choice) = models.get(model) {
                    search.meet(choice);
                }
            }
            (Outcome::ByModel { .. }, Model::Known(None)) => {}
            (Outcome::Conditional(matches), _) => search_conditional(matches, facts, search),
        }
    }
}

fn search_conditional<'t>(matches: &'t [Conditional], facts: &Facts<'_>, search: &mut Search<'t>) {
    for Conditional { choice, conditions } in matches {
        if search.is_beyond(choice.precedence) {
            return;
        }
        let verdicts = conditions.iter().map(|condition| condition.holds(facts));
        // `None` is weaker than `Some(false)`: what fails, fails whatever the model.
        let verdict = verdicts.reduce(|all, one| match (all, one) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (None, _) | (_, None) => None,
            _ => Some(true),
        });
        match verdict {
            Some(Some(false)) => {}
            Some(None) => search.may_meet(slice::from_ref(choice)),
            Some(Some(true)) | None => return search.meet(choice),
        }
    }
}

impl Condition {
    /// `None`: it depends on the model, which has not been read.
    fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        let mut value = Buffer::new();
        let matches = |regex: &Regex, value: &[u8]| str::from_utf8(value).is_ok_and(|value| regex.is_match(value));
        match self {
            Self::Header(name, regex) => Some(append_header(facts.headers, name, &mut value) && matches(regex, &value)),
            Self::Query(name, regex) => Some(append_query(facts.query, name, &mut value) && matches(regex, &value)),
            Self::Model(wanted) => match facts.model {
                Model::Unread => None,
                Model::Known(None) => Some(false),
                Model::Known(Some(model)) => Some(match wanted {
                    ValueMatch::Exact(value) => **value == *model,
                    ValueMatch::Regex(regex) => regex.is_match(model),
                }),
            },
        }
    }
}

/// What a match asks about, the answers it wants, and what cannot be asked that way.
fn questions_of(entry: &RouteEntry) -> (Questions, Box<[u8]>, Box<[Condition]>) {
    let mut headers = Vec::new();
    let mut query: Vec<(&str, &str)> = Vec::new();
    let mut conditions = Vec::new();
    // "Subsequent entries with an equivalent header name MUST be ignored", and likewise for query parameters.
    let header_matches = first_of_each(&entry.headers, |header| header.name.as_str());
    let query_matches = first_of_each(&entry.query, |parameter| &parameter.name);
    for header in &header_matches {
        match &header.value {
            _ if header.name == MODEL_HEADER => conditions.push(Condition::Model(header.value.clone())),
            ValueMatch::Exact(value) => headers.push((&header.name, &**value)),
            ValueMatch::Regex(regex) => conditions.push(Condition::Header(header.name.clone(), regex.clone())),
        }
    }
    for parameter in &query_matches {
        match &parameter.value {
            ValueMatch::Exact(value) => query.push((&parameter.name, value)),
            ValueMatch::Regex(regex) => conditions.push(Condition::Query(Box::from(&*parameter.name), regex.clone())),
        }
    }
    headers.sort_by_key(|(name, _)| name.as_str());
    query.sort_unstable();

    let mut answers = Buffer::new();
    let wanted = entry.method.iter().map(http::Method::as_str);
    for value in wanted.chain(headers.iter().map(|(_, value)| *value)).chain(query.iter().map(|(_, value)| *value)) {
        let start = answers.len();
        answers.extend_from_slice(value.as_bytes());
        end_answer(&mut answers, start);
    }
    let questions = Questions {
        class: Precedence::class(entry.method.is_some(), header_matches.len(), query_matches.len()),
        method: entry.method.is_some(),
        headers: headers.iter().map(|(name, _)| (*name).clone()).collect(),
        query: query.iter().map(|(name, _)| Box::from(*name)).collect(),
        then: match conditions.as_slice() {
            [] => Then::Nothing,
            [Condition::Model(ValueMatch::Exact(_))] => Then::Model,
            _ => Then::Conditions,
        },
    };
    (questions, answers.as_slice().into(), conditions.into())
}

fn first_of_each<T>(matches: &[T], name: impl Fn(&T) -> &str) -> Vec<&T> {
    let mut first: Vec<&T> = Vec::with_capacity(matches.len());
    for one in matches {
        if first.iter().all(|earlier| name(earlier) != name(one)) {
            first.push(one);
        }
    }
    first
}

/// Of matches sorted by precedence whose only condition is the model's name.
fn by_model(matches: Vec<Conditional>) -> Outcome {
    let mut models: HashMap<Box<str>, Choice, RandomState> = HashMap::default();
    let mut policies = HashSet::new();
    let mut sorted = Vec::new();
    for Conditional { choice, conditions } in matches {
        let [Condition::Model(ValueMatch::Exact(model))] = &*conditions else { continue };
        if models.contains_key(&**model) {
            continue; // An earlier match takes all of its requests.
        }
        if policies.insert(choice.rule.access.policy().clone()) {
            sorted.push(choice.clone());
        }
        models.insert(Box::from(&**model), choice);
    }
    Outcome::ByModel { models, sorted: sorted.into() }
}
