//! The admin pages of a sidecar: is it alive, is it ready, what does it count.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::{StatusCode, header::ACCEPT, request::Parts};
use portcullis_mesh::{
    pages::{PageAnswer, Pages, json, page},
    telemetry::{Format, Registry},
    workload::Workload,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::worker::Command;

/// How long a worker may take to say that it is alive.
const WORKER_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

const INDEX: &str = "\
portcullis-sidecar

/livez    whether the process is there
/readyz   whether peers are served: an identity, a policy, and workers that answer
/metrics  what was counted
";

/// What the pages show.
#[derive(Debug)]
pub struct State {
    /// Who we are.
    pub workload: Arc<Workload>,
    /// Whether some document speaks of this workload.
    pub has_policy: AtomicBool,
    /// The process is about to end.
    pub is_draining: AtomicBool,
    /// Whom to ask whether they are alive.
    pub workers: Vec<mpsc::UnboundedSender<Command>>,
}

/// The pages.
pub fn pages(state: Arc<State>, registry: Arc<Registry>) -> Pages {
    Arc::new(move |request| {
        let (state, registry) = (Arc::clone(&state), Arc::clone(&registry));
        Box::pin(async move { answer(&request, &state, &registry).await })
    })
}

async fn answer(request: &Parts, state: &State, registry: &Registry) -> Option<PageAnswer> {
    Some(match request.uri.path() {
        "/" => page(StatusCode::OK, "text/plain; charset=utf-8", INDEX),
        "/livez" => json(StatusCode::OK, r#"{"live":true}"#.to_owned()),
        "/readyz" => match unready(state).await {
            None => json(StatusCode::OK, r#"{"ready":true}"#.to_owned()),
            Some(reason) => json(StatusCode::SERVICE_UNAVAILABLE, format!(r#"{{"ready":false,"reason":"{reason}"}}"#)),
        },
        "/metrics" => {
            let format = Format::accepted(request.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
            page(StatusCode::OK, format.content_type(), registry.page(format))
        }
        _ => return None,
    })
}

/// Why peers are not served, if they are not. Asked of every worker, so that the answer has been where requests go.
async fn unready(state: &State) -> Option<&'static str> {
    if state.is_draining.load(Relaxed) {
        return Some("draining: about to stop");
    }
    if state.workload.expires_at().is_none_or(|expiry| expiry <= SystemTime::now()) {
        return Some("the certificate has expired");
    }
    if !state.has_policy.load(Relaxed) {
        return Some("no WorkloadPolicy names this workload");
    }
    for worker in &state.workers {
        let (answer, answered) = oneshot::channel();
        let asked = worker.send(Command::Alive(answer)).is_ok();
        if !asked || !matches!(timeout(WORKER_ANSWER_TIMEOUT, answered).await, Ok(Ok(()))) {
            return Some("a worker does not answer");
        }
    }
    None
}
