//! Keeps the addresses of DNS names fresh. The last good answer stays in force.

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{Endpoints, sampler::scatter};

/// A name that resolved is looked up again after this time, give or take a tenth. The system's resolver does not tell
/// how long an answer is valid.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(30);
/// The same for a name that did not resolve.
const LOOKUP_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// The time one lookup may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks names up again and again, until it is dropped. Ends at once if the backend has no names.
pub async fn keep_resolved(endpoints: Arc<Endpoints>) {
    for round in 0_u64.. {
        let Some(all_well) = endpoints.resolve().await else { return };
        let pause = if all_well { LOOKUP_INTERVAL } else { LOOKUP_RETRY_INTERVAL };
        let address_of_self = Arc::as_ptr(&endpoints) as usize as u64;
        tokio::time::sleep(jittered(pause, scatter(address_of_self, round & 0xf))).await;
    }
}

impl Endpoints {
    /// Looks every name up once; `None` if there are none, else whether all resolved. Await it before the endpoints of
    /// a new revision are used: it takes 5 seconds at most.
    pub async fn resolve(&self) -> Option<bool> {
        let names: BTreeSet<&Arc<str>> = self.names().collect();
        if names.is_empty() {
            return None;
        }
        let results = join_all(names.into_iter().map(|name| self.resolve_one(name))).await;
        Some(results.into_iter().all(|well| well))
    }

    async fn resolve_one(&self, name: &Arc<str>) -> bool {
        let found = tokio::time::timeout(LOOKUP_TIMEOUT, lookup(name))
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
        match found {
            Ok(addresses) if !addresses.is_empty() => {
                self.take_addresses(name, addresses, tokio::time::Instant::now().into_std());
                true
            }
            Ok(_) => {
                tracing::warn!(backend = %self.spec.name, %name, "name has no addresses; keeping the last known");
                false
            }
            Err(error) => {
                tracing::warn!(backend = %self.spec.name, %name, %error, "name does not resolve; keeping the last known addresses");
                false
            }
        }
    }
}

async fn lookup(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

/// `pause`, give or take a tenth.
pub(super) fn jittered(pause: Duration, random: u64) -> Duration {
    let fraction = random as f64 / u64::MAX as f64;
    pause.mul_f64(0.9 + 0.2 * fraction)
}
