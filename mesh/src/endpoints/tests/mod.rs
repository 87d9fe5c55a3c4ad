//! Endpoints, with time as an argument: nothing here sleeps.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod choice;
mod health;
mod life;
mod properties;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::*;

/// The moment every test begins at.
fn start() -> Instant {
    Instant::now()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The address of the endpoint with this number.
fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number as u32))
}

/// A backend of endpoints of these capacities.
fn backend(capacities: &[f64]) -> BackendSpec {
    let endpoints = capacities.iter().enumerate();
    let endpoints = endpoints.map(|(i, &capacity)| EndpointSpec { capacity, ..EndpointSpec::at(address(i), 8000) });
    BackendSpec::new("test", endpoints.collect())
}

/// A backend of so many endpoints of capacity 1.
fn equals(count: usize) -> BackendSpec {
    backend(&vec![1.0; count])
}

/// The number of the endpoint of a placement.
fn number(placement: &Placement) -> usize {
    let IpAddr::V4(ip) = placement.endpoint().address().ip() else { return usize::MAX };
    (ip.to_bits() - 0x0a00_0000) as usize
}

/// Chooses so often, ending each exchange at once, and counts by endpoint.
fn spread_of(endpoints: &Endpoints, now: Instant, times: usize) -> HashMap<usize, usize> {
    let mut counts = HashMap::new();
    for _ in 0..times {
        let placement = endpoints.pick(now, &[]).unwrap();
        placement.report(now, OK);
        *counts.entry(number(&placement)).or_default() += 1;
    }
    counts
}

const OK: Outcome = Outcome::Answered(StatusCode::OK);

/// Makes attempts at this endpoint alone come to `outcome`, so many times; everyone else is avoided.
fn attempt(endpoints: &Endpoints, at: usize, now: Instant, outcome: Outcome, times: usize) {
    let others: Vec<EndpointId> =
        endpoints.list().iter().filter(|e| e.address().ip() != address(at)).map(|e| e.id()).collect();
    for _ in 0..times {
        let placement = endpoints.pick(now, &others).unwrap();
        assert_eq!(number(&placement), at, "the endpoint cannot be attempted");
        placement.report(now, outcome);
    }
}

fn state_of(endpoints: &Endpoints, number: usize, now: Instant) -> EndpointState {
    let status = endpoints.status(now);
    status.endpoints.iter().find(|e| e.address.ip() == address(number)).unwrap().state
}
