//! What people read when documents are wrong, to the character. `BLESS=1 cargo test` writes it anew, for review.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
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
        let found = report(name, text).diagnostics;
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
