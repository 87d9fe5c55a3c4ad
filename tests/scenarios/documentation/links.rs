//! Links within the repository lead somewhere, down to the heading.

use std::{collections::BTreeSet, fs, path::Path};

use super::{files_below, repository};

/// The targets of a page's links and pictures.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !fenced {
            let line = without_code(line);
            let ends = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            targets.extend(ends.map(|target| target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    targets
}

/// A line without its spans of code, in which a link is none. A span ends with as many ticks as it began with.
fn without_code(mut line: &str) -> String {
    let mut rest = String::new();
    while let Some(start) = line.find('`') {
        let (before, from) = line.split_at(start);
        let ticks = from.len() - from.trim_start_matches('`').len();
        let (open, inside) = from.split_at(ticks);
        rest.push_str(before);
        let mut runs = inside.match_indices(open).map(|(at, _)| at);
        let is_end = |at: &usize| {
            let longer = inside[at + ticks..].starts_with('`') || inside[..*at].ends_with('`');
            !longer
        };
        match runs.find(is_end) {
            Some(end) => line = &inside[end + ticks..],
            None => line = inside,
        }
    }
    rest + line
}

/// What the headings of a page are called in links: lower case, hyphens for spaces, nothing else but letters and digits.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with one link of a page, if anything is.
fn fault(page: &Path, text: &str, target: &str) -> Option<String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = page.parent().unwrap().join(path);
    if !path.is_empty() && !file.exists() {
        return Some(format!("{}: `{target}` leads nowhere", page.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let there = if path.is_empty() { text.to_owned() } else { fs::read_to_string(&file).unwrap() };
    (!anchors(&there).contains(anchor)).then(|| format!("{}: `{target}` has no such heading", page.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    let mut links = 0;
    for page in files_below(&repository(), ".md") {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            links += 1;
            faults.extend(fault(&page, &text, &target));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(links > 20, "only {links} links were found");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = repository().join("README.md");
    let text = "# One heading\n[a](nowhere.md) [b](#one-heading) [c](#another) [d](SECURITY.md) ![e](no.svg)\n```\n[f](x)\n```";
    let faults: Vec<_> = targets(text).iter().filter_map(|target| fault(&page, text, target)).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    let code = "`[a](nowhere)` and [`b`](nowhere.md), ``[c](`nowhere`)`` | `![d](x` |";
    assert_eq!(targets(code), ["nowhere.md"]);
}

#[test]
fn every_picture_is_shown_and_is_a_picture() {
    let pages: String =
        files_below(&repository(), ".md").iter().map(|page| fs::read_to_string(page).unwrap()).collect();
    for picture in files_below(&repository().join("docs/pictures"), ".svg") {
        let name = picture.file_name().unwrap().to_string_lossy().into_owned();
        assert!(pages.contains(&format!("pictures/{name})")), "no page shows {name}");
        let text = fs::read_to_string(&picture).unwrap();
        assert!(text.starts_with("<svg") && text.contains("<title>"), "{name} is no picture with a title");
    }
}
