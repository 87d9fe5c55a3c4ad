//! Gateway API conformance in file mode: every test that can run must pass.

use std::{fs, path::PathBuf};

use portcullis_tests::conformance;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_test_of_the_suite_that_can_run_passes_and_the_page_says_so() {
    let report = conformance::run(&[]).await;
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let written = fs::read_to_string(page).unwrap_or_default();
    assert_eq!(written, report.to_string(), "`just conformance --write` brings it up to date");
}
