//! Checks the tables against the standard's own words: a linear scan over all matches, over random tables and requests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock, Mutex},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::{collection::vec, option, prelude::*, sample::select};
use regex::Regex;

use super::*;
use crate::{
    action::ActionSet,
    snapshot::{Access, DocumentId, Filters, Location},
};

/// What is asked, owned.
#[derive(Debug, Clone)]
struct Asked {
    host: &'static str,
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    model: Option<&'static str>,
}

impl Asked {
    fn facts<'r>(&'r self, model: Model<'r>) -> Facts<'r> {
        let Self { host, method, path, query, headers, .. } = self;
        Facts { host, method, path, query: query.as_deref(), headers, model }
    }
}

fn id(kind: &str, number: usize) -> DocumentId {
    DocumentId { group: "".into(), kind: kind.into(), namespace: "n".into(), name: number.to_string().into() }
}

/// A few rules have the same AccessPolicy.
fn policy(rule: usize) -> DocumentId {
    id("AccessPolicy", rule % 3)
}

fn rule(number: usize) -> Arc<Rule> {
    let location = Location { file: "f".into(), line: 1, column: 1 };
    Arc::new(Rule {
        route: id("HTTPRoute", number),
        name: None,
        index: number,
        location: location.clone(),
        filters: Filters::default(),
        backends: Vec::new(),
        request_timeout: None,
        backend_request_timeout: None,
        retry: None,
        access: Access::Anonymous { policy: policy(number), location, actions: ActionSet::EVERY },
        guardrails: None,
        grpc: false,
    })
}

// --- The standard's words -------------------------------------------------------------------------------------------

/// "Characters in a matching non-wildcard hostname. Characters in a matching hostname."
fn host_rank(pattern: &HostPattern, host: &str) -> Option<(usize, usize)> {
    match pattern {
        HostPattern::Any => Some((0, 0)),
        HostPattern::Exact(exact) => (**exact == *host).then_some((exact.len(), exact.len())),
        HostPattern::Suffix(suffix) => {
            (host.ends_with(&**suffix) && host.len() > suffix.len()).then_some((0, suffix.len()))
        }
    }
}

/// "Exact path match. Prefix path match with largest number of characters", expressions between them.
fn path_rank(pattern: &PathMatch, path: &str) -> Option<((u8, usize), Option<usize>)> {
    match pattern {
        PathMatch::Exact(exact) => (**exact == *path).then_some(((3, 0), None)),
        PathMatch::Regex(regex) => regex.is_match(path).then(|| ((2, regex.as_str().len()), None)),
        PathMatch::Prefix(prefix) => {
            let prefix = prefix.trim_end_matches('/');
            let inside = path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let length = prefix.len().max(1);
            inside.then_some(((u8::from(length > 1), length), Some(length)))
        }
        PathMatch::GrpcMethod(method) => {
            let parts: Vec<&str> = path.split('/').collect();
            matches!(*parts, ["", service, last] if !service.is_empty() && last == &**method).then_some(((0, 2), None))
        }
    }
}

fn value_holds(wanted: &ValueMatch, value: Option<&str>) -> bool {
    value.is_some_and(|value| match wanted {
        ValueMatch::Exact(exact) => **exact == *value,
        ValueMatch::Regex(regex) => regex.is_match(value),
    })
}

/// Whether it is met, the rank that decides (greater wins, but for the tie), and the length of the prefix.
type Rank<'e> = ((usize, usize), (u8, usize), bool, usize, usize, Reverse<&'e TieBreak>);

fn rank<'e>(entry: &'e RouteEntry, asked: &Asked, model: Model<'_>) -> Option<(Rank<'e>, Option<usize>)> {
    let host = host_rank(&entry.host, asked.host)?;
    let (path, prefix_len) = path_rank(&entry.path, &asked.path)?;
    if entry.method.as_ref().is_some_and(|method| *method != asked.method) {
        return None;
    }
    let mut headers: Vec<&HeaderName> = Vec::new();
    for header in &entry.headers {
        if headers.contains(&&header.name) {
            continue;
        }
        headers.push(&header.name);
        let lines: Vec<&str> = asked.headers.get_all(&header.name).iter().map(|line| line.to_str().unwrap()).collect();
        let joined = (!lines.is_empty()).then(|| lines.join(","));
        let value = match (header.name.as_str(), model) {
            (MODEL_HEADER, Model::Unread) => continue, // Some model may hold.
            (MODEL_HEADER, Model::Known(model)) => model,
            _ => joined.as_deref(),
        };
        if !value_holds(&header.value, value) {
            return None;
        }
    }
    let mut query: Vec<&str> = Vec::new();
    for parameter in &entry.query {
        if query.contains(&&*parameter.name) {
            continue;
        }
        query.push(&parameter.name);
        let pairs = asked.query.iter().flat_map(|query| query.split('&')).map(|pair| pair.split_once('=').unwrap());
        let value = pairs.filter(|(name, _)| *name == &*parameter.name).map(|(_, value)| value).next();
        if !value_holds(&parameter.value, value) {
            return None;
        }
    }
    let rank = (host, path, entry.method.is_some(), headers.len(), query.len(), Reverse(&entry.tie));
    Some((rank, prefix_len))
}

/// The number of the rule that wins, and the length of the prefix.
fn scan(entries: &[RouteEntry], asked: &Asked, model: Option<&str>) -> Option<(usize, Option<usize>)> {
    let met = entries.iter().filter_map(|entry| Some((rank(entry, asked, Model::Known(model))?, entry.rule.index)));
    met.max_by(|a, b| a.0.0.cmp(&b.0.0)).map(|((_, prefix_len), rule)| (rule, prefix_len))
}

/// The best rule that does not depend on the model, and those that do and would outrank it.
fn scan_unread<'e>(entries: &'e [RouteEntry], asked: &Asked) -> (Option<(usize, Option<usize>)>, Vec<&'e RouteEntry>) {
    let met = entries.iter().filter_map(|entry| Some((rank(entry, asked, Model::Unread)?, entry)));
    let (open, sure): (Vec<_>, Vec<_>) =
        met.partition(|(_, entry)| entry.headers.iter().any(|header| header.name == MODEL_HEADER));
    let best = sure.into_iter().max_by(|a, b| a.0.0.cmp(&b.0.0));
    let open = open.into_iter().filter(|(rank, _)| best.as_ref().is_none_or(|(best, _)| rank.0 > best.0));
    let open = open.map(|(_, entry)| entry).collect();
    (best.map(|((_, prefix_len), entry)| (entry.rule.index, prefix_len)), open)
}

fn found(found: &Found<'_>) -> Option<(usize, Option<usize>)> {
    match found {
        Found::Rule(matched) => Some((matched.rule.index, matched.prefix_len)),
        Found::NeedsModel(_) => panic!("the model is known"),
        Found::Nothing => None,
    }
}

// --- Random tables and requests, from few enough words that they meet --------------------------------------------------

const MODELS: [&str; 4] = ["llama", "qwen", "mixtral", "phi"];

fn hosts() -> impl Strategy<Value = HostPattern> {
    prop_oneof![
        1 => Just(HostPattern::Any),
        3 => select(vec!["example.com", "a.example.com", "b.a.example.com"]).prop_map(|host| HostPattern::Exact(host.into())),
        3 => select(vec![".example.com", ".a.example.com", ".com"]).prop_map(|suffix| HostPattern::Suffix(suffix.into())),
    ]
}

fn words() -> impl Strategy<Value = String> {
    vec(select(vec!["v1", "v2", "v", "chat", ""]), 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// Each is compiled once.
fn expression(text: &'static str) -> Regex {
    static COMPILED: LazyLock<Mutex<HashMap<&str, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    compiled.entry(text).or_insert_with(|| Regex::new(&format!("^(?:{text})$")).unwrap()).clone()
}

fn paths() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        3 => words().prop_map(|path| PathMatch::Exact(path.into())),
        4 => words().prop_map(|path| PathMatch::Prefix(path.into())),
        2 => select(vec!["/v[12]", "/v1|/v2", "/.*", "/v1/.*", "/.*/chat", "/[^/]+/[^/]+"])
            .prop_map(|text| PathMatch::Regex(expression(text))),
        1 => select(vec!["chat", "v1"]).prop_map(|method| PathMatch::GrpcMethod(method.into())),
    ]
}

fn values() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        3 => select(vec!["1", "2", "1,2", ""]).prop_map(|value| ValueMatch::Exact(value.into())),
        1 => select(vec!["1|2", ".*", "1,.", "[^1]*"]).prop_map(|text| ValueMatch::Regex(expression(text))),
    ]
}

fn models() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        3 => select(MODELS.to_vec()).prop_map(|value| ValueMatch::Exact(value.into())),
        1 => select(vec!["llama|phi", ".*i.*", "none"]).prop_map(|text| ValueMatch::Regex(expression(text))),
    ]
}

fn header_matches() -> impl Strategy<Value = HeaderMatch> {
    prop_oneof![
        3 => (select(vec!["a", "b", "c"]), values())
            .prop_map(|(name, value)| HeaderMatch { name: HeaderName::from_static(name), value }),
        2 => models().prop_map(|value| HeaderMatch { name: HeaderName::from_static(MODEL_HEADER), value }),
    ]
}

fn methods() -> impl Strategy<Value = Method> {
    select(vec![Method::GET, Method::POST, Method::from_bytes(b"PURGE").unwrap()])
}

fn tables() -> impl Strategy<Value = Vec<RouteEntry>> {
    let query = (select(vec!["p", "q"]), values()).prop_map(|(name, value)| QueryMatch { name: name.into(), value });
    let entry = (
        hosts(),
        paths(),
        option::weighted(0.3, methods()),
        prop_oneof![2 => Just(Vec::new()), 3 => vec(header_matches(), 0..4)],
        prop_oneof![3 => Just(Vec::new()), 1 => vec(query, 0..3)],
        (select(vec![(false, "2024"), (false, "2025"), (true, "")]), select(vec!["n/a", "n/b"])),
    );
    // Rules come up with several matches each, as they do in documents.
    vec((entry, 0..3_usize), 0..24).prop_map(|entries| {
        let mut latest = rule(0);
        entries
            .into_iter()
            .enumerate()
            .map(|(position, ((host, path, method, headers, query, (created, route)), fresh))| {
                if fresh > 0 {
                    latest = rule(position);
                }
                let tie = TieBreak {
                    created: (created.0, created.1.into()),
                    route: route.into(),
                    rule: latest.index,
                    matching: position,
                };
                RouteEntry { host, path, method, headers, query, tie, rule: Arc::clone(&latest) }
            })
            .collect()
    })
}

fn requests() -> impl Strategy<Value = Asked> {
    let header = (select(vec!["a", "b", "c", "x-gateway-model-name"]), select(vec!["1", "2", "", "llama"]));
    let parameter = (select(vec!["p", "q"]), select(vec!["1", "2", ""]));
    (
        select(vec!["example.com", "a.example.com", "b.a.example.com", "c.b.a.example.com", "example.org", "com"]),
        methods(),
        words(),
        option::of(vec(parameter, 1..4)),
        vec(header, 0..5),
        option::of(select(MODELS.to_vec())),
    )
        .prop_map(|(host, method, path, query, lines, model)| {
            let query = query
                .map(|pairs| pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"));
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, HeaderValue::from_static(value));
            }
            Asked { host, method, path, query, headers, model }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_known_model_meets_the_rule_that_the_standard_names(entries in tables(), asked in vec(requests(), 1..8)) {
        let table = RouteTable::new(entries.clone());
        for asked in asked {
            let answer = table.find(&asked.facts(Model::Known(asked.model)));
            prop_assert_eq!(found(&answer), scan(&entries, &asked, asked.model), "{:?}", asked);
        }
    }

    #[test]
    fn an_unread_model_is_asked_for_only_where_it_matters(entries in tables(), asked in vec(requests(), 1..8)) {
        let table = RouteTable::new(entries.clone());
        for asked in asked {
            let (sure, open) = scan_unread(&entries, &asked);
            match table.find(&asked.facts(Model::Unread)) {
                Found::NeedsModel(choices) => {
                    prop_assert!(!open.is_empty(), "the model does not matter");
                    let choices: HashSet<usize> = choices.iter().map(|rule| rule.index).collect();
                    let possible = open.iter().map(|entry| entry.rule.index).chain(sure.map(|(rule, _)| rule));
                    prop_assert!(choices.is_subset(&possible.collect()), "others come up");
                    let policies: HashSet<DocumentId> = choices.into_iter().map(policy).collect();
                    // The AccessPolicy of every outcome that some model brings about. `none` meets the expression that meets no other.
                    for model in MODELS.into_iter().chain(["none", "unheard of"]).map(Some).chain([None]) {
                        let outcome = scan(&entries, &asked, model);
                        prop_assert!(outcome.is_none_or(|(rule, _)| policies.contains(&policy(rule))), "{model:?}");
                    }
                }
                answer => {
                    prop_assert!(open.is_empty(), "the model matters");
                    prop_assert_eq!(found(&answer), sure);
                }
            }
        }
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(entries in tables().prop_shuffle(), asked in requests()) {
        let mut turned = entries.clone();
        turned.reverse();
        let facts = asked.facts(Model::Known(asked.model));
        prop_assert_eq!(found(&RouteTable::new(entries).find(&facts)), found(&RouteTable::new(turned).find(&facts)));
    }
}
