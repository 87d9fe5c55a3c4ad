//! The command line: exit codes, and nothing on standard output but what was asked for.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::edge::{GATEWAY, http_route, inference_backend, portcullis, to_inference};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// A folder with one open gateway: `/v1` and `/old`, which is redirected.
fn documents() -> TempDir {
    let folder = TempDir::new().unwrap();
    let rules = format!(
        "rules:\n- matches: [{{path: {{value: /v1}}}}]\n  backendRefs: [{}]\n- matches: [{{path: {{value: /old}}}}]\n  \
         filters: [{{type: RequestRedirect, requestRedirect: {{hostname: new.test}}}}]\n",
        to_inference("main")
    );
    let backend = inference_backend("main", "openai", "127.0.0.1:9".parse().unwrap(), "");
    fs::write(folder.path().join("all.yaml"), format!("{GATEWAY}{}{backend}", http_route("all", &rules))).unwrap();
    folder
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

fn spoilt() -> TempDir {
    let folder = documents();
    let file = folder.path().join("all.yaml");
    let spoilt = fs::read_to_string(&file).unwrap().replace("backendRefs", "backendRevs");
    fs::write(file, spoilt).unwrap();
    folder
}

#[test]
fn help_and_version_are_asked_for_and_a_mistake_is_not() {
    let version = portcullis(&["--version"]);
    assert_eq!((code(&version), text(&version.stderr)), (Some(0), String::new()));
    assert!(text(&version.stdout).starts_with("portcullis 0."), "{}", text(&version.stdout));
    let help = portcullis(&["--help"]);
    assert_eq!((code(&help), text(&help.stderr)), (Some(0), String::new()));
    for word in ["Examples:", "portcullis run --config", "Exit codes: 0 success, 1", "70"] {
        assert!(text(&help.stdout).contains(word), "{}", text(&help.stdout));
    }
    for wrong in [&["run"][..], &["fly"], &["run", "--config", "x", "--bind", "443"], &[], &["check"]] {
        let output = portcullis(wrong);
        assert_eq!((code(&output), text(&output.stdout)), (Some(2), String::new()), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn check_tells_people_on_stderr_and_machines_on_stdout() {
    let (good, bad) = (documents(), spoilt());
    let clean = portcullis(&["check", path(&good)]);
    assert_eq!((code(&clean), text(&clean.stdout)), (Some(0), String::new()), "{}", text(&clean.stderr));
    let wrong = portcullis(&["check", path(&bad)]);
    assert_eq!((code(&wrong), text(&wrong.stdout)), (Some(1), String::new()));
    let told = text(&wrong.stderr);
    assert!(told.contains("did you mean `backendRefs`?") && told.contains("all.yaml:"), "{told}");
    assert!(!told.contains('\u{1b}'), "no colours but on a terminal");

    let wrong = portcullis(&["check", "--format", "json", path(&bad)]);
    assert_eq!((code(&wrong), text(&wrong.stderr)), (Some(1), String::new()));
    let list: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(list[0]["code"], "unknown-field", "{list:#}");
    let clean = portcullis(&["check", "--format", "json", path(&good)]);
    assert_eq!((code(&clean), text(&clean.stderr)), (Some(0), String::new()));
    let sarif = portcullis(&["check", "--format", "sarif", path(&bad)]);
    let log: Value = serde_json::from_slice(&sarif.stdout).unwrap();
    assert_eq!((code(&sarif), &log["version"]), (Some(1), &"2.1.0".into()));
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "unknown-field", "{log:#}");
    let nowhere = portcullis(&["check", "/nowhere"]);
    assert_eq!((code(&nowhere), text(&nowhere.stdout)), (Some(1), String::new()));
}

#[test]
fn the_example_of_a_company_checks_clean() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/corp");
    let output = portcullis(&["check", example.to_str().unwrap()]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    // Yet nobody shall believe in guards that are not there.
    let state = TempDir::new().unwrap();
    let arguments = ["run", "--config", example.to_str().unwrap(), "--state", path(&state), "--admin", "127.0.0.1:0"];
    let refused = portcullis(&arguments);
    assert_eq!((code(&refused), text(&refused.stdout)), (Some(1), String::new()));
    assert!(text(&refused.stderr).contains("not enforced yet"), "{}", text(&refused.stderr));
}

#[test]
fn schemas_are_printed_for_editors_and_clusters() {
    let schema = portcullis(&["schema"]);
    assert_eq!((code(&schema), text(&schema.stderr)), (Some(0), String::new()));
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["$schema"].is_string());
    let crds = portcullis(&["schema", "--crd"]);
    assert_eq!((code(&crds), text(&crds.stderr)), (Some(0), String::new()));
    let crds = portcullis_tests::harness::read_yaml(&text(&crds.stdout)).unwrap();
    assert!(crds.len() >= 5);
    for crd in crds {
        assert_eq!(crd["kind"], "CustomResourceDefinition");
        assert_eq!(crd["spec"]["group"], "portcullis.dev", "{crd}");
    }
}

#[test]
fn explain_names_the_document_and_line_that_decide() {
    let folder = documents();
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain", "--config", path(&folder)];
        all.extend(arguments);
        let output = portcullis(&all);
        (code(&output), text(&output.stdout), text(&output.stderr))
    };
    let (code, told, errors) = explain(&["POST", "http://edge.test/v1/chat/completions", "--model", "m"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{told}");
    for part in
        ["listener     default/edge/http", "HTTPRoute default/all, rule 0", "all.yaml:", "anyone, says", "100 %"]
    {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
    let (code, told, _) = explain(&["GET", "http://edge.test/old"]);
    assert!(code == Some(0) && told.contains("redirect"), "{told}");
    let (code, told, _) = explain(&["GET", "http://edge.test/nothing"]);
    assert!(code == Some(1) && told.contains("refused: 404"), "{told}");
    let (code, told, _) = explain(&["GET", "http://edge.test/v1/%2fadmin"]);
    assert!(code == Some(1) && told.contains("refused: 400"), "{told}");
    let (code, told, _) = explain(&["GET", "https://edge.test/v1"]);
    assert!(code == Some(1) && told.contains("no listener answers"), "{told}");
    let (code, told, errors) = explain(&["GET", "not a url"]);
    assert_eq!((code, told.as_str()), (Some(1), ""));
    assert!(errors.contains("is not a URL"), "{errors}");
}

#[test]
fn what_cannot_be_logged_as_asked_is_the_users_mistake() {
    let folder = documents();
    let mut command = std::process::Command::new(portcullis_tests::harness::binary("portcullis"));
    command
        .args(["run", "--config", path(&folder), "--admin", "127.0.0.1:0"])
        .env("PORTCULLIS_LOG", "portcullis=shout");
    let output = command.output().unwrap();
    assert_eq!((code(&output), text(&output.stdout)), (Some(1), String::new()));
    assert!(text(&output.stderr).contains("PORTCULLIS_LOG"), "{}", text(&output.stderr));
}

#[test]
fn whoever_has_read_enough_may_close_standard_output() {
    let folder = documents();
    let explain = ["explain", "--config", path(&folder), "GET", "http://edge.test/v1"];
    for arguments in [&["schema"][..], &["schema", "--crd"], &["check", "--format", "json", path(&folder)], &explain] {
        let mut command = std::process::Command::new(portcullis_tests::harness::binary("portcullis"));
        command.args(arguments).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((code(&output), text(&output.stderr)), (Some(0), String::new()), "{arguments:?}");
    }
}
