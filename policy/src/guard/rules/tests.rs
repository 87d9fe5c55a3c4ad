//! Every rule finds its true examples, whole and nothing else, and leaves its false ones.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{collections::BTreeSet, ops::Range};

use proptest::prelude::*;

use super::{
    assemble::{Example, example},
    pii::{KINDS, closest_kind, of_kind},
    reference::{AUTOMATON_BYTES_MAX, Finder},
    *,
};

fn finder() -> &'static Finder {
    static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(all()).unwrap());
    &FINDER
}

fn made(rule: &Rule, written: &str) -> Example {
    example(written).unwrap_or_else(|| panic!("{}: `{written}` is not written as an example", rule.id))
}

/// What one rule finds in a text, overlaps joined.
fn found(id: &str, text: &str) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for found in finder().find_by(text.as_bytes(), &AllowedHosts::default(), |rule| rule.id == id) {
        match joined.last_mut() {
            Some(last) if found.range.start <= last.end => last.end = last.end.max(found.range.end),
            _ => joined.push(found.range),
        }
    }
    joined
}

#[test]
fn every_rule_finds_its_true_examples_and_leaves_its_false_ones() {
    let mut faults = Vec::new();
    for rule in all() {
        for written in rule.finds {
            let example = made(rule, written);
            let found = found(rule.id, &example.text);
            if example.marked.is_empty() || found != example.marked {
                let parts: Vec<_> = found.into_iter().map(|range| example.text.get(range)).collect();
                faults.push(format!("{}: in `{}` it finds {parts:?}, not {written}", rule.id, example.text));
            }
        }
        for written in rule.leaves {
            let example = made(rule, written);
            let found = found(rule.id, &example.text);
            if !found.is_empty() {
                faults.push(format!("{}: in `{}` it finds {found:?}", rule.id, example.text));
            }
        }
        if rule.finds.is_empty() || rule.leaves.is_empty() {
            faults.push(format!("{} lacks examples", rule.id));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_rule_has_one_name_and_a_bound() {
    let mut names = BTreeSet::new();
    for rule in all() {
        assert!(names.insert(rule.id), "{} twice", rule.id);
        let is_name = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        assert!(is_name(rule.id), "{}", rule.id);
        assert!((1..=CANDIDATE_BYTES_MAX).contains(&rule.length_max()), "{}: {}", rule.id, rule.length_max());
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(rule.body).unwrap();
        let properties = parsed.properties();
        assert!(properties.look_set().is_empty(), "{} looks around", rule.id);
        assert!(properties.minimum_len() > Some(0), "{} matches nothing", rule.id);
        let unbounded = properties.maximum_len().is_none_or(|length| length > CANDIDATE_BYTES_MAX);
        assert!(!unbounded || rule.cut.is_some(), "{}: the body has no bound and no cut", rule.id);
        assert_eq!(super::rule(rule.id).map(|rule| rule.title), Some(rule.title));
    }
    assert_eq!(rule("no-such-rule").map(|rule| rule.id), None);
}

#[test]
fn each_automaton_is_small() {
    let sizes: Vec<_> = finder().sizes().collect();
    assert_eq!(sizes.len(), all().len());
    for (rule, bytes) in sizes {
        assert!(bytes <= AUTOMATON_BYTES_MAX / 4, "{}: {bytes} bytes", rule.id);
    }
}

#[test]
fn a_hundred_providers_are_known() {
    let providers: BTreeSet<&str> = secrets::RULES.iter().copied().flatten().map(|rule| rule.kind).collect();
    assert!(providers.len() >= 100, "{}", providers.len());
}

#[test]
fn every_kind_has_rules_and_every_rule_a_kind() {
    for kind in KINDS {
        assert!(of_kind(kind).next().is_some(), "{kind} has no rule");
    }
    for rule in pii::RULES.iter().copied().flatten() {
        assert!(KINDS.contains(&rule.kind), "{} is of no kind", rule.id);
        assert!(rule.id.starts_with(rule.kind) || matches!(rule.kind, "phone" | "ip-address"), "{}", rule.id);
    }
    for kind in ["email", "phone", "credit-card", "us-ssn", "iban"] {
        assert!(KINDS.contains(&kind), "the example of a company names {kind}");
    }
}

#[test]
fn a_kind_that_is_mistyped_is_guessed() {
    let check = |word: &str, expected| assert_eq!(closest_kind(word), expected, "{word}");
    check("e-mail", Some("email"));
    check("credit-cards", Some("credit-card"));
    check("us-snn", Some("us-ssn"));
    check("shoe-size", None);
}

#[test]
fn ordinary_sentences_are_left_alone() {
    let sentences = [
        "The quick brown fox jumps over the lazy dog at 12:30:45 on 2024-05-17, in version 1.2.3.4.",
        "See RFC 9110, section 15.5.1, and ISO 7064; pages 100-250; 3.14159265358979; 1,000,000 rows in 0.25 s.",
        "let key = map.get(&name).ok_or(Error::NotFound)?; // the password is asked for later",
        "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "00000000-0000-0000-0000-000000000000 and f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "ORDER-2024-000123, invoice no. 4711-0815, tracking 1Z999AA10123456784",
        "|---|---:|\n| 415 | 555 | 2671 |\n| 123 | 45 | 6789 |",
        "std::net::Ipv6Addr, a::b::c, fe, C++11, x += 1, a@b, @media, #fff, #123456",
        "Die Rechnung vom 17.05.2024 beträgt 1.234.567,89 EUR.",
        "timestamp 1716900000000 ms, 1716900000000000 us, port 65535, pid 4194304",
        "Telefonieren ist teuer. Call me Ishmael. Text mining since 2010 to 2020.",
    ];
    for sentence in sentences {
        let found: Vec<_> = finder()
            .find(sentence.as_bytes(), &AllowedHosts::default())
            .into_iter()
            .map(|found| (found.rule.id, sentence.get(found.range)))
            .collect();
        assert!(found.is_empty(), "{sentence}: {found:?}");
    }
}

#[test]
fn a_disguise_is_seen_through_as_the_page_says_and_no_further() {
    let everything = |text: &str| {
        let found = finder().find(text.as_bytes(), &AllowedHosts::default());
        let inside = |at: usize| found.iter().any(|found| found.range.contains(&at));
        text.bytes()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_alphanumeric() || *byte >= 0x80)
            .all(|(at, _)| inside(at))
    };
    for caught in [
        "4\u{200b}1\u{200b}1\u{200b}1\u{200b}1111 1111 1111",
        "\u{661}\u{662}\u{663}-45-6789",
        "２１９－０９－９９９９".replace('－', "-").as_str(),
        "DE89\u{202f}3704\u{202f}0044\u{202f}0532\u{202f}0130\u{202f}00",
        "+49\u{ad}30\u{ad}901820",
        "ann\u{200d}smith@corp\u{200d}.example",
        "QUtJQVEzRUdVWjREMldKWDVUUFY=",
    ] {
        assert!(everything(caught), "{caught:?}");
    }
    for missed in [
        "2 1 9 0 9 9 9 9 9",
        "ghp_\u{200b}0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX",
        "\u{410}KIAQ3EGUZ4D2WJX5TPV",
        "9999-90-912",
        "203\u{200b}.0.113.9",
        "YW5uQGNvcnAuZXhhbXBsZQ==",
    ] {
        assert!(!everything(missed), "{missed:?}");
    }
}

#[test]
fn what_is_found_does_not_depend_on_what_is_far_away() {
    // The context of a candidate is a window: whatever stands before it changes nothing.
    for rule in all() {
        for written in rule.finds {
            let example = made(rule, written);
            let far = format!("{}\n{}", "lorem ipsum ".repeat(20), example.text);
            let shift = far.len() - example.text.len();
            let moved: Vec<_> = example.marked.iter().map(|range| range.start + shift..range.end + shift).collect();
            assert_eq!(found(rule.id, &far), moved, "{}: {written}", rule.id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_candidate_is_too_strange_for_a_check(
        text in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "[0-9A-Za-z .+/@:-]{0,40}".prop_map(String::into_bytes),
            "[0-9]{0,40}".prop_map(String::into_bytes),
        ],
    ) {
        for rule in all() {
            rule.check.passes(&text, &AllowedHosts::default());
            rule.may_begin(&text);
        }
    }

    #[test]
    fn no_text_is_too_strange(text in proptest::collection::vec(any::<u8>(), 0..100)) {
        for found in finder().find(&text, &AllowedHosts::default()) {
            prop_assert!(found.range.start < found.range.end && found.range.end <= text.len());
            prop_assert!(found.range.len() <= found.rule.length_max());
        }
    }
}
