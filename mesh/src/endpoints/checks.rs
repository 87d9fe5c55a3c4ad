//! Active health checks. How an endpoint is asked is the caller's affair; when, and what follows, is decided here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Endpoint, EndpointId, Endpoints, resolve::jittered, sampler::scatter, spec::HealthCheckSpec};

/// Checks of one backend under way at one time.
const CHECKS_IN_FLIGHT_MAX: usize = 32;
/// An endpoint's first check comes within this time, so that a thousand endpoints are not asked at once.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(1);
/// Endpoints that joined are noticed within this time.
const NOTICE_WITHIN: Duration = Duration::from_secs(1);

/// Checks every endpoint again and again, until it is dropped. Ends at once if the backend has no health check.
/// `probe` asks one endpoint and says whether it is well; it need not watch the time.
pub async fn run_checks<P, F>(endpoints: Arc<Endpoints>, probe: P)
where
    P: Fn(Arc<Endpoint>) -> F,
    F: Future<Output = bool>,
{
    let Some(check) = endpoints.spec.health_check else { return };
    let mut due: HashMap<EndpointId, Instant> = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut draws = 0_u64;
    let mut random = move || {
        draws += 1;
        scatter(draws, 0)
    };
    loop {
        let now = Instant::now();
        let listed = endpoints.list();
        due.retain(|id, _| listed.iter().any(|endpoint| endpoint.id() == *id));
        for endpoint in listed {
            let at = *due.entry(endpoint.id()).or_insert_with(|| now + first_delay(random()));
            if at <= now && running.len() < CHECKS_IN_FLIGHT_MAX {
                // The check after this one starts an interval after this one, or when this one is over.
                due.insert(endpoint.id(), now + jittered(check.interval, random()).max(check.timeout));
                running.push(check_one(&endpoints, endpoint, check, &probe));
            }
        }
        let next = due.values().copied().filter(|at| *at > now).min().unwrap_or(now + NOTICE_WITHIN);
        tokio::select! {
            Some(()) = running.next(), if !running.is_empty() => {}
            () = sleep_until(next.min(now + NOTICE_WITHIN)) => {}
        }
    }
}

async fn check_one<P, F>(endpoints: &Endpoints, endpoint: Arc<Endpoint>, check: HealthCheckSpec, probe: &P)
where
    P: Fn(Arc<Endpoint>) -> F,
    F: Future<Output = bool>,
{
    let well = timeout(check.timeout, probe(Arc::clone(&endpoint))).await.unwrap_or(false);
    let now_ms = endpoints.at(Instant::now().into_std());
    if endpoint.checked(now_ms, well, check.unhealthy_after, check.healthy_after) {
        let (backend, address) = (&endpoints.spec.name, endpoint.address());
        if well {
            tracing::info!(%backend, %address, "endpoint is healthy again");
        } else {
            tracing::warn!(%backend, %address, "endpoint fails its health checks");
        }
    }
}

fn first_delay(random: u64) -> Duration {
    FIRST_CHECK_WITHIN.mul_f64(random as f64 / u64::MAX as f64)
}
