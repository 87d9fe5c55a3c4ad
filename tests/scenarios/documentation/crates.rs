//! The crates keep apart as ARCHITECTURE.md says: who may import whom, and what mesh has no word for.

use std::{collections::BTreeSet, fs};

use super::{files_below, read, repository};

/// Our crates among the dependencies of a crate, those of its tests left out.
fn imports(of: &str) -> BTreeSet<String> {
    let manifest = read(format!("{of}/Cargo.toml"));
    let (_, dependencies) = manifest.split_once("[dependencies]").expect("dependencies");
    let dependencies = dependencies.split("\n[").next().unwrap();
    let ours = dependencies.lines().filter_map(|line| line.strip_prefix("portcullis-"));
    ours.map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned()).collect()
}

#[test]
fn crates_import_only_what_they_may() {
    let may: [(&str, &[&str]); 6] = [
        ("certs", &[]),
        ("policy", &["certs"]),
        ("mesh", &["certs"]),
        ("dialects", &["mesh", "policy"]),
        // The demo brings its inference servers along, and what stands beside them.
        ("gateway", &["certs", "dialects", "mesh", "policy", "sidecar", "simulator"]),
        ("sidecar", &["certs", "dialects", "mesh", "policy"]),
    ];
    for (of, allowed) in may {
        let more: Vec<_> = imports(of).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{of} imports {more:?}");
    }
    assert_eq!(imports("gateway").len(), 6, "the crates of the gateway were not found");
}

/// Where names that inference engines give their metrics are quoted; what the words in quotes mean is their affair.
const QUOTING: &str = "mesh/src/load/engine/names.rs";

#[test]
fn mesh_has_no_word_for_what_it_carries() {
    for file in files_below(&repository().join("mesh/src"), ".rs") {
        let text = fs::read_to_string(&file).unwrap();
        let quotes = file.ends_with(QUOTING);
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//!")) {
            let line: String = line.split('"').step_by(if quotes { 2 } else { 1 }).collect::<Vec<_>>().join("\"");
            let mut words = line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            let said = words.find(|word| ["prompt", "prompts", "model", "models"].contains(&word.as_str()));
            assert!(said.is_none(), "{}: {line}", file.display());
        }
    }
}
