//! The Gateway API's conformance suite in file mode: its manifests, loaded as they are by the real gateway; its requests,
//! sent to the ports of that gateway; its assertions, made on answers and on the conditions of `/snapshot`.
//!
//! The manifests are those of kubernetes-sigs/gateway-api; the assertions follow the Go code beside them. Every test has a
//! gateway of its own, as most of them claim the same hosts and paths. Where the suite waits until a cluster has come to
//! rest, there is nothing to wait for here: what a gateway says when it serves must hold at once.
//!
//! Read [`run`] first, then the `catalogue` of tests, then one of them in `cases`.

mod cases;
mod catalogue;
mod certificates;
mod cluster;
mod echo;
mod grpc;
mod http;
mod manifests;
mod report;
mod status;
mod suite;
mod tls;
mod traffic;

use std::{any::Any, future::Future, pin::Pin, sync::Arc};

use futures_util::{StreamExt as _, stream};
use tokio::{runtime::Handle, task::spawn_blocking};

pub use self::report::{Outcome, Report, Row};
use self::suite::{Cluster, Suite};

/// The namespaces of the base manifests.
const INFRA: &str = "gateway-conformance-infra";
const APP: &str = "gateway-conformance-app-backend";
const WEB: &str = "gateway-conformance-web-backend";

/// How often in a row a request must be answered as expected.
const CONSECUTIVE: usize = 3;
/// Tests that run at a time.
const CONCURRENT_TESTS: usize = 6;

/// One test of the suite.
struct Test {
    /// The suite's name for it.
    name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Can be run: with these manifests, in this way.
    Runnable { manifests: &'static [&'static str], run: Run },
    /// Cannot, and why.
    NotRun(&'static str),
}

type Run = fn(Suite) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs every test whose name contains one of the `words` (all, if there is none), and reports on all that were chosen.
pub async fn run(words: &[String]) -> Report {
    let chosen = |test: &&Test| words.is_empty() || words.iter().any(|word| test.name.contains(word));
    let cluster = Arc::new(Cluster::start().await);
    let runs = catalogue::TESTS.iter().filter(chosen).map(|test| {
        let cluster = cluster.clone();
        async move { Row { name: test.name, outcome: outcome(test, cluster).await } }
    });
    // In the order of the catalogue, whichever ends first.
    Report::new(stream::iter(runs).buffered(CONCURRENT_TESTS).collect().await)
}

async fn outcome(test: &Test, cluster: Arc<Cluster>) -> Outcome {
    let (manifests, run) = match &test.kind {
        Kind::NotRun(reason) => return Outcome::NotRun(reason),
        Kind::Runnable { manifests, run } => (*manifests, *run),
    };
    // On a thread of its own: what a test waits for need not be handed from thread to thread.
    let test = move || Handle::current().block_on(async { run(Suite::start(cluster, manifests).await).await });
    match spawn_blocking(test).await {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(error.try_into_panic().map_or_else(|error| error.to_string(), said)),
    }
}

/// What a panic said.
fn said(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "it panicked".to_owned(), |text| (*text).to_owned()),
    }
}
