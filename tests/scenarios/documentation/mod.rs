//! The documentation is true: what it shows loads, what it names exists, where it points there is something.

mod bounds;
mod crates;
mod examples;
mod links;
mod names;
mod reference;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder that holds everything.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the repository").to_owned()
}

/// The text of a file of the repository.
fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder whose name ends so, without what builds and tools leave behind.
fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no {ending} below {}", folder.display());
    files
}

/// The pages for whoever runs a gateway: each file's name and text.
fn pages() -> Vec<(String, String)> {
    let named = |path: &PathBuf| path.strip_prefix(repository()).unwrap().display().to_string();
    let mut pages: Vec<_> = files_below(&repository().join("docs"), ".md")
        .iter()
        .map(|path| (named(path), fs::read_to_string(path).unwrap()))
        .collect();
    for name in ["README.md", "SECURITY.md", "ARCHITECTURE.md"] {
        pages.push((name.to_owned(), read(name)));
    }
    pages
}

/// What stands between fences of this language.
fn fences(text: &str, language: &str) -> Vec<String> {
    let mut fences = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(word)) => open = Some((word == language, String::new())),
            (Some((wanted, inside)), Some(_)) => {
                if *wanted {
                    fences.push(std::mem::take(inside));
                }
                open = None;
            }
            (Some((_, inside)), None) => inside.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    fences
}

/// The words in backticks outside of fences.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            words.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    words
}

/// The cells of every table row whose first cell is a word in backticks.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// A cell's word, without its backticks.
fn word(cell: &str) -> &str {
    cell.trim_matches('`')
}
