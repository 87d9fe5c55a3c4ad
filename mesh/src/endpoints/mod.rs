//! The endpoints of one backend: who is there, who is well, who is next.
//!
//! Workers on every core share one [`Endpoints`] per backend and touch nothing but atomics. State belongs to the
//! endpoint and survives reloads. Speaking with an endpoint is left to others: they [`pick`](Endpoints::pick), hold the
//! [`Placement`] until the last byte of the answer, and report what became of it. Lookups ([`keep_resolved`]) and active
//! checks ([`run_checks`]) are futures for the control runtime. Time is an argument.

mod budget;
mod checks;
mod endpoint;
mod placement;
mod resolve;
mod sampler;
mod spec;
mod status;
mod table;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use self::{
    budget::RetryBudget,
    endpoint::{EjectionRule, Standing, milliseconds, since},
    placement::Trial,
    table::{Question, Resolved, Table},
};
pub use self::{
    budget::{RETRIES_PER_SECOND_MIN, RETRY_PERCENT, RETRY_WINDOW_SECONDS},
    checks::run_checks,
    endpoint::{Endpoint, EndpointId},
    placement::{Outcome, Placement},
    resolve::keep_resolved,
    spec::{Address, BackendSpec, EjectionSpec, EndpointSpec, HealthCheckSpec, Strategy},
    status::{BackendStatus, EndpointState, EndpointStatus},
};

/// Losing a race for the one trial of an ejected endpoint, a choice is made again so often.
const CHOICES_MAX: usize = 4;

/// The length of a turn of an endpoint of capacity 1, in virtual time.
const TURN_LENGTH: f64 = 1_048_576.0;

/// The endpoints of one backend in one revision. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Endpoints {
    spec: BackendSpec,
    rule: EjectionRule,
    slow_start_ms: u64,
    table: ArcSwap<Table>,
    /// Held by whoever replaces the table.
    replacing: Mutex<()>,
    lineage: Arc<Lineage>,
}

/// What all revisions of a backend share besides the endpoints themselves.
#[derive(Debug)]
struct Lineage {
    epoch: Instant,
    /// Counts choices; wraps.
    turn: AtomicU32,
    /// For round robin: turns of all endpoints in virtual time, in which a turn is shorter the more capacity one has
    /// (start-time fair queueing).
    virtual_now: AtomicU64,
    budget: RetryBudget,
}

/// Why nothing could be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEndpoint {
    /// The backend has no endpoints, or none of its names has resolved yet.
    #[error("backend has no endpoints")]
    Empty,
    /// All are out, and the panic threshold says not to use them nevertheless.
    #[error("every endpoint of the backend is out of service")]
    AllOut,
}

impl Endpoints {
    /// The endpoints that `spec` means. With `previous`, the same backend in the revision before, endpoints that stay
    /// keep their state, those that join start slowly, and those that leave live until their last exchange ends.
    pub fn new(spec: BackendSpec, previous: Option<&Self>, now: Instant) -> Self {
        let lineage = previous.map_or_else(
            || {
                let (turn, virtual_now) = (AtomicU32::new(1), AtomicU64::new(0));
                Arc::new(Lineage { epoch: now, turn, virtual_now, budget: RetryBudget::default() })
            },
            |previous| Arc::clone(&previous.lineage),
        );
        let before = previous.map(|previous| previous.table.load());
        let mut resolved = before.as_ref().map_or_else(Resolved::new, |table| table.resolved.clone());
        resolved.retain(|name, _| spec.endpoints.iter().any(|e| matches!(&e.address, Address::Name(n) if n == name)));
        let turn = lineage.turn.load(Relaxed);
        let epoch = lineage.epoch;
        let table = Table::build(&spec, resolved, before.as_deref().map(|t| &**t), epoch, since(epoch, now), turn);
        Self {
            rule: EjectionRule::from(&spec.ejection),
            slow_start_ms: milliseconds(spec.slow_start),
            table: ArcSwap::from_pointee(table),
            replacing: Mutex::new(()),
            lineage,
            spec,
        }
    }

    /// What these endpoints were made from.
    pub fn spec(&self) -> &BackendSpec {
        &self.spec
    }

    /// Chooses an endpoint and holds a place at it. Those in `avoid` (tried already) are chosen only if there is no
    /// other.
    pub fn pick(&self, now: Instant, avoid: &[EndpointId]) -> Result<Placement, NoEndpoint> {
        let table = self.table.load();
        let now_ms = self.at(now);
        for _ in 0..CHOICES_MAX {
            let turn = self.lineage.turn.fetch_add(1, Relaxed);
            self.lineage.budget.mark(now_ms, turn);
            let question = Question {
                now_ms,
                turn,
                virtual_now: self.lineage.virtual_now.load(Relaxed),
                avoid,
                strategy: self.spec.strategy,
                slow_start_ms: self.slow_start_ms,
                panic_threshold: self.spec.ejection.panic_threshold,
            };
            let Some(choice) = table.choose(question) else {
                return Err(if table.slots.is_empty() { NoEndpoint::Empty } else { NoEndpoint::AllOut });
            };
            let endpoint = &choice.slot.endpoint;
            let trial = match choice.standing {
                Standing::Serving => Trial::No,
                Standing::TrialDue if endpoint.claim_trial() => Trial::Claimed,
                Standing::TrialDue => continue,
                Standing::Out => Trial::InPanic,
            };
            if self.spec.strategy == Strategy::RoundRobin {
                let at = endpoint.next_turn_at(question.virtual_now);
                let length = TURN_LENGTH / choice.slot.weight(now_ms, self.slow_start_ms);
                endpoint.take_turn(at, length as u64);
                self.lineage.virtual_now.fetch_max(at, Relaxed);
            }
            return Ok(Placement::new(Arc::clone(endpoint), turn, self.rule, trial));
        }
        Err(NoEndpoint::AllOut)
    }

    /// Takes one retry from the backend's budget; false if too many of its recent requests were retries already. Ask
    /// before each attempt after the first, except for the immediate one after a reused connection proved stale.
    pub fn may_retry(&self, now: Instant) -> bool {
        self.lineage.budget.take(self.at(now), self.lineage.turn.load(Relaxed))
    }

    /// Every endpoint in service or out, without those that drain.
    pub fn list(&self) -> Vec<Arc<Endpoint>> {
        self.table.load().slots.iter().map(|slot| Arc::clone(&slot.endpoint)).collect()
    }

    fn at(&self, now: Instant) -> u64 {
        since(self.lineage.epoch, now)
    }

    /// The DNS names of the specification.
    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.spec.endpoints.iter().filter_map(|endpoint| match &endpoint.address {
            Address::Name(name) => Some(name),
            Address::Ip(_) => None,
        })
    }

    /// Replaces what `name` resolves to, if that changed.
    fn take_addresses(&self, name: &Arc<str>, mut addresses: Vec<std::net::IpAddr>, now: Instant) {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(table::ADDRESSES_PER_NAME_MAX);
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.table.load_full();
        if before.resolved.get(name) == Some(&addresses) {
            return;
        }
        let mut resolved = before.resolved.clone();
        resolved.insert(Arc::clone(name), addresses);
        let turn = self.lineage.turn.load(Relaxed);
        let table = Table::build(&self.spec, resolved, Some(&before), self.lineage.epoch, self.at(now), turn);
        self.table.store(Arc::new(table));
    }
}

#[cfg(test)]
mod tests;
