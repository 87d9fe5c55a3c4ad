//! What can be seen of a backend from outside: plain values for pages and metrics.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Endpoints,
    endpoint::{Endpoint, milliseconds},
};

/// A backend at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Whether all endpoints are used because too few are healthy.
    pub panic: bool,
    /// Endpoints in the specification's order, then those that left and still have exchanges in flight.
    pub endpoints: Vec<EndpointStatus>,
    /// Names that have never resolved.
    pub unresolved: Vec<Arc<str>>,
}

/// An endpoint at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointStatus {
    /// Where it answers.
    pub address: SocketAddr,
    /// Where it answers gRPC.
    pub grpc_address: SocketAddr,
    /// The DNS name it was found by.
    pub name: Option<Arc<str>>,
    /// Relative capacity; 0 while draining.
    pub capacity: f64,
    /// Whether it is used.
    pub state: EndpointState,
    /// Exchanges in flight.
    pub in_flight: u32,
    /// Exchanges ever placed (wraps at 2^32).
    pub placed: u32,
    /// Failures in a row.
    pub failures_in_a_row: u32,
    /// Failures ever.
    pub failures_total: u64,
    /// Ejections ever.
    pub ejections_total: u32,
}

/// Whether an endpoint is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EndpointState {
    /// Fully.
    Ready,
    /// With this share of its capacity, growing.
    Warming(f64),
    /// Not, for that long.
    Ejected(Duration),
    /// By one exchange, to see whether it answers again.
    OnTrial,
    /// Not: its active checks fail.
    Unhealthy,
    /// Not: it left the backend, and lives until its last exchange ends.
    Draining,
}

impl EndpointState {
    /// Every state's word, for metrics by state.
    pub const WORDS: [&str; 6] = ["ready", "warming", "ejected", "on_trial", "unhealthy", "draining"];

    /// The word for it on pages and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Warming(_) => "warming",
            Self::Ejected(_) => "ejected",
            Self::OnTrial => "on_trial",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }
}

impl Endpoints {
    /// What the backend looks like now.
    pub fn status(&self, now: Instant) -> BackendStatus {
        let table = self.table.load();
        let now_ms = self.at(now);
        let slow_start_ms = milliseconds(self.spec.slow_start);
        let serving = table.slots.iter().map(|slot| {
            let endpoint = &*slot.endpoint;
            describe(endpoint, slot.capacity, state(endpoint, now_ms, slow_start_ms))
        });
        let draining = table.draining.iter().filter(|endpoint| endpoint.in_flight() > 0);
        let draining = draining.map(|endpoint| describe(endpoint, 0.0, EndpointState::Draining));
        BackendStatus {
            name: Arc::clone(&self.spec.name),
            panic: table.panics(now_ms, self.spec.ejection.panic_threshold),
            endpoints: serving.chain(draining).collect(),
            unresolved: self.names().filter(|name| !table.resolved.contains_key(*name)).cloned().collect(),
        }
    }
}

fn state(endpoint: &Endpoint, now_ms: u64, slow_start_ms: u64) -> EndpointState {
    if endpoint.is_unhealthy() {
        return EndpointState::Unhealthy;
    }
    match endpoint.ejected_until_ms() {
        0 => match endpoint.warmth(now_ms, slow_start_ms) {
            share if share < 1.0 => EndpointState::Warming(share),
            _ => EndpointState::Ready,
        },
        until if now_ms < until => EndpointState::Ejected(Duration::from_millis(until - now_ms)),
        _ => EndpointState::OnTrial,
    }
}

fn describe(endpoint: &Endpoint, capacity: f64, state: EndpointState) -> EndpointStatus {
    EndpointStatus {
        address: endpoint.address(),
        grpc_address: endpoint.grpc_address(),
        name: endpoint.name().cloned(),
        capacity,
        state,
        in_flight: endpoint.in_flight(),
        placed: endpoint.placed(),
        failures_in_a_row: endpoint.failures_in_a_row(),
        failures_total: endpoint.failures_total(),
        ejections_total: endpoint.ejections_total(),
    }
}
