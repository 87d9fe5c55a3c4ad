//! `docs/hostile-inputs.md` names the tests of each row; here it is held to that.

use std::{fs, path::Path};

/// Every row that comes with the edge, of the list that the tests were written from.
const EDGE_ROWS: [&str; 28] = [
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A18",
    "A21", "A22", "A27", "A32", "A33", "A35", "A36", "B27", "B28", "B29", "B30",
];
const MORE_EDGE_ROWS: [&str; 3] = ["B31", "B33", "B38"];
/// Every row that comes with callers who are known.
const IDENTITY_ROWS: [&str; 32] = [
    "A19", "A31", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13", "B14", "B15",
    "B16", "B17", "B18", "B19", "B20", "B21", "B22", "B23", "B24", "B25", "B26", "B32", "B35", "B36", "B37",
];
/// Every row that comes with guardrails.
const GUARD_ROWS: [&str; 9] = ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9"];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The text of every file of tests that the page may name functions of.
fn tests(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&tests(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn every_row_names_tests_that_exist() {
    let page = fs::read_to_string(repository().join("docs/hostile-inputs.md")).unwrap();
    let folders =
        ["tests/scenarios", "tests/src", "mesh/src", "gateway/src", "gateway/tests", "policy/src", "policy/tests"];
    let text: String = folders.iter().map(|folder| tests(&repository().join(folder))).collect();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| line.trim_end_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut missing = Vec::new();
    for row in EDGE_ROWS.into_iter().chain(MORE_EDGE_ROWS).chain(IDENTITY_ROWS).chain(GUARD_ROWS) {
        let named: Vec<&str> = rows
            .iter()
            .filter(|cells| cells.first() == Some(&row))
            .flat_map(|cells| cells.last().into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)))
            .collect();
        if named.is_empty() {
            missing.push(format!("{row} names no test"));
        }
        for test in named {
            let name = test.rsplit("::").next().unwrap_or(test);
            if !text.contains(&format!("fn {name}(")) {
                missing.push(format!("{row} names `{test}`, which does not exist"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/hostile-inputs.md: {}", missing.join("; "));
}
