//! `check`, `explain`, `test` and `diff` on the command line, on the documents of a whole company.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::edge::portcullis;

const CORP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/corp");
const CHAT: &str = "https://llm.corp.example/v1/chat/completions";

/// Exit code and standard output.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = portcullis(arguments);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The company's documents with one text replaced by another.
fn changed(from: &str, to: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut replaced = false;
    for entry in fs::read_dir(CORP).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        replaced |= text.contains(from);
        fs::write(folder.path().join(path.file_name().unwrap()), text.replace(from, to)).unwrap();
    }
    assert!(replaced, "`{from}` stands nowhere");
    folder
}

fn diff(new: &Path, more: &[&str]) -> (i32, Value) {
    let (code, said) = run(&[&["diff", CORP, new.to_str().unwrap(), "--format", "json"], more].concat());
    (code, serde_json::from_str(&said).unwrap())
}

#[test]
fn explain_says_who_may_and_what_is_missing() {
    let explain = |more: &[&str], code: i32, says: &str| {
        let (got, said) = run(&[&["explain", "--config", CORP, "POST", CHAT], more].concat());
        assert_eq!(got, code, "{more:?}: {said}");
        assert!(said.contains(says), "{more:?}: {said}");
    };
    let big = ["--model", "llama-3.3-70b", "--as", "alice", "--provider", "directory", "--group"];
    explain(&[&big[..], &["ai-research"]].concat(), 0, "allowed by RoleBinding inference/research");
    explain(&[&big[..], &["finance"]].concat(), 1, "Role inference/big-model-user");
    let both = ["ai-research", "--group", "contractors"];
    explain(&[&big[..], &both].concat(), 1, "denied by RoleBinding inference/contractors");
    explain(&["--model", "llama-3.1-8b"], 1, "refused: 401 authentication_required");
    let workload = ["--model", "llama-3.1-8b", "--workload"];
    explain(
        &[&workload[..], &["spiffe://corp.example/ns/agents/sa/x"]].concat(),
        0,
        "InferenceBackend inference/llama-8b",
    );
    explain(&[&workload[..], &["spiffe://corp.example/ns/other/sa/x"]].concat(), 1, "403 permission_denied");
    explain(&["--model", "gpt-9", "--as", "a", "--provider", "sso"], 1, "404 model_not_found");
}

#[test]
fn policy_tests_pass_fail_and_are_skipped_for_what_is_not_enforced() {
    let (code, said) = run(&["test", CORP]);
    assert_eq!(code, 0, "{said}");
    assert!(said.ends_with("3 passed, 0 failed, 1 skipped\n"), "{said}");
    let wrong = changed("expect: {decision: Deny, status: 401}", "expect: {decision: Allow}");
    let (code, said) = run(&["test", wrong.path().to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAILED") && said.ends_with("2 passed, 1 failed, 1 skipped\n"), "{said}");
    let none = TempDir::new().unwrap();
    fs::copy(format!("{CORP}/40-identity.yaml"), none.path().join("identity.yaml")).unwrap();
    let (code, said) = run(&["test", none.path().to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (1, ""));
}

#[test]
fn check_tells_what_is_open() {
    let (code, said) = run(&["check", "--reachable", CORP]);
    assert_eq!((code, said.as_str()), (0, "nothing can be reached without authentication, or without a role\n"));
    let open =
        changed("authentication: {providers: [sso, directory, keys, workloads]}", "authentication: {anonymous: {}}");
    let (code, said) = run(&["check", "--reachable", open.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("HTTPRoute inference/triton") && said.contains("without authentication"), "{said}");
    assert!(!said.contains("load-model") && !said.contains("admin"), "{said}");
}

#[test]
fn diff_says_who_gains_and_who_loses() {
    let (code, same) = diff(Path::new(CORP), &[]);
    assert_eq!((code, same["changes"].as_array().unwrap().len()), (0, 0), "{same:#}");
    let wider = changed("models: [\"llama-3.1-*\"]", "models: [\"llama-*\"]");
    let (code, gained) = diff(wider.path(), &[]);
    let changes = gained["changes"].as_array().unwrap();
    assert_eq!((code, changes.len()), (1, 3), "{gained:#}");
    assert!(changes.iter().all(|change| change["direction"] == "gains" && change["rule"] == "rule `big-model`"));
    assert_eq!(changes[0]["witness"]["model"], "llama-3.3-70b", "{gained:#}");
    assert_eq!(diff(wider.path(), &["--fail-on", "loss"]).0, 0);
    assert_eq!(diff(wider.path(), &["--fail-on", "gain"]).0, 1);
    let fewer = changed(
        "subjects: [{kind: Group, provider: directory, name: ai-research}]",
        "subjects: [{kind: User, provider: sso, name: zoe}]",
    );
    let (_, moved) = diff(fewer.path(), &[]);
    let who: Vec<&str> = moved["changes"].as_array().unwrap().iter().filter_map(|it| it["who"].as_str()).collect();
    assert_eq!(who, ["User sso/zoe", "Group directory/ai-research"], "{moved:#}");
}
