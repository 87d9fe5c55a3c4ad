//! Every example loads; what the pages show of examples and of diagnostics is what they are.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use portcullis_tests::harness::binary;
use tempfile::TempDir;

use super::{fences, files_below, pages, read, repository};

/// Checks a folder, named as seen from another.
fn check(from: &Path, folder: &str) -> Output {
    Command::new(binary("portcullis")).current_dir(from).args(["check", folder]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The folders of examples, as seen from the repository.
fn example_folders() -> Vec<String> {
    let examples = repository().join("deploy/examples");
    let folders = fs::read_dir(&examples).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut folders: Vec<_> =
        folders.map(|path| path.strip_prefix(repository()).unwrap().display().to_string()).collect();
    folders.push("deploy/kubernetes/documents".to_owned());
    folders.sort();
    folders
}

#[test]
fn every_example_checks_clean() {
    for folder in example_folders() {
        let output = check(&repository(), &folder);
        assert!(output.status.success(), "{folder}: {}", said(&output));
        if !folder.ends_with("/corp") {
            assert_eq!(said(&output).trim(), "0 errors, 0 warnings", "{folder}");
        }
    }
}

#[test]
fn every_yaml_on_the_pages_is_part_of_an_example() {
    let examples = files_below(&repository().join("deploy"), ".yaml");
    let examples: Vec<String> = examples.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut shown = 0;
    for (name, text) in pages() {
        for fence in fences(&text, "yaml") {
            assert!(
                examples.iter().any(|example| example.contains(&fence)),
                "{name} shows what no example has:\n{fence}"
            );
            shown += 1;
        }
    }
    assert!(shown >= 8, "only {shown} examples are shown");
}

/// The quickstart's documents with mistakes that people make.
fn with_mistakes() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("documents")).unwrap();
    for file in ["gateway.yaml", "routes.yaml", "backends.yaml"] {
        let text = read(Path::new("deploy/examples/quickstart").join(file))
            .replace("dnsNames:", "dnsName:")
            .replace("kind: InferenceBackend, name: chat}", "kind: InferenceBackend, name: chta}");
        fs::write(folder.path().join("documents").join(file), text).unwrap();
    }
    folder
}

#[test]
fn the_diagnostics_on_the_pages_are_what_check_says() {
    let output = check(with_mistakes().path(), "documents");
    assert_eq!(output.status.code(), Some(1));
    let shown = fences(&read("docs/documents.md"), "text");
    let shown = shown.iter().find(|fence| fence.starts_with("error[")).expect("docs/documents.md shows diagnostics");
    assert_eq!(*shown, said(&output), "docs/documents.md shows other diagnostics than `check`");
}

#[test]
fn the_unit_on_the_pages_is_the_unit() {
    let unit = read("deploy/systemd/portcullis@.service");
    assert_eq!(fences(&read("docs/operations.md"), "ini"), [unit], "docs/operations.md shows another unit");
}
