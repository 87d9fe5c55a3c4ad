//! What people read when documents are wrong, to the character. `BLESS=1 cargo test` writes it anew, for review.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use portcullis_policy::{
    check::{Report, check_sources},
    diagnostics,
    documents::Sources,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// Every `*.yaml` of the folder, by name.
fn rows() -> Vec<(String, String)> {
    let mut rows: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    rows.sort();
    rows
}

fn report(name: &str, text: &str) -> Report {
    check_sources(&Sources::of_text(name, text))
}

#[test]
fn what_is_said_about_each_mistake() {
    let rows = rows();
    assert!(rows.len() > 60);
    let mut wrong = Vec::new();
    for (name, text) in &rows {
        let found = report(name, text).told();
        let said = format!("{}{}\n", diagnostics::text(&found, false), diagnostics::summary(&found));
        let golden = folder().join(name).with_extension("txt");
        if env::var_os("BLESS").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{name}: expected\n{expected}\nbut it says\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n(`BLESS=1` writes them anew)", wrong.join("\n"));
}

/// Said of files rather than of what is in them (`tests/reading.rs` has those), or by a second line of defence behind
/// the schemas, which say it first, or behind the compiler (`reach.rs` has that).
const ELSEWHERE: [&str; 6] =
    ["unreadable", "no-documents", "invalid-document", "ambiguous-endpoints", "ambiguous-issuer", "open-door"];

#[test]
fn every_kind_of_mistake_has_its_text() {
    let mut sources = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut codes = BTreeSet::new();
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("Diagnostic::").chain(text.match_indices("self.report(")) {
            let Some((call, rest)) = text.get(at..).unwrap().split_once('(') else { continue };
            let makes = ["::error", "::warning", "::remark", "::reference", "::enforcement", ".report"];
            let Some(code) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            if makes.iter().any(|maker| call.ends_with(maker)) {
                codes.insert(code.to_owned());
            }
        }
    }
    assert!(codes.len() > 40, "{codes:?}");
    for (name, text) in rows() {
        for diagnostic in report(&name, &text).diagnostics {
            codes.remove(diagnostic.code);
        }
    }
    codes.retain(|code| !ELSEWHERE.contains(&code.as_str()));
    assert!(codes.is_empty(), "no text shows these: {codes:?}");
}
