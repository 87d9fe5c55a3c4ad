//! What is beyond a bound is refused, or told otherwise, and never forgotten.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    super::{
        ARM_STATES_MAX, Action, CONTEXT_BYTES_MAX, Filter, Finding, Lead, NFA_BYTES_MAX, Output, Rule, Unusable,
        Verdict, reference, spans::GROWING_MAX, tabulate::PRODUCT_STATES_MAX,
    },
    Engine, compiled, said, said_of,
};

fn mask(id: &str, pattern: &str) -> Rule {
    Rule::new(id, pattern, Action::Mask(format!("[{id}]").into()))
}

#[test]
fn a_text_whose_arms_need_too_much_is_refused() {
    // Each `a` begins another arm, in another state.
    let engine = compiled(vec![Rule { lead: Lead::Arm("a[a-z]{1,900}!".into()), ..mask("armed", "[0-9]") }]);
    assert_eq!(said_of(&engine, &[b'a'; ARM_STATES_MAX]).verdict, Verdict::Pass);
    let text = [b'a'; ARM_STATES_MAX + 1];
    let whole = said_of(&engine, &text);
    assert_eq!(whole.verdict, Verdict::Overrun);
    assert_eq!(whole, said(&engine, engine.everything(), text.chunks(7)));
}

#[test]
fn findings_that_grow_are_told_early_where_they_are_too_many() {
    let told = |rules: usize| {
        let engine = compiled((0..rules).map(|rule| Rule::new(&format!("{rule}"), "a+", Action::Flag)).collect());
        said_of(&engine, b"aaa ").findings
    };
    let all: Vec<_> = (0..GROWING_MAX).map(|rule| Finding { rule, range: 0..3 }).collect();
    assert_eq!(told(GROWING_MAX), all);
    let more = told(GROWING_MAX + 1);
    assert!(more.len() > GROWING_MAX + 1);
    for rule in 0..=GROWING_MAX {
        assert!(more.iter().any(|finding| finding.rule == rule && finding.range.end == 3), "{rule} is told");
    }
}

#[test]
fn a_context_sees_so_much_and_no_more() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let context = move |before: &[u8]| {
        seen.fetch_max(before.len(), Ordering::Relaxed);
        before.len() == CONTEXT_BYTES_MAX && before.starts_with(b"<")
    };
    let engine = compiled(vec![Rule { lead: Lead::Context(Arc::new(context)), ..mask("led", "[0-9]") }]);
    let text = |between: usize| [b"<".as_slice(), &vec![b' '; between], b"7"].concat();
    let masks = |between: usize| said(&engine, engine.everything(), text(between).chunks(5)).text.ends_with(b"[led]");
    assert_eq!([CONTEXT_BYTES_MAX - 2, CONTEXT_BYTES_MAX - 1, CONTEXT_BYTES_MAX].map(masks), [false, true, false]);
    assert_eq!(most.load(Ordering::Relaxed), CONTEXT_BYTES_MAX);
}

/// One remembers where `a` stood, the other where `b` did: together they would have a state for each way of writing both.
#[test]
fn rules_that_need_too_many_states_together_begin_apart() {
    let rules = vec![mask("a", "[abc]*a[abc]{8}x"), mask("b", "[abc]*b[abc]{8}y")];
    let engine = compiled(rules.clone());
    assert!(engine.cost().states < PRODUCT_STATES_MAX, "{:?}", engine.cost());
    let text = b"abcabcabcabcx bacbcccccabcy abccbacbax abx";
    let masked: Vec<bool> = said_of(&engine, text).fates.iter().map(|fate| *fate != super::Fate::Pass).collect();
    assert_eq!(masked, reference::said(&rules, text).unwrap().masked);
    assert!(masked.contains(&true) && masked.contains(&false));
}

#[test]
fn an_expression_that_is_too_large_is_refused_before_it_is_made() {
    let check = |pattern: &str| {
        matches!(Engine::compile(vec![mask("x", pattern)]), Err(Unusable::RuleTooLarge { rule: 0, .. }))
    };
    assert!(check(&format!("(?:a{{1,999}}){{1,{}}}", NFA_BYTES_MAX / 999)));
    assert!(!check("a{1,999}"));
}

#[test]
fn what_is_kept_of_a_text_is_what_may_be_asked_for() {
    let engine = compiled(vec![Rule { lead: Lead::Context(Arc::new(|_| true)), ..mask("led", "[0-9]{3}") }]);
    let mut filter = Filter::new(engine.clone(), Arc::new(engine.everything()));
    let mut output = Output::default();
    filter.push(&vec![b'a'; 1 << 20], &mut output);
    assert!(filter.bytes() < 1024, "{}", filter.bytes());
}
