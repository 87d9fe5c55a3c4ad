//! The documents that must always load.

use std::path::{Path, PathBuf};

use portcullis_policy::{
    diagnostics::{self, Severity},
    documents::{parse, read_paths},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn check(folder: &str, least: usize) {
    let (documents, found) = parse(&read_paths(&[repository().join(folder)]));
    let errors: Vec<_> =
        found.into_iter().filter(|d| d.severity != Severity::Note && d.code != "duplicate-document").collect();
    assert!(errors.is_empty(), "{}", diagnostics::text(&errors, false));
    assert!(documents.len() >= least, "{folder}: {}", documents.len());
}

#[test]
fn the_example_company_parses() {
    check("deploy/examples/corp", 24);
}

#[test]
fn the_conformance_manifests_parse() {
    check("tests/conformance/manifests/gateway-api/base", 20);
    check("tests/conformance/manifests/gateway-api/tests", 240);
}

#[test]
fn the_example_company_compiles() {
    let report = portcullis_policy::check::check(&[repository().join("deploy/examples/corp")]);
    let wrong: Vec<_> = report.diagnostics.iter().filter(|d| d.is_error()).cloned().collect();
    assert!(report.is_clean(), "{}", diagnostics::text(&wrong, false));
    assert_eq!(report.snapshot.listeners.len(), 2);
    assert_eq!(report.snapshot.backends.len(), 4);
    assert!(report.refusals(false).count() > 0, "guards that do not exist yet must not run");
}
