//! The smuggling corpus (`tests/smuggling/cases.txt`) against the gateway: each case has its verdict, and what reaches the
//! origin can be read in one way only.

use futures_util::{StreamExt as _, stream};
use portcullis_tests::{
    harness::{Gateway, Options},
    smuggling::{Case, Outcome, Sink, Until, corpus, replay},
};

use super::stage::documents;

/// Cases that are tried at the same time.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn every_case_of_the_smuggling_corpus_has_its_verdict() {
    let sink = Sink::start().await;
    let gateway = Gateway::start(&documents(sink.address(), "/"), Options::default()).await;
    let address = gateway.addr("hostile/edge", 80).await;
    let cases = corpus();
    let tried = stream::iter(&cases).map(|case| async move {
        let until = if case.expected.closed { Until::Closed } else { Until::Answers(case.expected.statuses.len()) };
        let outcome = replay(address, case, until).await;
        (case, outcome)
    });
    let tried: Vec<(&Case, Outcome)> = tried.buffered(AT_ONCE).collect().await;
    let mut wrong = Vec::new();
    for (case, mut outcome) in tried {
        let reached = sink.reached(case);
        outcome.reached = reached.iter().map(|reached| reached.path(case)).collect();
        if outcome != case.expected {
            wrong.push(format!("{}: expected `{}`, found `{outcome}`", case.name, case.expected));
        }
        for reached in reached.iter().filter(|reached| !reached.faults.is_empty()) {
            wrong.push(format!("{}: passed on {:?}: {}", case.name, reached.faults, reached.head.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
