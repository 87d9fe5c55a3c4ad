//! Recall of personal data on labelled text that is not ours: the set that presidio-evaluator comes with, and ten thousand
//! sentences of its generator. A value counts as caught if none of its letters and digits comes out.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use portcullis_policy::guard::rules::{Rule, Set};
use serde::Deserialize;

use crate::{
    Failure,
    page::share,
    screen::{Found, Screen, is_covered, is_default},
};

/// A text, and what is personal in it: kind, from, to, in bytes.
#[derive(Deserialize)]
struct Sample {
    text: String,
    spans: Vec<(String, usize, usize)>,
}

#[derive(Default)]
struct Recall {
    planted: usize,
    caught: usize,
    as_labelled: usize,
}

/// The least that must be caught, by kind.
const TARGETS: [(&str, f64); 6] =
    [("us-ssn", 0.98), ("email", 0.98), ("ip-address", 0.98), ("iban", 0.98), ("credit-card", 0.98), ("phone", 0.60)];

pub(crate) fn table(data: &Path, details: bool) -> Result<String, Failure> {
    let screen = Screen::of(|rule| rule.set == Set::Pii && is_default(rule))?;
    let mut table = String::from("| kind | must | synth_v2 | generated | as this kind |\n|---|--:|--:|--:|--:|\n");
    let small = recall(&screen, &data.join("labelled/synth_v2.jsonl"), details)?;
    let large = recall(&screen, &data.join("labelled/generated.jsonl"), details)?;
    for (kind, target) in TARGETS {
        let [small, large] = [&small.0, &large.0].map(|by_kind| by_kind.get(kind));
        let of = |recall: Option<&Recall>| {
            let Recall { planted, caught, .. } = recall.unwrap_or(&Recall { planted: 0, caught: 0, as_labelled: 0 });
            format!("{} ({caught}/{planted})", share(*caught, *planted))
        };
        let labelled = large.map_or_else(String::new, |it| share(it.as_labelled, it.planted));
        let _ = writeln!(table, "| {kind} | {target:.2} | {} | {} | {labelled} |", of(small), of(large));
    }
    let _ = write!(
        table,
        "\nBeside these, {} values were masked in synth_v2 and {} in the generated text where none of these kinds is labelled: nearly\nall are birthdays, which are labelled as any other date.\n",
        small.1, large.1
    );
    Ok(table)
}

/// Recall by kind, and how often something was masked where nothing is labelled.
fn recall(screen: &Screen, path: &Path, details: bool) -> Result<(BTreeMap<String, Recall>, usize), Failure> {
    let file = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut recalls, mut beside) = (BTreeMap::<String, Recall>::new(), 0);
    for line in file.lines() {
        let sample: Sample = serde_json::from_str(line)?;
        let found = screen.find(&sample.text);
        for (kind, from, to) in &sample.spans {
            let recall = recalls.entry(kind.clone()).or_default();
            let caught = is_covered(&sample.text, &(*from..*to), &found);
            recall.planted += 1;
            recall.caught += usize::from(caught);
            recall.as_labelled +=
                usize::from(caught && found.iter().any(|it| overlaps(it, *from, *to) && is_of(it.rule, kind)));
            if details && !caught {
                println!("missed {kind}: {:?}", around(&sample.text, *from, *to));
            }
        }
        for found in found {
            if !sample.spans.iter().any(|(_, from, to)| overlaps(&found, *from, *to)) {
                beside += 1;
                if details {
                    println!(
                        "beside, {}: {:?}",
                        found.rule.id,
                        around(&sample.text, found.range.start, found.range.end)
                    );
                }
            }
        }
    }
    Ok((recalls, beside))
}

fn overlaps(found: &Found, from: usize, to: usize) -> bool {
    found.range.start < to && from < found.range.end
}

fn is_of(rule: &Rule, kind: &str) -> bool {
    rule.kind == kind
}

/// A part of a text and some of what stands around it, for the terminal.
pub(crate) fn around(text: &str, from: usize, to: usize) -> String {
    let boundary = |at: usize, step: fn(usize) -> usize| {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at = step(at);
        }
        at
    };
    let begin = boundary(from.saturating_sub(50), |at| at - 1);
    let end = boundary(to + 20, |at| at + 1);
    let (from, to) = (boundary(from, |at| at - 1), boundary(to, |at| at + 1));
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    format!("{}«{}»{}", part(begin..from), part(from..to), part(to..end))
}
