//! Why bytes are held is shown by what could follow, and that is tried.

use std::sync::Arc;

use super::{
    super::{Action, Engine, Filter, Output, Rule},
    compiled,
};
use crate::guard::rules::{self, AllowedHosts, Set};

/// Pushes a text byte by byte, and asks after each why something is held.
fn held(engine: &Arc<Engine>, text: &str, mut see: impl FnMut(&Filter, &str)) {
    let mut filter = Filter::new(engine.clone(), Arc::new(engine.everything()));
    let mut output = Output::default();
    for (at, byte) in text.bytes().enumerate() {
        filter.push(&[byte], &mut output);
        see(&filter, text.get(..=at).unwrap());
    }
}

#[test]
fn what_is_held_would_be_a_match_with_what_is_shown() {
    let engine = compiled(vec![
        Rule::new("number", "[0-9]{3}-[0-9]{3}", Action::Mask("*".into())),
        Rule::word("bird", "osprey", Action::Block),
        Rule::word("flagged", "heron", Action::Flag),
    ]);
    let mut rules = Vec::new();
    held(&engine, "no 12, her 12-555-12 ospr", |filter, prefix| {
        let witness = filter.witness();
        assert_eq!(witness.is_some(), filter.held() > 0, "{prefix}");
        let Some(witness) = witness else { return };
        let continuation = witness.continuation.unwrap();
        let whole = format!("{prefix}{}", String::from_utf8(continuation).unwrap());
        let found = super::said_of(&engine, whole.as_bytes());
        let begins =
            |finding: &super::super::Finding| finding.range.contains(&witness.start) && finding.rule == witness.rule;
        assert!(found.findings.iter().any(begins), "{whole}");
        rules.push((prefix.len(), witness.rule));
    });
    assert!(rules.contains(&(20, 0)) && rules.contains(&(25, 1)), "{rules:?}");
}

/// With checksums, entropy and context, as they are shipped: whatever is held, something is shown that has been tried.
#[test]
fn shipped_rules_show_why_they_hold() {
    let words = ["email", "us-ssn", "credit-card", "ip-address"];
    let rules = rules::all().iter().filter(|rule| rule.set == Set::Pii && words.contains(&rule.kind));
    let hosts = Arc::new(AllowedHosts::default());
    let engine = compiled(rules.map(|rule| rule.applied(Action::Mask("*".into()), &hosts)).collect());
    let (mut all, mut unshown) = (0, Vec::new());
    held(&engine, "Mail ada.l@corp.exam, her card 4111 1111 1111 11, her host 10.1.2", |filter, prefix| {
        if filter.held() > 0 {
            all += 1;
            let witness = filter.witness();
            if witness.is_none_or(|witness| witness.continuation.is_none()) {
                unshown.push((prefix.to_owned(), filter.waits_for()));
            }
        }
    });
    assert!(all > 30, "{all}");
    assert_eq!(unshown, []);
}
