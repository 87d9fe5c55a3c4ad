//! The endpoints of a backend at one time, and the choice among them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use super::{
    endpoint::{Endpoint, EndpointId, EndpointKey, Standing},
    sampler::{Sampler, scatter, spread},
    spec::{Address, BackendSpec, EndpointSpec, Strategy},
};

/// Up to this many endpoints are all looked at for every choice.
const FULL_SCAN_MAX: usize = 16;
/// Of more endpoints so many are sampled, in proportion to capacity. Two are enough to avoid hot spots; four are still
/// cheap and come close to looking at all.
const SAMPLES: u64 = 4;
/// Rounds of samples before all endpoints are looked at after all. Unless there is a panic at least half of them
/// serve, so that this happens once in thousands of choices.
const SAMPLING_ROUNDS: u64 = 3;
/// With sampling, the share of healthy endpoints is counted this often.
const RECOUNT_INTERVAL_MS: u64 = 100;
/// Addresses taken from the answer for one DNS name.
pub(super) const ADDRESSES_PER_NAME_MAX: usize = 256;
/// Capacities are held within these bounds.
const CAPACITY_MIN: f64 = 0.001;
const CAPACITY_MAX: f64 = 1_000_000.0;

/// What each name of a backend last resolved to.
pub(super) type Resolved = HashMap<Arc<str>, Vec<IpAddr>>;

/// Immutable, but for the counted share of healthy endpoints.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    /// Endpoints that left while exchanges were in flight.
    pub(super) draining: Vec<Arc<Endpoint>>,
    pub(super) resolved: Resolved,
    total_capacity: f64,
    /// For more than [`FULL_SCAN_MAX`] endpoints.
    sampler: Option<Sampler>,
    panic: AtomicBool,
    recount_at_ms: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) capacity: f64,
}

impl Slot {
    /// Its capacity, as far as it is warm.
    pub(super) fn weight(&self, now_ms: u64, slow_start_ms: u64) -> f64 {
        self.capacity * self.endpoint.warmth(now_ms, slow_start_ms)
    }
}

/// All that a choice depends on besides the endpoints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) now_ms: u64,
    pub(super) turn: u32,
    /// For round robin: when the turn began that was taken last.
    pub(super) virtual_now: u64,
    pub(super) avoid: &'a [EndpointId],
    pub(super) strategy: Strategy,
    pub(super) slow_start_ms: u64,
    pub(super) panic_threshold: f64,
}

/// An endpoint that was chosen, and how it stood then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) slot: &'a Slot,
    pub(super) standing: Standing,
}

impl Table {
    /// The endpoints that `spec` means, given what its names resolved to. State is kept from `previous`.
    pub(super) fn build(
        spec: &BackendSpec,
        resolved: Resolved,
        previous: Option<&Self>,
        epoch: Instant,
        now_ms: u64,
        turn: u32,
    ) -> Self {
        let known: HashMap<&EndpointKey, &Arc<Endpoint>> =
            previous.iter().flat_map(|table| table.all()).map(|endpoint| (endpoint.key(), endpoint)).collect();
        let serving_before = previous.is_some_and(|table| !table.slots.is_empty());

        let mut slots: Vec<Slot> = Vec::new();
        let mut seen = HashSet::new();
        for (key, name, capacity) in addresses(&spec.endpoints, &resolved) {
            if !seen.insert(key.clone()) {
                continue;
            }
            let endpoint = if let Some(endpoint) = known.get(&key) {
                Arc::clone(endpoint)
            } else {
                let endpoint = Endpoint::new(key, name, epoch);
                endpoint.start_turns_at(turn);
                if serving_before {
                    // It joins others that are warm. The first endpoints of a backend have no one to lean on.
                    endpoint.begin_slow_start(now_ms);
                }
                Arc::new(endpoint)
            };
            if spec.health_check.is_none() {
                endpoint.forget_checks();
            }
            slots.push(Slot { endpoint, capacity });
        }

        let left = previous.iter().flat_map(|table| table.all());
        let draining = left.filter(|e| e.in_flight() > 0 && !seen.contains(e.key())).cloned().collect();
        Self {
            draining,
            resolved,
            total_capacity: slots.iter().map(|slot| slot.capacity).sum(),
            sampler: (slots.len() > FULL_SCAN_MAX).then(|| Sampler::new(slots.iter().map(|slot| slot.capacity))),
            panic: AtomicBool::new(false),
            recount_at_ms: AtomicU64::new(0),
            slots,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.slots.iter().map(|slot| &slot.endpoint).chain(&self.draining)
    }

    /// The best endpoint; `None` if there is none at all, or all are out and there is no panic.
    pub(super) fn choose(&self, question: Question<'_>) -> Option<Choice<'_>> {
        let Some(sampler) = &self.sampler else {
            return self.look_at_all(question);
        };
        let panic = self.counted_panic(question);
        if question.strategy == Strategy::RoundRobin
            && let Some(slot) = self.slots.get(sampler.at(spread(question.turn)))
            && (panic || slot.endpoint.standing(question.now_ms) == Standing::Serving)
            && !question.avoid.contains(&slot.endpoint.id())
        {
            return Some(Choice { slot, standing: slot.endpoint.standing(question.now_ms) });
        }
        for round in 0..SAMPLING_ROUNDS {
            let mut scan = Scan::new(question, self.total_capacity);
            for sample in 0..SAMPLES {
                let random = scatter(u64::from(question.turn), round * SAMPLES + sample);
                if let Some(slot) = self.slots.get(sampler.at(random)) {
                    scan.consider(slot);
                }
            }
            if let Some(choice) = scan.preferred(panic) {
                return Some(choice);
            }
        }
        self.look_at_all(question)
    }

    fn look_at_all(&self, question: Question<'_>) -> Option<Choice<'_>> {
        let mut scan = Scan::new(question, self.total_capacity);
        for slot in &self.slots {
            scan.consider(slot);
        }
        let panic = self.is_panic(scan.serving, question.panic_threshold);
        scan.preferred(panic).or_else(|| scan.resort(panic))
    }

    fn is_panic(&self, serving: usize, threshold: f64) -> bool {
        (serving as f64) < threshold * self.slots.len() as f64
    }

    /// Whether there was a panic when it was last counted, counting again if that is long ago.
    fn counted_panic(&self, question: Question<'_>) -> bool {
        let due = self.recount_at_ms.load(Relaxed);
        if question.now_ms >= due {
            let next = question.now_ms + RECOUNT_INTERVAL_MS;
            if self.recount_at_ms.compare_exchange(due, next, Relaxed, Relaxed).is_ok() {
                let serving = self.serving(question.now_ms);
                self.panic.store(self.is_panic(serving, question.panic_threshold), Relaxed);
            }
        }
        self.panic.load(Relaxed)
    }

    fn serving(&self, now_ms: u64) -> usize {
        self.slots.iter().filter(|slot| slot.endpoint.standing(now_ms) == Standing::Serving).count()
    }

    /// For the status page: whether all endpoints are used although most are out.
    pub(super) fn panics(&self, now_ms: u64, threshold: f64) -> bool {
        !self.slots.is_empty() && self.is_panic(self.serving(now_ms), threshold)
    }
}

/// Every address of `specs`, with the name it was found by and its capacity.
fn addresses<'a>(
    specs: &'a [EndpointSpec],
    resolved: &'a Resolved,
) -> impl Iterator<Item = (EndpointKey, Option<Arc<str>>, f64)> + 'a {
    specs.iter().flat_map(|spec| {
        let (name, ips): (_, &[IpAddr]) = match &spec.address {
            Address::Ip(ip) => (None, std::slice::from_ref(ip)),
            Address::Name(name) => (Some(name), resolved.get(name).map_or(&[], Vec::as_slice)),
        };
        let capacity =
            if spec.capacity.is_finite() { spec.capacity.clamp(CAPACITY_MIN, CAPACITY_MAX) } else { CAPACITY_MIN };
        ips.iter().take(ADDRESSES_PER_NAME_MAX).map(move |&ip| {
            let (port, grpc_port, identity) = (spec.port, spec.grpc_port, spec.identity.clone());
            (EndpointKey { ip, port, grpc_port, identity }, name.cloned(), capacity)
        })
    })
}

/// The best so far in each of four classes.
struct Scan<'a, 'q> {
    question: Question<'q>,
    total_capacity: f64,
    serving: usize,
    /// Usable, and not to be avoided.
    usable: Option<Candidate<'a>>,
    /// Usable, but avoided.
    usable_avoided: Option<Candidate<'a>>,
    /// Out, and not to be avoided.
    out: Option<Candidate<'a>>,
    /// Out, and avoided.
    out_avoided: Option<Candidate<'a>>,
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    cost: Cost,
    choice: Choice<'a>,
}

/// Less is better: first by load, then by who waited longest.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Cost {
    load: f64,
    recency: f64,
}

impl<'a, 'q> Scan<'a, 'q> {
    fn new(question: Question<'q>, total_capacity: f64) -> Self {
        Self { question, total_capacity, serving: 0, usable: None, usable_avoided: None, out: None, out_avoided: None }
    }

    fn consider(&mut self, slot: &'a Slot) {
        let standing = slot.endpoint.standing(self.question.now_ms);
        self.serving += usize::from(standing == Standing::Serving);
        let avoided = !self.question.avoid.is_empty() && self.question.avoid.contains(&slot.endpoint.id());
        let cost = self.cost(slot);
        let best = match (standing, avoided) {
            (Standing::Serving | Standing::TrialDue, false) => &mut self.usable,
            (Standing::Serving | Standing::TrialDue, true) => &mut self.usable_avoided,
            (Standing::Out, false) => &mut self.out,
            (Standing::Out, true) => &mut self.out_avoided,
        };
        if best.is_none_or(|best| cost < best.cost) {
            *best = Some(Candidate { cost, choice: Choice { slot, standing } });
        }
    }

    /// Load after capacity. Of an exchange more or less, a fraction is decided by turns: an endpoint that has waited
    /// for its share of turns counts as less loaded (by up to one exchange) than one that was just chosen. So idle
    /// endpoints take turns in proportion to capacity, whatever the others do, and a small or warming endpoint gets its
    /// small share of the turns instead of every exchange that finds it idle.
    fn cost(&self, slot: &Slot) -> Cost {
        let Question { now_ms, turn, strategy, slow_start_ms, .. } = self.question;
        let weight = slot.weight(now_ms, slow_start_ms);
        let waited = f64::from(slot.endpoint.age(turn)) * weight;
        match strategy {
            Strategy::LeastRequests => {
                let just_chosen = 1.0 - (waited / self.total_capacity).min(1.0);
                Cost { load: (slot.endpoint.load(now_ms) + just_chosen) / weight, recency: -waited }
            }
            Strategy::RoundRobin => {
                Cost { load: slot.endpoint.next_turn_at(self.question.virtual_now) as f64, recency: -waited }
            }
        }
    }

    /// The best that is neither out (but in a panic) nor avoided.
    fn preferred(&self, panic: bool) -> Option<Choice<'a>> {
        best(self.usable, self.out, panic)
    }

    /// The best of those avoided, when there is no other.
    fn resort(&self, panic: bool) -> Option<Choice<'a>> {
        best(self.usable_avoided, self.out_avoided, panic)
    }
}

fn best<'a>(usable: Option<Candidate<'a>>, out: Option<Candidate<'a>>, panic: bool) -> Option<Choice<'a>> {
    let best = match (usable, out) {
        (Some(usable), Some(out)) if panic && out.cost < usable.cost => out,
        (None, Some(out)) if panic => out,
        (usable, _) => usable?,
    };
    Some(best.choice)
}
