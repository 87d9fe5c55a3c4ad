//! What people would try first.

use super::{
    super::{Action, ByteSet, Engine, Lead, Rule, Until, Unusable},
    compiled, filtered, said, said_of,
};
use crate::guard::engine::{Finding, HELD_BYTES_MAX, Piece, THREADS_MAX, UNTIL_BYTES_MAX, Verdict, scout::LED_BYTES};

fn mask(id: &str, pattern: &str) -> Rule {
    Rule::new(id, pattern, Action::Mask(format!("[{id}]").into()))
}

#[test]
fn a_value_is_masked_wherever_it_stands() {
    let ssn = || vec![mask("ssn", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b")];
    let check = |text: &str, expected: &str| assert_eq!(filtered(ssn(), text), expected);
    check("", "");
    check("no numbers here", "no numbers here");
    check("078-05-1120", "[ssn]");
    check("it is 078-05-1120, he said", "it is [ssn], he said");
    check("078-05-1120078-05-1120", "078-05-1120078-05-1120");
    check("a078-05-1120 078-05-112 078-05-1120.", "a078-05-1120 078-05-112 [ssn].");
}

#[test]
fn matches_that_share_bytes_are_one_span_and_others_are_not() {
    let rules = || vec![mask("ab", "ab"), mask("bc", "bc"), mask("b", "b")];
    let check = |text: &str, expected: &str| assert_eq!(filtered(rules(), text), expected);
    check("abc", "[ab]");
    check("bcab", "[b][ab]");
    check("abab", "[ab][ab]");
    check("bb", "[b][b]");
}

#[test]
fn the_first_in_order_labels_what_several_rules_match_alike() {
    let boundary_first = || vec![mask("word", r"secret\b"), mask("any", "secret")];
    assert_eq!(filtered(boundary_first(), "secret secrets"), "[word] [any]s");
    let other = || vec![mask("any", "secret"), mask("word", r"secret\b")];
    assert_eq!(filtered(other(), "secret secrets"), "[any] [any]s");
}

/// What follows decides which of two rules matches, and not whether one does.
#[test]
fn what_is_masked_in_any_case_does_not_wait_for_the_rule_that_does_it() {
    let beside = || Rule { not_before: ByteSet::word(), ..mask("beside", "b ") };
    let held = |beside: Rule, behind: &str| {
        let engine = compiled(vec![mask("b", "b"), beside, mask("behind", behind)]);
        let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
        filter.push(b"b ", &mut super::Output::default());
        filter.held()
    };
    assert_eq!(held(beside(), r"b \b"), 0);
    assert_eq!(held(beside(), "b [a-y]"), 1, "a `z` may follow");
    let checked = Rule { check: Some(std::sync::Arc::new(|_| true)), ..beside() };
    assert_eq!(held(checked, r"b \b"), 1, "a check may say no");
    assert_eq!(held(Rule { action: Action::Block, ..beside() }, r"b \b"), 2, "all of it may end");
    let rules = vec![mask("b", "b"), beside(), mask("behind", r"b \b")];
    assert_eq!(filtered(rules, "b b z b. b  b "), "[b][b]z [b]. [b] [b]");
}

#[test]
fn what_arms_a_rule_is_neither_masked_nor_held() {
    let key = Rule { lead: Lead::Arm(r#"(?i)api_?key"?\s{0,4}[:=]\s{0,4}"?"#.into()), ..mask("key", "[0-9a-f]{8}") };
    let engine = compiled(vec![key.clone()]);
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
    let mut output = super::Output::default();
    filter.push(b"the API_KEY = \"", &mut output);
    assert_eq!(filter.held(), 0);
    assert!(output.is_untouched());
    filter.push(b"0123", &mut output);
    assert_eq!(filter.held(), 4);
    assert_eq!(filtered(vec![key.clone()], "apikey: 01234567, 89abcdef"), "apikey: [key], 89abcdef");
    assert_eq!(filtered(vec![key], "apikeys 01234567"), "apikeys 01234567");
}

#[test]
fn a_rule_may_go_on_until_an_end_and_holds_nothing_meanwhile() {
    let until = Until { pattern: "-----END KEY-----".into(), bytes_max: UNTIL_BYTES_MAX };
    let pem = || vec![Rule { until: Some(until.clone()), ..mask("pem", "-----BEGIN KEY-----") }];
    let check = |text: &str, expected: &str| assert_eq!(filtered(pem(), text), expected);
    check("a -----BEGIN KEY-----\nabc\n-----END KEY----- b", "a [pem] b");
    check("a -----BEGIN KEY-----\nabc\n-----END", "a [pem]");
    check(
        "a -----BEGIN KEY----- -----BEGIN KEY----- -----END KEY----- b -----END KEY-----",
        "a [pem] b -----END KEY-----",
    );
    let short = Until { pattern: "END".into(), bytes_max: 5 };
    assert_eq!(filtered(vec![Rule { until: Some(short), ..mask("x", "BEGIN") }], "BEGIN12345678END"), "[x]678END");
    let engine = compiled(pem());
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
    let mut output = super::Output::default();
    filter.push(b"-----BEGIN KEY-----", &mut output);
    for _ in 0..20_000 {
        filter.push(b"MIIEvQ", &mut output);
        assert_eq!(filter.held(), 0);
    }
    // After so much, it has ended by itself.
    assert!(output.is_untouched());
}

#[test]
fn a_block_ends_the_text_before_the_match() {
    let rules = vec![mask("n", "[0-9]"), Rule::new("osprey", r"(?i)project\s+osprey", Action::Block)];
    let engine = compiled(rules);
    let whole = said_of(&engine, b"1 about Project \n Osprey 2");
    assert_eq!(whole, said(&engine, engine.everything(), b"1 about Project \n Osprey 2".chunks(1)));
    assert_eq!(whole.text, b"[n] about ");
    assert_eq!(whole.verdict, Verdict::Block(Finding { rule: 1, range: 8..24 }));
    assert_eq!(whole.findings, [Finding { rule: 0, range: 0..1 }, Finding { rule: 1, range: 8..24 }]);
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
    let mut output = super::Output::default();
    filter.push(b"project osprey", &mut output);
    filter.push(b"and more", &mut output);
    assert!(output.pieces.is_empty() && matches!(output.verdict, Verdict::Block(_)));
}

#[test]
fn a_flag_is_told_and_holds_nothing() {
    let engine = compiled(vec![Rule::new("name", r"\b[A-Z][a-z]+\b", Action::Flag)]);
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
    let mut output = super::Output::default();
    filter.push(b"to Ann", &mut output);
    assert!(output.is_untouched() && filter.held() == 0 && output.findings.is_empty());
    filter.push(b" and", &mut output);
    assert_eq!(output.findings, [Finding { rule: 0, range: 3..6 }]);
}

#[test]
fn rules_that_do_not_count_hold_nothing() {
    let engine = compiled(vec![mask("digits", "[0-9]{8}"), mask("letters", "x[a-z]{8}")]);
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.select(|rule| rule == 1)));
    let mut output = super::Output::default();
    filter.push(b"1234567", &mut output);
    assert!(output.is_untouched() && filter.held() == 0);
    filter.push(b"8xabc", &mut output);
    assert_eq!((filter.held(), &output.pieces[..]), (4, &[Piece::Pass(7..8)][..]));
}

#[test]
fn words_are_found_in_any_case_and_alone() {
    let words = || ["osprey", "blue heron", "señor", "c++"].map(|word| Rule::word("w", word, Action::Mask("*".into())));
    let check = |text: &str, expected: &str| assert_eq!(filtered(words().into(), text), expected);
    check("the Osprey and the OSPREYS", "the * and the OSPREYS");
    check("Blue\n  Heron", "*");
    check("SEÑOR, C++ and c+++", "*, * and *+");
}

#[test]
fn no_span_cuts_a_character() {
    let rules = || vec![mask("x", "x.x"), mask("no-a", "[^a]a")];
    assert_eq!(filtered(rules(), "xéx éa 日a日"), "[x] [no-a] [no-a]日");
}

#[test]
fn a_check_decides_over_the_matched_bytes_alone() {
    let sums = |digits: &[u8]| digits.iter().map(|digit| u32::from(digit - b'0')).sum::<u32>() == 10;
    let rule = || Rule { check: Some(std::sync::Arc::new(sums)), ..mask("ten", "[0-9]{2,4}") };
    assert_eq!(filtered(vec![rule()], "55 19 1234 128"), "[ten] [ten] [ten] 1[ten]");
    let alone = Rule { not_after: ByteSet::word(), not_before: ByteSet::word(), ..rule() };
    assert_eq!(filtered(vec![alone], "55 19 1234 128"), "[ten] [ten] [ten] 128");
}

#[test]
fn what_would_hold_too_much_is_taken_for_a_match() {
    let long = "x".repeat(HELD_BYTES_MAX + 100);
    let masked = compiled(vec![mask("tag", "<[^>]*>")]);
    let text = format!("a <{long}\u{20} b> c");
    let whole = said_of(&masked, text.as_bytes());
    assert_eq!(String::from_utf8(whole.text.clone()).unwrap(), "a [tag] c");
    assert_eq!(whole, said(&masked, masked.everything(), text.as_bytes().chunks(7)));
    let blocked = compiled(vec![Rule::new("tag", "<[^>]*>", Action::Block)]);
    let whole = said_of(&blocked, text.as_bytes());
    assert_eq!((&whole.text[..], whole.findings.len()), (&b"a "[..], 1));
    // What is held never goes beyond the bound.
    let mut filter = super::Filter::new(masked.clone(), std::sync::Arc::new(masked.everything()));
    let mut output = super::Output::default();
    for part in text.as_bytes().chunks(3) {
        filter.push(part, &mut output);
        assert!(filter.held() <= HELD_BYTES_MAX);
    }
}

#[test]
fn a_text_that_needs_too_much_is_refused() {
    // Each `a` begins another thread, in another state.
    let engine = compiled(vec![mask("wide", "a[a-z]{1,900}!")]);
    let whole = said_of(&engine, &[b'a'; THREADS_MAX + LED_BYTES]);
    assert_eq!((whole.verdict, whole.text), (Verdict::Overrun, Vec::new()));
    assert_eq!(said_of(&engine, &[b'a'; THREADS_MAX + LED_BYTES - 1]).verdict, Verdict::Pass);
}

#[test]
fn a_rule_that_cannot_be_used_says_why() {
    let check = |rule: Rule, expected: &str| {
        let error = Engine::compile(vec![mask("good", "a"), rule]).unwrap_err();
        assert_eq!((error.rule(), error.to_string().as_str()), (Some(1), expected));
    };
    check(mask("x", "(a"), "unclosed group");
    check(mask("x", "a*"), "it matches the empty text, so it would match everywhere");
    check(mask("x", r"\b"), "it matches the empty text, so it would match everywhere");
    let large = Engine::compile(vec![mask("x", "[ab]*a[ab]{16}c")]).unwrap_err();
    assert_eq!((large.rule(), large.to_string().as_str()), (Some(0), "its automaton needs more than 4194304 bytes"));
    let until = Until { pattern: "b".into(), bytes_max: 1 };
    check(
        Rule { until: Some(until), ..Rule::new("x", "a", Action::Flag) },
        "only a rule that masks can go on until an end",
    );
    let many = vec![mask("x", "a"); super::super::RULES_MAX + 1];
    assert_eq!(Engine::compile(many).unwrap_err(), Unusable::TooMany);
}

#[test]
fn a_filter_takes_little_and_gives_back_what_it_took() {
    let engine = compiled(vec![mask("ssn", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b"), mask("wide", "<[a-z]{1,900}>")]);
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
    let mut output = super::Output::default();
    for part in crate::guard::engine::SAMPLE.repeat(4).as_bytes().chunks(5) {
        filter.push(part, &mut output);
        assert!(filter.held() > 0 || filter.bytes() <= FILTER_BYTES, "{}", filter.bytes());
    }
    // What is held for a while is given back.
    filter.push(&[b"<".as_slice(), &[b'a'; 900]].concat(), &mut output);
    assert!(filter.held() > 900 && filter.bytes() < 2 * HELD_BYTES_MAX);
    filter.push(b" and so on", &mut output);
    assert!(filter.held() == 0 && filter.bytes() <= FILTER_BYTES, "{}", filter.bytes());
}

/// Memory of a filter that holds nothing.
const FILTER_BYTES: usize = 512;

#[test]
fn patterns_that_blow_up_elsewhere_are_compiled_or_refused() {
    // Nested quantifiers take one step a byte, like all others.
    let nested = compiled(vec![mask("nested", "(?:a+)+b"), mask("counted", "(?:a?){30}a{30}c")]);
    let whole = said_of(&nested, &[b'a'; 4000]);
    assert_eq!((whole.verdict, whole.text.len()), (Verdict::Pass, 4000));
    let check = |pattern: &str, expected: &str| {
        let error = Engine::compile(vec![mask("x", "fine"), mask("x", pattern)]).unwrap_err();
        assert_eq!((error.rule(), error.to_string().as_str()), (Some(1), expected));
    };
    check("a(?=b)", "look-around, including look-ahead and look-behind, is not supported");
    check(r"(a)\1", "backreferences are not supported");
    let too_large = "its automaton needs more than 4194304 bytes";
    // An alternation of 1 MB.
    let words: Vec<String> = (0..100_000).map(|word| format!("{word:09}")).collect();
    check(&words.join("|"), too_large);
    check("(?:[a-z]{1,99}){1,99}x", too_large);
    check(
        &format!("{}a{}", "(".repeat(300), ")".repeat(300)),
        "exceed the maximum number of nested parentheses/brackets (250)",
    );
}

#[test]
fn a_text_that_never_matches_takes_no_more_memory_however_long_it_is() {
    let rules =
        || vec![mask("mail", r"[a-z0-9._]+@[a-z]+\.[a-z]{2,}"), mask("word", r"\bsecret\b"), mask("x", "[a-z]{8}!")];
    let engine = compiled(rules());
    let mut filter = super::Filter::new(engine.clone(), std::sync::Arc::new(engine.everything()));
    let (mut output, mut most) = (super::Output::default(), 0);
    for _ in 0..40_000 {
        filter.push(b"abxy9", &mut output);
        most = filter.bytes().max(most);
    }
    assert!(most <= 4 * HELD_BYTES_MAX, "{most}");
}
