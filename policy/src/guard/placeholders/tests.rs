//! Placeholders by example, and by an oracle that tries every spelling.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod oracle;

use std::sync::Arc;

use proptest::prelude::*;

use self::oracle::Oracle;
use super::*;
use crate::guard::rules::{self, AllowedHosts, reference::Finder};

const SECRET: [u8; 32] = [7; 32];
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.org";

fn key(tenant: &str, conversation: &str) -> ConversationKey {
    ConversationKey::derive(&SECRET, tenant, conversation.as_bytes())
}

fn placeholders() -> Placeholders {
    Placeholders::new(key("acme", "hello"))
}

/// Placeholders of these values, and what restores them.
fn tokens<const N: usize>(pairs: [(&str, &str); N]) -> ([String; N], Arc<Values>) {
    let mut placeholders = placeholders();
    let made = pairs.map(|(kind, value)| placeholders.placeholder(kind, value).unwrap().to_owned());
    (made, placeholders.into_values())
}

/// What comes out of a text that arrives in these pieces.
fn restored<'t>(values: &Arc<Values>, pieces: impl IntoIterator<Item = &'t [u8]>) -> String {
    let (mut restorer, mut out) = (Restorer::new(values.clone()), Vec::new());
    for piece in pieces {
        restorer.restore(piece, &mut out);
    }
    restorer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_placeholder_says_its_kind_and_nothing_else() {
    let mut placeholders = placeholders();
    let check = |placeholders: &mut Placeholders, kind: &str, word: &str| {
        let placeholder = placeholders.placeholder(kind, ADA).unwrap();
        let letters = placeholder.strip_prefix(&format!("<{word}_")).unwrap().strip_suffix('>').unwrap();
        assert_eq!(letters.len(), 8);
        assert!(letters.bytes().all(|letter| b"bcdfghjklmnpqrst".contains(&letter)), "{placeholder}");
    };
    check(&mut placeholders, "email", "EMAIL");
    check(&mut placeholders, "us-ssn", "US_SSN");
    check(&mut placeholders, "", "VALUE");
    check(&mut placeholders, "größe<&>\"", "GR__E____");
    check(&mut placeholders, &"long".repeat(100), "LONGLONGLONGLONGLONGLONG");
}

#[test]
fn a_value_has_one_placeholder_and_shares_it_with_no_other() {
    let mut placeholders = placeholders();
    let ada = placeholders.placeholder("email", ADA).unwrap().to_owned();
    let bob = placeholders.placeholder("email", BOB).unwrap().to_owned();
    assert_ne!(ada, bob);
    assert_ne!(placeholders.placeholder("email", "Ada@example.com").unwrap(), ada);
    assert_ne!(placeholders.placeholder("name", ADA).unwrap(), ada);
    assert_eq!(placeholders.placeholder("email", ADA).unwrap(), ada);
}

#[test]
fn a_conversation_that_grows_keeps_its_beginning() {
    let turns = ["write to ada@example.com", "and to bob@example.org, not ada@example.com", "eve@example.net too"];
    let masked = |turns: &[&str]| {
        let mut placeholders = Placeholders::new(key("acme", turns[0]));
        let words = turns.iter().flat_map(|turn| turn.split(' ')).map(|word| {
            let (value, rest) = word.split_once(',').unwrap_or((word, ""));
            let masked = value.contains('@').then(|| placeholders.placeholder("email", value).unwrap().to_owned());
            masked.unwrap_or_else(|| value.to_owned()) + rest
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let whole = masked(&turns);
    assert!(whole.starts_with(&masked(&turns[..2])) && masked(&turns[..2]).starts_with(&masked(&turns[..1])));
    assert!(!whole.contains('@'));
}

#[test]
fn other_tenants_and_conversations_have_other_placeholders() {
    let of = |key: ConversationKey| Placeholders::new(key).placeholder("email", ADA).unwrap().to_owned();
    let here = of(key("acme", "hello"));
    assert_eq!(of(key("acme", "hello")), here);
    assert_ne!(of(key("other", "hello")), here);
    assert_ne!(of(key("acme", "good day")), here);
    assert_ne!(of(key("acmeh", "ello")), here);
    assert_ne!(of(ConversationKey::derive(&[8; 32], "acme", b"hello")), here);
}

#[test]
fn no_rule_of_ours_finds_anything_in_a_placeholder() {
    let finder = Finder::new(rules::all()).unwrap();
    let mut placeholders = placeholders();
    let kinds: Vec<_> = rules::all().iter().filter(|rule| rule.set == rules::Set::Pii).map(|rule| rule.kind).collect();
    let lines = (0..VALUES_MAX).map(|n| {
        let kind = kinds[n % kinds.len()];
        let placeholder = placeholders.placeholder(kind, &format!("value {n}")).unwrap();
        // The word before is what arms rules that ask for a context.
        format!("my {kind} is {placeholder}, my {kind}: {placeholder}")
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let found = finder.find(text.as_bytes(), &AllowedHosts::default());
    let found: Vec<_> = found.iter().map(|found| (found.rule.id, &text[found.range.clone()])).collect();
    assert_eq!(found, []);
}

#[test]
fn values_come_back_wherever_their_placeholders_stand() {
    let ([ada, bob], values) = tokens([("email", ADA), ("e-mail-address", BOB)]);
    let check = |text: &str, expected: &str| assert_eq!(restored(&values, [text.as_bytes()]), expected);
    check("", "");
    check("nothing < here & there", "nothing < here & there");
    check(&ada, ADA);
    check(&format!("write to {ada}, `{bob}` and {ada}."), &format!("write to {ADA}, `{BOB}` and {ADA}."));
    check(&format!("{ada}{bob}{ada}"), &format!("{ADA}{BOB}{ADA}"));
    check(&format!("<{ada}> <<{bob}"), &format!("<{ADA}> <<{BOB}"));
    check(&format!("[{ada}](mailto:{ada})"), &format!("[{ADA}](mailto:{ADA})"));
    check(&format!("{}{ada}", &ada[..9]), &format!("{}{ADA}", &ada[..9]));
    check(&format!("&{ada}&"), &format!("&{ADA}&"));
}

#[test]
fn spellings_of_models_are_understood() {
    let ([ada], values) = tokens([("e-mail", ADA)]);
    let check = |text: String, expected: &str| assert_eq!(restored(&values, [text.as_bytes()]), expected);
    check(ada.to_uppercase(), ADA);
    check(ada.to_lowercase(), ADA);
    check(ada.replace('_', "\\_"), ADA);
    check(ada.replacen('_', "\\_", 1), ADA);
    check(ada.replace('<', "&lt;").replace('>', "&gt;"), ADA);
    check(ada.replace('<', "&LT;"), ADA);
    check(ada.replace('>', "&Gt;"), ADA);
    check(format!("**{}**", ada.replace('<', "&lt;").replace('_', "\\_")), "**ada@example.com**");
    // What is cut short by the beginning of another one is none.
    let cut = ada.trim_end_matches('>');
    check(format!("{cut}{}", ada.replace('<', "&lt;")), &format!("{cut}{ADA}"));
    check(format!("{cut}&&gt; {cut}&l {cut}\\"), &format!("{cut}&&gt; {cut}&l {cut}\\"));
}

#[test]
fn only_values_of_this_request_come_back() {
    let mut other = Placeholders::new(key("other", "hello"));
    let others = other.placeholder("email", BOB).unwrap().to_owned();
    let ([ada], values) = tokens([("email", ADA)]);
    let forged = format!("{others} <EMAIL_bcdfghjk> <EMAIL_> {} {ada}", ada.replace("EMAIL", "PHONE"));
    assert_eq!(restored(&values, [forged.as_bytes()]), forged.replace(&ada, ADA));
    let nobodys = placeholders().into_values();
    assert!(nobodys.is_empty());
    assert_eq!(restored(&nobodys, [ada.as_bytes()]), ada);
}

#[test]
fn what_is_restored_is_not_read_again() {
    let ([ada, nested], values) = tokens([("email", ADA), ("email", "<EMAIL_")]);
    let text = format!("{nested}{}", &ada[7..]);
    assert_eq!(restored(&values, [text.as_bytes()]), ada);
}

#[test]
fn a_request_has_so_many_values_and_no_more() {
    let mut all = placeholders();
    for n in 0..VALUES_MAX {
        assert!(all.placeholder("email", &format!("{n}@example.com")).is_some());
    }
    assert_eq!(all.placeholder("email", ADA), None);
    assert!(all.placeholder("email", "0@example.com").is_some(), "those that are known stay");
    let mut long = placeholders();
    let value = "a".repeat(VALUES_BYTES_MAX / 2);
    assert!(long.placeholder("a", &value).is_some() && long.placeholder("b", &value).is_some());
    assert_eq!(long.placeholder("email", "a"), None);
    assert!(long.placeholder("b", &value).is_some());
}

#[test]
fn nothing_is_held_but_beginnings() {
    let ([ada], values) = tokens([("email", ADA)]);
    let mut restorer = Restorer::new(values);
    let mut check = |piece: &str, out: &str, untouched: bool, held: usize| {
        let mut sink = Vec::new();
        assert_eq!(restorer.restore(piece.as_bytes(), &mut sink), untouched, "{piece}");
        assert_eq!((String::from_utf8(sink).unwrap().as_str(), restorer.held()), (out, held), "{piece}");
    };
    check("plain text", "plain text", true, 0);
    check("", "", true, 0);
    check("a < b", "a < b", true, 0);
    check("a <", "a ", false, 1);
    check("p> <", "<p> ", false, 1);
    check("EMA", "", false, 4);
    check("", "", false, 4);
    check("NATE", "<EMANATE", false, 0);
    check("&amp;", "&amp;", true, 0);
    check(&ada[..10], "", false, 10);
    check(&ada[10..], ADA, false, 0);
    check("<email\\", "", false, 7);
    check("\\", "<email\\\\", false, 0);
}

#[test]
fn what_was_held_goes_on_at_the_end() {
    let ([ada], values) = tokens([("email", ADA)]);
    let (mut restorer, mut out) = (Restorer::new(values), Vec::new());
    restorer.restore(&ada.as_bytes()[..10], &mut out);
    assert!(out.is_empty());
    restorer.finish(&mut out);
    assert_eq!((out.as_slice(), restorer.held()), (&ada.as_bytes()[..10], 0));
}

#[test]
fn nothing_that_is_printed_has_a_value() {
    let mut placeholders = placeholders();
    let placeholder = placeholders.placeholder("email", ADA).unwrap().to_owned();
    let printed = format!("{placeholders:?}");
    let restorer = Restorer::new(placeholders.into_values());
    let printed = format!("{printed} {restorer:?} {:?}", key("acme", "hello"));
    for said in ["ada", "example", "acme", "hello", &placeholder, &placeholder.to_lowercase()] {
        assert!(!printed.contains(said), "{said} in {printed}");
    }
}

/// Texts of parts of placeholders, in all spellings, and of what stands between them.
fn texts(parts: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => prop::sample::select(parts),
        3 => prop::sample::select(vec!["<", ">", "&lt;", "&gt;", "&", "\\_", "_", "\\", "&l", "g", "t;", "email", "A"])
            .prop_map(str::to_owned),
        1 => "[ -~]{0,3}",
        1 => "\\PC{1}",
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes())
}

/// Values that share beginnings of their placeholders, these placeholders in some spellings, and parts of them.
fn inventory() -> (Arc<Values>, Oracle, Vec<String>) {
    let kinds = ["email", "email-a", "a", ""];
    let mut placeholders = placeholders();
    let pairs: Vec<_> = (0..24)
        .map(|n| {
            let (kind, value) = (kinds[n % kinds.len()], format!("«{n}»"));
            (placeholders.placeholder(kind, &value).unwrap().to_owned(), value)
        })
        .collect();
    let spellings = pairs.iter().flat_map(|(placeholder, _)| {
        let html = placeholder.replace('<', "&lt;").replace('>', "&gt;");
        [placeholder.clone(), placeholder.to_lowercase(), placeholder.replace('_', "\\_"), html]
    });
    let parts = spellings.flat_map(|whole| {
        let halves = [4, 9, whole.len() - 2].map(|at| whole.split_at(at));
        let parts = halves.iter().flat_map(|(one, other)| [(*one).to_owned(), (*other).to_owned()]).collect::<Vec<_>>();
        [whole].into_iter().chain(parts)
    });
    let parts = parts.collect();
    (placeholders.into_values(), Oracle::new(pairs), parts)
}

#[test]
fn any_splitting_gives_what_the_definition_says_and_holds_no_more() {
    let (values, oracle, parts) = inventory();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(4000));
    let cases = (texts(parts), prop::collection::vec(1_usize..6, 1..8));
    runner
        .run(&cases, |(text, lengths)| {
            let (mut restorer, mut out, mut at) = (Restorer::new(values.clone()), Vec::new(), 0);
            for length in lengths.iter().cycle() {
                let piece = &text[at..(at + length).min(text.len())];
                let (held, before) = (restorer.held(), out.len());
                let is_untouched = restorer.restore(piece, &mut out);
                at += piece.len();
                let (said, undecided) = oracle.read(&text[..at]);
                prop_assert_eq!(&out, &said);
                prop_assert_eq!(restorer.held(), undecided);
                let same = held == 0 && undecided == 0 && &out[before..] == piece;
                prop_assert!(!is_untouched || same);
                prop_assert!(is_untouched || !same || piece.is_empty());
                if at == text.len() {
                    break;
                }
            }
            restorer.finish(&mut out);
            prop_assert_eq!(out, oracle.whole(&text));
            Ok(())
        })
        .unwrap();
}
