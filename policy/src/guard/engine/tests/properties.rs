//! Random rules, texts and ways of cutting them.

use std::{
    cell::Cell,
    sync::{Arc, LazyLock},
};

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    super::{Action, Engine, Filter, Finding, Output, Piece, Verdict},
    Fate, add_fates, compiled,
    expression::expressions,
    oracle::{Model, Truth, truth},
    said,
};
use crate::guard::rules::{AllowedHosts, all, assemble::example};

/// How many cases are tried; `GUARD_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let said = std::env::var("GUARD_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: said.unwrap_or(usual),
        failure_persistence: None,
        // Some expressions are drawn anew, which must not end a long run.
        max_local_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => Just(Action::Mask("#".into())),
        1 => Just(Action::Flag),
        1 => Just(Action::Block),
    ]
}

/// Rules; `narrowed` ones may have a check or a greatest length, of which the theorem does not speak.
fn models(narrowed: bool) -> impl Strategy<Value = Vec<Model>> {
    let rarely = |weight: f64| prop::bool::weighted(weight);
    let model = (
        expressions(),
        prop::option::weighted(0.2, expressions()),
        prop::option::weighted(0.15, (expressions(), 1..6_usize)),
        (rarely(0.2), rarely(0.2), rarely(0.1), rarely(0.9)),
        prop::option::weighted(0.2, 1..4_usize),
        rarely(0.2),
        actions(),
    );
    let model = model.prop_map(
        move |(body, arm, until, (alone_before, alone_behind, after_space, counts), length_max, even, action)| Model {
            until: until.filter(|_| matches!(action, Action::Mask(_))),
            body,
            arm,
            alone_before,
            alone_behind,
            length_max: length_max.filter(|_| narrowed),
            even: even && narrowed,
            after_space,
            action,
            counts,
        },
    );
    prop::collection::vec(model, 1..5)
}

fn texts(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"aabbc ".to_vec()), 0..length)
}

fn engine(models: &[Model]) -> Arc<Engine> {
    compiled(models.iter().enumerate().map(|(index, model)| model.rule(index)).collect())
}

/// The text in parts of these lengths, over and over.
fn parts<'t>(text: &'t [u8], lengths: &[usize]) -> Vec<&'t [u8]> {
    let (mut rest, mut parts) = (text, Vec::new());
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, others) = rest.split_at((*length).min(rest.len()));
        parts.push(part);
        rest = others;
    }
    parts
}

#[test]
fn what_comes_out_is_the_definition_however_the_text_is_cut() {
    let splittings = Cell::new(0);
    let inputs = (models(true), texts(40), prop::collection::vec(1..8_usize, 1..6));
    let run = TestRunner::new(cases(150)).run(&inputs, |(models, text, lengths)| {
        let engine = engine(&models);
        let select = || engine.select(|rule| models[rule].counts);
        let whole = said(&engine, select(), [&text[..]]);
        prop_assert_eq!(&whole, &said(&engine, select(), parts(&text, &lengths)));
        prop_assert_eq!(&whole, &said(&engine, select(), text.chunks(1)));
        splittings.set(splittings.get() + 2);
        let Truth { fates, mut findings, blocked_at } = truth(&models, &text);
        if let Verdict::Block(finding) = &whole.verdict {
            prop_assert_eq!(Some(finding.range.end as usize), blocked_at);
            prop_assert_eq!(&fates[..whole.fates.len()], &whole.fates);
            prop_assert!(!whole.fates.contains(&Fate::Cut));
        } else {
            prop_assert_eq!(blocked_at, None);
            prop_assert_eq!(&fates, &whole.fates);
            let mut told = whole.findings;
            told.sort_unstable_by_key(|finding| (finding.rule, finding.range.start));
            findings.sort_unstable_by_key(|finding| (finding.rule, finding.range.start));
            prop_assert_eq!(findings, told);
        }
        Ok(())
    });
    run.unwrap();
    println!("{} splittings, no difference", splittings.get());
}

/// All that comes out of one push after the other, as it is said.
fn outputs(filter: Filter, parts: &[&[u8]]) -> Vec<(Vec<Piece>, Vec<Finding>, Verdict, usize)> {
    let (mut filter, mut output) = (filter, Output::default());
    let mut said = Vec::new();
    let taken = |filter: &Filter, output: &Output| {
        (output.pieces.clone(), output.findings.clone(), output.verdict.clone(), filter.held())
    };
    for part in parts {
        filter.push(part, &mut output);
        said.push(taken(&filter, &output));
    }
    filter.finish(&mut output);
    said.push(taken(&filter, &output));
    said
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_look_ahead_makes_no_difference(
        models in models(true),
        text in texts(60),
        lengths in prop::collection::vec(1..30_usize, 1..4),
    ) {
        let engine = engine(&models);
        let filter = || Filter::new(engine.clone(), Arc::new(engine.select(|rule| models[rule].counts)));
        let parts = parts(&text, &lengths);
        prop_assert_eq!(outputs(filter(), &parts), outputs(filter().without_scouts(), &parts));
    }
}

/// What texts are made of on which rules of ours are tried: their examples, and what stands in between.
fn written() -> Vec<String> {
    let examples = all().iter().flat_map(|rule| rule.finds.iter().chain(rule.leaves));
    let examples = examples.filter_map(|written| example(written)).map(|example| example.text);
    let between = [" ", "\n", ", and ", "key: ", "\"", "the api key is ", "https://", "x", "12", "A", "é", "=="];
    examples.chain(between.iter().flat_map(|part| vec![(*part).to_owned(); 40])).collect()
}

fn shipped() -> &'static (Arc<Engine>, Vec<String>) {
    static SHIPPED: LazyLock<(Arc<Engine>, Vec<String>)> = LazyLock::new(|| {
        let action = |at: usize| match at % 16 {
            0 => Action::Block,
            1 => Action::Flag,
            _ => Action::Mask("#".into()),
        };
        let allowed = Arc::new(AllowedHosts::default());
        (compiled(all().iter().enumerate().map(|(at, rule)| rule.applied(action(at), &allowed)).collect()), written())
    });
    &SHIPPED
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_look_ahead_makes_no_difference_to_the_shipped_rules(
        parts_of_text in prop::collection::vec(prop::sample::select(&shipped().1[..]), 1..12),
        lengths in prop::collection::vec(1..200_usize, 1..4),
        few in 0..8_usize,
    ) {
        let (engine, _) = shipped();
        let text = parts_of_text.concat().into_bytes();
        // All of them, or some, or those that do not block.
        let counts = |rule: usize| match few { 0 => rule.is_multiple_of(3), 1..4 => !rule.is_multiple_of(16), _ => true };
        let filter = || Filter::new(engine.clone(), Arc::new(engine.select(counts)));
        let parts = parts(&text, &lengths);
        prop_assert_eq!(outputs(filter(), &parts), outputs(filter().without_scouts(), &parts));
        let select = || engine.select(counts);
        prop_assert_eq!(said(engine, select(), [&text[..]]), said(engine, select(), parts));
    }
}

/// All texts over these bytes of at most so many, the shortest first.
fn continuations(most: usize) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..most {
        let shorter: Vec<_> = all[from..].to_vec();
        from = all.len();
        all.extend(shorter.iter().flat_map(|text| b"abc ".iter().map(move |byte| [&text[..], &[*byte]].concat())));
    }
    all
}

/// One of some continuations that leads to another fate of the byte at this place than the end of the text, so that none can tell
/// which it will be.
fn witness<'c>(models: &[Model], prefix: &[u8], at: usize, continuations: &'c [Vec<u8>]) -> Option<&'c [u8]> {
    let fate = |more: &[u8]| truth(models, &[prefix, more].concat()).fates[at];
    let first = fate(b"");
    continuations.iter().map(Vec::as_slice).find(|more| fate(more) != first)
}

#[test]
fn no_filter_could_hold_less_at_any_prefix() {
    let (prefixes, witnesses) = (Cell::new(0), Cell::new(0));
    let (few, many) = (continuations(3), continuations(5));
    let run = TestRunner::new(cases(16)).run(&(models(false), texts(7)), |(models, text)| {
        let engine = engine(&models);
        let mut filter = Filter::new(engine.clone(), Arc::new(engine.select(|rule| models[rule].counts)));
        let mut output = Output::default();
        let mut said = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            filter.push(&[*byte], &mut output);
            add_fates(&output.pieces, &mut said);
            if output.verdict != Verdict::Pass {
                break;
            }
            let prefix = &text[..=at];
            prefixes.set(prefixes.get() + 1);
            prop_assert_eq!(filter.held(), prefix.len() - said.len());
            // What has been said holds whatever follows.
            for more in &few {
                let fates = truth(&models, &[prefix, more].concat()).fates;
                prop_assert_eq!(&fates[..said.len()], &said, "{:?} then {:?}", prefix, more);
            }
            // Of what has not been said, the first byte may become one thing or another, or never goes; none behind it can go
            // before.
            if let Some(fate) = truth(&models, prefix).fates.get(said.len()) {
                let waits = *fate == Fate::Cut || witness(&models, prefix, said.len(), &many).is_some();
                prop_assert!(waits, "byte {} of {:?} is held for nothing", said.len(), prefix);
                witnesses.set(witnesses.get() + prefix.len() - said.len());
            }
        }
        Ok(())
    });
    run.unwrap();
    println!(
        "{} prefixes, no disagreement; {} bytes held, at or behind one with two fates",
        prefixes.get(),
        witnesses.get()
    );
}
