//! What a caller says about a backend: plain values, without state.

use std::{net::IpAddr, sync::Arc, time::Duration};

use portcullis_certs::SpiffeId;

/// A backend: where its endpoints are and how one of them is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSpec {
    /// What `/endpoints` and metrics call it. Its identity over reloads is the caller's affair.
    pub name: Arc<str>,
    /// In document order. Two that resolve to the same address and ports are one endpoint; the first counts.
    pub endpoints: Vec<EndpointSpec>,
    /// How an endpoint is chosen.
    pub strategy: Strategy,
    /// When an endpoint that fails exchanges is left alone, and for how long.
    pub ejection: EjectionSpec,
    /// How long an endpoint that joins or returns gets less than its share. Zero: not at all.
    pub slow_start: Duration,
    /// Active checks, run by [`run_checks`](super::run_checks); `None`: no checks.
    pub health_check: Option<HealthCheckSpec>,
}

impl BackendSpec {
    /// How long an endpoint warms up unless the caller says otherwise.
    pub const SLOW_START: Duration = Duration::from_secs(30);

    /// A backend with every default: least requests, ejection, slow start, no active checks.
    pub fn new(name: impl Into<Arc<str>>, endpoints: Vec<EndpointSpec>) -> Self {
        Self {
            name: name.into(),
            endpoints,
            strategy: Strategy::LeastRequests,
            ejection: EjectionSpec::default(),
            slow_start: Self::SLOW_START,
            health_check: None,
        }
    }
}

/// One place that answers, as written. A DNS name becomes as many endpoints as it has addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSpec {
    /// An IP address or a DNS name.
    pub address: Address,
    /// The port.
    pub port: u16,
    /// The port for gRPC, where it is another one.
    pub grpc_port: Option<u16>,
    /// Relative capacity: twice the capacity, twice the requests. Finite and greater than 0.
    pub capacity: f64,
    /// Who answers there, where it must prove that.
    pub identity: Option<SpiffeId>,
}

impl EndpointSpec {
    /// An endpoint of capacity 1 at `address`.
    pub fn at(address: IpAddr, port: u16) -> Self {
        Self { address: Address::Ip(address), port, grpc_port: None, capacity: 1.0, identity: None }
    }
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Known.
    Ip(IpAddr),
    /// To be resolved, again and again, by [`keep_resolved`](super::keep_resolved).
    Name(Arc<str>),
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Fewest exchanges in flight, relative to capacity.
    LeastRequests,
    /// In turn, in proportion to capacity.
    RoundRobin,
}

/// Passive ejection: what exchanges tell about an endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EjectionSpec {
    /// So many failures in a row eject an endpoint. 0: never.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts; each further one in a row lasts twice as long.
    pub base: Duration,
    /// The longest ejection. An endpoint that served for this long starts again at `base`.
    pub max: Duration,
    /// While less than this share of the endpoints is healthy, all of them are used: a gateway that has ejected most
    /// of a backend is more likely wrong about its health than right. From 0 (never panic) to 1.
    pub panic_threshold: f64,
}

impl Default for EjectionSpec {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base: Duration::from_secs(10),
            max: Duration::from_mins(5),
            panic_threshold: 0.5,
        }
    }
}

/// Active checks: what asking an endpoint from time to time tells about its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheckSpec {
    /// The time between two checks of one endpoint, give or take a tenth.
    pub interval: Duration,
    /// The time one check may take.
    pub timeout: Duration,
    /// Consecutive failures that make an endpoint unhealthy; at least 1.
    pub unhealthy_after: u32,
    /// Consecutive successes that make it healthy again; at least 1.
    pub healthy_after: u32,
}

impl Default for HealthCheckSpec {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), timeout: Duration::from_secs(2), unhealthy_after: 3, healthy_after: 2 }
    }
}
