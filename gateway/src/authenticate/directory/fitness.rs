//! Whether the groups of a directory can be found the way the document says, found out anew from time to time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{failure::Failure, groups::Resolver};

/// For how long a way to find groups is known to work, or not to.
const FITNESS_INTERVAL: Duration = Duration::from_mins(5);
/// The same where it does not.
const UNFITNESS_INTERVAL: Duration = Duration::from_secs(15);

/// Whether groups can be found the way the document says.
#[derive(Default)]
pub(super) struct Fitness {
    /// One at a time finds out.
    known: tokio::sync::Mutex<Option<(Result<Resolver, String>, Instant)>>,
    said: Mutex<(Option<&'static str>, Option<String>)>,
}

impl Fitness {
    /// What is wrong, if something is.
    pub(super) fn problem(&self) -> Option<String> {
        self.said().1.clone()
    }

    /// How groups are found, once that is known.
    pub(super) fn nested(&self) -> Option<&'static str> {
        self.said().0
    }

    pub(super) async fn is_due(&self) -> bool {
        self.known().await.is_none()
    }

    pub(super) async fn known(&self) -> Option<Result<Resolver, Failure>> {
        let known = self.known.lock().await;
        let (result, at) = known.as_ref()?;
        let interval = if result.is_ok() { FITNESS_INTERVAL } else { UNFITNESS_INTERVAL };
        (at.elapsed() < interval).then(|| result.clone().map_err(Failure::Unfit))
    }

    /// Remembers what was found out, and says so when it is news. That a server failed says nothing of it.
    pub(super) async fn learn(&self, probed: Result<Resolver, Failure>) -> Result<Resolver, Failure> {
        let result = match probed {
            Ok(resolver) => Ok(resolver),
            Err(Failure::Unfit(problem)) => Err(problem),
            Err(failure) => return Err(failure),
        };
        *self.known.lock().await = Some((result.clone(), Instant::now()));
        let mut said = self.said();
        match &result {
            Ok(resolver) => {
                if said.0 != Some(resolver.as_str()) {
                    tracing::info!(nested = resolver.as_str(), "groups of a directory are found");
                }
                *said = (Some(resolver.as_str()), None);
            }
            Err(problem) => {
                if said.1.as_ref() != Some(problem) {
                    tracing::error!(%problem, "a directory cannot be used: nobody whom it must vouch for is let in");
                }
                *said = (None, Some(problem.clone()));
            }
        }
        result.map_err(Failure::Unfit)
    }

    fn said(&self) -> MutexGuard<'_, (Option<&'static str>, Option<String>)> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
