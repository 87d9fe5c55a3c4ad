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
            // What rules cost is told before.
            let said = said(&output);
            let last = said.lines().last().unwrap_or_default();
            assert!(last.starts_with("0 errors, 0 warnings"), "{folder}: {said}");
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

/// Whether a line has these pieces, one after the other, from its beginning to its end; `…` stands for anything.
fn fits(line: &str, shown: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.is_empty() || shown.ends_with('…')
}

/// A command as a page shows it, with the lines that are shown of its answer.
fn commands(fence: &str) -> Vec<(String, Vec<&str>)> {
    let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
    for line in fence.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((command, _))) if command.ends_with('\\') => command.extend(["\n", line]),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("`{line}` answers no command"),
        }
    }
    commands
}

#[test]
fn commands_say_what_the_pages_show_of_them() {
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(repository().join("deploy"), folder.path().join("deploy")).unwrap();
    let binary = binary("portcullis");
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shown_lines = 0;
    let fences = pages().into_iter().flat_map(|(_, text)| fences(&text, "console"));
    for fence in fences {
        for (command, shown) in commands(&fence) {
            let shell =
                Command::new("sh").args(["-c", &command]).current_dir(folder.path()).env("PATH", &path).output();
            let said = String::from_utf8(shell.unwrap().stdout).unwrap();
            let mut lines = said.lines();
            for line in shown {
                assert!(lines.any(|said| fits(said, line)), "`{command}` does not say `{line}`:\n{said}");
                shown_lines += 1;
            }
        }
    }
    assert!(shown_lines >= 20, "only {shown_lines} lines are shown");
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
