#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use regex::Regex;

use super::*;

fn rules(yaml: &str) -> Vec<NativeRule> {
    read(yaml).unwrap()
}

/// Where and why, of all that is refused.
fn refused(yaml: &str) -> Vec<(String, usize, String)> {
    let refused = read(yaml).unwrap_err();
    refused.into_iter().map(|refused| (refused.path, refused.line, refused.reason)).collect()
}

const EXPRESSIONS: &str = "\
models:
- {type: main, engine: openai, model: gpt}
rails:
  config:
    regex_detection:
      input:
        patterns: ['osprey', 'ke?stre?l']
        case_insensitive: true
      output:
        patterns:
        - 'heron'
  input:
    flows: [regex check input]
  output:
    streaming: {enabled: true, chunk_size: 200}
    flows:
    - regex check output
";

#[test]
fn expressions_are_rules_that_block() {
    let pattern = |way, regex: &str, path: &str, line| NativeRule {
        way,
        finds: Finds::Pattern(regex.to_owned()),
        reaction: Reaction::Block,
        path: format!("rails.config.regex_detection.{path}"),
        line,
    };
    let expected = [
        pattern(Way::Input, "(?i)osprey", "input.patterns[0]", 7),
        pattern(Way::Input, "(?i)ke?stre?l", "input.patterns[1]", 7),
        pattern(Way::Output, "heron", "output.patterns[0]", 11),
    ];
    assert_eq!(rules(EXPRESSIONS), expected);
}

#[test]
fn what_no_flow_switches_on_is_no_rule() {
    let only_input = EXPRESSIONS.replace("    - regex check output\n", "    -  regex check output\n").replace(
        "    streaming: {enabled: true, chunk_size: 200}\n    flows:\n    -  regex check output\n",
        "    flows: []\n",
    );
    assert!(rules(&only_input).iter().all(|rule| rule.way == Way::Input));
    let reason = &refused("rails:\n  config:\n    regex_detection: {input: {patterns: [a]}}\n")[0].2;
    assert!(reason.contains("no rail is switched on"), "{reason}");
}

#[test]
fn entities_are_kinds_of_ours_that_block_or_mask() {
    let yaml = "\
rails:
  config:
    sensitive_data_detection:
      input: {entities: [EMAIL_ADDRESS, US_SSN]}
      output:
        mask_token: '*'
        entities: [CREDIT_CARD]
  input: {flows: [detect sensitive data on input]}
  output: {flows: [mask sensitive data on output]}
";
    let found: Vec<_> = rules(yaml).into_iter().map(|rule| (rule.way, rule.finds, rule.reaction, rule.line)).collect();
    let pii = |kind, with: &str| Finds::Pii { kind, with: with.to_owned() };
    let expected = [
        (Way::Input, pii("email", "<EMAIL_ADDRESS>"), Reaction::Block, 4),
        (Way::Input, pii("us-ssn", "<US_SSN>"), Reaction::Block, 4),
        (Way::Output, pii("credit-card", "<CREDIT_CARD>"), Reaction::Mask, 7),
    ];
    assert_eq!(found, expected);
}

#[test]
fn everything_that_no_rule_is_exactly_is_told_at_once() {
    let yaml = "\
enable_rails_exceptions: true
rails:
  config:
    regex_detection:
      input: {patterns: ['(?=a)b', 'fine', '\\<a']}
    sensitive_data_detection:
      recognizers: [{name: mine}]
      input: {entities: [PERSON, EMAIL_ADDRESS, SHOE_SIZE], score_threshold: 0.4}
    injection_detection: {injections: [sqli], action: reject}
  input:
    flows:
    - regex check input
    - mask sensitive data on input
    - self check input
    - jailbreak detection heuristics
    - content safety check input $model=content_safety
    - my own flow
  output:
    flows: [injection detection, regex check output, regex check input]
  retrieval: {flows: [regex check retrieval]}
  dialog: {single_call: {enabled: true}}
";
    let refused = refused(yaml);
    for (path, line, reason) in [
        ("enable_rails_exceptions", 1, "no rule of ours"),
        ("rails.config.regex_detection.input.patterns[0]", 5, "looks ahead"),
        ("rails.config.regex_detection.input.patterns[2]", 5, "reads differently in Python"),
        ("rails.config.sensitive_data_detection.recognizers", 7, "have scores"),
        ("rails.config.sensitive_data_detection.input.entities[0]", 8, "names have no format"),
        ("rails.config.sensitive_data_detection.input.entities[2]", 8, "no kind of ours finds it"),
        ("rails.config.sensitive_data_detection.input.score_threshold", 8, "no scores"),
        ("rails.input.flows[2]", 14, "asks a language model"),
        ("rails.input.flows[3]", 15, "perplexity"),
        ("rails.input.flows[4]", 16, "guard model"),
        ("rails.input.flows[5]", 17, "not one of the rails"),
        ("rails.config.injection_detection.injections[0]", 9, "YARA"),
        ("rails.output.flows[1]", 19, "`rails.config.regex_detection.output` is missing"),
        // A rail for prompts does nothing for answers.
        ("rails.output.flows[2]", 19, "not one of the rails"),
        ("rails.retrieval", 20, "looked up"),
        ("rails.dialog", 21, "dialogue"),
    ] {
        let told = refused.iter().find(|told| told.0 == path);
        assert!(told.is_some_and(|told| told.1 == line && told.2.contains(reason)), "{path} {line} {reason}: {told:?}");
    }
    assert_eq!(refused.len(), 16, "{refused:#?}");
}

#[test]
fn yara_rules_that_are_words_are_rules() {
    let yaml = "\
rails:
  config:
    injection_detection:
      injections: [birds]
      action: reject
      yara_rules:
        birds: 'rule birds { strings: $a = \"osprey\" $b = \"heron\" nocase condition: any of them }'
        unused: 'rule unused { condition: true }'
  output: {flows: [injection detection]}
";
    let found: Vec<_> = rules(yaml).into_iter().map(|rule| (rule.way, rule.finds, rule.reaction, rule.line)).collect();
    let pattern = |regex: &str| (Way::Output, Finds::Pattern(regex.to_owned()), Reaction::Block, 7);
    assert_eq!(found, [pattern("osprey"), pattern("(?i-u:heron)")]);
    for (of, by, reason) in [
        ("any of them", "all of them", "more than words"),
        ("action: reject", "action: omit", "only `reject`"),
        ("[birds]", "[birds, sqli]", "YARA rules weigh"),
        ("[birds]", "[]", "nothing to look for"),
        ("action: reject", "yara_path: /etc", "other files"),
    ] {
        let told = refused(&yaml.replace(of, by));
        assert!(told.iter().any(|told| told.2.contains(reason)), "{by}: {told:?}");
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    for (yaml, reason) in [
        ("", "empty"),
        ("- a", "a mapping belongs here"),
        ("rails: [a]", "a mapping belongs here"),
        ("rails: {input: {flows: self check input}}", "no rule of ours"),
        ("rails: {input: {flows: [[a]]}}", "a flow has a name"),
        ("rails: {inputs: {}}", "no such kind of rail"),
        ("rails: {}\nrails: {}", "twice"),
        (
            "rails: {input: {flows: [regex check input]}, config: {regex_detection: {input: {patterns: []}}}}",
            "nothing to look for",
        ),
        (
            "rails: {input: {flows: [regex check input]}, config: {regex_detection: {input: {patterns: [[a]]}}}}",
            "is text",
        ),
        ("a: [", "not valid YAML"),
        ("a: 1\n---\nb: 2", "one document"),
        ("", "empty"),
    ] {
        let told = refused(yaml);
        assert!(told.iter().any(|told| told.2.contains(reason)), "{yaml}: {told:?}");
    }
    let long = format!("#{}", "x".repeat(CONFIG_BYTES_MAX));
    assert!(refused(&long)[0].2.contains("bytes"));
}

/// Expressions as Python reads them, what they find and what not; and ours find the same.
#[test]
fn an_expression_means_what_it_means_in_python() {
    for (python, finds, misses) in [
        (
            r"project\s+osprey",
            &["project osprey", "project\u{1c}osprey", "project\u{85}osprey"][..],
            &["projectosprey"][..],
        ),
        (r"^\d{3}$", &["123", "123\n", "١٢٣"], &["1234", "123\n\n", " 123"]),
        (r"(?m)^b$", &["a\nb\nc"], &["ab"]),
        (r"^\w+$", &["ab_1", "a²", "½"], &["a b", "e\u{301}!"]),
        (r"^[\w.-]+$", &["a.b-c²"], &["a b"]),
        (r"^\W$", &[" ", "\u{301}"], &["a", "²"]),
        (r"^[^\s]$", &["a"], &[" ", "\u{1d}"]),
        (r"a{2,3}b{0,2}c", &["aac", "aaabbc"], &["ac"]),
        (r"\$\{[^}]*\}", &["${x}"], &["{x}"]),
        (r"(?P<word>fox|dog)s?", &["dogs"], &["cat"]),
        (r"(?i:fox)", &["FOX"], &["dog"]),
        (r"[]a]", &["]", "a"], &["b"]),
        (r"\x41\u0042", &["AB"], &["ab"]),
        (r"a\.b\-c\/d", &["a.b-c/d"], &["a.bc"]),
    ] {
        let regex = Regex::new(&expression::translated(python, false).unwrap()).unwrap();
        for text in finds {
            assert!(regex.is_match(text), "{python} as {regex} finds {text:?}");
        }
        for text in misses {
            assert!(!regex.is_match(text), "{python} as {regex} does not find {text:?}");
        }
    }
    assert_eq!(expression::translated("osprey", true).as_deref(), Ok("(?i)osprey"));
}

#[test]
fn an_expression_that_reads_differently_in_python_is_refused() {
    for python in [
        r"(?=a)",
        r"(?<!a)b",
        r"(a)\1",
        r"(?P<x>a)(?P=x)",
        r"(?>a)",
        r"a++",
        r"a*+",
        r"[[:alpha:]]",
        r"[a[b]]",
        r"[a&&b]",
        r"[a--b]",
        r"\<a",
        r"\p{L}",
        r"\x{41}",
        r"(?x)a b",
        r"(?U)a",
        r"(?-i)a",
        r"\z",
        r"[\W]",
        r"(?m:^a$)b$",
        r"\Z",
        r"(",
        r"a{,2}",
    ] {
        assert!(expression::translated(python, false).is_err(), "{python}");
    }
}
