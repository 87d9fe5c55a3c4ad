//! False masks: how often something is masked in ordinary text in which nothing was planted. Ordinary text has addresses,
//! helplines and birthdays in it; those that are what the rule says they are stand in `reviewed.txt`, read by hand. Whatever
//! does not stand there counts as false.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    Failure,
    labelled::around,
    screen::{Screen, is_default},
};

const REVIEWED: &str = include_str!("../reviewed.txt");

/// At most so many in a megabyte.
const FALSE_MAX: f64 = 0.3;

#[derive(Default)]
struct Count {
    bytes: usize,
    masks: usize,
    wrong: usize,
}

pub(crate) fn table(data: &Path, details: bool) -> Result<String, Failure> {
    let reviewed: HashSet<(&str, &str)> = REVIEWED.lines().filter_map(|line| line.split_once('\t')).collect();
    let screen = Screen::of(|rule| is_default(rule) && rule.kind != "email")?;
    let mut table = String::from("| text | MB | masks | false | false a MB | by |\n|---|--:|--:|--:|--:|---|\n");
    let mut all = Count::default();
    for path in files(data)? {
        let text = fs::read_to_string(&path)?;
        let (mut count, mut by_rule) =
            (Count { bytes: text.len(), ..Count::default() }, BTreeMap::<&str, usize>::new());
        // Each text is one answer: what stands in another is no context of it.
        for answer in text.split("\n\n") {
            for (range, kind, rule) in masks(&screen, answer) {
                let is_right = answer.get(range.clone()).is_some_and(|value| reviewed.contains(&(kind, value)));
                count.masks += 1;
                if !is_right {
                    count.wrong += 1;
                    *by_rule.entry(rule).or_default() += 1;
                }
                if details {
                    let is_right = if is_right { "right" } else { "false" };
                    println!("masked\t{is_right}\t{kind}\t{rule}\t{:?}", around(answer, range.start, range.end));
                }
            }
        }
        let rules: Vec<_> = by_rule.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        table.push_str(&row(&name, &count, &rules.join(", ")));
        all = Count { bytes: all.bytes + count.bytes, masks: all.masks + count.masks, wrong: all.wrong + count.wrong };
    }
    table.push_str(&row("**all**", &all, &format!("at most {FALSE_MAX} a MB")));
    Ok(table)
}

/// The spans of a text that are masked, each with the kind and the rule that label it.
fn masks(screen: &Screen, text: &str) -> Vec<(Range<usize>, &'static str, &'static str)> {
    let mut found = screen.find(text);
    found.sort_by_key(|found| (found.range.start, found.range.end));
    let mut spans: Vec<(Range<usize>, &str, &str)> = Vec::new();
    for found in found {
        match spans.last_mut() {
            Some((last, ..)) if found.range.start < last.end => last.end = last.end.max(found.range.end),
            _ => spans.push((found.range, found.rule.kind, found.rule.id)),
        }
    }
    spans
}

/// The ordinary texts.
pub(crate) fn files(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = data.join("ordinary");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn row(name: &str, count: &Count, rules: &str) -> String {
    let Count { bytes, masks, wrong } = count;
    let megabytes = *bytes as f64 / 1e6;
    format!("| {name} | {megabytes:.1} | {masks} | {wrong} | {:.2} | {rules} |\n", *wrong as f64 / megabytes)
}
