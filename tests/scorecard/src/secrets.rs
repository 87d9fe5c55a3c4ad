//! Recall of credentials: random values of public formats (`formats.txt`, one of each of gitleaks' rules), set into the ways in
//! which people write them down. A value counts as caught if none of its letters and digits comes out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{
    Failure,
    page::share,
    random::{Format, Random},
    screen::{Screen, is_covered, is_default},
};

const FORMATS: &str = include_str!("../formats.txt");

/// Values of each format in each way of writing.
const VALUES: usize = 4;

/// Rules of gitleaks that have no counterpart here, and why.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("asana-client-id", "sixteen digits that identify an application and open nothing"),
    ("discord-client-id", "eighteen digits that identify an application and open nothing"),
    ("generic-api-key", "a heuristic over names and no format; ours is `assigned-secret`"),
    ("pkcs12-file", "the name of a file, not a text"),
];

/// How a credential that is known by itself is written down.
const ALONE: [&str; 8] = [
    "⟨value⟩",
    "export TOKEN=⟨value⟩\n",
    "token: \"⟨value⟩\"\n",
    "{\"token\": \"⟨value⟩\", \"ok\": true}",
    "let token = '⟨value⟩';",
    "Use ⟨value⟩ to sign in.",
    "- `⟨value⟩`\n",
    "curl https://api.example.com/v1?token=⟨value⟩",
];

/// How one is that is known by what it is assigned to.
const ASSIGNED: [&str; 14] = [
    "⟨word⟩_token = \"⟨value⟩\"",
    "⟨word⟩Token=⟨value⟩\n",
    "{\n    \"⟨word⟩_token\": \"⟨value⟩\"\n}",
    "<⟨word⟩Token>\n    ⟨value⟩\n</⟨word⟩Token>",
    "⟨word⟩_token: ⟨value⟩\n",
    "⟨word⟩_token: '⟨value⟩'",
    "string ⟨word⟩Token = \"⟨value⟩\";",
    "var ⟨word⟩Token string = \"⟨value⟩\"",
    "⟨word⟩Token := `⟨value⟩`",
    "$⟨word⟩Token .= \"⟨value⟩\"",
    "export ⟨WORD⟩_SECRET_KEY=⟨value⟩\n",
    "'⟨word⟩_client_id' => '⟨value⟩',",
    "System.setProperty(\"⟨WORD⟩_TOKEN\", \"⟨value⟩\")",
    "⟨word⟩_TOKEN ?= \"⟨value⟩\"",
];

#[derive(Default)]
struct Recall {
    planted: usize,
    caught: usize,
}

pub(crate) fn table(details: bool) -> Result<String, Failure> {
    let screen = Screen::of(is_default)?;
    let mut recalls = BTreeMap::<&str, Recall>::new();
    for line in FORMATS.lines().filter(|line| !line.starts_with('#')) {
        let [rule, words, format] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("formats.txt: `{line}` has not three fields").into());
        };
        if UNSUPPORTED.iter().any(|(name, _)| *name == rule) {
            continue;
        }
        let recall = recalls.entry(rule).or_default();
        let mut random =
            Random::new(rule.bytes().fold(7, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))));
        for (text, value) in planted(words, format, &mut random)? {
            let caught = is_covered(&text, &value, &screen.find(&text));
            recall.planted += 1;
            recall.caught += usize::from(caught);
            if details && !caught {
                println!("missed {rule}: {text:?}");
            }
        }
    }
    Ok(written(&recalls))
}

/// Texts with a value of this format in each.
fn planted(words: &str, format: &str, random: &mut Random) -> Result<Vec<(String, std::ops::Range<usize>)>, Failure> {
    let mut texts = Vec::new();
    if let Some((before, rest)) = format.split_once('«') {
        let (value, after) = rest.split_once('»').ok_or("formats.txt: « without »")?;
        let value = Format::new(value)?;
        for _ in 0..VALUES * 4 {
            let value = value.text(random);
            let before = before.replace("\\n", "\n");
            let at = before.len()..before.len() + value.len();
            texts.push((format!("{before}{value}{}", after.replace("\\n", "\n")), at));
        }
        return Ok(texts);
    }
    let format = Format::new(format)?;
    let ways: &[&str] = if words == "-" { &ALONE } else { &ASSIGNED };
    for way in ways {
        for word in words.split(',') {
            for _ in 0..VALUES {
                let value = format.text(random);
                let way = way.replace("⟨word⟩", word).replace("⟨WORD⟩", &word.to_uppercase().replace('-', "_"));
                let at = way.find("⟨value⟩").ok_or("a way of writing has no value")?;
                texts.push((way.replace("⟨value⟩", &value), at..at + value.len()));
            }
        }
    }
    Ok(texts)
}

fn written(recalls: &BTreeMap<&str, Recall>) -> String {
    let count = |counts: fn(&Recall) -> usize| recalls.values().map(counts).sum::<usize>();
    let (planted, caught) = (count(|it| it.planted), count(|it| it.caught));
    let whole = recalls.values().filter(|it| it.caught == it.planted).count();
    let mut text = format!(
        "| rules of gitleaks | with a counterpart | every value caught | values | recall |\n|--:|--:|--:|--:|--:|\n| {} | {} | {whole} | {planted} | {} |\n\n",
        recalls.len() + UNSUPPORTED.len(),
        recalls.len(),
        share(caught, planted),
    );
    let short: Vec<_> = recalls.iter().filter(|(_, it)| it.caught < it.planted).collect();
    if !short.is_empty() {
        text.push_str("| caught in part | recall |\n|---|--:|\n");
        for (rule, recall) in short {
            let _ = writeln!(text, "| {rule} | {} |", share(recall.caught, recall.planted));
        }
        text.push('\n');
    }
    text.push_str("Without a counterpart: ");
    let unsupported: Vec<_> = UNSUPPORTED.iter().map(|(rule, why)| format!("`{rule}` ({why})")).collect();
    text.push_str(&unsupported.join(", "));
    text.push_str(".\n");
    text
}
