//! One endpoint and all that is known about it, in atomics that every worker shares.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use portcullis_certs::SpiffeId;

use super::{Outcome, spec::EjectionSpec};

/// A failed attempt weighs as one exchange in flight, and half of it is forgotten after this time. Without it, an
/// endpoint that fails at once looks idle, and fewest-in-flight sends everything there.
const FAILURE_PENALTY_HALF_LIFE: Duration = Duration::from_secs(10);
/// What is left of a penalty is dropped below this.
const FAILURE_PENALTY_MIN: f64 = 0.01;
/// The share of its capacity that an endpoint starts with when it joins or returns.
const SLOW_START_SHARE_MIN: f64 = 0.1;

/// Names one endpoint as long as the process lives, reloads included. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

/// What makes two endpoints the same one over reloads and lookups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EndpointKey {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) grpc_port: Option<u16>,
    /// Who it must prove to be: somebody else at the same address is another endpoint.
    pub(super) identity: Option<SpiffeId>,
}

/// One address that answers for a backend, and its state.
// The fields that every exchange writes come first, beside the reference counts that it writes anyway.
#[repr(C)]
pub struct Endpoint {
    /// Exchanges ever placed (high half, wraps) and in flight (low half): one atomic operation for both.
    placed_and_in_flight: AtomicU64,
    /// The backend's turn at which this endpoint was chosen last.
    last_turn: AtomicU32,
    /// When its next turn begins, in virtual time, where endpoints take turns.
    next_turn_at: AtomicU64,
    /// Failures in a row, before or instead of an answer.
    failures: AtomicU32,
    /// Answers in a row that broke off.
    broken_answers: AtomicU32,
    /// Out because its active checks fail.
    unhealthy: AtomicBool,
    /// Whether the one trial of an ejected endpoint is under way.
    trial: AtomicBool,
    /// 0: in service. Else out until then, and on trial from then on.
    ejected_until_ms: AtomicU64,
    /// 0: warm. Else when slow start began.
    warming_since_ms: AtomicU64,
    /// An `f32` (high half) and when it was so (milliseconds, low half, wraps).
    penalty: AtomicU64,
    /// Ejections in a row.
    ejections: AtomicU32,
    /// Ejections ever.
    ejections_total: AtomicU32,
    /// When the last ejection ended well.
    returned_ms: AtomicU64,
    /// Consecutive active checks with one result: failures, or successes while unhealthy.
    check_streak: AtomicU32,
    /// Failures ever, of those that count.
    failures_total: AtomicU64,

    id: EndpointId,
    key: EndpointKey,
    name: Option<Arc<str>>,
    epoch: Instant,
}

/// Whether an endpoint may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Yes.
    Serving,
    /// Its ejection is over; one exchange may try it.
    TrialDue,
    /// No, unless there is a panic.
    Out,
}

/// An [`EjectionSpec`] in the units of the state.
#[derive(Debug, Clone, Copy)]
pub(super) struct EjectionRule {
    consecutive_failures: u32,
    base_ms: u64,
    max_ms: u64,
}

impl From<&EjectionSpec> for EjectionRule {
    fn from(spec: &EjectionSpec) -> Self {
        Self {
            consecutive_failures: spec.consecutive_failures,
            base_ms: milliseconds(spec.base).max(1),
            max_ms: milliseconds(spec.max).max(1),
        }
    }
}

impl Endpoint {
    pub(super) fn new(key: EndpointKey, name: Option<Arc<str>>, epoch: Instant) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            placed_and_in_flight: AtomicU64::new(0),
            last_turn: AtomicU32::new(0),
            next_turn_at: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            broken_answers: AtomicU32::new(0),
            unhealthy: AtomicBool::new(false),
            trial: AtomicBool::new(false),
            ejected_until_ms: AtomicU64::new(0),
            warming_since_ms: AtomicU64::new(0),
            penalty: AtomicU64::new(0),
            ejections: AtomicU32::new(0),
            ejections_total: AtomicU32::new(0),
            returned_ms: AtomicU64::new(0),
            check_streak: AtomicU32::new(0),
            failures_total: AtomicU64::new(0),
            id: EndpointId(NEXT_ID.fetch_add(1, Relaxed)),
            key,
            name,
            epoch,
        }
    }

    /// Its name for connection stores and for `avoid`.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.key.ip, self.key.port)
    }

    /// Where it answers gRPC: the same unless its specification says otherwise.
    pub fn grpc_address(&self) -> SocketAddr {
        SocketAddr::new(self.key.ip, self.key.grpc_port.unwrap_or(self.key.port))
    }

    /// The DNS name it was found by; `None` if it was given by address.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Who it must prove to be.
    pub fn identity(&self) -> Option<&SpiffeId> {
        self.key.identity.as_ref()
    }

    /// Exchanges that were placed here and have not ended.
    pub fn in_flight(&self) -> u32 {
        self.placed_and_in_flight.load(Relaxed) as u32
    }

    pub(super) fn key(&self) -> &EndpointKey {
        &self.key
    }

    /// Time as the state keeps it. Never 0, which stands for "not".
    pub(super) fn at(&self, now: Instant) -> u64 {
        since(self.epoch, now)
    }

    // Choice ---------------------------------------------------------------------------------------------------------

    pub(super) fn standing(&self, now_ms: u64) -> Standing {
        if self.unhealthy.load(Relaxed) {
            return Standing::Out;
        }
        match self.ejected_until_ms.load(Relaxed) {
            0 => Standing::Serving,
            until if now_ms < until || self.trial.load(Relaxed) => Standing::Out,
            _ => Standing::TrialDue,
        }
    }

    /// Exchanges in flight, and what recent failures weigh.
    pub(super) fn load(&self, now_ms: u64) -> f64 {
        f64::from(self.in_flight()) + self.penalty(now_ms)
    }

    /// The share of its capacity that it may use now: 1, but for slow start.
    pub(super) fn warmth(&self, now_ms: u64, slow_start_ms: u64) -> f64 {
        let since = self.warming_since_ms.load(Relaxed);
        if since == 0 || slow_start_ms == 0 {
            return 1.0;
        }
        let elapsed = now_ms.saturating_sub(since);
        if elapsed >= slow_start_ms {
            // Only for speed, and only if nothing began a new slow start meanwhile.
            let _ = self.warming_since_ms.compare_exchange(since, 0, Relaxed, Relaxed);
            return 1.0;
        }
        (elapsed as f64 / slow_start_ms as f64).max(SLOW_START_SHARE_MIN)
    }

    /// Turns since it was chosen last.
    pub(super) fn age(&self, turn: u32) -> u32 {
        turn.wrapping_sub(self.last_turn.load(Relaxed))
    }

    /// Its age counts from the turn before this one.
    pub(super) fn start_turns_at(&self, turn: u32) {
        self.last_turn.store(turn.wrapping_sub(1), Relaxed);
    }

    /// When its next turn begins: not before now, in virtual time, however long it was not there to take one.
    pub(super) fn next_turn_at(&self, virtual_now: u64) -> u64 {
        self.next_turn_at.load(Relaxed).max(virtual_now)
    }

    /// Takes the turn that begins at `at`; the next begins `length` later.
    pub(super) fn take_turn(&self, at: u64, length: u64) {
        self.next_turn_at.store(at.saturating_add(length), Relaxed);
    }

    pub(super) fn begin_slow_start(&self, now_ms: u64) {
        self.warming_since_ms.store(now_ms, Relaxed);
    }

    /// Takes the only trial; false if another exchange has it.
    pub(super) fn claim_trial(&self) -> bool {
        self.trial.compare_exchange(false, true, Relaxed, Relaxed).is_ok()
    }

    pub(super) fn release_trial(&self) {
        self.trial.store(false, Relaxed);
    }

    pub(super) fn enter(&self, turn: u32) {
        self.placed_and_in_flight.fetch_add((1 << 32) | 1, Relaxed);
        self.last_turn.store(turn, Relaxed);
    }

    // INVARIANT: called once for each `enter`, by the drop of a `Placement`, so that the low half never borrows.
    pub(super) fn leave(&self) {
        self.placed_and_in_flight.fetch_sub(1, Relaxed);
    }

    // Outcomes -------------------------------------------------------------------------------------------------------

    /// An exchange ended well enough to speak for the endpoint.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// An answer came to its end.
    pub(super) fn completed(&self) {
        if self.broken_answers.load(Relaxed) != 0 {
            self.broken_answers.store(0, Relaxed);
        }
    }

    /// An exchange failed in a way that counts.
    pub(super) fn failed(&self, now_ms: u64, outcome: Outcome, rule: EjectionRule) {
        self.failures_total.fetch_add(1, Relaxed);
        let streak = if outcome == Outcome::ResetMidAnswer { &self.broken_answers } else { &self.failures };
        let in_a_row = streak.fetch_add(1, Relaxed).saturating_add(1);
        if rule.consecutive_failures != 0 && in_a_row >= rule.consecutive_failures {
            self.eject(0, now_ms, rule);
        }
    }

    /// The trial went well: back in service, gently.
    pub(super) fn restore(&self, now_ms: u64) {
        if self.ejected_until_ms.swap(0, Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.broken_answers.store(0, Relaxed);
            self.returned_ms.store(now_ms, Relaxed);
            self.begin_slow_start(now_ms);
        }
    }

    /// The trial failed: out again, for twice as long.
    pub(super) fn eject_again(&self, now_ms: u64, rule: EjectionRule) {
        self.eject(self.ejected_until_ms.load(Relaxed), now_ms, rule);
    }

    /// Ejects unless another worker did so, or ended the ejection `was`, meanwhile.
    fn eject(&self, was: u64, now_ms: u64, rule: EjectionRule) {
        let served_ms = now_ms.saturating_sub(self.returned_ms.load(Relaxed));
        let earlier = if was == 0 && served_ms >= rule.max_ms { 0 } else { self.ejections.load(Relaxed) };
        let doubled = 1_u64.checked_shl(earlier).unwrap_or(u64::MAX);
        let lasts_ms = rule.base_ms.saturating_mul(doubled).min(rule.max_ms);
        if self.ejected_until_ms.compare_exchange(was, now_ms + lasts_ms, Relaxed, Relaxed).is_ok() {
            self.ejections.store(earlier.saturating_add(1).min(63), Relaxed);
            self.ejections_total.fetch_add(1, Relaxed);
            self.failures.store(0, Relaxed);
            self.broken_answers.store(0, Relaxed);
        }
    }

    /// One more failed attempt that weighs like an exchange in flight.
    pub(super) fn penalize(&self, now_ms: u64) {
        let grown = |packed: u64| {
            let value = decayed(packed, now_ms) + 1.0;
            Some((u64::from((value as f32).to_bits()) << 32) | (now_ms & 0xffff_ffff))
        };
        let _ = self.penalty.fetch_update(Relaxed, Relaxed, grown);
    }

    fn penalty(&self, now_ms: u64) -> f64 {
        let packed = self.penalty.load(Relaxed);
        if packed == 0 {
            return 0.0;
        }
        let left = decayed(packed, now_ms);
        if left < FAILURE_PENALTY_MIN {
            let _ = self.penalty.compare_exchange(packed, 0, Relaxed, Relaxed);
            return 0.0;
        }
        left
    }

    // Active checks --------------------------------------------------------------------------------------------------

    /// Takes the result of one check; true if it changed the endpoint's health.
    pub(super) fn checked(&self, now_ms: u64, well: bool, unhealthy_after: u32, healthy_after: u32) -> bool {
        let unhealthy = self.unhealthy.load(Relaxed);
        if well != unhealthy {
            // As expected of a healthy or an unhealthy endpoint.
            self.check_streak.store(0, Relaxed);
            return false;
        }
        let in_a_row = self.check_streak.fetch_add(1, Relaxed).saturating_add(1);
        let needed = if unhealthy { healthy_after } else { unhealthy_after };
        if in_a_row < needed {
            return false;
        }
        self.check_streak.store(0, Relaxed);
        self.unhealthy.store(!unhealthy, Relaxed);
        if unhealthy {
            self.begin_slow_start(now_ms);
        }
        true
    }

    /// Forgets what active checks said, for a backend that has none any more.
    pub(super) fn forget_checks(&self) {
        self.unhealthy.store(false, Relaxed);
        self.check_streak.store(0, Relaxed);
    }

    // For the status page --------------------------------------------------------------------------------------------

    pub(super) fn is_unhealthy(&self) -> bool {
        self.unhealthy.load(Relaxed)
    }

    pub(super) fn ejected_until_ms(&self) -> u64 {
        self.ejected_until_ms.load(Relaxed)
    }

    pub(super) fn placed(&self) -> u32 {
        (self.placed_and_in_flight.load(Relaxed) >> 32) as u32
    }

    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.failures.load(Relaxed).max(self.broken_answers.load(Relaxed))
    }

    pub(super) fn failures_total(&self) -> u64 {
        self.failures_total.load(Relaxed)
    }

    pub(super) fn ejections_total(&self) -> u32 {
        self.ejections_total.load(Relaxed)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("address", &self.address())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Milliseconds from `epoch` to `now`, counted from 1.
pub(super) fn since(epoch: Instant, now: Instant) -> u64 {
    milliseconds(now.saturating_duration_since(epoch)).saturating_add(1)
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000).saturating_add(u64::from(duration.subsec_millis()))
}

/// What is left now of a packed penalty.
fn decayed(packed: u64, now_ms: u64) -> f64 {
    let value = f64::from(f32::from_bits((packed >> 32) as u32));
    let elapsed_ms = (now_ms as u32).wrapping_sub(packed as u32);
    // Workers read the clock at slightly different times: a penalty of the near future has not decayed.
    if elapsed_ms > u32::MAX / 2 {
        return value;
    }
    value * (-f64::from(elapsed_ms) / milliseconds(FAILURE_PENALTY_HALF_LIFE) as f64).exp2()
}
