//! The page of guardrail rules is what the rules say, and what they find in this repository. `BLESS=1 cargo test` writes it anew.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use portcullis_policy::guard::rules::{self, AllowedHosts, Context, Rule, Set, assemble, reference::Finder};

const HEAD: &str = "\
# What guardrails look for

Printed from the rules. How a [GuardrailPolicy](guardrails.md) names them, and what is done about what they find, is told there.

Every rule says what must stand *before* a candidate (context), the candidate's expression, and what the candidate itself must
pass (check). Context is decided when a candidate begins, so what lacks it is never held back on a stream. No candidate is
longer than the length given; what may stand right beside one (no letter, no digit …) is not shown here. Examples are
assembled: `⟨hex:32⟩` stands for 32 such characters, `«…»` for what is found.

Names of people and postal addresses have no format, and no rule finds them.

## Disguises

Rules whose name ends in `-disguised` find a value that people read and plain patterns do not. Taken away or replaced before the
check are: characters that are not shown (soft hyphen, zero-width space and joiners, marks of direction, word joiner, byte order mark), digits
of other scripts (full-width, Arabic, Persian, Devanagari, mathematical), spaces and hyphens of typographers, `%20` and `%40`.

| | cards | SSN | IBAN | telephone with country code | e-mail | credentials | all others |
|---|---|---|---|---|---|---|---|
| characters that are not shown | yes | yes | behind its first four | yes | yes | no | no |
| digits of other scripts | yes | yes | no | yes | | no | no |
| other spaces and hyphens | yes | yes | yes | yes | | | no |
| a space between all digits | yes | no | no | where a `+` begins it | no | no | no |
| `%20`, `%40` | yes | yes | yes | not `%2B` | yes | | no |
| Base64 | no | no | no | no | no | from the prefix on, of ten providers | no |
| homoglyphs, backwards, spelt out in words | no | no | no | no | no | no | no |

How many of each are caught is measured in [guardrails.md](guardrails.md#disguises).
";

const FALSE_ALARMS: &str = "
## What they find where they should not

Measured with `MEASURE=FOLDER cargo test -p portcullis-policy --test guardrail_rules -- --ignored --nocapture`, different findings,
counted by hand:

| text | size | secrets | personal data without e-mail and IP addresses | e-mail | IP addresses |
|---|---:|---:|---:|---:|---:|
| pages of `docs/` | 0.2 MB | 0 | 0 | 0 | 3, all of them addresses |
| everything else in this repository, but for these rules | 4.5 MB | 6, all of them credentials or headers of keys in tests | 5: a test's card number, four numbers beside a word like `call` (two of them no longer) | 16 | 62, at least one of them an object identifier (no longer) |
| READMEs of 438 Rust crates | 1.7 MB | 1: the header of a private key, as a placeholder | 7: six made-up telephone numbers, one object identifier (no longer) | 4, all of them addresses | 21, all of them addresses |

This is technical text in English. How often they are wrong in ordinary text, and how much they miss of labelled text, is in
[guardrails.md](guardrails.md#scorecard).
";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_page_of_rules_is_current() {
    let file = repository().join("docs/guardrail-rules.md");
    let mut page = HEAD.to_owned();
    for (set, title, about) in [
        (Set::Pii, "Personal data", "`pii: {kinds: […]}` names the kinds; several rules can find one kind."),
        (Set::Secrets, "Secrets", "`secrets: {}` is all of these."),
        (
            Set::Exfiltration,
            "What answers could carry out",
            "For answers only. Hosts that are allowed are the policy's own.",
        ),
    ] {
        let rules: Vec<&Rule> = rules::all().iter().copied().filter(|rule| rule.set == set).collect();
        let kinds: BTreeSet<&str> = rules.iter().map(|rule| rule.kind).collect();
        let _ = write!(page, "\n## {title}\n\n{about} {} rules", rules.len());
        let _ = match set {
            Set::Exfiltration => write!(page, ".\n\n"),
            Set::Pii => write!(page, " of {} kinds.\n\n", kinds.len()),
            Set::Secrets => write!(page, " for {} providers (`any` is none in particular).\n\n", kinds.len() - 1),
        };
        let first = if set == Set::Secrets { "provider" } else { "kind" };
        let _ = writeln!(
            page,
            "| {first} | rule | finds | context | check | bytes | example |\n|---|---|---|---|---|---:|---|"
        );
        for rule in rules {
            let kind = if set == Set::Secrets { rule.kind.to_owned() } else { format!("`{}`", rule.kind) };
            let example = rule.finds.first().copied().unwrap_or_default();
            let _ = writeln!(
                page,
                "| {kind} | `{}` | {} | {} | {} | {} | {} |",
                rule.id,
                rule.title,
                cell(&context(&rule.context)),
                rule.check.describe(),
                rule.length_max(),
                code(example)
            );
        }
    }
    page.push_str(FALSE_ALARMS);
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == page,
        "docs/guardrail-rules.md: `BLESS=1 cargo test` writes it anew"
    );
}

/// The context of a rule, in words; of long lists the beginning.
fn context(context: &Context) -> String {
    let some = |words: &[&str]| {
        let shown: Vec<String> = words.iter().take(3).map(|word| code(word)).collect();
        format!("{}{}", shown.join(", "), if words.len() > 3 { ", …" } else { "" })
    };
    match context {
        Context::Any => String::new(),
        Context::Near(words) => format!("near {}", some(words)),
        Context::Assigned(words) => format!("assigned to {}", some(words)),
        Context::Behind(ends) => format!("behind {}", some(ends)),
        Context::NotBehind(ends) => format!("not behind {}", some(ends)),
        Context::Value => "where a value stands".to_owned(),
        Context::Apart => "behind no letter".to_owned(),
        Context::Other(what, ..) => (*what).to_owned(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// As code in a table: invisible characters by their names, so that the page itself holds none.
fn code(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|character| match character {
            '\n' => "↵".to_owned(),
            '|' => "\\|".to_owned(),
            '`' => "'".to_owned(),
            ' '..='~'
            | '\u{a1}'..='\u{ff}'
            | '⟨'
            | '⟩'
            | '\u{370}'..='\u{5ff}'
            | '\u{900}'..='\u{97f}'
            | '\u{3040}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}' => character.to_string(),
            other => format!("U+{:04X}", u32::from(other)),
        })
        .collect();
    format!("`{shown}`")
}

/// Pages of ours: ordinary technical text, with addresses of networks and nothing else to find.
const ORDINARY: [&str; 4] = ["access.md", "backends.md", "inference.md", "routing.md"];

#[test]
fn ordinary_text_raises_no_false_alarm() {
    let finder = Finder::new(rules::all()).unwrap();
    for page in ORDINARY {
        let text = fs::read_to_string(repository().join("docs").join(page)).unwrap();
        let looked_for = |rule: &Rule| rule.set != Set::Exfiltration && rule.kind != "ip-address";
        for hit in finder.find_by(text.as_bytes(), &AllowedHosts::default(), looked_for) {
            let what = text.get(hit.range).unwrap_or_default();
            // An address of `example` is an e-mail address all the same.
            assert!(hit.rule.id == "email" && what.ends_with("example"), "{page}: {} finds `{what}`", hit.rule.id);
        }
    }
}

fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `MEASURE=FOLDER cargo test -p portcullis-policy --test guardrail_rules -- --ignored --nocapture`
#[test]
#[ignore = "a measurement over a folder of one's own"]
fn measure_false_alarms() {
    let folder = env::var_os("MEASURE").unwrap();
    let suffixes = env::var("SUFFIXES").unwrap_or_else(|_| "md".to_owned());
    let finder = Finder::new(rules::all()).unwrap();
    let (mut bytes, mut found): (usize, BTreeMap<&str, BTreeSet<String>>) = (0, BTreeMap::new());
    for file in files(Path::new(&folder), &|path| {
        path.extension().is_some_and(|end| suffixes.split(',').any(|suffix| end == suffix))
    }) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        bytes += text.len();
        for hit in finder.find(text.as_bytes(), &AllowedHosts::default()) {
            found.entry(hit.rule.id).or_default().insert(text.get(hit.range).unwrap_or_default().to_owned());
        }
    }
    #[expect(clippy::print_stdout, reason = "the measurement")]
    {
        println!("{bytes} bytes");
        for (id, hits) in &found {
            let some: Vec<String> = hits.iter().take(6).map(|hit| hit.chars().take(70).collect()).collect();
            println!("{id} {} {some:?}", hits.len());
        }
    }
}

#[test]
fn every_example_is_written_as_examples_are() {
    for rule in rules::all() {
        for written in rule.finds.iter().chain(rule.leaves) {
            assert!(assemble::example(written).is_some(), "{}: {written}", rule.id);
        }
    }
}
